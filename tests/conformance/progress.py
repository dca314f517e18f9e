"""Following a process by the lines that it prints, and giving up if it is stuck."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator

STUCK = 600  # seconds; no case may take longer than 480

# The suite prints the like when it examines a server.
CASE = re.compile(r"Running test case ID ([\d.]+)")


def announce(case: str) -> None:
    """Print that a case begins."""
    print(f"Running test case ID {case}", flush=True)


def lines_of(process: subprocess.Popen[str], patience: float) -> Iterator[str]:
    """The lines that a process prints, until it closes its standard output.

    Raises:
        TimeoutError: if there is none for ``patience`` seconds.

    """
    # Not a SimpleQueue, which may wait for ever on Python 3.10 if there is no patience.
    found: queue.Queue[str | None] = queue.Queue()
    stream = process.stdout
    assert stream is not None

    def read() -> None:
        for line in stream:
            found.put(line.rstrip())
        found.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = found.get(timeout=patience)
        except queue.Empty:
            raise TimeoutError(f"nothing happened for {patience} seconds") from None
        if line is None:
            return
        yield line


def follow(process: subprocess.Popen[str], total: int) -> list[str]:
    """Show how far a process is with the cases; return what else it printed."""
    others, number = [], 0
    for line in lines_of(process, STUCK):
        if match := CASE.match(line):
            number += 1
            show(number, total, match[1])
        else:
            others.append(line)
    if number and sys.stdout.isatty():
        print()
    return others


def show(number: int, total: int, case: str) -> None:
    """On a terminal one line that changes; in a log one line for every 50 cases."""
    if sys.stdout.isatty():
        print(f"\r{number} of {total}: {case:10}", end="", flush=True)
    elif number % 50 == 0 or number == total:
        print(f"{number} of {total}: {case}", flush=True)
