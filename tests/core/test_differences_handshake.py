"""docs/differences.md is true: the opening handshake of a server, and of a client."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from .reference import answer, needs_release, theirs
from .support import (
    FIN,
    PING,
    REQUEST_HEADERS,
    SAMPLE_KEY,
    TEXT,
    client_with_sample_key,
    make_request,
    masked,
    parse_head,
    plain,
    request_bytes,
    response_bytes,
)
from .table import each

pytestmark = needs_release

PLAIN = request_bytes()
LONG = "a" * 8192


def start(line: str) -> bytes:
    """A request with this line."""
    return PLAIN.replace(b"GET /chat HTTP/1.1", line.encode("latin-1"))


def lines(name: str, *values: str) -> bytes:
    """A request in which this header has these values, each on a line."""
    others = [pair for pair in REQUEST_HEADERS if pair[0] != name]
    return request_bytes(*((name, value) for value in values), headers=others)


class Case(NamedTuple):
    """What comes in, any of ``requests``, and the status that both answer."""

    requests: tuple[bytes, ...]
    theirs: str
    ours: str
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    extension: bool = False


REQUESTS = {
    "D-40": Case(
        (
            lines("Host"),
            lines("Host", "a.example", "a.example"),
            lines("Host", "a b"),
            lines("Host", ""),
        ),
        "101",
        "400",
    ),
    "D-41": Case(
        (request_bytes(headers=[]), lines("Host", "").replace(b"Connection", b"X")),
        "426",
        "400",
    ),
    "D-42": Case(
        (
            b"\x16\x03\x01\x02\x00\r\n\r\n",
            start("GET /a b HTTP/1.1"),
            start("GET / http/1.1"),
            start("GET /\xe9 HTTP/1.1"),
            PLAIN.replace(b"\r\n", b"\n"),
            PLAIN.replace(b"Host:", b"Host :"),
            lines("X", "a\r\n b"),
            lines("X", "a\0b"),
            lines("Content-Length", "+0"),
        ),
        "only half-closes",
        "400",
    ),
    "D-43": Case((start("GET / HTTP/1.2"),), "only half-closes", "101"),
    "D-44": Case(
        (start("GET / HTTP/2.0"), start("GET / HTTP/0.9")), "only half-closes", "505"
    ),
    "D-85": Case((start("GET / HTTP/1.0"),), "505", "426"),
    "D-45": Case((start("G\x01T / HTTP/1.1"), start("G[T / HTTP/1.1")), "405", "400"),
    "D-46": Case(
        (
            start("GET chat HTTP/1.1"),
            start("GET * HTTP/1.1"),
            start("GET /#a HTTP/1.1"),
            start("GET /\x01 HTTP/1.1"),
            start("GET  HTTP/1.1"),
        ),
        "101",
        "400",
    ),
    "D-47": Case((b"\r\n" + PLAIN,), "only half-closes", "101"),
    "D-48": Case(
        (
            lines("Content-Length", "5") + b"hello",
            lines("Content-Length", "00"),
            lines("Transfer-Encoding", "chunked"),
        ),
        "only half-closes",
        "400",
    ),
    "D-49": Case(
        (lines("Content-Length", "5").replace(b"GET", b"POST"),),
        "only half-closes",
        "405",
    ),
    "D-50": Case((lines("Content-Length", "0", "0"),), "101", "400"),
    "D-51": Case(
        (lines("Upgrade", "websocket, h2c"), lines("Upgrade", "h2c", "websocket")),
        "426",
        "101",
    ),
    "D-52": Case((lines("Upgrade", ""), lines("Connection", "")), "400", "426"),
    "D-53": Case((lines("Connection", "", "Upgrade"),), "400", "101"),
    "D-54": Case(
        (lines("Origin", "HTTP://A.example"), lines("Origin", "http://B.example")),
        "403",
        "101",
        {"origins": ["http://a.example", re.compile(r"http://[b-z]\.example")]},
    ),
    "D-55": Case((lines("Sec-WebSocket-Extensions", "a;;b"),), "101", "400"),
    "D-56": Case(
        (
            lines("Sec-WebSocket-Extensions", ",".join(["x"] * 129)),
            lines("Connection", "Upgrade" + 128 * ",a"),
        ),
        "101",
        "400",
        extension=True,
    ),
    "D-57": Case(
        (
            lines("Sec-WebSocket-Protocol", "a, a"),
            lines("Sec-WebSocket-Protocol", "a", "a"),
        ),
        "101",
        "400",
        {"subprotocols": ["a"]},
    ),
    "D-58": Case(
        (PLAIN,), "101", "500", {"select_subprotocol": lambda protocol, offered: "a"}
    ),
    "D-59": Case((start(f"GET /{LONG[14:]} HTTP/1.1"),), "414", "101"),
    "D-60": Case((lines("X", LONG[3:]),), "431", "101"),
    "D-61": Case((lines("X", *[LONG[100:]] * 9),), "101", "431"),
}


def served(package: Any, data: bytes, **options: Any) -> Any:
    """A server that got this and, if it is a request, accepted it."""
    protocol = package.server.ServerProtocol(**options)
    protocol.receive_data(data)
    for event in protocol.events_received()[:1]:
        protocol.send_response(protocol.accept(event))
    return protocol


@each("ident", REQUESTS)
def test_requests(impl: Any, ident: str) -> None:
    """SPEC-003, SPEC-004, SPEC-005, SPEC-012, SPEC-015, SPEC-018, SPEC-026."""
    case = REQUESTS[ident]
    for data in case.requests:
        for package, expected in ((theirs, case.theirs), (impl, case.ours)):
            options = dict(case.options)
            if case.extension:
                module = package.extensions.permessage_deflate
                options["extensions"] = [module.ServerPerMessageDeflateFactory()]
            protocol = served(package, data, **options)
            assert answer(protocol) == expected, (package, data[:80])
            opened = expected == "101"
            assert protocol.state.name == ("OPEN" if opened else "CONNECTING")
            assert protocol.eof_sent != opened


def test_lines_over_the_limit(impl: Any) -> None:
    """SPEC-023: one byte more than in D-59 and D-60 is too much for both."""
    for package in (theirs, impl):
        request_line = start(f"GET /{LONG[13:]} HTTP/1.1")
        assert answer(served(package, request_line)) == "414"
        assert answer(served(package, lines("X", LONG[2:]))) == "431"


def head_of(protocol: Any) -> tuple[str, dict[str, str], bytes]:
    line, pairs, body = parse_head(b"".join(protocol.data_to_send()))
    return line, dict(pairs), body


def test_d_62_control_characters_in_a_body(impl: Any) -> None:
    """SEC-40."""
    for package, shown in ((theirs, b"\x1b["), (impl, b"\\x1b[")):
        protocol = package.server.ServerProtocol()
        request = make_request(package)
        request.method = "\x1b[31m"
        protocol.send_response(protocol.accept(request))
        line, _, body = head_of(protocol)
        assert line == "HTTP/1.1 405 Method Not Allowed"
        assert shown in body


def test_d_63_absolute_target(impl: Any) -> None:
    """SPEC-003."""
    data = start("GET http://other.example/chat?a HTTP/1.1")
    for package, path, host in (
        (theirs, "http://other.example/chat?a", "example.com"),
        (impl, "/chat?a", "other.example"),
    ):
        protocol = package.server.ServerProtocol()
        protocol.receive_data(data)
        (request,) = protocol.events_received()
        assert (request.path, request.headers["Host"]) == (path, host)


def test_d_64_other_version(impl: Any) -> None:
    """SPEC-009."""
    for package in (theirs, impl):
        protocol = served(package, lines("Sec-WebSocket-Version", "8"))
        line, headers, _ = head_of(protocol)
        assert line == "HTTP/1.1 400 Bad Request"
        version = headers.get("Sec-WebSocket-Version")
        assert version == ("13" if package is impl else None)


def test_d_65_connection_of_426(impl: Any) -> None:
    """SPEC-035."""
    for package, connection in ((theirs, "close"), (impl, "Upgrade, close")):
        line, headers, _ = head_of(served(package, lines("Upgrade")))
        assert line == "HTTP/1.1 426 Upgrade Required"
        assert headers["Upgrade"] == "websocket"
        assert headers["Connection"] == connection


def test_d_66_callable_that_selects(impl: Any) -> None:
    class Choice:
        def __call__(self, protocol: Any, offered: list[str]) -> str:
            return "b"

    chosen: Any = Choice()
    with pytest.raises(AttributeError):
        theirs.server.ServerProtocol(select_subprotocol=chosen)
    data = lines("Sec-WebSocket-Protocol", "a, b")
    protocol = served(impl, data, select_subprotocol=chosen)
    assert protocol.subprotocol == "b"


def test_d_67_frames_behind_the_request(impl: Any) -> None:
    """SPEC-029: not interpreted before the handshake is decided."""
    for package in (theirs, impl):
        protocol = package.server.ServerProtocol()
        protocol.receive_data(PLAIN + masked(FIN | PING, b"early"))
        request, *frames = protocol.events_received()
        protocol.send_response(protocol.accept(request))
        later = protocol.events_received()
        pong, response = plain(0x8A, b"early"), b"HTTP"
        starts = [chunk[:4] for chunk in protocol.data_to_send()]
        if package is theirs:
            assert (len(frames), len(later)) == (1, 0)
            assert starts == [pong[:4], response]
        else:
            assert (len(frames), len(later)) == (0, 1)
            assert starts == [response, pong[:4]]
        protocol = package.server.ServerProtocol()
        protocol.receive_data(PLAIN + b"\r\n")
        assert protocol.eof_sent == (package is theirs)


def test_d_68_second_response(impl: Any) -> None:
    for package in (theirs, impl):
        protocol = package.server.ServerProtocol()
        protocol.send_response(protocol.reject(404, ""))
        assert len(protocol.data_to_send()) == 2
        with pytest.raises(AssertionError) as caught:
            protocol.send_response(protocol.reject(404, ""))
        named = isinstance(caught.value, package.exceptions.InvalidState)
        assert named == (package is impl)
        assert len(protocol.data_to_send()) == (1 if package is theirs else 0)


def test_d_69_response_splitting(impl: Any) -> None:
    """SPEC-036, SEC-32."""
    for package in (theirs, impl):
        headers = package.datastructures.Headers()
        split = package.http11.Response(404, "a\r\nX: y", headers)
        hidden = package.http11.Response(404, "", headers.copy())
        hidden.headers.set_insecure("A", "a\r\nX: y")
        for response in (split, hidden):
            protocol = package.server.ServerProtocol()
            if package is theirs:
                protocol.send_response(response)
                assert b"\r\nX: y\r\n" in protocol.data_to_send()[0]
            else:
                errors = (ValueError, package.exceptions.InvalidHeader)
                with pytest.raises(errors):
                    protocol.send_response(response)
                assert protocol.data_to_send() == []


def test_d_70_name_of_a_header(impl: Any) -> None:
    """SPEC-036."""
    assert theirs.datastructures.Headers({"a b": "c"}).serialize() == b"a b: c\r\n\r\n"
    with pytest.raises(impl.exceptions.InvalidHeader):
        impl.datastructures.Headers({"a b": "c"})


def test_d_71_why_the_handshake_failed(impl: Any) -> None:
    for package, kind, cause in (
        (theirs, "InvalidMessage", ValueError),
        (impl, "InvalidHeaderValue", type(None)),
    ):
        protocol = served(package, lines("Content-Length", "x"))
        assert type(protocol.handshake_exc).__name__ == kind
        assert isinstance(protocol.handshake_exc.__cause__, cause)


def test_d_72_end_before_the_response(impl: Any) -> None:
    for package in (theirs, impl):
        protocol = package.server.ServerProtocol()
        protocol.receive_data(PLAIN)
        protocol.receive_eof()
        errors = [protocol.parser_exc, protocol.handshake_exc]
        if package is impl:
            errors.reverse()
        assert isinstance(errors[0], EOFError)
        assert errors[1] is None


# The client


def received(package: Any, data: bytes, **options: Any) -> Any:
    """A client that got this and then the end of the stream."""
    protocol = client_with_sample_key(package, **options)
    protocol.receive_data(data)
    protocol.receive_eof()
    return protocol


def test_d_73_interim_responses(impl: Any) -> None:
    """SPEC-049."""
    data = b"HTTP/1.1 103 Early Hints\r\n\r\n" + response_bytes() + plain(FIN | TEXT)
    assert received(theirs, data).handshake_exc.response.status_code == 103
    protocol = received(impl, data)
    assert protocol.handshake_exc is None
    assert len(protocol.events_received()) == 2


def test_d_74_refusal_of_an_old_server(impl: Any) -> None:
    data = b"HTTP/1.0 404 Not Found\r\n\r\nnothing here"
    for package, name in ((theirs, "InvalidMessage"), (impl, "InvalidStatus")):
        assert type(received(package, data).handshake_exc).__name__ == name


def test_d_75_status_line_without_a_reason(impl: Any) -> None:
    data = response_bytes(status="101")
    for package, name in ((theirs, "InvalidMessage"), (impl, "NoneType")):
        assert type(received(package, data).handshake_exc).__name__ == name


def test_d_76_error_of_a_client(impl: Any) -> None:
    data = b"HTTP/1.1 101 OK\r\nX: " + 9000 * b"x"
    for package, name in ((theirs, "InvalidMessage"), (impl, "HeaderLineTooLong")):
        assert type(received(package, data).handshake_exc).__name__ == name


def test_d_77_empty_offers(impl: Any) -> None:
    """SPEC-047."""
    for package in (theirs, impl):
        protocol = client_with_sample_key(package, extensions=[], subprotocols=[])
        headers = protocol.connect().headers
        for name in ("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"):
            assert headers.get(name) == ("" if package is theirs else None)


def test_d_78_subprotocols_that_cannot_be_offered(impl: Any) -> None:
    """SPEC-047."""
    for subprotocols, value in ((["a", "a"], "a, a"), (["a b"], "a b")):
        protocol = client_with_sample_key(theirs, subprotocols=subprotocols)
        assert protocol.connect().headers["Sec-WebSocket-Protocol"] == value
        protocol = client_with_sample_key(impl, subprotocols=subprotocols)
        with pytest.raises(ValueError, match="subprotocol"):
            protocol.connect()


def test_d_79_request_after_a_failure(impl: Any) -> None:
    for package in (theirs, impl):
        protocol = client_with_sample_key(package)
        request = protocol.connect()
        assert request.headers["Sec-WebSocket-Key"] == SAMPLE_KEY
        protocol.receive_data(b"not HTTP\r\n\r\n")
        if package is theirs:
            protocol.send_request(request)
        else:
            with pytest.raises(package.exceptions.InvalidState):
                protocol.send_request(request)


def test_d_80_answer_that_does_not_fit(impl: Any) -> None:
    data = response_bytes(("Sec-WebSocket-Extensions", "permessage-deflate; a"))
    for package, name in ((theirs, "NegotiationError"), (impl, "InvalidParameterName")):
        module = package.extensions.permessage_deflate
        factory = module.ClientPerMessageDeflateFactory()
        error = received(package, data, extensions=[factory]).handshake_exc
        assert isinstance(error, package.exceptions.NegotiationError)
        assert type(error).__name__ == name


def test_d_86_bodies_that_must_not_be_sent(impl: Any) -> None:
    for method, status in (("HEAD", 405), ("GET", 204), ("GET", 205), ("GET", 304)):
        for package in (theirs, impl):
            protocol = package.server.ServerProtocol()
            protocol.receive_data(start(f"{method} / HTTP/1.1"))
            response = protocol.accept(protocol.events_received()[0])
            if method == "GET":
                response = protocol.reject(status, "hello")
            protocol.send_response(response)
            _, pairs, body = parse_head(protocol.data_to_send()[0])
            length = dict(pairs).get("Content-Length")
            if package is theirs:
                assert length == str(len(body)) != "0"
            else:
                assert body == b""
                assert (length is None) is (status in (204, 304))
                assert status != 205 or length == "0"


def test_d_87_refusal_with_a_flaw_in_its_body(impl: Any) -> None:
    for lines, body in (
        ("Content-Length: 5", b"abc"),
        ("Content-Length: 5000000", b"abc"),
        ("Content-Length: abc", b"abc"),
        ("Transfer-Encoding: chunked", b"3\r\nabc\r\nx\r\n"),
    ):
        data = f"HTTP/1.1 403 x\r\n{lines}\r\n\r\n".encode() + body
        assert type(received(theirs, data).handshake_exc).__name__ == "InvalidMessage"
        error = received(impl, data).handshake_exc
        assert type(error) is impl.exceptions.InvalidStatus
        assert (error.response.status_code, error.response.body) == (403, b"abc")
        assert isinstance(error.__cause__, impl.exceptions.InvalidHandshake)


def test_d_88_folded_line(impl: Any) -> None:
    data = response_bytes(("X", "a\r\n b"))
    assert type(received(theirs, data).handshake_exc).__name__ == "InvalidMessage"
    protocol = received(impl, data)
    assert protocol.handshake_exc is None
    assert protocol.events_received()[0].headers["X"] == "a b"


def test_d_89_window_that_zlib_cannot_compress_with(impl: Any) -> None:
    parameters = "permessage-deflate; client_max_window_bits=8"
    data = response_bytes(("Sec-WebSocket-Extensions", parameters))
    for package, name in ((theirs, "NegotiationError"), (impl, "NoneType")):
        module = package.extensions.permessage_deflate
        factory = module.ClientPerMessageDeflateFactory()
        protocol = client_with_sample_key(package, extensions=[factory])
        protocol.receive_data(data)
        assert type(protocol.handshake_exc).__name__ == name
    protocol.send_text(b"a" * 100)
    assert protocol.data_to_send()[0][0] == FIN | TEXT


def test_d_90_host_that_no_name_can_be(impl: Any) -> None:
    for host in ("a..b", ".a", "a" * 64, "a.b" * 100):
        assert theirs.uri.parse_uri(f"ws://{host}/").host == host
        with pytest.raises(impl.exceptions.InvalidURI):
            impl.uri.parse_uri(f"ws://{host}/")
