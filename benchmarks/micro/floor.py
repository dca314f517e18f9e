"""Builds and imports the floor, ``floor.c``, with the C compiler of this Python."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
import sysconfig
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import ModuleType

__all__ = ["FloorError", "load_floor"]

SOURCE = Path(__file__).with_name("floor.c")
BUILD = SOURCE.parents[2] / "build" / "benchmarks"


class FloorError(Exception):
    """The floor cannot be built; the message says why."""


def load_floor() -> ModuleType:
    """Return the module, built anew when its source changed.

    Raises ``FloorError``.
    """
    suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
    target = BUILD / f"floor{suffix}"
    newest = max(file.stat().st_mtime for file in (SOURCE, Path(__file__)))
    if not target.exists() or target.stat().st_mtime < newest:
        _build(target)
    loader = ExtensionFileLoader("floor", str(target))
    spec = importlib.util.spec_from_loader("floor", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def _build(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"building the floor: {target.name}", file=sys.stderr)
    if _compile(target, ["-lz"]) is None:
        return
    problem = _compile(target, ["-DFLOOR_WITHOUT_ZLIB"])
    if problem is not None:
        raise FloorError(f"the floor was not built: {problem}")
    print("no zlib headers: no floor for deflate", file=sys.stderr)


def _compile(target: Path, extra: list[str]) -> str | None:
    linker = sysconfig.get_config_var("LDSHARED") or "cc -shared"
    include = sysconfig.get_paths()["include"]
    flags = ["-O3", "-funroll-loops", "-fPIC", f"-I{include}"]
    command = [*shlex.split(linker), *flags, str(SOURCE)]
    try:
        done = subprocess.run(
            [*command, *extra, "-o", str(target)],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        return f"no C compiler ({error})"
    return None if done.returncode == 0 else done.stderr.strip()
