"""The sockets that a server listens on."""

from __future__ import annotations

import errno
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sansocket.cli.sockets import Listeners, bound_like, is_abandoned
from sansocket.cli.values import CommandError

from .conftest import TIMEOUT, descriptors_left, settings

if sys.platform == "win32":
    pytest.skip("not on Windows", allow_module_level=True)
import fcntl
import os
from pathlib import PosixPath

CREATE = socket.create_server


def connects(listeners: Listeners) -> bool:
    """Whether a client gets in at the first address."""
    address = listeners.sets[0][0].getsockname()
    try:
        socket.create_connection(address[:2], TIMEOUT).close()
    except ConnectionRefusedError:
        return False
    return True


# TCP


def without_ipv6(number: int) -> Any:
    """What makes a server, and cannot for IPv6."""

    def create(*arguments: Any, **options: Any) -> socket.socket:
        if options["family"] == socket.AF_INET6:
            raise OSError(number, os.strerror(number))
        return CREATE(*arguments, **options)

    return create


def test_localhost_may_have_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_server", without_ipv6(errno.EADDRNOTAVAIL))
    with Listeners(settings(host="localhost")) as listeners:
        (url,) = listeners.addresses()
        assert url.startswith("ws://127.0.0.1:")
        assert connects(listeners)


@pytest.mark.parametrize(
    ("host", "number"), [("localhost", errno.EACCES), ("::1", errno.EADDRNOTAVAIL)]
)
def test_an_address_that_is_refused(
    monkeypatch: pytest.MonkeyPatch, host: str, number: int
) -> None:
    monkeypatch.setattr(socket, "create_server", without_ipv6(number))
    with pytest.raises(CommandError, match=f"cannot listen on .*{os.strerror(number)}"):
        Listeners(settings(host=host))


def test_the_only_socket_goes_on_listening() -> None:
    with Listeners(settings()) as listeners:
        listeners.retire(0)
        assert connects(listeners)


@pytest.mark.skipif(sys.platform != "linux", reason="workers share the socket")
def test_a_place_without_a_worker_gets_no_clients() -> None:
    """Its sockets keep the port, for the worker to come, and take nobody."""
    with Listeners(settings(workers=2)) as listeners:
        (old,), _ = listeners.sets
        address = old.getsockname()
        listeners.retire(0)
        (new,), (other,) = listeners.sets
        assert new.getsockname() == address
        other.close()
        assert not connects(listeners)
        new.listen()
        assert connects(listeners)


@pytest.mark.skipif(sys.platform != "linux", reason="workers share the socket")
def test_a_socket_goes_on_if_there_can_be_no_other() -> None:
    with Listeners(settings(workers=2)) as listeners:
        with descriptors_left(0):
            listeners.retire(0)
        listeners.sets[1][0].close()
        assert connects(listeners)


def test_another_socket_of_an_address_that_is_not_shared() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        with pytest.raises(OSError, match="Address already in use"):
            bound_like(sock)
        assert sock.fileno() >= 0


def test_another_socket_for_ipv6() -> None:
    """It takes no clients of IPv4, as the first one does not."""
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6")
    try:
        first = CREATE(("::1", 0), family=socket.AF_INET6, reuse_port=True)
    except OSError:
        pytest.skip("there is no IPv6")
    with first, bound_like(first) as second:
        assert second.getsockname() == first.getsockname()
        assert second.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


# Unix sockets


def gets_in(path: str) -> bool:
    """Whether a client gets in at a path."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
    return True


def leave_behind(path: str) -> None:
    """Make what a server leaves that is killed."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)


def test_a_path_is_removed_in_the_end(socket_path: str) -> None:
    with Listeners(settings(uds=Path(socket_path))) as listeners:
        assert listeners.addresses() == [f"unix:{socket_path}"]
        listeners.retire(0)
        assert gets_in(socket_path)
    assert not os.path.exists(socket_path)


def test_a_path_that_a_dead_server_left(socket_path: str) -> None:
    leave_behind(socket_path)
    assert not gets_in(socket_path)
    with Listeners(settings(uds=Path(socket_path))):
        assert gets_in(socket_path)


def test_a_path_that_is_gone_in_the_end(socket_path: str) -> None:
    with Listeners(settings(uds=Path(socket_path))):
        os.unlink(socket_path)


class Vanishing(PosixPath):
    """A path whose file goes once somebody has looked at it."""

    def lstat(self) -> os.stat_result:
        status = super().lstat()
        self.unlink()
        return status


def test_a_path_that_another_server_removes_at_the_same_time(socket_path: str) -> None:
    leave_behind(socket_path)
    assert not is_abandoned(Vanishing(socket_path))


@pytest.mark.parametrize(
    ("name", "by"),
    [("socket", "a running server"), ("file", "a file that is not a socket")],
)
def test_a_path_that_is_taken(socket_path: str, name: str, by: str) -> None:
    path = Path(socket_path)
    path.with_name("file").touch()
    with Listeners(settings(uds=path)):
        with pytest.raises(CommandError, match=f"Address already in use by {by}$"):
            Listeners(settings(uds=path.with_name(name)))
        assert gets_in(socket_path)


def test_a_server_that_is_too_busy_keeps_its_path(socket_path: str) -> None:
    """Its queue of connections is full: one more would wait."""
    clients = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(socket_path)
        busy.listen(0)
        for client in clients:
            client.setblocking(False)
            client.connect_ex(socket_path)
        with pytest.raises(CommandError, match=r"by a running server$"):
            Listeners(settings(uds=Path(socket_path)))
    for client in clients:
        client.close()


def test_a_folder_that_there_is_not(socket_path: str) -> None:
    path = f"{socket_path}s/socket"
    with pytest.raises(CommandError, match=f"cannot listen on {path}: No such file"):
        Listeners(settings(uds=Path(path)))


def test_a_folder_that_one_may_use_but_not_read(
    monkeypatch: pytest.MonkeyPatch, socket_path: str
) -> None:
    """So that it cannot be locked. The superuser may read all, hence it is made up."""
    opens, folder = os.open, os.path.dirname(socket_path)

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if os.fspath(path) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return opens(path, *arguments, **options)

    with monkeypatch.context() as context:
        context.setattr(os, "open", refuse)
        with Listeners(settings(uds=Path(socket_path))):
            assert gets_in(socket_path)
    assert not os.path.exists(socket_path)


def test_a_system_without_unix_sockets(
    monkeypatch: pytest.MonkeyPatch, socket_path: str
) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(CommandError, match="this system does not support Unix sockets"):
        Listeners(settings(uds=Path(socket_path)))


@pytest.mark.parametrize("released", [True, False])
def test_a_folder_that_somebody_else_has_locked(
    monkeypatch: pytest.MonkeyPatch, socket_path: str, released: bool
) -> None:
    """One waits for him, but not for ever."""
    slept: list[float] = []
    holder = os.open(os.path.dirname(socket_path), os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if released and len(slept) == 3:
            fcntl.flock(holder, fcntl.LOCK_UN)

    clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=sleep)
    monkeypatch.setattr("sansocket.cli.sockets.time", clock)
    with Listeners(settings(uds=Path(socket_path))):
        waited = [*slept]
        os.close(holder)
        assert gets_in(socket_path)
    assert len(waited) == 3 if released else sum(waited) == pytest.approx(1.0, rel=0.1)
