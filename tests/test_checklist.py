"""Every item of the two lists that bind this layer is named by a test.

SPEC items are the demands of RFC 6455, 7692 and of HTTP; SEC rows are attacks that
other libraries fell to. A test names an item in its own name (``test_spec_042_...``,
``test_sec_07_...``) or in any string (``SPEC-042``, ``SEC-07``), where it may have
several. What only a driver can do is in the tables below, with the reason.
"""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from .source import TESTS

SPEC_ITEMS = [
    *(f"{number:03}" for number in range(1, 104) if number != 79),
    *(f"079{letter}" for letter in "abcdefgh"),
]
SEC_ROWS = [f"{number:02}" for number in range(1, 38)]

DRIVERS_ONLY = {
    "SPEC-038": "closing TCP in stages: who holds the socket does it",
    "SPEC-039": "TLS comes before the first byte that this layer sees",
    "SPEC-042": "the number of connections to one address: a connection sees itself",
    "SPEC-043": "a proxy is spoken to before this layer begins",
    "SPEC-044": "TLS, its names and its certificates",
    "SPEC-054": "when to connect again: a connection is made for once",
    "SPEC-079h": "closing TCP and TLS cleanly",
}

MENTION = re.compile(r"(spec|sec)[-_ ](\d{2,3}[a-h]?)(?![0-9a-z])", re.IGNORECASE)
FURTHER = re.compile(r"_(\d{2,3}[a-h]?)(?=_|$)")


def normal(kind: str, number: str) -> str:
    """``SPEC-079d`` for ``spec`` and ``79d``."""
    digits = number.rstrip("abcdefgh")
    width = 3 if kind.lower() == "spec" else 2
    return f"{kind.upper()}-{int(digits):0{width}}{number[len(digits) :]}"


def mentions(text: str) -> set[str]:
    """Items that a string names."""
    return {normal(kind, number) for kind, number in MENTION.findall(text)}


def mentions_in_name(name: str) -> set[str]:
    """Items that a test has in its name: ``test_spec_042_043_and_what_it_shows``."""
    found: set[str] = set()
    for match in MENTION.finditer(name.replace("test_", "", 1)):
        kind, end = match[1], match.end()
        found.add(normal(kind, match[2]))
        rest = name.replace("test_", "", 1)[end:]
        while further := FURTHER.match(rest):
            found.add(normal(kind, further[1]))
            rest = rest[further.end() :]
    return found


def mentions_in_source(source: str) -> set[str]:
    """Items that the tests of a file name; comments do not count."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found |= mentions_in_name(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= mentions(node.value)
    return found


@cache
def named() -> dict[str, set[str]]:
    """Items, each with the files that name it."""
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        if path.name != "test_checklist.py":
            source = path.read_text(encoding="utf-8")
            if not MENTION.search(source):
                continue  # most files: to parse them takes long
            for item in mentions_in_source(source):
                found.setdefault(item, set()).add(path.name)
    return found


def missing(kind: str, items: list[str]) -> list[str]:
    every = [f"{kind}-{item}" for item in items]
    return [item for item in every if item not in DRIVERS_ONLY and item not in named()]


def test_every_spec_item_has_a_test() -> None:
    assert not missing("SPEC", SPEC_ITEMS)


def test_every_security_row_has_a_test() -> None:
    assert not missing("SEC", SEC_ROWS)


def test_the_items_named_exist() -> None:
    every = {f"SPEC-{item}" for item in SPEC_ITEMS} | {"SPEC-079"}
    every |= {f"SPEC-{number:03}" for number in range(104, 114)}  # over HTTP/2 and 3
    every |= {f"SEC-{number:02}" for number in range(1, 42)}
    assert {item: files for item, files in named().items() if item not in every} == {}
    assert DRIVERS_ONLY.keys() <= every
    assert not DRIVERS_ONLY.keys() & named().keys(), "no exception any more"


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("def test_spec_042_x(): ...", {"SPEC-042"}),
        ("def test_spec_042_043_x(): ...", {"SPEC-042", "SPEC-043"}),
        ("def test_spec_079d_sec_07(): ...", {"SPEC-079d", "SEC-07"}),
        ("async def test_sec_7(): ...", set()),
        ("'SPEC-042, SEC-7: x'", {"SPEC-042"}),
        ("'SPEC-042 and SEC-07'", {"SPEC-042", "SEC-07"}),
        ("CASES = [('spec_060 spec_061 x', 1)]", {"SPEC-060", "SPEC-061"}),
        ("x = 1  # SPEC-042", set()),
        ("'SPEC-0421, spec_042nd'", set()),
    ],
)
def test_mentions_are_found(source: str, items: set[str]) -> None:
    assert mentions_in_source(source) == items
