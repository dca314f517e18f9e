"""The picture of imports: ``python -m tests.imports`` counts, ``--dot`` draws it.

Rooms are modules, arrows are imports at run time, in ``.py`` and ``.pxd`` alike. A
floor is a module's longest way down to one that imports nothing. An arrow goes upward
if it breaks the order in ``tests/test_layers.py``; a circle is a group of modules that
import each other.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain

from .source import modules, parse, walk_runtime

CYTHON_IMPORT = re.compile(r"^\s*from (\.[\w.]*) c?import (.+)$", re.MULTILINE)


def package_of(name: str) -> list[str]:
    """The package that relative imports of a module start from."""
    if modules()[name].name == "__init__.py":
        return name.split(".") if name else []
    return name.split(".")[:-1]


def resolve(name: str, level: int, module: str, names: list[str]) -> Iterator[str]:
    """Modules of this package that ``from ..module import names`` loads."""
    parts = package_of(name)
    parts = parts[: len(parts) - level + 1] + [p for p in module.split(".") if p]
    base = ".".join(parts)
    for imported in names:
        inner = ".".join([*parts, imported])
        yield inner if inner in modules() else base


def imports(name: str, tree: ast.Module) -> Iterator[str]:
    """What a module imports at run time: "." and a name if it is one of ours."""
    for node in walk_runtime(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            found = resolve(name, node.level, node.module or "", names)
            yield from (f".{module}" for module in found)


def cython_imports(name: str, source: str) -> Iterator[str]:
    """The same for a ``.pxd`` or ``.pyx``."""
    for dotted, imported in CYTHON_IMPORT.findall(source):
        module = dotted.lstrip(".")
        names = [part.split()[0] for part in imported.strip("()").split(",")]
        found = resolve(name, len(dotted) - len(module), module, names)
        yield from (f".{module}" for module in found)


@cache
def graph() -> dict[str, frozenset[str]]:
    """What each module imports of the package."""
    found: dict[str, set[str]] = {
        name: {*imports(name, parse(path))} for name, path in modules().items()
    }
    for suffix in (".pxd", ".pyx"):
        for name, path in modules(suffix).items():
            found[name] |= {*cython_imports(name, path.read_text(encoding="utf-8"))}
    return {
        name: frozenset(
            target[1:] for target in targets if target[:1] == "." and target[1:] != name
        )
        for name, targets in found.items()
    }


def reachable(name: str) -> set[str]:
    """All modules that a module needs, itself only if it is in a circle."""
    seen: set[str] = set()
    waiting = [*graph()[name]]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += graph()[one]
    return seen


def circles() -> set[frozenset[str]]:
    """Groups of modules that import each other."""
    needs = {name: reachable(name) for name in graph()}
    return {
        frozenset(one for one in needs[name] if name in needs[one])
        for name in graph()
        if name in needs[name]
    }


def floors() -> int:
    """How many floors the house has; there must be no circle."""

    @cache
    def floor(name: str) -> int:
        return 1 + max((floor(target) for target in graph()[name]), default=0)

    return max(map(floor, graph()))


def upward(order: list[str]) -> list[tuple[str, str]]:
    """Arrows against the order of the layers."""
    place = {name: number for number, name in enumerate(order)}
    return [
        (name, target)
        for name, targets in graph().items()
        for target in sorted(targets)
        if place[target] > place[name]
    ]


def dot() -> str:
    """The picture in the language of Graphviz, a box for each folder."""
    lines = ["digraph sansocket {", "  node [shape=box];"]
    title = {name: f'"{name or "sansocket"}"' for name in sorted(graph())}
    for folder in sorted({name.rpartition(".")[0] for name in title}):
        inside = [title[name] for name in title if name.rpartition(".")[0] == folder]
        label = f'subgraph "cluster_{folder}" {{ label="{folder or "sansocket"}";'
        lines.append(f"  {label} {'; '.join(inside)} }}")
    for name in title:
        lines += [f"  {title[name]} -> {title[to]};" for to in sorted(graph()[name])]
    return "\n".join([*lines, "}"])


def summary() -> str:
    """The counts, in one line."""
    from .test_layers import ORDER  # which takes from here what reads imports

    arrows = len([*chain.from_iterable(graph().values())])
    high = "-" if circles() else str(floors())
    return (
        f"{len(graph())} rooms, {arrows} arrows, {high} floors, "
        f"{len(upward(ORDER))} upward arrows, {len(circles())} circles"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.imports", description=__doc__
    )
    parser.add_argument("--dot", action="store_true", help="draw it, for Graphviz")
    print(dot() if parser.parse_args().dot else summary())


if __name__ == "__main__":
    main()
