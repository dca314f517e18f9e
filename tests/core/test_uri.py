"""WebSocket URIs and IRIs."""

from __future__ import annotations

import dataclasses
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import FORMS

from .table import each

ZONE = "AMZamz059-._~%"
REST = ("", "", None, None)

# URI, then what it is split into.
VALID = [
    ("ws://h", (False, "h", 80, "", "", None, None)),
    ("wss://h/", (True, "h", 443, "/", "", None, None)),
    ("WS://H:81/A?B", (False, "h", 81, "/A", "B", None, None)),
    ("WsS://h?x", (True, "h", 443, "", "x", None, None)),
    ("ws://h/?", (False, "h", 80, "/", "", None, None)),
    ("ws://h:/a", (False, "h", 80, "/a", "", None, None)),
    ("ws://h/a;b?c/d?e", (False, "h", 80, "/a;b", "c/d?e", None, None)),
    ("ws://h/%zz%20", (False, "h", 80, "/%zz%20", "", None, None)),
    ("ws://u:p@h/", (False, "h", 80, "/", "", "u", "p")),
    ("ws://u%40:p%3A%C3%A9@h/", (False, "h", 80, "/", "", "u@", "p:é")),
    ("ws://:@h", (False, "h", 80, "", "", "", "")),
    ("ws://u:a:b@h", (False, "h", 80, "", "", "u", "a:b")),
    ("ws://h/a@b", (False, "h", 80, "/a@b", "", None, None)),
    ("ws://h/?to=wss://i/", (False, "h", 80, "/", "to=wss://i/", None, None)),
    ("ws://[::1]", (False, "::1", 80, "", "", None, None)),
    ("wss://[2001:DB8::1]:9/x", (True, "2001:db8::1", 9, "/x", "", None, None)),
    ("ws://[fe80::1%25eth0]/", (False, "fe80::1%eth0", 80, "/", "", None, None)),
    ("ws://[::1]:", (False, "::1", 80, "", "", None, None)),
    ("ws://[::1]:8109/", (False, "::1", 8109, "/", "", None, None)),
    ("ws://[0:9:A:F:a:f::]/", (False, "0:9:a:f:a:f::", 80, "/", "", None, None)),
    ("ws://[::f:1.2.3.9]", (False, "::f:1.2.3.9", 80, "", "", None, None)),
    ("ws://[fe80::1%25AMZamz059-._~%]", (False, f"fe80::1%{ZONE}", 80, *REST)),
    ("ws://h/!~?!~", (False, "h", 80, "/!~", "!~", None, None)),
    ("ws://127.0.0.1:8765", (False, "127.0.0.1", 8765, "", "", None, None)),
    ("ws://a_b.c~d", (False, "a_b.c~d", 80, "", "", None, None)),
    # IRIs
    (
        "ws://é.fr/é?ü=ö",
        (False, "xn--9ca.fr", 80, "/%C3%A9", "%C3%BC=%C3%B6") + (None,) * 2,
    ),
    ("ws://ü:é@h", (False, "h", 80, "", "", "ü", "é")),
    ("ws://BÜCHER.example", (False, "xn--bcher-kva.example", 80, "", "", None, None)),
    (
        "ws://h/\u2028\U0001f600",
        (False, "h", 80, "/%E2%80%A8%F0%9F%98%80", "", None, None),
    ),
]


def test_spec_041_parse(impl: ModuleType) -> None:
    """SPEC-041."""
    for uri, parts in VALID:
        parsed = impl.uri.parse_uri(uri)
        assert parsed == impl.uri.WebSocketURI(*parts), uri
        assert dataclasses.astuple(parsed) == parts, uri


INVALID = (
    *("", "h", "//h", "http://h", "https://h", "ws:h", "ws:/h", "ws//h", "wss:"),
    *("ws://", "ws:///x", "ws://:80", "ws://?x", "ws://u:p@", "ws://u@h", "ws://@h"),
    *("x://h", "ws://a@b:c@h", "ws://h#f", "ws://h/a#", "ws://h/?a#b"),
    *("ws://h:99999", "ws://h:x", "ws://h:-1", "ws://h:1:2", "ws://h:\u0661"),
    *(
        "ws://h/\0",
        "ws://h/\x1f",
        "ws://h/a b",
        " ws://h",
        "ws://h ",
        "ws://h\n/",
        "ws://h/\t",
        "ws://\0",
    ),
    *("ws://h/\x7f", "ws://[::1", "ws://::1", "ws://[]", "ws://[1]", "ws://[::g]"),
    *(
        "ws://[1.2.3.4]",
        "ws://[::1%]",
        "ws://[::1%a:b]",
        "ws://[::1%a=b]",
        "ws://[::1]:99999",
        "ws://[:::]",
        "ws://%41",
    ),
    *("ws://a\\b", "ws://h^", "ws://a%00b/", "ws://\u3002", "ws://é..fr"),
    *("ws://[::1]x", "ws://" + "é" * 70, "ws://h/\ud800", "ws://\ud800/"),
    *("ws://\udcdd:p@h/", "ws://u:\ud800@h/"),
    *("ws://h?\udfff", "ws://%ff:x@h/", "ws://x:%ff@h/", "ws://[é]/"),
)


def test_spec_041_refuse(impl: ModuleType) -> None:
    """SPEC-041, SEC-32: anything else, control characters included."""
    for uri in INVALID:
        with pytest.raises(impl.exceptions.InvalidURI) as caught:
            impl.uri.parse_uri(uri)
        assert caught.value.uri == uri
        assert str(caught.value).isprintable(), uri


@each(
    ("uri", "reason"),
    [
        ("ws://h/a b", "it has a space or a control character"),
        ("http://h", "it does not begin with ws:// or wss://"),
        ("ws://h#f", "it has a fragment"),
        ("ws://u@h", "it has a user name but no password"),
        ("ws://a@b:c@h", "it has more than one @ before the path"),
        ("ws://[::g]", "its IPv6 address is not valid"),
        ("ws://a^", "its host is not valid"),
        ("ws://h:99999", "its port is not valid"),
        ("ws://[::1]:99999", "its port is not valid"),
        ("ws://[:::]", "part of it cannot be encoded or decoded"),
        ("ws://%ff:x@h", "part of it cannot be encoded or decoded"),
    ],
)
def test_spec_041_the_reason_is_told(impl: ModuleType, uri: str, reason: str) -> None:
    """SPEC-041."""
    with pytest.raises(impl.exceptions.InvalidURI) as caught:
        impl.uri.parse_uri(uri)
    assert caught.value.msg == reason


LONG = ".".join(["a" * 63] * 3)  # 191 characters


def test_hosts_that_no_name_can_be(impl: ModuleType) -> None:
    """They have no encoding by IDNA, at which the socket module would fail."""
    for host in (
        *("a" * 64, "a" * 300, "a..b", ".a", ".", "..", "a..", "a." + "b" * 64),
        *(f"{LONG}.{'a' * 62}", f"{'a.' * 128}", "é" * 300, "é." + "a" * 64),
        *("a\u3002\u3002b", "é" * 60, "é.." + "a", "\u3002é", "%2e", "a%2e%2eb"),
        *(f"[fe80::1%25{'a' * 64}]", "[fe80::1%25a..b]", f"[fe80::1%{'a.' * 130}]"),
    ):
        for uri in (f"ws://{host}", f"wss://u:p@{host}:1/x"):
            with pytest.raises(impl.exceptions.InvalidURI) as caught:
                impl.uri.parse_uri(uri)
            assert str(caught.value).isascii()


def test_hosts_that_names_can_be(impl: ModuleType) -> None:
    for host in (
        *("a" * 63, "a" * 63 + ".b", "a.", "_a.b", f"{LONG}.{'a' * 61}", "1.2.3.4"),
        *("xn--e-ya.fr", f"{LONG}.{'a' * 61}.", "a-", "[fe80::1%25eth0.1]"),
    ):
        found = impl.uri.parse_uri(f"ws://{host}/").host
        assert found == host.strip("[]").replace("%25", "%")
        found.encode("idna")  # does not raise


@given(st.lists(st.sampled_from(["a" * 62, "a", ".", "é", "\u3002", "-", "ß", "_"])))
def test_what_is_accepted_can_be_encoded(pieces: list[str]) -> None:
    for form in FORMS.values():
        try:
            found = form.uri.parse_uri(f"ws://{''.join(pieces)}/").host
        except form.exceptions.InvalidURI:
            continue
        assert found.encode("idna").decode() == found


def test_spec_041_resource_name(impl: ModuleType) -> None:
    """SPEC-041."""
    for uri, name in (
        ("ws://h", "/"),
        ("ws://h/", "/"),
        ("ws://h/a", "/a"),
        ("ws://h?b", "/?b"),
        ("ws://h/a?b", "/a?b"),
        ("ws://h/a?", "/a"),
    ):
        assert impl.uri.parse_uri(uri).resource_name == name, uri


def test_user_info(impl: ModuleType) -> None:
    assert impl.uri.parse_uri("ws://h").user_info is None
    assert impl.uri.parse_uri("ws://u:p@h").user_info == ("u", "p")
    assert impl.uri.WebSocketURI(False, "h", 80, "", "", "u").user_info is None
    uri = impl.uri.WebSocketURI(False, "h", 80, "", "", password="p")
    assert uri.user_info is None
    assert impl.uri.WebSocketURI(False, "h", 80, "", "").password is None


def test_sec_33_representation_hides_the_password(impl: ModuleType) -> None:
    """SEC-33."""
    assert repr(impl.uri.parse_uri("ws://user:secret@h/a?b")) == (
        "WebSocketURI(secure=False, host='h', port=80, path='/a', query='b', "
        "username='user', password='...')"
    )
    assert repr(impl.uri.parse_uri("ws://h/")) == (
        "WebSocketURI(secure=False, host='h', port=80, path='/', query='', "
        "username=None, password=None)"
    )


def test_value(impl: ModuleType) -> None:
    one = impl.uri.parse_uri("ws://h/a")
    assert one == impl.uri.parse_uri("ws://H/a")
    assert one != impl.uri.parse_uri("ws://h/b")
    assert [field.default for field in dataclasses.fields(one)][-2:] == [None, None]
    assert dataclasses.replace(one, path="/b") == impl.uri.parse_uri("ws://h/b")
    match one:
        case impl.uri.WebSocketURI(False, host, port):
            assert (host, port) == ("h", 80)
        case _:
            pytest.fail("no match")
