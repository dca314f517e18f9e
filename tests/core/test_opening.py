"""The opening handshake as a whole, bytes in and bytes out: server and client."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from .support import (
    FIN,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    SAMPLE_ACCEPT,
    SAMPLE_KEY,
    TEXT,
    client_with_sample_key,
    cuts,
    events,
    make_request,
    masked,
    parse_head,
    plain,
    request_bytes,
    response_bytes,
)
from .table import each

Pair = tuple[str, str]


def without(pairs: tuple[Pair, ...], *names: str) -> list[Pair]:
    return [pair for pair in pairs if pair[0] not in names]


def replaced(name: str, *values: str) -> bytes:
    """The request, with other values of one header."""
    pairs = [*without(REQUEST_HEADERS, name), *((name, value) for value in values)]
    return request_bytes(headers=pairs)


def serve(impl: Any, data: bytes, **options: Any) -> tuple[Any, list[str], bytes]:
    """Answer a request; give the protocol, status and headers, and what follows."""
    protocol = impl.server.ServerProtocol(**options)
    protocol.receive_data(data)
    got = protocol.events_received()
    if got:
        protocol.send_response(protocol.accept(got[0]))
    chunks = protocol.data_to_send()
    start, headers, rest = parse_head(b"".join(chunks))
    status = start.split(" ", 2)[1]
    opened = protocol.state.name == "OPEN"
    assert opened == (status == "101")
    assert (chunks[-1] == b"") == (not opened)
    assert (protocol.handshake_exc is None) == opened
    return protocol, [status, *(f"{name}: {value}" for name, value in headers)], rest


def status_of(impl: Any, data: bytes, **options: Any) -> str:
    return serve(impl, data, **options)[1][0]


# Server


def test_spec_030_spec_031_spec_034_the_answer(impl: Any) -> None:
    """SPEC-030, SPEC-031, SPEC-032, SPEC-033, SPEC-034: no more than what is agreed."""
    _, (status, date, *headers), rest = serve(impl, request_bytes())
    assert status == "101"
    assert date.startswith("Date: ")
    assert headers == [f"{name}: {value}" for name, value in RESPONSE_HEADERS]
    assert rest == b""


def test_spec_007_key(impl: Any) -> None:
    """SPEC-007, SPEC-028, choice j: Base64 of 16 bytes, exactly once."""
    for key in (SAMPLE_KEY, "AQIDBAUGBwgJCgsMDQ4PEC==", f" {SAMPLE_KEY}\t"):
        assert status_of(impl, replaced("Sec-WebSocket-Key", key)) == "101"
    refused = ["", "short", SAMPLE_KEY[:-4], SAMPLE_KEY + "AAAA", "é" * 24, "!" * 24]
    refused += ["!" * 22 + "==", "A" * 21 + "===", base64.b64encode(bytes(17)).decode()]
    for key in refused:
        assert status_of(impl, replaced("Sec-WebSocket-Key", key)) == "400", key
    assert status_of(impl, replaced("Sec-WebSocket-Key")) == "400"
    twice = replaced("Sec-WebSocket-Key", SAMPLE_KEY, SAMPLE_KEY)
    assert status_of(impl, twice) == "400"


def test_spec_008_spec_009_version(impl: Any) -> None:
    """SPEC-008, SPEC-009, choice m: another version hears which one is spoken."""
    for values in (["12"], ["14"], ["013"], ["x"], ["13", "13"], ["13, 8"], []):
        _, head, _ = serve(impl, replaced("Sec-WebSocket-Version", *values))
        assert head[0] == "400", values
        assert "Sec-WebSocket-Version: 13" in head, values


def test_sec_29_members_are_matched_as_a_whole(impl: Any) -> None:
    """SPEC-005, SPEC-006, SEC-29: in any case, among others, over several lines."""
    for value in ("UPGRADE", "keep-alive,Upgrade", " , upgrade ,", "a, b, Upgrade"):
        assert status_of(impl, replaced("Connection", value)) == "101", value
    assert status_of(impl, replaced("Connection", "keep-alive", "Upgrade")) == "101"
    for value in ("notupgrade", "keep-alive", "", "upgrade-x", "Upgrade;q=1"):
        assert status_of(impl, replaced("Connection", value)) in ("426", "400"), value
    for value in ("WebSocket", "h2c, websocket", "WEBSOCKET"):
        assert status_of(impl, replaced("Upgrade", value)) == "101", value
    for value in ("websockets", "h2c", "xwebsocket"):
        _, head, _ = serve(impl, replaced("Upgrade", value))
        assert head[0] == "426", value
        assert "Upgrade: websocket" in head  # SPEC-035
        assert "Connection: Upgrade, close" in head
    assert status_of(impl, replaced("Upgrade")) == "426"
    for values in ([], ["a", "a"], [""], ["a b"], ["a:b:c"], ["a/b"]):
        assert status_of(impl, replaced("Host", *values)) == "400", values


def test_methods_and_protocols(impl: Any) -> None:
    """SPEC-001, SPEC-002: 405 with Allow, 426, 505."""
    data = request_bytes()
    _, head, _ = serve(impl, data.replace(b"GET", b"POST", 1))
    assert head[0] == "405"
    assert "Allow: GET" in head
    _, head, _ = serve(impl, data.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    assert head[0] == "426"
    assert {"Upgrade: websocket", "Connection: Upgrade, close"} < {*head}
    assert status_of(impl, data.replace(b"HTTP/1.1", b"HTTP/2.0", 1)) == "505"
    assert status_of(impl, data.replace(b"HTTP/1.1", b"HTTP/1.2", 1)) == "101"
    assert status_of(impl, data.replace(b"GET", b"get", 1)) == "405"


def test_no_body_answers_head(impl: Any) -> None:
    """RFC 9110, section 9.3.2: not ours, nor the application's; lengths stay."""
    text = "Content-Length: 5"
    for data, status, answer in (
        (request_bytes(), "405", None),
        (request_bytes().replace(b"HTTP/1.1", b"HTTP/1.0", 1), "405", None),
        (request_bytes(("X : y", "z")), "400", None),
        (request_bytes(("X", "y" * 9000)), "431", None),
        (b"\r\nGET /" + b"a" * 9000, "414", None),
        (b"GET / a HTTP/1.1\r\n", "400", None),
        (request_bytes(), "200", (200, "hello")),
        (request_bytes(), "404", (404, "hello")),
    ):
        for method, body in ((b"HEAD", False), (b"POST", True), (b"GET", True)):
            protocol = impl.server.ServerProtocol()
            protocol.receive_data(data.replace(b"GET", method, 1))
            for request in protocol.events_received():
                if answer is None:
                    response = protocol.accept(request)
                else:
                    headers = impl.datastructures.Headers({"Content-Length": "5"})
                    parts = answer[0], "x", headers, answer[1].encode()
                    response = impl.http11.Response(*parts)
                protocol.send_response(response)
            head, _, rest = b"".join(protocol.data_to_send()).partition(b"\r\n\r\n")
            if status == "405" and method == b"GET":
                continue
            assert head[9:12].decode() == status, (method, data[:40])
            assert (rest != b"") is body, (method, data[:40])
            assert b"Content-Length: " in head
            assert answer is None or text in head.decode()


def test_no_body_where_a_status_forbids_it(impl: Any) -> None:
    """RFC 9110, sections 8.6 and 15: ours and the application's."""
    for status, length in ((204, None), (304, None), (205, "0"), (200, "5")):
        protocol = impl.server.ServerProtocol()
        protocol.receive_data(request_bytes())
        response = protocol.reject(status, "hello")
        assert response.body == (b"hello" if status == 200 else b"")
        assert response.headers.get("Content-Length") == length
        assert ("Content-Type" in response.headers) is (status == 200)
        headers = impl.datastructures.Headers({"Content-Length": "5", "A": "b"})
        own = impl.http11.Response(status, "x", headers, b"hello")
        for answer in (response, own):
            protocol = impl.server.ServerProtocol()
            protocol.receive_data(request_bytes())
            protocol.send_response(answer)
            head, _, body = protocol.data_to_send()[0].partition(b"\r\n\r\n")
            assert body == (b"hello" if status == 200 else b"")
            if status == 204:
                assert b"Content-Length" not in head
            elif status == 205:
                assert b"Content-Length: 0" in head
                assert b"Content-Length: 5" not in head


def test_a_request_of_another_parser_asks_for_head(impl: Any) -> None:
    protocol = impl.server.ServerProtocol()
    headers = impl.datastructures.Headers(Host="a")
    request = impl.http11.Request("/", headers, "HEAD")
    response = protocol.accept(request)
    assert (response.status_code, response.body) == (405, b"")
    protocol.send_response(protocol.reject(403, "no"))
    assert protocol.data_to_send()[0].endswith(b"\r\n\r\n")


def test_spec_026_sec_26_a_body_is_refused(impl: Any) -> None:
    """SPEC-026, SPEC-027, SEC-26: so no 100 is ever needed."""
    for extra in (
        ("Content-Length", "5"),
        ("Content-Length", "00"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "+0"),
    ):
        assert status_of(impl, request_bytes(extra)) == "400", extra
    assert status_of(impl, request_bytes(("Content-Length", "0"))) == "101"
    expecting = request_bytes(("Expect", "100-continue"))
    assert status_of(impl, expecting) == "101"


def test_hosts(impl: Any) -> None:
    for hosts, status in (
        (["EXAMPLE.com"], "101"),
        (["example.com:80"], "400"),
        (["other.example"], "400"),
        ([], "400"),
    ):
        assert status_of(impl, request_bytes(), hosts=hosts) == status
    with_port = replaced("Host", "example.com:8080")
    assert status_of(impl, with_port, hosts=["example.com"]) == "101"
    assert status_of(impl, with_port, hosts=["example.com:8080"]) == "101"
    assert status_of(impl, replaced("Host", "[::1]"), hosts=["[::1]"]) == "101"


ORIGIN = "https://example.com"


@each(
    ("origins", "sent", "accepted"),
    [
        (None, ["null"], True),
        ([ORIGIN], [ORIGIN], True),
        ([ORIGIN], ["HTTPS://EXAMPLE.COM"], True),
        ([ORIGIN], [], False),
        ([None], [], True),
        ([ORIGIN, None], [], True),
        ([ORIGIN], ["null"], False),
        (["null"], ["null"], True),
        ([ORIGIN], ["https://example.com.evil"], False),
        ([ORIGIN], ["https://sub.example.com"], False),
        ([ORIGIN], ["https://example.com:444"], False),
        ([ORIGIN], ["http://example.com"], False),
        ([re.compile(r"https://\w+\.example\.com")], ["https://a.example.com"], True),
        ([re.compile(r"https://\w+\.example\.com")], ["https://a.example.comx"], False),
        ([re.compile("x"), "https://exämple"], ["https://exämple"], True),
        ([None], [ORIGIN], False),
    ],
)
def test_sec_31_origin(
    impl: Any, origins: Any, sent: list[str], accepted: bool
) -> None:
    """SPEC-012, SPEC-013, SEC-31: exact, null only where it is listed."""
    data = replaced("Origin", *sent)
    protocol, head, _ = serve(impl, data, origins=origins)
    assert head[0] == ("101" if accepted else "403")
    assert protocol.origin == (sent[0] if accepted and sent else None)


def test_sec_31_several_origins(impl: Any) -> None:
    """SPEC-028, SEC-31"""
    assert status_of(impl, replaced("Origin", ORIGIN, ORIGIN)) == "400"


def test_spec_032_subprotocols(impl: Any) -> None:
    """SPEC-032, SPEC-010, choice k: one of the client's, by the server's preference."""
    data = request_bytes(
        ("Sec-WebSocket-Protocol", "chat, superchat"), ("Sec-WebSocket-Protocol", "x")
    )
    protocol, head, _ = serve(impl, data, subprotocols=["x", "chat"])
    assert head[-1] == "Sec-WebSocket-Protocol: x"
    assert protocol.subprotocol == "x"
    assert not any("Protocol" in line for line in serve(impl, data)[1])
    assert status_of(impl, data, subprotocols=["other"]) == "400"
    assert status_of(impl, request_bytes(), subprotocols=["other"]) == "400"
    for value in ("", "a,a", "a b", "a;b"):
        bad = request_bytes(("Sec-WebSocket-Protocol", value))
        assert status_of(impl, bad) == "400", value

    def second(protocol: Any, offered: Any) -> Any:
        return offered[1]

    protocol, head, _ = serve(impl, data, select_subprotocol=second)
    assert head[-1] == "Sec-WebSocket-Protocol: superchat"


@pytest.mark.parametrize("name", ["unasked", "a\r\nb: c", 5])
def test_sec_32_a_faulty_callback(impl: Any, name: Any, caplog: Any) -> None:
    """SEC-32: nothing of it travels; it is our fault, so the client hears 500."""
    data = request_bytes(("Sec-WebSocket-Protocol", "chat"))
    _, head, body = serve(impl, data, select_subprotocol=lambda protocol, _: name)
    assert head[0] == "500"
    assert b"unasked" not in body
    assert "opening handshake failed" in caplog.text


class Faulty:
    """An extension factory that answers with what cannot travel, or raises."""

    name = "x"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def process_request_params(self, params: Any, accepted: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer, Extension(self.name)


class Extension:
    def __init__(self, name: str, rsv1: bool = False) -> None:
        self.name = name
        self.rsv1 = rsv1


def test_sec_32_a_faulty_extension(impl: Any) -> None:
    """SEC-32, SPEC-036"""
    data = request_bytes(("Sec-WebSocket-Extensions", "x"))
    for answer in ([("a", "b\r\nc")], ValueError("bug")):
        assert status_of(impl, data, extensions=[Faulty(answer)]) == "500"
    declined = Faulty(impl.exceptions.NegotiationError("no"))
    _, head, _ = serve(impl, data, extensions=[declined, Faulty([("b", None)])])
    assert head[-1] == "Sec-WebSocket-Extensions: x; b"


class Rsv1(Faulty):
    def __init__(self, name: str) -> None:
        super().__init__([])
        self.name = name

    def process_request_params(self, params: Any, accepted: Any) -> Any:
        return [], Extension(self.name, rsv1=True)

    def process_response_params(self, params: Any, accepted: Any) -> Any:
        return Extension(self.name, rsv1=True)


def test_spec_082_spec_083_order_and_reserved_bits(impl: Any) -> None:
    """SPEC-033, SPEC-082, SPEC-083: the client's order; RSV1 for one only."""
    data = request_bytes(("Sec-WebSocket-Extensions", "unknown, b, a"))
    protocol, head, _ = serve(impl, data, extensions=[Rsv1("a"), Rsv1("b")])
    assert head[-1] == "Sec-WebSocket-Extensions: b"
    assert [extension.name for extension in protocol.extensions] == ["b"]
    bad = request_bytes(("Sec-WebSocket-Extensions", "a b"))
    assert status_of(impl, bad) == "400"
    assert not any("Extensions" in line for line in serve(impl, data)[1])


def test_spec_029_any_split(impl: Any) -> None:
    """SPEC-029, SPEC-040: frames behind the request wait for the decision."""
    data = request_bytes() + masked(FIN | TEXT, b"early")
    for chunks in cuts(data):
        protocol = impl.server.ServerProtocol()
        for chunk in chunks:
            protocol.receive_data(chunk)
        (request,) = protocol.events_received()
        protocol.send_response(protocol.accept(request))
        assert events(protocol) == [(TEXT, b"early", True)]


def test_sec_28_nothing_is_read_behind_a_refusal(impl: Any) -> None:
    """SEC-28, SPEC-015, SPEC-038: a second request gets no answer."""
    protocol = impl.server.ServerProtocol()
    bad = replaced("Upgrade", "h2c")
    protocol.receive_data(bad + request_bytes())
    (request,) = protocol.events_received()
    protocol.send_response(protocol.accept(request))
    protocol.data_to_send()
    protocol.receive_data(request_bytes())
    assert protocol.events_received() == []
    assert protocol.data_to_send() == []
    with pytest.raises(impl.exceptions.InvalidState):
        protocol.send_response(protocol.reject(404, "again"))


def test_sec_25_any_byte_in_any_header(impl: Any) -> None:
    """SEC-25: an answer, never an exception."""
    names = [name for name, _ in REQUEST_HEADERS]
    names += ["Origin", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"]
    for name in names:
        for octet in (0, 9, 10, 13, 31, 34, 44, 59, 92, 127, 128, 233, 255):
            data = replaced(name, "a").replace(
                f"{name}: a".encode(), name.encode() + b": a" + bytes([octet]) + b"b"
            )
            assert status_of(impl, data) in ("101", "400", "403", "426"), (name, octet)


def test_request_of_another_parser(impl: Any) -> None:
    protocol = impl.server.ServerProtocol()
    response = protocol.accept(make_request(impl))
    assert response.status_code == 101
    protocol.send_response(response)
    protocol.receive_data(masked(FIN | TEXT, b"Hello"))
    assert events(protocol) == [(TEXT, b"Hello", True)]


def test_values_that_another_parser_left_padded(impl: Any) -> None:
    """SPEC-021: whitespace around a value is not part of it."""
    padded = [(name, f" {value}\t") for name, value in REQUEST_HEADERS]
    headers = impl.datastructures.Headers(padded)
    protocol = impl.server.ServerProtocol()
    response = protocol.accept(impl.http11.Request("/", headers))
    assert response.status_code == 101
    assert response.headers["Sec-WebSocket-Accept"] == SAMPLE_ACCEPT


def test_refused_in_debug(impl: Any, caplog: Any) -> None:
    caplog.set_level("DEBUG", "sansocket.server")
    caplog.set_level("DEBUG", "sansocket.client")
    assert status_of(impl, replaced("Upgrade")) == "426"
    assert "! handshake refused: " in caplog.text
    client = client_with_sample_key(impl)
    client.send_request(client.connect())
    client.receive_data(response_bytes(status="404 Not Found"))
    client.receive_eof()
    assert "! handshake failed: " in caplog.text


# Client


def answered(impl: Any, data: bytes, **options: Any) -> Any:
    client = client_with_sample_key(impl, **options)
    client.send_request(client.connect())
    client.receive_data(data)
    return client


def test_spec_045_spec_046_request(impl: Any) -> None:
    """SPEC-045, SPEC-046, SPEC-047"""
    uri = impl.uri.parse_uri("ws://user:pass@example.com:8080/a?b")
    factory = impl.extensions.permessage_deflate.ClientPerMessageDeflateFactory()
    keys = set()
    for _ in range(3):
        client = impl.client.ClientProtocol(
            uri, origin=ORIGIN, subprotocols=["a", "b"], extensions=[factory]
        )
        client.send_request(client.connect())
        start, pairs, _ = parse_head(b"".join(client.data_to_send()))
        headers = dict(pairs)
        assert start == "GET /a?b HTTP/1.1"
        assert headers["Host"] == "example.com:8080"
        assert headers["Authorization"].startswith("Basic ")
        assert headers["Origin"] == ORIGIN
        assert headers["Sec-WebSocket-Protocol"] == "a, b"
        assert headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate")
        assert headers["Sec-WebSocket-Version"] == "13"
        keys.add(base64.b64decode(headers["Sec-WebSocket-Key"]))
    assert {len(key) for key in keys} == {16}
    assert len(keys) == 3
    with pytest.raises(ValueError, match="token"):
        impl.client.ClientProtocol(uri, subprotocols=["a b"]).connect()


def test_spec_048_opened(impl: Any) -> None:
    """SPEC-048, SPEC-051: data only once the response was checked."""
    client = client_with_sample_key(impl)
    with pytest.raises(impl.exceptions.InvalidState):
        client.send_text(b"early")
    client.send_request(client.connect())
    client.receive_data(response_bytes() + plain(FIN | TEXT, b"Hello"))
    response, frame = client.events_received()
    assert response.headers["Sec-WebSocket-Accept"] == SAMPLE_ACCEPT
    assert frame.data == b"Hello"
    assert client.state.name == "OPEN"
    with pytest.raises(impl.exceptions.InvalidState):
        client.send_request(client.connect())


PROTOCOL, EXTENSIONS = "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"


@each(
    ("drop", "add", "error"),
    [
        ("Upgrade", [], "InvalidUpgrade"),
        ("Upgrade", ["h2c"], "InvalidUpgrade"),
        ("Upgrade", ["websocket, x"], "InvalidUpgrade"),
        ("Connection", [], "InvalidUpgrade"),
        ("Connection", ["close"], "InvalidUpgrade"),
        ("Sec-WebSocket-Accept", [], "InvalidHeader"),
        ("Sec-WebSocket-Accept", [SAMPLE_ACCEPT[:-2] + "X="], "InvalidHeaderValue"),
        ("Sec-WebSocket-Accept", [SAMPLE_ACCEPT.lower()], "InvalidHeaderValue"),
        ("Sec-WebSocket-Accept", [SAMPLE_ACCEPT] * 2, "InvalidHeader"),
        (PROTOCOL, ["other"], "NegotiationError"),
        (PROTOCOL, ["a", "b"], "InvalidHeaderValue"),
        (PROTOCOL, [""], "InvalidHeaderFormat"),
        (EXTENSIONS, ["other"], "NegotiationError"),
        (EXTENSIONS, ["permessage-deflate; x"], "InvalidParameterName"),
        (EXTENSIONS, ["permessage-deflate, permessage-deflate"], "NegotiationError"),
        (EXTENSIONS, ["y, z"], "NegotiationError"),
        (EXTENSIONS, ["a b"], "InvalidHeaderFormat"),
    ],
)
def test_spec_050_spec_051_spec_052_refused(
    impl: Any, drop: str, add: list[str], error: str
) -> None:
    """SPEC-050, SPEC-051, SPEC-052, SPEC-083"""
    pairs = [*without(RESPONSE_HEADERS, drop), *((drop, value) for value in add)]
    deflate = impl.extensions.permessage_deflate.ClientPerMessageDeflateFactory()
    client = client_with_sample_key(impl, subprotocols=["a", "b"])
    client.available_extensions = [deflate, Rsv1("y"), Rsv1("z")]
    client.receive_data(response_bytes(headers=pairs))
    assert type(client.handshake_exc).__name__ == error
    assert client.state.name == "CONNECTING"
    assert client.data_to_send() == [b""]


def test_spec_052_agreed(impl: Any) -> None:
    deflate = impl.extensions.permessage_deflate.ClientPerMessageDeflateFactory()
    data = response_bytes((EXTENSIONS, "permessage-deflate"), (PROTOCOL, "b"))
    client = answered(impl, data, subprotocols=["a", "b"], extensions=[deflate])
    assert client.handshake_exc is None
    assert client.subprotocol == "b"
    assert len(client.extensions) == 1


def test_spec_049_other_statuses(impl: Any) -> None:
    """SPEC-049: interim responses are passed over, all others are an answer."""
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert answered(impl, interim + response_bytes()).state.name == "OPEN"
    refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
    client = answered(impl, refusal)
    (response,) = client.events_received()
    assert (response.status_code, bytes(response.body)) == (401, b"no")
    assert type(client.handshake_exc).__name__ == "InvalidStatus"
    # A body without a length lasts until the end of the stream.
    client = answered(impl, b"HTTP/1.1 500 Oh\r\n\r\nbo")
    client.receive_data(b"dy")
    client.receive_eof()
    assert bytes(client.events_received()[0].body) == b"body"
    # What is no HTTP, and a stream that ends too early.
    client = answered(impl, b"SSH-2.0-x\r\n")
    assert type(client.handshake_exc).__name__ == "InvalidMessage"
    client = answered(impl, b"HTTP/1.1 101")
    client.receive_eof()
    assert type(client.handshake_exc).__name__ == "InvalidMessage"
    assert type(client.handshake_exc.__cause__).__name__ == "EOFError"


def test_lazy_names(impl: Any) -> None:
    """The package offers its names without loading what it does not need."""
    assert impl.ServerProtocol is impl.server.ServerProtocol
    assert impl.headers.parse_upgrade("websocket") == ["websocket"]
    assert "ServerProtocol" in dir(impl)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        impl.nothing  # noqa: B018 - reading it is the test
