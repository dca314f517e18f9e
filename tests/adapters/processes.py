"""Programs as processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sansocket

TIMEOUT = 60.0  # seconds that nothing here should ever take


def environment() -> dict[str, str]:
    """Make a process find the package that the tests themselves import."""
    paths = [str(Path(sansocket.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


class Program:
    """A running Python program, started with these arguments of Python."""

    def __init__(self, *arguments: str) -> None:
        self.log = ""  # what it wrote so far, or all if it has ended
        self._ended = False
        self._written = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
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
        assert found, self.log
        return found[1]

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        self.process.terminate()
        status = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return status

    def end(self) -> None:
        """Make sure that it is gone."""
        if self.process.poll() is None:
            self.stop()
        assert self.process.stdout is not None
        self.process.stdout.close()


Start = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start programs; none of them may ever log a traceback."""
    programs: list[Program] = []

    def start(*arguments: str) -> Program:
        programs.append(Program(*arguments))
        return programs[-1]

    yield start
    for program in programs:
        program.end()
    assert not [p.log for p in programs if "Traceback" in p.log]
