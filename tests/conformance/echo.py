"""What the server and the client under test share: a connection that sends back,
made of the core alone."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import socket
from typing import Any

from ..pure import load_pure

FORMS = ("compiled", "pure")
LAYERS = ("driver", "core")

# Cases 9.* send 16 MiB, in up to 262144 fragments.
LIMITS = {"max_size": 64 * 2**20, "max_fragments": None}

READ_SIZE = 65536
TIMEOUT = 120  # seconds of silence that mean that the suite is stuck


def load(form: str) -> Any:
    """The package in one of its forms."""
    if form == "pure":
        return load_pure()
    package = importlib.import_module("sansocket")
    if not importlib.import_module("sansocket._native.kernels").COMPILED:
        raise SystemExit(f"{package} is not compiled: SANSOCKET_BUILD=require does it")
    return package


def add_form(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose between the forms, and between the layers."""
    parser.add_argument(
        "--form",
        choices=FORMS,
        default=FORMS[0],
        help="form of the package to examine (default: %(default)s)",
    )
    parser.add_argument(
        "--layer",
        choices=LAYERS,
        default=LAYERS[0],
        help="driver: sansocket serve, and sansocket.asyncio; core: ServerProtocol and "
        "ClientProtocol on plain sockets (default: %(default)s)",
    )


class Echo:
    """Sends each message of a connection back, whole, until the connection ends.

    Events are taken and answered one by one, so that a message comes back even if a
    violation stood behind it in the same read, and a pong for every ping: otherwise
    the suite calls cases such as 3.2 not strict, and 2.10 failed.
    """

    def __init__(self, package: Any, protocol: Any, sock: socket.socket) -> None:
        self.package = package
        self.protocol = protocol
        self.sock = sock
        self.opcode = package.Opcode.CONT  # of the message under way
        self.fragments: list[bytes] = []
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        """Serve the connection to its end; a reset by the peer is one too."""
        with contextlib.suppress(ConnectionError):
            self.write()
            while data := self.sock.recv(READ_SIZE):
                self.protocol.feed_data(data)
                while (event := self.protocol.next_event()) is not None:
                    self.handle(event)
                    self.write()
                self.write()
        self.protocol.receive_eof()
        with contextlib.suppress(ConnectionError):
            self.write()

    def handle(self, event: Any) -> None:
        """Answer one event; control frames are answered by the protocol itself."""
        if isinstance(event, self.package.Request):
            self.protocol.send_response(self.protocol.accept(event))
        elif isinstance(event, self.package.Response):
            if self.protocol.handshake_exc is not None:
                raise self.protocol.handshake_exc
        elif event.opcode < self.package.Opcode.CLOSE:
            self.receive(event)

    def receive(self, frame: Any) -> None:
        """Join the fragments of a message and send it back."""
        if frame.opcode is not self.package.Opcode.CONT:
            self.opcode = frame.opcode
        self.fragments.append(frame.data)
        if frame.fin:
            self.send(b"".join(self.fragments))
            self.fragments.clear()

    def send(self, message: bytes) -> None:
        """Send a message of the kind that came."""
        if self.opcode is self.package.Opcode.TEXT:
            self.protocol.send_text(message)
        else:
            self.protocol.send_binary(message)

    def write(self) -> None:
        """Write what the protocol has to send, the half-close included."""
        chunks = self.protocol.data_to_send()
        if data := b"".join(chunks):
            self.sock.sendall(data)
        if chunks[-1:] == [self.package.SEND_EOF]:
            with contextlib.suppress(OSError):  # the peer has gone already
                self.sock.shutdown(socket.SHUT_WR)
