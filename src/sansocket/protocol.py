"""A WebSocket connection without I/O: bytes in, events out, bytes out (RFC 6455).

``Protocol`` is what both sides share once the handshake is done: it adds to the
``Reader`` and the ``Writer`` every change of state.

Frames pass ``recv_frame`` and ``send_frame`` where a subclass overrides them, and
take a straight way where none does.
"""

from __future__ import annotations

import logging

from ._base.closing import Close, answer, failure, judge
from ._base.constants import (
    CLIENT,
    CLOSED,
    CLOSING,
    CONNECTING,
    DISCARD,
    FRAMES,
    HEAD,
    HOLD,
    OPEN,
    SERVER,
    Side,
    State,
)
from ._base.dataclass import LazySignature
from ._base.mirrored import names_from_elsewhere
from ._base.values import PROTOCOL_NUMBERS, RULES, check_numbers
from ._native import kernels
from ._wire.reader import NOTHING, text_error
from ._wire.writer import HELD, SEND_EOF, STATES, Writer, to_state
from .exceptions import PayloadTooBig, ProtocolError
from .extensions.permessage_deflate import PerMessageDeflate
from .frames import Frame, Opcode
from .stats import Stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    import uuid

    from .datastructures import Headers
    from .exceptions import ConnectionClosed
    from .http11 import Request, Response
    from .typing import BytesLike, LoggerLike, Origin, Subprotocol

    Event = Request | Response | Frame
else:
    Event = object

__all__ = [
    "CLIENT",
    "CLOSED",
    "CLOSING",
    "CONNECTING",
    "OPEN",
    "SEND_EOF",
    "SERVER",
    "Event",
    "Protocol",
    "Side",
    "State",
]

# C values in the compiled form, which no public name can be.
_CONNECTING, _OPEN, _CLOSING, _CLOSED = range(4)
_STATES = STATES
_HELD = HELD
_HEAD, _HOLD, _FRAMES, _DISCARD = HEAD, HOLD, FRAMES, DISCARD
_NOTHING = NOTHING
_MAX_HELD = 65536  # bytes kept until the handshake is decided


class Protocol(Writer):
    """One side of a WebSocket connection, driven by its caller.

    After each ``receive_*`` call fetch ``events_received()`` and write what
    ``data_to_send()`` gives; after each ``send_*`` or ``fail`` the latter.

    Args:
        side: ``SERVER`` or ``CLIENT``.
        state: initial state.
        max_size: largest incoming message in bytes, decompressed; ``None`` for no
            limit; or a pair of limits for a message and for a fragment.
        logger: logger of this connection.
        validate_utf8: whether to check text messages as they arrive. Without it
            the caller must decode them and fail the connection with 1007.
        max_fragments: how many frames one message may have, empty ones included.
        max_inflated_size: largest size in bytes that a compressed message may
            expand to, if that is to be less than ``max_size``.

    Attributes:
        side: ``SERVER`` or ``CLIENT``.
        extensions: extensions in use, in the order in which they encode.
        close_rcvd: ``Close`` that came, or ``None``.
        close_sent: ``Close`` that was sent, or ``None``.
        close_rcvd_then_sent: whether the peer closed first, once both are known.
        eof_sent: whether the half-close was queued.
        handshake_exc: why the opening handshake failed, or ``None``.
        parser_exc: what made the connection fail, or ``None``.
        debug: whether frames are logged.

    """

    if not TYPE_CHECKING:
        __signature__ = LazySignature()

    def __init__(
        self,
        side: Side,
        *,
        state: State = OPEN,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
        validate_utf8: bool = True,
        max_fragments: int | None = 4096,
        max_inflated_size: int | None = None,
    ) -> None:
        sizes = max_size, max_fragments, max_inflated_size
        check_numbers(PROTOCOL_NUMBERS, side, *sizes, validate_utf8, state)
        RULES["logger"]("logger", logger)
        self._begin(
            side,
            state,
            max_size,
            logger,
            validate_utf8,
            max_fragments,
            max_inflated_size,
        )

    def _begin(
        self,
        side: Side,
        state: State,
        max_size: int | tuple[int | None, int | None] | None,
        logger: LoggerLike | None,
        validate_utf8: bool,
        max_fragments: int | None,
        max_inflated_size: int | None,
    ) -> None:
        """Do the constructor's work, for subclasses without the cost of keywords."""
        if logger is None:
            logger = _LOGGERS[side]
        self._begin_writer(
            side is CLIENT, logger, max_size, max_fragments, max_inflated_size
        )
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
        self.validate_utf8 = validate_utf8
        self._state = to_state(state)
        self._held: bytearray | None = None  # came before the handshake's decision
        self._held_too_much = False
        self._pulled = False  # whether frames are read one by one
        self._eof_received = False
        self._own_recv_frame = type(self).recv_frame is not _recv_frame

    # --- state

    @property
    def state(self) -> State:
        """State of the connection (RFC 6455, sections 4.1, 4.2, 7.1.3 and 7.1.4).

        It may be set by a caller who did the handshake by other means; what was
        held until then is read as frames.
        """
        return _STATES[self._state]

    @state.setter
    def state(self, state: State) -> None:
        number = to_state(state)
        if number == _OPEN and self._phase in (_HEAD, _HOLD):
            self._start_frames()
        else:
            self._set_state(number)

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
        """Close code; ``None`` until the connection is closed.

        It is the peer's; 1005 if its close frame had none, 1006 if none came (RFC 6455,
        section 7.1.5).
        """
        if self._state != _CLOSED:
            return None
        return 1006 if self.close_rcvd is None else self.close_rcvd.code

    @property
    def close_reason(self) -> str | None:
        """Close reason of the peer, or ``""``; ``None`` until the connection is closed.

        It is for developers, never for end users (RFC 6455, section 5.5.1).
        """
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
        """Bytes that came, but were not read yet.

        They belong to no frame that was read, nor to a payload that is arriving.
        """
        return self._unread()

    @property
    def receiving_message(self) -> bool:
        """Whether a message has begun to arrive and has not ended yet."""
        return self._message != 0

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
            deflated_received=sum([e.deflated_received for e in deflate]),
            inflated_received=sum([e.inflated_received for e in deflate]),
            deflated_sent=sum([e.deflated_sent for e in deflate]),
            inflated_sent=sum([e.inflated_sent for e in deflate]),
        )

    def close_expected(self) -> bool:
        """Whether the TCP connection should close soon.

        If so, close it after a short time unless the peer does.
        """
        if self._state == _CONNECTING:
            return self.eof_sent
        return self._state == _CLOSING

    # --- what comes in

    def receive_data(self, data: BytesLike) -> None:
        """Take bytes from the network.

        Then write ``data_to_send()`` and process ``events_received()``. Nothing that
        a peer sends makes this raise. The buffer may be reused at once.

        Args:
            data: any number of bytes; the same stream may be cut anywhere.

        Raises:
            EOFError: after ``receive_eof()``.

        """
        self._pulled = False
        fresh = data if type(data) is bytes else kernels.as_bytes(data)
        if self._add(fresh, len(fresh)):
            return
        self._take(fresh)
        if self._phase == _FRAMES and len(self._data) >= self._needed:
            self._read_frames(-1)

    def feed_data(self, data: BytesLike) -> None:
        """Take bytes from the network, to be read frame by frame.

        The other way to receive, for who wants to answer one event before the next
        one is looked at: call ``next_event()`` until it gives ``None``, and only
        then take more bytes or ``receive_eof()``. Fetch ``data_to_send()`` after each
        event if each ping is to be answered, not just the latest. Arguments and
        errors are those of ``receive_data()``.
        """
        self._pulled = True
        self._take(kernels.as_bytes(data))

    def next_event(self) -> Event | None:
        """Read on until there is an event: a handshake message, or one frame.

        ``None`` if that needs more bytes, or if nothing more is to be read. A
        violation counts only once all events before it were taken.
        """
        return self._pull()

    def receive_eof(self) -> None:
        """Take the end of the stream from the network.

        Then write ``data_to_send()``, which gives ``[b""]`` or ``[]`` unless more was
        queued before. There are no new events. Further calls do nothing.
        """
        if self._eof_received:
            return
        if self._phase == _FRAMES:
            self.parser_exc = EOFError("the stream ended before a close frame came")
            self.fail(1006)
        elif self._phase != _DISCARD:
            self._receive_head_eof()
            self._discard()
        if not self.eof_sent:
            self.send_eof()
        self._set_state(_CLOSED)
        self._eof_received = True  # not before, so that it can be done once more

    def take_payload(self) -> tuple[Opcode, bytes] | None:
        """Take what came so far of a data frame that is still arriving.

        Call it once ``next_event()`` has given ``None``; the ``Frame`` will have the
        rest only.

        Returns:
            The opcode of the message and a part of its payload; or ``None`` if there
            is nothing, or if an extension has to decode the frame as a whole.

        """
        if self._payload is None or self._compressed:
            return None
        data = self._payload.cut()
        return (Opcode(self._message), data) if data else None

    def events_received(self) -> list[Event]:
        """Fetch and clear the events: first a handshake message, then frames."""
        events, self._events = self._events, None
        return [] if events is None else events

    def recv_frame(self, frame: Frame) -> None:
        """Process one valid frame that came in; extend it to see every frame."""
        if self.debug:
            self.logger.debug("< %s", frame)
        if frame.opcode & 0x8:
            self._receive_control(frame)
        else:
            self._add_event(frame)

    # --- what goes out

    def send_close(self, code: int | None = None, reason: str = "") -> None:
        """Begin the closing handshake (RFC 6455, section 7.1.2).

        Args:
            code: close code; ``None`` for a close frame without one.
            reason: text for developers, up to 123 bytes as UTF-8.

        Raises:
            InvalidState: if the connection is not open.
            ProtocolError: if a fragmented message is under way, the code may not be
                sent, or a reason has no code or is too long.

        """
        if self._state != _OPEN or self.eof_sent:
            self._refuse_to_send()
        if self._sending:
            raise ProtocolError("a fragmented message is not finished yet")
        if code is None:
            if reason:
                raise ProtocolError("a close reason needs a close code")
            self._send_close(Close(1005, ""), b"")
        else:
            close = Close(code, reason)
            self._send_close(close, close.serialize())
        self._set_state(_CLOSING)

    def fail(self, code: int, reason: str = "") -> None:
        """Fail the connection (RFC 6455, section 7.1.7).

        While it is open a close frame is sent, except for code 1006. A server
        half-closes at once. Whatever still comes in is ignored.

        Args:
            code: close code.
            reason: text for developers, up to 123 bytes as UTF-8.

        Raises:
            ProtocolError: if the code may not be sent, or the reason is too long.

        """
        if self._state == _OPEN:
            if code != 1006:
                close = Close(code, reason)
                payload = close.serialize()
                if not self.eof_sent:
                    self._send_close(close, payload)
            self._set_state(_CLOSING)
        self._finish_input()

    # --- inside: receiving

    def _feed_from(self, buffer: bytearray, size: int) -> None:
        """Feed the first bytes of a buffer; those of a payload go there straight."""
        if not 0 <= size <= len(buffer):
            raise ValueError("the buffer has not so many bytes")
        self._pulled = True
        if not self._add(buffer, size):
            self._take(kernels.start_of(buffer, size))

    def _add(self, data: bytes | bytearray, size: int) -> bool:
        """Let bytes go straight into the payload that is arriving, if they can."""
        payload = self._payload
        if payload is None or self._data or not payload.add(data, size):
            return False
        self._bytes_received += size
        if payload.state < 0:
            self._fail_for(text_error(-1))
        return True

    def _pull(self) -> Event | None:
        if not self._events and self._phase == _FRAMES:
            if self._pos < len(self._data):
                self._read_frames(1)
            if not self._events:
                self._check_held()
        events = self._events
        if events is None:
            return None
        event: Event = events.pop(0)
        if not events:
            self._events = None
        return event

    def _pull_data(self) -> bool:
        """Read on, for a session, until there is a data frame or another event.

        A data frame is in ``_got`` then; an event is what ``_pull`` gives.

        Returns:
            Whether it is a data frame.

        """
        self._got = _NOTHING
        if self._phase == _FRAMES and self._pos < len(self._data) and not self._events:
            self._read_frames(1, True)
        return self._got != _NOTHING

    def _is_drained(self) -> bool:
        """Whether the connection is open, and there is nothing to pull."""
        if self._state != _OPEN or self._phase != _FRAMES or self._held_too_much:
            return False
        return self._pos >= len(self._data) and not self._events

    def _take(self, fresh: bytes) -> None:
        """Put bytes where they belong; a handshake message is read at once."""
        if self._eof_received:
            raise EOFError("the stream has ended already")
        self._bytes_received += len(fresh)
        if self._phase == _FRAMES:
            if self._data:
                fresh = (self._data[self._pos :] if self._pos else self._data) + fresh
            self._data = fresh
            self._pos = 0
        elif self._phase == _HEAD:
            self._receive_head(fresh)
        elif self._phase == _HOLD:
            self._hold(fresh)

    def _read_frames(self, limit: int, pulls: bool = False) -> None:
        """Parse up to ``limit`` frames; fail the connection if something is wrong.

        A negative limit is none.
        """
        self._pulls = pulls
        try:
            self._parse(limit)
            if self._pong is not None and self._pongs != _HELD:
                self._send_pong_due()
        except Exception as exc:
            self._fail_for(exc)

    def _fail_for(self, exc: Exception) -> None:
        """Fail the connection for what was raised while its input was read."""
        self.parser_exc = exc
        try:
            code, reason = failure(exc)
            if code == 1011:
                self._log_error("connection failed by an internal error", exc)
            self.fail(code, reason)
        except Exception as another:
            # The close frame cannot even be built: end without one. What may raise
            # comes last, lest the input that failed is read once more.
            self._state = _CLOSING
            self._phase = _DISCARD
            self._payload = None
            self._log_error("close frame could not be sent", another)
            self._set_state(_CLOSING)
            self._finish_input()

    def _log_error(self, text: str, exc: Exception) -> None:
        """Log what a peer did not cause; a log that fails must not matter to it."""
        try:
            self.logger.error(text, exc_info=exc)
        except Exception:
            return

    def _receive_control(self, frame: Frame) -> None:
        data, opcode = kernels.as_bytes(frame.data), frame.opcode
        if opcode == 0x9:
            self._answer_ping(data)
        elif opcode == 0x8:
            self._receive_close(Close.parse(data), data)
        self._add_event(frame)

    def _receive_close(self, close: Close, data: bytes) -> None:
        """Complete or answer the closing handshake (RFC 6455, section 5.5.1)."""
        first = self.close_sent is None
        if first and not self.eof_sent:
            reply = answer(close, self.side)
            self._send_close(reply, data if reply is close else reply.serialize())
        self.close_rcvd = close
        if self.close_sent is not None:
            self.close_rcvd_then_sent = first
        self._set_state(_CLOSING)
        self._finish_input()

    def _finish_input(self) -> None:
        """Ignore what still comes; a server half-closes at once (RFC 6455, 7.1.1)."""
        self._send_pong_due()
        if not self._client and not self.eof_sent:
            self.send_eof()
        self._discard()

    # --- inside: what a side that shakes hands uses, and what it has to offer

    def _receive_head(self, data: bytes) -> None:
        raise NotImplementedError

    def _receive_head_eof(self) -> None:
        raise NotImplementedError

    def _head_received(self, head: Request | Response) -> None:
        self._add_event(head)

    def _queue_head(self, data: bytes) -> None:
        self._queue(data)

    def _log_head(self, direction: str, line: str, headers: Headers) -> None:
        self.logger.debug("%s %s", direction, ascii(line)[1:-1])
        for name, value in headers.raw_items():
            self.logger.debug("%s %s: %s", direction, name, ascii(value)[1:-1])

    def _await_head(self) -> None:
        """Read a handshake message before any frame."""
        self._phase = _HEAD

    def _hold(self, data: bytes) -> None:
        """Keep bytes until the handshake is decided, up to a limit."""
        self._phase = _HOLD
        if not data:
            return
        if self._held is None:
            self._held = bytearray()
        self._held += data[: _MAX_HELD + 1 - len(self._held)]

    def _release_held(self) -> None:
        """Make what was held the input to be parsed.

        This takes memory, so a side that answers does it before it queues the answer.
        """
        held = self._held
        if held is not None:
            self._data = self._data + bytes(held[:_MAX_HELD])
            self._held_too_much = len(held) > _MAX_HELD
            self._held = None

    def _start_frames(self, data: bytes = b"") -> None:
        """The handshake is done: read as frames what was held, then ``data``."""
        self._release_held()
        self._set_state(_OPEN)
        self._phase = _FRAMES
        self._data = self._data + data
        self._pos = 0
        if not self._pulled:
            self._read_frames(-1)
            self._check_held()

    def _check_held(self) -> None:
        """Fail once what was held is read, if more came than could be held."""
        if self._held_too_much and self._phase == _FRAMES:
            self._fail_for(
                PayloadTooBig(f"over {_MAX_HELD} bytes came before the handshake")
            )

    def _discard(self) -> None:
        """From now on ignore what comes in, and drop what was kept of it."""
        self._phase = _DISCARD
        self._data = b""
        self._pos = 0
        self._payload = None
        self._held = None
        for extension in self._extensions:
            if isinstance(extension, PerMessageDeflate):
                extension.release()

    # --- inside: state

    def _set_state(self, state: int) -> None:
        self._state = state
        if self.debug:
            self.logger.debug("= connection is %s", _STATES[state].name)

    def _send_close(self, close: Close, payload: bytes) -> None:
        """Queue the close frame, whatever message is under way."""
        if close.code == 1010 and not self._client:
            raise ProtocolError("close code 1010 is for clients only")
        self._send_pong_due()
        self._queue_control(0x8, payload)
        self.close_sent = close


_LOGGERS = [logging.getLogger(f"sansocket.{side.name.lower()}") for side in Side]
_recv_frame = Protocol.recv_frame

if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
