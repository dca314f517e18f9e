"""Parsing HTTP in pieces: what the tests of messages and of bodies share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

REQUEST = b"GET /chat?x=1 HTTP/1.1\r\nHost: example.com\r\nX-Own:\t v \t\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"
FORBIDDEN = b"HTTP/1.1 403 Forbidden"


def head(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> bytes:
    """The head of a message with these header lines."""
    return b"\r\n".join([start, *lines, b"", b""])


def request(impl: Any, data: bytes, cut: int = 0, **limits: int) -> Any:
    """Parse a request in pieces of `cut` bytes: the request and what's behind it.

    If it is refused: the class and the text of the exception.
    """
    return _parse(impl, impl.http11.RequestParser(**limits), data, cut)


def response(impl: Any, data: bytes, cut: int = 0, **limits: int) -> Any:
    """As `request`, for a response; the stream ends behind it."""
    return _parse(impl, impl.http11.ResponseParser(**limits), data, cut)


def flawed(impl: Any, data: bytes, **limits: int) -> tuple[Any, str, str]:
    """A response whose body is flawed, however it is cut, and the class and the text
    of the exception that says so."""
    found = None
    for cut in (0, 1, 2, 3, 7, max(1, len(data) // 2)):
        parser = impl.http11.ResponseParser(**limits)
        parsed, _ = _parse(impl, parser, data, cut)
        assert not isinstance(parsed, str), (parsed, data)
        assert isinstance(parser.flaw, impl.exceptions.InvalidHandshake), data
        seen = parsed, type(parser.flaw).__name__, str(parser.flaw)
        found = found or seen
        assert seen == found, (cut, data)
    assert found is not None
    return found


def every_cut(impl: Any, parse: Callable[..., Any], data: bytes, **limits: int) -> Any:
    """Parse with various cuts and make sure that nothing depends on them."""
    whole = parse(impl, data, **limits)
    for cut in (1, 2, 3, 7, max(1, len(data) // 2), max(1, len(data) - 1)):
        assert parse(impl, data, cut, **limits) == whole, (cut, data)
    return whole


def refusal(impl: Any, parse: Callable[..., Any], data: bytes, **limits: int) -> Any:
    """Class and text of the exception that refuses `data`, however it is cut."""
    kind, text = every_cut(impl, parse, data, **limits)
    assert isinstance(kind, str), f"{data!r} was accepted"
    assert text.isascii(), data
    assert text.isprintable(), data
    return kind, text


def _parse(impl: Any, parser: Any, data: bytes, cut: int) -> Any:
    pieces = [data[i : i + cut] for i in range(0, len(data), cut)] if cut else [data]
    try:
        for number, piece in enumerate(pieces):
            message = parser.feed(piece)
            if getattr(parser, "flaw", None) is not None:
                return message, b""  # nothing that follows means anything
            if message is not None:
                return message, parser.rest + b"".join(pieces[number + 1 :])
        return parser.feed_eof(), b""
    except impl.exceptions.InvalidHandshake as exc:
        return type(exc).__name__, str(exc)
