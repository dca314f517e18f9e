"""What the tests about the source itself share: its files, and what is in them."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .pure import SOURCE

ROOT = SOURCE.parents[1]
TESTS = Path(__file__).parent


def module_name(path: Path) -> str:
    """Name of a module, such as ``extensions.base``; "" for the package itself."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def module_path(name: str, suffix: str = ".py") -> Path:
    """The file of a module that is no package."""
    return SOURCE.joinpath(*name.split(".")).with_suffix(suffix)


@cache
def modules(suffix: str = ".py") -> dict[str, Path]:
    """All modules of the package that have a file of this kind; not to be changed."""
    return {module_name(path): path for path in sorted(SOURCE.rglob(f"*{suffix}"))}


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file; not to be changed."""
    return parse_text(path.read_text(encoding="utf-8"), str(path))


def parse_text(source: str, filename: str = "<unknown>") -> ast.Module:
    """The syntax tree of a source.

    Nothing is collected meanwhile: in Python 3.11, if a finalizer parses too, as
    one does that logs a traceback, the outer parser raises SystemError.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source, filename)
    finally:
        if collects:
            gc.enable()


def is_type_checking(node: ast.AST) -> bool:
    """Whether a statement is ``if TYPE_CHECKING:``."""
    if not isinstance(node, ast.If):
        return False
    test = node.test
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def walk_runtime(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without what only type checkers see."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        if is_type_checking(node):
            assert isinstance(node, ast.If)
            stack += node.orelse
        else:
            stack += ast.iter_child_nodes(node)
