"""Several processes that serve, and restarts when the code changes.

This process holds the listening sockets and none of the code of the user, so each
worker starts afresh, and no client is refused while one is replaced.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from .log import set_up_logging
from .server import serve_here
from .values import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

    from .settings import Settings
    from .sockets import Listeners

__all__ = ["supervise"]

logger = logging.getLogger("sansocket.serve")

PROCESSES = multiprocessing.get_context("spawn")
READY = ""  # what a worker reports when it serves; other text says what is wrong
SHORT_LIFE = 1.0  # seconds; a worker that lives no longer is replaced after as long
GRACE = 5.0  # seconds beyond what workers allow themselves to stop


def supervise(
    settings: Settings, listeners: Listeners, announce: Callable[[], None]
) -> None:
    """Run workers until SIGINT or SIGTERM.

    Args:
        settings: what to do.
        listeners: where to listen.
        announce: called once all workers serve.

    Raises:
        CommandError: if they cannot start.

    """
    if settings.reload:
        require_watchfiles()
    asyncio.run(Supervisor(settings, listeners, announce).run())


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

    Arguments are those of ``supervise()``.
    """

    def __init__(
        self, settings: Settings, listeners: Listeners, announce: Callable[[], None]
    ) -> None:
        self.settings = settings
        self.listeners = listeners
        self.announce = announce
        self.announced = False
        self.workers: list[Worker] = []
        self.stopping = False
        self.changed: asyncio.Future[Path] | None = None  # a file of the user's

    async def run(self) -> None:
        """Run until a signal comes."""
        loop = asyncio.get_running_loop()
        self.asked: asyncio.Future[None] = loop.create_future()
        loop.add_signal_handler(signal.SIGINT, self.signalled)
        loop.add_signal_handler(signal.SIGTERM, self.signalled)
        try:
            while not self.stopping:
                if self.settings.reload:
                    self.changed = asyncio.ensure_future(self.next_change())
                try:
                    await self.start()
                    await self.watch()
                except CommandError as exc:
                    await self.stop()
                    await self.wait_for_better(exc)
                await self.stop()
        finally:
            await self.stop()

    def signalled(self) -> None:
        """Pass a signal on: the first stops workers, the next cut connections off,
        and then there is no more waiting for them."""
        insisted = self.stopping
        self.stopping = True
        if not insisted:
            self.asked.set_result(None)
        for worker in self.workers:
            worker.stop()

    async def start(self) -> None:
        """Start all workers.

        Raises:
            CommandError: if one cannot serve.

        """
        count = range(self.settings.workers)
        self.workers = [self.new_worker(number) for number in count]
        for worker in self.workers:
            await worker.started()
        if not self.announced:
            self.announced = True
            self.announce()

    def new_worker(self, number: int) -> Worker:
        return Worker(self.settings, self.listeners.of_worker(number))

    async def watch(self) -> None:
        """Replace workers that die, until there is a signal or a change."""
        while not self.stopping:
            events = [worker.ended for worker in self.workers]
            await self.first_of(*events)
            if self.changed is not None and self.changed.done():
                logger.warning("%s changed: restarting", self.changed.result())
                return
            for number, worker in enumerate(self.workers):
                if worker.ended.done() and not self.stopping:
                    await self.replace(number)

    async def replace(self, number: int) -> None:
        """Start another worker for one that died.

        Raises:
            CommandError: if it cannot serve.

        """
        dead = self.workers[number]
        logger.warning("%s; another one starts", dead)
        if dead.lifetime < SHORT_LIFE:
            await self.first_of(timeout=SHORT_LIFE)
        if not self.stopping:
            worker = self.workers[number] = self.new_worker(number)
            await worker.started()

    async def wait_for_better(self, exc: CommandError) -> None:
        """Wait for a change to the code that did not start.

        Raises:
            CommandError: the same, if nobody will change it.

        """
        if self.stopping:
            return
        if self.changed is None or self.changed.done():
            raise exc
        logger.error("%s; waiting for a change", exc)
        await self.first_of()

    async def stop(self) -> None:
        """Stop all workers, and wait for them; those that hang are killed."""
        for worker in self.workers:
            worker.stop()
        ended = [worker.ended for worker in self.workers if not worker.ended.done()]
        if ended:
            timeout = 2 * self.settings.close_timeout + GRACE
            _, hanging = await asyncio.wait(ended, timeout=timeout)
            if hanging:
                for worker in self.workers:
                    worker.process.kill()
                await asyncio.wait(hanging)
        self.workers = []

    async def first_of(
        self, *events: asyncio.Future[int], timeout: float | None = None
    ) -> None:
        """Wait for the first of some events, or a signal, or a change."""
        also = [self.asked] if self.changed is None else [self.asked, self.changed]
        await asyncio.wait(
            [*events, *also], timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )

    async def next_change(self) -> Path:
        """Wait until a Python file near the handler changes."""
        from watchfiles import PythonFilter, awatch

        folder = folder_of(self.settings.handler)
        try:
            async for changes in awatch(folder, watch_filter=PythonFilter()):
                return Path(min(path for _, path in changes))
        except OSError as exc:  # such as the system's limit of watched files
            raise CommandError(f"cannot watch {folder}: {exc}") from exc
        raise CommandError(f"cannot watch {folder}")


class Worker:
    """A process that serves.

    Args:
        settings: what to do.
        sockets: where to listen.

    Attributes:
        process: the process.
        ended: its exit status, once it has one.

    """

    def __init__(self, settings: Settings, sockets: Sequence[socket.socket]) -> None:
        self.loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self.loop.create_future()
        self.report, theirs = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=work, args=(settings, sockets, theirs))
        # Ctrl-C goes to all processes of the terminal. It is for us alone, from the
        # first moment on: what is blocked here stays so in the new process.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()
        self.born = self.loop.time()
        self.lifetime = 0.0
        self.loop.add_reader(self.process.sentinel, self.collect)

    def __str__(self) -> str:
        status = self.ended.result()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"worker {self.process.pid} ended with {how}"

    async def started(self) -> None:
        """Wait until it serves.

        Raises:
            CommandError: if it cannot.

        """
        told = asyncio.Event()
        self.loop.add_reader(self.report.fileno(), told.set)
        await told.wait()
        self.loop.remove_reader(self.report.fileno())
        try:
            problem = self.report.recv_bytes().decode()
        except EOFError:
            await self.ended
            problem = str(self)
        finally:
            self.report.close()
        if problem != READY:
            raise CommandError(problem)

    def stop(self) -> None:
        """Tell it to stop, or to hurry if it is stopping."""
        if self.process.is_alive():
            self.process.terminate()

    def collect(self) -> None:
        """Take note of its end."""
        self.loop.remove_reader(self.process.sentinel)
        self.process.join()
        self.lifetime = self.loop.time() - self.born
        assert self.process.exitcode is not None
        self.ended.set_result(self.process.exitcode)


def work(
    settings: Settings, sockets: Sequence[socket.socket], report: Connection
) -> None:
    """What a worker does: serve, and report once whether that works."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    set_up_logging(settings.verbose)
    # Two changes of the same size within a second would give what was compiled first.
    sys.dont_write_bytecode = sys.dont_write_bytecode or settings.reload
    parent = multiprocessing.parent_process()
    assert parent is not None

    def tell(text: str) -> None:
        report.send_bytes(text.encode())
        report.close()

    try:
        serve_here(settings, sockets, lambda: tell(READY), parent.sentinel)
    except CommandError as exc:
        tell(str(exc))
        sys.exit(1)


def folder_of(handler: str) -> Path:
    """The folder in which the module of a handler is found; else the current one."""
    top = handler.partition(":")[0].partition(".")[0]
    found = PathFinder.find_spec(top, [str(Path.cwd()), *sys.path])
    if found is None or found.origin is None:
        return Path.cwd()
    place = Path(found.origin).parent
    return place.parent if found.submodule_search_locations else place
