"""Hand-written classes that work with the dataclasses module."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest


@pytest.fixture
def point(impl: Any) -> Any:
    """A class of two fields, made as the module says."""
    helpers = impl._base.dataclass

    class Point(helpers.Value):  # type: ignore[misc, name-defined]
        __match_args__ = ("x", "y")
        __dataclass_fields__ = helpers.LazyFields(x=helpers.REQUIRED, y=0)
        __dataclass_params__ = helpers.LazyParams()

        def __init__(self, x: int, y: int = 0) -> None:
            self.x = x
            self.y = y

    return Point


def test_dataclass_functions(point: Any) -> None:
    here = point(1, y=2)
    assert all(dataclasses.is_dataclass(x) for x in (point, here))
    assert [field.name for field in dataclasses.fields(point)] == ["x", "y"]
    assert dataclasses.asdict(here) == {"x": 1, "y": 2}
    assert dataclasses.astuple(here) == (1, 2)
    there = dataclasses.replace(here, x=5)
    assert type(there) is point
    assert (there.x, there.y) == (5, 2)


def test_fields_know_their_defaults(point: Any) -> None:
    first, second = dataclasses.fields(point)
    assert first.default is dataclasses.MISSING
    assert second.default == 0
    assert (first.type, second.type) == ("int", "int")
    assert dataclasses.fields(point(1)) == dataclasses.fields(point)  # built once


def test_fields_of_a_class_without_annotations(impl: Any) -> None:
    """Extension types have none."""
    helpers = impl._base.dataclass

    class Bare:
        __dataclass_fields__ = helpers.LazyFields(x=helpers.REQUIRED, y=0)

    assert [field.type for field in dataclasses.fields(Bare)] == ["object"] * 2  # type: ignore[arg-type]


def test_base_of_a_dataclass(point: Any) -> None:
    @dataclasses.dataclass
    class Space(point):  # type: ignore[misc]
        z: int = 9

    assert Space(1, 2) == Space(1, 2, 9)
    assert [field.name for field in dataclasses.fields(Space)] == ["x", "y", "z"]
    with pytest.raises(TypeError, match="frozen"):

        @dataclasses.dataclass(frozen=True)
        class Frozen(point):  # type: ignore[misc]
            pass


def test_equality(impl: Any, point: Any) -> None:
    class Further(point):  # type: ignore[misc]
        pass

    assert point(1, 2) == point(1, 2)
    assert point(1, 2) != point(1, 3)
    assert point(0, 2) != point(1, 2)
    assert point(1, 2) != (1, 2)
    assert point(1, 2) != Further(1, 2)
    assert impl._base.dataclass.Value() == impl._base.dataclass.Value()


def test_not_hashable(point: Any) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(point(1))


def test_repr(impl: Any, point: Any) -> None:
    assert repr(point(1, 2)) == "Point(x=1, y=2)"
    assert repr(impl._base.dataclass.Value()) == "Value()"


def test_match(point: Any) -> None:
    match point(1, 2):
        case point(1, y):
            assert y == 2
        case _:
            pytest.fail("no match")
