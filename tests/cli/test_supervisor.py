"""The supervisor of workers: what happens when they cannot start, or do not stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("not on Windows", allow_module_level=True)
from sansocket.cli import supervisor
from sansocket.cli.ending import Remaining
from sansocket.cli.sockets import Listeners
from sansocket.cli.supervisor import Supervisor, folder_of
from sansocket.cli.values import CommandError
from sansocket.cli.worker import WHO, Worker
from tests.adapters.support import until

from .conftest import settings


class Watchful(Supervisor):
    """One that is told of changes by a test."""

    changes: asyncio.Queue[Path]

    async def next_change(self) -> Path:
        return await self.changes.get()


def watchful(listeners: Listeners) -> Watchful:
    """Make one; it must be asked to stop by its attribute ``asked``."""
    nothing: Any = None
    made = Watchful(listeners.settings, listeners, lambda: None, nothing)
    made.asked, made.hurried = asyncio.Event(), asyncio.Event()
    made.changes = asyncio.Queue()
    return made


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system lets no process start."""

    def fail(*arguments: Any) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(supervisor, "Worker", fail)


PROBLEM = "cannot start a worker: [Errno 11] Resource temporarily unavailable"


def test_no_process_can_start(no_worker: None) -> None:
    async def main() -> None:
        with Listeners(settings(workers=2)) as listeners:
            await watchful(listeners).generation(asyncio.Future())

    with pytest.raises(CommandError) as raised:
        asyncio.run(main())
    assert str(raised.value) == PROBLEM


def test_no_other_process_can_start(no_worker: None) -> None:
    """A server that has served tries again later."""

    async def main() -> str:
        with Listeners(settings()) as listeners:
            one = watchful(listeners)
            one.served = True
            return await one.live(0)

    assert asyncio.run(main()) == PROBLEM


@pytest.mark.parametrize("end", ["change", "stop"])
def test_what_waits_for_a_change(
    no_worker: None, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    """Or is asked to stop meanwhile."""

    async def main() -> None:
        with Listeners(settings(reload=True)) as listeners:
            one = watchful(listeners)
            asked: asyncio.Future[Any] = asyncio.Future()
            generation = asyncio.ensure_future(one.generation(asked))
            await until(lambda: caplog.messages)
            assert not generation.done()
            if end == "change":
                one.changes.put_nowait(Path("app.py"))
            else:
                asked.set_result(None)
            await generation

    asyncio.run(main())
    assert caplog.messages == [f"{PROBLEM}; waiting for a change"]


def test_a_change_at_the_moment_of_a_failure(
    no_worker: None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not the end of the server: the new code may be right."""

    async def main() -> None:
        with Listeners(settings(reload=True)) as listeners:
            one = watchful(listeners)
            one.changes.put_nowait(Path("app.py"))
            await one.generation(asyncio.Future())

    asyncio.run(main())
    assert caplog.messages == ["app.py changed: restarting"]


def test_a_worker_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTICE", "LAST", "GRACE"):
        monkeypatch.setattr(supervisor, name, 0)

    async def main() -> str:
        with Listeners(settings(close_timeout=0)) as listeners:
            one = watchful(listeners)
            worker = Worker(listeners.settings, listeners.of_worker(0))
            try:
                one.workers.add(worker)
                assert await worker.begun == ""
                assert worker.process.pid is not None
                os.kill(worker.process.pid, signal.SIGSTOP)
                await one.stop()
            finally:
                worker.process.kill()
            return worker.fate()

    assert asyncio.run(main()) == "signal 9"


class Asked:
    """A worker that is asked who it waits for."""

    def __init__(self, answer: Remaining | None, ends: bool = False) -> None:
        self.answer = answer
        self.ends = ends
        self.remaining: Remaining | None = None
        self.ended: asyncio.Future[int] = asyncio.Future()

    def tell(self, word: str) -> None:
        assert word == WHO
        self.remaining = self.answer
        if self.ends:
            self.ended.set_result(0)


@pytest.mark.parametrize("hurried", [False, True])
def test_who_is_waited_for_is_the_sum_of_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, hurried: bool
) -> None:
    """Of those that are still there; and who hurries does not want to know."""
    monkeypatch.setattr(supervisor, "ANSWER", 0)

    async def main() -> None:
        with Listeners(settings()) as listeners:
            one = watchful(listeners)
            workers: Any = [
                *(Asked(Remaining(1)), Asked(Remaining(2)), Asked(None)),
                Asked(Remaining(4), ends=True),
            ]
            one.workers = {*workers}
            if hurried:
                one.hurried.set()
            await one.say_who_remains()

    asyncio.run(main())
    expected = str(Remaining(3) + Remaining(silent=1))
    assert caplog.messages == ([] if hurried else [expected])


def test_nobody_is_waited_for_any_more(caplog: pytest.LogCaptureFixture) -> None:
    """The last worker ended when it was about to be asked."""

    async def main() -> None:
        with Listeners(settings()) as listeners:
            one = watchful(listeners)
            worker: Any = Asked(None)
            worker.ended.set_result(0)
            one.workers = {worker}
            await one.say_who_remains()

    asyncio.run(main())
    assert caplog.messages == []


# The code


def test_a_folder_that_cannot_be_watched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watchfiles = pytest.importorskip("watchfiles")

    async def awatch(*arguments: Any, **options: Any) -> AsyncIterator[Any]:
        raise OSError(28, "inotify watch limit reached")
        yield

    monkeypatch.setattr(watchfiles, "awatch", awatch)
    monkeypatch.chdir(tmp_path)
    nothing: Any = None

    async def main() -> None:
        one = Supervisor(settings(handler="app:it"), nothing, lambda: None, nothing)
        await one.next_change()

    with pytest.raises(CommandError) as raised:
        asyncio.run(main())
    reason = "[Errno 28] inotify watch limit reached"
    assert str(raised.value) == f"cannot watch {tmp_path}: {reason}"


def test_which_folder_is_watched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That of the module, or the one around its package."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here / "names", elsewhere / "package"):
        folder.mkdir(parents=True)
    (elsewhere / "package" / "__init__.py").touch()
    (elsewhere / "module.py").touch()
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(elsewhere)
    assert folder_of("module:handler") == elsewhere
    assert folder_of("package.part:handler") == elsewhere
    # A package without a file may be in several; and there may be none.
    assert folder_of("names.part:handler") == folder_of("none:handler") == here
