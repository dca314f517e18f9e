"""Interleaved rounds: every contender once a round, the order rotated."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .scenarios import Task

__all__ = ["Spread", "measure", "ratio"]


class Spread:
    """Median and quartiles of the rounds."""

    def __init__(self, values: list[float]) -> None:
        self.values = values
        self.median = statistics.median(values)
        if len(values) > 1:
            self.low, _, self.high = statistics.quantiles(
                values, n=4, method="inclusive"
            )
        else:
            self.low = self.high = self.median


def measure(
    tasks: dict[str, Task], rounds: int, budget: float
) -> dict[str, list[float]]:
    """Return CPU microseconds per operation of each round, by contender.

    ``budget`` is the time in seconds that one turn of one contender should take; a
    pass that takes longer runs once.
    """
    repeats = {key: _calibrate(task, budget) for key, task in tasks.items()}
    order = list(tasks)
    results: dict[str, list[float]] = {key: [] for key in tasks}
    with _steady():
        for _ in range(rounds):
            for key in order:
                task = tasks[key]
                spent = _clock(task.run, repeats[key])
                results[key].append(spent / repeats[key] / task.operations / 1e3)
            order.append(order.pop(0))
    return results


def ratio(ours: list[float], theirs: list[float]) -> Spread:
    """Return theirs divided by ours, round by round."""
    return Spread([b / a for a, b in zip(ours, theirs, strict=True)])


def _calibrate(task: Task, budget: float) -> int:
    spent = min(_clock(task.run, 1) for _ in range(2))
    return max(1, int(budget * 1e9 / max(spent, 1)))


def _clock(run: Callable[[], None], repeats: int) -> int:
    start = time.process_time_ns()
    for _ in range(repeats):
        run()
    return time.process_time_ns() - start


@contextmanager
def _steady() -> Iterator[None]:
    """Keep the collector on, as servers do, but off what the benchmark itself holds."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
