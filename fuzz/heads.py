"""Targets ``request`` and ``response``: the opening handshake of either side.

The first byte of the input chooses the connection, the next two the cuts; the rest
is what the peer sends: a head, and perhaps frames behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from tests.streams import KEY

from . import http_model
from .support import FORMS, Log, alike, described, pieces, same

TIGHT = {"max_header_line": 60, "max_headers": 8, "max_head_size": 300}


class Plan(NamedTuple):
    """What the input says.

    Attributes:
        sizes: of the pieces, in turn; 0 stands for all the rest.
        stream: what comes.
        tight: whether the limits are small (bit 0 of the first byte).
        deflate: whether permessage-deflate is configured (bit 1).
        subprotocols: whether one is configured (bit 2).
        picky: whether a server checks the origin and the host (bit 3).
        debug: whether it is logged (bit 4).
        pull: whether events are read one by one (bit 5).
        eof: whether the stream ends behind the input (bit 6).
        late: whether a request is answered behind all input only (bit 7).

    """

    sizes: tuple[int, int]
    stream: bytes
    tight: bool
    deflate: bool
    subprotocols: bool
    picky: bool
    debug: bool
    pull: bool
    eof: bool
    late: bool


def plan(data: bytes) -> Plan:
    """Read the input, which may be of any length."""
    options, one, other = data[:3].ljust(3, b"\0")
    flags = [options >> bit & 1 != 0 for bit in range(8)]
    return Plan((one, other), data[3:], *flags)


def new_server(form: ModuleType, plan: Plan) -> Any:
    """A server that awaits a request."""
    factory = form.extensions.permessage_deflate.ServerPerMessageDeflateFactory
    limits: dict[str, Any] = {"max_request_line": 60, **TIGHT} if plan.tight else {}
    return form.server.ServerProtocol(
        extensions=[factory(server_max_window_bits=12)] if plan.deflate else None,
        subprotocols=["chat", "mqtt"] if plan.subprotocols else None,
        origins=["http://example.com", None] if plan.picky else None,
        hosts=["example.com"] if plan.picky else None,
        logger=Log(debug=plan.debug).logger,
        max_size=4096,
        **limits,
    )


def new_client(form: ModuleType, plan: Plan) -> Any:
    """A client that awaits a response."""
    factory = form.extensions.permessage_deflate.ClientPerMessageDeflateFactory
    limits: dict[str, Any] = {"max_status_line": 60, **TIGHT} if plan.tight else {}
    protocol = form.client.ClientProtocol(
        form.uri.parse_uri("ws://example.com/"),
        extensions=[factory()] if plan.deflate else None,
        subprotocols=["chat", "mqtt"] if plan.subprotocols else None,
        logger=Log(debug=plan.debug).logger,
        max_size=4096,
        max_body=1000,
        **limits,
    )
    protocol.key = KEY
    protocol.send_request(protocol.connect())
    return protocol


class Seen(NamedTuple):
    """All that can be seen of a connection."""

    events: list[Any]
    output: bytes
    state: str
    errors: tuple[Any, ...]
    closing: tuple[Any, ...]
    agreed: tuple[Any, ...]


def run(form: ModuleType, plan: Plan, make: Callable[[ModuleType, Plan], Any]) -> Seen:
    """Feed a connection."""
    protocol = make(form, plan)
    events: list[Any] = []
    for piece in pieces(plan.stream, *plan.sizes):
        if plan.pull:
            protocol.feed_data(piece)
        else:
            protocol.receive_data(piece)
        if not plan.late:
            events += fetch(protocol, plan)
    events += fetch(protocol, plan)
    if plan.eof:
        protocol.receive_eof()
        events += fetch(protocol, plan)
    for exc in (protocol.handshake_exc, protocol.parser_exc):
        kinds = (form.exceptions.WebSocketException, EOFError)
        assert exc is None or isinstance(exc, kinds), repr(exc)
    return Seen(
        [seen(event) for event in events],
        b"".join(protocol.data_to_send()),
        protocol.state.name,
        (described(protocol.handshake_exc), described(protocol.parser_exc)),
        (repr(protocol.close_rcvd), repr(protocol.close_sent), protocol.eof_sent),
        (protocol.subprotocol, protocol.origin, repr(list(protocol.extensions))),
    )


def fetch(protocol: Any, plan: Plan) -> list[Any]:
    """The events; a request is answered as soon as it is there."""
    events: list[Any] = []
    while new := [protocol.next_event()] if plan.pull else protocol.events_received():
        if new == [None]:
            break
        events += new
        if hasattr(new[0], "method"):
            protocol.send_response(protocol.accept(new[0]))
    return events


def seen(event: Any) -> Any:
    """An event, for comparisons between forms whose classes differ."""
    data = getattr(event, "data", None)
    if data is not None:
        return int(event.opcode), data, event.fin
    fields = list(event.headers.raw_items())
    if hasattr(event, "method"):
        return event.method, event.path, event.protocol, fields
    return event.status_code, event.reason_phrase, fields, event.body


def check(data: bytes, make: Callable[[ModuleType, Plan], Any]) -> tuple[Plan, Seen]:
    """Raise if a promise that holds for both sides is broken."""
    todo = plan(data)
    result: Seen = alike(lambda form: run(form, todo, make))
    whole = run(list(FORMS.values())[-1], todo._replace(sizes=(0, 0)), make)
    for name, one, other in zip(Seen._fields, result, whole, strict=True):
        same(one, other, f"{name}, in one piece")
    return todo, result


def request(data: bytes) -> None:
    """What a server reads before the connection is open."""
    todo, result = check(data, new_server)
    if todo.tight:
        return
    try:
        head = http_model.read_head(todo.stream, http_model.check_request_line)
    except http_model.Refused:
        same(result.events, [], "a request that the model refuses")
        assert result.output.startswith(b"HTTP/1.1 4"), result.output
        return
    if head is None:
        same((result.events, result.output), ([], b""), "half a request")
        return
    method, target, version = head.start.split(" ")
    fields = head.fields
    if not target.startswith("/"):
        authority, target = http_model.split_target(target)
        hosts = [name for name, _ in fields if name.lower() == "host"]
        fields = [
            (name, authority if [name] == hosts else value) for name, value in fields
        ]
    same(result.events[0], (method, target, version, fields), "request, model")
    status = result.output[9:12].decode()
    assert status in ("101", "505") or status.startswith("4"), result.output


def response(data: bytes) -> None:
    """What a client reads before the connection is open."""
    todo, result = check(data, new_client)
    if todo.tight:
        return
    stream = todo.stream
    try:
        while True:
            head = http_model.read_head(stream, http_model.check_status_line)
            if head is None or head.start[9] != "1" or head.start[9:12] == "101":
                break
            stream = stream[head.size :]
    except http_model.Refused:
        same(result.events, [], "a response that the model refuses")
        assert result.errors[0] is not None
        return
    if head is None:
        same(result.events, [], "half a response")
    elif result.events:  # else its body was not complete, or refused
        code, reason = int(head.start[9:12]), head.start[13:]
        same(result.events[0][:3], (code, reason, head.fields), "response, model")
        accepted = result.errors[0] is None
        same(result.state in ("OPEN", "CLOSING"), accepted and not todo.eof, "state")
