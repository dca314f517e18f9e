"""Several processes that serve, and restarts when the code changes.

This process holds the listening sockets and none of the code of the user, so each
worker starts afresh, and no client is refused while one is replaced.
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

logger = logging.getLogger("sansocket.serve")

# Seconds until a worker is replaced that died: at once, then later each time.
DELAYS = (0, 0.5, 1, 2, 4, 8, 16, 30)
STEADY = 10.0  # seconds; after a life as long as that, delays begin again
GRACE = 5.0  # seconds beyond what workers allow themselves to stop
ANSWER = 0.5  # seconds for workers to say who they wait for


def supervise(
    settings: Settings,
    listeners: Listeners,
    announce: Callable[[], None],
    ending: Ending,
) -> None:
    """Run workers until asked to stop.

    Args:
        settings: what to do.
        listeners: where to listen.
        announce: called once workers serve.
        ending: tells when to stop.

    Raises:
        CommandError: if they cannot start.

    """
    if settings.reload:
        require_watchfiles()
    ending.hold()
    asyncio.run(Supervisor(settings, listeners, announce, ending).run())


def require_watchfiles() -> None:
    """Check that the extra is installed.

    Raises:
        CommandError: if not.

    """
    try:
        import watchfiles  # noqa: F401 - only whether it is there
    except ImportError:
        raise CommandError(
            "--reload needs watchfiles: pip install 'sansocket[cli]'"
        ) from None


class Supervisor:
    """Starts workers, replaces those that die, and stops them all.

    Each has a place, with a task that sees to it that somebody serves there.
    Arguments are those of ``supervise()``.
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
        self.announced = False
        # Whether any worker was ready, ever and since the code changed.
        self.served = self.serves = False
        self.starting: set[int] = set()  # places whose first worker has not begun
        self.workers: set[Worker] = set()
        self.ready: set[Worker] = set()

    async def run(self) -> None:
        """Run until asked to stop.

        Raises:
            CommandError: if workers cannot start.

        """
        self.asked, self.hurried = asyncio.Event(), asyncio.Event()
        self.ending.attach(self.asked.set, self.hurry)
        asked = asyncio.ensure_future(self.asked.wait())
        while not asked.done():
            await self.generation(asked)

    def hurry(self) -> None:
        """Let workers cut off what they wait for."""
        self.asked.set()
        self.hurried.set()
        for worker in self.workers:
            worker.tell(HURRY)

    async def generation(self, asked: asyncio.Future[Any]) -> None:
        """Let workers serve until asked to stop, or until the code changes.

        Raises:
            CommandError: if none of them can serve.

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
            CommandError: if it cannot serve, and no other could since the code
                changed.

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
            logger.warning("%s; another one starts%s", problem, when)
            self.begun(number)
            await asyncio.sleep(delay)

    async def live(self, number: int) -> str:
        """Let a worker serve until it ends; tell what happened.

        Raises:
            CommandError: as ``keep()``.

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
        """Tell users where to connect once each place has had its worker."""
        self.starting.discard(number)
        if not self.announced and self.served and not self.starting:
            self.announced = True
            self.announce()

    # --- the end

    async def stop(self) -> None:
        """Stop all workers, and wait for them; those that hang are killed."""
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
        """Ask all workers for whom they wait, and tell."""
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
        except OSError as exc:  # such as the system's limit of watched files
            raise CommandError(f"cannot watch {folder}: {exc}") from exc
        return Path(min(path for _, path in changes))


async def first_of(*events: asyncio.Future[Any], timeout: float | None = None) -> bool:
    """Wait for the first of some events; tell whether there was one in time."""
    done, _ = await asyncio.wait(
        events, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
    )
    return bool(done)


def folder_of(handler: str) -> Path:
    """The folder in which the module of a handler is found; else the current one."""
    top = handler.partition(":")[0].partition(".")[0]
    found = PathFinder.find_spec(top, [str(Path.cwd()), *sys.path])
    if found is None or found.origin is None:
        return Path.cwd()
    place = Path(found.origin).parent
    return place.parent if found.submodule_search_locations else place
