"""Programs for both ends of connections, made at random.

A program is plain data: it can be printed, run again, and made smaller.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from random import Random
from typing import Any, TypeAlias

from .network import NEVER, Weather

Action: TypeAlias = tuple[Any, ...]  # its name, and its arguments

KINDS = ("ours-ours", "ours-theirs", "theirs-ours")  # server and client

# What one may raise that ends the process, and what may pass for an accident.
EXITS = ("exit", "interrupt")
RAISED = ("error", "cancelled", "generator", "group", "base", "base group", "closed")


# What a server does whose client connects again and again.
SHORT_LIVES: tuple[list[Action], ...] = (
    [],
    [("raise", "error")],
    [("sleep", 0.05)],
    [("close", 1012)],
    [("abort",)],
    [("sleep", 12)],
)


@dataclass
class Task:
    """What one task does with a connection.

    Attributes:
        actions: one after the other.
        stops: whether it takes the end of the connection for an end, or raises.

    """

    actions: list[Action] = field(default_factory=list)
    stops: bool = True


@dataclass
class End:
    """What one end of a connection does.

    Attributes:
        tasks: the first is the handler, or what is inside of ``async with connect()``.
        finish: what becomes of the others when the first ends: ``"join"``,
            ``"cancel"`` or ``"leave"``.
        on_message: what is done with messages straight from the read, if it is.
        on_close: what is raised by it, or ``"nothing"``, or ``None`` for no function.

    """

    tasks: list[Task] = field(default_factory=list)
    finish: str = "join"
    on_message: str | None = None
    on_close: str | None = None


@dataclass
class Pair:
    """A connection: who does what, from when on, and what befalls it.

    Attributes:
        starts_at: seconds from the beginning.
        again: whether the client connects again and again.
        gives_up: after how many turns of the loop ``connect()`` is cancelled, or -1.
        events: time since the beginning, what, and arguments.

    """

    client: End
    server: End
    starts_at: float = 0.0
    again: bool = False
    gives_up: int = -1
    events: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass
class Program:
    """All of it."""

    seed: int
    kind: str = "ours-ours"
    tls: bool = False
    weather: Weather = field(default_factory=Weather)
    server_options: dict[str, Any] = field(default_factory=dict)
    client_options: dict[str, Any] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    admin: list[tuple[float, str]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The program for people."""
        weather = ", ".join(
            f"{one.name}={getattr(self.weather, one.name)}"
            for one in fields(self.weather)
            if getattr(self.weather, one.name) != one.default
        )
        lines = [
            f"{self.kind}{' with TLS' if self.tls else ''}, network: {weather or '-'}",
            f"server: {self.server_options}",
            f"client: {self.client_options}",
        ]
        lines += [f"at {at}: {what}" for at, what in self.admin]
        for number, pair in enumerate(self.pairs):
            lines.append(f"connection {number} at {pair.starts_at}:")
            if pair.again:
                lines.append("  connects again and again")
            if pair.gives_up >= 0:
                lines.append(f"  connect() cancelled after {pair.gives_up} turns")
            lines += [f"  network: {event}" for event in pair.events]
            for name, end in ("client", pair.client), ("server", pair.server):
                extras = "".join(
                    f", {name}: {value}"
                    for name, value in (
                        ("on_message", end.on_message),
                        ("on_close", end.on_close),
                    )
                    if value
                )
                lines.append(f"  {name} ({end.finish}{extras})")
                for index, task in enumerate(end.tasks):
                    lines.append(f"    task {index}{'' if task.stops else ' (raises)'}")
                    lines += [f"      {action}" for action in task.actions]
        return lines


def make(seed: int, kind: str | None = None) -> Program:
    """The program of a seed."""
    return Maker(seed, kind).make()


class Maker:
    """Makes one program."""

    def __init__(self, seed: int, kind: str | None) -> None:
        self.random = random = Random(seed)
        self.seed = seed
        chosen = random.choice((*KINDS, "ours-ours"))
        self.kind = kind or chosen
        self.budget = 300_000  # bytes that may be sent

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def make(self) -> Program:
        server, client = self.kind.split("-")
        callbacks = server == "ours" and self.chance(0.2)
        client_callbacks = client == "ours" and self.chance(0.1)
        program = Program(
            self.seed,
            self.kind,
            tls=self.chance(0.15),
            weather=self.make_weather(),
            server_options=self.make_options(),
            client_options=self.make_options(),
        )
        for _ in range(2 if self.chance(0.15) else 1):
            program.pairs.append(self.make_pair(callbacks, client_callbacks))
        pair = program.pairs[0]
        plain = not (pair.again or pair.server.on_message or pair.client.on_message)
        if plain and self.chance(0.03):
            self.make_upload(program)
        if self.chance(0.12):
            program.admin.append(
                (round(self.random.uniform(0, 3), 2), self.make_admin())
            )
        return program

    # --- the surroundings

    def make_weather(self) -> Weather:
        random = self.random
        weather = Weather(latency=random.choice((0.0, 0.001, 0.02, 0.02, 0.1)))
        if self.chance(0.3):
            weather.jitter = random.choice((0.001, 0.01, 0.1))
        sizes = (1500, 4000, 16000, 65536, 200_000)
        weather.send_buffer = random.choice(sizes)
        weather.receive_buffer = random.choice(sizes)
        if self.chance(0.5):
            weather.chunk = random.choice((400, 1000, 3000, 20000))
        if self.chance(0.15):
            self.slow_down(weather)
        if self.chance(0.2):
            weather.send_buffer = 10**9
        if self.chance(0.3):
            weather.lazy = random.choice((0.1, 0.5))
        weather.tells = self.chance(0.7)
        return weather

    def slow_down(self, weather: Weather) -> None:
        weather.bandwidth = self.random.choice((20_000, 100_000))
        weather.send_buffer = min(weather.send_buffer, 16000)
        weather.receive_buffer = min(weather.receive_buffer, 16000)

    def make_options(self) -> dict[str, Any]:
        random = self.random
        options: dict[str, Any] = {}
        if self.chance(0.5):
            options["ping_interval"] = random.choice((None, None, 0.5, 2))
        if self.chance(0.4):
            options["ping_timeout"] = random.choice((None, 0.5, 2))
        if self.chance(0.4):
            options["close_timeout"] = random.choice((0.5, 2, 4))
        if self.chance(0.3):
            options["max_queue"] = random.choice((1, 2, 4, (3, 1), None))
        if self.chance(0.35):
            options["write_limit"] = random.choice(
                (0, 1, 100, 2000, (100, 10), 200_000)
            )
        if self.chance(0.7):
            options["compression"] = None
        if self.chance(0.05):
            options["max_size"] = random.choice((100, 5000))
        if self.chance(0.1):
            options["open_timeout"] = random.choice((0.5, 3, None))
        return options

    def make_admin(self) -> str:
        return self.random.choice(
            (
                *("close", "close", "close 1012", "stop listening"),
                *("cancel serve_forever", "close, then serve_forever"),
            )
        )

    def make_events(self) -> list[tuple[Any, ...]]:
        random = self.random
        events: list[tuple[Any, ...]] = []
        if not self.chance(0.25):
            return events
        for _ in range(1 if self.chance(0.8) else 2):
            at = round(random.uniform(0, 2.5), 3)
            what = random.choice(
                ("reset", "reset", "reset one", "end", "end both", "stall", "stall",
                 "vanish")
            )  # fmt: skip
            side = random.choice(("client", "server"))
            if what == "stall":
                events.append((at, what, side, random.choice((0.2, 1, 3, 8))))
            else:
                events.append((at, what, side))
        return sorted(events)

    # --- what ends do

    def make_pair(self, callbacks: bool, client_callbacks: bool) -> Pair:
        random = self.random
        pair = Pair(self.make_end(), self.make_end())
        if callbacks:
            self.make_callbacks(pair.server)
        if client_callbacks:
            self.make_callbacks(pair.client)
        pair.events = self.make_events()
        if self.chance(0.04) and not callbacks and not client_callbacks:
            pair.again = True
            pair.client = End([Task([("recv_all",)])])
            pair.server = End([Task(random.choice(SHORT_LIVES))])
            return pair
        if self.chance(0.2):
            pair.starts_at = round(random.uniform(0, 1), 2)
        if self.chance(0.1):
            pair.gives_up = random.randrange(1, 25)
        return pair

    def make_upload(self, program: Program) -> None:
        """Let an end of ours send much over a slow line, and doubt that the other is
        alive long before it has all."""
        random = self.random
        pair = program.pairs[0]
        ends = (pair.server, pair.client)
        options = (program.server_options, program.client_options)
        kinds = program.kind.split("-")
        ours = random.choice([0, 1] if kinds[0] == kinds[1] else [kinds.index("ours")])
        self.slow_down(program.weather)
        for each in options:
            each.pop("max_size", None)
        options[ours]["ping_interval"] = 0.5
        options[ours]["ping_timeout"] = random.choice((0.5, 1))
        sizes = [
            random.randrange(20_000, 120_000) for _ in range(random.choice((1, 2)))
        ]
        ends[ours].tasks = [Task([("send", size, self.chance(0.5)) for size in sizes])]
        ends[1 - ours].tasks = [Task([("recv_all",)])]

    def make_callbacks(self, end: End) -> None:
        random = self.random
        end.on_message = random.choice(
            (
                *("keep", "keep", "echo", "echo", "fan", "both", "both"),
                *("raise", "close", "compute"),
            )
        )
        if self.chance(0.3):
            end.on_close = random.choice(("nothing", *RAISED, *EXITS))
        for task in end.tasks:
            task.actions = [
                action for action in task.actions if not action[0].startswith("recv")
            ]

    def make_end(self) -> End:
        random = self.random
        end = End(finish=random.choice(("join", "join", "cancel", "leave")))
        shape = random.random()
        if shape < 0.25:  # one sends, another receives
            end.tasks = [
                Task([*self.sending(random.randrange(1, 5))]),
                Task([("recv_all",)]),
            ]
        elif shape < 0.45:
            end.tasks = [Task([("recv_all", random.choice(("", "", "iterate")))])]
        elif shape < 0.55:
            end.tasks = [Task([("echo", self.limit())])]
        elif shape < 0.65:
            end.tasks = [Task([*self.sending(random.randrange(4)), ("wait_closed",)])]
        else:
            end.tasks = [
                Task(self.anything(random.randrange(1, 6)))
                for _ in range(random.choice((1, 1, 2, 3)))
            ]
        if self.chance(0.3):
            end.tasks[0].actions.append(("recv_all",))
        for task in end.tasks:
            task.stops = self.chance(0.6)
        if self.chance(0.2):
            number = random.randrange(len(end.tasks))
            where = random.randrange(len(end.tasks[0].actions) + 1)
            end.tasks[0].actions.insert(where, self.make_cancel(number))
        return end

    def make_cancel(self, number: int) -> Action:
        random = self.random
        if self.chance(0.6):
            return ("cancel", number, "turns", random.randrange(25))
        return ("cancel", number, "seconds", round(random.uniform(0, 2), 2))

    def limit(self) -> int:
        return self.random.choice((1, 3, 10, 1000))

    def sending(self, count: int) -> list[Action]:
        return [self.make_send() for _ in range(count)]

    def anything(self, count: int) -> list[Action]:
        return [self.make_action() for _ in range(count)]

    def size(self) -> int:
        random = self.random
        size = random.choice((0, 1, 20, 200, 2000, 10000, 40000))
        if size > 1:
            size = random.randint(size // 2, size)
        if self.chance(0.02):
            size = 150_000
        size = min(size, max(self.budget, 1))
        self.budget -= size
        return size

    def make_send(self) -> Action:
        random = self.random
        shape = random.random()
        text = self.chance(0.5)
        if shape < 0.45:
            return ("send", self.size(), text)
        if shape < 0.65:
            sizes = [self.size() for _ in range(random.randrange(1, 5))]
            how = random.choice(("iterable", "async", "async", "raising"))
            if how == "raising" and self.chance(0.7):
                how = "async"
            return ("send_parts", sizes, text, how, random.choice((0, 0, 0.05, 0.5)))
        if shape < 0.85:
            count = random.choice((5, 20, 40))
            size = max(0, min(self.size(), self.budget // count))
            self.budget -= size * count
            pause = random.choice((0, 0, 0, "compute", "ping", 0.05))
            return ("send_many", count, size, text, pause)
        if shape < 0.9:
            return ("send_on", 500, random.choice((1, 100, 1000)))
        return ("broadcast", self.size(), text)

    def make_action(self) -> Action:
        random = self.random
        shape = random.random()
        if shape < 0.35:
            return self.make_send()
        if shape < 0.6:
            return random.choice((
                ("recv", random.randrange(1, 6)),
                ("recv", random.randrange(1, 6)),
                ("recv_parts", 0),
                ("recv_parts", 0.05),
                ("recv_some", round(random.uniform(0, 0.5), 3)),
                ("recv_some", round(random.uniform(0, 0.05), 3)),
                ("recv_slowly", 10, 0.1),
            ))  # fmt: skip
        if shape < 0.7:
            return ("sleep", random.choice((0, 0.01, 0.1, 0.5, 1, 3)))
        if shape < 0.78:
            return ("ping", self.chance(0.6))
        if shape < 0.8:
            return ("pong",)
        if shape < 0.83:
            return ("compute", random.choice((0.01, 0.1, 0.1, 1, 5)))
        if shape < 0.88:
            return ("close", random.choice((1000, 1000, 1001, 1008, 1011, 4000)))
        if shape < 0.93:
            return ("wait_closed",)
        if shape < 0.95:
            return ("abort",)
        if shape < 0.98:
            return ("raise", random.choice(RAISED))
        return ("raise", random.choice(("error", *EXITS)))


def is_calm(pair: Pair) -> bool:
    """Whether the network does nothing out of the ordinary."""
    return not pair.events


def actions_of(end: End) -> list[Action]:
    return [action for task in end.tasks for action in task.actions]


__all__ = [
    "EXITS",
    "KINDS",
    "NEVER",
    "RAISED",
    "Action",
    "End",
    "Pair",
    "Program",
    "Task",
    "actions_of",
    "is_calm",
    "make",
]
