"""Processes that tests start: none of them outlives the process of the tests.

That holds however the tests end, by SIGKILL too. A keeper, which is a process of its
own, is told of every child before the child's program begins. It reads from a pipe
that ends with the tests, and then kills what is left of the children and of what they
have started themselves: each child leads a process group.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Child", "run"]

# It ignores what ends the tests, and needs nothing but Python. The pipe has a name, so
# that children reach it without a file descriptor that would keep it open.
KEEPER = """
import os, shutil, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
kept = set()
with open(sys.argv[1]) as pipe:
    for line in pipe:
        change, group = line[0], int(line[1:])
        (kept.add if change == "+" else kept.discard)(group)
for group in kept:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
shutil.rmtree(os.path.dirname(sys.argv[1]))
"""
# The shell names itself, and becomes the program.
SHELL = ["/bin/sh", "-c", 'echo "+$$" >"$0" && exec "$@"']
TIMEOUT = 60.0  # seconds for what was killed to be gone


class Child(subprocess.Popen[Any]):
    """A process in a group of its own; ``end()`` must be called, or ``with`` used.

    Args:
        arguments: the program, and its arguments.
        **options: those of ``subprocess.Popen``.

    """

    def __init__(self, arguments: Sequence[str | os.PathLike[str]], **options: Any):
        self.keeper = keeper()
        if self.keeper is not None:
            arguments = [*SHELL, self.keeper.path, *arguments]
            options["start_new_session"] = True
        super().__init__(arguments, **options)

    def end(self) -> None:
        """Kill what is left of it, and of what it has started."""
        if sys.platform == "win32":
            self.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.wait(TIMEOUT)
        if self.keeper is not None:
            os.write(self.keeper.pipe, b"-%d\n" % self.pid)
            self.keeper = None

    def __exit__(self, *exc: Any) -> None:
        self.end()
        with contextlib.suppress(BrokenPipeError):  # input that it did not read
            super().__exit__(*exc)


def run(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    input: Any = None,
    timeout: float | None = None,
    check: bool = False,
    capture_output: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, as ``subprocess.run()`` does."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        options["stdin"] = subprocess.PIPE
    with Child(arguments, **options) as child:
        output, errors = child.communicate(input, timeout)
    done = subprocess.CompletedProcess(arguments, child.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


class Keeper:
    """The process that kills the children of this one once this one is gone."""

    def __init__(self) -> None:
        self.path = os.path.join(tempfile.mkdtemp(), "pipe")
        os.mkfifo(self.path)
        arguments = [sys.executable, "-I", "-S", "-c", KEEPER, self.path]
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        process.returncode = 0  # nobody waits for it: it ends after us
        self.pipe = os.open(self.path, os.O_WRONLY)

    def forget(self) -> None:
        """Leave it to the process that this one was forked from."""
        os.close(self.pipe)
        keeper.cache_clear()


@functools.cache
def keeper() -> Keeper | None:
    """The keeper of this process, where the system has what it needs."""
    if sys.platform == "win32":
        return None
    keeper = Keeper()
    os.register_at_fork(after_in_child=keeper.forget)
    return keeper
