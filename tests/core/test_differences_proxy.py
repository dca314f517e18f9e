"""docs/differences.md is true: proxies, and when to connect again."""

from __future__ import annotations

from typing import Any

import pytest

from .reference import needs_release, theirs

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
