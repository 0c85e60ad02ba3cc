"""Who a person is: names, addresses, where a reply goes, conversations put together and taken apart, and erasing."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from server.core import owed
from server.core.commands import (
    SYSTEM,
    ChangeFile,
    Edit,
    Erase,
    Join,
    Move,
    Name,
    Part,
    React,
    Receive,
    Return,
    Revoke,
    Transcribe,
)
from server.core.conversation import decide
from server.core.delivery import Receipt
from server.core.errors import BadValue, CannotMove, ConsentNeeded, Moved
from server.core.events import (
    AddressLinked,
    Edited,
    Erased,
    FileChanged,
    JoinedWith,
    MovedTo,
    Named,
    PartedFrom,
    Reacted,
    Returned,
    Revoked,
    Transcribed,
)
from server.core.evolving import evolve
from server.core.model import (
    MAX_ADDRESSES,
    MAX_JOINED,
    WAITING_FLOOR,
    Address,
    Assurance,
    Channel,
    DeliveryStatus,
    File,
    Handover,
    Joined,
    Linked,
    Role,
    Rules,
    Thread,
    tail_of,
)
from server.core.routing import reply_address, reply_channel
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
    assign,
    close,
    decided,
    lapse,
    link,
    note,
    read,
    release,
    reply,
    snooze,
    take,
    tell,
)

ERASE = Erase(thread="t1", key="erase", by=ANNA)
MOVE = Move(thread="t1", key="move", by=ANNA, to="t0", reason="Same person, says so herself.")
RETURN = Return(thread="t1", key="return", by=ANNA, reason="It was her sister.")


def name(called: str) -> Name:
    return Name(thread="t1", key="name", by=ANNA, name=called)


def join(other: str, upto: int) -> Join:
    return Join(thread="t1", key=f"join:{other}:{upto}", by=SYSTEM, other=other, upto=upto)


def part(other: str) -> Part:
    return Part(thread="t1", key=f"part:{other}", by=SYSTEM, other=other)


# names


def test_a_person_gets_a_name() -> None:
    asked = after(ask())

    assert decide(asked, name("Mia Öztürk"), NOON) == Named(
        thread="t1",
        seq=2,
        sender="staff:anna",
        key="name",
        at=NOON,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        called="Mia Öztürk",
    )
    assert after(name("Mia Öztürk"), thread=asked) == replace(asked, seq=2, name="Mia Öztürk", said=0b10)


def test_naming_again_changes_nothing() -> None:
    assert decide(after(ask(), name("Mia")), name("  Mia "), NOON) is None


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Mia \n Moll\t", "Mia Moll"),
        ("\u202egnp.aiM\u202c", "gnp.aiM"),
        ("Mia\0Moll", "MiaMoll"),
        ("\x1b[31mMia", "[31mMia"),
        ("Mia \ud83d", "Mia"),
        ("نرگس\u200cخاتون", "نرگس\u200cخاتون"),
    ],
)
def test_a_name_is_one_line_that_nothing_turns_around(typed: str, kept: str) -> None:
    assert after(ask(), name(typed)).name == kept
    assert decide(after(ask(), name(typed)), name(typed), NOON) is None


@pytest.mark.parametrize("typed", ["", " \n ", "\u202e", "x" * 121])
def test_a_name_has_between_one_and_a_hundred_and_twenty_characters(typed: str) -> None:
    with pytest.raises(BadValue, match="name"):
        decide(after(ask()), name(typed), NOON)


# addresses


def test_an_address_is_known_with_how_sure_we_are() -> None:
    asked = after(ask())

    assert decide(asked, link(MOBILE, Assurance.CLAIMED), NOON) == AddressLinked(
        thread="t1",
        seq=2,
        sender="system",
        key="link",
        at=NOON,
        role=Role.SYSTEM,
        address=MOBILE,
        assurance=Assurance.CLAIMED,
    )
    assert after(link(MOBILE, Assurance.CLAIMED), thread=asked) == replace(
        asked, seq=2, addresses=(Linked(MOBILE, Assurance.CLAIMED),), said=0b10
    )


def test_assurance_is_only_climbed() -> None:
    claimed = after(link(MOBILE, Assurance.CLAIMED))
    proven = after(link(MOBILE, Assurance.CALLER_ID), link(MOBILE, Assurance.PROVEN), thread=claimed)

    assert proven.addresses == (Linked(MOBILE, Assurance.PROVEN),)
    for assurance in Assurance:
        assert decide(proven, link(MOBILE, assurance), NOON) is None


def test_a_long_life_of_addresses_keeps_the_surest_and_newest() -> None:
    def web(n: int) -> Address:
        return Address(Channel.WEB, "demo", "visitor", f"v{n}")

    thread = after(link(MOBILE), *(link(web(n), Assurance.CLAIMED) for n in range(100)), link(LANDLINE))

    assert len(thread.addresses) == MAX_ADDRESSES
    assert thread.addresses[0] == Linked(MOBILE, Assurance.PROVEN)
    assert [linked.address for linked in thread.addresses[1:]] == [*(web(n) for n in range(70, 100)), LANDLINE]


def test_an_address_too_weak_to_be_kept_changes_nothing() -> None:
    numbers = [replace(MOBILE, value=str(4915100000000 + n)) for n in range(MAX_ADDRESSES)]
    full = after(*(link(number) for number in numbers))

    assert decide(full, link(LANDLINE, Assurance.CLAIMED), NOON) is None
    assert len(after(link(LANDLINE), thread=full).addresses) == MAX_ADDRESSES


@pytest.mark.parametrize("field", ["our", "kind", "value"])
@pytest.mark.parametrize("wrong", ["", "x" * 257, "\ud83d"])
def test_an_address_is_short_and_has_all_its_parts(field: str, wrong: str) -> None:
    with pytest.raises(BadValue, match=field):
        decide(EMPTY, link(replace(MOBILE, **{field: wrong})), NOON)


def test_an_address_record_is_named_by_all_its_parts() -> None:
    assert MOBILE.id == "whatsapp:4930111:wa_id:4915112345678"


@pytest.mark.parametrize(
    ("address", "tail"),
    [
        (MOBILE, "5678"),
        (LANDLINE, "5678"),
        (Address(Channel.VOICE, "4930111", "caller", "+49 (30) 12-34"), "1234"),
        (Address(Channel.VOICE, "4930111", "caller", "112"), ""),
        (Address(Channel.VOICE, "4930111", "caller", "anonymous"), ""),
        (Address(Channel.WEB, "demo", "visitor", "123456"), ""),
    ],
)
def test_staff_find_a_number_by_its_last_four_digits(address: Address, tail: str) -> None:
    assert (tail_of(address), Linked(address, Assurance.PROVEN).tail) == (tail, tail)


# where a reply goes


def test_a_reply_goes_to_the_door_the_person_last_came_through() -> None:
    on_web = after(link(), ask(channel=Channel.WHATSAPP), ask(channel=Channel.WEB))

    assert (reply_channel(on_web), reply_address(on_web)) == (Channel.WEB, None)
    on_whatsapp = after(ask(channel=Channel.WHATSAPP), thread=on_web)
    assert (reply_channel(on_whatsapp), reply_address(on_whatsapp)) == (Channel.WHATSAPP, MOBILE)


def test_nothing_is_sent_to_an_address_that_is_not_proven() -> None:
    for assurance in (Assurance.CLAIMED, Assurance.CALLER_ID):
        thread = after(link(MOBILE, assurance), ask(channel=Channel.WHATSAPP))
        assert (reply_channel(thread), reply_address(thread)) == (Channel.WEB, None)


def test_of_two_proven_numbers_the_newer_gets_the_reply() -> None:
    assert reply_address(after(link(MOBILE), link(OTHER_MOBILE), ask(channel=Channel.WHATSAPP))) == OTHER_MOBILE


def test_a_number_of_another_channel_is_not_written_to() -> None:
    assert reply_address(after(link(LANDLINE), ask(channel=Channel.WHATSAPP))) is None


def test_a_call_hears_the_reply_from_the_log() -> None:
    on_the_phone = after(link(LANDLINE), ask(channel=Channel.VOICE))

    assert (reply_channel(on_the_phone), reply_address(on_the_phone)) == (Channel.VOICE, None)


# moving, joining, parting, returning


def test_a_conversation_goes_on_in_another_and_owes_the_other_a_word() -> None:
    asked = after(ask())

    assert decide(asked, MOVE, NOON) == MovedTo(
        thread="t1",
        seq=2,
        sender="staff:anna",
        key="move",
        at=NOON,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        to="t0",
        reason="Same person, says so herself.",
        owes=(owed.Point(due=NOON, to="t0", upto=2),),
    )
    assert after(MOVE, thread=asked) == replace(
        asked, seq=2, moved_to="t0", open=False, open_when_moved=True, said=0b10
    )


def test_everything_asked_of_a_moved_conversation_is_sent_on() -> None:
    moved = after(ask(), answer(1), take(), MOVE)

    for command in (
        *(ask(), answer(1), reply(), tell(), take(), release(), lapse(3), assign("ben"), note(), read(2), close()),
        *(snooze(NOON + MINUTE), name("Mia"), link(), MOVE, join("t2", 1), part("t2")),
    ):
        with pytest.raises(Moved) as refused:
            decide(moved, command, NOON)
        assert refused.value.to == "t0"


def test_receipts_still_reach_a_moved_conversation() -> None:
    moved = after(link(), ask(channel=Channel.WHATSAPP), reply(), MOVE)
    delivered = Receive(thread="t1", key="r", by=SYSTEM, receipt=Receipt(3, DeliveryStatus.DELIVERED))

    assert after(delivered, thread=moved).deliveries[0].status is DeliveryStatus.DELIVERED


def test_what_is_done_to_a_message_is_done_where_it_is() -> None:
    moved = after(link(), ask(), MOVE)
    file = File("f", "a.pdf", "application/pdf", 4)

    for command, kind in (
        (Edit(thread="t1", key="e", by=VISITOR, of=2, text="No."), Edited),
        (Revoke(thread="t1", key="v", by=VISITOR, of=2), Revoked),
        (React(thread="t1", key="x", by=VISITOR, of=2, emoji="❤️"), Reacted),
        (ChangeFile(thread="t1", key="f", by=SYSTEM, of=2, file=file), FileChanged),
        (Transcribe(thread="t1", key="s", by=SYSTEM, of=2, text="Hello."), Transcribed),
    ):
        assert type(decide(moved, command, NOON)) is kind


def test_a_moved_person_can_be_erased() -> None:
    assert after(ask(), MOVE, ERASE).moved_to is None


def test_a_conversation_cannot_move_to_itself_nor_before_anything_was_said() -> None:
    with pytest.raises(CannotMove):
        decide(after(ask()), replace(MOVE, to="t1"), NOON)
    with pytest.raises(CannotMove):
        decide(EMPTY, MOVE, NOON)


def test_a_conversation_cannot_move_into_one_that_moved_into_it() -> None:
    with pytest.raises(CannotMove):
        decide(after(ask(), join("t0", 5)), MOVE, NOON)


@pytest.mark.parametrize("to", ["", "x" * 65])
def test_a_conversation_moves_to_a_thread_that_can_be(to: str) -> None:
    with pytest.raises(BadValue, match="to"):
        decide(after(ask()), replace(MOVE, to=to), NOON)


def test_a_reason_has_at_most_five_hundred_characters() -> None:
    after(ask(), replace(MOVE, reason="x" * 500), replace(RETURN, reason="x" * 500))

    with pytest.raises(BadValue, match="reason"):
        decide(after(ask()), replace(MOVE, reason="x" * 501), NOON)
    with pytest.raises(BadValue, match="reason"):
        decide(after(ask(), MOVE), replace(RETURN, reason="x" * 501), NOON)


def test_the_older_conversation_notes_which_one_goes_on_in_it() -> None:
    asked = after(ask())

    assert decide(asked, join("t2", 5), NOON) == JoinedWith(
        thread="t1", seq=2, sender="system", key="join:t2:5", at=NOON, role=Role.SYSTEM, other="t2", upto=5
    )
    assert after(join("t2", 5), thread=asked) == replace(asked, seq=2, joined=(Joined("t2", 5),), said=0b10)


def test_joining_again_changes_nothing_and_joining_later_reads_further() -> None:
    joined = after(ask(), join("t2", 5))

    assert decide(joined, join("t2", 5), NOON) is None
    assert decide(joined, join("t2", 4), NOON) is None
    assert after(join("t2", 9), thread=joined).joined == (Joined("t2", 9),)


def test_a_conversation_cannot_join_itself() -> None:
    with pytest.raises(CannotMove):
        decide(after(ask()), join("t1", 1), NOON)


def test_no_more_conversations_are_joined_than_a_state_can_hold() -> None:
    thread = after(*(join(f"o{n}", 1) for n in range(MAX_JOINED + 5)))

    assert [each.thread for each in thread.joined] == [f"o{n}" for n in range(5, MAX_JOINED + 5)]


def test_parting_undoes_a_join() -> None:
    joined = after(ask(), join("t2", 5), join("t3", 2))

    assert decide(joined, part("t2"), NOON) == PartedFrom(
        thread="t1", seq=4, sender="system", key="part:t2", at=NOON, role=Role.SYSTEM, other="t2"
    )
    assert after(part("t2"), thread=joined).joined == (Joined("t3", 2),)
    assert decide(after(part("t2"), thread=joined), part("t2"), NOON) is None


def test_a_conversation_that_returns_stands_on_its_own_again() -> None:
    moved = after(ask(), answer(1), MOVE)

    assert decide(moved, RETURN, NOON) == Returned(
        thread="t1",
        seq=4,
        sender="staff:anna",
        key="return",
        at=NOON,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        was="t0",
        reason="It was her sister.",
        owes=(owed.Point(due=NOON, to="t0", upto=4),),
    )
    assert after(RETURN, thread=moved) == replace(
        moved, seq=4, moved_to=None, open=True, open_when_moved=False, said=0b1100
    )


def test_returning_what_has_not_moved_changes_nothing() -> None:
    assert decide(after(ask()), RETURN, NOON) is None


def test_what_was_closed_returns_closed() -> None:
    assert not after(ask(), close(), MOVE, RETURN).open


def test_what_nobody_answered_is_owed_anew_after_the_return() -> None:
    assert decided(after(ask(), MOVE), RETURN).owes == (
        owed.Point(due=NOON, to="t0", upto=3),
        owed.Answer(due=NOON),
    )


def test_staff_keep_the_floor_over_a_move_and_its_time_begins_anew() -> None:
    moved = after(ask(), take(), MOVE)
    returned = decided(moved, RETURN)

    assert returned.owes[1:] == (owed.Wake(due=NOON + timedelta(minutes=30), reason=owed.WakeReason.FLOOR),)
    assert decide(evolve(moved, returned), lapse(of=returned.seq), NOON) is not None
    assert decide(evolve(moved, returned), lapse(of=2), NOON) is None


def test_who_waited_waits_on_after_the_return_and_is_told_once() -> None:
    waiting = after(ask(), answer(1, handover=Handover.ASKED), MOVE)
    returned = decided(waiting, RETURN)

    assert returned.owes[1:] == (owed.Wake(due=NOON + 2 * MINUTE, reason=owed.WakeReason.WAITING),)
    back = evolve(waiting, returned)
    assert (back.floor, back.floor_seq, back.waiting_since) == (WAITING_FLOOR, returned.seq, NOON)

    told = after(ask(), answer(1, handover=Handover.ASKED), tell(), MOVE)
    assert decided(told, RETURN).owes[1:] == ()
    back = after(RETURN, thread=told)
    assert back.told_waiting == back.floor_seq


def test_a_snooze_does_not_survive_a_move_and_its_undoing() -> None:
    assert after(ask(), snooze(NOON + MINUTE), MOVE, RETURN).snoozed_until is None


def test_a_moved_conversation_needs_no_reply() -> None:
    assert not after(ask(), answer(1, handover=Handover.ASKED), MOVE).needs_reply


# erasing


def test_erasing_keeps_the_number_and_nothing_else() -> None:
    full = after(
        ask(language="de", consent="c"),
        name("Mia"),
        link(),
        link(LANDLINE, Assurance.CLAIMED),
        ask(channel=Channel.WHATSAPP),
        reply(),
        join("t2", 5),
        snooze(NOON + MINUTE),
    )
    later = NOON + MINUTE

    assert decide(full, ERASE, later) == Erased(
        thread="t1",
        seq=9,
        sender="staff:anna",
        key="erase",
        at=later,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        owes=(owed.Erase(due=later),),
    )
    assert after(ERASE, thread=full, at=later) == Thread(id="t1", seq=9, erased=1, updated_at=later)


def test_every_erasing_is_counted() -> None:
    assert after(ask(), ERASE, ask(), ERASE).erased == 2


def test_nothing_is_erased_where_nothing_was_said() -> None:
    assert decide(EMPTY, ERASE, NOON) is None


def test_a_person_who_writes_after_the_erasing_begins_anew() -> None:
    assert after(ask(), reply(), ERASE, ask(), at=NOON) == Thread(
        id="t1",
        seq=4,
        erased=1,
        open=True,
        created_at=NOON,
        updated_at=NOON,
        first_person=4,
        last_person=4,
        last_person_at=NOON,
        last_message=4,
        said=0b1,
    )


def test_a_person_has_to_agree_anew_after_the_erasing() -> None:
    rules = Rules(consent="c")
    erased = after(ask(consent="c"), ERASE, rules=rules)
    with pytest.raises(ConsentNeeded):
        decide(erased, ask(), NOON, rules)


def test_an_answer_to_what_was_erased_is_not_given() -> None:
    assert decide(after(ask(), ERASE), answer(1), NOON) is None
