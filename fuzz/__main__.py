"""Fuzz the core, replay inputs, or choose those that the tests keep.

    python -m fuzz server --minutes 10        search; all targets without a name
    python -m fuzz server FILE ...            replay these inputs, without atheris
    python -m fuzz server --keep              choose files for fuzz/corpus

A search begins with fuzz/corpus and with what earlier ones left in build/fuzz, and
stops at the first finding: the input is then in build/fuzz/TARGET, beside the log.
The exit status is 0 if there was none, 1 if there was, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

from tests.torture import same_environment

from .seeds import seeds
from .support import FORMS, Logged
from .targets import CORPUS, TARGETS

BUILD = Path(__file__).parents[1] / "build" / "fuzz"
LARGEST = 4096  # bytes of an input
SLOWEST = 20  # seconds for an input
STATUS = re.compile(r"#(\d+)\s+\w+ +cov: (\d+) .*?corp: (\d+)/.*?exec/s: (\d+)")


def search(target: str, minutes: float) -> bool:
    """Search for a finding; whether there is none."""
    folder = BUILD / target
    found = folder / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(target)):
        (found / f"seed-{number}").write_bytes(data)
    before = set(folder.iterdir())
    command = [
        *(sys.executable, "-m", "fuzz.engine", target, str(found)),
        *(str(path) for path in (CORPUS / target,) if path.is_dir()),
        f"-artifact_prefix={folder}{os.sep}",
        f"-max_len={LARGEST}",
        f"-timeout={SLOWEST}",
        f"-max_total_time={round(60 * minutes)}",
        *("-rss_limit_mb=4096", "-len_control=20"),
    ]
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            status = watch(process, log, target, 60 * minutes)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    findings = sorted(set(folder.iterdir()) - before - {log, found})
    for path in findings:
        print(f"{target}: FOUND {path}, {path.stat().st_size} bytes")
    if status or findings:
        lines = log.read_text(errors="replace").splitlines()
        print(f"{target}: exit status {status}, see {log}", *lines[-40:], sep="\n  ")
    return not (status or findings)


def watch(
    process: subprocess.Popen[bytes], log: Path, target: str, seconds: float
) -> int:
    """Show progress until the process ends; return its exit status."""
    start = time.monotonic()
    line = ""
    while True:
        try:
            status = process.wait(1)
        except subprocess.TimeoutExpired:
            status = None
        line = last_status(log) or line
        taken = time.monotonic() - start
        if sys.stderr.isatty():
            share = min(taken / seconds, 1)
            bar = "#" * round(30 * share)
            text = f"\r{target:10} [{bar:<30}] {share:4.0%} {line}"
            print(text.ljust(79), end="", file=sys.stderr, flush=True)
        if status is not None:
            if sys.stderr.isatty():
                print(file=sys.stderr)
            print(f"{target}: {line or 'nothing ran'} in {taken:.0f} s", flush=True)
            return status


def last_status(log: Path) -> str:
    """How far libFuzzer is, in words."""
    with log.open("rb") as lines:
        lines.seek(max(0, log.stat().st_size - 2000))
        found = STATUS.findall(lines.read().decode("utf-8", "replace"))
    if not found:
        return ""
    inputs, coverage, kept, rate = found[-1]
    return f"{int(inputs):,} inputs, {coverage} edges, {kept} kept, {rate}/s"


def replay(target: str, files: list[Path]) -> bool:
    """Run these inputs; whether all is well."""
    with same_environment(FORMS):
        failed = sum([not is_well(target, path) for path in files])
    print(f"{target}: {len(files)} replayed in {', '.join(FORMS)}, {failed} failed")
    return failed == 0


def is_well(target: str, path: Path) -> bool:
    """Run one input; show what is wrong with it."""
    try:
        TARGETS[target](path.read_bytes())
    except (Exception, Logged):
        print(f"{target}: {path} FAILED", file=sys.stderr)
        traceback.print_exc()
        return False
    return True


def positive(text: str) -> float:
    """A number of minutes."""
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes")
    return number


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz",
        description=__doc__,
        epilog=f"targets: {', '.join(TARGETS)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", nargs="?", metavar="TARGET", choices=TARGETS)
    parser.add_argument("files", nargs="*", metavar="FILE", type=Path)
    parser.add_argument("--minutes", type=positive, default=1.0, help="default: 1")
    parser.add_argument("--keep", action="store_true", help="choose files to keep")
    options = parser.parse_args(arguments)
    names = [options.target] if options.target else list(TARGETS)
    if missing := [str(path) for path in options.files if not path.is_file()]:
        parser.error(f"no such file: {', '.join(missing)}")
    if options.files:
        return 0 if replay(names[0], options.files) else 1
    if options.keep:
        from .keep import keep

        for name in names:
            keep(name, BUILD / name / "corpus")
        return 0
    if importlib.util.find_spec("atheris") is None:
        parser.error("searching needs atheris: pip install atheris")
    unwell = [name for name in names if not search(name, options.minutes)]
    return 1 if unwell else 0


if __name__ == "__main__":
    sys.exit(main())
