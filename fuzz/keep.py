"""Chooses the inputs that the tests keep: few and small, and together they cover all
that was covered in the interpreted form and in the models.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.pure import SOURCE
from tests.torture import same_environment

from .seeds import seeds
from .support import FORMS
from .targets import CORPUS, TARGETS, corpus

MOST_FILES = 30
MOST_BYTES = 2048
COVERED = (str(SOURCE), str(Path(__file__).parent))

Arc = tuple[str, int, int]


def arcs(check: Callable[[bytes], None], data: bytes) -> frozenset[Arc]:
    """From which line to which other one the run of an input goes."""
    found: set[Arc] = set()
    last: dict[FrameType, int] = {}

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        name, line = frame.f_code.co_filename, frame.f_lineno
        found.add((name, last.get(frame, 0), line))
        last[frame] = line
        if event == "return":
            del last[frame]
        return local

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        return local if frame.f_code.co_filename.startswith(COVERED) else None

    before = sys.gettrace()  # of coverage, when the tests are measured
    sys.settrace(trace)
    try:
        check(data)
    finally:
        sys.settrace(before)
    return frozenset(found)


def cover(candidates: dict[bytes, frozenset[Arc]]) -> list[bytes]:
    """The inputs that add most, one after the other, the smaller one at a tie."""
    chosen: list[bytes] = []
    missing = frozenset[Arc]().union(*candidates.values())
    while missing and len(chosen) < MOST_FILES:
        best = max(
            candidates, key=lambda data: (len(candidates[data] & missing), -len(data))
        )
        chosen.append(best)
        missing -= candidates[best]
    return chosen


def inputs(target: str, folders: Iterable[Path]) -> set[bytes]:
    """All inputs that may be kept."""
    paths = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    found = {path.read_bytes() for path in paths} | set(seeds(target))
    return {data for data in found if len(data) <= MOST_BYTES}


def keep(target: str, found: Path) -> None:
    """Write the corpus of a target anew, of itself and of what was found."""
    folder = CORPUS / target
    candidates = sorted(
        inputs(target, (folder, found)), key=lambda data: (len(data), data)
    )
    with same_environment(FORMS):
        chosen = cover({data: arcs(TARGETS[target], data) for data in candidates})
    folder.mkdir(parents=True, exist_ok=True)
    for path in corpus(target):
        path.unlink()
    for data in chosen:
        name = hashlib.sha1(data).hexdigest()[:12]
        (folder / name).write_bytes(data)
    size = sum(map(len, chosen))
    print(f"{target}: {len(chosen)} of {len(candidates)} inputs kept, {size} bytes")
