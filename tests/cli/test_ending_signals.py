"""Signals that ask a command to stop, at the moments at which they can come."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from sansocket.cli.ending import Interrupted, Remaining, stop_signals

from .conftest import TIMEOUT, Endings, signals_restored

if sys.platform == "win32":
    pytest.skip("not on Windows", allow_module_level=True)

FOREVER = 86400.0  # seconds that no test takes


@pytest.mark.parametrize(
    ("handler", "stops"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)]
)
def test_hanging_up_stops_what_nohup_does_not_protect(
    handler: signal.Handlers, stops: bool
) -> None:
    with signals_restored():
        signal.signal(signal.SIGHUP, handler)
        assert (signal.SIGHUP in stop_signals()) is stops


def test_a_signal_before_anything_begins(endings: Endings) -> None:
    """What would begin then does not."""
    ending = endings(FOREVER, [signal.SIGTERM])
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted), ending.interruptible():
        pytest.fail("it has begun")
    assert ending.number == signal.SIGTERM


def test_a_signal_interrupts_what_can_be(endings: Endings) -> None:
    """Once: the second one must not disturb what the first one does."""
    ending = endings(FOREVER, [signal.SIGTERM], last=FOREVER)

    def work() -> None:
        with ending.interruptible():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGTERM)
                ended.append("in order")

    ended: list[str] = []
    with pytest.raises(Interrupted):
        work()
    assert ended == ["in order"]


@pytest.mark.parametrize(
    ("signals", "supervised", "expected"),
    [
        (0, False, []),
        (1, False, ["stop"]),
        (2, False, ["stop", "hurry"]),
        (2, True, ["stop"]),  # the other process tells when to hurry
    ],
)
@pytest.mark.parametrize("early", [True, False])
def test_signals_are_kept_for_the_event_loop(
    endings: Endings, signals: int, supervised: bool, expected: list[str], early: bool
) -> None:
    """Until it runs, and not for longer."""
    ending = endings(FOREVER, [signal.SIGTERM], last=FOREVER, supervised=supervised)
    done: list[str] = []

    def signal_it() -> None:
        for _ in range(signals):
            signal.raise_signal(signal.SIGTERM)

    async def main() -> None:
        ending.attach(lambda: done.append("stop"), lambda: done.append("hurry"))
        if not early:
            assert done == []
            signal_it()
            await asyncio.sleep(0)
        assert done == expected

    if early:
        signal_it()
    asyncio.run(main())
    signal_it()  # the loop is closed
    assert done == expected


@pytest.mark.parametrize("supervised", [False, True])
def test_who_is_waited_for_is_told_once(
    endings: Endings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    supervised: bool,
) -> None:
    """And in the end that it was in vain. A supervisor tells it for its workers."""
    monkeypatch.setattr("sansocket.cli.ending.NOTICE", 0)
    caplog.set_level(logging.WARNING)
    ending = endings(FOREVER, [signal.SIGTERM], supervised=supervised)

    def remaining() -> Remaining:
        ending.limit(0)
        return Remaining(1)

    ending.remaining = remaining
    signal.raise_signal(signal.SIGTERM)
    assert ending.over.wait(TIMEOUT)
    *first, last = caplog.messages
    assert first == ([] if supervised else [str(Remaining(1))])
    assert last == "something did not stop in time: exiting without it"


LATE = r"""
import os, signal, subprocess, sys, time
from sansocket.cli.ending import Ending

def handle(number, frame):
    global count
    count += 1

flood = "import os, sys\nwhile True: os.kill(int(sys.argv[1]), 15)"
count = 0
ending = Ending(86400, [])
ending.signals = [signal.SIGTERM]
flooding = subprocess.Popen([sys.executable, "-c", flood, str(os.getpid())])
while time.process_time() < 0.6:  # the fault shows some hundred times
    signal.signal(signal.SIGTERM, handle)
    count = 0
    while not count and time.process_time() < 0.6:
        pass
    ending.finish()
flooding.kill()
"""


def test_a_signal_in_the_moment_when_they_begin_to_be_ignored() -> None:
    """Python would report it, with a traceback."""
    command = [sys.executable, "-c", LATE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (0, "")


def test_only_late_signals_are_not_reported(
    endings: Endings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", made.append)
    endings(FOREVER, []).finish()
    reports = [
        SimpleNamespace(exc_value=exc)
        for exc in (OSError("another"), ValueError("due to race condition"), None)
    ]
    late = SimpleNamespace(exc_value=OSError("Signal 15 ignored due to race condition"))
    for report in (late, *reports):
        sys.unraisablehook(report)
    assert made == reports
