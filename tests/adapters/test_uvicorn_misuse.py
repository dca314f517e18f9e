"""Applications inside of uvicorn that do what they should not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.core.support import CLOSE, FIN

from .support import Run, until
from .uvicorn_support import accepted, asking, running

ACCEPT = {"type": "websocket.accept"}


# Denials


@pytest.mark.parametrize("more", [False, True], ids=["whole", "in parts"])
@pytest.mark.parametrize(
    ("status", "headers", "lengths"),
    [
        (204, [], []),
        (204, [(b"content-length", b"3")], []),
        (205, [(b"content-length", b"3")], [b"content-length: 0"]),
        (304, [], []),
        (304, [(b"content-length", b"3")], [b"content-length: 3"]),
    ],
)
def test_statuses_without_a_body(
    run: Run,
    status: int,
    headers: list[tuple[bytes, bytes]],
    lengths: list[bytes],
    more: bool,
) -> None:
    """RFC 9112, section 6.3."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        start = {"type": "websocket.http.response.start", "status": status}
        await send(start | {"headers": headers})
        for part, last in (
            ((b"abc", False), (b"d", True)) if more else ((b"abc", True),)
        ):
            event = {"type": "websocket.http.response.body", "body": part}
            await send(event | {"more_body": not last})

    async def main() -> None:
        async with running(app) as server, await asking(server) as peer:
            head, _, rest = (await peer.read_all()).lower().partition(b"\r\n\r\n")
            assert head.startswith(b"http/1.1 %d " % status)
            lines = head.split(b"\r\n")
            assert [line for line in lines if line.startswith(b"content-l")] == lengths
            assert b"transfer-encoding" not in head
            assert rest == b""

    run(main())


@pytest.mark.parametrize(
    ("length", "parts", "why"),
    [
        (b"3", [b"ab", b"cd"], "longer"),
        (b"3", [b"ab", b""], "shorter"),
        (b"x", [b"ab", b"cd"], None),
        (b"9", [b"abcd"], None),
    ],
)
def test_lengths_that_are_wrong(
    run: Run, length: bytes, parts: list[bytes], why: str | None
) -> None:
    """A body in one part gets the length that it has."""
    errors: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"content-length", length)]
        start = {"type": "websocket.http.response.start", "status": 403}
        await send(start | {"headers": headers})
        try:
            for number, part in enumerate(parts, 1):
                event = {"type": "websocket.http.response.body", "body": part}
                await send(event | {"more_body": number < len(parts)})
        except RuntimeError as exc:
            errors.append(str(exc))

    async def main() -> None:
        async with running(app) as server, await asking(server) as peer:
            head, _, rest = (await peer.read_all()).lower().partition(b"\r\n\r\n")
            if why is None and len(parts) == 1:
                assert b"content-length: 4" in head
                assert rest == b"abcd"
            elif why is None:
                assert rest == b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"
            else:
                assert rest == b"ab"

    run(main())
    assert [why in error for error in errors if why] == ([] if why is None else [True])


# Applications that end as they should not


@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        *(SystemExit(3), KeyboardInterrupt(), GeneratorExit()),
        *(asyncio.CancelledError(), Exception("x")),
    ],
    ids=repr,
)
def test_whatever_an_application_raises(
    run: Run,
    caplog: pytest.LogCaptureFixture,
    may_log_errors: list[str],
    error: BaseException,
    accepts: bool,
) -> None:
    """The connection ends, a line tells why, and the server goes on, as with
    uvicorn's own protocols."""
    told = not isinstance(error, asyncio.CancelledError) or hasattr(
        asyncio.Task, "cancelling"
    )
    if told:
        may_log_errors.append("Exception in ASGI application\n")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if accepts:
            await send(ACCEPT)
        raise error

    async def main() -> None:
        async with running(app) as server:
            for _ in range(2):
                async with await asking(server) as peer:
                    head = await peer.read_head()
                    if not accepts:
                        assert head.startswith(b"HTTP/1.1 500 ")
                        continue
                    code = b"\x03\xf3" if told else b"\x03\xf4"
                    assert await peer.read_frame() == (FIN | CLOSE, code)
                    peer.send_frame(FIN | CLOSE, code)
                    await peer.read_all()

    run(main())


@pytest.mark.parametrize("ends", ["close", "reset", "eof"])
@pytest.mark.parametrize("stubborn", [True, False])
@pytest.mark.parametrize("receives", [True, False])
def test_sends_after_the_client_has_gone(
    run: Run, ends: str, stubborn: bool, receives: bool
) -> None:
    """They raise; and others run, even if the application does not care."""
    raised: list[OSError] = []
    over = False

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        while receives and (await receive())["type"] != "websocket.disconnect":
            pass
        while not over:
            try:
                await send({"type": "websocket.send", "text": "x" * 100})
            except OSError as exc:  # noqa: PERF203 - it is what is tried
                raised.append(exc)
                if not stubborn:
                    raise

    async def main() -> None:
        nonlocal over
        async with running(app) as server, await accepted(server) as peer:
            if ends == "close":
                peer.send_frame(FIN | CLOSE, b"\x03\xe8")
            elif ends == "eof":
                peer.writer.write_eof()
            else:
                peer.writer.transport.abort()
            await until(lambda: len(raised) > (10 if stubborn else 0))
            over = True

    run(main())


def test_receives_after_the_client_has_gone(run: Run) -> None:
    """An application that ignores the disconnect stops nobody but itself."""
    events: list[Any] = []
    over = False

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        while not over:
            events.append(await receive())

    async def main() -> None:
        nonlocal over
        async with running(app) as server, await accepted(server) as peer:
            peer.send_frame(FIN | CLOSE, b"\x03\xe8")
            await peer.read_all()
            await until(lambda: len(events) > 10)
            over = True

    run(main())
    assert {event["type"] for event in events} == {"websocket.disconnect"}


def test_a_denial_without_end(run: Run) -> None:
    """Whoever sends one gives others their turn, even to a client that reads."""
    sent = 0
    over = False

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await receive()
        await send({"type": "websocket.http.response.start", "status": 403})
        while not over:
            event = {"type": "websocket.http.response.body", "body": b""}
            await send(event | {"more_body": True})
            sent += 1

    async def main() -> None:
        nonlocal over
        async with running(app) as server, await asking(server) as peer:
            await peer.read_head()
            await until(lambda: sent > 100)
            over = True
            await peer.read_all()

    run(main())
