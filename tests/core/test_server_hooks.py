"""ServerProtocol: what users decide by arguments, callables and overriding."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .handshake_support import (
    Factory,
    assert_refused,
    got,
    output,
    server,
    status,
    subclass,
)
from .support import FIN, TEXT, events, new_logger, request_bytes, sent

OFFERS, PROTOCOL = "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"


def test_spec_012_origins(impl: ModuleType) -> None:
    """SPEC-012, SPEC-013, SEC-31: 403 for what is not listed."""
    listed = ["https://a", re.compile(r"https://\w\.b")]
    for origins, values, code in (
        (None, ("null",), 101),
        (listed, ("https://a",), 101),
        (listed, ("https://c.b",), 101),
        (listed, ("https://c.b.evil",), 403),
        (listed, (), 403),
        (listed, ("null",), 403),
        ([None, *listed], (), 101),
        (listed, ("https://a", "https://a"), 400),
    ):
        protocol = server(impl, origins=origins)
        extra = [("Origin", value) for value in values]
        assert status(protocol, *extra) == code, (origins, values)
        assert protocol.origin == (values[0] if code == 101 and values else None)


def test_spec_004_hosts(impl: ModuleType) -> None:
    """SPEC-004: of an absolute target its own authority counts."""
    absolute = request_bytes().replace(b"/chat", b"ws://b.example/chat")
    for hosts, data, code in (
        (["EXAMPLE.com"], request_bytes(), 101),
        (["b.example"], request_bytes(), 400),
        (["b.example"], absolute, 101),
        (["example.com"], absolute, 400),
    ):
        protocol = server(impl, hosts=hosts)
        protocol.receive_data(data)
        (request,) = protocol.events_received()
        assert protocol.accept(request).status_code == code, (hosts, data)
        assert request.path == "/chat"


def test_spec_032_subprotocols(impl: ModuleType) -> None:
    """SPEC-010, SPEC-032, choice k."""
    for supported, values, chosen in (
        (None, ("a, b",), None),
        (["x", "b"], ("a", "b"), "b"),
        (["b", "a"], ("a, b",), "b"),
        (["c"], ("a, b",), 400),
        (["c"], (), 400),
        (["a"], ("a, a",), 400),
        (None, ("a b",), 400),
    ):
        protocol = server(impl, subprotocols=supported)
        response = protocol.accept(got(protocol, *((PROTOCOL, v) for v in values)))
        if chosen == 400:
            assert response.status_code == 400, (supported, values)
            assert protocol.subprotocol is None
        else:
            assert protocol.subprotocol == chosen
            assert response.headers.get(PROTOCOL) == chosen


def test_select_subprotocol(impl: ModuleType) -> None:
    """The callable gets the connection and the list, and replaces the method."""
    calls = []

    def select(protocol: Any, offered: Any) -> Any:
        calls.append((protocol, offered))
        return "b" if "b" in offered else None

    protocol = server(impl, subprotocols=["a"], select_subprotocol=select)
    assert status(protocol, (PROTOCOL, "a, b")) == 101
    assert (protocol.subprotocol, calls) == ("b", [(protocol, ["a", "b"])])
    protocol = server(impl, select_subprotocol=select)
    assert status(protocol) == 101
    assert (protocol.subprotocol, calls[1:]) == (None, [(protocol, [])])


def test_overriding_the_steps(impl: ModuleType) -> None:
    """Each can be replaced, and what it gives is used."""
    base = impl.server.ServerProtocol

    def origin(self: Any, headers: Any) -> str:
        return "mine"

    def extensions(self: Any, headers: Any) -> Any:
        return "x; y", ["an extension"]

    def subprotocol(self: Any, headers: Any) -> Any:
        return base.process_subprotocol(self, headers) or "none"

    def select(self: Any, offered: Any) -> Any:
        return offered[-1] if offered else None

    def request(self: Any, request: Any) -> Any:
        accept, *others = base.process_request(self, request)
        return (accept, *others)

    methods = {
        "process_origin": origin,
        "process_extensions": extensions,
        "process_subprotocol": subprotocol,
        "select_subprotocol": select,
        "process_request": request,
    }
    protocol = subclass(impl, methods)
    response = protocol.accept(got(protocol, (PROTOCOL, "a, b")))
    assert protocol.origin == "mine"
    assert protocol.extensions == ["an extension"]
    assert protocol.subprotocol == "b"
    assert list(response.headers.raw_items())[4:] == [(OFFERS, "x; y"), (PROTOCOL, "b")]


def test_refusing_from_inside(impl: ModuleType) -> None:
    """`InvalidHandshake` and what is below it are answered with their status."""
    exc = impl.exceptions
    unauthorized = type("Unauthorized", (exc.InvalidHandshake,), {"status": 401})
    for error, code in (
        (exc.NegotiationError("no"), 400),
        (exc.InvalidOrigin("x"), 403),
        (unauthorized("who?"), 401),
    ):
        for step in ("process_request", "process_origin", "select_subprotocol"):

            def refuse(*args: Any, error: Exception = error) -> Any:
                raise error

            protocol = subclass(impl, {step: refuse})
            assert status(protocol) == code
            assert protocol.handshake_exc is error


def raising(error: Exception) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        raise error

    return function


def test_a_callback_that_raises(impl: ModuleType) -> None:
    """It is answered with 500, which tells nothing; the log tells."""
    error = ValueError("secret")
    for options, methods in (
        ({"select_subprotocol": raising(error)}, {}),
        ({}, {"select_subprotocol": raising(error)}),
        ({}, {"process_origin": raising(error)}),
        ({}, {"process_request": raising(error)}),
    ):
        logger, lines = new_logger(logging.WARNING)
        protocol = subclass(impl, methods, logger=logger, **options)
        protocol.send_response(protocol.accept(got(protocol)))
        start, pairs, body = output(protocol)
        assert start == "HTTP/1.1 500 Internal Server Error"
        assert "secret" not in f"{pairs}{body!r}"
        assert protocol.handshake_exc is error
        assert lines == ["opening handshake failed"]
        assert_refused(protocol)


def test_sec_32_what_callbacks_must_not_give(impl: ModuleType) -> None:
    """SPEC-032, SPEC-036, SEC-32: it is answered with 500, and does not travel."""
    split = "a\r\nEvil: x"
    for options, methods in (
        ({"select_subprotocol": lambda protocol, offered: split}, {}),
        ({"select_subprotocol": lambda protocol, offered: "Evil"}, {}),
        ({"select_subprotocol": lambda protocol, offered: 5}, {}),
        ({"extensions": [Factory(impl, "e", answer=[("p", split)])]}, {}),
        ({"extensions": [Factory(impl, "e", answer=[("Evil€", None)])]}, {}),
        ({"extensions": [Factory(impl, "e", answer=[(5, None)])]}, {}),  # type: ignore[list-item]
        ({}, {"process_subprotocol": lambda self, headers: split}),
        ({}, {"process_extensions": lambda self, headers: (split, [])}),
        ({}, {"process_extensions": lambda self, headers: None}),
    ):
        protocol = subclass(impl, methods, **options)
        request = got(protocol, (PROTOCOL, "chat"), (OFFERS, "e"))
        protocol.send_response(protocol.accept(request))
        start, pairs, body = output(protocol)
        assert start == "HTTP/1.1 500 Internal Server Error", (options, methods)
        assert "Evil" not in f"{pairs}{body!r}"
        assert protocol.handshake_exc is not None
        assert_refused(protocol)


def test_spec_081_extensions_apply_in_order(impl: ModuleType) -> None:
    """SPEC-081: the first named is first to encode and last to decode."""
    base = impl.extensions.base.Extension

    class Brackets(base):  # type: ignore[misc, valid-type]
        def __init__(self, name: str) -> None:
            self.name = name

        def encode(self, frame: Any) -> Any:
            return impl.frames.Frame(
                frame.opcode, self.name.encode() + frame.data, frame.fin
            )

        def decode(self, frame: Any, *, max_size: int | None = None) -> Any:
            assert frame.data.startswith(self.name.encode())
            return impl.frames.Frame(frame.opcode, frame.data[1:], frame.fin)

    class Offer:
        def __init__(self, name: str) -> None:
            self.name = name

        def get_request_params(self) -> list[Any]:
            return []

        def process_request_params(self, params: Any, accepted: Any) -> Any:
            return [], Brackets(self.name)

        def process_response_params(self, params: Any, accepted: Any) -> Any:
            return Brackets(self.name)

    uri = impl.uri.parse_uri("ws://example.com/")
    offers = [Offer("a"), Offer("b"), Offer("c")]
    client = impl.client.ClientProtocol(uri, extensions=offers)
    protocol = server(impl, extensions=[Offer("c"), Offer("a")])
    client.send_request(client.connect())
    protocol.receive_data(b"".join(client.data_to_send()))
    protocol.send_response(protocol.accept(protocol.events_received()[0]))
    client.receive_data(b"".join(protocol.data_to_send()))
    client.events_received()
    names = [extension.name for extension in client.extensions]
    assert names == [extension.name for extension in protocol.extensions] == ["a", "c"]
    protocol.send_text(b"x")
    assert sent(protocol) == [(FIN | TEXT, b"cax")]
    for one, other in ((protocol, client), (client, protocol)):
        one.send_text(b"x")
        other.receive_data(b"".join(one.data_to_send()))
        assert events(other) == [(TEXT, b"x", True)]
