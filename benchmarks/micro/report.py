"""The tables: figures of every contender, and ratios beside their targets."""

from __future__ import annotations

from collections.abc import Iterable

from .contenders import KEYS
from .results import Line, Results
from .targets import LIMITS, TARGETS, Target, pure_target
from .timing import Spread

__all__ = ["render"]

HEADINGS = {
    "compiled": "ours",
    "pure": "ours pure",
    "websockets": "websockets",
    "websockets_pure": "ws no ext",
    "wsproto": "wsproto",
    "floor": "floor",
}

LEGEND = """\
Over 1 means that ours is faster. Medians of the ratio within each round, [quartiles].
vs websockets   websockets / ours, both compiled; "must", "aim": targets of the project
vs wsproto      wsproto / ours compiled
by floor        ours compiled / floor (the most it should be)
pure            websockets without its extension / ours interpreted (the least)
!  a target is missed     !! a "must" is missed     -  not measured, or no target"""

Row = list[str]


def render(results: Results) -> str:
    """Return the whole report as text."""
    parts = [_environment(results)]
    groups = dict.fromkeys(line.group for line in results.lines)
    for group in groups:
        lines = [line for line in results.lines if line.group == group]
        unit = lines[0].unit
        title = {"us": "CPU microseconds per operation", "ms": "CPU milliseconds"}[unit]
        parts += [f"== {group}: {title} ==", _table(_figures(lines))]
        if group == "import":
            parts.append(_table(_limits(lines)))
        else:
            parts += [f"== {group}: ratios ==", _table(_ratios(lines))]
    if results.memory:
        parts += ["== memory: bytes per connection ==", _table(_memory(results))]
    parts.append(LEGEND)
    if results.problems:
        parts.append("NOT TIMED, wrong result:\n" + "\n".join(results.problems))
    return "\n\n".join(parts)


def _environment(results: Results) -> str:
    width = max(map(len, results.environment))
    lines = [f"{k.ljust(width)}  {v}" for k, v in results.environment.items()]
    return "\n".join(lines + [f"note: {note}" for note in results.notes])


def _figures(lines: list[Line]) -> list[Row]:
    keys = [key for key in KEYS if any(line.rounds.get(key) for line in lines)]
    rows = [["scenario", *(HEADINGS[key] for key in keys), "spread of ours"]]
    for line in lines:
        ours = "compiled" if line.rounds.get("compiled") else "pure"
        values = line.rounds.get(ours)
        rows.append(
            [line.name, *(_number(line.median(key)) for key in keys), _spread(values)]
        )
    return rows


def _spread(values: list[float] | None) -> str:
    if not values:
        return "-"
    return f"{_number(min(values))} .. {_number(max(values))}"


def _ratios(lines: list[Line]) -> list[Row]:
    heading = ["scenario", "vs websockets", "must", "aim", "", "vs wsproto"]
    rows = [[*heading, "by floor", "pure"]]
    for line in lines:
        target = TARGETS.get((line.group, line.name))
        versus = line.ratio("compiled", "websockets")
        wsproto = line.ratio("compiled", "wsproto")
        rows.append(
            [
                line.name,
                _ratio(versus),
                f"{target.must:g}" if target else "-",
                f"{target.aim:g}" if target else "-",
                _verdict(versus, target),
                _number(wsproto.median) if wsproto else "-",
                _by_floor(line, target),
                _pure(line),
            ]
        )
    return rows


def _ratio(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    low, high = _number(spread.low), _number(spread.high)
    return f"{_number(spread.median)} [{low} {high}]"


def _verdict(versus: Spread | None, target: Target | None) -> str:
    if versus is None:
        return ""
    if target is None:
        return "!" if versus.median < 1 else ""
    return _mark(versus.median >= target.must, versus.median >= target.aim)


def _by_floor(line: Line, target: Target | None) -> str:
    spread = line.ratio("floor", "compiled")
    if spread is None:
        return "-"
    text = _number(spread.median)
    if target is None or target.floor is None:
        return text
    mark = "" if spread.median <= target.floor else " !"
    return f"{text} ({target.floor:g}){mark}"


def _pure(line: Line) -> str:
    spread = line.ratio("pure", "websockets_pure")
    if spread is None:
        return "-"
    least = pure_target(line.group, line.name)
    mark = "" if spread.median >= least else " !!"
    return f"{_number(spread.median)} ({least:g}){mark}"


def _limits(lines: list[Line]) -> list[Row]:
    return [
        ["limit, ms", "ours", "must", "aim", ""],
        *(_limit((e.group, e.name), e.median("compiled")) for e in lines),
    ]


def _limit(key: tuple[str, str], value: float | None) -> Row:
    limit = LIMITS.get(key)
    if limit is None:
        return [key[1], _number(value), "-", "-", ""]
    mark = "" if value is None else _mark(value <= limit.must, value <= limit.aim)
    return [key[1], _number(value), f"{limit.must:g}", f"{limit.aim:g}", mark]


def _memory(results: Results) -> list[Row]:
    modes = ("traced", "heap", "resident")
    rows = [["state, contender", "counted", "must", "aim", "", *modes]]
    for state, contenders in results.memory.items():
        for key, figures in contenders.items():
            limit = _limit(("memory", state), _counted(figures))[1:]
            if key != "compiled":  # the limits are for the compiled form
                limit = [limit[0], "-", "-", ""]
            others = (_number(figures.get(mode)) for mode in modes)
            rows.append([f"{state}: {HEADINGS[key]}", *limit, *others])
    return rows


def _counted(figures: dict[str, float]) -> float | None:
    """Return what is traced, or the heap if it shows what C libraries took besides."""
    traced, heap = figures.get("traced"), figures.get("heap")
    if traced is None or heap is None:
        return traced
    # Bookkeeping of malloc is about a fifth.
    return heap if heap > 1.4 * traced else traced


def _mark(must: bool, aim: bool) -> str:
    return "" if must and aim else "!" if must else "!!"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:.0f}"
    digits = 1 if value >= 100 else 2 if value >= 10 else 3
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
