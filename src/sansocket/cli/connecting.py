"""The command ``sansocket connect``: its options."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .values import parse_header, parse_seconds, parse_size, parse_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["add_command"]

DESCRIPTION = """\
Talk to a WebSocket server: each line that is typed, or that comes from a pipe, is
sent as one text message.

At a terminal, messages are shown with control characters escaped and bytes as
hexadecimal, and lines that begin with / are commands: /help lists them. Ctrl-D, or
Ctrl-C on an empty line, closes the connection. With sansocket[cli] there are colours,
editing, and a history that is kept in ~/.local/state/sansocket.

In a pipe, lines are sent as they are, and each message that comes is printed on
standard output: text as it is, bytes as hexadecimal. At the end of the input the
connection is closed with 1000 once no message has come for the time of --wait.
"""
EPILOG = """\
examples:
  sansocket connect ws://localhost:8765
  echo hi | sansocket connect ws://localhost:8765
  sansocket connect wss://example.com/feed --wait none </dev/null | jq .price
  sansocket connect wss://example.com --binary <picture.png

exit status:
  0    the connection was closed with 1000 or 1001, or without a code; also if what
       reads standard output has gone
  1    there was no connection: network, TLS, or the server refused
  2    wrong usage
  3    the connection was closed with another code, such as 1009 for a message that
       is too big
  4    the connection was lost without a close frame of the server
  5    as 0, but something was not sent, such as a line that is not UTF-8 or what the
       server did not wait for, or could not be printed; standard error tells
  130  Ctrl-C in a pipe, after closing the connection; 143 for SIGTERM
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "connect",
        help="talk to a server, at the terminal or in a pipe",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, command=parser)
    parser.add_argument("uri", metavar="URI", help="ws:// or wss://")
    add_request_options(parser.add_argument_group("request"))
    add_network_options(parser.add_argument_group("network"))
    add_conversation_options(parser.add_argument_group("conversation"))
    return parser


def add_request_options(group: Any) -> None:
    """Add the options that go to the opening handshake."""
    group.add_argument(
        "--header",
        action="append",
        default=[],
        dest="headers",
        type=parse_header,
        metavar="NAME:VALUE",
        help="add a header to the request; repeatable",
    )
    group.add_argument(
        "--origin", metavar="ORIGIN", help="the site to come from, as browsers say it"
    )
    group.add_argument(
        "--subprotocol",
        action="append",
        dest="subprotocols",
        metavar="NAME",
        help="offer this subprotocol; repeatable, the most wanted first",
    )
    group.add_argument(
        "--no-compression",
        dest="compression",
        action="store_false",
        help="do not offer permessage-deflate",
    )


def add_network_options(group: Any) -> None:
    """Add the options that say how to get there."""
    group.add_argument(
        "--uds",
        type=Path,
        metavar="PATH",
        help="connect to a Unix socket at this path instead",
    )
    group.add_argument(
        "--cafile",
        type=Path,
        metavar="FILE",
        help="certificates (PEM) to trust instead of those of the system",
    )
    group.add_argument(
        "--insecure",
        action="store_true",
        help="take any certificate: whoever is on the way can read and change all",
    )
    group.add_argument(
        "--open-timeout",
        type=parse_seconds,
        default="10",
        metavar="SECONDS",
        help="time to connect (default: %(default)s)",
    )
    group.add_argument(
        "--close-timeout",
        type=parse_seconds,
        default="10",
        metavar="SECONDS",
        help="time for the server to leave once it should (default: %(default)s)",
    )


def add_conversation_options(group: Any) -> None:
    """Add the options about messages."""
    group.add_argument(
        "--binary",
        action="store_true",
        help="send all of the input as one binary message; not at a terminal, where "
        "/hex sends bytes",
    )
    group.add_argument(
        "--wait",
        type=parse_timeout,
        default="1",
        metavar="SECONDS",
        help="in a pipe, go on after the end of the input until no message has come "
        "for so long; none waits for the server to close (default: %(default)s)",
    )
    group.add_argument(
        "--ping",
        type=parse_seconds,
        metavar="SECONDS",
        help="send a ping every so often and show how long its answer took; /ping "
        "sends one. Pings that keep the connection alive are sent anyway",
    )
    group.add_argument(
        "--max-size",
        type=parse_size,
        default="1M",
        metavar="SIZE",
        help="largest message to take, such as 64K or 16M; none for no limit "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--no-history",
        dest="history",
        action="store_false",
        help="keep no lines beyond the end of the program",
    )
    group.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="do not say on standard error how the connection began and ended",
    )


def run(options: argparse.Namespace) -> int:
    """Connect, and talk until either side closes; return the exit status.

    Raises:
        CommandError: if there is no connection.

    """
    from ..exceptions import InvalidURI
    from ..uri import parse_uri

    try:
        secure = parse_uri(options.uri).secure
    except InvalidURI as exc:
        options.command.error(str(exc))
    if not secure and (options.insecure or options.cafile):
        options.command.error("--insecure and --cafile are for wss://")
    if options.binary and sys.stdin is not None and sys.stdin.isatty():
        options.command.error("--binary needs a pipe or a file; /hex sends bytes")
    # Imported late: help, version and wrong usage need no event loop.
    from .conversation import converse

    return converse(options)
