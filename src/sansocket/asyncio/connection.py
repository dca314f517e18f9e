"""A connection on asyncio, as applications see it: messages, pings, closing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import cast

from .._base.dataclass import LazySignature
from .._base.mirrored import names_from_elsewhere
from ..exceptions import ConcurrencyError, ConnectionClosedOK, InvalidState
from ..protocol import CLOSED, CONNECTING
from ._link import MOST_STREAK, Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    import uuid
    from types import TracebackType
    from typing import Any, Literal, NoReturn, TypeAlias, overload

    from typing_extensions import Self

    from .._wire.writer import SharedMessage
    from ..protocol import State
    from ..stats import Stats
    from ..typing import BytesLike, Data, DataLike, Subprotocol
    from ._waiter import Waiter

    Parts: TypeAlias = Iterable[DataLike] | AsyncIterable[DataLike]

__all__ = ["Connection"]

WHOLE = (str, bytes, bytearray, memoryview)
_MOST_STREAK = MOST_STREAK  # a C value in the compiled form


class Connection(Link):
    """What connections of servers and clients have in common.

    Iterating over it, with ``async for``, gives messages until the connection is
    closed; as an asynchronous context manager it closes itself.

    Args:
        protocol: the connection without I/O. If it is open already, as after a
            handshake that was done elsewhere, this class can be used as it is.
        open_timeout: seconds for the opening handshake; ``None`` for no limit.
        ping_interval: seconds between pings that keep the connection alive; ``None``
            for none.
        ping_timeout: seconds after such a ping in which the peer must send a byte, or
            accept bytes that were pending, else the connection fails with 1011;
            ``None`` for no limit.
        close_timeout: seconds for the peer to end the connection once it should;
            ``None`` for no limit.
        max_queue: messages that may wait to be received until reading pauses, or a
            pair of a high and a low mark; ``None`` for no limit. It never pauses
            while they are smaller than 64 KiB together.
        write_limit: bytes that may wait to be written until ``send()`` waits, or a
            pair of a high and a low mark.
        on_open: called with the connection once it is open. So are the next ones, and
            methods of these names in subclasses stand in for all three.
        on_message: called with the connection and each message, straight from the
            read that brought its end; then nobody can receive. It should answer with
            ``send_nowait()``. It is called no more while the peer is too slow to
            take the answers.
        on_close: called with the connection once it is lost, if it was open.

    Attributes:
        protocol: the connection without I/O.
        session: messages and deadlines on top of it.
        transport: what carries the bytes.
        request: the opening handshake's request, or ``None`` before it.
        response: the opening handshake's response, or ``None`` before it.
        logger: where this connection logs.

    """

    if not TYPE_CHECKING:
        __signature__ = LazySignature()

    # --- questions

    @property
    def id(self) -> uuid.UUID:
        """Identifier of the connection, for logs."""
        return self.protocol.id

    @property
    def local_address(self) -> Any:
        """Address of this end: for IP a tuple of host, port and more."""
        return self.transport.get_extra_info("sockname")

    @property
    def remote_address(self) -> Any:
        """Address of the peer: for IP a tuple of host, port and more."""
        return self.transport.get_extra_info("peername")

    @property
    def state(self) -> State:
        """State of the connection."""
        return self.protocol.state

    @property
    def subprotocol(self) -> Subprotocol | None:
        """The subprotocol agreed on, or ``None``."""
        return self.protocol.subprotocol

    @property
    def close_code(self) -> int | None:
        """Close code; 1006 if the peer sent none, ``None`` until it is closed."""
        return self.protocol.close_code

    @property
    def close_reason(self) -> str | None:
        """Close reason of the peer; ``None`` until the connection is closed."""
        return self.protocol.close_reason

    @property
    def latency(self) -> float:
        """Seconds that the latest answered ping took; 0 before the first."""
        return self.session.latency

    @property
    def bytes_to_write(self) -> int:
        """How many bytes wait until the network takes them; 0 once it is lost."""
        if self._lost:
            return 0
        unsent = self.protocol._bytes_sent - self._flushed
        return unsent + self.transport.get_write_buffer_size()

    @property
    def stats(self) -> Stats:
        """What the connection has carried so far."""
        return self.protocol.stats

    # --- messages

    if TYPE_CHECKING:

        @overload
        async def recv(self, decode: None = None) -> Data: ...
        @overload
        async def recv(self, decode: Literal[True]) -> str: ...
        @overload
        async def recv(self, decode: Literal[False]) -> bytes: ...
        @overload
        async def recv(self, decode: bool | None = None) -> Data: ...

    async def recv(self, decode: bool | None = None) -> Data:
        """Receive the next message.

        It may be cancelled without losing one.

        Args:
            decode: ``None`` gives ``str`` for text and ``bytes`` for binary; ``True``
                always gives ``str``, ``False`` always ``bytes``.

        Raises:
            ConnectionClosed: once it is closed and all messages were received.
            ConcurrencyError: if another task is receiving.
            UnicodeDecodeError: if a binary message is to be decoded and is no UTF-8;
                it is lost then.

        """
        guard(self)
        message = self._take_next(decode)
        while message is None:
            waiter = self._until_next()
            try:
                await waiter
            finally:
                waiter.waiting = False
            message = self._take_next(decode)
        return message

    if TYPE_CHECKING:

        @overload
        def recv_streaming(self, decode: None = None) -> AsyncIterator[Data]: ...
        @overload
        def recv_streaming(self, decode: Literal[True]) -> AsyncIterator[str]: ...
        @overload
        def recv_streaming(self, decode: Literal[False]) -> AsyncIterator[bytes]: ...
        @overload
        def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Data]: ...

    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Data]:
        """Receive the next message in parts, as they arrive.

        ::

            async for part in connection.recv_streaming():
                ...

        A part of a single huge frame counts as well, unless it is compressed, and no
        more than one read is kept for who is slow. The message has to be received to
        its end before ``recv()`` can be called again.

        Args:
            decode: as for ``recv()``; text is never cut inside of a character.

        Raises:
            ConnectionClosed: if it is closed before the message ends.
            ConcurrencyError: if another task is receiving.
            UnicodeDecodeError: if a binary message is to be decoded and is no UTF-8.

        """
        guard(self)
        fin = False
        while not fin:
            self._check_receiver()
            self._check_stream()
            found = self.session.next_part(self._time(), decode)
            if found is None:
                await self._wait_for_more()
                continue
            self._flush_soon()
            part, fin = found
            self._streaming = None if fin else asyncio.current_task()
            if part:
                yield part

    def __aiter__(self) -> AsyncIterator[Data]:
        return self

    async def __anext__(self) -> Data:
        message = self._take_next(None)
        while message is None:
            try:
                waiter = self._until_next()
            except ConnectionClosedOK:
                raise StopAsyncIteration from None
            try:
                await waiter
            finally:
                waiter.waiting = False
            message = self._take_next(None)
        return message

    async def send(
        self,
        message: DataLike | Parts,
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """Send a message, or a fragmented one if given an iterable of its parts.

        While more than ``write_limit`` bytes wait to be written, it waits; being
        cancelled then does not take the message back. If parts of a message were
        sent, and the others cannot be, the connection fails with 1011.

        Args:
            message: ``str`` is sent as text, what is bytes-like as binary.
            text: ``True`` or ``False`` to choose otherwise; text must be UTF-8.
            compress: ``False`` keeps the message out of the compression agreed.

        Raises:
            ConnectionClosed: if it is closed.
            TypeError: if a message is of another type, or parts are of two kinds.

        """
        guard(self)
        if type(message) is bytes or isinstance(message, WHOLE):
            if self._fragmenting is not None and self._fragmenting.locked():
                async with self._fragmenting:
                    pass  # until the fragmented messages before it are sent
            try:
                self.session._send(message, text, compress)
            except InvalidState as exc:
                await self._refuse(exc)
            if self._queued():
                await self._give_way()
        elif isinstance(message, Mapping):
            raise TypeError("a message of parts must not be a mapping")
        elif isinstance(message, (Iterable, AsyncIterable)):
            if self._fragmenting is None:
                self._fragmenting = asyncio.Lock()
            async with self._fragmenting:
                await self._send_parts(cast("Parts", message), text, compress)
        else:
            kind = type(message).__name__
            raise TypeError(f"message must be str, bytes-like or iterable, not {kind}")

    def send_nowait(
        self,
        message: DataLike,
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """Send a message without waiting, or answer one from within ``on_message``.

        The answers to what one read brought are written together, behind it.
        ``bytes_to_write`` tells how far the peer is behind.

        Args:
            message: ``str`` is sent as text, what is bytes-like as binary.
            text: ``True`` or ``False`` to choose otherwise; text must be UTF-8.
            compress: ``False`` keeps the message out of the compression agreed.

        Raises:
            ConnectionClosed: if it is closed.
            InvalidState: if it is closing, or not open yet.
            ConcurrencyError: if a fragmented message is being sent.
            TypeError: if the message is of another type.

        """
        guard(self)
        try:
            self.session._send(message, text, compress)
        except InvalidState as exc:
            if self.protocol.state is CLOSED:
                raise self.session.close_exc from exc
            raise
        if self._inside:
            self._answers = True
        self._queued()

    # --- pings

    async def ping(self, data: DataLike | None = None) -> asyncio.Future[float]:
        """Send a ping.

        Args:
            data: payload of up to 125 bytes; random by default.

        Returns:
            An awaitable that gives the latency in seconds once the pong came.

        Raises:
            ConnectionClosed: if it is closed.
            ConcurrencyError: if a ping with this payload has no answer yet.
            ProtocolError: if the payload is too long.

        """
        guard(self)
        payload = None if data is None else _to_bytes(data)
        try:
            ping = self.session.ping(self._time(), payload)
        except InvalidState as exc:
            await self._refuse(exc)
        waiter = self._loop.create_future()
        if self._pings is None:
            self._pings = {}
        self._pings[ping] = waiter
        if self._queued():
            await self._give_way()
        return waiter

    async def pong(self, data: DataLike = b"") -> None:
        """Send a pong that nobody asked for; pings are answered anyway.

        Args:
            data: payload of up to 125 bytes.

        Raises:
            ConnectionClosed: if it is closed.
            ProtocolError: if the payload is too long.

        """
        guard(self)
        payload = _to_bytes(data)
        try:
            self.protocol.send_pong(payload)
        except InvalidState as exc:
            await self._refuse(exc)
        if self._queued():
            await self._give_way()

    # --- closing

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, and wait until it is; ``close_timeout`` at most.

        Messages that were not received by then may be lost. To close what is closing
        or closed changes nothing.

        Args:
            code: close code.
            reason: text for developers, up to 123 bytes as UTF-8.

        Raises:
            ProtocolError: if the code may not be sent, or the reason is too long.

        """
        guard(self)
        self._begin_close(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, by whomever."""
        guard(self)
        while not self._lost:
            await self._wait()

    async def __aenter__(self) -> Self:
        guard(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        guard(self)
        await self.close(1000 if exc_type is None else 1011)

    # --- inside: receiving

    def _take_next(self, decode: bool | None) -> Data | None:
        """Take the next message, if it is there and the turn of the loop has time."""
        self._check_receiver()
        if self._streak == _MOST_STREAK:
            return None
        message = self.session.next_message(self._time(), decode)
        if message is not None:
            self._streak += 1
            self._flush_soon()  # it may have read a ping, or go on reading
        return message

    def _until_next(self) -> Waiter:
        """What to await until there may be a message; raise if there will be none."""
        if self._streak == _MOST_STREAK:
            return self._after_turn()
        if self.session._is_closed():
            raise self.session.close_exc
        return self._more()

    async def _wait_for_more(self) -> None:
        """Wait for more than there is, without a message at the end."""
        guard(self)
        if self.session._is_closed():
            raise self.session.close_exc
        waiter = self._more()
        try:
            await waiter
        finally:
            waiter.waiting = False

    def _check_stream(self) -> None:
        """See that no other task is in the middle of a message."""
        guard(self)
        task: asyncio.Task[Any] | None = self._streaming
        if task is None or task.done() or task is asyncio.current_task():
            return
        raise ConcurrencyError("another task receives this message in parts")

    def _check_receiver(self) -> None:
        if self._receiver.waiting:
            raise ConcurrencyError("another task is receiving already")
        if self._on_message is not None:
            raise ConcurrencyError("messages are handed to on_message")

    # --- inside: sending

    def _send_shared(self, message: SharedMessage) -> None:
        """Send what many get, if this one can get it now.

        What is sent in one turn of the loop leaves in one write.
        """
        if self.protocol._share(message):
            self._flush_soon()

    async def _send_parts(
        self,
        parts: Parts,
        text: bool | None,
        compress: bool | None,
    ) -> None:
        guard(self)
        if not isinstance(parts, AsyncIterable):
            parts = _each(parts)
        first: DataLike | None = None
        try:
            async for part in parts:
                if first is None:
                    await self._send_part(part, False, text, compress)
                    first = part
                else:
                    await self._send_part(part, False)
            if first is not None:
                await self._send_part("" if isinstance(first, str) else b"", True)
        finally:
            if self.session.in_fragmented_message:  # something was raised
                self._begin_close(1011)

    async def _send_part(
        self, part: DataLike, fin: bool, *options: bool | None
    ) -> None:
        guard(self)
        text, compress = options or (None, None)
        try:
            self.session.send_fragment(part, fin, text=text, compress=compress)
        except InvalidState as exc:
            await self._refuse(exc)
        if self._queued():
            await self._give_way()

    # --- inside: the end

    async def _refuse(self, exc: InvalidState) -> NoReturn:
        """Raise what tells best why nothing can be sent, once that is known."""
        guard(self)
        if self.protocol.state is CONNECTING:
            raise exc
        await self.wait_closed()
        raise self.session.close_exc


def guard(connection: object) -> None:
    """Refuse a wrong ``self``.

    Compiled, this module has functions that tools know as coroutine functions, and
    these do not check it: ``Connection.send(8, "text")``.
    """
    if not isinstance(connection, Connection):
        kind = type(connection).__name__
        raise TypeError(
            f"a method of Connection was called on an object of type {kind}"
        )


async def _each(parts: Iterable[DataLike]) -> AsyncIterator[DataLike]:
    for part in parts:
        yield part


def _to_bytes(data: DataLike) -> BytesLike:
    return data.encode() if isinstance(data, str) else data


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
