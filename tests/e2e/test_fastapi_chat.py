"""The chat room of the examples in Chromium, on what sansocket has for uvicorn."""

from __future__ import annotations

import importlib.util
import urllib.request
from collections.abc import Iterator

import pytest

from ..adapters.processes import Program
from ..source import ROOT
from .chromium import Browser, Page
from .support import TIMEOUT

pytest.importorskip("fastapi")

UVICORN = ["uvicorn", "--port", "0", "--app-dir", str(ROOT / "examples/fastapi_chat")]
WAYS = {
    "standin": ["-m", "sansocket.standin", *UVICORN, "--ws", "websockets-sansio"],
    "protocol": ["-m", *UVICORN, "--ws", "sansocket.uvicorn:WebSocketProtocol"],
}


@pytest.fixture(params=WAYS)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the chat room is."""
    if request.param == "protocol" and not importlib.util.find_spec(
        "sansocket.uvicorn"
    ):
        pytest.skip("there is no sansocket.uvicorn")
    program = Program(*WAYS[request.param], "chat:app")
    yield program.wait_for(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")
    program.end()
    assert "Traceback" not in program.log, program.log


def enter(page: Page, name: str) -> None:
    page.fill("name", name)
    page.click("enter")


def say(page: Page, text: str) -> None:
    page.fill("text", text)
    page.click("send")


def wait_for_text(page: Page, element: str, text: str) -> None:
    page.wait_for(
        f"document.getElementById('{element}').textContent.includes('{text}')"
    )


def wait_for_state(page: Page, state: str) -> None:
    page.wait_for(f"document.body.dataset.state === '{state}'")


def test_a_chat_in_two_tabs(server: str, browser: Browser) -> None:
    with browser.open(server) as ada, browser.open(server) as bob:
        wait_for_text(ada, "count", "0 people here, 0 messages")

        enter(ada, "Ada")
        wait_for_state(ada, "in")
        wait_for_text(bob, "count", "1 person here")
        say(ada, "<b>grüß dich</b> 🙂")
        wait_for_text(ada, "log", "<b>grüß dich</b> 🙂")
        wait_for_text(bob, "count", "1 person here, 1 message")

        enter(bob, "Bob")
        wait_for_text(bob, "log", "Ada<b>grüß dich</b> 🙂Bob has joined.")
        wait_for_text(ada, "people", "Ada, Bob")
        say(bob, "hello")
        wait_for_text(ada, "log", "Bobhello")

        bob.click("leave")
        wait_for_state(bob, "out")
        wait_for_text(ada, "log", "Bob has left.")
        assert ada.text("people") == "Ada"
        assert [*ada.complaints(), *bob.complaints()] == []


def test_a_name_that_is_taken(server: str, browser: Browser) -> None:
    with browser.open(server) as ada, browser.open(server) as other:
        enter(ada, "Ada")
        wait_for_state(ada, "in")
        enter(other, "  Ada ")
        wait_for_text(other, "notice", "That name is taken.")
        wait_for_state(other, "out")
        assert other.complaints() == []


def test_a_tab_that_is_closed(server: str, browser: Browser) -> None:
    with browser.open(server) as ada:
        with browser.open(server) as bob:
            enter(ada, "Ada")
            enter(bob, "Bob")
            wait_for_text(ada, "people", "Ada, Bob")
        wait_for_text(ada, "log", "Bob has left.")
        wait_for_text(ada, "count", "1 person here")


def test_the_server_stops(browser: Browser) -> None:
    program = Program(*WAYS["standin"], "chat:app")
    try:
        url = program.wait_for(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            assert answer.headers.get_content_type() == "text/html"
        with browser.open(url) as ada:
            enter(ada, "Ada")
            wait_for_state(ada, "in")
            program.process.terminate()
            wait_for_state(ada, "out")
            assert ada.text("notice") == "The connection was lost."
    finally:
        program.end()
    assert "Traceback" not in program.log, program.log
