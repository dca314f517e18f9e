"""The command ``sansocket serve``: its options, and which way to run."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from pathlib import Path

from .settings import BUILTIN, Settings
from .values import (
    CommandError,
    parse_count,
    parse_interval,
    parse_limit,
    parse_port,
    parse_seconds,
    parse_size,
    say,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["add_command"]

# ``module:function``, both of them perhaps with dots.
OWN = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")

DESCRIPTION = """\
Run a WebSocket server. A browser gets a test page at the same address.
Ctrl-C or SIGTERM stops it: connections are closed with 1001, and a second
signal cuts off those that are left. So does SIGHUP, unless it is ignored.
"""
EPILOG = """\
handlers:
  echo             sends every message back
  broadcast        a chat room: what one says goes to all, in the same order for
                   everyone. ws://.../?name=Anna chooses a name.
  module:function  a coroutine function of your own, which is called with each
                   connection; modules of the current folder are found

examples:
  sansocket serve
  sansocket serve broadcast --host 0.0.0.0
  sansocket serve app:handler --reload
  sansocket serve app:handler --workers 4 --certfile cert.pem --keyfile key.pem

exit status:
  0  Ctrl-C, SIGTERM or SIGHUP stopped the server
  1  the server could not start
  2  wrong usage

The addresses go to standard output, one a line and each the first word of its line;
everything else goes to standard error.
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="run a server: an echo, a chat room, or a handler of your own",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, command=parser)
    parser.add_argument(
        "handler",
        nargs="?",
        default="echo",
        type=parse_handler,
        help="echo (the default), broadcast, or module:function",
    )
    add_network_options(parser.add_argument_group("network"))
    add_protocol_options(parser.add_argument_group("protocol"))
    add_process_options(parser.add_argument_group("processes"))
    return parser


def parse_handler(text: str) -> str:
    """Read the name of a handler; whether it exists is found out later."""
    if text in BUILTIN or OWN.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a handler: give {', '.join(BUILTIN)}, or module:function"
    )


def add_network_options(group: Any) -> None:
    """Add the options that say where to listen."""
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
        "--uds",
        type=Path,
        metavar="PATH",
        help="listen on a Unix socket at this path instead",
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


def add_protocol_options(group: Any) -> None:
    """Add the options that say how to talk."""
    group.add_argument(
        "--origin",
        action="append",
        dest="origins",
        metavar="ORIGIN",
        help="accept browsers only from this site, such as https://example.com; "
        "repeatable; none stands for clients that name no site (default: accept all)",
    )
    group.add_argument(
        "--subprotocol",
        action="append",
        dest="subprotocols",
        metavar="NAME",
        help="support this subprotocol; repeatable, the most wanted first",
    )
    group.add_argument(
        "--no-compression",
        dest="compression",
        action="store_false",
        help="do not agree on permessage-deflate",
    )
    group.add_argument(
        "--max-size",
        type=parse_size,
        default="1M",
        metavar="SIZE",
        help="largest message in bytes, such as 64K or 16M; none for no limit "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--max-fragments",
        type=parse_limit,
        default="4096",
        metavar="N",
        help="most frames of one message; none for no limit (default: %(default)s)",
    )
    add_timeouts(group)


def add_timeouts(group: Any) -> None:
    """Add the options about time."""
    timeouts = [
        ("open", "time for a client to complete its request"),
        (
            "close",
            "time for a client to leave before it is cut off; when the server stops, "
            "handlers get it once more. Whatever has not ended 2 seconds after that "
            "is abandoned",
        ),
    ]
    for name, text in timeouts:
        group.add_argument(
            f"--{name}-timeout",
            type=parse_seconds,
            default="10",
            metavar="SECONDS",
            help=f"{text} (default: %(default)s)",
        )
    pings = [
        (
            "interval",
            "time between pings that keep a connection alive, or none",
        ),
        ("timeout", "seconds for anything to come after such a ping, or none"),
    ]
    for name, text in pings:
        group.add_argument(
            f"--ping-{name}",
            type=parse_interval,
            default="20",
            metavar="SECONDS",
            help=f"{text} (default: %(default)s)",
        )


def add_process_options(group: Any) -> None:
    """Add the options that say in what processes to run."""
    group.add_argument(
        "--workers",
        type=parse_count,
        default=1,
        metavar="N",
        help="processes that share the address; one that dies is replaced "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--reload",
        action="store_true",
        help="restart when a Python file in the folder of the module changes; "
        "needs sansocket[cli]",
    )
    group.add_argument(
        "--loop",
        choices=("asyncio", "uvloop"),
        default="asyncio",
        help="event loop; uvloop needs sansocket[uvloop] (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes.

    Raises:
        CommandError: if the server cannot start.

    """
    if reason := wrong_usage(options):
        options.command.error(reason)
    names = [field.name for field in dataclasses.fields(Settings)]
    settings = Settings(**{name: getattr(options, name) for name in names})
    # Imported late: help, version and wrong usage need no event loop.
    from .ending import LAST, Ending, Interrupted, stop_signals
    from .server import serve_here
    from .sockets import Listeners
    from .supervisor import GRACE, supervise

    supervised = settings.workers > 1 or settings.reload
    if supervised and sys.platform == "win32":
        raise CommandError("--workers and --reload do not work on Windows")
    last = LAST + 2 * GRACE * supervised  # which a supervisor gives its workers
    patience = 2 * settings.close_timeout + last
    ending = Ending(patience, stop_signals(), last=last)
    try:
        with ending.interruptible(), Listeners(settings) as listeners:
            ending.clean_up = listeners.remove_path

            def ready() -> None:
                announce(listeners.addresses(), settings.title)

            if supervised:
                supervise(settings, listeners, ready, ending)
            else:
                serve_here(settings, listeners.of_worker(0), ready, ending)
    except Interrupted:
        pass
    finally:
        ending.finish()
    return 0


def wrong_usage(options: argparse.Namespace) -> str | None:
    """What is wrong with how options are combined."""
    own = options.handler not in BUILTIN
    if options.keyfile and not options.certfile:
        return "--keyfile needs --certfile"
    if options.reload and not own:
        return "--reload needs a handler of your own, as module:function"
    if options.workers > 1 and options.handler == "broadcast":
        return "broadcast keeps its room in one process: --workers must be 1"
    return None


def announce(addresses: Sequence[str], title: str) -> None:
    """Print the URLs, each with the one of its page."""
    width = max(map(len, addresses)) + 4  # the longest: "http" for "ws", and a gap
    lines: list[str] = []
    for address in addresses:
        lines.append(f"{address:{width}}{title}")
        if address.startswith("ws"):
            page = "http" + address.removeprefix("ws")
            lines.append(f"{page:{width}}test page (Ctrl-C stops)")
    say("\n".join(lines))
