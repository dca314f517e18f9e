"""What a typed line means: a message, or a command of the client."""

from __future__ import annotations

import re
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Command: TypeAlias = "Send | Ping | Close | Help"

__all__ = ["HELP", "Close", "Help", "LineError", "Ping", "Send", "parse_line"]

HELP = """\
text                  send the line as a text message
/hex 00 ff ...        send bytes
/ping                 send a ping, and show how long its answer took
/close [CODE [REASON]]  close the connection; 1000 by default
/help                 show this
//...                 send a text that begins with /"""


class LineError(Exception):
    """The line means nothing; the text is for the user."""


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
    """Read a line.

    Raises:
        LineError: if it begins with a slash and is no command.

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
        raise LineError(f"{line!r} is no command: /help lists them")
    return Ping() if name == "ping" else Help()


def parse_hex(text: str) -> bytes:
    """Read bytes."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise LineError(f"{text!r} is not hexadecimal: /hex 00 ff") from None


def parse_close(text: str) -> Close:
    """Read a close code and a reason, both of which may be missing."""
    code, _, reason = text.partition(" ")
    if not re.fullmatch(r"([0-9]{4})?", code):
        raise LineError(f"{code!r} is not a close code: give 1000, or 3000 to 4999")
    return Close(int(code or 1000), reason.strip())
