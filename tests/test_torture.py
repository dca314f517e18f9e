"""The command that tortures: what it prints, and its exit status.

``core/test_equality.py`` has the tests of what it finds.
"""

from __future__ import annotations

from typing import Any

import pytest

from . import torture
from .torture import Torture, main


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Torture.__init__, "__defaults__", (3, 4096))
    monkeypatch.setattr(torture, "WARM", 1)


def test_all_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--inputs", "20", "--seed", "5"]) == 0
    out, progress = capsys.readouterr()
    assert "seed 5" in out
    assert out.endswith("all well\n")
    assert "\n20 inputs in " in out
    assert progress.startswith("100% 20 inputs")


def test_it_stops_when_the_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--minutes", "0.000001"]) == 0
    assert "\n64 inputs in " in capsys.readouterr().out


def test_a_failure_tells_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check_output(kind: str, output: bytes) -> None:
        if kind == "client-tight":
            raise AssertionError("a fault")

    monkeypatch.setattr(torture, "check_output", check_output)
    assert main(["--seed", "5"]) == 1
    error = capsys.readouterr().err
    assert "a fault" in error
    assert "again with: --seed 5 --inputs 5\n" in error


def test_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def step(self: Torture) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Torture, "step", step)
    assert main([]) == 130
    assert "interrupted after 0 inputs" in capsys.readouterr().err


def test_a_process_that_grows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = iter([10**6, 10**9, 10**9])
    monkeypatch.setattr(torture, "process_size", lambda: next(sizes))
    assert main(["--inputs", "10"]) == 1
    assert "grown from 1,000,000 to 1,000,000,000 bytes" in capsys.readouterr().err


def test_a_seed_gives_the_same_inputs() -> None:
    def plans(seed: int) -> list[Any]:
        tried = Torture({}, seed, pool=3)
        return [tried.next_plan(kind) for kind in tried.kinds * 3]

    assert plans(1) == plans(1)
    assert plans(1) != plans(2)
