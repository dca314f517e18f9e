"""What user code raises leaves every connection in a state that is defined (SEC-15).

The tests of hooks and of extensions have more of it; ``tests/test_faults.py`` lets
memory run out.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest

from .handshake_support import assert_refused, got, output, server
from .support import (
    CLOSE,
    FIN,
    PING,
    PONG,
    SIDES,
    TEXT,
    assert_failing,
    bare,
    close_payload,
    events,
    sent,
    wire,
)


class Fault(Exception):
    """A fault of the user's."""


class Logger(logging.Logger):
    """A logger that can fail."""

    broken = True

    def isEnabledFor(self, level: int) -> bool:
        return True

    def debug(self, *args: Any, **options: Any) -> None:
        if self.broken:
            raise Fault

    error = debug


@pytest.mark.parametrize("side", SIDES)
def test_sec_15_a_log_that_fails_with_the_connection(impl: Any, side: str) -> None:
    """SEC-15: the peer is told, and nothing is raised out of receive_data."""

    def recv_frame(self: Any, frame: Any) -> None:
        raise ValueError("a bug")

    protocol = bare(impl, side, methods={"recv_frame": recv_frame})
    protocol.logger = Logger("broken")
    protocol.receive_data(wire(side, FIN | TEXT, b"x") * 2)
    assert isinstance(protocol.parser_exc, ValueError)
    assert_failing(protocol, 1011)


@pytest.mark.parametrize("side", SIDES)
def test_sec_15_no_log_and_no_close_frame(impl: Any, side: str) -> None:
    """SEC-15: the input that failed is not read once more."""

    def send_frame(self: Any, frame: Any) -> None:
        raise Fault

    protocol = bare(impl, side, methods={"send_frame": send_frame})
    protocol.logger = Logger("broken")
    protocol.receive_data(wire(side, FIN | TEXT, b"x") + b"\xff")
    protocol.receive_data(wire(side, FIN | TEXT, b"late"))
    assert events(protocol) == [(TEXT, b"x", True)]
    assert sent(protocol) == (["EOF"] if side == "server" else [])
    assert protocol.close_expected()
    protocol.receive_eof()
    assert protocol.state.name == "CLOSED"


@pytest.mark.parametrize("side", SIDES)
def test_sec_15_a_log_that_fails_while_sending(impl: Any, side: str) -> None:
    """SEC-15: nothing is queued, and nothing that is queued gets lost."""
    protocol = bare(impl, side)
    logger = Logger("sometimes")
    logger.broken = False
    protocol.logger, protocol.debug = logger, True
    protocol.send_text(b"one")
    protocol.receive_data(wire(side, FIN | PING, b"x"))
    logger.broken = True
    for call in (
        lambda: protocol.send_text(b"two"),
        lambda: protocol.send_ping(b"two"),
        protocol.data_to_send,
        protocol.data_to_send,
    ):
        with pytest.raises(Fault):
            call()
    logger.broken = False
    protocol.send_text(b"three")
    assert sent(protocol) == [
        (FIN | TEXT, b"one"), (FIN | PONG, b"x"), (FIN | TEXT, b"three"),
    ]  # fmt: skip
    protocol.receive_data(wire(side, FIN | CLOSE, close_payload(1000)))
    assert sent(protocol)[0] == (FIN | CLOSE, close_payload(1000))


class Pattern:
    """Looks like a compiled regular expression, and fails."""

    def fullmatch(self, text: str) -> None:
        raise Fault


class Factory:
    """Of an extension, and fails."""

    name = "permessage-deflate"

    def process_request_params(self, params: Any, accepted: Any) -> Any:
        raise Fault


class Hosts(list[str]):
    """A collection that fails."""

    def __iter__(self) -> Any:
        raise Fault

    def __contains__(self, host: object) -> bool:
        raise Fault


@pytest.mark.parametrize(
    "options",
    [{"origins": [Pattern()]}, {"extensions": [Factory()]}, {"hosts": Hosts()}],
    ids=lambda options: next(iter(options)),
)
def test_sec_15_objects_of_users_in_the_handshake(
    impl: Any, options: dict[str, Any]
) -> None:
    """SEC-15, SPEC-036: answered with 500, and that is the end."""
    protocol = server(impl, **options)
    request = got(
        protocol,
        ("Origin", "https://example.com"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
    )
    protocol.send_response(protocol.accept(request))
    assert output(protocol)[0] == "HTTP/1.1 500 Internal Server Error"
    assert protocol.handshake_exc is not None
    assert_refused(protocol)
