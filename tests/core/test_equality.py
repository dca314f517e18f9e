"""What holds for any input: round trips, any cut, and both forms alike.

The inputs are small and few here; ``tests/torture.py`` runs as many as one likes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .. import streams
from ..conftest import FORMS
from ..torture import (
    KINDS,
    MEMORY_EVERY,
    Failure,
    Torture,
    check_output,
    same_environment,
)
from .support import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    RSV1,
    SIDES,
    TEXT,
    close_payload,
    deflate,
    deflated,
    events,
    feed,
    opened,
    sent,
    wire,
)

few = settings(max_examples=15, database=None)
more = settings(few, max_examples=25)

texts = st.text(max_size=40).map(str.encode)
payloads = st.one_of(
    texts,
    st.binary(max_size=40),
    st.sampled_from([125, 126, 127, 1000, 65535, 65536]).map(bytes),
)


# Round trips


class Message(NamedTuple):
    """A message, cut into fragments; pings go out behind some of them."""

    opcode: int
    fragments: list[bytes]
    pings: list[bool]


@st.composite
def messages(draw: st.DrawFn) -> Message:
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    payload = draw(texts if opcode == TEXT else payloads)
    places = draw(st.lists(st.integers(0, len(payload)), max_size=3).map(sorted))
    fragments = [
        payload[i:j] for i, j in zip([0, *places], [*places, len(payload)], strict=True)
    ]
    size = len(fragments)
    return Message(opcode, fragments, draw(st.lists(st.booleans(), max_size=size)))


def send(protocol: Any, message: Message) -> None:
    """Send a message, its first frame by the method of its kind."""
    methods = {TEXT: protocol.send_text, BINARY: protocol.send_binary}
    last = len(message.fragments) - 1
    for number, data in enumerate(message.fragments):
        method = protocol.send_continuation if number else methods[message.opcode]
        method(data, number == last)
        if number < len(message.pings) and message.pings[number]:
            protocol.send_ping(b"between")


def expected_events(sent_messages: Iterable[Message]) -> list[tuple[int, bytes, bool]]:
    """The frames that a receiver of these messages gets."""
    expected = []
    for opcode, fragments, pings in sent_messages:
        last = len(fragments) - 1
        for number, data in enumerate(fragments):
            expected.append((CONT if number else opcode, data, number == last))
            if number < len(pings) and pings[number]:
                expected.append((PING, b"between", True))
    return expected


def joined(frames: Iterable[tuple[int, bytes, bool]]) -> list[tuple[int, bytes]]:
    """The messages that these frames make, control frames left out."""
    found: list[tuple[int, bytes]] = []
    for opcode, data, _ in frames:
        if opcode == CONT:
            found[-1] = (found[-1][0], found[-1][1] + data)
        elif opcode < CLOSE:
            found.append((opcode, data))
    return found


def cut_up(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data cut at these places, which are taken modulo its length."""
    borders = sorted({place % (len(data) + 1) for place in places})
    return [
        data[i:j] for i, j in zip([0, *borders], [*borders, len(data)], strict=True)
    ]


somewhere = st.lists(st.integers(0, 200_000), max_size=6)


@few
@given(st.lists(messages(), max_size=4), st.booleans(), st.booleans(), somewhere)
def test_spec_063_064_round_trip(
    content: list[Message], compress: bool, takeover: bool, places: list[int]
) -> None:
    """SPEC-064, SPEC-067, SPEC-099: what one side sends, the other receives."""
    sides = [("server", "client"), ("client", "server")]
    for (from_, to), sender, receiver in product(sides, FORMS.values(), FORMS.values()):
        source, target = (
            opened(
                form,
                side,
                [deflate(form, takeover=takeover)] if compress else [],
                max_size=2**20,
            )
            for form, side in ((sender, from_), (receiver, to))
        )
        for message in content:
            send(source, message)
        source.send_close(1000, "done")
        seen = []
        for chunk in cut_up(b"".join(source.data_to_send()), places):
            target.receive_data(chunk)
            seen += events(target)
        assert target.parser_exc is None
        *frames, close = seen
        assert close == (CLOSE, close_payload(1000, b"done"), True)
        wanted = expected_events(content)
        assert joined(frames) == joined(wanted)
        # Compressed, a fragment may carry what came out of a later one, or before.
        assert compress or frames == wanted
        assert [frame[::2] for frame in frames] == [frame[::2] for frame in wanted]
        source.receive_data(b"".join(target.data_to_send()))
        assert source.close_rcvd == source.close_sent


# Any input


DATA_FIRSTS = (FIN | TEXT, FIN | BINARY, TEXT, BINARY, CONT, FIN | CONT)
OTHER_FIRSTS = (FIN | RSV1 | TEXT, RSV1 | BINARY, FIN | PING, FIN | PONG, FIN | CLOSE)
valid_firsts = st.sampled_from(DATA_FIRSTS + OTHER_FIRSTS)
small = st.one_of(
    texts,
    st.binary(max_size=10),
    texts.map(deflated),
    st.sampled_from([b"", bytes(125), bytes(126), bytes(300)]),
    st.builds(close_payload, st.sampled_from([999, 1000, 1005, 1010, 4999]), texts),
)


sizes = st.sampled_from([0, 100, 250, 300, 501])


@st.composite
def fragmented(draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """First byte and payload of the frames of a message, compressed or not."""
    payload = bytes(draw(sizes))
    first = BINARY
    if draw(st.booleans()):
        first, payload = first | RSV1, deflated(payload)
    pieces = cut_up(payload, draw(st.lists(st.integers(0, 501), max_size=3)))
    firsts = [first, *[CONT] * (len(pieces) - 1)]
    firsts[-1] |= FIN
    return list(zip(firsts, pieces, strict=True))


@st.composite
def odd_header(draw: st.DrawFn, side: str) -> bytes:
    """A header with a length in a longer form, which may be the shortest."""
    size: int = draw(st.sampled_from([2, 8]))
    lengths = [0, 124, 125, 126, 127, 65535, 65536, 2**63, -1]
    length: int = draw(st.sampled_from(lengths))
    bit = 0x80 if side == "server" else 0
    form = bytes([draw(valid_firsts), bit | (126 if size == 2 else 127)])
    return form + (length % (1 << 8 * size)).to_bytes(size, "big") + bytes(4)


@st.composite
def inputs(draw: st.DrawFn, side: str) -> bytes:
    """Frames, most of which are valid, but not always in their order."""
    firsts = st.one_of(valid_firsts, valid_firsts, st.integers(0, 255))
    single = st.tuples(firsts, small).map(lambda frame: [frame])
    parts = [
        wire(side, first, payload)
        for frames in draw(st.lists(st.one_of(single, fragmented()), max_size=5))
        for first, payload in frames
    ]
    change = draw(st.sampled_from(["nothing", "nothing", "byte", "header"]))
    if change == "header":
        parts.append(draw(odd_header(side)))
    elif parts and change == "byte":
        place = draw(st.integers(0, len(parts) - 1))
        changed = bytearray(parts[place])
        changed[draw(st.integers(0, len(changed) - 1))] ^= draw(st.integers(1, 255))
        parts[place] = bytes(changed)
    return b"".join(parts)


def receivers(side: str, compress: bool) -> list[Any]:
    """A connection of each form, with limits that are met often."""
    return [
        opened(
            form,
            side,
            [deflate(form)] if compress else [],
            max_size=(500, 280),
            max_fragments=3,
        )
        for form in FORMS.values()
    ]


@pytest.mark.parametrize("side", SIDES)
@more
@given(data=st.data(), compress=st.booleans(), places=somewhere)
def test_spec_029_any_cut_and_form(
    side: str, data: Any, compress: bool, places: list[int]
) -> None:
    """SPEC-029, SEC-16: the same events, output and end."""
    stream = data.draw(inputs(side))
    outcomes = [
        feed(protocol, chunks)
        for chunks in ([stream], cut_up(stream, places))
        for protocol in receivers(side, compress)
    ]
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize("side", SIDES)
@few
@given(data=st.data(), compress=st.booleans())
def test_sec_16_forms_are_alike_after_every_byte(
    side: str, data: Any, compress: bool
) -> None:
    """SEC-16, SEC-34: they refuse at the same byte; output is fetched at once."""
    stream = data.draw(inputs(side))
    one, *others = receivers(side, compress)
    for place in range(len(stream)):
        byte = stream[place : place + 1]
        for protocol in (one, *others):
            protocol.receive_data(byte)
        expected = events(one), sent(one), one.state, str(one.parser_exc)
        for other in others:
            seen = events(other), sent(other), other.state, str(other.parser_exc)
            assert seen == expected, place


# A little of the torture


def torture(forms: dict[str, ModuleType], seed: int) -> Torture:
    return Torture(forms, seed, pool=10, flood=4096)


def test_sec_16_torture_for_a_moment() -> None:
    """SEC-06, SEC-09, SEC-16, SEC-40."""
    tried = torture(FORMS, random.randrange(2**32))
    with same_environment(FORMS):
        for _ in range(20 * len(KINDS)):
            tried.step()
        tried.count = MEMORY_EVERY - 1
        tried.step()


def sluggish(self: Any, data: bytes) -> None:
    super(type(self), self).receive_data(data[:-1])


def faulty(self: Any, data: bytes) -> None:
    raise RuntimeError("a fault")


def talkative(self: Any, data: bytes) -> None:
    self.logger.warning("%s", data.decode("latin-1"))
    super(type(self), self).receive_data(data)


def greedy(self: Any, data: bytes) -> None:
    self.__dict__.setdefault("hoard", []).append(bytes(500 * len(data)))


def step_often(tried: Torture, only_memory: bool) -> None:
    for _ in range(20):
        if only_memory:
            tried.count = MEMORY_EVERY - 1
        tried.step()


@pytest.mark.parametrize("broken", [sluggish, faulty, talkative, greedy])
def test_torture_finds_what_is_broken(broken: Any) -> None:
    """Whichever promise it is that ``receive_data`` breaks."""
    form = list(FORMS.values())[-1]
    copy, protocol = (type(module)(module.__name__) for module in (form, form.protocol))
    vars(copy).update(vars(form), protocol=protocol)
    base = form.protocol.Protocol
    kind = type("Protocol", (base,), {"receive_data": broken})
    vars(protocol).update(vars(form.protocol), Protocol=kind)
    tried = torture({"pure": form, "compiled": copy}, seed=1)
    tried.kinds = ["server", "client"]
    with same_environment({"only": form}), pytest.raises(Failure):
        step_often(tried, only_memory=broken is greedy)


def test_torture_reads_the_output() -> None:
    check_output("server", b"\x88\x02\x03\xe8\x8a\x00")
    for bad in (b"\x81\x00\x01\x00", b"\x88\x00\x81\x00", b"\x88\x02\x03\xed"):
        with pytest.raises(AssertionError):
            check_output("server", bad)


def test_streams_are_valid() -> None:
    """What is said to be valid is so, compressed or not."""
    rng = random.Random(1)
    for form, (side, compress) in product(
        FORMS.values(), product(SIDES, (False, True))
    ):
        for _ in range(15):
            stream = b"".join(streams.stream(rng, side == "server", compress))
            protocol = opened(form, side, [deflate(form)] if compress else [])
            protocol.receive_data(stream)
            assert protocol.parser_exc is None
