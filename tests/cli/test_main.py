"""What the commands say and return before there is a connection or a server."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from sansocket.cli import main, serving
from sansocket.cli.values import say

from .conftest import signals_restored


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """Leave the log as it is."""
    loggers = [logging.getLogger(name) for name in ("sansocket", "asyncio")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def test_ctrl_c_before_a_command_takes_signals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As while it is imported: no traceback, and the status of shells."""

    def interrupt(options: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(serving, "wrong_usage", interrupt)
    with signals_restored():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        assert main(["serve"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("option", ["--workers=2", "--reload"])
def test_workers_are_not_for_windows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.setattr(serving, "sys", SimpleNamespace(platform="win32"))
    assert main(["serve", "app:handler", option]) == 1
    message = "sansocket: error: --workers and --reload do not work on Windows\n"
    assert capsys.readouterr() == ("", message)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_bytes_are_not_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = os.openpty()
    with open(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with pytest.raises(SystemExit) as raised:
            main(["connect", "ws://127.0.0.1/", "--binary"])
        monkeypatch.undo()
    os.close(ours)
    assert raised.value.code == 2
    message = "error: --binary requires a pipe or a file; /hex sends bytes\n"
    assert capsys.readouterr().err.endswith(message)


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes of POSIX")
def test_nobody_reads_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with ``sansocket serve | head -0``: the server goes on."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        say("ws://127.0.0.1:8765/")
        say("and more")
        monkeypatch.undo()
        assert os.path.samestat(os.fstat(output.fileno()), os.stat(os.devnull))
