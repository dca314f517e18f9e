"""What the README shows is true: its code, its commands, its table, its links."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from websockets.asyncio.client import connect

import sansocket
from sansocket.asyncio import serve

from .children import Child
from .core.support import CLOSE, CONT, FIN, TEXT, masked, read_frames, request_bytes
from .pure import load_pure
from .source import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "examples"


def blocks(language: str) -> list[str]:
    """Code blocks of a language."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return found


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example with asyncio, imported as if run; it imports the other one."""
    monkeypatch.syspath_prepend(EXAMPLES)
    yield importlib.import_module("asyncio_echo")
    for name in ("asyncio_echo", "receive"):
        del sys.modules[name]


def test_code_is_that_of_the_examples() -> None:
    examples = [path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.py")]
    assert len(blocks("python")) == len(examples) == 6
    for block in blocks("python"):
        assert any(block.strip() in example for example in examples), block


def test_the_server_on_select() -> None:
    """With real clients: several at once, large messages, an orderly end, a cut."""

    async def talk(port: int, size: int) -> None:
        async with connect(f"ws://localhost:{port}", proxy=None) as client:
            for number in range(20):
                message = f"{number}" * size
                await client.send(message)
                assert await client.recv() == message
        assert client.close_code == 1000

    async def main(port: int) -> None:
        cut = await connect(f"ws://localhost:{port}", proxy=None)
        cut.transport.abort()
        await asyncio.gather(*(talk(port, size) for size in (1, 1000, 50_000)))

    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path[:0] = [{str(EXAMPLES)!r}]\n",
    ]
    command[-1] += (
        "import select_echo, socket\n"
        "real = socket.create_server\n"
        "socket.create_server = lambda address: real((address[0], 0))\n"
        "select_echo.main()\n"
    )
    with Child(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline().split()[-1])
        asyncio.run(main(port))
        child.end()


def test_bytes_in_bytes_out(example: ModuleType) -> None:
    websocket = sansocket.ServerProtocol()
    stream = request_bytes() + masked(TEXT, b"Hel") + masked(FIN | CONT, b"lo")
    stream += masked(FIN | TEXT, b"late") + masked(FIN | CLOSE, b"\x03\xe8")
    written = b""
    for octet in stream:
        written += b"".join(example.receive(websocket, bytes([octet])))
    head, _, rest = written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    echoes = [(TEXT, b"Hel"), (FIN | CONT, b"lo"), (FIN | TEXT, b"late")]
    assert read_frames(rest, "server") == [*echoes, (FIN | CLOSE, b"\x03\xe8")]


def test_bytes_in_one_piece(example: ModuleType) -> None:
    """A close frame that came in the same read leaves nobody to send echoes to."""
    websocket = sansocket.ServerProtocol()
    stream = request_bytes() + masked(FIN | TEXT, b"a") + masked(FIN | CLOSE)
    written = example.receive(websocket, stream)
    assert written[-1] is sansocket.SEND_EOF
    frames = read_frames(b"".join(written).partition(b"\r\n\r\n")[2], "server")
    assert frames == [(FIN | CLOSE, b"")]


async def talk(echo: type[asyncio.Protocol]) -> tuple[list[str | bytes], int | None]:
    """Send messages to a server, and close."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, connect(f"ws://127.0.0.1:{port}/", proxy=None) as client:
        await client.send("Hello")
        await client.send(["frag", "ments"])
        await client.send(bytes(100_000))
        echoes = [await client.recv() for _ in range(3)]
        await client.close(1001)
    return echoes, client.close_code


def test_asyncio_example(example: ModuleType) -> None:
    echoes, code = asyncio.run(talk(example.Echo))
    assert echoes == ["Hello", "fragments", bytes(100_000)]
    assert code == 1001


def test_server_of_functions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    server = importlib.import_module("callback_echo")
    client = importlib.import_module("hello_client")

    async def main() -> None:
        async with serve(None, "127.0.0.1", 0, on_message=server.echo) as running:
            port = running.sockets[0].getsockname()[1]
            await client.hello(f"ws://127.0.0.1:{port}")

    asyncio.run(main())
    assert capsys.readouterr().out == "Hello\n"


def test_server_and_client(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the asyncio driver: the client's message comes back."""
    monkeypatch.syspath_prepend(EXAMPLES)
    server = importlib.import_module("echo_server")
    client = importlib.import_module("hello_client")

    async def main() -> None:
        async with serve(server.echo, "127.0.0.1", 0) as running:
            port = running.sockets[0].getsockname()[1]
            await client.hello(f"ws://127.0.0.1:{port}")

    asyncio.run(main())
    assert capsys.readouterr().out == "Hello\n"


def test_commands_are_what_ci_runs() -> None:
    first, second, *_ = blocks("sh")
    assert first == "pip install . && sansocket serve\n"
    assert second == "pip install -e '.[dev]' && pytest\n"
    assert "readme_command" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_defaults_are_those_of_the_signature() -> None:
    source = load_pure()  # compiled classes have no signatures to look at
    parameters = inspect.signature(source.ServerProtocol).parameters
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", README, re.MULTILINE)
    assert len(rows) == 11
    for name, default in rows:
        assert parameters[name].default == ast.literal_eval(default), name


def test_names_exist() -> None:
    for name in {*re.findall(r"`sansocket\.([\w.]+)`", README)} - {"server"}:
        importlib.import_module(f"sansocket.{name}")
    for name in re.findall(r"`(\w+)\(", README):
        assert hasattr(sansocket.ServerProtocol, name) or hasattr(sansocket, name)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    for link in links:
        assert link.startswith("https://pypi.org/") or (ROOT / link).exists(), link
