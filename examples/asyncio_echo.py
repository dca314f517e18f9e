"""An echo server: the Sans-I/O connection in an asyncio protocol.

It only moves bytes between a socket and the connection. A public server also needs
timeouts for the opening and the closing handshake, and should stop reading while its
peer does not read; ``sansocket.asyncio`` does all of that.
"""

import asyncio

from receive import receive

from sansocket import SEND_EOF, ServerProtocol


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.websocket = ServerProtocol()

    def data_received(self, data: bytes) -> None:
        self.write(receive(self.websocket, data))

    def eof_received(self) -> None:
        self.websocket.receive_eof()
        self.write(self.websocket.data_to_send())

    def write(self, chunks: list[bytes]) -> None:
        self.transport.write(b"".join(chunks))
        if chunks[-1:] == [SEND_EOF]:
            self.transport.write_eof()


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 8765)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
