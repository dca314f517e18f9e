"""``docs/requirements.md``: what each number that tests cite demands, and its tests.

``python -m tests.requirements SPEC-042 choice-g`` lists where tests name these.
``--write`` brings the lines of the page that name the files of tests up to date.
"""

from __future__ import annotations

import argparse
import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .source import ROOT, TESTS, parse_text

PAGE = ROOT / "docs" / "requirements.md"
NOT_TESTS = {"requirements.py", "test_checklist.py"}

# Such as "spec_079d", "SPEC-079d", "choice g:" and "choice_g_".
NUMBER = re.compile(r"(spec|sec)[-_ ](\d{2,3}[a-h]?)(?![0-9a-z])", re.IGNORECASE)
FURTHER = re.compile(r"_(\d{2,3}[a-h]?)(?=_|$)")
CHOICE = re.compile(r"\bchoice[-_ ]([a-z])(?=[_.,:;)\]]|$)", re.I | re.M)

ENTRY = re.compile(
    r'^- <a id="(.*?)"></a>\*\*(.*?)\*\* (.*?)(?=\n\n|\n- )', re.M | re.S
)
TESTED = re.compile(r"\\\n  (Tests|No test): (.*)$")


class Entry(NamedTuple):
    """An entry of the page."""

    anchor: str
    name: str
    demand: str
    tests: str | None  # files that test it, or a reason why none does, after "No test"


def normal(kind: str, number: str) -> str:
    """``SPEC-079d`` for ``spec`` and ``79d``."""
    digits = number.rstrip("abcdefgh")
    width = 3 if kind.lower() == "spec" else 2
    return f"{kind.upper()}-{int(digits):0{width}}{number[len(digits) :]}"


def mentions(text: str) -> set[str]:
    """Items that a text names."""
    found = {normal(kind, number) for kind, number in NUMBER.findall(text)}
    return found | {f"choice {letter.lower()}" for letter in CHOICE.findall(text)}


def mentions_in_name(name: str) -> set[str]:
    """Items that a test has in its name: ``test_spec_042_043_and_what_it_shows``."""
    name = name.removeprefix("test_")
    found = mentions(name.replace("_choice_", " choice_"))
    for match in NUMBER.finditer(name):
        rest = name[match.end() :]
        while further := FURTHER.match(rest):
            found.add(normal(match[1], further[1]))
            rest = rest[further.end() :]
    return found


def mentions_in_source(source: str) -> dict[str, list[int]]:
    """Items that the tests of a file name, with the lines; comments do not count."""
    found: dict[str, list[int]] = {}
    if not (NUMBER.search(source) or "choice" in source.lower()):
        return found  # most files: to parse them takes long
    for node in ast.walk(parse_text(source)):
        items: set[str] = set()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            items = mentions_in_name(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            items = mentions(node.value)
        for item in items:
            found.setdefault(item, []).append(node.lineno)  # type: ignore[attr-defined]
    return found


@cache
def named() -> dict[str, dict[str, list[int]]]:
    """Items, each with the files of tests that name it, and the lines."""
    found: dict[str, dict[str, list[int]]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if path.name not in NOT_TESTS:
            source = path.read_text(encoding="utf-8")
            for item, lines in mentions_in_source(source).items():
                name = path.relative_to(TESTS).as_posix()
                found.setdefault(item, {})[name] = sorted(lines)
    return found


def pages() -> dict[str, set[str]]:
    """Items that other pages, sources and all else of the tests name, by file."""
    paths: list[Path] = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    paths += [*ROOT.glob("src/**/*.p*"), *TESTS.rglob("*.py")]
    return {
        path.relative_to(ROOT).as_posix(): mentions(path.read_text(encoding="utf-8"))
        for path in paths
        if path.name not in NOT_TESTS and path.suffix in (".md", ".py", ".pyx", ".pxd")
    }


def entries(text: str) -> list[Entry]:
    """All entries of the page, in its order."""
    found = []
    for anchor, name, rest in ENTRY.findall(text.rstrip("\n") + "\n\n"):
        tests = TESTED.search(rest)
        demand = rest[: tests.start()] if tests else rest
        found.append(Entry(anchor, name, demand, tests and tests[0][4:]))
    return found


def line_of(item: str) -> str:
    """What the page has to say of the tests of an item."""
    files = ", ".join(f"`{name}`" for name in named().get(item, ()))
    return f"Tests: {files}" if files else "No test: ?"


def with_tests(text: str) -> str:
    """The page, with the files of tests as they are; reasons for no test stay."""

    def rewrite(match: re.Match[str]) -> str:
        whole, name = match[0], match[2]
        line = TESTED.search(whole)
        if name not in named() and line is not None and line[1] == "No test":
            return whole
        demand = whole[: line.start()] if line else whole
        return f"{demand}\\\n  {line_of(name)}"

    return ENTRY.sub(rewrite, text.rstrip("\n") + "\n\n").rstrip("\n") + "\n"


def main() -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m tests.requirements",
        description=__doc__.replace("``", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("items", nargs="*", metavar="ITEM", help="such as SPEC-042")
    parser.add_argument("--write", action="store_true", help="change the page")
    options = parser.parse_args()
    if options.write:
        text = with_tests(PAGE.read_text(encoding="utf-8"))
        PAGE.write_text(text, encoding="utf-8", newline="\n")
    for item in sorted(mentions("\n".join(options.items))):
        for name, lines in named().get(item, {}).items():
            print(*(f"{item}: tests/{name}:{line}" for line in lines), sep="\n")


if __name__ == "__main__":
    main()
