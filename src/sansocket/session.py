"""Messages and time over a connection, still without I/O.

A ``Session`` wraps a ``ServerProtocol`` or a ``ClientProtocol``. It joins frames to
messages, answers for pings and latency, keeps the deadlines of opening, keepalive
and closing, tells when to stop reading because the application is behind, and when
the TCP connection has to go. It knows no clock: each call that needs the time gets
it as ``now``, in seconds.

After each input and each command a driver proceeds like this::

    if session.request is not None and session.protocol.state is CONNECTING:
        session.send_response(session.protocol.accept(session.request), now)
    while session.ready:
        message = session.next_message(now)
        if message is None:
            break
        ...  # what the application does with it, such as session.send()
    write(session.data_to_send())  # its last item may be SEND_EOF: half-close
    pings = session.pings_answered()
    read_on(session.reading)
    set_timer(session.deadline)  # then session.handle_timeout(now)
    if session.transport is not Transport.KEEP:
        ...  # close or abort the TCP connection, then session.handle_loss(now)

``examples/select_echo.py`` is such a driver, on plain sockets.

Frames are read only as the application takes messages, so that a message is
answered even if a violation came right behind it. While the application does other
things, frames are read ahead after a moment, up to ``max_queue`` messages: pings get
their pongs.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections import deque

from ._base.closing import Close
from ._base.constants import CLOSED, CLOSING, CONNECTING, OPEN, CloseCode, Transport
from ._base.dataclass import LazySignature
from ._base.values import TIMES, check_numbers, queue_marks
from ._liveness import NEVER, Liveness, Ping
from ._native import kernels
from ._wire.writer import EVERY, HELD, SharedMessage
from .exceptions import ConcurrencyError
from .frames import Frame
from .http11 import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codecs import IncrementalDecoder
    from collections.abc import Iterable
    from typing import Any, TypeAlias

    from .exceptions import ConnectionClosed
    from .http11 import Response
    from .protocol import Protocol
    from .typing import BytesLike

    Message: TypeAlias = str | bytes

__all__ = ["Ping", "Session", "Transport", "broadcast"]

# C values in the compiled form, which imported names cannot be.
_NEVER = NEVER
_CONNECTING, _OPEN = int(CONNECTING), int(OPEN)
_CLOSING, _CLOSED = int(CLOSING), int(CLOSED)
_EVERY, _HELD = EVERY, HELD

# How long, in seconds, and how many bytes of frames may lie unread behind a message
# that the application has not taken yet.
_LOOK_AHEAD = 0.1
_MOST_UNREAD = 65536

# How long, in seconds, a client waits for the body of a response that refuses: its end
# may never come, and the status is what matters.
_BODY_WAIT = 1.0

# Bytes below which messages are not held back, however many they are. A close frame
# is behind them, and nothing tells an application that never receives that its peer
# has gone.
_LITTLE = 65536
_PER_MESSAGE = 32  # bytes that a message counts beyond its own; empty ones add up, too


class Session:
    """Whole messages, pings and deadlines of one connection.

    Args:
        protocol: a new connection, or one that is open already.
        now: the time, in seconds.
        open_timeout: seconds for the opening handshake; ``None`` for no limit.
        ping_interval: seconds between pings that keep the connection alive; ``None``
            for none.
        ping_timeout: seconds after such a ping in which the peer must send a byte, or
            accept bytes that were pending, else the connection fails with 1011;
            ``None`` for no limit.
        close_timeout: seconds for the peer to end the connection once it should;
            ``None`` for no limit.
        max_queue: messages that may wait for the application until reading pauses;
            ``None`` for no limit. It goes on at a quarter of them. Or a pair of
            these numbers. 0 is as good as 1. Below 64 KiB of messages it does not
            pause, so that a close frame behind a few small ones is seen.

    Attributes:
        protocol: the connection.
        request: the request that came, in a server, or ``None``.
        response: the response that came, in a client, or ``None``.
        reading: whether to read from the network.
        stuck: to be set by the driver: whether bytes wait because the peer does not
            take them. If it takes none it is given up, though nothing is read from it.
            Of the pongs to it only the latest is kept.
        transport: what is to become of the TCP connection.
        deadline: when ``handle_timeout()`` is due; infinite if never.
        was_open: whether the opening handshake has succeeded.
        timed_out: which deadline ended the connection: ``"opening"``,
            ``"keepalive"``, ``"closing"``, or ``None``. The first of them counts.
    """

    if not TYPE_CHECKING:
        __signature__ = LazySignature()

    def __init__(
        self,
        protocol: Protocol,
        now: float,
        *,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
    ) -> None:
        times = (open_timeout, ping_interval, ping_timeout, close_timeout)
        check_numbers(TIMES, *times)
        # Calls under way rely on the parts of a session to stay what they are.
        if getattr(self, "protocol", None) is not None:
            raise RuntimeError("a session is initialised only once")
        # Any, as it is what the caller gave: often a subclass with methods of its own.
        self.protocol: Any = protocol
        self._fragmented: bool | None = None  # whether the message being sent is text
        self.request: Request | None = None
        self.response: Response | None = None
        self.reading: bool = True
        self.stuck = False
        self.transport: Transport = Transport.KEEP
        self.deadline: float = _NEVER
        self.timed_out: str | None = None
        self._inbox = Inbox(max_queue)
        self._close_timeout = close_timeout
        self._liveness = Liveness(ping_interval, ping_timeout)
        self._answered: list[Ping] | None = None
        self._open_by = _NEVER if open_timeout is None else now + open_timeout
        self._close_by = _NEVER
        self._look_ahead_at = _NEVER
        self._wanted = False  # whether the application waits for a message
        self._part_wanted = False  # whether a part of it will do
        self.was_open: bool = False
        self._ended = False  # whether the end of the stream came
        self._settle(now)

    # --- questions

    @property
    def latency(self) -> float:
        """Seconds that the latest answered ping took; 0 before the first."""
        return self._liveness.latency

    @property
    def in_fragmented_message(self) -> bool:
        """Whether a fragmented message is being sent: no other may begin."""
        return self._fragmented is not None

    @property
    def closed(self) -> bool:
        """Whether the connection is closed and all messages were taken."""
        return self._is_closed()

    @property
    def stuck(self) -> bool:
        """Whether bytes wait because the peer does not take them."""
        return self._stuck

    @stuck.setter
    def stuck(self, stuck: bool) -> None:
        self._stuck = stuck
        self.protocol._pongs = _HELD if stuck else _EVERY

    @property
    def ready(self) -> bool:
        """Whether ``next_message()`` or ``next_part()`` is worth a call now.

        It is for a message, for a part if that is what was asked for, or to learn of
        the end. After one of them has given ``None`` it is false until there is more.
        """
        return self._is_ready()

    @property
    def close_exc(self) -> ConnectionClosed:
        """What to raise to whoever uses the closed connection."""
        exc: ConnectionClosed = self.protocol.close_exc
        return exc

    # --- inputs

    def receive_data(self, data: BytesLike, now: float) -> None:
        """Take bytes from the network, which may be reused afterwards."""
        self.protocol.feed_data(data)
        self._received(now)

    def receive_from(self, buffer: bytearray, size: int, now: float) -> None:
        """Take the first bytes of a buffer; it may be used again afterwards."""
        self.protocol._feed_from(buffer, size)
        self._received(now)

    def _received(self, now: float) -> None:
        self._liveness.heard()
        if not self._inbox.size and not (self._inbox.in_parts and not self._wanted):
            self._read_one(now)
        elif self._inbox.in_parts or self.protocol._state != _OPEN:
            self._look_ahead(now)
            if self._inbox.in_parts:
                self.reading = False
        elif self._look_ahead_at == _NEVER:
            self._look_ahead_at = now + _LOOK_AHEAD
        if self.protocol._unread() > _MOST_UNREAD:
            self._look_ahead(now)
        self._settle(now)

    def receive_eof(self, now: float) -> None:
        """Take the end of the stream; ours may still go on."""
        self._ended = True
        self._read_one(now) if self._wanted else self._look_ahead(now)
        self._settle(now)

    def handle_loss(self, now: float) -> None:
        """Take the loss of the TCP connection; all messages that came stay."""
        self._ended = True
        self._close_by = _NEVER
        self._close_timeout = None
        self._inbox.lift_limit()
        self._look_ahead(now)
        self._settle(now)

    def handle_progress(self) -> None:
        """Note that the peer accepted pending bytes, which proves that it is alive."""
        self._liveness.heard()

    def doubts(self, now: float) -> bool:
        """Whether ``handle_timeout()`` would send a ping or give up the peer.

        A driver that can see what the peer takes looks first; ``handle_progress()``.
        """
        return self._liveness.is_due(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due; call it at ``deadline``, and no harm is done if earlier."""
        if now >= self._look_ahead_at:
            self._look_ahead(now)
            self._settle(now)  # it may have brought the end
        if now >= self._open_by:
            self._time_out("opening")
        elif now >= self._close_by:
            self._time_out("closing")
        elif (self.reading or self._stuck) and now >= self._liveness.give_up_at:
            self.timed_out = "keepalive"
            self._liveness.stop()
            self.protocol.fail(CloseCode.INTERNAL_ERROR, "no answer to a ping")
        elif now >= self._liveness.ping_at:
            self._liveness.pinged(self.ping(now), now)
        self._settle(now)

    # --- the opening handshake

    def send_request(self, request: Request, now: float) -> None:
        """Send a client's request."""
        protocol: Any = self.protocol
        protocol.send_request(request)
        self._settle(now)

    def send_response(self, response: Response, now: float) -> None:
        """Answer the request: a 101 opens the connection, all else ends it."""
        protocol: Any = self.protocol
        protocol.send_response(response)
        if protocol.bytes_unread:  # frames came right behind the request
            self._look_ahead_at = now
        self._settle(now)

    # --- messages

    def next_message(self, now: float, decode: bool | None = None) -> Message | None:
        """Take the next message.

        Args:
            now: the time.
            decode: ``None`` gives ``str`` for text and ``bytes`` for binary; ``True``
                always gives ``str``, ``False`` always ``bytes``.

        Returns:
            The message, or ``None`` if more has to come first, or if the connection
            is closed.

        Raises:
            UnicodeDecodeError: if a binary message is to be decoded and is no UTF-8;
                it is lost then. Text that is none fails the connection with 1007.
        """
        if self._inbox.in_parts:
            raise ConcurrencyError("a message is being received in parts")
        self._read_if_empty(now)
        if not self._inbox.size:
            self._wanted, self._part_wanted = True, False
            return None
        data = self._inbox.take()
        if self._inbox.taken == 0x1 if decode is None else decode:
            return self._decoded(data, now)
        self._taken(now)
        return data

    def next_part(
        self, now: float, decode: bool | None = None
    ) -> tuple[Message, bool] | None:
        """Take what there is of the next message, without waiting for its end.

        ``next_message()`` can be called again once the message was taken to its end.
        While a message is taken in parts, no more than one read lies ready.

        Args:
            now: the time.
            decode: as for ``next_message()``.

        Returns:
            A part, and whether the message ends with it; or ``None`` if more has to
            come first, or if the connection is closed.

        Raises:
            UnicodeDecodeError: as ``next_message()``.
        """
        self._read_if_empty(now)
        arriving = None if self._inbox.size else self.protocol.take_payload()
        try:
            part = self._inbox.take_part(arriving, decode)
        except UnicodeDecodeError:
            if not self._refuse_text(now):
                raise
            return None
        if part is None:
            self._wanted = self._part_wanted = True
            self._resume(now)
        else:
            self._taken(now)
        return part

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
        """Send a message that many get; ``None`` if it cannot be sent now.

        What it gives else is to be written at once, behind what was fetched before.
        """
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

    def data_to_send(self) -> list[bytes]:
        """Fetch what is to be written, as ``Protocol.data_to_send()`` gives it."""
        writes: list[bytes] = self.protocol._take_writes()
        return writes

    # --- pings

    def ping(self, now: float, data: BytesLike | None = None) -> Ping:
        """Send a ping; its ``latency`` is known once ``pings_answered()`` has it.

        Args:
            now: the time.
            data: payload of up to 125 bytes; random by default.

        Raises:
            InvalidState: if the connection is not open.
            ProtocolError: if the payload is too long.
            ConcurrencyError: if a ping with this payload has no answer yet.
        """
        ping = self._liveness.make_ping(now, data)
        try:
            self.protocol.send_ping(ping.payload)
        except BaseException:
            self._liveness.forget(ping)
            raise
        return ping

    def pings_answered(self) -> list[Ping]:
        """Fetch the pings whose pongs came since the last call."""
        answered, self._answered = self._answered, None
        return answered or []

    # --- closing

    def close(self, now: float, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake, unless the connection is ending already.

        Inside of a fragmented message, which cannot be finished any more, the
        connection fails with 1011 instead.

        Raises:
            ProtocolError: if the code may not be sent, or the reason is too long.
        """
        if self.protocol._state == _OPEN and not self.protocol.eof_sent:
            if self._fragmented is None:
                self.protocol.send_close(code, reason)
            else:
                Close(code, reason).serialize()
                self.protocol.fail(1011, "message was not finished")
            self._look_ahead(now)  # the peer's close frame may be there already
        self._settle(now)

    # --- inside: messages

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

    def _is_closed(self) -> bool:
        return self.protocol._state == _CLOSED and not self._inbox.size

    def _is_ready(self) -> bool:
        if self._inbox.size > 0 or self._part_wanted:
            return True
        if self.protocol._state == _CLOSED or self.protocol.eof_sent:
            return True
        return not self._wanted and self._has_unread()

    def _has_unread(self) -> bool:
        """Whether more of what was read may be for the application."""
        unread: bool = self.protocol._pos < len(self.protocol._data)
        return unread or self._inbox.size > 0

    # --- inside: reading

    def _read_if_empty(self, now: float) -> None:
        if not (self._inbox.size or self._is_idle()):
            self._read_one(now)
            self._settle(now)

    def _is_idle(self) -> bool:
        """Whether to read on would find nothing and change nothing."""
        if self._ended or not (self.reading and self.was_open):
            return False
        drained: bool = self.protocol._is_drained()
        return drained and self._look_ahead_at == _NEVER

    def _decoded(self, data: bytes, now: float) -> str | None:
        try:
            return data.decode()
        except UnicodeDecodeError:
            if not self._refuse_text(now):
                raise
            return None
        finally:
            self._taken(now)

    def _taken(self, now: float) -> None:
        """The application has got something."""
        self._wanted = self._part_wanted = False
        if not self.reading and self._inbox.is_low():
            if not self._inbox.in_parts:
                self._look_ahead(now)  # what was read already comes first
            if not self._inbox.is_full():
                self._resume(now)

    def _refuse_text(self, now: float) -> bool:
        """Fail for text that is not UTF-8; binary is the application's affair."""
        if self._inbox.taken != 0x1:
            return False
        self.protocol.fail(CloseCode.INVALID_DATA, "text message is not valid UTF-8")
        self._settle(now)
        return True

    def _resume(self, now: float) -> None:
        """Go on reading from the network, if that has paused."""
        if not self.reading:
            self.reading = True
            self._liveness.read_again(now)
            self._settle(now)

    def _read_one(self, now: float) -> None:
        """Read until there is one message; the rest is for later, but not for long."""
        self._look_ahead_at = _NEVER
        while not self._inbox.size:
            if not self._read_frame(now):
                self._read_end(now)
                return
        if self.protocol._unread() or self._ended:
            self._look_ahead_at = now + _LOOK_AHEAD

    def _look_ahead(self, now: float) -> None:
        """Read while there is room in the inbox; then pause, unless we are closing.

        Then the peer's close frame is wanted, and messages above the mark are lost.
        """
        self._look_ahead_at = _NEVER
        while not self._inbox.is_full() or self.protocol._state != _OPEN:
            if not self._read_frame(now):
                self._read_end(now)
                return
        self.reading = False

    def _read_frame(self, now: float) -> bool:
        protocol = self.protocol
        if protocol._pull_data():
            self._inbox.add(protocol._got, protocol._got_data, protocol._got_fin)
            protocol._got_data = b""
            return True
        event = protocol._pull()
        if event is None:
            return False
        if isinstance(event, Frame):
            frame = event
            opcode = frame.opcode
            data = kernels.as_bytes(frame.data)
            if opcode == 0xA:
                self._answered = (self._answered or []) + self._liveness.pong(data, now)
            elif not opcode & 0x8:
                self._inbox.add(opcode, data, frame.fin)
        elif isinstance(event, Request):
            self.request = event
        else:
            self.response = event
        return True

    def _read_end(self, now: float) -> None:
        """All frames are read: let the end of the stream count, if it came."""
        if self._ended:
            self.protocol.receive_eof()
            self._read_frame(now)  # if a body has ended so: a response

    # --- inside: time

    def _settle(self, now: float) -> None:
        """See what an input or a command has changed, and set the deadlines."""
        protocol = self.protocol
        state = protocol._state
        if state == _OPEN:
            if not self.was_open:
                self.was_open = True
                self._open_by = _NEVER
                self._liveness.start(now)
        elif state == _CLOSED:
            if self.transport is Transport.KEEP:
                self.transport = Transport.CLOSE
        elif state == _CONNECTING:
            if protocol._client and self._is_refused():
                self._open_by = min(self._open_by, now + _BODY_WAIT)
        elif state == _CLOSING and not self.reading:
            self.reading = True
            self._look_ahead(now)
        if state == _CLOSED or (state != _OPEN and protocol.close_expected()):
            self._expect_end(now)
        self.deadline = min(
            self._open_by,
            self._close_by,
            self._look_ahead_at,
            self._liveness.ping_at,
            self._liveness.give_up_at if self.reading or self._stuck else _NEVER,
        )

    def _expect_end(self, now: float) -> None:
        """The TCP connection is to end, even if the peer does not take the rest."""
        self._open_by = _NEVER
        self._liveness.stop()
        if self._close_timeout is not None and self._close_by == _NEVER:
            self._close_by = now + self._close_timeout

    def _is_refused(self) -> bool:
        """Whether a response that refuses has come, without the end of its body."""
        return bool(getattr(self.protocol, "refused", False))

    def _time_out(self, deadline: str) -> None:
        """Give the peer up; or only a body, if its status is known."""
        if deadline == "opening" and self._is_refused():
            self._ended = True
            self._read_end(0.0)
            return
        if self.protocol._state != _CLOSED and self.timed_out is None:
            self.timed_out = deadline
        self.transport = Transport.ABORT
        self._close_timeout, self._close_by = None, _NEVER
        self._ended = True
        self.protocol.receive_eof()
        if deadline == "opening":
            exc = TimeoutError("the opening handshake took too long")
            self.protocol.handshake_exc = exc


class Inbox:
    """A queue, with two marks, of messages that came, and the one that is arriving.

    Args:
        max_queue: messages that may wait until reading should pause, unless they are
            small together; it may go on at a quarter of them. Or a pair of these
            numbers. ``None`` for no limit.

    Attributes:
        size: messages that wait.
        taken: opcode of the message that was taken last.
        in_parts: whether a message was taken in part, but not to its end.
    """

    def __init__(self, max_queue: int | tuple[int | None, int | None] | None) -> None:
        self._high, self._low = queue_marks(max_queue)
        self.size = 0
        self._bytes = 0  # of these messages, about
        # The first message lies by itself, as mostly there is none behind it.
        self._first_opcode = 0
        self._first = b""
        self._others: deque[tuple[int, bytes]] | None = None  # opcode and data
        self._opcode = 0  # of the message whose frames are in _parts
        self._parts: list[bytes] | None = None
        self._decoder: IncrementalDecoder | None = None  # of what is taken in parts
        self._drops = False  # whether a message was lost
        self.taken = 0
        self.in_parts = False

    def is_full(self) -> bool:
        """Whether the high mark is reached."""
        return self.size >= self._high and self._bytes >= _LITTLE

    def is_low(self) -> bool:
        """Whether it has emptied to the low mark."""
        return self.size <= self._low or self._bytes <= _LITTLE >> 2

    def lift_limit(self) -> None:
        """Take as many messages as come."""
        self._high = float("inf")

    def add(self, opcode: int, data: bytes, fin: bool) -> None:
        """Take a data frame; what would be a message above the high mark is lost."""
        if opcode and fin:
            self._enqueue(opcode, data)
            return
        if opcode:
            self._opcode = opcode
        self._keep(data)
        if fin:
            self._enqueue(self._opcode, self._take_parts())

    def _keep(self, part: bytes) -> None:
        self._parts = self._parts or []
        self._parts.append(part)

    def _take_parts(self) -> bytes:
        parts, self._parts = self._parts, None
        return b"".join(parts or ())

    def _enqueue(self, opcode: int, data: bytes) -> None:
        if self._drops or (self.size and self.is_full()):
            self._drops = True  # the rest, too: what is received has no gaps
            return
        if self.size == 0:
            self._first_opcode, self._first = opcode, data
        else:
            if self._others is None:
                self._others = deque()
            self._others.append((opcode, data))
        self.size += 1
        self._bytes += len(data) + _PER_MESSAGE

    def take(self) -> bytes:
        """Take the first message."""
        self.taken = self._first_opcode
        data = self._first
        self.size -= 1
        self._bytes -= len(data) + _PER_MESSAGE
        if self.size and self._others:
            self._first_opcode, self._first = self._others.popleft()
        else:
            self._first = b""
        return data

    def take_part(
        self, arriving: tuple[int, bytes] | None, decode: bool | None
    ) -> tuple[str | bytes, bool] | None:
        """Take what there is of the first message, and tell whether it ends there.

        Args:
            arriving: opcode and data of a frame that is not complete.
            decode: as for ``Session.next_message()``.
        """
        fin = self.size > 0
        if fin:
            opcode, data = self._first_opcode, self.take()
        else:
            if arriving is not None:
                self._opcode = arriving[0]
                self._keep(arriving[1])
            opcode, data = self._opcode, self._take_parts()
            if not data:
                return None
        self.taken = opcode
        self.in_parts = not fin
        if not (opcode == 0x1 if decode is None else decode):
            return data, fin
        decoder = self._decoder or getincrementaldecoder("utf-8")()
        self._decoder = None if fin else decoder
        return decoder.decode(data, fin), fin


def broadcast(
    sessions: Iterable[Session], message: str | BytesLike, *, text: bool | None = None
) -> list[tuple[Session, bytes]]:
    """Send one message to all that can take it now.

    Those that are closing, or in the middle of a fragmented message, cannot. Its frame
    is built once, or once for each kind of compression that was agreed.

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
