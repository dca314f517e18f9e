"""An echo server on plain sockets and select: a driver around ``Session``."""

import contextlib
import selectors
import socket
import time

from sansocket import ServerProtocol
from sansocket.session import Session, Transport

LIMIT = 65536  # unsent bytes at which to stop handling messages


class Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.session = Session(ServerProtocol(), time.monotonic())
        self.unsent = bytearray()
        self.ends = False  # whether to half-close after sending these

    def read(self, now: float) -> None:
        data = self.sock.recv(65536)
        if data:
            self.session.receive_data(data, now)
        else:
            self.session.receive_eof(now)

    def proceed(self, now: float) -> bool:
        """Do everything that is due after an input; return whether to continue."""
        session = self.session
        if now >= session.deadline:
            session.handle_timeout(now)
        if session.request is not None and session.protocol.state.name == "CONNECTING":
            session.send_response(session.protocol.accept(session.request), now)
        while session.ready and len(self.unsent) < LIMIT:
            message = session.next_message(now)
            if message is None:
                break
            if session.protocol.state.name == "OPEN":
                session.send(message)
            self.write(session.data_to_send())
        self.write(session.data_to_send())
        return session.transport is Transport.KEEP

    def write(self, chunks: list[bytes]) -> None:
        for chunk in chunks:
            self.unsent += chunk
            self.ends |= not chunk  # SEND_EOF
        if self.unsent:
            with contextlib.suppress(BlockingIOError):
                del self.unsent[: self.sock.send(self.unsent)]
        self.session.stuck = bool(self.unsent)
        if self.ends and not self.unsent:
            self.sock.shutdown(socket.SHUT_WR)
            self.ends = False


def main() -> None:
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("localhost", 8765))
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    print("listening on", *listener.getsockname()[:2], flush=True)
    connections: set[Connection] = set()
    while True:
        now = time.monotonic()
        deadlines = [connection.session.deadline for connection in connections]
        timeout = max(min(deadlines, default=now + 60) - now, 0)
        ready = selector.select(min(timeout, 60))
        now = time.monotonic()
        lost = set()
        for key, events in ready:
            connection: Connection | None = key.data
            if connection is None:
                sock, _ = listener.accept()
                sock.setblocking(False)
                connection = Connection(sock)
                connections.add(connection)
                selector.register(sock, selectors.EVENT_READ, connection)
            elif events & selectors.EVENT_READ:
                try:
                    connection.read(now)
                except OSError:
                    lost.add(connection)
        for connection in [*connections]:
            try:
                goes_on = connection not in lost and connection.proceed(now)
            except OSError:
                goes_on = False
            wanted = selectors.EVENT_READ if connection.session.reading else 0
            if connection.unsent:
                wanted |= selectors.EVENT_WRITE
            known = connection.sock in selector.get_map()
            if known and not (goes_on and wanted):
                selector.unregister(connection.sock)
            elif known:
                selector.modify(connection.sock, wanted, connection)
            elif goes_on and wanted:
                selector.register(connection.sock, wanted, connection)
            if not goes_on:
                connection.session.handle_loss(now)
                connection.sock.close()
                connections.discard(connection)


if __name__ == "__main__":
    main()
