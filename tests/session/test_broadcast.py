"""One message to many: what is built once, and for whom it is built anew."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import pytest

from tests.core.support import (
    TEXT,
    deflate,
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


def chunks(impl: Any, sessions: Iterable[Any], message: Any) -> list[bytes]:
    """What sessions write for a message to all of them."""
    sessions = list(sessions)
    assert impl.session.broadcast(sessions, message) == sessions
    return [b"".join(session.data_to_send()) for session in sessions]


def sessions_of(impl: Any, protocols: Iterable[Any]) -> list[Any]:
    return [impl.session.Session(protocol, 0.0) for protocol in protocols]


def test_those_who_cannot_take_it_are_left_out(impl: Any, clock: Clock) -> None:
    pairs = [pair(impl, clock) for _ in range(5)]
    servers, clients = zip(*pairs, strict=True)
    servers[1].session.close(clock.now)
    servers[2].session.send_fragment("part", False)
    servers[3].session.protocol.send_eof()
    sessions = [end.session for end in servers]
    reached = impl.session.broadcast(sessions, "all")
    assert reached == [sessions[0], sessions[4]]
    settle(*servers, *clients)
    assert [end.messages() for end in clients] == [["all"], [], [], [], ["all"]]


@pytest.mark.parametrize("size", [0, 5, 200, 70_000])
def test_kinds_and_sizes(impl: Any, clock: Clock, size: int) -> None:
    one, other = pair(impl, clock)
    impl.session.broadcast([one.session], "x" * size)
    impl.session.broadcast([one.session], bytearray(size))
    impl.session.broadcast([one.session], b"x" * size, text=True)
    impl.session.broadcast([one.session], "x" * size, text=False)
    settle(one, other)
    text, binary = "x" * size, b"x" * size
    assert other.messages() == [text, bytes(size), text, binary]
    with pytest.raises(TypeError):
        impl.session.broadcast([one.session], 5)


def test_the_frame_is_built_once(impl: Any) -> None:
    protocols = [opened(impl, "server") for _ in range(3)]
    sessions = sessions_of(impl, protocols)
    impl.session.broadcast(sessions, "all")
    frames = [session.data_to_send()[0] for session in sessions]
    assert frames[0] is frames[1] is frames[2]
    stats = protocols[0].stats
    assert (stats.frames_sent, stats.messages_sent, stats.bytes_sent) == (1, 1, 5)


def test_each_kind_of_compression_is_built_once(impl: Any) -> None:
    kind = impl.extensions.permessage_deflate.PerMessageDeflate
    bits = (15, 15, 10)
    protocols = [opened(impl, "server", [kind(False, False, 15, n)]) for n in bits]
    sessions = sessions_of(impl, [*protocols, opened(impl, "server")])
    message = "many words, " * 100
    impl.session.broadcast(sessions, message)
    frames = [session.data_to_send()[0] for session in sessions]
    assert frames[0] is frames[1]
    assert frames[2] is not frames[0]
    assert len(frames[0]) < 100 < len(message) < len(frames[3])
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
        impl.session.broadcast([end.session for end in servers], shared)
        for messages in expected:
            messages.append(shared)
    settle(*servers, *clients, size=size)
    assert [end.messages() for end in clients] == expected


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
