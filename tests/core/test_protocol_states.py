"""Each state and each input: what becomes of it, in one table for both sides.

A cell gives the new state, then ``+`` what is to be received, then ``>`` what is to
be written. ``>EOF`` is the half-close, ``>>EOF`` one that only a server queues: it
half-closes at once, where a client waits for the server. ``!`` names an exception;
then nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .support import (
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    SIDES,
    TEXT,
    client_with_sample_key,
    close_payload,
    opened,
    request_bytes,
    response_bytes,
    wire,
)
from .table import each

# --- how to get into a state


def connecting(impl: Any, side: str) -> Any:
    """The handshake has begun."""
    if side == "server":
        return impl.server.ServerProtocol()
    protocol = client_with_sample_key(impl)
    protocol.send_request(protocol.connect())
    return protocol


def undecided(impl: Any, side: str) -> Any:
    """A request came, and was not answered yet; for a client, the same as before."""
    protocol = connecting(impl, side)
    if side == "server":
        protocol.receive_data(request_bytes())
    return protocol


def rejected(impl: Any, side: str) -> Any:
    """The handshake was refused."""
    protocol = undecided(impl, side)
    if side == "server":
        protocol.send_response(protocol.reject(404, ""))
    else:
        status = "404 Not Found"
        headers = [("Content-Length", "0")]
        protocol.receive_data(response_bytes(headers=headers, status=status))
    return protocol


def receiving(impl: Any, side: str) -> Any:
    """A message of the peer is under way."""
    protocol = opened(impl, side)
    protocol.receive_data(wire(side, TEXT, b"begun"))
    return protocol


def sending(impl: Any, side: str) -> Any:
    """A message of ours is under way."""
    protocol = opened(impl, side)
    protocol.send_text(b"begun", False)
    return protocol


def half_closed(impl: Any, side: str) -> Any:
    """The caller queued a half-close without a close frame."""
    protocol = opened(impl, side)
    protocol.send_eof()
    return protocol


def close_sent(impl: Any, side: str) -> Any:
    """We began the closing handshake."""
    protocol = opened(impl, side)
    protocol.send_close(1001)
    return protocol


def close_rcvd(impl: Any, side: str) -> Any:
    """The peer began it, and was answered."""
    protocol = opened(impl, side)
    protocol.receive_data(wire(side, FIN | CLOSE, close_payload(1001)))
    return protocol


def both_closed(impl: Any, side: str) -> Any:
    """We began it, and the peer answered."""
    protocol = close_sent(impl, side)
    protocol.receive_data(wire(side, FIN | CLOSE, close_payload(1001)))
    return protocol


def failed(impl: Any, side: str) -> Any:
    """The peer broke a rule."""
    protocol = opened(impl, side)
    protocol.receive_data(b"\xff")
    return protocol


def closed(impl: Any, side: str) -> Any:
    """The stream has ended."""
    protocol = opened(impl, side)
    protocol.receive_eof()
    return protocol


State = Callable[[Any, str], Any]
EXPECTS_CLOSE = (rejected, close_sent, close_rcvd, both_closed, failed)

# --- what may happen

INPUTS: dict[str, Callable[[Any, str], object]] = {
    "text": lambda p, side: p.receive_data(wire(side, FIN | TEXT, b"x")),
    "continuation": lambda p, side: p.receive_data(wire(side, FIN | CONT, b"x")),
    "ping": lambda p, side: p.receive_data(wire(side, FIN | PING, b"x")),
    "pong": lambda p, side: p.receive_data(wire(side, FIN | PONG, b"x")),
    "close": lambda p, side: p.receive_data(wire(side, FIN | CLOSE, b"\x03\xe8")),
    "offence": lambda p, side: p.receive_data(b"\xff"),
    "nothing": lambda p, side: p.receive_data(b""),
    "eof": lambda p, side: p.receive_eof(),
    "send_text": lambda p, side: p.send_text(b"x"),
    "send_binary": lambda p, side: p.send_binary(b"x"),
    "send_continuation": lambda p, side: p.send_continuation(b"x", True),
    "send_ping": lambda p, side: p.send_ping(b"x"),
    "send_pong": lambda p, side: p.send_pong(b"x"),
    "send_close": lambda p, side: p.send_close(1000),
    "fail": lambda p, side: p.fail(1011),
    "fail, lost": lambda p, side: p.fail(1006),
}
READS = ("text", "continuation", "ping", "pong", "close", "offence", "nothing")
SENDS = tuple(name for name in INPUTS if name.startswith("send_"))
FAILS = ("fail", "fail, lost")


def row(*cells: tuple[tuple[str, ...], str], **single: str) -> dict[str, str]:
    """Cells for groups of inputs, and then for single ones."""
    groups = {name: cell for names, cell in cells for name in names}
    return {**groups, **single}


OPEN = row(
    (FAILS, "CLOSING >CLOSE >>EOF"),
    text="OPEN +TEXT",
    continuation="CLOSING >CLOSE >>EOF",
    ping="OPEN +PING >PONG",
    pong="OPEN +PONG",
    close="CLOSING +CLOSE >CLOSE >>EOF",
    offence="CLOSING >CLOSE >>EOF",
    nothing="OPEN",
    eof="CLOSED >EOF",
    send_text="OPEN >TEXT",
    send_binary="OPEN >BINARY",
    send_continuation="!ProtocolError",
    send_ping="OPEN >PING",
    send_pong="OPEN >PONG",
    send_close="CLOSING >CLOSE",
)
OPEN["fail, lost"] = "CLOSING >>EOF"
DONE = row(
    (READS, "CLOSING"),
    (SENDS, "!InvalidState"),
    (FAILS, "CLOSING"),
    eof="CLOSED >EOF",  # a server half-closed before
)

TABLE: dict[State, dict[str, str]] = {
    connecting: row(
        (("nothing",), "CONNECTING"),
        (SENDS, "!InvalidState"),
        (FAILS, "CONNECTING >>EOF"),
        eof="CLOSED >EOF",
    ),
    undecided: row(
        (("nothing",), "CONNECTING"),
        (SENDS, "!InvalidState"),
        (FAILS, "CONNECTING >>EOF"),
        eof="CLOSED >EOF",
    ),
    rejected: row(
        (READS, "CONNECTING"),
        (SENDS, "!InvalidState"),
        (FAILS, "CONNECTING"),
        eof="CLOSED",
    ),
    receiving: {
        **OPEN,
        "text": "CLOSING >CLOSE >>EOF",
        "continuation": "OPEN +CONT",
    },
    sending: {
        **OPEN,
        "send_text": "!ProtocolError",
        "send_binary": "!ProtocolError",
        "send_continuation": "OPEN >CONT",
        "send_close": "!ProtocolError",
    },
    half_closed: row(
        (SENDS, "!InvalidState"),
        (FAILS, "CLOSING"),
        text="OPEN +TEXT",
        continuation="CLOSING",
        ping="OPEN +PING",
        pong="OPEN +PONG",
        close="CLOSING +CLOSE",
        offence="CLOSING",
        nothing="OPEN",
        eof="CLOSED",
    ),
    close_sent: row(
        (SENDS, "!InvalidState"),
        (FAILS, "CLOSING >>EOF"),
        text="CLOSING +TEXT",
        continuation="CLOSING >>EOF",
        ping="CLOSING +PING >PONG",
        pong="CLOSING +PONG",
        close="CLOSING +CLOSE >>EOF",
        offence="CLOSING >>EOF",
        nothing="CLOSING",
        eof="CLOSED >EOF",
        send_ping="CLOSING >PING",
        send_pong="CLOSING >PONG",
    ),
    close_rcvd: DONE,
    both_closed: DONE,
    failed: DONE,
    closed: row(
        (READS, "!EOFError"),
        (SENDS, "!InvalidState"),
        (FAILS, "CLOSED"),
        eof="CLOSED",
    ),
    opened: OPEN,
}
# The server holds what comes before it has answered, whatever it is.
HELD = dict.fromkeys(READS, "CONNECTING")


def cell(protocol: Any) -> str:
    """What the protocol did, in the words of the table."""
    parts = [protocol.state.name]
    parts += [f"+{event.opcode.name}" for event in protocol.events_received()]
    for chunk in protocol.data_to_send():
        names = {0x0: "CONT", 0x1: "TEXT", 0x2: "BINARY", 0x8: "CLOSE", 0x9: "PING"}
        parts.append(f">{names.get(chunk[0] & 0xF, 'PONG')}" if chunk else ">EOF")
    return " ".join(parts)


def facts(protocol: Any) -> tuple[Any, ...]:
    """What must not change when an exception is raised."""
    return (
        protocol.state,
        protocol.eof_sent,
        protocol.close_rcvd,
        protocol.close_sent,
        protocol.close_rcvd_then_sent,
        protocol.parser_exc,
        repr(protocol.stats),
        protocol.close_expected(),
    )


def walk(impl: Any, side: str, state: State, name: str) -> str:
    """Give one input in one state; what became of it, in the words of the table."""
    protocol = state(impl, side)
    protocol.events_received()
    protocol.data_to_send()
    before = facts(protocol)
    try:
        INPUTS[name](protocol, side)
    except Exception as exc:
        assert facts(protocol) == before
        assert protocol.data_to_send() == []
        assert protocol.events_received() == []
        return f"!{type(exc).__name__}"
    result = cell(protocol)
    assert protocol.eof_sent == (before[1] or ">EOF" in result)
    closing = protocol.state is impl.protocol.CLOSING
    refused = protocol.state is impl.protocol.CONNECTING and protocol.eof_sent
    assert protocol.close_expected() == (closing or refused)
    over = protocol.state is impl.protocol.CLOSED
    assert (protocol.close_code is not None) == over
    assert (protocol.close_reason is not None) == over
    if over:
        assert isinstance(protocol.close_exc, impl.exceptions.ConnectionClosed)
    else:
        with pytest.raises(AssertionError):
            _ = protocol.close_exc
    return result


@each("side", SIDES)
@each("state", TABLE, ids=lambda state: state.__name__)
def test_spec_068_079_each_state_and_input(impl: Any, side: str, state: State) -> None:
    """SPEC-068, SPEC-072, SPEC-074, SPEC-076, SPEC-079a to SPEC-079e, SEC-15."""
    wanted = dict(TABLE[state])
    if side == "server":
        if state is undecided:
            wanted.update(HELD)
        if state in (close_rcvd, both_closed, failed):
            wanted["eof"] = "CLOSED"
    end = " >EOF" if side == "server" else ""
    wanted = {name: text.replace(" >>EOF", end) for name, text in wanted.items()}
    assert {name: walk(impl, side, state, name) for name in wanted} == wanted


def test_the_table_is_whole() -> None:
    """Only bytes that are still HTTP are left to other tests."""
    for state, cells in TABLE.items():
        missing = set(INPUTS) - set(cells)
        http = {*READS} - {"nothing"} if state in (connecting, undecided) else set()
        assert missing == http


@pytest.mark.parametrize("side", SIDES)
def test_close_expected(impl: Any, side: str) -> None:
    """SPEC-079d: False while OPEN or CLOSED, True while CLOSING or refused."""
    for state in TABLE:
        assert state(impl, side).close_expected() is (state in EXPECTS_CLOSE)


@pytest.mark.parametrize("side", SIDES)
def test_every_state_ends_in_closed(impl: Any, side: str) -> None:
    """SPEC-079e: one half-close in all, and nothing behind it."""
    for state in TABLE:
        check_end(impl, state(impl, side))


def check_end(impl: Any, protocol: Any) -> None:
    chunks = protocol.data_to_send()
    for _ in range(3):
        protocol.receive_eof()
        chunks += protocol.data_to_send()
    assert protocol.state is impl.protocol.CLOSED
    assert chunks.count(b"") == 1
    assert chunks[-1] is impl.protocol.SEND_EOF


def test_refusals_name_the_state(impl: Any) -> None:
    for state, text in (
        (connecting, "connecting"),
        (close_sent, "closing"),
        (closed, "closed"),
        (half_closed, "half-close"),
    ):
        with pytest.raises(impl.exceptions.InvalidState, match=text):
            state(impl, "server").send_text(b"x")
