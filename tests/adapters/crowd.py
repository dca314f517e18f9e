"""Many clients in one process: ``python -m tests.adapters.crowd PORT COUNT``.

Each connects and sends its number. Once all have had that back, each sends it again
whenever it comes back, until the server closes the connection; a close frame is
answered. At the end one line of JSON tells what each saw: how many answers, and the
bytes that came behind them.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from collections.abc import Iterator
from itertools import islice

from tests.core.support import CLOSE, FIN, TEXT, masked, plain, request_bytes

AT_ONCE = 50  # that begin: fewer than the backlog of the server
ADDRESSES = 100  # of the loopback network, where there is one: ports are scarce
REQUEST = request_bytes()


class Client:
    """One of the crowd."""

    def __init__(self, number: int, port: int) -> None:
        payload = str(number).encode()
        self.message = masked(FIN | TEXT, payload)
        self.answer = plain(FIN | TEXT, payload)
        self.answers = 0
        self.open = False
        self.rest = b""
        source = f"127.0.0.{2 + number % ADDRESSES}" if sys.platform == "linux" else ""
        self.sock = socket.create_connection(
            ("127.0.0.1", port), source_address=(source, 0)
        )
        self.sock.sendall(REQUEST)

    def read(self) -> bool:
        """Take what came, and answer; tell whether the connection goes on."""
        data = self.sock.recv(65536)
        self.rest += data
        if not self.open:
            head, separator, rest = self.rest.partition(b"\r\n\r\n")
            if separator and head.startswith(b"HTTP/1.1 101 "):
                self.open = True
                self.rest = rest
                self.sock.sendall(self.message)
        if self.rest.startswith(self.answer):
            self.answers += 1
            self.rest = self.rest[len(self.answer) :]
            if self.answers > 1:
                self.sock.sendall(self.message)
        if data and self.rest[:1] == bytes([FIN | CLOSE]):
            self.sock.sendall(masked(FIN | CLOSE, self.rest[2:4]))
        return bool(data)


def connecting(
    port: int, count: int, selector: selectors.BaseSelector
) -> Iterator[Client]:
    """Clients, as they begin to connect."""
    for number in range(count):
        client = Client(number, port)
        selector.register(client.sock, selectors.EVENT_READ, client)
        yield client


def main(port: int, count: int) -> None:
    """Let them all run to the end."""
    selector = selectors.DefaultSelector()
    to_come = connecting(port, count, selector)
    clients = [*islice(to_come, AT_ONCE)]
    answered = 0
    while selector.get_map():
        for key, _ in selector.select():
            client: Client = key.data
            first = client.answers == 0
            if not client.read():
                selector.unregister(client.sock)
                client.sock.close()
            elif first and client.answers:
                clients += islice(to_come, 1)
                answered += 1
                if answered == count:
                    for one in clients:
                        one.sock.sendall(one.message)
    seen = [(client.answers, client.rest.hex()) for client in clients]
    print(json.dumps(seen))


if __name__ == "__main__":
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    main(int(sys.argv[1]), int(sys.argv[2]))
