"""Source of lines and destination of messages: a pipe, a terminal, or a prompt.

In a terminal, text of the peer can neither change the state of the terminal nor pass
for a line of ours: control characters are escaped, and all lines of a message but the
first are indented.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import sys
import threading
from itertools import groupby
from pathlib import Path

from .log import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from ..typing import Data

__all__ = ["Pipe", "Prompt", "Terminal", "choose"]

READ_SIZE = 65536
SHOWN_TEXT = 10_000  # characters of a message that a terminal shows
SHOWN_BYTES = 512
# Seconds between prints above the prompt. Each takes the terminal away from the prompt
# for a moment, in which a key such as Ctrl-D would be lost.
PAUSE = 0.05


def choose(quiet: bool, history: bool) -> Pipe:
    """Choose by standard input and output, and by what is installed."""
    if sys.stdin is None:  # closed, as in some services; this opens it again
        sys.stdin = open(os.devnull)  # noqa: SIM115 - for as long as we run
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as we run
    if not sys.stdin.isatty():
        return Pipe(quiet)
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return Terminal(quiet)
    try:
        return Prompt(quiet, history)
    except ImportError:
        terminal = Terminal(quiet)
        terminal.tell("pip install 'sansocket[cli]' adds colors and line editing")
        return terminal


class Pipe:
    """Lines from standard input, unchanged; messages to standard output.

    Args:
        quiet: whether to report nothing about the connection.

    Attributes:
        interactive: whether a person types, so that lines may be commands.
    """

    interactive = False
    wake: socket.socket
    woken: socket.socket

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.wake, self.woken = socket.socketpair()
        # Text that the locale cannot encode must not end the program.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Take over the terminal, if this is one."""
        yield

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield the lines of standard input, without line ends."""
        begun: list[bytes] = []  # pieces of an incomplete line
        async for data in self.data():
            if b"\n" not in data:
                begun.append(data)
                continue
            *lines, tail = b"".join([*begun, data]).split(b"\n")
            begun = [tail]
            for line in lines:
                yield line.removesuffix(b"\r")
        if last := b"".join(begun):
            yield last

    async def data(self) -> AsyncIterator[bytes]:
        """Yield pieces of standard input as they arrive.

        Raises:
            OSError: if standard input cannot be read.
        """
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        room = threading.Semaphore()  # for one piece at a time

        def read() -> None:
            piece: bytes | OSError = b"-"
            with contextlib.suppress(RuntimeError):  # the loop has ended
                while piece and room.acquire():
                    piece = self.read_piece()
                    loop.call_soon_threadsafe(pieces.put_nowait, piece)

        threading.Thread(target=read, daemon=True).start()
        while piece := await pieces.get():
            if isinstance(piece, OSError):
                raise piece
            room.release()
            yield piece

    def finish(self) -> bool:
        """End the input after the part that is available now.

        Returns:
            Whether that is possible.
        """
        if self.interactive or sys.platform == "win32":
            return False
        self.wake.send(b"-")
        return True

    def read_piece(self) -> bytes | OSError:
        """Wait for a piece of standard input; it is empty at the end.

        This avoids ``sys.stdin``, whose lock the thread would hold when the program
        ends.
        """
        try:
            # On Windows, select() supports only sockets.
            if sys.platform != "win32":  # pragma: no branch - not there
                woken = self.woken.fileno()
                ready, _, _ = select.select([0, woken], [], [])
                if 0 not in ready:
                    return b""
            return os.read(0, READ_SIZE)
        except OSError as exc:
            # If the terminal is gone, so is its input.
            return b"" if self.interactive else exc

    def receive(self, message: Data) -> None:
        """Show a message."""
        if sys.stdout.isatty():
            print(shown(message), flush=True)
        else:
            print(message if isinstance(message, str) else message.hex(), flush=True)

    def status(self, text: str) -> None:
        """Report something about the connection."""
        if not self.quiet:
            self.tell(text)

    def tell(self, text: str) -> None:
        """Tell the user something."""
        if sys.stderr is not None:  # print() would use standard output
            with contextlib.suppress(OSError):
                print(text, file=sys.stderr, flush=True)


class Terminal(Pipe):
    """A person, without the extra: the terminal itself provides line editing."""

    interactive = True

    def receive(self, message: Data) -> None:
        """Show a message."""
        if sys.stdout.isatty():
            print("<", shown(message), flush=True)
        else:
            super().receive(message)


class Prompt(Terminal):
    """A prompt with colors, editing and history; messages appear above it.

    Args:
        quiet: whether to report nothing about the connection.
        history: whether to save the lines for the next session.

    Raises:
        ImportError: if the extra is not installed.
    """

    def __init__(self, quiet: bool, history: bool) -> None:
        import prompt_toolkit
        from prompt_toolkit.history import FileHistory

        super().__init__(quiet)
        self.toolkit: Any = prompt_toolkit
        self.style: Any = prompt_toolkit.styles.Style.from_dict(
            {
                "text": "ansigreen",
                "binary": "ansicyan",
                "escaped": "ansimagenta",
                "status": "ansibrightblack",
            }
        )
        path = history_file() if history else None
        self.session: Any = prompt_toolkit.PromptSession(
            history=FileHistory(str(path)) if path else None
        )
        self.unprinted: list[tuple[str, str]] = []
        self.timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Make log lines appear above the prompt."""
        try:
            with self.toolkit.patch_stdout.patch_stdout():
                log_to_standard_error()
                yield
        finally:
            self.flush()
            log_to_standard_error()

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield the lines that the user types."""
        while True:
            try:
                line = await self.session.prompt_async("> ", handle_sigint=False)
            except KeyboardInterrupt:
                if self.session.default_buffer.text:
                    continue  # discard the line
                return
            except EOFError:
                return
            yield line.encode(errors="replace")

    def receive(self, message: Data) -> None:
        """Show a message."""
        kind = "class:text" if isinstance(message, str) else "class:binary"
        parts = [
            ("class:escaped" if escaped else kind, text)
            for escaped, text in pieces_of(message)
        ]
        self.print([(kind, "< "), *parts])

    def tell(self, text: str) -> None:
        """Tell the user something."""
        self.print([("class:status", text)])

    def print(self, parts: list[tuple[str, str]]) -> None:
        """Print above the prompt, after a short delay."""
        self.unprinted += [*parts, ("", "\n")]
        if self.timer is None:
            loop = asyncio.get_running_loop()
            self.timer = loop.call_later(PAUSE, self.flush)

    def flush(self) -> None:
        """Print everything that is waiting to be printed."""
        self.timer = None
        text = self.toolkit.formatted_text.FormattedText(self.unprinted)
        self.unprinted = []
        self.toolkit.print_formatted_text(text, style=self.style, end="")


def log_to_standard_error() -> None:
    """Direct the log to the current standard error."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


def pieces_of(message: Data) -> list[tuple[bool, str]]:
    """Return a message as pieces that are safe for a terminal.

    Each piece is a pair: whether it stands for something not shown, and its text.
    """
    if not isinstance(message, str):
        return [(False, message[:SHOWN_BYTES].hex(" ")), *rest(message, SHOWN_BYTES)]
    pieces = [
        (not harmless, "".join(run) if harmless else printable("".join(run)))
        for harmless, run in groupby(message[:SHOWN_TEXT], is_harmless)
    ]
    pieces = [(escaped, text.replace("\n", "\n  ")) for escaped, text in pieces]
    return pieces + rest(message, SHOWN_TEXT)


def rest(message: Data, limit: int) -> list[tuple[bool, str]]:
    """Return the piece that stands for the omitted part of a message."""
    if len(message) <= limit:
        return []
    unit = "characters" if isinstance(message, str) else "bytes"
    return [(True, f" ... {len(message)} {unit} in total")]


def is_harmless(one: str) -> bool:
    """Whether a character is safe for a terminal."""
    return one == "\n" or printable(one) == one


def shown(message: Data) -> str:
    """Return a message in a form that is safe for a terminal."""
    return "".join(text for _, text in pieces_of(message))


def history_file() -> Path | None:
    """Return the history file, readable by its owner only; ``None`` on failure."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    path = Path(state).expanduser() / "sansocket" / "history"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except (OSError, RuntimeError):
        return None
    return path
