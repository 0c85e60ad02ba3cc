"""How a call goes, second by second."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.voice.call import (
    Action,
    Alarm,
    Away,
    Begin,
    Call,
    CallBack,
    Came,
    Cut,
    Dial,
    Drop,
    Finish,
    Greeted,
    Happened,
    Hear,
    Nothing,
    Offer,
    Promised,
    Reach,
    Say,
    Switch,
    Tick,
    Told,
    Transfer,
    Urge,
)
from channels.voice.phrases import _SAID, LANGUAGES, Phrase, phrase
from channels.voice.wire import Digit, Failed, Interrupted, Malformed, Prompt, Quiet, Setup, Unknown
from server.core.calling import Turned
from server.core.events import Noted, Posted, Taken
from server.core.model import Channel, Choice, Ending, Handover, Role

SETUP = Setup("CA1", "VX1", "+491713920001", "+493023125100")
NOTICE = ("An assistant speaks.", "Words are written down.")
AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
CHOICES = (Choice("find", "Find a time"), Choice("no", "Not now"))


def post(seq: int, text: str, **fields: Any) -> Happened:
    said: dict[str, Any] = {"role": Role.ASSISTANT, "channel": Channel.VOICE, "language": "en"}
    event = Posted(thread="t", seq=seq, sender="a", key=f"k{seq}", at=AT, text=text, **said | fields)
    return Happened(event)


def took(seq: int) -> Happened:
    return Happened(Taken(thread="t", seq=seq, sender="s", key=f"k{seq}", at=AT, role=Role.STAFF))


class Phone:
    """A call with a clock; speaking takes a second a sentence."""

    def __init__(self, *languages: str) -> None:
        self.call = Call("x", languages or ("en", "de", "sv"), seconds=lambda text: 1.0)
        self.now = 100.0

    def __call__(self, *told: Told) -> list[Action]:
        return [action for each in told for action in self.call.on(each, self.now)]

    def passes(self, seconds: float) -> list[Action]:
        self.now += seconds
        return self(Tick())


@pytest.fixture
def phone() -> Phone:
    """A call whose notice has been heard."""
    phone = Phone()
    phone(SETUP, Greeted(NOTICE, "en"), Quiet())
    return phone


def test_the_notice_comes_first_and_cannot_be_cut_off() -> None:
    phone = Phone()

    assert phone(SETUP) == [Begin(SETUP)]
    assert phone(Greeted(NOTICE, "en")) == [
        Say("An assistant speaks. Words are written down.", "en", last=True, interruptible=False, preemptible=True)
    ]


def test_what_is_said_or_dialled_during_the_notice_counts_once_it_was_heard() -> None:
    phone = Phone()
    phone(SETUP, Prompt("Hello?"), Greeted(NOTICE, "en"))

    assert phone(*(Digit(each) for each in "482913"), Prompt("Do you treat eczema?")) == [Urge("Do you treat eczema?")]
    assert phone(Quiet()) == [
        Hear("x.1", "Hello?"),
        Dial("x.2", "482913"),
        Hear("x.3", "Do you treat eczema?"),
    ]


def test_without_word_from_the_line_the_notice_is_over_when_it_must_have_been_spoken() -> None:
    phone = Phone()
    phone(SETUP, Greeted(NOTICE, "en"), Prompt("Hello?"))

    assert phone.call.due() == 102.5
    assert phone.passes(2.5) == [Hear("x.1", "Hello?")]


def test_a_call_that_comes_back_is_greeted_shortly_and_can_be_interrupted() -> None:
    phone = Phone()

    assert phone(SETUP, Greeted(("I am back.",), "de", resumed=True)) == [
        Begin(SETUP),
        Switch("de"),
        Say("I am back.", "de", interruptible=True),
    ]
    assert phone(Prompt("Gut.")) == [Hear("x.1", "Gut.")]


def chooses(*told: Told) -> tuple[Phone, list[Action]]:
    """A call at a number whose languages nobody can tell apart, of somebody of whom nothing is known."""
    phone = Phone()
    phone.call = Call("x", ("de", "en", "sv"), seconds=lambda text: 1.0, chooses=True)
    phone(SETUP)
    return phone, phone(Greeted(NOTICE, "de", guessed=True), *told)


def test_whose_language_is_not_known_is_asked_in_each_before_anything_else() -> None:
    _, said = chooses()

    assert said == [
        Say("Für Deutsch drücken Sie die Eins, oder sagen Sie: Deutsch.", "de"),
        Say("For English, press two, or say: English.", "en"),
        Say("För svenska, tryck tre, eller säg: svenska.", "sv"),
    ]


@pytest.mark.parametrize(
    ("told", "language"),
    [
        (Prompt("English, please."), "en"),
        (Prompt("Zwei."), "en"),
        (Prompt("Svenska tack"), "sv"),
        (Prompt("drei"), "sv"),
        (Prompt("Ich möchte Deutsch sprechen"), "de"),
        (Nothing(), "de"),
    ],
)
def test_a_language_is_chosen_by_voice_and_what_is_said_first_is_said_in_it(told: Told, language: str) -> None:
    phone, said = chooses(told)

    assert said[-1] == Begin(SETUP, language)
    assert Say(" ".join(NOTICE), language, interruptible=False, preemptible=True) in phone(
        Greeted(NOTICE, language, guessed=True)
    )
    assert phone.call.language == language


def test_a_language_is_chosen_by_a_key() -> None:
    phone, said = chooses(Digit("3"))
    assert said[3:] == []

    assert phone.passes(1.5) == [Begin(SETUP, "sv")]


def test_who_chooses_nothing_is_spoken_to_in_the_first_language() -> None:
    phone, _ = chooses()

    assert phone.call.due() == 108.0
    assert phone.passes(8.0) == [Begin(SETUP, "de")]
    assert phone.call.due() is None


def test_a_code_that_a_link_dials_in_place_of_a_choice_is_a_code() -> None:
    phone, said = chooses(*(Digit(each) for each in "482913"))

    assert said[3:] == [Begin(SETUP, "de")]
    phone(Greeted(NOTICE, "de"))
    assert phone(Quiet()) == [Dial("x.1", "482913")]


def test_what_is_said_in_place_of_a_choice_counts_after_the_notice_and_says_the_language() -> None:
    phone, said = chooses(Prompt("Do you treat eczema?", True, "en"))

    assert said[3:] == [Urge("Do you treat eczema?", "en"), Begin(SETUP, "en")]
    phone(Greeted(NOTICE, "en"))
    assert phone(Quiet()) == [Hear("x.1", "Do you treat eczema?", "en")]


@pytest.mark.parametrize(
    "greeted",
    [Greeted(NOTICE, "sv"), Greeted(("I am back.",), "sv", resumed=True)],
)
def test_whose_language_is_known_is_not_asked(greeted: Greeted) -> None:
    phone = Phone()
    phone.call = Call("x", ("de", "en", "sv"), seconds=lambda text: 1.0, chooses=True)
    phone(SETUP)

    assert phone(greeted)[0] == Switch("sv")


@pytest.mark.parametrize("asked", ["Auf Deutsch, bitte.", "Sprechen Sie Deutsch?", "Can we speak German please"])
def test_who_asks_for_another_language_gets_it(phone: Phone, asked: str) -> None:
    assert phone(Prompt(asked)) == [Switch("de"), Say(phrase(Phrase.SPEAKS, "de"), "de")]
    assert phone(Prompt("Deutsch")) == [Hear("x.1", "Deutsch")]  # it is spoken already


def test_a_number_is_one_to_be_called_back_at_only_for_a_while(phone: Phone) -> None:
    phone(Reach(None), Promised("We will call you back."))
    for word in ("Yes", "Well", "And"):
        phone(Prompt(word))

    assert phone(Prompt("My insurance is 0171 3920002")) == [Hear("x.5", "My insurance is 0171 3920002")]
    assert phone(*(Digit(each) for each in "017139")) == [Dial("x.6", "017139")]


HELP = post(3, "Call 112 now.", handover=Handover.URGENT, urgent=True)


def test_in_an_emergency_what_to_do_is_said_over_the_notice_which_comes_again() -> None:
    phone = Phone()
    phone(SETUP, Greeted(NOTICE, "en"))

    assert phone(Prompt("He does not breathe")) == [Urge("He does not breathe")]
    assert phone(Alarm("Call 112 now.", "en")) == [
        Say("Call 1 1 2 now.", "en"),
        Say(" ".join(NOTICE), "en", interruptible=False, preemptible=True),
    ]
    assert phone(Prompt("Quick!"), Alarm("Call 112 now.", "en")) == []
    assert phone(Quiet()) == [Hear("x.1", "He does not breathe"), Hear("x.2", "Quick!")]
    assert phone(Prompt("He does not breathe")) == [Hear("x.3", "He does not breathe")]


def test_in_an_emergency_nobody_has_to_choose_a_language_first() -> None:
    phone, said = chooses(Prompt("He does not breathe"))

    assert said[3:] == [Urge("He does not breathe"), Begin(SETUP, "de")]
    assert phone(Alarm("Rufen Sie 112.", "de"), Greeted(NOTICE, "de")) == [
        Say("Rufen Sie 1 1 2.", "de"),
        Say(" ".join(NOTICE), "de", interruptible=False, preemptible=True),
    ]


def test_an_emergency_is_told_in_its_own_language_where_a_voice_has_it_and_else_in_the_calls() -> None:
    phone = Phone("de", "fr")
    phone(SETUP)

    assert phone(Prompt("Il ne respire plus", True, "fr")) == [Urge("Il ne respire plus", "fr")]
    assert phone(Alarm("Appelez le 112.", "fr")) == [Say("Appelez le 1 1 2.", "fr")]

    other = Phone("de", "fr")
    other(SETUP)
    assert other(Prompt("Non respira", True, "it")) == [Urge("Non respira")]
    assert other(Alarm("Rufen Sie 112.", "it")) == [Say("Rufen Sie 1 1 2.", "de")]


def test_an_emergency_is_answered_first_and_then_put_through(phone: Phone) -> None:
    assert phone(Came(Turned.POSTED), HELP) == [Say("Call 1 1 2 now.", "en"), Transfer()]
    phone(Reach("+493023125199"))

    assert phone.passes(60.0) == [Finish(Ending.TRANSFERRED, "staff:urgent")]


def test_in_an_emergency_nobody_is_told_to_wait_for_a_call(phone: Phone) -> None:
    phone(Came(Turned.POSTED), HELP)

    assert phone(Reach(None)) == [CallBack("x.1", told=False)]
    assert phone(Promised("")) == []
    assert (
        phone(Prompt("When will they call?"), Came(Turned.POSTED), post(5, "At eight.", handover=Handover.ASKED))[-1]
        == Transfer()
    )
    assert phone(Reach(None)) == [CallBack("x.3")]


def test_a_turn_in_pieces_is_heard_as_a_whole(phone: Phone) -> None:
    assert phone(Prompt("Do you", last=False), Prompt("Do you treat", last=False)) == []
    assert phone(Prompt("Do you treat eczema?")) == [Hear("x.1", "Do you treat eczema?")]
    assert phone(Prompt("And", last=False), Prompt("warts?")) == [Hear("x.2", "And warts?")]
    assert phone(Prompt("")) == []


def test_an_answer_is_spoken_sentence_by_sentence_with_its_choices_by_number(phone: Phone) -> None:
    phone(Prompt("Do you treat eczema?"), Came(Turned.POSTED))

    assert phone(post(3, "Dr. Phillips does. **Shall I look?**", choices=CHOICES)) == [
        Offer(CHOICES),
        Say("Doctor Phillips does.", "en", last=False),
        Say("Shall I look?", "en", last=False),
        Say("Say one for: Find a time, or two for: Not now.", "en", last=True),
    ]


def test_only_what_is_said_to_the_caller_now_is_spoken(phone: Phone) -> None:
    noted = Noted(thread="t", seq=3, sender="s", key="k", at=AT, role=Role.STAFF, text="careful")

    assert phone(post(3, "Hi", role=Role.PERSON), post(4, "Hi", channel=Channel.WEB), Happened(noted)) == []
    assert phone(post(5, "Hi", past=True)) == []
    assert phone(post(6, "Ask her age.", role=Role.STAFF, whisper=True)) == [Say("Ask her age.", "en")]


def test_a_key_takes_a_choice_after_a_moment_and_six_are_a_code(phone: Phone) -> None:
    assert phone(Digit("2")) == []
    assert phone.call.due() == pytest.approx(phone.now + 1.5)
    assert phone.passes(1.5) == [Dial("x.1", "2")]
    assert phone(*(Digit(each) for each in "482913")) == [Dial("x.2", "482913")]
    assert phone(Digit("#")) == []
    assert phone(Digit("1"), Digit("*"), Digit("0"), Digit("#")) == [Dial("x.3", "0")]


@pytest.mark.parametrize(
    ("turned", "said"),
    [
        (Turned.WRONG_CODE, Phrase.WRONG_CODE),
        (Turned.LOCKED, Phrase.LOCKED),
        (Turned.NOTHING, Phrase.NOT_THAT),
    ],
)
def test_what_came_of_a_turn_is_said_where_the_log_does_not(phone: Phone, turned: Turned, said: Phrase) -> None:
    assert phone(Came(turned)) == [Say(phrase(said, "en"), "en")]
    assert phone(Came(Turned.AGAIN)) == []


def test_an_interruption_says_how_much_of_each_message_was_heard(phone: Phone) -> None:
    phone(post(3, "We are open. From eight to six."), post(4, "Come in."))
    phone.now += 1.5

    assert phone(Interrupted("From", 1500)) == [Cut(3, "From"), Cut(4, "")]
    assert phone(Interrupted("Come")) == []


def test_without_words_an_interruption_is_placed_by_the_clock(phone: Phone) -> None:
    phone(post(3, "We are open."), post(4, "Come in."))
    phone.now += 1.5

    assert phone(Interrupted()) == [Cut(4, "")]


def test_an_interruption_is_never_of_a_message_of_another_conversation(phone: Phone) -> None:
    phone(post(3, "Shall I connect this call?"), Digit("1"), Digit("#"))
    assert phone.call.unheard(phone.now) == 3

    assert phone(Came(Turned.PROVEN), Interrupted("Shall I")) == []
    assert phone.call.unheard(phone.now) == 0


def test_what_a_colleague_asks_is_not_answered_with_an_older_choice(phone: Phone) -> None:
    phone(post(3, "Shall I look?", choices=CHOICES))

    told = phone(post(4, "Do you have a fever?", role=Role.STAFF, whisper=True))

    assert told == [Offer(()), Say("Do you have a fever?", "en")]
    assert phone(post(5, "And a rash?", role=Role.STAFF)) == [Say("And a rash?", "en")]


def test_the_language_that_is_heard_is_spoken(phone: Phone) -> None:
    assert phone(Prompt("Behandeln Sie auch Ekzeme?", language="de")) == [
        Switch("de"),
        Hear("x.1", "Behandeln Sie auch Ekzeme?", "de"),
    ]
    assert phone(Prompt("Okay", language="en")) == [Hear("x.2", "Okay")]
    assert phone(post(5, "Ja.", language="sv")) == [Switch("sv"), Say("Ja.", "sv")]


def test_a_language_nobody_speaks_here_is_owned_up_to_once_in_english_and_german(phone: Phone) -> None:
    assert phone(Prompt("Oui", language="fr")) == [Hear("x.1", "Oui")]  # one word may be anything
    assert phone(Prompt("Parlez-vous français ?", language="fr")) == [
        Say(phrase(Phrase.UNSPOKEN, "en"), "en"),
        Say(phrase(Phrase.UNSPOKEN, "de"), "de"),
        Hear("x.2", "Parlez-vous français ?", "fr"),
    ]
    assert phone(Prompt("Allô ?", language="fr")) == [Hear("x.3", "Allô ?")]


def test_silence_is_asked_about_after_ten_seconds_and_ends_the_call_after_thirty(phone: Phone) -> None:
    assert phone.passes(9.9) == []
    assert phone.passes(0.1) == [Say(phrase(Phrase.STILL_THERE, "en"), "en")]
    assert phone.passes(19.9) == []
    assert phone.passes(0.1) == [Say(phrase(Phrase.GOODBYE, "en"), "en")]
    assert phone.passes(1.0) == [Finish(Ending.CLINIC)]
    assert phone.call.due() is None


def test_whoever_speaks_during_the_goodbye_is_heard(phone: Phone) -> None:
    phone.passes(10)
    phone.passes(20)

    assert phone(Prompt("Wait!")) == [Hear("x.1", "Wait!")]
    assert phone.passes(1.0) == []


def test_who_waits_for_an_answer_is_told_so_and_not_sent_away(phone: Phone) -> None:
    phone(Prompt("Do you treat eczema?"), Came(Turned.POSTED))

    assert phone(took(2)) == []
    assert phone.passes(4.0) == [Say(phrase(Phrase.MOMENT, "en"), "en")]
    assert phone.passes(50.0) == []
    assert phone(post(3, "Yes.")) == [Say("Yes.", "en")]


def test_who_gets_no_answer_gets_a_person(phone: Phone) -> None:
    phone(Prompt("A person, please"), Came(Turned.POSTED))
    phone.passes(4.0)

    assert phone.passes(10.9) == []  # counted from the end of what was said meanwhile
    assert phone.passes(0.1) == [Transfer()]
    assert phone(Reach(None)) == [CallBack("x.2")]


def test_a_person_is_put_through_once_that_was_said(phone: Phone) -> None:
    assert phone(post(3, "A colleague will help.", handover=Handover.ASKED)) == [
        Say("A colleague will help.", "en"),
        Transfer(),
    ]
    assert phone(Reach("+493023125199")) == [Say(phrase(Phrase.CONNECTING, "en"), "en")]
    assert phone.passes(2.0) == [Finish(Ending.TRANSFERRED, "staff")]


def test_where_nobody_can_be_reached_staff_call_back_at_the_number_that_is_said(phone: Phone) -> None:
    phone(post(3, "A colleague will help.", handover=Handover.ASKED))

    assert phone(Reach(None)) == [CallBack("x.1")]
    assert phone(Promised("We call you tomorrow.")) == [Say("We call you tomorrow.", "en")]
    assert phone(Prompt("Please call 0171 3920001 at 10")) == [
        Hear("x.2", "Please call 0171 3920001 at 10"),
        CallBack("x.3", "01713920001"),
    ]
    assert phone(*(Digit(each) for each in "01713920002#")) == [CallBack("x.4", "01713920002")]


def test_who_objects_is_put_through_or_told_when_to_call_again(phone: Phone) -> None:
    assert phone(Prompt("Do not record me"), Came(Turned.OBJECTED)) == [
        Hear("x.1", "Do not record me"),
        Say(phrase(Phrase.OBJECTED, "en"), "en"),
        Transfer(),
    ]
    assert phone(Reach(None)) == [Say(phrase(Phrase.OBJECTED_ALONE, "en"), "en")]
    assert phone(Prompt("But")) == [Hear("x.2", "But")]
    assert phone.passes(2.0) == [Finish(Ending.CLINIC)]


def test_when_nothing_can_be_kept_the_caller_goes_to_a_person(phone: Phone) -> None:
    assert phone(Away()) == [Say(phrase(Phrase.AWAY, "en"), "en")]
    assert phone.passes(1.0) == [Finish(Ending.FAILED, "staff:failed")]


def test_a_call_that_cannot_even_be_greeted_goes_to_a_person_too() -> None:
    phone = Phone()
    phone(SETUP)

    assert phone(Away()) == [Say(phrase(Phrase.AWAY, "en"), "en")]
    assert phone.call.due() == 101.0
    assert phone.passes(1.0) == [Finish(Ending.FAILED, "staff:failed")]


def test_between_two_gathers_no_silence_is_heard() -> None:
    call = Call("g", ("en",), seconds=lambda text: 0.0, hears_silence=False)
    for told in (SETUP, Greeted(NOTICE, "en")):
        call.on(told, 0.0)

    assert call.due() is None  # the notice alone takes longer than the silence that ends a call
    assert call.on(Tick(), 100.0) == []


def test_gathers_that_bring_no_word_end_the_call_the_second_time(phone: Phone) -> None:
    assert phone(Nothing()) == [Say(phrase(Phrase.STILL_THERE, "en"), "en")]
    assert phone(Nothing()) == [Say(phrase(Phrase.GOODBYE, "en"), "en")]


def test_ten_messages_that_cannot_be_read_or_come_too_early_end_it() -> None:
    phone = Phone()

    assert phone(Prompt("early"), Digit("1"), Interrupted("x"), *[Malformed("not_json")] * 6) == []
    assert phone(SETUP) == [Begin(SETUP)]
    assert phone(SETUP) == [Drop(1008)]
    assert phone(Prompt("late")) == []


def test_what_nobody_knows_and_what_twilio_could_not_do_changes_nothing(phone: Phone) -> None:
    assert phone(Unknown("info"), Failed()) == []


def test_the_line_speaks_three_languages() -> None:
    assert all(set(said) == set(LANGUAGES) for said in _SAID.values())
    assert phrase(Phrase.GOODBYE, "fr") == phrase(Phrase.GOODBYE, "en")


_told = st.sampled_from(
    [
        SETUP,
        Prompt("Guten Tag zusammen", language="de"),
        Prompt("par", last=False),
        Digit("1"),
        Digit("#"),
        Interrupted("We"),
        Quiet(),
        Malformed("x"),
        Greeted(NOTICE, "en"),
        Came(Turned.POSTED),
        Came(Turned.OBJECTED),
        post(3, "We are open. Hello.", handover=Handover.ASKED),
        Reach("+4930"),
        Reach(None),
        Promised("Later."),
        Nothing(),
        Away(),
        Tick(),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_told, st.floats(0, 40)), max_size=30))
def test_in_whatever_order_things_happen_nothing_is_heard_before_the_notice_and_nothing_after_the_end(
    story: list[tuple[Told, float]],
) -> None:
    phone, greeted, over = Phone(), False, False
    for told, seconds in story:
        phone.now += seconds
        actions = phone(told)
        assert not (over and actions)
        greeted = greeted or (isinstance(told, Greeted) and not over)
        assert greeted or not any(isinstance(each, Hear | Dial) for each in actions)
        over = over or any(isinstance(each, Finish | Drop) for each in actions)
