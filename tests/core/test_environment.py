"""What the core takes from outside: random bytes and the time of day."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from .support import FIN, TEXT, bare, header, xor


@pytest.fixture
def fixed(impl: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Bytes and a time that are known, put in place as the module says."""
    monkeypatch.setattr(impl.environment, "random_bytes", lambda n: b"\xa5" * n)
    monkeypatch.setattr(impl.environment, "wall_clock", lambda: 784111777.0)
    impl._native.kernels.forget_keys()
    yield
    impl._native.kernels.forget_keys()


def test_defaults(impl: Any) -> None:
    environment = impl.environment
    assert sorted(environment.__all__) == ["random_bytes", "wall_clock"]
    assert len(environment.random_bytes(16)) == 16
    assert environment.random_bytes(16) != environment.random_bytes(16)
    assert environment.wall_clock() > 1.7e9


@pytest.mark.usefixtures("fixed")
def test_masking_keys_are_replaced(impl: Any) -> None:
    protocol = bare(impl, "client")
    protocol.send_text(b"hello")
    key = b"\xa5" * 4
    wanted = header(FIN | TEXT, 5, 0x80) + key + xor(b"hello", key)
    assert protocol.data_to_send() == [wanted]


@pytest.mark.usefixtures("fixed")
def test_handshake_keys_are_replaced(impl: Any) -> None:
    uri = impl.uri.parse_uri("ws://example.com/")
    protocol = impl.client.ClientProtocol(uri)
    assert base64.b64decode(protocol.key) == b"\xa5" * 16


@pytest.mark.usefixtures("fixed")
def test_the_date_is_replaced(impl: Any) -> None:
    response = impl.server.ServerProtocol().reject(404, "nothing here")
    assert response.headers["Date"] == "Sun, 06 Nov 1994 08:49:37 GMT"
