"""permessage-deflate in a connection: what comes in, limits, what goes out."""

from __future__ import annotations

import functools
import random
import zlib
from types import ModuleType
from typing import Any

import pytest

from .costs import held
from .support import (
    SIDES,
    assert_failing,
    bare,
    deflate,
    masked,
    other,
    sent,
    wire,
)
from .support import deflated as freshly_deflated

HELLO = bytes.fromhex("f248cdc9c90700")
AGAIN = bytes.fromhex("f200110000")
FINAL = bytes.fromhex("f348cdc9c9070000")
TAIL = b"\x00\x00\xff\xff"

deflated = functools.cache(freshly_deflated)


def connection(impl: ModuleType, side: str = "server", **options: Any) -> Any:
    """An open connection that agreed on permessage-deflate."""
    return bare(
        impl, side, [options.pop("extension", None) or deflate(impl)], **options
    )


def received(protocol: Any, *frames: bytes) -> list[tuple[int, bytes]]:
    protocol.receive_data(b"".join(frames))
    return [(int(event.opcode), event.data) for event in protocol.events_received()]


# What comes in


def test_spec_098_vectors_on_the_wire(impl: ModuleType) -> None:
    """SPEC-097, SPEC-098, SPEC-099, SEC-18: RFC 7692, section 7.2.3, in one stream."""
    messages = [HELLO, AGAIN, bytes.fromhex("000500faff48656c6c6f00"), FINAL, HELLO]
    messages += [AGAIN, FINAL, AGAIN, bytes.fromhex("f24805000000ffffcac9c90700")]
    expected = [(1, b"Hello")] * len(messages)
    for side in SIDES:
        data = b"".join(wire(side, 0xC1, message) for message in messages)
        assert received(connection(impl, side), data) == expected
        protocol = connection(impl, side)
        single = [event for byte in data for event in received(protocol, bytes([byte]))]
        assert single == expected


def test_spec_096_empty_messages(impl: ModuleType) -> None:
    """SPEC-096, SPEC-097: as one byte 00, and as other empty blocks."""
    for data in (b"\0", b"\x02\0", b"\x03\0\0", b"\0\0\0\xff\xff\0"):
        frames = masked(0xC1, data), masked(0xC2, HELLO)
        assert received(connection(impl), *frames) == [(1, b""), (2, b"Hello")], data


def test_spec_066_control_frames_between_fragments(impl: ModuleType) -> None:
    """SPEC-066, SEC-15: no harm to the decompression, wherever it stands."""
    for split in range(len(HELLO) + 1):
        protocol = connection(impl)
        found = received(
            protocol,
            masked(0x41, HELLO[:split]),
            masked(0x89, b"ping"),
            masked(0x00, b""),
            masked(0x8A, b"pong"),
            masked(0x80, HELLO[split:]),
            masked(0xC1, AGAIN),
        )
        data = [event for event in found if event[0] < 8]
        assert b"".join(payload for _, payload in data[:-1]) == b"Hello"
        assert data[-1] == (1, b"Hello")
        assert sent(protocol) == [(0x8A, b"ping")]


def test_spec_095_uncompressed_messages_between(impl: ModuleType) -> None:
    """SPEC-095: in fragments too, with text checked and the window kept."""
    frames = [masked(0xC1, HELLO), masked(0x01, b"\xc3"), masked(0x80, b"\xa9")]
    frames += [masked(0x82, b"\xff"), masked(0xC1, AGAIN)]
    expected = [(1, b"Hello"), (1, b"\xc3"), (0, b"\xa9"), (2, b"\xff"), (1, b"Hello")]
    assert received(connection(impl), *frames) == expected


def test_sec_17_rsv1_where_it_must_not_be(impl: ModuleType) -> None:
    """SPEC-094, SEC-17: refused at the first byte, agreed or not."""
    for agreed in (True, False):
        for reserved in range(1, 8):
            for opcode in (0, 1, 2, 8, 9, 10):
                protocol = connection(impl) if agreed else bare(impl)
                if opcode == 0:
                    received(protocol, masked(0x02, b""))
                received(protocol, bytes([0x80 | reserved << 4 | opcode]))
                if agreed and reserved == 4 and opcode in (1, 2):
                    assert protocol.parser_exc is None
                else:
                    assert_failing(protocol, 1002)


def test_spec_102_invalid_data(impl: ModuleType) -> None:
    """SPEC-102, SEC-19: nothing of it is delivered; what came before is."""
    for data in (HELLO[:-3], b"", b"\xff", AGAIN):
        protocol = connection(impl)
        found = received(protocol, masked(0x82, b"ok"), masked(0xC2, data))
        assert found == [(2, b"ok")], data
        assert_failing(protocol, 1002)


def test_spec_101_text_is_checked_when_decompressed(impl: ModuleType) -> None:
    """SPEC-069, SPEC-101, SEC-35: in one frame and in several."""
    for text in ("61ff61", "eda080", "c0af", "f4908080", "61ce", "e282"):
        data = deflated(bytes.fromhex(text))
        for split in range(len(data)):
            frames = [masked(0xC1, data)]
            if split:
                frames = [masked(0x41, data[:split]), masked(0x80, data[split:])]
            protocol = connection(impl)
            found = received(protocol, *frames)
            assert split or found == [], text
            assert_failing(protocol, 1007)
        expected = [(2, bytes.fromhex(text))]
        assert received(connection(impl), masked(0xC2, data)) == expected


def test_spec_101_a_character_may_span_fragments(impl: ModuleType) -> None:
    """SPEC-101: each fragment may end with any part of it."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = []
    for byte in "é日\U0001f600".encode():
        part = stream.compress(bytes([byte])) + stream.flush(zlib.Z_SYNC_FLUSH)
        parts.append(part)
    frames = [masked(0x00, part) for part in parts]
    frames[0] = masked(0x41, parts[0])
    frames[-1] = masked(0x80, parts[-1][:-4])
    data = b"".join(payload for _, payload in received(connection(impl), *frames))
    assert data.decode() == "é日\U0001f600"


def test_validate_utf8_can_be_left_out(impl: ModuleType) -> None:
    protocol = connection(impl, validate_utf8=False)
    assert received(protocol, masked(0xC1, deflated(b"\xff"))) == [(1, b"\xff")]


# Limits

SIZES = (1, 100, 65536)


@functools.cache
def contents(size: int) -> tuple[bytes, bytes]:
    """Bytes that compress 1000 times, and bytes that do not."""
    return bytes(size), random.Random(size).randbytes(size)


def test_sec_01_limit_exactly(impl: ModuleType) -> None:
    """SPEC-075, SPEC-101, SEC-01, SEC-03: the limit counts decompressed bytes."""
    for limit in SIZES:
        for extra in (-1, 0, 1, 2, 3):
            for data in contents(limit + extra):
                frame = masked(0xC2, deflated(data))
                for option in ("max_size", "max_inflated_size"):
                    protocol = connection(impl, "SERVER", **{option: limit})
                    found = received(protocol, frame)
                    assert found == ([(2, data)] if extra <= 0 else [])
                    if extra > 0:
                        assert_failing(protocol, 1009, str(limit))


def test_sec_03_limit_over_fragments(impl: ModuleType) -> None:
    """SPEC-075, SEC-03: over the compressed message, whatever its fragments."""
    for limit in SIZES:
        for extra in (0, 1, 2, 3):
            for data in contents(limit + extra):
                message = deflated(data)
                step = len(message) // 7 + 1
                parts = [message[i : i + step] for i in range(0, len(message), step)]
                frames = [masked(0x42), *(masked(0x00, part) for part in parts)]
                protocol = connection(impl, max_size=limit)
                found = received(protocol, *frames, masked(0x80))
                if extra == 0:
                    assert b"".join(payload for _, payload in found) == data
                else:
                    assert_failing(protocol, 1009, str(limit))


def test_sec_02_exact_limit_and_then_a_bomb(impl: ModuleType) -> None:
    """SEC-02: a budget of 0 means nothing more, not everything."""
    for limit in SIZES:
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
        first = stream.compress(bytes(limit)) + stream.flush(zlib.Z_SYNC_FLUSH)
        bomb = (stream.compress(bytes(2**18)) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
        protocol = connection(impl, max_size=limit)
        assert received(protocol, masked(0x42, first)) == [(2, bytes(limit))]
        assert received(protocol, masked(0x00)) == [(0, b"")]
        assert received(protocol, masked(0x80, bomb)) == []
        assert_failing(protocol, 1009, str(limit))


def test_sec_02_exact_limit_and_then_nothing(impl: ModuleType) -> None:
    """SEC-02: the end of the message is no byte; the next message has all again."""
    protocol = connection(impl, max_size=5)
    frames = [masked(0x42, HELLO + TAIL), masked(0x80, b"\0"), masked(0xC2, AGAIN)]
    assert received(protocol, *frames) == [(2, b"Hello"), (0, b""), (2, b"Hello")]


def test_limit_for_fragments_counts_what_comes_out(impl: ModuleType) -> None:
    """SPEC-075: the second limit of ``max_size``."""
    protocol = connection(impl, max_size=(100, 5))
    assert received(protocol, masked(0xC2, HELLO)) == [(2, b"Hello")]
    assert received(protocol, masked(0xC2, deflated(b"123456"))) == []
    assert_failing(protocol, 1009, "5")


def test_sec_01_peak_memory(impl: ModuleType) -> None:
    """SEC-01: a bomb of 4 MiB in 4 KiB, of which nothing is kept."""
    limit = 2**18
    bomb = deflated(bytes(2**22))
    protocol = connection(impl, max_size=limit)
    frames = masked(0x42, bomb[: len(bomb) // 2]) + masked(0x80, bomb)
    _, peak = held(lambda: protocol.receive_data(frames))
    assert_failing(protocol, 1009)
    copies = 1 if impl._native.zstream.COMPILED else 2
    assert peak < copies * limit + 200_000


def test_sec_01_compressed_bytes_have_a_limit_too(impl: ModuleType) -> None:
    """SPEC-075: compressed data that gives nothing is refused by its size."""
    protocol = connection(impl, max_size=100)
    received(protocol, bytes([0xC2, 0xFE]) + (60000).to_bytes(2, "big"))
    assert_failing(protocol, 1009, "100")
    protocol = connection(impl, max_size=100)
    nothing = TAIL + b"\0"  # goes on with one more empty block
    received(protocol, masked(0x42, b"\0"), *[masked(0x00, nothing * 20)] * 50)
    assert_failing(protocol, 1009, "100")


def test_no_limit(impl: ModuleType) -> None:
    """SEC-11: without ``max_size``, sizes around the steps of growth."""
    for size in (65535, 65536, 65537, 300_000):
        protocol = connection(impl, max_size=None)
        found = received(protocol, masked(0xC2, deflated(bytes(size))))
        assert found == [(2, bytes(size))]


# What goes out


def test_spec_096_sending(impl: ModuleType) -> None:
    """SPEC-094, SPEC-096, SPEC-099: as a peer of the other side reads it."""
    for side in SIDES:
        sender, receiver = connection(impl, side), connection(impl, other(side))
        sender.send_text(b"Hello")
        sender.send_binary(bytearray(b"Hello"))
        sender.send_text(b"Hel", fin=False)
        sender.send_ping(b"Hello")
        sender.send_continuation(b"", fin=False)
        sender.send_continuation(b"lo", fin=True)
        sender.send_text(b"")
        sender.send_close(1000)
        found = received(receiver, *sender.data_to_send())
        assert found[:2] == [(1, b"Hello"), (2, b"Hello")]
        assert found[2:6] == [(1, b"Hel"), (9, b"Hello"), (0, b""), (0, b"lo")]
        assert found[6:] == [(1, b""), (8, b"\x03\xe8")]
        assert sender.stats.inflated_sent == receiver.stats.inflated_received == 15
        assert sender.stats.deflated_sent == receiver.stats.deflated_received


def test_spec_094_sending_on_the_wire(impl: ModuleType) -> None:
    """SPEC-094: RSV1 on the first frame, never on a control frame."""
    protocol = connection(impl)
    protocol.send_text(b"Hello")
    protocol.send_text(b"Hello")
    protocol.send_pong(b"Hello")
    assert sent(protocol) == [(0xC1, HELLO), (0xC1, AGAIN), (0x8A, b"Hello")]


def test_spec_103_compress_is_a_choice_for_each_message(impl: ModuleType) -> None:
    """SPEC-095, SPEC-103: without it the window is as it was; True is the default."""
    protocol = connection(impl)
    protocol.send_text(b"Hello", compress=True)
    protocol.send_binary(b"secret", compress=False)
    protocol.send_text(b"sec", fin=False, compress=False)
    protocol.send_continuation(b"ret", fin=True)
    protocol.send_text(b"Hello", compress=None)
    assert sent(protocol) == [
        (0xC1, HELLO),
        (0x82, b"secret"),
        (0x01, b"sec"),
        (0x80, b"ret"),
        (0xC1, AGAIN),
    ]


def test_compress_without_the_extension(impl: ModuleType) -> None:
    protocol = bare(impl)
    for compress in (None, True, False):
        protocol.send_text(b"Hello", compress=compress)
    assert sent(protocol) == [(0x81, b"Hello")] * 3


def size_of_secret(impl: ModuleType, first: bytes, **options: Any) -> int:
    """Size of a secret's frame after a message of somebody else."""
    takeover = options.pop("takeover", True)
    protocol = connection(impl, extension=deflate(impl, takeover=takeover))
    protocol.send_text(first)
    protocol.data_to_send()
    protocol.send_text(b"token=5f3a9c1d77e2", **options)
    return sum(map(len, protocol.data_to_send()))


def test_sec_21_the_size_tells_nothing(impl: ModuleType) -> None:
    """SPEC-103, SEC-21: where it is off; the leak is there where it is on."""
    guesses = (b"token=5f3a9c1d77e2", b"token=0000000000000", b"", b"xyz" * 50)
    assert len({size_of_secret(impl, guess) for guess in guesses}) > 1
    for off in ({"compress": False}, {"takeover": False}):
        assert len({size_of_secret(impl, guess, **off) for guess in guesses}) == 1


def test_sec_10_released_when_the_connection_is_over(impl: ModuleType) -> None:
    """SEC-10: the contexts' memory is given back, the object may live on."""
    protocol = connection(impl)
    received(protocol, masked(0xC1, HELLO))
    frame = impl.frames.Frame(impl.frames.Opcode.TEXT, AGAIN, rsv1=True)
    protocol.receive_eof()
    with pytest.raises(impl.exceptions.ProtocolError):
        protocol.extensions[0].decode(frame)


# Both ends, from the handshake on

CLIENTS: tuple[tuple[Any, ...], ...] = (
    (False, False, None, True),
    (True, False, None, None),
    (False, True, 10, None),
    (True, True, 9, 9),
    (False, False, 8, 12),
)
SERVERS: tuple[tuple[Any, ...], ...] = (
    (False, False, None, None),
    (True, False, None, None),
    (False, True, 9, 9),
    (True, True, 12, 12),
    (False, False, 15, None),
)


def shake_hands(impl: ModuleType, client: Any, server: Any) -> tuple[Any, Any]:
    """A client and a server with these configurations, once each has the other's."""
    module = impl.extensions.permessage_deflate
    offering = module.ClientPerMessageDeflateFactory(*client)
    answering = module.ServerPerMessageDeflateFactory(*server)
    uri = impl.uri.parse_uri("ws://example.com/")
    one = impl.client.ClientProtocol(uri, extensions=[offering])
    two = impl.server.ServerProtocol(extensions=[answering])
    one.send_request(one.connect())
    two.receive_data(b"".join(one.data_to_send()))
    two.send_response(two.accept(two.events_received()[0]))
    one.receive_data(b"".join(two.data_to_send()))
    assert len(one.events_received()) == 1
    return one, two


def seen(extension: Any, first: str, second: str) -> tuple[Any, ...]:
    """What was agreed for each of two directions."""
    return tuple(
        getattr(extension, f"{way}_{what}")
        for way in (first, second)
        for what in ("no_context_takeover", "max_window_bits")
    )


def test_spec_100_both_ends_understand_each_other(impl: ModuleType) -> None:
    """SPEC-088 to SPEC-092, SPEC-099, SPEC-100: through a whole handshake."""
    rng = random.Random(1)
    data = rng.randbytes(600) * 2 + bytes(rng.choices(b"ab", k=2000))
    for client in CLIENTS:
        for server in SERVERS:
            one, two = shake_hands(impl, client, server)
            assert one.handshake_exc is None, (client, server)
            declined = client[2] == 8  # this server can't compress with 8 bits
            assert len(one.extensions) == len(two.extensions) == (not declined)
            for sender, receiver in ((one, two), (two, one)) * 2:
                sender.send_binary(data)
                assert received(receiver, *sender.data_to_send()) == [(2, data)]


def test_spec_092_what_the_server_does_not_repeat_binds_nobody(
    impl: ModuleType,
) -> None:
    """SPEC-092: the server is ready for any window; the client keeps to its own."""
    one, two = shake_hands(impl, (False, True, None, None), (False, False, None, None))
    assert seen(one.extensions[0], "local", "remote") == (True, 15, False, 15)
    assert seen(two.extensions[0], "remote", "local") == (True, 15, False, 15)
    one, two = shake_hands(impl, (True, False, 10, 11), (False, True, 9, 12))
    assert seen(one.extensions[0], "local", "remote") == (True, 11, True, 9)
    assert seen(two.extensions[0], "remote", "local") == (True, 11, True, 9)


def test_spec_093_a_client_asked_for_8_bits_sends_messages_as_they_are(
    impl: ModuleType,
) -> None:
    """SPEC-093: also in fragments; those of the server are compressed."""
    for offered in (True, 9, 15):
        config = (False, False, None, offered)
        one, two = shake_hands(impl, config, (False, False, None, 8))
        assert one.handshake_exc is None
        assert one.extensions[0].local_max_window_bits == 8
        assert two.extensions[0].remote_max_window_bits == 8
        data = b"a" * 5000
        for compress in (None, True, False):
            one.send_text(data, compress=compress)
            chunk = one.data_to_send()[0]
            assert (chunk[0], len(chunk)) == (0x81, 5000 + 8)
            assert received(two, chunk) == [(1, data)]
        one.send_binary(data, False)
        one.send_pong(b"")
        one.send_continuation(data, False)
        one.send_continuation(b"", True)
        found = received(two, *one.data_to_send())
        assert found == [(2, data), (10, b""), (0, data), (0, b"")]
        two.send_text(data)
        chunk = two.data_to_send()[0]
        assert len(chunk) < 100
        assert received(one, chunk) == [(1, data)]
        assert one.stats.inflated_sent == 0
