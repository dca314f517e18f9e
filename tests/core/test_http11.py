"""Requests and responses: parsing and serialising, bit by bit and at once."""

from __future__ import annotations

import dataclasses
import pickle
import re
from datetime import datetime, timezone
from email.utils import format_datetime
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import FORMS

REQUEST = b"GET /chat?x=1 HTTP/1.1\r\nHost: example.com\r\nX-Own:\t v \t\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"


def request(impl: ModuleType, data: bytes, cut: int = 0, **limits: int) -> Any:
    """Parse a request in pieces of `cut` bytes: the request and what's behind it.

    If it is refused: the class and the text of the exception.
    """
    return parse(impl, impl.http11.RequestParser(**limits), data, cut)


def response(impl: ModuleType, data: bytes, cut: int = 0, **limits: int) -> Any:
    """As `request`, for a response; the stream ends behind it."""
    return parse(impl, impl.http11.ResponseParser(**limits), data, cut)


def parse(impl: ModuleType, parser: Any, data: bytes, cut: int) -> Any:
    pieces = [data[i : i + cut] for i in range(0, len(data), cut)] if cut else [data]
    try:
        for number, piece in enumerate(pieces):
            message = parser.feed(piece)
            if message is not None:
                return message, parser.rest + b"".join(pieces[number + 1 :])
        return parser.feed_eof(), b""
    except impl.exceptions.InvalidHandshake as exc:
        return type(exc).__name__, str(exc)


def every_cut(impl: ModuleType, parse_in: Any, data: bytes, **limits: int) -> Any:
    """Parse with various cuts and make sure that nothing depends on them."""
    whole = parse_in(impl, data, **limits)
    for cut in (1, 2, 3, 7, max(1, len(data) // 2), max(1, len(data) - 1)):
        assert parse_in(impl, data, cut, **limits) == whole
    return whole


def head(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join([start, *lines, b"", b""])


# Requests


def test_request(impl: ModuleType) -> None:
    headers = impl.datastructures.Headers([("Host", "example.com"), ("X-Own", "v")])
    expected = impl.http11.Request("/chat?x=1", headers)
    assert every_cut(impl, request, REQUEST) == (expected, b"")
    parsed, _ = request(impl, REQUEST)
    assert list(parsed.headers.raw_items()) == list(headers.raw_items())


def test_spec_029_what_follows_is_kept(impl: ModuleType) -> None:
    """SPEC-029: uninterpreted, however the bytes were cut."""
    _, rest = every_cut(impl, request, REQUEST + b"\x81\x80\r\n\r\nGET / HTTP/1.1\r\n")
    assert rest == b"\x81\x80\r\n\r\nGET / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    "method", ["GET", "get", "POST", "CONNECT", "x!#$%&'*+-.^_`|~"]
)
def test_spec_001_any_method_is_parsed(impl: ModuleType, method: str) -> None:
    """SPEC-001: whether it's the right one is decided later."""
    parsed, _ = every_cut(impl, request, f"{method} / HTTP/1.1\r\n\r\n".encode())
    assert parsed.method == method


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1", "HTTP/1.9", "HTTP/2.0"])
def test_spec_002_any_version_is_parsed(impl: ModuleType, protocol: str) -> None:
    """SPEC-002: whether it's the right one is decided later."""
    parsed, _ = every_cut(impl, request, f"GET / {protocol}\r\n\r\n".encode())
    assert parsed.protocol == protocol


@pytest.mark.parametrize(
    "line",
    [
        *(b"GET /", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b" GET / HTTP/1.1", b"x"),
        *(b"GET\t/ HTTP/1.1", b"GET / HTTP/1.1\t", b"GET /\ta HTTP/1.1", b"GET / /"),
        *(b"G@T / HTTP/1.1", b"G\xc9T / HTTP/1.1", b" / HTTP/1.1", b"GET / http/1.1"),
        *(b"GET / HTTP/1", b"GET / HTTP/1.10", b"GET / HTTP/11", b"GET / HTTP/1,1"),
        *(b"GET  HTTP/1.1", b"GET * HTTP/1.1", b"GET a HTTP/1.1", b"GET a:80 HTTP/1.1"),
        *(b"GET /a b HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /\x7f HTTP/1.1"),
        *(b"GET /\xe9 HTTP/1.1", b"GET /a#b HTTP/1.1", b"GET /\x0b HTTP/1.1"),
        *(b"GET http:///a HTTP/1.1", b"GET http://u@h/ HTTP/1.1"),
        *(b"GET ftp://h/ HTTP/1.1", b"GET http:/h HTTP/1.1", b"GET //\r/ HTTP/1.1"),
        *(b"GET http://h:x/ HTTP/1.1", b"GET http://? HTTP/1.1", b"\xff" * 20),
        *(b"\x16\x03\x01\x02\x00\x01\x00", b"PRI * HTTP/2.0"),
    ],
)
def test_spec_003_malformed_request_line(impl: ModuleType, line: bytes) -> None:
    """SPEC-003, SPEC-015, SEC-27: refused, never repaired."""
    kind, text = every_cut(impl, request, head(b"Host: a", start=line))
    assert kind == "InvalidMessage"
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("http://h", "/", "h"),
        ("HTTP://H:80/", "/", "H:80"),
        ("ws://h/a?b=/c", "/a?b=/c", "h"),
        ("wss://h?b", "/?b", "h"),
        ("https://[::1]:9/a", "/a", "[::1]:9"),
    ],
)
def test_spec_003_absolute_target(
    impl: ModuleType, target: str, path: str, host: str
) -> None:
    """SPEC-003, SEC-28: its authority counts, not the header."""
    data = f"GET {target} HTTP/1.1\r\nA: 1\r\nhoST: other\r\nB: 2\r\n\r\n".encode()
    parsed, _ = every_cut(impl, request, data)
    assert parsed.path == path
    pairs = [("A", "1"), ("hoST", host), ("B", "2")]
    assert list(parsed.headers.raw_items()) == pairs
    assert parsed.headers["Host"] == host


@pytest.mark.parametrize("lines", [(), (b"Host: a", b"Host: b")])
def test_spec_004_absolute_target_does_not_mend_host(
    impl: ModuleType, lines: tuple[bytes, ...]
) -> None:
    """SPEC-004: a missing or repeated header is left for the handshake to see."""
    parsed, _ = every_cut(impl, request, head(*lines, start=b"GET ws://h/ HTTP/1.1"))
    assert len(parsed.headers.get_all("Host")) == len(lines)


# The message itself


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\n\n",
        b"\nGET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nB: b\n\r\r\n\r\n",
    ],
)
def test_spec_017_line_feed_alone(impl: ModuleType, data: bytes) -> None:
    """SPEC-017, SEC-27: choice a."""
    assert every_cut(impl, request, data)[1] == "line ends with LF alone"


def test_spec_017_line_feed_is_refused_when_seen(impl: ModuleType) -> None:
    """SPEC-017."""
    parser = impl.http11.RequestParser()
    with pytest.raises(impl.exceptions.InvalidMessage):
        parser.feed(b"GET / HTTP/1.1\n")


def test_spec_018_one_empty_line_is_skipped(impl: ModuleType) -> None:
    """SPEC-018: choice b."""
    assert every_cut(impl, request, b"\r\n" + REQUEST) == request(impl, REQUEST)
    kind, _ = every_cut(impl, request, b"\r\n\r\n" + REQUEST)
    assert kind == "InvalidMessage"


@pytest.mark.parametrize(
    "lines",
    [
        (b" Host: a",),
        (b"\tHost: a",),
        (b" ", b"Host: a"),
        (b"Host: a", b" b"),
        (b"Host: a", b"\tb: c"),
        (b"Host: a", b" "),
    ],
)
def test_spec_022_folded_lines(impl: ModuleType, lines: tuple[bytes, ...]) -> None:
    """SPEC-022, SPEC-019, SEC-27: choice c."""
    kind, text = every_cut(impl, request, head(*lines))
    assert (kind, text) == ("InvalidMessage", "header line begins with a space")


@pytest.mark.parametrize(
    "line",
    [
        *(b"Host : a", b"Host\t: a", b": a", b"Host", b"a b: c", b"(x): y", b"\xe9: y"),
        *(b"Host\x00: a", b"X-\x1f: a", b"Upgrade", b'"a": b', b"a,b: c", b"a/b: c"),
    ],
)
def test_spec_020_malformed_names(impl: ModuleType, line: bytes) -> None:
    """SPEC-020, SEC-27."""
    kind, text = every_cut(impl, request, head(b"Host: a", line))
    assert kind == "InvalidMessage"
    assert text.isprintable()


def test_spec_021_control_characters(impl: ModuleType) -> None:
    """SPEC-021, SEC-27: all but HTAB, in every part of a line."""
    for code in [*range(0x20), 0x7F]:
        if code == 0x09:
            continue
        char = bytes([code])
        for line in (b"X: a" + char + b"b", b"X: " + char, b"X" + char + b": a"):
            kind, _ = every_cut(impl, request, head(b"Host: a", line))
            assert kind == "InvalidMessage"


def test_spec_021_values_are_opaque_and_stripped(impl: ModuleType) -> None:
    """SPEC-021: SP and HTAB around a value don't count; 0x80-0xFF do."""
    data = b"\x80\x85\xa0\xe9\xff"
    parsed, _ = every_cut(impl, request, head(b"X: \t" + data + b"\t a  ", b"Y:\t "))
    assert parsed.headers["X"] == data.decode("latin-1") + "\t a"
    assert parsed.headers["Y"] == ""


def test_spec_028_repeated_headers(impl: ModuleType) -> None:
    """SPEC-028: order is kept."""
    lines = (b"Upgrade: websocket", b"upgrade: b", b"Via: x", b"UPGRADE: c")
    parsed, _ = every_cut(impl, request, head(*lines))
    assert parsed.headers.get_all("Upgrade") == ["websocket", "b", "c"]


@pytest.mark.parametrize(
    "values",
    [
        *((b"+5",), (b"-1",), (b"0x5",), (b"",), (b"5 5",), (b"5,5",), (b"a",)),
        *((b"5", b"5"), (b"5", b"6"), (b"\xb2",), (b"1" * 19,), (b"1_0",), (b"1.0",)),
    ],
)
def test_spec_024_invalid_content_length(
    impl: ModuleType, values: tuple[bytes, ...]
) -> None:
    """SPEC-024, SEC-26."""
    lines = [b"Content-Length: " + value for value in values]
    kind, text = every_cut(impl, request, head(b"Host: a", *lines))
    assert kind == "InvalidHeaderValue"
    assert text.startswith("Content-Length")


def test_spec_024_valid_content_length(impl: ModuleType) -> None:
    """SPEC-024: whether there may be a body is decided later."""
    parsed, _ = every_cut(impl, request, head(b"content-length: 12"))
    assert parsed.headers["Content-Length"] == "12"


# Limits


def test_spec_023_request_line(impl: ModuleType) -> None:
    """SPEC-023, SEC-22: 8000 octets fit; the limit and one more."""
    line = b"GET /" + b"a" * 7986 + b" HTTP/1.1"
    assert len(line) == 8000
    assert request(impl, head(start=line))[0].path == line[4:-9].decode()
    data = b"GET /" + b"a" * 86 + b" HTTP/1.1\r\n\r\n"
    parsed, _ = every_cut(impl, request, data, max_request_line=100)
    assert len(parsed.path) == 87
    kind, text = every_cut(impl, request, data, max_request_line=99)
    assert (kind, text) == ("RequestLineTooLong", "request line exceeds 99 bytes")


def test_spec_023_header_line(impl: ModuleType) -> None:
    """SPEC-023, SEC-22."""
    data = head(b"Host: a", b"X: " + b"a" * 97)
    assert every_cut(impl, request, data, max_header_line=100)[0].headers["X"]
    kind, text = every_cut(impl, request, data, max_header_line=99)
    assert (kind, text) == ("HeaderLineTooLong", "header line exceeds 99 bytes")


def test_spec_023_number_of_headers(impl: ModuleType) -> None:
    """SPEC-023, SEC-22."""
    data = head(*[b"X: a"] * 10)
    assert len(every_cut(impl, request, data, max_headers=10)[0].headers) == 1
    kind, text = every_cut(impl, request, data, max_headers=9)
    assert (kind, text) == ("TooManyHeaders", "message has more than 9 headers")


def test_spec_023_size_of_head(impl: ModuleType) -> None:
    """SPEC-023, SEC-22: the sum of all lines."""
    data = head(*[b"X: " + b"a" * 17] * 10)
    size = 14 + 10 * 20
    assert every_cut(impl, request, data, max_head_size=size)[0].path == "/"
    kind, text = every_cut(impl, request, data, max_head_size=size - 1)
    assert (kind, text) == ("TooManyHeaders", f"message head exceeds {size - 1} bytes")
    kind, _ = every_cut(impl, request, data, max_head_size=10)
    assert kind == "TooManyHeaders"


def test_spec_023_defaults(impl: ModuleType) -> None:
    """SPEC-023, SEC-22: there are limits by default."""
    start = b"GET / HTTP/1.1\r\n"
    assert request(impl, b"GET /" + b"a" * 8188)[0] == "RequestLineTooLong"
    assert request(impl, start + b"X: " + b"a" * 8190)[0] == "HeaderLineTooLong"
    assert request(impl, start + b"X: a\r\n" * 129)[0] == "TooManyHeaders"
    lines = b"X: %b\r\n" % (b"a" * 8189) * 8
    assert request(impl, start + lines)[0] == "TooManyHeaders"


@pytest.mark.parametrize(
    "data", [b"GET /" + b"a" * 96, b"GET / HTTP/1.1\r\n" + b"x" * 101]
)
def test_sec_22_refused_at_the_first_byte_too_many(
    impl: ModuleType, data: bytes
) -> None:
    """SEC-22: before the line is complete."""
    parser = impl.http11.RequestParser(100, 100)
    assert parser.feed(data[:-1]) is None
    with pytest.raises(impl.exceptions.SecurityError):
        parser.feed(data[-1:])


def test_sec_22_a_carriage_return_may_still_be_a_line_end(impl: ModuleType) -> None:
    """SEC-22: the limit is for what stands before CRLF."""
    line = b"GET /" + b"a" * 86 + b" HTTP/1.1"
    for end in (b"\r\n\r\n", b"\n\r\n", b"\r\r\n\r\n", b"\r", b"a\r\n\r\n"):
        every_cut(impl, request, line + end, max_request_line=100)


def test_sec_23_byte_by_byte_is_linear(impl: ModuleType) -> None:
    """SEC-23: 60,000 bytes in single bytes, in a few reads, and as endless lines."""
    data = head(*[b"X: " + b"a" * 500] * 120)
    assert request(impl, data, 1) == request(impl, data)
    limits = {"max_request_line": 10**6, "max_head_size": 10**7}
    kind, _ = request(impl, b"a" * 300_000, 1, **limits)
    assert kind == "InvalidMessage"


@pytest.mark.parametrize("size", [0, 1, 5, 16, 40, len(REQUEST) - 1])
def test_end_of_stream_in_a_request(impl: ModuleType, size: int) -> None:
    kind, text = every_cut(impl, request, REQUEST[:size])
    where = "inside" if size else "before"
    assert (kind, text) == ("InvalidMessage", f"stream ended {where} the request")


def test_end_of_stream_after_an_empty_line(impl: ModuleType) -> None:
    _, text = every_cut(impl, request, b"\r\n")
    assert text == "stream ended inside the request"


ALPHABET = [
    *(b"GET / HTTP/1.1\r\n", b"GET ", b"/", b" HTTP/1.1", b"\r\n", b"\r", b"\n"),
    *(b"Host: a\r\n", b"Upgrade: websocket\r\n", b"X: y", b":", b" ", b"\t", b"\0"),
    *(b"Content-Length: 0\r\n", b"\x80", b"a", b"\r\n\r\n", b"ws://h/", b"A" * 40),
]
MESSAGES = st.lists(st.sampled_from(ALPHABET), max_size=12).map(b"".join)


@given(data=MESSAGES, cut=st.integers(1, 9))
def test_spec_029_any_split_gives_the_same_request(data: bytes, cut: int) -> None:
    """SPEC-029, SEC-25."""
    for impl in FORMS.values():
        limits = {"max_request_line": 60, "max_header_line": 50, "max_headers": 3}
        one = request(impl, data, **limits, max_head_size=100)
        assert one == request(impl, data, cut, **limits, max_head_size=100)


# Responses


def test_response(impl: ModuleType) -> None:
    parsed, rest = every_cut(impl, response, RESPONSE + b"more")
    assert (parsed.status_code, parsed.reason_phrase) == (200, "OK")
    assert parsed.headers["Server"] == "x"
    assert (parsed.body, rest) == (b"hello", b"more")


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (b"HTTP/1.1 204 No Content", 204, "No Content"),
        (b"HTTP/1.1 204 ", 204, ""),
        (b"HTTP/1.1 204", 204, ""),
        (b"HTTP/1.0 204 \xe9\t~", 204, "é\t~"),
        (b"HTTP/1.1 304 Not Modified", 304, "Not Modified"),
    ],
)
def test_status_line(impl: ModuleType, line: bytes, code: int, reason: str) -> None:
    parsed, rest = every_cut(impl, response, head(b"X: y", start=line) + b"rest")
    assert (parsed.status_code, parsed.reason_phrase) == (code, reason)
    assert rest == b"rest"


@pytest.mark.parametrize(
    "line",
    [
        *(b"HTTP/1.1", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000", b"HTTP/2.0 200 OK", b"x"),
        *(b"HTTP/1.1 099 x", b"HTTP/1.1  200", b"http/1.1 200 OK", b"HTTP/1.1 2\x00"),
        *(b"HTTP/1.1 200OK", b"HTTP/1.0 101 Switching", b"HTTP/1.1 \xb2\xb2\xb2 x"),
    ],
)
def test_malformed_status_line(impl: ModuleType, line: bytes) -> None:
    kind, text = every_cut(impl, response, head(b"X: y", start=line))
    assert kind == "InvalidMessage"
    assert text.isprintable()


def test_status_line_too_long(impl: ModuleType) -> None:
    data = head(start=b"HTTP/1.1 200 " + b"a" * 87)
    assert every_cut(impl, response, data, max_status_line=100)[0].status_code == 200
    kind, text = every_cut(impl, response, data, max_status_line=99)
    assert (kind, text) == ("StatusLineTooLong", "status line exceeds 99 bytes")


def test_response_head_follows_the_same_rules(impl: ModuleType) -> None:
    for line in (b"X : y", b" X: y", b"X", b"X: \0", b"Content-Length: +1"):
        kind, _ = every_cut(impl, response, head(line, start=b"HTTP/1.1 200 OK"))
        assert kind in {"InvalidMessage", "InvalidHeaderValue"}


def test_spec_048_bytes_behind_the_upgrade_are_kept(impl: ModuleType) -> None:
    """SPEC-048, SPEC-034: 101 has no body, whatever it says."""
    start = b"HTTP/1.1 101 Switching Protocols"
    data = head(b"Content-Length: 3", b"Transfer-Encoding: chunked", start=start)
    parsed, rest = every_cut(impl, response, data + b"\x81\x00")
    assert (parsed.status_code, parsed.body, rest) == (101, b"", b"\x81\x00")


def test_spec_049_interim_responses_are_passed_over(impl: ModuleType) -> None:
    """SPEC-049: up to a limit."""
    interim = head(start=b"HTTP/1.1 100 Continue") + head(
        b"Link: x", start=b"HTTP/1.1 103 Early Hints"
    )
    parsed, _ = every_cut(impl, response, interim * 5 + RESPONSE)
    assert (parsed.status_code, len(parsed.headers)) == (200, 2)
    kind, text = every_cut(impl, response, interim * 6 + RESPONSE)
    assert (kind, text) == ("SecurityError", "too many interim responses")


START = b"HTTP/1.1 403 Forbidden"


def test_body_until_the_end_of_the_stream(impl: ModuleType) -> None:
    data = head(start=START)
    parsed, rest = every_cut(impl, response, data + b"hello")
    assert (parsed.body, rest) == (b"hello", b"")
    assert every_cut(impl, response, data)[0].body == b""


def test_body_over_the_limit(impl: ModuleType) -> None:
    """At its announced length if there is one."""
    for data, announced in [
        (head(start=START) + b"a" * 10, False),
        (head(b"Content-Length: 10", start=START), True),
        (head(b"Transfer-Encoding: chunked", start=START) + b"A\r\n", True),
    ]:
        body = b"a" * 10 if announced else b""
        kind, text = every_cut(impl, response, data + body, max_body=9)
        assert (kind, text) == ("SecurityError", "body exceeds 9 bytes")
        kind, _ = response(impl, data, max_body=10)
        assert kind != "SecurityError"


@pytest.mark.parametrize("size", [0, 7, 20, len(RESPONSE) - 1])
def test_end_of_stream_in_a_response(impl: ModuleType, size: int) -> None:
    kind, text = every_cut(impl, response, RESPONSE[:size])
    assert kind == "InvalidMessage"
    assert "before the end" in text


CHUNKED = head(b"Transfer-Encoding: Chunked", start=START)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhe\r\no\r\n00a ;x=y\r\n0123456789\r\n0\r\n\r\n", b"he\r\no0123456789"),
        (b"2\r\nhi\r\n000\r\nTrailer: a\r\nMore: b\r\n\r\n", b"hi"),
    ],
)
def test_chunked_body(impl: ModuleType, data: bytes, body: bytes) -> None:
    parsed, rest = every_cut(impl, response, CHUNKED + data + b"rest")
    assert (parsed.body, rest) == (body, b"rest")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\r\n", "malformed chunk size"),
        (b"x\r\n", "malformed chunk size"),
        (b"-1\r\n", "malformed chunk size"),
        (b"0x1\r\n", "malformed chunk size"),
        (b" 1\r\n", "malformed chunk size"),
        (b"1" * 16 + b"\r\n", "malformed chunk size"),
        (b"1\na\r\n", "LF alone"),
        (b"1\r\nab\r\n", "longer than its size"),
        (b"1\r\na\n0\r\n\r\n", "LF alone"),
        (b"1;" + b"a" * 9000, "too long"),
        (b"1\r\na" + b"b" * 9000, "too long"),
        (b"0\r\n" + b"a: b\r\n" * 200, "trailer has more than"),
        (b"5\r\nhell", "before the end"),
    ],
)
def test_malformed_chunks(impl: ModuleType, data: bytes, words: str) -> None:
    _, text = every_cut(impl, response, CHUNKED + data)
    assert words in text


@pytest.mark.parametrize(
    "value", [b"gzip", b"gzip, chunked", b"chunked, chunked", b"x"]
)
def test_spec_025_transfer_encoding(impl: ModuleType, value: bytes) -> None:
    """SPEC-025: any but chunked alone can't be decoded."""
    data = head(b"Transfer-Encoding: " + value, start=START)
    assert every_cut(impl, response, data)[0] == "InvalidHeaderValue"


def test_spec_025_two_kinds_of_length(impl: ModuleType) -> None:
    """SPEC-025."""
    lines = (b"Transfer-Encoding: chunked", b"Content-Length: 5")
    _, text = every_cut(impl, response, head(*lines, start=START))
    assert text == "both Content-Length and Transfer-Encoding"


# Serialising


def test_serialize_request(impl: ModuleType) -> None:
    headers = impl.datastructures.Headers(Host="h")
    data = impl.http11.Request("/x", headers).serialize()
    assert data == b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
    assert request(impl, data)[0] == impl.http11.Request("/x", headers)


def test_serialize_response(impl: ModuleType) -> None:
    headers = impl.datastructures.Headers({"Content-Length": "2"})
    made = impl.http11.Response(404, "é\tx", headers, bytearray(b"hi"))
    data = made.serialize()
    assert data == b"HTTP/1.1 404 \xe9\tx\r\nContent-Length: 2\r\n\r\nhi"
    assert response(impl, data)[0] == made


NASTY = ["a\r\nb", "\r", "\n", "\0", "€"]


@pytest.mark.parametrize("text", NASTY)
def test_sec_32_nothing_splits_a_message(impl: ModuleType, text: str) -> None:
    """SEC-32, SPEC-036: path, method, protocol, reason phrase and headers."""
    headers = impl.datastructures.Headers()
    http = impl.http11
    for made in [
        http.Request(f"/{text}", headers),
        http.Request("/", headers, method=f"GET{text}"),
        http.Request("/", headers, protocol=f"HTTP/1.1{text}"),
        http.Response(200, f"O{text}", headers),
    ]:
        with pytest.raises(ValueError, match=r"not valid|not a token|latin-1"):
            made.serialize()
    headers.set_insecure("X", text)
    for made in [http.Request("/", headers), http.Response(200, "OK", headers)]:
        with pytest.raises(impl.exceptions.InvalidHeaderValue):
            made.serialize()


@pytest.mark.parametrize("path", ["", "/a b", "/é", "/a#b", "/\t"])
def test_path_that_can_not_be_sent(impl: ModuleType, path: str) -> None:
    with pytest.raises(ValueError, match="path is not valid"):
        impl.http11.Request(path, impl.datastructures.Headers()).serialize()


@pytest.mark.parametrize("code", [0, 99, 1000, -200])
def test_status_code_that_can_not_be_sent(impl: ModuleType, code: int) -> None:
    with pytest.raises(ValueError, match="status code is not valid"):
        impl.http11.Response(code, "", impl.datastructures.Headers()).serialize()


# Requests and responses as values


def test_values(impl: ModuleType) -> None:
    headers = impl.datastructures.Headers(a="b")
    one = impl.http11.Request("/", headers)
    assert one == impl.http11.Request("/", impl.datastructures.Headers(A="b"))
    assert one != impl.http11.Request("/", headers, "POST")
    assert one != "/"
    assert repr(one) == (
        "Request(path='/', headers=Headers([('a', 'b')]), method='GET', "
        "protocol='HTTP/1.1')"
    )
    with pytest.raises(TypeError):
        hash(one)
    assert pickle.loads(pickle.dumps(one)) == one


def test_pattern_matching(impl: ModuleType) -> None:
    match impl.http11.Response(404, "Not Found", impl.datastructures.Headers()):
        case impl.http11.Response(code, reason, body=b""):
            assert (code, reason) == (404, "Not Found")
        case _:
            pytest.fail("no match")


def test_dataclass_functions(impl: ModuleType) -> None:
    headers = impl.datastructures.Headers()
    one = impl.http11.Response(404, "Not Found", headers)
    names = [field.name for field in dataclasses.fields(one)]
    assert names == ["status_code", "reason_phrase", "headers", "body"]
    assert dataclasses.fields(type(one)) is not None
    assert dataclasses.is_dataclass(one)
    assert dataclasses.replace(one, body=b"x").body == b"x"
    assert dataclasses.asdict(one)["status_code"] == 404
    assert dataclasses.fields(one)[3].default == b""
    assert dataclasses.fields(one)[0].default is dataclasses.MISSING


def test_base_of_a_dataclass(impl: ModuleType) -> None:
    annotations = {"tag": int}
    body = {"__annotations__": annotations, "tag": 1}
    made: Any = dataclasses.dataclass(type("Tagged", (impl.http11.Request,), body))
    one = made("/", None, tag=2)
    assert (one.path, one.method, one.tag) == ("/", "GET", 2)


def test_fields_of_a_class_without_annotations(impl: ModuleType) -> None:
    """An extension type's constructor has none."""

    class Bare:
        __dataclass_fields__ = impl._dataclass.LazyFields(
            x=impl._dataclass.REQUIRED, y=1
        )

    assert [field.name for field in dataclasses.fields(Bare())] == ["x", "y"]  # type: ignore[arg-type]
    assert {field.type for field in dataclasses.fields(Bare)} == {"object"}  # type: ignore[arg-type]


# The rest


def test_user_agent(impl: ModuleType) -> None:
    pattern = r"Python/3\.\d+ sansocket/\d+\.\d+\.\d+"
    assert re.fullmatch(pattern, impl.http11.USER_AGENT)
    assert impl.http11.SERVER == impl.http11.USER_AGENT


SECONDS = [0, 951_782_399, 951_782_400, 951_868_800, 1_709_164_800, 4_107_542_400]


@pytest.mark.parametrize("second", [*SECONDS, *range(86_399, 10**10, 297_654_321)])
def test_spec_037_date(
    impl: ModuleType, monkeypatch: pytest.MonkeyPatch, second: int
) -> None:
    """SPEC-037: around leap days, ends of centuries, and at many other times."""
    expected = datetime.fromtimestamp(second, timezone.utc)
    monkeypatch.setattr(impl.environment, "wall_clock", lambda: second + 0.9)
    assert impl.http11.http_date() == format_datetime(expected, usegmt=True)
    assert impl.http11.http_date() is impl.http11.http_date()
