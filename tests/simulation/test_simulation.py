"""Drivers on both ends of a network in memory, and the simulation itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from .drivers import OLD, forms
from .loop import Deadlock, EndlessTurn, Loop, StandingTime
from .network import Network, Weather
from .old_bugs import BUGS, load
from .programs import KINDS, End, Pair, Program, Task, make
from .running import run
from .shrinking import shrink
from .world import World

PROGRAMS = 30  # for each kind and form


@pytest.fixture(autouse=True, scope="module")
def _little_garbage() -> None:
    """Each program ends with a collection, which is to look at its garbage alone."""
    gc.collect()
    gc.freeze()


def told(world: World) -> str:
    """The program that failed, and why."""
    return "\n".join([*world.program.lines(), *map(str, world.faults)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", forms())
def test_programs_of_both_ends_keep_all_promises(form: str, kind: str) -> None:
    for seed in range(PROGRAMS):
        world = run(make(seed, kind), form)
        assert not world.faults, f"seed {seed}: {told(world)}"


def test_a_seed_gives_the_same_run_again() -> None:
    traces = [run(make(7, kind), "pure", trace=True).trace for kind in KINDS * 2]
    assert traces[: len(KINDS)] == traces[len(KINDS) :]


def test_every_old_bug_can_be_put_back() -> None:
    for name in BUGS:
        assert load(name).endswith(name)


# Programs that show an old bug each, whatever the seeds give.
SENDS_ON = End([Task([("send_on", 500, 100)])])
SHOWN = {
    "B": Program(
        1,
        weather=Weather(send_buffer=10**9),
        client_options={"compression": None},
        pairs=[Pair(SENDS_ON, End([Task([("recv_all",)])]))],
    ),
    "L": Program(1, pairs=[Pair(End([Task()]), End([Task()]), starts_at=1)]),
    "N": Program(
        1,
        server_options={"compression": None},
        client_options={"compression": None},
        pairs=[
            Pair(
                End([Task([("send_many", 40, 10, True, 0)])]),
                End([Task([("wait_closed",)])]),
            )
        ],
    ),
    "U2": Program(
        1,
        pairs=[
            Pair(
                End([Task([("sleep", 0.5)])]),
                End([Task()], on_message="keep", on_close="cancelled"),
            )
        ],
    ),
}
SHOWN["L"].admin.append((0.1, "cancel serve_forever"))


@pytest.mark.parametrize("name", SHOWN)
def test_an_old_bug_is_found(name: str) -> None:
    kinds = {fault.kind for fault in run(SHOWN[name], OLD + name).faults}
    assert kinds & set(BUGS[name].faults)
    assert not run(SHOWN[name], "pure").faults


def test_a_program_that_fails_is_made_smaller() -> None:
    program = make(0, "ours-ours")
    program.pairs[0].server.tasks[0].actions.append(("sleep", 0.25))

    def fails(one: Program) -> bool:
        actions = [
            action for pair in one.pairs for action in pair.server.tasks[0].actions
        ]
        return ("sleep", 0.25) in actions

    small = shrink(program, fails)
    assert small.pairs[0].server.tasks[0].actions == [("sleep", 0.25)]
    assert small.pairs[0].client.tasks[0].actions == []
    assert small.weather == Weather()


# --- the loop and the network


def run_on(loop: Loop, work: Any) -> Any:
    try:
        return loop.run_until_complete(work)
    finally:
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()


def make_loop(**weather: Any) -> Loop:
    return Loop(Network(Random(1), Weather(**weather)))


def test_time_passes_at_once() -> None:
    loop = make_loop()
    begun = loop.time()
    run_on(loop, asyncio.sleep(3600))
    assert loop.time() - begun == pytest.approx(3600)


def test_deadlock_is_found() -> None:
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run_on(make_loop(), wait())


def test_endless_turn_is_found() -> None:
    loop = make_loop()

    async def work() -> None:
        while True:
            loop.step(True)

    with pytest.raises(EndlessTurn):
        run_on(loop, work())


def test_standing_time_is_found() -> None:
    async def work() -> None:
        while True:  # noqa: ASYNC110 - it waits for nothing
            await asyncio.sleep(0)

    with pytest.raises(StandingTime):
        run_on(make_loop(), work())


@contextlib.asynccontextmanager
async def streams(loop: Loop) -> AsyncIterator[tuple[Any, Any]]:
    """Both ends of a connection: a reader, and what writes."""
    accepted = loop.create_future()
    server = await loop.create_server(
        lambda: asyncio.StreamReaderProtocol(
            asyncio.StreamReader(), lambda *both: accepted.set_result(both)
        ),
        "sim",
        1,
    )
    near = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(near)
    transport, _ = await loop.create_connection(lambda: protocol, "sim", 1)
    far, writer = await accepted
    yield (near, transport), (far, writer)
    writer.close()
    transport.close()
    server.close()
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    "weather",
    [
        {},
        {"chunk": 7, "send_buffer": 50, "receive_buffer": 30, "jitter": 0.1},
        {"bandwidth": 1000.0, "lazy": 0.5, "latency": 0.0},
    ],
)
def test_bytes_arrive_in_order_and_then_the_end(weather: dict[str, Any]) -> None:
    loop = make_loop(**weather)
    data = Random(2).randbytes(5000)

    async def work() -> None:
        async with streams(loop) as ((near, transport), (far, writer)):
            transport.write(data)
            transport.write_eof()
            assert await far.read() == data
            writer.write(b"after the half-close")
            writer.close()
            assert await near.read() == b"after the half-close"

    run_on(loop, work())


def test_what_is_held_back_arrives_in_order() -> None:
    loop = make_loop()

    async def work() -> float:
        async with streams(loop) as ((_, transport), (far, _)):
            pipe = loop.network.by_number[-1].out
            for number in range(5):
                pipe.stall(loop.time() + 2)
                transport.write(b"%d" % number)
                await asyncio.sleep(1.5)
            begun = loop.time()
            assert await far.readexactly(5) == b"01234"
            return loop.time() - begun

    assert run_on(loop, work()) == pytest.approx(0.5)


def test_reset_is_told_to_both_ends() -> None:
    loop = make_loop()

    async def work() -> None:
        async with streams(loop) as ((near, _), (far, _)):
            sock = loop.network.by_number[-1]
            sock.be_reset(True)
            sock.peer.be_reset(True)
            for reader in near, far:
                with pytest.raises(ConnectionResetError):
                    await reader.read()

    run_on(loop, work())


def test_writing_pauses_while_the_peer_reads_nothing() -> None:
    loop = make_loop(send_buffer=1000, receive_buffer=1000)

    async def work() -> None:
        async with streams(loop) as ((_, transport), (far, writer)):
            writer.transport.pause_reading()
            transport.write(bytes(10_000))
            await asyncio.sleep(5)
            # Both buffers are full, and one read may have come before the pause.
            assert 7000 <= transport.get_write_buffer_size() <= 8000
            writer.transport.resume_reading()
            assert len(await far.readexactly(10_000)) == 10_000

    run_on(loop, work())
