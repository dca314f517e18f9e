"""The client under test, as a process of its own.

It reads the cases from standard input, one a line, runs each over a connection of
its own and has the suite write its report at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import socket
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from .echo import LIMITS, TIMEOUT, Echo, add_form, load
from .progress import announce


def offers(package: Any) -> list[Any]:
    """The suite leaves out cases whose parameters are not among the offers."""
    factory = package.ClientPerMessageDeflateFactory
    return [factory(), factory(client_no_context_takeover=True)]


def converse_by_core(package: Any, uri: str) -> None:
    """Open a connection, send back what comes, and wait for its end."""
    parsed = package.parse_uri(uri)
    protocol = package.ClientProtocol(parsed, extensions=offers(package), **LIMITS)
    protocol.send_request(protocol.connect())
    with socket.create_connection((parsed.host, parsed.port), TIMEOUT) as sock:
        Echo(package, protocol, sock).run()


def converse_by_driver(package: Any, uri: str) -> None:
    """The same with the driver on asyncio."""
    client = importlib.import_module(f"{package.__name__}.asyncio.client")

    async def main() -> None:
        connection = await client.connect(
            uri, extensions=offers(package), compression=None, **LIMITS
        )
        with contextlib.suppress(package.ConnectionClosed):
            async for message in connection:
                await connection.send(message)
        await connection.wait_closed()

    asyncio.run(main())


CONVERSE: dict[str, Callable[[Any, str], None]] = {
    "core": converse_by_core,
    "driver": converse_by_driver,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.client")
    add_form(parser)
    parser.add_argument("--agent", required=True, help="name in the report")
    parser.add_argument("port", type=int, help="port of the suite's server")
    options = parser.parse_args()
    package = load(options.form)
    converse = CONVERSE[options.layer]

    def ask(path: str, **query: str) -> None:
        query["agent"] = options.agent
        converse(package, f"ws://127.0.0.1:{options.port}/{path}?{urlencode(query)}")

    for case in sys.stdin.read().split():
        announce(case)
        ask("runCase", casetuple=case)
    ask("updateReports")


if __name__ == "__main__":
    main()
