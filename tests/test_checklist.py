"""Every requirement of ``docs/requirements.md`` has a test, and no other is cited.

A test names an item in its own name (``test_spec_042_...``, ``test_sec_07_...``) or in
any string (``SPEC-042``, ``SEC-07``, ``choice g``), where it may have several.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

from .requirements import (
    PAGE,
    entries,
    line_of,
    mentions_in_source,
    named,
    pages,
    with_tests,
)

TEXT = PAGE.read_text(encoding="utf-8")
ENTRIES = entries(TEXT)
NAMES = [entry.name for entry in ENTRIES]

WRITE = "`python -m tests.requirements --write` mends the page"


def test_every_requirement_is_on_the_page_once() -> None:
    assert TEXT.count('<a id="') == len(ENTRIES), "an entry does not look like one"
    assert [name for name, count in Counter(NAMES).items() if count > 1] == []
    for kind, width in ("SPEC", 3), ("SEC", 2):
        numbers = [name for name in NAMES if re.fullmatch(rf"{kind}-\d+", name)]
        assert numbers == [f"{kind}-{n + 1:0{width}}" for n in range(len(numbers))]
    for entry in ENTRIES:
        assert entry.anchor == entry.name.lower().replace(" ", "-")


def test_every_demand_has_its_section_of_an_rfc() -> None:
    section = re.compile(r"\bRFC \d{4}, \d+(\.\d+)*\b")
    bare = [e.name for e in ENTRIES if not section.search(e.demand)]
    assert [name for name in bare if not name.startswith("SEC-")] == []


def test_every_requirement_has_a_test_or_a_reason() -> None:
    """``No test: ?`` is what ``--write`` puts where it finds none."""
    for entry in ENTRIES:
        if entry.name not in named():
            assert re.match(r"No test: [^?]", entry.tests or ""), (
                f"no test names {entry.name}, in its own name or in a string: "
                "name it in one, or write 'No test: ' and the reason on the page"
            )


def test_the_page_names_the_tests() -> None:
    for entry in ENTRIES:
        if entry.name in named():
            assert entry.tests == line_of(entry.name), f"{entry.name}: {WRITE}"
    assert with_tests(TEXT) == TEXT, WRITE


def test_what_is_cited_is_on_the_page() -> None:
    known = set(NAMES)
    cited = pages()
    for item, files in named().items():
        for file in files:
            cited[f"tests/{file}"].add(item)
    unknown = {file: items - known for file, items in cited.items() if items - known}
    assert unknown == {}, f"not in {PAGE.name}"


def test_links_within_the_page() -> None:
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
    anchors |= {entry.anchor for entry in ENTRIES}
    assert set(re.findall(r"\]\(#(.*?)\)", TEXT)) <= anchors


def test_writing_the_page_changes_the_tests_only() -> None:
    start, end = "# x\n\n", "\n\n## y\n\nz\n"
    one = '- <a id="spec-001"></a>**SPEC-001** MUST, both: a.\n  RFC 6455, 5.'
    two = '- <a id="spec-104"></a>**SPEC-104** MUST, both: b.'
    none = "\\\n  No test: not yet."
    new = f"{start}{one}\\\n  {line_of('SPEC-001')}\n{two}{none}{end}"
    assert with_tests(f"{start}{one}\n{two}{none}{end}") == new
    assert with_tests(new.replace("`core/", "`gone/")) == new
    assert with_tests(new) == new
    assert with_tests(start + two + end) == f"{start}{two}\\\n  No test: ?{end}"


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("def test_spec_042_x(): ...", {"SPEC-042"}),
        ("def test_spec_042_043_x(): ...", {"SPEC-042", "SPEC-043"}),
        ("def test_spec_079d_sec_07(): ...", {"SPEC-079d", "SEC-07"}),
        ("async def test_sec_7(): ...", set()),
        ("def test_choice_g_x(): ...", {"choice g"}),
        ("def test_sec_07_choice_g(): ...", {"SEC-07", "choice g"}),
        ("def test_choice_gx(): ...", set()),
        ("'SPEC-042, SEC-7: x'", {"SPEC-042"}),
        ("'SPEC-042 and SEC-07'", {"SPEC-042", "SEC-07"}),
        ("'Choice p, SEC-07, choice g: x'", {"choice g", "choice p", "SEC-07"}),
        ("'a choice a user has'", set()),
        ("CASES = [('spec_060 spec_061 x', 1)]", {"SPEC-060", "SPEC-061"}),
        ("x = 1  # SPEC-042", set()),
        ("'SPEC-0421, spec_042nd'", set()),
    ],
)
def test_mentions_are_found(source: str, items: set[str]) -> None:
    assert mentions_in_source(source).keys() == items
