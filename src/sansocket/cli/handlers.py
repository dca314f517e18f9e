"""Handlers for ``sansocket serve``: the built-in ones, and how others are loaded."""

from __future__ import annotations

import importlib
import itertools
import operator
import re
import sys
import traceback
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from .._base.options import check_handler
from ..asyncio import broadcast
from .ending import Interrupted
from .values import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeAlias

    from ..asyncio import ServerConnection
    from ..typing import Data

    Handler: TypeAlias = Callable[[ServerConnection], Awaitable[None]]

__all__ = ["Room", "echo", "load_handler"]

NAME = re.compile(r"\w[\w.-]{0,19}")
LONGEST = 2**16  # characters; with a name in front, still within any client's limit
# Bytes that may be buffered for a member that does not read. Nobody waits for it.
PATIENCE = 2**22


def load_handler(name: str) -> Handler:
    """Load a handler: a built-in one, or ``module:function``.

    Raises:
        CommandError: if it cannot be loaded; if importing the module failed, standard
            error has the traceback.
    """
    if name == "echo":
        return echo
    if name == "broadcast":
        return Room()
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module, _, path = name.partition(":")
    imported = import_module(module)
    try:
        handler: Handler = operator.attrgetter(path)(imported)
    except AttributeError:
        raise CommandError(f"module {module} has no attribute {path}") from None
    try:
        check_handler(name, handler)
    except TypeError as exc:
        raise CommandError(str(exc)) from None
    return handler


def import_module(name: str) -> Any:
    """Import a user's module.

    Raises:
        CommandError: if it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except Interrupted:  # by a signal, during the import
        raise
    except BaseException as exc:  # such as SystemExit
        missing = getattr(exc, "name", None) or " "
        if isinstance(exc, ModuleNotFoundError) and f"{name}.".startswith(missing):
            raise CommandError(f"cannot find module {name}") from None
        traceback.print_exc()
        said = str(exc).partition("\n")[0] if isinstance(exc, Exception) else repr(exc)
        raise CommandError(
            f"cannot import module {name}: {said or type(exc).__name__}"
        ) from None


async def echo(connection: ServerConnection) -> None:
    """Send every message back."""
    async for message in connection:
        await connection.send(message)


class Room:
    """A chat room: everyone gets every message, in the same order.

    A text message is sent on as ``name: text``. Lines from the room itself begin with
    an asterisk. A binary message is sent on unchanged, after a line that names its
    sender.
    """

    def __init__(self) -> None:
        self.members: dict[ServerConnection, str] = {}

    async def __call__(self, connection: ServerConnection) -> None:
        """Admit a member until the connection ends."""
        assert connection.request is not None
        name = self.free_name(wanted_name(connection.request.path))
        await connection.send(f"* You are {name}.")
        self.members[connection] = name
        self.say(f"* {name} joined; {len(self.members)} here.")
        try:
            async for message in connection:
                if isinstance(message, str) and len(message) > LONGEST:
                    await connection.send(f"* That exceeds {LONGEST} characters.")
                else:
                    self.relay(name, message)
        finally:
            del self.members[connection]
            self.say(f"* {name} left; {len(self.members)} here.")

    def free_name(self, wanted: str) -> str:
        """Return the wanted name, or a similar one if it is taken."""
        taken = {*self.members.values()}
        if wanted and wanted not in taken:
            return wanted
        names = (f"{wanted or 'guest'}-{number}" for number in itertools.count(1))
        return next(name for name in names if name not in taken)

    def relay(self, name: str, message: Data) -> None:
        """Send a member's message to everyone."""
        if isinstance(message, str):
            self.say(f"{name}: {message}")
        else:
            self.say(f"* {name} sends {len(message)} bytes:")
            self.say(message)

    def say(self, message: Data) -> None:
        """Send a message to everyone; disconnect members that are too far behind."""
        broadcast(self.members, message)
        for member in [*self.members]:
            if member.bytes_to_write > PATIENCE:
                member.logger.info("disconnected: does not read")
                member.transport.abort()


def wanted_name(path: str) -> str:
    """Return the name in the query of a request; "" if there is no valid one."""
    names = parse_qs(urlsplit(path).query).get("name", [""])
    return names[0] if NAME.fullmatch(names[0]) else ""
