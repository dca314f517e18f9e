"""Sanic on its own, with sansocket standing in, and with the adapter: all the same.

What only the adapter does is below.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from urllib.request import urlopen

import pytest
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ..core.support import BINARY, CLOSE, CONT, FIN, PING, TEXT, masked, request_bytes
from ..e2e.conftest import certificate as certificate
from .processes import Program, Start, run_python
from .support import Raw

pytest.importorskip("sanic")

APPLICATION = str(Path(__file__).with_name("sanic_application.py"))
VARIANTS = {
    "sanic": [APPLICATION],
    "standin": ["-m", "sansocket.standin", "--", APPLICATION],
    "adapter": [APPLICATION, "adapter"],
    "adapter-asyncio": [APPLICATION, "adapter", "asyncio"],
}
TIMEOUT = 120.0  # seconds that nothing here should ever take

names = itertools.count(1)
Run: TypeAlias = Callable[[Any], Any]


class Served:
    """The application, running."""

    def __init__(self, variant: str) -> None:
        self.variant = variant
        self.program = Program(*VARIANTS[variant])
        self.port = int(self.program.wait_for(r"listening on (\d+)"))
        self.program.wait_for("(Worker ready)")

    def connect(self, path: str, **options: Any) -> connect:
        uri = f"ws://127.0.0.1:{self.port}{path}"
        options |= {"proxy": None, "compression": None, "open_timeout": TIMEOUT}
        return connect(uri, **options)

    def get(self, path: str) -> str:
        """Ask for a page."""
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=TIMEOUT) as page:
            content: bytes = page.read()
        return content.decode()

    async def open(self, path: str, behind: bytes = b"") -> Raw:
        """Shake hands, and send what comes right behind the request."""
        peer = Raw(*await asyncio.open_connection("127.0.0.1", self.port))
        peer.send(request_bytes().replace(b"/chat", path.encode(), 1) + behind)
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        return peer


@pytest.fixture(scope="module", params=VARIANTS)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Each of them."""
    yield from serving(request.param)


@pytest.fixture(scope="module", params=[n for n in VARIANTS if "adapter" in n])
def adapted(request: pytest.FixtureRequest) -> Iterator[Served]:
    """The adapter alone."""
    yield from serving(request.param)


def serving(variant: str) -> Iterator[Served]:
    served = Served(variant)
    yield served
    served.program.end()
    if "adapter" in variant:  # Sanic logs one where a client was refused
        assert "Traceback" not in served.program.log, served.program.log


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, TIMEOUT))


# Messages


def test_messages(served: Served) -> None:
    async def main() -> None:
        async with served.connect("/feed", max_size=None) as client:
            for message in (
                "Hello",
                "",
                "grüß dich 🙂",
                b"\x00\xff",
                b"",
                bytes(10**6),
            ):
                await client.send(message)
                assert await client.recv() == message
        assert client.close_code == 1000

    run(main())


def test_many_messages_at_once(served: Served) -> None:
    async def main() -> list[Any]:
        async with served.connect("/feed") as client:
            for number in range(200):
                await client.send(str(number))
            return [await client.recv() for _ in range(200)]

    assert run(main()) == [str(number) for number in range(200)]


def test_fragments(served: Served) -> None:
    async def main() -> None:
        async with await served.open("/feed") as peer:
            peer.send_frame(TEXT, "ü".encode()[:1])
            peer.send_frame(FIN | PING, b"between")
            peer.send_frame(CONT, "ü".encode()[1:])
            peer.send_frame(FIN | CONT, b"!")
            assert await peer.read_frame() == (0x8A, b"between")
            assert await peer.read_frame() == (0x81, "ü!".encode())

    run(main())


def test_too_long_a_message(served: Served) -> None:
    async def main() -> None:
        async with served.connect("/feed") as client:
            await client.send(bytes(2**20 + 1))
            with pytest.raises(ConnectionClosed):
                await client.recv()
        assert client.close_code == 1009

    run(main())


# Pings


def test_pings_of_the_peer(served: Served) -> None:
    async def main() -> None:
        async with served.connect("/feed") as client:
            assert await (await client.ping("one")) >= 0
            assert await (await client.ping("two")) >= 0

    run(main())


def test_methods_for_pings(served: Served) -> None:
    async def main() -> None:
        async with served.connect("/methods") as client:
            await client.send("ping")
            assert await client.recv() == "True"
            await client.send("pings")
            assert await client.recv() == "<class 'ValueError'>"
            await client.send("pong")
            assert await client.recv() == "None"

    run(main())


# Closing


@pytest.mark.parametrize("path", ["/feed", "/receive", "/wait", "/send"])
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (4000, "x")])
def test_the_peer_closes(served: Served, path: str, code: int, reason: str) -> None:
    async def main() -> ClientConnection:
        async with served.connect(path, max_queue=None) as client:
            if path == "/send":
                await client.recv()
            await client.close(code, reason)
        return client

    client = run(main())
    assert client.close_code == code
    assert client.close_reason == reason


@pytest.mark.parametrize("path", ["/iterate", "/receive", "/send", "/wait"])
def test_the_handler_ends_when_the_peer_is_gone(served: Served, path: str) -> None:
    name = f"gone{next(names)}"

    async def main() -> None:
        offer: Any = ["chat"] if path == "/iterate" else None
        uri = f"{path}?name={name}"
        async with served.connect(uri, subprotocols=offer) as client:
            if path in ("/iterate", "/send"):
                await client.recv()
            client.transport.abort()

    run(main())
    served.program.wait_for(f"({name} ended)")


def test_the_application_closes(served: Served) -> None:
    async def main() -> ClientConnection:
        async with served.connect("/close") as client:
            await client.wait_closed()
        return client

    client = run(main())
    assert (client.close_code, client.close_reason) == (4001, "bye")


def test_the_application_drops_the_connection(served: Served) -> None:
    async def main() -> ClientConnection:
        async with served.connect("/drop") as client:
            await client.wait_closed()
        return client

    assert run(main()).close_code == 1006


# The opening handshake


def test_pages_are_served_as_well(served: Served) -> None:
    assert served.get("/") == "a page"


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["superchat", "chat"], "chat"), (["superchat"],) * 2]
)
def test_subprotocols(served: Served, offered: list[Any], chosen: Any) -> None:
    async def main() -> None:
        async with served.connect("/iterate", subprotocols=offered) as client:
            expected = offered[-1] if isinstance(chosen, list) else chosen
            assert client.subprotocol == expected
            assert await client.recv() == repr(expected)

    run(main())


def test_no_common_subprotocol(served: Served) -> None:
    async def main() -> None:
        with pytest.raises(InvalidStatus) as caught:
            await served.connect("/iterate", subprotocols=["other"])
        assert caught.value.response.status_code == 400

    run(main())


def test_a_request_that_is_no_upgrade(served: Served) -> None:
    async def main() -> bytes:
        peer = Raw(*await asyncio.open_connection("127.0.0.1", served.port))
        async with peer:
            peer.send(b"GET /feed HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return await peer.read_head()

    head = run(main())
    assert head.startswith(b"HTTP/1.1 426 ")
    if "adapter" in served.variant:
        assert b"\r\nupgrade: websocket\r\n" in head.lower()


# Methods of the handler's connection


def test_methods_that_receive(served: Served) -> None:
    async def main() -> None:
        async with served.connect("/methods") as client:
            await client.send("recv 0")
            assert await client.recv() == "None"
            await client.send("recv soon")
            assert await client.recv() == "None"
            await client.send("recv later")
            await client.send("this")
            assert await client.recv() == "'this'"
            await client.send("burst")
            assert await client.recv() == "ready"
            for message in ("a", "b", "end"):
                await client.send(message)
            assert await client.recv() == "['a', 'b', 'end']"
            await client.send("two")
            assert await client.recv() == "ready"
            await client.send("first")
            assert await client.recv() == "('ServerError', 'first')"
            await client.send("wrong")
            assert await client.recv() == "['TypeError', 'TypeError']"

    run(main())


def test_receiving_in_parts(served: Served) -> None:
    async def main() -> None:
        async with served.connect("/methods") as client:
            await client.send("stream")
            assert await client.recv() == "ready"
            await client.send(["ab", "cd", "ef"])
            assert await client.recv() == "'abcdef'"

    run(main())


# What only the adapter does


def test_frames_right_behind_the_request(adapted: Served) -> None:
    """They are lost by Sanic."""

    async def main() -> None:
        async with await adapted.open("/feed", masked(FIN | TEXT, b"early")) as peer:
            assert await peer.read_frame() == (0x81, b"early")
            peer.send_frame(FIN | BINARY, b"late")
            assert await peer.read_frame() == (0x82, b"late")

    run(main())


def test_iterating_ends_when_the_peer_closes(adapted: Served) -> None:
    name = f"iterating{next(names)}"

    async def main() -> None:
        uri = f"/iterate?name={name}"
        async with adapted.connect(uri, subprotocols=["chat"]) as client:
            await client.recv()

    run(main())
    adapted.program.wait_for(f"({name} ended\n)")


@pytest.mark.parametrize("lost", [True, False])
def test_the_last_messages_arrive(adapted: Served, lost: bool) -> None:
    """Even if the handler does other things when the connection closes."""
    name = f"last{next(names)}"

    async def main() -> None:
        async with await adapted.open(f"/after?name={name}") as peer:
            peer.send_frame(FIN | TEXT, b"first")
            assert await peer.read_frame() == (0x81, b"'first'")
            peer.send_frame(FIN | TEXT, f"{name} a".encode())
            peer.send_frame(FIN | TEXT, f"{name} b".encode())
            if not lost:
                peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                assert await peer.read_frame() == (0x88, b"\x03\xe8")

    run(main())
    assert adapted.get("/go-on") == "done"
    adapted.program.wait_for(f"(got {name} a\ngot {name} b\n{name} ended with)")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (masked(FIN | TEXT, b"\xff"), 1007),
        (masked(FIN | 0x3, b""), 1002),
        (masked(FIN | CONT, b""), 1002),
        (b"\x81\x00", 1002),
    ],
)
def test_what_a_peer_does_wrong(adapted: Served, frame: bytes, code: int) -> None:
    """That ends its connection, and nothing is in the log but a line."""
    name = f"wrong{next(names)}"

    async def main() -> None:
        async with await adapted.open(f"/receive?name={name}") as peer:
            peer.send(frame)
            first, payload = await peer.read_frame()
            assert (first, payload[:2]) == (0x88, code.to_bytes(2, "big"))

    run(main())
    adapted.program.wait_for(f"({name} ended with CancelledError)")


@pytest.mark.parametrize("behind", [b"", masked(FIN | TEXT, b"unread")])
def test_the_peer_is_gone_before_its_pong(adapted: Served, behind: bytes) -> None:
    name = f"pinged{next(names)}"

    async def main() -> None:
        async with await adapted.open(f"/ping?name={name}", behind) as peer:
            assert (await peer.read_frame())[0] == 0x89
            assert await peer.read_frame() == (0x81, b"sent")

    run(main())
    adapted.program.wait_for(f"({name} ended with CancelledError)")


def test_parts_to_send(adapted: Served) -> None:
    async def main() -> None:
        async with await adapted.open("/parts") as peer:
            frames = [await peer.read_frame() for _ in range(3)]
            assert frames == [(0x01, b"a"), (0x00, b"b"), (0x80, b"")]

    run(main())


def test_the_server_stops() -> None:
    """Who is connected is told, and the process ends."""
    served = Served("adapter")

    async def main() -> ClientConnection:
        async with served.connect("/wait") as client:
            served.program.process.terminate()
            await client.wait_closed()
        return client

    try:
        assert run(main()).close_code == 1000
        assert served.program.process.wait(TIMEOUT) == 0
    finally:
        served.program.end()
    assert "Traceback" not in served.program.log


def test_an_error_of_the_application() -> None:
    served = Served("adapter")

    async def main() -> ClientConnection:
        async with served.connect("/raise") as client:
            await client.wait_closed()
        return client

    try:
        assert run(main()).close_code == 1000
        served.program.wait_for("(RuntimeError: a bug of the application)")
    finally:
        served.program.end()
    assert served.program.log.count("Traceback") == 1


def test_tls(certificate: tuple[Path, Path], start: Start) -> None:
    program = start(*VARIANTS["adapter"], "tls", *map(str, certificate))
    port = program.wait_for(r"listening on (\d+)")

    async def main() -> None:
        uri = f"wss://127.0.0.1:{port}/feed"
        context = ssl.create_default_context(cafile=certificate[0])
        async with connect(uri, proxy=None, ssl=context) as client:
            for message in ("Hello", bytes(300_000)):
                await client.send(message)
                assert await client.recv() == message
        assert client.close_code == 1000

    run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has none")
def test_a_unix_socket(socket_path: str, start: Start) -> None:
    path = socket_path
    start(*VARIANTS["adapter"], "unix", path).wait_for("(Worker ready)")

    async def main() -> None:
        async with unix_connect(path, "ws://localhost/feed") as client:
            await client.send("Hello")
            assert await client.recv() == "Hello"
        assert client.close_code == 1000

    run(main())


def test_without_sanic() -> None:
    script = "import sys; sys.modules['sanic'] = None; import sansocket.sanic"
    done = run_python("-c", script)
    error = done.stderr.splitlines()[-1]
    assert error.startswith("ImportError: sansocket.sanic needs sansocket[sanic]: ")
