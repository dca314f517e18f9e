"""The loops over payload bytes keep to their bytes: buffers that end where memory
ends, results of exactly their size, every length at every alignment.

Over-reads crash at a page that cannot be read, or are seen by AddressSanitizer: the
buffers are exact, and ``nox -s sanitize`` sets SANSOCKET_TEST_EXHAUSTIVE, which asks
for all 64 alignments with all lengths up to 1100.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from fuzz.model import Text

KEY = bytes.fromhex("37fa213d")
EXHAUSTIVE = os.environ.get("SANSOCKET_TEST_EXHAUSTIVE") == "1"
BORDERS = (127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 1100)
LENGTHS = range(1101) if EXHAUSTIVE else (*range(0, 74), *BORDERS)
ALIGNMENTS = range(64) if EXHAUSTIVE else (0, 1, 4, 7, 9, 30, 63)

PLAIN = random.Random(1).randbytes(1100)
MASKED = bytes([byte ^ KEY[i % 4] for i, byte in enumerate(PLAIN)])
ASCII = bytes(random.Random(2).choices(range(128), k=1100))
MIXED = ("a" * 60 + "\u00e9\u65e5\U0001f600" * 5 + "b" * 70).encode() * 7


def states(data: bytes) -> list[int]:
    """State of the check behind each byte of a text, by a slow model."""
    text = Text()
    found = [0]
    for byte in data:
        text.add(byte)
        found.append((found[-1] << 8 | byte) if text.expected else 0)
    return found


STATES = states(MIXED)


def is_terminated(data: bytes) -> bool:
    """Whether the NUL that CPython keeps behind the content is still there."""
    if sys.implementation.name != "cpython":
        return True
    end = id(data) + bytes.__basicsize__ - 1 + len(data)
    return ctypes.string_at(end, 1) == b"\0"


def exact(data: bytes, alignment: int) -> memoryview:
    """A copy at the end of an allocation that has not one byte more."""
    size = alignment + len(data)
    array = (ctypes.c_ubyte * size)()
    view = memoryview(array).cast("B")
    view[alignment:] = data
    return view[alignment:]


def each() -> Iterator[tuple[int, int]]:
    """All alignments with all lengths."""
    return ((a, n) for a in ALIGNMENTS for n in LENGTHS)


def check(impl: ModuleType, data: Any, length: int) -> None:
    """Everything that takes a buffer of any kind."""
    kernels = impl._native.kernels
    masked = kernels.mask(data, KEY)
    assert masked == MASKED[:length]
    copy = kernels.as_bytes(data)
    assert copy == PLAIN[:length]
    frame = kernels.frame(0x82, data, False)
    assert frame == kernels.header(0x82, length, False) + PLAIN[:length]
    theirs = kernels.frame(0x82, data, True)
    assert kernels.mask(theirs[-length:], theirs[-length - 4 :][:4])[:length] == copy
    assert all(map(is_terminated, (masked, copy, frame, theirs)))


def test_sec_12_exact_buffers(impl: ModuleType) -> None:
    """SEC-12: whatever buffer a caller has."""
    for alignment, length in each():
        check(impl, exact(PLAIN[:length], alignment), length)


def guarded() -> tuple[mmap.mmap, int]:
    """A page between two that cannot be touched, and its place in the mapping."""
    page = mmap.PAGESIZE
    mapping = mmap.mmap(-1, 3 * page)
    libc = ctypes.CDLL(None, use_errno=True)
    start = ctypes.addressof(ctypes.c_ubyte.from_buffer(mapping))
    for place in (start, start + 2 * page):
        if libc.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(page), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    return mapping, page


@pytest.mark.skipif(sys.platform == "win32", reason="no mprotect")
def test_sec_12_at_the_ends_of_memory(impl: ModuleType) -> None:
    """SEC-12: the byte before a buffer, and the one behind it, cannot be read."""
    mapping, page = guarded()
    view = memoryview(mapping)
    for length in LENGTHS:
        for start in (page, 2 * page - length):
            part = view[start : start + length]
            part[:] = PLAIN[:length]
            check(impl, part, length)


def test_sec_12_parts_of_a_read(impl: ModuleType) -> None:
    """SEC-12: ``take`` and ``Payload``, whose part ends where the read ends."""
    kernels = impl._native.kernels
    for alignment, length in each():
        data = bytes(alignment) + KEY + MASKED[:length]
        start = alignment + 4
        payload = kernels.take(data, start, length, True)
        assert payload == PLAIN[:length]
        plain = kernels.take(data, start, length, False)
        assert plain == MASKED[:length]
        growing = kernels.Payload(length, KEY, False, 0)
        half = start + length // 2
        assert growing.feed(data, start, half) == half
        assert growing.feed(data, half, len(data)) == len(data)
        whole = growing.finish()
        assert whole == payload
        assert all(map(is_terminated, (payload, plain, whole)))


def test_sec_35_text_at_the_end_of_a_read(impl: ModuleType) -> None:
    """SEC-35: cut anywhere, in a character too."""
    utf8 = impl._native.kernels.utf8
    for alignment, length in each():
        data = b"\xff" * alignment + MIXED[:length]
        assert utf8(0, data, alignment, alignment + length) == STATES[length]
        half = length // 2
        state = utf8(0, data, alignment, alignment + half)
        assert utf8(state, data, alignment + half, len(data)) == STATES[length]
        data = b"\xff" * alignment + ASCII[:length]
        assert utf8(0, data, alignment, len(data)) == 0
        assert length == 0 or utf8(0, data + b"\x80", alignment, len(data) + 1) == -1


def test_controls_at_the_end(impl: ModuleType) -> None:
    data = bytes(range(128)) * 9
    for length in LENGTHS:
        whole, rest = divmod(length, 128)
        found = sum((n < 32 and n != 9) or n == 127 for n in range(rest))
        assert (
            impl._native.kernels.controls(data[:length], length) == 32 * whole + found
        )
