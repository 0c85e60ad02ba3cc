"""A call back: the number and the time that somebody names, and what is true to say of it."""

from datetime import UTC, datetime

import pytest

from server.core.model import Address, Assurance, Channel, Linked, Thread
from server.service.tasks import moment_in, number_in, own_number

BERLIN = "Europe/Berlin"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday, 13:00 in Berlin


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0151 234 567 89", "015123456789"),
        ("Call +49 (30) 1234-567 please", "+49301234567"),
        ("am 12.11.2026", ""),
        ("um 15:30", ""),
        ("12345", ""),
        ("Morgen ab 9 unter 030/1234567", "0301234567"),
        ("no number", ""),
        ("0049 171 1234567", "+491711234567"),
        ("+49 (0)171 1234567", "+491711234567"),
        ("born 1990-02-01, so call 0171 1234567", "01711234567"),
        ("am 24. 12. 2026", ""),
        ("+" + "1" * 20, ""),
    ],
)
def test_a_number_is_found_where_one_stands(text: str, number: str) -> None:
    assert number_in(text) == number


@pytest.mark.parametrize(
    ("text", "day", "hour", "minute"),
    [
        ("heute um 15 Uhr", 23, 15, 0),
        ("tomorrow at 9:30", 24, 9, 30),
        ("i morgon kl 10", 24, 10, 0),
        ("Mittwoch gegen 14 Uhr", 25, 14, 0),
        ("at 4 pm", 23, 16, 0),
        ("um 9", 24, 9, 0),  # that is over today
        ("um 8 Uhr 30", 24, 8, 30),
        ("um 3", 23, 15, 0),  # nobody is called at night
        ("at 12:30 pm tomorrow", 24, 12, 30),
        ("Montag um 10 Uhr", 30, 10, 0),  # today is one, and ten is over
        ("Morgen um 10 unter 0151 23456789", 24, 10, 0),
    ],
)
def test_a_time_is_found_where_it_is_plain(text: str, day: int, hour: int, minute: int) -> None:
    assert moment_in(text, NOON, BERLIN) == datetime(2026, 11, day, hour - 1, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "some time",
        "heute um 9 Uhr",
        "0151 23456789",
        "um 99 Uhr",
        "nachmittags",
        "zwischen 9 und 11 Uhr",
        "nicht vor 10 Uhr",
        "um halb 9 Uhr",
        "at quarter past 3 pm",
        "um 5 vor 3",
        "am 3.12. um 10 Uhr",
        "um 15 oder um 16 Uhr",
        "it costs 8.50",
    ],
)
def test_a_time_that_is_not_plain_or_over_is_none(text: str) -> None:
    assert moment_in(text, NOON, BERLIN) is None


def test_a_number_that_is_proven_can_be_called() -> None:
    mobile = Address(Channel.WHATSAPP, "1065", "wa_id", "4915112345678")
    put_on = Address(Channel.VOICE, "+4930", "caller", "+493099999")

    thread = Thread("t1", addresses=(Linked(mobile, Assurance.PROVEN), Linked(put_on, Assurance.CALLER_ID)))

    assert own_number(thread) == "+4915112345678"
    assert own_number(Thread("t1", addresses=(Linked(put_on, Assurance.CALLER_ID),))) == ""
