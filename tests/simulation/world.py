"""Runs a program, and judges what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import ssl
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from .drivers import Driver, driver, ours
from .ends import Cancelled, Side
from .loop import Loop
from .network import NEVER, NUMBER, Network
from .programs import Pair, Program
from .watching import Fault, Watch

Raised = TypeVar("Raised", bound=BaseException)

CERTIFICATE = Path(__file__).with_name("certificate.pem")
ADDRESS = ("sim", 80)
CURFEW = 30.0  # seconds after which the server closes
PATIENCE = 45.0  # seconds that all may take to end then; two pings fit in


class World(Watch):
    """A program while it runs."""

    def __init__(self, program: Program, form: str) -> None:
        self.program = program
        server, client = program.kind.split("-")
        drivers = {"ours": lambda: ours(form), "theirs": lambda: driver("websockets")}
        self.server_driver: Driver = drivers[server]()
        self.client_driver: Driver = drivers[client]()
        self.random = Random(program.seed)
        self.network = Network(Random(program.seed + 1), program.weather)
        self.loop = Loop(self.network)
        self.loop.selector.on_turn.append(self._look)
        self.loop.selector.ends_at = self.network.now + CURFEW + 6 * PATIENCE
        self.started_at = self.network.now
        self.faults: list[Fault] = []
        self.raised: list[BaseException] = []
        self.cancelled: list[Cancelled] = []
        self.spawned: list[tuple[Side, asyncio.Task[Any]]] = []
        self.sides: list[Side] = []
        self.trace: list[str] = []
        self.tracing = False
        self.computed = 0.0
        self.closed_at = NEVER  # when the server began to close
        self.exited = False
        self.stopped = False
        self.records: list[tuple[logging.LogRecord, bool]] = []
        self._number = 0
        self._tick = 0
        self.server: Any = None

    # --- for ends

    def note(self, *what: object) -> None:
        if self.tracing:
            now = self.network.now - self.started_at
            text = " ".join(str(one) for one in what)
            turn = self.loop.selector.all_turns
            self.trace.append(f"{now:9.4f} turn {turn:5} {text}")

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def tick(self) -> int:
        self._tick += 1
        return self._tick

    def warn(self, text: str) -> None:
        """Take a warning, unless it is about an end that is not ours."""
        theirs = [side for side in self.sides if not side.ours]
        names = [f"fd={side.sock.fd}" for side in theirs if side.sock is not None]
        names += [f"fd={fd}" for fd in self.loop.unaccepted]
        if theirs and "_SSLProtocolTransport" in text:
            return
        if not any(name in text for name in names):
            self.fault("warning", text)

    def throw(self, exc: Raised) -> Raised:
        """Remember what a program raises."""
        self.raised.append(exc)
        return exc

    def compute(self, seconds: float) -> None:
        self.network.now += seconds
        self.computed += seconds

    def spawn(self, side: Side, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self.loop.create_task(work)
        self.spawned.append((side, task))
        task.add_done_callback(_retrieve)
        return task

    def after_turns(self, count: int, call: Callable[[], None]) -> None:
        """Call something after so many turns, in which time goes on as it would."""
        if count <= 0:
            call()
            return
        left = count

        def turn() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.loop.call_soon(call)

        self.loop.selector.on_turn.append(turn)

    def forget(self) -> None:
        """Let go what was cut off, so that it is no trouble for the next program."""
        self.spawned.clear()
        self.cancelled.clear()
        self.server = None
        for side in self.sides:
            side.tasks.clear()
            side.conn = None
        self.loop.transports.clear()
        self.loop.selector.keys.clear()
        self.network.sockets.clear()
        self.network.by_address.clear()
        self.network.by_number.clear()

    # --- running

    async def main(self) -> None:
        """Run the server and all clients, and see that all ends."""
        program = self.program
        for number, pair in enumerate(program.pairs):
            server = Side(self, number, "server", self.server_driver, pair.server)
            client = Side(self, number, "client", self.client_driver, pair.client)
            server.peer, client.peer = client, server
            self.sides += [server, client]
        async with _Patience(self, self._serve()) as self.server:
            for at, what in program.admin:
                self.loop.call_later(at, self._administer, what)
            clients = [
                self.spawn(self.sides[2 * number + 1], self._client(number, pair))
                for number, pair in enumerate(program.pairs)
            ]
            for number, pair in enumerate(program.pairs):
                for event in pair.events:
                    self.network.at(
                        self.started_at + event[0],
                        partial(self._befall, number, event),
                    )
            await asyncio.wait(clients, timeout=CURFEW)
            self.note("curfew")
            for pair, task in zip(program.pairs, clients, strict=True):
                if pair.again and not task.done():
                    self.sides[1].cancel(task, "client that connects again")
            self._closing()
        self.note("server closed")
        await self._end()

    async def _end(self) -> None:
        """All is over: what still goes on?"""
        tasks = [task for _, task in self.spawned if not task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE)
        for side, task in self.spawned:
            if not task.done():
                if not self._may_hang(side):
                    stack = io.StringIO()
                    task.print_stack(file=stack)
                    self.fault(
                        "task goes on",
                        f"{side.name}: {task.get_coro()!r}\n{stack.getvalue()}",
                    )
                task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE)
        for _ in range(5):
            await asyncio.sleep(0)
        if self.network.sockets:  # such as those in the middle of TLS's handshake
            await asyncio.sleep(65)

    def _may_hang(self, side: Side) -> bool:
        """Whether nobody can know that the connection is over."""
        events = self.program.pairs[side.number].events
        if not side.ours or any(
            event[1] in ("vanish", "reset one") for event in events
        ):
            return True
        if (
            not side.peer.ours
            and side.peer.sock is not None
            and not side.peer.sock.closed
        ):
            return True  # it was cancelled while it closed, and leaves its end open
        # It is behind with receiving, so nothing is read, and it writes nothing.
        pings = self.options_of(side).get("ping_interval", 20) is not None
        told = (
            pings and not self.program.tls
        )  # asyncio's TLS forgets what it writes then
        return side.conn is not None and not side.conn.session.reading and not told

    def _serve(self) -> Any:
        program = self.program
        options = {**program.server_options}
        if program.tls:
            options["ssl"] = tls(True)
        handler: Any = self._handle
        if any(pair.server.on_message for pair in program.pairs):
            options["on_message"] = self._on_message
            options["on_open"] = self._on_open
            options["on_close"] = self._on_close
            if program.seed % 2:
                handler = None
        return self.server_driver.serve(handler, *ADDRESS, **options)

    def _side_of(self, conn: Any) -> Side:
        side = self.sides[2 * int(conn.request.path[1:])]
        side.attach(conn)
        return side

    async def _handle(self, conn: Any) -> None:
        await self._run(self._side_of(conn), "handler ends")

    async def _run(self, side: Side, ends: str) -> None:
        """Run what a side does, and note how it ends."""
        try:
            await side.run()
        finally:
            side.closed_itself = True
            side.ended_at = self.network.now
            side.note(ends, repr(sys.exc_info()[1]))

    def _on_open(self, conn: Any) -> None:
        side = self._side_of(conn)
        if self.program.seed % 2:
            for number, task in enumerate(side.end.tasks):
                side.tasks.append(self.spawn(side, side.perform(number, task)))

    def _on_message(self, conn: Any, message: Any) -> None:
        self._side_of(conn).on_message(message)

    def _on_close(self, conn: Any) -> None:
        self._side_of(conn).on_close()

    async def _client(self, number: int, pair: Pair) -> None:
        await asyncio.sleep(pair.starts_at)
        side = self.sides[2 * number + 1]
        task = asyncio.current_task()
        assert task is not None
        NUMBER.set(number)
        if pair.gives_up >= 0:

            def cancel() -> None:
                if side.conn is None:
                    side.failed = "cancelled"
                    side.cancel(task, "connect()")

            self.after_turns(pair.gives_up, cancel)
        scheme = "wss" if self.program.tls else "ws"
        options = {**self.program.client_options}
        if self.program.tls:
            options["ssl"] = tls(False)
        if pair.client.on_message:
            options["on_open"] = side.attach
            options["on_message"] = lambda conn, message: side.on_message(message)
            options["on_close"] = lambda conn: side.on_close()
        uri = f"{scheme}://{ADDRESS[0]}:{ADDRESS[1]}/{number}"
        if pair.again:
            options["reconnect_delays"] = self._delays
        begun = self.network.now
        connector = self.client_driver.connect(uri, proxy=None, **options)
        if pair.again:
            await self._connect_again(side, connector)
            return
        try:
            async with connector as conn:
                side.attach(conn)
                await self._run(side, "client ends")
        except Exception as exc:
            if side.conn is None:
                side.failed = repr(exc)
                self._judge_failure(side, exc, self.network.now - begun)
            raise

    def _delays(self) -> Iterator[float]:
        """Delays as those of the drivers, but the same each time."""
        yield 5 * self.random.random()
        yield from (3.1 * 1.618**number for number in count())

    async def _connect_again(self, side: Side, connector: Any) -> None:
        """Connect and connect; it must not be too often."""
        opened: list[float] = []
        async for conn in connector:
            side.attach(conn)
            opened.append(self.network.now)
            if side.ours and len(opened) > 8 and opened[-1] - opened[-9] < 2:
                self.fault("storm", f"{side.name} connected 9 times within 2 s")
                break
            with contextlib.suppress(side.driver.exceptions.ConnectionClosed):
                await side.run()
            if len(opened) > 50:
                break

    # --- what happens from outside

    def _closing(self) -> None:
        self.closed_at = min(self.closed_at, self.network.now)
        for side in self.sides:
            if side.is_server:
                side.closed_itself = True

    def _administer(self, what: str) -> None:
        self.note("server:", what)
        if what == "stop listening":
            if not self.server_driver.ours:
                return  # its server would never close connections then
            self.server.close(close_connections=False)
            return
        self._closing()
        if what == "close":
            self.server.close()
        elif what == "close 1012":
            self.server.close(code=1012, reason="restart")
        elif what == "cancel serve_forever":
            task = self.spawn(self.sides[0], self._serve_forever())
            self.after_turns(3, lambda: self.sides[0].cancel(task, "serve_forever()"))
        elif what == "close, then serve_forever":
            self.server.close()
            self.spawn(self.sides[0], self._serve_forever())

    async def _serve_forever(self) -> None:
        try:
            await self.server.serve_forever()
        finally:
            if self.server_driver.ours and self.server.is_serving():
                self.fault("still serving", "after serve_forever()")

    def _befall(self, number: int, event: tuple[Any, ...]) -> None:
        """Let something happen to the connection."""
        side = self.sides[2 * number + (event[2] == "client")]
        near = self.network.by_number.get(number)
        if near is None:
            return
        sock = near.peer if side.is_server else near
        self.note("network:", number, *event[1:])
        what = event[1]
        if what in ("reset", "reset one"):
            sock.be_reset(self.random.random() < 0.5)
            if what == "reset":
                sock.peer.be_reset(self.random.random() < 0.5)
        elif what in ("end", "end both"):
            sock.end_came = True
            if what == "end both":
                sock.peer.end_came = True
        elif what == "stall":
            until = self.network.now + event[3]
            sock.out.stall(until)
            sock.peer.out.stall(until)
        elif what == "vanish":
            sock.out.stall(NEVER)
            sock.peer.out.stall(NEVER)


class _Patience:
    """Enters a server; if it is not ours, leaving it may need help."""

    def __init__(self, world: World, server: Any) -> None:
        self.world = world
        self.server = server

    async def __aenter__(self) -> Any:
        return await self.server.__aenter__()

    async def __aexit__(self, *exc: Any) -> None:
        if self.world.server_driver.ours:
            await self.server.__aexit__(*exc)
            return
        task = asyncio.ensure_future(self.server.__aexit__(*exc))
        await asyncio.wait([task], timeout=PATIENCE)
        for transport in self.world.loop.transports:
            if not task.done():
                with contextlib.suppress(AttributeError):  # it is gone already
                    transport.abort()
        for side in self.world.sides:
            if not task.done():
                side.aborted = True
                for other in side.tasks:
                    other.cancel()
        await asyncio.wait([task])


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


@lru_cache
def tls(server: bool) -> ssl.SSLContext:
    """Settings for TLS; nobody's name is checked."""
    if server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        return context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
