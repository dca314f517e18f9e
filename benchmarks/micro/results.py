"""Figures of one run, as plain data: what the report prints and the JSON holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .timing import Spread, ratio

__all__ = ["Line", "Results"]


@dataclass
class Line:
    """One scenario: a value of each round by contender, in ``unit``."""

    group: str
    name: str
    unit: str = "us"
    rounds: dict[str, list[float]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def median(self, key: str) -> float | None:
        """Return the contender's median, None if it was not measured."""
        values = self.rounds.get(key)
        return Spread(values).median if values else None

    def ratio(self, ours: str, theirs: str) -> Spread | None:
        """Return theirs by ours over the rounds, None if one was not measured."""
        if not self.rounds.get(ours) or not self.rounds.get(theirs):
            return None
        return ratio(self.rounds[ours], self.rounds[theirs])


@dataclass
class Results:
    """A whole run."""

    environment: dict[str, str]
    notes: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    memory: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """Contenders that did not do what a scenario asks."""
        return [
            f"{line.group}: {line.name}: {key}: {problem}"
            for line in self.lines
            for key, problem in line.problems.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """Return everything measured, for ``json.dump``."""
        return {
            "environment": self.environment,
            "notes": self.notes,
            "lines": [vars(line) for line in self.lines],
            "memory": self.memory,
        }
