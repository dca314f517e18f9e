"""Calls that are tried with memory that runs out, and what has to hold behind each.

``faults.py`` tries them. A scenario makes a connection, and gives the call and a check;
the check tells whether the connection has failed.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .core.support import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    RSV1,
    SIDES,
    TEXT,
    client_with_sample_key,
    close_payload,
    deflate,
    deflated,
    events,
    opened,
    read_frames,
    request_bytes,
    response_bytes,
    sent,
    wire,
)

HELLO = b"Hello, hello, hello!"


class Trial(NamedTuple):
    """A call to be tried, and the check that follows it."""

    call: Callable[[], object]
    check: Callable[[BaseException | None], bool]


Scenario = Callable[[Any], Trial]


def quiet(protocol: Any) -> Any:
    """Failures are logged, to nobody."""
    protocol.logger = logging.Logger("faults", logging.CRITICAL)
    return protocol


def end(protocol: Any) -> bool:
    """The connection can be closed, whatever has become of it.

    Tells whether it had failed.
    """
    failed = protocol.parser_exc is not None or protocol.handshake_exc is not None
    protocol.receive_eof()
    protocol.data_to_send()
    assert protocol.state.name == "CLOSED"
    assert protocol.close_exc is not None
    return failed


def again(raised: BaseException | None, call: Callable[[], object]) -> object:
    """A call that raised for lack of memory is made once more."""
    if raised is None:
        return None
    assert type(raised) is MemoryError, f"raised {raised!r}"
    return call()


# Receiving


class Reader:
    """Takes reads; events are fetched later, or pulled one by one."""

    def __init__(self, protocol: Any, pulled: bool) -> None:
        self.protocol = protocol
        self.pulled = pulled
        self.fed = False
        self.frames: list[Any] = [None] * 20  # which takes no memory to fill
        self.count = 0

    def read(self, data: bytes) -> None:
        if not self.pulled:
            self.protocol.receive_data(data)
            return
        if not self.fed:  # else it is called again, and has the data
            self.protocol.feed_data(data)
            self.fed = True
        while (frame := self.protocol.next_event()) is not None:
            self.frames[self.count] = frame
            self.count += 1
        self.fed = False

    def events(self) -> list[Any]:
        frames = [*self.frames[: self.count], *self.protocol.events_received()]
        return [(int(frame.opcode), frame.data, frame.fin) for frame in frames]


def receiving(
    side: str, *chunks: bytes, compressed: bool = False, pulled: bool = False
) -> Scenario:
    """The last of these reads meets the fault."""
    first, data = FIN | TEXT, HELLO
    if compressed:
        first, data = FIN | RSV1 | TEXT, deflated(HELLO)

    def reader(impl: Any, chunks: tuple[bytes, ...]) -> Reader:
        extensions = [deflate(impl)] if compressed else []
        made = Reader(quiet(opened(impl, side, extensions)), pulled)
        for chunk in chunks:
            made.read(chunk)
        return made

    def scenario(impl: Any) -> Trial:
        healthy, tested = reader(impl, chunks), reader(impl, chunks[:-1])
        wanted, output = healthy.events(), sent(healthy.protocol)
        protocol = tested.protocol

        def check(raised: BaseException | None) -> bool:
            if raised is not None:  # how much of the read was taken is not promised
                assert type(raised) is MemoryError, f"raised {raised!r}"
                protocol.fail(1011)
            got, error = tested.events(), protocol.parser_exc or raised
            if error is None:
                assert got == wanted, (got, wanted)
                assert sent(protocol) == output
                for one in healthy, tested:
                    one.read(wire(side, first, data))
                assert tested.events() == healthy.events()
            else:
                assert isinstance(error, MemoryError), error
                assert got == wanted[: len(got)], (got, wanted)
                assert protocol.state.name == "CLOSING"
                closes = [item for item in sent(protocol) if item[0] == FIN | CLOSE]
                assert len(closes) == (protocol.close_sent is not None)
                if not any(opcode == CLOSE for opcode, *_ in wanted):
                    assert closes in ([], [(FIN | CLOSE, close_payload(1011))])
            return end(protocol)

        return Trial(lambda: tested.read(chunks[-1]), check)

    return scenario


# Sending


def messages(protocol: Any) -> list[bytes]:
    """What goes out, message by message, decompressed as a peer would."""
    found, parts, compressed = list[bytes](), b"", False
    inflater = zlib.decompressobj(-15)
    for first, payload in sent(protocol):
        assert first & 0x08 == 0
        if first & 0x0F:
            parts, compressed = b"", bool(first & RSV1)
        parts += payload
        if first & FIN:
            data = inflater.decompress(parts + b"\0\0\xff\xff") if compressed else parts
            found.append(data)
    return found


def sending(
    side: str, compressed: bool, size: int = 20, fragment: bool = False, before: int = 3
) -> Scenario:
    """One message behind others, and one more."""
    data = (HELLO * (size // len(HELLO) + 1))[:size]

    def scenario(impl: Any) -> Trial:
        protocol = opened(impl, side, [deflate(impl)] if compressed else [])
        for _ in range(before):
            protocol.send_text(HELLO)
        if fragment:
            protocol.send_binary(b"begun ", False)

        def call() -> None:
            if fragment:
                protocol.send_continuation(data, True)
            else:
                protocol.send_binary(data)

        def check(raised: BaseException | None) -> bool:
            again(raised, call)
            protocol.send_text(HELLO)
            whole = b"begun " + data if fragment else data
            assert messages(protocol) == [*[HELLO] * before, whole, HELLO]
            return end(protocol)

        return Trial(call, check)

    return scenario


def fetching(side: str, compressed: bool = False) -> Scenario:
    """Fetching the output, with a pong to be built."""

    def scenario(impl: Any) -> Trial:
        protocol = opened(impl, side, [deflate(impl)] if compressed else [])
        protocol.send_text(HELLO, compress=False)
        protocol.receive_data(wire(side, FIN | PING, b"x"))
        chunks: list[list[bytes]] = [[]]

        def call() -> None:
            chunks[0] = protocol.data_to_send()

        def check(raised: BaseException | None) -> bool:
            again(raised, call)
            frames = read_frames(b"".join(chunks[0]), side)
            assert frames == [(FIN | TEXT, HELLO), (0x8A, b"x")]
            assert protocol.data_to_send() == []
            return end(protocol)

        return Trial(call, check)

    return scenario


def closing(side: str, action: Callable[[Any], object], *wanted: Any) -> Scenario:
    """Calls that end a connection."""

    def scenario(impl: Any) -> Trial:
        protocol = quiet(opened(impl, side, [deflate(impl)]))
        protocol.receive_data(wire(side, FIN | PING, b"x"))

        def check(raised: BaseException | None) -> bool:
            if raised is not None:
                assert type(raised) is MemoryError, f"raised {raised!r}"
                if protocol.state.name == "OPEN":
                    action(protocol)
            output = sent(protocol)
            closes = [item for item in output if item[0] == FIN | CLOSE]
            assert len(closes) == len(wanted), output
            assert output[0] == (0x8A, b"x"), output
            end(protocol)
            return False

        return Trial(lambda: action(protocol), check)

    return scenario


# Shaking hands


def server(impl: Any, **options: Any) -> Any:
    offers = impl.extensions.permessage_deflate.enable_server_permessage_deflate(None)
    logger = logging.Logger("faults", logging.CRITICAL)
    return impl.server.ServerProtocol(
        extensions=offers, subprotocols=["chat"], logger=logger, **options
    )


REQUEST = request_bytes(
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
    ("Sec-WebSocket-Protocol", "chat"),
    ("Origin", "https://example.com"),
)
EARLY = wire("server", FIN | TEXT, HELLO)


def refused_or(protocol: Any, wanted: bytes) -> bool:
    """Whether the server has answered with this status; the other one is 500."""
    written = b"".join(protocol.data_to_send())
    status = written[9:12]
    assert written.count(b"HTTP/1.1 ") == 1, written
    if status == wanted:
        return True
    assert status == b"500", written
    assert written.endswith(b"log.\n"), written
    return False


def asked(cut: int = 0) -> Scenario:
    """Reading a request."""

    def scenario(impl: Any) -> Trial:
        protocol = server(impl)
        protocol.receive_data(REQUEST[:cut])
        rest = REQUEST[cut:] + EARLY

        def check(raised: BaseException | None) -> bool:
            requests = protocol.events_received()
            if raised is not None:
                assert type(raised) is MemoryError, f"raised {raised!r}"
                assert protocol.state.name == "CONNECTING"
                return end(protocol)
            if protocol.handshake_exc is None:
                (request,) = requests
                assert request.serialize() == REQUEST
                protocol.send_response(protocol.accept(request))
                assert events(protocol) == [(TEXT, HELLO, True)]
            else:
                assert isinstance(protocol.handshake_exc, MemoryError)
                assert requests == []
            refused_or(protocol, b"101")
            return end(protocol)

        return Trial(lambda: protocol.receive_data(rest), check)

    return scenario


def answered(impl: Any) -> Trial:
    """Deciding on a request."""
    protocol = server(impl)
    protocol.receive_data(REQUEST + EARLY)
    (request,) = protocol.events_received()
    responses: list[Any] = [None]

    def call() -> None:
        responses[0] = protocol.accept(request)

    def check(raised: BaseException | None) -> bool:
        again(raised, call)
        protocol.send_response(responses[0])
        if responses[0].status_code == 101:
            assert protocol.subprotocol == "chat"
            assert len(protocol.extensions) == 1
            assert events(protocol) == [(TEXT, HELLO, True)]
            assert refused_or(protocol, b"101")
        else:
            assert isinstance(protocol.handshake_exc, MemoryError)
            assert not refused_or(protocol, b"101")
        return end(protocol)

    return Trial(call, check)


def answering(accepted: bool, early: bytes = EARLY) -> Scenario:
    """Sending the response."""

    def scenario(impl: Any) -> Trial:
        protocol = server(impl)
        protocol.receive_data(REQUEST + early)
        (request,) = protocol.events_received()
        response = (
            protocol.accept(request) if accepted else protocol.reject(403, "No.\n")
        )

        def call() -> None:
            protocol.send_response(response)

        def check(raised: BaseException | None) -> bool:
            if protocol.state.name == "CONNECTING" and not protocol.eof_sent:
                again(raised, call)
            assert refused_or(protocol, b"101" if accepted else b"403")
            if protocol.parser_exc is not None:
                assert isinstance(protocol.parser_exc, MemoryError)
                assert protocol.state.name == "CLOSING"
            elif accepted and early:
                assert events(protocol) == [(TEXT, HELLO, True)]
            return end(protocol)

        return Trial(call, check)

    return scenario


def turned_down(impl: Any) -> Trial:
    """Making a response that refuses."""
    protocol = server(impl)
    protocol.receive_data(REQUEST)
    responses: list[Any] = [None]

    def call() -> None:
        responses[0] = protocol.reject(403, "No.\n")

    def check(raised: BaseException | None) -> bool:
        again(raised, call)
        protocol.send_response(responses[0])
        assert refused_or(protocol, b"403")
        return end(protocol)

    return Trial(call, check)


def asking(impl: Any) -> Trial:
    """A client's request."""
    protocol = quiet(client_with_sample_key(impl))

    def call() -> None:
        protocol.send_request(protocol.connect())

    def check(raised: BaseException | None) -> bool:
        again(raised, call)
        written = b"".join(protocol.data_to_send())
        assert written.startswith(b"GET / HTTP/1.1\r\n")
        assert written.count(b"GET ") == 1
        assert written.endswith(b"\r\n\r\n")
        return end(protocol)

    return Trial(call, check)


def told(cut: int = 0) -> Scenario:
    """A client reads a response, and a frame behind it."""
    data = response_bytes() + wire("client", FIN | TEXT, HELLO)

    def scenario(impl: Any) -> Trial:
        protocol = quiet(client_with_sample_key(impl))
        protocol.send_request(protocol.connect())
        protocol.data_to_send()
        protocol.receive_data(data[:cut])

        def check(raised: BaseException | None) -> bool:
            exc = protocol.handshake_exc or protocol.parser_exc or raised
            if raised is not None:
                assert type(raised) is MemoryError, f"raised {raised!r}"
                protocol.fail(1006)
            received = protocol.events_received()
            if exc is None:
                assert protocol.state.name == "OPEN"
                assert [event.data for event in received[1:]] == [HELLO]
            else:
                assert isinstance(exc, MemoryError), exc
                assert protocol.state.name == "CONNECTING" or protocol.close_expected()
            protocol.data_to_send()
            return end(protocol)

        return Trial(lambda: protocol.receive_data(data[cut:]), check)

    return scenario


# All of them


def scenarios() -> Iterator[tuple[str, Scenario]]:
    """Names and scenarios."""
    text, late = HELLO + "€".encode(), wire
    for side in SIDES:
        whole = wire(side, FIN | TEXT, text)
        mixed = (
            wire(side, TEXT, text[:-1])
            + late(side, FIN | PING, b"x")
            + wire(side, FIN | CONT, text[-1:])
            + wire(side, FIN | BINARY, HELLO)
        )
        long = wire(side, FIN | TEXT, text * 50)
        packed = wire(side, FIN | RSV1 | TEXT, deflated(text * 5000))
        parts = wire(side, RSV1 | TEXT, deflated(text)[:9]) + wire(
            side, FIN | CONT, deflated(text)[9:]
        )
        close = wire(side, FIN | CLOSE, close_payload(1000, b"bye"))
        yield f"{side} receives a message", receiving(side, whole)
        yield f"{side} receives several", receiving(side, mixed)
        yield f"{side} pulls several", receiving(side, mixed, pulled=True)
        yield f"{side} receives parts", receiving(side, long[:50], long[50:90])
        yield f"{side} receives the rest", receiving(side, long[:50], long[50:])
        yield f"{side} receives a split header", receiving(side, long[:3], long[3:])
        yield f"{side} receives a byte", receiving(side, long[:50], long[50:51])
        for name, data in ("a message", packed), ("fragments", parts):
            yield (
                f"{side} inflates {name}",
                receiving(side, packed, data, compressed=True),
            )
        yield f"{side} receives a close", receiving(side, mixed + close)
        for compressed in False, True:
            word = "deflates" if compressed else "sends"
            yield f"{side} {word} a message", sending(side, compressed)
            yield f"{side} {word} 100 kB", sending(side, compressed, 100_000)
            yield f"{side} {word} a rest", sending(side, compressed, fragment=True)
        yield f"{side} fetches a pong", fetching(side)
        yield f"{side} closes", closing(side, lambda p: p.send_close(1000, "bye"), 1)
        yield f"{side} fails", closing(side, lambda p: p.fail(1011, "oh"), 1)
        yield f"{side} is at the end", closing(side, lambda p: p.receive_eof())
    yield "server reads a request", asked()
    yield "server reads lines", asked(50)
    yield "server accepts", answered
    yield "server rejects", turned_down
    yield "server sends 101", answering(True)
    yield "server sends 101 to one that waits", answering(True, b"")
    yield "server sends 403", answering(False)
    yield "client asks", asking
    yield "client reads a response", told()
    yield "client reads lines", told(50)
