"""The list for going live: what is red, what is amber, and that every light but green says what to do."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from msgspec.structs import replace

from server.care.going_live import BackedUp, Certificate, Facts, Light, going_live, is_weak, worst
from server.core.ports import Account
from server.service.clinic import Clinic, Consent, Site, Words

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECRET = "q8Zt3Wm1vYc7Rk5xLp9sHd2fGj6nBa4eTu0iOo"
CONSENT = Consent("2026-11", "May we?", "https://www.hautarzt-weber.de/datenschutz")
WORDS = Words("de", "Assistenz", "Guten Tag!", "Automatisch.", "Im Notfall 112 anrufen.", CONSENT)
CLINIC = Clinic(
    name="Hautarztpraxis Weber",
    timezone="Europe/Berlin",
    languages=("de",),
    sites={"main": Site("main", frozenset({"https://www.hautarzt-weber.de"}))},
    words={"de": WORDS},
    week=(((time(8), time(18)),),) * 5 + ((), ()),
    closed=frozenset({date(2026, 12, 24)}),
)
ADMINS = tuple(Account(f"s{n}", f"admin{n}", "Anna", "admin", "a hash") for n in (1, 2))
READY = Facts(
    now=NOW,
    public_url="https://chat.hautarzt-weber.de",
    proxy=True,
    certificate=Certificate(NOW + 60 * DAY),
    secret=SECRET,
    accounts=ADMINS,
    backup=BackedUp(NOW - timedelta(hours=9), 15, 3),
    events=15,
    clinic=CLINIC,
    free=50_000_000_000,
    channels={"whatsapp": (True, "WhatsApp, main: the webhook is reached and checks signatures.")},
)


def lights(facts: Facts) -> dict[str, str]:
    """What is not green, by name."""
    return {item.id: str(item.light) for item in going_live(facts) if item.light is not Light.GREEN}


def with_words(**changed: object) -> Clinic:
    clinic = replace(CLINIC)
    clinic.words = {"de": replace(WORDS, **changed)}
    return clinic


def with_origins(*origins: str) -> Clinic:
    return replace(CLINIC, sites={"main": Site("main", frozenset(origins))})


def test_a_clinic_that_is_ready_is_green_all_over() -> None:
    assert lights(READY) == {}
    assert worst(going_live(READY)) is Light.GREEN


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        ({"demo": True}, {"demo": "red"}),
        ({"public_url": None}, {"address": "red"}),
        ({"public_url": "http://chat.hautarzt-weber.de"}, {"address": "red"}),
        ({"public_url": "https://127.0.0.1"}, {"address": "red"}),
        ({"proxy": False}, {"proxy": "red"}),
        ({"certificate": Certificate(NOW + 3 * DAY)}, {"tls": "amber"}),
        ({"certificate": Certificate(wrong="refused")}, {"tls": "red"}),
        ({"certificate": Certificate(wrong="unreached")}, {"tls": "amber"}),
        ({"secret": "a" * 64}, {"secret": "red"}),
        ({"secret": None, "secret_file_open": True}, {"secret": "red"}),
        ({"secret": None}, {}),
        ({"accounts": ()}, {"staff": "red"}),
        ({"accounts": ADMINS[:1]}, {"staff": "amber"}),
        ({"accounts": (ADMINS[0], replace(ADMINS[1], disabled=True))}, {"staff": "amber"}),
        ({"accounts": (*ADMINS, Account("d", "alex", "Alex", "admin", ""))}, {"demo_staff": "red"}),
        ({"backup": None}, {"backup": "red"}),
        ({"backup": None, "events": 0}, {"backup": "amber"}),
        ({"backup": BackedUp(NOW - 2 * DAY)}, {"backup": "amber"}),
        ({"backup": BackedUp(NOW - 4 * DAY)}, {"backup": "red"}),
        ({"clinic": None, "clinic_wrong": "clinic.yaml, line 3: expected a time"}, {"clinic": "red"}),
        ({"demo_clinic": True}, {"clinic": "red"}),
        ({"clinic": with_origins("https://www.hautarzt-weber.de", "http://www.hautarzt-weber.de")}, {"origins": "red"}),
        ({"clinic": with_origins("https://www.example.org")}, {"origins": "amber"}),
        ({"clinic": with_words(consent=None)}, {"consent.de": "amber"}),
        ({"clinic": with_words(consent=replace(CONSENT, privacy_url="http://a.de/p"))}, {"consent.de": "red"}),
        ({"clinic": with_words(consent=replace(CONSENT, privacy_url="https://a.example/p"))}, {"consent.de": "red"}),
        ({"clinic": with_words(emergency="Rufen Sie Hilfe.")}, {"emergency": "red"}),
        ({"clinic": replace(CLINIC, week=((),) * 7)}, {"hours": "red"}),
        ({"skew": timedelta(seconds=-5)}, {"clock": "amber"}),
        ({"skew": timedelta(hours=1)}, {"clock": "red"}),
        ({"free": 3_000_000_000}, {"disk": "amber"}),
        ({"free": 10_000_000}, {"disk": "red"}),
        ({"mongodb": True}, {"redis": "amber"}),
        ({"lint_warnings": 2}, {"knowledge": "amber"}),
        ({"lint_errors": 1}, {"knowledge": "red"}),
        ({"channels": {"phone": (False, "Phone, main: a door is not reached.")}}, {"phone": "red"}),
    ],
)
def test_one_thing_that_is_not_in_order_is_named_alone_and_says_what_to_do(
    changed: dict[str, object], seen: dict[str, str]
) -> None:
    facts = replace(READY, **{"demo_staff": frozenset({"d"}), **changed})

    assert lights(facts) == seen
    assert all(item.do for item in going_live(facts) if item.light is not Light.GREEN)
    assert all(item.says for item in going_live(facts))


def test_one_of_a_thing_is_said_as_one() -> None:
    facts = replace(READY, accounts=ADMINS[:1], backup=BackedUp(NOW - timedelta(hours=1), 1, 1), lint_warnings=1)
    says = {item.id: item.says for item in going_live(facts)}

    assert says["staff"] == "1 colleague can sign in, 1 of them as admin"
    assert says["backup"] == "the last one is 1 hour old, with 1 event"
    assert says["knowledge"] == "0 errors, 1 warning"


@pytest.mark.parametrize(
    ("secret", "weak"),
    [
        (SECRET, False),
        ("f3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934c", False),  # hexadecimal, as some tools make it
        ("the-same-for-every-process-of-this-clinic", True),
        ("0123456789012345678901234567890123", True),
        ("correct horse battery staple secret!", True),
    ],
)
def test_a_secret_that_somebody_thought_of_is_weak(secret: str, weak: bool) -> None:
    assert is_weak(secret) is weak
