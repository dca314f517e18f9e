"""The link of a connection on asyncio: carries bytes between transport and session.

No rule of the protocol is here; the session has them all. After each input and each
command one flush is due, at the end of the turn of the event loop: it writes what
is queued in one piece, sets the timer, pauses or resumes reading, and closes the
transport if the session says so. Who waits for a message is woken before it, so that
all answers to what one read brought leave in one write.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast
from weakref import WeakKeyDictionary

from ..session import Session, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..http11 import Request, Response
    from ..protocol import Protocol
    from ..session import Ping
    from ..typing import LoggerLike

__all__ = ["Link"]

NEVER = float("inf")
READ_SIZE = 65536
# Seconds that a peer gets to read why it failed where TLS allows no half-close.
LINGER = 1.0

# What is read is taken out of the buffer before the loop does anything else, so one
# is enough for all connections of a loop.
_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()


class Link(asyncio.BufferedProtocol):
    """What carries the bytes of a ``Connection``, which documents all arguments."""

    transport: asyncio.Transport

    def __init__(
        self,
        protocol: Protocol,
        *,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int, int] | None = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
    ) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self.protocol = protocol
        self.logger: LoggerLike = logging.LoggerAdapter(
            protocol.logger,
            {"websocket": self},
        )
        protocol.logger = self.logger
        self.session = Session(
            protocol,
            loop.time(),
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )
        self.request: Request | None = None
        self.response: Response | None = None
        high, low = (
            write_limit if isinstance(write_limit, tuple) else (write_limit,) * 2
        )
        self._write_high = high
        self._write_low = low if isinstance(write_limit, tuple) else None
        self._buffer = _buffer_of(loop)
        self._opening = True  # until the opening handshake is decided
        self._lost = False  # whether the TCP connection is gone
        self._lost_by: Exception | None = None
        self._flush_due = False  # at the end of this turn of the loop
        self._unsent = 0  # bytes in the session, about
        self._reads = True  # whether the transport reads
        self._writing_paused = False  # because the peer does not read
        self._backlog = 0  # bytes that waited then, when last looked at
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._receiver: asyncio.Future[None] | None = None
        self._pings: dict[Ping, asyncio.Future[float]] = {}
        self._drainers: list[asyncio.Future[None]] = []
        self._closers: list[asyncio.Future[None]] = []
        self._fragmenting: asyncio.Lock | None = None  # made when first needed

    # --- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; only the event loop calls this."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(self._write_high, self._write_low)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give a buffer to read into; only the event loop calls this."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read; only the event loop calls this."""
        self.session.receive_data(self._buffer[:nbytes], self._loop.time())
        self._wake()

    def eof_received(self) -> bool:
        """Take the end of the stream; only the event loop calls this."""
        self.session.receive_eof(self._loop.time())
        self._wake()
        return self.transport.can_write_eof()  # messages may still be answered

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the connection; only the event loop calls this."""
        self._lost = True
        self._lost_by = exc
        self.transport.close()  # or TLS of Python 3.10 warns that nobody did
        self.session.handle_loss(self._loop.time())
        if self._timer is not None:
            self._timer.cancel()
        self._wake()
        for waiter in self._pings.values():
            if not waiter.done():
                waiter.set_exception(self.session.close_exc)
                waiter.exception()  # no word in the log if nobody looks at it
        self._pings.clear()
        _finish(self._drainers)
        _finish(self._closers)

    def pause_writing(self) -> None:
        """Hold back who sends; only the event loop calls this."""
        self._writing_paused = True
        self._backlog = self.transport.get_write_buffer_size()
        self._steer_reading()

    def resume_writing(self) -> None:
        """Let senders go on; only the event loop calls this."""
        self._writing_paused = False
        self.session.handle_progress()
        self._steer_reading()
        _finish(self._drainers)

    def flush(self) -> None:
        """Do now what the session has for the network; it is done anyway at the end of
        the turn of the loop, if something was sent or received."""
        self._flush()

    def flush_soon(self) -> None:
        """Do it at the end of this turn of the loop, if not earlier."""
        if not self._flush_due:
            self._flush_soon()

    # --- inside: from the session to whoever waits

    def _wake(self) -> None:
        """After an input: wake who waits for it."""
        session = self.session
        receiver = self._receiver
        if receiver is not None and session.ready and not receiver.done():
            receiver.set_result(None)
        for ping in session.pings_answered():
            waiter = self._pings.pop(ping, None)
            if waiter is not None and not waiter.done():
                assert ping.latency is not None
                waiter.set_result(ping.latency)
        if self._opening:
            self._proceed()
        if not session.reading:
            self._steer_reading()
        if not self._flush_due:
            self._flush_soon()

    def _proceed(self) -> None:
        """Go on with the opening handshake."""
        raise NotImplementedError

    # --- inside: from the session to the network

    def _flush_soon(self) -> None:
        """Flush at the end of this turn of the loop."""
        self._flush_due = True
        self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_due = False
        self._flush()

    def _flush(self) -> None:
        """Do what the session has for the network."""
        session = self.session
        self._unsent = 0
        writes = session.data_to_send()
        if self._lost:
            return
        if writes and not self.transport.is_closing():
            self._write(writes)
        if session.deadline < self._timer_at:
            self._set_timer(session.deadline)
        if self._reads is not (session.reading and not self._writing_paused):
            self._steer_reading()
        if session.transport is Transport.CLOSE:
            self.transport.close()
        elif session.transport is Transport.ABORT:
            self.transport.abort()

    def _write(self, writes: list[bytes]) -> None:
        half_close = not writes[-1]
        if half_close:
            writes.pop()
        if len(writes) == 1:
            self.transport.write(writes[0])
        elif writes:
            # Not writelines(): some releases of Python forget the limits there.
            self.transport.write(b"".join(writes))
        if half_close:
            self._half_close()

    def _half_close(self) -> None:
        """End our direction; the peer may still be sending."""
        if self.transport.can_write_eof():
            try:
                self.transport.write_eof()
            except OSError:  # the peer has reset the connection
                self.transport.abort()
        elif self.protocol.parser_exc is None:
            self.transport.close()
        else:
            # To close while data comes in would reset the connection, and the peer
            # might never read the close code (RFC 6455, section 7.1.1).
            self._loop.call_later(LINGER, self.transport.close)

    def _steer_reading(self) -> None:
        """Read on, or not."""
        reads = self.session.reading and not self._writing_paused
        if reads is not self._reads and not self.transport.is_closing():
            self._reads = reads
            if reads:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _set_timer(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._time_passed)

    def _time_passed(self) -> None:
        """See what is due. Deadlines that were put off are looked at only here."""
        now = max(self._loop.time(), self._timer_at)  # timers may be a bit early
        self._timer = None
        self._timer_at = NEVER
        if self._writing_paused:
            self._look_for_progress()
        if now >= self.session.deadline:
            self.session.handle_timeout(now)
            self._wake()
        self._flush()

    def _look_for_progress(self) -> None:
        """Its pongs cannot be read meanwhile, but what a peer takes shows its life."""
        backlog = self.transport.get_write_buffer_size()
        if backlog < self._backlog:
            self.session.handle_progress()
        self._backlog = backlog

    # --- inside: commands without waiting, and waiting

    def _begin_close(self, code: int, reason: str = "") -> None:
        """Close, without waiting."""
        self.session.close(self._loop.time(), code, reason)
        self._wake()
        self._flush()

    def _time(self) -> float:
        """The time, from the clock of the event loop."""
        return self._loop.time()

    async def _wait_in(self, waiters: list[asyncio.Future[None]]) -> None:
        waiter = self._loop.create_future()
        waiters.append(waiter)
        try:
            await waiter
        finally:
            waiters.remove(waiter)


def _finish(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _buffer_of(loop: asyncio.AbstractEventLoop) -> memoryview:
    buffer = _buffers.get(loop)
    if buffer is None:
        buffer = _buffers[loop] = memoryview(bytearray(READ_SIZE))
    return buffer
