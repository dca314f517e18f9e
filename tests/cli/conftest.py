"""Parts of the command line in the process of the tests."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sansocket.cli.ending import Ending
from sansocket.cli.settings import Settings

TIMEOUT = 60.0  # seconds that nothing here should ever take

DEFAULTS: dict[str, Any] = {
    "handler": "echo",
    "host": "127.0.0.1",
    "port": 0,
    "max_size": 2**20,
    "max_fragments": 4096,
    "open_timeout": 10.0,
    "close_timeout": 10.0,
    "compression": True,
    "loop": "asyncio",
    "workers": 1,
    "reload": False,
    "verbose": 0,
}


def settings(**changes: Any) -> Settings:
    """Settings of a server, with all that is not given as it is by default."""
    values: dict[str, Any] = {}
    values |= dict.fromkeys(Settings.__dataclass_fields__) | DEFAULTS | changes
    return Settings(**values)


class HarmlessEnding(Ending):
    """One that does not end the process, if ``sansocket.cli.ending.os`` is replaced."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.over = threading.Event()  # once the process would have ended
        super().__init__(*arguments, **options)

    def watch(self) -> None:
        super().watch()
        self.over.set()


Endings = Callable[..., HarmlessEnding]


@pytest.fixture
def endings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endings]:
    """Make endings that only note, as ``exits``, how they would end the process."""
    made: list[HarmlessEnding] = []
    exits: list[int] = []
    monkeypatch.setattr("sansocket.cli.ending.os", SimpleNamespace(_exit=exits.append))

    def make(*arguments: Any, **options: Any) -> HarmlessEnding:
        made.append(HarmlessEnding(*arguments, **options))
        return made[-1]

    with signals_restored():
        yield make
        for ending in made:
            ending.limit(0)
            assert ending.over.wait(TIMEOUT)


@contextlib.contextmanager
def signals_restored() -> Iterator[None]:
    """Let signals, and what tells of them, do in the end what they do now."""
    hook = sys.unraisablehook
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handlers = {name: signal.getsignal(getattr(signal, name)) for name in names}
    try:
        yield
    finally:
        for name, handler in handlers.items():
            signal.signal(getattr(signal, name), handler)
        sys.unraisablehook = hook


@contextlib.contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open only so many more files."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(count):
            os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
