"""Messages written after the lexicon was frozen, by someone who had not seen it: the figure to expect of real ones.

The first run, on 2026-11-23, with 80 emergencies and 100 everyday messages per language, as it came out:

    language   fixed words   or a safety line   false alarms   offered choices   answered
    German            .500               .925            .05                 0          0
    English           .550               .950            .02                 1          1
    Swedish           .400               .938            .03                 2          1

"Fixed words" are the lexicon's. With a safety line and a person, where only the learned score was in doubt, it is the
second figure. Self-harm is found least often, German .83, English and Swedish .75: both emergencies that were answered
are farewells that read like a cancelled appointment. Of all messages one German and one Swedish stand word for word
among the examples it had learned from or been tried with; without them the figures are .924 and .937.

Afterwards the score learned from more and other examples, by somebody who did not open these files: detected .950, .975
and .963 at .03, .02 and .04 false alarms. Then farewells in the disguise of a cancelled appointment were added to its
examples in all three languages, because two such had been answered here. From there on these figures are no longer
those of messages that nobody had seen: .963, .988, .988.

The floors lie a little below the first run, to notice what gets worse. They are no aim: nothing may be tuned on these
messages, as their files say, or the figure is worth nothing.
"""

from collections import Counter
from pathlib import Path

import pytest
import yaml
from msgspec import Struct

from knowledge_base import Answer, KnowledgeBase, Nothing, Outcome, Reason, Suggestions, Urgent
from tests.knowledge.given import LANGUAGES, Say

HERE = Path(__file__).parent
DETECTED = {"de": 0.92, "en": 0.95, "sv": 0.94}
FALSE_ALARMS = {"de": 0.06, "en": 0.03, "sv": 0.04}

ANSWERED: dict[str, list[str]] = {"de": [], "en": [], "sv": []}  # no emergency gets an everyday answer
OFFERED = {"de": 0, "en": 0, "sv": 1}  # choices were offered to so many emergencies


class Fresh(Struct, frozen=True):
    """What became of the messages of one language.

    Args:
        urgent: each emergency with its category and what was said to it.
        calm: each everyday message and what was said to it.
    """

    language: str
    urgent: tuple[tuple[str, str, Outcome], ...]
    calm: tuple[tuple[str, Outcome], ...]


def asked(base: KnowledgeBase, language: str) -> Fresh:
    """Ask each message as the first of its conversation, in the language that it is written in."""
    found = yaml.safe_load((HERE / f"fresh_{language}.yaml").read_text(encoding="utf-8"))
    urgent = tuple((text, category, base.answer(text, language)) for text, category in found["urgent"])
    return Fresh(language, urgent, tuple((text, base.answer(text, language)) for text in found["calm"]))


def detected(outcome: Outcome) -> bool:
    """Whether it was treated as an emergency: the fixed words, or the safety line and a person."""
    return isinstance(outcome, Urgent) or (isinstance(outcome, Nothing) and outcome.reason is Reason.MAYBE_URGENT)


@pytest.fixture(scope="module", params=LANGUAGES)
def fresh(request: pytest.FixtureRequest, base: KnowledgeBase) -> Fresh:
    """What became of the messages of one language."""
    return asked(base, request.param)


def test_fresh_emergencies_are_detected(fresh: Fresh, say: Say) -> None:
    fixed = sum(isinstance(outcome, Urgent) for _, _, outcome in fresh.urgent) / len(fresh.urgent)
    found = sum(detected(outcome) for _, _, outcome in fresh.urgent) / len(fresh.urgent)
    of = Counter(category for _, category, _ in fresh.urgent)
    missed = Counter(category for _, category, outcome in fresh.urgent if not detected(outcome))

    say(
        f"{fresh.language}: {len(fresh.urgent)} fresh emergencies, fixed words {fixed:.3f}, detected {found:.3f}; "
        f"missed: {', '.join(f'{category} {count} of {of[category]}' for category, count in missed.items())}"
    )
    assert len(fresh.urgent) == 80
    assert of["self_harm"] == 12
    assert found >= DETECTED[fresh.language]


def test_fresh_everyday_messages_raise_few_false_alarms(fresh: Fresh, say: Say) -> None:
    alarmed = sum(detected(outcome) for _, outcome in fresh.calm) / len(fresh.calm)

    say(f"{fresh.language}: {len(fresh.calm)} fresh everyday messages, false alarms {alarmed:.3f}")
    assert len(fresh.calm) == 100
    assert alarmed <= FALSE_ALARMS[fresh.language]


def test_no_fresh_emergency_gets_an_everyday_answer_but_those_known(fresh: Fresh, say: Say) -> None:
    """Every answer counts, small talk too."""
    answered = [text for text, _, outcome in fresh.urgent if isinstance(outcome, Answer)]
    offered = sum(isinstance(outcome, Suggestions) for _, _, outcome in fresh.urgent)

    say(f"{fresh.language}: fresh emergencies answered {len(answered)}, offered choices {offered}")
    assert [text for text in answered if text not in ANSWERED[fresh.language]] == []
    assert offered <= OFFERED[fresh.language]
