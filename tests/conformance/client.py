"""The client under test, as a process of its own.

It reads the cases from standard input, one a line, runs each over a connection of
its own and has the suite write its report at the end.
"""

from __future__ import annotations

import argparse
import socket
import sys
from typing import Any
from urllib.parse import urlencode

from .echo import LIMITS, TIMEOUT, Echo, add_form, load
from .progress import announce


def converse(package: Any, port: int, path: str, **query: str) -> None:
    """Open a connection, send back what comes, and wait for its end."""
    factory = package.ClientPerMessageDeflateFactory
    # The suite leaves out cases whose parameters are not among the offers.
    offers = [factory(), factory(client_no_context_takeover=True)]
    uri = package.parse_uri(f"ws://127.0.0.1:{port}/{path}?{urlencode(query)}")
    protocol = package.ClientProtocol(uri, extensions=offers, **LIMITS)
    protocol.send_request(protocol.connect())
    with socket.create_connection((uri.host, uri.port), TIMEOUT) as sock:
        Echo(package, protocol, sock).run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.client")
    add_form(parser)
    parser.add_argument("--agent", required=True, help="name in the report")
    parser.add_argument("port", type=int, help="port of the suite's server")
    arguments = parser.parse_args()
    package, agent = load(arguments.form), arguments.agent
    for case in sys.stdin.read().split():
        announce(case)
        converse(package, arguments.port, "runCase", casetuple=case, agent=agent)
    converse(package, arguments.port, "updateReports", agent=agent)


if __name__ == "__main__":
    main()
