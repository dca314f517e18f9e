"""A run of the tests that is cut off leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .children import Child
from .source import ROOT

# A test that never ends, with a child; both hold the pipe, whose end tells that they
# are gone. The child outlives a polite end.
TEST = """
import signal, sys, time
from tests.children import Child

CHILD = '''
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
pipe = open(sys.argv[1], "w")
print("here", file=pipe, flush=True)
time.sleep(3600)
'''

def test_for_ever():
    with Child([sys.executable, "-c", CHILD, PATH]), open(PATH, "w") as pipe:
        print("here", file=pipe, flush=True)
        while True:
            time.sleep(1)
"""

# What a shell starts in the background ignores SIGINT, and so does what that starts.
PYTEST = """
import pytest, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
raise SystemExit(pytest.main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="not on Windows")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_is_left(tmp_path: Path, number: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    test = tmp_path / "test_for_ever.py"
    test.write_text(f"PATH = {str(pipe)!r}\n{TEST}")
    options = ["-n", "1", "-p", "no:cacheprovider", "-p", "tests.conftest"]
    configuration = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
    command = [sys.executable, "-c", PYTEST, *options, *configuration, str(test)]
    with (
        Child(command, cwd=ROOT, stdout=subprocess.DEVNULL) as tests,
        pipe.open() as reading,
    ):
        assert [reading.readline() for _ in range(2)] == ["here\n"] * 2
        if number == "SIGINT":  # the terminal sends it to all of them
            os.killpg(tests.pid, signal.SIGINT)
        else:
            tests.send_signal(getattr(signal, number))
        assert reading.read() == ""  # none of them holds it any more
