"""Parsing of typed lines: a line is a message, or a command to the client."""

from __future__ import annotations

import re
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Command: TypeAlias = "Send | Ping | Close | Help"

__all__ = ["HELP", "Close", "Help", "LineError", "Ping", "Send", "parse_line"]

HELP = """\
text                    send the line as a text message
/hex 00 ff ...          send these bytes as a binary message
/ping                   send a ping and show its round-trip time
/close [CODE [REASON]]  close the connection; the default code is 1000
/help                   show this help
//...                   send a text message that begins with /"""


class LineError(Exception):
    """The line cannot be understood; the text is for the user."""


@dataclass(frozen=True)
class Send:
    """Send a message."""

    message: str | bytes


@dataclass(frozen=True)
class Ping:
    """Send a ping."""


@dataclass(frozen=True)
class Close:
    """Close the connection."""

    code: int
    reason: str


@dataclass(frozen=True)
class Help:
    """Show the commands."""


def parse_line(line: str) -> Command:
    """Parse a line.

    Raises:
        LineError: if it begins with a slash and is not a valid command.
    """
    if not line.startswith("/"):
        return Send(line)
    if line.startswith("//"):
        return Send(line[1:])
    name, _, rest = line[1:].partition(" ")
    rest = rest.strip()
    if name == "hex":
        return Send(parse_hex(rest))
    if name == "close":
        return parse_close(rest)
    if rest or name not in ("ping", "help"):
        raise LineError(f"{line!r} is not a command: type /help for a list")
    return Ping() if name == "ping" else Help()


def parse_hex(text: str) -> bytes:
    """Parse hexadecimal bytes."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise LineError(f"{text!r} is not hexadecimal: write /hex 00 ff") from None


def parse_close(text: str) -> Close:
    """Parse a close code and a reason, both optional."""
    code, _, reason = text.partition(" ")
    if not re.fullmatch(r"([0-9]{4})?", code):
        raise LineError(f"{code!r} is not a close code: give 1000, or 3000 to 4999")
    return Close(int(code or 1000), reason.strip())
