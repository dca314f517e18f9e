"""WebSocket servers and clients on asyncio.

``server`` has ``serve()`` and what belongs to it, ``client`` has ``connect()``, and
``connection`` what their connections have in common. The names are here as well.
"""

from .client import ClientConnection, connect, unix_connect
from .connection import Connection
from .server import (
    Server,
    ServerConnection,
    basic_auth,
    broadcast,
    serve,
    unix_serve,
)

__all__ = [
    "ClientConnection",
    "Connection",
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "connect",
    "serve",
    "unix_connect",
    "unix_serve",
]
