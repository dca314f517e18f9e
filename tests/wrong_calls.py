"""Calls everything with wrong arguments, at wrong times, and from within itself.

``python -m tests.wrong_calls --minutes 10 --seed 3`` makes programs of a few lines
(``tests/wrong_programs.py``) and runs them in forked children, some hundred each. An
exception is a good answer. What is reported is a child that dies by a signal or that a
sanitizer stops, a ``SystemError``, or some seconds of computing: the program is shrunk
to the lines that it takes, and printed.

It needs ``os.fork``; without the compiled form there is little to find.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import faulthandler
import gc
import os
import random
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import sansocket

from . import wrong_values
from .source import parse_text
from .wrong_programs import Programs

BATCH = 400  # programs that one child runs
SECONDS = 5.0  # of computing that a program may take
WAIT = 60.0  # seconds that it may take in all, on a busy machine
PATIENCE = 15.0  # seconds in which a program is shrunk
INTERNAL = 3  # exit status of a child that met a SystemError
MOST_ARGUMENTS = 8  # of a call, that are left out to make it simpler
MOST = 20  # findings, after which there is enough to do

Lines = Sequence[str]
PRELUDE = (  # of a program, to run it by hand
    "import sansocket, tests.wrong_values",
    "globals().update(vars(tests.wrong_values))",
    "begin()",
)


class Finding(NamedTuple):
    """A program that must not end like this."""

    lines: Lines
    end: str

    def __str__(self) -> str:
        return "\n".join(
            (f"{self.end}:", *(f"  {line}" for line in (*PRELUDE, *self.lines)))
        )


def program(seed: int, number: int) -> list[str]:
    """A program, always the same for these two."""
    return Programs(random.Random(f"{seed}/{number}")).program()


def run(lines: Lines) -> None:
    """Run a program; whatever its lines raise is fine, but for ``SystemError``."""
    space = dict(vars(wrong_values), sansocket=sansocket)
    wrong_values.begin()
    for line in lines:
        run_line(line, space)
    space.clear()
    gc.collect()  # what it left dies here, not in the next one


def run_line(line: str, space: dict[str, Any]) -> None:
    try:
        exec(line, space)
    except SystemError:
        os._exit(INTERNAL)
    except BaseException:
        return


def fork(work: Callable[[], None], quiet: bool) -> int:
    """Begin to work in a child, which ends when it is done."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, which a child does not use
        child = os.fork()
    if child:
        return child
    try:
        if quiet:
            faulthandler.disable()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        else:
            faulthandler.enable(2)
        warnings.simplefilter("ignore")
        sys.unraisablehook = lambda unraisable: None
        sys.settrace(None)
        asyncio._set_running_loop(None)
        gc.freeze()  # what is there already is not looked at after each program
        work()
        os._exit(0)
    finally:
        os._exit(4)  # what leads here is a fault of this module


def how(status: int) -> str:
    """How a child has ended; empty if well."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGVTALRM:
            return "does not end"
        if number == signal.SIGALRM:
            return "does not go on"
        return signal.Signals(number).name
    code = os.WEXITSTATUS(status)
    if code == INTERNAL:
        return "SystemError"
    return f"exit status {code}" if code else ""


def limit_time(seconds: float = SECONDS) -> None:
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, WAIT)


def outcome(lines: Lines, quiet: bool = True, seconds: float = SECONDS) -> str:
    """How a child ends that runs just this; empty if well."""

    def work() -> None:
        limit_time(seconds)
        run(lines)

    _, status = os.waitpid(fork(work, quiet), 0)
    return how(status)


def batch(seed: int, first: int, count: int) -> tuple[int, str]:
    """Run some programs in one child; give the last one's number, and its end."""
    reader, writer = os.pipe()

    def work() -> None:
        for number in range(first, first + count):
            os.write(writer, struct.pack("<Q", number))
            limit_time()
            run(program(seed, number))

    child = fork(work, True)
    os.close(writer)
    with open(reader, "rb") as pipe:
        numbers = pipe.read()
    _, status = os.waitpid(child, 0)
    last = struct.unpack("<Q", numbers[-8:])[0] if numbers else first
    return last, how(status)


def shrink(lines: Lines) -> Lines:
    """Leave out what is not needed to end badly: lines, then parts of them."""
    end = time.monotonic() + PATIENCE
    position = len(lines) - 1
    while position >= 0 and time.monotonic() < end:
        fewer = [*lines[:position], *lines[position + 1 :]]
        if fewer and outcome(fewer):
            lines = fewer
        position -= 1
    position = 0
    while position < len(lines):
        for line in simpler(lines[position]):
            changed = [*lines[:position], line, *lines[position + 1 :]]
            if time.monotonic() > end:
                return lines
            if outcome(changed):
                lines = changed
                break
        else:
            position += 1
    return lines


def simpler(line: str) -> Iterator[str]:
    """The line with one call less, or with one argument less."""
    count = sum(isinstance(node, ast.Call) for node in ast.walk(parse_text(line)))
    for number in range(count):
        for change in range(-MOST_ARGUMENTS, MOST_ARGUMENTS):
            changed = ast.unparse(Simpler(number, change).visit(parse_text(line)))
            if len(changed) < len(line):
                yield changed


class Simpler(ast.NodeTransformer):
    """Puts an argument of one call in its place, or leaves one out."""

    def __init__(self, number: int, change: int) -> None:
        self.number = number
        self.change = change

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.number -= 1
        if self.number != -1:
            return self.generic_visit(node)
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        if 0 <= self.change < len(values):
            return values[self.change]
        last = -self.change - 1
        if 0 <= last < len(node.keywords):
            del node.keywords[last]
        elif 0 <= last < len(node.args) and not node.keywords:
            node.args[last] = ast.Constant(None)
        return node


def search(
    seed: int, wanted: Callable[[int], bool], *, size: int = BATCH
) -> Iterator[tuple[int, Finding | None]]:
    """Run programs while more are wanted; give how many ran, and what was found."""
    number = 0
    while wanted(number):
        last, end = batch(seed, number, size)
        number = last + 1
        if not end:
            yield number, None
            continue
        lines = program(seed, last)
        if outcome(lines):
            shrunk = shrink(lines)
            yield number, Finding(shrunk, outcome(shrunk) or end)
        else:  # what came before it in the same child has a part in it
            text = (
                f"# programs {last - last % size} to {last} of --seed {seed}, in a row"
            )
            yield number, Finding([text, *lines], end)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make wrong calls at random.")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--programs", type=int, help="so many, however long it takes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, help="run one program, and show it")
    options = parser.parse_args()
    if options.number is not None:
        lines = program(options.seed, options.number)
        print(*lines, sep="\n", flush=True)
        print(outcome(lines, quiet=False) or "no fault")
        return 0
    form = "compiled" if sansocket._native.kernels.COMPILED else "interpreted"
    end = time.monotonic() + 60 * options.minutes
    programs: int | None = options.programs
    ran, findings, shown = 0, 0, 0.0

    def wanted(number: int) -> bool:
        return time.monotonic() < end if programs is None else number < programs

    for ran, finding in search(options.seed, wanted):
        if finding is not None:
            findings += 1
            print(finding, end="\n\n", flush=True)
            outcome(finding.lines, quiet=False)  # what a sanitizer has to say
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{ran} programs, {findings} faults", file=sys.stderr, flush=True)
        if findings >= MOST:
            break
    print(f"{ran} programs in the {form} form, {findings} faults")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
