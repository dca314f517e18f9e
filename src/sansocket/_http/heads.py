"""Heads of HTTP/1.1 messages: a start line, headers, an empty line (RFC 9112).

Parsing is strict: anything ambiguous is refused. A line must end with CRLF, not with LF
alone. Folded lines are refused in a request, and unfolded in a response. Spaces before
a colon, and control characters, are refused. One empty line before a message is
skipped.

There is a fast path for a head that arrives whole and is clearly valid, and a slow
path, line by line, for everything else. The fast path refuses nothing but a start line;
in any other doubtful case, it leaves the bytes to the slow path. Thus the outcome does
not depend on how the bytes are split.
"""

from __future__ import annotations

import re

from .._native import kernels
from ..datastructures import (
    Headers,
    _from_wire,
    from_lines,
    is_token,
)
from ..exceptions import (
    HeaderLineTooLong,
    InvalidHeaderValue,
    InvalidMessage,
    SecurityError,
    TooManyHeaders,
    shown,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIZE = re.compile(r"[0-9]{1,18}")


class HeadParser:
    """The parts that requests and responses share: a start line and headers.

    Sizes are in bytes and do not include the CRLF of a line.
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
        # A head up to this size cannot have a line over a limit.
        safe = max_start_line if max_start_line < max_header_line else max_header_line
        self._safe_size = safe if safe < max_head_size else max_head_size
        self.rest: bytes = b""  # the bytes after the message, once it is complete
        self._start: Any = None  # the parsed start line
        self._unfolds = False  # whether a line may continue on the next one
        # For the slow path.
        self._slow = False  # a head has begun
        self._started = False  # its start line is complete
        self._skipped = False  # an empty line was skipped before it
        self._buffer = bytearray()

    # The differences

    def _parse_start(self, line: str) -> Any:
        """Parse a start line, which has no control characters but HTAB."""
        raise NotImplementedError

    def _start_line_too_long(self, limit: int) -> SecurityError:
        raise NotImplementedError

    # The fast path: a complete head

    def _read_whole(self, data: bytes) -> Headers | None:
        """Parse a head that is clearly valid; ``None`` if it is not."""
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > self._safe_size:
            return None
        size = data.find(b"\r\n")  # of the start line
        if size == 0 or kernels.controls(data, size):
            return None
        begin = min(size + 2, end)
        fields = kernels.fields(data, begin, end, self._max_headers)
        if fields is None:
            return None
        self._start = self._parse_start(data[:size].decode("latin-1"))
        self.rest = data[end + 4 :]
        if begin == end:
            return Headers()
        return from_lines(data[begin:end].decode("latin-1"), fields)

    # Line by line

    def _begin(self) -> None:
        self._slow = True
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer known to contain no LF
        self._started = False
        self._skipped = False
        self._room = self._max_head_size  # bytes that it may still contain
        self._pairs: list[tuple[str, str]] = []
        self._index: dict[str, str | list[str]] = {}
        self._field_size = 0  # bytes in all lines of the latest header
        self._folds: list[str] = []  # lines that continue it

    def _read_lines(self, data: bytes) -> Headers | None:
        """Continue to parse; ``None`` if the head is not complete yet."""
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
        size = len(buffer) - buffer.endswith(b"\r")
        self._check_size(size, buffer.startswith((b" ", b"\t")))
        return None

    def _line(self, line: bytes) -> bool:
        """Parse a line without its LF; return whether it ends the head."""
        size = len(line) - line.endswith(b"\r")
        folded = line.startswith((b" ", b"\t"))
        self._check_size(size, folded)
        if size == len(line):
            raise InvalidMessage("line ends with LF alone")
        self._room -= size
        if kernels.controls(line, size):
            raise InvalidMessage("control character in a line")
        text = line[:size].decode("latin-1")
        if self._started:
            if folded:
                self._folded_line(text)
                return False
            self._unfold()
            self._field_size = size
            if not text:
                return True
            self._header_line(text)
        elif text or self._skipped:
            self._start = self._parse_start(text)
            self._started = True
        else:
            self._skipped = True
        return False

    def _check_size(self, size: int, folded: bool) -> None:
        """Refuse a line, complete or not, as soon as it is too long.

        A folded line counts as a whole.
        """
        limit = self._max_header_line if self._started else self._max_start_line
        room = limit - self._field_size if folded else limit
        if size <= room and size <= self._room:
            return
        if room > self._room:
            limit = self._max_head_size
            raise TooManyHeaders(f"message head exceeds {limit} bytes")
        if self._started:
            raise HeaderLineTooLong(f"header line exceeds {limit} bytes")
        raise self._start_line_too_long(limit)

    def _header_line(self, line: str) -> None:
        if len(self._pairs) == self._max_headers:
            raise TooManyHeaders(f"message has more than {self._max_headers} headers")
        name, colon, value = line.partition(":")
        if not colon:
            raise InvalidMessage(f"header line has no colon: {shown(line)}")
        if not is_token(name):
            raise InvalidMessage(f"header name is not a token: {shown(name)}")
        value = value.strip(" \t")
        key = name.lower()
        kernels.add_value(self._index, key, value)
        self._pairs.append((name, value))
        if key == "content-length" and not self._unfolds:  # nor is it a response
            self._check_content_length()

    def _folded_line(self, line: str) -> None:
        """Parse a line that continues the previous header."""
        if not self._unfolds or not self._pairs:
            raise InvalidMessage("header line begins with a space")
        self._folds.append(line.strip(" \t"))
        self._field_size += len(line)

    def _unfold(self) -> None:
        """Add the continuation lines to a header (RFC 9112, section 5.2)."""
        if not self._folds:
            return
        name, value = self._pairs.pop()
        value = " ".join([value, *self._folds]).strip(" \t")
        self._folds = []
        self._pairs.append((name, value))
        key = name.lower()
        known = self._index[key]
        if isinstance(known, str):
            self._index[key] = value
        else:
            known[-1] = value

    def _check_content_length(self) -> None:
        """Refuse a length that is not a single number (RFC 9112, section 6.3)."""
        value = self._index["content-length"]
        if not isinstance(value, str):
            raise InvalidHeaderValue("Content-Length", ", ".join(value))
        if _SIZE.fullmatch(value) is None:
            raise InvalidHeaderValue("Content-Length", value)
