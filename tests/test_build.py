"""The compiled form is what the source says: leftovers and misnamed files do nothing
at all, silently, so they are looked for here."""

from __future__ import annotations

import ast
import contextlib
import copy
import gc
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .conftest import FORMS
from .pure import SOURCE
from .source import ROOT, module_path, modules, parse, parse_text

HEAP_TYPE = 1 << 9  # of __flags__: made by a class statement at run time

# What these declare is implemented twice; the compiler checks the .pyx itself.
TWINS = modules(".pyx").keys()
DECLARED = modules(".pxd").keys()

# No way of the data is as long and as hot as this one.
LONG_FUNCTIONS = {"_wire.reader.Reader._parse"}
MOST_LINES = 500
MOST_LINES_OF_AN_OBJECT = 800  # of a file that is little more than one class
MOST_LINES_OF_A_FUNCTION = 60


class Class(NamedTuple):
    """What a ``.pxd`` declares of a class."""

    base: str
    attributes: dict[str, str]  # name: "public", "readonly" or "", which is C's alone
    methods: dict[str, list[str]]  # name: arguments


class Declared(NamedTuple):
    """What a ``.pxd`` declares."""

    classes: dict[str, Class]
    functions: dict[str, list[str]]
    variables: list[str]
    locals: dict[str, list[str]]  # function or Class.method: its typed variables


def joined_lines(source: str) -> list[str]:
    """Lines without comments, those inside of brackets joined."""
    lines: list[str] = []
    depth = 0
    for line in re.sub(r"#.*", "", source).splitlines():
        if depth:
            lines[-1] += " " + line.strip()
        elif line.strip():
            lines.append(line.rstrip())
        depth += line.count("(") - line.count(")")
    return lines


def last_word(text: str) -> str:
    """The name in a declaration such as ``const char *data`` or ``bint fin=*``."""
    words: list[str] = re.findall(r"\w+", text.partition("=")[0])
    return words[-1]


def arguments_of(text: str) -> list[str]:
    return [last_word(part) for part in text.split(",") if part.strip()]


PLAIN_LINES = {"pass", "@cython.final"}  # which declare nothing


def read_pxd(source: str) -> Declared:
    """Parse a ``.pxd``, as far as this package uses the language."""
    found = Declared({}, {}, [], {})
    typed: list[str] = []  # of the function that comes next
    inside = ""  # the class, or "extern"
    for line in joined_lines(source):
        text = line.strip()
        if line == text:
            inside = ""
        if text.startswith("cdef extern"):
            inside = "extern"
        elif inside == "extern" or "cimport" in text or text in PLAIN_LINES:
            continue
        elif text.startswith("@cython.locals("):
            typed = re.findall(r"(\w+)=", text)
        elif match := re.match(r"cdef class (\w+)(?:\(([\w.]+)\))?:", text):
            inside = match[1]
            found.classes[inside] = Class(match[2] or "", {}, {})
        elif match := re.match(r"cp?def (?:[\w.]+ )?\*?(\w+)\((.*)\)", text):
            methods = found.classes[inside].methods if inside else found.functions
            methods[match[1]] = arguments_of(match[2])
            found.locals[f"{inside}.{match[1]}".lstrip(".")] = typed
            typed = []
        else:
            names = text.removeprefix("cdef ").split(",")
            kind = re.match(r"cdef (public|readonly) ", text)
            for name in map(last_word, names):
                if inside:
                    found.classes[inside].attributes[name] = kind[1] if kind else ""
                else:
                    found.variables.append(name)
    return found


@cache
def pxd(name: str) -> Declared:
    return read_pxd(modules(".pxd")[name].read_text(encoding="utf-8"))


def functions_of(body: list[ast.stmt]) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def classes_of(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def parameters_of(function: ast.FunctionDef) -> list[str]:
    spec = function.args
    return [arg.arg for arg in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]


def names_in(function: ast.FunctionDef) -> set[str]:
    """Arguments and variables of a function."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    return names.union(parameters_of(function))


def assigned_to_self(body: ast.AST) -> set[str]:
    """Attributes that a class gives itself."""
    return {
        node.attr
        for node in ast.walk(body)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def properties_of(body: ast.ClassDef) -> set[str]:
    return {
        name for name, node in functions_of(body.body).items() if node.decorator_list
    }


def variables_of(tree: ast.Module) -> set[str]:
    """Names that a module assigns, those in tuples too."""
    return {
        node.id
        for statement in tree.body
        if isinstance(statement, (ast.Assign, ast.AnnAssign))
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def test_setup_compiles_what_has_a_pxd() -> None:
    tree = parse(ROOT / "setup.py")
    listed = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and "COMPILED" in ast.dump(node.targets[0])
    )
    assert listed == sorted(listed)
    assert {*listed} == {*DECLARED}
    assert {*TWINS} <= {*DECLARED} <= {*modules()}


@pytest.mark.parametrize("name", DECLARED)
def test_declared_functions_exist(name: str) -> None:
    declared, tree = pxd(name), parse(module_path(name))
    defined = functions_of(tree.body)
    for function, arguments in declared.functions.items():
        # A name may be bound to a function of another module, as an alias.
        if function in defined:
            assert parameters_of(defined[function]) == arguments, function
        else:
            assert name in TWINS
            assert function in variables_of(tree)
    assert {*declared.variables} <= variables_of(tree)


@pytest.mark.parametrize("name", DECLARED)
def test_declared_classes_exist(name: str) -> None:
    declared, defined = pxd(name).classes, classes_of(parse(module_path(name)))
    assert declared.keys() <= defined.keys()
    for class_name, class_ in declared.items():
        methods = functions_of(defined[class_name].body)
        base = class_.base.rpartition(".")[2]
        bases = [
            ast.unparse(node).rpartition(".")[2] for node in defined[class_name].bases
        ]
        assert bases == ([base] if base else [])
        for method, arguments in class_.methods.items():
            # The twin in Python needs no helpers to grow its memory.
            if name not in TWINS or method in methods:
                assert parameters_of(methods[method]) == arguments, method


@pytest.mark.parametrize("name", sorted({*DECLARED} - {*TWINS}))
def test_typed_variables_exist(name: str) -> None:
    tree = parse(module_path(name))
    defined = functions_of(tree.body)
    for class_name, body in classes_of(tree).items():
        methods = functions_of(body.body)
        defined |= {f"{class_name}.{method}": node for method, node in methods.items()}
    for function, variables in pxd(name).locals.items():
        assert {*variables} <= names_in(defined[function]), function


def attributes_with_bases(class_name: str) -> set[str]:
    """Attributes that the ``.pxd`` of a class and of its bases declare."""
    declared = {
        key: value for name in DECLARED for key, value in pxd(name).classes.items()
    }
    attributes: set[str] = set()
    while class_name:
        attributes |= declared[class_name].attributes.keys()
        class_name = declared[class_name].base.rpartition(".")[2]
    return attributes


def properties_with_bases(class_name: str) -> set[str]:
    """Properties of a compiled class and of its bases."""
    found: set[str] = set()
    for name in {*DECLARED} - {*TWINS}:
        bodies = classes_of(parse(module_path(name)))
        for declared, class_ in pxd(name).classes.items():
            if declared == class_name:
                found |= properties_of(bodies[declared])
                base = class_.base.rpartition(".")[2]
                found |= properties_with_bases(base) if base else set()
    return found


@pytest.mark.parametrize("name", sorted({*DECLARED} - {*TWINS}))
def test_attributes_are_declared_and_set(name: str) -> None:
    bodies = classes_of(parse(module_path(name)))
    for class_name, class_ in pxd(name).classes.items():
        body = bodies[class_name]
        stored = assigned_to_self(body) - properties_with_bases(class_name)
        inherited = attributes_with_bases(class_name)
        assert stored <= inherited, "these would be slow, or refused"
        own = class_.attributes.keys() - {"__dict__", "__weakref__"}
        assert own <= stored, "nothing sets these"


@pytest.fixture
def compiled() -> Any:
    """The compiled form, where there is one."""
    if "compiled" not in FORMS:
        pytest.skip("the compiled form is not built")
    return FORMS["compiled"]


@pytest.mark.parametrize("name", DECLARED)
def test_compiled_classes_are_extension_types(compiled: Any, name: str) -> None:
    module = importlib.import_module(f"sansocket.{name}")
    assert not str(module.__file__).endswith(".py")
    for class_name, declared in pxd(name).classes.items():
        type_ = getattr(module, class_name)
        assert not type_.__flags__ & HEAP_TYPE
        has_dict = "__dict__" in attributes_with_bases(class_name)
        assert bool(type_.__dictoffset__) == has_dict
        for attribute, kind in declared.attributes.items():
            if not attribute.startswith("__"):
                assert (attribute in vars(type_)) == bool(kind), attribute


def test_the_compiler_leaves_no_check_out() -> None:
    """A wrong call raises as the source would; these are what costs nothing to speak of
    and lies between a mistake and foreign memory."""
    tree = parse(ROOT / "setup.py")
    directives = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and "DIRECTIVES" in ast.dump(node.targets[0])
    )
    assert directives["nonecheck"]
    assert directives.keys().isdisjoint({"boundscheck", "initializedcheck"})
    sources = [*modules(".py").values(), *modules(".pyx").values()]
    assert not [path for path in sources if "# cython:" in path.read_text("utf-8")]


COPIED = {"Frame", "Extension"}  # what may be copied and pickled


@pytest.mark.parametrize("name", DECLARED)
def test_nothing_is_pickled_by_accident(compiled: Any, name: str) -> None:
    """What Cython adds for that lets anybody put anything into an object."""
    module = importlib.import_module(f"sansocket.{name}")
    for class_name in pxd(name).classes:
        type_ = getattr(module, class_name)
        assert not {word for word in dir(type_) if "cython__" in word}
        assert not hasattr(type_, "__setstate__")
        with contextlib.suppress(TypeError):  # an instance cannot be made like that
            instance = type_.__new__(type_)
            if class_name not in COPIED:
                with pytest.raises(TypeError, match="cannot pickle"):
                    copy.copy(instance)


# Attributes that keep what they were given when the object was initialised.
KEPT = {"protocol", "session", "_inbox", "_liveness", "_receiver"}
LEAVES = {"Payload"}  # nothing in these calls back


@cache
def attribute_types(name: str) -> dict[str, str]:
    """Attributes that hold instances of our compiled classes, and of which."""
    text = modules(".pxd")[name].read_text(encoding="utf-8")
    found = re.findall(r"^    cdef (?:public |readonly )?([\w.]+) (\w+)$", text, re.M)
    types = {attribute: type_.rpartition(".")[2] for type_, attribute in found}
    ours = {key for other in DECLARED for key in pxd(other).classes}
    return {key: type_ for key, type_ in types.items() if type_ in ours}


@pytest.mark.parametrize("name", sorted({*DECLARED} - {*TWINS}))
def test_calls_own_what_they_are_made_on(name: str) -> None:
    """A compiled method takes its object as it is: if that is an attribute which is
    replaced meanwhile, the object is freed in the midst of its method. A variable
    keeps it."""
    types = {k: v for other in DECLARED for k, v in attribute_types(other).items()}
    for node in ast.walk(parse(module_path(name))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Attribute)
        ):
            attribute = node.func.value.attr
            type_ = types.get(attribute, "")
            safe = not type_ or type_ in LEAVES or attribute in KEPT
            assert safe, f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("name", sorted({*DECLARED} - {*TWINS}))
def test_what_is_kept_is_set_once(name: str) -> None:
    for class_ in classes_of(parse(module_path(name))).values():
        for method, body in functions_of(class_.body).items():
            if method != "__init__" and not method.startswith("_begin_"):
                assert assigned_to_self(body).isdisjoint(KEPT), method


def sources_of(name: str) -> list[Path]:
    """Files that an extension is made of."""
    path = module_path(name)
    others = [path.with_suffix(suffix) for suffix in (".pyx", ".pxd", ".h")]
    return [other for other in (path, *others) if other.exists()]


@pytest.mark.parametrize("name", DECLARED)
def test_compiled_form_is_up_to_date(compiled: Any, name: str) -> None:
    """No extension is older than its source; no installed copy differs from it."""
    extension = Path(importlib.import_module(f"sansocket.{name}").__file__ or "")
    for source in sources_of(name):
        if extension.is_relative_to(SOURCE):
            twin = source.suffix == ".py" and name in TWINS
            assert twin or extension.stat().st_mtime >= source.stat().st_mtime, source
        elif source.suffix != ".pyx":
            copy = extension.parent / source.name
            assert copy.read_bytes() == source.read_bytes(), "install it again"


@pytest.mark.parametrize("name", modules())
def test_no_module_imports_what_is_a_c_variable_elsewhere(name: str) -> None:
    """Python would not find it in the compiled form."""
    hidden = {
        (other.rpartition(".")[2], variable)
        for other in DECLARED
        for variable in pxd(other).variables
    }
    imported = {
        ((node.module or "").rpartition(".")[2], alias.name)
        for node in ast.walk(parse(modules()[name]))
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert not imported & hidden


@pytest.mark.parametrize("name", modules())
def test_files_are_short(name: str) -> None:
    text = modules()[name].read_text(encoding="utf-8")
    lines = text.count("\n")
    largest = max(
        (
            (node.end_lineno or 0) - node.lineno
            for node in parse(modules()[name]).body
            if isinstance(node, ast.ClassDef)
        ),
        default=0,
    )
    is_one_object = largest > lines * 0.7
    assert lines <= (MOST_LINES_OF_AN_OBJECT if is_one_object else MOST_LINES)


def functions_by_name(
    node: ast.AST, prefix: str
) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = f"{prefix}.{child.name}"
            if not isinstance(child, ast.ClassDef):
                found.append((name, child))
            found += functions_by_name(child, name)
    return found


@pytest.mark.parametrize("name", modules())
def test_functions_are_short(name: str) -> None:
    for function, node in functions_by_name(parse(modules()[name]), name):
        first = node.body[ast.get_docstring(node) is not None :][:1]
        lines = (node.end_lineno or 0) - first[0].lineno + 1 if first else 0
        assert lines <= MOST_LINES_OF_A_FUNCTION or function in LONG_FUNCTIONS, function


def test_leftovers_in_a_pxd_are_seen() -> None:
    """The parser above reads everything; what it skipped could not be checked."""
    found = read_pxd(
        "cimport cython\ncdef int _A, _B\ncdef tuple _C\n"
        "@cython.final\ncdef class X(base.Y):\n"
        "    cdef dict __dict__\n    cdef public bint fin\n"
        '    @cython.locals(a=int,\n        b="const unsigned char *")\n'
        "    cdef int go(self, const unsigned char *data,  # why\n"
        "                bint fin) except -1\n"
        "cpdef top(object x=*)\n"
    )
    assert found.variables == ["_A", "_B", "_C"]
    assert found.classes["X"].base == "base.Y"
    assert found.classes["X"].attributes == {"__dict__": "", "fin": "public"}
    assert found.classes["X"].methods == {"go": ["self", "data", "fin"]}
    assert found.locals == {"X.go": ["a", "b"], "top": []}
    assert found.functions == {"top": ["x"]}


class Parses:
    """Parses as it is collected, like a finalizer that logs a traceback."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        ast.parse("1")


def test_no_collection_disturbs_the_parser() -> None:
    thresholds = gc.get_threshold()
    gc.set_threshold(50)
    try:
        for _ in range(300):
            Parses()
            parse_text("f(" * 60 + ")" * 60)
    finally:
        gc.set_threshold(*thresholds)
