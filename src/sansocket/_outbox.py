"""Messages on their way out: as payloads, and to many at once."""

from __future__ import annotations

from ._base.constants import OPEN
from ._wire.shared import SharedMessage
from .exceptions import ConcurrencyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .protocol import Protocol
    from .session import Session
    from .typing import BytesLike

__all__ = ["Outbox", "broadcast", "shared"]


_OPEN = int(OPEN)  # a C value in the compiled form


class Outbox:
    """The half of a ``Session`` that sends messages."""

    def _begin_outbox(self, protocol: Protocol) -> None:
        # Calls under way rely on the parts of a session to stay what they are.
        if getattr(self, "protocol", None) is not None:
            raise RuntimeError("a session is initialised only once")
        # Any, as it is what the caller gave: often a subclass with methods of its own.
        self.protocol: Any = protocol
        self._fragmented: bool | None = None  # whether the message being sent is text

    @property
    def in_fragmented_message(self) -> bool:
        """Whether a fragmented message is being sent: no other may begin."""
        return self._fragmented is not None

    def send(
        self,
        message: str | BytesLike,
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """Send a message.

        Args:
            message: ``str`` is sent as text, what is bytes-like as binary.
            text: ``True`` or ``False`` to choose otherwise; text must be UTF-8.
            compress: ``False`` keeps the message out of the compression agreed.

        Raises:
            InvalidState: if the connection is not open.
            ConcurrencyError: inside of a fragmented message.

        """
        self._send(message, text, compress)

    def share(self, message: SharedMessage) -> bytes | None:
        """Send a message that many get, unless it cannot be sent now: then ``None``.
        What it gives else is to be written at once, behind what was fetched before."""
        first = not self.protocol._has_writes()
        if not self.protocol._share(message):
            return None
        return b"".join(self.protocol._take_writes()) if first else b""

    def send_fragment(
        self,
        part: str | BytesLike,
        fin: bool,
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """Send a part of a message; an empty one with ``fin`` may end it.

        Args:
            part: of the kind of the first part: ``str`` or bytes-like.
            fin: whether the message ends with it.
            text: as for ``send``; with the first part only.
            compress: as for ``send``; with the first part only.

        Raises:
            InvalidState: if the connection is not open.
            TypeError: if the parts are of different kinds.

        """
        data, is_text = payload_of(part), isinstance(part, str)
        if self._fragmented is None:
            as_text = is_text if text is None else text
            self.protocol._send_data(0x1 if as_text else 0x2, data, fin, compress)
        elif is_text is not self._fragmented and self.protocol._state == _OPEN:
            raise TypeError("parts of a message must be all str or all bytes-like")
        else:
            self.protocol._send_data(0x0, data, fin, None)
        self._fragmented = None if fin else is_text

    def _send(
        self, message: str | BytesLike, text: bool | None, compress: bool | None
    ) -> None:
        if self._fragmented is not None and self.protocol._state == _OPEN:
            raise ConcurrencyError("a fragmented message is being sent")
        as_text = False
        if type(message) is not bytes:  # the usual kind takes the shortest way
            as_text = isinstance(message, str)
            message = payload_of(message)
        if text is not None:
            as_text = text
        self.protocol._send_data(0x1 if as_text else 0x2, message, True, compress)


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
    if type(message) is bytes:
        return message
    if not isinstance(message, (bytes, bytearray, memoryview)):
        kind = type(message).__name__
        raise TypeError(f"message must be str or bytes-like, not {kind}")
    return message
