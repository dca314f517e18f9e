"""Rules of the opening handshake for a server, one by one: headers and outcomes."""

from __future__ import annotations

import base64
import re
from types import ModuleType
from typing import Any

import pytest

from .handshake_support import Extension, Factory, Pairs, headers
from .support import REQUEST_HEADERS, SAMPLE_ACCEPT, SAMPLE_KEY
from .table import each

OFFERS = "Sec-WebSocket-Extensions"
KEY, VERSION = "Sec-WebSocket-Key", "Sec-WebSocket-Version"


def replaced(name: str, *values: str) -> list[tuple[str, str]]:
    """Headers of a good request in which one has these values, each on a line."""
    others = [pair for pair in REQUEST_HEADERS if pair[0] != name]
    return [*others, *((name, value) for value in values)]


def check(
    impl: ModuleType,
    pairs: Pairs = REQUEST_HEADERS,
    method: str = "GET",
    protocol: str = "HTTP/1.1",
    hosts: Any = None,
) -> Any:
    """The key that the request has, or the exception that refuses it."""
    request = impl.http11.Request("/", headers(impl, pairs), method, protocol)
    try:
        return impl._http.handshake.check_upgrade_request(request, hosts)
    except impl.exceptions.InvalidHandshake as exc:
        return exc


def refused(
    impl: ModuleType, kind: str, pairs: Pairs = REQUEST_HEADERS, **kwargs: Any
) -> Any:
    """The exception; it must be exactly of this kind."""
    found = check(impl, pairs, **kwargs)
    assert type(found).__name__ == kind, (pairs, kwargs)
    return found


# The request


def test_a_good_request_gives_its_key(impl: ModuleType) -> None:
    assert check(impl) == SAMPLE_KEY


def test_spec_014_order_case_and_unknown_fields_do_not_count(impl: ModuleType) -> None:
    """SPEC-014."""
    pairs = [("X-Own", "1"), *reversed(REQUEST_HEADERS), ("x-own", "2")]
    for change in (str.lower, str.upper, str.title):
        assert check(impl, [(change(n), v) for n, v in pairs]) == SAMPLE_KEY


def test_spec_001_method(impl: ModuleType) -> None:
    """SPEC-001: GET, in this case only."""
    for method in ("get", "Get", "POST", "HEAD", "CONNECT", "", "GET "):
        found = refused(impl, "InvalidMethod", method=method)
        assert (found.method, found.status) == (method, 405)


def test_spec_002_version_of_http(impl: ModuleType) -> None:
    """SPEC-002: HTTP/1.1, or what may follow it in 1.x."""
    for protocol in ("HTTP/1.1", "HTTP/1.2", "HTTP/1.9"):
        assert check(impl, protocol=protocol) == SAMPLE_KEY
    for protocol in (
        *("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/2", "HTTP/1", "HTTP/1.", ""),
        *("HTTP/1.10", "HTTP/1.1.1", "http/1.1", "1.1", "HTTP/1.²", "HTTP/11.1"),
        "HTTP/1.X",
    ):
        found = refused(impl, "InvalidProtocol", protocol=protocol)
        # What HTTP/1.0 says of an upgrade is ignored (RFC 9110, section 7.8).
        status = 426 if protocol == "HTTP/1.0" else 505
        assert (found.protocol, found.status) == (protocol, status)


def test_spec_004_host(impl: ModuleType) -> None:
    """SPEC-004, SPEC-028, SEC-29, choice n: one, valid and not empty."""
    for host in ("a", "A.example:1", "[::1]", "[::1]:443", "a:", " a ", "\ta"):
        assert check(impl, replaced("Host", host)) == SAMPLE_KEY, host
    for host in (
        "",
        " ",
        "a b",
        "a:b",
        "a:65536",
        "a/b",
        "http://a",
        "[::1",
        "é",
        "\xa0a",
    ):
        assert refused(impl, "InvalidHeaderValue", replaced("Host", host)).status == 400
    for values in ((), ("a", "a"), ("a", "b"), ("a", "")):
        found = refused(impl, "InvalidHeader", replaced("Host", *values))
        assert (found.name, found.status) == ("Host", 400)


def test_hosts_restrict(impl: ModuleType) -> None:
    """In any case; the port counts only where the list has one."""
    for hosts, good, bad in (
        (["A.example"], ("a.EXAMPLE", "a.example:1", "a.example:"), ("b.a.example",)),
        (["a:80"], ("A:80",), ("a", "a:81", "a:", "a:8")),
        (("a", "b:1"), ("a", "a:1", "b:1"), ("b", "b:2", "c", "ab")),
        (["[::1]"], ("[::1]", "[::1]:80"), ("[::2]", "a")),
        (["[::1]:80"], ("[::1]:80",), ("[::1]", "[::1]:81")),
        (["::1"], (), ("[::1]",)),
        ([], (), ("a",)),
        ([""], (), ("a", "a:1", "1")),
        (["[:", "[:1"], (), ("[::1]", "[::1]:1")),
    ):
        for host in good:
            assert check(impl, replaced("Host", host), hosts=hosts) == SAMPLE_KEY, host
        for host in bad:
            pairs = replaced("Host", host)
            assert refused(impl, "InvalidHeaderValue", pairs, hosts=hosts).status == 400


def test_spec_005_upgrade(impl: ModuleType) -> None:
    """SPEC-005, SPEC-028, SEC-29: the member websocket, in any case."""
    for values in (
        *(["websocket"], ["WebSocket"], ["WEBSOCKET"], ["websocket, h2c"]),
        *(["h2c/1,websocket"], [" ,\twebsocket ,"]),
        *(["h2c", "websocket"], ["", "websocket"]),
    ):
        assert check(impl, replaced("Upgrade", *values)) == SAMPLE_KEY, values
    for values in (
        *([], [""], ["h2c"], ["websockets"], ["xwebsocket"], ["websocket/13"]),
        ["h2c", "TLS/1.0"],
    ):
        found = refused(impl, "InvalidUpgrade", replaced("Upgrade", *values))
        assert (found.name, found.status) == ("Upgrade", 426)
    for value in ("web socket", "websocket;", '"websocket"', "websocket, é", ","):
        refused(impl, "InvalidHeaderFormat", replaced("Upgrade", value))


def test_spec_006_connection(impl: ModuleType) -> None:
    """SPEC-006, SPEC-028, SEC-29: the member upgrade as a whole, in any case."""
    for values in (
        *(["Upgrade"], ["upgrade"], ["UPGRADE"], ["keep-alive, Upgrade"]),
        *(["upgrade,keep-alive"], ["keep-alive", "upgrade"], [" , upgrade\t,"]),
    ):
        assert check(impl, replaced("Connection", *values)) == SAMPLE_KEY, values
    for values in (
        *([], [""], ["close"], ["notupgrade"], ["upgrades"], ["up-grade"]),
        ["keep-alive", "close"],
    ):
        found = refused(impl, "InvalidUpgrade", replaced("Connection", *values))
        assert (found.name, found.status) == ("Connection", 426)
    for value in ("not upgrade", "upgrade;q=1", "upgrade/1"):
        refused(impl, "InvalidHeaderFormat", replaced("Connection", value))


def test_spec_007_key(impl: ModuleType) -> None:
    """SPEC-007, SPEC-028: Base64 of 16 bytes, once."""
    for key in (SAMPLE_KEY, "+/" * 11 + "==", base64.b64encode(bytes(16)).decode()):
        for value in (key, f" {key}", f"{key} \t"):
            assert check(impl, replaced(KEY, value)) == key
    for size in (0, 1, 15, 17, 18, 24):
        value = base64.b64encode(bytes(size)).decode()
        refused(impl, "InvalidHeaderValue", replaced(KEY, value))
    for value in (
        SAMPLE_KEY[:-1],
        SAMPLE_KEY[:-2],
        f"X{SAMPLE_KEY}",
        f"{SAMPLE_KEY}\xa0",
        f"{SAMPLE_KEY}=",
        "A" * 24,
        "=" * 24,
    ):
        refused(impl, "InvalidHeaderValue", replaced(KEY, value))
    for values in ((), (SAMPLE_KEY, SAMPLE_KEY), (SAMPLE_KEY, "x")):
        found = refused(impl, "InvalidHeader", replaced(KEY, *values))
        assert (found.name, found.status) == (KEY, 400)


def test_spec_007_each_character_of_the_key_counts(impl: ModuleType) -> None:
    """SPEC-007, SEC-25."""
    for position in range(24):
        for char in "-_.= \t\0\né€":
            if SAMPLE_KEY[position] != char:
                key = SAMPLE_KEY[:position] + char + SAMPLE_KEY[position + 1 :]
                refused(impl, "InvalidHeaderValue", replaced(KEY, key))


def test_spec_007_padding_bits_do_not_count(impl: ModuleType) -> None:
    """SPEC-007, choice j: erratum 3150."""
    for last in "AQgwEBZ9":
        key = f"AQIDBAUGBwgJCgsMDQ4PE{last}=="
        assert check(impl, replaced(KEY, key)) == key


def test_spec_008_version(impl: ModuleType) -> None:
    """SPEC-008, SPEC-028: 13, once."""
    assert check(impl, replaced(VERSION, " 13\t")) == SAMPLE_KEY
    for value in (
        "12",
        "14",
        "013",
        "+13",
        "13.0",
        "",
        "13, 8",
        "8, 13",
        "x",
        "\uff11\uff13",
    ):
        refused(impl, "InvalidHeaderValue", replaced(VERSION, value))
    for values in ((), ("13", "13"), ("13", "8")):
        found = refused(impl, "InvalidHeader", replaced(VERSION, *values))
        assert (found.name, found.status) == (VERSION, 400)


def test_spec_009_another_version_is_told_even_without_a_key(impl: ModuleType) -> None:
    """SPEC-009: the key may well be what differs between the versions."""
    for pairs in (
        replaced(VERSION, "8"),
        [pair for pair in replaced(VERSION, "0") if pair[0] != KEY],
        [pair for pair in replaced(VERSION) if pair[0] != KEY],
    ):
        found = check(impl, pairs)
        assert found.name == VERSION, pairs
        answer = impl._http.handshake.rejection(found)
        assert answer.headers[VERSION] == "13"


def test_sec_26_a_body_is_refused(impl: ModuleType) -> None:
    """SPEC-024, SPEC-025, SPEC-026, SEC-26, choice d: only a length of 0 is none."""
    assert check(impl, [*REQUEST_HEADERS, ("Content-Length", "0")]) == SAMPLE_KEY
    length, coding = "Content-Length", "Transfer-Encoding"
    for extra in (
        *([(length, value)] for value in ("5", "00", "+0", "-0", "0x0", "", "0, 0")),
        [(length, "0"), (length, "0")],
        [(length, "0"), (length, "5")],
        *([(coding, value)] for value in ("chunked", "identity", "")),
        [(length, "0"), (coding, "chunked")],
    ):
        found = refused(impl, "InvalidMessage", [*REQUEST_HEADERS, *extra])
        assert found.status == 400, extra


BODY = "request for an upgrade announces a body"
REPEATED = "it is repeated"


@each(
    ("pairs", "args"),
    [
        (replaced("Host"), ("Host", None)),
        (replaced("Host", " a b"), ("Host", "a b")),
        (replaced("Host", "c"), ("Host", "c")),
        (replaced("Host", "a", "a"), ("Host", REPEATED)),
        (replaced("Upgrade"), ("Upgrade", None)),
        (replaced("Upgrade", "h2c", "x"), ("Upgrade", "h2c, x")),
        (replaced("Connection", "close"), ("Connection", "close")),
        (replaced(VERSION, "8\t"), (VERSION, "8")),
        (replaced(VERSION, "8", "13"), (VERSION, REPEATED)),
        (replaced(KEY, " x"), (KEY, "x")),
        (replaced(KEY, "x", "y"), (KEY, REPEATED)),
        ([*REQUEST_HEADERS, ("Content-Length", "1")], (BODY,)),
        ([*REQUEST_HEADERS, ("Transfer-Encoding", "x")], (BODY,)),
    ],
)
def test_spec_028_what_is_wrong_is_told(
    impl: ModuleType, pairs: Pairs, args: tuple[str | None, ...]
) -> None:
    """SPEC-028, SEC-26: the header as it is written, and its value."""
    assert check(impl, pairs, hosts=["example.com"]).args == args


def test_spec_031_accept_key(impl: ModuleType) -> None:
    """SPEC-031: RFC 6455, section 1.3."""
    assert impl._http.handshake.accept_key(SAMPLE_KEY) == SAMPLE_ACCEPT


# The origin

SITE = "https://a.example"


def origin(impl: ModuleType, allowed: Any, *values: str) -> Any:
    found = headers(impl, [("Origin", value) for value in values])
    try:
        return impl._http.handshake.check_origin(found, allowed)
    except impl.exceptions.InvalidOrigin as exc:
        return str(exc.status) if exc.value == "".join(values) or not values else exc


def test_sec_31_origins(impl: ModuleType) -> None:
    """SPEC-012, SEC-31: the whole value counts, though not its case."""
    assert origin(impl, [SITE], SITE) == SITE
    assert origin(impl, ["https://b.example", SITE.upper()], SITE) == SITE
    assert origin(impl, [SITE], SITE.upper()) == SITE.upper()
    for other in (
        *("https://b.a.example", "https://a.example.evil", "https://evila.example"),
        *("http://a.example", "https://a.example:443", "https://a.example/", "null"),
        *("", " ", "https://a.exampl", "a.example", f"{SITE}, {SITE}", f"{SITE} x"),
    ):
        assert origin(impl, [SITE], other) == "403", other
    assert origin(impl, [], SITE) == "403"
    for value in (SITE, "null", "", "any thing"):
        assert origin(impl, None, value) == value


def test_spec_013_null_and_missing_only_where_listed(impl: ModuleType) -> None:
    """SPEC-013, SEC-31."""
    assert origin(impl, [SITE, "null"], "null") == "null"
    assert origin(impl, [SITE, None], "null") == "403"
    assert origin(impl, [re.compile(".*")]) == "403"
    assert origin(impl, [SITE]) == "403"
    assert origin(impl, ["null"]) == "403"
    assert origin(impl, [SITE, None]) is None
    assert origin(impl, None) is None


def test_sec_31_patterns_match_all_of_the_origin(impl: ModuleType) -> None:
    """SPEC-012, SEC-31: in lower case."""
    allowed = [None, re.compile(r"https://[a-z]+\.example"), "http://b"]
    assert origin(impl, allowed, SITE) == SITE
    assert origin(impl, allowed, SITE.upper()) == SITE.upper()
    for other in (f"{SITE}.evil", f"x{SITE}", f"{SITE}\n", "https://a1.example"):
        assert origin(impl, allowed, other) == "403", other


def test_sec_31_lower_case_makes_no_two_origins_one(impl: ModuleType) -> None:
    """SEC-31: the Kelvin sign becomes a k in lower case."""
    assert origin(impl, ["https://k.example"], "https://\u212a.example") == "403"
    assert origin(impl, ["https://\u212a.example"], "https://k.example") == "403"
    assert origin(impl, ["https://é"], "https://é") == "https://é"


def test_spec_028_several_origins(impl: ModuleType) -> None:
    """SPEC-028, SEC-31: whatever is acceptable."""
    for allowed in (None, [SITE]):
        with pytest.raises(impl.exceptions.InvalidHeader) as caught:
            origin(impl, allowed, SITE, SITE)
        assert caught.value.status == 400
        assert caught.value.args == ("Origin", REPEATED)


# Subprotocols


def test_spec_010_offered_subprotocols(impl: ModuleType) -> None:
    """SPEC-010, SPEC-028: one list, however many lines."""
    offered = impl._http.handshake.offered_subprotocols
    name = "Sec-WebSocket-Protocol"
    assert offered(headers(impl)) == []
    assert offered(headers(impl, [(name, "b, a")])) == ["b", "a"]
    assert offered(headers(impl, [(name, "b,"), (name, ""), (name, "a")])) == ["b", "a"]
    for values in (("",), ("a b",), ("a", "a"), ("a;b",), ("a", "é"), ("a, b, a",)):
        with pytest.raises(impl.exceptions.InvalidHeaderFormat):
            offered(headers(impl, [(name, value) for value in values]))


def test_spec_032_select_subprotocol(impl: ModuleType) -> None:
    """SPEC-032, choice k: the server's first that is offered."""
    select = impl._http.handshake.select_subprotocol
    assert select(None, ["a"]) is None
    assert select([], []) is None
    assert select(["a", "b"], ["b", "a"]) == "a"
    assert select(["x", "b"], ["a", "b"]) == "b"
    for offered, words in ((["A"], "in common"), ([], "offered")):
        with pytest.raises(impl.exceptions.NegotiationError) as caught:
            select(["a"], offered)
        assert caught.value.status == 400
        assert str(caught.value) == f"no subprotocol {words}"


# Extensions, as a server answers them


def negotiated(
    impl: ModuleType, factories: Any, *offers: str
) -> tuple[str | None, list[tuple[str, Any]]]:
    """The answer to these lines, and name and parameters of each extension."""
    found = headers(impl, [(OFFERS, offer) for offer in offers])
    answer, extensions = impl._http.handshake.negotiate_extensions(found, factories)
    return answer, [(extension.name, extension.params) for extension in extensions]


def test_spec_082_the_order_of_the_client(impl: ModuleType) -> None:
    """SPEC-033, SPEC-082: unknown ones are passed over."""
    a, b = Factory(impl, "a"), Factory(impl, "b", answer=[("p", None), ("q", "1")])
    expected: Any = ("b; p; q=1, a", [("b", []), ("a", [])])
    assert negotiated(impl, [a, b], "b, x; y=1, a") == expected
    assert negotiated(impl, [b, a], "b", "", "x", "a") == expected
    assert negotiated(impl, [a, b], "a") == ("a", [("a", [])])


def test_spec_033_nothing_is_named_that_was_not_offered(impl: ModuleType) -> None:
    """SPEC-033: and without an extension there is no header."""
    factories = [Factory(impl, "a")]
    assert negotiated(impl, factories) == (None, [])
    assert negotiated(impl, factories, "A, aa, b") == (None, [])
    assert negotiated(impl, None, "a") == (None, [])
    assert negotiated(impl, [], "a") == (None, [])


def test_spec_084_the_next_offer_that_can_be_accepted(impl: ModuleType) -> None:
    """SPEC-082, SPEC-084: for each offer, each factory in turn; none is no error."""
    one, two = Factory(impl, "a", "p"), Factory(impl, "a", "q", answer=[("q", None)])
    for offer, answer in (
        ("a; z, a; p", "a"),
        ("a; q, b", "a; q"),
        ("a; z, a; y", None),
        ("a; p; q", None),
    ):
        assert negotiated(impl, [one, two], offer)[0] == answer, offer
    assert negotiated(impl, [one, two], "a; p=1")[1] == [("a", [("p", "1")])]


def test_spec_011_malformed_offers(impl: ModuleType) -> None:
    """SPEC-011, SPEC-080: also where nobody would take them."""
    for factories in (None, [Factory(impl, "a")]):
        for offers in (("",), ("a b",), ("a;",), ("a", "b="), ('a; p="',), ("é",)):
            with pytest.raises(impl.exceptions.InvalidHeaderFormat):
                negotiated(impl, factories, *offers)


def test_spec_083_one_user_of_rsv1(impl: ModuleType) -> None:
    """SPEC-083: the first that is offered; the others are declined."""
    factories = [Factory(impl, name, rsv1=name != "c") for name in "abc"]
    assert negotiated(impl, factories, "c, b, a")[0] == "c, b"
    assert negotiated(impl, factories, "a, b, c")[0] == "a, c"
    found = headers(impl, [(OFFERS, "c, b, a")])
    with pytest.raises(impl.exceptions.NegotiationError) as caught:
        impl._http.handshake.agreed_extensions(found, factories)
    assert str(caught.value) == "two extensions use RSV1"


def test_spec_083_the_next_factory_may_do_without_rsv1(impl: ModuleType) -> None:
    """SPEC-083."""
    factories = [Factory(impl, name, rsv1=True) for name in "ab"] + [Factory(impl, "b")]
    assert negotiated(impl, factories, "a, b")[0] == "a, b"


class Silent(Factory):
    """Its extensions say nothing of RSV1."""

    def process_response_params(self, params: Any, accepted: Any) -> Extension:
        extension = super().process_response_params(params, accepted)
        del extension.rsv1
        return extension


def test_spec_083_who_is_silent_does_not_use_rsv1(impl: ModuleType) -> None:
    """SPEC-083: on both sides, in either order."""
    factories = [Factory(impl, "a", rsv1=True), Silent(impl, "b"), Silent(impl, "c")]
    for offer in ("a, b, c", "b, a, c", "c, b, a"):
        assert negotiated(impl, factories, offer)[0] == offer
        found = headers(impl, [(OFFERS, offer)])
        assert len(impl._http.handshake.agreed_extensions(found, factories)) == 3


def test_spec_083_permessage_deflate_uses_rsv1(impl: ModuleType) -> None:
    """SPEC-083: so it goes with no other that does, in either order, on either side."""
    module = impl.extensions.permessage_deflate
    other = Factory(impl, "x", rsv1=True)
    for offer in ("x, permessage-deflate", "permessage-deflate, x"):
        found = headers(impl, [(OFFERS, offer)])
        server = [other, module.ServerPerMessageDeflateFactory()]
        answer, extensions = impl._http.handshake.negotiate_extensions(found, server)
        assert answer == offer.partition(",")[0]
        assert len(extensions) == 1
        client = [other, module.ClientPerMessageDeflateFactory()]
        with pytest.raises(impl.exceptions.NegotiationError):
            impl._http.handshake.agreed_extensions(found, client)
