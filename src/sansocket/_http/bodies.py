"""Bodies of responses: which responses have one, where it ends, and its contents.

See RFC 9110, section 6.4.1, and RFC 9112, section 6.3. An error in a body, or in its
announced length, never hides the response: the part that was received is kept, with
the error as its ``flaw``.
"""

from __future__ import annotations

import re

from ..exceptions import (
    InvalidHeaderValue,
    InvalidMessage,
    SecurityError,
    TooManyHeaders,
    shown,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..datastructures import Headers
    from ..exceptions import InvalidHandshake

__all__ = ["Body", "choose_body", "has_content", "has_length", "sends_body"]

_SIZE = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(r"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_MAX_CHUNK_LINE = 8192
_MAX_TRAILERS = 128


def has_content(status: int, method: str | None = None) -> bool:
    """Whether a response has a body, possibly empty.

    Args:
        status: status code of the response.
        method: method of the request; ``None`` if it is neither HEAD nor CONNECT.
    """
    return method != "HEAD" and status != 304 and has_length(status, method)


def sends_body(status: int, method: str | None = None) -> bool:
    """Whether a response may be sent with a body that is not empty.

    With 205 it may not (RFC 9110, section 15.3.6), though a recipient must read one.
    The arguments are those of ``has_content()``.
    """
    return status != 205 and has_content(status, method)


def has_length(status: int, method: str | None = None) -> bool:
    """Whether a response may announce the length of a body.

    Some responses without a body may, on behalf of another response (RFC 9110, section
    8.6). In all others, ``Content-Length`` and ``Transfer-Encoding`` must not be sent,
    and have no meaning. The arguments are those of ``has_content()``.
    """
    if method == "CONNECT" and 200 <= status < 300:
        return False
    return status >= 200 and status != 204


def choose_body(status: int, headers: Headers, max_body: int) -> Body:
    """Determine how the body of a response to GET is delimited.

    Args:
        status: status code of the response.
        headers: headers of the response.
        max_body: maximum number of bytes to keep; the rest is cut off.
    """
    if not has_content(status):
        return Body(0)
    encoding = ", ".join(headers.get_all("Transfer-Encoding"))
    lengths = headers.get_all("Content-Length")
    if not encoding and not lengths:
        return _EndlessBody(max_body)
    if not encoding:
        return _sized_body(", ".join(lengths), max_body)
    codings = [coding.strip(" \t").lower() for coding in encoding.split(",")]
    ends = codings.pop() == "chunked" and "chunked" not in codings
    body = (_ChunkedBody if ends else _EndlessBody)(max_body)
    if codings or not ends:  # its contents are not decoded
        body.flaw = InvalidHeaderValue("Transfer-Encoding", encoding)
    elif lengths:
        body.flaw = InvalidMessage("both Content-Length and Transfer-Encoding")
    return body


def _sized_body(value: str, max_body: int) -> Body:
    """Make a body whose length is announced, possibly several times alike."""
    lengths = {length.strip(" \t") for length in value.split(",")}
    length = lengths.pop()
    valid = not lengths and _SIZE.fullmatch(length) is not None
    if valid and int(length) <= max_body:
        return Body(int(length))
    body = _EndlessBody(max_body)
    body.flaw = (
        _body_too_long(max_body)
        if valid
        else InvalidHeaderValue("Content-Length", value)
    )
    return body


class Body:
    """A body of ``size`` bytes.

    Attributes:
        data: the part that has been received.
        rest: the bytes after it.
        flaw: the error in it, or ``None``.
    """

    ends_with_stream = False

    def __init__(self, size: int) -> None:
        self.data = bytearray()
        self.rest = b""
        self.flaw: InvalidHandshake | None = None
        self._size = size

    def feed(self, data: bytes) -> bool:
        """Parse bytes; return whether the body is complete.

        Raises:
            SecurityError: if it exceeds its limit.
            InvalidMessage: if it is malformed.
        """
        missing = self._size - len(self.data)
        self.data += data[:missing]
        self.rest = data[missing:]
        return len(self.data) == self._size


class _EndlessBody(Body):
    """A body that lasts until the end of the stream; ``size`` limits what is kept."""

    ends_with_stream = True

    def feed(self, data: bytes) -> bool:
        room = self._size - len(self.data)
        self.data += data[:room]
        if len(data) > room:
            raise _body_too_long(self._size)
        return False


class _ChunkedBody(Body):
    """A body in chunks (RFC 9112, section 7.1); ``size`` limits what is kept."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._line = bytearray()  # the incomplete line
        self._missing = 0  # bytes of the chunk that are missing
        self._next_line = self._size_line
        self._trailers = 0

    def feed(self, data: bytes) -> bool:
        pos = 0
        while pos < len(data):
            if self._missing:
                piece = data[pos : pos + self._missing]
                room = self._size - len(self.data)
                self.data += piece[:room]
                if len(piece) > room:
                    raise _body_too_long(self._size)
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
