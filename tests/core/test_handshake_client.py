"""Rules of the opening handshake for a client: its request, and what may answer."""

from __future__ import annotations

import base64
from types import ModuleType
from typing import Any

import pytest

from .handshake_support import Factory, Pairs, headers
from .support import RESPONSE_HEADERS, SAMPLE_ACCEPT, SAMPLE_KEY

ACCEPT, PROTOCOL = "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol"
EXTENSIONS = "Sec-WebSocket-Extensions"


SITE = "https://a.example"


# The request


def built(impl: ModuleType, uri: str = "ws://a.example/", **options: Any) -> Any:
    parsed = impl.uri.parse_uri(uri)
    return impl._http.handshake.build_request(parsed, SAMPLE_KEY, **options)


def test_spec_045_request(impl: ModuleType) -> None:
    """SPEC-045, SPEC-046."""
    request = built(impl)
    assert (request.method, request.protocol, request.path) == ("GET", "HTTP/1.1", "/")
    assert list(request.headers.raw_items()) == [
        ("Host", "a.example"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", SAMPLE_KEY),
        ("Sec-WebSocket-Version", "13"),
    ]
    assert impl._http.handshake.check_upgrade_request(request) == SAMPLE_KEY


def test_spec_045_host_and_target(impl: ModuleType) -> None:
    """SPEC-041, SPEC-045: the port only if it is not the default."""
    for uri, host, target in (
        ("ws://a:80", "a", "/"),
        ("ws://a:81/b?c", "a:81", "/b?c"),
        ("wss://A:443/b", "a", "/b"),
        ("wss://a:80?c", "a:80", "/?c"),
        ("ws://[::1]/é", "[::1]", "/%C3%A9"),
        ("wss://[::1]:9/", "[::1]:9", "/"),
    ):
        request = built(impl, uri)
        assert (request.headers["Host"], request.path) == (host, target)


def test_spec_047_what_is_offered(impl: ModuleType) -> None:
    """SPEC-047, SPEC-080: in the order given."""
    factories = [
        Factory(impl, "b", answer=[("p", None), ("q", "1")]),
        Factory(impl, "a"),
    ]
    offers: dict[str, Any] = {"extensions": factories, "subprotocols": ["y", "x"]}
    found = built(impl, origin=SITE, **offers).headers
    assert found["Origin"] == SITE
    assert found[EXTENSIONS] == "b; p; q=1, a"
    assert found[PROTOCOL] == "y, x"
    assert built(impl, extensions=[], subprotocols=()) == built(impl)


def test_spec_047_subprotocols_are_unique_tokens(impl: ModuleType) -> None:
    """SPEC-047, SEC-32."""
    for bad in ([""], ["a b"], ["a,b"], ["a\r\nb"], ["é"], ["a", "a"]):
        with pytest.raises(ValueError, match=r"^(a )?subprotocol is"):
            built(impl, subprotocols=bad)
    with pytest.raises(TypeError, match="list of str"):
        built(impl, subprotocols="chat")


def test_sec_32_nothing_splits_the_request(impl: ModuleType) -> None:
    """SEC-32, SPEC-036: origin, extensions, and a URI that was made by hand."""
    for bad in ("a\r\nb: c", "\n", "\0", "€"):
        for options in (
            {"origin": bad},
            {"extensions": [Factory(impl, bad)]},
            {"extensions": [Factory(impl, "x", answer=[("p", bad)])]},
        ):
            with pytest.raises(impl.exceptions.InvalidHeaderValue):
                built(impl, **options)
        uri = impl.uri.WebSocketURI(False, f"a{bad}", 80, "", "")
        with pytest.raises(impl.exceptions.InvalidHeaderValue):
            impl._http.handshake.build_request(uri, SAMPLE_KEY)
        uri = impl.uri.WebSocketURI(False, "a", 80, f"/{bad}", "")
        with pytest.raises(ValueError, match="path is not valid"):
            impl._http.handshake.build_request(uri, SAMPLE_KEY).serialize()


def test_sec_33_credentials(impl: ModuleType) -> None:
    """SEC-33: as RFC 7617 writes them, and never in the target."""
    request = built(impl, "ws://us%C3%A9r:p%3As@a.example/x")
    value = base64.b64encode("usér:p:s".encode()).decode()
    assert request.headers["Authorization"] == f"Basic {value}"
    assert request.path == "/x"
    assert request.headers["Host"] == "a.example"
    with pytest.raises(ValueError, match="colon"):
        built(impl, "ws://u%3Aser:p@a.example/")


@pytest.fixture
def counting(impl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replaces the random source; gives the sizes that it is asked for."""
    sizes: list[int] = []

    def random_bytes(size: int) -> bytes:
        sizes.append(size)
        return bytes([len(sizes)]) * size

    monkeypatch.setattr(impl.environment, "random_bytes", random_bytes)
    return sizes


def test_spec_046_key(impl: ModuleType, counting: list[int]) -> None:
    """SPEC-046: 16 bytes of the random source, other ones each time."""
    keys = [impl._http.handshake.generate_key() for _ in range(2)]
    assert counting == [16, 16]
    assert [base64.b64decode(key) for key in keys] == [b"\x01" * 16, b"\x02" * 16]


# The response


def replaced(name: str, *values: str) -> list[tuple[str, str]]:
    """Headers of a good response in which one has these values."""
    others = [pair for pair in RESPONSE_HEADERS if pair[0] != name]
    return [*others, *((name, value) for value in values)]


def check(impl: ModuleType, pairs: Pairs = RESPONSE_HEADERS, status: int = 101) -> str:
    """Name of the exception that refuses the response, or nothing."""
    response = impl.http11.Response(status, "", headers(impl, pairs))
    try:
        impl._http.handshake.check_upgrade_response(response, SAMPLE_KEY)
    except impl.exceptions.InvalidHandshake as exc:
        return type(exc).__name__
    return ""


def test_spec_049_status(impl: ModuleType) -> None:
    """SPEC-049: any but 101 is a response, and no connection."""
    assert check(impl) == ""
    for status in (100, 102, 200, 204, 301, 401, 404, 426, 500, 599):
        assert check(impl, status=status) == "InvalidStatus", status
    response = impl.http11.Response(401, "Unauthorized", headers(impl))
    with pytest.raises(impl.exceptions.InvalidStatus) as caught:
        impl._http.handshake.check_upgrade_response(response, SAMPLE_KEY)
    assert caught.value.response is response


def test_spec_050_upgrade(impl: ModuleType) -> None:
    """SPEC-050, SEC-29: websocket and nothing else, in any case."""
    for value in ("websocket", "WebSocket", "WEBSOCKET", " websocket\t"):
        assert check(impl, replaced("Upgrade", value)) == "", value
    for values in (
        *((), ("",), ("h2c",), ("websockets",), ("websocket/13",)),
        *(("websocket, h2c",), ("h2c, websocket",), ("websocket,",)),
    ):
        assert check(impl, replaced("Upgrade", *values)) == "InvalidUpgrade", values
    assert check(impl, replaced("Upgrade", "web socket")) == "InvalidHeaderFormat"
    assert check(impl, replaced("Upgrade", "websocket", "websocket")) != ""


def test_spec_050_connection(impl: ModuleType) -> None:
    """SPEC-050, SEC-29: with the token upgrade, in any case."""
    for values in (
        *(("Upgrade",), ("upgrade",), ("keep-alive, UPGRADE",)),
        ("keep-alive", "Upgrade"),
    ):
        assert check(impl, replaced("Connection", *values)) == "", values
    for value in ("", "close", "notupgrade", "keep-alive, close"):
        assert check(impl, replaced("Connection", value)) == "InvalidUpgrade", value
    assert check(impl, replaced("Connection")) == "InvalidUpgrade"


def test_spec_051_accept(impl: ModuleType) -> None:
    """SPEC-051, SPEC-028: exactly the expected value, once, whitespace trimmed."""
    for value in (f" {SAMPLE_ACCEPT}", f"{SAMPLE_ACCEPT}\t "):
        assert check(impl, replaced(ACCEPT, value)) == ""
    for value in (
        *("", SAMPLE_ACCEPT.lower(), SAMPLE_ACCEPT[:-1], f"{SAMPLE_ACCEPT}=", "é"),
        *(f"X{SAMPLE_ACCEPT}", f"{SAMPLE_ACCEPT}\xa0"),
        *(SAMPLE_KEY, f'"{SAMPLE_ACCEPT}"', f"{SAMPLE_ACCEPT}, x", "s3pPLMBiTxaQ"),
    ):
        assert check(impl, replaced(ACCEPT, value)) == "InvalidHeaderValue", value
    for values in ((), (SAMPLE_ACCEPT, SAMPLE_ACCEPT), (SAMPLE_ACCEPT, "x")):
        assert check(impl, replaced(ACCEPT, *values)) == "InvalidHeader", values


def test_spec_050_spec_051_what_is_wrong_is_told(impl: ModuleType) -> None:
    """SPEC-050, SPEC-051: the header as it is written, and its value."""
    for pairs, args in (
        (replaced("Upgrade", "websocket, x"), ("Upgrade", "websocket, x")),
        (replaced("Upgrade", "websocket", "x"), ("Upgrade", "it is repeated")),
        (replaced("Connection"), ("Connection", None)),
        (replaced(ACCEPT), (ACCEPT, None)),
        (replaced(ACCEPT, "x "), (ACCEPT, "x")),
        (replaced(ACCEPT, "x", "x"), (ACCEPT, "it is repeated")),
    ):
        response = impl.http11.Response(101, "", headers(impl, pairs))
        with pytest.raises(impl.exceptions.InvalidHeader) as caught:
            impl._http.handshake.check_upgrade_response(response, SAMPLE_KEY)
        assert caught.value.args == args


# What is agreed


def agreed(impl: ModuleType, factories: Any, *values: str) -> Any:
    """Name and parameters of each extension; or the exception's name and text."""
    found = headers(impl, [(EXTENSIONS, value) for value in values])
    try:
        extensions = impl._http.handshake.agreed_extensions(found, factories)
    except impl.exceptions.InvalidHandshake as exc:
        return type(exc).__name__, str(exc)
    return [(extension.name, extension.params) for extension in extensions]


def test_spec_081_extensions_in_the_order_of_the_server(impl: ModuleType) -> None:
    """SPEC-081, SPEC-080: several lines are one list (erratum 3433)."""
    factories = [Factory(impl, "a", "p"), Factory(impl, "b")]
    assert agreed(impl, factories) == []
    assert agreed(impl, None) == []
    expected = [("b", []), ("a", [("p", "1")])]
    assert agreed(impl, factories, "b, a; p=1") == expected
    assert agreed(impl, factories, "b", 'a; p="1"') == expected


def test_spec_052_extensions_that_were_not_offered(impl: ModuleType) -> None:
    """SPEC-052, SPEC-085."""
    for factories in (None, [], [Factory(impl, "a")]):
        for value in ("x", "A", "aa"):
            assert agreed(impl, factories, value) == (
                "NegotiationError",
                "answer has an extension that was not offered",
            )
    for value in ("", "a b", "a;", "é", 'a; p="'):
        kind, _ = agreed(impl, [Factory(impl, "a")], value)
        assert kind == "InvalidHeaderFormat", value


def test_spec_052_parameters_that_can_not_be_accepted(impl: ModuleType) -> None:
    """SPEC-052, SPEC-085: of several offers of one name any may fit."""
    factories = [Factory(impl, "a", "p"), Factory(impl, "a", "q")]
    for value in ("a; p", "a; q", "a"):
        assert len(agreed(impl, factories, value)) == 1
    kind, text = agreed(impl, factories, "a; z")
    assert (kind, text) == ("NegotiationError", "('q',) lacks ['z']")


def test_spec_052_subprotocol(impl: ModuleType) -> None:
    """SPEC-052, SPEC-032: one of those offered, or none."""

    def found(offered: Any, *values: str) -> Any:
        made = headers(impl, [(PROTOCOL, value) for value in values])
        try:
            return impl._http.handshake.agreed_subprotocol(made, offered)
        except impl.exceptions.InvalidHandshake as exc:
            return type(exc), exc.args

    exceptions = impl.exceptions
    text = "answer has a subprotocol that was not offered"
    assert found(["a", "b"], "b") == "b"
    assert found(["a", "b"]) is None
    assert found(None) is None
    for offered in (None, [], ["a"], ["B"]):
        assert found(offered, "b") == (exceptions.NegotiationError, (text,)), offered
    for values in (("a, b",), ("a", "b")):
        error = exceptions.InvalidHeaderValue, (PROTOCOL, "a, b")
        assert found(["a", "b"], *values) == error
    for values in (("",), ("a b",), ("a", "a"), ("é",)):
        assert found(["a"], *values)[0] is exceptions.InvalidHeaderFormat, values
