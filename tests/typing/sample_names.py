"""Every way to get at a name gives the type that is behind it."""

from __future__ import annotations

import re
from logging import Logger, LoggerAdapter
from typing import Any

from typing_extensions import assert_type

import sansocket
from sansocket import (
    SEND_EOF,
    CloseCode,
    Event,
    Frame,
    Opcode,
    Origin,
    Request,
    Response,
    ServerProtocol,
    State,
    Subprotocol,
    WebSocketURI,
    parse_uri,
)

assert_type(sansocket.__version__, str)
assert_type(sansocket.OPEN, State)
assert_type(sansocket.protocol.OPEN, State)
assert_type(sansocket.frames.Opcode(1), Opcode)
assert_type(sansocket.exceptions.ConnectionClosed(None, None).code, int)
assert_type(SEND_EOF, bytes)
assert_type(parse_uri("wss://example.com"), WebSocketURI)
assert_type(parse_uri("wss://example.com").user_info, tuple[str, str] | None)

sansocket.nothing  # type: ignore[attr-defined]  # noqa: B018 - must not exist


def construct(logger: Logger, adapter: LoggerAdapter[Any]) -> None:
    """All arguments, with each of the types that they may have."""
    ServerProtocol(
        origins=[Origin("https://example.com"), re.compile("https://.*"), None],
        extensions=[sansocket.ServerPerMessageDeflateFactory()],
        subprotocols=[Subprotocol("chat")],
        select_subprotocol=lambda protocol, offered: offered[0],
        state=State.OPEN,
        max_size=(2**20, None),
        logger=logger,
        hosts=["example.com"],
        max_fragments=None,
    )
    ServerProtocol(max_size=None, logger=adapter)
    sansocket.ClientProtocol(
        parse_uri("ws://example.com"),
        extensions=sansocket.enable_client_permessage_deflate(None),
    )
    ServerProtocol(None)  # type: ignore[call-arg]
    ServerProtocol(max_size="1M")  # type: ignore[arg-type]
    ServerProtocol(subprotocols="chat")  # type: ignore[arg-type]
    sansocket.ClientProtocol("ws://example.com")  # type: ignore[arg-type]


def use(protocol: ServerProtocol, view: memoryview) -> None:
    """What goes in may be any buffer; text is bytes too."""
    protocol.receive_data(b"")
    protocol.receive_data(bytearray())
    protocol.receive_data(view)
    protocol.send_text(b"", fin=False, compress=True)
    protocol.send_binary(view)
    protocol.fail(CloseCode.POLICY_VIOLATION, "reason")
    protocol.send_text("text")  # type: ignore[arg-type]
    protocol.send_continuation(b"")  # type: ignore[call-arg]
    protocol.state = State.OPEN
    assert_type(protocol.state, State)
    assert_type(protocol.data_to_send(), list[bytes])
    assert_type(protocol.events_received(), list[Event])
    assert_type(protocol.close_code, int | None)
    assert_type(protocol.close_exc, sansocket.ConnectionClosed)
    assert_type(protocol.stats.bytes_sent, int)


def match(event: Event) -> int:
    """Events are told apart by ``match``, and there are no more kinds."""
    match event:
        case Request(path, headers):
            assert_type(path, str)
            assert_type(headers, sansocket.Headers)
            return len(path)
        case Response(status_code=status):
            return status
        case Frame(Opcode.TEXT, data, fin):
            assert_type(fin, bool)
            return len(data)
        case Frame():
            return 0
