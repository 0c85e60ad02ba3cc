"""Saying something: who may, how much of it, and what of it stays."""

from datetime import timedelta

import msgspec
import pytest

from server.core import commands, owed
from server.core.commands import ASSISTANT, SYSTEM
from server.core.conversation import RULES, decide
from server.core.errors import BadValue, ConsentNeeded, MessageEmpty, MessageTooLong
from server.core.events import Posted
from server.core.evolving import evolve
from server.core.model import MAX_TEXT, Channel, Choice, Floor, FloorKind, Handover, Link, Role, Rules, Thread
from tests.core.given import (
    ANNA,
    EMPTY,
    HOURS,
    NOON,
    SECOND,
    VISITOR,
    after,
    answer,
    ask,
    close,
    decided,
    link,
    note,
    reply,
    take,
    tell,
)

NOTICE = Rules(consent="2026-11-01")


def test_a_persons_first_post_is_event_one_and_owes_an_answer_in_a_moment() -> None:
    asked = commands.Post(
        thread="t1", key="k1", by=VISITOR, text="Grüß Gott!", language="de", choice="hours", about="my son"
    )

    assert decide(EMPTY, asked, NOON) == Posted(
        thread="t1",
        seq=1,
        sender="person:v7q",
        key="k1",
        at=NOON,
        role=Role.PERSON,
        channel=Channel.WEB,
        text="Grüß Gott!",
        language="de",
        choice="hours",
        about="my son",
        owes=(owed.Answer(due=NOON + 3 * SECOND),),
    )


def test_a_persons_first_post_opens_the_conversation() -> None:
    assert after(ask(language="de")) == Thread(
        id="t1",
        seq=1,
        open=True,
        language="de",
        created_at=NOON,
        updated_at=NOON,
        first_person=1,
        last_person=1,
        last_person_at=NOON,
        last_message=1,
        said=0b1,
    )


def test_the_assistants_answer_says_what_it_covers_and_why() -> None:
    choices, links = (Choice("person", "A person, please"),), (Link("https://clinic.example/hours", "Opening hours"),)

    assert decide(after(ask()), answer(1, language="en", choices=choices, links=links, why=HOURS), NOON) == Posted(
        thread="t1",
        seq=2,
        sender="assistant",
        key="answer:1",
        at=NOON,
        role=Role.ASSISTANT,
        channel=Channel.WEB,
        text="From eight to six.",
        language="en",
        choices=choices,
        links=links,
        covers=1,
        why=HOURS,
    )


def test_an_answer_settles_what_it_covers_and_is_remembered_as_a_fact() -> None:
    asked = after(ask())
    answered = evolve(asked, decided(asked, answer(1, why=HOURS), NOON + SECOND))

    assert answered == msgspec.structs.replace(
        asked,
        seq=2,
        updated_at=NOON + SECOND,
        first_person=0,
        answered=1,
        last_reply=2,
        last_message=2,
        said=0b11,
        entry="opening-hours",
        facts=answered.facts,
    )
    assert [(fact.at, fact.channel, fact.entry, fact.title) for fact in answered.facts] == [
        (NOON + SECOND, Channel.WEB, "opening-hours", "Opening hours")
    ]


def test_one_answer_covers_all_posts_so_far() -> None:
    answered = after(ask(), ask("And on Sunday?"), ask("Hello?"), answer(3))

    assert (answered.answered, answered.first_person, answered.awaits_answer) == (3, 0, False)


def test_an_answer_that_covers_nothing_new_changes_nothing() -> None:
    assert decide(after(ask(), answer(1)), answer(1), NOON) is None
    assert decide(after(ask(), ask("And on Sunday?"), answer(2)), answer(1), NOON) is None


def test_an_answer_leaves_what_came_after_it_unanswered() -> None:
    answered = after(ask(), ask("And on Sunday?"), answer(1))

    assert (answered.answered, answered.first_person, answered.awaits_answer) == (1, 2, True)


def test_an_answer_cannot_cover_what_has_not_been_said() -> None:
    early = decided(after(ask()), answer(1_000_000))

    assert isinstance(early, Posted)
    assert early.covers == 1
    assert after(ask(), answer(1_000_000), ask("And on Sunday?")).awaits_answer


def test_only_the_last_three_topics_are_kept_each_once() -> None:
    def about(entry: str, covers: int) -> commands.Post:
        return answer(covers, why=msgspec.structs.replace(HOURS, entry=entry, title=entry.title()))

    thread = after(*(step for n, entry in enumerate("abcab") for step in (ask(), about(entry, 2 * n + 1))))

    assert [fact.entry for fact in thread.facts] == ["c", "a", "b"]


def test_a_question_that_was_missed_is_counted_until_one_is_understood() -> None:
    missed_twice = after(ask(), answer(1, missed=True), ask(), answer(3, missed=True, why=HOURS))

    assert (missed_twice.misses, missed_twice.entry, missed_twice.facts) == (2, None, ())
    assert after(ask(), answer(5), thread=missed_twice).misses == 0


def test_staff_may_write_at_any_moment_and_have_the_floor_by_it() -> None:
    assert decide(after(ask()), reply(), NOON) == Posted(
        thread="t1",
        seq=2,
        sender="staff:anna",
        key="reply",
        at=NOON,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        channel=Channel.WEB,
        text="Please come at nine.",
        owes=(owed.Wake(due=NOON + timedelta(minutes=30), reason=owed.WakeReason.FLOOR),),
    )
    assert after(ask(), reply()) == Thread(
        id="t1",
        seq=2,
        open=True,
        floor=Floor(FloorKind.STAFF, "anna"),
        floor_seq=2,
        assigned="anna",
        created_at=NOON,
        updated_at=NOON,
        last_person=1,
        last_person_at=NOON,
        answered=1,
        last_reply=2,
        last_staff=2,
        last_staff_by="anna",
        last_message=2,
        said=0b11,
        read_by_staff=1,
    )


def test_staff_who_write_into_a_colleagues_conversation_leave_it_assigned_to_them() -> None:
    by_ben = after(ask(), commands.Assign(thread="t1", key="a", by=ANNA, to="ben"), reply())

    assert (by_ben.assigned, by_ben.floor) == ("ben", Floor.of("anna"))


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b\u2060", "\0"])
def test_a_message_without_words_is_refused(text: str) -> None:
    for command in (ask(text), reply(text=text), tell(text), note(text)):
        with pytest.raises(MessageEmpty):
            decide(EMPTY, command, NOON)


@pytest.mark.parametrize("text", ["a\0b", "half \ud83d of a smile"])
def test_a_message_that_cannot_be_written_down_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="text"):
        decide(EMPTY, ask(text), NOON)


@pytest.mark.parametrize("text", ["😀", "👩‍⚕️", "مرحبا", "?", "1"])
def test_whatever_can_be_seen_is_a_message(text: str) -> None:
    assert after(ask(text)).last_message == 1


def test_a_message_of_exactly_the_limit_fits_and_one_more_does_not() -> None:
    after(ask("x" * MAX_TEXT), note("x" * MAX_TEXT))

    for command in (ask("x" * (MAX_TEXT + 1)), note("x" * (MAX_TEXT + 1))):
        with pytest.raises(MessageTooLong) as refused:
            decide(EMPTY, command, NOON)
        assert (refused.value.length, refused.value.limit, refused.value.code) == (4097, 4096, "message_too_long")


def test_the_limit_is_the_clinics() -> None:
    with pytest.raises(MessageTooLong):
        decide(EMPTY, ask("four"), NOON, Rules(max_text=3))


def test_a_language_is_a_tag_and_not_a_story() -> None:
    for language in ("", "x" * 36):
        with pytest.raises(BadValue, match="language"):
            decide(EMPTY, ask(language=language), NOON)


def test_the_language_of_the_conversation_is_the_last_one_spoken() -> None:
    assert after(ask(language="de"), ask(), ask(language="sv"), reply(language="en")).language == "sv"
    assert after(ask(language="de"), answer(1, language="en")).language == "en"


def test_nothing_is_stored_of_a_web_visitor_who_has_not_agreed() -> None:
    for command in (ask(), ask(consent="2025-01-01")):
        with pytest.raises(ConsentNeeded) as refused:
            decide(EMPTY, command, NOON, NOTICE)
        assert refused.value.version == "2026-11-01"


def test_agreeing_once_is_enough_until_the_notice_changes() -> None:
    agreed = after(ask(consent="2026-11-01"), ask(), rules=NOTICE)

    assert agreed.consent == "2026-11-01"
    with pytest.raises(ConsentNeeded):
        decide(agreed, ask(), NOON, Rules(consent="2027-01-01"))
    assert after(ask(consent="2027-01-01"), thread=agreed, rules=Rules(consent="2027-01-01")).consent == "2027-01-01"


def test_agreeing_to_a_notice_that_is_not_in_force_counts_for_nothing() -> None:
    agreed = after(ask(consent="2026-11-01"), rules=NOTICE)

    assert after(ask(consent="made up"), thread=agreed, rules=NOTICE).consent == "2026-11-01"
    assert after(ask(consent="made up")).consent is None


def test_other_channels_ask_for_consent_in_their_own_way() -> None:
    assert after(ask(channel=Channel.WHATSAPP), rules=NOTICE).channel is Channel.WHATSAPP


def test_staff_and_the_assistant_need_no_consent() -> None:
    agreed = after(ask(consent="2026-11-01"), rules=NOTICE)

    after(answer(1), thread=agreed, rules=Rules(consent="2027-01-01"))
    after(reply(), thread=agreed, rules=Rules(consent="2027-01-01"))


def test_a_person_cannot_say_what_only_the_assistant_says() -> None:
    plain = decided(EMPTY, ask())

    assert plain == decided(
        EMPTY,
        ask(
            choices=(Choice("a", "A"),),
            links=(Link("javascript:alert(1)", "A"),),
            covers=1,
            handover=Handover.URGENT,
            missed=True,
            why=HOURS,
            urgent=True,
        ),
    )


def test_staff_cannot_say_what_only_the_assistant_or_the_person_says() -> None:
    asked = after(ask())

    assert decided(asked, reply()) == decided(
        asked,
        reply(
            covers=1,
            handover=Handover.ASKED,
            missed=True,
            why=HOURS,
            urgent=True,
            choice="a",
            consent="2026-11-01",
            about="me",
        ),
    )


def test_a_reply_may_name_a_message_but_nothing_else() -> None:
    thread = after(ask(), note(), reply())

    quoted = [decided(thread, ask(reply_to=seq)) for seq in (0, 1, 2, 3, 4, -1, 2**63)]

    assert [event.reply_to for event in quoted if isinstance(event, Posted)] == [None, 1, None, 3, None, None, None]


def test_the_system_speaks_with_the_assistants_voice_and_under_its_own_name() -> None:
    said = decided(after(ask()), commands.Post(thread="t1", key="s", by=SYSTEM, text="Somebody has read it."))

    assert (said.role, said.sender, said.by) == (Role.SYSTEM, "system", "")


def test_a_post_reopens_what_was_closed() -> None:
    closed = after(ask(), reply(), close())

    assert not closed.open
    assert after(ask(), thread=closed).open
    assert after(reply(), thread=closed).open
    assert after(take(), thread=closed).open


def test_a_reminder_of_the_assistant_does_not_reopen_what_was_closed() -> None:
    assert not after(ask(), answer(1), close(), tell("Your appointment is tomorrow at nine.")).open


def test_a_persons_post_shows_that_they_have_read_the_last_reply() -> None:
    assert after(ask(), answer(1), ask()).read_by_person == 2


def test_every_sender_has_keys_of_their_own() -> None:
    assert [actor.sender for actor in (VISITOR, ANNA, ASSISTANT, SYSTEM)] == [
        "person:v7q",
        "staff:anna",
        "assistant",
        "system",
    ]


def test_a_reply_on_whatsapp_owes_its_delivery_and_is_waited_for() -> None:
    thread = after(link(), ask(channel=Channel.WHATSAPP))

    replied = decided(thread, reply())

    assert isinstance(replied, Posted)
    assert (replied.channel, [owed.kind_of(item) for item in replied.owes]) == (Channel.WHATSAPP, ["deliver", "wake"])
    assert [(each.of, each.part, each.status.name) for each in evolve(thread, replied).deliveries] == [(3, 0, "QUEUED")]


def test_a_post_keeps_the_moment_it_was_asked_at() -> None:
    later = NOON + timedelta(hours=3)
    thread = after(ask(), thread=after(ask()), at=later)

    assert (thread.created_at, thread.updated_at, thread.last_person_at) == (NOON, later, later)


def test_the_figures_are_the_clinics() -> None:
    quick = Rules(answer_lead=timedelta(seconds=1), floor_idle=timedelta(minutes=10))

    assert [item.due - NOON for item in decided(EMPTY, ask(), rules=quick).owes] == [timedelta(seconds=1)]
    assert [item.due - NOON for item in decided(EMPTY, reply(), rules=quick).owes] == [timedelta(minutes=10)]
    assert RULES.floor_idle == timedelta(minutes=30)
