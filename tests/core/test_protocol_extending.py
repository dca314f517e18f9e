"""Subclasses of Protocol, and what they or extensions get wrong."""

from __future__ import annotations

import logging
import weakref
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
    close_payload,
    cuts,
    deflate,
    deflated,
    events,
    everywhere,
    feed,
    new_logger,
    on_way,
    opened,
    sent,
    sent_frames,
    user_extension,
    wire,
)
from .table import each


def spy(impl: Any, side: str = "server", **options: Any) -> tuple[Any, list[Any]]:
    """A connection, and the list of the frames that its ``recv_frame`` saw."""
    seen: list[Any] = []

    def recv_frame(self: Any, frame: Any) -> None:
        seen.append(frame)
        impl.protocol.Protocol.recv_frame(self, frame)

    return bare(impl, side, methods={"recv_frame": recv_frame}, **options), seen


def raising(impl: Any, exc: BaseException, side: str = "server") -> tuple[Any, Any]:
    """A connection whose ``recv_frame`` raises, and the records of its log."""

    def recv_frame(self: Any, frame: Any) -> None:
        raise exc

    records: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger = logging.Logger("connection", logging.INFO)
    logger.addHandler(Handler())
    methods = {"recv_frame": recv_frame}
    return bare(impl, side, methods=methods, logger=logger), records


class TestRecvFrame:
    """recv_frame(), called by users and overridden by them."""

    @pytest.mark.parametrize("side", SIDES)
    def test_overridden_it_sees_every_frame(self, impl: Any, side: str) -> None:
        """As the application gets them: valid, decompressed; wherever cut."""
        stream = b"".join(
            wire(side, first, data)
            for first, data in (
                (RSV1 | TEXT, deflated(b"a")),
                (FIN | PING, b"b"),
                (FIN | CONT, b""),
                (FIN | BINARY, b"c"),
                (FIN | PONG, b"d"),
                (FIN | CLOSE, close_payload(1000)),
                (FIN | TEXT, b"late"),
            )
        )
        for chunks in [[stream], *cuts(stream)]:
            protocol, seen = spy(impl, side)
            protocol.extensions = [deflate(impl)]
            outcome = feed(protocol, chunks)
            assert [(f.opcode, f.data, f.fin) for f in seen] == outcome.events
            assert [f.opcode for f in seen] == [TEXT, PING, CONT, BINARY, PONG, CLOSE]
            assert all(type(frame) is impl.frames.Frame for frame in seen)
            assert outcome.error == ""

    def test_overridden_it_may_drop_and_add_events(self, impl: Any) -> None:
        def recv_frame(self: Any, frame: Any) -> None:
            if frame.data != b"drop":
                impl.protocol.Protocol.recv_frame(self, frame)
                impl.protocol.Protocol.recv_frame(self, frame)

        protocol = bare(impl, methods={"recv_frame": recv_frame})
        protocol.receive_data(wire("server", FIN | TEXT, b"drop") * 3)
        protocol.receive_data(wire("server", FIN | TEXT, b"twice"))
        protocol.receive_data(wire("server", FIN | PING, b"drop"))
        assert events(protocol) == [(TEXT, b"twice", True)] * 2
        assert sent(protocol) == []

    @each("side", SIDES)
    @each("method", ["fail", "send_close"])
    def test_overridden_it_may_end_the_connection(
        self, impl: Any, side: str, method: str
    ) -> None:
        """In the middle of a read: fail() ignores the rest, send_close() reads on."""

        def recv_frame(self: Any, frame: Any) -> None:
            impl.protocol.Protocol.recv_frame(self, frame)
            if frame.data == b"stop":
                getattr(self, method)(1008, "enough")

        protocol = bare(impl, side, methods={"recv_frame": recv_frame})
        stream = b"".join(
            wire(side, FIN | TEXT, data) for data in (b"1", b"stop", b"2")
        )
        protocol.receive_data(stream)
        received = [b"1", b"stop"] if method == "fail" else [b"1", b"stop", b"2"]
        assert [data for _, data, _ in events(protocol)] == received
        assert sent(protocol)[0] == (FIN | CLOSE, close_payload(1008, b"enough"))
        assert protocol.parser_exc is None
        protocol.receive_data(wire(side, FIN | CLOSE, close_payload(1008)))
        assert (protocol.close_rcvd is None) == (method == "fail")

    @everywhere
    def test_called(self, impl: Any, side: str, way: str) -> None:
        """As if the frame had come in, whatever way the answers take."""
        protocol = on_way(impl, side, way)
        frame, opcode = impl.frames.Frame, impl.frames.Opcode
        protocol.recv_frame(frame(opcode.TEXT, b"a", False))
        protocol.recv_frame(frame(opcode.PONG, b"b"))
        assert events(protocol) == [(TEXT, b"a", False), (PONG, b"b", True)]
        protocol.send_binary(b"queued before", compress=False)
        protocol.recv_frame(frame(opcode.PING, b"c"))
        queued = (FIN | BINARY, b"queued before")
        assert sent(protocol) == [queued, (FIN | PONG, b"c")]
        protocol.recv_frame(frame(opcode.PING, b"d"))
        assert sent(protocol) == [(FIN | PONG, b"d")]
        protocol.recv_frame(frame(opcode.CLOSE, close_payload(1000)))
        assert protocol.state is impl.protocol.CLOSING
        assert sent(protocol)[0] == (FIN | CLOSE, close_payload(1000))
        assert events(protocol)[-1] == (CLOSE, close_payload(1000), True)

    def test_called_with_a_fault(self, impl: Any) -> None:
        """The caller's own: it is raised where the frame came from."""
        protocol = bare(impl)
        frame = impl.frames.Frame(impl.frames.Opcode.CLOSE, b"\x00")
        with pytest.raises(impl.exceptions.ProtocolError):
            protocol.recv_frame(frame)
        assert protocol.state is impl.protocol.OPEN

    def test_debug_log(self, impl: Any) -> None:
        logger, lines = new_logger()
        protocol = bare(impl, logger=logger)
        protocol.receive_data(wire("server", FIN | TEXT, b"a"))
        protocol.receive_data(wire("server", FIN | PING, b"b"))
        protocol.receive_data(wire("server", FIN | CLOSE, close_payload(1001, b"c")))
        assert [line for line in lines if line[0] == "<"] == [
            "< TEXT 'a' [1 byte]",
            "< PING 'b' [text, 1 byte]",
            "< CLOSE 1001 (going away) c [3 bytes]",
        ]

    def test_sec_40_debug_log_is_printable(self, impl: Any) -> None:
        """SEC-40: one line each, whatever the peer sends."""
        evil = "\r\n\x1b[2J\u202e< forged".encode()
        logger, lines = new_logger()
        protocol = bare(impl, logger=logger)
        for opcode in (TEXT, BINARY, PING, PONG):
            protocol.receive_data(wire("server", FIN | opcode, evil))
        protocol.receive_data(wire("server", FIN | CLOSE, close_payload(1000, evil)))
        protocol.data_to_send()
        assert len(lines) == 9  # 5 received, 1 pong, 1 close, state, EOF
        assert all(line.isprintable() for line in lines)
        assert all(line.isascii() for line in lines)


class TestSubclass:
    """Instances accept attributes, classes can be subclassed, methods overridden."""

    @pytest.mark.parametrize("side", SIDES)
    def test_attributes_and_weak_references(self, impl: Any, side: str) -> None:
        for protocol in (bare(impl, side), opened(impl, side)):
            protocol.transport = "of the user"
            assert protocol.transport == "of the user"
            assert vars(protocol)["transport"] == "of the user"
            del protocol.transport
            with pytest.raises(AttributeError):
                _ = protocol.transport
            reference = weakref.ref(protocol)
            assert reference() is protocol
        del protocol

    def test_constructor(self, impl: Any) -> None:
        class Own(impl.protocol.Protocol):  # type: ignore[misc]
            def __init__(self, name: str, side: Any, **options: Any) -> None:
                super().__init__(side, **options)
                self.name = name

        protocol = Own("mine", impl.protocol.CLIENT, max_size=5)
        assert (protocol.name, protocol.max_message_size) == ("mine", 5)
        protocol.receive_data(wire("client", FIN | TEXT, b"12345"))
        assert events(protocol) == [(TEXT, b"12345", True)]

    def test_several_bases(self, impl: Any) -> None:
        class Named:
            name = "of the other base"

        class Own(Named, impl.server.ServerProtocol):  # type: ignore[misc]
            pass

        protocol = Own(state=impl.protocol.OPEN)
        protocol.send_text(b"x")
        assert protocol.name == "of the other base"
        assert sent(protocol) == [(FIN | TEXT, b"x")]

    def test_methods_that_wrap_ours(self, impl: Any) -> None:
        """Each of them can be extended."""
        calls: list[str] = []
        base = impl.protocol.Protocol

        def wrap(name: str) -> Any:
            def method(self: Any, *args: Any, **named: Any) -> Any:
                calls.append(name)
                return getattr(base, name)(self, *args, **named)

            return method

        names = (
            "receive_data",
            "receive_eof",
            "events_received",
            "data_to_send",
            "close_expected",
            "send_text",
            "send_binary",
            "send_continuation",
            "send_ping",
            "send_pong",
            "send_close",
            "fail",
            "send_eof",
            "send_frame",
            "recv_frame",
        )
        protocol = bare(impl, methods={name: wrap(name) for name in names})
        protocol.receive_data(wire("server", FIN | TEXT, b"x"))
        protocol.send_text(b"a")
        protocol.send_binary(b"b", False)
        protocol.send_continuation(b"c", True)
        protocol.send_ping(b"")
        protocol.send_pong(b"")
        protocol.send_close()
        assert protocol.close_expected()
        protocol.fail(1006)
        protocol.receive_eof()
        assert len(protocol.events_received()) == 1
        assert len(protocol.data_to_send()) == 7
        assert set(calls) == set(names)

    @pytest.mark.parametrize("side", SIDES)
    def test_fail_overridden_is_told_of_every_failure(
        self, impl: Any, side: str
    ) -> None:
        told: list[tuple[int, str]] = []

        def fail(self: Any, code: int, reason: str = "") -> None:
            told.append((code, reason))
            impl.protocol.Protocol.fail(self, code, "another reason")

        protocol = bare(impl, side, methods={"fail": fail}, max_size=5)
        protocol.receive_data(wire(side, FIN | TEXT, bytes(6)))
        assert told == [(1009, "message is over the limit of 5 bytes")]
        assert_failing(protocol, 1009, "another reason")
        protocol = bare(impl, side, methods={"fail": fail})
        protocol.receive_eof()
        assert told[1:] == [(1006, "")]

    def test_fail_overridden_that_raises(self, impl: Any) -> None:
        """Nothing is raised out of receive_data, and the connection ends."""

        def fail(self: Any, code: int, reason: str = "") -> None:
            raise RuntimeError("a fault of the user's")

        logger, lines = new_logger(logging.ERROR)
        protocol = bare(impl, methods={"fail": fail}, logger=logger)
        protocol.receive_data(b"\xff")
        assert protocol.state is impl.protocol.CLOSING
        assert sent(protocol) == ["EOF"]
        assert len(lines) == 1
        protocol.receive_data(wire("server", FIN | TEXT, b"late"))
        assert events(protocol) == []


class TestFaults:
    """A bug of our own is 1011: details in the log, none on the wire."""

    @each("side", SIDES)
    @each("exc", [ValueError("secret"), KeyError("secret"), MemoryError("secret")])
    def test_spec_076_a_bug(self, impl: Any, side: str, exc: Exception) -> None:
        """SPEC-076: whatever the frame."""
        for first in (FIN | TEXT, FIN | PING, FIN | CLOSE):
            protocol, records = raising(impl, exc, side)
            protocol.receive_data(wire(side, first))
            assert protocol.parser_exc is exc
            assert protocol.close_sent == impl.frames.Close(1011, "")
            (record,) = records
            assert record.levelno == logging.ERROR
            assert record.exc_info is not None
            assert record.exc_info[1] is exc
            assert_failing(protocol, 1011)

    def test_a_bug_while_closing(self, impl: Any) -> None:
        """No second close frame, but the end all the same."""
        protocol, _ = raising(impl, ValueError("secret"))
        protocol.send_close(1000)
        protocol.receive_data(wire("server", FIN | TEXT, b"x"))
        assert sent(protocol) == [(FIN | CLOSE, close_payload(1000)), "EOF"]
        protocol.receive_eof()
        assert protocol.close_exc.__cause__ is protocol.parser_exc

    @pytest.mark.parametrize(
        "exc", [KeyboardInterrupt(), SystemExit(), GeneratorExit()]
    )
    def test_what_is_no_error_passes(self, impl: Any, exc: BaseException) -> None:
        protocol, records = raising(impl, exc)
        with pytest.raises(type(exc)):
            protocol.receive_data(wire("server", FIN | TEXT, b"x"))
        assert records == []

    @each("side", SIDES)
    @each(
        ("code", "wanted"),
        [
            (1002, 1002),
            (1008, 1008),
            (4999, 4999),
            ("POLICY_VIOLATION", 1008),
            (1011, 1011),
            (1005, 1011),
            (1006, 1011),
            (999, 1011),
            (70000, 1011),
            (None, 1011),
            ("text", 1011),
        ],
    )
    def test_exceptions_of_users_with_a_code(
        self, impl: Any, side: str, code: Any, wanted: int
    ) -> None:
        """close_code says what the connection fails with, if it may travel."""
        code = getattr(impl.frames.CloseCode, str(code), code)

        class Own(impl.exceptions.WebSocketException):  # type: ignore[misc]
            close_code = code

        protocol, records = raising(impl, Own("my reason"), side)
        protocol.receive_data(wire(side, FIN | TEXT, b"x"))
        reason = "" if wanted == 1011 else "my reason"
        assert protocol.close_sent == impl.frames.Close(wanted, reason)
        assert len(records) == (wanted == 1011)
        assert_failing(protocol, wanted)

    def test_exceptions_of_users_without_a_code(self, impl: Any) -> None:
        class Own(impl.exceptions.WebSocketException):  # type: ignore[misc]
            pass

        protocol, _ = raising(impl, Own("my reason"))
        protocol.receive_data(wire("server", FIN | TEXT, b"x"))
        assert_failing(protocol, 1002, "my reason")

    def test_text_that_is_decoded_on_the_way(self, impl: Any) -> None:
        """UnicodeDecodeError means 1007, also where the user decodes."""

        def recv_frame(self: Any, frame: Any) -> None:
            frame.data.decode()

        methods = {"recv_frame": recv_frame}
        protocol = bare(impl, methods=methods, validate_utf8=False)
        protocol.receive_data(wire("server", FIN | TEXT, b"\xff"))
        assert_failing(protocol, 1007)

    @each("text", ["x" * 500, "\u20ac" * 100, "a\ud800b", "", "x" + "\U0001f600" * 40])
    def test_spec_077_reasons_fit(self, impl: Any, text: str) -> None:
        """SPEC-077, SPEC-070: shortened at a character, and always UTF-8."""
        protocol, _ = raising(impl, impl.exceptions.ProtocolError(text))
        protocol.receive_data(wire("server", FIN | TEXT, b"x"))
        reason = protocol.close_sent.reason
        assert text.replace("\ud800", "?").startswith(reason)
        assert len(reason.encode()) > min(len(text.encode("utf-8", "replace")), 116) - 1
        assert_failing(protocol, 1002)

    def test_spec_078_code_that_this_side_may_not_send(self, impl: Any) -> None:
        """SPEC-078: 1010 is for clients; a server then ends without a close frame."""

        class Own(impl.exceptions.WebSocketException):  # type: ignore[misc]
            close_code = 1010

        protocol, _ = raising(impl, Own("needs an extension"), "client")
        protocol.receive_data(wire("client", FIN | TEXT, b"x"))
        assert_failing(protocol, 1010, "needs an extension")
        protocol, records = raising(impl, Own("needs an extension"), "server")
        protocol.receive_data(wire("server", FIN | TEXT, b"x"))
        payloads = [payload for _, payload in sent_frames(protocol)]
        assert close_payload(1010, b"needs an extension") not in payloads
        assert records
        assert protocol.state is impl.protocol.CLOSING
        assert protocol.eof_sent

    @pytest.mark.parametrize("side", SIDES)
    def test_an_extension_that_cannot_encode(self, impl: Any, side: str) -> None:
        """Neither the answers nor the close frame can be sent."""

        def encode(self: Any, frame: Any) -> Any:
            raise ValueError("a fault of the user's")

        for data in (
            wire(side, FIN | PING, b"x"),
            wire(side, FIN | CLOSE),
            wire(side, FIN | PING, b"x") + wire(side, FIN | CLOSE),
            b"\xff",
        ):
            protocol = bare(impl, side, [user_extension(impl, encode=encode)])
            protocol.logger, lines = new_logger(logging.ERROR)
            protocol.receive_data(data)
            assert protocol.state is impl.protocol.CLOSING
            assert protocol.close_sent is None
            assert sent(protocol) == (["EOF"] if side == "server" else [])
            assert lines
            protocol.receive_data(wire(side, FIN | TEXT, b"late"))
            protocol.receive_eof()
            assert protocol.state is impl.protocol.CLOSED
            assert protocol.close_exc.sent is None


def test_extensions_are_the_same_list_each_time(impl: Any) -> None:
    protocol = impl.server.ServerProtocol()
    extensions = protocol.extensions
    assert extensions == []
    assert protocol.extensions is extensions
    extensions.append(object())
    assert protocol.extensions == extensions
