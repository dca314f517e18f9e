"""A run: interleaved rounds, every contender on every loop once a round."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version

from benchmarks.micro.machine import describe
from sansocket._native import kernels

from .contenders import CONTENDERS, Unavailable
from .processes import Failed, Load, Servers, raise_limits
from .results import Line, Results
from .scenarios import Scenario

__all__ = ["run"]

# What the contenders are built on, too.
PARTS = ("aiofastnet", "httptools", "uvloop", "wsproto")


def run(
    scenarios: Sequence[Scenario],
    contenders: Sequence[str],
    loops: Sequence[str],
    rounds: int,
    seconds: float,
) -> Results:
    """Measure everything, and show how far it is. Raises ``Failed`` if nothing can."""
    files = raise_limits()
    environment = describe({}, rounds) | {
        "contenders": _versions(contenders),
        "form of ours": "compiled" if kernels.COMPILED else "pure",
        "loops": ", ".join(loops),
        "rounds": f"{rounds} rounds of {seconds:g} s, interleaved, order rotated",
    }
    results = Results(environment)
    with Load.compiled() as load, closing(Servers()) as servers:
        running = _Running(load, servers, results, seconds)
        progress = _Progress(len(scenarios))
        try:
            for scenario in scenarios:
                progress.step(scenario.title)
                if scenario.files <= files:
                    running.rounds(scenario, contenders, loops, rounds)
                else:
                    note = f"without {scenario.name}: only {files} files may be open"
                    results.notes.append(note)
        except KeyboardInterrupt:
            results.notes.append("interrupted: the rest was not measured")
        progress.end()
    return results


def _versions(contenders: Sequence[str]) -> str:
    packages = {CONTENDERS[name].package for name in contenders} - {""}
    found = []
    for package in sorted({*packages, *PARTS}):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:  # noqa: PERF203 - each is absent alone
            found.append(f"no {package}")
    return ", ".join(found)


class _Running:
    def __init__(
        self, load: Load, servers: Servers, results: Results, seconds: float
    ) -> None:
        self.load = load
        self.servers = servers
        self.results = results
        self.seconds = seconds
        self.left_out: set[tuple[str, ...]] = set()

    def rounds(
        self,
        scenario: Scenario,
        contenders: Sequence[str],
        loops: Sequence[str],
        rounds: int,
    ) -> None:
        """Measure a scenario, in rounds."""
        suited = [one for one in contenders if scenario.suits(CONTENDERS[one])]
        order = deque((one, loop) for loop in loops for one in suited)
        if scenario.mode == "idle":
            # Memory hardly differs, and to open so many connections takes long.
            rounds = (rounds + 1) // 3 or 1
        for _ in range(rounds):
            self._round(scenario, order)
            order.rotate(5)

    def _round(self, scenario: Scenario, pairs: Iterable[tuple[str, str]]) -> None:
        """Measure each contender on each loop once."""
        for pair in pairs:
            key = (scenario.name, *pair)
            if pair in self.left_out or key in self.left_out:
                continue
            line = self._line(scenario, pair[1])
            try:
                sample = scenario.measure(self.load, self.servers, pair, self.seconds)
            except Unavailable as error:
                self.left_out.add(pair)
                self.results.notes.append(f"without {' on '.join(pair)}: {error}")
            except Failed as error:
                self.left_out.add(key)
                line.rounds.pop(pair[0], None)
                problem = f"{scenario.name}: {' on '.join(pair)}: {error}"
                self.results.problems.append(problem)
            else:
                line.rounds.setdefault(pair[0], []).append(sample)

    def _line(self, scenario: Scenario, loop: str) -> Line:
        line = self.results.line(scenario.name, loop)
        if line is None:
            line = Line(scenario.name, scenario.title, scenario.unit, loop)
            self.results.lines.append(line)
        return line


class _Progress:
    """One line on standard error, if that is a terminal; else one for each step."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.terminal = sys.stderr.isatty()

    def step(self, title: str) -> None:
        self.done += 1
        start, end = ("\r\x1b[K", "") if self.terminal else ("", "\n")
        text = f"{start}[{self.done}/{self.total}] {title}"
        print(text, end=end, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
