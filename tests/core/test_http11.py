"""Requests, and what all heads of messages share: parsing, bit by bit and at once."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FORMS

from .costs import held
from .http_support import REQUEST, every_cut, head, refusal, request, response
from .table import each


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


def test_spec_029_nothing_follows_an_incomplete_request(impl: ModuleType) -> None:
    """SPEC-029."""
    parser = impl.http11.RequestParser()
    assert parser.rest == b""
    assert parser.feed(REQUEST[:-1]) is None
    assert parser.rest == b""


def test_spec_001_any_method_is_parsed(impl: ModuleType) -> None:
    """SPEC-001: whether it's the right one is decided later."""
    for method in ("GET", "get", "POST", "CONNECT", "x!#$%&'*+-.^_`|~"):
        parsed, _ = every_cut(
            impl, request, head(start=f"{method} / HTTP/1.1".encode())
        )
        assert parsed.method == method


def test_spec_002_any_version_is_parsed(impl: ModuleType) -> None:
    """SPEC-002: whether it's the right one is decided later."""
    for protocol in ("HTTP/1.0", "HTTP/1.1", "HTTP/1.9", "HTTP/2.0"):
        parsed, _ = every_cut(impl, request, head(start=f"GET / {protocol}".encode()))
        assert parsed.protocol == protocol


MALFORMED_REQUEST_LINES = (
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
)


def test_spec_003_malformed_request_line(impl: ModuleType) -> None:
    """SPEC-003, SPEC-015, SEC-27: refused, never repaired."""
    for line in MALFORMED_REQUEST_LINES:
        kind, _ = refusal(impl, request, head(b"Host: a", start=line))
        assert kind == "InvalidMessage", line


@each(
    ("data", "text"),
    [
        (head(start=b"GET /"), "malformed request line: GET /"),
        (head(start=b"G@T / HTTP/1.1"), "malformed method: G@T"),
        (head(start=b"GET / HTTP/x"), "malformed protocol: HTTP/x"),
        (head(start=b"GET /#b HTTP/1.1"), "malformed request target: /#b"),
        (head(start=b"GET a HTTP/1.1"), "malformed request target: a"),
        (head(b"X"), "header line has no colon: X"),
        (head(b"X y: z"), "header name is not a token: X y"),
    ],
)
def test_spec_015_what_is_wrong_is_told(
    impl: ModuleType, data: bytes, text: str
) -> None:
    """SPEC-003, SPEC-015, SPEC-020."""
    assert refusal(impl, request, data) == ("InvalidMessage", text)


def test_spec_003_characters_of_the_target(impl: ModuleType) -> None:
    """SPEC-003, SEC-27: visible ASCII but "#"; the same to read and to write."""
    headers = impl.datastructures.Headers()
    for code in range(256):
        good = 0x21 <= code <= 0x7E and code != 0x23
        line = b"GET /" + bytes([code]) + b" HTTP/1.1"
        assert isinstance(request(impl, head(start=line))[0], str) != good, code
        try:
            data = impl.http11.Request(f"/{chr(code)}", headers).serialize()
        except ValueError:
            assert not good, code
        else:
            assert (data, good) == (head(start=line), True)


def test_spec_002_digits_of_the_version(impl: ModuleType) -> None:
    """SPEC-002: one on each side."""
    headers = impl.datastructures.Headers()
    for digit in "0123456789":
        for protocol in (f"HTTP/{digit}.1", f"HTTP/1.{digit}"):
            data = impl.http11.Request("/", headers, "GET", protocol).serialize()
            assert request(impl, data)[0].protocol == protocol
    for protocol in ("HTTP/10.1", "HTTP/1.10", "HTTP/.1", "HTTP/1.", "HTTP/1x1"):
        with pytest.raises(ValueError, match=r"^protocol is not valid: "):
            impl.http11.Request("/", headers, "GET", protocol).serialize()


def test_spec_003_absolute_target(impl: ModuleType) -> None:
    """SPEC-003, SEC-28: its authority counts, not the header."""
    for target, path, host in (
        ("http://h", "/", "h"),
        ("HTTP://H:80/", "/", "H:80"),
        ("ws://h/a?b=/c", "/a?b=/c", "h"),
        ("wss://h?b", "/?b", "h"),
        ("https://[::1]:9/a", "/a", "[::1]:9"),
        ("HTTPS://h/", "/", "h"),
        ("Wss://h//", "//", "h"),
    ):
        data = f"GET {target} HTTP/1.1\r\nA: 1\r\nhoST: other\r\nB: 2\r\n\r\n".encode()
        parsed, _ = every_cut(impl, request, data)
        assert parsed.path == path, target
        pairs = [("A", "1"), ("hoST", host), ("B", "2")]
        assert list(parsed.headers.raw_items()) == pairs, target
        assert parsed.headers["Host"] == host, target


def test_spec_004_absolute_target_does_not_mend_host(impl: ModuleType) -> None:
    """SPEC-004: a missing or repeated header is left for the handshake to see."""
    for lines in ((), (b"Host: a", b"Host: b")):
        data = head(*lines, start=b"GET ws://h/ HTTP/1.1")
        parsed, _ = every_cut(impl, request, data)
        assert len(parsed.headers.get_all("Host")) == len(lines)


# The message itself


def test_spec_017_line_feed_alone(impl: ModuleType) -> None:
    """SPEC-017, SEC-27: choice a."""
    for data in (
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\n\n",
        b"\nGET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nB: b\n\r\r\n\r\n",
    ):
        assert refusal(impl, request, data)[1] == "line ends with LF alone", data


def test_spec_017_carriage_return_alone(impl: ModuleType) -> None:
    """SPEC-017, SPEC-021, SEC-27: never a line end, never dropped."""
    for data in (
        b"GET / HTTP/1.1\rHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\rB: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        b"GET / HTTP/1.1\r\n\rHost: a\r\n\r\n",
    ):
        kind, text = refusal(impl, request, data)
        assert (kind, text) == ("InvalidMessage", "control character in a line"), data


def test_spec_017_line_feed_is_refused_when_seen(impl: ModuleType) -> None:
    """SPEC-017."""
    parser = impl.http11.RequestParser()
    with pytest.raises(impl.exceptions.InvalidMessage):
        parser.feed(b"GET / HTTP/1.1\n")


def test_spec_018_one_empty_line_is_skipped(impl: ModuleType) -> None:
    """SPEC-018: choice b."""
    assert every_cut(impl, request, b"\r\n" + REQUEST) == request(impl, REQUEST)
    kind, _ = refusal(impl, request, b"\r\n\r\n" + REQUEST)
    assert kind == "InvalidMessage"


def test_spec_019_space_before_the_first_header(impl: ModuleType) -> None:
    """SPEC-019, SEC-27."""
    for lines in ((b" Host: a",), (b"\tHost: a",), (b" ", b"Host: a"), (b"\t",)):
        found = refusal(impl, request, head(*lines))
        assert found == ("InvalidMessage", "header line begins with a space"), lines


def test_spec_022_folded_lines(impl: ModuleType) -> None:
    """SPEC-022, SEC-27: choice c."""
    for folded in (b" b", b"\tb: c", b" ", b"\t"):
        found = refusal(impl, request, head(b"Host: a", folded))
        assert found == ("InvalidMessage", "header line begins with a space"), folded


def test_spec_020_malformed_names(impl: ModuleType) -> None:
    """SPEC-020, SEC-27."""
    for line in (
        *(b"Host : a", b"Host\t: a", b": a", b"Host", b"a b: c", b"(x): y", b"\xe9: y"),
        *(b"Host\x00: a", b"X-\x1f: a", b"Upgrade", b'"a": b', b"a,b: c", b"a/b: c"),
    ):
        kind, _ = refusal(impl, request, head(b"Host: a", line))
        assert kind == "InvalidMessage", line


def test_spec_021_control_characters(impl: ModuleType) -> None:
    """SPEC-021, SEC-27: all but HTAB, in every part of a line."""
    for code in [*range(0x20), 0x7F]:
        if code == 0x09:
            continue
        char = bytes([code])
        for line in (b"X: a" + char + b"b", b"X: " + char, b"X" + char + b": a"):
            data = head(b"Host: a", line)
            kind, _ = request(impl, data)
            assert kind == "InvalidMessage", data
            assert request(impl, data, 1)[0] == kind, data


def test_spec_021_number_of_control_characters(impl: ModuleType) -> None:
    """SPEC-021, SEC-27: they are counted, so however many there are."""
    for count in range(1, 9):
        for lines in ((b"X: " + b"\0" * count,), (b"X: " + b"\n" * count,)):
            assert refusal(impl, request, head(*lines))[0] == "InvalidMessage", lines


def test_spec_021_values_are_opaque_and_stripped(impl: ModuleType) -> None:
    """SPEC-021: SP and HTAB around a value don't count; 0x80-0xFF do."""
    data = b"\x80\x85\xa0\xe9\xff"
    lines = (b"X: \t" + data + b"\t a  ", b"Y:\t ", b"Z: \xa0X:y\x85 ", b"W: X:X")
    parsed, _ = every_cut(impl, request, head(*lines))
    assert parsed.headers["X"] == data.decode("latin-1") + "\t a"
    assert parsed.headers["Y"] == ""
    assert parsed.headers["Z"] == "\xa0X:y\x85"
    assert parsed.headers["W"] == "X:X"


def test_spec_028_repeated_headers(impl: ModuleType) -> None:
    """SPEC-028: order is kept."""
    lines = (b"Upgrade: websocket", b"upgrade: b", b"Via: x", b"UPGRADE: c")
    parsed, _ = every_cut(impl, request, head(*lines))
    assert parsed.headers.get_all("Upgrade") == ["websocket", "b", "c"]


def test_spec_024_invalid_content_length(impl: ModuleType) -> None:
    """SPEC-024, SEC-26, SEC-27."""
    for values in (
        *((b"+5",), (b"-1",), (b"0x5",), (b"",), (b"5 5",), (b"5,5",), (b"a",)),
        *((b"5", b"5"), (b"5", b"6"), (b"\xb2",), (b"1" * 19,), (b"1_0",), (b"1.0",)),
    ):
        lines = [b"Content-Length: " + value for value in values]
        kind, text = refusal(impl, request, head(b"Host: a", *lines))
        assert kind == "InvalidHeaderValue", values
        shown = impl.exceptions.shown(b", ".join(values).decode("latin-1"))
        end = f"not acceptable: {shown}" if shown else "empty"
        assert text == f"Content-Length header is {end}", values


def test_spec_024_valid_content_length(impl: ModuleType) -> None:
    """SPEC-024: whether there may be a body is decided later."""
    for value in ("12", "0", "000", "1234567890", "9" * 18):
        data = head(b"content-length: " + value.encode())
        parsed, _ = every_cut(impl, request, data)
        assert parsed.headers["Content-Length"] == value


# Limits


def test_spec_023_request_line(impl: ModuleType) -> None:
    """SPEC-023, SEC-22: 8000 octets fit; the limit and one more."""
    line = b"GET /" + b"a" * 7986 + b" HTTP/1.1"
    assert len(line) == 8000
    assert request(impl, head(start=line))[0].path == line[4:-9].decode()
    data = b"GET /" + b"a" * 86 + b" HTTP/1.1\r\n\r\n"
    parsed, _ = every_cut(impl, request, data, max_request_line=100)
    assert len(parsed.path) == 87
    found = refusal(impl, request, data, max_request_line=99)
    assert found == ("RequestLineTooLong", "request line exceeds 99 bytes")


def test_spec_023_header_line(impl: ModuleType) -> None:
    """SPEC-023, SEC-22."""
    data = head(b"Host: a", b"X: " + b"a" * 97)
    assert every_cut(impl, request, data, max_header_line=100)[0].headers["X"]
    found = refusal(impl, request, data, max_header_line=99)
    assert found == ("HeaderLineTooLong", "header line exceeds 99 bytes")


def test_spec_023_number_of_headers(impl: ModuleType) -> None:
    """SPEC-023, SEC-22."""
    data = head(*[b"X: a"] * 10)
    assert len(every_cut(impl, request, data, max_headers=10)[0].headers) == 1
    found = refusal(impl, request, data, max_headers=9)
    assert found == ("TooManyHeaders", "message has more than 9 headers")


def test_spec_023_size_of_head(impl: ModuleType) -> None:
    """SPEC-023, SEC-22: the sum of all lines."""
    data = head(*[b"X: " + b"a" * 17] * 10)
    size = 14 + 10 * 20
    assert every_cut(impl, request, data, max_head_size=size)[0].path == "/"
    found = refusal(impl, request, data, max_head_size=size - 1)
    assert found == ("TooManyHeaders", f"message head exceeds {size - 1} bytes")
    kind, _ = refusal(impl, request, data, max_head_size=10)
    assert kind == "TooManyHeaders"
    # Where both limits are the same, that of the line is named.
    limits = {"max_request_line": 10, "max_head_size": 10}
    assert refusal(impl, request, data, **limits)[0] == "RequestLineTooLong"


def test_spec_023_defaults(impl: ModuleType) -> None:
    """SPEC-023, SEC-22: there are limits by default."""
    start = b"GET / HTTP/1.1\r\n"
    assert request(impl, b"GET /" + b"a" * 8188)[0] == "RequestLineTooLong"
    line = b"GET /" + b"a" * 8178 + b" HTTP/1.1"  # of 8192 bytes
    assert len(request(impl, head(start=line))[0].path) == 8179
    assert request(impl, start + b"X: " + b"a" * 8190)[0] == "HeaderLineTooLong"
    assert request(impl, head(b"X: " + b"a" * 8189))[0].path == "/"
    assert request(impl, start + b"X: a\r\n" * 129)[0] == "TooManyHeaders"
    assert request(impl, head(*[b"X: a"] * 128))[0].path == "/"
    for parse, first in ((request, start), (response, b"HTTP/1.1 204 x\r\n")):
        most = first + b"X: %b\r\n" % (b"a" * 8189) * 7
        for size, fits in ((8178, True), (8179, False)):  # 65,536 bytes in all
            found, _ = parse(impl, most + b"X: %b\r\n\r\n" % (b"a" * (size - 3)))
            assert (found != "TooManyHeaders") == fits


def test_sec_22_refused_at_the_first_byte_too_many(impl: ModuleType) -> None:
    """SEC-22, SEC-24: before the line is complete."""
    for data in (b"GET /" + b"a" * 96, b"GET / HTTP/1.1\r\n" + b"x" * 101):
        parser = impl.http11.RequestParser(100, 100)
        assert parser.feed(data[:-1]) is None
        with pytest.raises(impl.exceptions.SecurityError):
            parser.feed(data[-1:])


def test_sec_22_a_carriage_return_may_still_be_a_line_end(impl: ModuleType) -> None:
    """SEC-22: the limit is for what stands before CRLF."""
    line = b"GET /" + b"a" * 86 + b" HTTP/1.1"
    for end, kind in (
        (b"\r\n\r\n", "Request"),
        (b"\r", "InvalidMessage"),
        (b"\n\r\n", "InvalidMessage"),
        (b"\r\r\n\r\n", "RequestLineTooLong"),
        (b"a\r\n\r\n", "RequestLineTooLong"),
    ):
        found, _ = every_cut(impl, request, line + end, max_request_line=100)
        name = found if isinstance(found, str) else type(found).__name__
        assert name == kind, end


def test_sec_23_byte_by_byte_gives_the_same(impl: ModuleType) -> None:
    """SEC-23: a head near the limits, in single bytes."""
    data = head(*[b"X: " + b"a" * 150] * 120)
    assert request(impl, data, 1) == request(impl, data)


def test_sec_23_a_byte_costs_no_copy_of_what_waits(impl: ModuleType) -> None:
    """SEC-05, SEC-23, SEC-24: what waits is kept in place."""
    parser = impl.http11.RequestParser(10**9, 10**9, 10**9, 10**9)
    parser.feed(b"GET /" + b"a" * 1_000_000)
    parser.feed(b"a")  # growing the buffer may copy it, once in a long while
    results: list[object] = []
    _, peak = held(lambda: results.extend(parser.feed(b"a") for _ in range(100)))
    assert results == [None] * 100
    assert peak < 10_000


def test_end_of_stream_in_a_request(impl: ModuleType) -> None:
    for size in (0, 1, 5, 16, 40, len(REQUEST) - 1):
        where = "inside" if size else "before"
        found = refusal(impl, request, REQUEST[:size])
        assert found == ("InvalidMessage", f"stream ended {where} the request"), size
    _, text = refusal(impl, request, b"\r\n")
    assert text == "stream ended inside the request"


ALPHABET = [
    *(b"GET / HTTP/1.1\r\n", b"GET ", b"/", b" HTTP/1.1", b"\r\n", b"\r", b"\n"),
    *(b"Host: a\r\n", b"Upgrade: websocket\r\n", b"X: y", b":", b" ", b"\t", b"\0"),
    *(b"Content-Length: 0\r\n", b"\x80", b"a", b"\r\n\r\n", b"ws://h/", b"A" * 40),
]
MESSAGES = st.lists(st.sampled_from(ALPHABET), max_size=12).map(b"".join)


@settings(max_examples=25)
@given(start=st.sampled_from([b"", b"GET / HTTP/1.1\r\n"]), data=MESSAGES)
def test_spec_029_any_split_gives_the_same_request(start: bytes, data: bytes) -> None:
    """SPEC-029, SEC-25."""
    limits = {"max_request_line": 60, "max_header_line": 50, "max_headers": 3}
    for impl in FORMS.values():
        every_cut(impl, request, start + data, **limits, max_head_size=100)


def test_user_agent(impl: ModuleType) -> None:
    minor = sys.version_info.minor
    pattern = rf"Python/3\.{minor} sansocket/\d+\.\d+\.\d+"
    assert re.fullmatch(pattern, impl.http11.USER_AGENT)
    assert impl.http11.SERVER == impl.http11.USER_AGENT
