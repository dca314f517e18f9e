"""Support for ``dataclasses`` and ``inspect`` in our classes, without importing them.

``dataclasses`` imports ``inspect``, which takes too long for a server that never uses
it. A class with these attributes supports ``fields()``, ``replace()``, ``asdict()``
and ``is_dataclass()``, and can be the base of a dataclass::

    class Point(Value):
        __match_args__ = ("x", "y")
        __dataclass_fields__ = LazyFields(x=REQUIRED, y=0)

A class that is compiled cannot tell the signature of its constructor; with
``__signature__ = LazySignature()`` it, and its subclasses, give that of the source.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from inspect import Signature
    from typing import Any, ClassVar

__all__ = ["REQUIRED", "LazyFields", "LazyParams", "LazySignature", "Value"]

REQUIRED = object()


class LazyFields:
    """Descriptor for ``__dataclass_fields__``, which it builds when first read.

    The keyword arguments are the arguments of the constructor, in order, each with its
    default or ``REQUIRED``.
    """

    def __init__(self, **defaults: Any) -> None:
        self._defaults = defaults
        self._fields: dict[str, Any] | None = None

    def __get__(self, instance: object, owner: type[Any]) -> dict[str, Any]:
        if self._fields is None:
            # Extension types have no annotations to read.
            types = getattr(owner.__init__, "__annotations__", {})
            self._fields = self._build(owner.__name__, types)
        return self._fields

    def _build(self, name: str, types: dict[str, Any]) -> dict[str, Any]:
        from dataclasses import field, make_dataclass

        fields = [
            (key, types.get(key, "object"))
            if default is REQUIRED
            else (key, types.get(key, "object"), field(default=default))
            for key, default in self._defaults.items()
        ]
        model: Any = make_dataclass(name, fields)
        built: dict[str, Any] = model.__dataclass_fields__
        return built


class LazyParams:
    """Descriptor for ``__dataclass_params__``, as of a plain ``@dataclass``."""

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        from dataclasses import make_dataclass

        model: Any = make_dataclass(owner.__name__, [])
        return model.__dataclass_params__


class LazySignature:
    """Descriptor for ``__signature__``: read from the source when asked for.

    A class has none where ``inspect`` finds it without help: in the interpreted form,
    and if a subclass has a constructor of its own.
    """

    def __get__(self, instance: object, owner: type[Any]) -> Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        from .signatures import signature_of

        signature = signature_of(owner)
        if signature is None:
            raise AttributeError("__signature__")
        return signature


class Value:
    """Base of classes that compare and print by the fields in ``__match_args__``."""

    __match_args__ = ()
    __dataclass_params__: ClassVar[Any] = LazyParams()

    # Mutable and compared by value, hence not hashable, as in a dataclass.
    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        names: tuple[str, ...] = self.__match_args__
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def __repr__(self) -> str:
        names: tuple[str, ...] = self.__match_args__
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({fields})"
