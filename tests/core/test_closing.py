"""Close frames: codes that may travel, payloads, echoes, and the verdict."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from itertools import product
from typing import Any

import pytest

from .support import close_payload
from .table import each

LEGAL = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
EURO = "\u20ac"


class TestCodes:
    """RFC 6455, section 7.4, and the IANA registry."""

    def test_spec_078_sec_36_all_codes(self, impl: Any) -> None:
        """SPEC-078, SEC-36, choice h: all 65536, asked and read; written, most."""
        close, error = impl._base.closing.Close, impl.exceptions.ProtocolError
        may_travel = impl._base.closing.may_travel
        travelling, readable, writable = set(), set(), set()

        def may_read(code: int) -> bool:
            try:
                return bool(close.parse(close_payload(code)).code == code)
            except error:
                return False

        for code in range(65536):
            if may_travel(code):
                travelling.add(code)
            if may_read(code):
                readable.add(code)
            if code < 5100 or code % 64 == 63:  # the rest only costs time
                with contextlib.suppress(error):
                    assert close(code, "").serialize() == close_payload(code)
                    writable.add(code)
        assert travelling == readable == writable == LEGAL

    @each("code", [-1, 65536, 65536 + 1000, 2**64])
    def test_numbers_that_are_no_codes(self, impl: Any, code: int) -> None:
        assert not impl._base.closing.may_travel(code)
        with pytest.raises(impl.exceptions.ProtocolError):
            impl._base.closing.Close(code, "").serialize()

    def test_spec_078_error_names_the_code(self, impl: Any) -> None:
        """SPEC-078: received, it is a protocol error (1002)."""
        with pytest.raises(impl.exceptions.ProtocolError, match="1005") as caught:
            impl._base.closing.Close.parse(close_payload(1005))
        assert caught.value.close_code == 1002

    def test_codes_of_a_normal_closure(self, impl: Any) -> None:
        assert set(impl._base.closing.OK_CLOSE_CODES) == {1000, 1001, 1005}
        assert impl.frames.OK_CLOSE_CODES is impl._base.closing.OK_CLOSE_CODES


class TestPayload:
    """SPEC-077"""

    @each(
        ("data", "code", "reason"),
        [
            (b"", 1005, ""),
            (close_payload(1000), 1000, ""),
            (close_payload(1001, b"bye"), 1001, "bye"),
            (close_payload(4999, (EURO * 41).encode()), 4999, EURO * 41),
            (close_payload(3000, b"\xef\xbb\xbf\x00"), 3000, "\ufeff\x00"),
        ],
    )
    def test_spec_077_read(
        self, impl: Any, data: bytes, code: int, reason: str
    ) -> None:
        """SPEC-077: no body, a code, a code and a reason."""
        close = impl._base.closing.Close.parse(data)
        assert (close.code, close.reason) == (code, reason)
        assert type(close.reason) is str
        if data:
            assert close.serialize() == data

    @pytest.mark.parametrize("data", [b"\x00", b"\x03", b"\xff"])
    def test_spec_077_one_byte(self, impl: Any, data: bytes) -> None:
        """SPEC-077, SEC-36: a protocol error (1002)."""
        with pytest.raises(impl.exceptions.ProtocolError) as caught:
            impl._base.closing.Close.parse(data)
        assert caught.value.close_code == 1002
        text = "close frame with one byte, too short for a code"
        assert str(caught.value) == text

    @each("reason", ["ff", "c0af", "eda080", "f4908080", "e282"])
    def test_spec_077_invalid_reason(self, impl: Any, reason: str) -> None:
        """SPEC-077, SEC-36: 1007"""
        data = close_payload(1000, bytes.fromhex(reason))
        with pytest.raises(impl.exceptions.InvalidUTF8) as caught:
            impl._base.closing.Close.parse(data)
        assert caught.value.close_code == 1007
        assert caught.value.__cause__ is None
        assert str(caught.value) == "close reason is not valid UTF-8"

    def test_a_wrong_code_is_worse_than_a_wrong_reason(self, impl: Any) -> None:
        with pytest.raises(impl.exceptions.ProtocolError) as caught:
            impl._base.closing.Close.parse(close_payload(999, b"\xff"))
        assert caught.value.close_code == 1002

    @each("unit", ["x", "\u00fc", EURO, "\U0001f600"])
    def test_spec_077_length_of_the_reason(self, impl: Any, unit: str) -> None:
        """SPEC-077, SEC-36: up to 123 bytes, whatever the number of characters."""
        size = len(unit.encode())
        count = 123 // size
        data = impl._base.closing.Close(1000, unit * count).serialize()
        assert data == close_payload(1000, unit.encode() * count)
        assert len(data) <= 125
        close = impl._base.closing.Close(1000, unit * (count + 1))
        with pytest.raises(impl.exceptions.ProtocolError, match="limit of 123"):
            close.serialize()

    def test_spec_070_reason_that_is_no_text(self, impl: Any) -> None:
        """SPEC-070: a lone surrogate cannot be sent."""
        with pytest.raises(impl.exceptions.ProtocolError) as caught:
            impl._base.closing.Close(1000, "a\ud800").serialize()
        assert str(caught.value) == "close reason cannot be encoded as UTF-8"

    def test_members_are_codes(self, impl: Any) -> None:
        close = impl._base.closing.Close(impl.frames.CloseCode.GOING_AWAY, "")
        assert close.serialize() == b"\x03\xe9"
        assert repr(close) == "Close(code=1001, reason='')"

    def test_check(self, impl: Any) -> None:
        impl._base.closing.Close(1000, "x" * 999).check()  # about the code alone
        with pytest.raises(impl.exceptions.ProtocolError, match="1006"):
            impl._base.closing.Close(1006, "").check()


class TestValue:
    """Close is a dataclass in all that its users do with it."""

    def test_equality(self, impl: Any) -> None:
        close = impl._base.closing.Close
        assert close(1000, "x") == close(impl.frames.CloseCode(1000), "x")
        assert close(1000, "x") != close(1001, "x")
        assert close(1000, "x") != close(1000, "y")
        assert close(1000, "x") != (1000, "x")
        with pytest.raises(TypeError, match="unhashable"):
            hash(close(1000, "x"))

    def test_dataclass_functions(self, impl: Any) -> None:
        close = impl._base.closing.Close(1000, "x")
        assert all(dataclasses.is_dataclass(x) for x in (close, type(close)))
        assert [field.name for field in dataclasses.fields(close)] == ["code", "reason"]
        assert dataclasses.asdict(close) == {"code": 1000, "reason": "x"}
        assert dataclasses.replace(close, code=1001) == impl._base.closing.Close(
            1001, "x"
        )
        assert copy.copy(close) == copy.deepcopy(close) == close

    def test_base_of_a_dataclass(self, impl: Any) -> None:
        @dataclasses.dataclass
        class Dated(impl._base.closing.Close):  # type: ignore[misc]
            at: float = 0.0

        assert Dated(1000, "x", 1.5).at == 1.5

    def test_match(self, impl: Any) -> None:
        match impl._base.closing.Close(4000, "x"):
            case impl._base.closing.Close(1000, _):
                pytest.fail("another code")
            case impl._base.closing.Close(code, reason):
                assert (code, reason) == (4000, "x")
            case _:
                pytest.fail("no match")

    @each(
        ("code", "reason", "wanted"),
        [
            (1000, "", "1000 (OK)"),
            (1001, "bye", "1001 (going away) bye"),
            (1002, "", "1002 (protocol error)"),
            (1003, "", "1003 (unsupported data)"),
            (1004, "", "1004 (unknown)"),
            (1005, "", "1005 (no status received [internal])"),
            (1006, "", "1006 (abnormal closure [internal])"),
            (1007, "", "1007 (invalid frame payload data)"),
            (1008, "", "1008 (policy violation)"),
            (1009, "", "1009 (message too big)"),
            (1010, "", "1010 (mandatory extension)"),
            (1011, "", "1011 (internal error)"),
            (1012, "", "1012 (service restart)"),
            (1013, "", "1013 (try again later)"),
            (1015, "", "1015 (TLS handshake failure [internal])"),
            (1014, "", "1014 (bad gateway)"),
            (2999, "", "2999 (unknown)"),
            (3000, "", "3000 (registered)"),
            (3999, "", "3999 (registered)"),
            (4000, "", "4000 (private use)"),
            (4999, "x", "4999 (private use) x"),
            (5000, "", "5000 (unknown)"),
            (1000, "gr\u00fc\u00df", "1000 (OK) gr\u00fc\u00df"),
            (1000, "a\nb\x1b[31m", "1000 (OK) a\\nb\\x1b[31m"),
            (1000, "\u202egnp.exe", "1000 (OK) \\u202egnp.exe"),
        ],
    )
    def test_str(self, impl: Any, code: int, reason: str, wanted: str) -> None:
        """SEC-40: fit for a log."""
        assert str(impl._base.closing.Close(code, reason)) == wanted

    def test_each_code_has_a_name(self, impl: Any) -> None:
        names = [
            str(impl._base.closing.Close(code, "")) for code in impl.frames.CloseCode
        ]
        assert len(set(names)) == len(names)
        assert not [name for name in names if "unknown" in name]


class TestAnswer:
    """SPEC-079a: the echo."""

    @pytest.mark.parametrize("side", ["SERVER", "CLIENT"])
    def test_spec_079a_the_same_code_and_reason(self, impl: Any, side: str) -> None:
        """SPEC-079a, SPEC-078: 1010, a code of clients, is no answer of a server."""
        member = impl._base.constants.Side[side]
        for code in (*sorted(LEGAL), 1005):
            close = impl._base.closing.Close(code, "why")
            reply = impl._base.closing.answer(close, member)
            if code == 1010 and side == "SERVER":
                assert reply == impl._base.closing.Close(1000, "")
            else:
                assert reply == close


class TestFailure:
    """failure(): what the peer is told when reading has failed."""

    def own(self, impl: Any, close_code: Any) -> Exception:
        """An exception of an extension, with a code of its own."""
        kind = type("Own", (impl.exceptions.WebSocketException,), {})
        exc: Exception = kind("secret")
        exc.close_code = close_code  # type: ignore[attr-defined]
        return exc

    def test_each_exception_has_its_code(self, impl: Any) -> None:
        """SPEC-076, SPEC-070: with its text; 1002 where it has none."""
        exceptions = impl.exceptions
        for exc, code, text in (
            (exceptions.ProtocolError("x"), 1002, "x"),
            (exceptions.InvalidUTF8("x"), 1007, "x"),
            (exceptions.PayloadTooBig("x"), 1009, "x"),
            (exceptions.WebSocketException("x"), 1002, "x"),
            (self.own(impl, 1000), 1000, "secret"),
            (self.own(impl, 4999), 4999, "secret"),
        ):
            assert impl._base.closing.failure(exc) == (code, text), exc
        code, text = impl._base.closing.failure(
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")
        )
        assert (code, text[:8]) == (1007, "'utf-8' ")

    def test_a_fault_of_our_own_is_not_told(self, impl: Any) -> None:
        """SEC-40: nor is a code that may not travel, or is none."""
        for exc in (
            *(ValueError("secret"), KeyError("secret"), Exception()),
            *(self.own(impl, code) for code in (1011, 1005, 999, "1000", None, 1e3)),
        ):
            assert impl._base.closing.failure(exc) == (1011, ""), exc

    @each(
        ("text", "told"),
        [
            ("x" * 124, "x" * 123),
            (EURO * 42, EURO * 41),
            ("x" + EURO * 42, "x" + EURO * 40),
            ("a\ud800b", "a?b"),
        ],
    )
    def test_spec_077_the_reason_fits(self, impl: Any, text: str, told: str) -> None:
        """SPEC-077, SPEC-070: 123 bytes at most, of whole characters."""
        code, reason = impl._base.closing.failure(impl.exceptions.ProtocolError(text))
        assert (code, reason) == (1002, told)
        impl._base.closing.Close(code, reason).serialize()


class TestVerdict:
    """judge(): how a closed connection is to be seen."""

    CODES = (1000, 1001, 1002, 1005, 1011, 3000, None)

    def test_ok_or_error(self, impl: Any) -> None:
        """OK when both codes are 1000, 1001 or 1005."""
        for codes in product(self.CODES, self.CODES):
            good = set(codes) <= {1000, 1001, 1005}
            kind = f"ConnectionClosed{'OK' if good else 'Error'}"
            frames = [code and impl._base.closing.Close(code, "x") for code in codes]
            for order in (None,) if None in codes else (True, False):
                exc = impl._base.closing.judge(*frames, order)
                assert type(exc).__name__ == kind
                assert [exc.rcvd, exc.sent, exc.rcvd_then_sent] == [*frames, order]
                assert exc.code == (codes[0] or 1006)
                assert exc.reason == ("x" if codes[0] else "")
