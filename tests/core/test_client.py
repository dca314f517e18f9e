"""ClientProtocol: a request goes, a response comes, and what becomes of it."""

from __future__ import annotations

import base64
import logging
from types import ModuleType
from typing import Any

import pytest

from .handshake_support import Factory, assert_given_up, client, reply
from .support import (
    CLOSE,
    FIN,
    RESPONSE_HEADERS,
    SAMPLE_ACCEPT,
    SAMPLE_KEY,
    TEXT,
    client_with_sample_key,
    close_payload,
    events,
    parse_head,
    plain,
    response_bytes,
    sent,
)

OFFERS, PROTOCOL = "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"


# The request


def test_spec_045_request(impl: ModuleType) -> None:
    """SPEC-041, SPEC-045, SPEC-047."""
    protocol = client_with_sample_key(
        impl,
        "ws://example.com:8080/a?b",
        origin="https://example.com",
        extensions=[Factory(impl, "e", answer=[("p", None)])],
        subprotocols=["x", "y"],
    )
    request = protocol.connect()
    request.headers["Cookie"] = "c=d"
    assert protocol.data_to_send() == []
    protocol.send_request(request)
    start, pairs, rest = parse_head(b"".join(protocol.data_to_send()))
    assert (start, rest) == ("GET /a?b HTTP/1.1", b"")
    assert pairs == [
        ("Host", "example.com:8080"),
        ("Origin", "https://example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", SAMPLE_KEY),
        ("Sec-WebSocket-Version", "13"),
        (OFFERS, "e; p"),
        (PROTOCOL, "x, y"),
        ("Cookie", "c=d"),
    ]
    assert protocol.state.name == "CONNECTING"
    assert not protocol.close_expected()


def test_spec_046_the_key_is_new_for_each_connection(
    impl: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPEC-046: from the random source; and the same for each request of one."""
    numbers = iter(range(10))
    source = "random_bytes"
    monkeypatch.setattr(impl.environment, source, lambda n: bytes([next(numbers)]) * n)
    uri = impl.uri.parse_uri("ws://example.com/")
    for number in range(2):
        protocol = impl.client.ClientProtocol(uri)
        assert base64.b64decode(protocol.key) == bytes([number]) * 16
        for _ in range(2):
            assert protocol.connect().headers["Sec-WebSocket-Key"] == protocol.key


def test_sec_33_credentials(impl: ModuleType) -> None:
    """SEC-33: in their header, and nowhere else."""
    protocol = client_with_sample_key(impl, "wss://user:secret@example.com/x")
    protocol.send_request(protocol.connect())
    start, pairs, _ = parse_head(b"".join(protocol.data_to_send()))
    assert start == "GET /x HTTP/1.1"
    assert dict(pairs)["Host"] == "example.com"
    assert dict(pairs)["Authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert "secret" not in f"{start}{pairs}{protocol.uri!r}"
    bare = client_with_sample_key(impl, "wss://example.com/x")
    assert "Authorization" not in bare.connect().headers


def test_spec_036_sec_32_nothing_splits_the_request(impl: ModuleType) -> None:
    """SPEC-036, SPEC-047, SEC-32: nothing is sent; a good request still can be."""
    for spoil in ("header", "name", "path", "method"):
        protocol = client_with_sample_key(impl)
        request = protocol.connect()
        if spoil == "header":
            request.headers.set_insecure("X", "a\r\nb: c")
        elif spoil == "name":
            request.headers.set_insecure("X: a\r\nY", "b")
        else:
            setattr(request, spoil, "/ HTTP/1.1\r\nX: y")
        with pytest.raises((ValueError, impl.exceptions.InvalidHeader)):
            protocol.send_request(request)
        assert protocol.data_to_send() == []
        protocol.send_request(protocol.connect())
        assert len(protocol.data_to_send()) == 1
    with pytest.raises(impl.exceptions.InvalidHeader):
        client_with_sample_key(impl, origin="a\r\nb: c").connect()
    with pytest.raises(ValueError, match="not a token"):
        client_with_sample_key(impl, subprotocols=["a\r\nb: c"]).connect()


# The response


def test_spec_048_opened(impl: ModuleType) -> None:
    """SPEC-048: frames may come at once; they may go once the response was checked."""
    protocol = client(impl)
    with pytest.raises(impl.exceptions.InvalidState):
        protocol.send_text(b"early")
    with pytest.raises(impl.exceptions.InvalidState):
        protocol.send_ping(b"")
    protocol.receive_data(response_bytes() + plain(FIN | TEXT, b"Hello"))
    response, frame = protocol.events_received()
    assert (response.status_code, response.body) == (101, b"")
    assert list(response.headers.raw_items()) == list(RESPONSE_HEADERS)
    assert frame.data == b"Hello"
    assert protocol.state is impl.protocol.State.OPEN
    assert protocol.handshake_exc is None
    assert (protocol.extensions, protocol.subprotocol) == ([], None)
    protocol.send_text(b"Hi")
    assert sent(protocol) == [(FIN | TEXT, b"Hi")]
    with pytest.raises(impl.exceptions.InvalidState):
        protocol.send_request(protocol.connect())


def test_spec_052_what_was_agreed(impl: ModuleType) -> None:
    """SPEC-052, SPEC-081: extensions in the order of the response."""
    deflate = impl.extensions.permessage_deflate
    offers = [deflate.ClientPerMessageDeflateFactory(), Factory(impl, "e", "p")]
    protocol = client(impl, extensions=offers, subprotocols=["x", "y"])
    answer = "e; p=1, permessage-deflate; server_no_context_takeover"
    protocol.receive_data(response_bytes((OFFERS, answer), (PROTOCOL, "y")))
    assert protocol.state.name == "OPEN"
    assert protocol.subprotocol == "y"
    one, two = protocol.extensions
    assert (one.name, one.params) == ("e", [("p", "1")])
    assert two.remote_no_context_takeover


def test_spec_050_spec_051_spec_052_responses_to_refuse(impl: ModuleType) -> None:
    """SPEC-050, SPEC-051, SPEC-052, SPEC-085, SEC-29."""
    accept = "Sec-WebSocket-Accept"
    for name, values, kind in (
        ("Upgrade", [], "InvalidUpgrade"),
        ("Upgrade", ["h2c"], "InvalidUpgrade"),
        ("Connection", ["keep-alive"], "InvalidUpgrade"),
        ("Connection", ["notupgrade"], "InvalidUpgrade"),
        (accept, [], "InvalidHeader"),
        (accept, [SAMPLE_ACCEPT, SAMPLE_ACCEPT], "InvalidHeader"),
        (accept, [SAMPLE_ACCEPT.swapcase()], "InvalidHeaderValue"),
        (PROTOCOL, ["z"], "NegotiationError"),
        (PROTOCOL, ["x, y"], "InvalidHeaderValue"),
        (PROTOCOL, [""], "InvalidHeaderFormat"),
        (OFFERS, ["z"], "NegotiationError"),
        (OFFERS, ["e; q"], "NegotiationError"),
        (OFFERS, ["e e"], "InvalidHeaderFormat"),
    ):
        protocol = client(
            impl, extensions=[Factory(impl, "e", "p")], subprotocols=["x", "y"]
        )
        pairs = [pair for pair in RESPONSE_HEADERS if pair[0] != name]
        pairs += [(name, value) for value in values]
        protocol.receive_data(response_bytes(headers=pairs) + plain(FIN | TEXT, b"x"))
        (response,) = protocol.events_received()
        assert response.status_code == 101
        assert protocol.extensions == [] or name == PROTOCOL
        assert protocol.subprotocol is None
        assert_given_up(protocol, kind)


def test_spec_053_an_extension_that_is_needed(impl: ModuleType) -> None:
    """SPEC-053, SPEC-078: a client may say so; it is for the application to decide."""
    deflate = impl.extensions.permessage_deflate
    offer = deflate.ClientPerMessageDeflateFactory()
    protocol = client(impl, extensions=[offer])
    protocol.receive_data(response_bytes())
    assert protocol.extensions == []
    protocol.send_close(1010, offer.name)
    assert sent(protocol) == [(FIN | CLOSE, close_payload(1010, offer.name.encode()))]


def test_process_response(impl: ModuleType) -> None:
    """Its steps, called by themselves."""
    protocol = client(impl, extensions=[Factory(impl, "e")], subprotocols=["x"])
    headers = impl.datastructures.Headers(
        [*RESPONSE_HEADERS, (OFFERS, "e"), (PROTOCOL, "x")]
    )
    protocol.process_response(impl.http11.Response(101, "", headers))
    assert protocol.subprotocol == "x"
    assert [extension.name for extension in protocol.extensions] == ["e"]
    assert [e.name for e in protocol.process_extensions(headers)] == ["e"]
    assert protocol.process_subprotocol(headers) == "x"
    with pytest.raises(impl.exceptions.InvalidStatus):
        protocol.process_response(impl.http11.Response(200, "", headers))


def test_overriding_process_response(impl: ModuleType) -> None:
    """What it raises, of any kind, ends the handshake."""
    error = ValueError("not good enough")

    def process_response(self: Any, response: Any) -> None:
        raise error

    methods = {"process_response": process_response}
    kind: Any = type("Own", (impl.client.ClientProtocol,), methods)
    protocol = kind(impl.uri.parse_uri("ws://example.com/"))
    protocol.key = SAMPLE_KEY
    protocol.receive_data(response_bytes())
    assert protocol.handshake_exc is error
    assert_given_up(protocol, "ValueError")


# Refusals


def test_spec_049_refused(impl: ModuleType) -> None:
    """SPEC-049: the response is an event; its status tells what to do."""
    for code, lines, body in (
        (401, ('WWW-Authenticate: Basic realm="x"', "Content-Length: 2"), b"no"),
        (302, ("Location: /x", "Content-Length: 0"), b""),
        (200, ("Transfer-Encoding: chunked",), b"2\r\nno\r\n0\r\n\r\n"),
        (204, (), b""),
        (426, ("Sec-WebSocket-Version: 13", "Content-Length: 0"), b""),
    ):
        protocol = client(impl)
        protocol.receive_data(reply(code, *lines, body=body))
        (response,) = protocol.events_received()
        assert (response.status_code, response.body) == (code, b"no" if body else b"")
        assert protocol.handshake_exc.response is response
        assert_given_up(protocol, "InvalidStatus")


def test_spec_049_body_until_the_end_of_the_stream(impl: ModuleType) -> None:
    """SPEC-049: the response is complete with the stream."""
    protocol = client(impl)
    protocol.receive_data(reply(500, body=b"sor"))
    protocol.receive_data(b"ry")
    assert protocol.events_received() == []
    assert not protocol.close_expected()
    protocol.receive_eof()
    (response,) = protocol.events_received()
    assert (response.status_code, response.body) == (500, b"sorry")
    assert type(protocol.handshake_exc).__name__ == "InvalidStatus"
    assert protocol.state.name == "CLOSED"
    assert protocol.data_to_send() == [b""]


def test_the_status_is_known_before_the_body(impl: ModuleType) -> None:
    """A caller need not wait for the end of a body, which may never come."""
    for lines, body in (
        *(((), b""), ((), b"so far"), (("Content-Length: 9",), b"so far")),
        (("Content-Length: abc",), b"so far"),
        (("Transfer-Encoding: chunked",), b"6\r\nso far"),
    ):
        protocol = client(impl)
        head = reply(103) + reply(403, *lines)
        protocol.receive_data(head[:-1])
        assert not protocol.refused
        protocol.receive_data(head[-1:])
        assert protocol.refused, lines
        protocol.receive_data(body)
        assert protocol.refused, lines
        assert protocol.events_received() == []
        assert protocol.handshake_exc is None
        protocol.receive_eof()
        assert not protocol.refused
        (response,) = protocol.events_received()
        assert (response.status_code, response.body) == (403, body[-6:])
        error: Any = protocol.handshake_exc
        assert type(error) is impl.exceptions.InvalidStatus
        assert error.response is response
        assert protocol.state.name == "CLOSED"
    for data in (b"", response_bytes()[:-1], response_bytes(), reply(103), b"x\n"):
        protocol = client(impl)
        protocol.receive_data(data)
        assert not protocol.refused


def test_a_cause_of_its_own_stays(impl: ModuleType) -> None:
    """That of an exception which a subclass raises for a response."""

    class Wrapping(impl.client.ClientProtocol):  # type: ignore[misc, name-defined]
        def process_response(self, response: Any) -> None:
            raise impl.exceptions.InvalidHandshake("refused") from KeyError("mine")

    protocol = Wrapping(impl.uri.parse_uri("ws://example.com/"))
    protocol.receive_data(reply(401, "Content-Length: abc", body=b""))
    protocol.receive_eof()
    assert isinstance(protocol.handshake_exc.__cause__, KeyError)


def test_what_is_wrong_with_a_body_does_not_hide_the_status(impl: ModuleType) -> None:
    """What came of it is there, and the cause tells the rest."""
    chunked = "Transfer-Encoding: chunked"
    limit = {"max_body": 3}
    for options, lines, body, got, cause in (
        (limit, ("Content-Length: 4",), b"abcd", b"abc", "SecurityError"),
        (limit, ("Content-Length: 4",), b"a", b"a", "SecurityError"),
        (limit, ("Content-Length: 3",), b"abcd", b"abc", "NoneType"),
        (limit, (), b"abcd", b"abc", "SecurityError"),
        (limit, (chunked,), b"2\r\nab\r\n2\r\ncd", b"abc", "SecurityError"),
        ({}, ("Content-Length: 4",), b"abc", b"abc", "InvalidMessage"),
        ({}, (chunked,), b"2\r\nab\r\nx\r\n", b"ab", "InvalidMessage"),
        ({}, (chunked,), b"2\r\nab\r\n", b"ab", "InvalidMessage"),
        ({}, (chunked, "Content-Length: 1"), b"1\r\na\r\n0", b"a", "InvalidMessage"),
        ({}, ("Content-Length: abc",), b"abc", b"abc", "InvalidHeaderValue"),
        ({}, ("Content-Length: 1, 2",), b"abc", b"abc", "InvalidHeaderValue"),
        ({}, ("Content-Length: 1",) * 2, b"abc", b"a", "NoneType"),
        ({}, ("Transfer-Encoding: br",), b"abc", b"abc", "InvalidHeaderValue"),
    ):
        for code in (401, 503):
            for size in (1, 1000):
                protocol = client(impl, **options)
                data = reply(code, *lines, body=body)
                for start in range(0, len(data), size):
                    protocol.receive_data(data[start : start + size])
                protocol.receive_eof()
                (response,) = protocol.events_received()
                assert (response.status_code, response.body) == (code, got), lines
                error = protocol.handshake_exc
                assert type(error) is impl.exceptions.InvalidStatus
                assert error.response is response
                assert type(error.__cause__).__name__ == cause, (lines, body)


def test_a_body_without_end_ends_at_its_limit(impl: ModuleType) -> None:
    """SEC-08: the handshake is over then, whatever still comes."""
    protocol = client(impl, max_body=1000)
    protocol.receive_data(reply(500))
    for _ in range(1000):
        assert protocol.handshake_exc is None
        protocol.receive_data(b"x")
    protocol.receive_data(b"x")
    assert protocol.handshake_exc.response.body == b"x" * 1000
    assert_given_up(protocol, "InvalidStatus")


def test_framing_headers_of_an_upgrade_mean_nothing(impl: ModuleType) -> None:
    """RFC 9110, section 8.6, and RFC 9112, section 6.3: nor those of a folded line."""
    for lines in (
        [("Content-Length", "5")],
        [("Content-Length", "abc")],
        [("Content-Length", "1"), ("Content-Length", "2")],
        [("Content-Length", "1, 2"), ("Transfer-Encoding", "x")],
        [("Transfer-Encoding", "chunked")],
        [("X", "a\r\n b"), ("Content-Length", "a\r\n\tb")],
    ):
        protocol = client(impl)
        protocol.receive_data(response_bytes(*lines) + plain(FIN | TEXT, b"Hello"))
        assert protocol.handshake_exc is None, lines
        assert protocol.events_received()[1].data == b"Hello"


def test_a_folded_line_counts(impl: ModuleType) -> None:
    """RFC 9112, section 5.2: its value is what the handshake is checked against."""
    for name, value in RESPONSE_HEADERS:
        others = [pair for pair in RESPONSE_HEADERS if pair[0] != name]
        for folded, opens in ((f"\r\n {value}", True), (f"{value}\r\n x", False)):
            protocol = client(impl)
            protocol.receive_data(response_bytes((name, folded), headers=others))
            assert (protocol.handshake_exc is None) is opens, (name, folded)


def test_spec_049_interim_responses(impl: ModuleType) -> None:
    """SPEC-049: they are passed over, and are no events."""
    interim = reply(100) + reply(103, "Link: </a>")
    for last, kind in (
        (response_bytes(), ""),
        (reply(404, "Content-Length: 0"), "InvalidStatus"),
    ):
        protocol = client(impl)
        protocol.receive_data(interim + last)
        assert len(protocol.events_received()) == 1
        if kind:
            assert_given_up(protocol, kind)
        else:
            assert protocol.state.name == "OPEN"
    protocol = client(impl)
    protocol.receive_data(interim * 6)
    assert_given_up(protocol, "SecurityError")


def test_what_is_no_http(impl: ModuleType) -> None:
    for data in (
        *(b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 101\n", b"\x15\x03\x03\0\x02\r\n"),
        *(b"HTTP/2.0 101 x\r\n", b"HTTP/1.0 101 x\r\n", reply(101, "X : y")),
    ):
        protocol = client(impl)
        protocol.receive_data(data)
        assert protocol.events_received() == []
        assert_given_up(protocol, "InvalidMessage")


# The rest


def test_state_open_from_the_start(impl: ModuleType) -> None:
    """Where the handshake was done elsewhere."""
    uri = impl.uri.parse_uri("ws://example.com/")
    protocol = impl.client.ClientProtocol(uri, state=impl.protocol.State.OPEN)
    protocol.receive_data(plain(FIN | TEXT, b"Hello"))
    assert events(protocol) == [(TEXT, b"Hello", True)]
    with pytest.raises(impl.exceptions.InvalidState):
        protocol.send_request(protocol.connect())


def test_attributes(impl: ModuleType) -> None:
    factory = Factory(impl, "x")
    uri = impl.uri.parse_uri("ws://example.com/")
    protocol = impl.client.ClientProtocol(
        uri, origin="a", extensions=[factory], subprotocols=["b"]
    )
    assert protocol.uri is uri
    assert protocol.origin == "a"
    assert protocol.available_extensions == [factory]
    assert protocol.available_subprotocols == ["b"]
    assert protocol.side is impl.protocol.CLIENT
    assert protocol.logger is logging.getLogger("sansocket.client")
