"""What wrong calls are made with: odd objects, and good ones to call them on.

``tests/wrong_calls.py`` makes programs of a few lines, each an expression or an
assignment in the namespace of this module. Shrunk, they are what reproduces a crash.
"""

from __future__ import annotations

import array
import asyncio
import ctypes
import inspect
import logging
from collections.abc import Callable
from typing import Any

from sansocket import _liveness
from sansocket._base.closing import Close
from sansocket._native import kernels, zstream
from sansocket.asyncio._broadcast import broadcast
from sansocket.asyncio._waiter import Waiter
from sansocket.asyncio.connection import Connection
from sansocket.client import ClientProtocol
from sansocket.datastructures import Headers
from sansocket.extensions.base import Extension
from sansocket.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from sansocket.frames import Frame, Opcode
from sansocket.http11 import Request, RequestParser, Response, ResponseParser
from sansocket.protocol import Protocol, Side, State
from sansocket.server import ServerProtocol
from sansocket.session import Inbox, Session
from sansocket.uri import parse_uri

# Of use in programs only.
_FOR_PROGRAMS: list[Any] = [array, ctypes, broadcast, Close, Headers, Opcode, Protocol]
_FOR_PROGRAMS += [Request, RequestParser, Response, ResponseParser, Waiter, Frame]
_FOR_PROGRAMS += [Inbox]

Liveness = _liveness.Liveness
Payload, TextReader = kernels.Payload, kernels.TextReader
Inflater, Deflater = zstream.Inflater, zstream.Deflater

TURNS = 3  # of the event loop, which a coroutine may take
ACTS = 3  # times that an odd object calls back, and
ALL_ACTS = 50  # that all of a program do, lest they call each other for ever

QUIET = logging.getLogger("wrong_calls")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False

HEAD = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def frame(first: int, payload: bytes, masked: bool, announced: int = -1) -> bytes:
    """A frame as a peer sends it, perhaps with another length than it has."""
    size = len(payload) if announced < 0 else announced
    key = b"\0\0\0\0" if masked else b""
    bit = 0x80 if masked else 0
    if size < 126:
        return bytes((first, bit | size)) + key + payload
    if size < 65536:
        return bytes((first, bit | 126)) + size.to_bytes(2, "big") + key + payload
    return bytes((first, bit | 127)) + size.to_bytes(8, "big") + key + payload


DEFLATED = bytes.fromhex("f248cdc9c90700")


def wire(masked: bool) -> list[bytes]:
    """What peers send: frames whole and cut, fragments, controls, compressed ones."""
    text, binary = frame(0x81, b"hello", masked), frame(0x82, bytes(300), masked)
    fragments = frame(0x01, "é€".encode()[:3], masked), frame(0x80, b"!", masked)
    squeezed = frame(0xC1, DEFLATED, masked)
    parts = frame(0x41, DEFLATED[:3], masked), frame(0x80, DEFLATED[3:], masked)
    controls = [frame(0x80 | n, b"", masked) for n in (0x8, 0x9, 0xA)]
    huge = frame(0x82, b"abc", masked, 2**20)
    return [
        *(text, binary, text * 3, text[:1], text[1:], text[:-1], binary[:100]),
        *(fragments[0], fragments[1], frame(0x00, b"more", masked), huge, b"x", b""),
        *(squeezed, squeezed * 2, squeezed[:9], parts[0], parts[1], squeezed[:-2]),
        *(frame(0x01, b"ab", masked), frame(0x89, b"ping", masked), *controls),
        *(frame(0x83, b"", masked), frame(0x81, b"\xff", masked), bytes(70000)),
        *(frame(0x88, b"\x03\xe8bye", masked), frame(0xC1, b"\xff\xff", masked)),
    ]


FROM_CLIENT, FROM_SERVER = wire(True), wire(False)

# From a client: a compressed message, one in two fragments, and one of 1 MiB of which
# little has come.
SQUEEZED = frame(0xC1, DEFLATED, True)
CUT, REST = frame(0x41, DEFLATED[:3], True), frame(0x80, DEFLATED[3:], True)
HUGE = frame(0x82, b"abc" * 20, True, 2**20)


# --- odd objects


_acts_left = [ALL_ACTS]


def begin() -> None:
    """Begin another program."""
    _acts_left[0] = ALL_ACTS
    use_loop("asyncio")


def of_use(act: Callable[..., object]) -> Callable[..., object]:
    """The function, which does nothing once it was called often."""
    left = [ACTS]

    def call(*args: Any) -> object:
        left[0] -= 1
        _acts_left[0] -= 1
        return act(*args) if left[0] >= 0 and _acts_left[0] >= 0 else None

    return call


class Odd:
    """Is anything: logger, transport, sequence, number; calls back wherever it is
    looked at, and gives itself."""

    def __init__(
        self, act: Callable[[], object] = lambda: None, gives: Any = 1
    ) -> None:
        vars(self)["_act"] = of_use(act)
        vars(self)["_gives"] = gives

    def _touched(self) -> Any:
        self._act()
        return self._gives

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._act()
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._act()
        return self

    def __iter__(self) -> Any:
        self._act()
        return iter((self, None))

    def __getitem__(self, key: Any) -> Any:
        self._act()
        return self

    def __eq__(self, other: object) -> Any:
        return self._touched()

    def __hash__(self) -> int:
        self._act()
        return 1

    def __repr__(self) -> str:
        self._act()
        return "odd"

    def __del__(self) -> None:
        self._act()

    def __buffer__(self, flags: int) -> memoryview:
        self._act()
        return memoryview(bytearray(b"odd"))

    def __bool__(self) -> bool:
        return bool(self._touched())

    def __float__(self) -> float:
        return float(self._touched())

    __len__ = __int__ = __index__ = _touched
    __lt__ = __le__ = __gt__ = __ge__ = lambda self, other: self._touched()
    __and__ = __rand__ = __or__ = __ror__ = lambda self, other: self._touched()
    __add__ = __radd__ = __sub__ = __rsub__ = lambda self, other: self._touched()


# Compares as it likes, and is another number when asked for one.
OddInt: Any = type(
    "OddInt",
    (int,),
    {
        **dict.fromkeys(("__lt__", "__le__", "__gt__", "__ge__"), lambda a, b: True),
        **dict.fromkeys(("__and__", "__or__", "__rand__"), lambda a, b: OddInt(2**40)),
        **dict.fromkeys(("__index__", "__int__"), lambda self: 2**40),
    },
)
# Says that it is longer than it is.
OddBytes: Any = type(
    "OddBytes",
    (bytes,),
    {
        "__len__": lambda self: 2**40,
        "__getitem__": lambda self, key: 300,
        "__iter__": lambda self: iter([None]),
        "decode": lambda self, *args: 5,
    },
)
# Equals everything, and gives None where text is meant.
OddStr: Any = type(
    "OddStr",
    (str,),
    {
        "__len__": lambda self: 2**40,
        "__eq__": lambda self, other: True,
        "__hash__": str.__hash__,
        **dict.fromkeys(("encode", "lower", "split", "partition"), lambda *args: None),
    },
)


def _raise(*args: Any) -> Any:
    raise ValueError("odd")


# Raises wherever it is looked at.
Raises: Any = type(
    "Raises",
    (),
    {
        **dict.fromkeys(("__len__", "__bool__", "__int__", "__index__"), _raise),
        **dict.fromkeys(("__float__", "__iter__", "__call__", "__getitem__"), _raise),
        **dict.fromkeys(("__eq__", "__hash__", "__lt__", "__gt__", "__or__"), _raise),
        **dict.fromkeys(("__contains__", "__add__", "__and__", "__getattr__"), _raise),
    },
)


def released() -> memoryview:
    """A buffer that is gone."""
    view = memoryview(bytearray(b"abc"))
    view.release()
    return view


def new(kind: Any) -> Any:
    """An instance that was never initialised."""
    return kind.__new__(kind)


def bare(kind: Any) -> Any:
    """An instance of a subclass that forgets to initialise its base."""
    return type("Bare", (kind,), {"__init__": lambda self, *a, **k: None})()


def over(kind: Any, name: str, act: Callable[..., object]) -> Any:
    """A subclass with a method that does something else, then its work."""
    act = of_use(act)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        act(self, *args)
        return getattr(kind, name)(self, *args, **kwargs)

    return type("Over", (kind,), {name: method})


def instead(kind: Any, name: str, act: Callable[..., object]) -> Any:
    """A subclass with a method that does only something else."""
    return type("Instead", (kind,), {name: act})


class OddExtension(Extension):
    """Changes frames as it is told to."""

    name = "odd"

    def __init__(self, act: Callable[[Any], object]) -> None:
        self.act = act

    def decode(self, frame: Any, *, max_size: int | None = None) -> Any:
        self.act(frame)
        return frame

    encode = decode


# --- good objects


def deflate(*args: Any) -> PerMessageDeflate:
    return PerMessageDeflate(*(args or (False, False, 15, 15)))


def opened(kind: Any = ServerProtocol, *extensions: Any, **options: Any) -> Any:
    """A connection without I/O that is open."""
    options = {"state": State.OPEN, "logger": QUIET, **options}
    if issubclass(kind, ServerProtocol):
        protocol = kind(**options)
    elif issubclass(kind, ClientProtocol):
        protocol = kind(parse_uri("ws://a/"), **options)
    else:
        protocol = kind(Side.SERVER, **options)
    if extensions:
        protocol.extensions = [*extensions]
    return protocol


def handshaking(kind: Any = ServerProtocol) -> Any:
    """A server before its handshake."""
    return kind(extensions=[ServerPerMessageDeflateFactory()], logger=QUIET)


def session(protocol: Any = None, kind: Any = Session, **options: Any) -> Any:
    return kind(opened() if protocol is None else protocol, 0.0, **options)


class Transport:
    """In memory; it takes everything."""

    paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def connection(protocol: Any = None, kind: Any = Connection, **options: Any) -> Any:
    """A connection on asyncio with a transport in memory."""
    made = kind(opened() if protocol is None else protocol, **options)
    made.connection_made(Transport())
    return made


def read(target: Any, data: bytes) -> None:
    """Let a connection on asyncio read."""
    size = len(data)
    target.get_buffer(-1)[:size] = data
    target.buffer_updated(size)


_loop: list[Any] = []


def use_loop(kind: str) -> None:
    """Let there be an event loop of that kind, as if it were running."""
    if not _loop or _loop[0] != kind:
        if kind == "uvloop":
            import uvloop

            _loop[:] = kind, uvloop.new_event_loop()
        else:
            _loop[:] = kind, asyncio.new_event_loop()
        _loop[1].set_exception_handler(lambda loop, context: None)
    asyncio._set_running_loop(_loop[1])


def close_loop() -> None:
    """Let there be none."""
    asyncio._set_running_loop(None)
    _loop.pop().close()
    _loop.clear()


def go(*things: Any) -> Any:
    """Let coroutines run for some turns of the loop, then cancel them; give what the
    last one gave."""
    loop = _loop[1]
    coroutines = [thing for thing in things if inspect.iscoroutine(thing)]
    asyncio._set_running_loop(None)
    try:
        tasks = [loop.create_task(coroutine) for coroutine in coroutines]
        _turn(loop)
        for task in tasks:
            task.cancel()
        _turn(loop)
        return tasks[-1].result() if tasks and tasks[-1].done() else None
    finally:
        asyncio._set_running_loop(loop)


def _turn(loop: Any) -> None:
    for _ in range(TURNS):
        loop.call_soon(loop.stop)
        loop.run_forever()


def once(iterator: Any) -> Any:
    """What an asynchronous iterator gives first."""
    return iterator.__anext__()
