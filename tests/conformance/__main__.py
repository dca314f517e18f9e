"""The command: choose cases, run the suite, judge. Exit status 1 if anything is wrong,
2 if the suite could not run."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from .cases import FULL, QUICK, choose
from .echo import add_form
from .runs import Run
from .suite import BUILD, VARIABLE, Suite


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance",
        description="Run the Autobahn test suite against an echo server, an echo "
        "client, or uvicorn with an echo application.",
        epilog="The suite needs CPython 2.7: one that is called python2.7, or that "
        "pyenv has installed, is found. The suite goes to build/conformance, where the "
        "reports are too. Exit status: 0 if every case is OK (7.1.6, 7.13.1, 7.13.2: "
        "INFORMATIONAL), 1 if not, or if the program under test wrote anything to "
        "standard error, 2 if the suite could not run.",
    )
    sides = ("server", "client", "uvicorn")
    parser.add_argument("side", choices=sides, help="what to examine")
    parser.add_argument(
        "--full",
        action="store_true",
        help=f"run all {FULL} cases, in about 12 minutes; without it {QUICK} in one: "
        "of those of 12.* and 13.* with messages of 8 KiB and up just one size",
    )
    add_form(parser)
    parser.add_argument(
        "--cases",
        type=lambda text: text.split(","),
        default=[],
        metavar="1.*,7.1.6",
        help="run just these; * stands for anything",
    )
    parser.add_argument(
        "--times",
        type=int,
        default=1,
        metavar="N",
        help="run everything so many times (default: %(default)s)",
    )
    parser.add_argument(
        "--python27",
        metavar="PATH",
        help=f"the CPython 2.7 to use (default: ${VARIABLE}, or one that is found)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.times < 1:
        parser.error("--times must be 1 or more")
    suite = Suite()
    try:
        suite.install(options.python27)
        cases = choose(suite.cases(), options.full, options.cases)
    except (LookupError, RuntimeError, ValueError, subprocess.SubprocessError) as exc:
        print(exc, file=sys.stderr)
        return 2
    good = 0
    for number in range(1, options.times + 1):
        kind = f"{options.form} {options.layer}, {options.side}"
        print(f"{kind}, {len(cases)} cases, run {number}")
        start = time.monotonic()
        what = f"{options.side}-{options.layer}-{options.form}"
        folder = BUILD / f"{what}-{len(cases)}-{number}"
        run = Run(suite, options.form, options.layer, cases, folder)
        getattr(run, options.side)()
        good += run.judge()
        print(f"{time.monotonic() - start:.0f} seconds", flush=True)
    return int(good != options.times)


if __name__ == "__main__":
    sys.exit(main())
