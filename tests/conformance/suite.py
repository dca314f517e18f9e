"""The Autobahn test suite in an environment of its own: it needs CPython 2.7.

A 2.7 that is installed somewhere is enough: an old virtualenv, which today's Python
still runs, makes the environment, and the pip in it does the rest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "conformance"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
VIRTUALENV = "virtualenv==20.21.1"  # the last one that makes environments of 2.7

VARIABLE = "SANSOCKET_PYTHON27"
ASK_VERSION = "import platform; print(platform.python_version())"
ASK_CASES = (
    "from autobahntestsuite.case import Cases\n"
    "for case in Cases: print('.'.join(case.__name__[4:].split('_')))"
)


def python27_candidates() -> Iterator[str]:
    """Where a 2.7 may be, likely places first."""
    yield from filter(None, [shutil.which("python2.7"), shutil.which("python2")])
    roots = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")]
    if pyenv := shutil.which("pyenv"):
        roots.insert(0, output_of([pyenv, "root"]))
    for root in filter(None, roots):
        yield from map(str, sorted(Path(root).glob("versions/2.7*/bin/python2.7")))


def output_of(command: list[str]) -> str:
    """What a command prints; nothing if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def find_python27(wanted: str | None = None) -> str:
    """The path of a CPython 2.7 that runs; ``wanted`` or SANSOCKET_PYTHON27 name it.

    Raises:
        LookupError: if there is none.

    """
    wanted = wanted or os.environ.get(VARIABLE)
    for path in [wanted] if wanted else python27_candidates():
        # A shim of pyenv is there even where its Python is not to be used.
        if output_of([path, "-c", ASK_VERSION]).startswith("2.7."):
            return path
    place = wanted or f"PATH or pyenv; install one, or name it in {VARIABLE}"
    raise LookupError(f"no CPython 2.7, which the suite needs, in {place}")


class Suite:
    """The suite, installed under ``folder``."""

    def __init__(self, folder: Path = BUILD) -> None:
        self.folder = folder
        self.tools = folder / "tools"
        self.environment = folder / "autobahn"
        self.python = self.environment / "bin" / "python"
        self.installed = self.environment / "installed.txt"

    def install(self, python27: str | None = None) -> None:
        """Make the environment, unless it is there and has what it should have."""
        requirements = REQUIREMENTS.read_text(encoding="utf-8")
        if self.has(requirements):
            return
        found = find_python27(python27)
        print(f"installing the suite for {found}", flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "install.log"
        with log.open("w", encoding="utf-8") as file:
            for command in self.install_commands(found):
                if subprocess.run(command, stdout=file, stderr=file).returncode:
                    raise RuntimeError(f"{command} failed, see {log}")
        self.installed.write_text(requirements, encoding="utf-8")

    def has(self, requirements: str) -> bool:
        """Whether the environment is there, and was made of these requirements."""
        if not (self.python.exists() and self.installed.exists()):
            return False
        return self.installed.read_text(encoding="utf-8") == requirements

    def install_commands(self, python27: str) -> list[list[str]]:
        """The commands that make the environment."""
        tool = str(self.tools / "bin" / "python")
        environment, python = str(self.environment), str(self.python)
        pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        return [
            [sys.executable, "-m", "venv", "--clear", str(self.tools)],
            [tool, *pip, VIRTUALENV],
            [tool, "-m", "virtualenv", "--clear", "--python", python27, environment],
            [python, *pip, "--no-deps", "--requirement", str(REQUIREMENTS)],
        ]

    def cases(self) -> list[str]:
        """All cases that the suite has."""
        return subprocess.run(
            [str(self.python), "-c", ASK_CASES],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()

    def command(self, mode: str, spec: Path) -> list[str]:
        """The command that runs the suite."""
        wstest = str(self.environment / "bin" / "wstest")
        # Without -u what it prints would come late, without -u 0 it would also serve
        # pages on a port of its own.
        return [
            *(str(self.python), "-u", wstest),
            *("--mode", mode, "--spec", str(spec), "--webport", "0"),
        ]
