"""A chat room: a FastAPI application with a page.

Run it with uvicorn and sansocket, in one of these ways, and open
http://127.0.0.1:8000 in two tabs::

    uvicorn --app-dir examples/fastapi_chat --ws sansocket.uvicorn:WebSocketProtocol chat:app
    python -m sansocket.standin -- uvicorn --app-dir examples/fastapi_chat chat:app
"""  # noqa: E501 - commands to copy

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse

NAME_LENGTH = 20  # characters
TEXT_LENGTH = 1000  # characters
MAILBOX_SIZE = 100  # events buffered for a slow client, which then misses the oldest
HISTORY = 50  # messages sent to a new client
NOT_WELCOME = 4000  # close code: no name, or a name that is taken

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")

Event: TypeAlias = dict[str, Any]
Mailbox: TypeAlias = "asyncio.Queue[Event]"


class Room:
    """The members, the watchers, and the latest messages."""

    def __init__(self) -> None:
        self.people: dict[str, Mailbox] = {}
        self.watchers: set[Mailbox] = set()
        self.history: deque[Event] = deque(maxlen=HISTORY)
        self.said = 0

    @contextlib.contextmanager
    def entered(self, name: str) -> Iterator[Mailbox]:
        """Be a member; the result is the member's mailbox."""
        mailbox: Mailbox = asyncio.Queue(MAILBOX_SIZE)
        for event in self.history:
            mailbox.put_nowait(event)
        self.people[name] = mailbox
        self.tell_all({"kind": "people", "names": sorted(self.people), "joined": name})
        try:
            yield mailbox
        finally:
            del self.people[name]
            self.tell_all(
                {"kind": "people", "names": sorted(self.people), "left": name}
            )

    @contextlib.contextmanager
    def watched(self) -> Iterator[Mailbox]:
        """Watch the numbers of members and messages; the result is a mailbox."""
        mailbox: Mailbox = asyncio.Queue(MAILBOX_SIZE)
        self.watchers.add(mailbox)
        deliver(mailbox, self.count())
        try:
            yield mailbox
        finally:
            self.watchers.remove(mailbox)

    def say(self, name: str, text: str) -> None:
        """Send a message to all members."""
        self.said += 1
        event = {"kind": "message", "name": name, "text": text}
        self.history.append(event)
        self.tell_all(event)

    def count(self) -> Event:
        return {"kind": "count", "people": len(self.people), "messages": self.said}

    def tell_all(self, event: Event) -> None:
        for mailbox in self.people.values():
            deliver(mailbox, event)
        for mailbox in self.watchers:
            deliver(mailbox, self.count())


def deliver(mailbox: Mailbox, event: Event) -> None:
    """Put an event into a mailbox, which never grows beyond its size."""
    if mailbox.full():
        mailbox.get_nowait()
    mailbox.put_nowait(event)


app = FastAPI()
room = Room()


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    return PAGE


@app.websocket("/chat")
async def chat(websocket: WebSocket, name: str = "") -> None:
    """Take part: the client sends texts, and receives events as JSON."""
    await websocket.accept()
    name = " ".join(name.split())[:NAME_LENGTH]
    if not name or name in room.people:
        reason = "That name is taken." if name else "Enter a name."
        await websocket.close(NOT_WELCOME, reason)
        return
    with room.entered(name) as mailbox:
        async with forwarding(mailbox, websocket):
            async for text in texts(websocket):
                if text := text.strip():
                    room.say(name, text[:TEXT_LENGTH])


@app.websocket("/watch")
async def watch(websocket: WebSocket) -> None:
    """Watch the numbers of members and messages as they change."""
    await websocket.accept()
    with room.watched() as mailbox:
        async with forwarding(mailbox, websocket):
            async for _ in texts(websocket):
                pass


async def texts(websocket: WebSocket) -> AsyncIterator[str]:
    """Yield text messages until the connection is closed; "" for binary ones."""
    while (message := await websocket.receive())["type"] != "websocket.disconnect":
        yield message.get("text") or ""


@contextlib.asynccontextmanager
async def forwarding(mailbox: Mailbox, websocket: WebSocket) -> AsyncIterator[None]:
    """Send the events of a mailbox in the background."""

    async def forward() -> None:
        with contextlib.suppress(WebSocketDisconnect):  # texts() notices, too
            while True:
                await websocket.send_json(await mailbox.get())

    task = asyncio.create_task(forward())
    try:
        yield
    finally:
        task.cancel()
