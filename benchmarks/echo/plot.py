"""A picture of a run: ``python -m benchmarks.echo.plot run.json docs/echo.svg``.

One panel for each of the main scenarios. Bars begin at zero and are linear, so that
twice as long means twice as much; each panel has a scale of its own. A line at the end
of a bar goes from the least to the most of the rounds. The colours are on a ground of
their own, which follows the viewer's preference for light or dark.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

from .contenders import CONTENDERS, FLOOR
from .results import Line, Results, load

__all__ = ["write_plot"]

SCENARIOS = (
    *("ping-256", "ping-256x50", "flight-256", "echo-1m"),
    *("broadcast", "open", "idle-10000", "idle-10000-deflate"),
)
# Those that differ from another one only in their transports are left to the tables.
LEFT_OUT = {"picows-loop", "picows.websockets-loop", "raw"}
LOOPS = ("asyncio", "uvloop")

COLUMNS = 2
WIDTH, LABELS, VALUES, MARGIN = 430, 126, 54, 16  # of a panel, and parts of that
BAR, ROW, HEADING = 7, 19, 30  # heights
TOP = 62  # of the whole

STYLE = """\
text { font: 11px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.heading { font-weight: 600; font-size: 12px }
.small { font-size: 9px; fill: #59636e }
.label { text-anchor: end }
.ground { fill: #ffffff; stroke: #d1d9e0 }
.axis { stroke: #d1d9e0 }
.spread { stroke: #1f2328; stroke-opacity: .55 }
.ours.asyncio { fill: #6cb6ff } .ours.uvloop { fill: #0969da }
.other.asyncio { fill: #c4cbd2 } .other.uvloop { fill: #848d97 }
.floor.asyncio { fill: #f0cf88 } .floor.uvloop { fill: #bf8700 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.small { fill: #9198a1 }
.ground { fill: #0d1117; stroke: #3d444d }
.axis { stroke: #3d444d }
.spread { stroke: #f0f6fc }
.ours.asyncio { fill: #a5d0ff } .ours.uvloop { fill: #388bfd }
.other.asyncio { fill: #9198a1 } .other.uvloop { fill: #59636e }
.floor.asyncio { fill: #f2cc60 } .floor.uvloop { fill: #bb8009 }
}"""


def write_plot(results: Results, path: Path) -> None:
    """Draw the main scenarios of a run that were measured."""
    path.write_text("\n".join(_picture(results)) + "\n", encoding="utf-8")


def _picture(results: Results) -> Iterator[str]:
    panels = []
    for scenario in SCENARIOS:
        lines = [results.line(scenario, loop) for loop in LOOPS]
        found = [line for line in lines if line is not None and line.rounds]
        if found:
            panels.append(found)
    width = COLUMNS * WIDTH + (COLUMNS + 1) * MARGIN
    heights = [
        max(map(_height, panels[start : start + COLUMNS]))
        for start in range(0, len(panels), COLUMNS)
    ]
    height = TOP + sum(heights) + MARGIN
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">'
    )
    yield "<title>What servers cost: less is better</title>"
    yield f"<style>\n{STYLE}\n</style>"
    yield f'<rect class="ground" x=".5" y=".5" width="{width - 1}" '
    yield f'height="{height - 1}" rx="6"/>'
    yield from _heading(results, width)
    top = TOP
    for number, panel in enumerate(panels):
        column = number % COLUMNS
        left = MARGIN + column * (WIDTH + MARGIN)
        yield f'<g transform="translate({left} {top})">'
        yield from _panel(panel)
        yield "</g>"
        if column == COLUMNS - 1:
            top += heights[number // COLUMNS]
    yield "</svg>"


def _heading(results: Results, width: int) -> Iterator[str]:
    yield f'<text class="title" x="{MARGIN}" y="26">'
    yield "Cost of the server's process: less is better</text>"
    machine = results.environment["machine"].partition(", load")[0]
    python = results.environment["python"].partition(" (")[0]
    rounds = results.environment["rounds"].partition(",")[0]
    text = f"{python}, {machine}; medians of {rounds}; lines from least to most"
    yield f'<text class="small" x="{MARGIN}" y="43">{escape(text)}</text>'
    left = width - MARGIN - 150
    for number, loop in enumerate(LOOPS):
        x = left + number * 80
        for part, kind in enumerate(("ours", "other", "floor")):
            yield f'<rect class="{kind} {loop}" x="{x + part * 9}" y="18" '
            yield 'width="8" height="9"/>'
        yield f'<text x="{x + 31}" y="26">{loop}</text>'


def _height(panel: list[Line]) -> int:
    return HEADING + ROW * len(_shown(panel)) + MARGIN


def _shown(panel: list[Line]) -> list[str]:
    return [
        name
        for name in CONTENDERS
        if name not in LEFT_OUT and any(line.costs(name) for line in panel)
    ]


def _panel(panel: list[Line]) -> Iterator[str]:
    shown = _shown(panel)
    most = max(max(line.costs(name), default=0) for line in panel for name in shown)
    scale = (WIDTH - LABELS - VALUES) / most
    unit = panel[0].unit.replace("µs a", "µs of CPU a").replace("µs each", "µs of CPU")
    title = escape(panel[0].title)
    yield f'<text class="heading" x="0" y="18">{title} '
    yield f'<tspan class="small">{escape(unit)}</tspan></text>'
    for row, name in enumerate(shown):
        y = HEADING + row * ROW
        yield f'<text class="label" x="{LABELS - 6}" y="{y + 12}">{escape(name)}</text>'
        kind = "floor" if name == FLOOR else "ours" if "ours" in name else "other"
        for line in panel:
            if line.costs(name):
                offset = y + 1 + (BAR + 1) * LOOPS.index(line.loop)
                yield from _bar(line, name, f"{kind} {line.loop}", offset, scale)
    bottom = HEADING + ROW * len(shown)
    yield f'<path class="axis" d="M{LABELS} {HEADING - 2}V{bottom}"/>'


def _bar(line: Line, name: str, kind: str, y: int, scale: float) -> Iterator[str]:
    cost, costs = line.cost(name), line.costs(name)
    assert cost is not None
    end, least, most = (
        round(LABELS + scale * value, 1) for value in (cost, min(costs), max(costs))
    )
    middle = y + BAR / 2
    yield f'<rect class="{kind}" x="{LABELS}" y="{y}" '
    yield f'width="{end - LABELS:.1f}" height="{BAR}"/>'
    yield f'<path class="spread" d="M{least} {middle}H{most}"/>'
    digits = 0 if cost >= 100 else 1 if cost >= 10 else 2
    yield f'<text class="small" x="{max(end, most) + 4:.1f}" y="{y + BAR}">'
    yield f"{cost:.{digits}f}</text>"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write_plot(load(Path(sys.argv[1])), Path(sys.argv[2]))
