"""The reference implementation, for the tests that run both.

``theirs`` is the installed ``websockets``, with its modules loaded: they have the names
of ours, so the helpers in ``support.py`` take it for a form of our package.
"""

from __future__ import annotations

import importlib
import re
from typing import Any, NamedTuple

import pytest

from ..source import ROOT

theirs: Any = importlib.import_module("websockets")
for _name in (
    "client",
    "datastructures",
    "exceptions",
    "extensions.base",
    "extensions.permessage_deflate",
    "frames",
    "http11",
    "protocol",
    "proxy",
    "server",
    "uri",
):
    importlib.import_module(f"websockets.{_name}")

needs_release = pytest.mark.skipif(
    int(theirs.__version__.partition(".")[0]) < 17,
    reason="needs websockets 17, which Python 3.10 cannot have",
)


class Row(NamedTuple):
    """A row of the page: what the peer or the caller does, and what comes of it."""

    ident: str
    action: str
    theirs: str
    ours: str
    reason: str


def read_page() -> tuple[str, dict[str, Row]]:
    """The page of differences, and its rows."""
    text = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    rows = {}
    for line in text.splitlines():
        if re.match(r"\| D-\d", line):
            row = Row(*(cell.strip() for cell in line.strip("|").split(" | ")))
            assert row.ident not in rows, f"{row.ident} is there twice"
            rows[row.ident] = row
    return text, rows


PAGE, ROWS = read_page()


def outcome(protocol: Any) -> str:
    """What has become of a connection, in the words of the page."""
    if protocol.parser_exc is not None:
        return f"fails with {int(protocol.close_sent.code)}"
    if protocol.close_rcvd is not None:
        return f"answers {int(protocol.close_sent.code)}"
    return "delivers" if protocol.events_received() else "waits"


def answer(protocol: Any) -> str:
    """How a server has answered a request: a status, or the half-close alone."""
    data = b"".join(protocol.data_to_send())
    if data:
        assert data.startswith(b"HTTP/1.1 ")
        return data[9:12].decode()
    return "only half-closes" if protocol.eof_sent else "waits"
