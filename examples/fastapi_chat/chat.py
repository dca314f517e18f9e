"""A chat room: a FastAPI application with a page.

Run it with uvicorn, on the WebSockets of sansocket in one way or the other, and open
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
MAILBOX_SIZE = 100  # events that wait for somebody slow, who misses the oldest then
HISTORY = 50  # messages that somebody new gets to see
NOT_WELCOME = 4000  # close code: without a name, or with one that is taken

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")

Event: TypeAlias = dict[str, Any]
Mailbox: TypeAlias = "asyncio.Queue[Event]"


class Room:
    """Who is there, who only watches, and what was said last."""

    def __init__(self) -> None:
        self.people: dict[str, Mailbox] = {}
        self.watchers: set[Mailbox] = set()
        self.history: deque[Event] = deque(maxlen=HISTORY)
        self.said = 0

    @contextlib.contextmanager
    def entered(self, name: str) -> Iterator[Mailbox]:
        """Be there; gives the mailbox of who is."""
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
        """Get to know how much is going on, and nothing else."""
        mailbox: Mailbox = asyncio.Queue(MAILBOX_SIZE)
        self.watchers.add(mailbox)
        deliver(mailbox, self.count())
        try:
            yield mailbox
        finally:
            self.watchers.remove(mailbox)

    def say(self, name: str, text: str) -> None:
        """Let all read a message."""
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
    """Take part: what comes is said, what goes are events as JSON."""
    await websocket.accept()
    name = " ".join(name.split())[:NAME_LENGTH]
    if not name or name in room.people:
        reason = "That name is taken." if name else "A name is needed."
        await websocket.close(NOT_WELCOME, reason)
        return
    with room.entered(name) as mailbox:
        async with forwarding(mailbox, websocket):
            async for text in texts(websocket):
                if text := text.strip():
                    room.say(name, text[:TEXT_LENGTH])


@app.websocket("/watch")
async def watch(websocket: WebSocket) -> None:
    """See how many are there and how many messages there were, as it changes."""
    await websocket.accept()
    with room.watched() as mailbox:
        async with forwarding(mailbox, websocket):
            async for _ in texts(websocket):
                pass


async def texts(websocket: WebSocket) -> AsyncIterator[str]:
    """Text messages until the connection is closed; others count as empty."""
    while (message := await websocket.receive())["type"] != "websocket.disconnect":
        yield message.get("text") or ""


@contextlib.asynccontextmanager
async def forwarding(mailbox: Mailbox, websocket: WebSocket) -> AsyncIterator[None]:
    """Meanwhile, send what is put into a mailbox."""

    async def forward() -> None:
        with contextlib.suppress(WebSocketDisconnect):  # who receives is told as well
            while True:
                await websocket.send_json(await mailbox.get())

    task = asyncio.create_task(forward())
    try:
        yield
    finally:
        task.cancel()
