"""Following a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.children import Child

from .progress import follow, lines_of


def python(program: str) -> Child:
    return Child(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    cases = "[print('Running test case ID 1.1.%d for agent x' % n) for n in range(120)]"
    with python(f"print('Hello'); {cases}; print('Bye')") as process:
        assert follow(process, 120) == ["Hello", "Bye"]
    shown = capsys.readouterr().out.splitlines()
    assert shown == ["50 of 120: 1.1.49", "100 of 120: 1.1.99", "120 of 120: 1.1.119"]


def test_a_process_that_is_stuck_is_given_up() -> None:
    with (
        python("input()") as process,
        pytest.raises(TimeoutError, match="nothing happened"),
    ):
        next(lines_of(process, 0))
