"""Whether a key that is used again means the same thing: what a client resends is compared with what happened."""

from datetime import timedelta, timezone
from typing import get_args

import pytest
from msgspec.structs import replace

from server.core import commands
from server.core.again import matches
from server.core.commands import SYSTEM, AnyCommand
from server.core.delivery import Receipt
from server.core.model import Agreement, Assurance, Channel, DeliveryStatus, File, NotHeard, Purpose, TaskKind, Thread
from tests.core.given import (
    ANNA,
    BEN,
    LANDLINE,
    MINUTE,
    NOON,
    VISITOR,
    after,
    answer,
    ask,
    assign,
    close,
    decided,
    hang_up,
    lapse,
    link,
    note,
    open_task,
    read,
    release,
    reply,
    ring,
    snooze,
    take,
)

NAME = commands.Name(thread="t1", key="k", by=ANNA, name="Mia Moll")
MOVE = commands.Move(thread="t1", key="k", by=ANNA, to="t0")
RETURN = commands.Return(thread="t1", key="k", by=ANNA)
JOIN = commands.Join(thread="t1", key="k", by=SYSTEM, other="t2", upto=3)
PART = commands.Part(thread="t1", key="k", by=SYSTEM, other="t2")
ERASE = commands.Erase(thread="t1", key="k", by=ANNA)
SENT = commands.Receive(thread="t1", key="k", by=SYSTEM, receipt=Receipt(3, DeliveryStatus.SENT))
REACT = commands.React(thread="t1", key="k", by=VISITOR, of=1, emoji="\U0001f44d")
EDIT = commands.Edit(thread="t1", key="k", by=VISITOR, of=1, text="One")
REVOKE = commands.Revoke(thread="t1", key="k", by=VISITOR, of=1)
CHANGE_FILE = commands.ChangeFile(thread="t1", key="k", by=SYSTEM, of=1, file=File("f1"))
TRANSCRIBE = commands.Transcribe(thread="t1", key="k", by=SYSTEM, of=1, text="One")
SENT_FAILED = commands.Receive(thread="t1", key="k", by=SYSTEM, receipt=Receipt(3, DeliveryStatus.FAILED))
RETRY = commands.Retry(thread="t1", key="k", by=ANNA, of=3)
AGREE = commands.Agree(
    thread="t1", key="k", by=VISITOR, agreement=Agreement(Channel.WHATSAPP, Purpose.NEWS, given=True)
)
PREFER = commands.Prefer(thread="t1", key="k", by=ANNA, channel=Channel.WHATSAPP)
INTERRUPT = commands.Interrupt(thread="t1", key="k", by=VISITOR, of=1, heard="From")
STOP = commands.StopListening(thread="t1", key="k", by=VISITOR, session="c1", why=NotHeard.OBJECTED)
REOPEN = commands.Reopen(thread="t1", key="k", by=ANNA, of=2)
UNSNOOZE = commands.Unsnooze(thread="t1", key="k", by=ANNA)
FINISH = commands.FinishTask(thread="t1", key="k", by=ANNA, of=2)
SUMMARISE = commands.Summarise(thread="t1", key="k", by=SYSTEM, session="c1", text="About opening hours.")
ASKED = after(ask())
ON_ITS_WAY = after(link(), ask(channel=Channel.WHATSAPP), reply())

SCENES: list[tuple[Thread, AnyCommand, list[AnyCommand]]] = [  # before, what was asked, and other content under its key
    (ASKED, ask("One"), [ask("Two"), ask("One", choice="1"), note("One")]),
    (ASKED, reply(text="One"), [reply(text="Two"), note("One")]),
    (ASKED, answer(1), [answer(1, text="Something else")]),
    (ASKED, note("One"), [note("Two"), reply(text="One")]),
    (ASKED, take(), [release(), close(), note()]),
    (after(ask(), take()), release(), [take(), close()]),
    (after(ask(), take()), lapse(of=2), [close()]),
    (after(ask(), snooze(NOON + MINUTE)), lapse(of=2), [take()]),
    (ASKED, assign("ben"), [assign("cleo"), assign(None)]),
    (ASKED, read(1), [read(2)]),
    (ASKED, snooze(NOON + MINUTE), [snooze(NOON + 2 * MINUTE)]),
    (ASKED, close(), [take(), ERASE]),
    (after(ask(), close()), REOPEN, [replace(REOPEN, of=1), close()]),
    (after(ask(), snooze(NOON + MINUTE)), UNSNOOZE, [REOPEN, take()]),
    (ASKED, NAME, [replace(NAME, name="Mio Moll")]),
    (ASKED, link(), [link(LANDLINE)]),
    (ASKED, REACT, [replace(REACT, emoji="\u2764"), REVOKE]),
    (ASKED, EDIT, [replace(EDIT, text="Two"), REVOKE]),
    (ASKED, REVOKE, [replace(REVOKE, of=2), REACT]),
    (ASKED, CHANGE_FILE, [replace(CHANGE_FILE, file=File("f2")), EDIT]),
    (ASKED, TRANSCRIBE, [replace(TRANSCRIBE, text="Two")]),
    (after(SENT_FAILED, thread=ON_ITS_WAY), RETRY, [replace(RETRY, of=2), REACT]),
    (ASKED, AGREE, [replace(AGREE, agreement=Agreement(Channel.WHATSAPP, Purpose.NEWS, given=False))]),
    (ASKED, PREFER, [replace(PREFER, channel=None)]),
    (ON_ITS_WAY, SENT, [replace(SENT, receipt=Receipt(3, DeliveryStatus.READ))]),
    (ASKED, MOVE, [replace(MOVE, to="t9"), RETURN]),
    (after(ask(), MOVE), RETURN, [MOVE]),
    (ASKED, JOIN, [replace(JOIN, other="t9"), PART]),
    (after(ask(), JOIN), PART, [replace(PART, other="t9"), JOIN]),
    (ASKED, ring(), [ring(session="c2"), hang_up()]),
    (after(ring()), hang_up(), [hang_up(session="c2"), close()]),
    (after(ring()), STOP, [replace(STOP, why=NotHeard.PUT_THROUGH), hang_up()]),
    (ASKED, INTERRUPT, [replace(INTERRUPT, heard="From eight"), EDIT]),
    (ASKED, open_task(), [open_task(TaskKind.QUESTION), FINISH]),
    (after(ask(), open_task()), FINISH, [replace(FINISH, of=3), open_task()]),
    (ASKED, SUMMARISE, [replace(SUMMARISE, text="Something else"), note()]),
    (ASKED, ERASE, [close()]),
]


def test_every_command_has_its_scene() -> None:
    assert {type(command) for _, command, _ in SCENES} == set(get_args(AnyCommand))


@pytest.mark.parametrize(("before", "asked", "others"), SCENES, ids=[type(each).__name__ for _, each, _ in SCENES])
def test_the_same_again_matches_and_anything_else_does_not(
    before: Thread, asked: AnyCommand, others: list[AnyCommand]
) -> None:
    happened = decided(before, asked, NOON + MINUTE if isinstance(asked, commands.Lapse) else NOON)

    assert matches(happened, asked)
    assert [other for other in others if matches(happened, other)] == []


def test_a_name_typed_with_other_spaces_is_the_same() -> None:
    assert matches(decided(ASKED, NAME), replace(NAME, name=" Mia  Moll\u202e"))


def test_a_moment_in_another_zone_is_the_same() -> None:
    in_berlin = (NOON + MINUTE).astimezone(timezone(timedelta(hours=1)))

    assert matches(decided(ASKED, snooze(in_berlin)), snooze(NOON + MINUTE))
    assert not matches(decided(ASKED, snooze(NOON + MINUTE)), snooze((NOON + MINUTE).replace(tzinfo=None)))


def test_what_was_dropped_from_a_reply_does_not_make_it_another() -> None:
    assert matches(decided(ASKED, reply(choice="x")), reply(choice="x"))


def test_the_same_words_by_somebody_else_have_another_sender() -> None:
    assert decided(ASKED, reply(ANNA)).sender != decided(ASKED, reply(BEN)).sender


def test_an_address_linked_again_with_more_evidence_is_the_same_address() -> None:
    assert matches(decided(ASKED, link(assurance=Assurance.CLAIMED)), link(assurance=Assurance.PROVEN))
