"""uvicorn as a process of its own, as people start it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.children import Child

from .processes import TIMEOUT, run_python
from .uvicorn_support import OURS


@pytest.mark.parametrize(
    ("http", "loop"), [("h11", "asyncio"), ("httptools", "uvloop")]
)
def test_the_command(http: str, loop: str) -> None:
    for name in (http, loop):
        pytest.importorskip(name)
    command = [sys.executable, "-m", "uvicorn", "tests.adapters.uvicorn_app:app"]
    options = ["--ws", OURS, "--http", http, "--loop", loop, "--port", "0"]
    with Child(command + options, stderr=subprocess.PIPE, text=True) as process:
        log = talk(process)
        assert process.wait(TIMEOUT) in (0, -signal.SIGINT)
    assert '"WebSocket /echo" [accepted]' in log
    assert "Finished server process" in log
    assert "Traceback" not in log


def talk(process: Child) -> str:
    """Send messages, then stop the server as Ctrl-C does; return its log."""
    assert process.stderr is not None
    log = ""
    while not (found := re.search(r"running on http://127.0.0.1:(\d+)", log)):
        line = process.stderr.readline()
        assert line, log
        log += line
    with connect(f"ws://127.0.0.1:{found[1]}/echo", proxy=None) as client:
        for message in ("Wörld", b"\0\xff", bytes(500_000)):
            client.send(message)
            assert client.recv(TIMEOUT) == message
        process.send_signal(signal.SIGINT)
        with pytest.raises(ConnectionClosed):
            client.recv(TIMEOUT)
    assert client.close_code == 1012
    return log + str(process.stderr.read())


def test_without_uvicorn() -> None:
    """The error tells what to install."""
    code = "import sys; sys.modules['uvicorn'] = None; import sansocket.uvicorn"
    done = run_python("-c", code)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "ImportError: sansocket.uvicorn needs uvicorn: pip install 'sansocket[uvicorn]'"
    )
