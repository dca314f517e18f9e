"""The link of a connection on asyncio: carries bytes between transport and session.

No rule of the protocol is here; the session has them all. After each input and each
command one flush is due: it writes what is queued in one piece, sets the timer, pauses
or resumes reading, and closes the transport if the session says so.

When a message leaves: at once, unless something else is about to be written. While the
rest of a read is still unread, the answers to it leave together, once the task that
receives them waits again. Of a burst of messages the first leaves at once and the rest
at the end of the turn of the event loop. What has waited for ``BATCHING``, or answers
for ``ANSWERING``, leaves with the next message.

Both directions are independent: only ``max_queue`` pauses reading, and only the peer
pauses writing. Whoever sends gives the loop a turn after ``MOST_TIME`` or
``MOST_SENT``, and whenever the connection is about to be lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from inspect import isawaitable

from .._base.values import write_marks
from ..exceptions import ConnectionClosed, InvalidState
from ..protocol import CONNECTING, OPEN
from ..session import Session, Transport
from ._progress import look_at
from ._waiter import Waiter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..http11 import Request, Response
    from ..protocol import Protocol
    from ..session import Ping
    from ..typing import LoggerLike
    from ._progress import Look

__all__ = ["Link"]

NEVER = float("inf")
_KEEP, _CLOSE = Transport.KEEP, Transport.CLOSE
READ_SIZE = 65536
LARGE = 65536  # bytes from which one more write costs less than a copy
# Seconds that a peer gets to read why it failed where TLS allows no half-close.
LINGER = 1.0

# What is sent within this many seconds of another write waits to be joined; answers
# wait for each other while more of the read is unread.
BATCHING = 0.0005
ANSWERING = 0.005
# Seconds, and bytes, that may be sent before other tasks have their turn; a message
# counts as PER_MESSAGE bytes more than it has.
MOST_TIME = 0.005
MOST_SENT = 262144
# Seconds from which on connections wait for their deadlines together: most are put off.
TOGETHER = 1.0
MOST_TIMERS = 200  # that are set before other tasks have their turn
MOST_STREAK = 64  # messages that are received before other tasks have their turn
_MOST_STREAK = MOST_STREAK  # a C value in the compiled form, which no imported name is
# Bytes above which nothing is read while the application is behind.
MOST_PEEKED = 65536
PER_MESSAGE = 256

# The values are weak: they hold connections, which hold their loops.
_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Turn]] = (
    weakref.WeakKeyDictionary()
)

# The one that was asked for last: mostly there is one loop.
_latest: weakref.ref[Turn] | None = None


class Turn:
    """What connections of an event loop share: a buffer, its turn, and timers.

    Attributes:
        view: where to read into. One is enough, as each read is taken out of it before
            the loop does anything else.
        began: when the first message of this turn was sent; infinite if none was.
        sent: bytes sent in this turn, or since the latest read.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._clock = _clock_of(loop)
        self.view = memoryview(bytearray(READ_SIZE))
        self.began = NEVER
        self.sent = 0
        self._due: list[Link] = []  # to be flushed at the end of the turn
        # By the second in which they are due: connections with much time.
        self._waiting: dict[float, dict[Link, None]] = {}

    def begin(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Begin a turn, unless it has begun already."""
        if self.began == NEVER:
            self.began = now
            loop.call_soon(self._end)

    def flush_if_late(self, now: float) -> None:
        """Do not wait for the end of a turn that takes long."""
        if now - self.began >= MOST_TIME:
            self._flush()

    def wait(self, link: Link, second: float) -> None:
        """Let a connection set its own timer when that second begins."""
        waiting = self._waiting.get(second)
        if waiting is None:
            waiting = self._waiting[second] = {}
            self._loop.call_at(second, self._begin_second, second)
        waiting[link] = None

    def forget(self, link: Link, second: float) -> None:
        """Undo ``wait()``."""
        waiting = self._waiting[second]
        waiting.pop(link, None)

    def _begin_second(self, second: float) -> None:
        """Let those that waited for it set timers; most deadlines were put off."""
        now = max(self._clock(), second)  # timers may be early
        waiting = self._waiting[second]
        for _ in range(MOST_TIMERS):
            if not waiting:
                del self._waiting[second]
                return
            link, _ = waiting.popitem()
            link._timer_at = NEVER
            link._set_timer(link.session.deadline, now)
        self._loop.call_soon(self._begin_second, second)

    def _end(self) -> None:
        self.began = NEVER
        self.sent = 0
        self._flush()

    def _flush(self) -> None:
        due, self._due = self._due, []
        for link in due:
            link._flush_due = False
            try:
                link._flush()
            except Exception as exc:
                link._report(exc)


class Link:
    """What carries the bytes of a ``Connection``, which documents all arguments.

    It has the methods of an ``asyncio.BufferedProtocol``. Only a subclass can be one,
    as the compiled form of this class has no bases.
    """

    # Subclasses may have methods instead. That they have none is found at once so.
    if not TYPE_CHECKING:
        on_open = on_message = on_close = None

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
        if getattr(self, "session", None) is not None:
            raise RuntimeError("a connection is initialised only once")
        self._loop = loop = asyncio.get_running_loop()
        self._turn = turn = _turn_of(loop)
        self._buffer: Any = turn.view.obj
        self._clock = turn._clock
        self.protocol = protocol
        self._logger: LoggerLike | None = None  # made when first needed
        if protocol.debug:
            protocol.logger = self.logger
        self.session: Session = Session(
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
        high, self._write_low = write_marks(write_limit)
        # Not 0: then TLS pauses with nothing to write, and finds no cause to resume.
        self._write_high = max(high, 1)
        kind = type(self)
        self._on_open = on_open or getattr(kind, "on_open", None)
        self._on_message = on_message or getattr(kind, "on_message", None)
        self._on_close = on_close or getattr(kind, "on_close", None)
        # Until the opening handshake is decided.
        self._opening = protocol.state is CONNECTING
        self._lost = False  # whether the TCP connection is gone
        self._lost_by: Exception | None = None
        self._flush_due = False  # at the end of this turn of the loop
        # Bytes that were sent when last looked at, and when last written.
        self._sent = self._flushed = self.protocol._bytes_sent
        self._streak = 0  # messages received since the receiver last waited
        self._wrote_at = -NEVER  # when a message was last written at once
        self._hears = False  # whether bytes came since the last write
        self._reads = True  # whether the transport reads
        self._peeks = False  # whether it does so for one read only
        self._writing_paused = False  # because the peer does not read
        self._cut_off = False  # whether bytes were dropped, as it is about to be lost
        self._answers = False  # whether on_message sends, so that it can be held back
        self._look: Look | None = None  # at what the peer has taken
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._receiver = Waiter(loop)
        self._tls: Any = None  # of asyncio, behind the transport
        self._tls_state: object = None  # while it is open
        self._streaming: asyncio.Task[Any] | None = None  # which receives parts
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
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._tls = getattr(transport, "_ssl_protocol", None)
        self._tls_state = _state_of(self._tls)
        self.transport.set_write_buffer_limits(self._write_high, self._write_low)
        if not self._opening and self._on_open is not None:  # it is open already
            self._call(self._on_open)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give a buffer to read into; only the event loop calls this."""
        return self._turn.view

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read; only the event loop calls this."""
        self._now = self._clock()
        self._turn.sent = 0
        self._peeks = False
        self._hears = True
        self.session.receive_from(self._buffer, nbytes, self._now)
        self._hand_over()

    def data_received(self, data: bytes) -> None:
        """Take what was read; only transports that know no buffers call this."""
        self._now = self._clock()
        self._turn.sent = 0
        self._peeks = False
        self._hears = True
        self.session.receive_data(data, self._now)
        self._hand_over()

    def eof_received(self) -> bool:
        """Take the end of the stream; only the event loop calls this."""
        self._now = self._clock()
        self.session.receive_eof(self._now)
        self._hand_over()
        if self.transport.can_write_eof():
            return True  # messages may still be answered
        self._cut_off = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the connection; only the event loop calls this."""
        self._lost = True
        self._lost_by = exc
        self._writing_paused = self.session.stuck = False
        self.transport.close()  # or TLS of Python 3.10 warns that nobody did
        self._now = self._clock()
        self.session.handle_loss(self._now)
        self._stop_timer()
        self._finish_pings()
        self._fail_pings()
        self._wake_waiters()
        self._hand_over()
        if self._on_close is not None and self.session.was_open:
            self._call(self._on_close)

    def pause_writing(self) -> None:
        """Hold back whoever sends; only the event loop calls this."""
        self._writing_paused = self.session.stuck = True

    def resume_writing(self) -> None:
        """Let senders go on; only the event loop calls this."""
        self._writing_paused = self.session.stuck = False
        self.session.handle_progress()
        self._wake_waiters()
        self._flush_soon()  # not now: the transport may be in the middle of a write
        if self._on_message is not None:
            self._loop.call_soon(self._call_again)

    def flush(self) -> None:
        """Do now what the session has for the network.

        It is done anyway at the end of the turn of the loop, if something was sent or
        received.
        """
        self._flush()

    def flush_soon(self) -> None:
        """Do it at the end of this turn of the loop, if not earlier."""
        self._flush_soon()

    # --- inside: from the session to whoever waits

    def _hand_over(self) -> None:
        """After an input: let whoever waits for it go on, then write the answers."""
        self._inside = True
        try:
            self._wake()
        except (KeyboardInterrupt, SystemExit) as exc:  # of the task that was woken
            self._end_program(exc)
        finally:
            self._inside = False
            self._flush()

    def _wake(self) -> None:
        """Wake whoever waits for this input."""
        if self.session._answered:
            self._finish_pings()
        if self._opening:
            self._proceed()
        if self._on_message is not None:
            self._call_back()
        elif self._receiver.waiting and self.session._is_ready():
            # What a handler raises must not get in the way of a loss.
            self._receiver.wake(self._lost)

    def _call(self, function: Callable[[Any], object]) -> None:
        """Call a function of the application; if it fails, so does the connection."""
        try:
            result = function(self)
            if result is not None:
                _refuse_awaitable("a callback", result)
        except (KeyboardInterrupt, SystemExit) as exc:
            self._begin_close(1011)
            self._end_program(exc)
        except BaseException as exc:
            self.logger.error("connection handler failed", exc_info=exc)
            self._begin_close(1011)
        self._answers = False  # it was not about a message

    def _call_back(self) -> None:
        """Hand each message to the function for them, giving others their turn.

        While the peer is too slow to take the answers, it is not called; one that does
        not answer is never held back, or two ends that both only send would block.
        """
        session = self.session
        count = 0
        try:
            while not (self._writing_paused and self._answers):
                if count == _MOST_STREAK:
                    count = 0
                    # Once it is lost nothing is held back, as on_close is called next.
                    late = self._clock() - self._now >= MOST_TIME
                    if late and not self._lost:
                        self._loop.call_soon(self._call_again)
                        return
                count += 1
                now = self._now if self._inside else self._clock()
                message = session.next_message(now)
                if message is None:
                    return
                assert self._on_message is not None
                self._answers = False
                result = self._on_message(self, message)
                if result is not None:
                    _refuse_awaitable("on_message", result)
        except (KeyboardInterrupt, SystemExit) as exc:
            self._on_message = _ignore
            self._begin_close(1011)
            self._end_program(exc)
        except BaseException as exc:
            told = isinstance(exc, (ConnectionClosed, InvalidState))
            if not told or self.protocol.state is OPEN:
                self.logger.error("connection handler failed", exc_info=exc)
            self._on_message = _ignore
            self._begin_close(1011)

    def _end_program(self, exc: BaseException) -> None:
        """Raise what ends the program where every event loop lets it pass.

        uvloop keeps what protocols raise to itself. What is due here is done first.
        """
        self._loop.call_soon(_raise, exc)

    def _call_again(self) -> None:
        """Hand over the messages that were held back."""
        if not self._lost:
            self._now = self._clock()
            self._hand_over()

    def _fail_pings(self) -> None:
        """Tell whoever waits for pongs that none will come."""
        pings, self._pings = self._pings, None
        for waiter in (pings or {}).values():
            if not waiter.done():
                waiter.set_exception(self.session.close_exc)
                waiter.exception()  # no word in the log if nobody looks at it

    def _finish_pings(self) -> None:
        """Tell whoever waits that pongs have arrived."""
        for ping in self.session.pings_answered():
            waiter = self._pings.pop(ping, None) if self._pings else None
            if waiter is not None and not waiter.done():
                assert ping.latency is not None
                waiter.set_result(ping.latency)

    def _proceed(self) -> None:
        """Go on with the opening handshake, in subclasses that have one."""

    # --- inside: from the session to the network

    def _queued(self) -> bool:
        """See that a message which was queued gets written.

        Returns:
            Whether its sender has to give way: to other tasks, to a peer that is slow,
            or to the news that the connection is lost.

        """
        turn = self._turn
        now = self._clock()
        due = self._wrote_at + BATCHING
        began = self._now
        if not self._inside:
            turn.begin(self._loop, now)
            began = turn.began
        elif due < began + ANSWERING and self.session._has_unread():
            due = began + ANSWERING
        sent = self.protocol._bytes_sent
        turn.sent += sent - self._sent + PER_MESSAGE
        self._sent = sent
        if now >= due or sent - self._flushed >= self._write_high:
            self._wrote_at = now
            self._flush()
        else:
            self._flush_soon()
        if self._writing_paused or self._cut_off:
            return True
        return turn.sent >= MOST_SENT or now - began >= MOST_TIME

    async def _give_way(self) -> None:
        """Wait until the peer has taken enough, or for one turn of the loop.

        Raises:
            ConnectionClosed: if the connection is lost meanwhile.

        """
        if not self._writing_paused:
            await asyncio.sleep(0)
        while self._writing_paused and not self._lost:
            await self._wait()
        if self._lost:
            raise self.session.close_exc

    def _flush_soon(self) -> None:
        """Flush at the end of this turn of the loop, if not earlier."""
        if not (self._inside or self._flush_due):
            self._flush_due = True
            turn = self._turn
            turn._due.append(self)
            if turn.began == NEVER:
                turn.begin(self._loop, self._clock())

    def _flush(self) -> None:
        """Do what the session has for the network."""
        session = self.session
        writes = self.protocol._take_writes()
        flushed, self._flushed = self._flushed, self.protocol._bytes_sent
        if self._lost:
            return
        if writes:
            if self._is_cut_off():
                self._cut_off = True
                if not self._reads:
                    self._peek()
            else:
                self._write(writes, self._flushed - flushed)
        if session.deadline < self._timer_at:
            self._stop_timer()
            self._set_timer(session.deadline, self._time())
        if self._reads is not session.reading and not self._peeks:
            self._steer_reading()
        if session.transport is not _KEEP:
            if session.transport is _CLOSE:
                self._close_transport()
            else:
                self.transport.abort()

    def _report(self, exc: Exception) -> None:
        """Tell the event loop of a fault in a transport, and drop the connection."""
        text = "a WebSocket connection could not be written to"
        self._loop.call_exception_handler({"message": text, "exception": exc})
        self.transport.abort()

    def _is_cut_off(self) -> bool:
        """Whether nothing can be written, as the connection is about to be lost.

        TLS of asyncio does not tell; it drops what is written, and warns.
        """
        if self._cut_off:
            return True
        tls = self._tls
        if tls is None and self._hears:
            self._hears = False
            return False
        if self._is_closing():
            return True
        if tls is None:
            return False
        ended = _state_of(tls) is not self._tls_state
        closing: bool = ended or tls._transport.is_closing()
        return closing

    def _is_closing(self) -> bool:
        """Whether the transport is closing, or TLS has lost the one below it."""
        closing = self.transport.is_closing()
        return closing or (self._tls is not None and self._tls._transport is None)

    def _write(self, writes: list[bytes], size: int) -> None:
        """Write what was queued, so many bytes."""
        last = writes[-1]
        half_close = not last
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
        elif self.protocol.close_rcvd is not None or not self.session.was_open:
            self._close_transport()
        else:
            # To close while data comes in would reset the connection, and the peer
            # might never read the close code (RFC 6455, section 7.1.1).
            self._loop.call_later(LINGER, self._close_transport)

    def _close_transport(self) -> None:
        """Close it, but once: TLS that is closed twice cannot be aborted any more."""
        if not self.transport.is_closing():
            self.transport.close()

    def _steer_reading(self) -> None:
        """Read on, or not."""
        reads = self.session.reading
        if not self._is_closing():
            self._reads = reads
            if reads:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _set_timer(self, deadline: float, now: float) -> None:
        """See that ``_time_passed()`` is called then, unless it is put off."""
        self._timer_at = deadline
        if deadline == NEVER:
            return
        if deadline >= now + TOGETHER:
            turn = self._turn
            turn.wait(self, deadline // 1)
        else:
            self._timer = self._loop.call_at(deadline, self._time_passed)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif self._timer_at != NEVER:
            turn = self._turn
            turn.forget(self, self._timer_at // 1)
        self._timer_at = NEVER

    def _time_passed(self) -> None:
        """See what is due."""
        self._now = max(self._clock(), self._timer_at)  # timers may be early
        self._timer = None
        self._timer_at = NEVER
        if self.session.doubts(self._now):
            self._look_for_progress()
            if not self._reads and self.protocol._unread() < MOST_PEEKED:
                self._peek()
        if self._now >= self.session.deadline:
            self.session.handle_timeout(self._now)
        self._hand_over()

    def _peek(self) -> None:
        """Read once, though the application is behind.

        Over TLS, asyncio keeps the end of the stream to itself while reading is paused,
        and then drops what is sent.
        """
        if not self._is_closing():
            self._peeks = self._reads = True
            self.transport.resume_reading()

    def _look_for_progress(self) -> None:
        """See whether the peer takes what was sent before a ping, and so is alive.

        Its pong takes as long as all of that.
        """
        look = look_at(self.transport, self.protocol._bytes_sent)
        if self._look is not None and look.shows_progress_since(self._look):
            self.session.handle_progress()
        self._look = look

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
        self._streak = 0
        if not self._inside:
            self._flush()
        self._receiver.begin()
        return self._receiver

    def _after_turn(self) -> Waiter:
        """What to await, for the next turn of the loop, instead of receiving."""
        self._streak = 0
        self._receiver.begin()
        self._loop.call_soon(self._receiver.wake_now)
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
        if self._logs():
            self.logger.info(text, *values)

    def _logs(self) -> bool:
        """Whether what is of interest gets logged."""
        return self.protocol.logger.isEnabledFor(logging.INFO)


def _ignore(connection: Link, message: object) -> None:
    """Take the place of a function that has failed."""


def _refuse_awaitable(name: str, result: object) -> None:
    """Refuse what a function gives that nobody will await.

    Raises:
        TypeError: if it is a coroutine or another awaitable.

    """
    if isawaitable(result):
        close = getattr(result, "close", None)
        if close is not None:
            close()  # or Python warns that it was never awaited
        raise TypeError(f"{name} must be a plain function, but it returned {result!r}")


def _raise(exc: BaseException) -> None:
    raise exc


def _state_of(tls: Any) -> object:
    """What changes when TLS of asyncio begins to end; Python 3.10 has a flag."""
    return getattr(tls, "_state", None) or getattr(tls, "_in_shutdown", None)


def _turn_of(loop: asyncio.AbstractEventLoop) -> Turn:
    """What the connections of a loop share."""
    global _latest
    turn = None if _latest is None else _latest()
    if turn is not None and turn._loop is loop:
        return turn
    found = _turns.get(loop)
    turn = None if found is None else found()
    if turn is None:
        turn = Turn(loop)
        _turns[loop] = weakref.ref(turn)
    _latest = weakref.ref(turn)
    return turn


def _clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """The clock of a loop, without a detour where that is the usual one."""
    if getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time:
        return time.monotonic
    return loop.time
