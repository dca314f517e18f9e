"""A small driver for Chromium: its DevTools protocol over a WebSocket."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from websockets.sync.client import connect

from ..children import Child
from .support import TIMEOUT

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage "
    "--no-first-run --no-proxy-server --disable-background-networking "
    "--disable-component-update --disable-sync --remote-debugging-port=0"
)
ANNOUNCEMENT = "DevTools listening on "

# Resolves when an expression becomes true, looking at each change of the page.
WAIT = """new Promise((resolve) => {
  const look = () => {
    const value = %s;
    if (!value) return;
    observer.disconnect();
    resolve(value);
  };
  const observer = new MutationObserver(look);
  observer.observe(document, {
    attributes: true, characterData: true, childList: true, subtree: true
  });
  look();
})"""


class Browser:
    """A headless Chromium of our own."""

    def __init__(self, program: str) -> None:
        self.stack = contextlib.ExitStack()
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = Child(
            [program, *FLAGS.split(), f"--user-data-dir={self.profile.name}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert self.process.stderr is not None
        self.reader, address = self.process.stderr, ""
        for line in self.reader:
            if line.startswith(ANNOUNCEMENT):
                address = line.removeprefix(ANNOUNCEMENT).strip()
                break
        assert address, "the browser did not start"
        self.drain = threading.Thread(target=read_on, args=(self.reader,), daemon=True)
        self.drain.start()
        self.connection = self.stack.enter_context(
            connect(
                address, max_size=None, compression=None, proxy=None, ping_interval=None
            )
        )
        self.numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exc: object) -> None:
        self.call("Browser.close")
        try:
            self.process.wait(TIMEOUT)
        finally:
            self.process.end()
        self.stack.close()
        self.drain.join(TIMEOUT)
        self.reader.close()
        self.profile.cleanup()

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """Call a method; return its result."""
        number = next(self.numbers)
        request = {"id": number, "method": method, "params": params}
        if session is not None:
            request["sessionId"] = session
        self.connection.send(json.dumps(request))
        while (answer := self.receive()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def receive(self) -> dict[str, Any]:
        """Read one answer or event."""
        message: dict[str, Any] = json.loads(self.connection.recv(TIMEOUT))
        return message

    def open(self, url: str) -> Page:
        """Load a page in a tab of its own."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        return Page(self, target, attached["sessionId"], url)


class Page:
    """A tab in which a page is loaded."""

    def __init__(self, browser: Browser, target: str, session: str, url: str) -> None:
        self.browser = browser
        self.target = target
        self.session = session
        for domain in ("Page", "Log", "Runtime", "DOM"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)
        while not self.events("Page.loadEventFired"):
            browser.events.append(browser.receive())

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *exc: object) -> None:
        self.browser.call("Target.closeTarget", targetId=self.target)

    def call(self, method: str, **params: Any) -> Any:
        """Call a method for this tab."""
        return self.browser.call(method, self.session, **params)

    def events(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of all events of a kind so far."""
        return [
            event["params"]
            for event in self.browser.events
            if event.get("sessionId") == self.session and event["method"] == method
        ]

    def complaints(self) -> list[dict[str, Any]]:
        """Return what the browser's console shows: errors, refused resources."""
        return self.events("Log.entryAdded") + self.events("Runtime.exceptionThrown")

    def evaluate(self, expression: str) -> Any:
        """Evaluate JavaScript; a promise is waited for."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true; return its value."""
        return self.evaluate(WAIT % expression)

    def text(self, element: str) -> str:
        """Return the text of the element with this id."""
        text: str = self.evaluate(f"document.getElementById('{element}').textContent")
        return text

    def click(self, element: str) -> None:
        """Click the element with this id."""
        self.evaluate(f"document.getElementById('{element}').click()")

    def fill(self, element: str, value: str) -> None:
        """Set the value of the field with this id."""
        self.evaluate(
            f"document.getElementById('{element}').value = {json.dumps(value)}"
        )

    def choose_file(self, element: str, path: Path) -> None:
        """Choose a file in the field with this id."""
        found = self.call(
            "Runtime.evaluate", expression=f"document.getElementById('{element}')"
        )
        self.call(
            "DOM.setFileInputFiles",
            files=[str(path)],
            objectId=found["result"]["objectId"],
        )


def read_on(stream: IO[str]) -> None:
    """Read to the end, so that the browser never waits for us."""
    for _ in stream:
        pass
