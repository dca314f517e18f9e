"""Subclasses and extensions as users write them check against the public types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import assert_type

from sansocket import (
    Extension,
    ExtensionName,
    ExtensionParameter,
    Frame,
    Headers,
    InvalidOrigin,
    Origin,
    Protocol,
    Request,
    Response,
    ServerExtensionFactory,
    ServerProtocol,
    Side,
    State,
    Subprotocol,
)


class Server(ServerProtocol):
    """Overrides what may be overridden."""

    frames_seen = 0

    def process_origin(self, headers: Headers) -> Origin | None:
        origin = super().process_origin(headers)
        if origin == "https://example.org":
            raise InvalidOrigin(origin)
        return origin

    def select_subprotocol(
        self, subprotocols: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        return subprotocols[-1] if subprotocols else None

    def recv_frame(self, frame: Frame) -> None:
        self.frames_seen += 1
        super().recv_frame(frame)


class Marker(Extension):
    """Sets a reserved bit."""

    name = ExtensionName("x-marker")

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        return replace_frame(frame, False)

    def encode(self, frame: Frame) -> Frame:
        return replace_frame(frame, True)


def replace_frame(frame: Frame, rsv2: bool) -> Frame:
    return Frame(frame.opcode, frame.data, frame.fin, rsv2=rsv2)


class MarkerFactory(ServerExtensionFactory):
    """Accepts every offer."""

    name = ExtensionName("x-marker")

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], Extension]:
        return [("level", "1"), ("plain", None)], Marker()


def serve(request: Request) -> Response:
    """A handshake whose request came from another HTTP stack."""
    server = Server(extensions=[MarkerFactory()], state=State.CONNECTING)
    response = server.accept(request)
    response.headers["Server"] = "sample"
    server.send_response(response)
    assert_type(response.headers.get_all("Server"), list[str])
    return response


def direct(frame: Frame) -> None:
    """The base class on its own."""
    protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=None)
    protocol.extensions = [Marker()]
    protocol.send_frame(frame)
    protocol.send_eof()


def copies(response: Response) -> Response:
    return replace(response, body=b"")
