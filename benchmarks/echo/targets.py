"""The targets of the project: how ours is to compare with whom, in which scenario."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .contenders import FLOOR
from .results import Line, Results

__all__ = ["verdicts"]


@dataclass(frozen=True)
class Target:
    """``ours`` costs at most ``factor`` times what ``other`` does."""

    scenario: str
    ours: str
    factor: float
    other: str

    def verdict(self, results: Results, line: Line) -> str | None:
        """How far it is met, if both were measured."""
        ratio = line.ratio(self.other, self.ours)
        if ratio is None:
            return None
        mark = "met   " if ratio <= self.factor else "MISSED"
        return (
            f"{mark}  {line.title}, {line.loop}: {self.ours} costs {ratio:.2f} of "
            f"{self.other}, should be at most {self.factor:.2f}"
        )


@dataclass(frozen=True)
class Limit:
    """What ours may need at most, in the unit of the scenario."""

    scenario: str
    most: float
    more_than: str | None = None  # another scenario, if it is on top of that

    def verdict(self, results: Results, line: Line) -> str | None:
        """How far it is met, if it was measured."""
        cost = line.cost("ours")
        base = (
            None if self.more_than is None else results.line(self.more_than, line.loop)
        )
        less = 0.0 if base is None else base.cost("ours")
        if cost is None or less is None or (self.more_than and base is None):
            return None
        mark = "met   " if cost - less <= self.most else "MISSED"
        than = "" if base is None else f" more than {base.title}"
        return (
            f"{mark}  {line.title}, {line.loop}: ours needs {cost - less:.1f} "
            f"{line.unit}{than}, should be at most {self.most:g}"
        )


def _all() -> Iterator[Target]:
    for scenario in ("ping-16", "ping-16x50", "ping-256", "ping-256x50"):
        yield Target(scenario, "ours", 1, "picows.websockets")
        yield Target(scenario, "ours", 1 / 2, "websockets")
        yield Target(scenario, "ours-callbacks", 1.05, "picows")
    for scenario in ("flight-16", "flight-256"):
        yield Target(scenario, "ours", 1 / 2.5, "picows.websockets")
        yield Target(scenario, "ours-callbacks", 1 / 5, "picows")
    for ours in ("ours", "ours-callbacks"):
        yield Target("echo-1m", ours, 1 / 1.5, "websockets")
    yield Target("broadcast", "ours", 1.1, FLOOR)
    yield Target("broadcast", "ours", 1 / 1.25, "websockets")
    yield Target("open", "ours", 1 / 2.3, "websockets")
    yield Target("open-deflate", "ours", 1 / 3, "websockets")
    yield Target("ping-256", "uvicorn-ours", 1 / 1.5, "uvicorn-websockets")
    yield Target("ping-256", "uvicorn-ours", 1 / 3, "uvicorn-wsproto")


TARGETS: tuple[Target | Limit, ...] = (
    *_all(),
    Limit("idle-5000", 8),
    Limit("idle-10000", 8),
    Limit("idle-5000-deflate", 1, "idle-5000"),
    Limit("idle-10000-deflate", 1, "idle-10000"),
)


def verdicts(results: Results) -> list[str]:
    """A line for each target that was measured."""
    found = [
        target.verdict(results, line)
        for line in results.lines
        for target in TARGETS
        if target.scenario == line.scenario
    ]
    return [verdict for verdict in found if verdict is not None]
