"""HTTP headers: an ordered multi-dict with case-insensitive keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping

from ._base.constants import TOKEN_CHARACTERS
from ._native import kernels
from .exceptions import InvalidHeader, InvalidHeaderValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

__all__ = ["Headers", "HeadersLike", "MultipleValuesError"]

# A plain character class: nothing to backtrack into.
TOKEN = re.compile(f"[{re.escape(TOKEN_CHARACTERS)}]+")

# Bytes allowed in a line of a message: no control characters but HTAB (RFC 9110, 5.5).
PLAIN = bytes(b for b in range(256) if b == 0x09 or (b >= 0x20 and b != 0x7F))

# Names that need no check, with their keys. Most headers of most requests are here.
KNOWN_NAMES = {
    spelling: name.lower()
    for name in (
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Allow",
        "Authorization",
        "Cache-Control",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Cookie",
        "DNT",
        "Date",
        "Forwarded",
        "Host",
        "Location",
        "Origin",
        "Pragma",
        "Priority",
        "Proxy-Authorization",
        "Referer",
        "Sec-CH-UA",
        "Sec-CH-UA-Mobile",
        "Sec-CH-UA-Platform",
        "Sec-Fetch-Dest",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Site",
        "Sec-GPC",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Version",
        "Server",
        "Set-Cookie",
        "Transfer-Encoding",
        "Upgrade",
        "User-Agent",
        "Via",
        "WWW-Authenticate",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
        "X-Real-IP",
        "X-Request-ID",
    )
    for spelling in (name, name.lower(), name.title())
}


def is_token(text: str) -> bool:
    """Whether ``text`` is a token (RFC 9110, section 5.6.2)."""
    return TOKEN.fullmatch(text) is not None


class MultipleValuesError(LookupError):
    """A header that was read as a single value has several."""

    def __str__(self) -> str:
        if len(self.args) == 1:
            return f"header has several values: {self.args[0]!r}"
        return super().__str__()


class Headers(MutableMapping[str, str]):
    """HTTP headers.

    Setting a header that exists adds a value. Reading a header that has several values
    raises ``MultipleValuesError``; ``get_all()`` returns all of them. Iterating yields
    each name once, in lower case.

    A name must be a token. A value must consist of ISO-8859-1 without control
    characters. Otherwise, ``InvalidHeader`` or ``InvalidHeaderValue`` is raised
    (RFC 9110, sections 5.1 and 5.5).

    Args:
        headers: another ``Headers``, a mapping, or pairs of names and values.
        **kwargs: more headers.
    """

    __slots__ = ("__weakref__", "_fields", "_index", "_list")

    def __init__(self, headers: HeadersLike = (), /, **kwargs: str) -> None:
        # The original pairs; and for each key its value, or a list if it has several.
        # Without an index, it is the lines of a head that nobody has looked at yet; and
        # if that came from a peer, there are the fields that a handshake looks at.
        self._list: list[tuple[str, str]] | str = []
        self._index: dict[str, str | list[str]] | None = {}
        self._fields: dict[str, str | list[str]] | None = None
        if headers or kwargs:
            self.update(headers, **kwargs)

    # Reading

    def __getitem__(self, key: str) -> str:
        value = _index_of(self)[_text(key).lower()]
        if isinstance(value, str):
            return value
        raise MultipleValuesError(key.lower())

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in _index_of(self)

    def __iter__(self) -> Iterator[str]:
        return iter(_index_of(self))

    def __len__(self) -> int:
        return len(_index_of(self))

    def get_all(self, key: str) -> list[str]:
        """Return all values of a header, in order; an empty list if there are none."""
        value = _index_of(self).get(key.lower())
        if value is None:
            return []
        return [value] if isinstance(value, str) else list(value)

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Iterate over the original names and values, including repeated names."""
        return iter(_pairs_of(self))

    # Writing

    def __setitem__(self, key: str, value: str) -> None:
        value = str(value)
        if _text(key) not in KNOWN_NAMES and not is_token(key):
            raise InvalidHeader(key, "its name is not a token")
        if not is_field_value(value):
            raise InvalidHeaderValue(key, value)
        self._add(key, value)

    def __delitem__(self, key: str) -> None:
        key = _text(key).lower()
        del _index_of(self)[key]
        self._list = [pair for pair in _pairs_of(self) if pair[0].lower() != key]

    def clear(self) -> None:
        """Remove all headers."""
        self._list = []
        self._index = {}
        self._fields = None

    def update(  # type: ignore[override]
        self, headers: HeadersLike = (), /, **kwargs: str
    ) -> None:
        """Add headers; existing ones keep their values."""
        source: Any = headers
        if isinstance(headers, Headers):
            # Copy them: this may be the same object.
            source = _pairs_of(headers).copy()
        elif hasattr(headers, "keys"):
            source = [(key, source[key]) for key in source.keys()]  # noqa: SIM118
        for key, value in source:
            self[key] = value
        for key, value in kwargs.items():
            self[key] = value

    def set_insecure(self, key: str, value: str) -> None:
        """Add a value unchecked; ``serialize()`` still refuses line breaks and NUL."""
        self._add(_text(key), str(value))

    def copy(self) -> Headers:
        """Return an independent copy."""
        index = _index_of(self).copy()
        for key, value in index.items():
            if not isinstance(value, str):
                index[key] = list(value)
        headers = _from_wire(_pairs_of(self).copy(), index)
        return headers

    def _add(self, key: str, value: str) -> None:
        _pairs_of(self).append((key, value))
        kernels.add_value(_index_of(self), key.lower(), value)

    # Whole

    def serialize(self) -> bytes:
        """Return the header lines in ISO-8859-1, followed by an empty line.

        Raises:
            InvalidHeader: if a name is not a token.
            InvalidHeaderValue: if a value contains CR, LF or NUL, or is not ISO-8859-1.
        """
        return write_fields("", _pairs_of(self))[2:]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return _index_of(self) == _index_of(other)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        lines = [f"{name}: {value}\n" for name, value in _pairs_of(self)]
        return "".join(lines) + "\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_pairs_of(self)!r})"


HeadersLike: TypeAlias = Headers | Mapping[str, str] | Iterable[tuple[str, str]]
"""Argument types of ``Headers``."""


# Guaranteed to return a list and a dict: compiled methods check neither types nor the
# depth of recursion, in case these attributes contain something else.
def _pairs_of(headers: Headers) -> list[tuple[str, str]]:
    pairs = headers._list
    if isinstance(pairs, str):
        _look_at(headers, pairs)
        return _pairs_of(headers)
    return pairs


def _index_of(headers: Headers) -> dict[str, str | list[str]]:
    index = headers._index
    if index is None:
        _pairs_of(headers)
        return _index_of(headers)
    return index


def _look_at(headers: Headers, lines: str) -> None:
    """Take apart the lines that are kept as they came, or as they will be sent."""
    pairs: list[tuple[str, str]] = []
    index: dict[str, str | list[str]] = {}
    for line in lines.split("\r\n"):
        name, _, value = line.partition(":")
        value = value.strip(" \t")
        pairs.append((name, value))
        kernels.add_value(index, KNOWN_NAMES.get(name) or name.lower(), value)
    headers._list, headers._index, headers._fields = pairs, index, None


def from_lines(lines: str, fields: dict[str, str | list[str]] | None = None) -> Headers:
    """Make ``Headers`` from checked lines, to be taken apart once somebody asks.

    Args:
        lines: without the last line end.
        fields: those that a handshake looks at, if a peer has sent the lines.
    """
    headers = _new(Headers)
    headers._list = lines
    headers._index = None
    headers._fields = fields
    return headers


def lines_of(headers: Headers) -> str | None:
    """The lines that are to be sent, if nobody has asked for the headers since."""
    lines = headers._list
    return lines if isinstance(lines, str) and headers._fields is None else None


def fields_of(headers: Headers) -> dict[str, str | list[str]]:
    """The index, or as much of it as a handshake needs."""
    fields = headers._fields
    return _index_of(headers) if fields is None else fields


def is_plain(value: str) -> bool:
    """Whether a value may be sent, and is read again just as it is."""
    return value.isascii() and value.isprintable() and value.strip(" ") == value


_new = object.__new__


def _from_wire(
    pairs: list[tuple[str, str]], index: dict[str, str | list[str]]
) -> Headers:
    """Make ``Headers`` from checked parts, without copying them."""
    headers = _new(Headers)
    headers._list = pairs
    headers._index = index
    headers._fields = None
    return headers


def replace_host(headers: Headers, authority: str) -> None:
    if len(headers.get_all("Host")) == 1:
        _index_of(headers)["host"] = authority
        headers._list = [
            (name, authority if name.lower() == "host" else value)
            for name, value in _pairs_of(headers)
        ]


def write_fields(start: str, pairs: list[tuple[str, str]]) -> bytes:
    """Build a head: a checked start line, header lines, an empty line.

    Raises:
        InvalidHeader: if a name is not a token.
        InvalidHeaderValue: if a value contains CR, LF or NUL, or is not ISO-8859-1.
    """
    known_names = KNOWN_NAMES
    lines = [start]
    for name, value in pairs:
        if name not in known_names and not is_token(name):
            raise InvalidHeader(name, "its name is not a token")
        lines.append(name + ": " + value)
    ends = len(pairs)
    text = "\r\n".join(lines)
    if text.count("\n") != ends or text.count("\r") != ends or "\0" in text:
        raise _culprit(pairs)
    try:
        return (text + "\r\n\r\n").encode("latin-1")
    except UnicodeEncodeError:
        raise _culprit(pairs) from None


def _culprit(pairs: list[tuple[str, str]]) -> InvalidHeaderValue:
    bad = (pair for pair in pairs if not is_field_value(pair[1]))
    return InvalidHeaderValue(*next(bad))


def is_field_value(value: str) -> bool:
    """Whether ``value`` is allowed in a header (RFC 9110, section 5.5)."""
    if value.isascii() and value.isprintable():  # nearly always
        return True
    try:
        return not value.encode("latin-1").translate(None, PLAIN)
    except UnicodeEncodeError:
        return False


def _text(key: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"header name must be a str, not {type(key).__name__}")
    return key
