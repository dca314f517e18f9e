"""When to connect again, and after how long."""

from __future__ import annotations

import itertools
import ssl
from types import ModuleType
from typing import Any

import pytest


def caused(exc: Any, cause: BaseException) -> Any:
    exc.__cause__ = cause
    return exc


def refusal(impl: Any, kind: str, status: int) -> Any:
    response = impl.http11.Response(status, "", impl.datastructures.Headers())
    return getattr(impl.exceptions, kind)(response)


def alert(reason: str) -> ssl.SSLError:
    exc = ssl.SSLError(1, "alert")
    exc.reason = reason
    return exc


class TestExceptions:
    def test_transient(self, impl: ModuleType) -> None:
        exceptions = impl.exceptions
        refusals = [
            refusal(impl, kind, status)
            for kind in ("InvalidStatus", "InvalidProxyStatus")
            for status in (429, 500, 502, 503, 504, 520, 521, 529, 599)
        ]
        for exc in [
            *(OSError(), ConnectionRefusedError(), TimeoutError()),
            *(ssl.SSLError(1, "x"), ssl.SSLEOFError(8, "x")),
            alert("TLSV1_ALERT_INTERNAL_ERROR"),
            caused(exceptions.InvalidMessage(), EOFError()),
            caused(exceptions.InvalidMessage(), ConnectionResetError()),
            caused(exceptions.InvalidProxyMessage(), EOFError()),
            *refusals,
        ]:
            assert impl.reconnection.process_exception(exc) is None, repr(exc)

    def test_fatal(self, impl: ModuleType) -> None:
        exceptions = impl.exceptions
        refusals = [
            refusal(impl, kind, status)
            for kind in ("InvalidStatus", "InvalidProxyStatus")
            for status in (*range(100, 429), *range(430, 500), 501, 505)
        ]
        for exc in [
            *(ValueError(), ImportError(), RuntimeError()),
            exceptions.InvalidMessage(),
            caused(exceptions.InvalidMessage(), ValueError()),
            exceptions.InvalidURI("x", "y"),
            exceptions.SecurityError(),
            exceptions.ProxyError(),
            *refusals,
        ]:
            assert impl.reconnection.process_exception(exc) is exc, repr(exc)

    def test_certificates_are_fatal(self, impl: ModuleType) -> None:
        """Those that do not verify here, and those that the peer does not take."""
        for exc in [
            ssl.SSLCertVerificationError(1, "self-signed certificate"),
            alert("CERTIFICATE_VERIFY_FAILED"),
            alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
            alert("SSLV3_ALERT_CERTIFICATE_EXPIRED"),
            alert("SSLV3_ALERT_BAD_CERTIFICATE"),
            alert("TLSV1_ALERT_UNKNOWN_CA"),
        ]:
            assert impl.reconnection.process_exception(exc) is exc, repr(exc)
            # So it comes if it was the answer to the request.
            late = caused(impl.exceptions.InvalidMessage(), exc)
            assert impl.reconnection.process_exception(late) is late, repr(exc)

    def test_it_is_where_users_look_for_it(self, impl: ModuleType) -> None:
        assert impl.client.process_exception is impl.reconnection.process_exception
        assert impl.client.backoff is impl.reconnection.backoff


class TestDelays:
    """SPEC-054: the first is random, and the others grow up to a limit."""

    def test_default(self, impl: ModuleType) -> None:
        delays = [*itertools.islice(impl.reconnection.backoff(), 50)]
        assert 0 <= delays[0] < 5
        assert delays[1] == 3.1
        for before, after in itertools.pairwise(delays[1:]):
            assert after == pytest.approx(min(before * 1.618, 90))
        assert delays[-1] == 90

    def test_the_first_is_random(
        self, impl: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        firsts = []
        for byte in (b"\0", b"\x80", b"\xff"):
            monkeypatch.setattr(
                impl.environment, "random_bytes", lambda n, byte=byte: byte * n
            )
            firsts.append(next(impl.reconnection.backoff(8.0)))
        assert firsts[0] == 0
        assert firsts[1] == pytest.approx(4, rel=0.01)
        assert 7.99 < firsts[2] < 8

    def test_arguments(self, impl: ModuleType) -> None:
        delays = impl.reconnection.backoff(0.0, 1.0, 5.0, 2.0)
        assert [*itertools.islice(delays, 6)] == [0, 1, 2, 4, 5, 5]
        few = impl.reconnection.backoff(0.0, 9.0, 5.0)
        assert [*itertools.islice(few, 3)] == [0, 5, 5]
