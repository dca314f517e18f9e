"""Random and mutated input, fed to both forms of the package.

``python -m tests.torture`` tries a million inputs, which takes one core about six
minutes; ``--minutes 1`` stops earlier. The same seed gives the same inputs. The exit
status is 0 if all is well, 1 if a promise was broken, 130 if it was interrupted.

Whatever comes in, it asserts that

* nothing is raised out of ``receive_data``,
* no log record has a traceback or more than one line,
* both forms do exactly the same after every piece, and in the end the same for any
  cut of the input,
* what goes out is valid frames, and nothing but pongs behind a close frame,
* the memory held is a small multiple of the bytes received,
* the process does not grow from the connections that are gone.

The inputs come from ``streams.py``; ``core/test_equality.py`` runs a little of this.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from . import streams
from .core.support import BINARY, CLOSE, FIN, PING, PONG, TEXT, read_frames
from .streams import Parts, Pieces

MAX_SIZE = 4096  # bytes in a message, so that the limit is met often
DEBUG_EVERY = 61  # inputs between two that are logged frame by frame
MEMORY_EVERY = 997  # inputs between two whose memory is measured
POOL = 300  # valid streams of each kind that are mutated
FLOOD = 32768  # bytes of a flood

HELD_PER_BYTE = {"compiled": 48, "pure": 128}  # 2 bytes can be a frame: an object
HELD_ALWAYS = 150_000  # bytes: what a connection and Python itself keep
WARM = 20_000  # inputs after which the process has its size
GROWTH = 32 * 2**20  # bytes that it may still grow, however many inputs come

SENT = (FIN | TEXT, BINARY, FIN | CLOSE, FIN | PING, FIN | PONG)
TRAVELLING = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


# Connections to be tried


def _open(
    side: str, extension: tuple[Any, ...] | None = None, **limits: Any
) -> Callable[..., Any]:
    def make(package: ModuleType, logger: logging.Logger) -> Any:
        side_of_package = getattr(package.protocol, side.upper())
        protocol = package.protocol.Protocol(side_of_package, logger=logger, **limits)
        if extension is not None:
            kind = package.extensions.permessage_deflate.PerMessageDeflate
            protocol.extensions = [kind(*extension)]
        return protocol

    return make


def _new_server(package: ModuleType, logger: logging.Logger) -> Any:
    factory = package.extensions.permessage_deflate.ServerPerMessageDeflateFactory
    return package.server.ServerProtocol(
        extensions=[factory()], logger=logger, max_size=MAX_SIZE
    )


def _new_client(package: ModuleType, logger: logging.Logger) -> Any:
    factory = package.extensions.permessage_deflate.ClientPerMessageDeflateFactory
    protocol = package.client.ClientProtocol(
        package.uri.parse_uri("ws://example.com/"),
        extensions=[factory()],
        subprotocols=["chat"],
        logger=logger,
        max_size=MAX_SIZE,
    )
    protocol.key = streams.KEY
    protocol.send_request(protocol.connect())
    return protocol


class Kind(NamedTuple):
    """A kind of connection, and the streams that it is fed."""

    make: Callable[..., Any]
    generate: Callable[[random.Random], Parts]
    masked: bool


def _server(deflate: bool, make: Callable[..., Any]) -> Kind:
    return Kind(make, lambda rng: streams.stream(rng, True, deflate), True)


def _client(deflate: bool, make: Callable[..., Any]) -> Kind:
    return Kind(make, lambda rng: streams.stream(rng, False, deflate), False)


TAKEOVER, FRESH = (False, False, 15, 15), (True, True, 9, 9)
TIGHT: Any = {"max_size": (100, 60), "max_fragments": 3}
WIDE: Any = {"max_size": MAX_SIZE}
NONE: Any = {"max_size": None, "max_fragments": None}

KINDS: dict[str, Kind] = {
    "server": _server(False, _open("server", **WIDE)),
    "client": _client(False, _open("client", **WIDE)),
    "server-deflate": _server(True, _open("server", TAKEOVER, **WIDE)),
    "client-deflate": _client(True, _open("client", TAKEOVER, **WIDE)),
    "server-tight": _server(True, _open("server", TAKEOVER, **TIGHT)),
    "client-tight": _client(False, _open("client", **TIGHT)),
    "server-unlimited": _server(False, _open("server", **NONE)),
    "client-fresh": _client(True, _open("client", FRESH, **WIDE)),
    "request": Kind(_new_server, streams.request, True),
    "response": Kind(_new_client, streams.response, False),
}


# One input, and what can be seen of it


class Plan(NamedTuple):
    """What is done to a connection.

    Attributes:
        kind: kind of the connection.
        pieces: input.
        eager: whether events and output are fetched, and a request is accepted,
            after every piece instead of at the end.
        place: number of pieces after which ``action`` is called.
        action: name in ``ACTIONS``.

    """

    kind: str
    pieces: Pieces
    eager: bool
    place: int
    action: str

    def joined(self) -> Plan:
        """The same with the input in one piece, or two around the action."""
        before, after = self.pieces[: self.place], self.pieces[self.place :]
        return self._replace(pieces=(b"".join(before), b"".join(after)), place=1)


ACTIONS: dict[str, Callable[[Any], None]] = {
    "nothing": lambda protocol: None,
    "ping": lambda protocol: protocol.send_ping(b"torture"),
    "text": lambda protocol: protocol.send_text(b"torture", compress=False),
    "fragment": lambda protocol: protocol.send_binary(b"", False, compress=False),
    "close": lambda protocol: protocol.send_close(1001, "torture"),
    "fail": lambda protocol: protocol.fail(1011),
}


class Run:
    """A connection to which a plan is done, and all that can be seen of it."""

    def __init__(self, package: ModuleType, plan: Plan, logger: logging.Logger) -> None:
        self.package = package
        self.plan = plan
        self.protocol = KINDS[plan.kind].make(package, logger)
        self.trace: list[Any] = []  # what was seen after every piece
        self.events: list[Any] = []
        self.output: list[bytes] = []

    def __call__(self) -> dict[str, Any]:
        """Do it; return what was seen, by name."""
        plan, protocol = self.plan, self.protocol
        for number, piece in enumerate(plan.pieces):
            if number == plan.place:
                self.act()
            protocol.receive_data(piece)
            if plan.eager:
                self.fetch()
            state = int(protocol.state), protocol.close_expected()
            self.trace.append((len(self.events), *state, _error(protocol.parser_exc)))
        if not plan.eager:
            self.fetch()
        open_state = int(protocol.state), protocol.close_expected()
        protocol.receive_eof()
        self.fetch()
        return {
            "events": [_event(event) for event in self.events],
            "open": open_state,
            "error": _error(protocol.parser_exc),
            "close": (protocol.state, protocol.close_code, protocol.close_reason),
            "verdict": _error(protocol.close_exc),
            "handshake": _error(protocol.handshake_exc),
            "output": b"".join(self.output),
            "stats": repr(protocol.stats),
            "trace": self.trace,
        }

    def act(self) -> None:
        """Call the action, which the state of the connection may forbid."""
        try:
            ACTIONS[self.plan.action](self.protocol)
        except self.package.exceptions.WebSocketException as exc:
            self.trace.append(_error(exc))

    def fetch(self) -> None:
        """Fetch the events and the output; accept a request."""
        protocol = self.protocol
        events = protocol.events_received()
        if self.plan.kind == "request" and events and not self.events:
            response = protocol.accept(events[0])
            if not protocol.eof_sent:  # as the action "fail" would have it
                protocol.send_response(response)
            events += protocol.events_received()
        self.events += events
        self.output += protocol.data_to_send()


def _event(event: Any) -> Any:
    data = getattr(event, "data", None)
    if data is None:
        return repr(event)
    flags = (event.fin, event.rsv1, event.rsv2, event.rsv3)
    return int(event.opcode), data, *map(bool, flags)


def _error(exc: BaseException | None) -> tuple[str, str] | None:
    return None if exc is None else (type(exc).__name__, str(exc))


def differ(one: dict[str, Any], other: dict[str, Any], what: str, *but: str) -> None:
    """Raise AssertionError if two runs differ, in anything but these names."""
    for name, value in one.items():
        if value != other[name] and name not in but:
            raise AssertionError(f"{name}, {what}: {value!r} != {other[name]!r}")


def check_output(kind: str, output: bytes) -> None:
    """Raise AssertionError unless this is what a peer may be sent."""
    if kind in ("request", "response"):
        answer, _, output = output.partition(b"\r\n\r\n")
        if kind == "request" and not answer.startswith(b"HTTP/1.1 101 "):
            return
    frames = read_frames(output, "server" if KINDS[kind].masked else "client")
    closed = False
    for item in frames:
        assert not isinstance(item, str)
        first, payload = item
        assert first in SENT, f"first byte {first}"
        assert not closed or first == FIN | PONG, "a frame behind a close frame"
        if first == FIN | CLOSE:
            closed = True
            code = int.from_bytes(payload[:2], "big")
            assert not payload or code in TRAVELLING, f"close code {code}"
            payload[2:].decode()


# The tests


class Records(logging.Handler):
    """Collects records that a peer should not be able to cause."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info or record.stack_info or not text.isprintable():
            self.bad.append(ascii(text))


class Failure(Exception):
    """An input that broke one of the promises."""


class Torture:
    """Tries inputs on all forms."""

    def __init__(
        self,
        forms: dict[str, ModuleType],
        seed: int,
        pool: int = POOL,
        flood: int = FLOOD,
    ) -> None:
        self.forms = forms
        self.rng = random.Random(seed)
        self.flood_size = flood
        self.count = 0
        self.records = Records()
        self.loggers = {}
        for level in (logging.WARNING, logging.DEBUG):
            logger = logging.Logger(f"torture.{level}", level)
            logger.addHandler(self.records)
            self.loggers[level] = logger
        self.pools = {
            name: [kind.generate(self.rng) for _ in range(pool)]
            for name, kind in KINDS.items()
        }
        self.kinds = list(KINDS)

    def step(self) -> None:
        """Try one input; raise Failure if a promise does not hold."""
        self.count += 1
        kind = self.kinds[self.count % len(self.kinds)]
        measured = self.count % MEMORY_EVERY == 0
        plan = self.flood(kind) if measured else self.next_plan(kind)
        try:
            if measured:
                for form in self.forms:
                    self.measure(form, plan)
            else:
                self.compare(plan)
        except Exception as exc:
            pieces = [piece.hex() for piece in plan.pieces]
            raise Failure(
                f"{exc!r}\n  input {self.count}: {plan._replace(pieces=())}\n  {pieces}"
            ) from exc

    def next_plan(self, kind: str) -> Plan:
        """Another input for a connection of this kind."""
        rng = self.rng
        pool = self.pools[kind]
        choice = rng.random()
        if choice < 0.05:
            data = b"".join(rng.choice(pool))
        elif choice < 0.1:
            data = rng.randbytes(rng.randrange(40))
        else:
            data = streams.mutate(rng, rng.choice(pool), rng.choice(pool))
        pieces = streams.cut(rng, data, 3)
        eager = rng.random() < 0.25
        action = "nothing"
        if rng.random() < 0.25:
            action = rng.choice(list(ACTIONS))
        return Plan(kind, pieces, eager, rng.randrange(len(pieces)), action)

    def flood(self, kind: str) -> Plan:
        """Valid input of many frames or, rarely, something else."""
        rng = self.rng
        if rng.random() < 0.2:
            return self.next_plan(kind)
        data = streams.flood(rng, KINDS[kind].masked, self.flood_size)
        if kind in ("request", "response"):
            parts = rng.choice(self.pools[kind])
            data = b"".join(parts[: parts.index(b"\r\n") + 1]) + data
        return Plan(kind, streams.cut(rng, data, 3), False, 0, "nothing")

    def compare(self, plan: Plan) -> None:
        """All forms must do the same, whatever the cut."""
        debug = self.count % DEBUG_EVERY == 0
        logger = self.loggers[logging.DEBUG if debug else logging.WARNING]
        expected, *others = (
            (name, Run(form, plan, logger)()) for name, form in self.forms.items()
        )
        for name, other in others:
            differ(expected[1], other, name)
        form = self.forms[(others or [expected])[-1][0]]
        whole = Run(form, plan.joined(), logger)()
        # Fetching the output after every piece leaves more pongs in it.
        less = ("output", "stats") if plan.eager else ()
        differ(expected[1], whole, "in one piece", "trace", *less)
        check_output(plan.kind, expected[1]["output"])
        if self.records.bad:
            raise AssertionError(f"log: {self.records.bad}")

    def measure(self, form: str, plan: Plan) -> None:
        """What a connection holds must follow what it received."""
        size = sum(map(len, plan.pieces))
        run = Run(self.forms[form], plan, self.loggers[logging.WARNING])
        tracemalloc.start()
        try:
            for piece in plan.pieces:
                run.protocol.receive_data(piece)
            if plan.kind == "request":
                run.fetch()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        if peak > HELD_PER_BYTE[form] * size + HELD_ALWAYS:
            raise AssertionError(f"{form}: {peak} bytes held for {size}")


@contextlib.contextmanager
def same_environment(forms: dict[str, ModuleType]) -> Iterator[None]:
    """Give all forms the same masking keys and the same clock."""
    before = [
        (form.environment, form.environment.random_bytes, form.environment.wall_clock)
        for form in forms.values()
    ]
    for form in forms.values():
        form.environment.random_bytes = lambda n: (b"\x12\x34\x56\x78" * n)[:n]
        form.environment.wall_clock = lambda: 1_000_000_000.0
        form._native.kernels.forget_keys()
    try:
        yield
    finally:
        for module, random_bytes, wall_clock in before:
            module.random_bytes, module.wall_clock = random_bytes, wall_clock
        for form in forms.values():
            form._native.kernels.forget_keys()


# The command


def process_size() -> int:
    """Bytes that this process has in memory; 0 where nothing tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except FileNotFoundError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class Progress:
    """Shows how far it is: a bar on a terminal, else a line for each tenth."""

    def __init__(self) -> None:
        self.start = self.shown = time.perf_counter()
        self.tenths = 0

    def __call__(self, done: float, count: int) -> None:
        now = time.perf_counter()
        text = f"{done:4.0%} {count:,} inputs, {count / (now - self.start):,.0f}/s"
        if sys.stderr.isatty():
            if now - self.shown > 0.2 or done == 1:
                self.shown = now
                end = "\n" if done == 1 else ""
                bar = "#" * round(40 * done)
                print(f"\r[{bar:<40}] {text}", end=end, file=sys.stderr, flush=True)
        elif int(10 * done) > self.tenths:
            self.tenths = int(10 * done)
            print(text, file=sys.stderr, flush=True)


def work(torture: Torture, inputs: int, seconds: float) -> None:
    """Try so many inputs, or as many as the time allows."""
    progress = Progress()
    warm, done = 0, 0.0
    while done < 1:
        torture.step()
        if torture.count == WARM:
            warm = process_size()
        if torture.count % 64 == 0 or torture.count == inputs:
            spent = time.perf_counter() - progress.start
            done = min(1, max(torture.count / inputs, spent / seconds))
            progress(done, torture.count)
    if warm and process_size() > warm + GROWTH:
        raise Failure(
            f"the process has grown from {warm:,} to {process_size():,} bytes"
        )


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit status."""
    from .conftest import FORMS

    parser = argparse.ArgumentParser(
        prog="python -m tests.torture", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--inputs", type=int, help="how many (default: 1000000)")
    parser.add_argument("--minutes", type=float, help="how long at most")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    options = parser.parse_args(arguments)
    inputs = options.inputs or (sys.maxsize if options.minutes else 1_000_000)
    seconds = 60 * options.minutes if options.minutes else float("inf")
    torture = Torture(FORMS, options.seed)
    print(f"forms: {', '.join(FORMS)}; seed {options.seed}", flush=True)
    start = time.perf_counter()
    try:
        with same_environment(FORMS):
            work(torture, inputs, seconds)
    except Failure as failure:
        again = f"--seed {options.seed} --inputs {torture.count}"
        print(f"\nFAILED: {failure}\nagain with: {again}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted after {torture.count:,} inputs", file=sys.stderr)
        return 130
    taken = time.perf_counter() - start
    rate = f"{torture.count:,} inputs in {taken:.1f} s, {torture.count / taken:,.0f}"
    print(f"{rate} a second; {process_size() // 2**20} MiB of memory: all well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
