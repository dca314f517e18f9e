"""Ours does what the reference implementation does, but for docs/differences.md.

The same bytes and the same calls go to both forms of our package and to ``websockets``;
inputs on which they differ on purpose are left out, or what differs is not compared.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .. import streams
from ..conftest import FORMS
from .reference import needs_release, theirs
from .support import (
    FIN,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    SIDES,
    TEXT,
    client_with_sample_key,
    close_payload,
    deflate,
    opened,
    read_frames,
    request_bytes,
    response_bytes,
    wire,
)

pytestmark = needs_release

few = settings(max_examples=15, database=None)
seeds = st.integers(0, 2**32)
ALL = {"theirs": theirs, **FORMS}


class End(NamedTuple):
    """What a connection shows in the end, once it is closed."""

    state: str
    code: int | None
    reason: str | None
    verdict: str
    error: str
    order: bool | None


def frames_of(protocol: Any) -> list[tuple[int, bytes, bool]]:
    """Fetch the frames received."""
    frames = protocol.events_received()
    return [(int(frame.opcode), bytes(frame.data), frame.fin) for frame in frames]


def output_of(protocol: Any, side: str) -> list[Any]:
    """Fetch the output, unmasked, and whether it ends with the half-close."""
    chunks = protocol.data_to_send()
    eof = chunks[-1:] == [b""]
    return [*read_frames(b"".join(chunks), side), eof]


def end_of(protocol: Any) -> End:
    state = protocol.state.name
    protocol.receive_eof()
    return End(
        state,
        protocol.close_code,
        protocol.close_reason,
        type(protocol.close_exc).__name__,
        type(protocol.parser_exc).__name__,
        protocol.close_rcvd_then_sent,
    )


# What comes in


@pytest.mark.parametrize("side", SIDES)
@few
@given(seeds, st.booleans(), st.booleans())
def test_valid_frames(side: str, seed: int, compress: bool, takeover: bool) -> None:
    """Frame by frame: the same events, the same answers, the same end."""
    # D-09, D-13, D-14: no code 1010, no BFINAL, no pings in one go.
    rng = random.Random(seed)
    window = streams.Window(final=0) if compress and takeover else None
    key = bytes(4) if side == "server" else None
    parts = [part for _ in range(3) for part in streams.message(rng, key, window)]
    parts += rng.choice(
        (
            [],
            [streams.frame(0x88, b"", key)],
            [streams.frame(0x88, close_payload(3000, b"bye"), key), b"behind it"],
        )
    )
    seen = []
    for package in ALL.values():
        extensions = [deflate(package)] if compress else []
        protocol = opened(package, side, extensions)
        steps = []
        for part in parts:
            protocol.receive_data(part)
            steps.append((frames_of(protocol), output_of(protocol, side)))
        seen.append((steps, end_of(protocol)))
    assert all(one == seen[0] for one in seen)


INVALID = {
    "opcode": (FIN | 0x3, b""),
    "reserved bits": (FIN | 0x20 | TEXT, b""),
    "RSV1 without an extension": (FIN | 0x40 | TEXT, b""),
    "continuation of nothing": (FIN, b""),
    "fragmented ping": (0x9, b""),
    "long ping": (FIN | 0x9, bytes(126)),
    "close with one byte": (FIN | 0x8, b"\x03"),
    "close with a reason that is not UTF-8": (FIN | 0x8, b"\x03\xe8\xff"),
    "over the limit": (FIN | TEXT, bytes(1001)),
    **{
        f"close with code {code}": (FIN | 0x8, close_payload(code))
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize("side", SIDES)
def test_invalid_frames(side: str) -> None:
    """The same close code, and the valid frames before are delivered."""
    good = wire(side, FIN | TEXT, b"good")
    other = SIDES[1 - SIDES.index(side)]
    cases = [good + wire(side, *frame) for frame in INVALID.values()]
    cases.append(good + wire(side, TEXT, b"a") + wire(side, FIN | TEXT, b"b"))
    cases.append(good + wire(other, FIN | TEXT, b"masked the other way"))
    for data in cases:
        seen = []
        for package in ALL.values():
            protocol = opened(package, side, max_size=1000)
            protocol.receive_data(data + wire(side, FIN | TEXT, b"late"))
            code = protocol.close_sent.code
            closed = b"".join(protocol.data_to_send())[:1] == b"\x88"
            frames = frames_of(protocol)
            end = end_of(protocol)._replace(error="")  # D-16
            seen.append((frames, code, closed, end))
            assert protocol.close_exc.__cause__ is protocol.parser_exc
        assert all(one == seen[0] for one in seen), data


@pytest.mark.parametrize("side", SIDES)
@few
@given(seeds, st.sampled_from([{}, {"max_size": 1000}, {"max_size": None}]))
def test_never_more_lenient(side: str, seed: int, options: dict[str, Any]) -> None:
    """Mutated input: what they refuse is refused, and nothing more is delivered."""
    rng = random.Random(seed)
    for _ in range(4):
        one, other = (streams.stream(rng, side == "server", False) for _ in range(2))
        data = streams.mutate(rng, one, other)
        reference = opened(theirs, side, **options)
        reference.receive_data(data)
        if isinstance(reference.parser_exc, theirs.exceptions.PayloadTooBig):
            continue  # D-04, D-17: it may be for a control frame
        delivered = frames_of(reference)
        for form in FORMS.values():
            protocol = opened(form, side, **options)
            protocol.receive_data(data)
            frames = frames_of(protocol)
            error = str(reference.parser_exc)
            if error == "incomplete fragmented message":  # D-07
                assert protocol.parser_exc is not None or protocol.close_rcvd
            elif protocol.parser_exc is None:
                assert reference.parser_exc is None
                assert frames == delivered
                assert protocol.close_rcvd == reference.close_rcvd or (
                    protocol.close_rcvd.code == reference.close_rcvd.code
                )
            else:
                assert frames == delivered[: len(frames)]


# What goes out

calls = st.one_of(
    st.tuples(st.sampled_from(["send_text"]), st.text(max_size=9).map(str.encode)),
    st.tuples(
        st.sampled_from(["send_binary", "send_continuation"]),
        st.sampled_from([b"", b"abc", bytes(125), bytearray(126), bytes(65535)]),
        st.booleans(),
    ),
    st.tuples(
        st.sampled_from(["send_ping", "send_pong"]),
        st.sampled_from([b"", bytes(125), memoryview(b"view"), bytes(126)]),
    ),
)
ends = st.one_of(
    st.tuples(st.just("send_close")),
    st.tuples(
        st.sampled_from(["send_close", "fail"]),
        st.sampled_from([1000, 1001, 1005, 999, 3000]),
        st.sampled_from(["", "bye", "\u20ac" * 41, "x" * 124]),
    ),
    st.just(("receive_eof",)),
)


def outcome_of(call: Callable[..., Any], *args: Any) -> str:
    """Name of the exception that a call raises, or an empty string."""
    try:
        call(*args)
    except Exception as exc:
        return type(exc).__name__
    return ""


@pytest.mark.parametrize("side", SIDES)
@few
@given(content=st.lists(calls, max_size=5), end=ends, after=calls)
def test_calls(side: str, content: Any, end: Any, after: Any) -> None:
    """The same frames go out, and the same calls raise the same exceptions."""
    seen = []
    for package in ALL.values():
        protocol = opened(package, side)
        raised = []
        unfinished = False
        for name, *args in content:
            raised.append(outcome_of(getattr(protocol, name), *args))
            if name in ("send_binary", "send_continuation") and not raised[-1]:
                unfinished = not args[1]
        if unfinished:  # D-21
            protocol.send_continuation(b"", True)
        raised.append(outcome_of(getattr(protocol, end[0]), *end[1:]))
        # D-18, D-19: what cannot be sent any more.
        if after[0] == "send_text":
            raised.append(outcome_of(protocol.send_text, after[1]))
        close = protocol.close_sent
        seen.append(
            (
                raised,
                output_of(protocol, side),
                close and (close.code, close.reason),
                end_of(protocol),
            )
        )
    assert all(one == seen[0] for one in seen)


@few
@given(seeds, st.booleans(), st.sampled_from([9, 12, 15]))
def test_compressed_messages_cross_over(seed: int, takeover: bool, bits: int) -> None:
    """What either side compresses, the other reads."""
    rng = random.Random(seed)
    texts = [streams.text_or_binary(rng)[1] for _ in range(4)]
    options = (not takeover, not takeover, bits, bits)
    pairs = [(theirs, form) for form in FORMS.values()]
    for sender, receiver in [*pairs, *((b, a) for a, b in pairs)]:
        source, target = (
            opened(
                package,
                side,
                [package.extensions.permessage_deflate.PerMessageDeflate(*options)],
            )
            for package, side in ((sender, "client"), (receiver, "server"))
        )
        for text in texts:
            source.send_binary(text[:5], fin=False)
            source.send_ping(b"between")
            source.send_continuation(text[5:], fin=True)
        target.receive_data(b"".join(source.data_to_send()))
        assert target.parser_exc is None
        frames = [data for opcode, data, _ in frames_of(target) if opcode < 8]
        assert [a + b for a, b in zip(frames[::2], frames[1::2], strict=True)] == texts


# The opening handshake


def replaced(name: str, *values: str) -> bytes:
    """A request in which a header has these values, each on a line."""
    others = [pair for pair in REQUEST_HEADERS if pair[0] != name]
    return request_bytes(*((name, value) for value in values), headers=others)


LIST_OF_LINES = [("X", "a")] * 123
VALID = request_bytes()
REQUESTS = [
    VALID,
    VALID.replace(b"GET", b"POST"),
    VALID.replace(b"GET", b"get"),
    VALID.replace(b"/chat", b"//a?b=c&d#"[:-1]),
    VALID.replace(b": ", b":\t \t"),
    VALID.replace(b"Host", b"hOST"),
    request_bytes(*LIST_OF_LINES),
    request_bytes(*LIST_OF_LINES, ("X", "b")),
    request_bytes(("X", "\xff\t\x80"), ("Content-Length", "0")),
    replaced("Upgrade"),
    *(
        replaced("Upgrade", value)
        for value in ("WebSocket", "h2c", ",websocket,", "a b")
    ),
    replaced("Connection"),
    *(
        replaced("Connection", value)
        for value in ("keep-alive, Upgrade", "upgrade,", "notupgrade", "close", "a b")
    ),
    replaced("Connection", "keep-alive", "Upgrade"),
    replaced("Sec-WebSocket-Key"),
    replaced("Sec-WebSocket-Key", *["AAAAAAAAAAAAAAAAAAAAAA=="] * 2),
    *(
        replaced("Sec-WebSocket-Key", value)
        for value in (
            *("", "x", "AAAAAAAAAAAAAAAAAAAAAB==", "AAAAAAAAAAAAAAAAAAAAAA="),
            *("AAAA AAAAAAAAAAAAAAAAAA==", 24 * "\xe9", 22 * "_" + "=="),
            *("AAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        )
    ),
    replaced("Sec-WebSocket-Version"),
    *(
        replaced("Sec-WebSocket-Version", value)
        for value in ("8", "14", "+13", "13, 8")
    ),
    replaced("Sec-WebSocket-Version", "13", "13"),
    *(
        replaced("Origin", value)
        for value in ("http://a.example", "null", "", "http://b")
    ),
    replaced("Origin", "a", "b"),
    *(
        replaced("Sec-WebSocket-Protocol", value)
        for value in ("a", "chat", "a, chat, b", "b,,chat", "", "a b", '"a"')
    ),
    replaced("Sec-WebSocket-Protocol", "a", "chat"),
    *(
        replaced("Sec-WebSocket-Extensions", value)
        for value in ("", "a;;b", "a b", "a=")
    ),
    replaced("Sec-WebSocket-Extensions", "foo; x=1", "permessage-deflate"),
]
SERVERS: list[dict[str, Any]] = [
    {},
    {"origins": ["http://a.example", None]},
    {"subprotocols": ["chat", "a"]},
]


def served(package: Any, data: bytes, **options: Any) -> tuple[Any, Any]:
    """A server that accepted this request, and its response."""
    module = package.extensions.permessage_deflate
    factory = module.ServerPerMessageDeflateFactory(**options.pop("deflate", {}))
    protocol = package.server.ServerProtocol(extensions=[factory], **options)
    protocol.receive_data(data)
    events = protocol.events_received()
    response = protocol.accept(events[0]) if events else None
    if response is not None:
        protocol.send_response(response)
    return protocol, response


# D-64, D-65: these may differ where the status is the same.
NOT_COMPARED = {"connection", "sec-websocket-version", "date", "content-length"}


def seen_of(package: Any, data: bytes, **options: Any) -> Any:
    """What a server shows of a handshake."""
    protocol, response = served(package, data, **options)
    status, headers = protocol.data_to_send()[0][9:12], {}
    if response is not None:
        pairs = response.headers.raw_items()
        headers = {
            key: value for key, value in pairs if key.lower() not in NOT_COMPARED
        }
    return (
        status,
        headers,
        type(protocol.handshake_exc).__name__,
        protocol.state.name,
        protocol.origin,
        protocol.subprotocol,
        repr(protocol.extensions),
        protocol.eof_sent,
    )


@pytest.mark.parametrize("options", SERVERS, ids=["plain", "origins", "subprotocols"])
def test_requests(options: dict[str, Any]) -> None:
    for data in REQUESTS:
        expected = seen_of(theirs, data, **options)
        for form in FORMS.values():
            assert seen_of(form, data, **options) == expected, data


def parameters(least: int) -> st.SearchStrategy[str]:
    """Parameters of permessage-deflate, valid or not."""
    names = ["server_no_context_takeover", "client_no_context_takeover"]
    bits = [str(number) for number in range(least, 17)]
    values = st.sampled_from(["", *(f"={n}" for n in bits), '="10"', "=08", "=x"])
    return st.one_of(
        st.sampled_from([*names, names[0] + "=1", "unknown"]),
        values.map("server_max_window_bits{}".format),
        values.map("client_max_window_bits{}".format),
    )


offers = st.lists(
    st.lists(parameters(7), max_size=3).map(
        lambda params: "; ".join(["permessage-deflate", *params])
    ),
    min_size=1,
    max_size=2,
).map(", ".join)
bits = st.none() | st.integers(9, 15)
settings_of_server = st.fixed_dictionaries(
    {
        "server_no_context_takeover": st.booleans(),
        "client_no_context_takeover": st.booleans(),
        "server_max_window_bits": bits,
        "client_max_window_bits": bits,
    }
)


@few
@given(st.lists(offers, min_size=4, max_size=4), settings_of_server, st.booleans())
def test_offers(values: list[str], config: dict[str, Any], required: bool) -> None:
    if required and config["client_max_window_bits"] is not None:
        config["require_client_max_window_bits"] = True
    for value in values:
        data = request_bytes(("Sec-WebSocket-Extensions", value))
        expected = seen_of(theirs, data, deflate=config)
        for form in FORMS.values():
            assert seen_of(form, data, deflate=config) == expected


RESPONSES = [
    response_bytes(),
    response_bytes(status="404 Not Found") + b"nothing",
    response_bytes(("Content-Length", "3"), status="403 No") + b"no!",
    response_bytes(("Transfer-Encoding", "chunked"), status="500 x")
    + b"2;a=b\r\nno\r\n1\r\n!\r\n0\r\nT: x\r\n\r\n",
    response_bytes(headers=RESPONSE_HEADERS[:2]),
    response_bytes(headers=RESPONSE_HEADERS[1:]),
    response_bytes(headers=RESPONSE_HEADERS[::2]),
    response_bytes().replace(b"s3pP", b"S3pP"),
    response_bytes().replace(b": websocket", b": websocket, x"),
    response_bytes().replace(b": ", b": \t"),
    response_bytes(("Sec-WebSocket-Protocol", "chat")),
    response_bytes(("Sec-WebSocket-Protocol", "other")),
    response_bytes(("Sec-WebSocket-Extensions", "other")),
    response_bytes(("Sec-WebSocket-Extensions", "permessage-deflate; unknown")),
    response_bytes() + wire("client", FIN | TEXT, b"behind"),
    b"HTTP/1.1 101 " + 9000 * b"x",
    b"not HTTP\r\n\r\n",
    b"HTTP/1.1 101 x\r\nHo",
]


def client_seen(package: Any, data: bytes, config: dict[str, Any]) -> Any:
    """What a client shows of a handshake."""
    module = package.extensions.permessage_deflate
    factory = module.ClientPerMessageDeflateFactory(**config)
    protocol = client_with_sample_key(
        package, extensions=[factory], subprotocols=["chat"], origin="http://a"
    )
    request = protocol.connect()
    protocol.send_request(request)
    output = b"".join(protocol.data_to_send())
    protocol.receive_data(data)
    state = protocol.state.name
    events = protocol.events_received()
    protocol.receive_eof()
    events += protocol.events_received()
    responses = [event for event in events if hasattr(event, "status_code")]
    error = type(protocol.handshake_exc)
    if issubclass(error, package.exceptions.NegotiationError):  # D-80
        error = package.exceptions.NegotiationError
    return (
        output,
        state,
        error.__name__,
        [(item.status_code, item.reason_phrase, item.body) for item in responses],
        len(events) - len(responses),
        repr(protocol.extensions),
        protocol.subprotocol,
        protocol.data_to_send(),
    )


def test_responses() -> None:
    for data in RESPONSES:
        expected = client_seen(theirs, data, {})
        for form in FORMS.values():
            assert client_seen(form, data, {}) == expected, data


settings_of_client = st.fixed_dictionaries(
    {
        "server_no_context_takeover": st.booleans(),
        "client_no_context_takeover": st.booleans(),
        "server_max_window_bits": bits,
        "client_max_window_bits": bits | st.just(True),
    }
)


@few
@given(st.lists(offers, min_size=4, max_size=4), settings_of_client)
def test_answers(values: list[str], config: dict[str, Any]) -> None:
    for value in values:
        plain = value.replace('"', "").replace(" ", "").replace("\t", "")
        if "client_max_window_bits=8" in plain:  # D-89
            continue
        data = response_bytes(("Sec-WebSocket-Extensions", value))
        expected = client_seen(theirs, data, config)
        for form in FORMS.values():
            assert client_seen(form, data, config) == expected


def test_whole_connections_cross_over() -> None:
    """Ours and theirs, from the request to the end, in both directions."""
    pairs = [(theirs, form) for form in FORMS.values()]
    for package, other in [*pairs, *((b, a) for a, b in pairs)]:
        make_server = (
            other.extensions.permessage_deflate.enable_server_permessage_deflate
        )
        make_client = (
            package.extensions.permessage_deflate.enable_client_permessage_deflate
        )
        uri = package.uri.parse_uri("ws://example.com/chat?a=b")
        client = package.client.ClientProtocol(
            uri,
            extensions=make_client(None),
            subprotocols=["b", "a"],
            origin="http://x",
        )
        server = other.server.ServerProtocol(
            extensions=make_server(None), subprotocols=["a", "b"], origins=["http://x"]
        )
        client.send_request(client.connect())
        server.receive_data(b"".join(client.data_to_send()))
        (request,) = server.events_received()
        server.send_response(server.accept(request))
        server.send_text(b"early" * 100)
        client.receive_data(b"".join(server.data_to_send()))
        assert client.handshake_exc is None
        assert (client.subprotocol, server.subprotocol) == ("a", "a")
        assert len(client.extensions) == len(server.extensions) == 1
        response, frame = client.events_received()
        assert response.status_code == 101
        assert frame.data == b"early" * 100
        for _ in range(3):
            client.send_binary(b"late" * 100)
            server.receive_data(b"".join(client.data_to_send()))
            assert [bytes(f.data) for f in server.events_received()] == [b"late" * 100]
        client.send_close(1001, "over")
        server.receive_data(b"".join(client.data_to_send()))
        *chunks, eof = server.data_to_send()
        client.receive_data(b"".join(chunks))
        assert eof == b""
        client.receive_eof()
        assert client.data_to_send() == [b""]
        server.receive_eof()
        for protocol in (client, server):
            assert (protocol.close_code, protocol.close_reason) == (1001, "over")
            assert type(protocol.close_exc).__name__ == "ConnectionClosedOK"
            assert protocol.close_rcvd_then_sent == (protocol is server)
