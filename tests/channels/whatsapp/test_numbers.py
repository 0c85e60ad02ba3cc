"""A phone is one phone, however its number is written."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from channels.whatsapp import numbers
from channels.whatsapp.wire import Person


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5511987654321", "551187654321"),  # Brazil, with and without the ninth digit
        ("5491123456789", "541123456789"),  # Argentina
        ("5215512345678", "525512345678"),  # Mexico
    ],
)
def test_both_ways_to_write_a_number_are_one_person(one: str, other: str) -> None:
    assert numbers.same(one, other)
    assert numbers.canonical(one) == numbers.canonical(other)
    assert numbers.variants(one) == (one, other)
    assert numbers.variants(other) == (other, one)
    assert Person(wa_id=one).addresses("1") == Person(wa_id=other).addresses("1")


@pytest.mark.parametrize(
    "number",
    [
        "4915112345678",
        "46701234567",
        "16505551234",
        "551132345678",  # a landline in São Paulo
        "5521345678901",  # no such length in Mexico or Brazil
        "54",
        "",
    ],
)
def test_every_other_number_is_only_itself(number: str) -> None:
    assert numbers.variants(number) == (number,)
    assert numbers.canonical(number) == number


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.text("0123456789", max_size=16))
def test_the_canonical_form_is_one_of_the_variants_and_final(number: str) -> None:
    assert numbers.canonical(number) in numbers.variants(number)
    assert numbers.canonical(numbers.canonical(number)) == numbers.canonical(number)
    assert {numbers.canonical(each) for each in numbers.variants(number)} == {numbers.canonical(number)}


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("4915112345678", "4915112345678"),
        ("whatsapp:+4915112345678", "4915112345678"),
        ("+49 (151) 123-45 678", "4915112345678"),
        ("+49\u00a0151\u2013123.45.678", "4915112345678"),
        ("015112345678", ""),
        ("DE.123abc", ""),
        ("٤٩١٥١١٢٣٤٥٦٧٨", ""),
        ("1234567890123456", ""),
        ("12", ""),
        ("", ""),
    ],
)
def test_only_an_international_number_is_a_number(written: str, digits: str) -> None:
    assert numbers.wa_id(written) == digits


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("0151 12345678", "DE", "4915112345678"),
        ("+46 70 123 45 67", "DE", "46701234567"),
        ("0046701234567", "DE", "46701234567"),
        ("070-123 45 67", "SE", "46701234567"),
        ("+54 11 15 2345 6789", "DE", "5491123456789"),
        ("+52 1 55 1234 5678", "DE", "525512345678"),
        ("+55 11 98765-4321", "DE", "5511987654321"),
        ("112", "DE", ""),
        ("12345", "DE", ""),
        ("keine", "DE", ""),
        ("", "DE", ""),
        ("9" * 5000, "DE", ""),
    ],
)
def test_a_number_is_read_as_people_of_a_country_type_it(text: str, region: str, number: str) -> None:
    assert numbers.typed(text, region) == number


def test_a_number_is_shown_as_people_write_it() -> None:
    assert numbers.shown("4915112345678") == "+49 1511 2345678"
    assert numbers.shown("") == ""


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.text(max_size=30))
def test_no_text_is_too_strange(text: str) -> None:
    assert numbers.wa_id(text) == "" or numbers.wa_id(text).isdigit()
    assert numbers.typed(text, "DE") == "" or numbers.typed(text, "DE").isdigit()
    numbers.shown(text)
