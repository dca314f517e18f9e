"""The command ``sansocket serve``: its options, and the choice of how to run."""

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

# ``module:function``; both parts may contain dots.
OWN = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")

DESCRIPTION = """\
Run a WebSocket server. The same address serves a test page to browsers.

Ctrl-C, SIGTERM and, unless it is ignored, SIGHUP stop the server: it closes all
connections with code 1001. A second signal cuts off the remaining ones.
"""
EPILOG = """\
handlers:
  echo             send every message back
  broadcast        a chat room: everyone gets every message, in the same order.
                   To choose a name, connect to ws://.../?name=Anna
  module:function  your own coroutine function, called with each connection; the
                   current directory is searched for the module

examples:
  sansocket serve
  sansocket serve broadcast --host 0.0.0.0
  sansocket serve app:handler --reload
  sansocket serve app:handler --workers 4 --certfile cert.pem --keyfile key.pem

exit status:
  0  Ctrl-C, SIGTERM or SIGHUP stopped the server
  1  the server could not start
  2  wrong usage

The server prints its addresses on standard output: one per line, as the first word
of the line. Everything else goes to standard error.
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="run a server: an echo server, a chat room, or your own handler",
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
    """Parse the name of a handler, without checking that it exists."""
    if text in BUILTIN or OWN.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a handler: give {', '.join(BUILTIN)}, or module:function"
    )


def add_network_options(group: Any) -> None:
    """Add the options about where to listen."""
    group.add_argument(
        "--host",
        default="127.0.0.1",
        help="address or name to listen on (default: %(default)s); "
        "localhost means both IPv4 and IPv6",
    )
    group.add_argument(
        "--port",
        type=parse_port,
        default=8765,
        help="port; 0 chooses a free one (default: %(default)s)",
    )
    group.add_argument(
        "--uds",
        type=Path,
        metavar="PATH",
        help="listen on a Unix socket at this path instead of a port",
    )
    group.add_argument(
        "--certfile",
        type=Path,
        metavar="FILE",
        help="use TLS with this certificate chain (PEM)",
    )
    group.add_argument(
        "--keyfile",
        type=Path,
        metavar="FILE",
        help="private key (PEM), unless --certfile contains it",
    )


def add_protocol_options(group: Any) -> None:
    """Add the options about the protocol."""
    group.add_argument(
        "--origin",
        action="append",
        dest="origins",
        metavar="ORIGIN",
        help="accept only browsers that come from this site, such as "
        "https://example.com; none means clients that send no Origin header; may be "
        "repeated (default: accept all)",
    )
    group.add_argument(
        "--subprotocol",
        action="append",
        dest="subprotocols",
        metavar="NAME",
        help="support this subprotocol; may be repeated, in order of preference",
    )
    group.add_argument(
        "--no-compression",
        dest="compression",
        action="store_false",
        help="do not accept permessage-deflate",
    )
    group.add_argument(
        "--max-size",
        type=parse_size,
        default="1M",
        metavar="SIZE",
        help="maximum size of a message in bytes, such as 64K or 16M, or none for no "
        "limit (default: %(default)s)",
    )
    group.add_argument(
        "--max-fragments",
        type=parse_limit,
        default="4096",
        metavar="N",
        help="maximum number of frames in a message, or none for no limit "
        "(default: %(default)s)",
    )
    add_timeouts(group)


def add_timeouts(group: Any) -> None:
    """Add the options about time."""
    timeouts = [
        ("open", "how long a client may take to send its request"),
        (
            "close",
            "how long to wait for a client to close its connection before cutting it "
            "off. When the server stops, handlers get the same time once more; "
            "anything that is still running 2 seconds later is abandoned",
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
            "time between keepalive pings, or none to send no pings",
        ),
        (
            "timeout",
            "how long to wait for any data after a keepalive ping before failing the "
            "connection, or none for no limit",
        ),
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
    """Add the options about processes."""
    group.add_argument(
        "--workers",
        type=parse_count,
        default=1,
        metavar="N",
        help="number of processes that share the address; a process that dies is "
        "replaced (default: %(default)s)",
    )
    group.add_argument(
        "--reload",
        action="store_true",
        help="restart when a Python file in the module's directory changes; requires "
        "sansocket[cli]",
    )
    group.add_argument(
        "--loop",
        choices=("asyncio", "uvloop"),
        default="asyncio",
        help="event loop; uvloop requires sansocket[uvloop] (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal arrives.

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
    """Explain what is wrong with a combination of options; ``None`` if nothing is."""
    own = options.handler not in BUILTIN
    if options.keyfile and not options.certfile:
        return "--keyfile requires --certfile"
    if options.reload and not own:
        return "--reload requires your own handler, given as module:function"
    if options.workers > 1 and options.handler == "broadcast":
        return "broadcast runs in a single process: --workers must be 1"
    return None


def announce(addresses: Sequence[str], title: str) -> None:
    """Print the URLs, each followed by that of its page."""
    width = max(map(len, addresses)) + 4  # the longest: "http" for "ws", and a gap
    lines: list[str] = []
    for address in addresses:
        lines.append(f"{address:{width}}{title}")
        if address.startswith("ws"):
            page = "http" + address.removeprefix("ws")
            lines.append(f"{page:{width}}test page (press Ctrl-C to stop)")
    say("\n".join(lines))
