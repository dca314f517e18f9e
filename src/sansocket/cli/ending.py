"""How a command is asked to stop, and how it stops in time whatever handlers do."""

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

logger = logging.getLogger("sansocket.serve")

NOTICE = 1.0  # seconds of stopping until users are told who is waited for
LAST = 2.0  # seconds for what was cancelled to end
SHOWN = 3  # addresses in a notice


def stop_signals() -> list[signal.Signals]:
    """The signals that stop a command; SIGHUP does, unless ``nohup`` says no."""
    found = [signal.SIGINT, signal.SIGTERM]
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        found.append(hangup)
    return found


class Interrupted(KeyboardInterrupt):
    """A signal came before there was anything to close."""


class Ending:
    """The signals that stop this process, and the time by which it has stopped.

    Python handles the signals, from now on until the process has ended, rather than
    the event loop: a loop closes the pipe that signals are written to before it
    stops listening to signals, and later ones would have their default effect.

    Args:
        patience: seconds after the first signal; what has not ended then, such as a
            handler that blocks the event loop, is abandoned.
        signals: those that stop the process.
        last: seconds after a second signal, likewise.
        supervised: whether another process does the talking, and tells when to hurry.

    Attributes:
        number: the last signal.
        insisted: whether somebody hurries.
        status: exit status of a process that is abandoned, for its signal.
        clean_up: called before the process is abandoned.
        remaining: tells what is waited for; another thread calls it.

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
        self.signals = [*signals]
        self.last = last
        self.supervised = supervised
        self.number = 0
        self.insisted = False
        self.status: Callable[[int], int] = lambda number: 0 if number else 1
        self.clean_up: Callable[[], None] = lambda: None
        self.remaining: Callable[[], Remaining] = Remaining
        self.held = True  # whether signals wait for the event loop
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
        """Keep signals for the event loop, which is about to run."""
        self.held = True

    def attach(self, stop: Callable[[], None], hurry: Callable[[], None]) -> None:
        """Have the running event loop call these functions for the first signal and
        for later ones, perhaps more than once."""
        self.stop, self.hurry = stop, hurry
        self.loop = asyncio.get_running_loop()
        if self.number:
            stop()
        if self.insisted:
            hurry()

    def signalled(self, number: int, _: FrameType | None) -> None:
        """Take a signal, between any two instructions."""
        again = self.number != 0
        self.number = number
        if again:
            if not self.supervised:
                self.insist()
            return
        self.limit(self.patience)
        if not self.held:
            self.held = True  # what raises once must not be disturbed
            raise Interrupted
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self.loop.call_soon_threadsafe(lambda: self.stop())

    def finish(self) -> None:
        """Ignore signals for the rest of the process, which Python ends without its
        own handlers; the limit stands."""
        for number in self.signals:
            signal.signal(number, signal.SIG_IGN)

    # --- on any thread

    def insist(self) -> None:
        """Hurry."""
        self.insisted = True
        self.limit(self.last)
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(lambda: self.hurry())

    def limit(self, seconds: float) -> None:
        """Let the process end within this time at the latest."""
        self.limits.put(time.monotonic() + seconds)

    # --- on a thread of its own

    def watch(self) -> None:
        """Wait for the time to say who is waited for, and the time to give up."""
        notice = deadline = math.inf
        while (now := time.monotonic()) < deadline:
            if now >= notice:
                notice = math.inf
                self.say_who_remains()
            left = min(notice, deadline) - now
            with contextlib.suppress(queue.Empty):
                limit = self.limits.get(timeout=None if left == math.inf else left)
                if deadline == math.inf:
                    notice = time.monotonic() + NOTICE
                deadline = min(deadline, limit)
        # Whoever blocks standard output or standard error may block this as well.
        farewell = threading.Thread(target=self.say_farewell, daemon=True)
        farewell.start()
        farewell.join(LAST)
        os._exit(self.status(self.number))

    def say_who_remains(self) -> None:
        """Say whom users have to wait for, unless they have lost patience."""
        text = str(self.remaining())
        if text and not self.insisted and not self.supervised:
            logger.warning("%s", text)

    def say_farewell(self) -> None:
        """Leave things as they should be without the rest of the program."""
        self.clean_up()
        logger.warning("something has not ended in time: ending without it")
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()


@dataclass
class Remaining:
    """What a server that stops waits for.

    Attributes:
        connections: how many connections.
        addresses: the first addresses of their peers that are known.
        handlers: how many handlers that go on without their connections.
        silent: how many workers that do not say.

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
        """A line for the log; "" if there is nothing."""
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
            f"waiting for {' and '.join(parts)}; a second Ctrl-C or SIGTERM ends "
            "this at once"
        )


def counted(number: int, noun: str) -> str:
    """Write how many there are of something."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
