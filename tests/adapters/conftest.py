"""Fixtures: event loops, and a log that peers must not fill with tracebacks."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import certificate  # noqa: F401 - a fixture

from .processes import start as start
from .support import Contexts, Run, until

try:
    import uvloop
except ImportError:
    LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop] | None] = {"uvloop": None}
else:
    LOOPS = {"uvloop": uvloop.new_event_loop}
LOOPS["asyncio"] = asyncio.new_event_loop

# Seconds after which a test is shown where it waits: many, since the machine may be
# busy with something else.
TIMEOUT = 120.0
# What asyncio itself reports, in its debug mode only.
REFUSED_TLS = "Error on transport creation for incoming connection"


@pytest.fixture(autouse=True)
def no_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What listens on the loopback address is here."""
    for name in [*os.environ]:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def contexts(certificate: tuple[Path, Path]) -> Contexts:  # noqa: F811
    """TLS of the server, and of a client that trusts it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)
    return server, ssl.create_default_context(cafile=str(certificate[0]))


@pytest.fixture
def may_log_errors() -> list[str]:
    """The messages that are expected with a traceback."""
    return []


@pytest.fixture(params=sorted(LOOPS))
def run(
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    may_log_errors: list[str],
) -> Iterator[Run]:
    """Run a coroutine on each kind of loop. Nothing may be left behind: no task, no
    error that the loop has to report, and no traceback in the log."""
    new_loop = LOOPS[request.param]
    if new_loop is None:
        pytest.skip(f"{request.param} is not installed")
    caplog.set_level(logging.INFO)
    loop = new_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))

    def runner(coroutine: Coroutine[Any, Any, Any]) -> Any:
        async def limited() -> Any:
            result = await asyncio.wait_for(coroutine, TIMEOUT)
            me = asyncio.current_task()
            await until(lambda: asyncio.all_tasks() == {me})
            return result

        return loop.run_until_complete(limited())

    yield runner
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert [one for one in reported if one["message"] != REFUSED_TLS] == []
    logged = [
        record
        for record in caplog.get_records("call")
        if record.exc_info and record.name.startswith(("sansocket", "uvicorn"))
    ]
    assert {record.getMessage() for record in logged} == {*may_log_errors}
