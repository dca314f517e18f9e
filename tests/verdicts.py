"""Attacks whose outcome is a verdict: refused and how, delivered, or something worse.

Each is done to a connection of any library with the interface of ``websockets``; what
ours must say stands beside it, and ``test_attacks.py`` asserts it for both forms.
"""

from __future__ import annotations

import array
import logging
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from .core.support import (
    BINARY,
    CONT,
    FIN,
    PING,
    RSV1,
    TEXT,
    close_payload,
    deflate,
    deflated,
    opened,
    plain,
    request_bytes,
    wire,
)


class Attack(NamedTuple):
    """What is done, which test covers it at length, and the verdict that is right."""

    sec: str
    name: str
    test: str
    ours: str
    act: Callable[[Any], str]


def verdict(protocol: Any) -> str:
    """What has become of an open connection."""
    if protocol.parser_exc is not None:
        sent = protocol.close_sent
        return f"fails with {int(sent.code)}" if sent else "fails"
    if protocol.close_rcvd is not None:
        return f"answers {int(protocol.close_sent.code)}"
    events = protocol.events_received()
    if not events:
        return "waits for more"
    if len(events) > 3:
        return f"delivers {len(events)} frames"
    return "delivers " + ", ".join(str(bytes(frame.data)[:20])[1:] for frame in events)


def frames(
    *parts: bytes, side: str = "server", compressed: bool = False, **options: Any
) -> Callable[[Any], str]:
    """These bytes come to an open connection."""

    def act(impl: Any) -> str:
        protocol = opened(impl, side, [deflate(impl)] if compressed else [], **options)
        protocol.receive_data(b"".join(parts))
        return verdict(protocol)

    return act


def server(impl: Any, **options: Any) -> Any:
    logger = logging.Logger("attacks", logging.CRITICAL)
    return impl.server.ServerProtocol(logger=logger, **options)


def answered(impl: Any, protocol: Any, data: bytes) -> bytes:
    """What a server writes to this request."""
    protocol.receive_data(data)
    for event in protocol.events_received():
        if type(event).__name__ == "Request":
            protocol.send_response(protocol.accept(event))
    return b"".join(protocol.data_to_send())


def asking(data: bytes, **options: Any) -> Callable[[Any], str]:
    """This request comes; the verdict is the status of the answer."""

    def act(impl: Any) -> str:
        try:
            written = answered(impl, server(impl, **options), data)
        except Exception as exc:
            return f"raises {type(exc).__name__}"
        return written[9:12].decode() or "closes without an answer"

    return act


def header(name: str, value: str, **options: Any) -> Callable[[Any], str]:
    return asking(request_bytes((name, value)), **options)


def replaced(old: bytes, new: bytes) -> Callable[[Any], str]:
    assert request_bytes().count(old) == 1
    return asking(request_bytes().replace(old, new))


def offered(params: str) -> Callable[[Any], str]:
    """This is offered to a server that has permessage-deflate."""

    def act(impl: Any) -> str:
        module = impl.extensions.permessage_deflate
        protocol = server(
            impl, extensions=module.enable_server_permessage_deflate(None)
        )
        value = ("Sec-WebSocket-Extensions", f"permessage-deflate; {params}")
        written = answered(impl, protocol, request_bytes(value))
        agreed = b"permessage-deflate" in written
        return f"{written[9:12].decode()}, {'agreed' if agreed else 'declined'}"

    return act


def bfinal(impl: Any) -> str:
    stream = zlib.compressobj(wbits=-15)
    first = stream.compress(b"one") + stream.flush(zlib.Z_FINISH) + b"\x00"
    messages = [wire("server", FIN | RSV1 | TEXT, data) for data in (
        first, deflated(b"two"))]  # fmt: skip
    return frames(*messages, compressed=True)(impl)


def pongs(impl: Any) -> str:
    protocol = opened(impl, "server")
    for i in range(1000):
        protocol.receive_data(wire("server", FIN | PING, b"%d" % i))
        protocol.events_received()
    return f"{len(protocol.data_to_send())} queued"


def pipelined(impl: Any) -> str:
    protocol = server(impl, origins=["https://example.com"])
    try:
        written = answered(impl, protocol, request_bytes() * 3)
    except Exception as exc:
        return f"raises {type(exc).__name__}"
    return f"{written.count(b'HTTP/1.1 ')} answer"


def split(impl: Any) -> str:
    """A callback of the server's lets text of the peer through."""

    def select(protocol: Any, names: Any) -> Any:
        return "a\r\nEvil: x"

    protocol = server(impl, select_subprotocol=select)
    data = request_bytes(("Sec-WebSocket-Protocol", "a"))
    try:
        written = answered(impl, protocol, data)
    except Exception as exc:
        return f"raises {type(exc).__name__}"
    return written[9:12].decode() + (", split" if b"\r\nEvil:" in written else "")


def items(impl: Any) -> str:
    protocol = opened(impl, "server")
    try:
        protocol.send_binary(array.array("I", [1, 2]))
    except Exception as exc:
        return f"raises {type(exc).__name__}"
    data = b"".join(protocol.data_to_send())
    return f"announces {data[1]} bytes, sends {len(data) - 2}"


def after_error(impl: Any) -> str:
    protocol = opened(impl, "server")
    try:
        protocol.send_text("no bytes", False)
    except Exception:
        protocol.events_received()
    try:
        protocol.send_text(b"x")
    except Exception as exc:
        return f"raises {type(exc).__name__}"
    return "sends"


def escapes(impl: Any) -> str:
    data = request_bytes().replace(b"GET /chat", b"GE\x1b[31mT /chat")
    written = answered(impl, server(impl), data)
    return "echoed" if b"\x1b" in written else "not echoed"


ORIGINS = {"origins": ["https://example.com"]}
CORE = "tests/core/"

ATTACKS = [
    Attack("SEC-07", "1000 pings to a peer that does not read", CORE +
           "test_reader_memory.py::test_sec_07_one_pong_stays_queued", "1 queued",
           pongs),
    Attack("SEC-11", "2^63 bytes announced, `max_size=None`", CORE +
           "test_costs.py::test_floods", "fails with 1002",
           frames(b"\x82\xff" + (2**63).to_bytes(8, "big") + b"keys",
                  max_size=None)),
    Attack("SEC-14", "`array('I')` of two items as payload", CORE +
           "test_kernels.py::test_sec_14_lengths_count_bytes",
           "announces 8 bytes, sends 8", items),
    Attack("SEC-15", "a send that raises, then a valid one",
           "tests/test_faults.py::test_sec_15_memory_runs_out", "sends", after_error),
    Attack("SEC-17", "RSV1 without an agreement", CORE +
           "test_rules.py::test_sec_17_table_of_first_bytes", "fails with 1002",
           frames(wire("server", FIN | RSV1 | TEXT, b"x"))),
    Attack("SEC-17", "RSV1 on a continuation", CORE +
           "test_rules.py::test_sec_17_table_of_first_bytes", "fails with 1002",
           frames(wire("server", RSV1 | TEXT, b""), wire("server", FIN | RSV1, b""),
                  compressed=True)),
    Attack("SEC-18", "a block with BFINAL, then another message", CORE +
           "test_zstream.py::test_sec_18_takeover_after_bfinal",
           "delivers 'one', 'two'", bfinal),
    Attack("SEC-19", "`Hello` compressed, cut off after `Helh`", CORE +
           "test_zstream.py::test_sec_19_truncated_anywhere", "fails with 1002",
           frames(wire("server", FIN | RSV1 | TEXT,
                       bytes.fromhex("f248cdc9c90700")[:4]), compressed=True)),
    *(
        Attack("SEC-20", f"offer of `{params}`", CORE +
               "test_negotiation.py::test_sec_20_window_bits", ours, offered(params))
        for params, ours in (
            ("server_max_window_bits=8", "101, declined"),
            ("server_max_window_bits=08", "101, declined"),
            ("server_max_window_bits=99999999999999999999", "101, declined"),
        )
    ),
    Attack("SEC-22", "129 header lines", CORE +
           "test_http11.py::test_spec_023_number_of_headers", "431",
           asking(request_bytes(*[("X", "")] * 124))),
    Attack("SEC-22", "a header line of 8193 bytes", CORE +
           "test_http11.py::test_spec_023_header_line", "431",
           header("X", "x" * 8190)),
    Attack("SEC-25", "a subprotocol that is not ASCII", CORE +
           "test_opening.py::test_sec_25_any_byte_in_any_header", "400",
           header("Sec-WebSocket-Protocol", "\xe9", subprotocols=["x"])),
    Attack("SEC-26", "`Content-Length: 5`", CORE +
           "test_opening.py::test_spec_026_sec_26_a_body_is_refused", "400",
           header("Content-Length", "5")),
    Attack("SEC-26", "`Transfer-Encoding: chunked`", CORE +
           "test_opening.py::test_spec_026_sec_26_a_body_is_refused", "400",
           header("Transfer-Encoding", "chunked")),
    Attack("SEC-27", "`Content-Length: +0`", CORE +
           "test_http11.py::test_spec_024_invalid_content_length", "400",
           header("Content-Length", "+0")),
    Attack("SEC-27", "a line that ends with LF alone", CORE +
           "test_http11.py::test_spec_017_line_feed_alone", "400",
           replaced(b"Upgrade: websocket\r\n", b"Upgrade: websocket\n")),
    Attack("SEC-27", "a folded line", CORE +
           "test_http11.py::test_spec_022_folded_lines", "400",
           replaced(b"Upgrade: websocket\r\n", b"Upgrade: websocket\r\n x\r\n")),
    Attack("SEC-27", "a space before the colon", CORE +
           "test_http11.py::test_spec_020_malformed_names", "400",
           replaced(b"Host:", b"Host :")),
    Attack("SEC-27", "a control character in the target", CORE +
           "test_http11.py::test_spec_021_control_characters", "400",
           replaced(b"/chat", b"/ch\x00at")),
    Attack("SEC-28", "two requests behind one that is refused", CORE +
           "test_opening.py::test_sec_28_nothing_is_read_behind_a_refusal",
           "1 answer", pipelined),
    Attack("SEC-29", "`Connection: notupgrade`", CORE +
           "test_opening.py::test_sec_29_members_are_matched_as_a_whole", "426",
           replaced(b"Connection: Upgrade", b"Connection: notupgrade")),
    Attack("SEC-29", "no `Host`", CORE + "test_opening.py::test_hosts", "400",
           replaced(b"Host: example.com\r\n", b"")),
    Attack("SEC-29", "two lines of `Host`", CORE + "test_opening.py::test_hosts", "400",
           header("Host", "evil.example")),
    *(
        Attack("SEC-31", f"`Origin: {origin}` where `https://example.com` is listed",
               CORE + "test_handshake.py::test_sec_31_origins", "403",
               header("Origin", origin, **ORIGINS))
        for origin in ("null", "https://example.com.evil.example",
                       "https://example.com:444")
    ),
    Attack("SEC-32", "CRLF in a subprotocol that a callback gives", CORE +
           "test_server_hooks.py::test_sec_32_what_callbacks_must_not_give", "500",
           split),
    Attack("SEC-34", "the header of a ping of 1 MB, no payload", CORE +
           "test_rules.py::test_sec_34_refused_at_the_first_byte_that_can_tell",
           "fails with 1002",
           frames(b"\x89\xff" + (10**6).to_bytes(8, "big") + b"keys")),
    Attack("SEC-34", "a length that is not in its shortest form", CORE +
           "test_rules.py::test_sec_34_refused_at_the_first_byte_that_can_tell",
           "fails with 1002", frames(b"\x82\xfe\x00\x01keysx")),
    Attack("SEC-35", "a surrogate in a text", CORE +
           "test_reader_text.py::test_spec_069_invalid_text", "fails with 1007",
           frames(wire("server", FIN | TEXT, b"\xed\xa0\x80"))),
    Attack("SEC-36", "a close frame with one byte", CORE +
           "test_closing.py::test_spec_077_one_byte", "fails with 1002",
           frames(wire("server", 0x88, b"\x03"))),
    Attack("SEC-36", "a close frame with code 1006", CORE +
           "test_closing.py::test_spec_078_sec_36_all_codes", "fails with 1002",
           frames(wire("server", 0x88, close_payload(1006)))),
    Attack("SEC-37", "a frame of a client that is not masked", CORE +
           "test_reader_extensions.py::test_spec_060_061_masking_rules",
           "fails with 1002",
           frames(plain(FIN | BINARY, b"x"))),
    Attack("SEC-37", "a frame of a server that is masked", CORE +
           "test_reader_extensions.py::test_spec_060_061_masking_rules",
           "fails with 1002",
           frames(wire("server", FIN | BINARY, b"x"), side="client")),
    Attack("SEC-40", "a terminal escape in the method", CORE +
           "test_responses.py::test_sec_40_the_body_shows_text_of_the_peer_escaped",
           "not echoed", escapes),
    Attack("SEC-04", "a message of 5000 empty fragments", CORE +
           "test_reader_memory.py::test_sec_04_memory_of_many_small_fragments",
           "fails with 1009",
           frames(wire("server", BINARY), wire("server", CONT) * 5000)),
]  # fmt: skip
