"""The link of a connection on asyncio: carries bytes between transport and session.

No rule of the protocol is here; the session has them all. After each input and each
command one flush is due: it writes what is queued in one piece, sets the timer, pauses
or resumes reading, and closes the transport if the session says so. After an input
it comes when who waited for it has gone on and waits again, or else at the end
of the turn of the event loop; so all answers to what one read brought leave in one
write.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import cast
from weakref import WeakKeyDictionary

from .._rules import write_marks
from ..exceptions import ConnectionClosed, InvalidState
from ..protocol import OPEN
from ..session import Session, Transport
from ._waiter import Waiter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..http11 import Request, Response
    from ..protocol import Protocol
    from ..session import Ping
    from ..typing import LoggerLike

__all__ = ["Link"]

NEVER = float("inf")
_KEEP, _CLOSE = Transport.KEEP, Transport.CLOSE
READ_SIZE = 65536
LARGE = 65536  # bytes from which one more write costs less than a copy
# Seconds that a peer gets to read why it failed where TLS allows no half-close.
LINGER = 1.0

# What all connections of a loop use: one buffer, as what is read is taken out of it
# before the loop does anything else; and the clock.
_shared: WeakKeyDictionary[
    asyncio.AbstractEventLoop, tuple[memoryview, Callable[[], float]]
] = WeakKeyDictionary()


class Link:
    """What carries the bytes of a ``Connection``, which documents all arguments.

    It has the methods of an ``asyncio.BufferedProtocol``. Only a subclass can be one,
    as the compiled form of this class has no bases.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int | None, int | None] = 2**15,
        on_open: Callable[[Any], object] | None = None,
        on_message: Callable[[Any, Any], object] | None = None,
        on_close: Callable[[Any], object] | None = None,
    ) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._view, self._clock = _shared_by(loop)
        self._buffer: Any = self._view.obj
        self.protocol = protocol
        self._logger: LoggerLike | None = None  # made when first needed
        if protocol.debug:
            protocol.logger = self.logger
        self.session = Session(
            protocol,
            self._clock(),
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )
        self.request: Request | None = None
        self.response: Response | None = None
        self._write_high, self._write_low = write_marks(write_limit)
        kind = type(self)
        self._on_open = on_open or getattr(kind, "on_open", None)
        self._on_message = on_message or getattr(kind, "on_message", None)
        self._on_close = on_close or getattr(kind, "on_close", None)
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
        self._receiver = Waiter(loop)
        self._inside = False  # of an input, behind which comes a flush
        self._now = NEVER  # time of that input
        # Mostly there is none of these.
        self._pings: dict[Ping, asyncio.Future[float]] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None  # to write, or the end
        self._fragmenting: asyncio.Lock | None = None

    @property
    def logger(self) -> LoggerLike:
        """Where this connection logs, which gives its records ``websocket``."""
        if self._logger is None:
            extra = {"websocket": self}
            self._logger = logging.LoggerAdapter(self.protocol.logger, extra)
        return self._logger

    @logger.setter
    def logger(self, logger: LoggerLike) -> None:
        self._logger = logger

    # --- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; only the event loop calls this."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(self._write_high, self._write_low)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give a buffer to read into; only the event loop calls this."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read; only the event loop calls this."""
        self._now = self._clock()
        self.session.receive_from(self._buffer, nbytes, self._now)
        self._hand_over()

    def eof_received(self) -> bool:
        """Take the end of the stream; only the event loop calls this."""
        self._now = self._clock()
        self.session.receive_eof(self._now)
        self._hand_over()
        return self.transport.can_write_eof()  # messages may still be answered

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the connection; only the event loop calls this."""
        self._lost = True
        self._lost_by = exc
        self.transport.close()  # or TLS of Python 3.10 warns that nobody did
        self._now = self._clock()
        self.session.handle_loss(self._now)
        if self._timer is not None:
            self._timer.cancel()
        self._hand_over()
        if self._pings is not None:
            for waiter in self._pings.values():
                if not waiter.done():
                    waiter.set_exception(self.session.close_exc)
                    waiter.exception()  # no word in the log if nobody looks at it
            self._pings = None
        self._wake_waiters()
        if self._on_close is not None and self.session.was_open:
            self._call(self._on_close)

    def pause_writing(self) -> None:
        """Hold back who sends; only the event loop calls this."""
        self._writing_paused = self.session.stuck = True
        self._backlog = self.transport.get_write_buffer_size()
        self._steer_reading()

    def resume_writing(self) -> None:
        """Let senders go on; only the event loop calls this."""
        self._writing_paused = self.session.stuck = False
        self.session.handle_progress()
        self._steer_reading()
        self._wake_waiters()
        if self._on_message is not None and not self._inside:
            self._now = self._clock()
            self._hand_over()

    def flush(self) -> None:
        """Do now what the session has for the network; it is done anyway at the end of
        the turn of the loop, if something was sent or received."""
        self._flush()

    def flush_soon(self) -> None:
        """Do it at the end of this turn of the loop, if not earlier."""
        self._flush_soon()

    # --- inside: from the session to whoever waits

    def _hand_over(self) -> None:
        """After an input: let who waits for it go on, then write the answers."""
        self._inside = True
        try:
            self._wake()
        finally:
            self._inside = False
            self._flush()

    def _wake(self) -> None:
        """Wake who waits for what has come."""
        if self.session._answered:
            self._finish_pings()
        if self._opening:
            self._proceed()
        if self._on_message is not None:
            self._call_back()
        elif self._receiver.waiting and self.session._is_ready():
            self._receiver.wake()

    def _call(self, function: Callable[[Any], object]) -> None:
        """Call a function of the application; if it fails, so does the connection."""
        try:
            function(self)
        except Exception as exc:
            self.logger.error("connection handler failed", exc_info=exc)
            self._begin_close(1011)

    def _call_back(self) -> None:
        """Hand each message to the function that takes them."""
        session = self.session
        try:
            while not self._writing_paused:
                message = session.next_message(self._time())
                if message is None:
                    return
                assert self._on_message is not None
                self._on_message(self, message)
        except Exception as exc:
            told = isinstance(exc, (ConnectionClosed, InvalidState))
            if not told or self.protocol.state is OPEN:
                self.logger.error("connection handler failed", exc_info=exc)
            self._on_message = _ignore
            self._begin_close(1011)

    def _finish_pings(self) -> None:
        """Tell who waits for the pongs that came."""
        for ping in self.session.pings_answered():
            waiter = self._pings.pop(ping, None) if self._pings else None
            if waiter is not None and not waiter.done():
                assert ping.latency is not None
                waiter.set_result(ping.latency)

    def _proceed(self) -> None:
        """Go on with the opening handshake."""
        raise NotImplementedError

    # --- inside: from the session to the network

    def _flush_soon(self) -> None:
        """Flush at the end of this turn of the loop, if not earlier."""
        if not (self._inside or self._flush_due):
            self._flush_due = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_due = False
        self._flush()

    def _flush(self) -> None:
        """Do what the session has for the network."""
        session = self.session
        unsent, self._unsent = self._unsent, 0
        writes = session.data_to_send()
        if self._lost:
            return
        if writes and not self.transport.is_closing():
            self._write(writes, unsent)
        if session.deadline < self._timer_at:
            self._set_timer(session.deadline)
        if self._reads is not (session.reading and not self._writing_paused):
            self._steer_reading()
        if session.transport is not _KEEP:
            if session.transport is _CLOSE:
                self.transport.close()
            else:
                self.transport.abort()

    def _write(self, writes: list[bytes], size: int) -> None:
        """Write what was queued, of messages about so many bytes."""
        half_close = not writes[-1]
        if half_close:
            writes.pop()
        if len(writes) == 1:
            self.transport.write(writes[0])
        elif size < LARGE:
            # Not writelines(): some releases of Python forget the limits there.
            self.transport.write(b"".join(writes))
        else:
            self._write_large(writes)
        if half_close:
            self._half_close()

    def _write_large(self, writes: list[bytes]) -> None:
        """Write together what is small, and what is large without copying it."""
        small: list[bytes] = []
        for chunk in writes:
            if len(chunk) < LARGE:
                small.append(chunk)
                continue
            if small:
                self.transport.write(b"".join(small))
                small = []
            self.transport.write(chunk)
        if small:
            self.transport.write(b"".join(small))

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
        self._now = max(self._clock(), self._timer_at)  # timers may be early
        self._timer = None
        self._timer_at = NEVER
        if self._writing_paused:
            self._look_for_progress()
        if self._now >= self.session.deadline:
            self.session.handle_timeout(self._now)
        self._hand_over()

    def _look_for_progress(self) -> None:
        """Its pongs cannot be read meanwhile, but what a peer takes shows its life."""
        backlog = self.transport.get_write_buffer_size()
        if backlog < self._backlog:
            self.session.handle_progress()
        self._backlog = backlog

    # --- inside: commands without waiting, and waiting

    def _begin_close(self, code: int, reason: str = "") -> None:
        """Close, without waiting."""
        self.session.close(self._time(), code, reason)
        if self._inside:
            return
        self._wake()
        self._flush()

    def _time(self) -> float:
        """The time, from the clock of the event loop."""
        return self._now if self._inside else self._clock()

    def _more(self) -> Waiter:
        """What to await, until an input brings more to receive."""
        if not self._inside:
            self._flush()
        self._receiver.begin()
        return self._receiver

    async def _wait(self) -> None:
        """Wait until the peer has taken much, or the connection is lost."""
        if self._waiters is None:
            self._waiters = []
        await self._wait_in(self._waiters)

    async def _wait_in(self, waiters: list[asyncio.Future[None]]) -> None:
        waiter = self._loop.create_future()
        waiters.append(waiter)
        try:
            await waiter
        finally:
            waiters.remove(waiter)

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def _log(self, text: str, *values: Any) -> None:
        """Log what is of interest, unless nobody wants to know."""
        if self.protocol.logger.isEnabledFor(logging.INFO):
            self.logger.info(text, *values)


def _ignore(connection: Link, message: object) -> None:
    """Take the place of a function that has failed."""


def _shared_by(
    loop: asyncio.AbstractEventLoop,
) -> tuple[memoryview, Callable[[], float]]:
    """The buffer and the clock of a loop."""
    shared = _shared.get(loop)
    if shared is None:
        shared = memoryview(bytearray(READ_SIZE)), _clock_of(loop)
        _shared[loop] = shared
    return shared


def _clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """The clock of a loop, without a detour where that is the usual one."""
    if getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time:
        return time.monotonic
    return loop.time
