"""Frames on their way through a subclass, or through extensions of the user's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
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
    RSV2,
    RSV3,
    SIDES,
    TEXT,
    bare,
    carry,
    close_payload,
    deflate,
    events,
    no_random_bytes,
    opened,
    other,
    sent,
    user_extension,
    wire,
)
from .table import each


def spy(impl: Any, side: str, extensions: Any = (), **options: Any) -> tuple[Any, Any]:
    """A connection, and the list of the frames that its ``send_frame`` saw."""
    seen: list[tuple[int, bytes, bool]] = []

    def send_frame(self: Any, frame: Any) -> None:
        assert type(frame) is impl.frames.Frame
        assert type(frame.opcode) is impl.frames.Opcode
        seen.append((frame.opcode, bytes(frame.data), frame.fin))
        impl.protocol.Protocol.send_frame(self, frame)

    methods = {"send_frame": send_frame}
    return bare(impl, side, extensions, methods, **options), seen


def marking(impl: Any, mark: bytes, bit: int = 0) -> Any:
    """An extension that puts a mark at the end of data, and takes it off again."""
    names = {RSV1: "rsv1", RSV2: "rsv2", RSV3: "rsv3"}

    def changed(frame: Any, data: bytes, on: bool) -> Any:
        bits = {names[bit]: on} if bit else {}
        return dataclasses.replace(frame, data=data, **bits)

    def encode(self: Any, frame: Any) -> Any:
        if frame.opcode & 0x8:
            return frame
        return changed(frame, bytes(frame.data) + mark, True)

    def decode(self: Any, frame: Any, *, max_size: int | None = None) -> Any:
        if frame.opcode & 0x8:
            return frame
        assert frame.data.endswith(mark)
        return changed(frame, frame.data[: -len(mark)], False)

    return user_extension(impl, encode=encode, decode=decode)


class TestSendFrame:
    """send_frame(), called by users and overridden by them."""

    @pytest.mark.parametrize("side", SIDES)
    def test_called(self, impl: Any, side: str) -> None:
        """It queues any frame, and leaves the state of messages alone."""
        protocol = bare(impl, side)
        frame, opcode = impl.frames.Frame, impl.frames.Opcode
        protocol.send_frame(frame(opcode.TEXT, b"a", False))
        protocol.send_frame(frame(opcode.CONT, bytearray(b"b")))
        protocol.send_frame(frame(opcode.CLOSE, b""))
        wanted = [(TEXT, b"a"), (FIN | CONT, b"b"), (FIN | CLOSE, b"")]
        assert sent(protocol) == wanted
        assert protocol.state is impl.protocol.OPEN
        assert protocol.close_sent is None

    @pytest.mark.parametrize("side", SIDES)
    def test_invalid_frames(self, impl: Any, side: str) -> None:
        """SPEC-071, SEC-15"""
        protocol = bare(impl, side)
        frame, opcode = impl.frames.Frame, impl.frames.Opcode
        for bad in (
            frame(opcode.PING, bytes(126)),
            frame(opcode.CLOSE, b"", False),
            frame(opcode.TEXT, b"", rsv1=True),
        ):
            with pytest.raises(impl.exceptions.ProtocolError):
                protocol.send_frame(bad)
        assert protocol.data_to_send() == []
        assert protocol.stats.frames_sent == 0

    @pytest.mark.parametrize("side", SIDES)
    def test_it_works_whatever_the_state(self, impl: Any, side: str) -> None:
        protocol = bare(impl, side)
        protocol.receive_data(wire(side, FIN | CLOSE))
        protocol.data_to_send()
        protocol.send_frame(impl.frames.Frame(impl.frames.Opcode.PONG, b""))
        assert len(protocol.data_to_send()) == 1

    @each("side", SIDES)
    @each("extensions", ["none", "deflate", "user"])
    def test_overridden_it_sees_every_frame(
        self, impl: Any, side: str, extensions: str
    ) -> None:
        """Data, control, answers, echoes: before extensions changed them."""
        ours, theirs = (
            {
                "none": [],
                "deflate": [deflate(impl)],
                "user": [marking(impl, b"!", RSV2)],
            }[extensions]
            for _ in "12"
        )
        protocol, seen = spy(impl, side, ours)
        peer = bare(impl, other(side), theirs)
        protocol.send_text(b"a")
        protocol.send_binary(bytearray(b"b"), False)
        protocol.send_continuation(b"c", True)
        protocol.send_ping(b"d")
        protocol.send_pong(b"e")
        protocol.receive_data(wire(side, FIN | PING, b"f"))
        protocol.receive_data(wire(side, FIN | CLOSE, close_payload(1000, b"g")))
        wanted = [
            (TEXT, b"a", True),
            (BINARY, b"b", False),
            (CONT, b"c", True),
            (PING, b"d", True),
            (PONG, b"e", True),
            (PONG, b"f", True),
            (CLOSE, close_payload(1000, b"g"), True),
        ]
        assert seen == wanted
        assert carry(protocol, peer) == wanted

    @pytest.mark.parametrize("side", SIDES)
    def test_overridden_it_sees_a_failure(self, impl: Any, side: str) -> None:
        protocol, seen = spy(impl, side)
        protocol.receive_data(wire(side, FIN | PING, b"1") + b"\xff")
        assert [opcode for opcode, *_ in seen] == [PONG, CLOSE]
        wanted = [FIN | PONG, FIN | CLOSE, "E"]
        assert [item[0] for item in sent(protocol)][:3] == wanted[
            : 3 - (side != "server")
        ]

    def test_overridden_it_may_drop_frames(self, impl: Any) -> None:
        protocol = bare(impl, "server", (), {"send_frame": lambda self, frame: None})
        protocol.send_text(b"x")
        protocol.receive_data(wire("server", FIN | PING))
        protocol.send_close(1000)
        assert protocol.data_to_send() == []
        assert protocol.state is impl.protocol.CLOSING

    def test_overridden_it_may_change_and_multiply_frames(self, impl: Any) -> None:
        def send_frame(self: Any, frame: Any) -> None:
            send = impl.protocol.Protocol.send_frame
            if frame.opcode is impl.frames.Opcode.TEXT:
                send(self, impl.frames.Frame(impl.frames.Opcode.PING, b"first"))
                frame = dataclasses.replace(frame, data=bytes(frame.data).upper())
            send(self, frame)

        protocol = bare(impl, "server", (), {"send_frame": send_frame})
        protocol.send_text(b"text")
        assert sent(protocol) == [(FIN | PING, b"first"), (FIN | TEXT, b"TEXT")]

    def test_a_subclass_of_a_subclass(self, impl: Any) -> None:
        seen = []

        class First(impl.server.ServerProtocol):  # type: ignore[misc]
            def send_frame(self, frame: Any) -> None:
                seen.append("first")
                super().send_frame(frame)

        class Second(First):
            pass

        class Third(Second):
            def send_frame(self, frame: Any) -> None:
                seen.append("third")
                super().send_frame(frame)

        for kind in (Second, Third):
            protocol = kind(state=impl.protocol.OPEN)
            protocol.send_text(b"x")
            assert sent(protocol) == [(FIN | TEXT, b"x")]
        assert seen == ["first", "third", "first"]

    @pytest.mark.parametrize("side", SIDES)
    def test_send_eof_overridden(self, impl: Any, side: str) -> None:
        """Each half-close passes it, whoever asks for it."""
        seen: list[str] = []

        def send_eof(self: Any) -> None:
            seen.append("EOF")
            impl.protocol.Protocol.send_eof(self)

        for data in (b"\xff", wire(side, FIN | CLOSE), b""):
            protocol = bare(impl, side, (), {"send_eof": send_eof})
            protocol.receive_data(data)
            protocol.receive_eof()
            assert sent(protocol)[-1] == "EOF"
        assert seen == ["EOF"] * 3


class TestExtensions:
    """Extensions written by users, several at once."""

    @pytest.mark.parametrize("side", SIDES)
    def test_spec_081_order(self, impl: Any, side: str) -> None:
        """SPEC-081: the first named is applied first to outgoing data."""
        marks = ((b"1", RSV1), (b"2", RSV2), (b"3", RSV3), (b"4", 0))
        protocol = bare(impl, side, [marking(impl, *args) for args in marks])
        protocol.send_text(b"x")
        protocol.send_ping(b"y")
        assert sent(protocol) == [(0xF1, b"x1234"), (FIN | PING, b"y")]

    @each("side", SIDES)
    @each("position", [0, 1])
    def test_spec_083_with_permessage_deflate(
        self, impl: Any, side: str, position: int
    ) -> None:
        """SPEC-083: together with one that uses another bit, in either order."""
        ours, theirs = [marking(impl, b"!", RSV2)], [marking(impl, b"!", RSV2)]
        ours.insert(position, deflate(impl))
        theirs.insert(position, deflate(impl))
        protocol, peer = bare(impl, side, ours), bare(impl, other(side), theirs)
        for text in (b"Hello, hello", b"Hello, hello"):
            protocol.send_text(text)
            protocol.send_text(text, compress=False)
            protocol.send_binary(text, False)
            protocol.send_continuation(text, True)
            protocol.send_binary(text, False, compress=False)
            protocol.send_continuation(text, True)
            assert [data for _, data, _ in carry(protocol, peer)] == [text] * 6

    @pytest.mark.parametrize("side", SIDES)
    def test_spec_103_without_compression(self, impl: Any, side: str) -> None:
        """SPEC-103: the other extension still has its part; then all is as before."""
        extensions = [deflate(impl), marking(impl, b"!", RSV2)]
        protocol = bare(impl, side, extensions)
        protocol.send_binary(b"secret", False, compress=False)
        protocol.send_continuation(b"part", True)
        wanted = [(RSV2 | BINARY, b"secret!"), (FIN | RSV2 | CONT, b"part!")]
        assert sent(protocol) == wanted
        assert protocol.extensions == extensions
        protocol.send_text(b"x")
        assert sent(protocol)[0][0] == FIN | RSV1 | RSV2 | TEXT

    @pytest.mark.parametrize("side", SIDES)
    def test_a_subclass_of_permessage_deflate_is_asked(
        self, impl: Any, side: str
    ) -> None:
        kind = impl.extensions.permessage_deflate.PerMessageDeflate
        calls = []

        class Counting(kind):  # type: ignore[misc, valid-type]
            def encode(self, frame: Any) -> Any:
                calls.append(frame.opcode)
                return super().encode(frame)

        protocol = bare(impl, side, [Counting(False, False, 15, 15)])
        protocol.send_text(b"x")
        protocol.send_ping(b"")
        assert calls == [TEXT, PING]
        assert sent(protocol)[0][0] == FIN | RSV1 | TEXT

    def test_control_frames_pass_them_too(self, impl: Any) -> None:
        def encode(self: Any, frame: Any) -> Any:
            return dataclasses.replace(frame, data=bytes(frame.data)[::-1])

        protocol = bare(impl, "server", [user_extension(impl, encode=encode)])
        protocol.send_ping(b"abc")
        protocol.receive_data(wire("server", FIN | PING, b"def"))
        protocol.send_close(3000)
        wanted = [
            (FIN | PING, b"cba"),
            (FIN | PONG, b"fed"),
            (FIN | CLOSE, b"\xb8\x0b"),
        ]
        assert sent(protocol) == wanted

    @pytest.mark.parametrize("extensions", [[], (), None])
    def test_assigned_from_outside(self, impl: Any, extensions: Any) -> None:
        protocol = opened(impl, "server", [deflate(impl)])
        protocol.extensions = extensions or ()
        protocol.send_text(b"x")
        assert sent(protocol) == [(FIN | TEXT, b"x")]


class TestFaults:
    """SEC-15: compression is atomic with framing; an error leaves nothing behind."""

    @each("fragment", [0, 1])
    @each("compression", [False, True])
    def test_sec_15_no_masking_key(
        self, impl: Any, compression: bool, fragment: int
    ) -> None:
        """SEC-15: what was compressed for a frame that is not queued is forgotten."""
        ours, theirs = ([deflate(impl)] if compression else [] for _ in "12")
        protocol, peer = bare(impl, "client", ours), bare(impl, "server", theirs)
        protocol.send_text(b"warm")
        text = b"Hello, hello, world"
        assert carry(protocol, peer) == [(TEXT, b"warm", True)]
        if fragment:
            protocol.send_text(b"one", False)
        stats = protocol.stats
        calls: list[Callable[[], object]] = [
            lambda: protocol.send_ping(b"x"),
            lambda: protocol.send_pong(b"x"),
            lambda: protocol.fail(1000),
        ]
        if fragment:
            calls += [lambda: protocol.send_continuation(text, True)] * 2
        else:
            calls += [lambda: protocol.send_text(text)] * 2
            calls += [lambda: protocol.send_close(1000)]
        for call in calls:
            with no_random_bytes(impl), pytest.raises(ZeroDivisionError):
                call()
        for name in ("bytes_sent", "frames_sent", "messages_sent"):
            assert getattr(protocol.stats, name) == getattr(stats, name)
        assert protocol.state is impl.protocol.OPEN
        if fragment:
            protocol.send_continuation(text, True)
        else:
            protocol.send_text(text)
        protocol.send_text(text)
        data = [data for _, data, _ in carry(protocol, peer)]
        assert data == [b"one", text, text][1 - fragment :]

    def test_sec_15_no_masking_key_for_a_pong(self, impl: Any) -> None:
        """SEC-15, SPEC-072: the pong is sent when there is one."""
        protocol = bare(impl, "client")
        protocol.send_text(b"x")
        protocol.receive_data(wire("client", FIN | PING, b"1"))
        for _ in range(2):
            with no_random_bytes(impl), pytest.raises(ZeroDivisionError):
                protocol.data_to_send()
        assert sent(protocol) == [(FIN | TEXT, b"x"), (FIN | PONG, b"1")]

    def test_sec_15_no_masking_key_for_an_answer(self, impl: Any) -> None:
        """SEC-15: nothing is raised out of receive_data; it ends without a frame."""
        protocol = bare(impl, "client")
        with no_random_bytes(impl):
            protocol.receive_data(wire("client", FIN | CLOSE, close_payload(1000)))
        assert type(protocol.parser_exc) is ZeroDivisionError
        assert protocol.state is impl.protocol.CLOSING
        assert protocol.close_sent is None
        assert protocol.data_to_send() == []
        protocol.receive_data(wire("client", FIN | TEXT, b"late"))
        assert [opcode for opcode, *_ in events(protocol)] == []
        protocol.receive_eof()
        assert sent(protocol) == ["EOF"]

    @each("side", SIDES)
    @each("where", ["before", "behind", "send_frame"])
    def test_sec_15_an_error_of_the_user(
        self, impl: Any, side: str, where: str
    ) -> None:
        """SEC-15: raised beside permessage-deflate, before or after it compressed."""
        broken = False

        def encode(self: Any, frame: Any) -> Any:
            if broken:
                raise RuntimeError("a fault of the user's")
            return frame

        def send_frame(self: Any, frame: Any) -> None:
            if broken:
                frame.serialize(mask=False, extensions=self.extensions)
                raise RuntimeError("a fault of the user's")
            impl.protocol.Protocol.send_frame(self, frame)

        extensions = [deflate(impl)]
        methods = None
        if where == "send_frame":
            methods = {"send_frame": send_frame}
        else:
            position = 0 if where == "before" else 1
            extensions.insert(position, user_extension(impl, encode=encode))
        protocol = bare(impl, side, extensions, methods)
        peer = bare(impl, other(side), [deflate(impl)])
        text = b"Hello, hello, world"
        protocol.send_text(b"warm")
        for fragments in (False, True):
            if fragments:
                protocol.send_text(b"one", False)
            broken = True
            calls: list[Callable[[], object]] = [
                lambda: protocol.send_text(text),
                lambda: protocol.send_text(text, compress=False),
            ]
            if fragments:
                calls = [lambda: protocol.send_continuation(text, True)] * 2
            for call in calls:
                with pytest.raises(RuntimeError, match="user"):
                    call()
            with pytest.raises(RuntimeError, match="user"):
                protocol.send_ping(b"x")
            broken = False
            assert len(protocol.extensions) == len(extensions)
            if fragments:
                protocol.send_continuation(text, True)
            protocol.send_text(text)
        data = [data for _, data, _ in carry(protocol, peer)]
        assert data == [b"warm", text, b"one", text, text]
        assert protocol.stats.messages_sent == 4
