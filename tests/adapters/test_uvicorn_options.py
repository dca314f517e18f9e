"""What the uvicorn class lets through, names and refuses: limits, subprotocols
and versions of HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from sansocket.datastructures import Headers
from sansocket.http11 import Request
from sansocket.server import ServerProtocol
from sansocket.uvicorn import WebSocketProtocol
from tests.core.support import CLOSE, FIN, REQUEST_HEADERS, TEXT

from .support import Run, raw
from .uvicorn_support import Recorder, accepted, asking, request_for, running

HTTP = pytest.mark.parametrize("http", ["h11", "httptools"])
ACCEPT = {"type": "websocket.accept"}
OFFER = "Sec-WebSocket-Protocol"


# Limits


@HTTP
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", [("Cookie", "a" * 8700)]),
        ("/", [("Cookie", "a" * 60000)]),
        ("/", [(f"X-{number}", "a") for number in range(500)]),
        ("/" + "a" * 60000, []),
    ],
    ids=["cookie", "long cookie", "many headers", "long path"],
)
def test_what_uvicorn_has_accepted_is_accepted(
    run: Run, http: str, path: str, headers: list[tuple[str, str]]
) -> None:
    app = Recorder()

    async def main() -> None:
        async with (
            running(app, http=http) as server,
            await accepted(server, path, *headers) as peer,
        ):
            peer.send_frame(FIN | CLOSE, b"\x03\xe8")
            await peer.read_all()

    run(main())
    assert app.scope["path"] == path
    given = dict(app.scope["headers"])
    for name, value in headers:
        assert given[name.lower().encode()] == value.encode()


def test_a_head_of_many_reads(run: Run) -> None:
    """The parser of httptools knows no limit."""
    app = Recorder()

    async def main() -> None:
        cookie = ("Cookie", "a" * 500_000)
        async with (
            running(app, http="httptools") as server,
            await accepted(server, "/", cookie) as peer,
        ):
            peer.send_frame(FIN | CLOSE, b"\x03\xe8")
            await peer.read_all()

    run(main())


@HTTP
@pytest.mark.parametrize(
    ("attributes", "path", "headers", "status"),
    [
        ({"max_request_line": 20}, "/" + "a" * 20, [], 414),
        ({"max_header_line": 100}, "/", [("X", "a" * 100)], 431),
        ({"max_headers": 8}, "/", [(f"X-{n}", "a") for n in range(8)], 431),
        ({"max_head_size": 400}, "/", [(f"X-{n}", "a" * 50) for n in range(8)], 431),
        ({"hosts": ["elsewhere"]}, "/", [], 400),
        ({"origins": ["https://x"]}, "/", [("Origin", "https://y")], 403),
        ({"origins": ["https://x"]}, "/", [("Origin", "https://x")], 101),
    ],
    ids=str,
)
def test_limits_are_attributes(
    run: Run,
    http: str,
    attributes: dict[str, Any],
    path: str,
    headers: list[tuple[str, str]],
    status: int,
) -> None:
    kind = type("Limited", (WebSocketProtocol,), attributes)

    async def main() -> None:
        async with (
            running(Recorder(), http=http, ws=kind) as server,
            await asking(server, path, *headers) as peer,
        ):
            answer = await peer.read_head()
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            if status == 101:
                peer.send_frame(FIN | CLOSE, b"\x03\xe8")
            await peer.read_all()

    run(main())


@pytest.mark.parametrize(
    ("attributes", "payload"),
    [
        ({"validate_utf8": False}, b"\x03\xef"),
        ({"max_inflated_size": 5}, b"\x03\xe8"),
        ({"write_limit": 0}, b"\x03\xe8"),
        ({"write_limit": (10, 5)}, b"\x03\xe8"),
    ],
    ids=str,
)
def test_limits_of_messages(
    run: Run, attributes: dict[str, Any], payload: bytes
) -> None:
    kind = type("Limited", (WebSocketProtocol,), attributes)
    app = Recorder(answers=True)

    async def main() -> None:
        async with running(app, ws=kind) as server, await accepted(server) as peer:
            peer.send_frame(FIN | TEXT, b"hello")
            assert await peer.read_frame() == (FIN | TEXT, b"hello")
            if attributes.get("validate_utf8") is False:
                peer.send_frame(FIN | TEXT, b"\xff")
            else:
                peer.send_frame(FIN | CLOSE, payload)
            first, data = await peer.read_frame()
            assert (first, data[:2]) == (FIN | CLOSE, payload)
            peer.send_frame(FIN | CLOSE, payload)
            await peer.read_all()

    run(main())


@pytest.mark.parametrize(
    ("name", "types", "values"),
    [
        ("open_timeout", ["a", True], [-1, float("nan")]),
        ("close_timeout", ["a"], [-1]),
        ("origins", ["https://x", 3], []),
        ("hosts", ["x", 3], [["a b"]]),
        ("max_request_line", ["a", 1.5], [0, -1]),
        ("max_header_line", ["a", True], [0]),
        ("max_headers", ["a"], [0]),
        ("max_head_size", ["a"], [0]),
        ("max_fragments", ["a"], [0]),
        ("max_inflated_size", ["a"], [-1]),
        ("validate_utf8", [None, "no"], []),
        ("write_limit", [None, "a"], [-1, (10, 20)]),
    ],
)
def test_wrong_attributes(name: str, types: list[Any], values: list[Any]) -> None:
    """Refused when the class is made, before any client comes."""
    for kind, wrong in ((TypeError, types), (ValueError, values)):
        for value in wrong:
            with pytest.raises(kind, match=f"^{name} must be "):
                type("Limited", (WebSocketProtocol,), {name: value})


# Subprotocols, and what else of the answer is not the application's


@pytest.mark.parametrize(
    ("offered", "event", "expected"),
    [
        ("a, b", {"subprotocol": "b"}, b"b"),
        ("a, b", {"subprotocol": None}, None),
        ("a, b", {"subprotocol": ""}, None),
        ("a, b", {"headers": [(b"sec-websocket-protocol", b"a")]}, b"a"),
        (
            "a",
            {"subprotocol": "a", "headers": [(b"Sec-WebSocket-Protocol", b"a")]},
            b"a",
        ),
        ("a", {"headers": [(b"sec-websocket-protocol", b"a")] * 2}, b"a"),
    ],
)
def test_a_subprotocol_that_was_offered(
    run: Run, offered: str, event: dict[str, Any], expected: bytes | None
) -> None:
    """RFC 6455, section 4.2.2: it is sent once."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT | event)

    async def main() -> None:
        async with (
            running(app) as server,
            await asking(server, "/", (OFFER, offered)) as peer,
        ):
            head = (await peer.read_head()).lower()
            assert head.startswith(b"http/1.1 101 ")
            named = [] if expected is None else [b"sec-websocket-protocol: " + expected]
            lines = head.split(b"\r\n")
            assert [
                x for x in lines if x.startswith(b"sec-websocket-protocol")
            ] == named
            await peer.read_frame()
            peer.send_frame(FIN | CLOSE, b"\x03\xe8")
            await peer.read_all()

    run(main())


@pytest.mark.parametrize(
    ("offered", "event", "why"),
    [
        (
            None,
            {"subprotocol": "a"},
            "was not offered by the client, which offers none",
        ),
        ("a, b", {"subprotocol": "c"}, "which offers a, b"),
        ("a, b", {"subprotocol": "A"}, "which offers a, b"),
        (None, {"headers": [(b"sec-websocket-protocol", b"a")]}, "was not offered"),
        (
            "a, b",
            {"subprotocol": "a", "headers": [(b"sec-websocket-protocol", b"b")]},
            "one subprotocol",
        ),
    ],
)
def test_a_subprotocol_that_cannot_be(
    run: Run,
    caplog: pytest.LogCaptureFixture,
    may_log_errors: list[str],
    offered: str | None,
    event: dict[str, Any],
    why: str,
) -> None:
    """A client would have to fail the connection; the application is told."""
    may_log_errors.append("Exception in ASGI application\n")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT | event)

    async def main() -> None:
        extra = [] if offered is None else [(OFFER, offered)]
        async with running(app) as server, await asking(server, "/", *extra) as peer:
            assert (await peer.read_all()).startswith(b"HTTP/1.1 500 ")

    run(main())
    assert why in caplog.text


def test_headers_of_the_handshake_are_the_servers(run: Run) -> None:
    """As when an application passes on those of another server."""
    given = {
        *("Connection", "Upgrade", "Sec-WebSocket-Accept", "Content-Length"),
        *("Sec-WebSocket-Extensions", "Transfer-Encoding"),
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(name.encode(), b"1") for name in sorted(given)]
        await send(ACCEPT | {"headers": [*headers, (b"x-mine", b"1")]})

    async def main() -> None:
        async with running(app) as server, await asking(server) as peer:
            head = (await peer.read_head()).lower()
            assert head.startswith(b"http/1.1 101 ")
            assert b"\r\nx-mine: 1\r\n" in head
            for name in given:
                assert b"\r\n%b: 1\r\n" % name.lower().encode() not in head
            await peer.read_frame()
            peer.send_frame(FIN | CLOSE, b"\x03\xe8")
            await peer.read_all()

    run(main())


@HTTP
def test_a_request_of_http_1_0(run: Run, http: str) -> None:
    """uvicorn hands it over as one of 1.1; it is answered as by the core."""
    core = ServerProtocol()
    headers = Headers(REQUEST_HEADERS)
    expected = core.accept(Request("/", headers, "GET", "HTTP/1.0")).status_code
    assert expected >= 400

    async def main() -> None:
        async with running(Recorder(), http=http) as server, await raw(server) as peer:
            peer.send(request_for("/").replace(b"HTTP/1.1", b"HTTP/1.0", 1))
            answer = await peer.read_all()
            assert int(answer.split()[1]) == expected

    run(main())
