"""Memory of an open connection, over many of them in a fresh process.

Run as a module it is that process: ``python -m benchmarks.micro.memory KEY STATE``.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import wire
from .contenders import WINDOW_BITS, load

__all__ = ["MODES", "STATES", "measure_memory"]

MODES = ("heap", "traced", "resident")
# After the handshake; with deflate agreed; after the first message each way with it.
STATES = ("open", "open, deflate agreed", "open, deflate used")
ROOT = Path(__file__).parents[2]


def measure_memory(
    key: str, state: str, count: int, modes: Sequence[str] = MODES
) -> dict[str, float]:
    """Return bytes per connection.

    ``heap`` is all that malloc gave out, C libraries included, with Python's own
    allocator switched off; ``traced`` what Python knows of; ``resident`` the growth of
    the process. Raises ``RuntimeError`` with the output of a child that failed.
    """
    results = {}
    for mode in modes:
        environment = dict(os.environ)
        environment.pop("PYTHONMALLOC", None)
        if mode == "heap":
            environment["PYTHONMALLOC"] = "malloc"
        arguments = [key, state, mode, str(count)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.micro.memory", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        value = json.loads(done.stdout)
        if value is not None:
            results[mode] = value
    return results


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _heap() -> int | None:
    """Return bytes given out by malloc, None where it cannot tell (not glibc)."""
    try:
        function = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return None
    function.restype = _Mallinfo2
    info = function()
    return int(info.uordblks + info.hblkhd)


def _resident() -> int | None:
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _traced() -> int | None:
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


_READERS = {"heap": _heap, "traced": _traced, "resident": _resident}


def _child(key: str, state: str, mode: str, count: int) -> float | None:
    contender = load(key)
    read = _READERS[mode]
    kept: list[Any] = [None] * count
    # Whatever is made once for all connections is made by the first ones.
    for _ in range(20):
        _open(contender, state)
    gc.collect()
    before = read()
    for number in range(count):
        kept[number] = _open(contender, state)
    gc.collect()
    after = read()
    return None if before is None or after is None else (after - before) / count


def _open(contender: Any, state: str) -> Any:
    deflate = "deflate" in state
    connection = contender.server(deflate)
    if "used" in state:
        text = wire.json_text(256, 1)
        frames = wire.compressed([wire.Wire(wire.TEXT, text)], WINDOW_BITS)
        contender.received(connection, wire.encode(frames))
        contender.sent(connection, wire.TEXT, [text])
    return connection


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))))
