"""Finding a CPython 2.7, and knowing whether the suite is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from .suite import REQUIREMENTS, VARIABLE, Suite, find_python27


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a test puts there can be found."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.delenv(VARIABLE, raising=False)


def program(path: Path, output: str, status: int = 0) -> str:
    """A program that prints something."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\nexit {status}\n")
    path.chmod(0o755)
    return str(path)


def test_there_is_none(tmp_path: Path) -> None:
    program(tmp_path / "bin/python2", "3.11.7")
    with pytest.raises(LookupError, match="PATH or pyenv"):
        find_python27()


def test_on_the_path(tmp_path: Path) -> None:
    found = program(tmp_path / "bin/python2.7", "2.7.18")
    assert find_python27() == found


def test_a_shim_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "bin/python2.7", "pyenv: python2.7: command not found", 127)
    found = program(tmp_path / ".pyenv/versions/2.7.18/bin/python2.7", "2.7.18")
    assert find_python27() == found


def test_where_pyenv_says(tmp_path: Path) -> None:
    program(tmp_path / "bin/pyenv", str(tmp_path / "elsewhere"))
    found = program(tmp_path / "elsewhere/versions/2.7.9/bin/python2.7", "2.7.9")
    assert find_python27() == found


def test_the_one_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin/python2.7", "2.7.18")
    named = program(tmp_path / "mine", "2.7.10")
    assert find_python27(named) == named
    monkeypatch.setenv(VARIABLE, named)
    assert find_python27() == named
    with pytest.raises(LookupError, match="/nonexistent"):
        find_python27("/nonexistent")


def test_what_was_installed_is_used_until_requirements_change(tmp_path: Path) -> None:
    suite = Suite(tmp_path / "build")
    with pytest.raises(LookupError):
        suite.install()
    suite.installed.parent.mkdir(parents=True)
    suite.installed.write_text(REQUIREMENTS.read_text())
    with pytest.raises(LookupError):
        suite.install()  # the record alone is not enough
    program(suite.python, "2.7.18")
    suite.install()
    suite.installed.write_text("autobahntestsuite==0.8.2\n")
    with pytest.raises(LookupError):
        suite.install()
