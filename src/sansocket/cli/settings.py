"""Settings of a server, as chosen on the command line."""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BUILTIN", "Settings"]

# Built-in handlers, and their names in the startup message.
BUILTIN = {"echo": "echo server", "broadcast": "chat room"}


@dataclass(frozen=True)
class Settings:
    """Settings of ``sansocket serve``; sizes in bytes, times in seconds.

    They are sent to each worker, so they contain only plain values.
    """

    handler: str
    host: str
    port: int
    uds: Path | None
    certfile: Path | None
    keyfile: Path | None
    origins: list[str] | None
    subprotocols: list[str] | None
    compression: bool
    max_size: int | None
    max_fragments: int | None
    open_timeout: float
    close_timeout: float
    ping_interval: float | None
    ping_timeout: float | None
    loop: str
    workers: int
    reload: bool
    verbose: int

    @property
    def title(self) -> str:
        """The name of the server for the startup message."""
        return BUILTIN.get(self.handler, self.handler)
