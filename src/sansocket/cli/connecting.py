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
Connect to a WebSocket server, send each line of the input as a text message, and
print the messages that arrive.

In a terminal, control characters are escaped and binary messages are shown in
hexadecimal. Lines that begin with / are commands: type /help for a list. Ctrl-D, or
Ctrl-C on an empty line, closes the connection. sansocket[cli] adds colors, line
editing, and a history in ~/.local/state/sansocket.

In a pipe, lines are sent unchanged. Text messages are printed unchanged on standard
output, binary messages in hexadecimal. After the end of the input, the connection is
closed with code 1000 once nothing of a message has arrived for the time given by
--wait.
"""
EPILOG = """\
examples:
  sansocket connect ws://localhost:8765
  echo hi | sansocket connect ws://localhost:8765
  sansocket connect wss://example.com/feed --wait none </dev/null | jq .price
  sansocket connect wss://example.com --binary <picture.png

exit status:
  0    the connection was closed with code 1000 or 1001, or without a code; also if
       the reader of standard output has exited
  1    no connection: network error, TLS error, or refused by the server
  2    wrong usage
  3    the connection was closed with another code, such as 1009 (message too big)
  4    the connection was lost: the server sent no close frame
  5    as for 0, but part of the input was not sent, such as a line that is not UTF-8
       or input after the server closed, or the last message did not arrive
       completely, or output could not be written; standard error has the details
  130  Ctrl-C in a pipe, after closing the connection; 143 for SIGTERM
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "connect",
        help="connect to a server, from a terminal or in a pipe",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, command=parser)
    parser.add_argument(
        "uri", metavar="URI", help="address of the server, ws://... or wss://..."
    )
    add_request_options(parser.add_argument_group("request"))
    add_network_options(parser.add_argument_group("network"))
    add_conversation_options(parser.add_argument_group("conversation"))
    return parser


def add_request_options(group: Any) -> None:
    """Add the options about the opening handshake."""
    group.add_argument(
        "--header",
        action="append",
        default=[],
        dest="headers",
        type=parse_header,
        metavar="NAME:VALUE",
        help="add a header to the request; may be repeated",
    )
    group.add_argument("--origin", metavar="ORIGIN", help="value of the Origin header")
    group.add_argument(
        "--subprotocol",
        action="append",
        dest="subprotocols",
        metavar="NAME",
        help="offer this subprotocol; may be repeated, in order of preference",
    )
    group.add_argument(
        "--no-compression",
        dest="compression",
        action="store_false",
        help="do not offer permessage-deflate",
    )


def add_network_options(group: Any) -> None:
    """Add the options about the network."""
    group.add_argument(
        "--uds",
        type=Path,
        metavar="PATH",
        help="connect to the Unix socket at this path, whatever the host in the URI",
    )
    group.add_argument(
        "--cafile",
        type=Path,
        metavar="FILE",
        help="certificates (PEM) to trust instead of the system's",
    )
    group.add_argument(
        "--insecure",
        action="store_true",
        help="accept any certificate (an attacker can read and alter the traffic)",
    )
    group.add_argument(
        "--open-timeout",
        type=parse_seconds,
        default="10",
        metavar="SECONDS",
        help="how long connecting may take (default: %(default)s)",
    )
    group.add_argument(
        "--close-timeout",
        type=parse_seconds,
        default="10",
        metavar="SECONDS",
        help="how long to wait for the server to close (default: %(default)s)",
    )


def add_conversation_options(group: Any) -> None:
    """Add the options about messages."""
    group.add_argument(
        "--binary",
        action="store_true",
        help="send the whole input as one binary message; not in a terminal, where "
        "/hex sends bytes",
    )
    group.add_argument(
        "--wait",
        type=parse_timeout,
        default="1",
        metavar="SECONDS",
        help="in a pipe, after the end of the input, close once nothing of a message "
        "has arrived for this long; none waits for the server to close "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--ping",
        type=parse_seconds,
        metavar="SECONDS",
        help="send a ping at this interval and show its round-trip time; /ping sends "
        "a single one. Keepalive pings are sent in any case",
    )
    group.add_argument(
        "--max-size",
        type=parse_size,
        default="1M",
        metavar="SIZE",
        help="maximum size of a message to receive, such as 64K or 16M, or none for "
        "no limit (default: %(default)s)",
    )
    group.add_argument(
        "--no-history",
        dest="history",
        action="store_false",
        help="do not save typed lines for the next session",
    )
    group.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="do not report on standard error how the connection began and ended",
    )


def run(options: argparse.Namespace) -> int:
    """Connect, and talk until either side closes; return the exit status.

    Raises:
        CommandError: if the connection cannot be made.
    """
    from ..exceptions import InvalidURI
    from ..uri import parse_uri

    try:
        secure = parse_uri(options.uri).secure
    except InvalidURI as exc:
        options.command.error(str(exc))
    if not secure and (options.insecure or options.cafile):
        options.command.error("--insecure and --cafile require wss://")
    if options.binary and sys.stdin is not None and sys.stdin.isatty():
        options.command.error("--binary requires a pipe or a file; /hex sends bytes")
    # Imported late: help, version and wrong usage need no event loop.
    from .conversation import converse

    return converse(options)
