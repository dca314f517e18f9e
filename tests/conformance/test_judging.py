"""What makes a run fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .judging import INFORMATIONAL, Outcome, counts, exceptions, problems, read_report

GOOD = {
    "1.1.1": Outcome("OK", "OK", "a.json"),
    "7.1.6": Outcome("INFORMATIONAL", "INFORMATIONAL", "b.json"),
    "10.1.1": Outcome("OK", "OK", "c.json"),
}


def test_all_is_well() -> None:
    assert problems(GOOD, GOOD, "") == []


@pytest.mark.parametrize(
    ("behavior", "behavior_close"),
    [
        ("FAILED", "OK"),
        ("NON-STRICT", "OK"),
        ("UNIMPLEMENTED", "OK"),
        ("INFORMATIONAL", "INFORMATIONAL"),
        ("OK", "FAILED"),
        ("OK", "NON-STRICT"),
        ("OK", "WRONG CODE"),
        ("OK", "UNCLEAN"),
        ("OK", "FAILED BY CLIENT"),
    ],
)
def test_a_case_that_is_not_ok_fails(behavior: str, behavior_close: str) -> None:
    outcome = Outcome(behavior, behavior_close, "x.json")
    (problem,) = problems(GOOD | {"1.1.1": outcome}, GOOD, "")
    assert problem == "1 not as they should be: 1.1.1"


@pytest.mark.parametrize("case", sorted(INFORMATIONAL))
def test_a_failure_counts_where_the_suite_only_informs(case: str) -> None:
    assert problems({case: Outcome("FAILED", "INFORMATIONAL", "")}, [case], "")
    assert problems({case: Outcome("INFORMATIONAL", "FAILED", "")}, [case], "")


def test_a_missing_case_fails() -> None:
    expected = [*GOOD, "2.10", "2.9"]
    assert problems(GOOD, expected, "") == ["2 without an outcome: 2.9, 2.10"]


def test_a_run_without_cases_fails() -> None:
    assert problems({}, [], "") == ["there is no outcome at all"]


def test_a_complaint_of_the_program_fails() -> None:
    (problem,) = problems(GOOD, GOOD, "Traceback\n" + "line\n" * 1000)
    assert "complained" in problem
    assert "Traceback" in problem
    assert problem.count("\n") < 50


def test_a_report_is_read(tmp_path: Path) -> None:
    outcome = {"behavior": "OK", "behaviorClose": "UNCLEAN", "reportfile": "a.json"}
    report = {"us": {"1.1.1": outcome}, "others": {"1.1.2": outcome}}
    assert read_report(tmp_path, "us") == {}
    (tmp_path / "index.json").write_text(json.dumps(report))
    assert read_report(tmp_path, "us") == {"1.1.1": Outcome("OK", "UNCLEAN", "a.json")}
    assert read_report(tmp_path, "nobody") == {}


def test_summary() -> None:
    outcomes = GOOD | {"2.1": Outcome("NON-STRICT", "OK", "d.json")}
    assert [line.split(":") for line in counts(outcomes)] == [
        ["behavior", "      INFORMATIONAL 1, NON-STRICT 1, OK 2"],
        ["behaviorClose", " INFORMATIONAL 1, OK 3"],
    ]
    assert exceptions(outcomes) == [
        "2.1: NON-STRICT, close OK -- wrong, see d.json",
        "7.1.6: INFORMATIONAL, close INFORMATIONAL",
    ]
