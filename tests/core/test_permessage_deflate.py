"""permessage-deflate: its frames, its place in a connection, its factories."""

from __future__ import annotations

import functools
import random
import tracemalloc
import zlib
from types import ModuleType
from typing import Any

import pytest

HELLO = bytes.fromhex("f248cdc9c90700")
AGAIN = bytes.fromhex("f200110000")
FINAL = bytes.fromhex("f348cdc9c9070000")
KEY = bytes(4)  # masks nothing, so that frames can be read
TAIL = b"\x00\x00\xff\xff"


def new(
    impl: ModuleType,
    remote_fresh: bool = False,
    local_fresh: bool = False,
    remote_bits: int = 15,
    local_bits: int = 15,
    settings: dict[str, Any] | None = None,
) -> Any:
    return impl.extensions.permessage_deflate.PerMessageDeflate(
        remote_fresh, local_fresh, remote_bits, local_bits, settings
    )


def text(impl: ModuleType, data: Any, **flags: bool) -> Any:
    return impl.frames.Frame(impl.frames.Opcode.TEXT, data, **flags)


def cont(impl: ModuleType, data: bytes, **flags: bool) -> Any:
    return impl.frames.Frame(impl.frames.Opcode.CONT, data, **flags)


def connection(impl: ModuleType, side: str = "SERVER", **arguments: Any) -> Any:
    """An open connection that agreed on permessage-deflate."""
    extension = arguments.pop("extension", None) or new(impl)
    protocol = impl.protocol.Protocol(getattr(impl.protocol, side), **arguments)
    protocol.extensions = [extension]
    return protocol


def wire(first: int, data: bytes, masked: bool = True) -> bytes:
    """A frame whose first byte is ``first``."""
    bit = 0x80 if masked else 0
    if len(data) < 126:
        head = bytes([first, bit | len(data)])
    elif len(data) < 65536:
        head = bytes([first, bit | 126]) + len(data).to_bytes(2, "big")
    else:
        head = bytes([first, bit | 127]) + len(data).to_bytes(8, "big")
    return head + (KEY if masked else b"") + data


@functools.cache
def deflated(data: bytes, bits: int = 15) -> bytes:
    stream = zlib.compressobj(6, zlib.DEFLATED, -bits)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def received(protocol: Any, *frames: bytes) -> list[tuple[int, bytes]]:
    protocol.receive_data(b"".join(frames))
    return [(int(event.opcode), event.data) for event in protocol.events_received()]


def assert_failing(protocol: Any, code: int, reason: str = "") -> None:
    assert protocol.close_sent is not None
    assert protocol.close_sent.code == code
    assert reason in protocol.close_sent.reason
    assert protocol.parser_exc is not None


# The extension by itself


@pytest.mark.parametrize(
    "arguments", [(7, 15), (16, 15), (15, 8), (15, 16), (0, 9), (-9, 15)]
)
def test_sec_20_window_bits_are_checked(
    impl: ModuleType, arguments: tuple[int, int]
) -> None:
    """SPEC-093, SEC-20: zlib can't compress with a window of 8 bits."""
    with pytest.raises(ValueError, match="max_window_bits"):
        new(impl, False, False, *arguments)


def test_attributes_and_repr(impl: ModuleType) -> None:
    extension = new(impl, True, False, 8, 9, {"level": 1})
    assert extension.name == "permessage-deflate"
    assert isinstance(extension, impl.extensions.base.Extension)
    assert extension.remote_max_window_bits == 8
    assert extension.local_max_window_bits == 9
    assert extension.compress_settings == {"level": 1}
    assert repr(extension) == (
        "PerMessageDeflate(remote_no_context_takeover=True, "
        "local_no_context_takeover=False, remote_max_window_bits=8, "
        "local_max_window_bits=9)"
    )


@pytest.mark.parametrize("name", ["wbits", "speed"])
def test_settings_that_are_not_to_be_set(impl: ModuleType, name: str) -> None:
    """SPEC-100: the window's size is agreed, not set."""
    module = impl.extensions.permessage_deflate
    with pytest.raises(ValueError, match=name):
        new(impl, settings={name: 9, "level": 1})
    for factory in (
        module.ClientPerMessageDeflateFactory,
        module.ServerPerMessageDeflateFactory,
    ):
        with pytest.raises(ValueError, match=name):
            factory(compress_settings={name: 9})


@pytest.mark.parametrize(
    "settings", [{"level": 0}, {"level": 9, "memLevel": 1}, {"strategy": 2}]
)
def test_settings_are_used(impl: ModuleType, settings: dict[str, int]) -> None:
    data = random.Random(1).randbytes(500) * 2
    peer = zlib.compressobj(
        settings.get("level", -1),
        zlib.DEFLATED,
        -15,
        settings.get("memLevel", 8),
        settings.get("strategy", 0),
    )
    expected = peer.compress(data) + peer.flush(zlib.Z_SYNC_FLUSH)
    frame = new(impl, settings=settings).encode(text(impl, data))
    assert zlib.decompress(frame.data + TAIL + b"\3\0", -15) == data
    assert abs(len(frame.data) - len(expected)) < 10


def test_spec_096_encode_vectors(impl: ModuleType) -> None:
    """SPEC-094, SPEC-096, SPEC-099: RFC 7692, section 7.2.3."""
    extension = new(impl)
    hello = extension.encode(text(impl, b"Hello"))
    assert hello == text(impl, HELLO, rsv1=True)
    assert extension.encode(text(impl, b"Hello")).data == AGAIN
    assert extension.encode(text(impl, b"")).data == b"\0"


def test_spec_094_encode_fragments(impl: ModuleType) -> None:
    """SPEC-094, SPEC-096: RSV1 on the first only, the tail cut from the last only."""
    extension = new(impl)
    first = extension.encode(text(impl, b"Hel", fin=False))
    middle = extension.encode(cont(impl, b"", fin=False))
    last = extension.encode(cont(impl, b"lo"))
    assert (first.rsv1, first.fin) == (True, False)
    assert (middle.rsv1, middle.fin) == (False, False)
    assert (last.rsv1, last.fin) == (False, True)
    assert first.data.endswith(TAIL)
    whole = first.data + middle.data + last.data + TAIL
    assert zlib.decompressobj(-15).decompress(whole) == b"Hello"


def test_encode_does_not_change_its_argument(impl: ModuleType) -> None:
    frame = text(impl, bytearray(b"Hello"), rsv2=True, rsv3=True)
    encoded = new(impl).encode(frame)
    assert encoded == text(impl, HELLO, rsv1=True, rsv2=True, rsv3=True)
    assert frame == text(impl, b"Hello", rsv2=True, rsv3=True)


def test_encode_leaves_a_message_that_began_uncompressed(impl: ModuleType) -> None:
    frame = cont(impl, b"lo")
    assert new(impl).encode(frame) is frame


def test_spec_094_control_frames_pass(impl: ModuleType) -> None:
    """SPEC-066, SPEC-094: both ways, in the middle of a message too."""
    extension = new(impl)
    ping = impl.frames.Frame(impl.frames.Opcode.PING, b"Hello")
    for _ in range(2):
        assert extension.encode(ping) is ping
        assert extension.decode(ping) is ping
        extension.encode(text(impl, b"Hel", fin=False))
        extension.decode(text(impl, b"\0", fin=False, rsv1=True))


def test_spec_097_decode_vectors(impl: ModuleType) -> None:
    """SPEC-097, SPEC-098, SPEC-099: compressed frames, of every buffer type."""
    extension = new(impl)
    for data in (HELLO, bytearray(AGAIN), memoryview(AGAIN), FINAL, HELLO, AGAIN):
        decoded = extension.decode(text(impl, data, rsv1=True))
        assert decoded == text(impl, b"Hello")
        assert type(decoded.data) is bytes


def test_decode_fragments(impl: ModuleType) -> None:
    """SPEC-097."""
    extension = new(impl)
    first = extension.decode(text(impl, HELLO[:3], fin=False, rsv1=True, rsv3=True))
    last = extension.decode(cont(impl, HELLO[3:]))
    assert first == text(impl, first.data, fin=False, rsv3=True)
    assert first.data + last.data == b"Hello"
    plain = cont(impl, b"next")
    assert extension.decode(plain) is plain


def test_spec_095_uncompressed_messages_pass(impl: ModuleType) -> None:
    """SPEC-095: and leave the window as it was."""
    extension = new(impl)
    extension.decode(text(impl, HELLO, rsv1=True))
    for frame in (text(impl, b"a", fin=False), cont(impl, b"b"), text(impl, b"c")):
        assert extension.decode(frame) is frame
    assert extension.decode(text(impl, AGAIN, rsv1=True)).data == b"Hello"


def test_sec_17_rsv1_on_a_continuation(impl: ModuleType) -> None:
    """SPEC-094, SEC-17."""
    extension = new(impl)
    extension.decode(text(impl, HELLO[:3], fin=False, rsv1=True))
    with pytest.raises(impl.exceptions.ProtocolError):
        extension.decode(cont(impl, HELLO[3:], rsv1=True))


@pytest.mark.parametrize("size", [None, 5, 4, 0])
def test_sec_01_decode_with_max_size(impl: ModuleType, size: int | None) -> None:
    """SPEC-075, SEC-01: 0 is no freedom (SEC-02)."""
    frame = text(impl, HELLO, rsv1=True)
    if size is None or size >= 5:
        assert new(impl).decode(frame, max_size=size).data == b"Hello"
        return
    with pytest.raises(impl.exceptions.PayloadTooBig):
        new(impl).decode(frame, max_size=size)


def test_decode_without_max_size_has_no_limit(impl: ModuleType) -> None:
    """SEC-11: the limit that stands for none is a number like others."""
    decoded = new(impl).decode(text(impl, deflated(bytes(200_000)), rsv1=True))
    assert decoded.data == bytes(200_000)


def test_spec_099_local_no_context_takeover(impl: ModuleType) -> None:
    """SPEC-088, SPEC-099: each message from an empty window; its fragments from one."""
    extension = new(impl, local_fresh=True)
    for _ in range(2):
        assert extension.encode(text(impl, b"Hello")).data == HELLO
        peer = zlib.decompressobj(-15)
        first = extension.encode(text(impl, b"Hello", fin=False)).data
        last = extension.encode(cont(impl, b"Hello")).data
        assert last == AGAIN
        assert peer.decompress(first + last + TAIL) == b"HelloHello"


def test_spec_099_remote_no_context_takeover(impl: ModuleType) -> None:
    """SPEC-089, SPEC-099: nothing of a message is left for the next."""
    extension = new(impl, remote_fresh=True)
    extension.decode(text(impl, HELLO[:3], fin=False, rsv1=True))
    extension.decode(cont(impl, HELLO[3:]))
    with pytest.raises(impl.exceptions.ProtocolError):
        extension.decode(text(impl, AGAIN, rsv1=True))
    extension = new(impl, remote_fresh=True)
    for data in (HELLO, FINAL, HELLO):
        assert extension.decode(text(impl, data, rsv1=True)).data == b"Hello"


def test_release(impl: ModuleType) -> None:
    """SEC-10: both windows are gone; the extension can begin anew."""
    extension = new(impl)
    extension.release()
    extension.encode(text(impl, b"Hello"))
    extension.decode(text(impl, HELLO, rsv1=True))
    extension.release()
    assert extension.encode(text(impl, b"Hello")).data == HELLO
    with pytest.raises(impl.exceptions.ProtocolError):
        extension.decode(text(impl, AGAIN, rsv1=True))


def test_sec_10_contexts_are_made_when_first_used(impl: ModuleType) -> None:
    """SEC-10: thousands of extensions cost nothing to speak of until then."""
    tracemalloc.start()
    try:
        many = [new(impl) for _ in range(1000)]
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 400 * len(many)


def test_sec_15_state_after_refused_data(impl: ModuleType) -> None:
    """SEC-15: after an error of the caller the next message can be read."""
    extension = new(impl)
    peer = zlib.decompressobj(-15)
    first = extension.encode(text(impl, b"Hello")).data
    for bad in ("Hello", memoryview(b"H-e-l-l-o")[::2]):
        with pytest.raises((TypeError, BufferError)):
            extension.encode(text(impl, bad))
    second = extension.encode(text(impl, b"Hello")).data
    assert peer.decompress(first + TAIL + second + TAIL) == b"HelloHello"


# In a connection: what comes in

SIDES = pytest.mark.parametrize("side", ["SERVER", "CLIENT"])


@SIDES
def test_spec_098_vectors_on_the_wire(impl: ModuleType, side: str) -> None:
    """SPEC-097, SPEC-098, SPEC-099, SEC-18: RFC 7692, section 7.2.3, in one stream."""
    messages = [HELLO, AGAIN, bytes.fromhex("000500faff48656c6c6f00"), FINAL, HELLO]
    messages += [AGAIN, FINAL, AGAIN, bytes.fromhex("f24805000000ffffcac9c90700")]
    data = b"".join(wire(0xC1, message, side == "SERVER") for message in messages)
    expected = [(1, b"Hello")] * len(messages)
    assert received(connection(impl, side), data) == expected
    protocol = connection(impl, side)
    single = [received(protocol, bytes([byte])) for byte in data]
    assert [event for one in single for event in one] == expected


def test_empty_messages(impl: ModuleType) -> None:
    """SPEC-096, SPEC-097: as one byte 00, and as other empty blocks."""
    for data in (b"\0", b"\x02\0", b"\x03\0\0", b"\0\0\0\xff\xff\0"):
        protocol = connection(impl)
        frames = wire(0xC1, data), wire(0xC2, HELLO)
        assert received(protocol, *frames) == [(1, b""), (2, b"Hello")], data


def test_spec_066_control_frames_between_fragments(impl: ModuleType) -> None:
    """SPEC-066, SEC-15: no harm to the decompression, wherever it stands."""
    for split in range(len(HELLO) + 1):
        protocol = connection(impl)
        events = received(
            protocol,
            wire(0x41, HELLO[:split]),
            wire(0x89, b"ping"),
            wire(0x00, b""),
            wire(0x8A, b"pong"),
            wire(0x80, HELLO[split:]),
            wire(0xC1, AGAIN),
        )
        data = [event for event in events if event[0] < 8]
        assert b"".join(payload for _, payload in data[:-1]) == b"Hello"
        assert data[-1] == (1, b"Hello")
        assert protocol.data_to_send() == [b"\x8a\x04ping"]


def test_spec_095_uncompressed_messages_between(impl: ModuleType) -> None:
    """SPEC-095: in fragments too, with text checked and the window kept."""
    frames = [wire(0xC1, HELLO), wire(0x01, b"\xc3"), wire(0x80, b"\xa9")]
    frames += [wire(0x82, b"\xff"), wire(0xC1, AGAIN)]
    assert received(connection(impl), *frames) == [
        (1, b"Hello"),
        (1, b"\xc3"),
        (0, b"\xa9"),
        (2, b"\xff"),
        (1, b"Hello"),
    ]


def test_sec_17_rsv1_where_it_must_not_be(impl: ModuleType) -> None:
    """SPEC-094, SEC-17: refused at the first byte, agreed or not."""
    for agreed in (True, False):
        for reserved in range(1, 8):
            for opcode in (0, 1, 2, 8, 9, 10):
                protocol = connection(impl)
                if not agreed:
                    protocol.extensions = []
                if opcode == 0:
                    received(protocol, wire(0x02, b""))
                received(protocol, bytes([0x80 | reserved << 4 | opcode]))
                if agreed and reserved == 4 and opcode in (1, 2):
                    assert protocol.parser_exc is None
                else:
                    assert_failing(protocol, 1002)


@pytest.mark.parametrize(
    ("data", "code"),
    [(HELLO[:-3], 1002), (b"", 1002), (b"\xff", 1002), (AGAIN, 1002)],
    ids=["cut", "empty", "not deflate", "no window"],
)
def test_spec_102_invalid_data(impl: ModuleType, data: bytes, code: int) -> None:
    """SPEC-102, SEC-19: nothing of it is delivered; what came before is."""
    protocol = connection(impl)
    assert received(protocol, wire(0x82, b"ok"), wire(0xC2, data)) == [(2, b"ok")]
    assert_failing(protocol, code)
    assert protocol.data_to_send()[-1] == b""


@pytest.mark.parametrize(
    "text_bytes", ["61ff61", "eda080", "c0af", "f4908080", "61ce", "e282"]
)
def test_spec_101_text_is_checked_when_decompressed(
    impl: ModuleType, text_bytes: str
) -> None:
    """SPEC-069, SPEC-101, SEC-35: in one frame and in several."""
    data = deflated(bytes.fromhex(text_bytes))
    for split in range(len(data)):
        frames = [wire(0xC1, data)]
        if split:
            frames = [wire(0x41, data[:split]), wire(0x80, data[split:])]
        protocol = connection(impl)
        assert all(event == (1, b"") or split for event in received(protocol, *frames))
        assert_failing(protocol, 1007)
    assert received(connection(impl), wire(0xC2, data)) != []


def test_spec_101_a_character_may_span_fragments(impl: ModuleType) -> None:
    """SPEC-101: each fragment may end with any part of it."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = []
    for byte in "é日\U0001f600".encode():
        part = stream.compress(bytes([byte])) + stream.flush(zlib.Z_SYNC_FLUSH)
        parts.append(part)
    frames = [wire(0x00, part) for part in parts]
    frames[0] = wire(0x41, parts[0])
    frames[-1] = wire(0x80, parts[-1][:-4])
    protocol = connection(impl)
    data = b"".join(payload for _, payload in received(protocol, *frames))
    assert data.decode() == "é日\U0001f600"


def test_validate_utf8_can_be_left_out(impl: ModuleType) -> None:
    protocol = connection(impl, validate_utf8=False)
    assert received(protocol, wire(0xC1, deflated(b"\xff"))) == [(1, b"\xff")]


# In a connection: limits

LIMITS = pytest.mark.parametrize("limit", [1, 100, 65536])


def contents(size: int) -> tuple[bytes, bytes]:
    """Bytes that compress 1000 times, and bytes that do not."""
    return bytes(size), random.Random(size).randbytes(size)


@LIMITS
@pytest.mark.parametrize("option", ["max_size", "max_inflated_size"])
def test_sec_01_limit_exactly(impl: ModuleType, limit: int, option: str) -> None:
    """SPEC-075, SPEC-101, SEC-01, SEC-03: the limit counts decompressed bytes."""
    for extra in (-1, 0, 1, 2, 3):
        for data in contents(limit + extra):
            protocol = connection(impl, "SERVER", **{option: limit})
            events = received(protocol, wire(0xC2, deflated(data)))
            if extra <= 0:
                assert events == [(2, data)]
            else:
                assert events == []
                assert_failing(protocol, 1009, str(limit))


@LIMITS
def test_sec_03_limit_over_fragments(impl: ModuleType, limit: int) -> None:
    """SPEC-075, SEC-03: over the compressed message, whatever its fragments."""
    for extra in (0, 1, 2, 3):
        for data in contents(limit + extra):
            message = deflated(data)
            step = len(message) // 7 + 1
            parts = [message[i : i + step] for i in range(0, len(message), step)]
            frames = [wire(0x42, b""), *(wire(0x00, part) for part in parts)]
            protocol = connection(impl, max_size=limit)
            events = received(protocol, *frames, wire(0x80, b""))
            if extra == 0:
                assert b"".join(payload for _, payload in events) == data
            else:
                assert_failing(protocol, 1009, str(limit))


@LIMITS
def test_sec_02_exact_limit_and_then_a_bomb(impl: ModuleType, limit: int) -> None:
    """SEC-02: a budget of 0 means nothing more, not everything."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = stream.compress(bytes(limit)) + stream.flush(zlib.Z_SYNC_FLUSH)
    bomb = (stream.compress(bytes(2**20)) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
    protocol = connection(impl, max_size=limit)
    assert received(protocol, wire(0x42, first)) == [(2, bytes(limit))]
    assert received(protocol, wire(0x00, b"")) == [(0, b"")]
    assert received(protocol, wire(0x80, bomb)) == []
    assert_failing(protocol, 1009, str(limit))


def test_sec_02_exact_limit_and_then_nothing(impl: ModuleType) -> None:
    """SEC-02: the end of the message is no byte; the next message has all again."""
    protocol = connection(impl, max_size=5)
    frames = [wire(0x42, HELLO), wire(0x80, b"")] * 0
    frames += [wire(0x42, HELLO + TAIL), wire(0x80, b"\0"), wire(0xC2, AGAIN)]
    assert received(protocol, *frames) == [(2, b"Hello"), (0, b""), (2, b"Hello")]


def test_limit_for_fragments_counts_what_comes_out(impl: ModuleType) -> None:
    """SPEC-075: the second limit of ``max_size``."""
    protocol = connection(impl, max_size=(100, 5))
    assert received(protocol, wire(0xC2, HELLO)) == [(2, b"Hello")]
    assert received(protocol, wire(0xC2, deflated(b"123456"))) == []
    assert_failing(protocol, 1009, "5")


def test_sec_01_peak_memory(impl: ModuleType) -> None:
    """SEC-01: a bomb of 16 MiB in 16 KiB, of which nothing is kept."""
    limit = 2**18
    bomb = deflated(bytes(2**24))
    protocol = connection(impl, max_size=limit)
    tracemalloc.start()
    try:
        received(protocol, wire(0x42, bomb[: len(bomb) // 2]), wire(0x80, bomb))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert_failing(protocol, 1009)
    copies = 1 if impl.extensions._zstream.COMPILED else 2
    assert peak < copies * limit + 200_000


def test_sec_01_compressed_bytes_have_a_limit_too(impl: ModuleType) -> None:
    """SPEC-075: compressed data that gives nothing is refused by its size."""
    protocol = connection(impl, max_size=100)
    received(protocol, bytes([0xC2, 0xFE]) + (60000).to_bytes(2, "big"))
    assert_failing(protocol, 1009, "100")
    protocol = connection(impl, max_size=100)
    nothing = TAIL + b"\0"  # goes on with one more empty block
    received(protocol, wire(0x42, b"\0"), *[wire(0x00, nothing * 20)] * 50)
    assert_failing(protocol, 1009, "100")


def test_no_limit(impl: ModuleType) -> None:
    """SEC-11: without ``max_size``, sizes around the steps of growth."""
    for size in (65535, 65536, 65537, 300_000):
        protocol = connection(impl, max_size=None)
        assert received(protocol, wire(0xC2, deflated(bytes(size)))) == [
            (2, bytes(size))
        ]


# In a connection: what goes out


@SIDES
def test_spec_096_sending(impl: ModuleType, side: str) -> None:
    """SPEC-094, SPEC-096, SPEC-099: as a peer of the other form and side reads it."""
    sender = connection(impl, side)
    receiver = connection(impl, "CLIENT" if side == "SERVER" else "SERVER")
    sender.send_text(b"Hello")
    sender.send_binary(bytearray(b"Hello"))
    sender.send_text(b"Hel", fin=False)
    sender.send_ping(b"Hello")
    sender.send_continuation(b"", fin=False)
    sender.send_continuation(b"lo", fin=True)
    sender.send_text(b"")
    sender.send_close(1000)
    events = received(receiver, b"".join(sender.data_to_send()))
    assert events[:2] == [(1, b"Hello"), (2, b"Hello")]
    assert events[2:6] == [(1, b"Hel"), (9, b"Hello"), (0, b""), (0, b"lo")]
    assert events[6:] == [(1, b""), (8, b"\x03\xe8")]
    assert sender.stats.inflated_sent == receiver.stats.inflated_received == 15
    assert sender.stats.deflated_sent == receiver.stats.deflated_received


def test_sending_on_the_wire(impl: ModuleType) -> None:
    """SPEC-094: RSV1 on the first frame, never on a control frame."""
    protocol = connection(impl)
    protocol.send_text(b"Hello")
    protocol.send_text(b"Hello")
    protocol.send_pong(b"Hello")
    assert protocol.data_to_send() == [
        b"\xc1\x07" + HELLO,
        b"\xc1\x05" + AGAIN,
        b"\x8a\x05Hello",
    ]


def test_spec_103_compress_is_a_choice_for_each_message(impl: ModuleType) -> None:
    """SPEC-095, SPEC-103: without it the window is as it was; True is the default."""
    protocol = connection(impl)
    protocol.send_text(b"Hello", compress=True)
    protocol.send_binary(b"secret", compress=False)
    protocol.send_text(b"sec", fin=False, compress=False)
    protocol.send_continuation(b"ret", fin=True)
    protocol.send_text(b"Hello", compress=None)
    assert protocol.data_to_send() == [
        b"\xc1\x07" + HELLO,
        b"\x82\x06secret",
        b"\x01\x03sec",
        b"\x80\x03ret",
        b"\xc1\x05" + AGAIN,
    ]


def test_compress_without_the_extension(impl: ModuleType) -> None:
    protocol = connection(impl)
    protocol.extensions = []
    for compress in (None, True, False):
        protocol.send_text(b"Hello", compress=compress)
    assert protocol.data_to_send() == [b"\x81\x05Hello"] * 3


def sizes(impl: ModuleType, first: bytes, **options: Any) -> int:
    """Size of a secret's frame after a message of somebody else."""
    fresh = options.pop("fresh", False)
    protocol = connection(impl, extension=new(impl, local_fresh=fresh))
    protocol.send_text(first)
    protocol.data_to_send()
    protocol.send_text(b"token=5f3a9c1d77e2", **options)
    return sum(map(len, protocol.data_to_send()))


def test_sec_21_the_size_tells_nothing(impl: ModuleType) -> None:
    """SPEC-103, SEC-21: where it is off; the leak is there where it is on."""
    guesses = (b"token=5f3a9c1d77e2", b"token=0000000000000", b"", b"xyz" * 50)
    assert len({sizes(impl, guess) for guess in guesses}) > 1
    assert len({sizes(impl, guess, compress=False) for guess in guesses}) == 1
    assert len({sizes(impl, guess, fresh=True) for guess in guesses}) == 1


def test_sec_10_released_when_the_connection_is_over(impl: ModuleType) -> None:
    """SEC-10: the contexts' memory is given back, the object may live on."""
    protocol = connection(impl)
    received(protocol, wire(0xC1, HELLO))
    protocol.receive_eof()
    with pytest.raises(impl.exceptions.ProtocolError):
        protocol.extensions[0].decode(text(impl, AGAIN, rsv1=True))


# The factories

CLIENT_CONFIGS: list[tuple[Any, ...]] = [
    (False, False, None, True),
    (False, False, None, None),
    (True, False, None, True),
    (False, True, 10, None),
    (True, True, 8, 9),
    (False, False, 15, 12),
]
SERVER_CONFIGS: list[tuple[Any, ...]] = [
    (False, False, None, None),
    (True, False, None, None),
    (False, True, 9, 9),
    (True, True, 12, 12),
    (False, False, 15, None),
]
NAME = "permessage-deflate"


def attributes(extension: Any) -> tuple[Any, ...]:
    return (
        bool(extension.remote_no_context_takeover),
        bool(extension.local_no_context_takeover),
        extension.remote_max_window_bits,
        extension.local_max_window_bits,
    )


def negotiated(module: Any, error: Any, client: Any, server: Any) -> Any:
    """What two factories of one library make of each other."""
    try:
        offering = module.ClientPerMessageDeflateFactory(*client)
        answering = module.ServerPerMessageDeflateFactory(*server)
        offer = offering.get_request_params()
        answer, theirs = answering.process_request_params(offer, [])
        ours = offering.process_response_params(answer, [])
    except error as exc:
        return type(exc).__name__
    return sorted(offer), sorted(answer), attributes(ours), attributes(theirs)


@pytest.mark.parametrize("client", CLIENT_CONFIGS, ids=str)
def test_factories_agree_like_the_reference(
    impl: ModuleType, client: tuple[Any, ...]
) -> None:
    """SPEC-084 to SPEC-092: every configuration with every other."""
    reference = pytest.importorskip("websockets.extensions.permessage_deflate")
    errors = pytest.importorskip("websockets.exceptions")
    module = impl.extensions.permessage_deflate
    for server in SERVER_CONFIGS:
        for require in (False, True):
            if require and server[3] is None:
                continue
            config = (*server, None, require)
            ours = negotiated(module, impl.exceptions.NegotiationError, client, config)
            theirs = negotiated(reference, errors.NegotiationError, client, config)
            assert ours == theirs, config


@pytest.mark.parametrize("client", CLIENT_CONFIGS, ids=str)
@pytest.mark.parametrize("server", SERVER_CONFIGS, ids=str)
def test_spec_100_both_ends_understand_each_other(
    impl: ModuleType, client: tuple[Any, ...], server: tuple[Any, ...]
) -> None:
    """SPEC-088 to SPEC-092, SPEC-099, SPEC-100: through a whole handshake."""
    module = impl.extensions.permessage_deflate
    offering = module.ClientPerMessageDeflateFactory(*client)
    answering = module.ServerPerMessageDeflateFactory(*server)
    one = impl.client.ClientProtocol(
        impl.uri.parse_uri("ws://example.com/"), extensions=[offering]
    )
    two = impl.server.ServerProtocol(extensions=[answering])
    one.send_request(one.connect())
    two.receive_data(b"".join(one.data_to_send()))
    two.send_response(two.accept(two.events_received()[0]))
    one.receive_data(b"".join(two.data_to_send()))
    assert one.handshake_exc is None
    assert len(one.events_received()) == 1
    assert len(one.extensions) == len(two.extensions)
    if one.extensions:
        remote = attributes(two.extensions[0])[::2]
        assert attributes(one.extensions[0])[1] == remote[0]
    rng = random.Random(1)
    data = rng.randbytes(600) * 2 + bytes(rng.choices(b"ab", k=2000))
    for sender, receiver in ((one, two), (two, one)) * 2:
        sender.send_binary(data)
        assert received(receiver, *sender.data_to_send()) == [(2, data)]


def test_spec_083_not_twice(impl: ModuleType) -> None:
    """SPEC-083: two extensions can't both use RSV1."""
    module = impl.extensions.permessage_deflate
    accepted = [new(impl)]
    with pytest.raises(impl.exceptions.NegotiationError):
        module.ServerPerMessageDeflateFactory().process_request_params([], accepted)
    with pytest.raises(impl.exceptions.NegotiationError):
        module.ClientPerMessageDeflateFactory().process_response_params([], accepted)
    other = type("Other", (impl.extensions.base.Extension,), {"name": "x-other"})()
    answer, extension = module.ServerPerMessageDeflateFactory().process_request_params(
        [], [other]
    )
    assert (answer, attributes(extension)) == ([], (False, False, 15, 15))


@pytest.mark.parametrize(
    "arguments",
    [
        {"server_max_window_bits": 8},
        {"server_max_window_bits": 16},
        {"client_max_window_bits": 7},
        {"require_client_max_window_bits": True},
    ],
    ids=str,
)
def test_server_factory_refuses(impl: ModuleType, arguments: Any) -> None:
    """SEC-20."""
    module = impl.extensions.permessage_deflate
    with pytest.raises(ValueError, match="max_window_bits"):
        module.ServerPerMessageDeflateFactory(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"server_max_window_bits": 7},
        {"client_max_window_bits": 8},
        {"client_max_window_bits": 16},
    ],
    ids=str,
)
def test_client_factory_refuses(impl: ModuleType, arguments: Any) -> None:
    """SEC-20."""
    module = impl.extensions.permessage_deflate
    with pytest.raises(ValueError, match="max_window_bits"):
        module.ClientPerMessageDeflateFactory(**arguments)


def test_settings_reach_the_extension(impl: ModuleType) -> None:
    module = impl.extensions.permessage_deflate
    settings = {"level": 1}
    server = module.ServerPerMessageDeflateFactory(compress_settings=settings)
    client = module.ClientPerMessageDeflateFactory(compress_settings=settings)
    extensions = [
        server.process_request_params([], [])[1],
        client.process_response_params([], []),
    ]
    assert [extension.compress_settings for extension in extensions] == [settings] * 2


@pytest.mark.parametrize("side", ["server", "client"])
def test_enable(impl: ModuleType, side: str) -> None:
    """Added at the end, unless it is there; the list given is not changed."""
    module = impl.extensions.permessage_deflate
    enable = getattr(module, f"enable_{side}_permessage_deflate")
    kind = getattr(module, f"{side.title()}PerMessageDeflateFactory")
    other = type("Other", (), {"name": "x-other"})()
    for given in (None, [], [other]):
        enabled = enable(given)
        assert isinstance(enabled[-1], kind)
        assert enabled[:-1] == (given or [])
        assert given in (None, [], [other])
    present = [kind(), other]
    assert enable(present) == present
