"""The driver as type checkers see it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

from typing_extensions import assert_type

import sansocket
from sansocket import ServerConnection, connect, serve
from sansocket.asyncio import Connection

assert_type(sansocket.connect("ws://localhost"), connect)


async def receive(connection: Connection, flag: bool) -> None:
    """What is received is of the type that is asked for."""
    assert_type(await connection.recv(), str | bytes)
    assert_type(await connection.recv(None), str | bytes)
    assert_type(await connection.recv(True), str)
    assert_type(await connection.recv(decode=False), bytes)
    assert_type(await connection.recv(flag), str | bytes)
    assert_type(connection.recv_streaming(), AsyncIterator[str | bytes])
    assert_type(connection.recv_streaming(True), AsyncIterator[str])
    assert_type(connection.recv_streaming(decode=False), AsyncIterator[bytes])
    assert_type(connection.recv_streaming(flag), AsyncIterator[str | bytes])
    async for message in connection:
        assert_type(message, str | bytes)
    await connection.recv("utf-8")  # type: ignore[call-overload]


async def handler(connection: ServerConnection) -> None:
    """Sent back as it came."""
    async for message in connection:
        await connection.send(message)


async def start(context: ssl.SSLContext) -> None:
    """Limits, and arguments of the event loop, have types."""
    serve(
        handler,
        "localhost",
        443,
        ssl=context,
        hosts=["example.com"],
        max_request_line=1000,
        max_fragments=None,
        reuse_port=True,
    )
    serve(handler, max_headers="many")  # type: ignore[arg-type]
    serve(handler, max_header=1)  # type: ignore[call-arg]
    connect(
        "wss://localhost",
        ssl=context,
        max_body=1000,
        max_status_line=100,
        server_hostname="example.com",
        proxy_ssl=context,
    )
    connect("ws://localhost", max_body=None)  # type: ignore[arg-type]
    connect("ws://localhost", max_request_line=1)  # type: ignore[call-arg]
