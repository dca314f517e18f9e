"""The tree of exceptions: what they hold, say and are good for."""

from __future__ import annotations

import importlib
import pickle
import re
from types import ModuleType
from typing import Any

import pytest


def close(impl: ModuleType, code: int, reason: str = "") -> object:
    return impl.frames.Close(code, reason)


def every_exception(impl: ModuleType) -> list[Exception]:
    exc = impl.exceptions
    response = impl.http11.Response(404, "Not Found", impl.datastructures.Headers())
    return [
        exc.ConnectionClosedOK(close(impl, 1000), close(impl, 1000), True),
        exc.ConnectionClosedError(None, None),
        exc.InvalidURI("ws://", "its host is not valid"),
        exc.InvalidProxy("x", "no host"),
        exc.InvalidHandshake("why"),
        exc.RequestLineTooLong("why"),
        exc.StatusLineTooLong("why"),
        exc.HeaderLineTooLong("why"),
        exc.TooManyHeaders("why"),
        exc.ProxyError("why"),
        exc.InvalidProxyMessage("why"),
        exc.InvalidProxyStatus(response),
        exc.InvalidMessage("why"),
        exc.InvalidMethod("POST"),
        exc.InvalidProtocol("HTTP/1.0"),
        exc.InvalidStatus(response),
        exc.InvalidHeader("Host"),
        exc.InvalidHeader("Host", ""),
        exc.InvalidHeader("Host", "["),
        exc.InvalidHeaderFormat("Upgrade", "no member", "", 0),
        exc.InvalidHeaderValue("Host", "["),
        exc.InvalidOrigin("null"),
        exc.InvalidUpgrade("Upgrade"),
        exc.NegotiationError("why"),
        exc.DuplicateParameter("p"),
        exc.InvalidParameterName("p"),
        exc.InvalidParameterValue("p", None),
        exc.InvalidParameterValue("p", ""),
        exc.InvalidParameterValue("p", "8"),
        exc.ProtocolError("why"),
        exc.InvalidUTF8("why"),
        exc.PayloadTooBig(10, 5),
        exc.PayloadTooBig("why"),
        exc.TooManyFragments(3),
        exc.InvalidState("why"),
        exc.ConcurrencyError("why"),
    ]


def test_the_tree_is_as_documented(impl: ModuleType) -> None:
    """Each public exception once, below its base."""
    found: dict[str, str] = {}
    path: list[str] = []
    for line in impl.exceptions.__doc__.splitlines():
        match = re.match(r"    ([| `-]*)([A-Z]\w+)", line)
        if match is not None:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            found[match[2]] = path[depth - 1] if depth else "Exception"
    assert sorted(found) == sorted(impl.exceptions.__all__)
    for name, base in found.items():
        assert getattr(impl.exceptions, name).__bases__[0].__name__ == base


def test_each_says_one_printable_line(impl: ModuleType) -> None:
    for exc in every_exception(impl):
        assert isinstance(exc, impl.exceptions.WebSocketException)
        text = str(exc)
        assert text
        assert text.isascii()
        assert text.isprintable()


def test_each_survives_pickling(impl: ModuleType) -> None:
    for exc in every_exception(impl):
        again = pickle.loads(pickle.dumps(exc))
        assert type(again) is type(exc)
        assert str(again) == str(exc)
        assert vars(again) == vars(exc)


def test_status(impl: ModuleType) -> None:
    for name, status in (
        ("InvalidHandshake", 400),
        ("RequestLineTooLong", 414),
        ("HeaderLineTooLong", 431),
        ("TooManyHeaders", 431),
        ("InvalidMessage", 400),
        ("InvalidMethod", 405),
        ("InvalidProtocol", 505),
        ("InvalidHeader", 400),
        ("InvalidHeaderFormat", 400),
        ("InvalidOrigin", 403),
        ("InvalidUpgrade", 426),
        ("NegotiationError", 400),
        ("DuplicateParameter", 400),
    ):
        assert getattr(impl.exceptions, name).status == status, name


def test_close_code(impl: ModuleType) -> None:
    for name, code in (
        ("ProtocolError", 1002),
        ("InvalidUTF8", 1007),
        ("PayloadTooBig", 1009),
        ("TooManyFragments", 1009),
    ):
        assert getattr(impl.exceptions, name).close_code == code, name


def test_builtin_bases(impl: ModuleType) -> None:
    for name, base in (
        ("InvalidState", AssertionError),
        ("ConcurrencyError", RuntimeError),
        ("InvalidUTF8", UnicodeError),
    ):
        assert issubclass(getattr(impl.exceptions, name), base), name


# Closed connections


def test_connection_closed(impl: ModuleType) -> None:
    bye, normal, oops = (1001, "bye"), (1000, ""), (1011, "oops")
    cases: tuple[tuple[Any, Any, Any, int, str, str], ...] = (
        (None, None, None, 1006, "", "connection lost"),
        (None, normal, None, 1006, "", "did not answer"),
        (bye, None, None, 1001, "bye", "no answer"),
        (bye, normal, True, 1001, "bye", "peer closed"),
        (normal, oops, False, 1000, "", "closed with"),
    )
    for rcvd, sent, rcvd_then_sent, code, reason, words in cases:
        received = rcvd and close(impl, *rcvd)
        replied = sent and close(impl, *sent)
        exc = impl.exceptions.ConnectionClosed(received, replied, rcvd_then_sent)
        assert (exc.rcvd, exc.sent) == (received, replied)
        assert exc.rcvd_then_sent is rcvd_then_sent
        assert (exc.code, exc.reason) == (code, reason)
        assert words in str(exc)


def test_connection_closed_is_consistent(impl: ModuleType) -> None:
    one = close(impl, 1000)
    for rcvd, sent, order in [(one, None, True), (None, None, False), (one, one, None)]:
        with pytest.raises(AssertionError, match="two close frames"):
            impl.exceptions.ConnectionClosed(rcvd, sent, order)


# What they say


def test_sec_40_text_of_the_peer_is_escaped_and_shortened(impl: ModuleType) -> None:
    """SEC-40: attributes keep what came, messages don't show it raw."""
    raw = "\x1b[31m\n\u2028é" + "x" * 1000
    exc = impl.exceptions
    for error in [
        exc.InvalidMethod(raw),
        exc.InvalidProtocol(raw),
        exc.InvalidHeader(raw, raw),
        exc.InvalidHeaderFormat(raw, "no token", raw, 3),
        exc.InvalidOrigin(raw),
        exc.DuplicateParameter(raw),
        exc.InvalidParameterName(raw),
        exc.InvalidParameterValue(raw, raw),
        exc.InvalidURI(raw, "why"),
        exc.InvalidProxy(raw, "why"),
        exc.ConnectionClosedError(close(impl, 3000, raw), None),
    ]:
        assert str(error).isascii()
        assert str(error).isprintable()
        assert len(str(error)) < 600
        assert "..." in str(error)
    assert exc.InvalidMethod(raw).method == raw
    assert exc.InvalidHeader("n", raw).value == raw


def test_invalid_header(impl: ModuleType) -> None:
    for value, text in (
        (None, "Host header is missing"),
        ("", "Host header is empty"),
        ("[", "Host header is not acceptable: ["),
    ):
        assert str(impl.exceptions.InvalidHeader("Host", value)) == text


def test_invalid_header_format(impl: ModuleType) -> None:
    exc = impl.exceptions.InvalidHeaderFormat("Upgrade", "no token", "@", 0)
    assert (exc.name, exc.value) == ("Upgrade", "no token at 0 in @")


# Limits


def test_payload_too_big(impl: ModuleType) -> None:
    exc = impl.exceptions.PayloadTooBig(10, 5)
    assert (exc.size, exc.max_size, exc.current_size) == (10, 5, None)
    assert str(exc) == "payload of 10 bytes exceeds the limit of 5 bytes"
    exc.set_current_size(3)
    assert (exc.size, exc.max_size, exc.current_size) == (10, 8, 3)
    assert "after 3 bytes exceeds the limit of 8 bytes" in str(exc)


def test_payload_too_big_of_unknown_size(impl: ModuleType) -> None:
    exc = impl.exceptions.PayloadTooBig(None, 5, 3)
    assert (exc.size, exc.max_size, exc.current_size) == (None, 8, 3)
    assert str(exc) == "payload after 3 bytes exceeds the limit of 8 bytes"


def test_payload_too_big_with_a_message(impl: ModuleType) -> None:
    exc = impl.exceptions.PayloadTooBig("too big")
    assert (exc.message, exc.size, str(exc)) == ("too big", None, "too big")
    exc.set_current_size(3)
    assert (exc.current_size, exc.max_size) == (3, None)


def test_too_many_fragments(impl: ModuleType) -> None:
    exc = impl.exceptions.TooManyFragments(3)
    assert exc.max_fragments == 3
    assert "3 fragments" in str(exc)


# Aliases for annotations


def test_typing_has_what_annotations_need(impl: ModuleType) -> None:
    typing = importlib.import_module(f"{impl.__name__}.typing")
    for name in typing.__all__:
        assert hasattr(typing, name)
    assert typing.Subprotocol("chat") == "chat"
    assert typing.Origin("null") == "null"
