"""A visitor's secret is ours to make, and says nothing to anybody who has not the key."""

from hypothesis import given
from hypothesis import strategies as st

from channels.website import RANDOM, TAIL, first_thread, is_ours, new_secret, visitor_hash

KEY, OTHER = b"k" * 32, b"o" * 32


def test_a_secret_that_we_made_is_known_as_ours_by_the_key_it_was_made_with() -> None:
    secret = new_secret(KEY)

    assert len(secret) == RANDOM + TAIL
    assert is_ours(KEY, secret)
    assert not is_ours(OTHER, secret)


def test_no_two_visitors_get_the_same_secret() -> None:
    assert len({new_secret(KEY) for _ in range(100)}) == 100


@given(st.integers(0, RANDOM + TAIL - 1))
def test_a_secret_with_one_character_changed_is_not_ours(place: int) -> None:
    secret = new_secret(KEY)
    changed = "B" if secret[place] != "B" else "C"

    assert not is_ours(KEY, secret[:place] + changed + secret[place + 1 :])


@given(st.text(max_size=200))
def test_whatever_a_stranger_shows_is_looked_at_and_not_ours(shown: str) -> None:
    assert not is_ours(KEY, shown)


def test_name_and_thread_follow_from_the_secret_and_the_key_and_from_nothing_else() -> None:
    assert visitor_hash(KEY, "v") == visitor_hash(KEY, "v")
    assert first_thread(KEY, "v") == first_thread(KEY, "v")
    assert len({visitor_hash(KEY, "v"), first_thread(KEY, "v"), visitor_hash(OTHER, "v"), first_thread(KEY, "w")}) == 4
