"""``python -m sansocket.standin``: runs a program that believes in ``websockets``."""

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

Run a Python program in which sansocket stands in for websockets, and so it does
in all Python processes that the program starts.

PROGRAM is one of
  NAME        a command that an installed package brings, such as uvicorn
  -m MODULE   a module, as for python -m
  PATH        a file of Python code, with a "/" in the path or ".py" at the end

The exit status is that of the program; 2 if there is no such program, 1 if
sansocket cannot stand in.
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
        return fail("no program is given; --help tells more")
    return prepare_and(run, words)


def prepare_and(run: Callable[[str], int], words: list[str]) -> int:
    """Stand in, here and in processes to come, and run the program."""
    try:
        install()
    except RuntimeError as exc:
        return fail(str(exc), 1)
    # Processes get it by the environment. Those of multiprocessing get this path, too.
    paths = [str(PATH), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    sys.path.insert(0 if is_path_safe() else 1, str(PATH))
    sys.argv[:] = words
    return run(words[0])


def run_command(name: str) -> int:
    """Do what the script does that pip makes for a command."""
    found = list(entry_points(group="console_scripts", name=name))
    if not found:
        return fail(f"no installed package brings a command {name!r}")
    sys.argv[0] = shutil.which(name) or name
    # Programs look there for how they were started: not by "python -m sansocket".
    sys.modules["__main__"] = ModuleType("__main__")
    sys.exit(found[0].load()())


def run_module(name: str) -> int:
    """Do what ``python -m`` does."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        return fail(f"no module named {name!r}")
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


def run_path(path: str) -> int:
    """Do what ``python`` does with a file."""
    if not Path(path).exists():
        return fail(f"no file {path!r}")
    if not is_path_safe():
        sys.path[0] = str(Path(path).resolve().parent)
    runpy.run_path(path, run_name="__main__")
    return 0


def is_path_safe() -> bool:
    """Whether ``sys.path`` begins without the folder of the program (``python -P``)."""
    return bool(getattr(sys.flags, "safe_path", False))  # new in Python 3.11


def fail(message: str, status: int = 2) -> int:
    """Say what is wrong; return an exit status."""
    print(f"python -m sansocket.standin: error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
