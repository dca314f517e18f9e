"""HTTP/1.1 requests and responses: parsing and serializing (RFC 9112).

This covers only the needs of the opening handshake. ``_http.heads`` reads the heads and
explains how strictly. An error in the body of a response, or in its announced length,
does not hide the status (see ``_http.bodies``).
"""

from __future__ import annotations

import re
import sys

from ._base.dataclass import REQUIRED, LazyFields, LazySignature, Value
from ._base.mirrored import names_from_elsewhere
from ._http.bodies import Body, choose_body, has_length, sends_body
from ._http.date import http_date
from ._http.heads import HeadParser
from .datastructures import (
    Headers,
    _index_of,
    _pairs_of,
    is_field_value,
    is_token,
    lines_of,
    replace_host,
    write_fields,
)
from .exceptions import (
    InvalidHandshake,
    InvalidMessage,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
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

_MAX_INTERIM = 10  # responses 1xx before the final one


class Request(Value):
    """An HTTP request without a body.

    Args:
        path: target in origin-form: path and query.
        headers: header fields.
        method: such as ``GET``.
        protocol: version of HTTP, such as ``HTTP/1.1``.
    """

    __match_args__ = ("path", "headers", "method", "protocol")
    __dataclass_fields__: ClassVar[dict[str, Any]] = LazyFields(  # type: ignore[assignment]
        path=REQUIRED, headers=REQUIRED, method="GET", protocol="HTTP/1.1"
    )

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
        """Return the request as bytes to write.

        Raises:
            ValueError: if part of the request line is not valid.
            InvalidHeader: if a header is not valid.
        """
        if not is_token(self.method):
            raise ValueError(f"method is not a token: {self.method!r}")
        if _TARGET.fullmatch(self.path) is None:
            raise ValueError(f"path is not valid: {self.path!r}")
        if _PROTOCOL.fullmatch(self.protocol) is None:
            raise ValueError(f"protocol is not valid: {self.protocol!r}")
        line = f"{self.method} {self.path} {self.protocol}"
        return write_fields(line, _pairs_of(self.headers))


class Response(Value):
    """An HTTP response.

    Args:
        status_code: number of three digits.
        reason_phrase: text for people; may be empty.
        headers: header fields.
        body: decoded body.
    """

    __match_args__ = ("status_code", "reason_phrase", "headers", "body")
    __dataclass_fields__: ClassVar[dict[str, Any]] = LazyFields(  # type: ignore[assignment]
        status_code=REQUIRED, reason_phrase=REQUIRED, headers=REQUIRED, body=b""
    )

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

    def serialize(self, *, method: str | None = None) -> bytes:
        """Return the response as bytes to write.

        The body is left out where there cannot be one (RFC 9110, section 6.4.1), and so
        are the headers for its length where they are forbidden (section 8.6).

        Args:
            method: method of the request; ``None`` if it is neither HEAD nor CONNECT.

        Raises:
            ValueError: if the status code or the reason phrase is not valid.
            InvalidHeader: if a header is not valid.
        """
        code = int(self.status_code)
        if not 100 <= code <= 999:
            raise ValueError(f"status code is not valid: {self.status_code!r}")
        reason = self.reason_phrase
        plain = reason.isascii() and reason.isprintable()
        if not plain and not is_field_value(reason):
            raise ValueError(f"reason phrase is not valid: {reason!r}")
        lines = lines_of(self.headers)
        if lines is not None and code == 101:  # none of them is about a body
            return f"HTTP/1.1 101 {reason}\r\n{lines}\r\n\r\n".encode("latin-1")
        pairs, body = _pairs_of(self.headers), self.body
        if not sends_body(code, method):
            pairs, body = _lines_without_body(self.headers, code, method), b""
        head = write_fields(f"HTTP/1.1 {code} {reason}", pairs)
        return head + body if body else head


def _lines_without_body(
    headers: Headers, code: int, method: str | None
) -> list[tuple[str, str]]:
    """Return the header lines that may be sent in a response without a body."""
    pairs, index = _pairs_of(headers), _index_of(headers)
    framed = "content-length" in index or "transfer-encoding" in index
    if framed and (code == 205 or not has_length(code, method)):
        framing = ("content-length", "transfer-encoding")
        pairs = [pair for pair in pairs if pair[0].lower() not in framing]
    if code == 205 and has_length(code, method):  # RFC 9110, section 15.3.6
        pairs = [*pairs, ("Content-Length", "0")]
    return pairs


# Parsing


def _parse_request_line(line: str) -> tuple[str, str, str, str | None]:
    """Return method, path, protocol; and the authority, if the target is absolute."""
    parts = line.split(" ")
    if len(parts) != 3:
        raise InvalidMessage(f"malformed request line: {shown(line)}")
    method, target, protocol = parts
    # Connections keep both: the usual ones are the same object for all.
    if method == "GET":
        method = "GET"
    elif not is_token(method):
        raise InvalidMessage(f"malformed method: {shown(method)}")
    if protocol == "HTTP/1.1":
        protocol = "HTTP/1.1"
    elif _PROTOCOL.fullmatch(protocol) is None:
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


class RequestParser(HeadParser):
    """Parses one request.

    Args:
        max_request_line: maximum size of the request line.
        max_header_line: maximum size of a header line.
        max_headers: maximum number of header lines.
        max_head_size: maximum size of all lines together.

    Sizes are in bytes and do not include line ends.
    """

    if not TYPE_CHECKING:
        __signature__ = LazySignature()

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
        """Parse bytes; return the request once its head is complete.

        ``rest`` then contains the bytes after it. An absolute target is split: its
        authority replaces the value of ``Host`` if there is exactly one, as required
        by RFC 9112, section 3.2.2.

        Raises:
            RequestLineTooLong: if the request line exceeds its limit.
            HeaderLineTooLong: if a header line exceeds its limit.
            TooManyHeaders: if there are more headers than allowed.
            InvalidMessage: if it is not valid HTTP.
            InvalidHeaderValue: if ``Content-Length`` is not a number.
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

    def asks_for_head(self) -> bool:
        """Whether the method is HEAD, even if the request was refused."""
        if self._start is not None:
            return bool(self._start[0] == "HEAD")
        return self._buffer[:7].lstrip(b"\r\n").startswith(b"HEAD ")

    def feed_eof(self) -> None:
        """Report the end of the stream, inside or before the head.

        Raises:
            InvalidMessage: always.
        """
        if self._buffer or self._started or self._skipped:
            raise InvalidMessage("stream ended inside the request") from EOFError()
        raise InvalidMessage("stream ended before the request") from EOFError()


def _parse_status_line(line: str) -> tuple[int, str]:
    """Return status code and reason phrase."""
    match = _STATUS_LINE.fullmatch(line)
    # An upgrade requires HTTP/1.1 (RFC 9110, section 7.8).
    if match is None or (match[1] == "0" and match[2] == "101"):
        raise InvalidMessage(f"malformed status line: {shown(line)}")
    return int(match[2]), match[3] or ""


class ResponseParser(HeadParser):
    """Parses one final response; skips interim ones (1xx except 101).

    Args:
        max_status_line: maximum size of the status line.
        max_header_line: maximum size of a header line.
        max_headers: maximum number of header lines.
        max_head_size: maximum size of all lines together.
        max_body: maximum number of bytes of the body to keep; the rest is cut off.
        read_body: ``False`` if the response ends with its head, like that to CONNECT
            (RFC 9112, section 6.3).

    Sizes are in bytes and do not include line ends.

    Attributes:
        rest: the bytes after the response, once it is complete.
        flaw: an error in its body, or ``None``. The response is returned in any case,
            with the part of the body that was received.
    """

    if not TYPE_CHECKING:
        __signature__ = LazySignature()

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
        self._unfolds = True
        self._max_body = max_body
        self._read_body = read_body
        self._interim = 0  # number of responses skipped
        self._headers: Headers | None = None  # once the head is complete
        self._body = Body(0)
        self.flaw: InvalidHandshake | None = None

    @property
    def refused(self) -> bool:
        """Whether a complete head refuses to switch protocols."""
        return self._headers is not None and self._start[0] != 101

    def _parse_start(self, line: str) -> Any:
        return _parse_status_line(line)

    def _start_line_too_long(self, limit: int) -> SecurityError:
        return StatusLineTooLong(f"status line exceeds {limit} bytes")

    def feed(self, data: bytes) -> Response | None:
        """Parse bytes; return the response once it is complete.

        ``rest`` then contains the bytes after it. If the body lasts until the end of
        the stream, ``feed_eof()`` completes it.

        Raises:
            StatusLineTooLong: if the status line exceeds its limit.
            HeaderLineTooLong: if a header line exceeds its limit.
            TooManyHeaders: if there are more headers than allowed.
            SecurityError: if there are too many interim responses.
            InvalidMessage: if it is not valid HTTP.
        """
        while self._headers is None:
            headers = None if self._slow else self._read_whole(data)
            if headers is None:
                headers = self._read_lines(data)
                if headers is None:
                    return None
            data = self.rest
            self.rest: bytes = b""
            self._head_complete(headers)
        try:
            if not self._body.feed(data):
                return None
        except InvalidHandshake as exc:
            self._body.flaw = exc
        self.rest = self._body.rest
        return self._response(self._headers)

    def feed_eof(self) -> Response:
        """Report the end of the stream, or of the time to wait for the body.

        Raises:
            InvalidMessage: if the head is not complete.
        """
        exc = InvalidMessage("stream ended before the end of the response")
        exc.__cause__ = EOFError()
        if self._headers is None:
            raise exc
        if not self._body.ends_with_stream:
            self._body.flaw = exc
        return self._response(self._headers)

    def _response(self, headers: Headers) -> Response:
        self.flaw = self._body.flaw
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


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
