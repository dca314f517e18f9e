"""The loops over payload bytes, in both forms, against naive models."""

from __future__ import annotations

import array
import itertools
import os
import random
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from .table import each

KEY = bytes.fromhex("37fa213d")
SIZES = [*range(301), 1000, 4095, 4096, 4097, 65535, 65536, 65537, 131079]


def naive_mask(data: bytes, key: bytes) -> bytes:
    return bytes([byte ^ key[i % 4] for i, byte in enumerate(data)])


PLAIN = random.Random(1).randbytes(SIZES[-1] + 64)
MASKED = naive_mask(PLAIN, KEY)


# Masking


def test_spec_063_mask_is_xor_with_octet_i_mod_4(impl: ModuleType) -> None:
    """SPEC-063, SEC-12: every length, and lengths around the wide steps."""
    for size in SIZES:
        assert impl._native.kernels.mask(PLAIN[:size], KEY) == MASKED[:size]


def test_mask_with_a_zero_key_changes_nothing(impl: ModuleType) -> None:
    assert impl._native.kernels.mask(PLAIN[:77], bytes(4)) == PLAIN[:77]


def test_sec_12_take_at_every_start(impl: ModuleType) -> None:
    """SEC-12: no byte outside the payload plays a part, at any alignment."""
    take = impl._native.kernels.take
    for start in range(4, 68):
        for size in (0, 1, 7, 8, 9, 63, 64, 65, 255, 1025):
            data = bytes(start - 4) + KEY + MASKED[:size] + b"\xff" * 9
            assert take(data, start, size, True) == PLAIN[:size]
            assert take(data, start, size, False) == MASKED[:size]


def test_take_every_length(impl: ModuleType) -> None:
    data = b"\x82" + KEY + MASKED
    for size in SIZES:
        assert impl._native.kernels.take(data, 5, size, True) == PLAIN[:size]


def test_spec_057_uint64(impl: ModuleType) -> None:
    """SPEC-057, SEC-11: unsigned, in network order, at any position."""
    values = (0, 1, 2**31 - 1, 2**31, 2**32, 2**62 + 1, 2**63 - 1, 2**63, 2**64 - 1)
    for value in (*values, 0x0102030405060708):
        for start in range(9):
            data = b"\xff" * start + value.to_bytes(8, "big") + b"\xff"
            assert impl._native.kernels.uint64(data, start) == value


# UTF-8


def valid_prefix(data: bytes) -> int | None:
    """How many bytes of an unfinished character end ``data``; None if invalid."""
    try:
        data.decode()
    except UnicodeDecodeError as exc:
        if exc.reason != "unexpected end of data":
            return None
        # CPython says this also of a lead whose next bytes are impossible.
        rest = data[exc.start :]
        return len(rest) if rest in PREFIXES else None
    return 0


def _prefixes() -> set[bytes]:
    """Every beginning of every character, found by encoding them."""
    steps = itertools.chain(range(0x80, 0xD800, 64), range(0xE000, 0x110000, 64))
    characters = (chr(code).encode() for code in steps)
    return {c[:size] for c in characters for size in range(1, len(c))}


PREFIXES = _prefixes()


def check(impl: ModuleType, state: int, data: bytes) -> int:
    result: int = impl._native.kernels.utf8(state, data, 0, len(data))
    return result


def packed(prefix: bytes) -> int:
    return int.from_bytes(prefix, "big")


def one_by_one(impl: ModuleType, data: bytes) -> int | None:
    """Where the check fails when it is fed single bytes; None if it does not."""
    state = 0
    for position in range(len(data)):
        state = impl._native.kernels.utf8(state, data, position, position + 1)
        if state < 0:
            return position
    return None


def first_impossible(data: bytes) -> int | None:
    for size in range(1, len(data) + 1):
        if valid_prefix(data[:size]) is None:
            return size - 1
    return None


def two_bytes() -> Iterator[bytes]:
    return (bytes(pair) for pair in itertools.product(range(256), repeat=2))


def test_sec_35_every_pair_of_bytes(impl: ModuleType) -> None:
    """SPEC-069, SEC-35: all lead bytes with all second bytes, whole and split."""
    utf8 = impl._native.kernels.utf8
    assert all(utf8(0, bytes([lead]), 0, 1) == 0 for lead in range(0x80))
    for data in two_bytes():
        if data[0] < 0x7F:
            continue  # 7F stands for all that is ASCII
        unfinished = valid_prefix(data)
        expected = -1 if unfinished is None else packed(data[2 - unfinished :])
        assert utf8(0, data, 0, 2) == expected, data
        first = utf8(0, data, 0, 1)
        if first >= 0:
            assert utf8(first, data, 1, 2) == expected, data


def test_sec_35_three_and_four_bytes_at_every_split(impl: ModuleType) -> None:
    """SPEC-069, SEC-35: the classes of bytes, with each border of each class."""
    leads = b"\x41\xc2\xdf\xe0\xe1\xed\xef\xf0\xf1\xf4"
    second = b"\x41\x7f\x80\x8f\x90\x9f\xa0\xbf\xc2"
    later = b"\x41\x80\xbf\xc2"
    three = itertools.product(leads, second, later)
    four = itertools.product(leads, second, later, later)
    for data in map(bytes, itertools.chain(three, four)):
        unfinished = valid_prefix(data)
        size = len(data)
        rest = b"" if unfinished is None else data[size - unfinished :]
        expected = -1 if unfinished is None else packed(rest)
        assert check(impl, 0, data) == expected, data
        assert one_by_one(impl, data) == first_impossible(data), data
        for split in range(1, size):
            state = check(impl, 0, data[:split])
            if state >= 0:
                assert check(impl, state, data[split:]) == expected, (data, split)


def test_sec_35_borders_of_unicode(impl: ModuleType) -> None:
    """SPEC-069: the first and last character of each range, before and behind text."""
    codes: tuple[int, ...] = (
        0,
        0x7F,
        0x80,
        0x7FF,
        0x800,
        0xFFF,
        0x1000,
        0xCFFF,
        0xD000,
        0xD7FF,
    )
    codes += (0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF)
    for code in codes:
        for before in (0, 1, 7, 8, 63, 64, 65):
            data = b"a" * before + chr(code).encode() + b"z" * 70
            assert check(impl, 0, data) == 0
            assert one_by_one(impl, data[before:]) is None


@each(
    ("text", "position"),
    [
        ("80", 0),
        ("bf", 0),
        ("c0af", 0),
        ("c1bf", 0),
        ("c220", 1),
        ("e09f80", 1),
        ("e080", 1),
        ("eda080", 1),
        ("edbfbf", 1),
        ("e28228", 2),
        ("f0808080", 1),
        ("f08fbfbf", 1),
        ("f4908080", 1),
        ("f0908041", 3),
        ("f5808080", 0),
        ("f8888080", 0),
        ("fcfefeff", 0),
        ("fe", 0),
        ("ff", 0),
    ],
)
def test_sec_35_first_impossible_byte(
    impl: ModuleType, text: str, position: int
) -> None:
    """SPEC-069, SEC-35: refused there, wherever in a text, and not a byte before."""
    data = bytes.fromhex(text)
    assert one_by_one(impl, data) == position
    for before in (0, 1, 8, 63, 64, 100):
        whole = b"a" * before + data[: position + 1]
        assert check(impl, 0, whole) == -1
        assert check(impl, 0, whole[:-1]) >= 0
        assert check(impl, 0, whole + b"a" * 70) == -1


def test_utf8_reads_only_its_part(impl: ModuleType) -> None:
    data = b"\xff\xffab\xc3\xff"
    assert impl._native.kernels.utf8(0, data, 2, 4) == 0
    assert impl._native.kernels.utf8(0, data, 2, 5) == 0xC3
    assert impl._native.kernels.utf8(0xC3, data, 3, 3) == 0xC3


def test_utf8_long_texts_with_one_bad_byte(impl: ModuleType) -> None:
    """SEC-35: every place around the 8 and 64 byte steps."""
    good = ("a" * 60 + "é日\U0001f600" + "b" * 130).encode()
    assert check(impl, 0, good) == 0
    for place in range(len(good)):
        bad = good[:place] + b"\xff" + good[place + 1 :]
        assert check(impl, 0, bad) == -1


# Payload


def fed(
    impl: ModuleType, pieces: list[bytes], key: bytes, length: int, text: bool = False
) -> Any:
    payload = impl._native.kernels.Payload(length, key, text, 0)
    for piece in pieces:
        payload.feed(piece, 0, len(piece))
    return payload


@each("key", [b"", KEY, bytes(4)], ids=["plain", "masked", "zero"])
@each("size", [1, 3, 511, 512, 513, 70000])
def test_payload_in_pieces(impl: ModuleType, key: bytes, size: int) -> None:
    """SPEC-063: the key goes on where the piece before ended."""
    for whole, text in ((PLAIN[:size], False), (b"text" * size, True)):
        data = naive_mask(whole[:size], key) if key else whole[:size]
        for step in (1 if size < 600 else 999, 5, 128, 1448, size):
            pieces = [data[i : i + step] for i in range(0, size, step)]
            payload = fed(impl, pieces, key, size, text)
            assert payload.missing == 0
            assert payload.finish() == whole[:size]


def test_payload_takes_no_more_than_it_misses(impl: ModuleType) -> None:
    payload = impl._native.kernels.Payload(5, b"", False, 0)
    data = b"xxabcdefgh"
    assert payload.feed(data, 2, 4) == 4
    assert payload.missing == 3
    assert payload.feed(data, 4, 4) == 4
    assert payload.feed(data, 4, len(data)) == 7
    assert payload.missing == 0
    assert payload.feed(data, 7, len(data)) == 7
    assert payload.finish() == b"abcde"


def test_payload_without_bytes(impl: ModuleType) -> None:
    assert impl._native.kernels.Payload(9, KEY, True, 0).finish() == b""


def test_sec_09_payload_of_a_huge_announced_length(impl: ModuleType) -> None:
    """SEC-09: memory follows what came, not what was announced."""
    payload = fed(impl, [b"abc"], b"", 2**62 + 1)
    assert payload.missing == 2**62 - 2
    assert payload.finish() == b"abc"


@pytest.mark.parametrize("key", [b"", KEY], ids=["plain", "masked"])
@pytest.mark.parametrize("step", [1, 2, 9])
def test_payload_checks_text_as_it_comes(
    impl: ModuleType, key: bytes, step: int
) -> None:
    """SPEC-069: the state goes on where the piece before ended."""
    text = b"\x82\xacab\xe2\x82\xac\xc3"
    data = naive_mask(text, key) if key else text
    states = [0xE282, 0, 0, 0, 0xE2, 0xE282, 0, 0xC3]
    payload = impl._native.kernels.Payload(20, key, True, 0xE2)
    assert payload.state == 0xE2
    for end in range(step, len(data) + 1, step):
        payload.feed(data, end - step, end)
        assert payload.state == states[end - 1]
    rest = len(data) % step
    payload.feed(data, len(data) - rest, len(data))
    bad = b"\xc3"
    turned = (len(data) * key)[len(data) :]
    payload.feed(naive_mask(bad, turned) if key else bad, 0, 1)
    assert payload.state == -1


def test_payload_that_is_no_text_keeps_the_state(impl: ModuleType) -> None:
    payload = impl._native.kernels.Payload(9, KEY, False, 0xE2)
    payload.feed(b"\xff\xff\xff", 0, 3)
    assert payload.state == 0xE2


# Buffers of all kinds


@each(
    "data",
    [
        b"abcdefgh",
        bytearray(b"abcdefgh"),
        memoryview(b"abcdefgh"),
        memoryview(b"xxabcdefghxx")[2:10],
        array.array("I", [0x64636261, 0x68676665]),
        memoryview(array.array("H", [0x6261, 0x6463, 0x6665, 0x6867])),
    ],
    ids=["bytes", "bytearray", "view", "slice", "array I", "view H"],
)
@pytest.mark.skipif(
    array.array("H", [1]).tobytes() != b"\1\0", reason="little-endian items"
)
def test_sec_14_lengths_count_bytes(impl: ModuleType, data: Any) -> None:
    """SEC-14: whatever the size of an item, nothing more or less goes out."""
    assert impl._native.kernels.as_bytes(data) == b"abcdefgh"
    assert type(impl._native.kernels.as_bytes(data)) is bytes
    assert impl._native.kernels.frame(0x82, data, False) == b"\x82\x08abcdefgh"


def test_sec_13_as_bytes_keeps_no_view(impl: ModuleType) -> None:
    """SEC-13: the caller may reuse, and resize, the buffer."""
    data = bytearray(b"abcd")
    copy = impl._native.kernels.as_bytes(data)
    whole = impl._native.kernels.frame(0x82, data, False)
    data[:] = b"\xff" * 9
    assert (copy, whole) == (b"abcd", b"\x82\x04abcd")


def test_as_bytes_returns_bytes_as_they_are(impl: ModuleType) -> None:
    data = b"abc"
    assert impl._native.kernels.as_bytes(data) is data


class Bytes(bytes):
    """A subclass, of which the result must not be an instance."""


def test_as_bytes_of_a_subclass(impl: ModuleType) -> None:
    assert type(impl._native.kernels.as_bytes(Bytes(b"abc"))) is bytes
    assert impl._native.kernels.frame(0x82, Bytes(b"abc"), False) == b"\x82\x03abc"


@pytest.mark.parametrize("name", ["as_bytes", "frame"])
def test_sec_14_strided_views_are_refused(impl: ModuleType, name: str) -> None:
    """SEC-14: their bytes do not lie together."""
    data = memoryview(b"abcdefgh")[::2]
    arguments = (data,) if name == "as_bytes" else (0x82, data, False)
    with pytest.raises(BufferError):
        getattr(impl._native.kernels, name)(*arguments)


@each("data", ["text", 5, None, [1, 2]])
def test_what_is_no_buffer_is_refused(impl: ModuleType, data: Any) -> None:
    with pytest.raises(TypeError):
        impl._native.kernels.as_bytes(data)
    with pytest.raises(TypeError):
        impl._native.kernels.frame(0x82, data, False)


# Headers and frames

LENGTHS = {
    0: "00",
    1: "01",
    125: "7d",
    126: "7e007e",
    255: "7e00ff",
    256: "7e0100",
    65535: "7effff",
    65536: "7f0000000000010000",
    2**31: "7f0000000080000000",
    2**32: "7f0000000100000000",
    2**63 - 1: "7f7fffffffffffffff",
}


@each("length", LENGTHS)
def test_spec_058_header_is_minimal(impl: ModuleType, length: int) -> None:
    """SPEC-057, SPEC-058, SPEC-059: the shortest form, in network order."""
    plain = bytes.fromhex("82" + LENGTHS[length])
    assert impl._native.kernels.header(0x82, length, False) == plain
    masked = impl._native.kernels.header(0x82, length, True)
    assert masked == bytes([0x82, plain[1] | 0x80]) + plain[2:]


def test_spec_060_frame_without_mask(impl: ModuleType) -> None:
    """SPEC-058, SPEC-060."""
    for size in SIZES:
        head = impl._native.kernels.header(0x81, size, False)
        assert (
            impl._native.kernels.frame(0x81, PLAIN[:size], False) == head + PLAIN[:size]
        )


def test_spec_061_frame_with_mask(impl: ModuleType) -> None:
    """SPEC-061: the key stands before the payload, which is masked with it."""
    for size in SIZES:
        head = impl._native.kernels.header(0x01, size, True)
        whole = impl._native.kernels.frame(0x01, bytearray(PLAIN[:size]), True)
        assert whole[: len(head)] == head
        key = whole[len(head) : len(head) + 4]
        assert impl._native.kernels.mask(whole[len(head) + 4 :], key) == PLAIN[:size]


# Masking keys


def test_sec_37_keys_are_fresh(impl: ModuleType) -> None:
    """SPEC-062, SEC-37: one key a frame, over several fetches from the source."""
    keys = [impl._native.kernels.masking_key() for _ in range(2000)]
    keys += [impl._native.kernels.frame(0x82, b"", True)[2:] for _ in range(2000)]
    assert {len(key) for key in keys} == {4}
    # Of 4000 random keys two are the same with probability 0.2 %; three, never.
    assert len(set(keys)) >= len(keys) - 2
    ones = sum(packed(key).bit_count() for key in keys)
    assert abs(ones - 16 * len(keys)) < 6 * (8 * len(keys)) ** 0.5


@pytest.fixture
def own_source(
    impl: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[int]]:
    """A random source that counts; gives the list of sizes it was asked for."""
    asked: list[int] = []
    counter = itertools.count(1)

    def source(size: int) -> bytes:
        asked.append(size)
        return b"".join(next(counter).to_bytes(4, "big") for _ in range(size // 4))

    monkeypatch.setattr(impl.environment, "random_bytes", source)
    impl._native.kernels.forget_keys()
    yield asked
    monkeypatch.undo()
    impl._native.kernels.forget_keys()


def test_spec_062_keys_come_from_the_environment(
    impl: ModuleType, own_source: list[int]
) -> None:
    """SPEC-062, SEC-37: each is used once, in order, whoever takes it."""
    for number in range(1, 3000):
        if number % 2:
            key = impl._native.kernels.masking_key()
        else:
            key = impl._native.kernels.frame(0x82, b"", True)[2:]
        assert packed(key) == number
    assert all(size >= 4 and size % 4 == 0 for size in own_source)


def test_forget_keys(impl: ModuleType, own_source: list[int]) -> None:
    first = impl._native.kernels.masking_key()
    asked = len(own_source)
    impl._native.kernels.forget_keys()
    assert impl._native.kernels.masking_key() not in (first, bytes.fromhex("00000002"))
    assert len(own_source) == asked + 1


def test_a_source_that_fails_gives_no_key(
    impl: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-15: and leaves nothing behind."""
    with monkeypatch.context() as patch:
        patch.setattr(impl.environment, "random_bytes", lambda size: 1 // 0)
        impl._native.kernels.forget_keys()
        with pytest.raises(ZeroDivisionError):
            impl._native.kernels.frame(0x82, b"abc", True)
        with pytest.raises(ZeroDivisionError):
            impl._native.kernels.masking_key()
    assert len(impl._native.kernels.masking_key()) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_sec_37_a_forked_child_has_keys_of_its_own(impl: ModuleType) -> None:
    """SEC-37: keys fetched before the fork are not used by both."""
    impl._native.kernels.masking_key()  # so that some are in stock
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(
                write, b"".join(impl._native.kernels.masking_key() for _ in range(64))
            )
        finally:
            os._exit(0)
    os.close(write)
    theirs = os.read(read, 4096)
    os.close(read)
    os.waitpid(child, 0)
    ours = b"".join(impl._native.kernels.masking_key() for _ in range(64))
    assert len(theirs) == len(ours) == 256
    shared = {theirs[i : i + 4] for i in range(0, 256, 4)}
    shared &= {ours[i : i + 4] for i in range(0, 256, 4)}
    assert not shared


# Header lines


def naive_fields(fields: tuple[str, ...], head: bytes, most: int) -> Any:
    """What ``fields()`` should give: one character after the other."""
    token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
    found: dict[str, list[str]] = {}
    lines = head.decode("latin-1").split("\r\n") if head else []
    if len(lines) > most:
        return None
    for line in lines:
        name, colon, value = line.partition(":")
        key = "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)
        if not colon or not name or any(c not in token for c in key):
            return None
        if any((c < " " and c != "\t") or c == "\x7f" for c in value):
            return None
        if key == "content-length":
            return None
        if key in fields:
            found.setdefault(key, []).append(value.strip(" \t"))
    return {k: v if len(v) > 1 else v[0] for k, v in found.items()}


def random_head(choose: random.Random, fields: tuple[str, ...]) -> bytes:
    odd = ("Via", "x", "host ", "hos", "hosts", "", "content-length", "a\x7f")
    names = (*fields, *odd)
    plain = ("", " ", "\t", "a", " a b ", "\xe9\xff", "a:b", "\t a\t")
    values = (*plain, "\n", "\r", "\0")
    lines = []
    for _ in range(choose.randrange(6)):
        name = choose.choice(names if choose.random() < 0.1 else fields)
        name = choose.choice((name, name.title(), name.upper()))
        value = choose.choice(values if choose.random() < 0.2 else plain)
        lines.append(f"{name}:{value}")
    head = bytearray("\r\n".join(lines), "latin-1")
    if head and choose.random() < 0.2:
        head[choose.randrange(len(head))] = choose.randrange(256)
    return bytes(head)


def test_fields_of_random_heads(impl: ModuleType) -> None:
    kernels, names = impl._native.kernels, impl._base.constants.HANDSHAKE_FIELDS
    choose = random.Random(5)
    given = 0
    for _ in range(3000):
        head = random_head(choose, names)
        most = choose.choice((0, 2, 10, 10))
        expected = naive_fields(names, head, most)
        before, behind = choose.randbytes(3), choose.randbytes(3)
        data = before + head + behind
        found = kernels.fields(data, 3, len(data) - 3, most)
        assert found == expected, (head, most)
        given += bool(found)
    assert 1000 < given < 2900


def test_fields_in_every_letter_case(impl: ModuleType) -> None:
    kernels, names = impl._native.kernels, impl._base.constants.HANDSHAKE_FIELDS
    for name in names:
        for spelling in name, name.upper(), name.title():
            head = f"{spelling}: a".encode()
            assert kernels.fields(head, 0, len(head), 1) == {name: "a"}
            for position in range(len(name)):
                for byte in b"-@[`{_aA":
                    changed = bytearray(head)
                    changed[position] = byte
                    expected = naive_fields(names, bytes(changed), 1)
                    assert kernels.fields(bytes(changed), 0, len(head), 1) == expected
