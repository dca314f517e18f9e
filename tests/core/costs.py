"""What input costs: work and memory by counting, never by a clock.

The measure of work is made of two counts.

* ``lines``: lines of Python that ran. The interpreted form shows all its loops here.
* ``copied``: bytes that were allocated, by each line and each step, also if they were
  given back at once. A buffer that is copied for every read or frame shows here, in
  both forms: between two steps, which are reads, and inside of one wherever Python
  runs, as it does for every frame where ``recv_frame`` is overridden.

What it cannot see: a loop inside one call of C code that allocates nothing, such as a
search that begins anew (those are bounded by the limits on lines), and copies that C
code makes and drops between two lines of Python, but for the largest. The loops of the
compiled form are those of the interpreted one, as they are one source; ``_native``,
which is not, loops over its arguments only. Memory that zlib takes for
itself is seen in the interpreted form alone.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, NamedTuple

SMALL = 512  # bytes: a line that allocates no more counts as a line only

LINES = 6
COPIED = 10
"""How much more four times the input may cost: 4 is linear and 16 is quadratic.
Buffers that triple when they are full lie between 4 and 9."""
CONSTANT_LINES = 100
CONSTANT_BYTES = 16_384


class Cost(NamedTuple):
    """What a number of steps has cost."""

    lines: int
    copied: int
    held: int  # bytes that are allocated afterwards
    peak: int  # and at most

    def is_linear(self, fourfold: Cost) -> bool:
        """Whether four times the input cost no more than linear work would."""
        return (
            fourfold.lines <= LINES * self.lines + CONSTANT_LINES
            and fourfold.copied <= COPIED * self.copied + CONSTANT_BYTES
        )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let no other thread run: what those of pytest-xdist allocate would count, too.

    Nor is garbage collected: what is freed in cycles would count as not held.
    """
    interval, collecting = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(3600)
    time.sleep(0.0001)  # a thread that waits already would still come after 5 ms
    gc.disable()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if collecting:
            gc.enable()


@alone()
def cost(steps: Iterable[object]) -> Cost:
    """Let all steps be made, and count."""
    lines = copied = highest = last = 0
    memory, reset = tracemalloc.get_traced_memory, tracemalloc.reset_peak

    def note(frame: FrameType | None, event: str, arg: Any) -> Any:
        """Add what was allocated since the last time."""
        nonlocal lines, copied, highest, last
        if event == "call":
            return note
        now, peak = memory()
        if peak > last + SMALL:
            copied += peak - last
            if peak > highest:
                highest = peak
        last = now
        reset()
        if event == "line":
            lines += 1
        return note

    tracer = sys.gettrace()
    tracemalloc.start()
    try:
        first = last = highest = memory()[0]
        reset()
        sys.settrace(note)
        try:
            for _ in steps:
                note(None, "step", None)
        finally:
            sys.settrace(tracer)
        note(None, "step", None)
        return Cost(lines, copied, last - first, max(highest, last) - first)
    finally:
        tracemalloc.stop()


@alone()
def held(action: Callable[[], object]) -> tuple[int, int]:
    """Bytes that are allocated after an action, and at its peak.

    What only the garbage collector would free counts as held. Nobody traces meanwhile:
    the table in which coverage notes the lines that ran grows by some 30 kB at once.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        action()
        now, peak = tracemalloc.get_traced_memory()
        return now - before, peak - before
    finally:
        tracemalloc.stop()
        sys.settrace(tracer)
