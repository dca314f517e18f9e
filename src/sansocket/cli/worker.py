"""A worker process: how the supervisor starts, commands and watches it."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import threading

from .ending import LAST, Ending, Interrupted, Remaining
from .log import set_up_logging
from .server import serve_here
from .values import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from typing import Any

    from .settings import Settings

__all__ = ["Worker"]

PROCESSES = multiprocessing.get_context("spawn")
# Commands to a worker. It answers with pairs: READY and what is wrong ("" if nothing
# is), or REMAINING and what it is waiting for.
STOP, HURRY, WHO = "stop", "hurry", "who"
READY, REMAINING = "ready", "remaining"
# A terminal sends these to all of its processes; only the supervisor handles them.
OF_TERMINALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)
]


class Worker:
    """A worker process, from the supervisor's point of view.

    Args:
        settings: settings of the server.
        sockets: listening sockets.

    Attributes:
        process: the process.
        begun: resolves to "" once it serves, to an error message if it cannot, or to
            ``None`` if it ended without either.
        ended: resolves to its exit status.
        remaining: what it is waiting for, once it was asked and has answered.

    Raises:
        OSError: if the system cannot start a process.
    """

    def __init__(self, settings: Settings, sockets: Sequence[socket.socket]) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.begun: asyncio.Future[str | None] = self.loop.create_future()
        self.ended: asyncio.Future[int] = self.loop.create_future()
        self.remaining: Remaining | None = None
        ours, theirs = PROCESSES.Pipe()
        self.control: Connection[Any, Any] = ours
        self.process: SpawnProcess = PROCESSES.Process(
            target=work, args=(settings, sockets, theirs)
        )
        # The new process inherits the block, and lifts it once it handles the signals.
        signal.pthread_sigmask(signal.SIG_BLOCK, OF_TERMINALS)
        try:
            self.process.start()
        except BaseException:
            self.control.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_TERMINALS)
            theirs.close()
        self.loop.add_reader(self.control.fileno(), self.hear)
        self.watched: int = descriptor_of(self.process)
        self.loop.add_reader(self.watched, self.collect)

    def __str__(self) -> str:
        return f"worker {self.process.pid}"

    def fate(self) -> str:
        """Describe how the process ended."""
        status = self.ended.result()
        return f"signal {-status}" if status < 0 else f"status {status}"

    def tell(self, word: str) -> None:
        """Send it a command; do nothing if it is gone."""
        if word == WHO:
            self.remaining = None
        with contextlib.suppress(OSError):
            self.control.send(word)

    def hear(self) -> bool:
        """Receive one answer; return whether more may follow."""
        try:
            kind, value = self.control.recv()
        except (EOFError, OSError):
            self.loop.remove_reader(self.control.fileno())
            return False
        if kind == REMAINING:
            self.remaining = value
        else:
            self.begun.set_result(value)
        return True

    def collect(self) -> None:
        """Record its exit status, and its last answers."""
        self.loop.remove_reader(self.watched)
        with contextlib.suppress(OSError):  # reset, if it left something unread
            while self.control.poll() and self.hear():
                pass
        self.loop.remove_reader(self.control.fileno())
        self.process.join()
        if self.watched != self.process.sentinel:
            os.close(self.watched)
        self.control.close()
        assert self.process.exitcode is not None
        self.ended.set_result(self.process.exitcode)
        if not self.begun.done():
            self.begun.set_result(None)


def descriptor_of(process: Any) -> int:
    """Return a file descriptor that becomes readable once a process has ended.

    That of ``multiprocessing`` does not while a process forked by a handler is alive.
    """
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(process.pid)
    sentinel: int = process.sentinel
    return sentinel


# In the worker.


def work(
    settings: Settings, sockets: Sequence[socket.socket], control: Connection
) -> None:
    """Serve, and report once whether that succeeded."""
    patience = 2 * settings.close_timeout + LAST
    ending = Ending(patience, [signal.SIGTERM], supervised=True)
    for number in OF_TERMINALS:
        # A function, not SIG_IGN: programs started by a handler would inherit that.
        signal.signal(number, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_TERMINALS)
    threading.Thread(target=listen, args=(control, ending), daemon=True).start()
    set_up_logging(settings.verbose)
    # After two changes of equal size within a second, a .pyc file would be stale.
    sys.dont_write_bytecode = sys.dont_write_bytecode or settings.reload

    def say(problem: str) -> None:
        with contextlib.suppress(OSError):  # the supervisor is gone
            control.send((READY, problem))

    try:
        with ending.interruptible():
            serve_here(settings, sockets, lambda: say(""), ending)
    except CommandError as exc:
        say(str(exc))
        sys.exit(1)
    except Interrupted:
        pass
    finally:
        ending.finish()


def listen(control: Connection, ending: Ending) -> None:
    """Obey the supervisor; stop when it is gone."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            word = control.recv()
            if word == STOP:
                os.kill(os.getpid(), signal.SIGTERM)
            elif word == HURRY:
                ending.insist()
            else:  # WHO
                control.send((REMAINING, ending.remaining()))
    os.kill(os.getpid(), signal.SIGTERM)
