"""Several worker processes, and restarts when the code changes.

This process holds the listening sockets and does not load the user's code. So each
worker starts from scratch, and no client is refused while one is replaced.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from .ending import LAST, NOTICE, Remaining
from .values import CommandError
from .worker import HURRY, STOP, WHO, Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from .ending import Ending
    from .settings import Settings
    from .sockets import Listeners

__all__ = ["GRACE", "supervise"]

logger: logging.Logger = logging.getLogger("sansocket.serve")

# Seconds until a dead worker is replaced: at once, then with increasing delays.
DELAYS = (0, 0.5, 1, 2, 4, 8, 16, 30)
STEADY = 10.0  # seconds; a worker that lived this long resets the delays
GRACE = 5.0  # seconds beyond the time that workers allow themselves to stop
ANSWER = 0.5  # seconds for workers to report what they are waiting for


def supervise(
    settings: Settings,
    listeners: Listeners,
    announce: Callable[[], None],
    ending: Ending,
) -> None:
    """Run workers until told to stop.

    Args:
        settings: settings of the server.
        listeners: listening sockets.
        announce: called once the workers serve.
        ending: signals when to stop.

    Raises:
        CommandError: if the workers cannot start.
    """
    if settings.reload:
        require_watchfiles()
    ending.hold()
    asyncio.run(Supervisor(settings, listeners, announce, ending).run())


def require_watchfiles() -> None:
    """Check that ``watchfiles`` is installed.

    Raises:
        CommandError: if it is not.
    """
    try:
        import watchfiles  # noqa: F401 - checks only that it exists
    except ImportError:
        raise CommandError(
            "--reload requires watchfiles: pip install 'sansocket[cli]'"
        ) from None


class Supervisor:
    """Starts workers, replaces those that die, and stops them all.

    Each worker has a place, and each place a task that keeps it occupied. The
    arguments are those of ``supervise()``.
    """

    def __init__(
        self,
        settings: Settings,
        listeners: Listeners,
        announce: Callable[[], None],
        ending: Ending,
    ) -> None:
        self.settings = settings
        self.listeners = listeners
        self.announce = announce
        self.ending = ending
        self.announced: bool = False
        # Whether any worker has been ready: ever, and since the code changed.
        self.served: bool = False
        self.serves: bool = False
        self.starting: set[int] = set()  # places whose first worker has not begun
        self.workers: set[Worker] = set()
        self.ready: set[Worker] = set()

    async def run(self) -> None:
        """Run until told to stop.

        Raises:
            CommandError: if the workers cannot start.
        """
        self.asked: asyncio.Event = asyncio.Event()
        self.hurried: asyncio.Event = asyncio.Event()
        self.ending.attach(self.asked.set, self.hurry)
        asked = asyncio.ensure_future(self.asked.wait())
        while not asked.done():
            await self.generation(asked)

    def hurry(self) -> None:
        """Make workers cut off what they are waiting for."""
        self.asked.set()
        self.hurried.set()
        for worker in self.workers:
            worker.tell(HURRY)

    async def generation(self, asked: asyncio.Future[Any]) -> None:
        """Let workers serve until told to stop, or until the code changes.

        Raises:
            CommandError: if none of the workers can serve.
        """
        changed = self.spawn(self.next_change()) if self.settings.reload else None
        self.serves = False
        self.starting = {*range(self.settings.workers)}
        places = [self.spawn(self.keep(number)) for number in sorted(self.starting)]
        also = [asked] if changed is None else [asked, changed]
        try:
            await first_of(*places, *also)
            if changed is not None and changed.done():
                logger.warning("%s changed: restarting", changed.result())
        finally:
            for place in places:
                place.cancel()
            problems = await asyncio.gather(*places, return_exceptions=True)
            await self.stop()
        for problem in problems:
            if asked.done() or isinstance(problem, asyncio.CancelledError):
                continue
            assert isinstance(problem, Exception)
            if changed is None or not isinstance(problem, CommandError):
                raise problem
            if not changed.done():
                logger.error("%s; waiting for a change", problem)
                await first_of(*also)
            if changed.done():
                changed.result()
            return

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        return asyncio.ensure_future(work)

    async def keep(self, number: int) -> None:
        """Keep a worker at a place, however often it dies.

        Raises:
            CommandError: if it cannot serve, and no other has since the code changed.
        """
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            born = clock()
            problem = await self.live(number)
            failures = 0 if clock() - born >= STEADY else failures
            delay = DELAYS[min(failures, len(DELAYS) - 1)]
            failures += 1
            if delay and self.ready:
                self.listeners.retire(number)
            when = f" in {delay:g} s" if delay else ""
            logger.warning("%s; starting a replacement%s", problem, when)
            self.begun(number)
            await asyncio.sleep(delay)

    async def live(self, number: int) -> str:
        """Let a worker serve until it ends; return what happened.

        Raises:
            CommandError: as for ``keep()``.
        """
        try:
            worker = Worker(self.settings, self.listeners.of_worker(number))
        except OSError as exc:
            if not self.served:
                raise CommandError(f"cannot start a worker: {exc}") from exc
            return f"cannot start a worker: {exc}"
        self.workers.add(worker)
        problem = await asyncio.shield(worker.begun)
        if problem == "":
            self.served = self.serves = True
            self.ready.add(worker)
            self.begun(number)
        await asyncio.shield(worker.ended)
        self.workers.discard(worker)
        self.ready.discard(worker)
        if problem:
            if not self.serves:
                raise CommandError(problem)
            return f"{worker} cannot serve: {problem}"
        fate = f"{worker} ended with {worker.fate()}"
        if problem is None:
            fate += " before it was ready"
            if not self.served:
                raise CommandError(fate)
        return fate

    def begun(self, number: int) -> None:
        """Print the addresses once every place has had its first worker."""
        self.starting.discard(number)
        if not self.announced and self.served and not self.starting:
            self.announced = True
            self.announce()

    # --- the end

    async def stop(self) -> None:
        """Stop all workers and wait for them; kill those that hang."""
        for worker in self.workers:
            worker.tell(STOP)
        ended = asyncio.gather(*(worker.ended for worker in self.workers))
        hurried = asyncio.ensure_future(self.hurried.wait())
        timeout = 2 * self.settings.close_timeout + LAST + GRACE
        if not await first_of(ended, hurried, timeout=NOTICE):
            if self.asked.is_set():
                self.spawn(self.say_who_remains())
            await first_of(ended, hurried, timeout=timeout)
        if not await first_of(ended, timeout=LAST + GRACE if hurried.done() else 0):
            for worker in self.workers:
                worker.process.kill()
            await ended
        hurried.cancel()
        self.workers.clear()
        self.ready.clear()

    async def say_who_remains(self) -> None:
        """Ask all workers what they are waiting for, and log it."""
        asked = [worker for worker in self.workers if not worker.ended.done()]
        if not asked:  # the last one has just ended
            return
        for worker in asked:
            worker.tell(WHO)
        await asyncio.wait([worker.ended for worker in asked], timeout=ANSWER)
        total = Remaining()
        for worker in asked:
            if not worker.ended.done():
                total += worker.remaining or Remaining(silent=1)
        if (text := str(total)) and not self.hurried.is_set():
            logger.warning("%s", text)

    # --- the code

    async def next_change(self) -> Path:
        """Wait until a Python file near the handler changes."""
        from watchfiles import PythonFilter, awatch

        folder = folder_of(self.settings.handler)
        try:
            changes = await anext(awatch(folder, watch_filter=PythonFilter()))
        except OSError as exc:  # the system limits watched files, for instance
            raise CommandError(f"cannot watch {folder}: {exc}") from exc
        return Path(min(path for _, path in changes))


async def first_of(*events: asyncio.Future[Any], timeout: float | None = None) -> bool:
    """Wait for the first of some events; return whether it occurred in time."""
    done, _ = await asyncio.wait(
        events, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
    )
    return bool(done)


def folder_of(handler: str) -> Path:
    """Return the directory of a handler's module, or else the current directory."""
    top = handler.partition(":")[0].partition(".")[0]
    found = PathFinder.find_spec(top, [str(Path.cwd()), *sys.path])
    if found is None or found.origin is None:
        return Path.cwd()
    place = Path(found.origin).parent
    return place.parent if found.submodule_search_locations else place
