"""What must hold when a program is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .ends import Side

if TYPE_CHECKING:
    from .world import World


def judge_ends(world: World) -> None:
    """Find what is wrong, now that all is over."""
    for side in world.sides:
        if world.program.pairs[side.number].again:
            continue  # it is not one connection
        judge_order(world, side)
        if side.conn is None or side.peer.conn is None:
            continue
        if side.conn.protocol.state.name != "CLOSED":
            if side.ours and not world.exited:
                world.fault("not closed", side.name)
            continue
        judge_loss(world, side)
        judge_code(world, side)
    judge_cancelled(world)
    judge_rest(world)


def judge_order(world: World, side: Side) -> None:
    """What was received came in order, and whole."""
    sent = side.peer.sent
    latest = 0
    for number in sorted(side.got, key=lambda one: side.got[one]):
        one = sent.get(number)
        if one is None:
            continue  # was told already
        if one.ended < latest:
            world.fault("order", f"{side.name} got {number} behind later ones")
        latest = max(latest, one.begun)
    got = {*side.got, *side.begun}
    for number, one in sent.items():
        if one.sure and one.ended < latest and number not in got:
            world.fault("message lost", f"{side.name} did not get {number}, but others")
            break
    if side.empty_got > side.peer.empty_sent:
        world.fault("wrong message", f"{side.name} got an empty one too many")


def judge_loss(world: World, side: Side) -> None:
    """Who closed in an orderly way has lost nothing on the way to who received."""
    peer = side.peer
    exc = side.conn.protocol.close_exc
    clean = (
        exc.rcvd is not None
        and exc.sent is not None
        and exc.rcvd_then_sent is False
        and exc.rcvd.code == exc.sent.code
    )
    gave_up = peer.gave_up_at is not None or has_failed(peer.conn)
    if not clean or not peer.drained or gave_up:
        return
    lost = [
        number
        for number, one in side.sent.items()
        if one.sure and number not in peer.got
    ]
    if lost:
        world.fault("message lost", f"{peer.name} did not get {lost[:5]}: {exc!r}")


def judge_code(world: World, side: Side) -> None:
    """A connection whose network works ends with a closing handshake."""
    peer = side.peer
    conn = side.conn
    if world.exited or side.gave_up_at is not None or side.failed or peer.failed:
        return
    timeouts = [
        world.options_of(one).get("close_timeout", 10) or 10 for one in (side, peer)
    ]
    if (
        conn.close_code == 1006
        and peer.ours
        and not has_failed(conn)
        and not (side.behind or peer.behind)
        and not (world.program.tls and may_be_reset(side))
        and world.is_calm(side)
        and world.is_quick(side, min(timeouts))
        and not (side.aborted or peer.aborted)
    ):
        world.fault("1006", f"{side.name}: {conn.protocol.close_exc!r}")


def may_be_reset(side: Side) -> bool:
    """Whether TLS, which has no half-close, ends with a reset that overtakes the close
    frame: what comes in meanwhile is not read."""
    sent = max(side.size_sent, side.peer.size_sent)
    return sent > 10_000 or has_failed(side.peer.conn)


def has_failed(conn: Any) -> bool:
    """Whether this end has failed the connection: it reads nothing more then."""
    if conn.protocol.state.name != "CLOSED":
        return False
    sent = conn.protocol.close_exc.sent
    reasons = (
        "message was not finished",
        "error in fragmented message",
        "close during fragmented message",
    )
    fault = conn.protocol.parser_exc
    if fault is not None and not isinstance(fault, EOFError):
        return True
    return sent is not None and sent.reason in reasons


def judge_cancelled(world: World) -> None:
    """Who was told to end has ended so."""
    for one in world.cancelled:
        task = one.task
        if not task.done():
            world.fault("cancellation lost", f"{one.what} goes on")
        elif not task.cancelled():
            exc = task.exception()
            # In ``websockets``, a stream that is resumed after its loss raises another.
            if exc not in world.raised and not is_theirs({}, exc):
                world.fault("cancellation lost", f"{one.what} ended with {exc!r}")


def judge_logs(world: World) -> None:
    """Nothing is in the log but what programs raised."""
    for record, ours in world.records:
        exc = record.exc_info[1] if record.exc_info else None
        if not ours or record.name.startswith("websockets") or was_raised(world, exc):
            continue
        if exc is None and mentions(world, record.getMessage()):
            continue
        if "retry in" in str(record.msg):
            continue  # programs whose connections do not last are told so
        world.fault("log", f"{record.name}: {record.getMessage()}", exc)
    for context in world.loop.contexts:
        exc = context.get("exception")
        if is_theirs(context, exc) or was_raised(world, exc):
            continue
        world.fault("loop's handler", f"{context['message']}: {context}", exc)


def was_raised(world: World, exc: BaseException | None) -> bool:
    return any(exc is one for one in world.raised)


def mentions(world: World, text: str) -> bool:
    """Whether a line is about what a program raised."""
    return any(
        type(exc).__name__ in text or (str(exc) and str(exc) in text)
        for exc in world.raised
    )


def is_theirs(context: dict[str, Any], exc: BaseException | None) -> bool:
    """Whether it is an affair of ``websockets``."""
    names = [str(type(context.get("protocol")).__module__)]
    code = getattr(context.get("asyncgen"), "ag_code", None)
    names.append(getattr(code, "co_filename", ""))
    task = context.get("task") or context.get("future")
    if isinstance(task, asyncio.Task):
        names.append(str(getattr(task.get_coro(), "__qualname__", "")))
        code = getattr(task.get_coro(), "cr_code", None)
        names.append(getattr(code, "co_filename", ""))
    trace = exc.__traceback__ if exc is not None else None
    while trace is not None:
        names.append(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    ours = any("sansocket" in name for name in names)
    return any("websockets" in name for name in names) and not ours


def judge_rest(world: World) -> None:
    """Nothing is left open."""
    if world.exited:
        return
    for sock in world.network.sockets.values():
        driver = world.server_driver
        if sock.address[0] == "client":
            driver = world.client_driver
        if driver.ours:
            world.fault("socket left open", str(sock.address))


__all__ = ["judge_ends", "judge_logs"]
