"""What is counted in the soak, and whether it has grown."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

MEBIBYTE = 2**20
# So many objects of a type may be there by chance: caches fill, the soak keeps figures.
OBJECTS = 50
BLOCKS = 2000  # of Python's memory
MEMORY = (
    8 * MEBIBYTE
)  # bytes of the process, whose allocator keeps some of what is free


class Sample(NamedTuple):
    """What there is while no client is connected."""

    seconds: float
    connections: int  # made so far
    objects: Counter[str]
    blocks: int
    files: int
    tasks: int
    memory: int

    @property
    def row(self) -> str:
        return (
            f"{self.seconds:7.0f} {self.connections:11,} {self.objects.total():9,} "
            f"{self.blocks:9,} {self.files:6} {self.tasks:6} "
            f"{self.memory / MEBIBYTE:9.1f}"
        )


HEAD = "seconds connections   objects    blocks  files  tasks       MiB"


def look(seconds: float, connections: int, tasks: int) -> Sample:
    """Count, once what can be collected is."""
    for _ in range(3):
        gc.collect()
    give_back()
    blocks = sys.getallocatedblocks()
    objects: Counter[str] = Counter()
    for kind, count in Counter(map(type, gc.get_objects())).items():
        # Names are kept once for all samples, or these would grow themselves.
        objects[sys.intern(f"{kind.__module__}.{kind.__qualname__}")] += count
    return Sample(
        seconds, connections, objects, blocks, open_files(), tasks, memory_of_process()
    )


def give_back() -> None:
    """Let the allocator of the C library give back what is free, where it can."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def open_files() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            return len(os.listdir(folder))
    return 0


def memory_of_process() -> int:
    """Resident bytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def growth(samples: Sequence[Sample]) -> list[str]:
    """What is more in all of the last third than it ever was in the first third.

    The first sample does not count: all is made for the first time then.
    """
    samples = samples[1:]
    third = len(samples) // 3
    if third == 0:
        return ["too short to tell: there must be four samples"]
    begin, end = samples[:third], samples[-third:]
    found = []
    for name, allowed in (("files", 0), ("tasks", 0), ("blocks", BLOCKS)):
        before = max(getattr(sample, name) for sample in begin)
        after = min(getattr(sample, name) for sample in end)
        if after > before + allowed:
            found.append(f"{name}: from {before:,} to {after:,}")
    before = max(sample.memory for sample in begin)
    after = min(sample.memory for sample in end)
    if after > before + MEMORY:
        found.append(f"memory: from {before:,} to {after:,} bytes")
    for kind in end[-1].objects:
        before = max(sample.objects[kind] for sample in begin)
        after = min(sample.objects[kind] for sample in end)
        if after > before + OBJECTS:
            found.append(f"objects of {kind}: from {before:,} to {after:,}")
    return found
