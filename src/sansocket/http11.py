"""HTTP/1.1 requests and responses: parse one, serialise one (RFC 9112).

Only what the opening handshake needs, and strict: what could be read in two ways
is refused. A line ends with CRLF, never with LF alone; no line is folded; no space
stands before a colon; there are no control characters. One empty line is skipped
before a message.

Parsers have a fast way for a head that arrives whole and is beyond doubt, and a
slow way, line by line, for all else. The fast way refuses nothing but a start line:
at any other doubt it leaves the bytes to the slow way. Thus the outcome does not
depend on how the bytes are cut up.
"""

from __future__ import annotations

import re
import sys

from . import _kernels
from ._bodies import Body, choose_body
from ._dataclass import REQUIRED, LazyFields, LazyParams, Value
from ._date import http_date
from .datastructures import (
    Headers,
    _from_wire,
    add_to_index,
    is_field_value,
    is_token,
    read_fields,
    replace_host,
    write_fields,
)
from .exceptions import (
    HeaderLineTooLong,
    InvalidHeaderValue,
    InvalidMessage,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
    shown,
)
from .headers import is_host
from .version import version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

__all__ = [
    "SERVER",
    "USER_AGENT",
    "Request",
    "RequestParser",
    "Response",
    "ResponseParser",
    "http_date",
]

SERVER = USER_AGENT = (
    f"Python/{sys.version_info[0]}.{sys.version_info[1]} sansocket/{version}"
)

_PROTOCOL = re.compile(r"HTTP/[0-9]\.[0-9]")
_TARGET = re.compile(r"[\x21\x22\x24-\x7e]+")  # visible ASCII, no fragment
_ABSOLUTE = re.compile(r"(?:https?|wss?)://([^/?]+)(.*)", re.IGNORECASE)
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (.*))?")
_SIZE = re.compile(r"[0-9]{1,18}")

_MAX_INTERIM = 10  # responses 1xx before the final one


class Request(Value):
    """An HTTP request without a body.

    Args:
        path: target in origin-form: path and query.
        headers: its headers.
        method: its method.
        protocol: version of HTTP.
    """

    __match_args__ = ("path", "headers", "method", "protocol")
    __dataclass_fields__: ClassVar[dict[str, Any]] = LazyFields(  # type: ignore[assignment]
        path=REQUIRED, headers=REQUIRED, method="GET", protocol="HTTP/1.1"
    )
    __dataclass_params__ = LazyParams()

    def __init__(
        self,
        path: str,
        headers: Headers,
        method: str = "GET",
        protocol: str = "HTTP/1.1",
    ) -> None:
        self.path = path
        self.headers = headers
        self.method = method
        self.protocol = protocol

    def serialize(self) -> bytes:
        """The request as it is sent.

        Raises:
            ValueError: a part of the request line is not valid.
            InvalidHeader: a header is not valid.
        """
        if not is_token(self.method):
            raise ValueError(f"method is not a token: {self.method!r}")
        if _TARGET.fullmatch(self.path) is None:
            raise ValueError(f"path is not valid: {self.path!r}")
        if _PROTOCOL.fullmatch(self.protocol) is None:
            raise ValueError(f"protocol is not valid: {self.protocol!r}")
        line = f"{self.method} {self.path} {self.protocol}"
        return write_fields(line, self.headers._list)


class Response(Value):
    """An HTTP response.

    Args:
        status_code: three digits.
        reason_phrase: text for people; may be empty.
        headers: its headers.
        body: its body, decoded.
    """

    __match_args__ = ("status_code", "reason_phrase", "headers", "body")
    __dataclass_fields__: ClassVar[dict[str, Any]] = LazyFields(  # type: ignore[assignment]
        status_code=REQUIRED, reason_phrase=REQUIRED, headers=REQUIRED, body=b""
    )
    __dataclass_params__ = LazyParams()

    def __init__(
        self,
        status_code: int,
        reason_phrase: str,
        headers: Headers,
        body: bytes | bytearray = b"",
    ) -> None:
        self.status_code = status_code
        self.reason_phrase = reason_phrase
        self.headers = headers
        self.body = body

    def serialize(self) -> bytes:
        """The response as it is sent.

        Raises:
            ValueError: the status code or the reason phrase is not valid.
            InvalidHeader: a header is not valid.
        """
        code = int(self.status_code)
        if not 100 <= code <= 999:
            raise ValueError(f"status code is not valid: {self.status_code!r}")
        reason = self.reason_phrase
        plain = reason.isascii() and reason.isprintable()
        if not plain and not is_field_value(reason):
            raise ValueError(f"reason phrase is not valid: {reason!r}")
        head = write_fields(f"HTTP/1.1 {code} {reason}", self.headers._list)
        return head + self.body if self.body else head


# Parsing


class _HeadParser:
    """What requests and responses share: a start line, headers, an empty line.

    Sizes are in bytes and don't count the CRLF of a line.
    """

    def _begin_head(
        self,
        max_start_line: int,
        max_header_line: int,
        max_headers: int,
        max_head_size: int,
    ) -> None:
        self._max_start_line = max_start_line
        self._max_header_line = max_header_line
        self._max_headers = max_headers
        self._max_head_size = max_head_size
        # A head up to this size can't have a line over a limit.
        safe = max_start_line if max_start_line < max_header_line else max_header_line
        self._safe_size = safe if safe < max_head_size else max_head_size
        self.rest = b""  # what came behind the message, once it is complete
        self._start: Any = None  # what the start line was parsed to
        # Line by line only.
        self._slow = False  # a head is under way
        self._started = False  # its start line is complete
        self._skipped = False  # an empty line was skipped before it
        self._buffer = bytearray()

    # What differs

    def _parse_start(self, line: str) -> Any:
        """Parse a start line; it has no control character but HTAB."""
        raise NotImplementedError

    def _start_line_too_long(self, limit: int) -> SecurityError:
        raise NotImplementedError

    # A head that is there as a whole

    def _read_whole(self, data: bytes) -> Headers | None:
        """Read a head that is beyond doubt; None if it isn't."""
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > self._safe_size:
            return None
        lines = _split_lines(data, end)
        if lines is None or len(lines) > self._max_headers + 1 or not lines[0]:
            return None
        start = lines.pop(0)
        headers = read_fields(lines)
        if headers is not None:
            self._start = self._parse_start(start)
            self.rest = data[end + 4 :]
        return headers

    # Line by line

    def _begin(self) -> None:
        self._slow = True
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer that are known to have no LF
        self._started = False
        self._skipped = False
        self._room = self._max_head_size  # bytes that it may still have
        self._pairs: list[tuple[str, str]] = []
        self._index: dict[str, str | list[str]] = {}

    def _read_lines(self, data: bytes) -> Headers | None:
        """Read on; None if the head isn't complete yet."""
        if not self._slow:
            self._begin()
        buffer = self._buffer
        buffer += data
        start = 0
        end = buffer.find(b"\n", self._searched)
        while end >= 0:
            line = bytes(buffer[start:end])
            start = end + 1
            if self._line(line):
                self.rest = bytes(buffer[start:])
                self._slow = False
                return _from_wire(self._pairs, self._index)
            end = buffer.find(b"\n", start)
        del buffer[:start]
        self._searched = len(buffer)
        self._check_size(len(buffer) - buffer.endswith(b"\r"))
        return None

    def _line(self, line: bytes) -> bool:
        """Take a line without its LF. True if it ends the head."""
        size = len(line) - line.endswith(b"\r")
        self._check_size(size)
        if size == len(line):
            raise InvalidMessage("line ends with LF alone")
        self._room -= size
        if _kernels.controls(line, size):
            raise InvalidMessage("control character in a line")
        text = line[:size].decode("latin-1")
        if self._started:
            if not text:
                return True
            self._header_line(text)
        elif text or self._skipped:
            self._start = self._parse_start(text)
            self._started = True
        else:
            self._skipped = True
        return False

    def _check_size(self, size: int) -> None:
        """Refuse a line, which may be incomplete, as soon as it is too long."""
        limit = self._max_header_line if self._started else self._max_start_line
        if size <= limit and size <= self._room:
            return
        if limit > self._room:
            limit = self._max_head_size
            raise TooManyHeaders(f"message head exceeds {limit} bytes")
        if self._started:
            raise HeaderLineTooLong(f"header line exceeds {limit} bytes")
        raise self._start_line_too_long(limit)

    def _header_line(self, line: str) -> None:
        if len(self._pairs) == self._max_headers:
            raise TooManyHeaders(f"message has more than {self._max_headers} headers")
        if line[0] in " \t":
            raise InvalidMessage("header line begins with a space")
        name, colon, value = line.partition(":")
        if not colon:
            raise InvalidMessage(f"header line has no colon: {shown(line)}")
        if not is_token(name):
            raise InvalidMessage(f"header name is not a token: {shown(name)}")
        value = value.strip(" \t")
        key = name.lower()
        add_to_index(self._index, key, value)
        self._pairs.append((name, value))
        if key == "content-length":
            self._check_content_length()

    def _check_content_length(self) -> None:
        """Refuse a length that is not one number (RFC 9112, section 6.3)."""
        value = self._index["content-length"]
        if not isinstance(value, str):
            raise InvalidHeaderValue("Content-Length", ", ".join(value))
        if _SIZE.fullmatch(value) is None:
            raise InvalidHeaderValue("Content-Length", value)


def _split_lines(data: bytes, end: int) -> list[str] | None:
    """Lines of ``data[:end]``; None if there is a control character in any."""
    lines = str(data[:end], "latin-1").split("\r\n")
    # If there are no more CR and LF than that, all of them are in pairs.
    if _kernels.controls(data, end) != 2 * (len(lines) - 1):
        return None
    return lines


def _parse_request_line(line: str) -> tuple[str, str, str, str | None]:
    """Method, path, protocol; and the authority, if the target is absolute."""
    parts = line.split(" ")
    if len(parts) != 3:
        raise InvalidMessage(f"malformed request line: {shown(line)}")
    method, target, protocol = parts
    if method != "GET" and not is_token(method):
        raise InvalidMessage(f"malformed method: {shown(method)}")
    if protocol != "HTTP/1.1" and _PROTOCOL.fullmatch(protocol) is None:
        raise InvalidMessage(f"malformed protocol: {shown(protocol)}")
    if not target.isascii() or "\t" in target or "#" in target:
        raise InvalidMessage(f"malformed request target: {shown(target)}")
    if target.startswith("/"):
        return method, target, protocol, None
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not is_host(match[1]):
        raise InvalidMessage(f"malformed request target: {shown(target)}")
    path: str = match[2]
    return method, path if path.startswith("/") else f"/{path}", protocol, match[1]


class RequestParser(_HeadParser):
    """Parses one request.

    Args:
        max_request_line: largest request line.
        max_header_line: largest header line.
        max_headers: largest number of header lines.
        max_head_size: largest sum of all lines.

    Sizes are in bytes and don't count line ends.
    """

    def __init__(
        self,
        max_request_line: int = 8192,
        max_header_line: int = 8192,
        max_headers: int = 128,
        max_head_size: int = 65536,
    ) -> None:
        self._begin_head(max_request_line, max_header_line, max_headers, max_head_size)

    def _parse_start(self, line: str) -> Any:
        return _parse_request_line(line)

    def _start_line_too_long(self, limit: int) -> SecurityError:
        return RequestLineTooLong(f"request line exceeds {limit} bytes")

    def feed(self, data: bytes) -> Request | None:
        """Take bytes; give the request once its head is complete.

        Then `rest` holds what came behind it. An absolute target is split: its
        authority replaces the value of ``Host``, as RFC 9112, section 3.2.2 wants,
        if there is exactly one.

        Raises:
            RequestLineTooLong, HeaderLineTooLong, TooManyHeaders: over a limit.
            InvalidMessage: not HTTP.
            InvalidHeaderValue: the ``Content-Length`` is not a number.
        """
        headers = None if self._slow else self._read_whole(data)
        if headers is None:
            headers = self._read_lines(data)
            if headers is None:
                return None
        method, path, protocol, authority = self._start
        if authority is not None:
            replace_host(headers, authority)
        return Request(path, headers, method, protocol)

    def feed_eof(self) -> None:
        """Take the end of the stream, inside or before the head.

        Raises:
            InvalidMessage: always.
        """
        if self._buffer or self._started or self._skipped:
            raise InvalidMessage("stream ended inside the request") from EOFError()
        raise InvalidMessage("stream ended before the request") from EOFError()


def _parse_status_line(line: str) -> tuple[int, str]:
    """Status code and reason phrase."""
    match = _STATUS_LINE.fullmatch(line)
    # An upgrade needs HTTP/1.1 (RFC 9110, section 7.8).
    if match is None or (match[1] == "0" and match[2] == "101"):
        raise InvalidMessage(f"malformed status line: {shown(line)}")
    return int(match[2]), match[3] or ""


class ResponseParser(_HeadParser):
    """Parses one final response; interim ones (1xx but 101) are passed over.

    Args:
        max_status_line: largest status line.
        max_header_line: largest header line.
        max_headers: largest number of header lines.
        max_head_size: largest sum of all lines.
        max_body: largest body.
        read_body: ``False`` if the response ends with its head: that to a CONNECT
            (RFC 9112, section 6.3).

    Sizes are in bytes and don't count line ends.
    """

    def __init__(
        self,
        max_status_line: int = 8192,
        max_header_line: int = 8192,
        max_headers: int = 128,
        max_head_size: int = 65536,
        max_body: int = 2**20,
        read_body: bool = True,
    ) -> None:
        self._begin_head(max_status_line, max_header_line, max_headers, max_head_size)
        self._max_body = max_body
        self._read_body = read_body
        self._interim = 0  # how many responses were passed over
        self._headers: Headers | None = None  # once the head is complete
        self._body = Body(0)

    def _parse_start(self, line: str) -> Any:
        return _parse_status_line(line)

    def _start_line_too_long(self, limit: int) -> SecurityError:
        return StatusLineTooLong(f"status line exceeds {limit} bytes")

    def feed(self, data: bytes) -> Response | None:
        """Take bytes; give the response once it is complete.

        Then `rest` holds what came behind it. A body that lasts until the end of
        the stream is complete with `feed_eof`.

        Raises:
            StatusLineTooLong, HeaderLineTooLong, TooManyHeaders: over a limit.
            SecurityError: the body is over its limit, or too many interim responses.
            InvalidMessage: not HTTP.
            InvalidHeaderValue: the ``Content-Length`` is not a number.
        """
        while self._headers is None:
            headers = None if self._slow else self._read_whole(data)
            if headers is None:
                headers = self._read_lines(data)
                if headers is None:
                    return None
            data = self.rest
            self.rest = b""
            self._head_complete(headers)
        if not self._body.feed(data):
            return None
        self.rest = self._body.rest
        return self._response(self._headers)

    def feed_eof(self) -> Response:
        """Take the end of the stream.

        Raises:
            InvalidMessage: the response is not complete.
        """
        if self._headers is not None and self._body.ends_with_stream:
            return self._response(self._headers)
        text = "stream ended before the end of the response"
        raise InvalidMessage(text) from EOFError()

    def _response(self, headers: Headers) -> Response:
        status, reason = self._start
        return Response(status, reason, headers, bytes(self._body.data))

    def _head_complete(self, headers: Headers) -> None:
        status, _ = self._start
        if 100 <= status < 200 and status != 101:
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise SecurityError("too many interim responses")
            return
        self._headers = headers
        if self._read_body:
            self._body = choose_body(status, headers, self._max_body)
