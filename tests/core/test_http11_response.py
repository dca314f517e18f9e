"""Responses; and both kinds of messages as they are sent, and as values."""

from __future__ import annotations

import dataclasses
import pickle
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FORMS

from .http_support import (
    RESPONSE,
    every_cut,
    flawed,
    head,
    refusal,
    request,
    response,
)

NOTHING = b"HTTP/1.1 204 No Content"

# Parsing


def test_response(impl: ModuleType) -> None:
    parsed, rest = every_cut(impl, response, RESPONSE + b"more")
    assert (parsed.status_code, parsed.reason_phrase) == (200, "OK")
    assert parsed.headers["Server"] == "x"
    assert (parsed.body, rest) == (b"hello", b"more")


def test_status_line(impl: ModuleType) -> None:
    for line, code, reason in (
        (b"HTTP/1.1 204 No Content", 204, "No Content"),
        (b"HTTP/1.1 204 ", 204, ""),
        (b"HTTP/1.1 204", 204, ""),
        (b"HTTP/1.0 204 \xe9\t~", 204, "é\t~"),
        (b"HTTP/1.1 304 Not Modified", 304, "Not Modified"),
        (b"HTTP/1.1 204  x ", 204, " x "),
    ):
        data = head(b"X: y", start=line) + b"rest"
        parsed, rest = every_cut(impl, response, data)
        assert (parsed.status_code, parsed.reason_phrase) == (code, reason), line
        assert rest == b"rest", line


def test_each_status_code(impl: ModuleType) -> None:
    """SPEC-049: three digits; the first is no 0."""
    for code in range(1000):
        found, _ = response(impl, b"HTTP/1.1 %03d x\r\n\r\n" % code)
        if code < 200 and code != 101:  # not valid, or the final one is missing
            assert found == "InvalidMessage"
        else:
            assert found.status_code == code


def test_malformed_status_line(impl: ModuleType) -> None:
    """SPEC-002, SPEC-049: what is no HTTP/1.x; and 101 needs HTTP/1.1."""
    for line in (
        *(b"HTTP/1.1", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000", b"HTTP/2.0 200 OK", b"x"),
        *(b"HTTP/1.1 099 x", b"HTTP/1.1  200", b"http/1.1 200 OK", b"HTTP/1.1 2\x00"),
        *(b"HTTP/1x1 200 OK", b"HTTP/1.2 200 OK", b"HTTP/1.1 200OK"),
        *(b"HTTP/1.1 200\t", b"HTTP/1.0 101 Switching", b"HTTP/1.1 \xb2\xb2\xb2 x"),
    ):
        kind, text = refusal(impl, response, head(b"X: y", start=line))
        assert kind == "InvalidMessage", line
        if b"\0" not in line:
            shown = impl.exceptions.shown(line.decode("latin-1"))
            assert text == f"malformed status line: {shown}"


def test_sec_22_status_line_too_long(impl: ModuleType) -> None:
    """SEC-22."""
    data = head(start=b"HTTP/1.1 200 " + b"a" * 87)
    assert every_cut(impl, response, data, max_status_line=100)[0].status_code == 200
    found = refusal(impl, response, data, max_status_line=99)
    assert found == ("StatusLineTooLong", "status line exceeds 99 bytes")


def test_sec_22_defaults(impl: ModuleType) -> None:
    """SEC-22: of the status line, a header line, and the number of headers."""
    for size, fits in ((8192, True), (8193, False)):
        line = b"HTTP/1.1 204 " + b"a" * (size - 13)
        found, _ = response(impl, head(start=line))
        assert (found != "StatusLineTooLong") == fits
        found, _ = response(impl, head(b"X: " + b"a" * (size - 3), start=NOTHING))
        assert (found != "HeaderLineTooLong") == fits
    for count, fits in ((128, True), (129, False)):
        found, _ = response(impl, head(*[b"X: a"] * count, start=NOTHING))
        assert (found != "TooManyHeaders") == fits
    for size, kind in ((2**20, "InvalidMessage"), (2**20 + 1, "SecurityError")):
        data = head(b"Content-Length: %d" % size, start=b"HTTP/1.1 200 OK")
        assert flawed(impl, data)[1] == kind  # of the first, nothing came


def test_sec_27_response_head_follows_the_same_rules(impl: ModuleType) -> None:
    """SPEC-017, SPEC-019, SPEC-021, SEC-27."""
    for line in (b"X : y", b" X: y", b"X", b"X: \0", b"X: a\rb", b"X: a\nY: b"):
        kind, _ = refusal(impl, response, head(line, start=b"HTTP/1.1 200 OK"))
        assert kind == "InvalidMessage", line


def test_folded_lines_are_unfolded(impl: ModuleType) -> None:
    """RFC 9112, section 5.2: each fold counts as a space."""
    for lines, expected in (
        ([b"X: a", b" b"], [("X", "a b")]),
        ([b"X: a \t", b"\t  b\t", b" c"], [("X", "a b c")]),
        ([b"X:", b" b"], [("X", "b")]),
        ([b"X: a", b" ", b"Y: b"], [("X", "a"), ("Y", "b")]),
        ([b"X: a", b" Y: b", b"Z: c"], [("X", "a Y: b"), ("Z", "c")]),
        ([b"X: a", b" b", b"X: c", b" d"], [("X", "a b"), ("X", "c d")]),
        ([b"X: a", b"X: c", b" d", b"x: e"], [("X", "a"), ("X", "c d"), ("x", "e")]),
        ([b"Content-Length:", b" 3"], [("Content-Length", "3")]),
    ):
        data = head(*lines, b"Z: z", start=b"HTTP/1.1 403 x")
        parsed, rest = every_cut(impl, response, data + b"abc")
        pairs = list(parsed.headers.raw_items())
        assert pairs == [*expected, ("Z", "z")], lines
        for name in {name for name, _ in pairs}:
            values = [value for key, value in pairs if key.lower() == name.lower()]
            assert parsed.headers.get_all(name) == values, lines
        assert (parsed.body, rest) == (b"abc", b"")


def test_sec_22_folded_lines_count_together(impl: ModuleType) -> None:
    """SEC-22: as one header line, and in the head as a whole."""
    start = b"HTTP/1.1 204 x"
    for folds, fits in ((1, True), (2, False)):
        lines = [b"X: aaaaa", *[b" bbb"] * folds, b"Y: b"]
        data = head(*lines, start=start)
        if fits:
            every_cut(impl, response, data, max_header_line=12)
        else:
            kind, text = refusal(impl, response, data, max_header_line=12)
            assert (kind, text) == (
                "HeaderLineTooLong",
                "header line exceeds 12 bytes",
            )
    endless = head(b"X:", start=start)[:-2] + b" \r\n" * 100_000
    for limits, kind in (
        ({}, "HeaderLineTooLong"),
        ({"max_header_line": 10**9}, "TooManyHeaders"),
        ({"max_header_line": 10**9, "max_head_size": 10**9}, "InvalidMessage"),
    ):
        assert response(impl, endless, **limits)[0] == kind, limits
    data = head(b"X: a", b" b", b"Y: b", start=start)
    assert refusal(impl, response, data, max_headers=1)[0] == "TooManyHeaders"
    assert response(impl, data, max_headers=2)[0].headers["X"] == "a b"
    data = head(b"X: a", b"\t\0", start=start)
    assert refusal(impl, response, data)[0] == "InvalidMessage"


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
    parser = impl.http11.ResponseParser()
    assert parser.feed(interim + RESPONSE[:-1]) is None
    assert parser.rest == b""
    eleventh = head(start=b"HTTP/1.1 199 x")
    found = refusal(impl, response, interim * 5 + eleventh + RESPONSE)
    assert found == ("SecurityError", "too many interim responses")


def test_end_of_stream_in_a_response(impl: ModuleType) -> None:
    text = "stream ended before the end of the response"
    for size in (0, 7, 20, RESPONSE.index(b"hello") - 1):
        found = refusal(impl, response, RESPONSE[:size])
        assert found == ("InvalidMessage", text), size
    for size in (0, 1, 4):  # the status is not lost
        parsed, *flaw = flawed(impl, RESPONSE[: RESPONSE.index(b"hello") + size])
        assert (parsed.status_code, parsed.body) == (200, b"hello"[:size])
        assert flaw == ["InvalidMessage", text], size


PIECES = [
    *(
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 x\r\n\r\n",
        b"HTTP/1.1 101 x\r\n",
        b"\r\n",
    ),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"X: y\r\n", b"\n"),
    *(b"3\r\nabc\r\n", b"0\r\n", b"abc", b":", b" ", b"\0", b"\r", b"A" * 40),
]


@settings(max_examples=25)
@given(
    start=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n"]),
    data=st.lists(st.sampled_from(PIECES), max_size=9).map(b"".join),
)
def test_spec_029_any_split_gives_the_same_response(start: bytes, data: bytes) -> None:
    """SPEC-029, SEC-25."""
    limits = {"max_status_line": 60, "max_header_line": 50, "max_headers": 3}
    for impl in FORMS.values():
        every_cut(impl, response, start + data, **limits, max_body=10)


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


def test_no_body_where_there_is_none(impl: ModuleType) -> None:
    """RFC 9110, sections 6.4.1, 8.6 and 15.3.6; nothing changes in the object."""
    length, coding = ("Content-Length", "2"), ("transfer-encoding", "chunked")
    for code, method, pairs, lines, body in (
        *((code, None, [length, coding], [], b"") for code in (101, 103, 204)),
        *((code, "HEAD", [length], [], b"") for code in (101, 204)),
        *((code, "CONNECT", [length, coding], [], b"") for code in (200, 205, 299)),
        *((code, "HEAD", [length], [length], b"") for code in (200, 304, 405)),
        (304, None, [length], [length], b""),
        (205, None, [length, coding], [("Content-Length", "0")], b""),
        (205, "HEAD", [], [("Content-Length", "0")], b""),
        (405, "HEAD", [coding], [coding], b""),
        *((code, None, [length], [length], b"hi") for code in (200, 203, 303, 404)),
        (404, "CONNECT", [length], [length], b"hi"),
        (404, "POST", [length], [length], b"hi"),
    ):
        headers = impl.datastructures.Headers([("A", "b"), *pairs])
        made = impl.http11.Response(code, "x", headers, b"hi")
        data = made.serialize(method=method)
        assert data == b"".join(
            [
                b"HTTP/1.1 %d x\r\nA: b\r\n" % code,
                *(f"{name}: {value}\r\n".encode() for name, value in lines),
                b"\r\n" + body,
            ]
        ), (code, method)
        assert list(made.headers.raw_items()) == [("A", "b"), *pairs]
        assert made.body == b"hi"
        if method is None:
            assert made.serialize() == data


def test_sec_32_nothing_splits_a_message(impl: ModuleType) -> None:
    """SEC-32, SPEC-036: path, method, protocol, reason phrase and headers."""
    http = impl.http11
    for text in ("a\r\nb", "\r", "\n", "\0", "€"):
        headers = impl.datastructures.Headers()
        for made in (
            http.Request(f"/{text}", headers),
            http.Request("/", headers, method=f"GET{text}"),
            http.Request("/", headers, protocol=f"HTTP/1.1{text}"),
            http.Response(200, f"O{text}", headers),
        ):
            with pytest.raises(ValueError, match=r"not valid|not a token|latin-1"):
                made.serialize()
        headers.set_insecure("X", text)
        for made in (http.Request("/", headers), http.Response(200, "OK", headers)):
            with pytest.raises(impl.exceptions.InvalidHeaderValue):
                made.serialize()


def test_path_that_can_not_be_sent(impl: ModuleType) -> None:
    for path in ("", "/a b", "/é", "/a#b", "/\t"):
        with pytest.raises(ValueError, match="path is not valid"):
            impl.http11.Request(path, impl.datastructures.Headers()).serialize()


def test_status_code_that_can_not_be_sent(impl: ModuleType) -> None:
    """Three digits can."""
    for code in (100, 999):
        made = impl.http11.Response(code, "", impl.datastructures.Headers())
        assert made.serialize() == b"HTTP/1.1 %d \r\n\r\n" % code
    for code in (0, 99, 1000, -200):
        made = impl.http11.Response(code, "", impl.datastructures.Headers())
        with pytest.raises(ValueError, match="status code is not valid"):
            made.serialize()


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
    assert dataclasses.fields(one)[3].default == one.body == b""
    method, protocol = dataclasses.fields(impl.http11.Request)[2:]
    assert (method.default, protocol.default) == ("GET", "HTTP/1.1")
    assert dataclasses.replace(one, body=b"x").body == b"x"
    assert dataclasses.asdict(one)["status_code"] == 404
