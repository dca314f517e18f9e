"""Signatures of constructors in C, read from the source: with classes that look like
compiled ones, so that it is tested in both forms."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest


def compiled_like(impl: Any, name: str) -> Any:
    """A class of the module ``frames`` whose constructor is in C."""
    members = {"__init__": object.__init__, "__module__": impl.frames.__name__}
    return type(name, (), members)


def signature_of(impl: Any, class_: Any) -> inspect.Signature | None:
    module = importlib.import_module(f"{impl.__name__}._base.signatures")
    found: inspect.Signature | None = module.signature_of(class_)
    return found


def test_it_is_that_of_the_source(impl: Any) -> None:
    found = signature_of(impl, compiled_like(impl, "Frame"))
    assert found is not None
    assert [*found.parameters] == ["opcode", "data", "fin", "rsv1", "rsv2", "rsv3"]
    assert found.parameters["fin"].default is True
    assert found.parameters["data"].annotation == "BytesLike"


def test_a_class_that_the_source_does_not_have_has_none(impl: Any) -> None:
    assert signature_of(impl, compiled_like(impl, "Unknown")) is None


def test_a_class_without_a_constructor_in_the_source_has_none(impl: Any) -> None:
    members = {"__init__": object.__init__, "__module__": impl.headers.__name__}
    assert signature_of(impl, type("Extension", (), members)) is None
    members["__module__"] = importlib.import_module(
        f"{impl.__name__}.extensions.base"
    ).__name__
    assert signature_of(impl, type("Extension", (), members)) is None


def test_without_the_source_there_is_none(
    impl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impl.frames, "__file__", "/nowhere/frames.so")
    assert signature_of(impl, compiled_like(impl, "Frame")) is None


def test_constructors_in_python_are_left_to_inspect(impl: Any) -> None:
    class Initialised:
        def __init__(self, x: int) -> None:
            raise NotImplementedError

    class Made:
        def __new__(cls, x: int) -> Made:
            raise NotImplementedError

    assert signature_of(impl, Initialised) is None
    assert signature_of(impl, Made) is None


def test_without_a_constructor_there_are_no_arguments(impl: Any) -> None:
    class Empty:
        pass

    assert signature_of(impl, Empty) == inspect.Signature()
