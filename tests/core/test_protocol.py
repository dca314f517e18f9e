"""Protocol: constructor, attributes, the lists in and out, and the way to OPEN."""

from __future__ import annotations

import gc
import logging
import uuid
from typing import Any

import pytest

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
    assert_failing,
    bare,
    client_with_sample_key,
    cuts,
    deflate,
    deflated,
    events,
    header,
    make_request,
    masked,
    new_logger,
    opened,
    request_bytes,
    response_bytes,
    sent,
    user_extension,
    wire,
)
from .table import each

HELLO = deflated(b"Hello")
OFFER = ("Sec-WebSocket-Extensions", "permessage-deflate")
HELD = 65536  # bytes kept until the handshake is decided


def server_with_request(impl: Any, *extra: tuple[str, str], **options: Any) -> Any:
    """A server that has to answer a request."""
    protocol = impl.server.ServerProtocol(**options)
    protocol.receive_data(request_bytes(*extra))
    return protocol


def decide(protocol: Any, request: Any) -> None:
    """Accept the request; the response is out of the way."""
    protocol.send_response(protocol.accept(request))
    assert protocol.data_to_send()[0].startswith(b"HTTP/1.1 101 ")


class TestConstructor:
    """Its arguments, and the attributes that they become."""

    def test_public_names(self, impl: Any) -> None:
        names = {"Protocol", "Side", "State", "Event", "SEND_EOF"}
        names |= {"SERVER", "CLIENT", "CONNECTING", "OPEN", "CLOSING", "CLOSED"}
        assert set(impl.protocol.__all__) == names
        assert all(hasattr(impl.protocol, name) for name in names)

    @pytest.mark.parametrize("side", ["SERVER", "CLIENT"])
    def test_defaults(self, impl: Any, side: str) -> None:
        module = impl.protocol
        protocol = module.Protocol(module.Side[side])
        assert protocol.side is module.Side[side]
        assert protocol.state is module.OPEN
        assert protocol.max_message_size == 2**20
        assert protocol.max_fragment_size is None
        assert protocol.logger is logging.getLogger(f"sansocket.{side.lower()}")
        assert protocol.debug is False
        assert protocol.validate_utf8 is True
        assert list(protocol.extensions) == []
        assert protocol.eof_sent is False
        for name in (
            "close_rcvd",
            "close_sent",
            "close_rcvd_then_sent",
            "handshake_exc",
            "parser_exc",
            "close_code",
            "close_reason",
        ):
            assert getattr(protocol, name) is None
        assert protocol.events_received() == []
        assert protocol.data_to_send() == []

    def test_used_directly(self, impl: Any) -> None:
        """As one server does, with all that it touches."""
        module = impl.protocol
        options: dict[str, Any] = {"state": module.State.OPEN, "max_size": None}
        protocol = module.Protocol(module.Side.SERVER, **options)
        protocol.extensions = [deflate(impl)]
        protocol.receive_data(masked(FIN | RSV1 | TEXT, HELLO))
        (frame,) = protocol.events_received()
        assert (frame.opcode, frame.data) == (impl.frames.Opcode.TEXT, b"Hello")
        protocol.send_frame(impl.frames.Frame(impl.frames.Opcode.TEXT, b"Hello"))
        protocol.send_frame(impl.frames.Frame(impl.frames.Opcode.PING, b""))
        assert sent(protocol) == [(FIN | RSV1 | TEXT, HELLO), (FIN | PING, b"")]
        size = 2**20 + 1
        protocol.receive_data(header(FIN | BINARY, size, 0x80) + bytes(4 + size))
        assert events(protocol) == [(BINARY, bytes(size), True)]
        protocol.recv_frame(impl.frames.Frame(impl.frames.Opcode.CONT, b"x"))
        assert len(protocol.events_received()) == 1
        protocol.send_eof()
        assert protocol.data_to_send() == [module.SEND_EOF]

    def test_arguments_are_by_keyword(self, impl: Any) -> None:
        module = impl.protocol
        with pytest.raises(TypeError):
            module.Protocol()
        with pytest.raises(TypeError):
            module.Protocol(module.SERVER, module.OPEN)
        with pytest.raises(TypeError):
            module.Protocol(module.SERVER, unknown=1)

    def test_all_states(self, impl: Any) -> None:
        for side in SIDES:
            for state in impl.protocol.State:
                protocol = bare(impl, side, state=state)
                assert protocol.state is state

    @pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
    def test_logger(self, impl: Any, level: int) -> None:
        logger = logging.Logger("mine", level)
        for candidate in (logger, logging.LoggerAdapter(logger, {})):
            protocol = bare(impl, logger=candidate)
            assert protocol.logger is candidate
            assert protocol.debug == (level == logging.DEBUG)

    @each(
        ("max_size", "message", "fragment"),
        [(5, 5, None), (None, None, None), ((5, 3), 5, 3), ((None, 3), None, 3)],
    )
    def test_max_size(
        self, impl: Any, max_size: Any, message: int | None, fragment: int | None
    ) -> None:
        """SPEC-075"""
        for side in SIDES:
            protocol = bare(impl, side, max_size=max_size)
            assert protocol.max_message_size == message
            assert protocol.max_fragment_size == fragment
            protocol.receive_data(wire(side, FIN | TEXT, bytes(3)))
            assert protocol.parser_exc is None
            if max_size is not None:
                protocol.receive_data(wire(side, FIN | TEXT, bytes(6)))
                assert_failing(protocol, 1009, f"limit of {fragment or message} bytes")


class TestAttributes:
    """What users read and assign."""

    def test_id(self, impl: Any) -> None:
        first, second = bare(impl), bare(impl)
        assert type(first.id) is uuid.UUID
        assert first.id == first.id
        assert first.id != second.id
        mine = uuid.uuid4()
        second.id = mine
        assert second.id is mine

    @pytest.mark.parametrize("side", SIDES)
    def test_state_can_be_assigned(self, impl: Any, side: str) -> None:
        protocol = bare(impl, side)
        for state in (*impl.protocol.State, impl.protocol.OPEN):
            protocol.state = state
            assert protocol.state is state
        protocol.send_text(b"x")
        protocol.receive_data(wire(side, FIN | TEXT, b"y"))
        assert sent(protocol) == [(FIN | TEXT, b"x")]
        assert events(protocol) == [(TEXT, b"y", True)]

    def test_state_may_be_its_number(self, impl: Any) -> None:
        protocol = bare(impl)
        protocol.state = 2
        assert protocol.state is impl.protocol.CLOSING

    @each("number", [-1, 4, 7, 2**31])
    def test_state_that_is_none(self, impl: Any, number: int) -> None:
        """Misuse is told at the call; the state stays readable."""
        protocol = bare(impl)
        with pytest.raises((ValueError, OverflowError)):
            protocol.state = number
        with pytest.raises((ValueError, OverflowError)):
            bare(impl, state=number)
        assert protocol.state is impl.protocol.OPEN

    def test_close_attributes_follow_an_assigned_state(self, impl: Any) -> None:
        protocol = bare(impl)
        protocol.state = impl.protocol.CLOSED
        assert [protocol.close_code, protocol.close_reason] == [1006, ""]
        assert type(protocol.close_exc) is impl.exceptions.ConnectionClosedError
        with pytest.raises(impl.exceptions.InvalidState):
            protocol.send_text(b"x")

    @each("name", ["handshake_exc", "parser_exc", "logger", "extensions", "debug"])
    def test_assigned_from_outside(self, impl: Any, name: str) -> None:
        value: Any = {
            "logger": logging.getLogger("other"),
            "extensions": [user_extension(impl)],
            "debug": True,
        }.get(name, ValueError("why"))
        for side in SIDES:
            protocol = opened(impl, side)
            setattr(protocol, name, value)
            assert getattr(protocol, name) == value
            if name == "debug":
                protocol.logger = new_logger()[0]
            protocol.send_text(b"x")
            assert sent(protocol) == [(FIN | TEXT, b"x")]

    def test_parser_exc_is_the_cause(self, impl: Any) -> None:
        protocol = bare(impl)
        exc = ValueError("of the user")
        protocol.parser_exc = exc
        protocol.state = impl.protocol.CLOSED
        assert protocol.close_exc.__cause__ is exc

    def test_opcodes_are_singletons(self, impl: Any) -> None:
        """Users compare them with ``is``; payloads are bytes that can be hashed."""
        protocol = bare(impl)
        for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
            protocol.receive_data(masked(FIN | opcode, b""))
        opcodes = impl.frames.Opcode
        seen = [frame.opcode for frame in protocol.events_received()]
        wanted = [
            opcodes.TEXT,
            opcodes.BINARY,
            opcodes.PING,
            opcodes.PONG,
            opcodes.CLOSE,
        ]
        assert all(one is other for one, other in zip(seen, wanted, strict=True))

    @pytest.mark.parametrize("side", SIDES)
    def test_sec_10_nothing_is_left_behind(self, impl: Any, side: str) -> None:
        """SEC-10: what is over is freed at once; a failure refers to where it was."""

        class Sentinel:
            alive = 0

            def __init__(self) -> None:
                Sentinel.alive += 1

            def __del__(self) -> None:
                Sentinel.alive -= 1

        gc.disable()
        try:
            for end in (b"\xff", wire(side, FIN | CLOSE), b""):
                protocol = bare(impl, side, [deflate(impl)])
                protocol.sentinel = Sentinel()
                protocol.send_text(b"x")
                protocol.receive_data(wire(side, FIN | RSV1 | TEXT, HELLO) + end)
                if end != b"\xff":
                    protocol.receive_eof()
                protocol.data_to_send()
                protocol.events_received()
                exc, protocol.parser_exc = protocol.parser_exc, None
                del protocol, exc
            assert Sentinel.alive == 0
        finally:
            gc.enable()


class TestLists:
    """events_received() and data_to_send(): plain lists, fetched once."""

    @pytest.mark.parametrize("side", SIDES)
    def test_they_belong_to_the_caller(self, impl: Any, side: str) -> None:
        protocol = bare(impl, side)
        protocol.receive_data(wire(side, FIN | PING, b"1"))
        events_, writes = protocol.events_received(), protocol.data_to_send()
        assert type(events_) is type(writes) is list
        assert len(events_) == len(writes) == 1
        assert protocol.events_received() == protocol.data_to_send() == []
        events_.clear()
        writes.extend([b"junk"] * 3)
        protocol.receive_data(wire(side, FIN | PING, b"2"))
        assert len(protocol.events_received()) == len(protocol.data_to_send()) == 1
        assert len(writes) == 4

    def test_set_before_receive_data_returns(self, impl: Any) -> None:
        protocol = bare(impl)
        protocol.receive_data(masked(FIN | CLOSE, b"\x03\xe8"))
        assert (protocol.close_rcvd.code, protocol.close_sent.code) == (1000, 1000)
        protocol = bare(impl)
        protocol.receive_data(b"\xff")
        assert protocol.parser_exc.close_code == protocol.close_sent.code == 1002

    def test_sec_13_the_buffer_may_be_reused(self, impl: Any) -> None:
        """SEC-13: held bytes and the start of a frame too."""
        request = make_request(impl)
        stream = masked(FIN | TEXT, b"Hello") + masked(FIN | PING, b"1")
        for chunks in cuts(stream):
            protocol = server_with_request(impl)
            for chunk in chunks:
                buffer = bytearray(chunk)
                protocol.receive_data(buffer)
                buffer[:] = b"\xff" * len(buffer)
                buffer.clear()
            protocol.events_received()
            decide(protocol, request)
            assert events(protocol) == [(TEXT, b"Hello", True), (PING, b"1", True)]


class TestHeld:
    """SPEC-029, choice e: what comes before the handshake is decided."""

    def test_spec_029_read_as_frames_afterwards(self, impl: Any) -> None:
        """SPEC-029, SPEC-040: wherever it is cut, under the extensions agreed on."""
        stream = masked(FIN | RSV1 | TEXT, HELLO) + masked(FIN | PING, b"1")
        stream += masked(BINARY, b"cut")
        enable = impl.extensions.permessage_deflate.ServerPerMessageDeflateFactory
        request = make_request(impl, OFFER)
        for chunks in [[stream], *cuts(stream)]:
            for early in (0, 1, len(chunks)):
                protocol = server_with_request(impl, OFFER, extensions=[enable()])
                assert len(protocol.events_received()) == 1
                for chunk in chunks[:early]:
                    protocol.receive_data(chunk)
                assert protocol.events_received() == []
                response = protocol.accept(request)
                assert protocol.events_received() == []
                protocol.send_response(response)
                for chunk in chunks[early:]:
                    protocol.receive_data(chunk)
                assert events(protocol) == [
                    (TEXT, b"Hello", True),
                    (PING, b"1", True),
                    (BINARY, b"cut", False),
                ]
                writes = protocol.data_to_send()
                assert writes[0].startswith(b"HTTP/1.1 101 ")
                assert writes[1:] == [b"\x8a\x011"]

    def test_an_offence_before_the_decision(self, impl: Any) -> None:
        """It is none before there are frames."""
        protocol = server_with_request(impl)
        protocol.receive_data(b"\xff" * 10)
        assert protocol.parser_exc is None
        assert protocol.state is impl.protocol.CONNECTING
        decide(protocol, make_request(impl))
        assert protocol.parser_exc is not None
        assert protocol.close_sent.code == 1002

    @pytest.mark.parametrize("step", [1000, HELD, 10 * HELD])
    def test_sec_06_it_is_bounded(self, impl: Any, step: int) -> None:
        """SEC-06, SEC-08: 64 KiB, and one byte more fails the connection with 1009."""
        frame = masked(FIN | BINARY, bytes(1000 - 8))
        stream = frame * (HELD // 1000) + masked(FIN | TEXT, bytes(528))
        assert len(stream) == HELD
        for extra in (b"", b"\x89"):
            protocol = server_with_request(impl)
            whole = stream + extra
            for start in range(0, len(whole), step):
                protocol.receive_data(whole[start : start + step])
            if extra:
                protocol.receive_data(bytes(10**6))
            protocol.events_received()
            protocol.send_response(protocol.accept(make_request(impl)))
            assert len(events(protocol)) == HELD // 1000 + 1
            assert (protocol.parser_exc is None) == (not extra)
        assert type(protocol.parser_exc) is impl.exceptions.PayloadTooBig
        assert protocol.close_sent.code == 1009
        assert str(HELD) in protocol.close_sent.reason
        assert protocol.data_to_send()[-1] is impl.protocol.SEND_EOF

    def test_too_much_behind_a_close(self, impl: Any) -> None:
        """What ends the connection comes first."""
        protocol = server_with_request(impl)
        protocol.receive_data(masked(FIN | CLOSE, b"\x03\xe8") + bytes(HELD))
        decide(protocol, make_request(impl))
        assert protocol.parser_exc is None
        assert protocol.close_sent.code == 1000

    def test_refused(self, impl: Any) -> None:
        """SPEC-029: never interpreted."""
        protocol = server_with_request(impl)
        protocol.receive_data(masked(FIN | TEXT, b"x"))
        protocol.events_received()
        protocol.send_response(protocol.reject(403, ""))
        protocol.receive_data(masked(FIN | TEXT, b"y"))
        assert protocol.events_received() == []
        assert protocol.close_expected()

    def test_state_assigned(self, impl: Any) -> None:
        """The response was sent by somebody else; then what is held is read."""
        protocol = server_with_request(impl)
        protocol.receive_data(masked(FIN | TEXT, b"held"))
        protocol.accept(make_request(impl))
        protocol.events_received()
        protocol.state = impl.protocol.OPEN
        assert protocol.state is impl.protocol.OPEN
        protocol.receive_data(masked(FIN | TEXT, b"later"))
        assert [data for _, data, _ in events(protocol)] == [b"held", b"later"]
        assert protocol.data_to_send() == []

    def test_state_assigned_before_any_byte(self, impl: Any) -> None:
        for protocol in (impl.server.ServerProtocol(), client_with_sample_key(impl)):
            protocol.state = impl.protocol.OPEN
            side = "server" if protocol.side == 0 else "client"
            protocol.receive_data(wire(side, FIN | TEXT, b"x"))
            assert events(protocol) == [(TEXT, b"x", True)]

    @pytest.mark.parametrize("early", [0, 1, 2])
    def test_end_of_the_stream(self, impl: Any, early: int) -> None:
        """SPEC-029: before the request, inside of it, and before the answer."""
        protocol = impl.server.ServerProtocol()
        request = request_bytes()
        protocol.receive_data(request[: [0, 20, len(request)][early]])
        protocol.events_received()
        protocol.receive_eof()
        assert protocol.state is impl.protocol.CLOSED
        assert protocol.data_to_send() == [b""]
        assert protocol.events_received() == []
        assert protocol.handshake_exc is not None
        assert protocol.close_code == 1006
        with pytest.raises(EOFError):
            protocol.receive_data(b"")

    @pytest.mark.parametrize("cut", [0, 1, 5])
    def test_frames_right_behind_a_response(self, impl: Any, cut: int) -> None:
        """SPEC-029: of a client, whose handshake is decided as it arrives."""
        protocol = client_with_sample_key(impl)
        protocol.send_request(protocol.connect())
        protocol.data_to_send()
        stream = response_bytes() + wire("client", FIN | TEXT, b"x")
        end = len(stream) - cut
        protocol.receive_data(stream[:end])
        protocol.receive_data(stream[end:])
        response, frame = protocol.events_received()
        assert response.status_code == 101
        assert frame.data == b"x"
        assert protocol.state is impl.protocol.OPEN


class TestDebug:
    """The log of a connection in debug mode."""

    def test_a_life(self, impl: Any) -> None:
        logger, lines = new_logger()
        protocol = impl.server.ServerProtocol(logger=logger)
        protocol.receive_data(request_bytes(("X-Text", "caf\u00e9")))
        decide(protocol, make_request(impl))
        protocol.receive_data(masked(FIN | CLOSE, b"\x03\xe8"))
        protocol.receive_eof()
        assert lines[0] == "< GET /chat"
        assert "< X-Text: caf\\xe9" in lines
        assert "> 101 Switching Protocols" in lines
        tail = lines[lines.index("= connection is OPEN") :]
        assert tail == [
            "= connection is OPEN",
            "< CLOSE 1000 (OK) [2 bytes]",
            "> CLOSE 1000 (OK) [2 bytes]",
            "= connection is CLOSING",
            "> EOF",
            "= connection is CLOSED",
        ]

    def test_sec_40_one_printable_line_each(self, impl: Any) -> None:
        """SEC-40: header values and paths of the peer."""
        logger, lines = new_logger()
        protocol = impl.server.ServerProtocol(logger=logger)
        protocol.receive_data(request_bytes(("X-Text", "\x85\xa0\xad forged")))
        assert len(lines) == 7
        assert all(line.isprintable() for line in lines)
        assert all(line.isascii() for line in lines)


def test_a_side_has_to_bring_its_handshake(impl: Any) -> None:
    """Protocol by itself has none."""
    for method, args in (("receive_data", (b"GET",)), ("receive_eof", ())):
        protocol = bare(impl, state=impl.protocol.CONNECTING)
        protocol._await_head()
        with pytest.raises(NotImplementedError):
            getattr(protocol, method)(*args)


def test_continuations_without_end(impl: Any) -> None:
    """A message stays under way over any number of reads; then all is as before."""
    protocol = bare(impl, max_fragments=None)
    protocol.receive_data(masked(TEXT, b"a"))
    for _ in range(100):
        protocol.receive_data(masked(CONT, b"b"))
        protocol.receive_data(masked(FIN | PING))
    protocol.receive_data(masked(FIN | CONT, b"c") + masked(FIN | TEXT, b"d"))
    parts = [data for opcode, data, _ in events(protocol) if opcode < 8]
    assert b"".join(parts) == b"a" + b"b" * 100 + b"cd"
    assert protocol.stats.messages_received == 2
