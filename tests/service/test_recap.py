"""What is said of last time, how we know it, and what a call that has shown nothing never uses."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from server.core.events import Posted
from server.core.model import Assurance, Call, Channel, Fact, Role, Thread
from server.service.recap import asks_how, how, is_kept_apart, last_entry, recap, topic, when_text
from server.service.sentences import say

BERLIN = "Europe/Berlin"
MORNING = datetime(2026, 11, 25, 7, tzinfo=UTC)  # a Wednesday, 08:00 in Berlin
LAST_NIGHT = datetime(2026, 11, 24, 21, tzinfo=UTC)
ECZEMA = Fact(LAST_NIGHT, Channel.WEB, "eczema", "Eczema")
CALL = Call("c1", "+4930", Assurance.PROVEN, MORNING, "en", 5, "code")
KNOWN = Thread(
    "t1", facts=(Fact(LAST_NIGHT - timedelta(days=3), Channel.WEB, "hours", "Hours"), ECZEMA), entry="eczema"
)
SPOKEN = Posted(
    thread="t1", seq=6, sender="p", key="k", at=MORNING, role=Role.PERSON, channel=Channel.VOICE, text="Hello"
)


def test_the_sentence_is_about_the_last_subject_and_says_when() -> None:
    assert recap(KNOWN, MORNING, BERLIN, "en") == "Last night you asked us about this: Eczema."
    assert recap(KNOWN, MORNING, BERLIN, "de") == "Gestern Abend haben Sie uns nach diesem Thema gefragt: Eczema."
    assert recap(KNOWN, MORNING, BERLIN, "sv") == "I går kväll frågade du oss om det här: Eczema."


def test_nothing_is_said_of_this_call_or_of_long_ago() -> None:
    assert recap(KNOWN, LAST_NIGHT + timedelta(days=20), BERLIN, "en") == ""
    assert topic(KNOWN, LAST_NIGHT - timedelta(hours=1)) == KNOWN.facts[0]
    assert recap(Thread("t1"), MORNING, BERLIN, "en") == ""


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (-1, "today"),
        (-6, "last night"),  # two in the morning
        (-11, "last night"),
        (-20, "yesterday"),
        (-3 * 24, "on Sunday"),
        (-10 * 24, "on 15 November"),
    ],
)
def test_when_something_was_is_said_as_people_say_it(hours: int, said: str) -> None:
    assert when_text(MORNING + timedelta(hours=hours), MORNING, BERLIN, "en") == said


@pytest.mark.parametrize(
    "text", ["How do you know that?", "Woher wissen Sie das?", "Hur vet du det?", "how did you even know"]
)
def test_somebody_may_ask_how_we_know(text: str) -> None:
    assert asks_how(text)
    assert not asks_how("What do you know about eczema?")


def test_the_answer_is_what_the_log_has() -> None:
    assert how(KNOWN, CALL, BERLIN, "en") == (
        "I know that because you asked us about it last night in the chat on our website. "
        "That it is you, this call has shown by the code from the chat."
    )
    vouched = how(KNOWN, replace(CALL, proof="caller_id"), BERLIN, "de")
    assert say("recap_caller_id", "de") in vouched


def test_to_whoever_has_shown_nothing_nothing_is_known() -> None:
    unproven = replace(CALL, assurance=Assurance.CALLER_ID)

    assert how(KNOWN, unproven, BERLIN, "en") == say("recap_how_nothing", "en")
    assert how(Thread("t1"), CALL, BERLIN, "en") == say("recap_how_nothing", "en")


def test_a_call_that_has_shown_nothing_follows_up_on_itself_alone() -> None:
    unproven = replace(KNOWN, call=replace(CALL, assurance=Assurance.CALLER_ID))

    assert is_kept_apart(unproven, SPOKEN)
    assert last_entry(unproven, SPOKEN) is None
    assert last_entry(replace(unproven, facts=(replace(ECZEMA, at=MORNING),)), SPOKEN) == "eczema"
    assert last_entry(replace(KNOWN, call=CALL), SPOKEN) == "eczema"
    typed = replace(SPOKEN, channel=Channel.WEB)
    assert last_entry(unproven, typed) == "eczema"
