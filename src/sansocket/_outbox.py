"""Messages on their way out: as payloads, and to many at once."""

from __future__ import annotations

from .constants import OPEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .session import Session
    from .typing import BytesLike

__all__ = ["broadcast", "encoded"]


def broadcast(
    sessions: Iterable[Session], message: str | BytesLike, *, text: bool | None = None
) -> list[Session]:
    """Send one message to all that can take it now, and return these: not those that
    are closing, or in the middle of a fragmented message."""
    data, text = encoded(message, text)
    able = [one for one in sessions if one.protocol.state is OPEN]
    able = [one for one in able if not one.in_fragmented_message]
    for session in able:
        session.send(data, text=text)
    return able


def encoded(message: str | BytesLike, text: bool | None) -> tuple[BytesLike, bool]:
    """The payload of a message, and whether it is text."""
    if isinstance(message, str):
        return message.encode(), text is not False
    if not isinstance(message, (bytes, bytearray, memoryview)):
        kind = type(message).__name__
        raise TypeError(f"message must be str or bytes-like, not {kind}")
    return message, text is True
