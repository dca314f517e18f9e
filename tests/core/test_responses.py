"""Answers to an opening handshake: what accepts, and what refuses."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from types import ModuleType
from typing import Any

import pytest

from .support import RESPONSE_HEADERS, SAMPLE_ACCEPT, parse_head

DATE = ("Date", "Thu, 01 Jan 1970 00:16:40 GMT")
VERSION = "Sec-WebSocket-Version"


@pytest.fixture(autouse=True)
def clock(impl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impl.environment, "wall_clock", lambda: 1000.5)


def pairs(response: Any) -> list[tuple[str, str]]:
    """Headers as they are sent; what the object says of them must agree."""
    _, found, _ = parse_head(response.serialize())
    assert list(response.headers.raw_items()) == found
    assert all(response.headers[name] == value for name, value in found)
    return found


def test_spec_030_accept(impl: ModuleType) -> None:
    """SPEC-030, SPEC-031, SPEC-034, SPEC-037."""
    response = impl._http.handshake.accept_response(SAMPLE_ACCEPT)
    assert (response.status_code, response.body) == (101, b"")
    assert pairs(response) == [DATE, *RESPONSE_HEADERS]
    data = response.serialize()
    assert data.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert data.endswith(b"\r\n\r\n")


def test_spec_032_spec_033_accept_with_what_was_agreed(impl: ModuleType) -> None:
    """SPEC-032, SPEC-033: each header once, and only if there is something."""
    response = impl._http.handshake.accept_response(SAMPLE_ACCEPT, "b; p=1, a", "chat")
    assert pairs(response)[4:] == [
        ("Sec-WebSocket-Extensions", "b; p=1, a"),
        ("Sec-WebSocket-Protocol", "chat"),
    ]


def test_sec_32_accept_is_not_split(impl: ModuleType) -> None:
    """SEC-32, SPEC-036."""
    for bad in ("a\r\nb: c", "\n", "\0", "€"):
        for name, *arguments in (("Extensions", bad), ("Protocol", None, bad)):
            with pytest.raises(impl.exceptions.InvalidHeaderValue) as caught:
                impl._http.handshake.accept_response(SAMPLE_ACCEPT, *arguments)
            assert caught.value.args == (f"Sec-WebSocket-{name}", bad)


def test_lines_nobody_looked_at_are_sent_as_others(impl: ModuleType) -> None:
    """What is added last, and how, does not matter."""
    for extensions in (None, "a", "\t a", "\xe9"):
        for server in (None, "S", " S ", "\xe9"):
            kept, read = (
                impl._http.handshake.accept_response(SAMPLE_ACCEPT, extensions)
                for _ in range(2)
            )
            assert read.headers["Upgrade"] == "websocket"
            for response in (kept, read) if server is not None else ():
                impl._http.responses.name_server(response, server)
                impl._http.responses.name_server(response, "another")
            assert kept.serialize() == read.serialize()
            assert kept == read
            assert kept.headers.get("Server") == server


def test_kept_lines_can_be_changed(impl: ModuleType) -> None:
    changes: list[Callable[[Any], object]] = [
        lambda headers: headers.update(A="b"),
        lambda headers: headers.pop("Date"),
        lambda headers: headers.clear(),
        lambda headers: headers.set_insecure("A", "b"),
        lambda headers: headers.copy(),
    ]
    for change in changes:
        response = impl._http.handshake.accept_response(SAMPLE_ACCEPT)
        change(response.headers)
        _, found, _ = parse_head(response.serialize())
        assert found == [*response.headers.raw_items()]


def test_spec_037_reject(impl: ModuleType) -> None:
    """SPEC-037: date, length, and that the connection closes."""
    text = "zu groß: 5 €\n"
    for status in (HTTPStatus.NOT_FOUND, 404):
        response = impl._http.handshake.reject_response(status, text)
        assert (response.status_code, response.reason_phrase) == (404, "Not Found")
        assert type(response.status_code) is int
        assert response.body == text.encode()
        assert pairs(response) == [
            DATE,
            ("Connection", "close"),
            ("Content-Length", "16"),
            ("Content-Type", "text/plain; charset=utf-8"),
        ]
        assert response.serialize().endswith(b"\r\n\r\n" + text.encode())


def test_reject_with_an_unknown_status(impl: ModuleType) -> None:
    for status in (0, 99, 299, 600, 1000):
        with pytest.raises(ValueError, match="not a valid HTTPStatus"):
            impl._http.handshake.reject_response(status, "")


def test_spec_035_what_each_refusal_must_say(impl: ModuleType) -> None:
    """SPEC-001, SPEC-009, SPEC-012, SPEC-023, SPEC-035."""
    exc = impl.exceptions
    upgrade = [("Upgrade", "websocket")]
    cases: list[tuple[Exception, int, list[tuple[str, str]]]] = [
        (exc.InvalidMessage("x"), 400, []),
        (exc.InvalidOrigin("null"), 403, []),
        (exc.InvalidMethod("POST"), 405, [("Allow", "GET")]),
        (exc.RequestLineTooLong("x"), 414, []),
        (exc.InvalidUpgrade("Connection", "close"), 426, upgrade),
        (exc.HeaderLineTooLong("x"), 431, []),
        (exc.TooManyHeaders("x"), 431, []),
        (exc.InvalidProtocol("HTTP/1.0"), 505, []),
        (exc.NegotiationError("x"), 400, []),
        (exc.InvalidHeader(VERSION), 400, [(VERSION, "13")]),
        (exc.InvalidHeaderValue(VERSION.lower(), "8"), 400, [(VERSION, "13")]),
        (exc.InvalidHeaderValue("Host", "8"), 400, []),
    ]
    for error, status, extra in cases:
        response = impl._http.handshake.rejection(error)
        assert response.status_code == status, error
        connection = "Upgrade, close" if status == 426 else "close"
        found = pairs(response)
        assert found[:2] == [DATE, ("Connection", connection)], error
        assert found[4:] == extra, error
        assert response.body.decode() == f"No WebSocket connection: {error}.\n"


def test_status_of_a_users_own_exception(impl: ModuleType) -> None:
    """As for the subclass that an application raises to refuse with 401."""
    kind = type("Unauthorized", (impl.exceptions.InvalidHandshake,), {"status": 401})
    assert impl._http.handshake.rejection(kind("who?")).status_code == 401


def test_a_fault_of_our_own_is_not_told(impl: ModuleType) -> None:
    for error in (ValueError("secret"), KeyError("secret"), EOFError()):
        response = impl._http.handshake.rejection(error)
        assert response.status_code == 500
        assert b"secret" not in response.serialize()
        assert response.body == b"The server failed; see its log.\n"


def test_sec_40_the_body_shows_text_of_the_peer_escaped(impl: ModuleType) -> None:
    """SEC-40."""
    for error in (
        impl.exceptions.InvalidMethod("\x1b[31m\n" + "x" * 1000),
        impl.exceptions.InvalidHeader("Origin", "\x1b\u202e" + "x" * 1000),
    ):
        body = impl._http.handshake.rejection(error).body.decode()
        assert body.endswith("\n")
        assert body[:-1].isascii()
        assert body[:-1].isprintable()
        assert len(body) < 300
