"""An echo server that uses callbacks, which run directly when data is read."""

import asyncio

from sansocket.asyncio import ServerConnection, serve


def echo(websocket: ServerConnection, message: str | bytes) -> None:
    websocket.send_nowait(message)


async def main() -> None:
    async with serve(None, "localhost", 8765, on_message=echo) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
