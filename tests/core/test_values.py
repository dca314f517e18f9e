"""What options may be: the classes without I/O refuse others when they are made."""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from sansocket._base import values

from .support import masked
from .table import each

NAN, INF = float("nan"), float("inf")


class Index:
    """A whole number that is no ``int``, as those of numpy are."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    __int__ = __index__

    def __lt__(self, other: int) -> bool:
        return self.value < other

    def __gt__(self, other: int) -> bool:
        return self.value > other


class Unreadable:
    """What cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


def server(impl: Any, **options: Any) -> Any:
    return impl.server.ServerProtocol(**options)


def client(impl: Any, **options: Any) -> Any:
    return impl.client.ClientProtocol(impl.uri.parse_uri("ws://x/"), **options)


def protocol(impl: Any, **options: Any) -> Any:
    return impl.protocol.Protocol(impl.protocol.SERVER, **options)


def session(impl: Any, **options: Any) -> Any:
    return impl.session.Session(server(impl), 0.0, **options)


def both_factories(impl: Any) -> tuple[Any, Any]:
    module = impl.extensions.permessage_deflate
    return module.ServerPerMessageDeflateFactory, module.ClientPerMessageDeflateFactory


# Who takes an option, its name, what is of a wrong type, and what is wrong else.
NUMBERS: list[tuple[Any, str, list[Any], list[Any]]] = [
    (protocol, "max_size", ["1M", 1.5, True, [1, 2], (1, "2"), (True, 1)], [-1]),
    (protocol, "max_size", [object(), b"1"], [(1,), (1, 2, 3), (), (1, -1), (-1, 1)]),
    (protocol, "max_fragments", ["a", 1.0, False, (1,)], [0, -1]),
    (protocol, "max_inflated_size", ["a", 1.0, True, (1, 2)], [-1]),
    (protocol, "validate_utf8", [None, "no", 1.0], [2]),
    (protocol, "state", [None, "OPEN", True], [4, -1]),
    (server, "max_request_line", [None, "8k", 1.0, True], [0, -1, 2**62]),
    (server, "max_header_line", [None, "8k", 1.0, True], [0, -1, 2**62]),
    (server, "max_headers", [None, "8k", 1.0, True], [0, -1, 2**62]),
    (server, "max_head_size", [None, "8k", 1.0, True], [0, -1, 2**62]),
    (client, "max_status_line", [None, "8k", 1.0, True], [0, -1, 2**62]),
    (client, "max_body", [None, "8k", 1.0, True], [-1, 2**62]),
    (session, "open_timeout", ["a", True, 1j, (1,)], [-1, NAN, -INF, 10**400]),
    (session, "ping_interval", ["a", True, [1]], [0, -1, 0.0, NAN, -INF, 10**400]),
    (session, "ping_timeout", ["a", False, object()], [0, -1, NAN]),
    (session, "close_timeout", ["a", True], [-0.1, NAN]),
    (session, "max_queue", ["a", 1.0, True, (1, True), (1, 2.0), {1, 2}], [-1]),
    (session, "max_queue", [object()], [(1,), (1, 2), (2, -1), (1, 2, 3), []]),
]


@each(("make", "name", "types", "values"), NUMBERS)
def test_numbers_that_are_none(
    impl: Any, make: Any, name: str, types: list[Any], values: list[Any]
) -> None:
    """Twice, since what was fine is remembered."""
    for kind, wrong in ((TypeError, types), (ValueError, values)):
        for value in (*wrong, *wrong):
            with pytest.raises(kind, match=f"^{name} must be "):
                make(impl, **{name: value})


@each(
    ("make", "name", "values"),
    [
        (protocol, "max_size", [0, None, (None, None), (1, None), 2**70, Index(5)]),
        (protocol, "max_fragments", [1, None, 2**70]),
        (protocol, "max_inflated_size", [0, None, 2**70]),
        (protocol, "validate_utf8", [True, False, 0, 1]),
        (server, "max_headers", [1, values.MOST]),
        (session, "open_timeout", [0, 0.5, None, INF, Fraction(1, 2)]),
        (session, "ping_interval", [0.5, None, INF, Fraction(1, 2)]),
        (session, "ping_timeout", [0.5, None, INF]),
        (session, "close_timeout", [0, 0.5, None, INF]),
        (session, "max_queue", [0, 1, (1, 1), (0, 0), [4, 1], None, 2**70]),
        (session, "max_queue", [(None, 1), (1, None), (None, None)]),
    ],
)
def test_numbers_that_are_fine(
    impl: Any, make: Any, name: str, values: list[Any]
) -> None:
    for value in values:
        make(impl, **{name: value})


def test_numbers_that_equal_others(impl: Any) -> None:
    """``True`` and 1.0 equal 1, and are not taken because 1 was."""
    protocol(impl, max_size=1, max_fragments=1)
    session(impl, max_queue=(1, 1))
    for wrong in (True, 1.0):
        with pytest.raises(TypeError, match="max_size"):
            protocol(impl, max_size=wrong, max_fragments=1)
        with pytest.raises(TypeError, match="max_queue"):
            session(impl, max_queue=(1, wrong))


def test_marks() -> None:
    """One that is missing is a quarter of the other, or four times that."""
    for given, marks in (
        (0, (1, 0)),
        (1, (1, 0)),
        (16, (16, 4)),
        ((8, 8), (8, 8)),
        ((None, 4), (16, 4)),
        ((8, None), (8, 2)),
        ((None, None), (INF, 0)),
        (None, (INF, 0)),
    ):
        assert values.queue_marks(given) == marks
    for given, marks in (
        (0, (0, 0)),
        (10, (10, 2)),
        ((10, 10), (10, 10)),
        ((10, 0), (10, 0)),
        ((None, 20), (80, 20)),
        ((None, None), (65536, 16384)),
        (2**70, (values.MOST, values.MOST)),
    ):
        assert values.write_marks(given) == marks


def test_marks_by_name() -> None:
    for name in ("max_queue", "write_limit"):
        values.RULES[name](name, 5)
        with pytest.raises(ValueError, match=f"^{name} must be "):
            values.RULES[name](name, -1)


@each("value", [None, "1M", 1.5, True, (10, "a"), {1}])
def test_write_limit_of_a_wrong_type(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^write_limit must be "):
        values.write_marks(value)


@each("value", [-1, (10, 20), (1,), (1, 2, 3), (10, -1)])
def test_write_limit_that_is_wrong(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^write_limit must be "):
        values.write_marks(value)


def test_a_queue_of_none_holds_one_message(impl: Any) -> None:
    """0 pauses reading with the first message that waits, and goes on without one."""
    protocol = impl.server.ServerProtocol(state=impl.protocol.OPEN)
    one = impl.session.Session(protocol, 0.0, max_queue=0)
    texts = ["a" * 65536, "b"]
    for text in texts:
        one.receive_data(masked(0x81, text.encode()), 0.0)
    one.handle_timeout(1.0)
    assert not one.reading
    assert [one.next_message(1.0), one.next_message(1.0)] == texts
    assert one.next_message(1.0) is None
    assert one.reading


# Lists and the like


@each("name", ["origins", "hosts", "subprotocols", "extensions"])
def test_a_text_is_no_list(impl: Any, name: str) -> None:
    for wrong in ("chat", b"chat", bytearray(b"chat"), 3, object, iter(["chat"])):
        with pytest.raises(TypeError, match=f"^{name} must be a list of "):
            server(impl, **{name: wrong})
        if name in ("subprotocols", "extensions"):
            with pytest.raises(TypeError, match=f"^{name} must be a list of "):
                client(impl, **{name: wrong})


@each(
    ("name", "types", "values"),
    [
        ("origins", [[3], [b"x"], [re.compile(b"x")], ("a", 3)], []),
        ("hosts", [[3], [None], {b"x"}], [["https://x"], ["a b"], ["x:70000"]]),
        ("subprotocols", [[3], [None], ["a", b"b"]], [["a b"], [""], ["a,b"]]),
        ("extensions", [["permessage-deflate"], [None], [object()]], []),
        ("select_subprotocol", [3, "chat", ["chat"]], []),
        ("logger", ["x", 3, object(), print], []),
    ],
)
def test_members_of_lists(
    impl: Any, name: str, types: list[Any], values: list[Any]
) -> None:
    for kind, wrong in ((TypeError, types), (ValueError, values)):
        for value in wrong:
            with pytest.raises(kind, match=f"^{name} must be "):
                server(impl, **{name: value})


def test_factories_of_the_other_side(impl: Any) -> None:
    """And classes, which have the methods, but no instance to call them on."""
    for_server, for_client = both_factories(impl)
    for make, right, wrong in (
        (server, for_server, for_client),
        (client, for_client, for_server),
    ):
        make(impl, extensions=[right()])
        make(impl, extensions=(right(),))
        for factory in (wrong(), right):
            with pytest.raises(TypeError, match=r"^extensions must be a list of "):
                make(impl, extensions=[factory])


def test_factories_of_any_kind(impl: Any) -> None:
    """They need not be of our classes, nor have their attributes in a class."""
    factory = SimpleNamespace(name="x", process_request_params=print)
    server(impl, extensions=[factory])
    del factory.name
    with pytest.raises(TypeError, match=r"^extensions must be a list of "):
        server(impl, extensions=[factory])


def test_lists_that_are_fine(impl: Any) -> None:
    server(
        impl,
        origins=[None, "https://x", re.compile("https://.*")],
        hosts={"x", "x:1", "[::1]:80"},
        subprotocols=("a", "b"),
        extensions=[],
        select_subprotocol=lambda protocol, offered: None,
        logger=logging.LoggerAdapter(logging.getLogger("x"), {}),
    )
    hosts = dict.fromkeys(["x"]).keys()  # it may change, and is not looked through
    server(impl, hosts=hosts, origins=[], subprotocols=[])


def test_of_clients(impl: Any) -> None:
    for name, value in (
        *(("origin", 3), ("origin", ["x"]), ("subprotocols", [3])),
        ("logger", "x"),
    ):
        with pytest.raises(TypeError, match=f"^{name} must be "):
            client(impl, **{name: value})
    for uri in ("ws://x/", None, b"ws://x/"):
        with pytest.raises(TypeError, match=r"^uri must be the result of"):
            impl.client.ClientProtocol(uri)


@each("side", [3, "SERVER", None, True])
def test_sides(impl: Any, side: Any) -> None:
    with pytest.raises(TypeError, match=r"^side must be "):
        impl.protocol.Protocol(side)


# Rules that drivers have for more


@each("name", ["server_header", "user_agent_header", "origin"])
def test_values_of_headers(name: str) -> None:
    rule = values.RULES[name]
    for fine in (None, "", "x 1.0", "é"):
        rule(name, fine)
    with pytest.raises(TypeError, match=f"^{name} must be a str or None, not 3"):
        rule(name, 3)
    for wrong in ("a\r\nb: c", "a\0", "\u20ac"):
        with pytest.raises(ValueError, match=f"^{name} must be "):
            rule(name, wrong)


def test_offered_subprotocols() -> None:
    """RFC 6455, section 4.1: none twice."""
    values.offered_subprotocols("subprotocols", ["a", "b"])
    values.offered_subprotocols("subprotocols", None)
    for wrong in (["a", "a"], ["a b"]):
        with pytest.raises(ValueError, match=r"^subprotocols must be "):
            values.offered_subprotocols("subprotocols", wrong)


def test_errors_show_the_value_shortened() -> None:
    for value, shown in (
        ("a" * 1000, "aaa'"),
        (10**5000, "int"),
        (Unreadable(), "<Unreadable instance"),
        (print, "print()"),
        (dict, "the class dict"),
        ([1] * 1000, "...]"),
    ):
        with pytest.raises(ValueError, match=r"^x must be fine, not ") as caught:
            values.refuse("x", "fine", value, ValueError)
        assert shown in str(caught.value)
        assert len(str(caught.value)) < 100
