"""A tunnel through an HTTP proxy, for a client on asyncio."""

from __future__ import annotations

import asyncio
from typing import cast

from ..proxy import Tunnel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TunnelProtocol", "open_tunnel"]

READ_SIZE = 4096  # more than a proxy has to say


async def open_tunnel(
    request: bytes, limits: dict[str, int], **options: Any
) -> tuple[asyncio.Transport, TunnelProtocol]:
    """Connect to a proxy, and ask it for a tunnel.

    Its transport does not read until the caller lets it.

    Args:
        request: what to send.
        limits: arguments of ``Tunnel``.
        **options: arguments of ``loop.create_connection()``.

    Raises:
        ProxyError: if the proxy refused, or its answer is not valid.
        OSError: if the network fails.
    """
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        lambda: TunnelProtocol(Tunnel(**limits)), **options
    )
    try:
        transport.write(request)
        await protocol.decided
    except BaseException:
        transport.abort()
        raise
    return transport, protocol


class TunnelProtocol(asyncio.BufferedProtocol):
    """Reads the answer of a proxy, and holds the place of what comes after it.

    It is a buffered protocol because the next one is.
    """

    transport: asyncio.Transport

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self._buffer = bytearray(READ_SIZE)
        self.decided = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; only the event loop calls this."""
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Give a buffer to read into; only the event loop calls this."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read; only the event loop calls this."""
        if self._tunnel.decided:  # then a server spoke before it was asked
            self.transport.abort()
            return
        self._tunnel.receive_data(bytes(self._buffer[:nbytes]))
        self._decide()

    def eof_received(self) -> None:
        """Take the end of the stream; only the event loop calls this."""
        self._tunnel.receive_eof()
        self._decide()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the connection; only the event loop calls this."""
        if exc is not None and not self.decided.done():
            self._fail(exc)
        self.eof_received()

    def _decide(self) -> None:
        if not self._tunnel.decided or self.decided.done():
            return
        if self._tunnel.exc is None:
            self.transport.pause_reading()
            self.decided.set_result(None)
        else:
            self._fail(self._tunnel.exc)

    def _fail(self, exc: Exception) -> None:
        self.decided.set_exception(exc)
        self.decided.exception()  # no word in the log if whoever waited was canceled
