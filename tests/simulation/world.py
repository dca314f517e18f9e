"""Runs a program, and judges what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import random as global_random
import signal
import ssl
import sys
import traceback
import warnings
from collections.abc import Callable, Coroutine, Iterator
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from .drivers import Driver, driver, ours
from .ends import Cancelled, ProgramError, Side
from .judging import judge_ends, judge_logs
from .loop import EndlessTurn, Loop, Overtime, Stopped
from .network import NEVER, NUMBER, Network, Socket
from .programs import EXITS, Pair, Program, actions_of

CERTIFICATE = Path(__file__).with_name("certificate.pem")
ADDRESS = ("sim", 80)
CURFEW = 30.0  # seconds after which the server closes
PATIENCE = 45.0  # seconds that all may take to end then; two pings fit in
LITTLE = 30_000  # bytes below which an end reads on, however many messages they are
CPU_LIMIT = 5.0  # seconds of CPU for a program


class Fault(Exception):
    """Something that must not happen."""

    def __init__(self, kind: str, text: str, trace: str = "", key: str = "") -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text
        self.trace = trace
        self.key = kind, key  # what tells it from others


class World:
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

    def fault(self, kind: str, text: str, exc: BaseException | None = None) -> None:
        trace = "".join(traceback.format_exception(exc)) if exc else ""
        key = "" if exc is None else type(exc).__name__
        self.faults.append(Fault(kind, text, trace, key))
        self.note("FAULT", kind, text)

    def warn(self, text: str) -> None:
        """Take a warning, unless it is about an end that is not ours."""
        theirs = [side for side in self.sides if not side.ours]
        names = [f"fd={side.sock.fd}" for side in theirs if side.sock is not None]
        if theirs and "_SSLProtocolTransport" in text:
            return
        if not any(name in text for name in names):
            self.fault("warning", text)

    def throw(self, exc: Any) -> Any:
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
        if count <= 0:
            call()
        else:
            self.loop.call_soon(self.after_turns, count - 1, call)

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
                        lambda number=number, event=event: self._befall(number, event),
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
        side = self._side_of(conn)
        try:
            await side.run()
        finally:
            side.closed_itself = True
            side.ended_at = self.network.now
            side.note("handler ends", repr(sys.exc_info()[1]))

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
        begun = self.network.now
        connector = self.client_driver.connect(uri, proxy=None, **options)
        if pair.again:
            await self._connect_again(side, connector)
            return
        try:
            async with connector as conn:
                side.attach(conn)
                try:
                    await side.run()
                finally:
                    side.closed_itself = True
                    side.ended_at = self.network.now
                    side.note("client ends", repr(sys.exc_info()[1]))
        except Exception as exc:
            if side.conn is None:
                side.failed = repr(exc)
                self._judge_failure(side, exc, self.network.now - begun)
            raise

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

    # --- judging, while it goes on

    def _look(self) -> None:
        """See what can be seen only now."""
        for side in self.sides:
            conn = side.conn
            if conn is None:
                continue
            if side.ours:
                if side.gave_up_at is None and conn.session.timed_out == "keepalive":
                    side.gave_up_at = self.network.now
                    self._judge_keepalive(side)
                self._judge_memory(side)
                if not conn.session.reading and not side.behind:
                    side.behind = self._has_much(side)
                if side.ended_at is not None and not self._is_again(side):
                    self._judge_end(side, side.ended_at)
                continue
            side.behind = side.behind or conn.recv_messages.paused
            if side.gave_up_at is None:
                sent = conn.protocol.close_sent
                if (
                    sent is not None
                    and sent.reason == "keepalive ping timeout"
                    and conn.protocol.close_rcvd is None
                ):
                    side.gave_up_at = self.network.now
                    self._judge_keepalive(side)

    def options_of(self, side: Side) -> dict[str, Any]:
        program = self.program
        return program.server_options if side.is_server else program.client_options

    def _is_again(self, side: Side) -> bool:
        return self.program.pairs[side.number].again

    def is_calm(self, side: Side) -> bool:
        """Whether nothing but the ends themselves can disturb a connection."""
        return not self.program.pairs[side.number].events

    def is_quick(self, side: Side, seconds: float | None) -> bool:
        """Whether all bytes arrive in a small part of this time, and programs do not
        keep the loop busy."""
        if seconds is None:
            return True
        size = 5000 + max(side.size_sent, side.peer.size_sent)
        needed = 2 * self.program.weather.time_for(size)
        return needed < seconds / 3 and self.computed < seconds / 3

    def _judge_keepalive(self, side: Side) -> None:
        """A peer that is there must not be given up."""
        timeout = self.options_of(side).get("ping_timeout", 20)
        sock = side.sock
        assert sock is not None
        now = self.network.now
        self.note(side.name, "gives its peer up")
        if side.ours:
            self._judge_signs(side, sock, timeout)
        peer = side.peer
        if not (self.is_calm(side) and self.is_quick(side, timeout) and peer.ours):
            return
        if peer.conn is None or peer.aborted:
            return
        reads = side.conn.session.reading if side.ours else True
        if not side.ours:
            reads = side.conn.transport.is_reading()
        if reads and peer.conn.session.reading:
            self.fault("healthy peer given up", f"{side.name} gave up {peer.name}")

    def _judge_signs(self, side: Side, sock: Socket, timeout: float) -> None:
        """A peer has shown signs of life if something came from it, or if it takes
        what has waited since before the ping: that may be waiting as well."""
        now = self.network.now
        heard = now - sock.heard_at
        if side.conn.session.reading and heard < timeout - 0.02:
            self.fault(
                "lively peer given up", f"{side.name} heard it {heard:.3f} s ago"
            )
        waiting_since = self.loop.waiting_since.get(sock.fd, now)
        taken = now - sock.progress_at
        if waiting_since < now - timeout and taken < 0.75 * timeout:
            self.fault(
                "lively peer given up", f"{side.name}: it took {taken:.3f} s ago"
            )

    def _has_much(self, side: Side) -> bool:
        """Whether so much is not received yet that reading may pause: ``max_queue``
        holds back no close frame behind little."""
        if self.options_of(side).get("compression", "deflate") is not None:
            return True  # nobody knows how much it is
        assert side.sock is not None
        return side.sock.bytes_read - side.got_bytes > LITTLE

    def _judge_end(self, side: Side, ended_at: float) -> None:
        """When a handler ends, so does its connection."""
        timeout = self.options_of(side).get("close_timeout", 10)
        if self.network.now < ended_at + timeout + 2 + self.computed:
            return
        side.ended_at = None
        if side.conn.protocol.state.name != "CLOSED" and not self.exited:
            self.fault("left open", side.name)

    def _judge_memory(self, side: Side) -> None:
        """What waits to be written is bounded."""
        if side.unlimited or side.conn.protocol.state.name == "CLOSED":
            return  # nor is there a size, with TLS, once the connection is lost
        limit = self.options_of(side).get("write_limit", 2**15)
        high = limit[0] if isinstance(limit, tuple) else limit
        waits = side.conn.transport.get_write_buffer_size()
        # As much may wait to be written together with others.
        most = 2 * high + (len(side.end.tasks) + 1) * (side.biggest + 200) + 5000
        if waits > most * (1.1 if self.program.tls else 1):
            side.unlimited = True
            self.fault("too much to write", f"{side.name}: {waits} of {most}")

    def judge_close(self, side: Side, took: float) -> None:
        """``close()`` returns in time."""
        timeout = self.options_of(side).get("close_timeout", 10)
        if side.ours and timeout is not None and took > timeout + 1.5:
            self.fault("close() is slow", f"{side.name}: {took:.3f} s of {timeout}")

    def _judge_failure(self, side: Side, exc: Exception, took: float) -> None:
        """Why a client could not connect."""
        self.note(side.name, "has no connection:", repr(exc))
        timeout = self.options_of(side).get("open_timeout", 10)
        timeouts = [
            options.get("open_timeout", 10) or 10
            for options in (self.program.server_options, self.program.client_options)
        ]
        if side.ours and timeout is not None and took > timeout + 0.5 + self.computed:
            self.fault("connect() is slow", f"{took:.3f} s of {timeout}")
        if self.closed_at <= self.network.now or self.program.admin:
            return
        calm = self.is_calm(side) and not side.peer.aborted
        if calm and self.is_quick(side, min(timeouts)):
            self.fault("no connection", f"{side.name}: {exc!r}", exc)


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


class Records(logging.Handler):
    """Keeps what is logged, and who logs it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[tuple[logging.LogRecord, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record, not theirs_in_stack()))


def theirs_in_stack() -> bool:
    """Whether the code of ``websockets`` is at work."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("websockets."):
            return True
        if name.startswith("sansocket"):
            return False
        frame = frame.f_back
    return False


LOGGERS = ("sansocket", "websockets", "asyncio")


@contextlib.contextmanager
def recording(world: World) -> Iterator[Records]:
    """Keep what would be told somewhere else."""
    records = Records()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(one.handlers[:], one.propagate, one.level) for one in loggers]
    hook, sys.unraisablehook = (
        sys.unraisablehook,
        lambda one: world.fault(
            "unraisable", f"{one.exc_value!r} in {one.object!r}", one.exc_value
        ),
    )
    for one in loggers:
        one.handlers, one.propagate = [records], False
        one.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda text, *rest, **options: world.warn(str(text))
            yield records
    finally:
        sys.unraisablehook = hook
        for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
            one.handlers, one.propagate = handlers, propagate
            one.setLevel(level)


class CpuLimit(Stopped):
    """A call did not return."""


@contextlib.contextmanager
def cpu_limit(loop: Loop) -> Iterator[None]:
    """Do not hang, even where no step is counted."""

    def alarm(*args: object) -> None:
        loop.selector.stop(CpuLimit(f"more than {CPU_LIMIT} s of CPU"))

    before = signal.signal(signal.SIGVTALRM, alarm)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_LIMIT, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def run(program: Program, form: str = "pure", trace: bool = False) -> World:
    """Run a program; the faults are in what this returns."""
    global_random.seed(program.seed)
    world = World(program, form)
    world.tracing = trace
    collects = gc.isenabled()
    gc.disable()
    try:
        with recording(world) as records, cpu_limit(world.loop):
            _run(world)
            if not world.stopped:
                judge_ends(world)
            faults = world.faults[:]
            world.forget()
            gc.collect()  # what is told only then
            if world.stopped or world.exited:
                world.faults = faults  # what is cut off has no orderly end
            if not world.stopped:
                world.records = records.records
                judge_logs(world)
            world.raised.clear()
            world.loop.contexts.clear()
            faults = world.faults[:]
            gc.collect()  # so that nothing is told to the next program
            world.faults = faults
    finally:
        if collects:
            gc.enable()
    return world


def _run(world: World) -> None:
    loop = world.loop
    main = loop.create_task(world.main())
    try:
        _run_through(world, main)
    except Stopped as exc:
        told = stacks(loop)
        if isinstance(exc, (EndlessTurn, CpuLimit)):
            told = "".join(traceback.format_exception(exc))
        if world.server_driver.ours or not world.exited:
            world.faults.append(Fault(type(exc).__name__, str(exc), told))
        world.stopped = True
        loop.selector.stopped = None  # and with it what its traceback holds
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
    except Exception as exc:
        world.fault("main failed", repr(exc), exc)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        loop.selector.on_turn.clear()


def _run_through(world: World, main: asyncio.Task[Any]) -> None:
    """What ``asyncio.run()`` does."""
    loop = world.loop
    try:
        loop.run_until_complete(main)
    except (SystemExit, KeyboardInterrupt) as exc:
        world.exited = True
        world.note("the program exits", repr(exc))
        world._closing()
        for side in world.sides:
            side.closed_itself = True
        if exc not in world.raised:
            world.fault("unexpected exit", repr(exc), exc)
        while tasks := [task for task in asyncio.all_tasks(loop) if not task.done()]:
            for task in tasks:
                task.cancel()
            try:
                loop.run_until_complete(
                    asyncio.gather(*tasks, return_exceptions=True, loop=loop)
                    if sys.version_info < (3, 10)
                    else _gather(tasks)
                )
            except (SystemExit, KeyboardInterrupt):
                continue
    loop.run_until_complete(loop.shutdown_asyncgens())


async def _gather(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def stacks(loop: Loop) -> str:
    """Where all tasks wait."""
    told = io.StringIO()
    for task in asyncio.all_tasks(loop):
        task.print_stack(file=told)
    return told.getvalue()


def has_exit(program: Program) -> bool:
    """Whether an end of it ends the process."""
    return any(
        action[0] == "raise" and action[1] in EXITS
        for pair in program.pairs
        for end in (pair.client, pair.server)
        for action in actions_of(end)
    ) or any(
        end.on_close in EXITS
        for pair in program.pairs
        for end in (pair.client, pair.server)
    )


__all__ = ["Fault", "Overtime", "ProgramError", "World", "has_exit", "run"]
