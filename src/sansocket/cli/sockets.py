"""The sockets that a server listens on, made before any process uses them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
import time

from .log import in_url
from .values import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from .settings import Settings

__all__ = ["BACKLOG", "Listeners"]

LOCK_TIMEOUT = 1.0  # seconds to wait while other servers make or remove sockets
BACKLOG = 1024  # connections that may wait to be accepted
NO_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
LOOPBACK = ("127.0.0.1", "::1")
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Listeners:
    """Listening sockets, one set for each worker.

    They stay open here while workers come and go, so a client that connects in
    between waits instead of being refused. Linux distributes connections evenly over
    sockets with the same address. On other systems, and with a Unix socket, all
    workers share one socket. Where each has its own, ``retire()`` directs clients to
    the other workers.

    Raises:
        CommandError: if the address cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # The Unix socket that we made, and the identity of its file.
        self.path: Path | None = None
        self.identity: tuple[int, ...] | None = None
        self.shared: bool = sys.platform != "linux" or settings.uds is not None
        self.sets: list[list[socket.socket]] = [[]]
        host, port = settings.host, settings.port
        place = str(settings.uds or f"{in_url(host)}:{port}")
        try:
            if settings.uds is not None:
                self.sets[0].append(self.listen_at(settings.uds))
            else:
                self.listen(host, port)
        except (OSError, ValueError) as exc:
            self.close()
            if isinstance(exc, PathTaken):
                raise CommandError(f"cannot listen on {place}: {exc}") from None
            code = getattr(exc, "errno", None) or 0
            known = os.strerror(code) if code > 0 else getattr(exc, "strerror", None)
            raise CommandError(f"cannot listen on {place}: {known or exc}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def of_worker(self, number: int) -> list[socket.socket]:
        """Return the sockets of one worker; numbers begin at 0."""
        return self.sets[number % len(self.sets)]

    def retire(self, number: int) -> None:
        """Direct clients away from a worker that may not start soon.

        Its sockets do not listen until the worker makes them.
        """
        if len(self.sets) == 1:
            return
        sockets = self.of_worker(number)
        for index, old in enumerate(sockets):
            # If no other socket can be made, keep this one.
            with contextlib.suppress(OSError):
                sockets[index] = bound_like(old)
                old.close()

    def addresses(self) -> list[str]:
        """Return the URLs for clients on this machine."""
        if self.settings.uds is not None:
            return [f"unix:{self.settings.uds}"]
        scheme = "wss" if self.settings.certfile else "ws"
        names = [sock.getsockname()[:2] for sock in self.sets[0]]
        return [
            f"{scheme}://{in_url(WILDCARDS.get(host, host))}:{port}/"
            for host, port in names
        ]

    def close(self) -> None:
        """Stop accepting connections, and remove the Unix socket."""
        self.remove_path()
        for sock in (sock for sockets in self.sets for sock in sockets):
            sock.close()

    def remove_path(self) -> None:
        """Remove the Unix socket, unless another server has taken over its path."""
        if self.path is None:
            return
        with contextlib.suppress(OSError), locked(self.path.parent):  # it may be gone
            if identity_of(self.path) == self.identity:
                self.path.unlink()

    # --- inside

    def listen(self, host: str, port: int) -> None:
        """Listen on all addresses of a host.

        If the port is 0, the first socket chooses it.
        """
        workers = 1 if self.shared else self.settings.workers
        self.sets = [[] for _ in range(workers)]
        for family, address in addresses_of(host):
            try:
                port = self.listen_on(family, address, port)
            except OSError as exc:  # noqa: PERF203 - few, and each may fail by itself
                # Some machines lack the second address of localhost.
                second = (host, address) == ("localhost", "::1")
                if not second or exc.errno not in NO_ADDRESS:
                    raise

    def listen_on(self, family: socket.AddressFamily, address: str, port: int) -> int:
        """Listen on one address, for all workers; return the port."""
        for sockets in self.sets:
            sock = socket.create_server(
                (address, port),
                family=family,
                backlog=BACKLOG,
                reuse_port=len(self.sets) > 1,
            )
            sockets.append(sock)
            port = sock.getsockname()[1]
        return port

    def listen_at(self, path: Path) -> socket.socket:
        """Listen on a Unix socket, replacing one that a dead server left behind.

        Raises:
            PathTaken: if the path is in use by something else.
        """
        if not hasattr(socket, "AF_UNIX"):
            raise ValueError("this system does not support Unix sockets")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with locked(path.parent):
                if is_abandoned(path):
                    path.unlink()
                sock.bind(str(path))
                # The handler's module may change the current directory.
                self.path, self.identity = path.absolute(), identity_of(path)
                sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
        return sock


def addresses_of(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Return the addresses of a host with their families; ``localhost`` has both."""
    names = LOOPBACK if host == "localhost" else (host,)
    found: dict[tuple[socket.AddressFamily, str], None] = {}  # in order
    for name in names:
        for family, _, _, _, address in socket.getaddrinfo(
            name or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            found[family, str(address[0])] = None
    return [*found]


def bound_like(sock: socket.socket) -> socket.socket:
    """Make another socket that is bound to the same address.

    Raises:
        OSError: if the system cannot.
    """
    options = [(socket.SOL_SOCKET, socket.SO_REUSEADDR)]
    options.append((socket.SOL_SOCKET, socket.SO_REUSEPORT))
    if sock.family == socket.AF_INET6:
        options.append((socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
    with contextlib.ExitStack() as stack:
        new = stack.enter_context(socket.socket(sock.family, sock.type))
        for level, option in options:
            new.setsockopt(level, option, 1)
        new.bind(sock.getsockname())
        stack.pop_all()
    return new


class PathTaken(OSError):
    """The path of a Unix socket is in use; the text is for the user."""


def is_abandoned(path: Path) -> bool:
    """Whether there is a socket on which nobody listens.

    Raises:
        PathTaken: if the path is in use by something else.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise PathTaken("Address already in use by a file that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a server may be too busy to let us in
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except FileNotFoundError:  # it has just disappeared
            return False
        except BlockingIOError:
            pass
    raise PathTaken("Address already in use by a running server")


def identity_of(path: Path) -> tuple[int, ...]:
    """Identify the file at a path, to tell it from later files at the same path.

    The inode number alone is not enough: it may be reused for the next file.

    Raises:
        FileNotFoundError: if there is no file.
    """
    status = path.lstat()
    return status.st_dev, status.st_ino, status.st_mtime_ns


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other servers from changing sockets in a directory meanwhile, if possible.

    Two that start at once might find the same dead socket, or each other's socket
    before anybody listens on it.
    """
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # files can be used in a directory that cannot be read
        yield
        return
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while time.monotonic() < deadline:  # somebody else may hold it forever
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)
