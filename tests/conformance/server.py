"""The server under test, as a process of its own: it prints its URL and serves."""

from __future__ import annotations

import argparse
import importlib
import socketserver
import sys
from typing import Any

from .echo import LIMITS, Echo, add_form, load

# The same limits as arguments of the command line.
OPTIONS = ("--max-size", f"{LIMITS['max_size']}", "--max-fragments", "none")


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection. What one raises is printed with its traceback."""

    daemon_threads = True

    def __init__(self, package: Any) -> None:
        self.package = package
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(socketserver.BaseRequestHandler):
    """One connection."""

    server: Server

    def handle(self) -> None:
        package = self.server.package
        # It wants nothing itself, and answers what the suite asks for.
        factory = package.ServerPerMessageDeflateFactory()
        protocol = package.ServerProtocol(extensions=[factory], **LIMITS)
        Echo(package, protocol, self.request).run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.server")
    add_form(parser)
    options = parser.parse_args()
    package = load(options.form)
    if options.layer == "driver":
        program = importlib.import_module(f"{package.__name__}.cli")
        sys.exit(program.main(["serve", "--port", "0", *OPTIONS]))
    with Server(package) as server:
        print(f"ws://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
