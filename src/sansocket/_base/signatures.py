"""Signatures of compiled constructors, read from the source that lies beside.

Loaded only when somebody asks for one: ``inspect``, ``help()``, an editor.
"""

from __future__ import annotations
import __future__

import ast
import inspect
import sys
from pathlib import Path
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["signature_of"]


def signature_of(owner: type[Any]) -> inspect.Signature | None:
    """Signature of a class, of which a base may be compiled.

    Args:
        owner: the class.

    Returns:
        ``None`` if the constructor is not compiled, or there is no source.

    """
    for base in owner.__mro__[:-1]:
        if isinstance(vars(base).get("__new__"), staticmethod):
            return None  # of a subclass in Python
        if "__init__" in vars(base):
            return _constructor(base)
    return inspect.Signature()


def _constructor(class_: type[Any]) -> inspect.Signature | None:
    """Signature of a class that has a constructor of its own."""
    if isinstance(vars(class_)["__init__"], FunctionType):
        return None
    module = sys.modules[class_.__module__]
    name = class_.__module__.rpartition(".")[2]
    path = Path(module.__file__ or "").with_name(f"{name}.py")
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_.__name__:
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                    return _signature(inner, vars(module))
    return None


def _signature(function: ast.FunctionDef, names: dict[str, Any]) -> inspect.Signature:
    """Make the function without its body, to be asked."""
    function.body = [ast.Pass()]
    code = compile(
        ast.fix_missing_locations(ast.Module([function], [])),
        "<signature>",
        "exec",
        __future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    made: dict[str, Any] = {}
    exec(code, names, made)
    signature = inspect.signature(made[function.name])
    return signature.replace(parameters=[*signature.parameters.values()][1:])
