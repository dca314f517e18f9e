"""The limits of the Sans-I/O layer are arguments of serve() and connect()."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sansocket import (
    ConnectionClosedError,
    HeaderLineTooLong,
    InvalidStatus,
    Request,
    SecurityError,
    ServerProtocol,
    StatusLineTooLong,
    TooManyHeaders,
)
from sansocket.asyncio import ServerConnection, connect, serve
from tests.core.support import CLOSE, CONT, FIN, TEXT, request_bytes

from .support import Run, opened, raw, serving, url_of

# Argument of serve(), and the status of the answer to a request.
REQUESTS = [
    ({"hosts": ["example.org"]}, 400),
    ({"max_request_line": 10}, 414),
    ({"max_header_line": 20}, 431),
    ({"max_headers": 4}, 431),
    ({"max_head_size": 100}, 431),
]
# Argument of connect(), and the exception.
RESPONSES: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"max_status_line": 10}, StatusLineTooLong),
    ({"max_header_line": 20}, HeaderLineTooLong),
    ({"max_headers": 2}, TooManyHeaders),
    ({"max_head_size": 60}, TooManyHeaders),
]
# Argument of either, fragments of a message, and the close code.
MESSAGES = [
    ({"max_fragments": 2}, ["a", "b", "c"], 1009),
    ({"max_inflated_size": 99}, ["a" * 100], 1009),
]


@pytest.mark.parametrize(("limits", "status"), REQUESTS)
def test_of_requests(run: Run, limits: dict[str, Any], status: int) -> None:
    async def main() -> None:
        for options, wanted in (({}, 101), (limits, status)):
            async with serving(**options) as (server, _), await raw(server) as peer:
                peer.send(request_bytes())
                head = await peer.read_head()
                assert head.startswith(f"HTTP/1.1 {wanted} ".encode()), options

    run(main())


@pytest.mark.parametrize(("limits", "kind"), RESPONSES)
def test_of_responses(run: Run, limits: dict[str, Any], kind: type[Exception]) -> None:
    async def main() -> None:
        async with serving() as (_, url):
            async with connect(url):
                pass
            with pytest.raises(kind):
                await connect(url, **limits)

    run(main())


def test_of_bodies(run: Run) -> None:
    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(403, "a" * 100)

    async def main() -> None:
        async with serving(process_request=refuse) as (_, url):
            for limit in (100, 99):
                with pytest.raises(InvalidStatus, match="403") as info:
                    await connect(url, max_body=limit)
                assert info.value.response.body == b"a" * limit
                assert isinstance(info.value.__cause__, SecurityError) is (limit == 99)

    run(main())


@pytest.mark.parametrize(("limits", "fragments", "code"), MESSAGES)
def test_of_messages_to_a_server(
    run: Run, limits: dict[str, Any], fragments: list[str], code: int
) -> None:
    async def main() -> None:
        for options in ({}, limits):
            async with serving(**options) as (_, url), connect(url) as client:
                await client.send(fragments)
                if not options:
                    assert await client.recv() == "".join(fragments)
                    continue
                with pytest.raises(ConnectionClosedError, match=str(code)):
                    await client.recv()

    run(main())


@pytest.mark.parametrize(("limits", "fragments", "code"), MESSAGES)
def test_of_messages_to_a_client(
    run: Run, limits: dict[str, Any], fragments: list[str], code: int
) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(fragments)
        await connection.wait_closed()

    async def main() -> None:
        async with serving(handler) as (_, url):
            async with connect(url) as client:
                assert await client.recv() == "".join(fragments)
            async with connect(url, **limits) as client:
                with pytest.raises(ConnectionClosedError, match=str(code)):
                    await client.recv()

    run(main())


def test_spec_069_text_that_is_left_to_the_handler(run: Run) -> None:
    async def handler(connection: ServerConnection) -> None:
        assert await connection.recv(decode=False) == b"\xff"
        await connection.send("taken")

    async def main() -> None:
        async with (
            serving(handler, validate_utf8=False) as (server, _),
            await opened(server) as peer,
        ):
            peer.send_frame(FIN | TEXT, b"\xff")
            assert await peer.read_frame() == (FIN | TEXT, b"taken")
        async with serving(handler) as (server, _), await opened(server) as peer:
            peer.send_frame(TEXT, b"\xff")
            peer.send_frame(FIN | CONT)
            first, payload = await peer.read_frame()
            assert (first, payload[:2]) == (FIN | CLOSE, (1007).to_bytes(2, "big"))

    run(main())


def test_text_that_is_left_to_the_client(run: Run) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = ServerProtocol()
        protocol.receive_data(await reader.readuntil(b"\r\n\r\n"))
        (request,) = protocol.events_received()
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        protocol.send_text(b"\xff")
        writer.writelines(protocol.data_to_send())
        await reader.read(1)  # of the close frame, or nothing
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            url = url_of(server)
            client = await connect(url, validate_utf8=False)
            assert await client.recv(decode=False) == b"\xff"
            client.transport.abort()
            await client.wait_closed()
            client = await connect(url)
            with pytest.raises(ConnectionClosedError, match="1007"):
                await client.recv()

    run(main())


def test_names_that_nobody_knows(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="max_haeders"):
            await serve(lambda c: c.close(), "127.0.0.1", 0, max_haeders=1)  # type: ignore[call-arg]
        async with serving() as (_, url):
            with pytest.raises(TypeError, match="max_request_line"):
                await connect(url, max_request_line=1)  # type: ignore[call-arg]

    run(main())
