"""Runs a command that ends in ``sansocket serve`` and talks to the server.

Run it with ``python -m tests.smoke COMMAND ...``. It needs the websockets package, the
command ``sansocket`` that was installed, and nothing of the tree. Exit status 1 if
anything is not as it should be.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from urllib.request import ProxyHandler, build_opener

from websockets.sync.client import connect

TIMEOUT = 60
MESSAGES: list[str | bytes] = [
    "Hello, Wörld!",
    "",
    b"\x00\xff",
    "é" * 50_000,
    bytes(500_000),
]


def main(command: list[str]) -> int:
    """Start the command, try the server, and stop it as Ctrl-C does."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        urls = read_urls(process)
        try_websocket(urls["ws"])
        try_page(urls["http"])
        try_connect(urls["ws"])
        os.killpg(process.pid, signal.SIGINT)
        status = process.wait(TIMEOUT)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    print(f"smoke run: {len(MESSAGES)} messages and the page, exit status {status}")
    return int(status != 0)


def read_urls(process: subprocess.Popen[str]) -> dict[str, str]:
    """The addresses that the server prints, by scheme; pass on what comes before."""
    urls: dict[str, str] = {}
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        scheme, colon, _ = line.partition("://")
        if colon and scheme in ("ws", "http"):
            urls[scheme] = line.split()[0]
        if len(urls) == 2:
            return urls
    raise SystemExit("the server did not start")


def try_websocket(url: str) -> None:
    """Send messages, compressed, and expect them back."""
    with connect(url, proxy=None) as client:
        assert [extension.name for extension in client.protocol.extensions]
        for message in MESSAGES:
            client.send(message)
            assert client.recv(TIMEOUT) == message
        assert client.ping().wait(TIMEOUT)
    assert client.close_code == 1000


def try_page(url: str) -> None:
    """Load the page as a browser does."""
    with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT) as response:
        assert response.status == 200
        assert b"<title>" in response.read()


def try_connect(url: str) -> None:
    """Send a line through the client, as in a pipe."""
    done = subprocess.run(
        ["sansocket", "connect", url],
        input=b"hi\n",
        stdout=subprocess.PIPE,
        timeout=TIMEOUT,
        check=True,
    )
    assert done.stdout == b"hi\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
