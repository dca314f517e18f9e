"""CPU time of importing the server module, in fresh processes, interleaved."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .pure import package_directory

__all__ = ["STATEMENTS", "measure_imports"]

# The pure form imports the same name from a folder without extension modules.
STATEMENTS = {
    "compiled": "import sansocket.server",
    "pure": "import sansocket.server",
    "websockets": "import websockets.server",
    "websockets_pure": "import websockets.server",
    "wsproto": "import wsproto",
}
_PACKAGES = {"pure": "sansocket", "websockets_pure": "websockets"}


def measure_imports(keys: list[str], rounds: int) -> dict[str, list[float]]:
    """Return milliseconds of each round, a bare interpreter's of that round subtracted.

    Raises ``RuntimeError`` if a module cannot be imported.
    """
    keys = [key for key in keys if key in STATEMENTS]
    with tempfile.TemporaryDirectory() as folder:
        paths = {key: _path(key, Path(folder)) for key in keys}
        results: dict[str, list[float]] = {key: [] for key in keys}
        for key in keys:  # the first run writes the bytecode
            _run(STATEMENTS[key], paths[key])
        for number in range(rounds):
            shift = number % len(keys)
            bare = _run("pass", "")
            for key in keys[shift:] + keys[:shift]:
                spent = _run(STATEMENTS[key], paths[key])
                results[key].append((spent - bare) * 1e3)
    return results


def _path(key: str, folder: Path) -> str:
    """Return the folder to import from first: a copy of the source for pure forms."""
    if key == "compiled":
        return str(package_directory("sansocket").parent)
    package = _PACKAGES.get(key)
    if package is None:
        return ""
    ignore = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(package_directory(package), folder / key / package, ignore=ignore)
    return str(folder / key)


def _run(statement: str, path: str) -> float:
    """Return the CPU seconds, user and system, of a Python that runs ``statement``."""
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="")
    old = environment.get("PYTHONPATH", "")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (path, old)))
    before = _children()
    done = subprocess.run(
        [sys.executable, "-c", statement],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    spent = _children() - before
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return spent


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
