"""Passes and tickets: signed with one algorithm, for one purpose, for a while."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from server.web.passes import Pass, Passes, PassExpired, PassInvalid, derived_key

SECRET = "a secret of more than thirty-two characters"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PASSES = Passes(SECRET)
MINE = Pass("thread1", "demo", "visitor1", "de", NOON + timedelta(minutes=15))
TOKEN = PASSES.make(MINE)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def header_of(token: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    return found


def test_a_pass_says_what_was_put_into_it() -> None:
    assert PASSES.read(TOKEN, NOON) == MINE


def test_a_pass_ends_with_its_time_and_not_a_second_later() -> None:
    assert PASSES.read(TOKEN, NOON + timedelta(minutes=14, seconds=59)) == MINE
    with pytest.raises(PassExpired):
        PASSES.read(TOKEN, NOON + timedelta(minutes=15))


def test_what_a_pass_says_of_its_own_algorithm_is_not_believed() -> None:
    _, body, signature = TOKEN.split(".")
    kid = header_of(TOKEN)["kid"]
    sha512 = hmac.new(derived_key(SECRET, "pass"), b"x", hashlib.sha512).digest()
    for head, end in (
        ({"alg": "none"}, ""),
        ({"alg": "none", "kid": kid}, ""),
        ({"alg": "none", "kid": kid}, signature),
        ({"alg": "HS512", "kid": kid}, base64.urlsafe_b64encode(sha512).rstrip(b"=").decode()),
        ({"alg": "RS256", "kid": kid}, signature),
        ({"kid": kid}, signature),
        ({"alg": "HS256", "kid": [kid]}, signature),
        ({"alg": "HS256", "kid": kid, "crit": ["exp"], "exp": 1}, signature),
        ([], signature),
        ("HS256", signature),
    ):
        with pytest.raises(PassInvalid):
            PASSES.read(f"{part(head)}.{body}.{end}", NOON)


def test_a_pass_with_another_key_or_for_another_purpose_is_none() -> None:
    for token in (
        Passes("another secret of thirty-two characters!").make(MINE),
        PASSES.ticket("session1", NOON),
    ):
        with pytest.raises(PassInvalid):
            PASSES.read(token, NOON)
    with pytest.raises(PassInvalid):
        PASSES.read_ticket(TOKEN, NOON)


def test_an_older_secret_is_still_believed_while_the_new_one_signs() -> None:
    new = "a newer secret, also longer than thirty-two"
    both = Passes([new, SECRET])

    assert both.read(TOKEN, NOON) == MINE
    assert Passes(new).read(both.make(MINE), NOON) == MINE
    with pytest.raises(PassInvalid):
        PASSES.read(both.make(MINE), NOON)


@for_all(st.text(max_size=200))
def test_no_text_at_all_is_a_pass(text: str) -> None:
    with pytest.raises(PassInvalid):
        PASSES.read(text, NOON)


@for_all(st.integers(min_value=0, max_value=len(TOKEN) - 1), st.characters(codec="ascii"))
def test_a_pass_with_one_character_changed_is_none(at: int, other: str) -> None:
    edited = TOKEN[:at] + other + TOKEN[at + 1 :]
    if edited == TOKEN or at == len(TOKEN) - 1:  # the last one carries two bits that mean nothing
        return
    with pytest.raises(PassInvalid):
        PASSES.read(edited, NOON)


def test_no_pass_without_an_end_or_with_claims_of_another_kind() -> None:
    for claims in (
        {"thread": "t", "site": "s", "sub": "v", "lang": "de", "aud": "pass"},
        {"thread": {"$ne": None}, "site": "s", "sub": "v", "lang": "de", "aud": "pass", "exp": 9_999_999_999},
        {"thread": "t", "site": "s", "sub": "v", "lang": "de", "aud": ["pass"], "exp": 9_999_999_999},
        {"thread": "t", "site": "s", "sub": "v", "lang": "de", "aud": "pass", "exp": "9999999999"},
    ):
        signed = f"{part(header_of(TOKEN))}.{part(claims)}"
        mac = hmac.new(derived_key(SECRET, "pass"), signed.encode(), hashlib.sha256).digest()
        token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        with pytest.raises(PassInvalid):
            PASSES.read(token, NOON)
