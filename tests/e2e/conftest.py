"""Fixtures: servers, a certificate, Node's client and a browser."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.server as reference

from sansocket import Request, ServerProtocol

from ..children import run
from .chromium import Browser
from .support import TIMEOUT, Answer, Server, need

HERE = Path(__file__).parent


@contextlib.contextmanager
def starting() -> Iterator[Callable[..., Server]]:
    """Start servers, with options; none of them may ever log a traceback."""
    servers: list[Server] = []

    def begin(*options: str, cwd: Path | None = None, start: bool = True) -> Server:
        errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed below
        servers.append(Server(errors, *options, cwd=cwd))
        if start:
            servers[-1].start()
        return servers[-1]

    yield begin
    for server in servers:
        server.end()
    logs = [server.log() for server in servers]
    for server in servers:
        server.errors.close()
    assert not [log for log in logs if "Traceback" in log]


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers that a test has for itself."""
    with starting() as begin:
        yield begin


@pytest.fixture(scope="session")
def served() -> Iterator[Server]:
    """A server for tests that neither stop it nor look at its log."""
    with starting() as begin:
        yield begin()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for the loopback address, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    paths = folder / "certificate.pem", folder / "key.pem"
    options = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost"
    )
    run(
        [need("openssl"), *options.split(), "-out", paths[0], "-keyout", paths[1]],
        check=True,
        capture_output=True,
        timeout=TIMEOUT,
    )
    return paths


@pytest.fixture(scope="session")
def node_folder(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with client.mjs where Node finds the ``ws`` package."""
    need("node")
    npm = need("npm")
    package = (HERE / "package.json").read_bytes()
    script = (HERE / "client.mjs").read_bytes()
    version = hashlib.sha256(package + script).hexdigest()[:16]
    cache = getattr(pytestconfig, "cache", None)  # gone with -p no:cacheprovider
    folders = cache.mkdir("e2e-node") if cache else tmp_path_factory.mktemp("node")
    final = folders / version
    if final.exists():
        return final
    # Several test processes may do this at once: the first to finish wins.
    scratch = Path(tempfile.mkdtemp(dir=folders))
    (scratch / "package.json").write_bytes(package)
    (scratch / "client.mjs").write_bytes(script)
    run(
        [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"],
        cwd=scratch,
        check=True,
        capture_output=True,
        timeout=3 * TIMEOUT,
    )
    try:
        os.rename(scratch, final)
    except OSError:
        shutil.rmtree(scratch)
    return final


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium with a fresh profile."""
    program = need("chromium", "chromium-browser", "google-chrome", "chrome")
    with Browser(program) as browser:
        yield browser


@pytest.fixture
def answer() -> Iterator[Callable[[Answer], str]]:
    """Start servers of the websockets package that do what a test says."""
    servers: list[reference.Server] = []

    def begin(handler: Answer, **options: Any) -> str:
        server = reference.serve(handler, "127.0.0.1", 0, **options)
        threading.Thread(target=server.serve_forever).start()
        servers.append(server)
        scheme = "wss" if "ssl" in options else "ws"
        return f"{scheme}://127.0.0.1:{server.socket.getsockname()[1]}/"

    yield begin
    for server in servers:
        server.shutdown()


@pytest.fixture
def mute() -> Iterator[str]:
    """A server that opens connections, and then neither reads nor writes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):  # the test is over
                while True:
                    sock, _ = listener.accept()
                    protocol = ServerProtocol()
                    protocol.receive_data(sock.recv(65536))
                    (request,) = protocol.events_received()
                    assert isinstance(request, Request)
                    protocol.send_response(protocol.accept(request))
                    sock.sendall(b"".join(protocol.data_to_send()))
                    kept.append(sock)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)  # ends the waiting for another one
        thread.join(TIMEOUT)
    for sock in kept:
        sock.close()
