"""A run from start to end, with a stand-in for the suite."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from .echo import LAYERS
from .runs import Run

CASES = ["1.1.1", "2.10"]

# It looks at the program under test no further than it must, and reports as the suite
# does. What it does after that is up to the test.
STAND_IN = """
import json, os, socket, sys
spec = json.load(open(sys.argv[1]))
def report(agent):
    outcome = {"behavior": "OK", "behaviorClose": "OK", "reportfile": "x.json"}
    with open(os.path.join(spec["outdir"], "index.json"), "w") as file:
        json.dump({agent: dict.fromkeys(spec["cases"], outcome)}, file)
def port(url):
    return int(url.rpartition(":")[2])
for server in spec.get("servers", []):
    with socket.create_connection(("127.0.0.1", port(server["url"]))) as sock:
        sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 ")
    for case in spec["cases"]:
        print("Running test case ID", case, "for agent", flush=True)
"""
REPORT = "report('sansocket-pure')"


class Suite:
    """As much of a suite as a run needs."""

    def __init__(self, then: str) -> None:
        self.script = STAND_IN + then

    def command(self, mode: str, spec: Path) -> list[str]:
        return [sys.executable, "-c", self.script, str(spec)]


def run_server(then: str, folder: Path, layer: str = "core") -> bool:
    suite: Any = Suite(then)
    run = Run(suite, "pure", layer, CASES, folder)
    run.server()
    return run.judge()


@pytest.mark.parametrize("layer", LAYERS)
def test_a_good_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], layer: str
) -> None:
    assert run_server(REPORT, tmp_path / "new", layer)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 of 2: 2.10"
    assert lines[1].startswith("2 of 2 cases; ")
    assert lines[2:] == ["behavior:      OK 2", "behaviorClose: OK 2"]


def test_an_old_report_does_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_server(REPORT, tmp_path)
    assert not run_server("", tmp_path)
    assert "FAILED: 2 without an outcome: 1.1.1, 2.10" in capsys.readouterr().out


def test_a_suite_that_breaks_off_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run_server(f"{REPORT}; sys.exit(3)", tmp_path)
    assert "FAILED: the suite ended with status 3" in capsys.readouterr().out


def test_a_server_that_does_not_start_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite: Any = Suite(REPORT)
    run = Run(suite, "no such form", "driver", CASES, tmp_path)
    run.server()
    assert not run.judge()
    output = capsys.readouterr().out
    assert "FAILED: the server did not start" in output
    assert "invalid choice: 'no such form'" in output


def test_a_client_without_a_suite_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite: Any = Suite("")
    run = Run(suite, "pure", "driver", CASES, tmp_path)
    run.client()
    assert not run.judge()
    assert "FAILED: the suite did not start" in capsys.readouterr().out
