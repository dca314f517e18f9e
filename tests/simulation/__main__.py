"""Runs programs at random, and tells which fail: see ``--help``."""

from __future__ import annotations

import argparse
import sys
import time

from .drivers import forms
from .programs import KINDS, Program, make
from .shrinking import shrink
from .world import World, run


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.simulation", description=__doc__)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, help="run the program of this seed only")
    parser.add_argument("--first", type=int, default=0, help="seed of the first program")
    parser.add_argument("--minutes", type=float, help="go on for so long")
    parser.add_argument("--kind", choices=KINDS, help="server and client")
    parser.add_argument("--form", choices=forms(), default=forms()[0])
    parser.add_argument("--fault", help="kind of fault to look at")
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    if options.seed is not None:
        return replay(options)
    return 0


def replay(options: argparse.Namespace) -> int:
    program = make(options.seed, options.kind)
    world = run(program, options.form)
    if not world.faults:
        print("\n".join(program.lines()))
        print("no fault")
        return 0
    kind = options.fault or world.faults[0].kind
    key = next(one.key for one in world.faults if one.kind == kind)

    def fails(candidate: Program) -> bool:
        return any(one.key == key for one in run(candidate, options.form).faults)

    if not options.no_shrink:
        program = shrink(program, fails)
    show(run(program, options.form, trace=True))
    return 1


def show(world: World) -> None:
    print("\n".join(world.program.lines()))
    print(*world.trace, sep="\n")
    for fault in world.faults:
        print(f"\n{fault}\n{fault.trace}")


if __name__ == "__main__":
    started = time.perf_counter()
    sys.exit(main())
