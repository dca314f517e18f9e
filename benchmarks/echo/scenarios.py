"""What is measured: how the load drives a server, and what an operation is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .contenders import CONTENDERS, Contender
from .processes import Load, Sample, Server, Servers

__all__ = ["SCENARIOS", "Scenario"]


@dataclass(frozen=True)
class Scenario:
    """A kind of load. ``unit`` is that of the cost; ``options`` are of ``load.c``."""

    name: str
    title: str
    mode: str
    options: dict[str, int] = field(default_factory=dict)
    unit: str = "µs a message"
    deflate: bool = False

    @property
    def files(self) -> int:
        """Connections, and whatever else a server has open."""
        return self.options.get("connections", 1) + 200

    def suits(self, contender: Contender) -> bool:
        """Whether the contender has what it takes."""
        if self.mode == "broadcast" and not contender.broadcast:
            return False
        return contender.deflate or not self.deflate

    def measure(
        self, load: Load, servers: Servers, names: tuple[str, str], seconds: float
    ) -> Sample:
        """Measure a contender on a loop for one round.

        Raises ``Failed``, and ``Unavailable`` if the contender cannot serve.
        """
        what = [word for word in ("deflate",) if self.deflate]
        if self.mode == "broadcast":
            what.append("broadcast")
        if self.mode == "idle":
            return self._idle(load, Server(*names, *what))
        try:
            return load.measure(
                servers.get(*names, *what),
                self.mode,
                **self.options,
                deflate=int(self.deflate),
                duration=round(seconds * 1000),
                warmup=round(seconds * 200),
            )
        except Exception:
            servers.drop(*names, *what)  # it may be in any state
            raise

    def _idle(self, load: Load, server: Server) -> Sample:
        """Memory is measured in a process that has done nothing else."""
        try:
            return load.memory(server, **self.options, deflate=int(self.deflate))
        finally:
            server.end()


def _all() -> Iterable[Scenario]:
    for size in (16, 256):
        for connections in (1, 50):
            yield Scenario(
                f"ping-{size}" + (f"x{connections}" if connections > 1 else ""),
                f"ping-pong, {size} B, connections: {connections}",
                "echo",
                {"size": size, "connections": connections},
            )
    for size in (16, 256):
        title = f"32 in flight, {size} B"
        yield Scenario(f"flight-{size}", title, "echo", {"size": size, "batch": 32})
    for size, title in ((2**13, "8 KiB"), (102_400, "100 KiB"), (2**20, "1 MiB")):
        name = "echo-" + title.replace(" ", "").removesuffix("iB").lower()
        yield Scenario(name, f"ping-pong, {title}", "echo", {"size": size})
    for name, title, options in (
        ("broadcast", "broadcast to 1000, 256 B", {"size": 256}),
        ("broadcast-16", "broadcast to 1000, 16 B", {"size": 16}),
        ("broadcast-burst", "20 at once to 1000, 16 B", {"size": 16, "batch": 20}),
    ):
        options["connections"] = 1000
        yield Scenario(name, title, "broadcast", options, "µs a delivery")
    for deflate in (False, True):
        yield Scenario(
            "open" + "-deflate" * deflate,
            "opening and closing" + ", deflate offered" * deflate,
            "open",
            {"connections": 8},
            "µs each",
            deflate,
        )
    for connections in (5000, 10_000):
        for deflate in (False, True):
            yield Scenario(
                f"idle-{connections}" + "-deflate" * deflate,
                f"idle connections: {connections}" + ", deflate agreed" * deflate,
                "idle",
                {"connections": connections},
                "kB each",
                deflate,
            )


SCENARIOS = {scenario.name: scenario for scenario in _all()}
assert all(any(map(one.suits, CONTENDERS.values())) for one in SCENARIOS.values())
