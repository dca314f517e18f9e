"""Log lines and messages: nothing of the peer's reaches a terminal as it is."""

from __future__ import annotations

import logging
import sys

import pytest

from sansocket.cli.log import OneLineFormatter, printable
from sansocket.cli.terminal import shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wörld 🎈 e\u0301", "Wörld 🎈 e\u0301"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("a\tb\r\n", r"a\tb\r\n"),
        ("\x1b[31m\x9b\x7f\x00", r"\x1b[31m\x9b\x7f\x00"),
        ("\u202e\u2066\ufeff", r"\u202e\u2066\ufeff"),
        ("it's \\x1b", "it's \\x1b"),
    ],
)
def test_printable(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_sec_40_every_character_alone() -> None:
    """Whatever a peer sends is printable or a joiner when it is shown (SEC-40)."""
    for number in range(sys.maxunicode + 1):
        one = chr(number)
        text = printable(one)
        assert text.isprintable() or one in "\u200c\u200d"


def test_lines_of_a_message_are_indented() -> None:
    assert shown("a\n< b\n\x0b") == "a\n  < b\n  \\x0b"
    assert shown(b"\x00\x1b") == "00 1b"


def line_of(level: int, message: str, failed: bool = False) -> str:
    """What is logged."""
    error = ValueError("bad")
    info = (ValueError, error, None) if failed else None
    record = logging.LogRecord("sansocket", level, "", 0, message, None, info)
    formatter = OneLineFormatter("%(levelname)s %(peer)s %(message)s")
    return formatter.format(record)


def test_a_record_is_one_line_that_is_cut() -> None:
    line = line_of(logging.INFO, "a\n\x1b" + "b" * 1000)
    assert line.startswith(r"INFO sansocket a\n\x1bbbb")
    assert line.endswith("bbb...")
    assert len(line) == 300


def test_only_errors_show_a_traceback() -> None:
    assert line_of(logging.WARNING, "text", failed=True) == "WARNING sansocket text"
    assert line_of(logging.ERROR, "text", failed=True).endswith("ValueError: bad")
