"""``sansocket connect`` as a process of its own, whose input stays open."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from ..children import Child
from .support import command, environment


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command; it is ended with the block, if it has not ended before."""
    process = Child(
        [sys.executable, "-m", "sansocket", "connect", *arguments],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        yield process


def send(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Write to standard input."""
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def send_for_ever(process: subprocess.Popen[bytes]) -> None:
    """Write lines to standard input until nobody reads them."""
    with contextlib.suppress(BrokenPipeError):
        while True:
            send(process, b"more\n" * 1000)


def wait_for(process: subprocess.Popen[bytes], part: bytes) -> None:
    """Wait for a line on standard error that has this in it."""
    assert process.stderr is not None
    for line in process.stderr:
        if part in line:
            return
    raise AssertionError(f"no line with {part!r}")


def status(*arguments: str, stdin: str = "") -> tuple[int, str]:
    """The exit status, and the last line on standard error."""
    done = command("connect", *arguments, stdin=stdin)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]
