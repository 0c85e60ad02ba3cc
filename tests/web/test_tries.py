"""The rules of how often one may try to sign in, and of how a browser is known again."""

from datetime import UTC, datetime, timedelta

import pytest

from server.live.limits import LocalLimits
from server.web.tries import (
    BROWSER_TRIES,
    KNOWN_DAYS,
    LOGIN_TRIES,
    MAX_KNOWN,
    PAIR_TRIES,
    known_browser,
    limits,
    made_known,
)

SECRET = b"s" * 32
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Doors:
    """What is counted, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self._limits = LocalLimits(lambda: self.now)

    def wait(self, login: str, network: str, browser: str | None = None) -> float:
        return self._limits.allow_all(limits(SECRET, login, network, browser))


def test_a_stranger_has_ten_tries_at_a_login_and_then_waits() -> None:
    doors = Doors()

    assert [doors.wait("anna", "192.0.2.1") for _ in range(PAIR_TRIES[0])] == [0.0] * PAIR_TRIES[0]
    assert doors.wait("anna", "192.0.2.1") == PAIR_TRIES[1]
    assert doors.wait("bea", "192.0.2.1") == 0.0


def test_strangers_together_slow_a_login_down_and_never_shut_it() -> None:
    doors = Doors()
    waits = [doors.wait("anna", f"198.51.100.{n}") for n in range(LOGIN_TRIES[2] + 5)]

    assert waits[: LOGIN_TRIES[2]] == [0.0] * LOGIN_TRIES[2]
    assert waits[LOGIN_TRIES[2] :] == [LOGIN_TRIES[1]] * 5
    doors.now += LOGIN_TRIES[1]
    assert doors.wait("anna", "203.0.113.9") == 0.0


def test_a_known_browser_waits_for_nobody_but_itself() -> None:
    doors = Doors()
    for n in range(200):
        doors.wait("anna", f"198.51.100.{n}")

    assert [doors.wait("anna", "198.51.100.1", "b") for _ in range(BROWSER_TRIES[0])] == [0.0] * BROWSER_TRIES[0]
    assert doors.wait("anna", "198.51.100.1", "b") == BROWSER_TRIES[1]
    assert doors.wait("anna", "198.51.100.1", "another") == 0.0


def test_nobody_can_read_login_or_network_from_what_is_counted() -> None:
    names = " ".join(limit.name for limit in limits(SECRET, "anna", "192.0.2.1", None))

    assert "anna" not in names
    assert "192.0.2.1" not in names


def test_a_browser_is_known_after_a_sign_in_for_half_a_year_and_by_a_new_name_each_time() -> None:
    once = made_known(SECRET, "anna", "", NOW)
    again = made_known(SECRET, "anna", once, NOW)

    name = known_browser(SECRET, "anna", once, NOW)
    assert name is not None
    assert name != known_browser(SECRET, "anna", again, NOW)
    assert again.count("~") == 0  # the old name is gone
    assert known_browser(SECRET, "anna", once, NOW + timedelta(days=KNOWN_DAYS)) == name
    assert known_browser(SECRET, "anna", once, NOW + timedelta(days=KNOWN_DAYS + 1)) is None


def test_a_browser_of_several_colleagues_knows_the_newest_of_them() -> None:
    kept = ""
    for n in range(MAX_KNOWN + 2):
        kept = made_known(SECRET, f"colleague-{n}", kept, NOW)

    known = [known_browser(SECRET, f"colleague-{n}", kept, NOW) is not None for n in range(MAX_KNOWN + 2)]
    assert known == [False, False, *[True] * MAX_KNOWN]


@pytest.mark.parametrize("kept", ["", "~", "a.b.c", "..", "\u00fc.\u00fc.\u00fc", "1.2.3~" * 1000, "99999.x.y"])
def test_what_is_no_cookie_of_ours_makes_nobody_known(kept: str) -> None:
    assert known_browser(SECRET, "anna", kept, NOW) is None
    assert known_browser(SECRET, "anna", made_known(SECRET, "anna", kept, NOW), NOW) is not None


def test_a_cookie_is_good_for_its_own_login_and_our_own_secret() -> None:
    kept = made_known(SECRET, "anna", "", NOW)
    edited = kept.replace(kept[:3], "999", 1)

    assert known_browser(SECRET, "bea", kept, NOW) is None
    assert known_browser(b"t" * 32, "anna", kept, NOW) is None
    assert known_browser(SECRET, "anna", edited, NOW) is None
