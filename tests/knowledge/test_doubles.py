"""Questions that are nearly alike are found among many, the same ones as if each were compared with each."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_base import text as t
from knowledge_base.doubles import _cosine, _weighed, alike

WORD = st.sampled_from(["wann", "haben", "sie", "heute", "offen", "auf", "morgen", "geöffnet", "praxis", "zu"])
QUESTIONS = st.lists(st.lists(WORD, min_size=1, max_size=6).map(" ".join), max_size=12)


@settings(max_examples=60, deadline=None)
@given(questions=QUESTIONS, least=st.sampled_from([0.5, 0.7, 0.92]))
def test_none_is_missed_and_none_is_made_up(questions: list[str], least: float) -> None:
    questions = list(dict.fromkeys(questions))
    counts = [t.grams(t.words(t.fold(question))) for question in questions]
    spread = Counter(gram for count in counts for gram in count)
    rows = [_weighed(count, spread, len(counts)) for count in counts]
    each_with_each = {
        (one, other) for one in range(len(rows)) for other in range(one) if _cosine(rows[one], rows[other]) >= least
    }

    assert set(alike(questions, least)) == each_with_each


def test_the_same_words_are_alike_however_often_they_are_there() -> None:
    assert list(alike(["Wann offen?", "wann OFFEN", "Ganz anders", "Wann, offen!"], 0.92)) == [(1, 0), (3, 0)]
