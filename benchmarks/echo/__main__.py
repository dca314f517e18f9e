"""Command line: ``python -m benchmarks.echo`` from the root of the repository."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .contenders import CONTENDERS
from .plot import write_plot
from .processes import Failed
from .report import render
from .running import run
from .scenarios import SCENARIOS
from .server import LOOPS

ROUNDS, QUICK_ROUNDS = 5, 2
SECONDS, QUICK_SECONDS = 0.5, 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 if a contender failed, 2 if nothing can be run."""
    options = _options(arguments)
    if options.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:<20}{scenario.title}")
        print("\n" + "\n".join(CONTENDERS))
        return 0
    if not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2:
        print("this needs Linux and two cores", file=sys.stderr)
        return 2
    try:
        results = run(
            [SCENARIOS[name] for name in options.only],
            options.contenders,
            options.loops,
            options.rounds,
            options.seconds,
        )
    except Failed as error:
        print(error, file=sys.stderr)
        return 2
    print(render(results))
    if options.json:
        results.save(options.json)
    if options.plot:
        write_plot(results, options.plot)
    return 1 if results.problems else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.echo",
        description="Measures whole WebSocket servers: CPU time, rates and memory.",
        epilog="Names may have wildcards: --only 'ping-*' --contenders 'ours*'. "
        "python -m benchmarks.echo.plot draws a picture of a run that was saved.",
    )
    add = parser.add_argument
    add("--only", nargs="+", metavar="SCENARIO", type=_known(SCENARIOS))
    add("--contenders", nargs="+", metavar="NAME", type=_known(CONTENDERS))
    add("--loops", nargs="+", choices=LOOPS, default=LOOPS[:2])
    add("--list", action="store_true", help="print the names, and end")
    add("--rounds", type=_positive(int), metavar="N", help=f"default {ROUNDS}")
    add("--seconds", type=_positive(float), help=f"of a round; default {SECONDS}")
    add("--quick", action="store_true", help="few short rounds: noise, not figures")
    add("--json", type=Path, metavar="FILE", help="write every round to FILE too")
    add("--plot", type=Path, metavar="FILE", help="draw the main scenarios as SVG")
    options = parser.parse_args(arguments)
    options.only = _chosen(SCENARIOS, options.only)
    options.contenders = _chosen(CONTENDERS, options.contenders)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    options.seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    return options


def _known(names: Iterable[str]) -> Callable[[str], str]:
    def check(pattern: str) -> str:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise argparse.ArgumentTypeError(f"none of {', '.join(names)}: {pattern}")
        return pattern

    return check


def _chosen(names: Iterable[str], patterns: list[str] | None) -> list[str]:
    return [
        name
        for name in names
        if patterns is None or any(fnmatchcase(name, one) for one in patterns)
    ]


def _positive(kind: type) -> Callable[[str], Any]:
    def check(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if value <= 0:
            raise argparse.ArgumentTypeError("must be more than 0")
        return value

    return check


if __name__ == "__main__":
    sys.exit(main())
