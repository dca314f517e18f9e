"""One end of a connection: what it does, and what there is to know of it later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from .loop import Stopped
from .programs import Action, End, Task
from .raising import BaseError, ProgramError, make_exception

if TYPE_CHECKING:
    from .drivers import Driver
    from .network import Socket
    from .world import World

_random = Random(0)
NOISE = _random.randbytes(200_000)
LETTERS = "".join(_random.choices("abcdefgh ijklmnop\näöß€😀", k=200_000))


MOST_ANSWERS = 100  # to messages, from on_message
QUIET = 0.01  # seconds without sending, after which a message is written at once


@dataclass
class Sent:
    """A message that was sent, or begun.

    Attributes:
        message: itself.
        begun: when; not as time, but as the place in the order of all that happened.
        ended: when the call returned, or infinite.
        sure: whether it returned.

    """

    message: str | bytes
    begun: int
    ended: float = float("inf")
    sure: bool = False


@dataclass
class Cancelled:
    """A task that was told to end."""

    task: asyncio.Task[Any]
    what: str


class Side:
    """One end of a connection, and all that happened to it."""

    def __init__(
        self, world: World, number: int, name: str, driver: Driver, end: End
    ) -> None:
        self.world = world
        self.number = number
        self.name = f"{name}{number}"
        self.is_server = name == "server"
        self.driver = driver
        self.ours = driver.ours
        self.end = end
        self.conn: Any = None
        self.sock: Socket | None = None
        self.peer: Side
        self.tasks: list[asyncio.Task[Any]] = []
        self.sent: dict[int, Sent] = {}
        self.empty_sent = 0
        self.got: dict[int, int] = {}  # message, and when its end came
        self.got_bytes = 0
        self.empty_got = 0
        self.closed_itself = False  # it began to close, or something failed in it
        self.drained = False  # it received until it was told the end
        self.aborted = False
        self.begun: set[int] = set()  # messages of which it got a part
        self.fragmenting = 0
        self.computed = 0.0
        self.busy_until = 0.0
        self.failed: str | None = None  # why there is no connection
        self.gave_up_at: float | None = None
        self.behind = False  # it read nothing for a while, as it had much to receive
        self.ended_at: float | None = None  # when its handler did
        self.size_sent = 0
        self.biggest = 0  # of what it sent
        self.unlimited = False  # it sent without asking for room
        self.sent_at = 0.0
        self.got_in = -1  # turn of the loop in which a message was received
        self.last_send: tuple[int, int] | None = None

    def attach(self, conn: Any) -> None:
        """Take the connection."""
        if self.conn is not conn:
            self.conn = conn
            self.sock = self.world.network.by_address.get(
                conn.remote_address if self.is_server else conn.local_address
            )
            if self.sock is not None and self.is_server:
                self.sock = self.sock.peer
            self.ended_at = None
            self.note("open")

    def note(self, *what: object) -> None:
        """Remember something for the trace."""
        self.world.note(self.name, *what)

    # --- messages

    def compose(self, size: int, text: bool) -> tuple[int, str | bytes]:
        """A message, and its number."""
        number = self.world.next_number()
        if size == 0:
            return -1, "" if text else b""
        head = f"{number}:"
        size = max(size - len(head), 0)
        start = number * 37 % 50_000
        if text:
            return number, head + LETTERS[start : start + size]
        return number, head.encode() + NOISE[start : start + size]

    def begin(self, number: int, message: str | bytes) -> Sent | None:
        size = len(message.encode() if isinstance(message, str) else message)
        self.biggest = max(self.biggest, size)
        self.size_sent += size + 20
        if number < 0:
            self.empty_sent += 1
            return None
        one = self.sent[number] = Sent(message, self.world.tick())
        return one

    def finish(self, one: Sent | None) -> None:
        self.sent_at = self.world.network.now
        if one is not None:
            one.ended = self.world.tick()
            one.sure = True

    def take(self, message: str | bytes, at: int | None = None) -> None:
        """Note what was received, and compare it."""
        now = self.world.tick()
        self.got_in = self.world.loop.selector.all_turns
        if not message:
            self.empty_got += 1
            return
        self.got_bytes += len(message.encode() if isinstance(message, str) else message)
        number = self.number_of(message)
        one = self.peer.sent.get(number)
        if one is None or one.message != message:
            self.world.fault("wrong message", f"{self.name} got {message[:40]!r}")
        if number in self.got:
            self.world.fault("message twice", f"{self.name} got {number} again")
        self.got[number] = now if at is None else at

    @staticmethod
    def number_of(message: Any) -> int:
        """The number of a message, from its beginning."""
        head = message.partition(":" if isinstance(message, str) else b":")[0]
        return int(head) if head.isdigit() else -1

    # --- running

    async def run(self) -> None:
        """Do what the first task does, and see to the others."""
        end = self.end
        self.tasks = [asyncio.current_task()]  # type: ignore[list-item]
        for number, task in enumerate(end.tasks[1:], 1):
            self.tasks.append(self.world.spawn(self, self.perform(number, task)))
        others = self.tasks[1:]
        try:
            await self.perform(0, end.tasks[0])
            if end.finish == "join" and others:
                await asyncio.wait(others)
        finally:
            if end.finish == "cancel":
                for one in others:
                    self.cancel(one, "other task")

    async def perform(self, number: int, task: Task) -> None:
        """Do one action after the other."""
        try:
            for action in task.actions:
                self.note(f"task {number}", *action)
                await self.do(action)
        except self.driver.exceptions.ConnectionClosed:
            if not task.stops:
                raise
        except (ProgramError, BaseError, Stopped):
            raise
        except Exception as exc:
            if exc not in self.world.raised:
                raise self.unexpected(exc) from exc
            raise

    def unexpected(self, exc: Exception) -> ProgramError:
        """Judge what was raised; programs that misuse nothing else are told."""
        known = self.driver.exceptions
        if self.ours and not isinstance(exc, known.ConcurrencyError):
            self.world.fault("unexpected exception", f"{self.name}: {exc!r}", exc)
        return self.world.throw(ProgramError("misuse"))

    async def do(self, action: Action) -> None:
        self.world.loop.step(self.ours)
        await getattr(self, f"do_{action[0]}")(*action[1:])

    def cancel(self, task: asyncio.Task[Any], what: str) -> None:
        """Cancel a task, and remember to see whether it ends so."""
        if task.cancel():
            self.note("cancelled", what)
            self.world.cancelled.append(Cancelled(task, f"{self.name} {what}"))

    # --- actions: sending

    async def do_send(self, size: int, text: bool) -> None:
        number, message = self.compose(size, text)
        one = self.begin(number, message)
        before = self.handed()
        now = self.world.network.now
        await self.conn.send(message)
        turn = self.world.loop.selector.all_turns
        alone = now - self.sent_at > QUIET and turn != self.got_in
        self.last_send = (turn, before) if alone else None
        self.finish(one)

    def handed(self) -> int:
        """Bytes that the driver has given away."""
        return 0 if self.sock is None else self.sock.bytes_sent + self.waiting()

    def waiting(self) -> int:
        """Bytes that wait in the transport."""
        try:
            return int(self.conn.transport.get_write_buffer_size())
        except AttributeError:  # TLS that is closed does not know it any more
            return 0

    async def do_send_many(
        self, count: int, size: int, text: bool, pause: float | str
    ) -> None:
        for _ in range(count):
            self.world.loop.step(self.ours)
            await self.do_send(size, text)
            if pause == "compute":
                await self.do_compute(0.06)
            elif pause == "ping":
                await self.do_ping(False)
            elif pause:
                await asyncio.sleep(float(pause))

    async def do_send_on(self, count: int, size: int) -> None:
        await self.do_send_many(count, size, False, 0)

    async def do_send_parts(
        self, sizes: list[int], text: bool, how: str, pause: float
    ) -> None:
        number, message = self.compose(sum(sizes) + 10, text)
        parts: list[Any] = []
        rest: Any = message
        for size in sizes[:-1]:
            parts.append(rest[:size])
            rest = rest[size:]
        parts.append(rest)
        one = self.begin(number, message)
        self.fragmenting += 1
        try:
            if how == "iterable":
                await self.conn.send(parts)
            else:
                await self.conn.send(self.slowly(parts, how == "raising", pause))
            self.finish(one)
        except self.driver.exceptions.ConnectionClosed:
            raise
        except BaseException:
            self.closed_itself = True  # or it may be so
            raise
        finally:
            self.fragmenting -= 1

    async def slowly(
        self, parts: list[Any], fails: bool, pause: float
    ) -> AsyncIterator[Any]:
        for number, part in enumerate(parts):
            self.world.loop.step(self.ours)
            yield part
            if fails and number == len(parts) // 2:
                raise self.world.throw(ProgramError("in the middle of a message"))
            if pause:
                await asyncio.sleep(pause)

    async def do_broadcast(self, size: int, text: bool) -> None:
        number, message = self.compose(size, text)
        self.broadcast(number, message)
        if self.world.random.random() < 0.5:
            await asyncio.sleep(0)

    def broadcast(self, number: int, message: str | bytes) -> None:
        sides = [
            side
            for side in self.world.sides
            if side.is_server is self.is_server
            and side.conn is not None
            and side.conn.protocol.state.name == "OPEN"
        ]
        begun = [(side, side.begin(number, message)) for side in sides]
        for side in sides:
            side.unlimited = True
        self.driver.broadcast([side.conn for side in sides], message)
        for side, one in begun:
            if not side.fragmenting:
                side.finish(one)

    def send_nowait(self, size: int, text: bool) -> None:
        number, message = self.compose(size, text)
        self.unlimited = True
        one = self.begin(number, message)
        self.conn.send_nowait(message)
        self.finish(one)

    # --- actions: receiving

    async def do_recv(self, count: int) -> None:
        for _ in range(count):
            await self.receive()

    async def receive(self) -> Any:
        try:
            message = await self.conn.recv()
        except self.driver.exceptions.ConnectionClosed:
            self.drained = not self.closed_itself
            raise
        self.take(message)
        return message

    async def do_recv_all(self, how: str = "") -> None:
        if how == "iterate":
            try:
                async for message in self.conn:
                    self.take(message)
            except self.driver.exceptions.ConnectionClosed:
                self.drained = not self.closed_itself
                raise
            self.drained = not self.closed_itself
            return
        while True:
            await self.receive()

    async def do_recv_slowly(self, count: int, pause: float) -> None:
        for _ in range(count):
            await self.receive()
            await asyncio.sleep(pause)

    async def do_recv_parts(self, pause: float) -> None:
        parts: list[Any] = []
        at = 0
        try:
            async for part in self.conn.recv_streaming():
                parts.append(part)
                at = self.world.tick()  # others may receive now, if it is the last
                if pause:
                    await asyncio.sleep(pause)
        except self.driver.exceptions.ConnectionClosed:
            if not parts:
                self.drained = not self.closed_itself
            raise
        except BaseException:
            if parts:
                self.begun.add(self.number_of(parts[0]))
            raise
        self.take(
            ("" if not parts or isinstance(parts[0], str) else b"").join(parts), at
        )

    async def do_recv_some(self, seconds: float) -> None:
        """Receive for a while, then cancel it."""
        task = self.world.spawn(self, self.receive_until_told())
        try:
            await asyncio.wait([task], timeout=seconds)
        finally:
            self.cancel(task, "recv()")
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]

    async def receive_until_told(self) -> None:
        while True:
            await self.receive()

    async def do_echo(self, count: int) -> None:
        for _ in range(count):
            message = await self.receive()
            await self.do_send(min(len(message), 5000), isinstance(message, str))

    # --- actions: the rest

    async def do_sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def do_compute(self, seconds: float) -> None:
        self.check_handed()
        self.world.compute(seconds)

    def check_handed(self) -> None:
        """What was sent is on its way before the program does something long."""
        if self.last_send is None or not self.ours or self.world.program.tls:
            return  # what waits below TLS is not to be seen
        turn, before = self.last_send
        self.last_send = None
        closing = self.conn.protocol.state.name != "OPEN"
        if turn != self.world.loop.selector.all_turns or closing:
            return
        if self.handed() == before and not self.conn.transport.is_closing():
            self.world.fault("held back", f"{self.name} computes, nothing was written")

    async def do_ping(self, waits: bool) -> None:
        pong = await self.conn.ping()
        self.sent_at = self.world.network.now
        if waits:
            await pong

    async def do_pong(self) -> None:
        await self.conn.pong(b"pong")
        self.sent_at = self.world.network.now

    async def do_close(self, code: int) -> None:
        self.closed_itself = True
        begun = self.world.network.now
        computed = self.world.computed
        await self.conn.close(code)
        took = self.world.network.now - begun - (self.world.computed - computed)
        self.world.judge_close(self, took)

    async def do_wait_closed(self) -> None:
        await self.conn.wait_closed()

    async def do_abort(self) -> None:
        self.aborted = self.closed_itself = True
        self.conn.transport.abort()

    async def do_cancel(self, number: int, unit: str, count: float) -> None:
        if number >= len(self.tasks):
            return
        task = self.tasks[number]

        def cancel() -> None:
            if not task.done():
                self.closed_itself = True
                self.cancel(task, f"task {number}")

        if unit == "seconds":
            self.world.loop.call_later(count, cancel)
        else:
            self.world.after_turns(int(count), cancel)

    async def do_raise(self, what: str) -> None:
        self.raise_now(what)

    def raise_now(self, what: str) -> None:
        """Raise something."""
        self.closed_itself = True
        if what == "nothing":
            return
        exc = make_exception(what, self.driver.exceptions)
        raise self.world.throw(exc)

    # --- callbacks

    def on_message(self, message: str | bytes) -> None:
        """What is called with each message."""
        self.take(message)
        what = self.end.on_message or "keep"
        if len(self.got) > MOST_ANSWERS:
            return  # or two ends would go on for ever
        closed = self.driver.exceptions
        if what == "both":
            what = "echo" if len(self.got) % 2 else "fan"
        try:
            if what == "echo":
                self.send_nowait(len(message), isinstance(message, str))
            elif what == "fan":
                self.broadcast(*self.compose(len(message), isinstance(message, str)))
        except (closed.ConnectionClosed, closed.InvalidState):
            raise
        except closed.ConcurrencyError as exc:
            self.closed_itself = True
            raise self.world.throw(exc) from exc
        if what == "compute":
            self.world.compute(0.03)
        elif what == "raise" and len(self.got) == 3:
            self.closed_itself = True
            raise self.world.throw(ProgramError("in on_message"))
        elif what == "close" and len(self.got) == 3:
            self.closed_itself = True
            self.world.spawn(self, self.conn.close())

    def on_close(self) -> None:
        if self.end.on_close is not None:
            self.note("on_close raises", self.end.on_close)
            self.raise_now(self.end.on_close)
