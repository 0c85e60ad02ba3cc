"""What comes of everything that arrives: in the right conversation, once, and with what it means."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from channels.whatsapp.wire import Person
from server.core import choices, commands
from server.core.commands import Move, person
from server.core.errors import Unavailable
from server.core.events import AddressLinked, AgreementChanged, AnyEvent, Edited, Named, Posted, Reacted, Revoked
from server.core.model import (
    Address,
    Assurance,
    Channel,
    Choice,
    File,
    FileState,
    Floor,
    Heard,
    Linked,
    Purpose,
    Role,
)
from server.core.owed import kind_of
from server.core.sending import Place
from server.service.conversations import Conversations
from tests.channels.whatsapp.given import CONTACT, MOBILE, OUR, SECONDS, SENT_AT, body, form, message, value
from tests.channels.whatsapp.world import World, echo, reply, status, text, world
from tests.service.given import ANNA, house, take

YES, NO = Choice("yes", "Ja, gern"), Choice("no", "Nein")
FRIDAY, MONDAY = Choice("fri", "Freitag 14:00"), Choice("mon", "Montag 10:00")
HOURS = 3600


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as here:
        yield here


# who ----------------------------------------------------------------------------------------------------------------


async def test_a_first_message_opens_a_conversation_that_knows_how_to_answer(here: World) -> None:
    read = await here.writes(text("Wann haben Sie offen?"))

    assert (read.done, read.unreadable, read.failed) == (1, 0, 0)
    linked, named, posted = await here.log()
    assert isinstance(linked, AddressLinked)
    assert isinstance(named, Named)
    assert isinstance(posted, Posted)
    assert (posted.text, posted.channel, posted.role) == ("Wann haben Sie offen?", Channel.WHATSAPP, Role.PERSON)
    assert posted.said_at == SENT_AT
    state = await here.state()
    assert state.addresses == (Linked(Address(Channel.WHATSAPP, OUR, "wa_id", MOBILE), Assurance.PROVEN),)
    assert (state.name, state.heard) == ("Sarah", (Heard(OUR, SENT_AT),))
    assert [kind_of(due.item) for due in await here.store.owed(state.id, "answer")] == ["answer"]
    assert here.read_marks == ["wamid.ONE"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("5511987654321", "551187654321"), ("5491123456789", "541123456789"), ("5215512345678", "525512345678")],
)
async def test_both_ways_of_writing_a_number_are_one_person_and_answers_go_to_the_one_that_was_given(
    here: World, one: str, other: str
) -> None:
    for number, id in ((one, "wamid.1"), (other, "wamid.2")):
        await here.writes(text("Olá", id, **{"from": number}), contacts=())

    assert len(await here.whole_log()) == 1
    assert [each.text for each in await here.posts(Person(wa_id=other))] == ["Olá", "Olá"]
    given = {each.address.value for each in (await here.state(Person(wa_id=one))).addresses}
    assert given == {one, other}


async def test_what_the_provider_calls_a_message_is_noted_with_its_place(here: World) -> None:
    await here.writes(text("Hallo", "wamid.1"), text("Und noch etwas.", "wamid.2"))
    thread = await here.thread()

    assert here.names == {Place(thread, 3): (OUR, "wamid.1"), Place(thread, 4): (OUR, "wamid.2")}


async def test_somebody_without_a_number_is_known_by_their_id_and_later_by_their_number(here: World) -> None:
    scoped = {"from_user_id": "DE.abc123", "from": None}
    await here.writes(text("Hallo", "wamid.1", **scoped), contacts=())
    await here.writes(text("Ich bin es", "wamid.2", from_user_id="DE.abc123"), contacts=())
    await here.writes(text("Wieder ich", "wamid.3"), contacts=())

    assert [each.text for each in await here.posts()] == ["Hallo", "Ich bin es", "Wieder ich"]
    assert await here.find(Person(user_id="DE.abc123")) == await here.thread()


async def test_a_new_number_leads_to_the_same_conversation_and_the_old_one_is_given_up(here: World) -> None:
    new = "4915199999999"
    await here.writes(text("Hallo"))
    changed = {"type": "user_changed_number", "wa_id": new, "body": "..."}
    await here.writes({"id": "wamid.S", "from": MOBILE, "timestamp": str(SECONDS), "type": "system", "system": changed})
    await here.writes(text("Neues Handy", "wamid.2", **{"from": new}), contacts=())

    assert [each.text for each in await here.posts(Person(wa_id=new))] == ["Hallo", "Neues Handy"]
    assert await here.find() is None  # whoever gets the old number next is somebody else


async def test_a_message_for_another_number_and_one_in_a_group_are_nobodys_here(here: World) -> None:
    other = value(contacts=[CONTACT], messages=[text("Hallo")])
    other["metadata"]["phone_number_id"] = "999"
    await here.arrives(body(other))
    await here.writes(text("Hallo zusammen", group_id="G1"))

    assert await here.whole_log() == {}
    assert here.arriving.arrived == {"not_ours": 1, "group": 1}


async def test_a_code_from_another_door_leads_to_the_conversation_it_is_from(here: World) -> None:
    await here.says(commands.Post(thread="web", key="k", by=person("v"), text="Guten Abend"))
    here.codes["ABCD-1234"] = "web"

    await here.writes(text("Ich möchte hier weitermachen: ABCD-1234"))

    assert await here.thread() == "web"
    assert [each.text for each in await here.posts()] == ["Guten Abend", "Ich möchte hier weitermachen: ABCD-1234"]


async def test_a_conversation_that_goes_on_elsewhere_takes_what_comes_there_and_knows_what_came_before(
    here: World,
) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    was = await here.thread()
    await here.says(commands.Post(thread="web", key="k", by=person("v"), text="Guten Abend"))
    await here.says(Move(thread=was, key="m", by=ANNA, to="web"))
    await here.says(commands.Join(thread="web", key="j", by=commands.SYSTEM, other=was, upto=9))

    await here.writes(text("Hallo", "wamid.1"), text("Und weiter", "wamid.2"))

    posts = [event.text for event in await here.store.since("web", 0) if isinstance(event, Posted)]
    assert posts == ["Guten Abend", "Und weiter"]


class Unwell:
    """Conversations that cannot take in the first message, once."""

    def __init__(self, conversations: Conversations) -> None:
        self.thread, self.handle_well, self.well = conversations.thread, conversations.handle, False

    async def handle(self, command: commands.AnyCommand) -> object:
        if isinstance(command, commands.Post) and not self.well:
            self.well = True
            raise Unavailable
        return await self.handle_well(command)


async def test_nothing_from_one_person_overtakes_what_could_not_happen(here: World) -> None:
    arriving = here.process(Unwell(here.conversations))  # type: ignore[arg-type]  # it has what is asked of it
    bodies = [
        body(value(contacts=[CONTACT], messages=[text("eins", "wamid.1"), text("zwei", "wamid.2")])),
        body(value(contacts=[CONTACT], messages=[text("drei", "wamid.3")])),
    ]

    first = await asyncio.gather(*(arriving.read("whatsapp:main", each) for each in bodies), return_exceptions=True)
    assert [type(each) for each in first] == [Unavailable, Unavailable]
    assert await here.posts() == []

    for each in bodies:
        await arriving.read("whatsapp:main", each)
    assert [each.text for each in await here.posts()] == ["eins", "zwei", "drei"]


# what ---------------------------------------------------------------------------------------------------------------


async def test_a_conversation_that_moved_on_many_times_is_found_all_the_same(here: World) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    thread = await here.thread()
    for number in range(12):
        await here.says(commands.Post(thread=f"t{number}", key="q", by=person("v"), text="Hello"))
        await here.says(Move(thread=thread, key="move", by=ANNA, to=f"t{number}", reason="known"))
        thread = f"t{number}"
    await here.writes(text("Noch da?", "wamid.2"))

    assert [event.text for event in await here.store.newest("t11") if isinstance(event, Posted)][-1] == "Noch da?"


@pytest.mark.parametrize("blank", ["\u200b", "\u200b\u2060 \n", "\u202e"])
async def test_what_nobody_can_see_stands_there_as_something_that_cannot_be_shown(here: World, blank: str) -> None:
    read = await here.writes(text(blank))
    posted = await here.last()

    assert (read.done, read.unreadable) == (1, 0)
    assert (posted.text, posted.unsaid) == ("[Eine Nachricht, die hier nicht angezeigt werden kann]", "unsupported")
    assert (await here.writes(edit("wamid.ONE", "\u200b"))).unreadable == 0


async def test_what_becomes_of_a_message_stays_with_it_when_the_conversation_goes_on_elsewhere(here: World) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    was = (await here.last()).thread
    await here.says(*(commands.Post(thread="web", key=f"k{n}", by=person("v"), text=f"{n}") for n in range(5)))
    await here.says(Move(thread=was, key="m", by=ANNA, to="web"))
    await here.says(commands.Join(thread="web", key="j", by=commands.SYSTEM, other=was, upto=9))
    head = (await here.conversations.refresh("web")).seq

    heart = message("reaction", id="wamid.R", reaction={"message_id": "wamid.1", "emoji": "❤️"})
    await here.writes(edit("wamid.1", "Guten Tag"), heart)

    assert await here.store.since("web", head) == []
    done = [event for event in await here.store.since(was, 0) if isinstance(event, Edited | Reacted)]
    assert [(event.key.partition(":")[0], event.of) for event in done] == [("wa", 3)] * 2


async def test_half_an_emoji_in_one_message_costs_no_other(here: World) -> None:
    raw = body(value(contacts=[CONTACT], messages=[text("Hallo CUT", "wamid.1"), text("Und noch etwas.", "wamid.2")]))
    read = await here.arrives(raw.replace(b"CUT", b"\\ud83d"))

    assert read.done == 2
    assert [post.text for post in await here.posts()] == ["Hallo \ufffd", "Und noch etwas."]


async def test_a_long_text_comes_in_parts_and_nothing_of_it_is_lost(here: World) -> None:
    words = " ".join(f"Wort{number}." for number in range(1500))
    await here.writes(text(words))
    await here.writes(text(words))

    posts = await here.posts()
    assert all(len(each.text) <= 4096 for each in posts)
    assert " ".join(each.text for each in posts) == words


CAME: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("location", {"location": {"latitude": 52.5, "longitude": 13.4, "name": "Praxis"}}, "Standort: Praxis", None),
    (
        "contacts",
        {"contacts": [{"name": {"formatted_name": "Tom"}, "phones": [{"phone": "1"}]}]},
        "Kontakt: Tom, 1",
        None,
    ),
    (
        "unsupported",
        {"errors": [{"code": 131051}]},
        "[Eine Nachricht, die hier nicht angezeigt werden kann]",
        "unsupported",
    ),
    ("tomorrows_type", {}, "[Eine Nachricht, die hier nicht angezeigt werden kann]", "unsupported"),
    ("text", {"text": {"body": "\u2003 "}}, "[Eine Nachricht, die hier nicht angezeigt werden kann]", "unsupported"),
]


@pytest.mark.parametrize(("type", "more", "said", "unsaid"), CAME)
async def test_what_is_no_text_is_put_into_words(
    here: World, type: str, more: dict[str, Any], said: str, unsaid: str | None
) -> None:
    await here.writes(message(type, **more))

    last = await here.last()
    assert (last.text, last.unsaid) == (said, unsaid)


async def test_a_file_is_announced_before_it_is_there(here: World) -> None:
    audio = {"id": "M1", "mime_type": "audio/ogg; codecs=opus", "sha256": "abc", "voice": True}
    await here.writes(message("audio", audio=audio))

    last = await here.last()
    assert last.files == (File("file-M1", "", "audio/ogg; codecs=opus", 0, FileState.FETCHING, voice=True),)
    assert (last.text, last.unsaid) == ("[Sprachnachricht]", "voice")
    assert [(each.account, each.media, each.sha256) for each in here.origins] == [("main", "M1", "abc")]
    assert [kind_of(due.item) for due in await here.store.owed(last.thread, "fetch")] == ["fetch"]


async def test_a_picture_with_words_says_those_words(here: World) -> None:
    await here.writes(message("image", image={"id": "M1", "mime_type": "image/jpeg", "caption": "Mein Knie"}))

    assert ((last := await here.last()).text, last.unsaid, len(last.files)) == ("Mein Knie", None, 1)


async def test_a_file_the_provider_has_not_got_has_failed(here: World) -> None:
    await here.writes(message("video", video={"mime_type": "video/mp4"}))

    assert [file.state for file in (await here.last()).files] == [FileState.FAILED]


# what is done to messages -------------------------------------------------------------------------------------------


def edit(target: str, said: str, id: str = "wamid.E") -> dict[str, Any]:
    about = {"original_message_id": target, "message": {"type": "text", "text": {"body": said}}}
    return message("edit", id=id, edit=about)


def revoke(target: str, id: str = "wamid.R") -> dict[str, Any]:
    return message("revoke", id=id, revoke={"original_message_id": target})


async def test_an_edit_is_applied_to_its_message_also_when_it_comes_first(here: World) -> None:
    await here.writes(text("Um drei", "wamid.1"))
    await here.writes(edit("wamid.1", "Um vier"))
    await here.writes(edit("wamid.2", "Danke sehr", "wamid.F"))
    await here.writes(text("Danke", "wamid.2"))

    assert [each.text for each in await here.posts()] == ["Um drei", "Danke sehr"]
    edited = [event for event in await here.log() if isinstance(event, Edited)]
    assert [(each.of, each.text) for each in edited] == [((await here.posts())[0].seq, "Um vier")]


async def test_a_message_taken_back_before_it_came_never_shows_its_words(here: World) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    await here.writes(revoke("wamid.2"))
    await here.writes(text("Mein Passwort", "wamid.2"))
    await here.writes(revoke("wamid.1", "wamid.R2"))

    assert [each.text for each in await here.posts()] == ["Hallo", "[Nachricht zurückgezogen]"]
    assert [event.of for event in await here.log() if isinstance(event, Revoked)] == [(await here.posts())[0].seq]


async def test_an_edit_of_a_long_message_changes_adds_and_takes_back_parts(here: World) -> None:
    await here.writes(text("a " * 4000, "wamid.1"))
    assert len(await here.posts()) == 2

    await here.writes(edit("wamid.1", "kurz"))

    first, second = await here.posts()
    assert [(event.of, event.text) for event in await here.log() if isinstance(event, Edited)] == [(first.seq, "kurz")]
    assert [event.of for event in await here.log() if isinstance(event, Revoked)] == [second.seq]


async def test_a_reaction_waits_for_its_message_and_is_put_on_it(here: World) -> None:
    reaction = message("reaction", id="wamid.R", reaction={"message_id": "wamid.OURS", "emoji": "❤️"})
    await here.writes(text("Hallo"))
    early = await here.writes(reaction)
    of = await here.asks("Guten Tag", id="wamid.OURS")

    assert (early.early, (await here.writes(reaction)).early) == (1, 0)
    gone = message("reaction", id="wamid.S", reaction={"message_id": "wamid.OURS"})
    await here.writes(gone)
    assert [(e.of, e.emoji) for e in await here.log() if isinstance(e, Reacted)] == [(of, "❤️"), (of, "")]


async def test_a_reaction_whose_message_never_comes_is_let_go_at_last(here: World) -> None:
    reaction = message("reaction", id="wamid.R", reaction={"message_id": "wamid.NONE", "emoji": "❤️"})
    raw = body(value(contacts=[CONTACT], messages=[text("Hallo"), reaction]))

    assert [(await here.arrives(raw)).early, (await here.arrives(raw, last=True)).early] == [1, 0]


# people as they write -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["ja", "Ja bitte", "1", "👍", "JA!"])
async def test_a_typed_yes_is_the_tap_when_one_question_is_open(here: World, typed: str) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    question = await here.asks("Soll ich nachsehen?", YES, NO)

    await here.writes(text(typed, "wamid.2"))

    last = await here.last()
    assert (last.text, last.choice, last.reply_to) == (typed, "yes", question)


async def test_a_thumb_on_the_question_is_the_tap(here: World) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    question = await here.asks("Soll ich nachsehen?", YES, NO, id="wamid.Q")

    thumb = message("reaction", id="wamid.2", reaction={"message_id": "wamid.Q", "emoji": "👍"})
    await here.writes(thumb)
    await here.writes(thumb)

    assert ((last := await here.last()).choice, last.reply_to, last.text) == ("yes", question, "👍")
    assert not any(isinstance(event, Reacted) for event in await here.log())


async def test_with_two_questions_open_it_is_asked_which(here: World) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    one = await here.asks("Soll ich nachsehen?", YES, NO, id="wamid.Q1")
    two = await here.asks("Möchten Sie eine Erinnerung?", Choice("remind", "Ja"), Choice("quiet", "Nein"))

    await here.writes(text("ja", "wamid.2"))
    assert (await here.last()).choice == choices.which([(one, "yes"), (two, "remind")])
    await here.writes(text("ja", "wamid.3", **reply("wamid.Q1")))
    assert ((last := await here.last()).choice, last.reply_to) == ("yes", one)


async def test_a_question_that_was_answered_is_open_no_more(here: World) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    await here.asks("Soll ich nachsehen?", YES, NO)
    question = await here.asks("Wann?", FRIDAY, MONDAY)
    await here.writes(text("ja", "wamid.2"), text("Freitag", "wamid.3"), text("ja", "wamid.4"))

    assert [(each.choice, each.reply_to) for each in (await here.posts())[-2:]] == [("fri", question), (None, None)]


async def test_a_tapped_button_is_its_choice_and_names_its_question(here: World) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    question = await here.asks("Wann?", FRIDAY, MONDAY)

    await here.writes(
        message(
            "interactive",
            id="wamid.2",
            interactive={"type": "button_reply", "button_reply": {"id": "mon", "title": "Montag 10:00"}},
        ),
        message(
            "interactive",
            id="wamid.3",
            interactive={"type": "list_reply", "list_reply": {"id": f"of:{question}:fri", "title": "Fr"}},
        ),
    )

    tapped = [(each.text, each.choice, each.reply_to) for each in (await here.posts())[-2:]]
    assert tapped == [("Montag 10:00", "mon", question), ("Fr", "fri", question)]


async def test_stop_ends_everything_at_once_and_is_confirmed_once(here: World) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    await here.writes(text("S\u200bTOPP!", "wamid.2"))
    await here.writes(text("STOP", "wamid.3"))

    one, two = (await here.posts())[-2:]
    assert (one.choice, one.past, two.past) == (choices.STOP, False, True)
    agreements = (await here.state()).agreements
    assert {(each.purpose, each.given, each.source) for each in agreements} == {
        (purpose, False, "whatsapp") for purpose in Purpose
    }
    assert len([event for event in await here.log() if isinstance(event, AgreementChanged)]) == 3


async def test_stop_inside_a_sentence_is_asked_about_and_ends_nothing(here: World) -> None:
    await here.writes(text("Bitte abmelden von den Erinnerungen, aber nicht vom Termin"))

    assert (await here.last()).choice == choices.ASK_STOP
    assert (await here.state()).agreements == ()


async def test_start_begins_again_what_was_ended_and_is_a_word_for_everybody_else(here: World) -> None:
    await here.writes(text("Start", "wamid.0"))
    assert (await here.last()).choice is None
    await here.writes(text("Stop", "wamid.1"), text("START", "wamid.2"))
    await here.writes(text("Stop", "wamid.1"))  # it came again, late

    assert all(each.given for each in (await here.state()).agreements)


async def test_while_staff_have_the_floor_nothing_is_marked_as_read_by_itself(here: World) -> None:
    await here.writes(text("Hallo", "wamid.1"))
    await here.says(take(ANNA, thread=await here.thread()))
    await here.writes(text("Sind Sie da?", "wamid.2"))

    assert here.read_marks == ["wamid.1"]


# what is not said to us now -----------------------------------------------------------------------------------------


async def test_what_staff_type_in_the_app_is_theirs_and_nothing_follows_from_it(here: World) -> None:
    await here.arrives(echo("Wir melden uns"))

    last = await here.last()
    assert (last.role, last.name, last.past, last.channel) == (Role.STAFF, "WhatsApp", True, Channel.WHATSAPP)
    state = await here.state()
    assert (state.floor, state.heard, state.open) == (Floor(), (), False)


async def test_history_keeps_its_time_and_triggers_nothing(here: World) -> None:
    said = {"from": MOBILE, "id": "wamid.H", "timestamp": str(SECONDS - 90 * 24 * HOURS), "type": "text"}
    thread = {"id": MOBILE, "messages": [{**said, "text": {"body": "Vor langer Zeit"}}]}
    chunk = {"metadata": {"phase": 0, "chunk_order": 1, "progress": 55}, "threads": [thread]}
    await here.arrives(body(value(history=[chunk]), "history"))

    last = await here.last()
    assert (last.text, last.past, last.role) == ("Vor langer Zeit", True, Role.PERSON)
    assert last.said_at is not None
    assert SENT_AT - last.said_at == timedelta(days=90)
    assert await here.store.owed(last.thread, "answer") == []
    assert here.read_marks == []


async def test_a_status_is_told_to_the_outbox_and_waits_for_its_message(here: World) -> None:
    early = await here.arrives(status("wamid.OURS", "delivered"))
    by_tag = await here.arrives(status("wamid.OURS", "sent", biz_opaque_callback_data="t.7"))
    failed = [{"code": 131047, "title": "Re-engagement message"}]
    await here.arrives(status("wamid.OURS", "failed", errors=failed))

    assert (early.early, by_tag.early) == (1, 0)
    assert [report.tag for report in here.reports] == ["", "t.7", ""]
    assert (here.reports[2].because, str(here.reports[2].remedy)) == ("window_closed", "needs_template")


async def test_the_tag_of_a_twilio_status_is_in_its_address(here: World) -> None:
    raw = form(MessageStatus="delivered", To=f"whatsapp:+{MOBILE}", From="whatsapp:+4930111222")
    await here.arrives(raw, "whatsapp:second:t.7")

    assert [(report.id, report.tag) for report in here.reports] == [("SM1", "t.7")]


# again, and wrong ---------------------------------------------------------------------------------------------------


async def test_a_batch_of_a_thousand_with_ten_bad_loses_only_those(here: World) -> None:
    many = [text(f"Nummer {n}", f"wamid.{n}", **{"from": str(4915100000000 + n % 50)}) for n in range(990)]
    bad: list[Any] = [None, 7, "x", [], {}, {"id": "x"}, {"from": MOBILE}, message(id=""), {"type": "edit"}, True]
    for number, each in enumerate(bad):
        many.insert(number * 90, each)

    read = await here.writes(*many, contacts=())

    assert (read.done, read.unreadable, read.failed) == (990, 10, 0)
    logs = await here.whole_log()
    assert len(logs) == 50
    assert sum(isinstance(event, Posted) for log in logs.values() for event in log) == 990
    for log in logs.values():  # each person's in their order
        numbers = [int(event.text.split()[1]) for event in log if isinstance(event, Posted)]
        assert numbers == sorted(numbers)


def everything(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Every payload nobody here wrote, as a webhook: its source and body."""
    found = {path.stem: ("whatsapp:main", path.read_bytes()) for path in folder.glob("meta/inbound_webhooks/*.json")}
    found |= {path.stem: ("whatsapp:recorded", path.read_bytes()) for path in folder.glob("recorded/*.json")}
    forms = {path.stem: json.loads(path.read_text()) for path in folder.glob("twilio/*.json")}
    found |= {f"twilio_{name}": ("whatsapp:fixture", urlencode(each).encode()) for name, each in forms.items()}
    return dict(sorted(found.items()))


UNANSWERED = "waits for a message that we have not sent"
BECAME = {
    "button_message": "person: Unsubscribe (stop_messages); service, reminders and news ended",
    "contact_sharing_message": "person: Kontakt: Lucía Gómez, Google, +1 (983) 555-2319",
    "group_create_message": "nothing anybody says",
    "group_remove_participants": "nothing anybody says",
    "group_settings_update": "nothing anybody says",
    "image_message": "person: Taj Mahal [image/jpeg fetching]",
    "interactive_button_reply_message": "person: Cancel (cancel-button)",
    "interactive_list_reply_message": "person: Priority Mail Express (priority_express)",
    "location_message": "person: Standort: Philz Coffee, 101 Forest Ave, Palo Alto, CA 94301",
    "order_message": "person: Bestellung: 2 × di9ozbzfi4, 1 × nqryix03ez",
    "reaction_message": UNANSWERED,
    "replay_dm_firstMessage": "person: What is Vercel?",
    "replay_dm_secondMessage": "person: Tell me more",
    "replay_dm_statusUpdate": UNANSWERED,
    "system_message": "nothing anybody says",  # of a stranger
    "text_message": "person: Does it come in another color?",
    "text_message_from_click_to_whatsapp_ad": "person: Hello! Can I get more info on this?",
    "text_message_with_context_product_inquiry": "person: Is this still available?",
    "twilio_inbound_bsuid_only__UNVERIFIED": "person: Hello",
    "twilio_inbound_ctwa_referral": "person: Hello",
    "twilio_inbound_image": "person: [Bild] [image/jpeg fetching]",
    "twilio_inbound_location": "person: Standort: Philz, 101 Forest Ave",
    "twilio_inbound_quick_reply_button": "person: Confirm ({verify:1})",
    "twilio_inbound_text": "person: Hello",
    "twilio_status_delivered": UNANSWERED,
    "twilio_status_failed_63016": UNANSWERED,
    "unsupported_message": "person: [Eine Nachricht, die hier nicht angezeigt werden kann]",
}


def told(log: dict[str, list[AnyEvent]], early: int) -> str:
    """Return what stands in the log, in words."""
    said = []
    ended = []
    for event in (event for events in log.values() for event in events):
        match event:
            case Posted():
                files = "".join(f" [{file.type} {file.state}]" for file in event.files)
                said.append(f"{event.role}: {event.text}{files}" + (f" ({event.choice})" if event.choice else ""))
            case AgreementChanged(agreement=agreement):
                ended.append(str(agreement.purpose))
            case _:
                continue
    if ended:
        said.append(f"{', '.join(ended[:-1])} and {ended[-1]} ended")
    return "; ".join(said) or (UNANSWERED if early else "nothing anybody says")


async def test_everything_nobody_here_wrote_becomes_something_in_a_conversation(
    tmp_path: Path, fixtures_dir: Path
) -> None:
    became = {}
    for name, (source, raw) in everything(fixtures_dir / "whatsapp").items():
        (tmp_path / name).mkdir()
        async with world(tmp_path / name) as here:
            read = await here.arrives(raw, source)
            became[name] = told(await here.whole_log(), read.early)
            assert (read.unreadable, read.failed, here.arriving.arrived["not_ours"]) == (0, 0, 0)

    assert became == BECAME


async def test_the_same_message_in_many_webhooks_and_two_processes_at_once_is_one(here: World) -> None:
    raw = [body(value(contacts=[CONTACT], messages=[text("Hallo")], extra=number)) for number in range(100)]
    async with house(here.store, here.clock) as others:
        other = here.process(others)
        readers = [reader.read("whatsapp:main", each) for each in raw for reader in (here.arriving, other)]
        await asyncio.gather(*readers)

    [log] = (await here.whole_log()).values()
    assert [event.text for event in log if isinstance(event, Posted)] == ["Hallo"]
    assert len(log) == 3


async def test_any_repetition_of_anything_leaves_the_log_as_it_is(here: World, fixtures_dir: Path) -> None:
    some = list(everything(fixtures_dir / "whatsapp").values())
    for source, raw in some:
        await here.arrives(raw, source)
    before = await here.whole_log()

    async with house(here.store, here.clock) as others:  # another process, that remembers nothing
        again = here.process(others)
        shuffled = some * 2
        random.Random(4).shuffle(shuffled)
        for source, raw in shuffled:
            await again.read(source, raw)
            await here.arrives(raw, source)

    assert await here.whole_log() == before
