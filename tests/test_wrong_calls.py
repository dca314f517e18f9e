"""Wrong calls raise; they never end the process, nor read what is not theirs.

``nox -s wrong_calls`` tries for longer, and under the address sanitizer.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .source import ROOT

if not hasattr(os, "fork"):  # pragma: no cover
    pytest.skip("programs run in forked children", allow_module_level=True)

from . import wrong_calls
from .wrong_calls import Lines, outcome, shrink

# What ended the process once, or read beyond the end of memory.
KNOWN = {
    "broadcast to none": ["broadcast([None], 'hi')"],
    "broadcast to what was not initialised": ["broadcast([new(Connection)], 'hi')"],
    "extensions lost inside of a message": [
        "p = opened(ServerProtocol, deflate())",
        "p.receive_data(CUT)",
        "p.extensions = []",
        "p.receive_data(REST)",
    ],
    "extensions lost in recv_frame": [
        "act = lambda p, f: setattr(p, 'extensions', [])",
        "C = over(ServerProtocol, 'recv_frame', act)",
        "opened(C, deflate()).receive_data(SQUEEZED * 2)",
    ],
    "an extension that is none in recv_frame": [
        "act = lambda p, f: setattr(p, 'extensions', [None])",
        "C = over(ServerProtocol, 'recv_frame', act)",
        "opened(C, deflate()).receive_data(SQUEEZED * 2)",
    ],
    "a session that was not initialised": [
        "s = new(Session)",
        *("s.receive_data(b'', 0.0)", "s.receive_from(bytearray(9), 1, 0.0)"),
        *("s.next_message(0.0)", "s.data_to_send()", "s.send('hello')", "s.ping(0.0)"),
        *("s.handle_progress()", "s.closed", "s.ready", "s.latency", "s.close(0.0)"),
    ],
    "a connection whose base was not initialised": [
        "c = bare(Connection)",
        "c.connection_made(Transport())",
        *("c.buffer_updated(5)", "c.flush()", "go(c.recv())", "go(c.send('hello'))"),
        *("c.connection_lost(None)", "c.bytes_to_write", "c.state"),
    ],
    "none is shared": ["session().share(None)"],
    "a state that is none": [
        *("session().__setstate__([])", "opened().__setstate__([1])"),
        "Frame(Opcode.TEXT, b'').__setstate__([])",
    ],
    "more than a buffer has": [
        "s = session()",
        "s.receive_data(HUGE, 0.0)",
        "s.receive_from(bytearray(3), 2**40, 0.0)",
        "s.receive_from(bytearray(3), -1, 0.0)",
        "s.receive_from(None, 1, 0.0)",
    ],
    "positions far away": [
        *(
            "kernels.take(b'abc', 2**40, 5, True)",
            "kernels.take(b'abc', 0, -5, False)",
        ),
        *(
            "kernels.take(b'abc', 2, 1, True)",
            "kernels.uint64(b'abc', -2**63)",
        ),
        *(
            "kernels.utf8(0, b'abc', 2**40, 2**41)",
            "kernels.controls(b'a', 2**31)",
        ),
        *(
            "kernels.utf8(0, b'abc', 3, 0)",
            "kernels.arriving(b'', 4, 9, 1, 1, 0)",
        ),
        *(
            "Payload(9, b'a', True, 0).feed(b'abc', 2**40, 2**41)",
            "kernels.blank(int)",
        ),
        *(
            "kernels.start_of(None, 1)",
            "kernels.start_of(bytearray(), -1)",
        ),
    ],
    "a session that loses its protocol while it sends": [
        "act = lambda p, f: s.__init__(opened(), 0.0)",
        "s = session(opened(over(Protocol, 'send_frame', act)))",
        "s.send('hello')",
    ],
    "waiters inside of each other": [
        "w = None",
        "for _ in range(10**6): w = Waiter(w)",
        "del w",
    ],
    "extensions lost while a frame is sent": [
        "p = opened(ClientProtocol)",
        "p.send_frame(Odd(lambda: setattr(p, 'extensions', None)))",
    ],
    "an opcode that looks like an error": [
        "f = Frame(Opcode.TEXT, b'')",
        "f.opcode = -1",
        "f.serialize(mask=False)",
    ],
    "headers inside of themselves": [
        *("h = Headers()", "h._list = h._index = h", "h.copy()", "len(h)", "h['a']"),
        *("h._list, h._index = [], {'a': h}", "h.copy()", "h.get_all('a')"),
    ],
}


@pytest.mark.parametrize("lines", KNOWN.values(), ids=KNOWN.keys())
def test_what_ended_the_process(lines: Lines) -> None:
    assert outcome(lines) == ""


def test_programs_at_random() -> None:
    command = [sys.executable, "-m", "tests.wrong_calls", "--programs", "400"]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **path}, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stdout


@pytest.mark.parametrize(
    ("line", "end"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("__import__('os').abort()", "SIGABRT"),
        ("ctypes.pythonapi.PyObject_Length(ctypes.py_object(5)); p = 1 / 0", ""),
        ("raise SystemError", "SystemError"),
        ("__import__('os')._exit(9)", "exit status 9"),
        ("1 / 0", ""),
        ("raise KeyboardInterrupt", ""),
    ],
)
def test_a_bad_end_is_seen_and_shrunk(line: str, end: str) -> None:
    lines = ["p = opened()", line, "p.receive_data(FROM_CLIENT[0])"]
    assert outcome(lines) == end
    if end:
        assert shrink(lines) == [line]


def test_a_program_that_does_not_end_is_seen() -> None:
    assert outcome(["while True: pass"], seconds=0.1) == "does not end"


@pytest.mark.apart  # some hundred processes
def test_a_line_is_shrunk_to_what_it_takes() -> None:
    (line,) = shrink(["len([over(Protocol, 'fail', ctypes.string_at(int(0)))])"])
    assert line == "[ctypes.string_at(None)]"


def test_a_number_gives_the_same_program_again() -> None:
    assert wrong_calls.program(5, 7) == wrong_calls.program(5, 7)
    assert wrong_calls.program(5, 7) != wrong_calls.program(5, 8)
