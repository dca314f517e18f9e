"""What a task awaits that receives: it goes on in the call that has something for it.

A future would let the task go on a turn of the event loop later, with one more look
at all sockets in between. That costs as much as a message does.
"""

from __future__ import annotations

from asyncio import CancelledError, current_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Generator
    from contextvars import Context
    from typing import Any

__all__ = ["Waiter"]


class Waiter:
    """Future for one task at a time, with what tasks need of a future and no more.

    It serves again and again: ``begin()``, then await it, then set ``waiting`` to
    false.

    Attributes:
        waiting: whether a task waits, or was woken and has not gone on yet.

    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.waiting = False
        self._loop = loop
        self._asyncio_future_blocking = False  # tasks look at it
        self._callback: Callable[[Waiter], object] | None = None
        self._context: Context | None = None
        self._done = False
        self._cancelled = False
        self._message: Any = None  # of the cancellation

    def begin(self) -> None:
        """Be about to be awaited."""
        self.waiting = True
        self._done = self._cancelled = False

    def wake(self, soon: bool) -> None:
        """Let the task go on: now, unless another is running, or in the next turn.

        Args:
            soon: whether it has to be in the next turn of the loop.
        """
        if self._done:
            return
        self._done = True
        callback, self._callback = self._callback, None
        if callback is None:
            return
        loop, context = self._loop, self._context
        if not soon and context is not None and current_task(loop) is None:
            context.run(callback, self)
        else:
            loop.call_soon(callback, self, context=context)

    def wake_now(self) -> None:
        """Let the task go on, as a callback of the event loop."""
        self.wake(False)

    # --- what tasks call

    def __await__(self) -> Generator[Waiter, None, None]:
        return self  # type: ignore[return-value]  # all that tasks use of one

    def __iter__(self) -> Waiter:
        return self

    def __next__(self) -> Waiter:
        if self._done:
            raise StopIteration
        self._asyncio_future_blocking = True
        return self

    def get_loop(self) -> AbstractEventLoop:
        """The event loop of the task."""
        return self._loop

    def add_done_callback(
        self, callback: Callable[[Waiter], object], *, context: Context | None = None
    ) -> None:
        """Take what lets the task go on."""
        self._callback = callback
        self._context = context

    def cancel(self, msg: Any = None) -> bool:
        """Let the task go on with ``CancelledError``, unless it does so already."""
        if self._done:
            return False
        self._done = self._cancelled = True
        self._message = msg
        callback, self._callback = self._callback, None
        if callback is not None:
            loop, context = self._loop, self._context
            loop.call_soon(callback, self, context=context)
        return True

    def result(self) -> None:
        """Tell that the task may go on, or raise that it was cancelled."""
        if self._cancelled:
            raise CancelledError(*(() if self._message is None else (self._message,)))
