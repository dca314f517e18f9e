"""The tables: figures of every contender, and ratios to the main rivals."""

from __future__ import annotations

from collections.abc import Iterable

from .contenders import CONTENDERS, FLOOR
from .results import Line, Results
from .targets import verdicts

__all__ = ["render"]

RIVALS = ("picows", "picows.websockets", "websockets")

LEGEND = f"""\
cost           time that the server's process was on its core, or its memory: the median
               of the rounds, and the least and the most
vs RIVAL       how many times this cost the rival has: over 1, this one is cheaper
by {FLOOR}       how many times the cost of {FLOOR} this one has
               Ratios are taken within each round; the median is shown."""

Row = list[str]


def render(results: Results) -> str:
    """Return the whole report as text."""
    parts = [_environment(results)]
    for line in results.lines:
        if line.rounds:
            heading = f"== {line.title} ({line.scenario}), {line.loop} =="
            parts.append(f"{heading}\n{_table(_rows(line))}")
    parts.append(LEGEND)
    if targets := verdicts(results):
        parts.append("== targets ==\n" + "\n".join(targets))
    if results.problems:
        parts.append("NOT MEASURED, failed:\n" + "\n".join(results.problems))
    return "\n\n".join(parts)


def _environment(results: Results) -> str:
    width = max(map(len, results.environment))
    lines = [f"{k.ljust(width)}  {v}" for k, v in results.environment.items()]
    return "\n".join(lines + [f"note: {note}" for note in results.notes])


def _rows(line: Line) -> list[Row]:
    rivals = [rival for rival in RIVALS if rival in line.rounds]
    heading = ["", line.unit, "least", "most", "a second"]
    heading += [f"vs {rival}" for rival in rivals] + [f"by {FLOOR}"]
    rows = [heading]
    for contender in CONTENDERS:
        costs = line.costs(contender)
        if not costs:
            continue
        rate = line.rate(contender)
        rows.append(
            [
                contender,
                *map(_number, (line.cost(contender), min(costs), max(costs))),
                "-" if rate is None else f"{rate:,.0f}",
                *(_number(line.ratio(contender, rival)) for rival in rivals),
                _number(line.ratio(FLOOR, contender)),
            ]
        )
    return rows


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 1 if value >= 20 else 2
    return f"{value:.{digits}f}"


def _table(rows: list[Row]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_join(row, widths) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _join(row: Row, widths: Iterable[int]) -> str:
    first, *others = (
        text.rjust(width) if place else text.ljust(width)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *others])
