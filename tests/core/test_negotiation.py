"""Parameters of permessage-deflate (RFC 7692, sections 5 and 7.1)."""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import pytest

from .reference import needs_release, theirs
from .table import each

THEIRS = theirs.extensions.permessage_deflate

S_NO = "server_no_context_takeover"
C_NO = "client_no_context_takeover"
S_BITS = "server_max_window_bits"
C_BITS = "client_max_window_bits"

NOTHING = (False, False, None, None)
ASK = (False, False, None, True)  # what a client offers by default

Params = list[tuple[str, "str | None"]]


def functions(impl: ModuleType) -> Any:
    return impl.extensions.negotiation


def accept(impl: ModuleType, config: Any, params: Params, **kwargs: bool) -> Any:
    return functions(impl).accept_offer(config, params, **kwargs)


def check(impl: ModuleType, config: Any, params: Params) -> Any:
    return functions(impl).check_answer(config, params)


# Reading parameters


def test_parse(impl: ModuleType) -> None:
    build, parse = functions(impl).build_parameters, functions(impl).parse_parameters
    cases: list[tuple[Params, Any]] = [
        ([], NOTHING),
        ([(S_NO, None)], (True, False, None, None)),
        ([(C_NO, None)], (False, True, None, None)),
        ([(S_BITS, "8")], (False, False, 8, None)),
        ([(C_BITS, "15")], (False, False, None, 15)),
        (
            [(C_BITS, "9"), (S_BITS, "10"), (C_NO, None), (S_NO, None)],
            (True, True, 10, 9),
        ),
    ]
    for params, parsed in cases:
        for is_server in (True, False):
            assert parse(params, is_server=is_server) == parsed
        assert parse(build(parsed), is_server=True) == parsed


def test_spec_087_bits_without_a_value(impl: ModuleType) -> None:
    """SPEC-087: only client_max_window_bits, and only in an offer."""
    parse = functions(impl).parse_parameters
    assert parse([(C_BITS, None)], is_server=True) == ASK
    assert functions(impl).build_parameters(ASK) == [(C_BITS, None)]
    for name, is_server in [(C_BITS, False), (S_BITS, True), (S_BITS, False)]:
        with pytest.raises(impl.exceptions.InvalidParameterValue):
            parse([(name, None)], is_server=is_server)


def test_spec_086_flags_have_no_value(impl: ModuleType) -> None:
    """SPEC-086."""
    for name, value in itertools.product((S_NO, C_NO), ("", "1", "true", "15")):
        for is_server in (True, False):
            with pytest.raises(impl.exceptions.InvalidParameterValue):
                functions(impl).parse_parameters([(name, value)], is_server=is_server)


VALUES = [str(number) for number in range(100)]
VALUES += ["", "08", "09", "010", "+9", "-9", "9.0", " 9", "9 ", "0x9", "1e1", "x"]
VALUES += ["१०", "9" * 100_000]


def test_sec_20_window_bits(impl: ModuleType) -> None:
    """SEC-20, SPEC-087: decimal, 8 to 15, nothing else."""
    parse = functions(impl).parse_parameters
    good = {"8", "9", "10", "11", "12", "13", "14", "15"}
    for name, value in itertools.product((S_BITS, C_BITS), VALUES):
        for is_server in (True, False):
            if value in good:
                found = parse([(name, value)], is_server=is_server)
                assert int(value) in found[2:]
                continue
            with pytest.raises(impl.exceptions.InvalidParameterValue) as caught:
                parse([(name, value)], is_server=is_server)
            assert (caught.value.name, caught.value.value) == (name, value)


def test_sec_20_quoted_bits_are_the_same(impl: ModuleType) -> None:
    """SEC-20, SPEC-087."""
    for value in ("server_max_window_bits=10", 'server_max_window_bits="10"'):
        [(_, params)] = impl.headers.parse_extension(f"permessage-deflate; {value}")
        assert accept(impl, NOTHING, params)[0] == [(S_BITS, "10")]


def test_spec_084_undefined_and_repeated(impl: ModuleType) -> None:
    """SPEC-084, SPEC-085."""
    parse = functions(impl).parse_parameters
    for is_server in (True, False):
        for name in ("x", "", "SERVER_MAX_WINDOW_BITS", "max_window_bits"):
            with pytest.raises(impl.exceptions.InvalidParameterName) as unknown:
                parse([(name, None)], is_server=is_server)
            assert unknown.value.args == (name,)
        bits = [(C_BITS, "9"), (S_NO, None), (C_BITS, "9")]
        for params in ([(S_NO, None)] * 2, bits):
            with pytest.raises(impl.exceptions.DuplicateParameter) as repeated:
                parse(params, is_server=is_server)
            assert repeated.value.args == (params[0][0],)


# The server


def test_accept(impl: ModuleType) -> None:
    bits = [(S_BITS, "12"), (C_BITS, "11")]
    cases: list[tuple[Any, Params, Any, Any]] = [
        (NOTHING, [], [], (False, False, 15, 15)),
        (NOTHING, [(C_BITS, None)], [], (False, False, 15, 15)),
        ((False, False, 12, 11), [(C_BITS, None)], bits, (False, False, 11, 12)),
    ]
    for config, offer, answer, agreed in cases:
        assert accept(impl, config, offer) == (answer, agreed)


def test_answers_are_independent(impl: ModuleType) -> None:
    """The caller may change what it is given."""
    for _ in range(2):
        answer, _ = accept(impl, NOTHING, [(S_NO, None)])
        assert answer == [(S_NO, None)]
        answer.clear()


def test_spec_088_server_no_context_takeover(impl: ModuleType) -> None:
    """SPEC-088: included and obeyed when asked, and may be unasked."""
    expected = ([(S_NO, None)], (False, True, 15, 15))
    assert accept(impl, NOTHING, [(S_NO, None)]) == expected
    assert accept(impl, (True, False, None, None), []) == expected
    assert accept(impl, (True, False, None, None), [(S_NO, None)]) == expected


def test_spec_089_client_no_context_takeover(impl: ModuleType) -> None:
    """SPEC-089: in a response asked or not; a client obeys."""
    expected = ([(C_NO, None)], (True, False, 15, 15))
    assert accept(impl, NOTHING, [(C_NO, None)]) == expected
    assert accept(impl, (False, True, None, None), []) == expected
    assert check(impl, NOTHING, [(C_NO, None)]) == (False, True, 15, 15)


def test_spec_090_server_max_window_bits(impl: ModuleType) -> None:
    """SPEC-090: the same or smaller, and may be unasked."""
    for mine, offered, agreed in (
        *((None, "10", 10), (12, "10", 10), (9, "10", 9), (10, "10", 10), (9, None, 9)),
    ):
        offer: Params = [] if offered is None else [(S_BITS, offered)]
        answer, result = accept(impl, (False, False, mine, None), offer)
        assert answer == [(S_BITS, str(agreed))]
        assert result == (False, False, 15, agreed)


def test_spec_091_client_max_window_bits(impl: ModuleType) -> None:
    """SPEC-091: at most what was offered."""
    for mine, offered, agreed in (
        *((12, "10", 10), (9, "10", 9), (None, "10", 10), (12, None, 12)),
        *((None, "8", 8), (8, None, 8)),
    ):
        answer, result = accept(impl, (False, False, None, mine), [(C_BITS, offered)])
        assert answer == [(C_BITS, str(agreed))]
        assert result == (False, False, agreed, 15)


def test_spec_091_not_unless_offered(impl: ModuleType) -> None:
    """SPEC-091, SPEC-092: without it, be ready for the full window."""
    config = (False, False, None, 10)
    assert accept(impl, config, []) == ([], (False, False, 15, 15))
    with pytest.raises(impl.exceptions.NegotiationError) as caught:
        accept(impl, config, [], require_client_max_window_bits=True)
    assert str(caught.value) == "client_max_window_bits is required"
    answer, _ = accept(
        impl, config, [(C_BITS, None)], require_client_max_window_bits=True
    )
    assert answer == [(C_BITS, "10")]


def test_spec_093_compressing_with_8_bits_is_declined(impl: ModuleType) -> None:
    """SPEC-093: choice l; as a decompressor 8 bits are fine."""
    for mine in (None, 9, 15):
        with pytest.raises(impl.exceptions.NegotiationError) as caught:
            accept(impl, (False, False, mine, None), [(S_BITS, "8")])
        assert str(caught.value) == f"cannot compress with {S_BITS}=8"
    assert check(impl, NOTHING, [(S_BITS, "8")]) == (False, False, 8, 15)


def test_spec_093_a_client_that_is_asked_for_8_bits(impl: ModuleType) -> None:
    """SPEC-093: it agrees, as it need not compress."""
    for offered in (True, 9, 15):
        config = (False, False, None, offered)
        assert check(impl, config, [(C_BITS, "8")]) == (False, False, 15, 8)
    with pytest.raises(impl.exceptions.NegotiationError):
        check(impl, NOTHING, [(C_BITS, "8")])


# The client


def test_spec_091_client_obeys(impl: ModuleType) -> None:
    """SPEC-091, SPEC-089, SPEC-092."""
    cases: list[tuple[Any, Params, Any]] = [
        (ASK, [], (False, False, 15, 15)),
        (ASK, [(C_BITS, "10")], (False, False, 15, 10)),
        (ASK, [(S_BITS, "10")], (False, False, 10, 15)),
        (ASK, [(S_NO, None)], (True, False, 15, 15)),
        ((False, True, None, None), [], (False, True, 15, 15)),
        ((False, False, None, 12), [], (False, False, 15, 12)),
        ((False, False, None, 12), [(C_BITS, "10")], (False, False, 15, 10)),
        ((False, False, None, 12), [(C_BITS, "12")], (False, False, 15, 12)),
        ((False, False, 12, None), [(S_BITS, "10")], (False, False, 10, 15)),
        ((True, False, None, None), [(S_NO, None)], (True, False, 15, 15)),
    ]
    for config, answer, agreed in cases:
        assert check(impl, config, answer) == agreed, (config, answer)


@each(
    ("config", "answer", "text"),
    [
        ((True, False, None, None), [], f"answer lacks {S_NO}"),
        ((False, False, 12, None), [], f"answer lacks {S_BITS}"),
        ((False, False, 12, None), [(S_BITS, "13")], f"answer exceeds {S_BITS}=12"),
        (NOTHING, [(C_BITS, "10")], f"answer has {C_BITS}, not offered"),
        ((False, False, None, 12), [(C_BITS, "13")], f"answer exceeds {C_BITS}=12"),
        (ASK, [(C_BITS, None)], f"extension parameter {C_BITS} needs a value"),
        (ASK, [("x", None)], "extension parameter is unknown: x"),
        (ASK, [(S_NO, None)] * 2, f"extension parameter is repeated: {S_NO}"),
    ],
)
def test_spec_085_client_fails(
    impl: ModuleType, config: Any, answer: Params, text: str
) -> None:
    """SPEC-085, SPEC-052: on an answer that does not fit the offer."""
    with pytest.raises(impl.exceptions.NegotiationError) as caught:
        check(impl, config, answer)
    assert str(caught.value) == text


# Configuration


def test_configuration_of_a_server(impl: ModuleType) -> None:
    configure = functions(impl).check_server_config
    for server, client in itertools.product(
        [None, *range(9, 16)], [None, *range(8, 16)]
    ):
        configure((False, False, server, client), False)
    configure((False, False, None, 10), True)
    for server, client in [(8, None), (16, None), (None, 7), (None, 16), (True, None)]:
        wrong = f"{S_BITS} must be from 9" if server else f"{C_BITS} must be from 8"
        with pytest.raises(ValueError, match=f"^{wrong} to 15$"):
            configure((False, False, server, client), False)
    with pytest.raises(ValueError, match=f"^{C_BITS} is required but not configured$"):
        configure(NOTHING, True)


def test_configuration_of_a_client(impl: ModuleType) -> None:
    configure = functions(impl).check_client_config
    clients = [None, True, *range(9, 16)]
    for server, client in itertools.product([None, *range(8, 16)], clients):
        configure((False, False, server, client))
    for server, client in [(7, None), (16, None), (None, 8), (None, 16), (None, False)]:
        wrong = f"{S_BITS} must be from 8" if server else f"{C_BITS} must be from 9"
        with pytest.raises(ValueError, match=f"^{wrong} to 15$"):
            configure((False, False, server, client))


# The same decisions as the reference

TAKEOVER = [(False, False), (True, False), (False, True), (True, True)]
OFFERED_BITS: list[Any] = [
    [],
    [(C_BITS, None)],
    *([(C_BITS, bits)] for bits in ("8", "9", "12", "15", "16")),
    *([(S_BITS, bits)] for bits in ("8", "9", "12", "15")),
    [(S_BITS, "11"), (C_BITS, "11")],
    [(S_BITS, None)],
    [("x", "1")],
]
FLAGS: list[list[tuple[str, str | None]]] = [
    [],
    [(S_NO, None)],
    [(C_NO, None)],
    [(C_NO, None), (S_NO, None)],
    [(S_NO, "1")],
]


def reference(factory: Any, method: str, params: Params) -> Any:
    """What the reference decides: its answer and what is agreed; or None."""
    try:
        result = getattr(factory, method)(params, [])
    except theirs.exceptions.NegotiationError:
        return None
    answer, extension = result if isinstance(result, tuple) else (None, result)
    agreed = tuple(
        getattr(extension, name)
        for name in (
            "remote_no_context_takeover",
            "local_no_context_takeover",
            "remote_max_window_bits",
            "local_max_window_bits",
        )
    )
    return agreed if answer is None else (answer, agreed)


def decision(impl: ModuleType, function: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except impl.exceptions.NegotiationError:
        return None


@needs_release
def test_server_decides_as_the_reference(impl: ModuleType) -> None:
    configs = itertools.product(TAKEOVER, (None, 9, 12), (None, 8, 10, 15))
    for takeover, server_bits, client_bits in configs:
        config = (*takeover, server_bits, client_bits)
        for required in {False, client_bits is not None}:
            factory = THEIRS.ServerPerMessageDeflateFactory(
                *config, require_client_max_window_bits=required
            )
            for flags, bits in itertools.product(FLAGS, OFFERED_BITS):
                expected = reference(factory, "process_request_params", flags + bits)
                ours = decision(
                    *(impl, functions(impl).accept_offer, config, flags + bits),
                    require_client_max_window_bits=required,
                )
                assert ours == expected, (config, required, flags, bits)


@needs_release
def test_client_decides_as_the_reference(impl: ModuleType) -> None:
    configs = itertools.product(TAKEOVER, (None, 8, 12), (None, True, 9, 10, 15))
    for takeover, server_bits, client_bits in configs:
        config = (*takeover, server_bits, client_bits)
        factory = THEIRS.ClientPerMessageDeflateFactory(*config)
        assert functions(impl).build_parameters(config) == factory.get_request_params()
        for flags, bits in itertools.product(FLAGS, OFFERED_BITS):
            if client_bits is not None and bits == [(C_BITS, "8")]:
                continue  # D-89
            expected = reference(factory, "process_response_params", flags + bits)
            ours = decision(impl, functions(impl).check_answer, config, flags + bits)
            assert ours == expected, (config, flags, bits)
