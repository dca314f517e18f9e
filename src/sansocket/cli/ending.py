"""How signals stop a command, in a bounded time, whatever handlers do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

__all__ = [
    "LAST",
    "NOTICE",
    "SHOWN",
    "Ending",
    "Interrupted",
    "Remaining",
    "stop_signals",
]

logger: logging.Logger = logging.getLogger("sansocket.serve")

NOTICE = 1.0  # seconds of stopping before users are told what is waited for
LAST = 2.0  # seconds for canceled tasks to end
SHOWN = 3  # addresses in a notice
# Seconds to wait at a time: Python 3.10 may wait for ever if it is over at once.
SHORTEST = 0.05


def stop_signals() -> list[signal.Signals]:
    """Return the signals that stop a command, without SIGHUP if it is ignored."""
    found = [signal.SIGINT, signal.SIGTERM]
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        found.append(hangup)
    return found


class Interrupted(KeyboardInterrupt):
    """A signal arrived before there was anything to close."""


class Ending:
    """The signals that stop this process, and the deadline for stopping.

    From now until the process ends, Python handles the signals, not the event loop:
    a loop closes the pipe for signals before it stops listening to them, so later
    signals would have their default effect.

    Args:
        patience: seconds to stop after the first signal. The process then ends without
            anything that is still running, such as a handler that blocks the event
            loop.
        signals: signals that stop the process.
        last: seconds to stop after the second signal.
        supervised: whether another process reports to the user, and forwards the
            second signal.

    Attributes:
        number: number of the last signal; 0 if there was none.
        insisted: whether to stop without waiting.
        status: returns the exit status after a signal, if the deadline has passed.
        clean_up: called before the process ends at its deadline.
        remaining: returns what the process is waiting for; called by another thread.
    """

    def __init__(
        self,
        patience: float,
        signals: Iterable[signal.Signals],
        *,
        last: float = LAST,
        supervised: bool = False,
    ) -> None:
        self.patience = patience
        self.signals: list[signal.Signals] = [*signals]
        self.last = last
        self.supervised = supervised
        self.number: int = 0
        self.insisted: bool = False
        self.status: Callable[[int], int] = lambda number: 0 if number else 1
        self.clean_up: Callable[[], None] = lambda: None
        self.remaining: Callable[[], Remaining] = Remaining
        self.held: bool = True  # whether signals wait for the event loop
        self.loop: asyncio.AbstractEventLoop | None = None
        self.limits: queue.SimpleQueue[float] = queue.SimpleQueue()
        threading.Thread(target=self.watch, daemon=True).start()
        for number in self.signals:
            signal.signal(number, self.signalled)

    # --- on the main thread

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let signals raise ``Interrupted`` until ``hold()`` is called."""
        self.held = False
        try:
            if self.number:
                raise Interrupted
            yield
        finally:
            self.held = True

    def hold(self) -> None:
        """Leave signals to the event loop, which is about to run."""
        self.held = True

    def attach(self, stop: Callable[[], None], hurry: Callable[[], None]) -> None:
        """Make the running event loop call functions for signals.

        Args:
            stop: called for the first signal.
            hurry: called for later signals; each may be called more than once.
        """
        self.stop: Callable[[], None] = stop
        self.hurry: Callable[[], None] = hurry
        self.loop = asyncio.get_running_loop()
        if self.number:
            stop()
        if self.insisted:
            hurry()

    def signalled(self, number: int, _: FrameType | None) -> None:
        """Handle a signal; Python calls this between any two instructions."""
        again = self.number != 0
        self.number = number
        if again:
            if not self.supervised:
                self.insist()
            return
        self.limit(self.patience)
        if not self.held:
            self.held = True  # the exception must not be interrupted by another
            raise Interrupted
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self.loop.call_soon_threadsafe(lambda: self.stop())

    def finish(self) -> None:
        """Ignore signals from now on; the deadline still applies.

        Python removes its own signal handlers when it ends the process.
        """
        sys.unraisablehook = without_late_signals(sys.unraisablehook)
        for number in self.signals:
            signal.signal(number, signal.SIG_IGN)

    # --- on any thread

    def insist(self) -> None:
        """Stop without waiting."""
        self.insisted = True
        self.limit(self.last)
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(lambda: self.hurry())

    def limit(self, seconds: float) -> None:
        """End the process within this time at the latest."""
        self.limits.put(time.monotonic() + seconds)

    # --- on a thread of its own

    def watch(self) -> None:
        """Wait until it is time to report what is waited for, and to give up."""
        notice = deadline = math.inf
        while (now := time.monotonic()) < deadline:
            if now >= notice:
                notice = math.inf
                self.say_who_remains()
            left = max(min(notice, deadline) - now, SHORTEST)
            with contextlib.suppress(queue.Empty):
                limit = self.limits.get(timeout=None if left == math.inf else left)
                if deadline == math.inf:
                    notice = time.monotonic() + NOTICE
                deadline = min(deadline, limit)
        # If standard output or standard error is blocked, this may block as well.
        farewell = threading.Thread(target=self.say_farewell, daemon=True)
        farewell.start()
        farewell.join(LAST)
        os._exit(self.status(self.number))

    def say_who_remains(self) -> None:
        """Log what is waited for, unless told not to wait."""
        text = str(self.remaining())
        if text and not self.insisted and not self.supervised:
            logger.warning("%s", text)

    def say_farewell(self) -> None:
        """Clean up, in place of the rest of the program."""
        self.clean_up()
        logger.warning("something did not stop in time: exiting without it")
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()


def without_late_signals(
    report: Callable[[sys.UnraisableHookArgs], object],
) -> Callable[[sys.UnraisableHookArgs], object]:
    """Do not report that a signal arrived in the moment when it began to be ignored.

    Python has no handler for it any more then, and says so with a traceback.
    """

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        exc = unraisable.exc_value
        if not (isinstance(exc, OSError) and "due to race condition" in str(exc)):
            report(unraisable)

    return hook


@dataclass
class Remaining:
    """What a server waits for while it stops.

    Attributes:
        connections: number of open connections.
        addresses: addresses of their peers: the first few that are known.
        handlers: number of handlers that are running without their connections.
        silent: number of workers that do not answer.
    """

    connections: int = 0
    addresses: tuple[str, ...] = ()
    handlers: int = 0
    silent: int = 0

    def __add__(self, other: Remaining) -> Remaining:
        return Remaining(
            self.connections + other.connections,
            (*self.addresses, *other.addresses)[:SHOWN],
            self.handlers + other.handlers,
            self.silent + other.silent,
        )

    def __str__(self) -> str:
        """Return a line for the log; "" if there is nothing to report."""
        parts: list[str] = []
        if self.connections:
            shown = ", ".join(self.addresses[:SHOWN])
            more = self.connections - len(self.addresses[:SHOWN])
            if shown and more:
                shown += f" and {more} more"
            where = f" ({shown})" if shown else ""
            parts.append(f"{counted(self.connections, 'connection')}{where} to close")
        if self.handlers:
            parts.append(f"{counted(self.handlers, 'handler')} to return")
        if self.silent:
            workers = counted(self.silent, "worker")
            parts.append(f"{workers} that {'does' if self.silent == 1 else 'do'} not "
                         "respond")  # fmt: skip
        if not parts:
            return ""
        return (
            f"waiting for {' and '.join(parts)}; a second Ctrl-C or SIGTERM stops "
            "immediately"
        )


def counted(number: int, noun: str) -> str:
    """Format a number with its noun, in the plural if needed."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
