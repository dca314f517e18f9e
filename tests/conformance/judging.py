"""What a report of the suite means: everything must be as it should, or it fails."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .cases import order

# Outcomes that the suite only tells and never judges.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
MOST = 25  # lines of a log that are shown; the rest is in its file


class Outcome(NamedTuple):
    """What the suite says of one case."""

    behavior: str
    behavior_close: str
    report: str  # name of a file beside the report

    def allowed(self, case: str) -> bool:
        """Whether this is as it should be.

        The suite has ``NON-STRICT`` and ``UNIMPLEMENTED`` too, and ``WRONG CODE``,
        ``UNCLEAN`` and ``FAILED BY CLIENT`` for how the connection closed.
        """
        allowed = {"INFORMATIONAL"} if case in INFORMATIONAL else {"OK"}
        return {self.behavior, self.behavior_close} <= allowed


Outcomes = Mapping[str, Outcome]


def read_report(folder: Path, agent: str) -> dict[str, Outcome]:
    """The outcomes of an agent's cases; none if there is no report of it."""
    try:
        text = Path(folder, "index.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    cases: dict[str, dict[str, Any]] = json.loads(text).get(agent, {})
    return {
        case: Outcome(found["behavior"], found["behaviorClose"], found["reportfile"])
        for case, found in cases.items()
    }


def counts(outcomes: Outcomes) -> list[str]:
    """Two lines: how often each behaviour was seen, and each way of closing."""
    rows = {
        "behavior": Counter(found.behavior for found in outcomes.values()),
        "behaviorClose": Counter(found.behavior_close for found in outcomes.values()),
    }
    return [
        f"{title + ':':15}"
        + ", ".join(f"{name} {number}" for name, number in sorted(row.items()))
        for title, row in rows.items()
    ]


def exceptions(outcomes: Outcomes) -> list[str]:
    """Every case whose outcome is not twice OK, by name; one line each."""
    return [
        f"{case}: {found.behavior}, close {found.behavior_close}"
        + ("" if found.allowed(case) else f" -- wrong, see {found.report}")
        for case, found in sorted(outcomes.items(), key=lambda item: order(item[0]))
        if (found.behavior, found.behavior_close) != ("OK", "OK")
    ]


def problems(outcomes: Outcomes, expected: Iterable[str], log: str) -> list[str]:
    """Why a run fails; nothing if it does not.

    Args:
        outcomes: what the suite reported.
        expected: the cases that were to run.
        log: what the server or client under test wrote to standard error.

    """
    found = []
    wrong = [case for case in outcomes if not outcomes[case].allowed(case)]
    if wrong:
        found.append(f"{len(wrong)} not as they should be: {in_order(wrong)}")
    missing = set(expected).difference(outcomes)
    if missing:
        found.append(f"{len(missing)} without an outcome: {in_order(missing)}")
    if not outcomes:
        found.append("there is no outcome at all")
    if log.strip():
        lines = log.strip().splitlines()
        found.append("\n  ".join(["the program under test complained:", *lines[:MOST]]))
    return found


def in_order(cases: Iterable[str]) -> str:
    """Cases in a row."""
    return ", ".join(sorted(cases, key=order))
