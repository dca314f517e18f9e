"""An event loop in virtual time: it never waits, and tells when nothing can go on."""

from __future__ import annotations

import asyncio
import selectors
import ssl
from asyncio import selector_events
from collections.abc import Callable, Mapping
from typing import Any

from .network import NEVER, Network

MOST_TURNS = 20_000  # at one moment
MOST_STEPS = 300  # that a program does in one turn


class Stopped(BaseException):
    """The simulation cannot go on, or must not."""


class Deadlock(Stopped):
    """Nobody will ever do anything again."""


class EndlessTurn(Stopped):
    """A program does one step after the other, and the loop never turns."""


class StandingTime(Stopped):
    """The loop turns and turns, and time does not go on."""


class Overtime(Stopped):
    """Something is still going on when all should be over."""


class Selector(selectors.BaseSelector):
    """Tells which sockets in memory are ready, and lets time pass if none is."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.keys: dict[int, selectors.SelectorKey] = {}
        self.turns = 0  # at this moment
        self.all_turns = 0
        self.steps = 0  # of programs in this turn
        self.ends_at = NEVER
        self.stopped: Stopped | None = None
        self.on_turn: list[Callable[[], None]] = []

    def register(self, fd: Any, events: int, data: Any = None) -> Any:
        key = self.keys[fd] = selectors.SelectorKey(fd, fd, events, data)
        return key

    def modify(self, fd: Any, events: int, data: Any = None) -> Any:
        return self.register(fd, events, data)

    def unregister(self, fd: Any) -> Any:
        return self.keys.pop(fd)

    def get_key(self, fd: Any) -> Any:
        return self.keys[fd]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self.keys

    def stop(self, exc: Stopped) -> None:
        """Stop here, and if somebody catches that, at the next turn."""
        self.stopped = exc
        raise exc

    def select(self, timeout: float | None = None) -> list[tuple[Any, int]]:
        if self.stopped is not None:
            raise self.stopped
        network = self.network
        self.steps = 0
        self.turns += 1
        self.all_turns += 1
        if self.turns > MOST_TURNS:
            raise StandingTime(f"{MOST_TURNS} turns at one moment")
        for call in self.on_turn:
            call()
        network.run()
        ready = self._ready(network.weather.lazy)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        until = NEVER if timeout is None else network.now + timeout
        while not ready:
            ready = self._ready(0)
            if ready:
                break
            now = min(until, network.next_at)
            if now == NEVER:
                raise Deadlock("nothing is ready, and no timer is set")
            if now > self.ends_at:
                raise Overtime(f"still going on at {now:.3f}")
            if now > network.now:
                network.now = now
                self.turns = 0
            if network.next_at > now:
                break
            network.run()
            ready = self._ready(network.weather.lazy)
        return ready

    def _ready(self, lazy: float) -> list[tuple[Any, int]]:
        sockets = self.network.sockets
        ready = []
        for fd, key in self.keys.items():
            sock = sockets.get(fd)
            if sock is None:
                continue
            events = key.events
            if events & selectors.EVENT_READ and not sock.readable:
                events &= ~selectors.EVENT_READ
            if events & selectors.EVENT_WRITE and not sock.writable:
                events &= ~selectors.EVENT_WRITE
            if events:
                ready.append((key, events))
        if lazy and ready:
            random = self.network.random
            ready = [one for one in ready if random.random() >= lazy]
            if len(ready) > 1 and random.random() < 0.5:
                ready.reverse()
        return ready


class Loop(selector_events.BaseSelectorEventLoop):
    """asyncio's own loop and transports, on sockets in memory."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.selector = Selector(network)
        self.contexts: list[dict[str, Any]] = []  # that were to be logged
        self.unaccepted: set[int] = set()  # numbers of sockets
        self.transports: list[asyncio.Transport] = []
        super().__init__(self.selector)
        self._clock_resolution = 1e-9
        self.set_exception_handler(self._note)
        network.waits_to_write = lambda fd: fd in self.waiting_since
        self.waiting_since: dict[int, float] = {}  # bytes wait in a transport

    @staticmethod
    def _note(loop: Any, context: dict[str, Any]) -> None:
        loop.contexts.append(context)

    def time(self) -> float:
        return self.network.now

    def step(self, counts: bool, seconds: float = 0.00005) -> None:
        """A program does a step, which takes some time."""
        self.network.now += seconds
        if not counts:
            return
        self.selector.steps += 1
        if self.selector.steps > MOST_STEPS:
            self.selector.stop(
                EndlessTurn(f"{MOST_STEPS} steps without a turn of the loop")
            )

    # --- no pipe to itself: there are no other threads

    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    # --- whether bytes wait in a transport, by the number of its socket

    def _add_writer(self, fd: Any, *args: Any) -> Any:
        self.waiting_since.setdefault(fd, self.network.now)
        return super()._add_writer(fd, *args)  # type: ignore[misc]

    def _remove_writer(self, fd: Any) -> Any:
        self.waiting_since.pop(fd, None)
        return super()._remove_writer(fd)  # type: ignore[misc]

    # --- connections

    def _make_socket_transport(self, *args: Any, **kwargs: Any) -> Any:
        try:
            transport = super()._make_socket_transport(*args, **kwargs)  # type: ignore[misc]
        except AssertionError:
            # asyncio.Server, which was closed since it accepted the connection.
            self.unaccepted.add(args[0].fileno())
            args[0].close()
            raise
        self.transports.append(transport)
        return transport

    def _make_ssl_transport(self, *args: Any, **kwargs: Any) -> Any:
        transport = super()._make_ssl_transport(*args, **kwargs)  # type: ignore[misc]
        self.transports.append(transport)
        return transport

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: Any = None,
        port: Any = None,
        *,
        ssl: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        **options: Any,
    ) -> Any:
        weather = self.network.weather
        await asyncio.sleep(weather.latency)
        sock: Any = self.network.connect((host, port))
        try:
            await asyncio.sleep(weather.latency)
        except BaseException:
            sock.close()
            raise
        if ssl is not None:
            server_hostname = server_hostname or host
        return await super().create_connection(
            protocol_factory,
            sock=sock,
            ssl=ssl,
            server_hostname=server_hostname,
            **options,
        )

    async def create_server(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: Any = None,
        port: Any = None,
        **options: Any,
    ) -> Any:
        sock: Any = self.network.listen((host, port))
        return await super().create_server(protocol_factory, sock=sock, **options)
