"""What a connection tells about itself: how it ended, and what it has carried."""

from __future__ import annotations

from ._base.closing import judge
from ._base.constants import State
from ._wire.writer import FrameSender
from .extensions.permessage_deflate import PerMessageDeflate
from .stats import Stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    import uuid

    from ._base.closing import Close
    from ._base.constants import Side
    from .exceptions import ConnectionClosed
    from .typing import Origin, Subprotocol

__all__ = ["ConnectionStatus"]

_CONNECTING, _CLOSING, _CLOSED = (
    int(State.CONNECTING),
    int(State.CLOSING),
    int(State.CLOSED),
)


class ConnectionStatus(FrameSender):
    """Answers to questions, which change nothing; ``Protocol`` documents them all."""

    def _begin_status(self, side: Side) -> None:
        self.side = side
        self.origin: Origin | None = None
        self.subprotocol: Subprotocol | None = None
        self.close_rcvd: Close | None = None
        self.close_sent: Close | None = None
        self.close_rcvd_then_sent: bool | None = None
        self.handshake_exc: Exception | None = None
        self.parser_exc: Exception | None = None
        self._id: uuid.UUID | None = None
        self._bytes_received = 0

    @property
    def id(self) -> uuid.UUID:
        """Identifier of the connection, for logs; made when first asked for."""
        if self._id is None:
            from uuid import uuid4

            self._id = uuid4()
        return self._id

    @id.setter
    def id(self, value: uuid.UUID) -> None:
        self._id = value

    @property
    def close_code(self) -> int | None:
        """Close code (RFC 6455, section 7.1.5): the peer's, 1005 if its close frame
        had none, 1006 if none came; ``None`` until the connection is closed."""
        if self._state != _CLOSED:
            return None
        return 1006 if self.close_rcvd is None else self.close_rcvd.code

    @property
    def close_reason(self) -> str | None:
        """Close reason of the peer, or ``""``; ``None`` until the connection is
        closed. It is for developers, never for end users (RFC 6455, section 5.5.1)."""
        if self._state != _CLOSED:
            return None
        return "" if self.close_rcvd is None else self.close_rcvd.reason

    @property
    def close_exc(self) -> ConnectionClosed:
        """The exception to raise to whoever uses the closed connection.

        Raises:
            AssertionError: while the connection is not closed.

        """
        if self._state != _CLOSED:
            raise AssertionError("connection is not closed yet")
        exc = judge(self.close_rcvd, self.close_sent, self.close_rcvd_then_sent)
        exc.__cause__ = self.parser_exc
        return exc

    @property
    def bytes_unread(self) -> int:
        """Bytes that came, but belong to no frame that was read, nor to a payload that
        is arriving."""
        return self._unread()

    def _unread(self) -> int:
        return len(self._data) - self._pos

    @property
    def stats(self) -> Stats:
        """What the connection has carried so far."""
        deflate = [e for e in self._extensions if isinstance(e, PerMessageDeflate)]
        return Stats(
            bytes_received=self._bytes_received,
            frames_received=self._frames_received,
            messages_received=self._messages_received,
            bytes_sent=self._bytes_sent,
            frames_sent=self._frames_sent,
            messages_sent=self._messages_sent,
            deflated_received=sum(e.deflated_received for e in deflate),
            inflated_received=sum(e.inflated_received for e in deflate),
            deflated_sent=sum(e.deflated_sent for e in deflate),
            inflated_sent=sum(e.inflated_sent for e in deflate),
        )

    def close_expected(self) -> bool:
        """Whether the TCP connection should close soon.

        If so, close it after a short time unless the peer does.
        """
        if self._state == _CONNECTING:
            return self.eof_sent
        return self._state == _CLOSING
