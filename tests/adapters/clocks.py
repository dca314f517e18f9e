"""Event loops whose time is not that of the world, so that no test has to wait."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class ManualLoop(asyncio.SelectorEventLoop):
    """Its time is what it is set to."""

    now = 0.0

    def time(self) -> float:
        """The time, in seconds."""
        return self.now


class SkippingLoop(ManualLoop):
    """Where nothing else is left to do, its time goes on to the next timer.

    What is on its way must be there at once, as with Unix sockets.
    """

    def __init__(self) -> None:
        super().__init__(Skipping(self))


class Skipping(selectors.DefaultSelector):
    """Does not wait, if it is to wait for so long."""

    def __init__(self, loop: SkippingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """Give what is ready, or let the time go on."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._loop.now += timeout
        return ready
