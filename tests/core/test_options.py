"""What the functions of all drivers do with their arguments."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from sansocket._base import options
from tests.pure import load_pure

PURE = load_pure()  # compiled classes have no signatures to look at
NO_LIMITS = {
    *("uri", "origin", "origins", "extensions", "subprotocols"),
    *("select_subprotocol", "state", "max_size", "logger"),
}


@pytest.mark.parametrize(
    ("module", "name", "limits"),
    [
        ("server", "ServerProtocol", options.SERVER_LIMITS),
        ("client", "ClientProtocol", options.CLIENT_LIMITS),
    ],
)
def test_every_limit_is_known(module: str, name: str, limits: tuple[str, ...]) -> None:
    """A new one must not be forgotten, since drivers hand on what is listed only."""
    protocol = getattr(getattr(PURE, module), name)
    assert {*limits} == {*inspect.signature(protocol).parameters} - NO_LIMITS
    assert len(limits) == len({*limits})


def test_take() -> None:
    given: dict[str, Any] = {"a": None, "b": 2, "c": 3}
    assert options.take(given, ["a", "c", "d"]) == {"a": None, "c": 3}
    assert given == {"b": 2}


def test_compression() -> None:
    def enable(extensions: Any) -> Any:
        return [*(extensions or []), "deflate"]

    assert options.with_compression(None, None, enable) is None
    assert options.with_compression(["x"], None, enable) == ["x"]
    assert options.with_compression(None, "deflate", enable) == ["deflate"]
    assert options.with_compression(["x"], "deflate", enable) == ["x", "deflate"]
    with pytest.raises(ValueError, match="must be 'deflate' or None, not 'zip'"):
        options.with_compression(None, "zip", enable)
