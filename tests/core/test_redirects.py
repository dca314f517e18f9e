"""Redirects of the opening handshake: where to, and with what."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

# URI, Location, and where that leads to.
FOLLOWED = [
    ("ws://h/a/b?c", "/x", "ws://h/x"),
    ("ws://h/a/b?c", "x", "ws://h/a/x"),
    ("ws://h/a/b?c", "../x?y", "ws://h/x?y"),
    ("ws://h/a/b?c", "?y", "ws://h/a/b?y"),
    ("ws://h/a?c", "", "ws://h/a?c"),
    ("ws://h", "x", "ws://h/x"),
    ("ws://h/", "//i/x", "ws://i/x"),
    ("ws://h/", "ws://i:1/x", "ws://i:1/x"),
    ("ws://h/", "wss://h/x", "wss://h/x"),
    ("wss://h/", "//i/x", "wss://i/x"),
    ("wss://h:1/", "/x", "wss://h:1/x"),
    ("ws://h/", "/x#fragment", "ws://h/x"),
    ("ws://h/", "http://i/x", "ws://i/x"),
    ("ws://h/", "HTTPS://i/x", "wss://i/x"),
    ("wss://h/", "/x?to=http://i/", "wss://h/x?to=http://i/"),
    ("ws://[::1]:8/a", "/x", "ws://[::1]:8/x"),
    ("ws://[fe80::1%25e0]/a", "/x", "ws://[fe80::1%25e0]/x"),
    # User information stays with its origin.
    ("ws://u:p@h/a", "/x", "ws://u:p@h/x"),
    ("ws://u:p@h/a", "ws://h:80/x", "ws://u:p@h/x"),
    ("ws://u:p@h/a", "ws://v:q@h/x", "ws://v:q@h/x"),
    ("ws://u:p@h/a", "ws://i/x", "ws://i/x"),
    ("ws://u:p@h/a", "ws://h:81/x", "ws://h:81/x"),
    ("ws://u:p@h/a", "wss://h/x", "wss://h/x"),
    ("ws://u:p@h/a", "ws://v:q@i/x", "ws://v:q@i/x"),
]
# Location, and the exception.
REFUSED = [
    ("ws://h/", "SecurityError", "without TLS"),
    ("http://i/", "SecurityError", "without TLS"),
    ("ftp://h/", "InvalidURI", "begin with"),
    ("wss://h:x/", "InvalidURI", "host|port"),
    ("wss://[h/", "InvalidURI", "IPv6"),
    ("/é", "InvalidURI", "ASCII"),
    ("/a b", "InvalidURI", "space"),
    (f"wss://{'a' * 300}/", "InvalidURI", "too long"),
    ("wss://a..b/", "InvalidURI", "empty"),
    (f"//{'a' * 64}.b/", "InvalidURI", "too long"),
]


def answer(impl: Any, status: int, *locations: str) -> Any:
    headers = impl.datastructures.Headers([("Location", one) for one in locations])
    return impl.http11.Response(status, "", headers)


def test_followed(impl: ModuleType) -> None:
    for uri, location, wanted in FOLLOWED:
        found = impl.redirects.redirected(
            impl.uri.parse_uri(uri), answer(impl, 302, location)
        )
        assert found == impl.uri.parse_uri(wanted), (uri, location)


def test_refused(impl: ModuleType) -> None:
    uri = impl.uri.parse_uri("wss://h/a")
    for location, kind, reason in REFUSED:
        with pytest.raises(getattr(impl.exceptions, kind), match=reason):
            impl.redirects.redirected(uri, answer(impl, 302, location))


def test_which_responses_redirect(impl: ModuleType) -> None:
    uri = impl.uri.parse_uri("ws://h/a")
    followed = [
        status
        for status in range(200, 600)
        if impl.redirects.redirected(uri, answer(impl, status, "/b")) is not None
    ]
    assert followed == [300, 301, 302, 303, 307, 308]
    for locations in ((), ("/b", "/c")):
        assert impl.redirects.redirected(uri, answer(impl, 302, *locations)) is None


def test_credentials(impl: ModuleType) -> None:
    pairs = [("A", "1"), ("COOKIE", "2"), ("authorization", "3"), ("A", "4")]
    pairs += [("Proxy-Authorization", "5"), ("cookie", "6")]
    for headers in (pairs, impl.datastructures.Headers(pairs)):
        kept = impl.redirects.without_credentials(headers)
        assert [*kept.raw_items()] == [("A", "1"), ("A", "4")]
    assert len(pairs) == 6
    assert [*impl.redirects.without_credentials({"B": "1"}).raw_items()] == [("B", "1")]


def test_same_origin(impl: ModuleType) -> None:
    parse = impl.uri.parse_uri
    one = parse("ws://u:p@h/a")
    for other, same in [
        *(("ws://H:80/b", True), ("ws://h:81/a", False)),
        *(("wss://h:80/a", False), ("ws://i/a", False)),
    ]:
        assert impl.redirects.is_same_origin(one, parse(other)) is same, other
