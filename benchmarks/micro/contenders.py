"""The implementations under test, each behind the same few calls.

Passes hand over bytes and take events and output after every read, as a server does;
they hold no logic of their own, so that it is the implementation that is timed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, NamedTuple

from . import wire
from .floor import FloorError, load_floor
from .pure import load_source_copy

__all__ = ["KEYS", "MEMORY_LEVEL", "WINDOW_BITS", "Contender", "Received", "load"]

# Ours in two forms, the rivals, the floor; the order of columns in the report.
KEYS = ("compiled", "pure", "websockets", "websockets_pure", "wsproto", "floor")

# Where an implementation lets one choose; wsproto has no memory level to set.
WINDOW_BITS = 12
MEMORY_LEVEL = 5

SOURCES = Path(__file__).parents[2] / "src"

Run = Callable[[], None]


class Received(NamedTuple):
    """What came of a stream: whole messages with pings, and the bytes to write."""

    messages: list[tuple[int, bytes]]
    frames: int | None
    output: bytes


class Contender(ABC):
    """One implementation in one form."""

    version = ""

    @abstractmethod
    def server(self, deflate: bool) -> Any:
        """Return an open connection of the server side."""

    @abstractmethod
    def client(self, deflate: bool) -> Any:
        """Return an open connection of the client side."""

    @abstractmethod
    def receiving(self, connection: Any, reads: list[bytes]) -> Run:
        """Return a pass that feeds all reads."""

    @abstractmethod
    def received(self, connection: Any, reads: list[bytes]) -> Received:
        """Feed all reads and return what came of them."""

    @abstractmethod
    def sending(self, connection: Any, opcode: int, payloads: list[bytes]) -> Run:
        """Return a pass that sends each payload as one message."""

    @abstractmethod
    def sent(self, connection: Any, opcode: int, payloads: list[bytes]) -> bytes:
        """Send each payload and return the bytes to write."""

    def handshaking(self, request: bytes, deflate: bool, count: int) -> Run | None:
        """Return a pass of ``count`` handshakes, None where there is none."""
        return None

    def shaken(self, request: bytes, deflate: bool) -> tuple[Any, bytes]:
        """Return a connection after the handshake and its response."""
        raise NotImplementedError


def load(key: str) -> Contender:
    """Return the contender; raises ``ImportError`` or ``FloorError`` without it."""
    if key == "compiled":
        return _compiled()
    if key == "pure":
        _make_importable()
        load_source_copy("sansocket", "sansocket_pure")
        return Mirrored("sansocket_pure")
    if key == "websockets":
        return Mirrored("websockets")
    if key == "websockets_pure":
        load_source_copy("websockets", "websockets_pure")
        return Mirrored("websockets_pure")
    if key == "wsproto":
        module = importlib.import_module(".wsproto_contender", __package__)
        contender: Contender = module.Wsproto()
        return contender
    return Floor()


def _compiled() -> Contender:
    _make_importable()
    contender = Mirrored("sansocket")
    file = importlib.import_module("sansocket.protocol").__file__ or ""
    if not file.endswith(tuple(EXTENSION_SUFFIXES)):
        raise ImportError(f"sansocket is not compiled: {file}")
    return contender


def _make_importable() -> None:
    """Fall back to the checkout where the package is not installed."""
    if importlib.util.find_spec("sansocket") is None:
        sys.path.insert(0, str(SOURCES))


# ---- implementations with the calls of ServerProtocol ----


class Framed(Contender):
    """Common to all that answer ``receive_data``, ``events_received`` and so on."""

    def receiving(self, connection: Any, reads: list[bytes]) -> Run:
        return partial(
            _receive,
            connection.receive_data,
            connection.events_received,
            connection.data_to_send,
            reads,
        )

    def received(self, connection: Any, reads: list[bytes]) -> Received:
        messages: list[tuple[int, bytes]] = []
        output, frames, opcode, parts = b"", 0, 0, b""
        for read in reads:
            connection.receive_data(read)
            for frame in connection.events_received():
                frames += 1
                if frame.opcode >= 8:
                    messages.append((int(frame.opcode), bytes(frame.data)))
                    continue
                opcode = int(frame.opcode) or opcode
                parts += frame.data
                if frame.fin:
                    messages.append((opcode, parts))
                    parts = b""
            output += b"".join(connection.data_to_send())
        return Received(messages, frames, output)

    def sending(self, connection: Any, opcode: int, payloads: list[bytes]) -> Run:
        send = _sender(connection, opcode)
        return partial(_send, send, connection.data_to_send, payloads)

    def sent(self, connection: Any, opcode: int, payloads: list[bytes]) -> bytes:
        send, output = _sender(connection, opcode), b""
        for payload in payloads:
            send(payload)
            output += b"".join(connection.data_to_send())
        return output


class Mirrored(Framed):
    """sansocket and websockets, which share their names."""

    def __init__(self, package: str) -> None:
        load = importlib.import_module
        self.server_class = load(f"{package}.server").ServerProtocol
        self.client_class = load(f"{package}.client").ClientProtocol
        self.parse_uri = load(f"{package}.uri").parse_uri
        self.deflate = load(f"{package}.extensions.permessage_deflate")
        self.version = str(getattr(load(package), "__version__", ""))
        # What makes connections, without deflate and with it: those of one server
        # share their factories.
        self._makers = [self._maker(deflate) for deflate in (False, True)]

    def server(self, deflate: bool) -> Any:
        request = wire.CHROMIUM_REQUEST if deflate else wire.MINIMAL_REQUEST
        return self.shaken(request, deflate)[0]

    def client(self, deflate: bool) -> Any:
        extensions = None
        if deflate:
            factory = self.deflate.ClientPerMessageDeflateFactory
            extensions = [factory(**_window_settings())]
        client = self.client_class(
            self.parse_uri("ws://localhost:8765/"), extensions=extensions
        )
        client.send_request(client.connect())
        request = b"".join(client.data_to_send())
        client.receive_data(self.shaken(request, deflate)[1])
        client.events_received()
        if client.handshake_exc is not None or client.state.name != "OPEN":
            raise ValueError(f"client not open: {client.handshake_exc!r}")
        if bool(client.extensions) != deflate:
            raise ValueError("client did not agree on deflate")
        return client

    def handshaking(self, request: bytes, deflate: bool, count: int) -> Run:
        return partial(_shake, self._makers[deflate], request, count)

    def shaken(self, request: bytes, deflate: bool) -> tuple[Any, bytes]:
        server = self._makers[deflate]()
        server.receive_data(request)
        [event] = server.events_received()
        server.send_response(server.accept(event))
        response = b"".join(server.data_to_send())
        if server.state.name != "OPEN" or bool(server.extensions) != deflate:
            raise ValueError(f"handshake refused: {response!r}")
        return server, response

    def _maker(self, deflate: bool) -> Callable[[], Any]:
        if not deflate:
            return partial(self.server_class)
        factory = self.deflate.ServerPerMessageDeflateFactory
        return partial(self.server_class, extensions=[factory(**_window_settings())])


class Floor(Framed):
    """The least that CPython needs; no handshake, no checks."""

    def __init__(self) -> None:
        self.module = load_floor()

    def server(self, deflate: bool) -> Any:
        return self._open(False, deflate)

    def client(self, deflate: bool) -> Any:
        return self._open(True, deflate)

    def _open(self, masking: bool, deflate: bool) -> Any:
        bits = WINDOW_BITS if deflate else 0
        try:
            return self.module.Connection(masking, bits, MEMORY_LEVEL)
        except NotImplementedError as error:
            raise FloorError(str(error)) from None


def _window_settings() -> dict[str, Any]:
    return {
        "server_max_window_bits": WINDOW_BITS,
        "client_max_window_bits": WINDOW_BITS,
        "compress_settings": {"memLevel": MEMORY_LEVEL},
    }


def _sender(connection: Any, opcode: int) -> Callable[[bytes], None]:
    name = "send_text" if opcode == wire.TEXT else "send_binary"
    sender: Callable[[bytes], None] = getattr(connection, name)
    return sender


# ---- what is timed ----


def _receive(
    receive_data: Callable[[bytes], None],
    events_received: Callable[[], list[Any]],
    data_to_send: Callable[[], list[bytes]],
    reads: list[bytes],
) -> None:
    for read in reads:
        receive_data(read)
        events_received()
        data_to_send()


def _send(
    send: Callable[[bytes], None],
    data_to_send: Callable[[], list[bytes]],
    payloads: list[bytes],
) -> None:
    for payload in payloads:
        send(payload)
        data_to_send()


def _shake(make: Callable[[], Any], request: bytes, count: int) -> None:
    for _ in range(count):
        protocol = make()
        protocol.receive_data(request)
        [event] = protocol.events_received()
        protocol.send_response(protocol.accept(event))
        protocol.data_to_send()
