"""ClientProtocol: bytes as they come, in any pieces, too many, too few, and its log."""

from __future__ import annotations

import logging
from types import ModuleType
from typing import Any

import pytest

from .handshake_support import Factory, assert_given_up, client, reply
from .support import (
    BINARY,
    CLOSE,
    FIN,
    PING,
    RESPONSE_HEADERS,
    RSV1,
    SAMPLE_KEY,
    TEXT,
    client_with_sample_key,
    close_payload,
    cuts,
    deflated,
    new_logger,
    plain,
    read_frames,
    response_bytes,
)

OFFERS, PROTOCOL = "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"

# Limits


def test_sec_22_limits(impl: ModuleType) -> None:
    """SEC-08, SEC-22: each limit, by default and as an argument."""
    many, long = ["X: y"], "X: " + "y" * 8187
    cases: tuple[tuple[dict[str, int], bytes, bytes, str], ...] = (
        ({}, b"HTTP/1.1 400 ", b"HTTP/1.1 400 " + b"x" * 8190, "StatusLineTooLong"),
        (
            {},
            reply(400, f"{long}zz"),
            reply(400, f"{long}zzz"),
            "HeaderLineTooLong",
        ),
        (
            {},
            reply(400, *many * 128),
            reply(400, *many * 129),
            "TooManyHeaders",
        ),
        (
            {},
            reply(400, *[long] * 8),
            reply(400, *[long] * 9),
            "TooManyHeaders",
        ),
        (
            {"max_status_line": 14},
            reply(400),
            reply(400)[:14] + b"xx",
            "StatusLine",
        ),
        (
            {"max_header_line": 4},
            reply(400, "X: y"),
            reply(400, "X: yz"),
            "Header",
        ),
        (
            {"max_headers": 1},
            reply(400, *many),
            reply(400, *many * 2),
            "TooMany",
        ),
        (
            {"max_head_size": 18},
            reply(400, *many),
            reply(400, "X: yz"),
            "TooMany",
        ),
    )
    for options, fits, exceeds, kind in cases:
        protocol = client(impl, **options)
        protocol.receive_data(fits)
        assert protocol.handshake_exc is None, (options, fits)
        protocol = client(impl, **options)
        protocol.receive_data(exceeds)
        found = type(protocol.handshake_exc).__name__
        assert found.startswith(kind), (options, exceeds[:50])
        assert isinstance(protocol.handshake_exc, impl.exceptions.SecurityError)
        assert_given_up(protocol, found)


# The end of the stream


def test_end_of_the_stream_before_the_response(impl: ModuleType) -> None:
    for data in (
        *(b"", b"HTTP/1.1", response_bytes()[:-2], reply(100), reply(400)[:-2]),
    ):
        protocol = client(impl)
        protocol.receive_data(data)
        protocol.receive_eof()
        assert isinstance(protocol.handshake_exc, impl.exceptions.InvalidMessage)
        assert protocol.events_received() == []
        assert protocol.state is impl.protocol.State.CLOSED
        assert protocol.data_to_send() == [b""]
        assert protocol.close_code == 1006
        with pytest.raises(EOFError):
            protocol.receive_data(b"x")
        with pytest.raises(impl.exceptions.InvalidState):
            protocol.send_request(protocol.connect())


# Any split, any byte


def received(impl: ModuleType, chunks: list[bytes], **options: Any) -> tuple[Any, ...]:
    """All that comes of these bytes."""
    protocol = client(impl, **options)
    seen: list[Any] = []
    data = b""
    for chunk in chunks:
        protocol.receive_data(chunk)
        for event in protocol.events_received():
            if isinstance(event, impl.http11.Response):
                seen.append((event.status_code, bytes(event.body)))
            else:
                seen.append((int(event.opcode), event.data, event.fin))
        data += b"".join(protocol.data_to_send())
    error = protocol.parser_exc or protocol.handshake_exc
    frames = read_frames(data, "client")
    return seen, frames, protocol.state.name, f"{type(error).__name__}: {error}"


def test_spec_029_any_split(impl: ModuleType) -> None:
    """SPEC-029, SPEC-048: interim responses, the response, and frames behind it."""
    offer = impl.extensions.permessage_deflate.ClientPerMessageDeflateFactory()
    stream = reply(103, "Link: </a>") + response_bytes((OFFERS, "permessage-deflate"))
    stream += plain(FIN | RSV1 | TEXT, deflated(b"Hello")) + plain(BINARY)
    stream += plain(FIN, b"x") + plain(FIN | PING, b"p")
    for behind, state in (
        (b"", "OPEN"),
        (plain(FIN | CLOSE, close_payload(1000)) + plain(FIN | TEXT), "CLOSING"),
    ):
        expected = received(impl, [stream + behind], extensions=[offer])
        assert expected[0][:3] == [(101, b""), (1, b"Hello", True), (2, b"", False)]
        assert expected[1][0] == (0x8A, b"p")
        assert expected[2] == state
        for chunks in cuts(stream + behind):
            assert received(impl, chunks, extensions=[offer]) == expected, chunks


def test_spec_029_any_split_of_a_refusal(impl: ModuleType) -> None:
    """SPEC-029, SPEC-049."""
    for stream in (
        reply(404, "Content-Length: 2", body=b"no") + response_bytes(),
        reply(404, "Transfer-Encoding: chunked", body=b"2\r\nno\r\n0\r\n\r\nrest"),
        reply(404, "X : y") + response_bytes(),
    ):
        expected = received(impl, [stream])
        assert expected[2] == "CONNECTING"
        assert "None" not in expected[3]
        for chunks in cuts(stream):
            assert received(impl, chunks) == expected, chunks


def test_sec_25_any_byte_in_any_header(impl: ModuleType) -> None:
    """SEC-25: it opens or it fails; nothing is raised."""
    pairs = [*RESPONSE_HEADERS, (OFFERS, "e"), (PROTOCOL, "x")]
    kinds = set()
    for name, value in pairs:
        others = [pair for pair in pairs if pair[0] != name]
        stem = response_bytes(headers=others)[:-2]
        for octet in (*range(0x20), *b'",;=\\/:@[]{}(', *range(0x7F, 0x100, 8), 0xFF):
            protocol = client(impl, extensions=[Factory(impl, "e")], subprotocols=["x"])
            line = name.encode() + b": " + bytes([octet]) + value.encode()
            protocol.receive_data(stem + line + b"\r\n\r\n")
            error = protocol.handshake_exc
            assert (protocol.state.name == "OPEN") == (error is None)
            assert error is None or isinstance(error, impl.exceptions.InvalidHandshake)
            kinds.add(type(error).__name__)
    assert {"NoneType", "InvalidMessage", "InvalidHeaderFormat"} <= kinds


# Log


def test_log(impl: ModuleType) -> None:
    logger, lines = new_logger()
    protocol = client_with_sample_key(impl, logger=logger)
    protocol.send_request(protocol.connect())
    protocol.receive_data(response_bytes(("X", "é\x85")))
    assert lines == [
        "> GET /",
        "> Host: example.com",
        "> Upgrade: websocket",
        "> Connection: Upgrade",
        f"> Sec-WebSocket-Key: {SAMPLE_KEY}",
        "> Sec-WebSocket-Version: 13",
        "< 101 Switching Protocols",
        *(f"< {name}: {value}" for name, value in RESPONSE_HEADERS),
        "< X: \\xe9\\x85",
        "= connection is OPEN",
    ]


def test_sec_40_log_of_a_failure(impl: ModuleType) -> None:
    """SEC-40: one printable line each, whatever came."""
    for data, text in (
        (b"HTTP/1.1 404 \x85\x9b31m\r\nContent-Length: 0\r\n\r\n", "HTTP status 404"),
        (b"SSH\x85" * 30 + b"\r\n", "malformed status line"),
    ):
        logger, lines = new_logger()
        protocol = client(impl, logger=logger)
        protocol.receive_data(data)
        assert lines[-2].startswith("! handshake failed: ")
        assert text in lines[-2]
        assert lines[-1] == "> EOF"
        assert all(line.isascii() and line.isprintable() for line in lines)
        quiet, nothing = new_logger(logging.INFO)
        client(impl, logger=quiet).receive_data(data)
        assert nothing == []
