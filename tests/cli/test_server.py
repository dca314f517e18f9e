"""A server in the process of the tests: its options, and errors of the network."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from sansocket.cli.handlers import echo
from sansocket.cli.server import Process, report
from sansocket.cli.sockets import Listeners

from .conftest import settings


class Waiting:
    """An ending that comes when a test says so."""

    def attach(self, stop: Any, hurry: Any) -> None:
        self.stop = stop

    def limit(self, seconds: float) -> None:
        pass


@pytest.mark.parametrize(
    ("origins", "accepted"),
    [
        (None, [None, "https://a.example", "https://b.example"]),
        (["https://a.example"], ["https://a.example"]),
        (["https://a.example", "none"], [None, "https://a.example"]),
    ],
)
def test_which_sites_are_accepted(
    origins: list[str] | None, accepted: list[str | None]
) -> None:
    async def main() -> list[str | None]:
        found: list[str | None] = []
        ending: Any = Waiting()
        with Listeners(settings(origins=origins)) as listeners:
            process = Process(listeners.settings, echo, None, ending)
            ready = asyncio.Event()
            work = process.run(listeners.of_worker(0), ready.set)
            running = asyncio.ensure_future(work)
            await ready.wait()
            for one in (None, "https://a.example", "https://b.example"):
                origin = None if one is None else Origin(one)
                with contextlib.suppress(InvalidStatus):
                    (url,) = listeners.addresses()
                    async with connect(url, origin=origin, proxy=None):
                        found.append(one)
            ending.stop()
            await running
        return found

    assert asyncio.run(main()) == accepted


def test_what_is_said_about_errors_of_the_event_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Those of the network in one line, bugs with all that is known of them; nothing
    of a TLS connection that began when the server ended."""
    caplog.set_level(logging.WARNING)
    loop = asyncio.new_event_loop()
    for exc in (
        *(OSError(24, "Too many open files"), asyncio.CancelledError()),
        ZeroDivisionError("division by zero"),
    ):
        report(loop, {"message": "accepting failed", "exception": exc})
    loop.close()
    network, bug = caplog.records
    assert network.getMessage() == "accepting failed: [Errno 24] Too many open files"
    assert (network.levelname, network.exc_info) == ("WARNING", None)
    assert bug.levelname == "ERROR"
    assert bug.exc_info is not None
    assert bug.exc_info[0] is ZeroDivisionError
