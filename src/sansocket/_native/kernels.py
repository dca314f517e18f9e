"""The loops over bytes: masking, UTF-8, growing and building payloads; header lines.

This module is written twice. If there is a C compiler, ``kernels.pyx`` replaces it,
with the same names on C types. Both forms pass the same tests,
``tests/core/test_kernels.py``.

The state of a UTF-8 check is an int: 0 at the border of a character, the bytes of
the unfinished sequence in network order inside one, and -1 once it is invalid.
"""

from __future__ import annotations

import os
import re
from _codecs import utf_8_decode

from .. import environment
from .._base.constants import HANDSHAKE_FIELDS, TOKEN_CHARACTERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..typing import BytesLike

COMPILED = False

_KEYS = 1024  # masking keys to fetch from the random source at a time

_to_int = int.from_bytes
_WORDS = 2048  # 32-bit words masked as one integer
_ONES = sum(1 << 32 * i for i in range(_WORDS))  # multiplied by a key: repeats it
_FEW_ONES = [_ONES >> 32 * (_WORDS - count) for count in range(65)]
_ALL_BYTES = bytes(range(256))
_BYTES = [bytes((byte,)) for byte in range(256)]
_tables: dict[int, bytes] = {}  # for each byte of a key: a table for bytes.translate()


def mask(data: BytesLike, key: bytes) -> bytes:
    """XOR ``data`` with the 4 bytes of ``key`` (RFC 6455, section 5.3)."""
    size = len(data)
    if size > 4 * _WORDS:
        target = bytearray(data)
        _mask_in_place(target, key)
        return bytes(target)
    number = _to_int(data, "little") ^ _repeat(key, size)
    return number.to_bytes(size, "little")


def _repeat(key: bytes, size: int) -> int:
    """Repeat the key over ``size`` bytes, as one number."""
    words = (size + 3) // 4
    ones = _FEW_ONES[words] if words <= 64 else _ONES >> 32 * (_WORDS - words)
    number = _to_int(key, "little") * ones
    return number & (1 << 8 * size) - 1 if size % 4 else number


def _mask_in_place(target: bytearray, key: bytes) -> None:
    """Mask separately for each byte of the key, which is faster for large data."""
    for i, byte in enumerate(key):
        if byte not in _tables:
            _tables[byte] = mask(_ALL_BYTES, bytes([byte] * 4))
        target[i::4] = target[i::4].translate(_tables[byte])


def take(data: bytes, start: int, length: int, masked: bool) -> bytes:
    """Copy a payload out of a read; its key, if any, precedes it."""
    payload = data[start : start + length]
    return mask(payload, data[start - 4 : start]) if masked else payload


def start_of(buffer: bytes | bytearray, size: int) -> bytes:
    """Copy the first bytes of a buffer."""
    return bytes(memoryview(buffer)[:size])


blank = object.__new__
"""Make an instance without ``__init__``, of a class that forms no reference cycles.

The compiled form hides it from the cycle collector, which many frames would trigger.
"""


def uint64(data: bytes, start: int) -> int:
    """Return the 64-bit unsigned number in network order at ``start``."""
    return int.from_bytes(data[start : start + 8], "big")


def utf8(state: int, data: bytes, start: int, stop: int) -> int:
    """Check ``data[start:stop]`` as the next part of a text; return the new state.

    Invalid input is detected at the first impossible byte (RFC 3629, section 4).
    """
    chunk = data if stop - start == len(data) else data[start:stop]
    if state:
        chunk = state.to_bytes((state.bit_length() + 7) // 8, "big") + chunk
    try:
        used = utf_8_decode(chunk, "strict", False)[1]
    except UnicodeDecodeError:
        return -1
    rest = chunk[used:]
    if rest[:1] == b"\xed" and rest[1:] >= b"\xa0":
        return -1  # a surrogate, which the codec refuses only at its last byte
    return int.from_bytes(rest, "big")


_NO_CONTROLS = bytes(b for b in range(256) if b == 0x09 or (b >= 0x20 and b != 0x7F))


def controls(data: bytes, stop: int) -> int:
    """Count the control characters other than HTAB in ``data[:stop]``."""
    return len(data[:stop].translate(None, _NO_CONTROLS))


_FIELD = re.compile(
    rb"([%b]+):([\t\x20-\x7e\x80-\xff]*)" % re.escape(TOKEN_CHARACTERS.encode())
)
_KEYS_OF_FIELDS = {name.encode(): name for name in HANDSHAKE_FIELDS}


def add_value(index: dict[str, str | list[str]], key: str, value: str) -> None:
    """Add a value to an index of header fields: to a list, if there are several."""
    known = index.get(key)
    if known is None:
        index[key] = value
    elif isinstance(known, str):
        index[key] = [known, value]
    else:
        known.append(value)


def fields(
    data: bytes, start: int, stop: int, most: int
) -> dict[str, str | list[str]] | None:
    """Look through the header lines in ``data[start:stop]``, which end with no CRLF.

    Returns:
        Those of ``HANDSHAKE_FIELDS`` that are there, with a list for one that is
        repeated; or ``None`` if a line is doubtful, if there are more than ``most``,
        or if there is a ``Content-Length``.
    """
    found: dict[str, str | list[str]] = {}
    if start == stop:
        return found
    lines = data[start:stop].split(b"\r\n")
    if len(lines) > most:
        return None
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            return None
        name = field[1].lower()
        if name == b"content-length":
            return None
        key = _KEYS_OF_FIELDS.get(name)
        if key is not None:
            add_value(found, key, field[2].strip(b" \t").decode("latin-1"))
    return found


class TextReader:
    """Base of classes that read text: it owns the state of the check."""

    _utf8: int

    def _take_text(self, data: bytes, start: int, length: int, masked: bool) -> bytes:
        """Copy a payload and check it as the next part of the text."""
        payload = take(data, start, length, masked)
        if self._utf8 or not payload.isascii():
            self._utf8 = utf8(self._utf8, payload, 0, length)
        return payload


class Payload:
    """A payload that is still arriving.

    Its memory is in proportion to the bytes received, not to the announced length.

    Args:
        length: announced length in bytes.
        key: masking key, or empty for an unmasked payload.
        text: whether to check the payload as it arrives.
        state: state of the UTF-8 check before this payload.

    Attributes:
        missing: number of bytes that are still missing.
        state: state of the UTF-8 check after the bytes received.
    """

    __slots__ = (
        *("_buffer", "_key", "_repeated", "_repeated_for", "_text"),
        *("missing", "state"),
    )

    def __init__(self, length: int, key: bytes, text: bool, state: int) -> None:
        self.missing = length
        self.state = state
        self._key = key
        self._repeated = 0  # the result of `_repeat`, and the position it is for
        self._repeated_for = (0, 0)
        self._text = text
        self._buffer = bytearray()  # text is unmasked; other data is unchanged

    def feed(self, data: bytes, start: int, stop: int) -> int:
        """Add the bytes that belong to the payload; return the position after them."""
        size = stop - start
        if size > self.missing:
            size = self.missing
        self._take(data if size == len(data) else data[start : start + size])
        return start + size

    def add(self, data: bytes | bytearray, size: int) -> bool:
        """Add the first bytes of ``data`` if they lie inside the payload.

        Return ``False``, and add nothing, if they might reach its end or if, in the
        compiled form, there is no room for them yet.
        """
        if size >= self.missing:
            return False
        if size != 1:
            self._take(bytes(data) if size == len(data) else start_of(data, size))
            return True
        byte, state, missing = data[0], self.state, self.missing - 1
        buffer = self._buffer
        if self._text:
            if self._key:
                byte ^= self._key[len(buffer) & 3]
            if byte > 0x7F or state:
                state = utf8(state, bytes((byte,)), 0, 1)
        buffer.append(byte)
        self.state, self.missing = state, missing
        return True

    def _unmask(self, data: bytes) -> bytes:
        """Do the same as ``mask()``, but faster for many reads of the same size."""
        size, turn = len(data), len(self._buffer) & 3
        if size > 4 * _WORDS:
            return mask(data, self._key[turn:] + self._key[:turn])
        if self._repeated_for != (size, turn):
            self._repeated = _repeat(self._key[turn:] + self._key[:turn], size)
            self._repeated_for = (size, turn)
        return (_to_int(data, "little") ^ self._repeated).to_bytes(size, "little")

    def _take(self, data: bytes) -> None:
        state, missing = self.state, self.missing - len(data)
        if self._text:
            if self._key:
                data = self._unmask(data)
            if state or not data.isascii():
                state = utf8(state, data, 0, len(data))
        self._buffer += data  # nothing below needs memory
        self.state, self.missing = state, missing

    def cut(self) -> bytes:
        """Return the bytes received so far, and remove them from the payload."""
        turn = len(self._buffer) & 3
        data = self.finish()
        self._key = self._key[turn:] + self._key[:turn]
        self._repeated_for = (0, 0)
        return data

    def finish(self) -> bytes:
        """Return the bytes received so far; the object cannot be used afterwards."""
        buffer, self._buffer = self._buffer, bytearray()
        if self._key and not self._text:
            if len(buffer) <= 4 * _WORDS:
                return mask(buffer, self._key)
            _mask_in_place(buffer, self._key)
        return bytes(buffer)


def arriving(
    data: bytes, start: int, length: int, masked: bool, text: bool, state: int
) -> Payload:
    """Make a payload of which nothing has arrived yet.

    Its key, if any, precedes ``start`` in the read.
    """
    key = data[start - 4 : start] if masked else b""
    return Payload(length, key, text, state)


def as_bytes(data: BytesLike) -> bytes:
    """Return an immutable copy of ``data``, or ``data`` itself if it is immutable.

    Lengths are in bytes, whatever the item size of the buffer.

    Raises:
        TypeError: if ``data`` is not a buffer.
        BufferError: if it is not contiguous.
    """
    if type(data) is bytes:
        return data
    try:
        view = memoryview(data)
    except TypeError:
        kind = type(data).__name__
        raise TypeError(f"a bytes-like object is required, not {kind!r}") from None
    if not view.c_contiguous:
        raise BufferError("a payload must be a contiguous buffer")
    return view.tobytes()


def header(first: int, length: int, masked: bool) -> bytes:
    """Build a frame header without its key; the length has its shortest form."""
    bit = 0x80 if masked else 0
    if length < 126:
        return _BYTES[first] + _BYTES[bit | length]
    if length < 65536:
        high, low = _BYTES[length >> 8], _BYTES[length & 0xFF]
        return _BYTES[first] + _BYTES[bit | 126] + high + low
    return _BYTES[first] + _BYTES[bit | 127] + length.to_bytes(8, "big")


def frame(first: int, data: BytesLike, masked: bool) -> bytes:
    """Build a frame, ready to be written, whose first byte is ``first``.

    A masked frame gets a new key. ``data`` is copied, and may be reused.
    """
    payload = data if type(data) is bytes else as_bytes(data)
    size = len(payload)
    if not masked:
        if size < 126:
            return _BYTES[first] + _BYTES[size] + payload
        return header(first, size, False) + payload
    key = next(_keys, None) or masking_key()
    return header(first, size, True) + key + mask(payload, key)


_keys: Iterator[bytes] = iter(())


def masking_key() -> bytes:
    """Return four random bytes (RFC 6455, section 10.3)."""
    global _keys
    key = next(_keys, None)
    while key is None:
        batch = environment.random_bytes(4 * _KEYS)
        _keys = iter([batch[i : i + 4] for i in range(0, 4 * _KEYS, 4)])
        key = next(_keys, None)
    return key


def forget_keys() -> None:
    """Discard the keys fetched in advance.

    This is necessary in a forked child, which must not share them with its parent, and
    after ``environment.random_bytes`` is replaced.
    """
    global _keys
    _keys = iter(())


if hasattr(os, "register_at_fork"):  # pragma: no branch
    os.register_at_fork(after_in_child=forget_keys)
