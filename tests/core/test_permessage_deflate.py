"""permessage-deflate by itself: its frames, and its factories."""

from __future__ import annotations

import itertools
import random
import zlib
from types import ModuleType
from typing import Any

import pytest

from .costs import held
from .reference import needs_release, theirs
from .support import deflated

HELLO = bytes.fromhex("f248cdc9c90700")
AGAIN = bytes.fromhex("f200110000")
FINAL = bytes.fromhex("f348cdc9c9070000")
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


# The extension by itself


def test_sec_20_window_bits_are_checked(impl: ModuleType) -> None:
    """SEC-20."""
    for bits in ((7, 15), (16, 15), (15, 7), (15, 16), (0, 9), (-9, 15)):
        with pytest.raises(ValueError, match="max_window_bits"):
            new(impl, False, False, *bits)


def test_spec_093_a_window_of_8_bits_is_not_compressed_with(impl: ModuleType) -> None:
    """SPEC-093: frames pass as they are; in the other direction nothing changes."""
    extension = new(impl, False, False, 15, 8)
    for frame in (
        text(impl, b"a" * 500, fin=False),
        cont(impl, b"b" * 500),
        text(impl, b"c"),
    ):
        assert extension.encode(frame) is frame
    assert (extension.inflated_sent, extension.deflated_sent) == (0, 0)
    with pytest.raises(ValueError, match="8 bits"):
        extension.deflate(b"a", True)
    with pytest.raises(ValueError, match="8 bits"):
        extension.deflate_alone(b"a")
    frame = new(impl, False, False, 15, 15).encode(text(impl, b"a" * 500))
    assert extension.decode(frame).data == b"a" * 500


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


def test_spec_100_settings_that_are_not_to_be_set(impl: ModuleType) -> None:
    """SPEC-100: the window's size is agreed, not set."""
    module = impl.extensions.permessage_deflate
    for name in ("wbits", "speed"):
        with pytest.raises(ValueError, match=name):
            new(impl, settings={name: 9, "level": 1})
        for side in ("Client", "Server"):
            factory = getattr(module, f"{side}PerMessageDeflateFactory")
            with pytest.raises(ValueError, match=name):
                factory(compress_settings={name: 9})


def test_settings_are_used(impl: ModuleType) -> None:
    data = random.Random(1).randbytes(500) * 2
    sizes = set()
    for settings in ({"level": 0}, {"level": 9, "memLevel": 1}, {"strategy": 2}):
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
        sizes.add(len(frame.data))
    assert len(sizes) > 1


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


def test_sec_01_decode_with_max_size(impl: ModuleType) -> None:
    """SPEC-075, SEC-01: 0 is no freedom (SEC-02)."""
    frame = text(impl, HELLO, rsv1=True)
    for size in (None, 6, 5):
        assert new(impl).decode(frame, max_size=size).data == b"Hello"
    for size in (4, 1, 0):
        with pytest.raises(impl.exceptions.PayloadTooBig):
            new(impl).decode(frame, max_size=size)


def test_decode_without_max_size_has_no_limit(impl: ModuleType) -> None:
    """SEC-11: the limit that stands for none is a number like others."""
    data = bytes(200_000)
    assert new(impl).decode(text(impl, deflated(data), rsv1=True)).data == data


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


def test_sec_10_release(impl: ModuleType) -> None:
    """SEC-10: both windows are gone; the extension can begin anew."""
    extension = new(impl)
    extension.release()
    extension.encode(text(impl, b"Hello"))
    extension.decode(text(impl, HELLO, rsv1=True))
    extension.release()
    assert extension.encode(text(impl, b"Hello")).data == HELLO
    with pytest.raises(impl.exceptions.ProtocolError):
        extension.decode(text(impl, AGAIN, rsv1=True))


def test_sec_15_forget_sent(impl: ModuleType) -> None:
    """SEC-15: what comes next refers to nothing that was not sent."""
    extension = new(impl)
    assert extension.encode(text(impl, b"Hello")).data == HELLO
    before = (False, extension.inflated_sent, extension.deflated_sent)
    extension.encode(text(impl, b"never", fin=False))
    extension.forget_sent(*before)
    assert (extension.inflated_sent, extension.deflated_sent) == (5, 7)
    frame = cont(impl, b"plain")
    assert extension.encode(frame) is frame
    assert extension.encode(text(impl, b"Hello")).data == HELLO


def test_counts_bytes_before_and_after(impl: ModuleType) -> None:
    extension = new(impl)
    for _ in range(2):
        extension.encode(text(impl, b"Hello"))
    for data in (HELLO, AGAIN):
        extension.decode(text(impl, data, rsv1=True))
    assert (extension.inflated_sent, extension.deflated_sent) == (10, 12)
    assert (extension.deflated_received, extension.inflated_received) == (12, 10)


def test_sec_10_contexts_are_made_when_first_used(impl: ModuleType) -> None:
    """SEC-10: thousands of extensions cost nothing to speak of until then."""
    many: list[Any] = []
    now, _ = held(lambda: many.extend(new(impl) for _ in range(1000)))
    assert now < 400 * len(many)


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
    (False, True, 9, 8),
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


def negotiated(package: Any, client: Any, server: Any) -> Any:
    """What two factories of one library make of each other."""
    module = package.extensions.permessage_deflate
    try:
        offering = module.ClientPerMessageDeflateFactory(*client)
        answering = module.ServerPerMessageDeflateFactory(*server)
        offer = offering.get_request_params()
        answer, theirs = answering.process_request_params(offer, [])
        ours = offering.process_response_params(answer, [])
    except package.exceptions.NegotiationError as exc:
        return type(exc).__name__
    return sorted(offer), sorted(answer), attributes(ours), attributes(theirs)


@needs_release
def test_factories_agree_like_the_reference(impl: ModuleType) -> None:
    """SPEC-084 to SPEC-092: every configuration with every other."""
    for client, server in itertools.product(CLIENT_CONFIGS, SERVER_CONFIGS):
        for require in (False, True):
            if require and server[3] is None:
                continue
            config = (*server, None, require)
            ours = negotiated(impl, client, config)
            if server[3] == 8 and client[3] is not None and client[2] != 8:
                assert ours != "NegotiationError"  # D-89
                continue
            assert ours == negotiated(theirs, client, config), (client, config)


def test_spec_093_a_client_that_is_asked_for_8_bits(impl: ModuleType) -> None:
    """SPEC-085, SPEC-091, SPEC-093: a server may ask for them, and it obeys."""
    for client in ((False, False, None, True), (False, False, None, 12)):
        *_, mine, others = negotiated(impl, client, (False, False, None, 8))
        assert (mine, others) == ((False, False, 15, 8), (False, False, 8, 15))


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


def test_sec_20_server_factory_refuses(impl: ModuleType) -> None:
    """SEC-20."""
    module = impl.extensions.permessage_deflate
    for arguments in (
        {"server_max_window_bits": 8},
        {"server_max_window_bits": 16},
        {"client_max_window_bits": 7},
        {"require_client_max_window_bits": True},
    ):
        with pytest.raises(ValueError, match="max_window_bits"):
            module.ServerPerMessageDeflateFactory(**arguments)


def test_sec_20_client_factory_refuses(impl: ModuleType) -> None:
    """SEC-20."""
    module = impl.extensions.permessage_deflate
    for arguments in (
        {"server_max_window_bits": 7},
        {"client_max_window_bits": 8},
        {"client_max_window_bits": 16},
    ):
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


def test_enable(impl: ModuleType) -> None:
    """Added at the end, unless it is there; the list given is not changed."""
    module = impl.extensions.permessage_deflate
    for side in ("server", "client"):
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
