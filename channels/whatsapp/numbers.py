"""Phone numbers: as people type them, as WhatsApp writes them, and as one and the same.

WhatsApp writes a number as digits with the country in front (a `wa_id`). In three countries it may leave out or put in
a digit, so that one phone has two `wa_id`s: Brazil (the ninth digit), Argentina (the 9 after 54) and Mexico (the 1
after 52). Whoever looks somebody up by number must try both, and answer to the one WhatsApp gave.

Source: developers.facebook.com/docs/whatsapp/cloud-api/phone-numbers, "WhatsApp user phone number formats"
"""

import re

import phonenumbers

SHORTEST, LONGEST = 7, 15  # digits: ITU-T E.164 ends at 15; no country's number with its code is shorter than 7

_SEPARATORS = re.compile(r"[\s().\-/\u2010-\u2015\u00a0\u202f+]+")
# (what WhatsApp may write, what may be written instead); mobile numbers only, so that no landline becomes another
_BRAZIL_LONG = re.compile(r"(55[1-9]\d)9([6-9]\d{7})")
_BRAZIL_SHORT = re.compile(r"(55[1-9]\d)([6-9]\d{7})")
_ARGENTINA_LONG = re.compile(r"549(\d{10})")
_ARGENTINA_SHORT = re.compile(r"54([1-8]\d{9})")
_MEXICO_LONG = re.compile(r"521(\d{10})")
_MEXICO_SHORT = re.compile(r"52([2-9]\d{9})")


def wa_id(written: str) -> str:
    """Return the digits of an international number, ``+49 170 …`` or ``whatsapp:+49…``, or an empty string.

    Nothing is guessed: a number without its country stays without it, and what holds other characters is no number.
    """
    digits = _SEPARATORS.sub("", written.strip().removeprefix("whatsapp:"))
    fits = digits.isascii() and digits.isdigit() and SHORTEST <= len(digits) <= LONGEST and digits[0] != "0"
    return digits if fits else ""


def canonical(number: str) -> str:
    """Return the one form under which a ``wa_id`` is looked up: the number as E.164 has it today."""
    if match := _BRAZIL_SHORT.fullmatch(number):
        return f"{match[1]}9{match[2]}"
    if match := _ARGENTINA_SHORT.fullmatch(number):
        return f"549{match[1]}"
    if match := _MEXICO_LONG.fullmatch(number):
        return f"52{match[1]}"
    return number


def variants(number: str) -> tuple[str, ...]:
    """Return every form that WhatsApp may use for this ``wa_id``, itself first."""
    for pattern, other in (
        (_BRAZIL_LONG, r"\1\2"),
        (_BRAZIL_SHORT, r"\g<1>9\2"),
        (_ARGENTINA_LONG, r"54\1"),
        (_ARGENTINA_SHORT, r"549\1"),
        (_MEXICO_LONG, r"52\1"),
        (_MEXICO_SHORT, r"521\1"),
    ):
        if match := pattern.fullmatch(number):
            return number, match.expand(other)
    return (number,)


def same(one: str, other: str) -> bool:
    """Whether two ``wa_id``s are one phone."""
    return bool(one) and canonical(one) == canonical(other)


def typed(text: str, region: str) -> str:
    """Return the ``wa_id`` of a number as somebody typed it, or an empty string when it cannot be one.

    Args:
        region: ISO 3166 code of the country whose numbers may be typed without a country code.
    """
    known = canonical(wa_id(text)) if text.lstrip().startswith("+") else ""  # Mexico's old 1 is no number any more
    try:
        number = phonenumbers.parse(f"+{known}" if known else text[:64], region)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(number):
        return ""
    return canonical(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+"))


_COSTLY = (
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.SHARED_COST,
    phonenumbers.PhoneNumberType.TOLL_FREE,
    phonenumbers.PhoneNumberType.PAGER,
    phonenumbers.PhoneNumberType.UAN,
    phonenumbers.PhoneNumberType.VOICEMAIL,
)


def personal(number: str) -> bool:
    """Whether a ``wa_id`` may be one person's: no hotline, and nothing that whoever is called earns from."""
    return phonenumbers.number_type(phonenumbers.parse(f"+{number}")) not in _COSTLY


def region_of(number: str) -> str:
    """Return the ISO 3166 code of a number's country, ``ZZ`` where that cannot be told."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or "ZZ"
    except phonenumbers.NumberParseException:
        return "ZZ"


def shown(number: str) -> str:
    """Return a ``wa_id`` as people write it: ``+49 1512 3456789``."""
    try:
        known = phonenumbers.parse(f"+{canonical(number)}")
    except phonenumbers.NumberParseException:
        return f"+{number}" if number else ""
    return phonenumbers.format_number(known, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
