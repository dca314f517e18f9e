"""Headers: no case, order kept, several values."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections.abc import Callable, Mapping, MutableMapping
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def headers(impl: ModuleType, *args: Any, **kwargs: str) -> Any:
    return impl.datastructures.Headers(*args, **kwargs)


# Making them


PAIRS = [("Host", "a"), ("X", "1")]


def test_made_of(impl: ModuleType) -> None:
    for source in (dict(PAIRS), PAIRS, iter(PAIRS), (pair for pair in PAIRS)):
        made = headers(impl, source, Y="2")
        assert list(made.raw_items()) == [*PAIRS, ("Y", "2")]


def test_made_of_an_object_with_keys(impl: ModuleType) -> None:
    class Keyed:
        def keys(self) -> list[str]:
            return ["Host"]

        def __getitem__(self, key: str) -> str:
            return key.lower()

    assert headers(impl, Keyed())["Host"] == "host"


def test_made_of_headers_keeps_repeated_names(impl: ModuleType) -> None:
    first = headers(impl, [("Via", "a"), ("Host", "h"), ("via", "b")])
    assert headers(impl, first) == first
    assert list(headers(impl, first).raw_items()) == list(first.raw_items())


def test_empty(impl: ModuleType) -> None:
    made = headers(impl)
    assert not made
    assert len(made) == 0
    assert made.serialize() == b"\r\n"
    assert str(made) == "\n"


def test_is_a_mutable_mapping(impl: ModuleType) -> None:
    assert isinstance(headers(impl), MutableMapping)
    assert isinstance(headers(impl), Mapping)
    assert weakref.ref(headers(impl)) is not None


# Reading them


def test_spec_014_names_have_no_case(impl: ModuleType) -> None:
    """SPEC-014."""
    made = headers(impl, {"SEC-websocket-KEY": "x"})
    assert made["Sec-WebSocket-Key"] == "x"
    assert made.get("sec-websocket-key") == "x"
    assert made.get_all("SEC-WEBSOCKET-KEY") == ["x"]
    assert "Sec-Websocket-Key" in made
    assert list(made) == ["sec-websocket-key"]


def test_missing(impl: ModuleType) -> None:
    made = headers(impl)
    with pytest.raises(KeyError, match="host"):
        made["Host"]
    assert made.get("Host") is None
    assert made.get_all("Host") == []
    assert "Host" not in made
    assert 1 not in made


def test_several_values(impl: ModuleType) -> None:
    made = headers(impl, [("Via", "a"), ("Host", "h"), ("VIA", "b"), ("via", "c")])
    assert len(made) == 2
    assert made.get_all("Via") == ["a", "b", "c"]
    for read in (made.__getitem__, made.get, made.pop):
        with pytest.raises(impl.datastructures.MultipleValuesError) as caught:
            read("Via")
        assert str(caught.value) == "header has several values: 'via'"
    with pytest.raises(LookupError):
        dict(made)


def test_get_all_gives_a_copy(impl: ModuleType) -> None:
    made = headers(impl, [("Via", "a"), ("Via", "b")])
    made.get_all("Via").clear()
    assert made.get_all("Via") == ["a", "b"]


def test_multiple_values_error_without_a_name(impl: ModuleType) -> None:
    assert str(impl.datastructures.MultipleValuesError()) == ""


def test_views(impl: ModuleType) -> None:
    made = headers(impl, {"A": "1", "B": "2"})
    assert list(made.items()) == [("a", "1"), ("b", "2")]
    assert list(made.values()) == ["1", "2"]
    assert list(made.keys()) == ["a", "b"]


def test_names_are_text(impl: ModuleType) -> None:
    made = headers(impl)
    for method, arguments in (
        (made.__getitem__, (1,)),
        (made.__delitem__, (1,)),
        (made.__setitem__, (b"Host", "a")),
        (made.set_insecure, (b"Host", "a")),
    ):
        with pytest.raises(TypeError, match="must be a str"):
            method(*arguments)
    assert not made


# Changing them


def test_setting_adds(impl: ModuleType) -> None:
    made = headers(impl, {"Via": "a"})
    made["via"] = "b"
    made.update([("VIA", "c")])
    made.update(via="d")
    assert made.get_all("Via") == ["a", "b", "c", "d"]


def test_update_with_itself(impl: ModuleType) -> None:
    made = headers(impl, {"Via": "a"})
    made.update(made)
    assert made.get_all("Via") == ["a", "a"]


def test_setdefault_and_pop(impl: ModuleType) -> None:
    made = headers(impl, {"Host": "a"})
    assert made.setdefault("host", "b") == "a"
    assert made.setdefault("Via", "b") == "b"
    assert made.pop("VIA") == "b"
    assert "Via" not in made


def test_deleting_removes_all_values(impl: ModuleType) -> None:
    made = headers(impl, [("Via", "a"), ("Host", "h"), ("VIA", "b")])
    del made["via"]
    assert list(made.raw_items()) == [("Host", "h")]
    with pytest.raises(KeyError):
        del made["via"]
    made.clear()
    assert not made
    assert list(made.raw_items()) == []


def test_values_become_text(impl: ModuleType) -> None:
    made = headers(impl)
    made["Content-Length"] = 3
    made.set_insecure("Age", 4)
    assert made.serialize() == b"Content-Length: 3\r\nAge: 4\r\n\r\n"


def test_copy_is_independent(impl: ModuleType) -> None:
    made = headers(impl, [("Via", "a"), ("Via", "b"), ("Host", "h")])
    assert copy.copy(made) == made
    for again in (made.copy(), pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert again == made
        again["Via"] = "c"
        again["Age"] = "1"
        assert made.get_all("Via") == ["a", "b"]
        assert len(made) == 2


# Comparing and printing them


def test_equality(impl: ModuleType) -> None:
    one = headers(impl, [("A", "1"), ("B", "2"), ("b", "3")])
    assert one == headers(impl, [("b", "2"), ("B", "3"), ("a", "1")])
    assert one != headers(impl, [("A", "1"), ("B", "3"), ("B", "2")])
    assert headers(impl, a="1") != {"a": "1"}
    with pytest.raises(TypeError):
        hash(one)


def test_text(impl: ModuleType) -> None:
    made = headers(impl, [("A", "1"), ("b", "2")])
    assert str(made) == "A: 1\nb: 2\n\n"
    assert repr(made) == "Headers([('A', '1'), ('b', '2')])"


# What may travel


def test_serialize(impl: ModuleType) -> None:
    made = headers(impl, [("Host", "h"), ("X-Latin", "é\t~"), ("Empty", "")])
    assert made.serialize() == b"Host: h\r\nX-Latin: \xe9\t~\r\nEmpty: \r\n\r\n"


BAD_NAMES = ["", "a b", "a:", "a\r\n", "\xe9", "a\0", "(", "a\n"]
BAD_VALUES = ["a\r\nb", "a\rb", "a\nb", "a\0b", "\x1b", "\x7f", "€"]


def test_spec_036_names_are_tokens(impl: ModuleType) -> None:
    """SPEC-036, SEC-32."""
    for name in BAD_NAMES:
        made = headers(impl)
        for write in (made.__setitem__, made.setdefault):
            with pytest.raises(impl.exceptions.InvalidHeader, match="not a token"):
                write(name, "x")
        with pytest.raises(impl.exceptions.InvalidHeader):
            made.update([(name, "x")])
        assert not made
        made.set_insecure(name, "x")
        with pytest.raises(impl.exceptions.InvalidHeader, match="not a token"):
            made.serialize()


def test_spec_036_values_have_no_control_characters(impl: ModuleType) -> None:
    """SPEC-036, SEC-32."""
    for value in BAD_VALUES:
        made = headers(impl)
        for write in (made.__setitem__, made.setdefault):
            with pytest.raises(impl.exceptions.InvalidHeaderValue) as caught:
                write("X", value)
            assert (caught.value.name, caught.value.value) == ("X", value)
        with pytest.raises(impl.exceptions.InvalidHeaderValue):
            headers(impl, X=value)
        assert not made


def test_sec_32_serialize_checks_what_was_set_insecurely(impl: ModuleType) -> None:
    """SEC-32, SPEC-036."""
    for value in ("a\r\nb", "a\rb", "a\nb", "a\0b", "€", "\n", "\r"):
        made = headers(impl, Host="h")
        made.set_insecure("X", value)
        with pytest.raises(impl.exceptions.InvalidHeaderValue, match=r"^X header"):
            made.serialize()


@settings(max_examples=30)
@given(
    name=st.text(alphabet="aZ-_:\r\n\0 é€", max_size=6),
    value=st.text(alphabet="a,\t\r\n\0 \x7fé€\ud800", max_size=8),
)
def test_sec_32_fuzz(name: str, value: str) -> None:
    """SEC-32: whatever is set, exactly one line comes out, or an exception."""
    from tests.conftest import FORMS

    for impl in FORMS.values():
        made = headers(impl)
        made.set_insecure(name, value)
        try:
            data = made.serialize()
        except impl.exceptions.InvalidHeader:
            continue
        assert data == f"{name}: {value}\r\n\r\n".encode("latin-1")
        assert data.count(b"\n") == data.count(b"\r") == 2
        assert b"\0" not in data


def test_sec_41_repeated_names_cost_no_more(impl: ModuleType) -> None:
    """SEC-41: many values of one header take one entry, in linear space."""
    made = headers(impl, [("X", "v")] * 1000)
    assert len(made) == 1
    assert len(made.get_all("x")) == 1000


def test_is_token(impl: ModuleType) -> None:
    allowed = set("!#$%&'*+-.^_`|~") | {chr(c) for c in range(128) if chr(c).isalnum()}
    for code in range(300):
        assert impl.datastructures.is_token(chr(code)) is (chr(code) in allowed)


def test_known_names_are_tokens_with_their_keys(impl: ModuleType) -> None:
    for name, key in impl.datastructures.KNOWN_NAMES.items():
        assert impl.datastructures.is_token(name)
        assert key == name.lower()


LINES = "Host: a\r\nx-Own:\t b \t\r\nUpgrade: websocket\r\nupgrade:h2c\r\nVia:"
LOOKED_AT = {"host": "a", "upgrade": ["websocket", "h2c"]}
CAME = [
    *(("Host", "a"), ("x-Own", "b"), ("Upgrade", "websocket")),
    *(("upgrade", "h2c"), ("Via", "")),
]


def received(impl: ModuleType) -> Any:
    return impl.datastructures.from_lines(LINES, dict(LOOKED_AT))


def test_lines_are_taken_apart_once_somebody_asks(impl: ModuleType) -> None:
    for made in received(impl), impl.datastructures.from_lines(LINES):
        assert list(made.raw_items()) == CAME
        assert made.get_all("Upgrade") == ["websocket", "h2c"]
        assert made["X-OWN"] == "b"
        assert made == headers(impl, CAME) == headers(impl, made)


def test_a_handshake_sees_fields_without_taking_lines_apart(impl: ModuleType) -> None:
    made = received(impl)
    assert impl.datastructures.fields_of(made) == LOOKED_AT
    assert impl.datastructures.lines_of(made) is None  # they are not to be sent so
    assert "via" in made
    assert impl.datastructures.fields_of(made)["via"] == ""


def test_a_handshake_sees_what_has_changed(impl: ModuleType) -> None:
    def change(headers: Any) -> None:
        headers["Host"] = "b"

    def delete(headers: Any) -> None:
        del headers["Host"]

    changes: list[tuple[Callable[[Any], object], Any]] = [
        (change, ["a", "b"]),
        (delete, None),
        (lambda headers: headers.update({"Host": "b"}), ["a", "b"]),
        (lambda headers: headers.set_insecure("Host", "b"), ["a", "b"]),
        (lambda headers: headers.clear(), None),
        (lambda headers: headers.copy().clear(), "a"),
        (lambda headers: impl.datastructures.replace_host(headers, "b"), "b"),
    ]
    for act, found in changes:
        made = received(impl)
        act(made)
        assert impl.datastructures.fields_of(made).get("host") == found


def test_received_headers_can_be_copied_and_pickled(impl: ModuleType) -> None:
    for twin in copy.copy(received(impl)), copy.deepcopy(received(impl)):
        assert twin == received(impl)
    again = pickle.loads(pickle.dumps(headers(impl, received(impl))))
    assert list(again.raw_items()) == CAME
