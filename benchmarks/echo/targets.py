"""The targets of the project: how ours is to compare with whom, in which scenario."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .contenders import FLOOR
from .results import Line, Results

__all__ = ["verdicts"]

# Rivals on the same transports as ours: those of the loop, or those of aiofastnet,
# which picows takes on any loop unless told not to.
OWN, AIOFASTNET = ("asyncio", "uvloop"), ("asyncio+aiofastnet", "uvloop+aiofastnet")


@dataclass(frozen=True)
class Target:
    """``ours`` costs at most ``factor`` times what ``other`` does."""

    scenario: str
    ours: str
    factor: float
    other: str
    loops: tuple[str, ...] = (*OWN, *AIOFASTNET)
    than: str | None = None  # scenario of the other, if it is not the same

    def verdict(self, results: Results, line: Line) -> str | None:
        """How far it is met, if both were measured."""
        base = results.line(self.than or self.scenario, line.loop)
        if base is None or line.loop not in self.loops:
            return None
        ratio = base.ratio(self.other, self.ours, line)
        if ratio is None:
            return None
        mark = "met   " if ratio <= self.factor else "MISSED"
        what = self.other if self.than is None else f"{self.other}, {base.title}"
        return (
            f"{mark}  {line.title}, {line.loop}: {self.ours} costs {ratio:.2f} of "
            f"{what}; should be at most {self.factor:.2f}"
        )


@dataclass(frozen=True)
class Limit:
    """What ``ours`` may need at most, in the unit of the scenario."""

    scenario: str
    ours: str
    most: float
    more_than: str | None = None  # another scenario, if it is on top of that

    def verdict(self, results: Results, line: Line) -> str | None:
        """How far it is met, if it was measured."""
        cost = line.cost(self.ours)
        base = (
            None if self.more_than is None else results.line(self.more_than, line.loop)
        )
        less = 0.0 if base is None else base.cost(self.ours)
        if cost is None or less is None or (self.more_than and base is None):
            return None
        mark = "met   " if cost - less <= self.most else "MISSED"
        than = "" if base is None else f" more than {base.title}"
        return (
            f"{mark}  {line.title}, {line.loop}: {self.ours} needs {cost - less:.2f} "
            f"{line.unit}{than}, should be at most {self.most:g}"
        )


def _beside_picows(
    scenario: str, ours: str, factor: float, picows: str
) -> Iterator[Target]:
    yield Target(scenario, ours, factor, f"{picows}-loop", OWN)
    yield Target(scenario, ours, factor, picows, AIOFASTNET)


def _all() -> Iterator[Target]:
    for scenario in ("ping-16", "ping-16x50", "ping-256", "ping-256x50"):
        yield from _beside_picows(scenario, "ours-callbacks", 1.05, "picows")
        yield from _beside_picows(scenario, "ours", 1, "picows.websockets")
        yield Target(scenario, "ours", 1 / 2, "websockets")
    for scenario in ("flight-16", "flight-256"):
        yield from _beside_picows(scenario, "ours-callbacks", 1 / 5, "picows")
        yield from _beside_picows(scenario, "ours", 1 / 2.5, "picows.websockets")
    yield from _beside_picows("echo-1m", "ours-callbacks", 1, "picows")
    for ours in ("ours", "ours-callbacks"):
        yield Target("echo-1m", ours, 1 / 1.5, "websockets")
    for scenario in ("broadcast", "broadcast-16"):
        yield Target(scenario, "ours", 1.1, FLOOR)
        yield Target(scenario, "ours", 1 / 1.25, "websockets")
    yield Target("broadcast-burst", "ours", 1 / 4, FLOOR, than="broadcast-16")
    for loop, plain, deflate in (("asyncio", 0.45, 0.42), ("uvloop", 0.4, 0.35)):
        yield Target("open", "ours", plain, "websockets", (loop,))
        yield Target("open-deflate", "ours", deflate, "websockets", (loop,))
    yield Target("ping-256", "uvicorn-ours", 1 / 1.5, "uvicorn-websockets")
    yield Target("ping-256", "uvicorn-ours", 1 / 3, "uvicorn-wsproto")


TARGETS: tuple[Target | Limit, ...] = (
    *_all(),
    Limit("idle-10000", "ours", 6.5),
    Limit("idle-10000", "ours-callbacks", 5.2),
    Limit("idle-10000-deflate", "ours", 0.3, "idle-10000"),
    Limit("idle-10000-deflate", "ours-callbacks", 0.3, "idle-10000"),
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
