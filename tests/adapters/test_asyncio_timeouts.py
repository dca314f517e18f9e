"""A time limit around a coroutine, in which no cancellation is lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

import pytest

from sansocket.asyncio._timeouts import run_limited, within
from sansocket.asyncio._waiter import Waiter

from .clocks import ManualLoop

Within: TypeAlias = Callable[[float | None, Coroutine[Any, Any, Any]], Awaitable[Any]]

LIMIT = 5.0
STEPS = ("cancel", "expire", "finish")
ORDERS = [order for size in (1, 2, 3) for order in itertools.permutations(STEPS, size)]


@pytest.fixture(params=[within, run_limited], ids=["within", "of_python_3_10"])
def limit(request: pytest.FixtureRequest) -> Within:
    """What is used, and what stands in where the library has nothing."""
    function: Within = request.param
    return function


def run(main: Callable[[ManualLoop], Coroutine[Any, Any, Any]]) -> Any:
    loop = ManualLoop()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        loop.close()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def value(result: Any) -> Any:
    return result


def finish(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result("result")


async def passed_on(future: asyncio.Future[Any]) -> Any:
    return await future


async def outcome_of(task: asyncio.Task[Any]) -> str:
    try:
        return str(await task)
    except asyncio.CancelledError:
        return "cancelled"
    except TimeoutError:
        return "timeout"


def waits_for_a_future(loop: ManualLoop) -> tuple[Any, Callable[[], object]]:
    future = loop.create_future()
    return passed_on(future), lambda: finish(future)


def waits_for_a_task(loop: ManualLoop) -> tuple[Any, Callable[[], object]]:
    future = loop.create_future()

    async def wait() -> Any:
        return await asyncio.ensure_future(passed_on(future))

    return wait(), lambda: finish(future)


def waits_as_receivers_do(loop: ManualLoop) -> tuple[Any, Callable[[], object]]:
    waiter = Waiter(loop)

    async def wait() -> str:
        waiter.begin()
        await waiter
        return "result"

    return wait(), waiter.wake_now


def waits_inside_of_another(loop: ManualLoop) -> tuple[Any, Callable[[], object]]:
    future = loop.create_future()

    async def wait() -> Any:
        return await run_limited(LIMIT * 2, passed_on(future))

    return wait(), lambda: finish(future)


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize(
    "start",
    [
        *(waits_for_a_future, waits_for_a_task),
        *(waits_as_receivers_do, waits_inside_of_another),
    ],
)
def test_all_in_one_turn(limit: Within, start: Any, order: tuple[str, ...]) -> None:
    cancelled: list[bool] = []  # what the task said of it

    async def main(loop: ManualLoop) -> str:
        coroutine, finish = start(loop)
        task: Any = loop.create_task(limit(LIMIT, coroutine))  # type: ignore[arg-type]
        await turns()
        # Timers of one turn run in the order of their times.
        expiry = order.index("expire") if "expire" in order else len(order)
        for place, step in enumerate(order):
            when = LIMIT + (place - expiry) / 10
            if step == "cancel":
                loop.call_at(when, lambda: cancelled.append(task.cancel()))
            elif step == "finish":
                loop.call_at(when, finish)
        loop.now = LIMIT + 1 if "expire" in order else LIMIT - 0.01
        await turns(20)
        assert task.done()
        return await outcome_of(task)

    found = run(main)
    if any(cancelled):
        assert found == "cancelled"
    elif order[0] == "expire":
        assert found == "timeout"
    else:  # it was earlier than all else
        assert order[0] == "finish"
        assert found == "result" or order[1] == "expire"


class TestOutcomes:
    def test_result(self, limit: Within) -> None:
        async def main(loop: ManualLoop) -> None:
            assert await limit(LIMIT, value(1)) == 1
            assert await limit(None, value(2)) == 2
            assert await limit(0, value(3)) == 3
            assert await limit(LIMIT, asyncio.sleep(0, 4)) == 4

        run(main)

    def test_exceptions(self, limit: Within) -> None:
        async def fail() -> None:
            await asyncio.sleep(0)
            raise LookupError("a bug")

        async def main(loop: ManualLoop) -> None:
            with pytest.raises(LookupError, match="a bug"):
                await limit(LIMIT, fail())

        run(main)

    def test_a_timeout_of_its_own(self, limit: Within) -> None:
        async def fail() -> None:
            raise TimeoutError("by itself")

        async def main(loop: ManualLoop) -> None:
            with pytest.raises(TimeoutError, match="by itself"):
                await limit(LIMIT, fail())

        run(main)

    def test_no_time(self, limit: Within) -> None:
        async def main(loop: ManualLoop) -> None:
            for seconds in (0, -1):
                with pytest.raises(TimeoutError):
                    await limit(seconds, passed_on(loop.create_future()))

        run(main)

    def test_time_is_up_while_it_gives_the_loop_a_turn(self, limit: Within) -> None:
        async def main(loop: ManualLoop) -> None:
            task: Any = loop.create_task(limit(LIMIT, turns(100)))  # type: ignore[arg-type]
            await turns()
            loop.now = LIMIT * 2
            await turns()
            assert await outcome_of(task) == "timeout"

        run(main)

    def test_cancelled_while_it_gives_the_loop_a_turn(self, limit: Within) -> None:
        """Also if the time is up in the same turn."""

        async def main(loop: ManualLoop) -> None:
            for late in (False, True):
                task: Any = loop.create_task(limit(LIMIT, turns(100)))  # type: ignore[arg-type]
                await turns()
                if late:
                    loop.now += LIMIT * 2
                task.cancel()
                assert await outcome_of(task) == "cancelled"

        run(main)

    def test_nothing_is_lost_in_its_cleaning_up(self, limit: Within) -> None:
        """It takes as long as it takes, and ends with what it raises."""

        async def clean_up(seen: list[str], future: asyncio.Future[Any]) -> None:
            try:
                await future
            finally:
                await turns(3)
                seen.append("cleaned up")

        async def main(loop: ManualLoop) -> None:
            for cancel in (False, True):
                seen: list[str] = []
                coroutine = clean_up(seen, loop.create_future())
                task: Any = loop.create_task(limit(LIMIT, coroutine))  # type: ignore[arg-type]
                await turns()
                if cancel:
                    task.cancel()
                else:
                    loop.now += LIMIT * 2
                found = await outcome_of(task)
                assert found == ("cancelled" if cancel else "timeout")
                assert seen == ["cleaned up"]

        run(main)

    def test_the_task_is_not_cancelled_later(self, limit: Within) -> None:
        """Neither by a timer that is left, nor by what the timer did."""

        async def main(loop: ManualLoop) -> None:
            await limit(LIMIT, value(1))
            loop.now = LIMIT * 2
            await turns()
            with pytest.raises(TimeoutError):
                await limit(0, passed_on(loop.create_future()))
            await turns()

        run(main)
