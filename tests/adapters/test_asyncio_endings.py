"""Whatever ends a handler, a server or a loop: what is due at an end is done."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import struct
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from sansocket import ConnectionClosed, InvalidStatus
from sansocket.asyncio import ServerConnection, broadcast, connect, serve
from tests.core.support import CLOSE, FIN, TEXT

from .conftest import LOOPS
from .support import Contexts, Raw, Run, echo, opened, serving, until

FAILED = "connection handler failed"
# The test's own peer, when the loop stops in the middle.
UNCLOSED = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Odd(BaseException):
    """What ends neither the program nor a task."""


class Group(Exception):
    """As ``ExceptionGroup``, which Python 3.10 does not have."""

    def __init__(self, *exceptions: Exception) -> None:
        super().__init__("several")
        self.exceptions = exceptions


class TestHandlers:
    @pytest.mark.parametrize("exc", [Odd, GeneratorExit, Group])
    def test_that_end_with_anything(
        self, run: Run, exc: Any, may_log_errors: list[str]
    ) -> None:
        may_log_errors.append(FAILED)

        async def handler(connection: ServerConnection) -> None:
            await connection.recv()
            raise exc

        async def main() -> None:
            async with serving(handler) as (server, _):
                async with await opened(server) as peer:
                    peer.send_frame(FIN | TEXT, b"go")
                    assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xf3")
                    peer.send_frame(FIN | CLOSE, b"\x03\xf3")
                await until(lambda: not server._connections and not server._tasks)

        run(main())

    def test_that_end_with_a_group_of_closed_connections(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def handler(connection: ServerConnection) -> None:
            try:
                await connection.recv()
            except ConnectionClosed as exc:
                raise Group(exc, Group(exc)) from None

        async def main() -> None:
            async with serving(handler) as (server, _):
                async with await opened(server) as peer:
                    peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                    await peer.read_all()
                await until(lambda: not server._tasks)

        run(main())
        assert not [one for one in caplog.records if one.levelno > logging.INFO]

    @UNCLOSED
    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
    @pytest.mark.parametrize("moment", ["at once", "message", "loss"])
    @pytest.mark.parametrize("loop", sorted(LOOPS))
    def test_that_end_the_program(self, loop: str, kind: Any, moment: str) -> None:
        """``asyncio.run()`` ends with what the handler raised."""

        async def handler(connection: ServerConnection) -> None:
            try:
                if moment != "at once":
                    await connection.recv()
            finally:
                raise kind

        def act(peer: Raw) -> None:
            if moment == "message":
                peer.send_frame(FIN | TEXT)
            elif moment == "loss":
                peer.writer.transport.abort()

        run_to_its_end(LOOPS[loop], lambda: meet(act, handler), kind)

    @UNCLOSED
    @pytest.mark.parametrize("loop", sorted(LOOPS))
    def test_that_are_cleared_after_their_loop(
        self, loop: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As by an interpreter that ends: nothing is left to close, nor to tell."""
        caplog.set_level(logging.DEBUG)
        ended: list[str] = []

        async def handler(connection: ServerConnection) -> None:
            try:
                await connection.recv()
            except GeneratorExit:
                ended.append(connection.state.name)
                raise

        async def main() -> Any:
            server = await serve(handler, "127.0.0.1", 0)
            peer = await opened(server)
            (task,) = server._tasks
            await asyncio.sleep(0)  # the handler has begun
            return task, peer, server

        new_loop = LOOPS[loop]
        if new_loop is None:
            pytest.skip("uvloop is not installed")
        clear(new_loop(), main, ended)
        assert "failed" not in caplog.text
        assert "closed: " not in caplog.text

    def test_that_are_cancelled_with_all_else(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        """While a hook thinks about the request: it gets an answer."""

        async def think(connection: ServerConnection, request: Any) -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            async with serving(process_request=think) as (server, url):
                connecting = asyncio.ensure_future(connect(url).__aenter__())
                await until(lambda: server._tasks)
                for task in server._tasks:
                    task.cancel()
                with pytest.raises(InvalidStatus) as excinfo:
                    await connecting
                assert excinfo.value.response.status_code == 503

        run(main())


class TestCallbacks:
    @pytest.mark.parametrize("exc", [asyncio.CancelledError, Odd, ValueError])
    @pytest.mark.parametrize("name", ["on_open", "on_message", "on_close"])
    def test_that_raise_anything(
        self, run: Run, name: str, exc: Any, may_log_errors: list[str]
    ) -> None:
        may_log_errors.append(FAILED)
        closed: list[Any] = []

        def fail(*args: Any) -> None:
            raise exc

        options: dict[str, Any] = {
            "on_message": lambda connection, message: None,
            "on_close": closed.append,
            name: fail,
        }

        async def main() -> None:
            async with serving(None, **options) as (server, _):
                async with await opened(server) as peer:
                    peer.send_frame(FIN | TEXT)
                    code = b"\x03\xf3"
                    if name == "on_close":
                        code = b"\x03\xe8"
                        peer.send_frame(FIN | CLOSE, code)
                    assert await peer.read_frame() == (FIN | CLOSE, code)
                await until(lambda: not server._connections)
            assert len(closed) == (name != "on_close")

        run(main())

    @pytest.mark.parametrize("name", ["on_open", "on_message"])
    def test_that_return_a_coroutine(
        self, run: Run, name: str, may_log_errors: list[str]
    ) -> None:
        """It would never run. What is surely a coroutine function is refused before."""
        may_log_errors.append(FAILED)

        async def nothing() -> None:
            """Do nothing."""

        options: dict[str, Any] = {"on_message": lambda connection, message: None}
        options[name] = lambda *args: nothing()

        async def main() -> None:
            async with serving(None, **options) as (server, _):
                async with await opened(server) as peer:
                    peer.send_frame(FIN | TEXT)
                    assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xf3")
                await until(lambda: not server._connections)

        run(main())

    @UNCLOSED
    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
    @pytest.mark.parametrize("name", ["on_open", "on_message", "on_close"])
    @pytest.mark.parametrize("loop", sorted(LOOPS))
    def test_that_end_the_program(self, loop: str, name: str, kind: Any) -> None:
        def fail(*args: Any) -> None:
            raise kind

        options: dict[str, Any] = {"on_message": lambda connection, message: None}
        options[name] = fail

        def act(peer: Raw) -> None:
            peer.send_frame(FIN | TEXT)
            if name == "on_close":
                peer.writer.transport.abort()

        run_to_its_end(LOOPS[loop], lambda: meet(act, None, **options), kind)


class TestServer:
    def test_closed_before_it_serves_for_ever(self, run: Run) -> None:
        async def main() -> None:
            server = await serve(echo, "127.0.0.1", 0)
            server.close()
            with pytest.raises(asyncio.CancelledError):
                await server.serve_forever()
            server = await serve(echo, "127.0.0.1", 0)
            serving_for_ever = asyncio.ensure_future(server.serve_forever())
            server.close()
            with pytest.raises(asyncio.CancelledError):
                await serving_for_ever

        run(main())

    def test_cancelled_while_it_serves_for_ever(self, run: Run) -> None:
        async def main() -> None:
            server = await serve(echo, "127.0.0.1", 0)
            task = asyncio.ensure_future(server.serve_forever())
            async with await opened(server) as peer:
                task.cancel()
                assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xe9")
                assert not server.is_serving()
                assert not task.done()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not server._connections
            await server.wait_closed()

        run(main())

    def test_its_log(self, run: Run, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            async with serve(echo, "127.0.0.1", 0) as server:
                port = next(iter(server.sockets)).getsockname()[1]
                assert caplog.messages == [f"server listening on 127.0.0.1:{port}"]
            assert caplog.messages[1:] == ["server closing", "server closed"]
            server.close()
            assert len(caplog.messages) == 3

        run(main())

    def test_a_refusal_is_logged_by_its_status(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(connection: ServerConnection, request: Any) -> Any:
            return connection.respond(404, "Not here.\n")

        async def main() -> None:
            async with serving(process_request=refuse) as (_, url):
                with pytest.raises(InvalidStatus):
                    await connect(url)

        run(main())
        assert "connection refused: HTTP 404" in caplog.messages
        assert not [text for text in caplog.messages if "connection lost" in text]


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("how", ["broadcast", "send_nowait", "send"])
def test_bursts_to_a_peer_that_was_just_reset(
    run: Run,
    caplog: pytest.LogCaptureFixture,
    contexts: Contexts,
    secure: bool,
    how: str,
) -> None:
    """Nothing is written to what is about to be lost, of which asyncio would warn."""
    tls = contexts if secure else (None, None)

    async def burst(connection: ServerConnection) -> None:
        for _ in range(1000):
            if how == "broadcast":
                broadcast([connection], "news")
            elif how == "send":
                await connection.send("news")
            else:
                connection.send_nowait("news")

    async def main() -> None:
        async with (
            serving(wait, ssl=tls[0], compression=None) as (server, _),
            await opened(server, tls[1]) as peer,
        ):
            (connection,) = server.connections
            sock = peer.writer.get_extra_info("socket")
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            peer.writer.transport.abort()
            await asyncio.sleep(0)
            with contextlib.suppress(ConnectionClosed):
                await burst(connection)
            await connection.wait_closed()

    run(main())
    assert not [one for one in caplog.records if one.levelno > logging.INFO]


async def wait(connection: ServerConnection) -> None:
    await connection.wait_closed()


class OwnTime(asyncio.SelectorEventLoop):
    """A loop with a clock of its own."""

    def time(self) -> float:
        return super().time()


@pytest.mark.parametrize("new_loop", [*filter(None, LOOPS.values()), OwnTime])
def test_sec_15_loops_are_not_kept(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        async with serving() as (_, url), connect(url) as client:
            await client.send("hello")
            assert await client.recv() == "hello"

    loop = new_loop()
    loop.run_until_complete(main())
    loop.close()
    kept = weakref.ref(loop)
    del loop
    gc.collect()
    assert kept() is None


async def meet(act: Callable[[Raw], None], handler: Any, **options: Any) -> None:
    """Serve one peer, which acts; then the program must end."""
    async with (
        serving(handler, close_timeout=0.01, **options) as (server, _),
        await opened(server) as peer,
    ):
        act(peer)
        await asyncio.sleep(5)
        raise AssertionError("the program goes on")


def run_to_its_end(
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None,
    main: Callable[[], Any],
    kind: type[BaseException],
) -> None:
    """Do what ``asyncio.run()`` does, and see that it ends."""
    if new_loop is None:
        pytest.skip("uvloop is not installed")
    _run(new_loop(), main, kind)
    gc.collect()  # what the test has left open must not be found by another one


def _run(
    loop: asyncio.AbstractEventLoop, main: Callable[[], Any], kind: type[BaseException]
) -> None:
    loop.set_exception_handler(lambda _, context: None)
    raised = False
    try:
        loop.run_until_complete(main())
    except kind:
        raised = True  # not by pytest, which would keep all that it refers to
    assert raised
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        ending = asyncio.wait(tasks, timeout=10) if tasks else asyncio.sleep(0)
        loop.run_until_complete(ending)
        assert all(task.done() for task in tasks)
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def clear(
    loop: asyncio.AbstractEventLoop, main: Callable[[], Any], ended: list[str]
) -> None:
    """Close the coroutine of the task that this gives, once its loop is closed."""
    loop.set_exception_handler(lambda _, context: None)  # the task stays pending
    task, *kept = loop.run_until_complete(main())
    loop.close()
    task.get_coro().close()
    assert ended == ["OPEN"]
    assert kept


class Broken:
    """A transport that cannot be written to."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        raise RuntimeError("out of order")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def test_a_transport_that_raises_does_not_stop_others() -> None:
    """The event loop is told, the connection is dropped, and the next one is served."""
    reported: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context)
        )
        async with (
            serving(wait) as (server, _),
            await opened(server) as one,
            await opened(server) as other,
        ):
            first, second = sorted(server.connections, key=lambda c: c.remote_address)
            broken: Any = Broken(first.transport)
            first.transport = broken
            broadcast([first, second], "news")
            await first.wait_closed()
            is_one = one.writer.get_extra_info("sockname") == second.remote_address
            peer = one if is_one else other
            assert await peer.read_frame() == (FIN | TEXT, b"news")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    (context,) = reported
    assert context["message"] == "a WebSocket connection could not be written to"
    assert str(context["exception"]) == "out of order"
