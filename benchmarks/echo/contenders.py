"""Who competes: how each serves echoes, and broadcasts if it has a way to.

Each is configured as its package does by default, but for compression, which is on
only where a scenario offers it, and for logs of every access, which are off. What a
contender needs is imported only in the process that serves it.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ["CONTENDERS", "FLOOR", "Contender", "Job", "Unavailable"]


class Unavailable(Exception):
    """A contender cannot serve; the message says why."""


@dataclass(frozen=True)
class Job:
    """What to serve: echoes, or broadcasts of each message to everybody."""

    sock: socket.socket
    deflate: bool = False
    broadcast: bool = False


@dataclass(frozen=True)
class Contender:
    """A way to serve. ``package`` is the one whose version is told."""

    serve: Callable[[Job], Awaitable[object]]
    package: str
    deflate: bool = True
    broadcast: bool = False


def _api(name: str) -> Any:
    """A module that need not be there, and whose types need not either."""
    try:
        return import_module(name)
    except ImportError as error:
        raise Unavailable(str(error)) from None


# --- those with the interface of websockets


def _handler(broadcast: Callable[[set[Any], Any], object] | None) -> Any:
    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    members: set[Any] = set()

    async def spread(connection: Any) -> None:
        assert broadcast is not None
        members.add(connection)
        try:
            async for message in connection:
                broadcast(members, message)
        finally:
            members.discard(connection)

    return echo if broadcast is None else spread


async def _serve_like_websockets(api: Any, job: Job, **options: Any) -> object:
    handler = _handler(api.broadcast if job.broadcast else None)
    compression = "deflate" if job.deflate else None
    return await api.serve(handler, sock=job.sock, compression=compression, **options)


async def _ours(job: Job) -> object:
    return await _serve_like_websockets(_api("sansocket.asyncio"), job)


async def _ours_callbacks(job: Job) -> object:
    serve = _api("sansocket.asyncio").serve
    if "on_message" not in inspect.signature(serve).parameters:
        raise Unavailable("serve() of this sansocket takes no on_message")
    return await serve(
        None,
        sock=job.sock,
        compression="deflate" if job.deflate else None,
        on_message=lambda connection, message: connection.send_nowait(message),
    )


async def _websockets(job: Job) -> object:
    return await _serve_like_websockets(_api("websockets.asyncio.server"), job)


def _picows_websockets(
    use_aiofastnet: bool | None,
) -> Callable[[Job], Awaitable[object]]:
    async def serve(job: Job) -> object:
        api = _api("picows.websockets")
        return await _serve_like_websockets(api, job, use_aiofastnet=use_aiofastnet)

    return serve


# --- picows, which brings aiofastnet and uses its transports unless told not to


def _picows(use_aiofastnet: bool | None) -> Callable[[Job], Awaitable[object]]:
    async def serve(job: Job) -> object:
        api = _api("picows")
        listener = _picows_listener(api, job.broadcast)
        return await api.ws_create_server(
            listener, sock=job.sock, use_aiofastnet=use_aiofastnet
        )

    return serve


def _picows_listener(api: Any, broadcast: bool) -> Callable[[Any], Any]:
    close = api.WSMsgType.CLOSE

    class Echo(api.WSListener):  # type: ignore[misc]  # which is Any
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type is close:
                transport.send_close(frame.get_close_code())
                transport.disconnect()
            else:
                transport.send(frame.msg_type, frame.get_payload_as_memoryview())

    members: set[Any] = set()

    class Spread(Echo):
        def on_ws_connected(self, transport: Any) -> None:
            members.add(transport)

        def on_ws_disconnected(self, transport: Any) -> None:
            members.discard(transport)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type is close:
                super().on_ws_frame(transport, frame)
                return
            payload = frame.get_payload_as_bytes()
            for member in members:
                member.send(frame.msg_type, payload)

    kind = Spread if broadcast else Echo
    return lambda request: kind()


# --- HTTP servers


async def _aiohttp(job: Job) -> object:
    web: Any = _api("aiohttp.web")
    text = _api("aiohttp").WSMsgType.TEXT

    async def echo(request: Any) -> Any:
        response = web.WebSocketResponse(compress=job.deflate)
        await response.prepare(request)
        async for message in response:
            if message.type is text:
                await response.send_str(message.data)
            else:
                await response.send_bytes(message.data)
        return response

    application = web.Application()
    application.router.add_get("/", echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, job.sock).start()
    return runner


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


def _uvicorn(ws: str, needs: str) -> Callable[[Job], Awaitable[object]]:
    async def serve(job: Job) -> object:
        uvicorn = _api("uvicorn")
        _api(needs)
        config = uvicorn.Config(
            _application,
            ws=ws,
            ws_per_message_deflate=job.deflate,
            lifespan="off",
            log_level="warning",
            access_log=False,
        )
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve(sockets=[job.sock]))
        while not server.started:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
        return server, serving

    return serve


# --- the floor

_BUFFER = memoryview(bytearray(2**18))
_CLOSE = 0x88  # the load sends it nowhere but at the beginning of a close frame
_RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class _Opening(asyncio.Protocol):
    """Answers whatever it is asked with the response that the load waits for."""

    def __init__(self, then: Callable[[Any], asyncio.BaseProtocol]) -> None:
        self.then = then
        self.head = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            self.transport.write(_RESPONSE)
            self.transport.set_protocol(self.then(self.transport))


class _Raw(asyncio.Protocol):
    """Writes what it reads."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        if data[0] == _CLOSE:
            self.transport.close()


class _RawBuffered(asyncio.BufferedProtocol):
    """Writes what it reads into one buffer, copied, as the loop may keep it."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, size: int) -> None:
        self.transport.write(bytes(_BUFFER[:size]))
        if _BUFFER[0] == _CLOSE:
            self.transport.close()


class _RawBroadcast(asyncio.Protocol):
    """Writes each frame that it reads, as it is, to all transports."""

    members: set[Any] = set()  # noqa: RUF012 - all have the same

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.members.add(transport)

    def data_received(self, data: bytes) -> None:
        if data[0] == _CLOSE:
            self.transport.write(data)
            self.transport.close()
            return
        for member in self.members:
            member.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.members.discard(self.transport)


def _raw(
    echo: Callable[[Any], asyncio.BaseProtocol],
) -> Callable[[Job], Awaitable[object]]:
    async def serve(job: Job) -> object:
        loop = asyncio.get_running_loop()
        then: Callable[[Any], asyncio.BaseProtocol] = echo
        if job.broadcast:
            then = _RawBroadcast
        return await loop.create_server(lambda: _Opening(then), sock=job.sock)

    return serve


FLOOR = "floor"
CONTENDERS = {
    "ours-callbacks": Contender(_ours_callbacks, "sansocket"),
    "ours": Contender(_ours, "sansocket", broadcast=True),
    "picows": Contender(_picows(None), "picows", deflate=False, broadcast=True),
    "picows-loop": Contender(_picows(False), "picows", deflate=False),
    "picows.websockets": Contender(_picows_websockets(None), "picows", broadcast=True),
    "picows.websockets-loop": Contender(_picows_websockets(False), "picows"),
    "websockets": Contender(_websockets, "websockets", broadcast=True),
    "aiohttp": Contender(_aiohttp, "aiohttp"),
    "uvicorn-ours": Contender(
        _uvicorn("sansocket.uvicorn:WebSocketProtocol", "sansocket.uvicorn"), "uvicorn"
    ),
    "uvicorn-websockets": Contender(
        _uvicorn("websockets-sansio", "websockets"), "uvicorn"
    ),
    "uvicorn-wsproto": Contender(_uvicorn("wsproto", "wsproto"), "uvicorn"),
    "raw": Contender(_raw(_Raw), "", deflate=False),
    FLOOR: Contender(_raw(_RawBuffered), "", deflate=False, broadcast=True),
}
