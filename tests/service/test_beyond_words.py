"""What the assistant says to what has no words, or means more than its words."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from server.core import choices, commands
from server.core.commands import ASSISTANT
from server.core.events import Posted
from server.core.model import Channel, Choice, File, Handover, Rules
from server.core.ports import Store
from server.service.answering import Answering, Question, Reply, ReplyKind
from server.service.conversations import Conversations
from server.service.sentences import say
from tests.service.given import ANNA, Clock, post, release

NOTE = File("f1", "", "audio/ogg", voice=True)
PICTURE = File("f2", "knie.jpg", "image/jpeg")


class Book:
    async def answer(self, question: Question) -> Reply:
        if "Brust" in question.text:
            return Reply(ReplyKind.URGENT, "112!", "de")
        return Reply(ReplyKind.UNCLEAR if question.text == "?" else ReplyKind.ANSWER, "Ein Wort, bitte.", "de")


class Monday:
    def opens_text(self, now: datetime, language: str) -> str:
        return "am Montag"


class Desk:
    def __init__(self, store: Store, conversations: Conversations, clock: Clock) -> None:
        self.store, self.conversations, self.clock = store, conversations, clock
        self.rules, self.number = Rules(), 0
        self.answering = Answering(store, conversations, Book(), Monday(), rules=lambda: self.rules, clock=clock)

    async def says(self, text: str, **more: Any) -> Posted | None:
        """Let the person write; return what they are told, if anything."""
        self.number += 1
        said = post(f"k{self.number}", text, language="de", channel=Channel.WHATSAPP, **more)
        before = (await self.conversations.handle(said)).seq
        await self.answering.answer("t1")
        match await self.store.since("t1", before):
            case [Posted() as told]:
                return told
            case _:
                return None

    async def hears(self, text: str, **more: Any) -> str | None:
        told = await self.says(text, **more)
        return told.text if told is not None else None


@pytest.fixture
async def desk(store: Store, conversations: Conversations, clock: Clock) -> Desk:
    return Desk(store, conversations, clock)


@pytest.mark.parametrize(
    ("choice", "key"),
    [(choices.STOP, "stopped"), (choices.START, "started"), (choices.KEEP, "kept"), (choices.ASK_STOP, "stop_asked")],
)
async def test_what_is_said_about_our_writing_is_answered_as_that(desk: Desk, choice: str, key: str) -> None:
    assert await desk.hears("…", choice=choice) == say(key, "de")


async def test_an_emergency_beside_a_stop_comes_first(desk: Desk) -> None:
    assert await desk.hears("Stopp, ich habe Schmerzen in der Brust", choice=choices.ASK_STOP) == "112!"


@pytest.mark.parametrize(("file", "key"), [(NOTE, "voice"), (PICTURE, "file")])
async def test_a_voice_note_or_a_picture_is_acknowledged_once_and_handed_over(desk: Desk, file: File, key: str) -> None:
    told = await desk.says("[…]", files=(file,))
    again = await desk.says("[…]", files=(file,))

    assert told is not None
    assert (told.text, told.handover, told.missed) == (say(key, "de"), Handover.UNKNOWN, False)
    assert again is None
    assert (await desk.conversations.thread("t1")).floor.is_waiting


async def test_outside_opening_hours_it_is_said_when_somebody_listens(desk: Desk) -> None:
    desk.rules = Rules(open_now=False)

    assert (
        await desk.hears("[…]", files=(NOTE,)) == f"{say('voice', 'de')} {say('closed_note', 'de', opens='am Montag')}"
    )


async def test_that_something_was_not_understood_is_said_once_and_then_it_is_staffs_turn(desk: Desk) -> None:
    assert await desk.hears("?") == "Ein Wort, bitte."
    assert await desk.hears("?") == say("unknown", "de")


async def test_what_cannot_be_shown_is_asked_for_in_words_once(desk: Desk) -> None:
    assert await desk.hears("[…]", unsaid="poll") == say("unsaid", "de")
    assert await desk.hears("[…]", unsaid="poll") == say("unknown", "de")


async def test_who_answered_two_questions_at_once_is_asked_which(desk: Desk) -> None:
    await desk.says("Hallo")
    seqs = []
    for number, text in enumerate(("Bitte beachten.\nSoll ich nachsehen?", "Möchten Sie eine Erinnerung? " + "x" * 80)):
        asked = commands.Post(thread="t1", key=f"q{number}", by=ASSISTANT, text=text, choices=(Choice("yes", "Ja"),))
        seqs.append((await desk.conversations.handle(asked)).seq)

    told = await desk.says("ja", choice=choices.which([(seq, "yes") for seq in seqs]))

    assert told is not None
    assert told.text == say("which", "de")
    assert [choice.id for choice in told.choices] == [choices.of(seq, "yes") for seq in seqs]
    assert told.choices[0].label == "Soll ich nachsehen?"
    assert len(told.choices[1].label) == 60


async def test_a_made_up_choice_about_messages_without_words_is_answered_like_any_other_word(desk: Desk) -> None:
    sent = [commands.Post(thread="t1", key=f"f{n}", by=ANNA, text="", files=(PICTURE,)) for n in range(2)]
    seqs = [(await desk.conversations.handle(each)).seq for each in sent]
    await desk.conversations.handle(release())

    assert await desk.hears("ja", choice=choices.which([(seq, "yes") for seq in seqs])) == "Ein Wort, bitte."


async def test_history_is_not_answered_together_with_what_comes_after_it(desk: Desk) -> None:
    await desk.conversations.handle(
        post("old", "Meine Brust", channel=Channel.WHATSAPP, past=True, said_at=desk.clock() - timedelta(days=90))
    )

    assert await desk.hears("Hallo") == "Ein Wort, bitte."


def test_choices_with_a_meaning_of_their_own_are_read_as_they_were_written() -> None:
    pairs = [(3, "yes"), (7, "of:you")]

    assert choices.takings_of(choices.which(pairs)) == tuple(pairs)
    assert choices.takings_of("which:x\nof:a:b") == choices.takings_of(None) == choices.takings_of("yes") == ()
    assert (choices.taken(choices.of(3, "yes")), choices.taken("of:yes")) == ((3, "yes"), (None, "of:yes"))
