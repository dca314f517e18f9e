"""The handlers that ``sansocket serve`` has, in this process; and how others are
found."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from sansocket.asyncio import ClientConnection, connect, serve
from sansocket.cli.handlers import load_handler
from tests.e2e.support import HANDSHAKE

Data = str | bytes
ANN, BOB = "?name=Ann", "?name=Bob"


@contextlib.asynccontextmanager
async def serving(name: str) -> AsyncIterator[tuple[str, int]]:
    """Serve with a handler that is built in, on the loopback address."""
    async with serve(load_handler(name), "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()[:2]
        yield host, port


async def enter(place: tuple[str, int], query: str = "") -> ClientConnection:
    """Enter a room."""
    uri = f"ws://{place[0]}:{place[1]}/{query}"
    return await connect(uri, proxy=None, compression=None)


async def hear(peer: ClientConnection, count: int) -> list[Data]:
    """So many messages."""
    return [await peer.recv() for _ in range(count)]


def test_echo() -> None:
    async def main() -> list[Data]:
        async with serving("echo") as place, await enter(place) as peer:
            await peer.send("text")
            await peer.send(b"\x00\xff")
            return await hear(peer, 2)

    assert asyncio.run(main()) == ["text", b"\x00\xff"]


def test_names_in_a_room() -> None:
    """A wanted name, a number where it is taken, and a guest where it is unfit."""
    wanted = ("", "Änne", "Änne", "Änne", "a: b\n* You are root.", "-", "a" * 21)

    async def main() -> list[Data]:
        async with serving("broadcast") as place, contextlib.AsyncExitStack() as stack:
            first: list[Data] = []
            for name in wanted:
                query = f"?name={quote(name)}" if name else ""
                peer = await stack.enter_async_context(await enter(place, query))
                first += await hear(peer, 1)
            return first

    assert asyncio.run(main()) == [
        f"* You are {name}."
        for name in (
            *("guest-1", "Änne", "Änne-1", "Änne-2", "guest-2", "guest-3", "guest-4"),
        )
    ]


def test_all_in_a_room_hear_who_says_what() -> None:
    async def main() -> tuple[list[Data], list[Data]]:
        async with serving("broadcast") as place, await enter(place, ANN) as ann:
            async with await enter(place, BOB) as bob:
                heard = await hear(bob, 2)
                await bob.send("hello")
                await bob.send(b"\x00\xff")
                heard += await hear(bob, 3)
            return heard, await hear(ann, 7)

    said = ["Bob: hello", "* Bob sends 2 bytes:", b"\x00\xff"]
    bob, ann = asyncio.run(main())
    assert bob == ["* You are Bob.", "* Bob joined; 2 here.", *said]
    came = ["* You are Ann.", "* Ann joined; 1 here.", "* Bob joined; 2 here."]
    assert ann == [*came, *said, "* Bob left; 1 here."]


def test_a_text_that_is_too_long_for_a_room() -> None:
    async def main() -> list[Data]:
        async with serving("broadcast") as place, await enter(place, ANN) as ann:
            await ann.send("a" * 65537)
            await ann.send("a" * 65536)
            return (await hear(ann, 4))[2:]

    told = "* That exceeds 65536 characters."
    assert asyncio.run(main()) == [told, f"Ann: {'a' * 65536}"]


def test_sec_07_who_does_not_read_leaves_the_room() -> None:
    """Nobody waits for a slow member, and memory is bounded (SEC-07)."""

    gone = "* guest-1 left; 1 here."

    async def main() -> Data:
        async with serving("broadcast") as place, await enter(place, ANN) as ann:
            _, slow = await asyncio.open_connection(*place, limit=1)
            slow.write(HANDSHAKE + b"\r\n")
            heard = await hear(ann, 3)
            # Each comes back before the next goes out: she is never behind.
            while gone not in heard:
                await ann.send(bytes(2**20))
                while isinstance(message := await ann.recv(), str):
                    heard.append(message)
            slow.transport.abort()
            await ann.send("alone")
            return await ann.recv()

    assert asyncio.run(main()) == "Ann: alone"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module, and nowhere in ``sys.path``."""
    (tmp_path / "own_module.py").write_text("async def handler(connection): pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("own_module", None)


def test_modules_of_the_current_folder_are_found(folder: Path) -> None:
    for _ in range(2):
        handler = load_handler("own_module:handler")
        assert handler.__module__ == "own_module"
    assert sys.path.count(str(folder)) == 1
