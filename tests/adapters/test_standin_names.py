"""What ``sansocket.standin`` gives, and what not, looked at in this process."""

from __future__ import annotations

import pytest

from sansocket import standin
from sansocket.standin.path import websockets as names


def test_all_names_are_listed() -> None:
    """Before they are first asked for, too, as for the completion of editors."""
    assert {"connect", "serve", "ConnectionClosed", "__version__"} <= {*dir(names)}
    assert {*names.__all__} <= {*dir(names)}
    assert dir(names) == sorted(dir(names))


def test_a_package_that_is_not_mirrored_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it can be imported, as if it were not known at all."""
    known = standin.MIRRORED | {"websockets.later", "websockets.later.client"}
    monkeypatch.setattr(standin, "MIRRORED", known)
    for name in ("websockets.later", "websockets.later.client", "websockets.never"):
        with pytest.raises(ModuleNotFoundError, match=f"no '{name}': .* mirror it$"):
            standin.StandInFinder().find_spec(name)
