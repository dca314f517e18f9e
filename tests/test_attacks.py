"""The page about attacks says what the tests assert, and names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Any

import pytest

from .attacks import PAGE, flood_rule, verdict_rule
from .core.costs import COPIED, LINES
from .core.floods import FLOODS
from .source import ROOT, parse
from .verdicts import ATTACKS, Attack

TEXT = PAGE.read_text(encoding="utf-8")
NAME = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: f"{a.sec}: {a.name}"[:60])
def test_verdicts(impl: Any, attack: Attack) -> None:
    assert attack.act(impl) == attack.ours


def rows(name: str) -> list[list[str]]:
    """Cells of the rows of a table of the page, without its head."""
    found = re.search(f"<!-- {name} -->(.*)<!-- end of {name} -->", TEXT, re.DOTALL)
    assert found is not None
    lines = [line for line in found[1].splitlines() if line.startswith("| ")]
    return [line[2:-2].split(" | ") for line in lines[1:]]


def test_rows_of_floods_are_what_is_asserted() -> None:
    assert [row[:2] for row in rows("floods")] == [flood_rule(f) for f in FLOODS]
    assert f"at most {LINES} times the lines" in TEXT
    assert f"at most {COPIED} times the bytes" in TEXT


def test_rows_of_verdicts_are_what_is_asserted() -> None:
    assert [row[:3] for row in rows("verdicts")] == [verdict_rule(a) for a in ATTACKS]


def test_the_floods_of_ours_end_on_the_page_as_asserted() -> None:
    """Only figures may differ from one machine to another."""
    for _, asserted, compiled, interpreted, _ in rows("floods"):
        for cell in compiled, interpreted:
            assert cell.split("; ")[0] == asserted.split("; ")[0]


@cache
def functions_of(path: str) -> set[str]:
    tree = parse(ROOT / path)
    return {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


def test_tests_that_are_named_exist() -> None:
    named = NAME.findall(TEXT) + NAME.findall(
        f"`{'` `'.join(a.test for a in ATTACKS)}`"
    )
    assert len(named) > len(ATTACKS)
    missing = [
        f"{path}::{name}" for path, name in named if name not in functions_of(path)
    ]
    assert not missing


def test_the_rest_of_the_page_is_not_made() -> None:
    """Each section has its place, once."""
    for name in "versions", "floods", "verdicts":
        assert (
            TEXT.count(f"<!-- {name} -->") == TEXT.count(f"<!-- end of {name} -->") == 1
        )


def test_links() -> None:
    for name in "SECURITY.md", "docs/security.md", "README.md":
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (ROOT / name).parent.joinpath(target).exists(), (name, target)
