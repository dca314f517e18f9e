"""Our client on asyncio does not connect again at once, or where that is in vain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from sansocket import ConnectionClosed, InvalidStatus
from sansocket.asyncio import (
    ClientConnection,
    ServerConnection,
    connect,
    unix_connect,
    unix_serve,
)

from .clocks import ManualLoop, SkippingLoop
from .proxies import http_proxy
from .support import UNCLOSED, Contexts, Run, echo, serving, until
from .test_asyncio_client_reconnecting import Delays, Refusing, iterate

pytestmark = pytest.mark.filterwarnings(UNCLOSED)

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")


async def close_at_once(connection: ServerConnection) -> None:
    """A handler that has nothing to say."""


async def abort_at_once(connection: ServerConnection) -> None:
    connection.transport.abort()


def run_with(loop: ManualLoop, main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop whose time is not that of the world."""
    try:
        result = loop.run_until_complete(main)
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    return result


def retries(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What the log tells of them: levels and lines."""
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == "sansocket.client" and "retry" in record.getMessage()
    ]


class TestConnectionsThatDoNotLast:
    """SPEC-054"""

    @pytest.mark.parametrize("handler", [close_at_once, abort_at_once])
    def test_each_is_followed_by_a_longer_delay(
        self, run: Run, handler: Callable[[ServerConnection], Any]
    ) -> None:
        async def main() -> None:
            async with serving(handler) as (_, url):
                delays = Delays()
                turns = 0
                async for client in connect(url, reconnect_delays=delays):
                    with pytest.raises(ConnectionClosed):
                        await client.recv()
                    turns += 1
                    if turns == 4:
                        break
                assert delays.series == [3]

        run(main())

    @unix
    def test_how_often_it_connects_by_default(self, tmp_path: Any) -> None:
        """Whatever the body does about it; in an hour, not in two seconds."""
        path = str(tmp_path / "socket")

        async def receive(client: ClientConnection) -> None:
            with pytest.raises(ConnectionClosed):
                await client.recv()

        async def look_away(client: ClientConnection) -> None:
            pass

        async def main(body: Callable[[ClientConnection], Any]) -> int:
            loop = asyncio.get_running_loop()
            turns = 0
            async with unix_serve(close_at_once, path):
                async for client in unix_connect(path):
                    await body(client)
                    turns += 1
                    if loop.time() > 3600:
                        break
            return turns

        for body in (receive, look_away):
            assert 40 < run_with(SkippingLoop(), main(body)) < 60

    def test_refusals_and_lost_connections_share_their_delays(self, run: Run) -> None:
        async def main() -> None:
            refusing = Refusing(500, 502, 503)
            async with serving(process_request=refusing.process_request) as (_, url):
                delays = Delays()
                turns = 0
                async for _client in connect(url, reconnect_delays=delays):
                    turns += 1
                    if turns == 3:
                        break
                    refusing.statuses = [429, 504]
                assert delays.series == [3 + 3 + 3]

        run(main())

    def test_delays_start_again_after_a_connection_that_lasted(self) -> None:
        loop = ManualLoop()

        async def main() -> None:
            async with serving() as (_, url):
                for options, enough in (({}, 10.0), ({"stable_after": 3}, 3.0)):
                    delays = Delays()
                    lasts = iter([0.0, enough - 0.5, enough, 0.0, 0.0])
                    series: list[list[int]] = []
                    with contextlib.suppress(StopIteration):
                        async for _client in connect(
                            url,
                            reconnect_delays=delays,
                            ping_interval=None,
                            **options,  # type: ignore[arg-type]
                        ):
                            series.append([*delays.series])
                            loop.now += next(lasts)
                    assert series == [[], [1], [2], [2], [2, 1], [2, 2]]

        run_with(loop, main())

    def test_no_delays_if_none_are_wanted(self, run: Run) -> None:
        async def main() -> None:
            async with serving(close_at_once) as (_, url):
                delays = Delays()
                turns = 0
                async for _client in connect(
                    url, reconnect_delays=delays, stable_after=0
                ):
                    turns += 1
                    if turns == 4:
                        break
                assert delays.series == []

        run(main())

    def test_delays_that_end(self, run: Run) -> None:
        """Then what is raised tells how the connection ended."""

        async def main() -> None:
            async with serving(close_at_once) as (_, url):
                turns = 0

                async def iterate() -> None:
                    nonlocal turns
                    async for client in connect(url, reconnect_delays=Delays(2)):
                        turns += 1
                        await client.wait_closed()

                with pytest.raises(ConnectionClosed, match="1000"):
                    await iterate()
                assert turns == 3

        run(main())


class TestLog:
    def test_what_persists_is_a_warning(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            refusing = Refusing(500, 503, 429)
            async with serving(process_request=refusing.process_request) as (_, url):
                async for _client in connect(url, reconnect_delays=Delays()):
                    break

        run(main())
        text = "no connection, retry in 0.0 s: InvalidStatus: server refused with HTTP"
        assert retries(caplog) == [
            ("INFO", f"{text} status 500"),
            ("WARNING", f"{text} status 503"),
            ("WARNING", f"{text} status 429"),
        ]

    def test_connections_that_do_not_last(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        loop = ManualLoop()

        async def main() -> None:
            async with serving() as (_, url):
                lasts = iter([1.0, 2.0, 20.0, 3.0])
                with contextlib.suppress(StopIteration):
                    async for _client in connect(
                        url, reconnect_delays=Delays(), ping_interval=None
                    ):
                        loop.now += next(lasts)

        run_with(loop, main())
        found = retries(caplog)
        assert [(level, text.partition(": ")[0]) for level, text in found] == [
            ("INFO", "connection ended after 1.0 s, retry in 0.0 s"),
            ("WARNING", "connection ended after 2.0 s, retry in 0.0 s"),
            ("INFO", "connection ended after 3.0 s, retry in 0.0 s"),
        ]
        assert all("ConnectionClosedOK" in text for _, text in found)


class TestInVain:
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 410, 426, 501, 505])
    def test_statuses(self, run: Run, status: int) -> None:
        async def main() -> None:
            refusing = Refusing(status)
            async with serving(process_request=refusing.process_request) as (_, url):
                with pytest.raises(InvalidStatus, match=str(status)):
                    await iterate(connect(url, reconnect_delays=Delays()))

        run(main())

    def test_certificates_of_servers(self, run: Run, contexts: Contexts) -> None:
        async def main() -> None:
            async with serving(ssl=contexts[0]) as (_, url), http_proxy() as proxy:
                wrong = {"ssl": contexts[1], "server_hostname": "example.com"}
                options: list[dict[str, Any]]
                options = [{}, wrong, {"proxy": proxy.url("http")}]
                for more in options:
                    with pytest.raises(ssl.SSLCertVerificationError):
                        await iterate(connect(url, reconnect_delays=Delays(), **more))

        run(main())

    def test_certificates_of_proxies(self, run: Run, contexts: Contexts) -> None:
        async def main() -> None:
            async with serving() as (_, url), http_proxy(ssl=contexts[0]) as proxy:
                attempts = connect(
                    url, reconnect_delays=Delays(), proxy=proxy.url("https")
                )
                with pytest.raises(ssl.SSLCertVerificationError):
                    await iterate(attempts)

        run(main())


class TestOnReconnect:
    def test_each_connection(self, run: Run) -> None:
        """A function, or a coroutine function that may talk with the server."""
        seen: list[Any] = []

        def subscribe(client: ClientConnection) -> None:
            seen.append(client)

        async def subscribe_and_wait(client: ClientConnection) -> None:
            await client.send("subscribe")
            assert await client.recv() == "subscribe"
            seen.append(client)

        async def main() -> None:
            async with serving() as (_, url):
                for function in (subscribe, subscribe_and_wait):
                    seen.clear()
                    turns = 0
                    async for client in connect(
                        url, on_reconnect=function, reconnect_delays=Delays()
                    ):
                        turns += 1
                        assert len(seen) == turns
                        assert seen[-1] is client
                        await client.send("more")
                        assert await client.recv() == "more"
                        if turns == 3:
                            break

        run(main())

    def test_a_connection_that_is_lost_meanwhile(self, run: Run) -> None:
        """That is a connection that did not last; there is no turn for it."""

        async def main() -> None:
            calls = 0

            async def handler(connection: ServerConnection) -> None:
                if calls < 3:
                    connection.transport.abort()
                await echo(connection)

            async def subscribe(client: ClientConnection) -> None:
                nonlocal calls
                calls += 1
                await client.send("subscribe")
                await client.recv()

            async with serving(handler) as (_, url):
                delays = Delays()
                turns = 0
                async for client in connect(
                    url, on_reconnect=subscribe, reconnect_delays=delays
                ):
                    turns += 1
                    await client.close()
                    break
                assert turns == 1
                assert delays.series == [calls - 1]

        run(main())

    def test_it_fails(self, run: Run) -> None:
        seen: list[ClientConnection] = []

        def subscribe(client: ClientConnection) -> None:
            seen.append(client)
            raise LookupError("a bug")

        async def main() -> None:
            async with serving() as (_, url):
                with pytest.raises(LookupError, match="a bug"):
                    await iterate(connect(url, on_reconnect=subscribe))
                assert seen[0].close_code == 1011

        run(main())

    def test_cancelled(self, run: Run) -> None:
        seen: list[ClientConnection] = []

        async def subscribe(client: ClientConnection) -> None:
            seen.append(client)
            await asyncio.get_running_loop().create_future()

        async def main() -> None:
            async with serving() as (_, url):
                task = asyncio.ensure_future(
                    iterate(connect(url, on_reconnect=subscribe))
                )
                await until(lambda: seen)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert seen[0].close_code == 1011

        run(main())


class TestFunctionsOfTheApplicationThatFail:
    def test_process_exception(self, run: Run) -> None:
        def process(exc: Exception) -> Exception | None:
            raise LookupError("a bug")

        async def main() -> None:
            refusing = Refusing(503)
            async with serving(process_request=refusing.process_request) as (_, url):
                with pytest.raises(LookupError, match="a bug"):
                    await iterate(connect(url, process_exception=process))

        run(main())

    def test_reconnect_delays(self, run: Run) -> None:
        def fail() -> Iterator[float]:
            raise LookupError("a bug")

        def fail_later() -> Iterator[float]:
            yield 0
            raise LookupError("a bug")

        async def main() -> None:
            for delays in (fail, fail_later):
                refusing = Refusing(503, 503)
                async with serving(process_request=refusing.process_request) as (
                    _,
                    url,
                ):
                    with pytest.raises(LookupError, match="a bug"):
                        await iterate(connect(url, reconnect_delays=delays))

        run(main())


class TestOnOpen:
    @pytest.fixture
    def may_log_errors(self) -> list[str]:
        return ["connection handler failed"]

    def test_on_open(self, run: Run) -> None:
        """The connection fails, as with the other functions of its kind."""

        def fail(client: ClientConnection) -> None:
            raise LookupError("a bug")

        async def main() -> None:
            async with serving() as (_, url), connect(url, on_open=fail) as client:
                with pytest.raises(ConnectionClosed, match="1011"):
                    await client.recv()

        run(main())
