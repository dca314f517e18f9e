"""The page that browsers get, and what else they may ask for."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .support import TIMEOUT, Server, status_of, tls

pytestmark = pytest.mark.timeout(120)

Serve = Callable[..., Server]


def get(
    server: Server, path: str, method: str = "GET"
) -> tuple[http.client.HTTPResponse, bytes]:
    """Make an ordinary request; return the response and its body."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=TIMEOUT)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.mark.parametrize("path", ["/", "/?query"])
def test_page(served: Server, path: str) -> None:
    response, body = get(served, path)
    assert response.status == 200
    assert response.getheader("Content-Type") == "text/html; charset=utf-8"
    assert response.getheader("Connection") == "close"
    assert body.startswith(b"<!doctype html>")
    assert body.rstrip().endswith(b"</html>")


def test_page_loads_nothing_else(served: Server) -> None:
    response, body = get(served, "/")
    policy = response.getheader("Content-Security-Policy", "")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert b"://" not in body.replace(b"http://www.w3.org/2000/svg", b"")
    for name in (b"script", b"style"):
        (inline,) = re.findall(b"<%b>(.*?)</%b>" % (name, name), body, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline).digest()).decode()
        assert f"{name.decode()}-src 'sha256-{digest}'" in policy


def test_head_gives_the_headers_only(served: Server) -> None:
    answer = served.exchange(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status_of(answer) == 200
    _, body = get(served, "/")
    assert b"Content-Length: %d\r\n" % len(body) in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("path", ["/favicon.ico", "/index.html", "//", "/%2e/"])
def test_other_paths_are_not_found(served: Server, path: str) -> None:
    assert get(served, path)[0].status == 404


def test_other_methods_are_refused(served: Server) -> None:
    response, _ = get(served, "/", "DELETE")
    assert response.status == 405
    assert response.getheader("Allow") == "GET"


def test_an_upgrade_to_something_else_is_ignored(served: Server) -> None:
    request = (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    )
    assert status_of(served.exchange(request)) == 200


def test_page_over_tls(serve: Serve, certificate: tuple[Path, Path]) -> None:
    options = "--certfile", str(certificate[0]), "--keyfile", str(certificate[1])
    server = serve("--close-timeout", "3600", *options)
    assert urlsplit(server.url).scheme == "wss"
    assert urlsplit(server.page_url).scheme == "https"
    with tls(server, certificate) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.read_all().rstrip().endswith(b"</html>")
