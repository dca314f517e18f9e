"""A client on the asyncio driver, for the server of ``echo_server.py``."""

import asyncio

from sansocket.asyncio import connect


async def hello(uri: str) -> None:
    async with connect(uri) as websocket:
        await websocket.send("Hello")
        print(await websocket.recv())


if __name__ == "__main__":
    asyncio.run(hello("ws://localhost:8765"))
