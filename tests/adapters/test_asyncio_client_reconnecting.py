"""Our client on asyncio connects again and again, while it is iterated over."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from sansocket import ConnectionClosed, InvalidStatus
from sansocket.asyncio import ClientConnection, ServerConnection, connect, serve

from .support import Run, echo, port_of, serving, until


class Delays:
    """Delays of nothing; how often they were asked for, series by series."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.series: list[int] = []

    def __call__(self) -> Iterator[float]:
        self.series.append(0)
        count = itertools.count() if self.limit is None else range(self.limit)
        for _ in count:
            self.series[-1] += 1
            yield 0.0


async def iterate(attempts: connect) -> None:
    """Iterate where no connection can come."""
    async for _ in attempts:
        pytest.fail("there is a connection")


class Refusing:
    """Refuses the first requests, and says what it does."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = [*statuses]

    def process_request(self, connection: Any, request: Any) -> Any:
        if self.statuses:
            return connection.respond(self.statuses.pop(0), "not now\n")
        return None


def test_again_and_again(run: Run) -> None:
    async def main() -> None:
        async with serving() as (server, url):
            delays = Delays()
            seen: list[ClientConnection] = []
            async for client in connect(url, reconnect_delays=delays):
                await client.send(str(len(seen)))
                assert await client.recv() == str(len(seen))
                if seen:  # and closed before
                    assert seen[-1].close_code == 1000
                seen.append(client)
                if len(seen) == 3:
                    break
            assert delays.series == [2]
            await until(lambda: seen[-1].close_code)  # the loop does it
            assert seen[-1].close_code == 1000
            await until(lambda: not server.connections)

    run(main())


def test_the_body_may_close_it_or_lose_it(run: Run) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async def main() -> None:
        async with serving(handler) as (_, url):
            turns = 0
            async for client in connect(url, reconnect_delays=Delays()):
                turns += 1
                if turns == 1:
                    await client.close(3000)
                elif turns == 2:
                    await client.send("a")
                    with pytest.raises(ConnectionClosed):
                        await client.recv()
                else:
                    break

    run(main())


def test_nobody_listens_yet(run: Run) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        attempts = Delays()
        servers: list[Any] = []

        def delays() -> Iterator[float]:
            for number, delay in enumerate(attempts()):
                if number == 2:
                    servers.append(asyncio.ensure_future(start()))
                yield delay

        async def start() -> Any:
            return await serve(echo, "127.0.0.1", port)

        uri = f"ws://127.0.0.1:{port}/"
        async for client in connect(uri, reconnect_delays=delays):
            await client.send("a")
            assert await client.recv() == "a"
            break
        assert attempts.series[0] > 2
        server = await servers[0]
        server.close()
        await server.wait_closed()

    run(main())


def test_a_server_that_restarts(run: Run) -> None:
    async def main() -> None:
        server = await serve(echo, "127.0.0.1", 0)
        port = port_of(server)
        turns = 0
        async for client in connect(
            f"ws://127.0.0.1:{port}/", reconnect_delays=Delays()
        ):
            turns += 1
            if turns == 2:
                break
            server.close()
            with pytest.raises(ConnectionClosed):
                await client.recv()
            await server.wait_closed()
            server = await serve(echo, "127.0.0.1", port)
        server.close()
        await server.wait_closed()

    run(main())


def test_fatal_errors(run: Run) -> None:
    async def main() -> None:
        refusing = Refusing(503, 403)
        async with serving(process_request=refusing.process_request) as (_, url):
            with pytest.raises(InvalidStatus, match="403"):
                await iterate(connect(url, reconnect_delays=Delays()))

    run(main())


def test_process_exception(run: Run) -> None:
    seen: list[Exception] = []

    def process(exc: Exception) -> Exception | None:
        assert isinstance(exc, InvalidStatus)
        seen.append(exc)
        return LookupError("enough") if exc.response.status_code == 503 else None

    async def main() -> None:
        refusing = Refusing(403, 404, 503)
        async with serving(process_request=refusing.process_request) as (_, url):
            attempts = connect(
                url, process_exception=process, reconnect_delays=Delays()
            )
            with pytest.raises(LookupError, match="enough") as info:
                await iterate(attempts)
            assert info.value.__cause__ is seen[-1]
            assert len(seen) == 3

    run(main())


def test_delays_that_end(run: Run) -> None:
    async def main() -> None:
        refusing = Refusing(*[503] * 4)
        async with serving(process_request=refusing.process_request) as (_, url):
            with pytest.raises(InvalidStatus, match="503"):
                await iterate(connect(url, reconnect_delays=Delays(3)))
            assert refusing.statuses == []

    run(main())


def test_an_exception_in_the_body(run: Run) -> None:
    async def loop(url: str, clients: list[ClientConnection]) -> None:
        async for client in connect(url):
            clients.append(client)
            raise RuntimeError("a bug")

    async def main() -> None:
        async with serving() as (_, url):
            clients: list[ClientConnection] = []
            with pytest.raises(RuntimeError, match="a bug"):
                await loop(url, clients)
            await until(lambda: clients[0].close_code)

    run(main())


def test_cancelled_while_it_waits(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        refusing = Refusing(503)
        async with serving(process_request=refusing.process_request) as (_, url):
            attempts = connect(url, reconnect_delays=lambda: iter([3600.0]))
            task = asyncio.ensure_future(iterate(attempts))
            await until(lambda: "retry in 3600.0 s" in caplog.text)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())
