"""Runs programs at random on both ends of connections, and tells which fail.

A program that fails is made smaller, and printed with what happened in it.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections import Counter

from .drivers import forms
from .programs import KINDS, Program, make
from .running import run
from .searching import Search
from .shrinking import shrink
from .world import World


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.simulation", description=__doc__)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--minutes", type=float, help="go on for so long instead")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument("--seed", type=int, help="run this seed only, and show it")
    parser.add_argument("--kind", choices=KINDS, help="server and client")
    parser.add_argument("--form", choices=forms(), default=forms()[0])
    parser.add_argument("--fault", help="kind of fault to look at, with --seed")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 2))
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--all", action="store_true", help="do not stop at a fault")
    options = parser.parse_args()
    if options.seed is not None:
        return replay(options.seed, options)
    search = Search(options.kind, options.form, options.all)
    failed = search.run(
        options.first, options.programs, options.minutes, options.processes
    )
    if not failed:
        return 0
    for kind, number in Counter(kind for _, kind, _ in failed).most_common():
        seeds = [str(seed) for seed, one, _ in failed if one == kind]
        print(f"{kind}: {number} programs, of seeds {' '.join(seeds[:8])}")
    return replay(failed[0][0], options)


def replay(seed: int, options: argparse.Namespace) -> int:
    """Run the program of a seed, make it smaller if it fails, and show it."""
    program = make(seed, options.kind)
    world = run(program, options.form)
    faults = [one for one in world.faults if options.fault in (None, one.kind)]
    if not faults:
        show(run(program, options.form, trace=True))
        return 0
    key = faults[0].key

    def fails(candidate: Program) -> bool:
        return any(one.key == key for one in run(candidate, options.form).faults)

    if not options.no_shrink:
        gc.collect()
        gc.freeze()
        program = shrink(program, fails)
    show(run(program, options.form, trace=True))
    kind = f" --kind {options.kind}" if options.kind else ""
    print(f"again: python -m tests.simulation --seed {seed}{kind}")
    return 1


def show(world: World) -> None:
    """Print a program, what happened, and what was wrong."""
    print("\n".join(world.program.lines()))
    print("\n".join(world.trace))
    for fault in world.faults[:5]:
        print(f"\n{fault}\n{fault.trace}")
    if not world.faults:
        print("no fault")


if __name__ == "__main__":
    sys.exit(main())
