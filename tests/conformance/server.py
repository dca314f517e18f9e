"""The server under test, as a process of its own: it prints its port and serves."""

from __future__ import annotations

import argparse
import socketserver
from typing import Any

from .echo import LIMITS, Echo, add_form, load


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
    with Server(load(parser.parse_args().form)) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
