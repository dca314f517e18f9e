"""Puts old bugs back, one at a time, to see that the simulation finds each.

``python -m tests.simulation.old_bugs`` tells how many programs and seconds that took.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path

from ..pure import SOURCE
from .drivers import OLD
from .searching import BATCH, Search

LINK = "asyncio/_link.py"
CONNECTION = "asyncio/_server_connection.py"
MOST_PROGRAMS = 10_000


@dataclass(frozen=True)
class Bug:
    """A bug that there was.

    Attributes:
        text: what was wrong.
        faults: kinds of faults, as which it shows.
        changes: file, text of today, and what stands in for it.

    """

    text: str
    faults: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...]


PAUSES = (
    (
        LINK,
        "        if self._reads is not session.reading and not self._peeks:\n",
        "        if self._reads is not (\n"
        "            session.reading and not self._writing_paused\n"
        "        ):\n",
    ),
    (
        LINK,
        "        reads = self.session.reading\n",
        "        reads = self.session.reading and not self._writing_paused\n",
    ),
    (
        LINK,
        "        self._writing_paused = self.session.stuck = True\n",
        "        self._writing_paused = self.session.stuck = True\n"
        "        self._steer_reading()\n",
    ),
    (
        LINK,
        "        self.session.handle_progress()\n        self._wake_waiters()\n",
        "        self.session.handle_progress()\n"
        "        self._steer_reading()\n"
        "        self._wake_waiters()\n",
    ),
)

BUGS = {
    "A": Bug(
        "reading is paused while writing is",
        ("healthy peer given up", "lively peer given up", "1006", "Deadlock"),
        PAUSES,
    ),
    "B": Bug(
        "send() never gives the loop a turn",
        ("EndlessTurn",),
        (
            (
                LINK,
                "return turn.sent >= MOST_SENT or now - began >= MOST_TIME",
                "return False",
            ),
            (
                LINK,
                "        if self._writing_paused or self._cut_off:\n",
                "        if self._writing_paused:\n",
            ),
        ),
    ),
    "B2": Bug(
        "messages wait for the end of the turn",
        ("held back",),
        ((LINK, "if now >= due or sent -", "if sent -"),),
    ),
    "C": Bug(
        "connect() forgets that it was cancelled",
        ("cancellation lost",),
        (
            (
                "asyncio/client.py",
                "await within(self._open_timeout, self._open(refusals))",
                "await asyncio.wait_for(self._open(refusals), self._open_timeout)",
            ),
        ),
    ),
    "D": Bug(
        "a slow upload is taken for dead",
        ("healthy peer given up", "lively peer given up"),
        (
            (
                LINK,
                "        if self.session.doubts(self._now):\n",
                "        if False:\n",
            ),
        ),
    ),
    "E": Bug(
        "a client connects again without delay",
        ("storm",),
        (("asyncio/client.py", "if lasted >= self._stable_after:", "if True:"),),
    ),
    "L": Bug(
        "serve_forever() leaves the server serving",
        ("still serving",),
        (
            (
                "asyncio/server.py",
                "            self.close()\n"
                "            await self.wait_closed()\n"
                "            raise\n",
                "            raise\n",
            ),
        ),
    ),
    "L2": Bug(
        "serve_forever() of a closed server never ends",
        ("task goes on", "Deadlock"),
        (
            (
                "asyncio/server.py",
                "                await self.start_serving()\n",
                "                await self.start_serving()\n"
                "            else:\n"
                "                await asyncio.Event().wait()\n",
            ),
        ),
    ),
    "N": Bug(
        "a close frame behind max_queue small messages is not seen",
        ("task goes on", "1006"),
        (("session.py", " and self._bytes >= _LITTLE", ""),),
    ),
    "U": Bug(
        "what a handler raises in connection_lost() skips the end",
        ("Deadlock", "Overtime"),
        ((LINK, "self._receiver.wake(self._lost)", "self._receiver.wake()"),),
    ),
    "U2": Bug(
        "so does what on_close raises",
        ("Deadlock", "Overtime"),
        (
            (
                LINK,
                "            self._begin_close(1011)\n"
                "            self._end_program(exc)\n"
                "        except BaseException as exc:\n"
                "            self.logger.error("
                '"connection handler failed", exc_info=exc)\n'
                "            self._begin_close(1011)\n"
                "        self._answers",
                "            raise\n"
                "        except Exception as exc:\n"
                "            self.logger.error("
                '"connection handler failed", exc_info=exc)\n'
                "            self._begin_close(1011)\n"
                "        self._answers",
            ),
        ),
    ),
    "U3": Bug(
        "a handler that ends with a BaseException leaves its connection open",
        ("left open",),
        (
            (
                CONNECTION,
                "                    self.logger.error("
                '"connection handler failed", exc_info=exc)\n'
                "                self._begin_close(1011)\n",
                "                    pass\n",
            ),
            (
                CONNECTION,
                "        elif self.server.handler is not None "
                "and self.protocol.state is OPEN:\n",
                "        elif False:\n",
            ),
        ),
    ),
    "V": Bug(
        "with TLS and a small write_limit the opening handshake never ends",
        ("no connection",),
        (*PAUSES, (LINK, "self._write_high = max(high, 1)", "self._write_high = high")),
    ),
    "X": Bug(
        "event loops live for ever",
        ("loop lives on",),
        (
            (
                LINK,
                "        _turns[loop] = weakref.ref(turn)\n",
                "        _turns[loop] = lambda: (turn, loop)[0]\n",
            ),
        ),
    ),
    "broadcast": Bug(
        "a message for all overtakes what a ping has pushed ahead",
        ("order",),
        (
            (
                "_wire/writer.py",
                "        self._outgoing().append(frame)\n        return True\n",
                "        self._outgoing().insert(0, frame)\n        return True\n",
            ),
        ),
    ),
}

_folder = tempfile.TemporaryDirectory(prefix="simulation")


def load(name: str) -> str:
    """Load the package with a bug, from source; give the name that it has here.

    Raises:
        ValueError: if the text to change is not there: the bug needs a new one.

    """
    package = f"sansocket_old_{name}"
    if package in sys.modules:
        return package
    folder = Path(_folder.name, package)
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("*.so", "*.pyc"))
    for file, old, new in BUGS[name].changes:
        path = folder / file
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{name}: {file} has {text.count(old)} times: {old}")
        path.write_text(text.replace(old, new), encoding="utf-8")
    start = str(folder / "__init__.py")
    spec = importlib.util.spec_from_file_location(
        package,
        start,
        loader=SourceFileLoader(package, start),
        submodule_search_locations=[str(folder)],
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[package] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return package


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bugs", nargs="*", help=f"of {', '.join(BUGS)}; default: all")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    missed = 0
    for name in options.bugs or BUGS:
        started = time.monotonic()
        bug = BUGS[name]
        search = Search(None, OLD + name, goes_on=False, wanted=bug.faults)
        failed = search.run(0, MOST_PROGRAMS, None, options.processes)
        seconds = time.monotonic() - started
        text = bug.text
        if failed:
            seed, kind, told = failed[0]
            print(
                f"{name}: {text}: found within {search.done} programs, {seconds:.0f} s"
            )
            print(f"    seed {seed}, {kind}: {told.splitlines()[0][:90]}", flush=True)
        else:
            missed += 1
            print(f"{name}: {text}: NOT FOUND in {search.done} programs", flush=True)
    return min(missed, 1)


__all__ = ["BATCH", "BUGS", "Bug", "load", "main"]

if __name__ == "__main__":
    sys.exit(main())
