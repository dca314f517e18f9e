"""Messages on their way out: as payloads, and to many at once."""

from __future__ import annotations

from ._shared import SharedMessage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .session import Session
    from .typing import BytesLike

__all__ = ["broadcast", "payload_of", "shared"]


def broadcast(
    sessions: Iterable[Session], message: str | BytesLike, *, text: bool | None = None
) -> list[tuple[Session, bytes]]:
    """Send one message to all that can take it now: not those that are closing, or in
    the middle of a fragmented message.

    Its frame is built once, or once for each kind of compression that was agreed.

    Returns:
        Those that got it, and what is to be written at once for each, behind what
        ``data_to_send()`` gave before; nothing if it was queued behind other frames.

    """
    one = shared(message, text)
    shares = [(session, session.share(one)) for session in sessions]
    return [(session, frame) for session, frame in shares if frame is not None]


def shared(message: str | BytesLike, text: bool | None) -> SharedMessage:
    """A message that many get."""
    as_text = isinstance(message, str) if text is None else text
    return SharedMessage(0x1 if as_text else 0x2, payload_of(message))


def payload_of(message: str | BytesLike) -> BytesLike:
    """What travels of a message: text as UTF-8, bytes as they are."""
    if isinstance(message, str):
        return message.encode()
    if not isinstance(message, (bytes, bytearray, memoryview)):
        kind = type(message).__name__
        raise TypeError(f"message must be str or bytes-like, not {kind}")
    return message
