"""docs/differences.md is true: frames, closing and what else is called or read.

Each row runs the reference implementation and ours. Rows of the tables give the words
that the page has in its two columns; the others have a test of their own.
"""

from __future__ import annotations

import array
import dataclasses
import inspect
import logging
import re
import warnings
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import pytest

from . import (
    test_differences_handshake,
    test_differences_names,
    test_differences_proxy,
)
from .reference import PAGE, ROWS, needs_release, outcome, theirs
from .support import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    KEY,
    PING,
    PONG,
    RSV1,
    TEXT,
    close_payload,
    deflate,
    deflated,
    make_request,
    masked,
    new_logger,
    opened,
    plain,
    wire,
)
from .table import each

pytestmark = needs_release

HELLO = bytes.fromhex("f248cdc9c90700")
STORED = zlib.compressobj(0, wbits=-15)
INCOMPRESSIBLE = STORED.compress(bytes(1000)) + STORED.flush(zlib.Z_SYNC_FLUSH)


class Case(NamedTuple):
    """What comes in, any of ``chunks``, and what both make of it."""

    chunks: tuple[bytes, ...]
    theirs: str
    ours: str
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


INCOMING = {
    "D-01": Case(
        (
            masked(FIN | TEXT, b"\xff"),
            masked(TEXT, b"\xed\xa0"),
            masked(TEXT, b"\xe2\x82") + masked(FIN | CONT),
            masked(FIN | RSV1 | TEXT, deflated(b"\xc0\xaf")),
        ),
        "delivers",
        "fails with 1007",
    ),
    "D-02": Case(
        (
            b"\x81\xfe\x00\x05" + masked(FIN | TEXT, b"hello")[2:],
            b"\x82\xff" + bytes(7) + b"\x05" + masked(FIN | BINARY, b"hello")[2:],
        ),
        "delivers",
        "fails with 1002",
    ),
    "D-03": Case(
        (b"\x82\xff\x80" + bytes(7) + KEY,),
        "waits",
        "fails with 1002",
        {"max_size": None},
    ),
    "D-04": Case(
        (
            b"\x82\xff\x80" + bytes(7) + KEY,
            b"\x89\xfe\x40\x00" + KEY,
            b"\xb1\xfe\x40\x00" + KEY,
            b"\x80\xfe\x40\x00" + KEY,
        ),
        "fails with 1009",
        "fails with 1002",
        {"max_size": 1000},
    ),
    "D-05": Case(
        (
            b"\x83",
            b"\xb1\x85" + KEY,
            b"\x09\x85" + KEY,
            b"\x89\xfe\x00\x7e" + KEY,
            b"\x80\x85" + KEY,
            b"\xc8",
        ),
        "waits",
        "fails with 1002",
    ),
    "D-06": Case((b"\x82\xff\x01",), "waits", "fails with 1009"),
    "D-07": Case(
        (masked(TEXT, b"a") + masked(FIN | CLOSE, close_payload(1000)),),
        "fails with 1002",
        "answers 1000",
    ),
    "D-08": Case(
        (
            masked(TEXT) + 4096 * masked(CONT),
            masked(BINARY, b"a") + 4096 * masked(CONT, b"a"),
        ),
        "delivers",
        "fails with 1009",
    ),
    "D-09": Case(
        (masked(FIN | CLOSE, close_payload(1010)),), "answers 1010", "answers 1000"
    ),
    "D-10": Case(
        (masked(FIN | CLOSE, close_payload(999, b"\xff")),),
        "fails with 1007",
        "fails with 1002",
    ),
    "D-11": Case(
        (
            masked(FIN | RSV1 | TEXT, HELLO[:3]),
            masked(FIN | RSV1 | BINARY, b""),
            masked(RSV1 | TEXT, HELLO[:2]) + masked(FIN | CONT, HELLO[2:4]),
        ),
        "delivers",
        "fails with 1002",
    ),
    "D-12": Case(
        (masked(FIN | RSV1 | BINARY, INCOMPRESSIBLE[:-4]),),
        "fails with 1009",
        "delivers",
        {"max_size": 1000},
    ),
    "D-17": Case(
        (masked(FIN | PING, bytes(101)), masked(FIN | PONG, bytes(101))),
        "fails with 1009",
        "delivers",
        {"max_size": (1000, 100)},
    ),
}


@each("ident", INCOMING)
def test_incoming(impl: Any, ident: str) -> None:
    """SPEC-058, SPEC-059, SPEC-069, SPEC-102, SEC-04, SEC-11, SEC-19, SEC-34."""
    case = INCOMING[ident]
    for chunk in case.chunks:
        for package, expected in ((theirs, case.theirs), (impl, case.ours)):
            protocol = opened(package, "server", [deflate(package)], **case.options)
            protocol.receive_data(chunk)
            assert outcome(protocol) == expected, (package, chunk[:40])


def test_d_13_final_block(impl: Any) -> None:
    """SPEC-098, SEC-18: what comes behind a block with BFINAL."""
    texts = []
    for package in (theirs, impl):
        protocol = opened(package, "server", [deflate(package)])
        protocol.receive_data(
            masked(FIN | RSV1 | TEXT, bytes.fromhex("f348cdc9c9070000"))
        )
        protocol.receive_data(masked(FIN | RSV1 | TEXT, HELLO))
        texts.append([bytes(frame.data) for frame in protocol.events_received()])
    assert texts == [[b"Hello", b""], [b"Hello", b"Hello"]]


def test_d_14_pings_in_one_go(impl: Any) -> None:
    """SPEC-073, SEC-06."""
    for package, pongs in ((theirs, 3), (impl, 1)):
        protocol = opened(package, "server")
        protocol.receive_data(b"".join(masked(FIN | PING, b"%d" % i) for i in range(3)))
        assert len(protocol.events_received()) == 3
        output = protocol.data_to_send()
        assert len(output) == pongs
        assert output[-1] == plain(0x8A, b"2")


def test_d_15_class_of_the_payload(impl: Any) -> None:
    for package, kind in ((theirs, bytearray), (impl, bytes)):
        protocol = opened(package, "client")
        protocol.receive_data(plain(FIN | TEXT, b"text"))
        (frame,) = protocol.events_received()
        assert type(frame.data) is kind


def test_d_16_reason_that_is_not_utf8(impl: Any) -> None:
    close = masked(FIN | CLOSE, close_payload(1000, b"\xff"))
    for package, kind in ((theirs, UnicodeDecodeError), (impl, UnicodeError)):
        protocol = opened(package, "server")
        protocol.receive_data(close)
        assert outcome(protocol) == "fails with 1007"
        assert isinstance(protocol.parser_exc, kind)
        ours = isinstance(protocol.parser_exc, package.exceptions.ProtocolError)
        assert ours == (package is impl)


# What goes out


def step(call: Callable[..., Any], *args: Any, **options: Any) -> str:
    """Name of what a call raises, or an empty string."""
    try:
        call(*args, **options)
    except Exception as exc:
        return type(exc).__name__
    return ""


def test_d_18_state_before_order(impl: Any) -> None:
    for package, error in ((theirs, "ProtocolError"), (impl, "InvalidState")):
        protocol = opened(package, "server")
        protocol.send_close()
        assert step(protocol.send_continuation, b"", True) == error


@pytest.mark.parametrize("side", ["server", "client"])
def test_d_19_control_frames_at_the_end(impl: Any, side: str) -> None:
    """SPEC-079c: not behind the half-close, nor to a peer that has closed."""
    for package, error in ((theirs, ""), (impl, "InvalidState")):
        protocol = opened(package, side)
        protocol.receive_data(wire(side, FIN | CLOSE))
        assert step(protocol.send_ping, b"") == error
        failed = opened(package, side)
        failed.fail(1011)
        assert step(failed.send_pong, b"") == error
        if side == "server":
            assert (failed.data_to_send()[-1] == b"") == (package is impl)


def test_d_20_data_behind_the_half_close(impl: Any) -> None:
    for package, error in ((theirs, ""), (impl, "InvalidState")):
        protocol = opened(package, "server")
        protocol.send_eof()
        assert step(protocol.send_text, b"") == error
        assert (protocol.data_to_send() == [b""]) == (package is impl)


def test_d_21_close_inside_a_message(impl: Any) -> None:
    for package, error in ((theirs, ""), (impl, "ProtocolError")):
        protocol = opened(package, "server")
        protocol.send_text(b"", fin=False)
        assert step(protocol.send_close, 1000) == error


def test_d_22_reason_that_cannot_be_encoded(impl: Any) -> None:
    """SPEC-070."""
    for package, error in ((theirs, "UnicodeEncodeError"), (impl, "ProtocolError")):
        protocol = opened(package, "server")
        assert step(protocol.send_close, 1000, "\ud800") == error


def test_d_23_code_1010_of_a_server(impl: Any) -> None:
    """SPEC-078."""
    for package, error in ((theirs, ""), (impl, "ProtocolError")):
        for method in ("send_close", "fail"):
            protocol = opened(package, "server")
            assert step(getattr(protocol, method), 1010) == error


def test_d_24_nothing_changes_if_sending_raises(impl: Any) -> None:
    """SEC-15."""
    for package, error in ((theirs, "ProtocolError"), (impl, "")):
        protocol = opened(package, "server")
        assert step(protocol.send_text, "text", fin=False) == "TypeError"
        assert step(protocol.send_text, b"text") == error


def test_d_25_items_of_several_bytes(impl: Any) -> None:
    """SEC-14: a length counts bytes."""
    numbers = array.array("I", [1, 2])
    size = len(numbers.tobytes())
    for package, length in ((theirs, 2), (impl, size)):
        protocol = opened(package, "server")
        protocol.send_binary(numbers)
        assert protocol.data_to_send() == [b"\x82%c" % length + numbers.tobytes()]


def test_d_26_strided_payload(impl: Any) -> None:
    for package, error in ((theirs, ""), (impl, "BufferError")):
        protocol = opened(package, "client")
        data = memoryview(b"abcdef")[::2]
        assert step(protocol.send_binary, data) == error


def test_d_27_large_payload(impl: Any) -> None:
    frames = []
    for package, chunks in ((theirs, 1), (impl, 2)):
        protocol = opened(package, "server")
        protocol.send_binary(bytes(65536))
        output = protocol.data_to_send()
        assert len(output) == chunks
        frames.append(b"".join(output))
    assert frames[0] == frames[1]


def test_d_28_empty_compressed_fragment(impl: Any) -> None:
    for package, payload in ((theirs, b"\x00\x00\x00\xff\xff"), (impl, b"")):
        protocol = opened(package, "server", [deflate(package)])
        protocol.send_text(b"", fin=False)
        assert protocol.data_to_send() == [plain(RSV1 | TEXT, payload)]


def test_d_29_failing_without_a_close_frame(impl: Any) -> None:
    for package, state in ((theirs, "OPEN"), (impl, "CLOSING")):
        protocol = opened(package, "server")
        protocol.fail(1006)
        assert protocol.state.name == state
        assert protocol.close_expected() == (package is impl)
        assert protocol.data_to_send() == [b""]


# What can be read, and what can be made


def test_d_30_limit_in_the_exception(impl: Any) -> None:
    sizes = []
    for package in (theirs, impl):
        protocol = opened(package, "server", max_size=10)
        protocol.receive_data(masked(FIN | TEXT, bytes(11)))
        error = protocol.parser_exc
        assert "10 bytes" in protocol.close_sent.reason
        sizes.append((error.size, error.max_size))
    assert sizes == [(11, 10), (None, None)]


def test_d_31_texts(impl: Any) -> None:
    texts = []
    for package in (theirs, impl):
        close = package.frames.Close(1000, "")
        exceptions = package.exceptions
        texts.append(
            {
                str(exceptions.ConnectionClosedOK(close, close, True)),
                str(exceptions.InvalidHeader("Host")),
                str(exceptions.ProtocolError("as given")),
            }
        )
    assert texts[0] & texts[1] == {"as given"}


def test_d_32_code_and_reason_of_the_exception(impl: Any) -> None:
    for package, warned in ((theirs, 2), (impl, 0)):
        error = package.exceptions.ConnectionClosedError(None, None)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert (error.code, error.reason) == (1006, "")
        assert len(caught) == warned


def test_d_33_class_of_a_code(impl: Any) -> None:
    for package, kind in ((theirs, theirs.frames.CloseCode), (impl, int)):
        protocol = opened(package, "server")
        protocol.receive_eof()
        assert protocol.close_code == 1006
        assert type(protocol.close_code) is kind
        failed = opened(package, "server")
        failed.receive_data(plain(FIN | TEXT))
        assert failed.close_sent.code == 1002
        assert type(failed.close_sent.code) is kind


def test_d_34_internals(impl: Any) -> None:
    names = "accept_called current_size discard events expect_continuation_frame"
    names += " parse parser reader writes"
    for package in (theirs, impl):
        protocol = package.server.ServerProtocol()
        for name in names.split():
            assert hasattr(protocol, name) == (package is theirs)
        for kind in (package.frames.Frame, package.http11.Request):
            assert hasattr(kind, "parse") == (package is theirs)
        fields = dataclasses.fields(package.http11.Request)
        assert ("_exception" in {field.name for field in fields}) == (package is theirs)


def test_d_35_limits_are_arguments(impl: Any) -> None:
    """SEC-08."""
    variables = re.findall(
        r"WEBSOCKETS_MAX_\w+",
        inspect.getsource(theirs.http11) + inspect.getsource(theirs.frames),
    )
    assert len(set(variables)) == 4
    ours = "max_request_line max_header_line max_headers max_head_size"
    ours += " max_fragments max_inflated_size validate_utf8 hosts"
    for name in ours.split():
        option = {name: None if name == "hosts" else 1}
        assert step(impl.server.ServerProtocol, **option) == ""
        error = step(theirs.server.ServerProtocol, **option)
        assert error == "TypeError"


def test_d_36_options_that_are_wrong(impl: Any) -> None:
    for package, errors in ((theirs, ("", "")), (impl, ("ValueError", "TypeError"))):
        kind = package.server.ServerProtocol
        assert step(kind, max_size=-1) == errors[0]
        for option in (
            {"max_size": True},
            {"max_size": ("1M", "1M")},
            {"origins": "https://x"},
            {"subprotocols": "chat"},
        ):
            assert step(kind, **option) == errors[1]


def test_d_37_settings_of_the_extension(impl: Any) -> None:
    """SEC-20."""
    for package, bits, unknown in (
        (theirs, "AssertionError", ""),
        (impl, "ValueError", "ValueError"),
    ):
        module = package.extensions.permessage_deflate
        kind, factory = module.PerMessageDeflate, module.ServerPerMessageDeflateFactory
        assert step(kind, False, False, 7, 15) == bits
        assert step(factory, compress_settings={"lvl": 1}) == unknown
    factory = theirs.extensions.permessage_deflate.ServerPerMessageDeflateFactory
    protocol = opened(theirs, "server")
    protocol.logger = new_logger()[0]
    protocol.available_extensions = [factory(compress_settings={"lvl": 1})]
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate")
    assert protocol.accept(make_request(theirs, offer)).status_code == 500


def test_d_38_attributes_of_a_frame(impl: Any) -> None:
    compiled = impl._native.kernels.COMPILED
    for package, error in (
        (theirs, ""),
        (impl, "AttributeError" if compiled else ""),
    ):
        frame = package.frames.Frame(package.frames.Opcode.TEXT, b"")
        assert step(setattr, frame, "mine", 1) == error
        protocol = package.server.ServerProtocol()
        protocol.mine = 1
        assert protocol.mine == 1


def test_d_39_log(impl: Any) -> None:
    for package, name in ((theirs, "websockets.server"), (impl, "sansocket.server")):
        assert package.server.ServerProtocol().logger is logging.getLogger(name)
        logger, lines = new_logger(logging.INFO)
        protocol = package.server.ServerProtocol(logger=logger)
        headers = package.datastructures.Headers()
        protocol.send_response(package.http11.Response(101, "Switching", headers))
        protocol.receive_data(masked(FIN | CLOSE))
        protocol.receive_eof()
        both = ["connection open", "connection closed"]
        assert lines == (both if package is theirs else [])


def test_d_98_patched_classes(impl: Any) -> None:
    compiled = impl._native.kernels.COMPILED
    for package, error in ((theirs, ""), (impl, "TypeError" if compiled else "")):
        for kind in (package.server.ServerProtocol, package.protocol.Protocol):
            patch = mock.patch.object(kind, "send_text")
            assert step(patch.start) == error
            if not error:
                patch.stop()

        class Server(package.server.ServerProtocol):  # type: ignore[misc,name-defined]
            pass

        for kind in (Server, package.client.ClientProtocol):
            with mock.patch.object(kind, "send_text") as replaced:
                assert kind.send_text is replaced
        patched = mock.Mock(return_value=("accept", None, None))
        with mock.patch.object(Server, "process_request", patched):
            assert Server().accept(make_request(package)).status_code == 101
        assert patched.called


# The page


def test_page_and_tests_have_the_same_rows() -> None:
    found = {*INCOMING, *test_differences_handshake.REQUESTS}
    others = (
        test_differences_handshake,
        test_differences_names,
        test_differences_proxy,
    )
    for module in (globals(), *map(vars, others)):
        for name in module:
            if match := re.match(r"test_d_(\d+)_", name):
                assert f"D-{match[1]}" not in found, f"D-{match[1]} is tested twice"
                found.add(f"D-{match[1]}")
    assert found == set(ROWS)
    assert list(ROWS) == [f"D-{i:02}" for i in range(1, len(ROWS) + 1)]


def test_page_has_the_words_of_the_tables() -> None:
    tables: dict[str, Any] = {**INCOMING, **test_differences_handshake.REQUESTS}
    for ident, case in tables.items():
        row = ROWS[ident]
        assert case.theirs in row.theirs, row
        assert case.ours in row.ours, row
        assert row.reason, row


def test_page_names_the_release_that_is_installed() -> None:
    """Where this fails, look through all rows with the new release."""
    assert f"`websockets` {theirs.__version__}" in PAGE
