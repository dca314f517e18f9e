"""Command line: ``python -m benchmarks.micro`` from the root of the repository."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .contenders import KEYS, Contender, load
from .floor import FloorError
from .imports import STATEMENTS, measure_imports
from .machine import describe
from .memory import MODES, STATES, measure_memory
from .report import render
from .results import Line, Results
from .scenarios import SCENARIOS, Scenario, Task, WrongResult
from .timing import measure

FORMS = ("compiled", "pure")
IMPORT = ("import", "server module")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return 1 if a contender gave a wrong result, else 0."""
    options = _options(arguments)
    if options.list:
        print("\n".join(_titles()))
        return 0
    wanted = [t for t in _titles() if options.only is None or options.only.search(t)]
    if not wanted:
        print("no scenario matches", file=sys.stderr)
        return 2
    rounds = options.rounds or (5 if options.quick else 15)
    contenders, notes = _load(options.forms)
    results = Results(describe(contenders, rounds), notes)
    progress = _Progress(len(wanted))
    for scenario in SCENARIOS:
        title = f"{scenario.group}: {scenario.name}"
        if title in wanted:
            progress.step(title)
            budget = 0.002 if options.quick else 0.02
            results.lines.append(_time(scenario, contenders, rounds, budget))
    if ": ".join(IMPORT) in wanted:
        progress.step(": ".join(IMPORT))
        results.lines.append(_import(list(contenders), max(rounds, 7)))
    for state in STATES:
        if f"memory: {state}" in wanted:
            progress.step(f"memory: {state}")
            modes = MODES[:2] if options.quick else MODES
            _remember(results, state, list(contenders), modes)
    progress.end()
    print(render(results))
    if options.json:
        text = json.dumps(results.as_json(), indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
    return 1 if results.problems else 0


def _titles() -> list[str]:
    return [
        *(f"{scenario.group}: {scenario.name}" for scenario in SCENARIOS),
        ": ".join(IMPORT),
        *(f"memory: {state}" for state in STATES),
    ]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.micro",
        description="Times sansocket against websockets, wsproto and a floor in C.",
    )
    add = parser.add_argument
    add("--only", type=_pattern, metavar="PATTERN", help="regular expression, any case")
    add("--list", action="store_true", help="print the names --only searches, and end")
    add("--rounds", type=_positive, metavar="N", help="default 15, with --quick 5")
    add("--quick", action="store_true", help="short turns: under a minute, more noise")
    add("--forms", type=_forms, default=FORMS, help="of ours (default compiled,pure)")
    add("--json", type=Path, metavar="FILE", help="write every round to FILE too")
    return parser.parse_args(arguments)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"not a regular expression: {error}") from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def _forms(text: str) -> tuple[str, ...]:
    forms = tuple(text.split(","))
    if not set(forms) <= set(FORMS):
        raise argparse.ArgumentTypeError("choose from compiled,pure")
    return forms


def _load(forms: Sequence[str]) -> tuple[dict[str, Contender], list[str]]:
    contenders, notes = {}, []
    for key in KEYS:
        if key in FORMS and key not in forms:
            continue
        try:
            contenders[key] = load(key)
        except (ImportError, FloorError) as error:
            notes.append(f"without {key}: {error}")
    return contenders, notes


def _time(
    scenario: Scenario, contenders: dict[str, Contender], rounds: int, budget: float
) -> Line:
    line = Line(scenario.group, scenario.name)
    tasks: dict[str, Task] = {}
    for key, contender in contenders.items():
        try:
            task = scenario.prepare(contender)
        except FloorError:
            continue
        except Exception as error:
            # Another contender's bug must not hide the figures of the others.
            name = "" if isinstance(error, WrongResult) else f"{type(error).__name__}: "
            line.problems[key] = f"{name}{error}"
            continue
        if task is not None:
            tasks[key] = task
    line.rounds = measure(tasks, rounds, budget)
    for key, task in tasks.items():
        try:
            task.verify()
        except Exception as error:  # noqa: PERF203 - each contender fails alone
            line.problems[key] = f"after the timing: {error!r}"
            del line.rounds[key]
    return line


def _import(keys: list[str], rounds: int) -> Line:
    line = Line(*IMPORT, unit="ms")
    try:
        line.rounds = measure_imports(keys, rounds)
    except RuntimeError as error:
        line.problems["import"] = str(error)
    return line


def _remember(
    results: Results, state: str, keys: list[str], modes: Sequence[str]
) -> None:
    figures = results.memory.setdefault(state, {})
    for key in keys:
        if key not in STATEMENTS:
            continue
        try:
            figures[key] = measure_memory(key, state, 1000, modes)
        except RuntimeError as error:
            results.notes.append(f"memory, {state}: {key}: {error}")


class _Progress:
    """One line on standard error, if that is a terminal."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.visible = sys.stderr.isatty()

    def step(self, title: str) -> None:
        self.done += 1
        if self.visible:
            text = f"[{self.done}/{self.total}] {title}"
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.visible:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
