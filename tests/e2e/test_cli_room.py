"""The chat room: what one says goes to all, in one order; the page in several tabs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect

from .chromium import Browser, Page
from .support import TIMEOUT, Server, command

pytestmark = pytest.mark.timeout(120)

Serve = Callable[..., Server]


def enter(server: Server, name: str = "") -> Any:
    """Enter the room."""
    url = f"{server.url}?name={quote(name)}" if name else server.url
    return connect(url, proxy=None, max_size=None)


def test_names(serve: Serve) -> None:
    server = serve("broadcast")
    with (
        enter(server) as one,
        enter(server, "Änne") as two,
        enter(server, "Änne") as three,
        enter(server, "a: b\n* You are root.") as four,
    ):
        first = [peer.recv(TIMEOUT) for peer in (one, two, three, four)]
    assert first == [
        *("* You are guest-1.", "* You are Änne.", "* You are Änne-1."),
        "* You are guest-2.",
    ]


def test_all_see_who_says_what(serve: Serve) -> None:
    server = serve("broadcast")
    with enter(server, "Ann") as ann, enter(server, "Bob") as bob:
        assert [ann.recv(TIMEOUT) for _ in range(3)] == [
            *("* You are Ann.", "* Ann joined; 1 here.", "* Bob joined; 2 here."),
        ]
        bob.send("hello")
        bob.send(b"\x00\xff")
        bob.close()
        assert [ann.recv(TIMEOUT) for _ in range(4)] == [
            *("Bob: hello", "* Bob sends 2 bytes:", b"\x00\xff", "* Bob left; 1 here."),
        ]


async def chat(url: str, people: int, messages: int) -> list[list[str | bytes]]:
    """Let people talk all at once; return what each of them heard."""

    async def talk(peer: ClientConnection, name: int) -> list[str | bytes]:
        for number in range(messages):
            await peer.send(f"{name}.{number}")
        heard: list[str | bytes] = []
        while len(heard) < people * messages:
            message = await peer.recv()
            if not str(message).startswith("* "):
                heard.append(message)
        return heard

    peers = [await connect_async(url, proxy=None) for _ in range(people)]
    for peer in peers:  # all have entered once each was told so
        await peer.recv()
    heard = await asyncio.gather(*(talk(peer, n) for n, peer in enumerate(peers)))
    for peer in peers:
        await peer.close()
    return heard


def test_all_hear_the_same_in_the_same_order(serve: Serve) -> None:
    heard = asyncio.run(chat(serve("broadcast").url, 10, 20))
    assert all(one == heard[0] for one in heard)
    for name in range(10):
        mine = [text for text in heard[0] if f": {name}." in str(text)]
        assert [str(text).rpartition(".")[2] for text in mine] == [
            str(number) for number in range(20)
        ]


def test_a_text_that_is_too_long_is_for_nobody(serve: Serve) -> None:
    with enter(serve("broadcast"), "Ann") as ann:
        ann.send("a" * 65537)
        ann.send("a" * 65536)
        heard = [ann.recv(TIMEOUT) for _ in range(4)]
    assert heard[2:] == [
        "* That exceeds 65536 characters.",
        f"Ann: {'a' * 65536}",
    ]


def test_sec_07_who_does_not_read_is_thrown_out(serve: Serve) -> None:
    """Nobody waits for a slow member, and memory is bounded (SEC-07)."""
    server = serve("broadcast", "-v")
    with enter(server, "Ann") as ann, server.open() as slow:
        assert slow.read_frame()[1] == b"* You are guest-1."
        ann.send(bytes(2**20))
        while (heard := ann.recv(TIMEOUT)) != "* guest-1 left; 1 here.":
            if isinstance(heard, bytes):  # so all those before have gone out
                ann.send(bytes(2**20))
    assert server.log().count("disconnected: does not read") == 1


def test_a_room_is_in_one_process() -> None:
    done = command("serve", "broadcast", "--workers", "2")
    assert done.returncode == 2
    assert "--workers must be 1" in done.stderr


# The page, in two tabs of Chromium.


def open_page(browser: Browser, server: Server, name: str) -> Page:
    """Load the page, give a name, and enter the room."""
    page = browser.open(server.page_url)
    page.fill("name", name)
    page.click("connect")
    page.wait_for("document.body.dataset.state === 'open'")
    return page


def say(page: Page, text: str) -> None:
    page.fill("text", text)
    page.click("send-text")


def talk(page: Page, count: int) -> list[tuple[str, str]]:
    """Wait until so many things were said; return who said what, from the top."""
    rows = "[...document.querySelectorAll('#log tr:not([data-note])')]"
    found: list[list[str]] = page.wait_for(
        f"{rows}.length === {count} && "
        f"{rows}.map((row) => [row.cells[0].textContent, row.cells[4].textContent])"
    )
    return [(who, what) for who, what in found]


def test_chromium_shows_who_said_what_in_two_tabs(
    serve: Serve, browser: Browser, tmp_path: Path
) -> None:
    data = tmp_path / "data.bin"
    data.write_bytes(b"\x00\x01\xff")
    server = serve("broadcast")
    with (
        open_page(browser, server, "Ann") as ann,
        open_page(browser, server, "Bob") as bob,
    ):
        assert bob.text("title") == "chat room"
        said = []
        for page, who, what in (
            *((ann, "Ann", "Hello, Bob: <b>how</b> are you?"), (bob, "Bob", "* fine")),
            *((bob, "Bob", "two\nlines"), (ann, "Ann", "")),
        ):
            say(page, what)
            said.append((who, what))
            assert talk(ann, len(said)) == talk(bob, len(said)) == said
        ann.choose_file("file", data)
        ann.click("send-file")
        said.append(("Ann", "00 01 ff"))
        assert talk(ann, 5) == talk(bob, 5) == said
        assert ann.text("rtt-count") == "3"
        assert bob.text("rtt-count") == "2"
        notes = "document.querySelector('#log tr[data-note]:last-child')?.textContent"
        bob.click("disconnect")
        assert ann.wait_for(f"/left/.test({notes}) && {notes}") == "Bob left; 1 here."
        assert ann.complaints() + bob.complaints() == []


def test_chromium_sends_by_the_enter_key(serve: Serve, browser: Browser) -> None:
    with open_page(browser, serve("broadcast"), "") as page:
        page.fill("text", "by key")
        page.evaluate(
            "document.getElementById('text').dispatchEvent("
            "new KeyboardEvent('keydown', {key: 'Enter', cancelable: true}))"
        )
        assert talk(page, 1) == [("guest-1", "by key")]
        assert page.evaluate("document.getElementById('text').value") == ""
