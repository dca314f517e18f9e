"""Runs a program as ``asyncio.run()`` would, and collects all that went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import random as global_random
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

from .judging import judge_ends, judge_logs
from .loop import EndlessTurn, Loop, Stopped
from .programs import Program
from .watching import Fault
from .world import World

CPU_LIMIT = 5.0  # seconds for a program


class Records(logging.Handler):
    """Keeps what is logged, and who logs it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[tuple[logging.LogRecord, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record, not theirs_in_stack()))


def theirs_in_stack() -> bool:
    """Whether the code of ``websockets`` is at work."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("websockets."):
            return True
        if name.startswith("sansocket"):
            return False
        frame = frame.f_back
    return False


LOGGERS = ("sansocket", "websockets", "asyncio")


@contextlib.contextmanager
def recording(world: World) -> Iterator[Records]:
    """Keep what would be told somewhere else."""
    records = Records()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(one.handlers[:], one.propagate, one.level) for one in loggers]
    hook, sys.unraisablehook = (
        sys.unraisablehook,
        lambda one: world.fault(
            "unraisable", f"{one.exc_value!r} in {one.object!r}", one.exc_value
        ),
    )
    for one in loggers:
        one.handlers, one.propagate = [records], False
        one.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda text, *rest, **options: world.warn(str(text))
            yield records
    finally:
        sys.unraisablehook = hook
        for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
            one.handlers, one.propagate = handlers, propagate
            one.setLevel(level)


class CpuLimit(Stopped):
    """A call did not return."""


@contextlib.contextmanager
def cpu_limit(loop: Loop) -> Iterator[None]:
    """Do not hang, even where no step is counted."""

    def alarm(*args: object) -> None:
        loop.selector.stop(CpuLimit(f"more than {CPU_LIMIT} s of CPU"))

    before = signal.signal(signal.SIGVTALRM, alarm)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_LIMIT, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def run(program: Program, form: str = "pure", trace: bool = False) -> World:
    """Run a program; the faults are in what this returns."""
    global_random.seed(program.seed)
    world = World(program, form)
    world.tracing = trace
    collects = gc.isenabled()
    gc.disable()
    try:
        with recording(world) as records, cpu_limit(world.loop):
            _run(world)
            if not world.stopped:
                judge_ends(world)
            faults = world.faults[:]
            world.forget()
            gc.collect()  # what is told only then
            if world.stopped or world.exited:
                world.faults = faults  # what is cut off has no orderly end
            if not world.stopped:
                world.records = records.records
                judge_logs(world)
            world.raised.clear()
            world.loop.contexts.clear()
            faults = world.faults[:]
            gc.collect()  # so that nothing is told to the next program
            world.faults = faults
    finally:
        if collects:
            gc.enable()
    return world


def _run(world: World) -> None:
    loop = world.loop
    main = loop.create_task(world.main())
    try:
        _run_through(world, main)
    except Stopped as exc:
        told = stacks(loop)
        if isinstance(exc, (EndlessTurn, CpuLimit)):
            told = "".join(traceback.format_exception(exc))
        if world.server_driver.ours or not world.exited:
            world.faults.append(Fault(type(exc).__name__, str(exc), told))
        world.stopped = True
        loop.selector.stopped = None  # and with it what its traceback holds
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
    except Exception as exc:
        world.fault("main failed", repr(exc), exc)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        loop.selector.on_turn.clear()


def _run_through(world: World, main: asyncio.Task[Any]) -> None:
    """What ``asyncio.run()`` does."""
    loop = world.loop
    try:
        loop.run_until_complete(main)
    except (SystemExit, KeyboardInterrupt) as exc:
        world.exited = True
        world.note("the program exits", repr(exc))
        world._closing()
        for side in world.sides:
            side.closed_itself = True
        if exc not in world.raised:
            world.fault("unexpected exit", repr(exc), exc)
        while tasks := [task for task in asyncio.all_tasks(loop) if not task.done()]:
            for task in tasks:
                task.cancel()
            try:
                loop.run_until_complete(_gather(tasks))
            except (SystemExit, KeyboardInterrupt):
                continue
    loop.run_until_complete(loop.shutdown_asyncgens())


async def _gather(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def stacks(loop: Loop) -> str:
    """Where all tasks wait."""
    told = io.StringIO()
    for task in asyncio.all_tasks(loop):
        task.print_stack(file=told)
    return told.getvalue()
