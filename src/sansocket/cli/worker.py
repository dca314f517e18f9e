"""A process that serves for a supervisor: how it is started, told and watched."""

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
    from typing import Any

    from .settings import Settings

__all__ = ["Worker"]

PROCESSES = multiprocessing.get_context("spawn")
# What a worker is told. Its answers are pairs: READY and what is wrong, or nothing;
# REMAINING and that.
STOP, HURRY, WHO = "stop", "hurry", "who"
READY, REMAINING = "ready", "remaining"
# Those that a terminal sends to all its processes. They are for the supervisor alone.
OF_TERMINALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)
]


class Worker:
    """A process that serves, as its supervisor sees it.

    Args:
        settings: what to do.
        sockets: where to listen.

    Attributes:
        process: the process.
        begun: "" once it serves, or what it said is wrong; ``None`` if it ended before
            it could say.
        ended: its exit status, once it has one.
        remaining: what it waits for, if it was asked and has answered.

    Raises:
        OSError: if the system lets no process start.

    """

    def __init__(self, settings: Settings, sockets: Sequence[socket.socket]) -> None:
        self.loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[str | None] = self.loop.create_future()
        self.ended: asyncio.Future[int] = self.loop.create_future()
        self.remaining: Remaining | None = None
        self.control, theirs = PROCESSES.Pipe()
        self.process = PROCESSES.Process(target=work, args=(settings, sockets, theirs))
        # What is blocked here stays so in the new process until it is ready for it.
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
        self.watched = descriptor_of(self.process)
        self.loop.add_reader(self.watched, self.collect)

    def __str__(self) -> str:
        return f"worker {self.process.pid}"

    def fate(self) -> str:
        """How it ended, in words."""
        status = self.ended.result()
        return f"signal {-status}" if status < 0 else f"status {status}"

    def tell(self, word: str) -> None:
        """Tell it something; if it is gone, that does nothing."""
        if word == WHO:
            self.remaining = None
        with contextlib.suppress(OSError):
            self.control.send(word)

    def hear(self) -> bool:
        """Take what it says; tell whether it may say more."""
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
        """Take note of its end, and of its last words."""
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
    """A file descriptor that is readable once a process has ended.

    The one of ``multiprocessing`` is not while a process lives that a handler forked.
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
    """Serve, and say once whether that works."""
    patience = 2 * settings.close_timeout + LAST
    ending = Ending(patience, [signal.SIGTERM], supervised=True)
    for number in OF_TERMINALS:
        # A function rather than SIG_IGN, which programs that a handler starts inherit.
        signal.signal(number, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_TERMINALS)
    threading.Thread(target=listen, args=(control, ending), daemon=True).start()
    set_up_logging(settings.verbose)
    # Two changes of the same size within a second would give what was compiled first.
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
    """Do what the supervisor says; stop when it is gone."""
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
