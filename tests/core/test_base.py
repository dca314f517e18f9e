"""The interface of extensions, and extensions that users write against it."""

from __future__ import annotations

from types import ModuleType

import pytest


def test_the_classes_do_nothing_by_themselves(impl: ModuleType) -> None:
    base = impl.extensions.base
    frame = impl.frames.Frame(impl.frames.Opcode.TEXT, b"")
    extension = base.Extension()
    assert extension.name == ""
    with pytest.raises(NotImplementedError):
        extension.decode(frame)
    with pytest.raises(NotImplementedError):
        extension.decode(frame, max_size=1)
    with pytest.raises(NotImplementedError):
        extension.encode(frame)
    with pytest.raises(NotImplementedError):
        base.ClientExtensionFactory().get_request_params()
    with pytest.raises(NotImplementedError):
        base.ClientExtensionFactory().process_response_params([], [])
    with pytest.raises(NotImplementedError):
        base.ServerExtensionFactory().process_request_params([], [])


def test_public_names(impl: ModuleType) -> None:
    assert impl.extensions.base.__all__ == [
        "ClientExtensionFactory",
        "Extension",
        "ServerExtensionFactory",
    ]


def test_a_subclass_has_attributes_of_its_own(impl: ModuleType) -> None:
    class Rot(impl.extensions.base.Extension):  # type: ignore[misc, name-defined]
        name = "x-rot"

        def __init__(self, turn: int) -> None:
            self.turn = turn

    extension = Rot(13)
    assert (extension.name, extension.turn) == ("x-rot", 13)
    assert isinstance(extension, impl.extensions.base.Extension)
