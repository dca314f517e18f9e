"""Programs of a few lines that make wrong calls, at random from one seed.

A line is Python, to be run in the namespace of ``tests/wrong_values.py``. Most calls
are nearly right: names of parameters tell what is meant, and one in three gets another
thing. What is called back in between does the same once more, on the same object.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
from functools import cache
from random import Random
from types import ModuleType
from typing import Any

from sansocket.asyncio._waiter import Waiter
from sansocket.asyncio.connection import Connection
from sansocket.client import ClientProtocol
from sansocket.extensions.permessage_deflate import PerMessageDeflate
from sansocket.frames import Frame
from sansocket.protocol import Protocol
from sansocket.server import ServerProtocol
from sansocket.session import Inbox, Session

from . import wrong_values as values
from .source import modules
from .wrong_values import FROM_CLIENT, Payload

MOST_WIRE = len(FROM_CLIENT)
COMPILED = [
    importlib.import_module(f"sansocket.{name}") for name in sorted(modules(".pxd"))
]

# Nothing here may take seconds or gigabytes if it is only believed.
NUMBERS = (
    *("0", "1", "-1", "2", "3", "4", "5", "8", "15", "125", "126", "127", "128", "200"),
    *("1000", "1006", "65536", "2**31 - 1", "2**31", "-2**31", "2**32", "2**62"),
    *("2**63 - 1", "2**63", "-2**63", "2**64 - 1", "2**64", "True", "OddInt(5)"),
)
TIMES = ("0.0", "1.0", "5.0", "100.0", "1e300", "float('nan')", "float('inf')", "-1.0")
BYTES = (
    *("b''", "b'a'", "b'ab'", "b'abc' * 20", "b'\\xff' * 9", "bytes(70000)", "HEAD"),
    *("bytearray()", "bytearray(b'abcd')", "bytearray(70000)", "DEFLATED", "ANSWER"),
    *("memoryview(b'abcdefgh')", "memoryview(b'abcdefgh')[::2]", "released()"),
    *(
        "memoryview(ctypes.c_int(5))",
        "array.array('d', [1.0, 2.0])",
        "OddBytes(b'abc')",
    ),
    "memoryview(bytearray(70000))",
)
TEXTS = (
    *("''", "'a'", "'hello'", "'\\ud800'", "'x' * 300", "'GET / HTTP/1.1'", "'a: b'"),
    *("OddStr('abc')", "'dGhlIHNhbXBsZSBub25jZQ=='", "'permessage-deflate'"),
)
SEQUENCES = (
    *("[]", "[None]", "[1]", "()", "(None,)", "(1, 2)", "(None, None)", "{}", "set()"),
    *(
        "[('a', 'b')]",
        "[['a', 'b']]",
        "iter(())",
        "{'a': 'b'}",
        "{'a': ['b']}",
        "['a']",
    ),
    *(
        "[b'a']",
        "['', 'a: b', ':']",
        "[deflate(), deflate()]",
        "[new(PerMessageDeflate)]",
    ),
    "[OddExtension(lambda frame: None)]",
)
THINGS = (
    *("None", "None", "None", "None", "object()", "int", "type", "Frame", "Ellipsis"),
    *(
        "Raises()",
        "Odd()",
        "Odd(gives=-1)",
        "Odd(gives=2**70)",
        "Odd(gives=None)",
        "len",
    ),
    *(
        "lambda *a, **k: None",
        "ValueError('a')",
        "sansocket",
        "StopIteration()",
        "QUIET",
    ),
)
OURS = (
    *("Frame(Opcode.TEXT, b'a')", "Frame(Opcode.PING, b'a')", "Frame(None, None)"),
    *("Frame(77, b'a')", "Frame(Opcode.CONT, bytearray(b'a'), False)", "new(Frame)"),
    *("Frame(Opcode.TEXT, b'a', True, True)", "Frame(0, 'a')", "Frame(9, b'a' * 200)"),
    *("Opcode.TEXT", "State.OPEN", "State.CLOSED", "State.CLOSING", "State.CONNECTING"),
    *("Side.SERVER", "Close(1000, '')", "Headers()", "Headers([('a', 'b')])"),
    *(
        "deflate()",
        "deflate(True, True, 9, 9)",
        "new(PerMessageDeflate)",
        "Extension()",
    ),
    *("SharedMessage(1, b'abc')", "new(SharedMessage)", "new(Session)", "session()"),
    *(
        "opened()",
        "new(ServerProtocol)",
        "handshaking()",
        "new(Connection)",
        "Transport()",
    ),
    *(
        "Request('/', Headers())",
        "Response(101, 'a', Headers())",
        "_liveness.Ping(b'a', 0)",
    ),
    *("Inbox(None)", "new(Inbox)", "new(Payload)", "Payload(9, b'', True, 0)"),
)
ANYTHING = (NUMBERS, TIMES, BYTES, TEXTS, SEQUENCES, THINGS, OURS)

# What parameters of these names take.
MEANT = {
    "now deadline interval timeout sent_at": TIMES,
    "size start stop length limit sizehint nbytes state opcode first": NUMBERS,
    "code status max_size max_queue bits level memory strategy key count": NUMBERS,
    "inflated deflated": NUMBERS,
    "data payload message part buffer body fresh rest": BYTES,
    "text reason name value line method path subprotocol accept origin": TEXTS,
    "extensions sessions connections pairs lines headers factories index": SEQUENCES,
    "frame session extension protocol request response ping close transport": OURS,
}
HINTS = {name: values for names, values in MEANT.items() for name in names.split()}

DULL = {
    *(
        "__class__",
        "__init_subclass__",
        "__subclasshook__",
        "__pyx_vtable__",
        "__doc__",
    ),
    *("__module__", "__getattribute__", "__dir__", "__sizeof__", "__repr__", "__str__"),
}
GOOD: dict[type[Any], str] = {
    ServerProtocol: "opened()",
    ClientProtocol: "opened(ClientProtocol)",
    Protocol: "opened(Protocol)",
    Session: "session()",
    Connection: "connection()",
    PerMessageDeflate: "deflate()",
    Frame: "Frame(Opcode.TEXT, b'abc')",
    Payload: "Payload(100, b'abcd', True, 0)",
    Inbox: "Inbox(4)",
}

DEFLATING = (
    *("deflate()", "deflate(True, True, 9, 9)"),
    *("new(PerMessageDeflate)", "OddExtension(lambda frame: {act})"),
    "over(PerMessageDeflate, {method!r}, lambda self, *a: {act})(False, False, 15, 15)",
    "instead(PerMessageDeflate, {method!r}, lambda *a: {value})(False, False, 9, 9)",
)
HOW = ("{name}", "{name}", "over({name}, {method!r}, lambda self, *a: {act})")


def qualified(kind: Any) -> str:
    """How a program calls a class of ours."""
    short: Any = getattr(values, kind.__name__, None)
    return kind.__name__ if short is kind else f"{kind.__module__}.{kind.__name__}"


def ours(module: ModuleType) -> dict[str, Any]:
    """What a compiled module has of its own; private names, too."""
    return {
        name: value
        for name, value in vars(module).items()
        if callable(value)
        and getattr(value, "__module__", None) in (module.__name__, None)
        and not name.startswith("__")
    }


@cache
def classes() -> list[type[Any]]:
    return [
        value
        for module in COMPILED
        for value in ours(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]


@cache
def functions() -> list[str]:
    return [
        f"{module.__name__}.{name}"
        for module in COMPILED
        for name, value in ours(module).items()
        if not isinstance(value, type)
    ]


@cache
def names_of(kind: Any) -> tuple[list[str], list[str]]:
    """The methods of a class, and the attributes that can be set."""
    methods = [
        name
        for name in dir(kind)
        if name not in DULL and callable(getattr(kind, name, None))
    ]
    found = [name for name in dir(kind) if name not in DULL and name not in methods]
    good = GOOD.get(kind)
    if good is None:
        return methods, found
    values.use_loop("asyncio")
    try:
        one = eval(good, {**vars(values)})
        return methods, [name for name in found if can_be_set(one, name)]
    finally:
        values.close_loop()


def can_be_set(one: object, name: str) -> bool:
    with contextlib.suppress(Exception):
        setattr(one, name, getattr(one, name))
        return True
    return False


@cache
def parameters_of(function: Any, bound: bool) -> list[inspect.Parameter] | None:
    """The parameters of a function, as far as it tells."""
    try:
        found = [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return None
    return found[1:] if bound and found and found[0].name == "self" else found


class Programs:
    """Makes one program at a time."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.kinds: dict[str, Any] = {}  # variables: what they are
        self.depth = 0
        self.wire = 0

    def program(self) -> list[str]:
        lines: list[str] = []
        self.wire = self.rng.randrange(MOST_WIRE)
        for name in ("v0", "v1")[: self.rng.choice((1, 1, 2))]:
            self.kinds[name] = ServerProtocol
            kind, made = self.maker()
            self.kinds[name] = kind
            lines.append(f"{name} = {made}")
        if self.rng.random() < 0.2:
            lines.insert(0, "use_loop('uvloop')")
        return lines + [self.line() for _ in range(self.rng.randint(1, 9))]

    # --- lines

    def line(self) -> str:
        name = self.rng.choice([*self.kinds])
        chance = self.rng.random()
        if chance < 0.35:
            return self.right(name)
        if chance < 0.6:
            call = self.call_of(name)
            wrapped = self.rng.random() < 0.5 and "Connection" in str(self.kinds[name])
            return f"go({call})" if wrapped else call
        if chance < 0.85:
            return self.assignment(name)
        function = self.rng.choice(functions())
        module, _, short = function.rpartition(".")
        found = vars(importlib.import_module(module))[short]
        return f"{function}({self.arguments(found, False)})"

    def right(self, name: str) -> str:
        """What a driver or a peer does."""
        kind, rng = self.kinds[name], self.rng
        masked = rng.random() < 0.9 and "Client" not in kind.__name__
        sent = f"FROM_{'CLIENT' if masked else 'SERVER'}"
        self.wire = self.wire + 1 if rng.random() < 0.5 else rng.randrange(MOST_WIRE)
        data = f"{sent}[{self.wire % MOST_WIRE}]"
        if masked and rng.random() < 0.25:
            data = rng.choice(("CUT", "CUT", "REST", "SQUEEZED * 2", "HUGE"))
        ways: dict[str, list[str]] = {
            "Protocol": [
                *(f"{name}.receive_data({data})",) * 4,
                *(f"{name}.feed_data({data})", f"{name}.next_event()") * 2,
                *(f"{name}.receive_data(HEAD)", f"{name}.take_payload()"),
                *(f"{name}.data_to_send()", f"{name}.events_received()"),
                *(
                    f"{name}.send_text(b'hello', False)",
                    f"{name}.send_binary(b'hello')",
                ),
            ],
            "Session": [
                *(f"{name}.receive_data({data}, 1.0)",) * 3,
                *(f"{name}.next_message(1.0)", f"{name}.next_part(1.0)") * 2,
                f"{name}.receive_from(bytearray({data}), {rng.randrange(9)}, 1.0)",
                f"{name}.data_to_send()",
            ],
            "Connection": [
                *(f"read({name}, {data})",) * 4,
                *(f"go({name}.recv())", f"go({name}.send('hello'))"),
                *(f"go(once({name}.recv_streaming()))", f"{name}.flush()"),
                *(f"broadcast([{name}], 'hello')", f"go({name}.recv(), {name}.ping())"),
            ],
        }
        for key, found in ways.items():
            if kind.__name__.endswith(key):
                return rng.choice(found)
        return self.call_of(name)

    def assignment(self, name: str) -> str:
        rng = self.rng
        kind = self.kinds[name]
        methods, data = names_of(kind)
        attribute = rng.choice(data if rng.random() < 0.9 and data else methods)
        if "extensions" in data and rng.random() < 0.2:
            attribute = "extensions"
        if rng.random() < 0.08:
            return f"del {name}.{attribute}"
        return f"{name}.{attribute} = {self.value(attribute)}"

    # --- expressions

    def maker(self) -> tuple[Any, str]:
        """An object to begin with: good, good but for one part, or not initialised."""
        rng = self.rng
        chance = rng.random()
        if chance < 0.15:
            kind = rng.choice(classes())
            return kind, f"{rng.choice(('new', 'bare'))}({qualified(kind)})"
        if chance < 0.2:
            kind = rng.choice(classes())
            arguments = self.arguments(kind.__init__, True)
            return kind, f"{qualified(kind)}({arguments})"
        if chance < 0.3:
            kind = rng.choice((PerMessageDeflate, Frame, Payload, Inbox))
            return kind, GOOD[kind]
        protocol = rng.choice((ServerProtocol, ClientProtocol, Protocol))
        made = self.protocol(protocol)
        if chance < 0.6:
            return protocol, made
        if rng.random() < 0.5:
            options = rng.choice(("", "", ", max_queue=1", ", max_queue=None"))
            class_ = self.class_("Session", Session)
            return Session, f"session({made}, {class_}{options})"
        callback = f"lambda *a: {self.act(Connection)}"
        options = rng.choice(("", "", "on_message", "on_open", "on_close"))
        given = options and f", {options}={callback}"
        class_ = self.class_("Connection", Connection)
        return Connection, f"connection({made}, {class_}{given})"

    def class_(self, name: str, kind: Any) -> str:
        rng = self.rng
        methods = [m for m in names_of(kind)[0] if not m.startswith("__")]
        if "recv_frame" in methods and rng.random() < 0.3:
            methods = ["recv_frame", "send_frame"]
        act = self.act(kind, "self")
        return rng.choice(HOW).format(name=name, method=rng.choice(methods), act=act)

    def protocol(self, kind: Any) -> str:
        rng = self.rng
        if kind is ServerProtocol and rng.random() < 0.15:
            return f"handshaking({self.class_(kind.__name__, kind)})"
        arguments = [self.class_(kind.__name__, kind)]
        if rng.random() < 0.6:
            deflate = names_of(PerMessageDeflate)[0]
            methods = [name for name in deflate if not name.startswith("__")]
            form = DEFLATING[0] if rng.random() < 0.6 else rng.choice(DEFLATING)
            extension = form.format(
                act=self.act(kind), method=rng.choice(methods), value=self.value("")
            )
            arguments.append(extension)
        if rng.random() < 0.15:
            arguments.append(f"logger=Odd(lambda: {self.act(kind)})")
        return f"opened({', '.join(arguments)})"

    def act(self, kind: Any, name: str = "v0") -> str:
        """What is done in the midst of something else."""
        rng = self.rng
        if self.depth:
            return "None"
        self.depth += 1
        outer, self.kinds = self.kinds, {**self.kinds, name: kind}
        try:
            chance = rng.random()
            data = names_of(kind)[1]
            if chance < 0.4 and data:
                attribute = rng.choice(data)
                if "extensions" in data and rng.random() < 0.2:
                    attribute = "extensions"
                return f"setattr({name}, {attribute!r}, {self.value(attribute)})"
            if chance < 0.5:
                return f"{name}.__init__({self.arguments(kind.__init__, True)})"
            return self.right(name) if chance < 0.75 else self.call_of(name)
        finally:
            self.kinds = outer
            self.depth -= 1

    def call_of(self, name: str) -> str:
        kind = self.kinds[name]
        method = self.rng.choice(names_of(kind)[0])
        if method.startswith("__") and self.rng.random() < 0.7:
            method = self.rng.choice(names_of(kind)[0])
        return f"{name}.{method}({self.arguments(getattr(kind, method), True)})"

    def arguments(self, function: Any, bound: bool) -> str:
        rng = self.rng
        try:
            parameters = parameters_of(function, bound)
        except TypeError:  # it cannot be a key
            parameters = None
        if parameters is None or rng.random() < 0.05:
            return ", ".join(
                self.value("") for _ in range(rng.choice((0, 1, 1, 2, 3, 5)))
            )
        given = []
        for parameter in parameters:
            required = parameter.default is parameter.empty
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if parameter.kind is parameter.KEYWORD_ONLY:
                if rng.random() < 0.3:
                    given.append(f"{parameter.name}={self.value(parameter.name)}")
            elif required or (rng.random() < 0.6 and "=" not in str(given[-1:])):
                given.append(self.value(parameter.name))
            else:
                break
        return ", ".join(given)

    def value(self, hint: str) -> str:
        rng = self.rng
        chance = rng.random()
        if hint in HINTS and chance < 0.65:
            return rng.choice(HINTS[hint])
        if chance < 0.72:
            # To iterate over a waiter never ends: that is no fault of who does it.
            names = [name for name, kind in self.kinds.items() if kind is not Waiter]
            return rng.choice(names or ["None"])
        if chance < 0.8 and "v0" in self.kinds:
            return f"Odd(lambda: {self.act(self.kinds['v0'])})"
        return rng.choice(rng.choice(ANYTHING))
