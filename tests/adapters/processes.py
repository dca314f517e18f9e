"""Programs as processes of their own."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sansocket
from tests.children import Child, run

TIMEOUT = 120.0  # seconds that nothing here should ever take
GRACE = 2.0  # seconds to end when asked to


def environment() -> dict[str, str]:
    """Make a process find the package that the tests themselves import."""
    paths = [str(Path(sansocket.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end."""
    return run(
        [sys.executable, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


class Program:
    """A running Python program, started with these arguments of Python.

    Args:
        folder: where it runs.
        blamed: part of the tracebacks that it may not log; all, if empty.

    """

    def __init__(
        self, *arguments: str, folder: Path | None = None, blamed: str = ""
    ) -> None:
        self.blamed = blamed
        self.log = ""  # what it wrote so far, or all if it has ended
        self._ended = False
        self._written = threading.Condition()
        self.process = Child(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment() | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._written:
                self.log += line
                self._written.notify_all()
        with self._written:
            self._ended = True
            self._written.notify_all()

    def wait_for(self, pattern: str) -> str:
        """Wait until it has written something; return the group of the match."""
        with self._written:
            self._written.wait_for(
                lambda: self._ended or re.search(pattern, self.log), TIMEOUT
            )
        found = re.search(pattern, self.log)
        if found is None:
            self.end()
            raise AssertionError(f"{pattern} is not in the log:\n{self.log}")
        return found[1]

    def end(self) -> None:
        """Ask it to end, and make sure that it and what it started are gone."""
        assert self.process.stdout is not None
        if self.process.stdout.closed:
            return  # it was done before
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Sanic with workers hangs if it is asked in its first moments.
            self.process.wait(GRACE)
        self.process.end()
        self._reader.join(TIMEOUT)
        self.process.stdout.close()

    def has_failed(self) -> bool:
        """Whether a traceback is in the log that it may not log."""
        return any(self.blamed in found for found in TRACEBACK.findall(self.log))


TRACEBACK = re.compile(r"Traceback \(most recent call last\):(?:\n .*)*")

Start = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start programs; none of them may ever log a traceback that it is blamed for."""
    programs: list[Program] = []

    def start(*arguments: str, **options: Any) -> Program:
        programs.append(Program(*arguments, **options))
        return programs[-1]

    yield start
    for program in programs:
        program.end()
    logs = [program.log for program in programs if program.has_failed()]
    if logs:
        pytest.fail("\n".join(logs), pytrace=False)
