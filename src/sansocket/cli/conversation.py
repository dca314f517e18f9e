"""The conversation of ``sansocket connect``: lines out, messages in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import ssl
import sys

from ..asyncio import connect, unix_connect
from ..exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidStatus,
    ProtocolError,
    WebSocketException,
)
from .commands import HELP, Close, Help, LineError, Ping, Send, parse_line
from .log import printable
from .terminal import choose
from .values import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Coroutine
    from typing import Any

    from ..asyncio import ClientConnection
    from .terminal import Pipe

__all__ = ["converse"]

# Exit statuses, as ``sansocket connect --help`` has them.
NORMAL, OTHER_CODE, LOST = 0, 3, 4
SIGNALLED = 128  # and the number of the signal


def converse(options: argparse.Namespace) -> int:
    """Connect, and talk until either side closes; return the exit status.

    Raises:
        CommandError: if there is no connection.

    """
    terminal = choose(options.quiet, options.history)
    with terminal.open():
        return asyncio.run(Conversation(options, terminal).run())


class Conversation:
    """One connection, and the person or pipe that uses it.

    Args:
        options: those of the command line.
        terminal: where lines come from and messages go.

    """

    connection: ClientConnection

    def __init__(self, options: argparse.Namespace, terminal: Pipe) -> None:
        self.options = options
        self.terminal = terminal
        self.signal = 0  # which one ended the conversation
        self.last = 0.0  # when a message came, or the input ended
        self.tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Talk; return the exit status.

        Raises:
            CommandError: if there is no connection.

        """
        connecting = asyncio.current_task()
        assert connecting is not None
        self.handle_signals(connecting, lambda: None)
        try:
            self.connection = await self.connect()
        except asyncio.CancelledError:
            return SIGNALLED + self.signal
        self.terminal.status(self.greeting())
        receiving = self.start(self.receive())
        talking = self.start(self.talk(receiving))
        if self.options.ping is not None:
            self.start(self.ping_on())
        self.handle_signals(talking, self.connection.transport.abort)
        await asyncio.wait([receiving, talking], return_when=asyncio.FIRST_COMPLETED)
        await self.close()
        await receiving
        return self.farewell()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self.tasks.append(task)
        return task

    def handle_signals(
        self, task: asyncio.Task[Any], hurry: Callable[[], None]
    ) -> None:
        """Let SIGINT and SIGTERM end a task; then, or after that, hurry."""
        loop = asyncio.get_running_loop()

        def end(number: int) -> None:
            if self.signal or task.done():
                hurry()
            else:
                task.cancel()
            self.signal = number

        with contextlib.suppress(NotImplementedError):  # Windows
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, end, number)

    # --- the beginning and the end

    async def connect(self) -> ClientConnection:
        """Connect.

        Raises:
            CommandError: if that is not possible.

        """
        options = self.options
        arguments: dict[str, Any] = {
            "origin": options.origin,
            "subprotocols": options.subprotocols,
            "compression": "deflate" if options.compression else None,
            "additional_headers": options.headers,
            "open_timeout": options.open_timeout,
            "close_timeout": options.close_timeout,
            "max_size": options.max_size,
        }
        if options.uri.lower().startswith("wss:"):
            arguments["ssl"] = client_context(options)
        try:
            if options.uds is not None:
                path = str(options.uds)
                return await unix_connect(path, options.uri, **arguments)
            return await connect(options.uri, **arguments)
        except (OSError, WebSocketException, ValueError, ImportError) as exc:
            raise CommandError(f"no connection: {explain(exc)}") from exc

    def greeting(self) -> str:
        """What was agreed."""
        connection = self.connection
        agreed = [one.name for one in connection.protocol.extensions]
        if connection.subprotocol is not None:
            agreed.insert(0, f"subprotocol {connection.subprotocol}")
        with_ = f" with {', '.join(agreed)}" if agreed else ""
        hint = "; /help lists commands" if self.terminal.interactive else ""
        return printable(f"connected to {self.options.uri}{with_}{hint}")

    async def close(self) -> None:
        """End what is still going on, and the connection with it."""
        for task in self.tasks[1:]:  # all but receiving
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await task
        await self.connection.close()

    def farewell(self) -> int:
        """Say how it ended; return the exit status."""
        exc = self.connection.protocol.close_exc
        self.terminal.status(printable(str(exc)))
        if self.signal and not (
            self.terminal.interactive and self.signal == signal.SIGINT
        ):
            return SIGNALLED + self.signal
        return status_of(exc)

    # --- the conversation

    async def receive(self) -> None:
        """Show messages until the connection ends."""
        try:
            async for message in self.connection:
                self.last = asyncio.get_running_loop().time()
                self.terminal.receive(message)
        except ConnectionClosed:
            pass  # farewell() tells
        except BrokenPipeError:  # such as by head: nobody wants any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            await self.connection.close()

    async def talk(self, receiving: asyncio.Task[None]) -> None:
        """Send the input, then wait for answers to it."""
        try:
            if self.options.binary:
                await self.connection.send(self.terminal.data(), text=False)
            elif self.terminal.interactive:
                await self.obey()
                return
            else:
                await self.send_lines()
            await self.wait_for_silence(receiving)
        except ConnectionClosed:
            pass

    async def send_lines(self) -> None:
        """Send each line of the input."""
        number = 0
        async for line in self.terminal.lines():
            number += 1
            try:
                await self.connection.send(line.decode())
            except UnicodeDecodeError:
                self.terminal.tell(f"line {number} is not UTF-8, and was not sent")

    async def wait_for_silence(self, receiving: asyncio.Task[None]) -> None:
        """Wait until no message has come for the time of --wait."""
        wait = self.options.wait
        if wait is None:
            await asyncio.wait([receiving])
            return
        loop = asyncio.get_running_loop()
        self.last = loop.time()
        while not receiving.done() and (left := self.last + wait - loop.time()) > 0:
            await asyncio.wait([receiving], timeout=left)

    async def obey(self) -> None:
        """Do what a person types, until the end."""
        async for line in self.terminal.lines():
            try:
                command = parse_line(line.decode(errors="replace"))
                match command:
                    case Send(message):
                        await self.connection.send(message)
                    case Ping():
                        self.start(self.ping())
                    case Help():
                        self.terminal.tell(HELP)
                    case Close(code, reason):
                        await self.connection.close(code, reason)
                        return
            except (LineError, ProtocolError) as exc:
                self.terminal.tell(printable(str(exc)))

    async def ping(self) -> None:
        """Send a ping; show how long its answer took."""
        with contextlib.suppress(ConnectionClosed):
            latency = await (await self.connection.ping())
            self.terminal.tell(f"pong after {latency * 1000:.2f} ms")

    async def ping_on(self) -> None:
        """Ping every so often."""
        while True:
            await self.ping()
            await asyncio.sleep(self.options.ping)


def client_context(options: argparse.Namespace) -> ssl.SSLContext:
    """The TLS context.

    Raises:
        CommandError: if the certificates to trust cannot be read.

    """
    try:
        context = ssl.create_default_context(cafile=options.cafile)
    except (OSError, ssl.SSLError) as exc:
        raise CommandError(f"no certificates in {options.cafile}: {exc}") from exc
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def explain(exc: Exception) -> str:
    """Why there is no connection, in a line."""
    text = str(exc) or type(exc).__name__
    if isinstance(exc, InvalidStatus):
        body = exc.response.body.decode(errors="replace").strip()
        text += f" {exc.response.reason_phrase}"
        text += f": {body.splitlines()[0][:200]}" if body else ""
    elif isinstance(exc, ssl.SSLCertVerificationError):
        text = f"certificate not accepted: {exc.verify_message}"
    elif isinstance(exc, OSError):
        # Of a host with several addresses asyncio joins what it says of each.
        codes = re.findall(r"\[Errno (\d+)\]", text)
        known = dict.fromkeys(os.strerror(int(code)) for code in codes)
        text = ", ".join(known) or exc.strerror or text
    return printable(text)


def status_of(exc: ConnectionClosed) -> int:
    """The exit status for how a connection ended."""
    if isinstance(exc, ConnectionClosedOK):
        return NORMAL
    if exc.rcvd is None and (exc.sent is None or exc.sent.code in (1000, 1001)):
        return LOST
    return OTHER_CODE
