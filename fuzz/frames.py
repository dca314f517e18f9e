"""Targets ``server`` and ``client``: the receive loop of either side.

The first byte of the input chooses the connection, the next two the cuts; see
``Plan``. The rest is what the peer sends.
"""

from __future__ import annotations

import tracemalloc
from types import ModuleType
from typing import Any, NamedTuple

from tests.core.support import read_frames
from tests.torture import HELD_ALWAYS, HELD_PER_BYTE

from . import model
from .inflate import Undetermined
from .support import FORMS, Log, described, pieces, same

CONTEXTS = ((True, 15), (False, 9), (True, 9), (False, 15))  # takeover, window
LIMITS: tuple[dict[str, Any], ...] = (
    {"max_message": 4096},
    {"max_message": 100, "max_fragment": 60, "max_fragments": 3},
    {},
    {"max_message": 1000, "max_fragment": 900, "check_text": False},
)


class Plan(NamedTuple):
    """What the input says.

    Attributes:
        settings: of the connection: bit 0 of the first byte is for permessage-deflate,
            bits 1 and 2 for its contexts, bits 3 and 4 for the limits.
        pull: whether frames are read one by one (bit 5).
        debug: whether they are logged (bit 6).
        eager: whether the output is fetched after every piece (bit 7).
        sizes: of the pieces, in turn; 0 stands for all the rest.
        stream: what comes.

    """

    settings: model.Settings
    pull: bool
    debug: bool
    eager: bool
    sizes: tuple[int, int]
    stream: bytes


def plan(data: bytes, server: bool) -> Plan:
    """Read the input, which may be of any length."""
    options, one, other = data[:3].ljust(3, b"\0")
    takeover, window_bits = CONTEXTS[options >> 1 & 3]
    settings = model.Settings(
        server=server,
        deflate=options & 1 != 0,
        takeover=takeover,
        window_bits=window_bits,
        **LIMITS[options >> 3 & 3],
    )
    pull, debug, eager = (options >> bit & 1 != 0 for bit in (5, 6, 7))
    return Plan(settings, pull, debug, eager, (one, other), data[3:])


def connect(form: ModuleType, plan: Plan) -> Any:
    """An open connection."""
    settings = plan.settings
    protocol = form.protocol.Protocol(
        form._base.constants.SERVER if settings.server else form._base.constants.CLIENT,
        max_size=(settings.max_message, settings.max_fragment),
        max_fragments=settings.max_fragments,
        validate_utf8=settings.check_text,
        logger=Log(debug=plan.debug).logger,
    )
    if settings.deflate:
        kind = form.extensions.permessage_deflate.PerMessageDeflate
        fresh = not settings.takeover
        protocol.extensions = [kind(fresh, fresh, settings.window_bits, 15)]
    return protocol


class Seen(NamedTuple):
    """All that can be seen of a connection.

    Attributes:
        trace: after every piece: bytes so far, events so far, state, error.
        events: opcode, payload, FIN.
        output: what was fetched each time.

    """

    trace: list[tuple[Any, ...]]
    events: list[tuple[int, bytes, bool]]
    output: list[list[bytes]]
    error: tuple[str, str] | None
    closing: tuple[Any, ...]
    verdict: tuple[str, str] | None
    stats: str


def run(form: ModuleType, plan: Plan) -> Seen:
    """Feed a connection."""
    protocol = connect(form, plan)
    trace: list[tuple[Any, ...]] = []
    events: list[Any] = []
    output: list[list[bytes]] = []
    position = 0
    for piece in pieces(plan.stream, *plan.sizes):
        position += len(piece)
        events += take(protocol, piece, plan.pull)
        if plan.eager:
            output.append(protocol.data_to_send())
        state, error = protocol.state.name, described(protocol.parser_exc)
        trace.append((position, len(events), state, error))
    output.append(protocol.data_to_send())
    error = described(protocol.parser_exc)
    protocol.receive_eof()
    same(protocol.events_received(), [], "events at the end")
    closing = (protocol.close_rcvd, protocol.close_sent)
    return Seen(
        trace,
        [(int(event.opcode), event.data, event.fin) for event in events],
        output,
        error,
        tuple(close and (int(close.code), close.reason) for close in closing),
        described(protocol.close_exc),
        repr(protocol.stats),
    )


def take(protocol: Any, piece: bytes, pull: bool) -> list[Any]:
    """Feed a piece; return the events."""
    if not pull:
        protocol.receive_data(piece)
        return list(protocol.events_received())
    protocol.feed_data(piece)
    events = []
    while (event := protocol.next_event()) is not None:
        events.append(event)
    return events


def check(data: bytes, server: bool) -> None:
    """Raise if a promise is broken."""
    todo = plan(data, server)
    first, *others = (run(form, todo) for form in FORMS.values())
    for other in others:
        for name, one, two in zip(Seen._fields, first, other, strict=True):
            same(one, two, f"{name}, {' and '.join(FORMS)}")
    whole = run(list(FORMS.values())[-1], todo._replace(sizes=(0, 0)))
    for name in ("events", "error", "closing", "verdict"):
        same(getattr(first, name), getattr(whole, name), f"{name}, in one piece")
    try:
        expected = model.read(todo.stream, todo.settings)
    except Undetermined:
        return
    compare(todo, first, expected)
    if todo.debug and not todo.eager:
        for name in FORMS:
            check_memory(name, todo)


def compare(plan: Plan, seen: Seen, expected: model.Outcome) -> None:
    """Raise AssertionError unless the model says the same."""
    same(seen.events, [event[1:] for event in expected.events], "events, model")
    over = expected.failed is not None or expected.answer is not None
    for position, count, state, error in seen.trace:
        here = over and position >= expected.position
        same(state, "CLOSING" if here else "OPEN", f"state after {position}, model")
        failed = here and expected.failed is not None
        same(error is not None, failed, f"failure after {position}, model")
        before = [event for event in expected.events if event.position <= position]
        same(count, len(before), f"events after {position}, model")
    ends = [position for position, *_ in seen.trace] if plan.eager else []
    side = "server" if plan.settings.server else "client"
    for chunks, wanted in zip(
        seen.output, expected_output(plan, expected, ends), strict=True
    ):
        frames = read_frames(b"".join(chunks), side)
        if expected.failed is not None:  # the model does not know the reason
            frames = [
                (first, data[: 2 if first == 0x88 else 125]) for first, data in frames
            ]
        same(frames, wanted, "output, model")
        eof = chunks[-1:] == [b""]
        same(
            eof, side == "server" and wanted[-1:] != [] and wanted[-1][0] == 0x88, "EOF"
        )


def expected_output(
    plan: Plan, expected: model.Outcome, ends: list[int]
) -> list[list[tuple[int, bytes]]]:
    """Frames in each output: of several pongs the latest, and a close frame."""
    outputs = []
    start = 0
    for end in (*ends, len(plan.stream)):
        pings = [
            event.payload
            for event in expected.events
            if event.opcode == model.PING and start < event.position <= end
        ]
        frames = [(0x8A, payload) for payload in pings[-1:]]
        if start < expected.position <= end:
            if expected.failed is not None:
                frames.append((0x88, expected.failed.to_bytes(2, "big")))
            elif expected.answer is not None:
                frames.append((0x88, expected.answer))
        outputs.append(frames)
        start = end
    return outputs


def check_memory(name: str, plan: Plan) -> None:
    """What is held must follow what came, and what came of it."""
    protocol = connect(FORMS[name], plan._replace(debug=False))
    size = inflated = 0
    tracemalloc.start()
    try:
        for piece in pieces(plan.stream, *plan.sizes):
            protocol.receive_data(piece)
            size += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    inflated = sum(len(event.data) for event in protocol.events_received())
    if peak > HELD_PER_BYTE[name] * size + 4 * inflated + HELD_ALWAYS:
        raise AssertionError(f"{name}: {peak} bytes held for {size} and {inflated}")


def server(data: bytes) -> None:
    """What a server reads."""
    check(data, True)


def client(data: bytes) -> None:
    """What a client reads."""
    check(data, False)
