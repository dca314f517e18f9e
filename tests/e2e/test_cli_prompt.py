"""``sansocket connect`` at a terminal: with its prompt, and without the extra."""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websockets.sync.server as reference

from sansocket import Request, ServerProtocol

from .support import TIMEOUT, Answer, Server

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)
from .terminal import Terminal

pytestmark = pytest.mark.timeout(120)

Start = Callable[..., Terminal]

CTRL_C, CTRL_D, UP, ENTER = "\x03", "\x04", "\x1b[A", "\r"
CLOSED = "closed with 1000 (OK), answered with 1000 (OK)"
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m\tx\r> forged\n> line"
HARMLESS = r"< \x1b]0;owned\x07\x1b[2J\u202e\x9b31m\tx\r> forged"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the command in terminals; its history is empty at first."""
    terminals: list[Terminal] = []

    def start(*arguments: str, **variables: str) -> Terminal:
        variables = {"XDG_STATE_HOME": str(tmp_path / "state")} | variables
        terminals.append(Terminal(*arguments, **variables))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.__exit__()
        assert b"Traceback" not in terminal.raw


@pytest.fixture
def plainly(tmp_path: Path, start: Start) -> Start:
    """The same without the extra."""
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "prompt_toolkit.py").write_text("raise ImportError('not installed')\n")

    def plainly(*arguments: str) -> Terminal:
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        return start(*arguments, PYTHONPATH=os.pathsep.join(paths))

    return plainly


def greeting(url: str) -> str:
    return f"connected to {url} with permessage-deflate; /help lists commands"


def test_prompt(served: Server, start: Start) -> None:
    url = served.url
    with start(url) as terminal:
        terminal.wait_for(greeting(url))
        terminal.type("Hello, Wörld" + ENTER)
        line = terminal.wait_for("< Hello, Wörld")
        assert set(terminal.colours(line)) >= {"green"}
        assert terminal.lines()[line - 1] == "> Hello, Wörld"
        terminal.type("/hex 00 FF1b" + ENTER)
        line = terminal.wait_for("< 00 ff 1b")
        assert set(terminal.colours(line)) >= {"cyan"}
        terminal.type("//slash" + ENTER)
        terminal.wait_for("< /slash")
        terminal.type("/ping" + ENTER)
        terminal.wait_for_part("pong after ")
        terminal.type("/help" + ENTER)
        terminal.wait_for_part("/hex 00 ff ...  ")
        for wrong, told in (
            ("/sing", "'/sing' is not a command: type /help for a list"),
            ("/hex 0", "'0' is not hexadecimal: write /hex 00 ff"),
            ("/close now", "'now' is not a close code: give 1000, or 3000 to 4999"),
        ):
            terminal.type(wrong + ENTER)
            terminal.wait_for(told)
        terminal.type("/close 1005" + ENTER)  # must not be sent
        terminal.wait_for_part("1005")
        terminal.type("still open" + ENTER)
        terminal.wait_for("< still open")
        terminal.type(CTRL_D)
        terminal.wait_for(CLOSED)
        assert terminal.wait() == 0


def test_editing_and_ctrl_c(served: Server, start: Start) -> None:
    url = served.url
    with start(url) as terminal:
        terminal.wait_for(greeting(url))
        terminal.type("helo\x1b[Dl" + ENTER)  # the cursor moves left
        terminal.wait_for("< hello")
        terminal.type("not this")
        terminal.wait_for("> not this")
        terminal.type(CTRL_C)
        terminal.type("but this" + ENTER)
        terminal.wait_for("< but this")
        assert "< not this" not in terminal.lines()
        terminal.type(CTRL_C)
        terminal.wait_for(CLOSED)
        assert terminal.wait() == 0


def test_history_is_kept(served: Server, start: Start, tmp_path: Path) -> None:
    url = served.url
    for keys in ("first" + ENTER, UP + "!" + ENTER):
        with start(url) as terminal:
            terminal.wait_for(greeting(url))
            terminal.type(keys)
            terminal.wait_for("< first" + "!" * ("!" in keys))
            terminal.type(CTRL_D)
            assert terminal.wait() == 0
    file = tmp_path / "state" / "sansocket" / "history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().count("+first") == 2


def test_no_history(served: Server, start: Start, tmp_path: Path) -> None:
    url = served.url
    with start(url, "--no-history") as terminal:
        terminal.wait_for(greeting(url))
        terminal.type("first" + ENTER)
        terminal.wait_for("< first")
        terminal.type(UP + "again" + ENTER)
        terminal.wait_for("< firstagain")
        terminal.type(CTRL_D)
        assert terminal.wait() == 0
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("how", ["start", "plainly"])
def test_sec_40_what_a_peer_sends_cannot_drive_the_terminal(
    request: pytest.FixtureRequest, answer: Callable[[Answer], str], how: str
) -> None:
    """Control characters are escaped, and no line passes for ours (SEC-40)."""

    def handler(peer: reference.ServerConnection) -> None:
        peer.send(HOSTILE)
        peer.close(4000, "\x1b[2J\u202e")

    with request.getfixturevalue(how)(answer(handler)) as terminal:
        assert terminal.wait() == 3
        line = terminal.wait_for(HARMLESS)
        assert terminal.lines()[line + 1] == "  > line"
        terminal.wait_for_part(r"4000")
        assert terminal.screen.title == ""
        assert b"\x1b]0;owned" not in terminal.raw
        assert "\u202e".encode() not in terminal.raw
        if how == "start":
            assert set(terminal.colours(line)) >= {"green", "magenta"}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("é" * 20_000, " ... 20000 characters in total"),
        (bytes(1000), " ... 1000 bytes in total"),
    ],
)
def test_long_messages_are_cut(
    start: Start, answer: Callable[[Answer], str], message: str | bytes, shown: str
) -> None:
    with start(answer(lambda peer: peer.send(message))) as terminal:
        assert terminal.wait() == 0
    text = "".join(terminal.lines())
    assert shown in text


def test_the_server_ends_it(start: Start, answer: Callable[[Answer], str]) -> None:
    """While something is being typed: the terminal is as it was before."""

    def handler(peer: reference.ServerConnection) -> None:
        peer.recv()
        peer.close(1011, "out of tea")

    with start(answer(handler)) as terminal:
        terminal.wait_for_part("connected")
        terminal.type("go" + ENTER + "half a li")
        terminal.wait_for_part("peer closed with 1011 (internal error) out of tea")
        assert terminal.wait() == 3
        assert terminal.raw.rstrip().endswith(b"\x1b[?2004l") or (
            terminal.raw.count(b"\x1b[?2004h") == terminal.raw.count(b"\x1b[?2004l")
        )  # no longer in the mode of a prompt


def test_close_with_a_code(start: Start, served: Server) -> None:
    url = served.url
    with start(url) as terminal:
        terminal.wait_for(greeting(url))
        terminal.type("/close 3001 good bye" + ENTER)
        assert terminal.wait() == 3
        terminal.wait_for_part("closed with 3001")


def test_ping_every_so_often(start: Start, served: Server) -> None:
    with start(served.url, "--ping", "0.01") as terminal:
        while len(re.findall(r"pong after [\d.]+ ms", "".join(terminal.lines()))) < 3:
            terminal.feed()
        terminal.type(CTRL_C)
        assert terminal.wait() == 0


def test_log_lines_stand_above_the_prompt(start: Start, served: Server) -> None:
    with start(served.url, "-vv") as terminal:
        terminal.type("hello" + ENTER)
        terminal.wait_for("< hello")
        terminal.wait_for_part("DEBUG 127.0.0.1:")
        terminal.type(CTRL_D)
        assert terminal.wait() == 0


# Without the extra.


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
def test_without_the_extra(plainly: Start, served: Server, key: str) -> None:
    url = served.url
    with plainly(url) as terminal:
        terminal.wait_for("pip install 'sansocket[cli]' adds colors and line editing")
        terminal.wait_for(greeting(url))
        terminal.type("hello" + ENTER)
        terminal.wait_for("< hello")
        terminal.type("/hex 00ff" + ENTER)
        terminal.wait_for("< 00 ff")
        terminal.type(key)
        terminal.wait_for_part(CLOSED)  # the terminal shows ^C before it
        assert terminal.wait() == 0


def test_a_second_ctrl_c_does_not_wait(plainly: Start) -> None:
    """The first one must have come, as two signals at once are one."""
    closing = threading.Event()

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            protocol = ServerProtocol()
            protocol.receive_data(sock.recv(65536))
            (request,) = protocol.events_received()
            assert isinstance(request, Request)
            protocol.send_response(protocol.accept(request))
            sock.sendall(b"".join(protocol.data_to_send()))
            while sock.recv(65536):  # the close frame, which nobody answers
                closing.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        end_twice(plainly(url, "--close-timeout", "3600"), closing)
        thread.join(TIMEOUT)


def end_twice(terminal: Terminal, closing: threading.Event) -> None:
    """Type Ctrl-C, and again when the server was told."""
    with terminal:
        terminal.wait_for_part("connected")
        terminal.type(CTRL_C)
        assert closing.wait(TIMEOUT)
        terminal.type(CTRL_C)
        terminal.wait_for_part("closed with 1000 (OK); the peer did not answer")
        assert terminal.wait() == 4
