"""Runs many programs in several processes, and collects the faults."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import time
import weakref
from collections.abc import Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count
from typing import TypeAlias

from .programs import KINDS, make
from .running import run

BATCH = 50  # programs that a process runs before it tells

Failed: TypeAlias = list[tuple[int, str, str]]  # seed, kind of fault, text


class Search:
    """A search for programs that fail.

    Args:
        kind: of the programs; ``None`` for all.
        form: of the package.
        goes_on: whether it does not end with the first that fails.
        wanted: kinds of faults to look for; all, if there are none.

    """

    def __init__(
        self,
        kind: str | None,
        form: str,
        goes_on: bool,
        wanted: Collection[str] = (),
    ) -> None:
        self.wanted = wanted
        self.kind = kind
        self.form = form
        self.goes_on = goes_on
        self.failed: Failed = []
        self.done = 0
        self.started = time.monotonic()

    def run(
        self, first: int, programs: int, minutes: float | None, processes: int
    ) -> Failed:
        """Run so many programs, or for so long; give what failed."""
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, prepare) as pool:
            running: set[Future[Failed]] = set()
            for seeds in self._batches(first, programs, minutes):
                if self.failed and not self.goes_on:
                    break
                running.add(pool.submit(run_all, seeds, self.kind, self.form))
                if len(running) > processes:
                    ready, running = wait(running, return_when=FIRST_COMPLETED)
                    self._take(ready)
            self._take(running)
        print(file=sys.stderr)
        return sorted(self.failed)

    def _batches(
        self, first: int, programs: int, minutes: float | None
    ) -> Iterator[range]:
        for start in count(first, BATCH):
            if minutes is not None:
                if time.monotonic() > self.started + 60 * minutes:
                    return
            elif start >= first + programs:
                return
            size = BATCH if minutes else min(BATCH, first + programs - start)
            yield range(start, start + size)

    def _take(self, ready: set[Future[Failed]]) -> None:
        for future in ready:
            self.failed += [
                one
                for one in future.result()
                if not self.wanted or one[1] in self.wanted
            ]
            self.done += BATCH
        seconds = time.monotonic() - self.started
        faults = len({seed for seed, _, _ in self.failed})
        text = f"{self.done} programs, {seconds:.0f} s, {faults} failed"
        print(f"\r{text}", end="", file=sys.stderr, flush=True)


def prepare() -> None:
    """Let what stays be no work for the collector of garbage after each program."""
    for kind in KINDS:
        run(make(0, kind))
    gc.collect()
    gc.freeze()


def run_all(seeds: range, kind: str | None, form: str) -> Failed:
    """Run programs; tell which have failed, and how."""
    failed: Failed = []
    loops = []
    for seed in seeds:
        world = run(make(seed, kind), form)
        loops.append(weakref.ref(world.loop))
        faults = {fault.kind: fault.text for fault in world.faults}
        failed += [(seed, fault_kind, text) for fault_kind, text in faults.items()]
    del world
    gc.collect()
    left = [seed for seed, loop in zip(seeds, loops, strict=True) if loop() is not None]
    if left:
        failed.append((left[0], "loop lives on", f"{len(left)} of {len(seeds)}"))
    return failed
