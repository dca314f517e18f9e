"""The grammar of header values."""

from __future__ import annotations

import contextlib
import string
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FORMS

from .table import each

# Host


def test_spec_004_valid_host(impl: ModuleType) -> None:
    """SPEC-004."""
    for host in (
        *("a", "A.example", "a-b.c_d~e", "127.0.0.1", "[::1]", "[::ffff:1.2.3.4]"),
        *("a:80", "[::1]:443", "a:", "a:0", "a:65535", "!$&'()*+,;=", "%41b"),
    ):
        assert impl.headers.is_host(host), host


def test_spec_004_malformed_host(impl: ModuleType) -> None:
    """SPEC-004."""
    for host in (
        *("", ":80", "a b", "a,b c", "a/b", "u@a", "a:65536", "a:123456", "a:x"),
        *("a:-1", "a:+1", "a:8 0", "[::1", "::1", "[]", "[1]", "[::1]x", "[g::1]"),
        *("%4", "%zz", "é", "a#", "a?", "a:80:80", "http://a", "a\n", "a:\u0661"),
    ):
        assert not impl.headers.is_host(host), host


def test_spec_004_each_character_of_a_host(impl: ModuleType) -> None:
    """SPEC-004: RFC 3986, section 3.2.2."""
    alphanumeric = string.digits + string.ascii_letters
    is_host = impl.headers.is_host
    for char in map(chr, (*range(0x180), 0x661)):
        digit, hexadecimal = char in string.digits, char in string.hexdigits
        good = char in alphanumeric + "-._~!$&'()*+,;="
        assert is_host(char) == is_host(f"{char}~:1") == good, char
        assert is_host(f"%{char}0") == is_host(f"%a{char}") == hexadecimal, char
        good = hexadecimal or char in ":."
        assert is_host(f"[{char}::]") == is_host(f"[:{char}]") == good, char
        for host in ("a", "~", "[::]"):
            assert is_host(f"{host}:{char}") == is_host(f"{host}:1{char}") == digit
    for port in ("", "00080", "65535"):
        assert is_host(f"a:{port}"), port
    assert is_host("~:")
    for port in ("65536", "000080", "0-9"):
        assert not is_host(f"a:{port}"), port


def test_spec_045_build_host(impl: ModuleType) -> None:
    """SPEC-045: the port only if it is not the default."""
    build = impl.headers.build_host
    for host, port, secure, value, full in (
        ("h", 80, False, "h", "h:80"),
        ("h", 443, True, "h", "h:443"),
        ("h", 443, False, "h:443", "h:443"),
        ("h", 80, True, "h:80", "h:80"),
        ("::1", 80, False, "[::1]", "[::1]:80"),
        ("::1", 81, False, "[::1]:81", "[::1]:81"),
        ("fe80::1%eth0", 80, False, "[fe80::1]", "[fe80::1]:80"),
    ):
        assert build(host, port, secure) == value
        assert build(host, port, secure, always_include_port=True) == full


# Lists of tokens


LISTS = (
    ("a", ["a"]),
    ("a, b", ["a", "b"]),
    ("a,b", ["a", "b"]),
    ("a \t,\t b", ["a", "b"]),
    ("B, a", ["B", "a"]),
    ("X, aX", ["X", "aX"]),
    (" a ", ["a"]),
    (",a", ["a"]),
    ("a,", ["a"]),
    (", ,a,\t,,b, ,", ["a", "b"]),
)
KINDS = ("connection", "upgrade", "subprotocol")


def test_spec_028_lists(impl: ModuleType) -> None:
    """SPEC-028, SPEC-010: empty members are passed over, order is kept."""
    for kind in KINDS:
        for value, members in LISTS:
            assert getattr(impl.headers, f"parse_{kind}")(value) == members, value


def test_spec_028_malformed_lists(impl: ModuleType) -> None:
    """SPEC-006, SPEC-010, SPEC-028."""
    for kind in KINDS:
        parse = getattr(impl.headers, f"parse_{kind}")
        for value in (
            "",
            ",",
            " , ",
            "a b",
            "a;b",
            'a, "b"',
            "é",
            "a\0",
            "a\x0b",
            "a\n",
        ):
            with pytest.raises(impl.exceptions.InvalidHeaderFormat):
                parse(value)


PROTOCOL, EXTENSIONS_NAME = "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"
MANY = "a," * 128 + "a"


@each(
    ("kind", "args"),
    [
        ("connection", ("Connection", "malformed member", "a,b c", 2)),
        ("connection", ("Connection", "no member", ", ,", 3)),
        ("connection", ("Connection", "too many members", MANY, 256)),
        ("connection", ("Connection", "too many members", "," * 129, 128)),
        ("upgrade", ("Upgrade", "malformed member", "a/", 0)),
        ("subprotocol", (PROTOCOL, "malformed member", " a, é", 3)),
        ("subprotocol", (PROTOCOL, "repeated subprotocol", "b, a, a", 0)),
        ("extension", (EXTENSIONS_NAME, "no token", "a; ;", 3)),
        ("extension", (EXTENSIONS_NAME, "no token", 'a; p="1\\"', 5)),
        ("extension", (EXTENSIONS_NAME, "no ','", "a b", 2)),
        ("extension", (EXTENSIONS_NAME, "no member", ", ", 2)),
        ("extension", (EXTENSIONS_NAME, "too many members", MANY, 256)),
        ("extension", (EXTENSIONS_NAME, "too many members", "," * 128, 128)),
        ("extension", (EXTENSIONS_NAME, "quoted value is not a token", 'a; b=""', 5)),
    ],
)
def test_spec_080_error_names_header_and_position(
    impl: ModuleType, kind: str, args: tuple[str, str, str, int]
) -> None:
    """SPEC-028, SPEC-080."""
    with pytest.raises(impl.exceptions.InvalidHeaderFormat) as caught:
        getattr(impl.headers, f"parse_{kind}")(args[2])
    assert caught.value.args == args


def test_spec_005_upgrade_has_versions(impl: ModuleType) -> None:
    """SPEC-005."""
    parse = impl.headers.parse_upgrade
    assert parse("websocket, h2c/1, TLS/1.0") == ["websocket", "h2c/1", "TLS/1.0"]
    for value in ("/1", "a/", "a/b/c"):
        with pytest.raises(impl.exceptions.InvalidHeaderFormat):
            parse(value)


def test_spec_010_subprotocols_are_unique(impl: ModuleType) -> None:
    """SPEC-010: case counts."""
    assert impl.headers.parse_subprotocol("a, A") == ["a", "A"]
    with pytest.raises(impl.exceptions.InvalidHeaderFormat, match="repeated"):
        impl.headers.parse_subprotocol("a, b, a")


def test_build_subprotocol(impl: ModuleType) -> None:
    assert impl.headers.build_subprotocol(["a", "b"]) == "a, b"


def test_spec_047_validate_subprotocols(impl: ModuleType) -> None:
    """SPEC-047."""
    validate = impl.headers.validate_subprotocols
    validate(["a", "b.c"])
    with pytest.raises(TypeError, match=r"^subprotocols must be .*, not one str$"):
        validate("a")
    for bad in ("", "a b", "é", "a\r\n", "a,b"):
        with pytest.raises(ValueError, match="not a token"):
            validate([bad])


# Extensions


EXTENSIONS: list[tuple[str, list[tuple[str, list[tuple[str, str | None]]]]]] = [
    ("a", [("a", [])]),
    ("a, b", [("a", []), ("b", [])]),
    ("a; p", [("a", [("p", None)])]),
    ("a;p=1;q", [("a", [("p", "1"), ("q", None)])]),
    ("a ; p = 1\t;\tq ,b", [("a", [("p", "1"), ("q", None)]), ("b", [])]),
    ("  a  ;  p \t =\t 1  ", [("a", [("p", "1")])]),
    ('a; p="1"', [("a", [("p", "1")])]),
    ('a; p="\\1\\0"', [("a", [("p", "10")])]),
    ('a; p="\\1"; q="2"', [("a", [("p", "1"), ("q", "2")])]),
    ('a; p="x" ; q="y" , b', [("a", [("p", "x"), ("q", "y")]), ("b", [])]),
    (",, a ,\t, b,", [("a", []), ("b", [])]),
    ("permessage-deflate", [("permessage-deflate", [])]),
    (
        "permessage-deflate; client_max_window_bits",
        [("permessage-deflate", [("client_max_window_bits", None)])],
    ),
]


def test_spec_080_extensions(impl: ModuleType) -> None:
    """SPEC-080, SPEC-011."""
    for value, extensions in EXTENSIONS:
        assert impl.headers.parse_extension(value) == extensions, value


def test_spec_080_malformed_extensions(impl: ModuleType) -> None:
    """SPEC-080, SPEC-011: a quoted value must be a token, too."""
    for value in (
        *("", ",", "a b", "a;", "a; ;b", "a;=1", "a; p=", "a; p=1 2", "a; p = = 1"),
        *('a; p="', 'a; p="1', 'a; p="\\', 'a; p="\\"', 'a; p=""', 'a; p="1 2"'),
        *('a; p="1,2"', 'a; p="\\,"', 'a; p="1"x', '"a"', 'a; "p"', 'a; p="1""2"'),
        *("a=1", "a; p=é", "é", "a\0", "a; p=1\0", 'a; p="\n"', "a; p=1, ;q", "a/b"),
    ):
        with pytest.raises(impl.exceptions.InvalidHeaderFormat) as caught:
            impl.headers.parse_extension(value)
        assert caught.value.name == "Sec-WebSocket-Extensions", value


def test_common_offers_are_parsed_anew(impl: ModuleType) -> None:
    for value in list(impl.headers._COMMON_OFFERS):
        first = impl.headers.parse_extension(value)
        assert impl.headers.parse_extension(value + " ") == first
        first[0][1].append(("x", None))
        assert impl.headers.parse_extension(value) != first


def test_build_extension(impl: ModuleType) -> None:
    offers = [("a", [("p", "1"), ("q", None)]), ("b", [])]
    value = "a; p=1; q, b"
    assert impl.headers.build_extension(offers) == value
    assert impl.headers.parse_extension(value) == offers


# Work that a peer could multiply


def outcome(impl: ModuleType, name: str, value: str) -> Any:
    """What a parser gives, or the only kind of exception that it may raise."""
    try:
        return getattr(impl.headers, f"parse_{name}")(value)
    except impl.exceptions.InvalidHeader as exc:
        return exc


def test_sec_23_members_are_bounded(impl: ModuleType) -> None:
    """SEC-23, SPEC-028: a reasonable number of members, empty ones counted."""
    for kind in ("connection", "upgrade", "extension"):
        parser = getattr(impl.headers, f"parse_{kind}")
        for separator in (",", ", ", ",,", ", ,\t"):
            assert len(parser(separator.join("a" * 40))) == 40
            with pytest.raises(impl.exceptions.InvalidHeaderFormat, match="too many"):
                parser(separator.join("a" * 200))
        assert len(parser(MANY[2:])) == 128


PATTERNS = (
    *('" ', ",", ";", '"\\', ", ", "; ", " ", "\t", "a;", "a,", 'a;b="\\', "=", "\\"),
)
PREFIXES = ("", "a", "a;", 'a; b="', "a; b", "a, ")


def test_sec_23_work_is_linear() -> None:
    """SEC-23: events of the interpreter grow as the input.

    The parsers call few functions per member, and members are bounded; each regular
    expression is matched at a position, once, and has no nested repetition.
    """
    impl = FORMS.get("pure") or next(iter(FORMS.values()))
    for pattern in PATTERNS:
        for prefix in PREFIXES:
            some, more = (calls(impl, prefix, pattern, n) for n in (512, 2048))
            assert more <= 4 * some + 40, (prefix, pattern)


def calls(impl: ModuleType, prefix: str, pattern: str, size: int) -> int:
    """Function calls that the parsers make for a value of `size` characters."""
    value = prefix + pattern * (size // len(pattern))
    events = 0

    def profile(frame: object, event: str, arg: object) -> None:
        nonlocal events
        events += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        for name in ("extension", *KINDS):
            outcome(impl, name, value)
    finally:
        sys.setprofile(before)
    return events


def test_sec_23_long_values_come_to_an_end(impl: ModuleType) -> None:
    """SEC-23: two header lines of the largest size by default."""
    for pattern in PATTERNS:
        for prefix in PREFIXES:
            value = prefix + pattern * (16_384 // len(pattern))
            for name in ("extension", *KINDS):
                outcome(impl, name, value)


def test_sec_23_long_hosts_come_to_an_end(impl: ModuleType) -> None:
    """SEC-23: a pattern that went back for each colon would take minutes here."""
    for prefix in ("a", "[", "[0"):
        for pattern in (":", ".", "0:", "%41"):
            host = prefix + pattern * (200_000 // len(pattern))
            assert not impl.headers.is_host(host + "/")


def test_sec_25_any_character(impl: ModuleType) -> None:
    """SEC-25: each byte gives a value or `InvalidHeader`, nothing else."""
    for name in (*KINDS, "extension", "authorization_basic"):
        for around in (("", ""), ("a", "b"), ('a; b="', '"'), ("Basic ", "")):
            for code in (*range(256), 0x20AC, 0xD800):
                result = outcome(impl, name, chr(code).join(around))
                assert str(result).isprintable(), (name, around, code)


@settings(max_examples=30)
@given(st.text(alphabet='ab01 \t,;="\\/:\xe9\0', max_size=30))
def test_sec_25_fuzz(value: str) -> None:
    """SEC-25; and what was parsed and built again is parsed to the same."""
    for impl in FORMS.values():
        try:
            extensions = impl.headers.parse_extension(value)
        except impl.exceptions.InvalidHeaderFormat:
            continue
        again = impl.headers.build_extension(extensions)
        assert impl.headers.parse_extension(again) == extensions


# Basic authentication


def test_quoted_string(impl: ModuleType) -> None:
    assert impl.headers.build_quoted_string('a\t"\\é') == '"a\t\\"\\\\é"'


def test_sec_32_quoted_string_has_no_control_characters(impl: ModuleType) -> None:
    """SEC-32."""
    for text in ("a\r\nb", "\0", "\x7f", "\x85"):
        with pytest.raises(ValueError, match="cannot be quoted"):
            impl.headers.build_quoted_string(text)
        with pytest.raises(ValueError, match="cannot be quoted"):
            impl.headers.build_www_authenticate_basic(text)


def test_spec_016_www_authenticate(impl: ModuleType) -> None:
    """SPEC-016."""
    value = impl.headers.build_www_authenticate_basic("my realm")
    assert value == 'Basic realm="my realm", charset="UTF-8"'


def test_sec_33_authorization(impl: ModuleType) -> None:
    """SEC-33."""
    parse = impl.headers.parse_authorization_basic
    for username, password, value in (
        ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("é", "x:y", "Basic w6k6eDp5"),
        ("", "", "Basic Og=="),
        ("\\", "x", "Basic XDp4"),
    ):
        assert impl.headers.build_authorization_basic(username, password) == value
        assert parse(value) == (username, password)
        assert parse(value.replace("Basic", "bASIC ")) == (username, password)


def test_user_name_has_no_colon(impl: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"^user name cannot have a colon$"):
        impl.headers.build_authorization_basic("a:b", "c")


NO_BASE64 = "credentials are not Base64 of UTF-8"


@each(
    ("value", "args"),
    [
        ("", ("no scheme", "", 0)),
        ("é a", ("no scheme", "é a", 0)),
        ("Basic", ("no credentials", "Basic", 5)),
        ("Basic ", ("no credentials", "Basic ", 5)),
        ("Basic =", ("no credentials", "Basic =", 5)),
        ("Basic a b", ("no credentials", "Basic a b", 5)),
        ("Basic \tYTpi", ("no credentials", "Basic \tYTpi", 5)),
        ("Basic YTpi\xa0", ("no credentials", "Basic YTpi\xa0", 5)),
        ("Bearer abc", ("scheme is not Basic: Bearer",)),
        ("Basic x", (NO_BASE64,)),
        ("Basic /zp4", (NO_BASE64,)),
        ("Basic YQ==", ("credentials lack a colon",)),
    ],
)
def test_sec_33_what_is_wrong_is_told(
    impl: ModuleType, value: str, args: tuple[Any, ...]
) -> None:
    """SEC-33."""
    with pytest.raises(impl.exceptions.InvalidHeader) as caught:
        impl.headers.parse_authorization_basic(value)
    assert caught.value.args == ("Authorization", *args)


def test_sec_33_characters_of_credentials(impl: ModuleType) -> None:
    """SEC-33: those of RFC 7235, section 2.1; then those of Base64."""
    good = string.digits + string.ascii_letters + "-._~+/"
    for char in map(chr, range(0x180)):
        value = f"Basic {char}YTpi="
        with contextlib.suppress(impl.exceptions.InvalidHeaderValue):
            try:
                impl.headers.parse_authorization_basic(value)
            except impl.exceptions.InvalidHeaderFormat:
                assert char not in good + " "
                continue
        assert char in good + " ", value


def test_malformed_authorization(impl: ModuleType) -> None:
    for value in (
        *("", "Basic", "Basic ", "Bearer abc", "Basic a b", "Basic !", "Basic x"),
        *("Basic YQ==", "Basic /zp4", "é a", "Basic=YTpi", "Basic\tYTpi"),
        " Basic YTpi",
    ):
        with pytest.raises(impl.exceptions.InvalidHeader) as caught:
            impl.headers.parse_authorization_basic(value)
        assert caught.value.name == "Authorization", value
