"""wsproto behind the calls of the other contenders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import wsproto
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    Ping,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from . import wire
from .contenders import WINDOW_BITS, Contender, Received, Run

__all__ = ["Wsproto"]


class Wsproto(Contender):
    """wsproto: messages in parts, text decoded, output returned by ``send``."""

    version = wsproto.__version__

    def server(self, deflate: bool) -> Any:
        request = wire.CHROMIUM_REQUEST if deflate else wire.MINIMAL_REQUEST
        return self.shaken(request, deflate)[0]

    def client(self, deflate: bool) -> Any:
        client = WSConnection(ConnectionType.CLIENT)
        request = client.send(
            Request(host="localhost:8765", target="/", extensions=_deflate(deflate))
        )
        client.receive_data(self.shaken(request, deflate)[1])
        list(client.events())
        return client

    def receiving(self, connection: Any, reads: list[bytes]) -> Run:
        return partial(
            _receive,
            connection.receive_data,
            connection.events,
            connection.send,
            reads,
        )

    def received(self, connection: Any, reads: list[bytes]) -> Received:
        messages: list[tuple[int, bytes]] = []
        output, parts = b"", b""
        for read in reads:
            connection.receive_data(read)
            for event in connection.events():
                if type(event) is Ping:
                    output += connection.send(event.response())
                    messages.append((wire.PING, bytes(event.payload)))
                    continue
                text = isinstance(event, TextMessage)
                parts += event.data.encode() if text else event.data
                if event.message_finished:
                    messages.append((wire.TEXT if text else wire.BINARY, parts))
                    parts = b""
        return Received(messages, None, output)

    def sending(self, connection: Any, opcode: int, payloads: list[bytes]) -> Run:
        if opcode == wire.TEXT:
            texts = [payload.decode() for payload in payloads]
            return partial(_send, connection.send, TextMessage, texts)
        return partial(_send, connection.send, BytesMessage, payloads)

    def sent(self, connection: Any, opcode: int, payloads: list[bytes]) -> bytes:
        if opcode == wire.TEXT:
            events: list[Any] = [TextMessage(data=p.decode()) for p in payloads]
        else:
            events = [BytesMessage(data=p) for p in payloads]
        return b"".join(connection.send(event) for event in events)

    def handshaking(self, request: bytes, deflate: bool, count: int) -> Run:
        return partial(_shake, request, deflate, count)

    def shaken(self, request: bytes, deflate: bool) -> tuple[Any, bytes]:
        server = WSConnection(ConnectionType.SERVER)
        server.receive_data(request)
        next(iter(server.events()))
        response = server.send(AcceptConnection(extensions=_deflate(deflate)))
        return server, response


def _deflate(wanted: bool) -> list[Any]:
    if not wanted:
        return []
    return [
        PerMessageDeflate(
            client_max_window_bits=WINDOW_BITS, server_max_window_bits=WINDOW_BITS
        )
    ]


def _receive(
    receive_data: Callable[[bytes], None],
    events: Callable[[], Iterable[Any]],
    send: Callable[[Any], bytes],
    reads: list[bytes],
) -> None:
    for read in reads:
        receive_data(read)
        for event in events():
            if type(event) is Ping:
                send(event.response())


def _send(send: Callable[[Any], bytes], kind: Any, payloads: list[Any]) -> None:
    for payload in payloads:
        send(kind(data=payload))


def _shake(request: bytes, deflate: bool, count: int) -> None:
    for _ in range(count):
        server = WSConnection(ConnectionType.SERVER)
        server.receive_data(request)
        next(iter(server.events()))
        server.send(AcceptConnection(extensions=_deflate(deflate)))
