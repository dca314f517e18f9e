"""Tables of attacks: the test that covers each, its bound, and what was measured.

``python -m tests.attacks`` prints them, as they stand in ``docs/security.md``, where
``--write`` puts them. Beside both forms of ours the same bytes are given to the
installed ``websockets``, through the protocol object that has no I/O in it.
"""

from __future__ import annotations

import argparse
import platform
import re
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import sansocket

from .conftest import FORMS
from .core.costs import COPIED, LINES
from .core.floods import FLOODS, Flood, bound, run
from .core.reference import theirs
from .source import ROOT
from .verdicts import ATTACKS

PAGE = ROOT / "docs" / "security.md"
LARGER = 8  # times the size of the test, to leave constants behind
LIBRARIES: dict[str, Any] = {
    "compiled": FORMS.get("compiled"),
    "interpreted": FORMS.get("pure"),
    "websockets": theirs,
}


def versions() -> str:
    """What the figures were measured with."""
    return (
        f"sansocket {sansocket.__version__}, websockets {theirs.__version__}, "
        f"CPython {platform.python_version()}, zlib {zlib.ZLIB_RUNTIME_VERSION}, "
        f"{platform.system()} {platform.machine()}"
    )


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def head(*cells: str) -> Iterator[str]:
    yield row(*cells)
    yield "|" + "---|" * len(cells)


@cache
def scale(flood: Flood) -> int:
    """How much larger than in the test a flood may be without meeting a limit."""
    large = run(
        flood, LIBRARIES["interpreted"], flood.sides[0], flood.size * 4 * LARGER
    )
    return LARGER if large.ends == flood.ends else 1


def measured(flood: Flood, impl: Any) -> str:
    """What a flood does to a library: outcome, work ratio, bytes for each byte."""
    side, size = flood.sides[0], flood.size * scale(flood)
    try:
        some, more = (run(flood, impl, side, size * k) for k in (1, 4))
    except Exception as exc:
        return f"raises {type(exc).__name__}"
    lines = more.cost.lines / max(some.cost.lines, 1)
    held = max(more.cost.held - some.cost.held, 0) / (more.received - some.received)
    peak = more.cost.peak / 1024
    return f"{more.ends}; {lines:.1f}; {held:.1f} n; {peak:.0f} KiB"


def flood_rule(flood: Flood) -> list[str]:
    """What of a row is no figure: the page must have it as the test has it."""
    return [f"{flood.sec}: {flood.name}", f"{flood.ends}; {bound(flood)}"]


def flood_table() -> Iterator[str]:
    yield from head("flood", "asserted", *LIBRARIES)
    for flood in FLOODS:
        cells = [
            "not built" if impl is None else measured(flood, impl)
            for impl in LIBRARIES.values()
        ]
        yield row(*flood_rule(flood), *cells)


def verdict_rule(attack: Any) -> list[str]:
    return [f"{attack.sec}: {attack.name}", f"`{attack.test}`", attack.ours]


def verdict_table() -> Iterator[str]:
    yield from head("attack", "test", "sansocket, asserted", "websockets")
    for attack in ATTACKS:
        yield row(*verdict_rule(attack), attack.act(theirs))


def section(name: str, lines: Iterator[str]) -> str:
    body = "\n".join(lines)
    return f"<!-- {name} -->\n\n{body}\n\n<!-- end of {name} -->"


def sections() -> dict[str, str]:
    """The parts of the page that are made here."""
    rules = (
        f"Measured with {versions()}. Asserted of every flood: four times the input "
        f"runs at most {LINES} times the lines of Python, and copies at most {COPIED} "
        "times the bytes."
    )
    return {
        "versions": section("versions", iter([rules])),
        "floods": section("floods", flood_table()),
        "verdicts": section("verdicts", verdict_table()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the tables of attacks.")
    parser.add_argument("--write", action="store_true", help="put them into the page")
    made = sections()
    if not parser.parse_args().write:
        print("\n\n".join(made.values()))
        return
    text = PAGE.read_text(encoding="utf-8")
    for name, content in made.items():
        pattern = f"<!-- {name} -->.*<!-- end of {name} -->"
        text, count = re.subn(pattern, lambda _: content, text, flags=re.DOTALL)  # noqa: B023
        assert count == 1, name
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
