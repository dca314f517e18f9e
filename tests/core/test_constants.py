"""Numbers of RFC 6455 and their names."""

from __future__ import annotations

import copy
import pickle
from enum import IntEnum
from typing import Any

from .table import each

MEMBERS = {
    "Opcode": {
        "CONT": 0x0,
        "TEXT": 0x1,
        "BINARY": 0x2,
        "CLOSE": 0x8,
        "PING": 0x9,
        "PONG": 0xA,
    },
    "CloseCode": {
        "NORMAL_CLOSURE": 1000,
        "GOING_AWAY": 1001,
        "PROTOCOL_ERROR": 1002,
        "UNSUPPORTED_DATA": 1003,
        "NO_STATUS_RCVD": 1005,
        "ABNORMAL_CLOSURE": 1006,
        "INVALID_DATA": 1007,
        "POLICY_VIOLATION": 1008,
        "MESSAGE_TOO_BIG": 1009,
        "MANDATORY_EXTENSION": 1010,
        "INTERNAL_ERROR": 1011,
        "SERVICE_RESTART": 1012,
        "TRY_AGAIN_LATER": 1013,
        "BAD_GATEWAY": 1014,
        "TLS_HANDSHAKE": 1015,
    },
    "Side": {"SERVER": 0, "CLIENT": 1},
    "State": {"CONNECTING": 0, "OPEN": 1, "CLOSING": 2, "CLOSED": 3},
}


@each("name", MEMBERS)
def test_members(impl: Any, name: str) -> None:
    kind = getattr(impl._base.constants, name)
    assert issubclass(kind, IntEnum)
    assert {member.name: int(member) for member in kind} == MEMBERS[name]


@each("name", MEMBERS)
def test_members_are_singletons(impl: Any, name: str) -> None:
    """Users compare them with ``is``."""
    for member in getattr(impl._base.constants, name):
        assert type(member)(int(member)) is member
        assert copy.deepcopy(member) is member
        assert pickle.loads(pickle.dumps(member)) is member


def test_short_names(impl: Any) -> None:
    constants = impl._base.constants
    for kind in (constants.Side, constants.State):
        for member in kind:
            assert getattr(constants, member.name) is member
    assert set(constants.__all__) == {
        *MEMBERS,
        "Transport",
        *MEMBERS["Side"],
        *MEMBERS["State"],
    }


def test_the_same_names_everywhere(impl: Any) -> None:
    """Modules that users know offer the very same objects."""
    for name in ("Side", "State", *MEMBERS["Side"], *MEMBERS["State"]):
        assert getattr(impl.protocol, name) is getattr(impl._base.constants, name)
        assert name in impl.protocol.__all__
    for name in ("Opcode", "CloseCode"):
        assert getattr(impl.frames, name) is getattr(impl._base.constants, name)
        assert name in impl.frames.__all__


def test_phases_of_the_input_differ(impl: Any) -> None:
    constants = impl._base.constants
    phases = {constants.HEAD, constants.HOLD, constants.FRAMES, constants.DISCARD}
    assert len(phases) == 4
