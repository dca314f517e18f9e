"""Headers, extensions, servers and clients for the tests of the handshake."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest

from .support import (
    FIN,
    TEXT,
    client_with_sample_key,
    masked,
    new_logger,
    parse_head,
    plain,
    request_bytes,
    response_bytes,
)

Pairs = Sequence[tuple[str, str]]
Params = Sequence[tuple[str, "str | None"]]


def headers(impl: ModuleType, pairs: Pairs = ()) -> Any:
    """Headers as any HTTP parser may leave them: nothing is stripped or checked."""
    made = impl.datastructures.Headers()
    for name, value in pairs:
        made.set_insecure(name, value)
    return made


class Extension:
    def __init__(self, name: str, params: Any, rsv1: bool = False) -> None:
        self.name = name
        self.params = params
        self.rsv1 = rsv1


class Factory:
    """Of both sides; it accepts parameters that are among `known`."""

    def __init__(
        self,
        impl: ModuleType,
        name: str,
        *known: str,
        rsv1: bool = False,
        answer: Params = (),
    ) -> None:
        self.error = impl.exceptions.NegotiationError
        self.name = name
        self.known = known
        self.rsv1 = rsv1
        self.answer = answer

    def get_request_params(self) -> Params:
        return self.answer

    def process_response_params(self, params: Any, accepted: Any) -> Extension:
        unknown = [name for name, _ in params if name not in self.known]
        if unknown:
            raise self.error(f"{self.known} lacks {unknown}")
        return Extension(self.name, params, self.rsv1)

    def process_request_params(
        self, params: Any, accepted: Any
    ) -> tuple[Params, Extension]:
        return self.answer, self.process_response_params(params, accepted)


# Servers


def server(impl: ModuleType, **options: Any) -> Any:
    """A server whose log does not matter."""
    options.setdefault("logger", new_logger(logging.CRITICAL)[0])
    return impl.server.ServerProtocol(**options)


def subclass(
    impl: ModuleType, methods: dict[str, Callable[..., Any]], **options: Any
) -> Any:
    """A server that overrides these methods."""
    options.setdefault("logger", new_logger(logging.CRITICAL)[0])
    kind: Any = type("Own", (impl.server.ServerProtocol,), methods)
    return kind(**options)


def got(protocol: Any, *extra: tuple[str, str]) -> Any:
    """The request, with these headers too, as the connection reads it."""
    protocol.receive_data(request_bytes(*extra))
    (request,) = protocol.events_received()
    return request


def status(protocol: Any, *extra: tuple[str, str]) -> int:
    """Status that answers a request with these headers too."""
    code: int = protocol.accept(got(protocol, *extra)).status_code
    return code


def output(protocol: Any) -> tuple[str, list[tuple[str, str]], bytes]:
    """What was sent: start line, headers and body; the half-close as it should be."""
    chunks = protocol.data_to_send()
    start, pairs, body = parse_head(b"".join(chunks))
    assert (chunks[-1] == b"") == (" 101 " not in start)
    assert chunks.count(b"") <= 1
    return start, pairs, body


def assert_refused(protocol: Any) -> None:
    """SPEC-038, SEC-28: the half-close is sent; nothing else is read or sent."""
    assert protocol.state.name == "CONNECTING"
    assert protocol.close_expected()
    protocol.receive_data(request_bytes())
    protocol.receive_data(masked(FIN | TEXT, b"frame"))
    assert protocol.events_received() == []
    assert protocol.data_to_send() == []
    protocol.receive_eof()
    assert protocol.state.name == "CLOSED"
    assert not protocol.close_expected()
    assert protocol.data_to_send() == []
    assert protocol.close_code == 1006


# Clients


def client(impl: ModuleType, **options: Any) -> Any:
    """A client that has sent its request."""
    options.setdefault("logger", new_logger(logging.CRITICAL)[0])
    protocol = client_with_sample_key(impl, **options)
    protocol.send_request(protocol.connect())
    protocol.data_to_send()
    return protocol


def reply(code: int, *lines: str, body: bytes = b"") -> bytes:
    """A response that refuses."""
    return "\r\n".join([f"HTTP/1.1 {code} x", *lines, "", ""]).encode() + body


def assert_given_up(protocol: Any, kind: str) -> None:
    """The handshake failed: half-closed, all that comes is ignored."""
    assert type(protocol.handshake_exc).__name__ == kind
    assert protocol.parser_exc is None
    assert protocol.state.name == "CONNECTING"
    assert protocol.close_expected()
    assert protocol.data_to_send() == [b""]
    protocol.events_received()
    protocol.receive_data(response_bytes() + plain(FIN | TEXT, b"late"))
    assert protocol.events_received() == []
    with pytest.raises(AssertionError, match="already over"):
        protocol.send_request(protocol.connect())
    with pytest.raises(AssertionError, match="connecting"):
        protocol.send_text(b"x")
    protocol.receive_eof()
    assert protocol.state.name == "CLOSED"
    assert not protocol.close_expected()
    assert protocol.data_to_send() == []
    assert type(protocol.handshake_exc).__name__ == kind
