"""A worker as its supervisor sees it, and what it does when it is told something."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import wait
from types import SimpleNamespace
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("not on Windows", allow_module_level=True)
from sansocket.cli.ending import Remaining
from sansocket.cli.worker import HURRY, OF_TERMINALS, STOP, WHO, Worker, listen

from .conftest import TIMEOUT, descriptors_left, settings, signals_restored


@pytest.mark.parametrize("pidfd", [True, False])
def test_the_last_words_of_a_worker(
    monkeypatch: pytest.MonkeyPatch, pidfd: bool
) -> None:
    """They count even if they are read only after its end."""
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)

    async def main() -> tuple[str | None, str]:
        worker = Worker(settings(handler="no_such_module:handler"), [])
        try:
            assert wait([worker.process.sentinel], TIMEOUT)
            worker.collect()
        finally:
            worker.process.kill()
        return await worker.begun, worker.fate()

    problem = "cannot find module no_such_module"
    assert asyncio.run(main()) == (problem, "status 1")


@pytest.mark.parametrize("left", [0, 2], ids=["no pipe", "no process"])
def test_a_worker_that_cannot_be_started(left: int) -> None:
    async def main() -> set[signal.Signals | int]:
        before = {*os.listdir("/dev/fd")}
        with descriptors_left(left), pytest.raises(OSError, match="Too many open"):
            Worker(settings(), [])
        assert {*os.listdir("/dev/fd")} <= before
        return signal.pthread_sigmask(signal.SIG_BLOCK, [])

    assert asyncio.run(main()).isdisjoint(OF_TERMINALS)


def test_what_a_worker_does_when_it_is_told() -> None:
    """In the end its supervisor is gone: then it stops, too."""
    done: list[str] = []
    here, there = multiprocessing.Pipe()
    ending: Any = SimpleNamespace(
        insist=lambda: done.append("hurries"), remaining=lambda: Remaining(3)
    )
    with signals_restored(), there:
        signal.signal(signal.SIGTERM, lambda number, frame: done.append("stops"))
        with here:
            for word in (WHO, STOP, HURRY):
                here.send(word)
            answered: list[Any] = []

            def insist() -> None:
                done.append("hurries")
                answered.append(here.recv())
                here.close()

            ending.insist = insist
            listen(there, ending)
    assert answered == [("remaining", Remaining(3))]
    assert done == ["stops", "hurries", "stops"]
