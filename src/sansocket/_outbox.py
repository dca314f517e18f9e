"""Messages on their way out: as payloads, and to many at once."""

from __future__ import annotations

from .constants import OPEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .session import Session
    from .typing import BytesLike

__all__ = ["broadcast", "payload_of"]


def broadcast(
    sessions: Iterable[Session], message: str | BytesLike, *, text: bool | None = None
) -> list[Session]:
    """Send one message to all that can take it now, and return these: not those that
    are closing, or in the middle of a fragmented message."""
    data = payload_of(message)
    text = isinstance(message, str) if text is None else text
    able = [one for one in sessions if one.protocol.state is OPEN]
    able = [one for one in able if not one.in_fragmented_message]
    for session in able:
        session.send(data, text=text)
    return able


def payload_of(message: str | BytesLike) -> BytesLike:
    """What travels of a message: text as UTF-8, bytes as they are."""
    if isinstance(message, str):
        return message.encode()
    if not isinstance(message, (bytes, bytearray, memoryview)):
        kind = type(message).__name__
        raise TypeError(f"message must be str or bytes-like, not {kind}")
    return message
