"""The conversation of ``sansocket connect``, in the process of the tests."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from sansocket import ConnectionClosed, ServerProtocol, State
from sansocket.asyncio import ServerConnection, serve
from sansocket.cli import build_parser, conversation
from sansocket.cli.conversation import Conversation, converse
from sansocket.cli.handlers import echo
from sansocket.cli.terminal import Pipe
from sansocket.cli.values import CommandError
from sansocket.http11 import Request
from tests.adapters.support import until

from .conftest import Endings

if sys.platform == "win32":
    pytest.skip("signals are not those of Windows", allow_module_level=True)

FOREVER = "3600"  # seconds that no test takes
SIGNALS = [signal.SIGTERM]


class Script(Pipe):
    """Lines that a test gives, then nothing more or the end; notes what is told."""

    def __init__(self, *lines: bytes, ends: bool = True, typed: bool = False) -> None:
        super().__init__(quiet=False)
        self.interactive = typed
        self.left = [*lines]
        self.ends = ends
        self.told: list[str] = []

    async def data(self) -> AsyncIterator[bytes]:
        while self.left:
            yield self.left.pop(0)
        if not self.ends:
            await asyncio.Event().wait()

    def tell(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture
def script() -> Iterator[Any]:
    """Make scripts."""
    made: list[Script] = []

    def make(*lines: bytes, **options: bool) -> Script:
        made.append(Script(*lines, **options))
        return made[-1]

    yield make
    for one in made:
        one.wake.close()
        one.woken.close()


def options_of(uri: str, *arguments: str) -> Any:
    """The options of the command line."""
    return build_parser().parse_args(["connect", uri, *arguments])


@contextlib.asynccontextmanager
async def mute() -> AsyncIterator[str]:
    """A server that opens connections, and then neither reads nor writes."""
    writers: list[asyncio.StreamWriter] = []

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writers.append(writer)
        protocol = ServerProtocol()
        protocol.receive_data(await reader.readuntil(b"\r\n\r\n"))
        (request,) = protocol.events_received()
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        assert isinstance(writer.transport, asyncio.Transport)
        writer.transport.pause_reading()
        writer.write(b"".join(protocol.data_to_send()))

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()


def test_a_signal_cuts_off_what_is_being_closed(endings: Endings, script: Any) -> None:
    """All was said, and the server does not answer."""
    ending, terminal = endings(3600.0, SIGNALS), script()

    async def main() -> int:
        async with mute() as uri:
            options = options_of(uri, "--wait", "0", "--close-timeout", FOREVER)
            talk = Conversation(options, terminal, ending)
            task = asyncio.ensure_future(talk.run())
            await until(lambda: len(terminal.told) == 1)  # it is connected
            await until(lambda: talk.connection.state is State.CLOSING)
            signal.raise_signal(signal.SIGTERM)
            return await task

    assert asyncio.run(main()) == 143
    assert terminal.told[1:] == ["closed with 1000 (OK); the peer did not answer"]


def test_a_signal_while_a_line_waits_to_be_sent(endings: Endings, script: Any) -> None:
    """The server does not read: users learn from where on it knows nothing."""
    ending = endings(3600.0, SIGNALS, last=3600.0)
    terminal = script(b"1\n", b"a" * 2**24 + b"\n", b"3\n")

    async def main() -> int:
        async with mute() as uri:
            options = options_of(uri, "--no-compression", "--close-timeout", FOREVER)
            talk = Conversation(options, terminal, ending)
            task = asyncio.ensure_future(talk.run())
            await until(lambda: len(terminal.told) == 1)  # it is connected
            await until(talk.connection.transport.get_write_buffer_size)
            signal.raise_signal(signal.SIGTERM)
            await until(lambda: len(terminal.told) == 2)
            signal.raise_signal(signal.SIGTERM)
            return await task

    assert asyncio.run(main()) == 143
    assert terminal.told[1] == "the input from line 2 on was not sent"


@pytest.mark.parametrize("begun", [False, True])
def test_a_signal_while_bytes_are_awaited(
    endings: Endings, script: Any, begun: bool
) -> None:
    """Something is missing only if there was something."""
    ending = endings(3600.0, SIGNALS)
    terminal = script(*[b"a"] * begun, ends=False)

    async def main() -> int:
        async with serve(echo, "127.0.0.1", 0) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            talk = Conversation(options_of(uri, "--binary"), terminal, ending)
            task = asyncio.ensure_future(talk.run())
            await until(lambda: terminal.told and not terminal.left)
            signal.raise_signal(signal.SIGTERM)
            return await task

    assert asyncio.run(main()) == 143
    missing = "the input was not sent completely"
    assert (missing in terminal.told) is begun


@pytest.mark.parametrize(
    ("option", "missing"),
    [
        ("--wait=0", "the input from line 1 on was not sent"),
        ("--binary", "the input was not sent completely"),
    ],
)
def test_input_that_comes_too_late(
    endings: Endings, script: Any, option: str, missing: str
) -> None:
    """The connection is closed by then."""
    terminal = script(b"too\nlate\n")

    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            options = options_of(uri, option)
            talk = Conversation(options, terminal, endings(1.0, SIGNALS))
            talk.connection = await talk.connect()
            await talk.connection.close()
            await talk.talk(asyncio.ensure_future(talk.receive()))
            assert not talk.complete

    asyncio.run(main())
    assert terminal.told == [missing]


@pytest.mark.parametrize(
    ("parts", "status", "shown"),
    [
        (["a", "b", "c", "d", ""], 0, ["abcd"]),
        (["a", "b"], 5, []),
    ],
)
def test_a_message_that_takes_longer_than_the_silence_to_wait_for(
    endings: Endings,
    script: Any,
    monkeypatch: pytest.MonkeyPatch,
    parts: list[str],
    status: int,
    shown: list[str],
) -> None:
    """Whenever the time has passed, one more part of it arrives, if there is one."""
    terminal = script()
    messages: list[Any] = []
    monkeypatch.setattr(terminal, "receive", messages.append)
    real_wait = asyncio.wait
    talk: Conversation

    async def main() -> int:
        nonlocal talk
        loop = asyncio.get_running_loop()
        real_time, passed = loop.time, 0.0
        left = asyncio.Queue[str]()

        async def pieces() -> AsyncIterator[str]:
            while piece := await left.get():
                yield piece

        async def handler(connection: ServerConnection) -> None:
            await connection.send(pieces())

        async def wait(tasks: Any, timeout: float | None = None, **options: Any) -> Any:
            nonlocal passed
            if timeout is None:
                return await real_wait(tasks, **options)
            passed += timeout
            if parts:
                received = talk.connection.protocol.stats.bytes_received
                left.put_nowait(parts.pop(0))
                await until(
                    lambda: talk.connection.protocol.stats.bytes_received != received
                )
            return None

        monkeypatch.setattr(loop, "time", lambda: real_time() + passed)
        monkeypatch.setattr(asyncio, "wait", wait)
        async with serve(handler, "127.0.0.1", 0) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            talk = Conversation(options_of(uri), terminal, endings(1.0, SIGNALS))
            try:
                return await talk.run()
            finally:
                left.put_nowait("")  # the handler may still wait for it

    assert asyncio.run(main()) == status
    assert messages == shown
    assert parts == []
    missing = "the last message did not arrive completely"
    assert (missing in terminal.told) is (status == 5)


def test_nothing_is_read_once_a_person_has_closed(
    endings: Endings, script: Any
) -> None:
    terminal = script(b"hi\n/close 3001 good bye\nnot this\n", typed=True)
    heard: list[Any] = []

    async def handler(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                heard.append(await connection.recv())

    async def main() -> None:
        async with serve(handler, "127.0.0.1", 0) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            talk = Conversation(options_of(uri), terminal, endings(1.0, SIGNALS))
            talk.connection = await talk.connect()
            await talk.obey()
            assert talk.connection.close_code == 3001
            assert talk.connection.close_reason == "good bye"

    asyncio.run(main())
    assert heard == ["hi"]
    assert terminal.told == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "malformed status line: SSH"),
        (b"", "stream ended before the end of the response"),
    ],
)
def test_a_server_that_speaks_something_else(
    endings: Endings, script: Any, answer: bytes, reason: str
) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        async with server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            talk = Conversation(options_of(uri), script(), endings(1.0, SIGNALS))
            await talk.connect()

    with pytest.raises(CommandError, match=f"^cannot connect: {reason}"):
        asyncio.run(main())


def test_a_signal_while_the_terminal_is_being_prepared(
    endings: Endings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while the extra is imported, which takes a moment."""

    def choose(quiet: bool, history: bool) -> Pipe:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it went on")

    monkeypatch.setattr(conversation, "Ending", endings)
    monkeypatch.setattr(conversation, "choose", choose)
    assert converse(options_of("ws://127.0.0.1/")) == 143
