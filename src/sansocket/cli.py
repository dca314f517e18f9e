"""The command line: arguments in, exit status out.

Exit status: 0 after Ctrl-C or SIGTERM, 1 when the server cannot start, 2 for
wrong usage. The addresses go to standard output, one a line and each the first
word of its line; everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import re
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from ._kernels import COMPILED
from .version import version

__all__ = ["main", "parse_size"]

LOG_LINE_LIMIT = 300  # characters; a peer must not fill the terminal
UNITS = {"": 0, "K": 10, "M": 20, "G": 30}  # powers of two


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.keyfile and not options.certfile:
        parser.error("--keyfile needs --certfile")
    set_up_logging(options.verbose)
    try:
        run_server(options)
    except KeyboardInterrupt:  # where the event loop cannot handle signals
        return 0
    except CommandError as exc:
        print(f"{parser.prog}: error: {exc}", file=sys.stderr)
        return 1
    return 0


def parse_size(text: str) -> int | None:
    """Read a number of bytes such as ``65536``, ``64K``, ``16M`` or ``none``.

    Raises:
        argparse.ArgumentTypeError: if the text is something else.
    """
    if text.lower() == "none":
        return None
    found = re.fullmatch(r"([0-9]{1,18})([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if found is None or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size: give bytes, or a number with K, M or G, or none"
        )
    return int(found[1]) << UNITS[found[2].upper()]


def parse_port(text: str) -> int:
    """Read a port number."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give 0 to 65535")
    return int(text)


def parse_seconds(text: str) -> float:
    """Read a duration in seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: give seconds, more than 0, at most 86400"
        )
    return seconds


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands."""
    parser = argparse.ArgumentParser(
        prog="sansocket", description="A WebSocket whose heart never does I/O."
    )
    form = "compiled" if COMPILED else "interpreted"
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version} ({form})"
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    serve = commands.add_parser(
        "serve",
        help="run an echo server with a test page",
        description="Run a WebSocket server that sends every message back. "
        "A browser gets a test page at the same address. Ctrl-C stops it.",
    )
    add_network_options(serve)
    add_protocol_options(serve)
    serve.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="log connections; twice: frames too",
    )
    return parser


def add_network_options(serve: argparse.ArgumentParser) -> None:
    """Add the options that say where to listen."""
    group = serve.add_argument_group("network")
    group.add_argument(
        "--host",
        default="127.0.0.1",
        help="address or name to listen on (default: %(default)s); "
        "localhost takes IPv4 and IPv6",
    )
    group.add_argument(
        "--port",
        type=parse_port,
        default=8765,
        help="port; 0 picks a free one (default: %(default)s)",
    )
    group.add_argument(
        "--certfile", type=Path, metavar="FILE", help="certificate chain (PEM): use TLS"
    )
    group.add_argument(
        "--keyfile",
        type=Path,
        metavar="FILE",
        help="private key (PEM), if it is not in the certificate's file",
    )


def add_protocol_options(serve: argparse.ArgumentParser) -> None:
    """Add the options that say how to talk."""
    group = serve.add_argument_group("protocol")
    group.add_argument(
        "--max-size",
        type=parse_size,
        default="1M",
        metavar="SIZE",
        help="largest message in bytes, such as 64K or 16M; none for no limit "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--no-compression",
        dest="compression",
        action="store_false",
        help="do not agree on permessage-deflate",
    )
    timeouts = [
        ("--open-timeout", "time for a client to complete its request"),
        ("--close-timeout", "time for a client to leave before it is cut off"),
    ]
    for name, text in timeouts:
        group.add_argument(
            name,
            type=parse_seconds,
            default="10",
            metavar="SECONDS",
            help=f"{text} (default: %(default)s)",
        )


class CommandError(Exception):
    """The command cannot do its work; the text is for the user."""


class OneLineFormatter(logging.Formatter):
    """Print each record as one line of printable characters.

    Peers choose parts of what is logged: their control characters are escaped
    and the line is cut. Only errors, which are bugs of ours, show a traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info and record.levelno < logging.ERROR:
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        # repr() escapes what is not printable; its first and last sign are quotes.
        shown = repr(line[: LOG_LINE_LIMIT + 1])[1:-1].replace("\\'", "'")
        if len(shown) > LOG_LINE_LIMIT:
            return shown[: LOG_LINE_LIMIT - 3] + "..."
        return shown


def set_up_logging(verbosity: int) -> None:
    """Log to standard error: 0 problems, 1 connections, 2 frames."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        OneLineFormatter(
            "%(asctime)s %(levelname)s %(peer)s %(message)s",
            datefmt="%H:%M:%S",
            defaults={"peer": "server"},
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    logging.getLogger("sansocket").setLevel(level)
    # Its warnings are about what peers did, or repeat what we report ourselves.
    logging.getLogger("asyncio").setLevel(logging.ERROR)


def run_server(options: argparse.Namespace) -> None:
    """Serve until a signal comes.

    Raises:
        CommandError: if the server cannot start.
    """
    context = load_certificate(options.certfile, options.keyfile)
    # Imported late: help, version and wrong usage need no event loop.
    import asyncio

    from ._serve import ListenError, Settings, serve

    settings = Settings(
        host=options.host,
        port=options.port,
        ssl_context=context,
        max_size=options.max_size,
        compression=options.compression,
        open_timeout=options.open_timeout,
        close_timeout=options.close_timeout,
    )
    try:
        asyncio.run(serve(settings, announce))
    except ListenError as exc:
        raise CommandError(str(exc)) from exc


def load_certificate(
    certfile: Path | None, keyfile: Path | None
) -> ssl.SSLContext | None:
    """Make the TLS context of a server, or None without a certificate."""
    if certfile is None:
        return None
    try:  # OpenSSL's error would not say which file it means
        for path in filter(None, (certfile, keyfile)):
            path.read_bytes()
    except OSError as exc:
        raise CommandError(f"cannot read {exc.filename}: {exc.strerror}") from exc
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certfile, keyfile)
    except (ssl.SSLError, ValueError) as exc:
        files = f"{certfile} and {keyfile}" if keyfile else str(certfile)
        raise CommandError(
            f"no valid certificate with its private key in {files}"
        ) from exc
    return context


def announce(addresses: Sequence[str]) -> None:
    """Print the URLs, each with the one of its page."""
    width = max(map(len, addresses)) + 4  # the longest: "http" for "ws", and a gap
    lines: list[str] = []
    for address in addresses:
        page = "http" + address.removeprefix("ws")
        lines += [
            f"{address:{width}}echo server",
            f"{page:{width}}test page (Ctrl-C stops)",
        ]
    print("\n".join(lines), flush=True)
