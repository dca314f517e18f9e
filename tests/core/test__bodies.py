"""Bodies of responses: where they end, and what they hold."""

from __future__ import annotations

from types import ModuleType

from .http_support import FORBIDDEN, every_cut, head, refusal, response

CHUNKED = head(b"Transfer-Encoding: Chunked", start=FORBIDDEN)


def test_body_of_a_known_length(impl: ModuleType) -> None:
    for length, body in ((b"0", b""), (b"5", b"hello"), (b"005", b"hello")):
        data = head(b"Content-Length: " + length, start=FORBIDDEN) + body
        parsed, rest = every_cut(impl, response, data + b"rest")
        assert (parsed.body, rest) == (body, b"rest"), length


def test_responses_without_a_body(impl: ModuleType) -> None:
    """Whatever length they announce (RFC 9112, section 6.3)."""
    for status in (b"101 x", b"204 x", b"304 x"):
        data = head(b"Content-Length: 5", start=b"HTTP/1.1 " + status)
        parsed, rest = every_cut(impl, response, data + b"rest")
        assert (parsed.body, rest) == (b"", b"rest"), status


def test_body_until_the_end_of_the_stream(impl: ModuleType) -> None:
    data = head(start=FORBIDDEN)
    parsed, rest = every_cut(impl, response, data + b"hello")
    assert (parsed.body, rest) == (b"hello", b"")
    assert every_cut(impl, response, data)[0].body == b""


def test_sec_08_body_over_the_limit(impl: ModuleType) -> None:
    """SEC-08: refused at its announced length if there is one."""
    for data, announced in (
        (head(start=FORBIDDEN) + b"a" * 10, False),
        (head(b"Content-Length: 10", start=FORBIDDEN), True),
        (CHUNKED + b"A\r\n", True),
    ):
        found = refusal(impl, response, data, max_body=9)
        assert found == ("SecurityError", "body exceeds 9 bytes"), data
        kind, _ = response(impl, data, max_body=10)
        assert kind == "InvalidMessage" if announced else kind.body == b"a" * 10, data


def test_sec_08_chunks_over_the_limit(impl: ModuleType) -> None:
    """SEC-08: their sum counts."""
    data = CHUNKED + b"4\r\naaaa\r\n" * 2 + b"0\r\n\r\n"
    assert every_cut(impl, response, data, max_body=8)[0].body == b"a" * 8
    found = refusal(impl, response, data, max_body=7)
    assert found == ("SecurityError", "body exceeds 7 bytes")


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
    """SEC-27: what could be read in two ways."""
    for data, words in (
        *((size + b"\r\n", "malformed chunk size: " + size.decode()) for size in SIZES),
        (b"\xe9\r\n", "malformed chunk size: \\xe9"),
        (b"1\na\r\n", "line ends with LF alone"),
        (b"1\r\nab\r\n", "chunk is longer than its size"),
        (b"1\r\na\n0\r\n\r\n", "line ends with LF alone"),
        (b"5\r\nhell", "stream ended before the end of the response"),
    ):
        assert refusal(impl, response, CHUNKED + data) == ("InvalidMessage", words)


def test_sec_22_lines_of_a_chunked_body_are_bounded(impl: ModuleType) -> None:
    """SEC-22: each in its size, and the trailer in the number of its lines."""
    for data, words in (
        (b"1;" + b"a" * 8191, "line of a chunked body is too long"),
        (b"1;" + b"a" * 8189 + b"\r\n", "line of a chunked body is too long"),
        (b"1\r\na" + b"b" * 9000, "line of a chunked body is too long"),
        (b"0\r\n" + b"a: b\r\n" * 129, "trailer has more than 128 lines"),
    ):
        _, text = response(impl, CHUNKED + data)
        assert text == words, data
        assert response(impl, CHUNKED + data, 1)[1] == text, data
    most = b"1;" + b"a" * 8188 + b"\r\na\r\n0\r\n" + b"a: b\r\n" * 127 + b"\r\n"
    assert response(impl, CHUNKED + most)[0].body == b"a"


UNKNOWN = "Transfer-Encoding header is not acceptable: "


def test_spec_025_transfer_encoding(impl: ModuleType) -> None:
    """SPEC-025: any but chunked alone can't be decoded."""
    for value in (b"gzip", b"gzip, chunked", b"chunked, chunked", b"x"):
        data = head(b"Transfer-Encoding: " + value, start=FORBIDDEN)
        found = refusal(impl, response, data)
        assert found == ("InvalidHeaderValue", UNKNOWN + value.decode()), value
    data = head(*[b"Transfer-Encoding: chunked"] * 2, start=FORBIDDEN)
    found = refusal(impl, response, data)
    assert found == ("InvalidHeaderValue", UNKNOWN + "chunked, chunked")


def test_spec_025_two_kinds_of_length(impl: ModuleType) -> None:
    """SPEC-025, SEC-27."""
    lines = (b"Transfer-Encoding: chunked", b"Content-Length: 5")
    _, text = refusal(impl, response, head(*lines, start=FORBIDDEN))
    assert text == "both Content-Length and Transfer-Encoding"
