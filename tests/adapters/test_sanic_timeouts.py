"""Time limits of Sanic's handlers: no cancellation and no message gets lost in them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from sansocket.datastructures import Headers
from sansocket.http11 import Request
from sansocket.server import ServerProtocol
from tests.core.support import FIN, REQUEST_HEADERS, TEXT, masked

from .clocks import ManualLoop

pytest.importorskip("sanic")

from sansocket.sanic import SanicConnection, Websocket

LIMIT = 5.0
STEPS = ("message", "expire", "cancel")
ORDERS = [order for size in (2, 3) for order in itertools.permutations(STEPS, size)]


class Transport(asyncio.Transport):
    """Carries nothing."""

    def set_protocol(self, protocol: Any) -> None: ...
    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None: ...
    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Owner:
    """Stands for Sanic's protocol."""

    def connection_lost(self, exc: Exception | None) -> None: ...


class Opened:
    """A connection that Sanic has handed over."""

    def __init__(self) -> None:
        owner: Any = Owner()
        protocol = ServerProtocol()
        request: Any = SimpleNamespace(transport=Transport(), protocol=owner)
        self.connection = SanicConnection(protocol, owner, ping_interval=None)
        response = protocol.accept(Request("/", Headers(REQUEST_HEADERS)))
        self.connection.take_over(request, response, bytearray())
        self.websocket = Websocket(self.connection)

    def message(self) -> None:
        """Let one come."""
        frame = masked(FIN | TEXT, b"a")
        self.connection.get_buffer(-1)[: len(frame)] = frame
        self.connection.buffer_updated(len(frame))

    def loss(self) -> None:
        """Lose the connection."""
        self.connection.connection_lost(None)


def outcome_of(
    start: Callable[[Opened], Coroutine[Any, Any, Any]],
    happens: str,
    order: tuple[str, ...],
) -> tuple[Any, bool, Opened, ManualLoop]:
    """What a coroutine gives when that happens in one turn of the loop, and whether
    its task was cancelled before it had ended."""
    loop = ManualLoop()
    cancelled: list[bool] = []

    async def main() -> tuple[Any, Opened]:
        opened = Opened()
        task = asyncio.ensure_future(start(opened))
        for _ in range(5):
            await asyncio.sleep(0)
        expiry = order.index("expire") if "expire" in order else len(order)
        for place, step in enumerate(order):
            when = LIMIT + (place - expiry) / 10
            if step == "cancel":
                loop.call_at(when, lambda: cancelled.append(task.cancel()))
            elif step != "expire":
                loop.call_at(when, getattr(opened, happens))
        loop.now = LIMIT + 1
        try:
            return await task, opened
        except asyncio.CancelledError:
            return "cancelled", opened

    result, opened = loop.run_until_complete(main())
    return result, any(cancelled), opened, loop


async def receive(opened: Opened) -> Any:
    return await opened.websocket.recv(LIMIT)


async def wait_for_the_loss(opened: Opened) -> bool:
    return await opened.websocket.wait_for_connection_lost(LIMIT)


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_receiving(order: tuple[str, ...]) -> None:
    """Who is cancelled is, and the message is there for the next one."""
    result, cancelled, opened, loop = outcome_of(receive, "message", order)
    assert result in (("cancelled",) if cancelled else ("a", None))
    if result != "a" and "message" in order:
        later = opened.websocket.recv(0)
        assert loop.run_until_complete(later) == "a"
    loop.close()


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_waiting_for_the_loss(order: tuple[str, ...]) -> None:
    result, cancelled, _, loop = outcome_of(wait_for_the_loss, "loss", order)
    assert result in (("cancelled",) if cancelled else (True, False))
    loop.close()
