"""Where messages go: what a terminal gets of them, and what a file."""

from __future__ import annotations

import contextlib
import io
import logging.handlers
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sansocket.cli.terminal import (
    Pipe,
    Terminal,
    choose,
    history_file,
    log_to_standard_error,
)

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

HOSTILE = "\x1b[2Jtext\n> forged"


@pytest.fixture
def tty() -> Iterator[Any]:
    """A file that is a terminal; ``shows()`` compares what it shows next."""
    ours, theirs = os.openpty()

    def shows(expected: str) -> bool:
        found = b""
        while len(found) < len(expected.encode()):
            found += os.read(ours, 65536)
        return found.decode() == expected

    with open(theirs, "w", encoding="utf-8") as file:
        file.shows = shows  # type: ignore[attr-defined]
        yield file
    os.close(ours)


@contextlib.contextmanager
def chosen() -> Iterator[Pipe]:
    """What fits the standard input and output of the moment."""
    found = choose(quiet=True, history=False)
    try:
        yield found
    finally:
        found.wake.close()
        found.woken.close()


def test_sec_40_a_terminal_behind_a_pipe_gets_nothing_harmful(
    monkeypatch: pytest.MonkeyPatch, tty: Any
) -> None:
    """As with ``echo hi | sansocket connect ...`` (SEC-40)."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys, "stdout", tty)
    with chosen() as pipe:
        assert not pipe.interactive
        pipe.receive(HOSTILE)
        assert tty.shows("\\x1b[2Jtext\r\n  > forged\r\n")
        pipe.receive(b"\x00\xff")
        assert tty.shows("00 ff\r\n")


def test_a_file_gets_messages_as_they_are(
    monkeypatch: pytest.MonkeyPatch, tty: Any, tmp_path: Path
) -> None:
    """Also from a person at a terminal, as with ``sansocket connect ... > file``."""
    monkeypatch.setattr(sys, "stdin", tty)
    with (tmp_path / "file").open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)
        with chosen() as terminal:
            assert terminal.interactive
            assert type(terminal) is Terminal
            terminal.receive(HOSTILE)
            terminal.receive(b"\x00\xff")
    assert (tmp_path / "file").read_text(encoding="utf-8") == f"{HOSTILE}\n00ff\n"


def test_a_terminal_that_can_do_little(
    monkeypatch: pytest.MonkeyPatch, tty: Any
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stdin", tty)
    monkeypatch.setattr(sys, "stdout", tty)
    with chosen() as terminal:
        assert type(terminal) is Terminal
        terminal.receive(HOSTILE)
        assert tty.shows("< \\x1b[2Jtext\r\n  > forged\r\n")


def test_only_the_log_that_is_shown_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What goes elsewhere, and not to a stream, stays there."""
    shown, elsewhere = io.StringIO(), logging.handlers.BufferingHandler(10)
    root = logging.getLogger()
    handlers = [logging.StreamHandler(io.StringIO()), elsewhere]
    monkeypatch.setattr(root, "handlers", handlers)
    monkeypatch.setattr(sys, "stderr", shown)
    log_to_standard_error()
    root.warning("above the prompt")
    assert shown.getvalue() == "above the prompt\n"
    assert len(elsewhere.buffer) == 1


def test_the_history_is_for_its_owner_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = history_file()
    assert path == tmp_path / "state" / "sansocket" / "history"
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_there_is_no_history_where_it_cannot_be_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("not a folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert history_file() is None
