"""What a typed line means."""

from __future__ import annotations

import pytest

from sansocket.cli.commands import Close, Help, LineError, Ping, Send, parse_line


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("", Send("")),
        ("hello", Send("hello")),
        (" /ping", Send(" /ping")),
        ("//ping", Send("/ping")),
        ("/hex", Send(b"")),
        ("/hex 00fF 1b", Send(b"\x00\xff\x1b")),
        ("/ping", Ping()),
        ("/ping ", Ping()),
        ("/help", Help()),
        ("/close", Close(1000, "")),
        ("/close 3000", Close(3000, "")),
        ("/close 3000  good bye ", Close(3000, "good bye")),
    ],
)
def test_lines(line: str, command: object) -> None:
    assert parse_line(line) == command


@pytest.mark.parametrize(
    "line",
    [
        *("/", "/sing", "/Ping", "/ping x", "/help me", "/hex 0", "/hex xy"),
        *("/close now", "/close 10000", "/close 1", "/hexadecimal"),
    ],
)
def test_what_means_nothing(line: str) -> None:
    with pytest.raises(LineError):
        parse_line(line)
