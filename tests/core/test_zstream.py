"""DEFLATE streams, in both forms, with the zlib of Python as the peer."""

from __future__ import annotations

import functools
import random
import zlib
from types import ModuleType
from typing import Any

import pytest

from .costs import held
from .table import each

TAIL = b"\x00\x00\xff\xff"
LOTS = 10**9

# RFC 7692, section 7.2.3, and what each gives with an empty window.
VECTORS = {
    "one block": ("f248cdc9c90700", b"Hello"),
    "stored": ("000500faff48656c6c6f00", b"Hello"),
    "BFINAL": ("f348cdc9c9070000", b"Hello"),
    "two blocks": ("f248050000 00ffff cac9c90700", b"Hello"),
    "empty": ("00", b""),
}
AGAIN = bytes.fromhex("f200110000")  # "Hello" by reference to the message before
HELLO = bytes.fromhex(VECTORS["one block"][0])
FINAL = bytes.fromhex(VECTORS["BFINAL"][0])

vectors = each(
    ("data", "text"),
    [(bytes.fromhex(data), text) for data, text in VECTORS.values()],
    ids=VECTORS.keys(),
)


def inflater(impl: ModuleType, bits: int = 15) -> Any:
    return impl._native.zstream.Inflater(bits)


def deflater(impl: ModuleType, bits: int = 15, level: int = 6, memory: int = 8) -> Any:
    return impl._native.zstream.Deflater(bits, level, memory, 0)


@functools.cache
def deflated(data: bytes, bits: int = 15, level: int = 9) -> bytes:
    """``data`` as zlib's own message, from an empty window."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(stream: Any, data: bytes) -> bytes:
    result: bytes = stream.decompress(data + TAIL)
    return result


# What messages are made of


@vectors
def test_spec_098_vectors(impl: ModuleType, data: bytes, text: bytes) -> None:
    """SPEC-097, SPEC-098: blocks of every type, several blocks, BFINAL."""
    assert inflater(impl).inflate(data, True, LOTS) == text


@vectors
def test_spec_098_vectors_one_after_the_other(
    impl: ModuleType, data: bytes, text: bytes
) -> None:
    """SPEC-098, SPEC-099, SEC-18: and after each the window is there."""
    stream = inflater(impl)
    for other, expected in VECTORS.values():
        assert stream.inflate(bytes.fromhex(other), True, LOTS) == expected
        assert stream.inflate(data, True, LOTS) == text


@vectors
def test_spec_097_vectors_in_fragments(
    impl: ModuleType, data: bytes, text: bytes
) -> None:
    """SPEC-097: cut anywhere, byte by byte too, and with empty fragments."""
    for split in range(len(data) + 1):
        stream = inflater(impl)
        first = stream.inflate(data[:split], False, LOTS)
        nothing = stream.inflate(b"", False, LOTS)
        assert first + nothing + stream.inflate(data[split:], True, LOTS) == text
    stream = inflater(impl)
    parts = [stream.inflate(bytes([byte]), False, LOTS) for byte in data]
    assert b"".join([*parts, stream.inflate(b"", True, LOTS)]) == text


def test_spec_099_takeover(impl: ModuleType) -> None:
    """SPEC-099: the second "Hello" refers to the first."""
    stream = inflater(impl)
    for data in (HELLO, AGAIN, AGAIN):
        assert stream.inflate(data, True, LOTS) == b"Hello"


def test_sec_18_takeover_after_bfinal(impl: ModuleType) -> None:
    """SPEC-098, SEC-18: the end of a stream neither ends nor empties the window."""
    stream = inflater(impl)
    for data in (FINAL, HELLO, AGAIN, FINAL, FINAL, AGAIN):
        assert stream.inflate(data, True, LOTS) == b"Hello"


def test_sec_18_window_before_bfinal_is_kept(impl: ModuleType) -> None:
    """SEC-18: 32 KiB of it, from messages before the stream's end."""
    peer = zlib.compressobj(9, zlib.DEFLATED, -15)
    text = random.Random(1).randbytes(32500)
    long = (peer.compress(text) + peer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    reference = (peer.compress(text[:250]) + peer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(reference) < 20
    stream = inflater(impl)
    # An empty final block, and the empty block that pads it.
    for data, result in ((long, text), (b"\x03\x00\x00", b""), (reference, text[:250])):
        assert stream.inflate(data, True, LOTS) == result


def test_spec_098_several_blocks_with_bfinal(impl: ModuleType) -> None:
    """SPEC-098: anywhere in a message, with more data in the same fragment."""
    ended = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = ended.compress(b"abcabcabc") + ended.flush()
    assert inflater(impl).inflate(block * 3 + HELLO, True, LOTS) == (
        b"abcabcabc" * 3 + b"Hello"
    )
    stream = inflater(impl)
    parts = [stream.inflate(block, False, LOTS) for _ in range(3)]
    assert b"".join(parts) == b"abcabcabc" * 3
    assert stream.inflate(HELLO, True, LOTS) == b"Hello"


def test_bfinal_in_the_tail_itself(impl: ModuleType) -> None:
    """A final block that the appended tail completes; then the tail's rest is one
    more block, which is cut short."""
    with pytest.raises(impl.exceptions.ProtocolError):
        inflater(impl).inflate(FINAL[:-1], True, LOTS)


# What is no message


def test_sec_19_truncated_anywhere(impl: ModuleType) -> None:
    """SPEC-102, SEC-19: the end of a message must be the end of a block."""
    # What is left is a message of its own in three cases; the third has its test.
    whole = {("two blocks", 4): b"He", ("stored", 1): b"", ("stored", 6): None}
    for name, (text, _) in VECTORS.items():
        data = bytes.fromhex(text)
        for size in range(len(data)):
            if (name, size) in whole:
                continue
            with pytest.raises(impl.exceptions.ProtocolError) as caught:
                inflater(impl).inflate(data[:size], True, LOTS)
            assert caught.value.close_code == 1002
    assert inflater(impl).inflate(bytes.fromhex("f2480500"), True, LOTS) == b"He"
    assert inflater(impl).inflate(b"\0", True, LOTS) == b""


def test_sec_19_stored_block_that_lacks_four_bytes(impl: ModuleType) -> None:
    """SPEC-102, SEC-19: the appended tail is no content."""
    for size in (4, 5, 300):
        text = random.Random(size).randbytes(size)
        data = deflated(text, level=0)
        with pytest.raises(impl.exceptions.ProtocolError):
            inflater(impl).inflate(data[:-5], True, LOTS)


def test_sec_19_truncated_after_other_messages(impl: ModuleType) -> None:
    """SPEC-102, SEC-19: also where a reference into the window is cut."""
    for size in range(len(AGAIN)):
        stream = inflater(impl)
        assert stream.inflate(HELLO, True, LOTS) == b"Hello"
        with pytest.raises(impl.exceptions.ProtocolError):
            stream.inflate(AGAIN[:size], True, LOTS)


@each(
    "data",
    ["ff", "06", "000500faf048", "f200110000", "edc0", "04c0ffffffffffff"],
    ids=["block type 3", "again type 3", "bad length", "no window", "codes", "code"],
)
@each("final", [True, False])
def test_spec_102_not_deflate(impl: ModuleType, data: str, final: bool) -> None:
    """SPEC-102: what zlib refuses, with or without the end of the message."""
    stream = inflater(impl)
    with pytest.raises(impl.exceptions.ProtocolError) as caught:  # noqa: PT012 - in either
        stream.inflate(bytes.fromhex(data), final, LOTS)
        stream.inflate(b"", True, LOTS)
    assert "\n" not in str(caught.value)


# Limits


def letters(rng: random.Random, alphabet: bytes, size: int) -> bytes:
    """Random bytes of a few kinds."""
    table = bytes(alphabet[code % len(alphabet)] for code in range(256))
    return rng.randbytes(size).translate(table)


@functools.cache
def samples(size: int) -> list[bytes]:
    """Messages that compress 1000 times, a little, and not at all."""
    rng = random.Random(size)
    return [bytes(size), letters(rng, b"abcd", size), rng.randbytes(size)]


@each("limit", [0, 1, 5, 100, 16384, 65535, 65536, 65537, 131072])
def test_sec_03_limit_exactly(impl: ModuleType, limit: int) -> None:
    """SPEC-075, SPEC-101, SEC-01, SEC-03: limit-1, limit; limit+1, +2, +3."""
    for size in (limit - 1, limit, limit + 1, limit + 2, limit + 3):
        for text in samples(max(size, 0)):
            data = deflated(text, level=1)
            if size <= limit:
                assert inflater(impl).inflate(data, True, limit) == text
                continue
            for final in (True, False):
                with pytest.raises(impl.exceptions.PayloadTooBig) as caught:
                    inflater(impl).inflate(data, final, limit)
                assert caught.value.close_code == 1009


def test_sec_01_many_bombs_in_a_row(impl: ModuleType) -> None:
    """SEC-01: with BFINAL too, the limit is one for all blocks of the fragment."""
    ended = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = ended.compress(bytes(60)) + ended.flush()
    assert inflater(impl).inflate(block * 10 + b"\0", True, 600) == bytes(600)
    with pytest.raises(impl.exceptions.PayloadTooBig):
        inflater(impl).inflate(block * 10 + b"\0", True, 599)


def test_sec_02_no_room_left(impl: ModuleType) -> None:
    """SEC-02: a limit of 0 is no freedom; empty data still passes."""
    stream = inflater(impl)
    assert stream.inflate(b"\0", True, 0) == b""
    assert stream.inflate(b"", False, 0) == b""
    with pytest.raises(impl.exceptions.PayloadTooBig):
        stream.inflate(HELLO, True, 0)


@pytest.mark.parametrize("limit", [1, 1000, 2**20])
def test_sec_01_peak_memory_of_a_bomb(impl: ModuleType, limit: int) -> None:
    """SEC-01: no more is made than the limit, whatever the message would give."""
    bomb = deflated(bytes(2**24))
    assert len(bomb) < 2**24 // 1000
    stream = inflater(impl)

    def inflate() -> None:
        with pytest.raises(impl.exceptions.PayloadTooBig):
            stream.inflate(bomb, True, limit)

    _, peak = held(inflate)
    # Python's zlib module makes its result out of chunks: twice the limit.
    copies = 1 if impl._native.zstream.COMPILED else 2
    assert peak < copies * limit + 200_000


@each("size", [65535, 65536, 65537, 131071, 131072, 131073, 999999])
def test_results_around_steps_of_growth(impl: ModuleType, size: int) -> None:
    """SEC-12: without a limit, and with every limit that a number can be."""
    no_limit = impl._native.zstream.NO_LIMIT
    assert no_limit == 2**64 - 1
    data = deflated(bytes(size))
    for limit in (size, 2**31, 2**32, 2**62, 2**63, no_limit - 1, no_limit):
        result = inflater(impl).inflate(data, True, limit)
        assert (len(result), result.strip(b"\0")) == (size, b"")


# Windows


@each("bits", range(8, 16))
def test_spec_100_inflate_with_every_window(impl: ModuleType, bits: int) -> None:
    """SPEC-093, SPEC-100: what a peer makes with a window of as many bits."""
    # zlib itself raises 8 to 9, with references over at most 250 bytes.
    peer = zlib.compressobj(9, zlib.DEFLATED, -max(bits, 9))
    stream = inflater(impl, bits)
    rng = random.Random(bits)
    for _ in range(6):
        text = letters(rng, b"abc", 5000) + rng.randbytes(200) * 3
        data = (peer.compress(text) + peer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        assert stream.inflate(data, True, LOTS) == text


# A repetition of 3 bytes from 1000 bytes back, and the end of a message.
FAR_BACK = bytes.fromhex("02e6730000")


def stored(data: bytes) -> bytes:
    """A block that is not compressed."""
    size = len(data).to_bytes(2, "little")
    return b"\x00" + size + bytes(byte ^ 0xFF for byte in size) + data


@pytest.mark.parametrize(
    ("before", "size", "refused"),
    [(b"", 1100, False), (b"", 33_000, True), (b"\x01\x00\x00\xff\xff", 2000, True)],
    ids=["small", "large", "behind BFINAL"],
)
def test_sec_18_beyond_the_window(
    impl: ModuleType, before: bytes, size: int, refused: bool
) -> None:
    """SPEC-100, SEC-18: zlib refuses a reference beyond the agreed window only
    sometimes, depending on how it is called; both forms must do it alike."""
    text = random.Random(1).randbytes(size)
    data = before + stored(text) + FAR_BACK
    whole = text + text[-1000:-997]
    assert inflater(impl, 10).inflate(data, True, LOTS) == whole
    if not refused:
        assert inflater(impl, 9).inflate(data, True, LOTS) == whole
        return
    with pytest.raises(impl.exceptions.ProtocolError):
        inflater(impl, 9).inflate(data, True, LOTS)


@each("bits", range(9, 16))
@each("level", [0, 6, 9])
def test_spec_100_deflate_with_every_window(
    impl: ModuleType, bits: int, level: int
) -> None:
    """SPEC-096, SPEC-099, SPEC-100: a peer with that window reads every message."""
    stream = deflater(impl, bits, level)
    peer = zlib.decompressobj(-bits)
    rng = random.Random(bits)
    again = rng.randbytes(180)
    for size in (0, 1, 5, 1000, 0, 40000):
        text = again + letters(rng, b"abc", size) if size else b""
        assert inflated(peer, stream.deflate(text, True)) == text


def test_spec_099_deflate_refers_to_the_message_before(impl: ModuleType) -> None:
    """SPEC-099: the vectors of RFC 7692, section 7.2.3.2."""
    stream = deflater(impl)
    assert stream.deflate(b"Hello", True) == HELLO
    assert stream.deflate(b"Hello", True) == AGAIN


# Compressing


def test_spec_096_empty_message_is_one_byte(impl: ModuleType) -> None:
    """SPEC-096: at the start, after a message and at the end of fragments."""
    stream = deflater(impl)
    assert stream.deflate(b"", True) == b"\0"
    assert stream.deflate(b"Hello", True) == HELLO
    assert stream.deflate(b"", True) == b"\0"
    assert stream.deflate(b"", False) == b""


def test_spec_096_only_the_end_of_a_message_is_cut(impl: ModuleType) -> None:
    """SPEC-096: a fragment that is not the last keeps its tail."""
    for sizes in ((3, 2), (0, 5), (5, 0), (1, 0, 4), (0, 0), (2, 1, 1, 1)):
        stream = deflater(impl)
        peer = zlib.decompressobj(-15)
        rest, parts = b"Hello", []
        for number, size in enumerate(sizes):
            final = number == len(sizes) - 1
            parts.append(stream.deflate(rest[:size], final))
            assert final or not parts[-1] or parts[-1].endswith(TAIL)
            rest = rest[size:]
        assert inflated(peer, b"".join(parts)) == b"Hello"[: sum(sizes)]
        assert inflated(peer, stream.deflate(b"Hello", True)) == b"Hello"


@each("size", [65000, 65531, 65536, 65541, 200000, 1000000])
def test_deflate_what_cannot_be_compressed(impl: ModuleType, size: int) -> None:
    """SEC-12: results around and beyond the room for short ones."""
    text = random.Random(size).randbytes(size)
    data = deflater(impl, level=0).deflate(text, True)
    assert len(data) >= size
    assert inflated(zlib.decompressobj(-15), data) == text
    assert inflater(impl).inflate(data, True, size) == text


@pytest.mark.parametrize("data", [bytearray(b"Hello"), memoryview(b"xHello")[1:]])
def test_sec_13_deflate_takes_any_buffer(impl: ModuleType, data: Any) -> None:
    """SEC-13."""
    assert deflater(impl).deflate(data, True) == HELLO


def test_sec_14_deflate_refuses_what_is_no_buffer(impl: ModuleType) -> None:
    """SEC-14: and the context is as it was."""
    stream = deflater(impl)
    with pytest.raises(BufferError):
        stream.deflate(memoryview(b"H-e-l-l-o")[::2], True)
    with pytest.raises(TypeError):
        stream.deflate("Hello", True)
    assert stream.deflate(b"Hello", True) == HELLO


@each("arguments", [(15, 10, 8, 0), (15, 6, 0, 0), (15, 6, 10, 0), (15, 6, 8, 9)])
def test_settings_that_zlib_refuses(
    impl: ModuleType, arguments: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - zlib's words or ours
        impl._native.zstream.Deflater(*arguments)


def test_sec_16_forms_are_what_they_say(impl: ModuleType) -> None:
    """SEC-16: both are under test."""
    module = impl._native.zstream
    assert module.COMPILED is (not module.__file__.endswith(".py"))
