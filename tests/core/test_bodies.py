"""Bodies of responses: where they end, and what they hold."""

from __future__ import annotations

from types import ModuleType

from .http_support import FORBIDDEN, every_cut, flawed, head, response

CHUNKED = head(b"Transfer-Encoding: Chunked", start=FORBIDDEN)


def test_body_of_a_known_length(impl: ModuleType) -> None:
    for length, body in ((b"0", b""), (b"5", b"hello"), (b"005", b"hello")):
        data = head(b"Content-Length: " + length, start=FORBIDDEN) + body
        parsed, rest = every_cut(impl, response, data + b"rest")
        assert (parsed.body, rest) == (body, b"rest"), length


def test_responses_without_a_body(impl: ModuleType) -> None:
    """Whatever length they announce (RFC 9112, section 6.3)."""
    for status in (b"101 x", b"204 x", b"304 x"):
        for lines in (
            [b"Content-Length: 5"],
            [b"Content-Length: 5", b"Content-Length: 6"],
            [b"Content-Length: abc", b"Transfer-Encoding: x"],
        ):
            data = head(*lines, start=b"HTTP/1.1 " + status)
            # An interim response before it has none either.
            data = head(*lines, start=b"HTTP/1.1 103 x") + data
            parsed, rest = every_cut(impl, response, data + b"rest")
            assert (parsed.body, rest) == (b"", b"rest"), (status, lines)


def test_which_responses_have_content(impl: ModuleType) -> None:
    """RFC 9110, sections 6.4.1 and 8.6: by status and by the method of the request."""
    bodies = impl._http.bodies
    for status, method, content, length in (
        *((status, None, False, False) for status in (100, 101, 103, 199, 204)),
        *((status, None, True, True) for status in (200, 205, 299, 404, 599)),
        *((status, "HEAD", False, True) for status in (200, 304, 405)),
        *((status, "HEAD", False, False) for status in (101, 204)),
        *((status, "CONNECT", False, False) for status in (101, 200, 204, 299)),
        *((status, "CONNECT", True, True) for status in (300, 405)),
        (304, None, False, True),
        (405, "head", True, True),
    ):
        assert bodies.has_content(status, method) is content, (status, method)
        assert bodies.has_length(status, method) is length, (status, method)


def test_body_until_the_end_of_the_stream(impl: ModuleType) -> None:
    data = head(start=FORBIDDEN)
    parsed, rest = every_cut(impl, response, data + b"hello")
    assert (parsed.body, rest) == (b"hello", b"")
    assert every_cut(impl, response, data)[0].body == b""


def test_sec_08_body_over_the_limit(impl: ModuleType) -> None:
    """SEC-08: no more is kept, and no more is waited for."""
    for data, end in (
        (head(start=FORBIDDEN), b""),
        (head(b"Content-Length: 10", start=FORBIDDEN), b""),
        (CHUNKED + b"A\r\n", b"\r\n0\r\n\r\n"),
    ):
        whole = data + b"a" * 10 + end
        parsed, *flaw = flawed(impl, whole, max_body=9)
        assert (parsed.status_code, parsed.body) == (403, b"a" * 9), data
        assert flaw == ["SecurityError", "body exceeds 9 bytes"], data
        assert every_cut(impl, response, whole, max_body=10)[0].body == b"a" * 10, data
        parser = impl.http11.ResponseParser(max_body=9)
        assert parser.feed(whole[: len(data) + 10]) == parsed
    announced = head(b"Content-Length: 10", start=FORBIDDEN) + b"abc"
    parsed, *flaw = flawed(impl, announced, max_body=9)
    assert (parsed.body, flaw[0]) == (b"abc", "SecurityError")


def test_sec_08_chunks_over_the_limit(impl: ModuleType) -> None:
    """SEC-08: their sum counts."""
    data = CHUNKED + b"4\r\naaaa\r\n" * 2 + b"0\r\n\r\n"
    assert every_cut(impl, response, data, max_body=8)[0].body == b"a" * 8
    parsed, *flaw = flawed(impl, data, max_body=7)
    assert parsed.body == b"a" * 7
    assert flaw == ["SecurityError", "body exceeds 7 bytes"]


def test_chunked_body(impl: ModuleType) -> None:
    for data, body in (
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhe\r\no\r\n00a ;x=y\r\n0123456789\r\n0\r\n\r\n", b"he\r\no0123456789"),
        (b"1F\r\n" + b"-" * 31 + b"\r\n0\r\n\r\n", b"-" * 31),
        (b"2\r\nhi\r\n000\r\nTrailer: a\r\nMore: b\r\n\r\n", b"hi"),
    ):
        parsed, rest = every_cut(impl, response, CHUNKED + data + b"rest")
        assert (parsed.body, rest) == (body, b"rest"), data


SIZES = (b"", b"x", b"-1", b"0x1", b" 1", b"1 1", b"1" * 16, b"g", b"1_0")


def test_spec_025_size_of_a_chunk(impl: ModuleType) -> None:
    """SPEC-025, SEC-27: up to 15 hexadecimal digits in any case; extensions."""
    digits = [b"%x" % number for number in range(1, 16)]
    digits += [digit.upper() for digit in digits]
    sizes = [*digits, b"0" * 14 + b"a", b"1;", b"1 ;x", b"1\t;x", b"1 \t", b"1;x;\xe9"]
    expected = [int(size.split(b";")[0], 16) for size in sizes]
    chunks = [
        b"%b\r\n%b\r\n" % (size, b"-" * number)
        for size, number in zip(sizes, expected, strict=True)
    ]
    parsed, rest = every_cut(impl, response, CHUNKED + b"".join(chunks) + b"0\r\n\r\n")
    assert (parsed.body, rest) == (b"-" * sum(expected), b"")


def test_sec_27_malformed_chunks(impl: ModuleType) -> None:
    """SEC-27: what could be read in two ways. What came before it is kept."""
    for data, words in (
        *((size + b"\r\n", "malformed chunk size: " + size.decode()) for size in SIZES),
        (b"\xe9\r\n", "malformed chunk size: \\xe9"),
        (b"1\na\r\n", "line ends with LF alone"),
        (b"1\r\nab\r\n", "chunk is longer than its size"),
        (b"1\r\na\n0\r\n\r\n", "line ends with LF alone"),
        (b"5\r\nhell", "stream ended before the end of the response"),
    ):
        parsed, *flaw = flawed(impl, CHUNKED + b"2\r\nab\r\n" + data)
        assert (parsed.status_code, parsed.body[:2]) == (403, b"ab"), data
        assert flaw == ["InvalidMessage", words], data


def test_sec_22_lines_of_a_chunked_body_are_bounded(impl: ModuleType) -> None:
    """SEC-22: each in its size, and the trailer in the number of its lines."""
    for data, words in (
        (b"1;" + b"a" * 8191, "line of a chunked body is too long"),
        (b"1;" + b"a" * 8189 + b"\r\n", "line of a chunked body is too long"),
        (b"1\r\na" + b"b" * 9000, "line of a chunked body is too long"),
        (b"0\r\n" + b"a: b\r\n" * 129, "trailer has more than 128 lines"),
    ):
        _, kind, text = flawed(impl, CHUNKED + data)
        assert text == words, data
        assert kind == ("TooManyHeaders" if b"a: b" in data else "InvalidMessage")
    most = b"1;" + b"a" * 8188 + b"\r\na\r\n0\r\n" + b"a: b\r\n" * 127 + b"\r\n"
    assert response(impl, CHUNKED + most)[0].body == b"a"


UNKNOWN = "Transfer-Encoding header is not acceptable: "


def test_spec_025_transfer_encoding(impl: ModuleType) -> None:
    """SPEC-025: any but chunked alone isn't decoded, and lasts until the end of the
    stream unless chunked is the last one (RFC 9112, section 6.3)."""
    for value, body in (
        *((b"gzip", b"1\r\na\r\n0\r\n\r\n"), (b"GZIP,\tchunked", b"a")),
        *((b"chunked, gzip", b"1\r\na\r\n0\r\n\r\n"), (b"x", b"1\r\na\r\n0\r\n\r\n")),
        (b"chunked, Chunked", b"1\r\na\r\n0\r\n\r\n"),
    ):
        data = head(b"Transfer-Encoding: " + value, start=FORBIDDEN)
        parsed, *flaw = flawed(impl, data + b"1\r\na\r\n0\r\n\r\n")
        shown = impl.exceptions.shown(value.decode())
        assert flaw == ["InvalidHeaderValue", UNKNOWN + shown], value
        assert parsed.body == body, value
    data = head(*[b"Transfer-Encoding: chunked"] * 2, start=FORBIDDEN)
    assert flawed(impl, data)[2] == UNKNOWN + "chunked, chunked"


def test_content_length(impl: ModuleType) -> None:
    """RFC 9112, section 6.3: one number, or the same one several times."""
    for lines in (*([b"3"], [b"003"], [b"3", b"3"], [b"3, 3"], [b"3 ,\t3", b"3"]),):
        data = head(*(b"Content-Length: " + line for line in lines), start=FORBIDDEN)
        parsed, rest = every_cut(impl, response, data + b"abcd")
        assert (parsed.body, rest) == (b"abc", b"d"), lines
    for lines in (
        *([b"abc"], [b"+3"], [b"-3"], [b""], [b"3", b"4"], [b"3, 4"], [b"3,"]),
        *([b"3.0"], [b"0x3"], [b"3 3"], [b"1" * 19], [b"\xb2"], [b"3", b"03"]),
    ):
        data = head(*(b"Content-Length: " + line for line in lines), start=FORBIDDEN)
        parsed, *flaw = flawed(impl, data + b"abcd")
        assert (parsed.status_code, parsed.body) == (403, b"abcd"), lines
        assert flaw[0] == "InvalidHeaderValue", lines


def test_spec_025_two_kinds_of_length(impl: ModuleType) -> None:
    """SPEC-025, SEC-27."""
    lines = (b"Transfer-Encoding: chunked", b"Content-Length: 5")
    data = head(*lines, start=FORBIDDEN)
    for order in (data, head(*reversed(lines), start=FORBIDDEN)):
        parsed, *flaw = flawed(impl, order + b"1\r\na\r\n0\r\n\r\n")
        assert parsed.body == b"a"
        text = "both Content-Length and Transfer-Encoding"
        assert flaw == ["InvalidMessage", text]
