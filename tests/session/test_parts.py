"""Messages taken in parts, as they arrive."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.support import (
    BINARY,
    CONT,
    FIN,
    RSV1,
    TEXT,
    deflate,
    deflated,
    masked,
)

from .link import Clock, End, quiet, server

PARTS = list[tuple["str | bytes", bool]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def parts(end: End, decode: bool | None = None) -> PARTS:
    """All parts that are there."""
    found = []
    while (part := end.session.next_part(end.clock.now, decode)) is not None:
        found.append(part)
    return found


@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.parametrize("step", [1, 2, 3, 5, 64])
def test_a_single_frame_in_parts(impl: Any, clock: Clock, kind: int, step: int) -> None:
    """Any cut; the pieces make the message, and text is never cut inside of a
    character."""
    text = "h\u00e9llo \u20ac \U0001f600!" * 3
    stream = masked(FIN | kind, text.encode()) + masked(FIN | BINARY, b"next")
    end = server(impl, clock)
    found: PARTS = []
    for start in range(0, len(stream), step):
        found += parts(end)
        end.session.receive_data(stream[start : start + step], clock.now)
    found += parts(end)
    ends = [number for number, (_, fin) in enumerate(found) if fin]
    assert len(ends) == 2
    first: list[Any] = [part for part, _ in found[: ends[0] + 1]]
    rest: list[Any] = [part for part, _ in found[ends[0] + 1 :]]
    if kind == TEXT:
        assert "".join(first) == text
    else:
        assert b"".join(first) == text.encode()
    assert b"".join(rest) == b"next"
    if step == 1:
        assert len(first) > 20


def test_fragments_in_parts(impl: Any, clock: Clock) -> None:
    end = server(impl, clock)
    take = end.session.next_part
    assert take(clock.now) is None
    end.session.receive_data(masked(BINARY, b"1") + masked(CONT, b"2"), clock.now)
    assert take(clock.now) == (b"12", False)
    assert take(clock.now) is None
    end.session.receive_data(masked(CONT, b"345")[:-1], clock.now)
    assert take(clock.now, True) == ("34", False)
    end.session.receive_data(masked(CONT, b"345")[-1:], clock.now)
    end.session.receive_data(masked(FIN | CONT, b""), clock.now)
    assert take(clock.now) == (b"5", True)


def test_whole_messages_are_parts_too(impl: Any, clock: Clock) -> None:
    end = server(impl, clock)
    end.session.receive_data(masked(FIN | TEXT, b"1") * 2, clock.now)
    assert end.session.next_part(clock.now) == ("1", True)
    assert end.session.next_message(clock.now) == "1"


def test_whole_and_part_do_not_mix(impl: Any, clock: Clock) -> None:
    end = server(impl, clock)
    end.session.receive_data(masked(TEXT, b"1"), clock.now)
    assert end.session.next_part(clock.now) == ("1", False)
    with pytest.raises(impl.exceptions.ConcurrencyError):
        end.session.next_message(clock.now)
    end.session.receive_data(masked(FIN | CONT, b"2"), clock.now)
    assert end.session.next_part(clock.now) == ("2", True)
    assert end.session.next_message(clock.now) is None


def test_no_more_than_one_read_lies_ready(impl: Any, clock: Clock) -> None:
    """However slow the application is, and whatever the size of the message."""
    protocol = impl.server.ServerProtocol(
        state=impl.protocol.State.OPEN, max_size=None, logger=quiet()
    )
    end = server(impl, clock, protocol)
    stream = masked(FIN | BINARY, bytes(3000))
    end.session.receive_data(stream[:1000], clock.now)
    assert end.session.reading
    first = end.session.next_part(clock.now)
    assert first is not None
    end.session.receive_data(stream[1000:2000], clock.now)
    assert not end.session.reading
    second = end.session.next_part(clock.now)
    assert second == (bytes(1000), False)
    assert end.session.reading
    end.session.receive_data(stream[2000:], clock.now)
    assert not end.session.reading
    third = end.session.next_part(clock.now)
    assert third is not None
    assert third[1]
    assert end.session.reading
    assert len(first[0]) + len(third[0]) == 2000


def test_compressed_frames_come_whole(impl: Any, clock: Clock) -> None:
    protocol = impl.server.ServerProtocol(
        state=impl.protocol.State.OPEN, logger=quiet()
    )
    protocol.extensions = [deflate(impl)]
    end = server(impl, clock, protocol)
    stream = masked(FIN | RSV1 | TEXT, deflated(b"squeezed"))
    end.session.receive_data(stream[:-1], clock.now)
    assert end.session.next_part(clock.now) is None
    end.session.receive_data(stream[-1:], clock.now)
    assert end.session.next_part(clock.now) == ("squeezed", True)


def test_binary_that_is_no_text(impl: Any, clock: Clock) -> None:
    end = server(impl, clock)
    end.session.receive_data(masked(BINARY, b"\xff"), clock.now)
    with pytest.raises(UnicodeDecodeError):
        end.session.next_part(clock.now, True)


def test_the_end_inside_of_a_message(impl: Any, clock: Clock) -> None:
    end = server(impl, clock)
    end.session.receive_data(masked(TEXT, b"1"), clock.now)
    assert end.session.next_part(clock.now) == ("1", False)
    end.session.receive_eof(clock.now)
    assert end.session.next_part(clock.now) is None
    assert end.session.closed


@pytest.mark.parametrize("in_parts", [False, True])
def test_text_that_nobody_has_checked(impl: Any, clock: Clock, in_parts: bool) -> None:
    """It is the peer's fault, and no exception of whoever takes it."""
    state = impl.protocol.OPEN
    protocol = impl.server.ServerProtocol(
        state=state, validate_utf8=False, logger=quiet()
    )
    end = server(impl, clock, protocol)
    end.session.receive_data(masked(FIN | TEXT, b"fine") * 2, clock.now)
    end.session.receive_data(masked(FIN | TEXT, b"\xff"), clock.now)
    take = end.session.next_part if in_parts else end.session.next_message
    assert take(clock.now) == (("fine", True) if in_parts else "fine")
    assert take(clock.now, False) == ((b"fine", True) if in_parts else b"fine")
    assert take(clock.now) is None
    assert protocol.close_sent.code == 1007
    assert take(clock.now) is None
