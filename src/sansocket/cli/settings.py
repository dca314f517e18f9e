"""What the command line decides for a server."""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BUILTIN", "Settings"]

# Handlers that come with the command, and how they are called when announced.
BUILTIN = {"echo": "echo server", "broadcast": "chat room"}


@dataclass(frozen=True)
class Settings:
    """Settings of ``sansocket serve``; sizes in bytes, times in seconds.

    They go to each worker as they are, so they hold nothing but plain values.
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
        """What the server is."""
        return BUILTIN.get(self.handler, self.handler)
