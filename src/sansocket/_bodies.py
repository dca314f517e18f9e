"""Bodies of responses: where they end, and their content (RFC 9112, section 6.3)."""

from __future__ import annotations

import re

from .exceptions import (
    InvalidHeaderValue,
    InvalidMessage,
    SecurityError,
    TooManyHeaders,
    shown,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .datastructures import Headers

__all__ = ["Body", "choose_body"]

_CHUNK_SIZE = re.compile(r"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_MAX_CHUNK_LINE = 8192
_MAX_TRAILERS = 128


def choose_body(status: int, headers: Headers, max_body: int) -> Body:
    """Find how the body of a response is delimited.

    Args:
        status: status code of the response.
        headers: its headers; a ``Content-Length`` must have been checked.
        max_body: largest body, in bytes.

    Raises:
        SecurityError: the body is over the limit.
        InvalidHeaderValue: its transfer coding is not known.
        InvalidMessage: it has two kinds of length.
    """
    if status in {101, 204, 304}:
        return Body(0)
    encoding = ", ".join(headers.get_all("Transfer-Encoding"))
    length = headers.get("Content-Length")
    if encoding:
        if encoding.lower() != "chunked":
            raise InvalidHeaderValue("Transfer-Encoding", encoding)
        if length is not None:
            raise InvalidMessage("both Content-Length and Transfer-Encoding")
        return _ChunkedBody(max_body)
    if length is None:
        return _EndlessBody(max_body)
    if int(length) > max_body:
        raise _body_too_long(max_body)
    return Body(int(length))


class Body:
    """A body of `size` bytes."""

    ends_with_stream = False

    def __init__(self, size: int) -> None:
        self.data = bytearray()
        self.rest = b""  # what came behind the body
        self._size = size

    def feed(self, data: bytes) -> bool:
        """Take bytes. True once the body is complete."""
        missing = self._size - len(self.data)
        self.data += data[:missing]
        self.rest = data[missing:]
        return len(self.data) == self._size


class _EndlessBody(Body):
    """A body of up to `size` bytes that lasts until the end of the stream."""

    ends_with_stream = True

    def feed(self, data: bytes) -> bool:
        if len(data) > self._size - len(self.data):
            raise _body_too_long(self._size)
        self.data += data
        return False


class _ChunkedBody(Body):
    """A body of up to `size` bytes in chunks (RFC 9112, section 7.1)."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._line = bytearray()  # the line under way
        self._missing = 0  # bytes of the chunk still to come
        self._next_line = self._size_line
        self._trailers = 0

    def feed(self, data: bytes) -> bool:
        pos = 0
        while pos < len(data):
            if self._missing:
                piece = data[pos : pos + self._missing]
                self.data += piece
                self._missing -= len(piece)
                pos += len(piece)
                continue
            end = data.find(b"\n", pos) + 1 or len(data)
            self._line += data[pos:end]
            pos = end
            if len(self._line) > _MAX_CHUNK_LINE:
                raise InvalidMessage("line of a chunked body is too long")
            if self._line.endswith(b"\n") and self._line_complete():
                self.rest = data[pos:]
                return True
        return False

    def _line_complete(self) -> bool:
        line = self._line.decode("latin-1")
        self._line.clear()
        if not line.endswith("\r\n"):
            raise InvalidMessage("line ends with LF alone")
        return self._next_line(line[:-2])

    def _size_line(self, line: str) -> bool:
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise InvalidMessage(f"malformed chunk size: {shown(line)}")
        self._missing = int(match[1], 16)
        if self._missing > self._size - len(self.data):
            raise _body_too_long(self._size)
        self._next_line = self._end_of_chunk if self._missing else self._trailer_line
        return False

    def _end_of_chunk(self, line: str) -> bool:
        if line:
            raise InvalidMessage("chunk is longer than its size")
        self._next_line = self._size_line
        return False

    def _trailer_line(self, line: str) -> bool:
        self._trailers += 1
        if self._trailers > _MAX_TRAILERS:
            raise TooManyHeaders(f"trailer has more than {_MAX_TRAILERS} lines")
        return not line


def _body_too_long(limit: int) -> SecurityError:
    return SecurityError(f"body exceeds {limit} bytes")
