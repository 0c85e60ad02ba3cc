"""What is said of a run of the checks."""

import pytest

from server.command_line.test import UNSTEADY, environment_for_tests, summary, worth_a_second_look


@pytest.mark.parametrize(
    ("said", "again"),
    [
        ("1 failed, 1867 passed in 346.16s (0:05:46)", True),
        (f"{UNSTEADY - 1} failed, 1865 passed, 1 error in 346.16s", True),
        (f"{UNSTEADY + 1} failed, 1864 passed in 346.16s", False),
        ("1868 passed in 346.16s", False),
        ("1 error in 2.05s", False),
        ("no tests ran in 0.01s", False),
        ("", False),
    ],
)
def test_a_few_failures_among_many_tests_are_looked_at_twice(said: str, again: bool) -> None:
    assert worth_a_second_look(said) is again


def test_the_checks_are_not_run_with_the_settings_somebody_serves_with() -> None:
    told = environment_for_tests({"ONETHREAD_PORT": "9000", "ONETHREAD_FIXTURES": "payloads", "HOME": "home"})
    assert "ONETHREAD_PORT" not in told
    assert told["ONETHREAD_FIXTURES"] == "payloads"
    assert told["HOME"] == "home"


def test_processes_that_the_tests_start_remember_what_they_have_compiled() -> None:
    assert "PYTHONDONTWRITEBYTECODE" not in environment_for_tests({"PYTHONDONTWRITEBYTECODE": "1"})


def test_a_summary_has_a_line_for_each_step_and_the_time_of_all() -> None:
    lines = summary([("lint", True, 0.5, ""), ("tests", False, 60.0, "1 failed")], 60.1).splitlines()
    assert lines == [
        "lint   ok         0.5 s",
        "tests  FAILED    60.0 s  1 failed",
        "in all            60.1 s",
    ]
