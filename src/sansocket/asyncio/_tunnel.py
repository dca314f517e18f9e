"""A tunnel through an HTTP proxy, for an asyncio client."""

from __future__ import annotations

import asyncio
from typing import cast

from ..proxy import Tunnel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TunnelProtocol", "open_tunnel"]

READ_SIZE = 4096  # more than a proxy needs


async def open_tunnel(
    request: bytes, limits: dict[str, int], **options: Any
) -> tuple[asyncio.Transport, TunnelProtocol]:
    """Connect to a proxy, and request a tunnel.

    The transport does not read until the caller resumes it.

    Args:
        request: request for the tunnel.
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
    """Reads the response of a proxy; another protocol replaces it afterwards.

    It is a buffered protocol because its successor is.
    """

    transport: asyncio.Transport

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self._buffer = bytearray(READ_SIZE)
        self.decided = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the transport; called only by the event loop."""
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return a buffer to read into; called only by the event loop."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Handle the bytes read; called only by the event loop."""
        if self._tunnel.decided:  # then a server spoke before it was asked
            self.transport.abort()
            return
        self._tunnel.receive_data(bytes(self._buffer[:nbytes]))
        self._decide()

    def eof_received(self) -> None:
        """Handle the end of the stream; called only by the event loop."""
        self._tunnel.receive_eof()
        self._decide()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the loss of the connection; called only by the event loop."""
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
        self.decided.exception()  # nothing is logged if the waiting task was canceled
