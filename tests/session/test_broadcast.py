"""One message to many: what is built once, and for whom it is built anew."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import pytest

from tests.core.support import (
    TEXT,
    deflate,
    masked,
    new_logger,
    opened,
    read_frames,
    user_extension,
)

from .link import Clock, End, client, connect, quiet, server, settle


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pair(impl: Any, clock: Clock, extensions: Iterable[Any] = ()) -> tuple[End, End]:
    """A server and a client, each with its own context of the same compression."""
    ends = []
    for make, side in ((server, "server"), (client, "client")):
        own = [deflate(impl) for _ in extensions]
        protocol = opened(impl, side, own, logger=quiet())
        ends.append(make(impl, clock, protocol))
    connect(*ends)
    return ends[0], ends[1]


def broadcast(impl: Any, ends: Iterable[End], message: Any, **options: Any) -> None:
    """Send to all, as a driver does."""
    by_session = {end.session: end for end in ends}
    for session, frame in impl.session.broadcast(by_session, message, **options):
        end = by_session[session]
        if frame:
            end.deliver(frame)
        end.flush()


def chunks(impl: Any, sessions: Iterable[Any], message: Any) -> list[bytes]:
    """What sessions write for a message to all of them."""
    shares = impl.session.broadcast(sessions, message)
    return [frame or b"".join(session.data_to_send()) for session, frame in shares]


def sessions_of(impl: Any, protocols: Iterable[Any]) -> list[Any]:
    return [impl.session.Session(protocol, 0.0) for protocol in protocols]


def test_those_who_cannot_take_it_are_left_out(impl: Any, clock: Clock) -> None:
    pairs = [pair(impl, clock) for _ in range(5)]
    servers, _ = zip(*pairs, strict=True)
    servers[1].session.close(clock.now)
    servers[2].session.send_fragment("part", False)
    servers[3].session.protocol.send_eof()
    sessions = [end.session for end in servers]
    frame = b"\x81\x03all"
    reached = impl.session.broadcast(sessions, "all")
    assert reached == [(sessions[0], frame), (sessions[4], frame)]


@pytest.mark.parametrize("size", [0, 5, 200, 70_000])
def test_kinds_and_sizes(impl: Any, clock: Clock, size: int) -> None:
    one, other = pair(impl, clock)
    broadcast(impl, [one], "x" * size)
    broadcast(impl, [one], bytearray(size))
    broadcast(impl, [one], b"x" * size, text=True)
    broadcast(impl, [one], "x" * size, text=False)
    settle(one, other)
    text, binary = "x" * size, b"x" * size
    assert other.messages() == [text, bytes(size), text, binary]
    with pytest.raises(TypeError):
        broadcast(impl, [one], 5)


def test_the_frame_is_built_once(impl: Any) -> None:
    protocols = [opened(impl, "server") for _ in range(3)]
    sessions = sessions_of(impl, protocols)
    frames = chunks(impl, sessions, "all")
    assert frames[0] is frames[1] is frames[2]
    stats = protocols[0].stats
    assert (stats.frames_sent, stats.messages_sent, stats.bytes_sent) == (1, 1, 5)


def test_each_kind_of_compression_is_built_once(impl: Any) -> None:
    kind = impl.extensions.permessage_deflate.PerMessageDeflate
    bits = (15, 15, 10, 8)
    protocols = [opened(impl, "server", [kind(False, False, 15, n)]) for n in bits]
    sessions = sessions_of(impl, [*protocols, opened(impl, "server")])
    message = "many words, " * 100
    frames = chunks(impl, sessions, message)
    assert frames[0] is frames[1]
    assert frames[2] is not frames[0]
    assert len(frames[0]) < 100 < len(message) < len(frames[4])
    assert frames[3] is frames[4]  # zlib has no window of 8 bits
    assert protocols[3].stats.deflated_sent == 0
    stats = protocols[0].stats
    assert (stats.inflated_sent, stats.deflated_sent) == (1200, len(frames[0]) - 2)
    assert (stats.messages_sent, stats.bytes_sent) == (1, len(frames[0]))


@pytest.mark.parametrize("size", [None, 1])
def test_messages_before_and_after_are_compressed_as_ever(
    impl: Any, clock: Clock, size: int | None
) -> None:
    """The window of the peer has the shared message, and ours begins behind it."""
    pairs = [pair(impl, clock, ["deflate"]) for _ in range(2)]
    servers, clients = zip(*pairs, strict=True)
    expected: list[list[str]] = [[], []]
    for turn in range(4):
        for number, end in enumerate(servers):
            own = f"the words of {number} in turn {turn}, again and again" * (turn + 1)
            end.send(own)
            expected[number].append(own)
        shared = f"the words for all in turn {turn}, again and again"
        broadcast(impl, servers, shared)
        for messages in expected:
            messages.append(shared)
    settle(*servers, *clients, size=size)
    assert [end.messages() for end in clients] == expected


def test_it_goes_behind_what_is_queued(impl: Any, clock: Clock) -> None:
    one, other = pair(impl, clock)
    one.session.send("first")
    assert impl.session.broadcast([one.session], "second") == [(one.session, b"")]
    settle(one, other)
    assert other.messages() == ["first", "second"]


@pytest.mark.parametrize("extensions", [[], ["deflate"]])
def test_it_goes_behind_what_a_ping_has_pushed_ahead(
    impl: Any, clock: Clock, extensions: list[Any]
) -> None:
    """A message is queued, then a ping is read, then comes the one for all."""
    one, other = pair(impl, clock, extensions)
    text = "the same words in both messages, the same words"
    one.session.send(text)
    one.session.receive_data(masked(0x89, b"ping"), clock.now)
    assert impl.session.broadcast([one.session], text + "!") == [(one.session, b"")]
    one.session.send(text + "?")
    settle(one, other)
    assert other.messages() == [text, text + "!", text + "?"]


def test_clients_mask_each_frame_with_a_key_of_its_own(impl: Any) -> None:
    sessions = sessions_of(impl, [opened(impl, "client") for _ in range(2)])
    one, other = chunks(impl, sessions, b"payload" * 20)
    assert one != other
    for data in (one, other):
        assert read_frames(data, "client")[0][1] == b"payload" * 20


def test_who_has_to_see_frames_sees_them(impl: Any) -> None:
    """A log, an extension of the user's, and a method that is overridden."""
    seen: list[Any] = []

    class Own(impl.server.ServerProtocol):  # type: ignore[misc]
        def send_frame(self, frame: Any) -> None:
            seen.append(frame)
            super().send_frame(frame)

    def encode(self: Any, frame: Any) -> Any:
        seen.append(frame)
        return frame

    logger, lines = new_logger(logging.DEBUG)
    protocols = [
        opened(impl, "server", logger=logger),
        opened(impl, "server", [user_extension(impl, encode=encode)]),
        Own(state=impl.protocol.OPEN),
    ]
    sessions = sessions_of(impl, protocols)
    for data in chunks(impl, sessions, "all"):
        assert data == bytes([0x80 | TEXT, 3]) + b"all"
    assert [frame.data for frame in seen] == [b"all", b"all"]
    assert "all" in str(lines)
