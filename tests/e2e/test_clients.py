"""Real clients talk to the server: websockets, Node's ws, and Chromium."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect

from ..children import run
from .chromium import Browser, Page
from .support import TIMEOUT, Server, need

pytestmark = pytest.mark.timeout(300)

Serve = Callable[..., Server]

MEBIBYTE = 2**20
MESSAGES: list[str | bytes] = [
    "Hello, Wörld! 🎈",
    "",
    b"\x00\x01\x02\xfd\xfe\xff",
    b"0123456789abcdef" * (MEBIBYTE // 16),
    "é" * (MEBIBYTE // 2),
]

compressions = pytest.mark.parametrize(
    ("options", "extension"),
    [
        pytest.param([], "permessage-deflate", id="deflate"),
        pytest.param(["--no-compression"], "", id="no-compression"),
    ],
)


def tls_options(certificate: tuple[Path, Path]) -> tuple[str, ...]:
    """The server's options for TLS."""
    return "--certfile", str(certificate[0]), "--keyfile", str(certificate[1])


# The websockets package.


def extensions_of(client: ClientConnection) -> str:
    """The names of the extensions that were agreed on."""
    return ", ".join(extension.name for extension in client.protocol.extensions)


def echo_all(client: ClientConnection) -> None:
    """Send each message and expect it back, then close with 1000."""
    for message in MESSAGES:
        client.send(message)
        assert client.recv(TIMEOUT) == message
    client.send(["frag", "", "ments"])
    assert client.recv(TIMEOUT) == "fragments"
    assert client.ping().wait(TIMEOUT)
    client.close(1000, "done")
    with pytest.raises(ConnectionClosedOK):
        client.recv(TIMEOUT)
    assert (client.close_code, client.close_reason) == (1000, "done")


@compressions
def test_websockets(serve: Serve, options: list[str], extension: str) -> None:
    with connect(serve(*options).url, proxy=None, max_size=None) as client:
        assert extensions_of(client) == extension
        echo_all(client)


def test_websockets_over_tls(serve: Serve, certificate: tuple[Path, Path]) -> None:
    server = serve(*tls_options(certificate))
    context = ssl.create_default_context(cafile=certificate[0])
    with connect(server.url, ssl=context, proxy=None, max_size=None) as client:
        echo_all(client)


def test_many_messages_before_the_first_echo_is_read(serve: Serve) -> None:
    messages = [str(number) * (number % 50) for number in range(2000)]
    with connect(serve().url, proxy=None) as client:
        for message in messages:
            client.send(message)
        assert [client.recv(TIMEOUT) for _ in messages] == messages


# Node's ws package.


def run_node(folder: Path, **options: Any) -> dict[str, Any]:
    """Run client.mjs; return what it prints."""
    done = run(
        [need("node"), "client.mjs", json.dumps(options)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def assert_node_was_served(result: dict[str, Any], extension: str) -> None:
    """Check that all messages came back as they were, and how it ended."""
    assert result["extensions"] == extension
    sizes = [19, 0, 6, MEBIBYTE, MEBIBYTE]
    assert [echo["size"] for echo in result["echoes"]] == sizes
    assert all(echo["same"] for echo in result["echoes"])
    assert [echo["isBinary"] for echo in result["echoes"]] == [0, 0, 1, 1, 0]
    assert (result["code"], result["reason"]) == (1000, "done")


@compressions
def test_node_ws(
    serve: Serve, node_folder: Path, options: list[str], extension: str
) -> None:
    result = run_node(node_folder, url=serve(*options).url, compression=True)
    assert_node_was_served(result, extension)


def test_node_ws_without_an_offer(serve: Serve, node_folder: Path) -> None:
    result = run_node(node_folder, url=serve().url, compression=False)
    assert_node_was_served(result, "")


def test_node_ws_over_tls(
    serve: Serve, node_folder: Path, certificate: tuple[Path, Path]
) -> None:
    url = serve(*tls_options(certificate)).url.replace("127.0.0.1", "localhost")
    result = run_node(node_folder, url=url, compression=True, ca=str(certificate[0]))
    assert_node_was_served(result, "permessage-deflate")


# Chromium, through the page.


def open_page(browser: Browser, server: Server) -> Page:
    """Load the page and connect."""
    page = browser.open(server.page_url)
    assert page.text("state") == "closed"
    page.click("connect")
    page.wait_for("document.body.dataset.state === 'open'")
    return page


def echoes(page: Page, count: int) -> list[dict[str, str]]:
    """Wait for a number of echoes; return their rows, the oldest first."""
    rows = "[...document.querySelectorAll('#log tr[data-direction=in]')]"
    found: list[dict[str, str]] = page.wait_for(
        f"{rows}.length === {count} && {rows}.map((row) => ({{...row.dataset}}))"
    )
    return found[::-1]


def close_page(page: Page, code: int, reason: str) -> None:
    """Close with the form and expect the same code back."""
    page.fill("code", str(code))
    page.fill("reason", reason)
    page.click("close")
    assert closing(page) == (str(code), reason, "clean")
    assert page.complaints() == []


def closing(page: Page) -> tuple[str, str, str]:
    """Wait until the page is no longer connected; return what it shows."""
    page.wait_for("document.body.dataset.state === 'closed'")
    return page.text("close-code"), page.text("close-reason"), page.text("close-clean")


@compressions
def test_chromium(
    serve: Serve, browser: Browser, tmp_path: Path, options: list[str], extension: str
) -> None:
    binary = tmp_path / "data.bin"
    binary.write_bytes(bytes(range(256)) * (MEBIBYTE // 256))
    with open_page(browser, serve(*options)) as page:
        assert page.text("extension").partition(";")[0] == (extension or "none")
        page.fill("text", "Hello, Wörld! 🎈")
        page.click("send-text")
        page.fill("text", "é" * (MEBIBYTE // 2))
        page.click("send-text")
        page.wait_for("document.getElementById('log').rows.length === 4")
        page.choose_file("file", binary)
        page.click("send-file")
        rows = echoes(page, 3)
        assert [row["type"] for row in rows] == ["text", "text", "binary"]
        assert [int(row["size"]) for row in rows] == [19, MEBIBYTE, MEBIBYTE]
        assert [row["match"] for row in rows] == ["true"] * 3
        assert all(float(row["rtt"]) >= 0 for row in rows)
        assert page.text("rtt-count") == "3"
        assert page.text("rtt-median").endswith(" ms")
        close_page(page, 1000, "done")


def test_chromium_closes_with_a_code_of_its_own(serve: Serve, browser: Browser) -> None:
    with open_page(browser, serve()) as page:
        page.fill("code", "1001")  # not for pages
        page.click("close")
        assert page.wait_for("document.getElementById('notice').textContent")
        close_page(page, 4321, "tschüss")


def test_chromium_sees_the_refusal_of_a_large_message(
    serve: Serve, browser: Browser
) -> None:
    with open_page(browser, serve("--max-size", "1K")) as page:
        page.fill("text", "a" * 1025)
        page.click("send-text")
        assert closing(page)[0] == "1009"


def test_chromium_sees_the_server_go(serve: Serve, browser: Browser) -> None:
    server = serve()
    with open_page(browser, server) as page:
        server.signal()
        code, _, clean = closing(page)
        assert (code, clean) == ("1001", "clean")
        assert server.wait() == 0


def test_chromium_connects_again(serve: Serve, browser: Browser) -> None:
    with open_page(browser, serve()) as page:
        page.click("disconnect")
        assert closing(page) == ("1000", "", "clean")
        page.click("connect")
        page.wait_for("document.body.dataset.state === 'open'")
        page.click("send-text")
        assert echoes(page, 1)[0]["match"] == "true"
        close_page(page, 1000, "")
