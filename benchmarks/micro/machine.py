"""Where a run took place: machine, Python, versions."""

from __future__ import annotations

import os
import platform
import zlib
from pathlib import Path

from .contenders import Contender

__all__ = ["describe"]


def describe(contenders: dict[str, Contender], rounds: int) -> dict[str, str]:
    """Return what a reader needs to judge the figures."""
    versions = [
        f"{key} {contender.version}".strip() for key, contender in contenders.items()
    ]
    try:
        load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    except OSError:
        load = "unknown"
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, load {load} at the start",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": (
            f"{platform.python_implementation()} {platform.python_version()} "
            f"({platform.python_compiler()})"
        ),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "contenders": ", ".join(versions),
        "rounds": f"{rounds}, interleaved, order rotated, CPU time",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
