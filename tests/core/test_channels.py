"""Which channel a reply takes, what may leave, and what comes with a message besides words."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from server.core import commands, routing
from server.core.commands import ASSISTANT, SYSTEM
from server.core.conversation import decide
from server.core.errors import BadValue, MessageEmpty
from server.core.events import AnyEvent, Posted, Received
from server.core.model import (
    Address,
    Agreement,
    AsTemplate,
    Channel,
    DeliveryStatus,
    File,
    FileState,
    Heard,
    Purpose,
    Thread,
)
from server.core.owed import Answer, Deliver, Fetch
from server.core.routing import Because, Way
from tests.core.given import (
    ANNA,
    EMPTY,
    LANDLINE,
    MINUTE,
    MOBILE,
    NOON,
    OTHER_MOBILE,
    VISITOR,
    after,
    answer,
    ask,
    decided,
    link,
    reply,
)

SECOND_NUMBER = Address(Channel.WHATSAPP, "4930222", "wa_id", MOBILE.value)
BY_ID = Address(Channel.WHATSAPP, "4930111", "user_id", "DE.1")
ON_WHATSAPP = after(link(), ask(channel=Channel.WHATSAPP, our="4930111"))
BACK_ON_THE_WEB = after(ask("And here?"), thread=ON_WHATSAPP)


def prefer(channel: Channel | None) -> commands.Prefer:
    return commands.Prefer(thread="t1", key="prefer", by=ANNA, channel=channel)


def agree(purpose: Purpose, given: bool, version: str = "") -> commands.Agree:
    said = Agreement(Channel.WHATSAPP, purpose, given, version)
    return commands.Agree(thread="t1", key="agree", by=VISITOR, agreement=said)


def posted(thread: Thread, post: commands.Post) -> Posted:
    event = decided(thread, post)
    assert isinstance(event, Posted)
    return event


def test_a_reply_goes_where_the_person_last_wrote() -> None:
    assert posted(ON_WHATSAPP, reply()).channel is Channel.WHATSAPP
    assert posted(BACK_ON_THE_WEB, reply()).channel is Channel.WEB


def test_or_where_they_would_rather_read_it_except_what_answers_them() -> None:
    prefers = after(prefer(Channel.WHATSAPP), thread=BACK_ON_THE_WEB)

    assert posted(prefers, reply()).channel is Channel.WHATSAPP
    assert posted(prefers, answer(3)).channel is Channel.WEB
    assert posted(after(prefer(Channel.VOICE), thread=ON_WHATSAPP), reply()).channel is Channel.WHATSAPP


def test_staff_may_choose_another_channel_that_is_proven() -> None:
    reply_there = posted(BACK_ON_THE_WEB, reply(on=Channel.WHATSAPP))

    assert reply_there.channel is Channel.WHATSAPP
    assert Deliver(due=NOON, channel=Channel.WHATSAPP, to=MOBILE) in reply_there.owes
    assert posted(after(ask(), link(), ask(channel=Channel.WHATSAPP)), reply(on=Channel.WEB)).channel is Channel.WEB
    for on in (Channel.VOICE, Channel.WEB):
        with pytest.raises(BadValue, match="on"):
            decide(ON_WHATSAPP, reply(on=on), NOON)


def test_the_channels_are_offered_with_why_the_usual_one_first() -> None:
    web, there = Way(Channel.WEB, Because.LAST), Way(Channel.WHATSAPP, Because.PROVEN, MOBILE)

    assert routing.proven_channels(after(ask())) == (web,)
    assert routing.proven_channels(BACK_ON_THE_WEB) == (web, there)
    assert routing.proven_channels(ON_WHATSAPP) == (Way(Channel.WHATSAPP, Because.LAST, MOBILE),)
    assert routing.proven_channels(after(prefer(Channel.WHATSAPP), thread=BACK_ON_THE_WEB)) == (
        Way(Channel.WHATSAPP, Because.PREFERS, MOBILE),
        web,
    )


def test_somebody_who_never_wrote_is_met_where_we_know_them() -> None:
    known = after(link())

    assert routing.proven_channels(known) == (Way(Channel.WHATSAPP, Because.PROVEN, MOBILE),)
    assert routing.reply_address(after(link(LANDLINE))) is None


def test_of_several_numbers_of_ours_the_one_they_last_wrote_to_answers() -> None:
    thread = after(link(), link(SECOND_NUMBER), ask(channel=Channel.WHATSAPP, our="4930111"))

    assert routing.reply_address(thread) == MOBILE
    assert routing.reply_address(after(ask(channel=Channel.WHATSAPP, our="4930222"), thread=thread)) == SECOND_NUMBER


def test_a_number_is_written_to_before_the_ids_that_change_with_it() -> None:
    assert routing.reply_address(after(link(), link(BY_ID), ask(channel=Channel.WHATSAPP, our="4930111"))) == MOBILE
    assert routing.reply_address(after(link(), link(OTHER_MOBILE), ask(channel=Channel.WHATSAPP))) == OTHER_MOBILE


def test_a_number_of_ours_remembers_when_it_was_last_written_to_however_late_messages_come() -> None:
    def write(at: timedelta, our: str = "4930111") -> commands.Post:
        return ask(channel=Channel.WHATSAPP, our=our, said_at=NOON + at)

    thread = after(write(-MINUTE), write(-2 * MINUTE), write(-3 * MINUTE, our="4930222"), write(MINUTE, our="4930333"))

    assert thread.heard == (
        Heard("4930222", NOON - 3 * MINUTE),
        Heard("4930111", NOON - MINUTE),
        Heard("4930333", NOON),
    )


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))])
def test_a_moment_at_the_end_of_time_is_now_and_one_at_its_beginning_is_none(zone: timezone) -> None:
    assert posted(EMPTY, ask(channel=Channel.WHATSAPP, said_at=datetime.max.replace(tzinfo=zone))).said_at == NOON
    for wrong in (datetime.min.replace(tzinfo=zone), NOON.replace(tzinfo=None)):
        with pytest.raises(BadValue, match="said_at"):
            decide(EMPTY, ask(channel=Channel.WHATSAPP, said_at=wrong), NOON)


def test_what_is_past_owes_nothing_and_moves_nothing() -> None:
    old = ask(channel=Channel.WHATSAPP, our="4930111", said_at=NOON - timedelta(days=90), past=True)
    theirs = reply(channel=Channel.WHATSAPP, past=True)

    assert posted(EMPTY, old).owes == ()
    kept = after(old, theirs)
    assert (kept.open, kept.awaits_answer, kept.heard, kept.floor.is_staff, kept.deliveries) == (
        False,
        False,
        (),
        False,
        (),
    )
    assert kept.is_message(1)
    assert kept.is_message(2)


def test_a_file_needs_no_words_and_is_fetched_when_it_is_on_its_way() -> None:
    coming = File("f1", "../a\u202eb.pdf", "application/pdf", state=FileState.FETCHING)

    came = posted(EMPTY, ask("", files=(coming, File("f2"))))

    assert [type(item) for item in came.owes] == [Answer, Fetch]
    assert came.owes[1] == Fetch(due=NOON, media="f1")
    assert came.files[0].name == "../ab.pdf"
    with pytest.raises(MessageEmpty):
        decide(EMPTY, ask(""), NOON)


@pytest.mark.parametrize(
    "files",
    [
        (File("f1"), File("f1")),
        tuple(File(f"f{n}") for n in range(11)),
        (File("f1", state=FileState.FETCHING), File("f2", state=FileState.FETCHING)),
        (File(""),),
        (File("f1", size=-1),),
        (File("f1", type="x" * 200),),
    ],
)
def test_files_that_cannot_be_are_refused(files: tuple[File, ...]) -> None:
    with pytest.raises(BadValue):
        decide(EMPTY, ask("", files=files), NOON)


def test_a_long_name_keeps_its_ending() -> None:
    came = posted(EMPTY, ask("", files=(File("f1", "x" * 400 + ".pdf"),)))

    assert len(came.files[0].name) == 255
    assert came.files[0].name.endswith("x.pdf")


def test_only_we_send_templates_and_only_people_write_what_cannot_be_shown() -> None:
    template = AsTemplate("reminder", "de", (("day", "Freitag"),))

    ours = posted(ON_WHATSAPP, reply(text="", template=template, purpose=Purpose.REMINDERS, unsaid="poll", our="x"))
    theirs = posted(EMPTY, ask("", template=template, purpose=Purpose.NEWS, unsaid="poll", our="4930111"))

    assert (ours.template, ours.purpose, ours.unsaid, ours.our) == (template, Purpose.REMINDERS, None, None)
    assert (theirs.template, theirs.purpose, theirs.unsaid, theirs.our) == (None, Purpose.SERVICE, "poll", "4930111")


def test_reminders_and_news_need_a_yes() -> None:
    yes = after(agree(Purpose.REMINDERS, True), thread=ON_WHATSAPP)

    assert not routing.may_leave(ON_WHATSAPP, Channel.WHATSAPP, Purpose.REMINDERS)
    assert routing.may_leave(yes, Channel.WHATSAPP, Purpose.REMINDERS)
    assert not routing.may_leave(yes, Channel.WHATSAPP, Purpose.NEWS)
    assert not routing.may_leave(yes, Channel.VOICE, Purpose.REMINDERS)
    assert not routing.may_leave(
        after(agree(Purpose.REMINDERS, False), thread=yes), Channel.WHATSAPP, Purpose.REMINDERS
    )


def test_after_a_no_only_the_answer_to_it_leaves_until_they_write_again() -> None:
    asked = after(agree(Purpose.SERVICE, False), thread=ON_WHATSAPP)

    assert not routing.may_leave(asked, Channel.WHATSAPP, Purpose.SERVICE)
    assert routing.may_leave(asked, Channel.WHATSAPP, Purpose.SERVICE, answer=True)
    again = after(ask(channel=Channel.WHATSAPP, our="4930111"), thread=asked, at=NOON + MINUTE)
    assert routing.may_leave(again, Channel.WHATSAPP, Purpose.SERVICE)


def test_the_same_no_twice_is_one() -> None:
    stopped = after(agree(Purpose.NEWS, False), thread=ON_WHATSAPP)

    assert stopped.agreements == (Agreement(Channel.WHATSAPP, Purpose.NEWS, False, at=NOON),)
    assert decide(stopped, agree(Purpose.NEWS, False), NOON + MINUTE) is None
    assert decide(stopped, agree(Purpose.NEWS, False, "v2"), NOON + MINUTE) is not None
    late = replace(agree(Purpose.NEWS, True), agreement=Agreement(Channel.WHATSAPP, Purpose.NEWS, True, at=NOON))
    assert after(late, thread=stopped, at=NOON + MINUTE).agreements[0].at == NOON


def test_only_a_message_can_be_reacted_to_edited_or_taken_back() -> None:
    about: dict[str, Any] = {"thread": "t1", "key": "k", "by": VISITOR}
    for of in (0, -1, 1, 3, 2**70):  # the first is the address that was linked
        for command in (
            commands.React(**about, of=of, emoji="x"),
            commands.Edit(**about, of=of, text="x"),
            commands.Revoke(**about, of=of),
            commands.ChangeFile(**about, of=of, file=File("f1")),
            commands.Transcribe(**about, of=of, text="x"),
        ):
            with pytest.raises(BadValue, match="of"):
                decide(ON_WHATSAPP, command, NOON)


def test_a_note_of_the_assistant_about_nothing_asked_goes_to_the_preferred_channel() -> None:
    told = commands.Post(thread="t1", key="r", by=ASSISTANT, text="See you.", purpose=Purpose.REMINDERS)
    prefers = after(prefer(Channel.WHATSAPP), thread=BACK_ON_THE_WEB)

    assert posted(prefers, told).channel is Channel.WHATSAPP
    assert posted(prefers, replace(told, by=SYSTEM)).owes == (Deliver(due=NOON, channel=Channel.WHATSAPP, to=MOBILE),)


def test_what_was_written_down_before_there_were_files_and_templates_is_still_read() -> None:
    old = b"""{"kind":"posted","thread":"t1","seq":1,"sender":"person:v7q","key":"k","at":"2026-11-23T12:00:00Z",
        "role":"person","channel":"whatsapp","text":"Hi"}"""
    receipt = b"""{"kind":"receipt","thread":"t1","seq":2,"sender":"system","key":"r","at":"2026-11-23T12:00:00Z",
        "role":"system","receipt":{"of":1,"status":5}}"""

    post, received = msgspec.json.decode(b"[%b,%b]" % (old, receipt), type=list[AnyEvent])

    assert isinstance(post, Posted)
    assert (post.text, post.files, post.template, post.past) == ("Hi", (), None, False)
    assert isinstance(received, Received)
    assert received.receipt.status is DeliveryStatus.DELIVERED
