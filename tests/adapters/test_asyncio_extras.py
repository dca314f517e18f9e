"""Broadcasting and basic authentication of the asyncio driver."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from sansocket import InvalidStatus
from sansocket.asyncio import (
    ServerConnection,
    basic_auth,
    broadcast,
    connect,
)
from sansocket.extensions.base import Extension
from tests.core.support import FIN, TEXT, request_bytes

from .support import Run, opened, raw, serving, until


class Failing(Extension):
    """An extension that cannot encode."""

    name: Any = "failing"

    def decode(self, frame: Any, *, max_size: int | None = None) -> Any:
        return frame

    def encode(self, frame: Any) -> Any:
        raise OSError("out of order")


class TestBroadcast:
    def test_to_all(self, run: Run) -> None:
        async def main() -> None:
            async with (
                serving() as (server, url),
                connect(url) as one,
                connect(url, compression=None) as two,
            ):
                await until(lambda: len(server.connections) == 2)
                broadcast(server.connections, "text")
                broadcast(server.connections, b"binary")
                broadcast(server.connections, b"as text", text=True)
                broadcast([], "nobody")
                for client in (one, two):
                    received = [await client.recv() for _ in range(3)]
                    assert received == ["text", b"binary", "as text"]
                with pytest.raises(TypeError, match="not int"):
                    broadcast(server.connections, 1)  # type: ignore[arg-type]

        run(main())

    def test_who_cannot_take_it_is_left_out(self, run: Run) -> None:
        async def main() -> None:
            go = asyncio.Event()

            async def parts() -> Any:
                yield "a"
                await go.wait()
                yield "b"

            async def handler(connection: ServerConnection) -> None:
                await connection.send(parts())

            async with serving(handler) as (server, url):
                closing = await opened(server)
                async with closing, connect(url) as client:
                    await until(lambda: len(server.connections) == 2)
                    connections = [*server.connections]
                    (one,) = (c for c in connections if not c.protocol.extensions)
                    one._begin_close(1000)
                    broadcast(connections, "left out")
                    go.set()
                    assert [message async for message in client] == ["ab"]

        run(main())

    def test_it_never_waits(self, run: Run) -> None:
        async def main() -> None:
            async with (
                serving(compression=None) as (server, _),
                await opened(server) as peer,
            ):
                for _ in range(100):
                    broadcast(server.connections, bytes(100_000))
                (connection,) = server.connections
                assert connection.bytes_to_write > 1_000_000
                peer.writer.transport.abort()

        run(main())

    def test_what_goes_wrong(self, run: Run, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            async with serving() as (server, _), await opened(server) as peer:
                (connection,) = server.connections
                connection.protocol.extensions = [Failing()]
                broadcast([connection], "lost")
                assert caplog.messages[-1] == "broadcast failed: out of order"
                if sys.version_info < (3, 11):
                    with pytest.raises(ValueError, match=r"3\.11"):
                        broadcast([connection], "lost", raise_exceptions=True)
                else:
                    with pytest.raises(Exception, match="broadcast") as info:
                        broadcast([connection], "lost", raise_exceptions=True)
                    group: Any = info.value
                    assert [str(e) for e in group.exceptions] == ["out of order"]
                connection.protocol.extensions = []
                able = sys.version_info >= (3, 11)
                broadcast([connection], "fine", raise_exceptions=able)
                assert await peer.read_frame() == (FIN | TEXT, b"fine")

        run(main())


def with_user(url: str, user: str) -> str:
    return url.replace("://", f"://{user}@")


class TestBasicAuth:
    @pytest.mark.parametrize(
        "credentials",
        [("me", "sécret"), [("other", "x"), ("me", "sécret")]],
    )
    def test_credentials(self, run: Run, credentials: Any) -> None:
        """SPEC-016: a 401 asks for them."""

        async def handler(connection: ServerConnection) -> None:
            await connection.send(connection.username)

        hook = basic_auth("here", credentials)

        async def main() -> None:
            async with serving(handler, process_request=hook) as (server, url):
                async with connect(with_user(url, "me:sécret")) as client:
                    assert await client.recv() == "me"
                for wrong in ("me:secret", "you:sécret", "other:sécret", "me:"):
                    with pytest.raises(InvalidStatus, match="401"):
                        await connect(with_user(url, wrong))
                async with await raw(server) as peer:
                    peer.send(request_bytes())
                    answer = await peer.read_all()
                assert answer.startswith(b"HTTP/1.1 401 ")
                challenge = b'WWW-Authenticate: Basic realm="here", charset="UTF-8"'
                assert challenge in answer

        run(main())

    def test_headers_of_another_kind(self, run: Run) -> None:
        hook = basic_auth("here", ("me", "secret"))

        async def main() -> None:
            async with serving(process_request=hook) as (_, url):
                for value in ("Bearer x", "Basic ?", ""):
                    headers = {"Authorization": value}
                    with pytest.raises(InvalidStatus, match="401"):
                        await connect(url, additional_headers=headers)

        run(main())

    def test_checks_of_the_caller(self, run: Run) -> None:
        async def later(username: str, password: str) -> bool:
            await asyncio.sleep(0)
            return (username, password) == ("me", "secret")

        def plain(username: str, password: str) -> bool:
            return (username, password) == ("me", "secret")

        async def main() -> None:
            for check in (later, plain):
                hook = basic_auth(check_credentials=check)
                async with serving(process_request=hook) as (server, url):
                    async with connect(with_user(url, "me:secret")):
                        await until(lambda: server.connections)
                    with pytest.raises(InvalidStatus, match="401"):
                        await connect(with_user(url, "me:wrong"))

        run(main())

    def test_one_of_both(self) -> None:
        with pytest.raises(ValueError, match="either"):
            basic_auth("here")
        with pytest.raises(ValueError, match="either"):
            basic_auth("here", ("a", "b"), lambda name, password: True)
