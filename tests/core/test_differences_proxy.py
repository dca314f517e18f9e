"""docs/differences.md is true: proxies, and when and how soon to connect again."""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

import pytest
import websockets.asyncio.client

import sansocket.asyncio
from tests.adapters.clocks import SkippingLoop

from .reference import needs_release, theirs
from .support import proxy_variables

pytestmark = needs_release


def test_d_81_default_port_of_socks(impl: Any) -> None:
    for package, port in ((theirs, 80), (impl, 1080)):
        for scheme in ("socks4", "socks4a", "socks5", "socks5h"):
            assert package.proxy.parse_proxy(f"{scheme}://h").port == port
            assert package.proxy.parse_proxy(f"{scheme}://h:7").port == 7


def test_d_82_port_that_is_none(impl: Any) -> None:
    for package, kind in (
        (theirs, ValueError),
        (impl, impl.exceptions.InvalidProxy),
    ):
        for port in ("x", "65536"):
            with pytest.raises(kind):
                package.proxy.parse_proxy(f"http://h:{port}")


def test_d_83_host_of_connect(impl: Any) -> None:
    for package, host in ((theirs, b"h"), (impl, b"h:80")):
        request = package.proxy.prepare_connect_request(
            package.proxy.parse_proxy("http://p"), package.uri.parse_uri("ws://h"), None
        )
        assert request == b"CONNECT h:80 HTTP/1.1\r\nHost: %b\r\n\r\n" % host


def test_d_84_proxy_that_reaches_nobody(impl: Any) -> None:
    for status in (500, 502, 503, 504, 407):
        for package in (theirs, impl):
            headers = package.datastructures.Headers()
            response = package.http11.Response(status, "", headers)
            exc = package.exceptions.InvalidProxyStatus(response)
            fatal = package.client.process_exception(exc)
            is_transient = package is impl and status != 407
            assert fatal is (None if is_transient else exc)


def test_d_91_statuses_that_may_go_away(impl: Any) -> None:
    for status in (429, 506, 511, 520, 521, 599):
        for package in (theirs, impl):
            headers = package.datastructures.Headers()
            response = package.http11.Response(status, "", headers)
            exc = package.exceptions.InvalidStatus(response)
            found = package.client.process_exception(exc)
            assert found is (exc if package is theirs else None)


def test_d_92_certificates(impl: Any) -> None:
    exc = ssl.SSLCertVerificationError(1, "self-signed certificate")
    assert theirs.client.process_exception(exc) is None
    assert impl.client.process_exception(exc) is exc


def choose(
    package: Any, monkeypatch: pytest.MonkeyPatch, uri: str, **variables: str
) -> str | None:
    """The proxy for a URI, with these variables and no others."""
    with proxy_variables(monkeypatch, variables):
        found: str | None = package.proxy.get_proxy(package.uri.parse_uri(uri))
        return found


def test_d_93_proxy_without_scheme(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, wanted in ((theirs, "h:1"), (impl, "http://h:1")):
        assert choose(package, monkeypatch, "ws://e", http_proxy="h:1") == wanted


def test_d_94_hosts_without_proxy(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for entry, uri in [
        ("[::1]", "ws://[::1]"),
        ("10.0.0.0/8", "ws://10.1.2.3"),
        ("fd00::/8", "ws://[fd12::1]"),
        ("*.example.com", "ws://a.example.com"),
        ("x example.com", "ws://example.com"),
    ]:
        variables = {"ws_proxy": "http://p", "no_proxy": entry}
        for package, wanted in ((theirs, "http://p"), (impl, None)):
            assert choose(package, monkeypatch, uri, **variables) == wanted, entry


def test_d_95_ends_of_addresses(impl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"ws_proxy": "http://p", "no_proxy": "0.0.1"}
    for package, wanted in ((theirs, None), (impl, "http://p")):
        assert choose(package, monkeypatch, "ws://127.0.0.1", **variables) == wanted


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
def test_d_96_connections_that_do_not_last(tmp_path: Any) -> None:
    path = str(tmp_path / "socket")

    async def close(connection: Any) -> None:
        pass

    async def connect(unix_connect: Any) -> float:
        loop = asyncio.get_running_loop()
        turns = 0
        async with sansocket.asyncio.unix_serve(close, path):
            async for client in unix_connect(path):
                await client.wait_closed()
                turns += 1
                if turns == 3:
                    break
        return loop.time()

    for package, waits in (
        (websockets.asyncio.client, False),
        (sansocket.asyncio, True),
    ):
        loop = SkippingLoop()
        seconds = loop.run_until_complete(connect(package.unix_connect))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        assert (seconds > 3) is waits
