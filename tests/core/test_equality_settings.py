"""What is assigned to a connection while it receives: defined, and alike in both forms.

Extensions may be replaced inside of a message, and limits and the state be set by hand
at any time. Whatever comes of it must not depend on the form of the package.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .. import streams
from ..conftest import FORMS
from .support import (
    BINARY,
    CONT,
    FIN,
    RSV1,
    TEXT,
    assert_failing,
    deflate,
    deflated,
    masked,
    new_logger,
    opened,
    user_extension,
)

HELLO = deflated(b"Hello" * 20)

# What may be assigned to `extensions`.
EXTENSIONS: dict[str, Callable[[Any], Any]] = {
    "none": lambda impl: [],
    "empty tuple": lambda impl: (),
    "deflate": lambda impl: [deflate(impl)],
    "deflate in a tuple": lambda impl: (deflate(impl),),
    "deflate twice": lambda impl: [deflate(impl), deflate(impl)],
    "another one": lambda impl: [user_extension(impl)],
    "both": lambda impl: [user_extension(impl), deflate(impl)],
    "iterator": lambda impl: iter([deflate(impl)]),
    "no extensions": lambda impl: [None],
    "anything": lambda impl: [object()],
    "None": lambda impl: None,
    "number": lambda impl: 5,
}


def test_extensions_replaced_inside_of_a_compressed_message(impl: ModuleType) -> None:
    """Without the one that began it the message cannot go on: a fault of the caller's,
    which the peer is told nothing of."""
    for name in ("none", "empty tuple"):
        protocol = opened(impl, "server", [deflate(impl)])
        protocol.receive_data(masked(RSV1 | BINARY, HELLO[:5]))
        protocol.extensions = EXTENSIONS[name](impl)
        protocol.receive_data(masked(FIN | CONT, HELLO[5:]))
        assert type(protocol.parser_exc) is RuntimeError
        assert "replaced" in str(protocol.parser_exc)
        assert_failing(protocol, 1011)


def test_extensions_are_a_list_or_a_tuple(impl: ModuleType) -> None:
    protocol = opened(impl, "server")
    for given_as in ([deflate(impl)], (deflate(impl),)):
        protocol.extensions = given_as
        assert protocol.extensions is given_as
    for wrong in (None, 5):
        with pytest.raises(TypeError, match="not iterable"):
            protocol.extensions = wrong
        assert protocol.extensions is given_as
    protocol.extensions = iter(given_as)
    assert protocol.extensions == list(given_as)
    protocol.receive_data(masked(FIN | RSV1 | BINARY, HELLO))
    assert protocol.events_received()[0].data == b"Hello" * 20


def test_limits_are_whole_numbers(impl: ModuleType) -> None:
    protocol = opened(impl, "server")
    for name in ("max_message_size", "max_fragment_size"):
        for value, found in ((True, 1), (5, 5), (2**70, None), (None, None)):
            setattr(protocol, name, value)
            assert repr(getattr(protocol, name)) == repr(found)
        for wrong, error in ((1.5, TypeError), ("a", TypeError), (-1, ValueError)):
            with pytest.raises(error):
                setattr(protocol, name, wrong)
            assert getattr(protocol, name) is None


def test_what_recv_frame_changes_counts_for_the_next_frame(impl: ModuleType) -> None:
    """In the same read too."""

    def made(change: Callable[[Any], object], *frames: bytes) -> Any:
        class Own(impl.protocol.Protocol):  # type: ignore[misc, name-defined]
            def recv_frame(self, frame: Any) -> None:
                super().recv_frame(frame)
                change(self)

        protocol = Own(impl.protocol.SERVER)
        protocol.receive_data(b"".join(frames))
        return protocol

    text, compressed = masked(FIN | TEXT, b"a" * 20), masked(FIN | RSV1 | TEXT, HELLO)
    parts = masked(TEXT, b"a" * 10) + masked(FIN | CONT, b"a" * 10)
    for first in (text, parts):
        protocol = made(lambda p: setattr(p, "max_message_size", 10), first, text)
        assert_failing(protocol, 1009)
        protocol = made(
            lambda p: setattr(p, "extensions", [deflate(impl)]), first, compressed
        )
        assert protocol.parser_exc is None
        assert protocol.events_received()[-1].data == b"Hello" * 20
        protocol = made(lambda p: setattr(p, "extensions", []), first, compressed)
        assert_failing(protocol, 1002)


# Both forms, with calls at random

names = st.sampled_from(sorted(EXTENSIONS))
limits = st.sampled_from([None, 0, 1, 100, 2**70, True, -1, "a", 1.5])
steps = st.one_of(
    st.tuples(st.just("receive"), st.sampled_from([1, 2, 3, 10, 1000])),
    st.tuples(st.just("receive"), st.sampled_from([1, 2, 3, 10, 1000])),
    st.tuples(st.just("extensions"), names),
    st.tuples(st.just("recv_frame"), names),
    st.tuples(st.just("state"), st.sampled_from([0, 1, 2, 3, 7, -1, "x", True])),
    st.tuples(st.sampled_from(["max_message_size", "max_fragment_size"]), limits),
    st.tuples(st.just("validate_utf8"), st.booleans()),
    st.tuples(st.just("send_binary"), st.just(b"x" * 50)),
    st.tuples(st.just("send_text"), st.sampled_from(["x", 5])),
    st.tuples(st.just("send_close"), st.just(1000)),
    st.tuples(st.just("fail"), st.just(1011)),
)


def shown(value: object) -> str:
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return str(value)


def history(impl: ModuleType, data: bytes, program: list[tuple[str, Any]]) -> list[Any]:
    """All that can be seen of a connection which this is done to."""
    changes: list[str] = []

    class Own(impl.protocol.Protocol):  # type: ignore[misc, name-defined]
        def recv_frame(self, frame: Any) -> None:
            super().recv_frame(frame)
            if changes:
                self.extensions = EXTENSIONS[changes.pop()](impl)

    with_hook = any(name == "recv_frame" for name, _ in program)
    kind: Any = Own if with_hook else impl.protocol.Protocol
    logger, _ = new_logger(logging.CRITICAL)
    protocol = kind(impl.protocol.SERVER, max_size=10_000, logger=logger)
    protocol.extensions = [deflate(impl)]
    seen: list[Any] = []
    for name, value in [*program, ("receive", 5000)]:
        error: Exception | None = None
        try:
            if name == "receive":
                piece, data = data[:value], data[value:]
                protocol.receive_data(piece)
            elif name == "extensions":
                protocol.extensions = EXTENSIONS[value](impl)
            elif name == "recv_frame":
                changes.append(value)
            elif callable(getattr(protocol, name)):
                getattr(protocol, name)(value)
            else:
                setattr(protocol, name, value)
        except Exception as exc:
            error = exc
        events = [(int(e.opcode), e.data, e.fin) for e in protocol.events_received()]
        output = b"".join(protocol.data_to_send())
        seen.append((name, shown(error), events, output, protocol.state.name))
        seen.append((shown(protocol.parser_exc), str(protocol.close_sent)))
        seen.append((protocol.max_message_size, str(protocol.stats)))
    return seen


@settings(max_examples=60, database=None)
@given(seed=st.integers(0, 2**32), program=st.lists(steps, max_size=12))
def test_any_assignment_is_the_same_in_both_forms(
    seed: int, program: list[tuple[str, Any]]
) -> None:
    rng = random.Random(seed)
    data = b"".join(part for _ in range(3) for part in streams.stream(rng, True, True))
    one, *others = [history(form, data, program) for form in FORMS.values()]
    assert all(other == one for other in others)
