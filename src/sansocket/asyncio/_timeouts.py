"""A time limit around a coroutine, in which no cancellation is lost.

``asyncio.wait_for()`` of Python 3.10 and 3.11 forgets a cancellation that arrives in
the same turn of the event loop as the result.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import CancelledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = ["within"]


async def within(seconds: float | None, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in this task, and cancel it when the time is up.

    A cancellation of the task always wins: over the result, and over the end of the
    time in the same turn of the event loop.

    Args:
        seconds: how long it may take; ``None`` for no limit.
        coroutine: what to run. It is started even if no time is left.

    Raises:
        TimeoutError: if the time is up.

    """
    if sys.version_info >= (3, 11):
        async with asyncio.timeout(seconds):
            return await coroutine
    return await run_limited(seconds, coroutine)  # pragma: no cover - on 3.10 only


async def run_limited(seconds: float | None, coroutine: Coroutine[Any, Any, T]) -> T:
    """Do what ``within()`` does, on Python 3.10, which has no ``asyncio.timeout()``.

    There a task cannot tell how often, or by whom, it was cancelled. So the timer
    does not cancel the task, but what the coroutine waits for.
    """
    if seconds is None:
        return await coroutine
    limited = Limited(coroutine)
    timer = asyncio.get_running_loop().call_later(seconds, limited.expire)
    try:
        result: T = await limited
        return result
    except CancelledError as exc:
        if limited.cancelled or not limited.expired:
            raise
        raise TimeoutError from exc
    finally:
        timer.cancel()


class Limited:
    """Awaited, it runs a coroutine in the same task, as the task would.

    Attributes:
        expired: whether the time is up.
        cancelled: whether the task was cancelled.

    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.expired = False
        self.cancelled = False
        self._coroutine = coroutine
        self._future: Any = None  # what the coroutine waits for
        self._must_cancel = False  # the coroutine, when it goes on

    def expire(self) -> None:
        """Let the time be up."""
        self.expired = True
        self._must_cancel = self._future is None or not self._future.cancel()

    def __await__(self) -> Generator[Any, None, Any]:
        error: BaseException | None = None  # to raise where the coroutine waits
        try:
            while True:
                if error is None:
                    self._future = self._coroutine.send(None)
                else:
                    self._future = self._coroutine.throw(error)
                error = yield from self._wait(self._future)
                if self._must_cancel and error is None:
                    error = CancelledError()
                self._must_cancel = False
        except StopIteration as stop:
            return stop.value
        finally:
            self._coroutine.close()

    def _wait(self, future: Any) -> Generator[Any, None, BaseException | None]:
        try:
            if future is None:  # it gives the loop a turn
                yield
            else:
                future._asyncio_future_blocking = False
                yield Watched(future, self)
        except BaseException as exc:
            if future is None:
                self.cancelled = True
            return exc
        return None


class Watched:
    """Stands in for a future that a task awaits, and sees that the task is cancelled.

    It does so also if the timer has cancelled the future before.
    """

    def __init__(self, future: Any, limited: Limited) -> None:
        self._asyncio_future_blocking = True  # tasks look at it
        self._future = future
        self._limited = limited
        self.get_loop = future.get_loop
        self.result = future.result

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the future, for the task."""
        self._limited.cancelled = True
        cancelled: bool = self._future.cancel(msg)
        return cancelled

    def add_done_callback(
        self, callback: Callable[[Watched], object], *, context: Context | None = None
    ) -> None:
        """Take what lets the task go on."""
        self._future.add_done_callback(lambda _: callback(self), context=context)
