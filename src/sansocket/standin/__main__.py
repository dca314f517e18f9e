"""``python -m sansocket.standin``: runs a program that imports ``websockets``."""

from __future__ import annotations

import importlib.util
import os
import runpy
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from . import PATH, install

__all__ = ["main"]

HELP = """\
usage: python -m sansocket.standin [--] PROGRAM [ARGUMENT ...]

Run a Python program with sansocket in place of websockets. Python processes that
the program starts are included.

PROGRAM is one of
  NAME        a command provided by an installed package, such as uvicorn
  -m MODULE   a module, as for python -m
  PATH        a Python file, with "/" in its path or ".py" at its end

The exit status is that of the program, or 2 if there is no such program, or 1 if
sansocket cannot stand in for websockets.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program that the arguments name; return an exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0
    if words[:1] == ["--"]:
        del words[0]
    run: Callable[[str], int] = run_command
    if words[:1] == ["-m"]:
        del words[0]
        run = run_module
    elif words and (words[0].endswith(".py") or Path(words[0]).name != words[0]):
        run = run_path
    if not words or words[0].startswith("-"):
        return fail("no program given; see --help")
    return prepare_and(run, words)


def prepare_and(run: Callable[[str], int], words: list[str]) -> int:
    """Stand in for ``websockets``, here and in child processes; run the program."""
    try:
        install()
    except RuntimeError as exc:
        return fail(str(exc), 1)
    # Child processes inherit the environment; those of multiprocessing, sys.path too.
    paths = [str(PATH), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    sys.path.insert(0 if is_path_safe() else 1, str(PATH))
    sys.argv[:] = words
    return run(words[0])


def run_command(name: str) -> int:
    """Do the same as the script that pip installs for a command."""
    found = list(entry_points(group="console_scripts", name=name))
    if not found:
        return fail(f"no installed package provides a command {name!r}")
    sys.argv[0] = shutil.which(name) or name
    # Programs look there for how they were started: hide "python -m sansocket.standin".
    sys.modules["__main__"] = ModuleType("__main__")
    sys.exit(found[0].load()())


def run_module(name: str) -> int:
    """Do the same as ``python -m``."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        return fail(f"no module named {name!r}")
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


def run_path(path: str) -> int:
    """Do the same as ``python`` with a file."""
    if not Path(path).exists():
        return fail(f"no such file: {path!r}")
    if not is_path_safe():
        sys.path[0] = str(Path(path).resolve().parent)
    runpy.run_path(path, run_name="__main__")
    return 0


def is_path_safe() -> bool:
    """Whether ``sys.path`` lacks the directory of the program (``python -P``)."""
    return bool(getattr(sys.flags, "safe_path", False))  # new in Python 3.11


def fail(message: str, status: int = 2) -> int:
    """Print an error message; return an exit status."""
    print(f"python -m sansocket.standin: error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
