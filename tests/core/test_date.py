"""The date as HTTP writes it."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime
from types import ModuleType

import pytest

SECONDS = (0, 951_782_399, 951_782_400, 951_868_800, 1_709_164_800, 4_107_542_400)


def test_spec_037_date(impl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPEC-037: around leap days, ends of centuries, and at many other times."""
    for second in (*SECONDS, *range(86_399, 10**10, 97_654_321)):
        now = second + 0.9
        monkeypatch.setattr(impl.environment, "wall_clock", lambda now=now: now)
        expected = datetime.fromtimestamp(second, timezone.utc)
        assert impl.http11.http_date() == format_datetime(expected, usegmt=True)


def test_text_is_made_once_a_second(
    impl: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []
    for now in (1000.0, 1000.9, 1001.0):
        monkeypatch.setattr(impl.environment, "wall_clock", lambda now=now: now)
        texts.append(impl.http11.http_date())
    assert texts[0] is texts[1]
    assert texts[2].endswith("00:16:41 GMT")
