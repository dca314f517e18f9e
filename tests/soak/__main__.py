"""Lets thousands of clients come, talk, misbehave and go, and looks what is left.

Clients come and go for some seconds, ``--connections`` at once; then the soak waits
until all have gone and counts what there is. ``--seed`` gives the same clients again,
though not the same timing. Exit status 1 if something has grown, if somebody does not
end, or if an error came up that nobody expects.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from .clients import BEHAVIOURS, EXPECTED
from .servers import Place, all_servers
from .watch import HEAD, Sample, growth, look

PATIENCE = 60.0  # seconds in which everybody must have gone
ROUNDS = 12  # samples, or more
FEWEST = 7  # if the machine is so busy that there is no time for more
ROUND = 20.0  # seconds from one sample to the next at most
ROWS = 30  # of the curve
# What asyncio itself reports: of TLS that gets garbage, and in its debug mode.
NOT_OURS = ("SSL handshake failed", "Error on transport creation", "SSL error in data")


ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Counting(logging.Handler):
    """Counts what is logged, by its text without arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines[f"{record.name}: {record.msg}"[:100]] += 1


class Soak:
    """A soak that runs."""

    def __init__(self, seed: int, at_once: int) -> None:
        self.chance = random.Random(seed)
        self.at_once = at_once
        self.places: list[Place] = []
        self.clients: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.most = 0  # connections of servers at once
        self.errors: Counter[str] = Counter()
        self.log = Counting()
        self.samples: list[Sample] = []
        self.start = time.monotonic()

    async def run(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self.report)
        logging.getLogger().addHandler(self.log)
        with tempfile.TemporaryDirectory() as folder:
            async with all_servers(Path(folder)) as self.places:
                base = len(asyncio.all_tasks())
                every = min(seconds / ROUNDS, ROUND)
                while self.seconds < seconds or len(self.samples) < FEWEST:
                    await self.let_them_come(every)
                    await self.wait_until_all_have_gone(base)
                    self.samples.append(
                        look(self.seconds, self.connections, len(asyncio.all_tasks()))
                    )
                    self.show()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    async def let_them_come(self, seconds: float) -> None:
        until = self.seconds + seconds
        kinds, weights = [*BEHAVIOURS], [*BEHAVIOURS.values()]
        while self.seconds < until:
            while len(self.clients) < self.at_once:
                (kind,) = self.chance.choices(kinds, weights)
                place = self.chance.choice(self.places)
                seed = self.chance.randrange(2**32)
                client = asyncio.ensure_future(self.one(kind, place, seed))
                self.clients.add(client)
                client.add_done_callback(self.clients.discard)
                self.connections += 1
                if self.connections % 20 == 0:
                    await asyncio.sleep(0)
            self.most = max(self.most, sum(place.members() for place in self.places))
            await asyncio.sleep(0.01)

    async def one(self, kind: Any, place: Place, seed: int) -> None:
        """One client, to its end."""
        task = asyncio.ensure_future(kind(place, random.Random(seed)))
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            self.errors[f"{kind.__name__} at {place.name} does not end"] += 1
            task.cancel()
        try:
            await task
        except (*EXPECTED, asyncio.CancelledError):
            pass
        except Exception as exc:
            self.errors[f"{kind.__name__}: {type(exc).__name__}: {exc}"] += 1

    async def wait_until_all_have_gone(self, tasks: int) -> None:
        end = self.seconds + 2 * PATIENCE
        while self.clients or len(asyncio.all_tasks()) > tasks or self.open_places():
            if self.seconds > end:
                left = [repr(task) for task in asyncio.all_tasks()][:10]
                raise SystemExit(f"not gone: {self.open_places()} {left}")
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)

    def open_places(self) -> list[str]:
        return [place.name for place in self.places if place.members()]

    def report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take down what an event loop has to say."""
        message = str(context["message"])
        if not message.startswith(NOT_OURS):
            message = ADDRESS.sub("", message)
            self.errors[f"{message}: {context.get('exception')!r}"] += 1

    def show(self) -> None:
        """A line of progress."""
        if len(self.samples) == 1:
            print(HEAD, flush=True)
        print(self.samples[-1].row, flush=True)

    def judge(self) -> int:
        """The report; gives the exit status."""
        last = self.samples[-1]
        print(
            f"\n{last.connections:,} connections in {last.seconds:.0f} seconds, "
            f"{self.most:,} at once\n\n{HEAD}"
        )
        step = -(-len(self.samples) // ROWS)
        for sample in self.samples[::step]:
            print(sample.row)
        print("\nmost often in the log:")
        for line, count in self.log.lines.most_common(10):
            print(f"{count:9,} {line}")
        problems = [f"grown: {line}" for line in growth(self.samples)]
        problems += [f"{count} times: {error}" for error, count in self.errors.items()]
        print("", *(problems or ["nothing has grown"]), sep="\n")
        return bool(problems)


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    if name == "asyncio":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, metavar="N")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--seed", type=int, help="for the same clients again")
    parser.add_argument("--connections", type=int, default=500, help="at once")
    options = parser.parse_args(arguments)
    seed = random.randrange(2**32) if options.seed is None else options.seed
    print(f"{options.loop}, seed {seed}, {options.connections} clients at once")
    let_files_be_open(2 * options.connections + 200)
    soak = Soak(seed, options.connections)
    loop = new_loop(options.loop)
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(soak.run(60 * options.minutes))
    finally:
        loop.close()
    return soak.judge()


def let_files_be_open(count: int) -> None:
    """Both ends of a connection are here."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    else:
        raise SystemExit(f"{count} files must be open at once, but {hard} may be")


if __name__ == "__main__":
    sys.exit(main())
