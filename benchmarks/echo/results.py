"""Figures of one run, as plain data: what the report prints and the JSON holds."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .processes import Sample

__all__ = ["Line", "Results", "load"]


@dataclass
class Line:
    """A scenario on a loop: the rounds of each contender."""

    scenario: str
    title: str
    unit: str
    loop: str
    rounds: dict[str, list[Sample]] = field(default_factory=dict)

    def costs(self, contender: str) -> list[float]:
        """The cost of each round; none if it was not measured."""
        return [sample.cost for sample in self.rounds.get(contender, [])]

    def cost(self, contender: str) -> float | None:
        """The median of the costs."""
        costs = self.costs(contender)
        return statistics.median(costs) if costs else None

    def rate(self, contender: str) -> float | None:
        """The median of the rates, if they have any."""
        rates = [one.rate for one in self.rounds.get(contender, []) if one.rate]
        return statistics.median(rates) if rates else None

    def ratio(
        self, contender: str, other: str, line: Line | None = None
    ) -> float | None:
        """How many times the other's cost is this one's: the median over the rounds.

        Args:
            contender: this one.
            other: the other.
            line: where the other was measured, if elsewhere.
        """
        pairs = zip(self.costs(contender), (line or self).costs(other), strict=False)
        ratios = [theirs / mine for mine, theirs in pairs if mine > 0]
        return statistics.median(ratios) if ratios else None


@dataclass
class Results:
    """A whole run. ``problems`` are contenders that did not do what they should."""

    environment: dict[str, str]
    notes: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def line(self, scenario: str, loop: str) -> Line | None:
        """A scenario on a loop, if it was measured."""
        for line in self.lines:
            if (line.scenario, line.loop) == (scenario, loop):
                return line
        return None

    def save(self, path: Path) -> None:
        """Write everything measured as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Results:
    """Read what ``save()`` wrote."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        Line(**{**line, "rounds": _samples(line["rounds"])})
        for line in data.pop("lines")
    ]
    return Results(lines=lines, **data)


def _samples(rounds: dict[str, Any]) -> dict[str, list[Sample]]:
    return {
        contender: [Sample(**sample) for sample in samples]
        for contender, samples in rounds.items()
    }
