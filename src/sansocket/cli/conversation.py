"""The conversation of ``sansocket connect``: lines go out, messages come in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import ssl

from ..asyncio import connect, unix_connect
from ..exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidStatus,
    ProtocolError,
    WebSocketException,
)
from .commands import HELP, Close, Help, LineError, Ping, Send, parse_line
from .ending import LAST, Ending, Interrupted
from .log import printable
from .terminal import choose
from .values import CommandError, drop_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Coroutine
    from typing import Any

    from ..asyncio import ClientConnection
    from .terminal import Pipe

__all__ = ["converse"]

# Exit statuses, documented in ``sansocket connect --help``.
NORMAL, OTHER_CODE, LOST, INCOMPLETE = 0, 3, 4, 5
SIGNALLED = 128  # plus the number of the signal


def converse(options: argparse.Namespace) -> int:
    """Connect, and talk until either side closes; return the exit status.

    Raises:
        CommandError: if the connection cannot be made.
    """
    signals = [signal.SIGINT, signal.SIGTERM]
    ending = Ending(options.close_timeout + LAST, signals)
    ending.status = lambda number: SIGNALLED + number
    try:
        with ending.interruptible():
            terminal = choose(options.quiet, options.history)
            with terminal.open():
                ending.hold()
                return asyncio.run(Conversation(options, terminal, ending).run())
    except Interrupted:
        return SIGNALLED + ending.number
    finally:
        ending.finish()


class Conversation:
    """A connection, and the person or pipe that uses it.

    Args:
        options: options of the command line.
        terminal: source of lines, and destination of messages.
        ending: signals when to stop.
    """

    connection: ClientConnection

    def __init__(
        self, options: argparse.Namespace, terminal: Pipe, ending: Ending
    ) -> None:
        self.options = options
        self.terminal = terminal
        self.ending = ending
        self.complete: bool = True  # whether everything was sent and shown
        self.wanted: bool = True  # whether messages can be shown at all
        self.last: float = 0.0  # when the last message arrived, or the input ended
        self.tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Talk; return the exit status.

        Raises:
            CommandError: if the connection cannot be made.
        """
        connecting = asyncio.current_task()

        def cancel() -> None:
            assert connecting is not None
            connecting.cancel()

        self.ending.attach(cancel, lambda: None)
        try:
            self.connection = await self.connect()
        except asyncio.CancelledError:
            return SIGNALLED + self.ending.number
        self.terminal.status(self.greeting())
        receiving = self.start(self.receive())
        talking = self.start(self.talk(receiving))
        if self.options.ping is not None:
            self.start(self.ping_on())
        stopped = asyncio.Event()

        def stop() -> None:
            stopped.set()
            if talking.done() or receiving.done():  # the connection is being closed
                self.connection.transport.abort()

        self.ending.attach(stop, self.connection.transport.abort)
        stopping = self.start(self.wait_for(stopped))
        await asyncio.wait(
            [receiving, talking, stopping], return_when=asyncio.FIRST_COMPLETED
        )
        if not (self.ending.number or talking.done()):
            await self.send_rest(talking, stopping)
        await self.close()
        await receiving
        return self.farewell()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self.tasks.append(task)
        return task

    async def wait_for(self, event: asyncio.Event) -> None:
        await event.wait()

    # --- the beginning and the end

    async def connect(self) -> ClientConnection:
        """Connect.

        Raises:
            CommandError: if the connection cannot be made.
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
            raise CommandError(f"cannot connect: {explain(exc)}") from exc

    def greeting(self) -> str:
        """Describe the connection, with what was negotiated."""
        connection = self.connection
        agreed = [one.name for one in connection.protocol.extensions]
        if connection.subprotocol is not None:
            agreed.insert(0, f"subprotocol {connection.subprotocol}")
        with_ = f" with {', '.join(agreed)}" if agreed else ""
        hint = "; /help lists commands" if self.terminal.interactive else ""
        return printable(f"connected to {self.options.uri}{with_}{hint}")

    async def close(self) -> None:
        """Cancel the remaining tasks, and close the connection."""
        for task in self.tasks[1:]:  # all but receiving
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await task
        await self.connection.close()

    def farewell(self) -> int:
        """Report how the connection ended; return the exit status."""
        exc = self.connection.protocol.close_exc
        number = self.ending.number
        if number and not (self.terminal.interactive and number == signal.SIGINT):
            status = SIGNALLED + number
        else:
            status = status_of(exc)
            if status == NORMAL and self.connection.protocol.receiving_message:
                self.miss("the last message did not arrive completely")
        self.terminal.status(printable(str(exc)))
        return status or (NORMAL if self.complete else INCOMPLETE)

    # --- the conversation

    async def receive(self) -> None:
        """Show messages until the connection ends."""
        try:
            async for message in self.connection:
                self.last = asyncio.get_running_loop().time()
                self.terminal.receive(message)
        except ConnectionClosed:
            pass  # reported by farewell()
        except OSError as exc:
            drop_output()
            if not isinstance(exc, BrokenPipeError):  # caused by head, for instance
                self.miss(f"cannot write to standard output: {exc.strerror}")
            self.wanted = False
            await self.connection.close()

    async def talk(self, receiving: asyncio.Task[None]) -> None:
        """Send the input, then wait for answers."""
        if self.terminal.interactive:
            with contextlib.suppress(ConnectionClosed):
                await self.obey()
            return
        try:
            await (self.send_data() if self.options.binary else self.send_lines())
        except OSError as exc:
            self.miss(f"cannot read standard input: {exc.strerror}")
        await self.wait_for_silence(receiving)

    async def send_lines(self) -> None:
        """Send each line of the input, until the connection is closed."""
        number = 0
        async for line in self.terminal.lines():
            number += 1
            try:
                text = line.decode()
            except UnicodeDecodeError:
                self.miss(f"line {number} is not UTF-8 and was not sent")
                continue
            try:
                await self.connection.send(text)
            except (ConnectionClosed, asyncio.CancelledError) as exc:
                self.miss(f"the input from line {number} on was not sent")
                if isinstance(exc, asyncio.CancelledError):
                    raise
                return

    async def send_data(self) -> None:
        """Send the whole input as one message."""
        begun = False

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal begun
            async for piece in self.terminal.data():
                begun = True
                yield piece

        try:
            await self.connection.send(pieces(), text=False)
        except (ConnectionClosed, asyncio.CancelledError) as exc:
            if begun:
                self.miss("the input was not sent completely")
            if isinstance(exc, asyncio.CancelledError):
                raise

    async def send_rest(
        self, talking: asyncio.Task[None], stopping: asyncio.Task[None]
    ) -> None:
        """Find out whether there is input left that the server did not wait for.

        Only input that is available now counts, not what may be written later.
        """
        if self.terminal.finish():
            await asyncio.wait([talking, stopping], return_when=asyncio.FIRST_COMPLETED)

    def miss(self, text: str) -> None:
        """Report something that was not sent or not shown; the exit status shows it.

        Once standard output is gone, nothing more is reported.
        """
        if self.wanted:
            self.complete = False
            self.terminal.tell(text)

    async def wait_for_silence(self, receiving: asyncio.Task[None]) -> None:
        """Wait until nothing of a message has arrived for the time given by --wait."""
        wait = self.options.wait
        if wait is None:
            await asyncio.wait([receiving])
            return
        loop = asyncio.get_running_loop()
        protocol = self.connection.protocol
        self.last = loop.time()
        while not receiving.done() and (left := self.last + wait - loop.time()) > 0:
            received = protocol.stats.bytes_received
            await asyncio.wait([receiving], timeout=left)
            arrives = protocol.stats.bytes_received != received
            if arrives and protocol.receiving_message:
                self.last = loop.time()

    async def obey(self) -> None:
        """Execute what the user types, until the end of the input."""
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
                    case Close(code, reason):  # pragma: no branch - no others
                        await self.connection.close(code, reason)
                        return
            except (LineError, ProtocolError) as exc:
                self.terminal.tell(printable(str(exc)))

    async def ping(self) -> None:
        """Send a ping, and show its round-trip time."""
        with contextlib.suppress(ConnectionClosed):
            latency = await (await self.connection.ping())
            self.terminal.tell(f"pong after {latency * 1000:.2f} ms")

    async def ping_on(self) -> None:
        """Send pings at the interval given by --ping."""
        while True:
            await self.ping()
            await asyncio.sleep(self.options.ping)


def client_context(options: argparse.Namespace) -> ssl.SSLContext:
    """Return the TLS context.

    Raises:
        CommandError: if the certificates to trust cannot be loaded.
    """
    try:
        context = ssl.create_default_context(cafile=options.cafile)
    except (OSError, ssl.SSLError) as exc:
        raise CommandError(
            f"cannot load certificates from {options.cafile}: {exc}"
        ) from exc
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def explain(exc: Exception) -> str:
    """Explain on one line why the connection could not be made."""
    text = str(exc) or type(exc).__name__
    if isinstance(exc, InvalidStatus):
        body = exc.response.body.decode(errors="replace").strip()
        text += f" {exc.response.reason_phrase}"
        text += f": {body.splitlines()[0][:200]}" if body else ""
    elif isinstance(exc, ssl.SSLCertVerificationError):
        text = f"certificate not accepted: {exc.verify_message}"
    elif isinstance(exc, OSError):
        # If a host has several addresses, asyncio joins the errors of all of them.
        codes = re.findall(r"\[Errno (\d+)\]", text)
        known = dict.fromkeys(os.strerror(int(code)) for code in codes)
        text = ", ".join(known) or exc.strerror or text
    return printable(text)


def status_of(exc: ConnectionClosed) -> int:
    """Return the exit status for how a connection ended."""
    if isinstance(exc, ConnectionClosedOK):
        return NORMAL
    if exc.rcvd is None and (exc.sent is None or exc.sent.code in (1000, 1001)):
        return LOST
    return OTHER_CODE
