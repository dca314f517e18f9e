"""A terminal in which ``sansocket connect`` runs, and what stands on its screen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pexpect  # type: ignore[import-untyped] # has no annotations
import pyte

from .support import TIMEOUT, environment

COLUMNS, LINES = 100, 40


class Terminal:
    """A terminal with the command in it.

    Args:
        arguments: those of the command.
        variables: more of the environment.

    Attributes:
        raw: all that reached the terminal.

    """

    def __init__(self, *arguments: str, **variables: str) -> None:
        # Or it would wait for the terminal to answer where its cursor is.
        variables |= {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.process: Any = pexpect.spawn(
            sys.executable,
            ["-m", "sansocket", "connect", *arguments],
            env=environment() | variables,
            dimensions=(LINES, COLUMNS),
            timeout=TIMEOUT,
        )
        self.screen: Any = pyte.Screen(COLUMNS, LINES)
        self.stream: Any = pyte.ByteStream(self.screen)
        self.raw = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.close(force=True)

    def type(self, text: str) -> None:
        """Press keys."""
        self.process.send(text)

    def lines(self) -> list[str]:
        """What stands on the screen."""
        return [line.rstrip() for line in self.screen.display]

    def wait_for(self, line: str) -> int:
        """Wait until a line stands on the screen; return which one it is."""
        self.wait_until(lambda: line in self.lines())
        return self.lines().index(line)

    def wait_for_part(self, text: str) -> None:
        """Wait until some text stands on the screen."""
        self.wait_until(lambda: any(text in line for line in self.lines()))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Take what comes until something is so."""
        try:
            while not condition():
                self.feed()
        except pexpect.EOF:
            raise AssertionError(f"it ended with {self.lines()}") from None

    def wait(self) -> int:
        """Wait for the end; return the exit status."""
        try:
            while True:
                self.feed()
        except pexpect.EOF:
            self.process.close()
        status: int = self.process.exitstatus
        return status

    def feed(self) -> None:
        """Take what comes next."""
        data: bytes = self.process.read_nonblocking(65536, TIMEOUT)
        self.raw += data
        self.stream.feed(data)

    def colours(self, line: int) -> Iterator[str]:
        """The colours of the signs of a line."""
        for column in range(COLUMNS):
            yield self.screen.buffer[line][column].fg
