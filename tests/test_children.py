"""Processes of the tests end with them, however the tests end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .children import Child, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not on Windows")

TIMEOUT = 60.0  # seconds that nothing here should ever take

# Starts a child that starts one itself; both of them ignore what they can. They hold
# the standard output, whose end tells that they are gone.
TESTS = """
import signal, sys, time
from tests.children import Child
stubborn = '''
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
os.write(1, b"here." if os.fork() else b"there.")
time.sleep(3600)
'''
children = [Child([sys.executable, "-c", stubborn]) for _ in range(2)]
%s
"""
WAYS = {
    "kill": (signal.SIGKILL, "time.sleep(3600)"),
    "terminate": (signal.SIGTERM, "time.sleep(3600)"),
    "return": (0, "sys.stdin.readline()"),
    "fork": (signal.SIGKILL, "import os; os.fork() or os.close(1); time.sleep(3600)"),
}


@pytest.mark.parametrize("way", WAYS)
def test_children_end_with_the_tests(way: str) -> None:
    number, last = WAYS[way]
    tests = Child(
        [sys.executable, "-c", TESTS % last],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tests:
        assert tests.stdout is not None
        assert tests.stdin is not None
        said = tests.stdout.read(len("here.there.") * 2)
        assert sorted(said.split(".")) == ["", "here", "here", "there", "there"]
        if number:
            tests.send_signal(number)
        else:
            tests.stdin.write("\n")
            tests.stdin.flush()
        assert tests.stdout.read() == ""  # none of them holds it any more


def test_end_kills_what_a_child_started() -> None:
    program = "import os, time; print(os.fork(), flush=True); time.sleep(3600)"
    child = Child([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline()
        child.end()
        child.stdout.read()
    assert child.returncode == -signal.SIGKILL
    child.end()  # again changes nothing


def test_a_child_is_the_program_itself() -> None:
    program = "import os; print(os.getpid(), os.getpgrp()); raise SystemExit(7)"
    with Child([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        output, _ = child.communicate(timeout=TIMEOUT)
        assert output.split() == [b"%d" % child.pid] * 2
        assert child.returncode == 7


def test_run() -> None:
    program = "import sys; print(sys.stdin.read().upper()); sys.exit(3)"
    done = run(
        [sys.executable, "-c", program],
        input="hi",
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "HI\n", "")
    with pytest.raises(subprocess.CalledProcessError):
        run([sys.executable, "-c", "raise SystemExit(1)"], check=True)


def test_an_argument_is_passed_as_it_is(tmp_path: Path) -> None:
    strange = ["a b", "$HOME", "*", "", "'\"", "-n"]
    program = "import sys; print(ascii(sys.argv[1:]))"
    done = run(
        [sys.executable, "-c", program, *strange], capture_output=True, cwd=tmp_path
    )
    assert done.stdout.decode().strip() == ascii(strange)
    assert os.listdir(tmp_path) == []
