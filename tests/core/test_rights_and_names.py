"""Who may do what, how ids are made, what we owe, and what our errors say."""

import inspect
from typing import Any, get_args

import pytest

from server.core import commands, errors, events, identity, owed
from server.core.commands import SYSTEM, AnyCommand
from server.core.delivery import Receipt
from server.core.errors import NotAllowed, OnethreadError, Refused
from server.core.identity import Action, StaffRole, may, require, require_command
from server.core.model import Agreement, Assurance, Channel, DeliveryStatus, File, NotHeard, Purpose
from tests.core.given import (
    ANNA,
    MINUTE,
    MOBILE,
    NOON,
    assign,
    close,
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

RECEPTION, CLINICIAN, ADMIN = StaffRole
EVERYBODY, NOBODY = {RECEPTION, CLINICIAN, ADMIN}, set[StaffRole]()

NO_NEWS = Agreement(Channel.WHATSAPP, Purpose.NEWS, given=False)
WHO_MAY_GIVE: list[tuple[AnyCommand, set[StaffRole]]] = [
    (reply(), EVERYBODY),
    (take(), EVERYBODY),
    (release(), EVERYBODY),
    (lapse(1), NOBODY),
    (assign("ben"), EVERYBODY),
    (note(), EVERYBODY),
    (read(1, by=ANNA), EVERYBODY),
    (snooze(NOON + MINUTE), EVERYBODY),
    (close(), EVERYBODY),
    (commands.Reopen(thread="t1", key="k", by=ANNA, of=1), EVERYBODY),
    (commands.Unsnooze(thread="t1", key="k", by=ANNA), EVERYBODY),
    (commands.Name(thread="t1", key="k", by=ANNA, name="Mia"), EVERYBODY),
    (link(MOBILE, Assurance.CLAIMED), EVERYBODY),
    (commands.Receive(thread="t1", key="k", by=ANNA, receipt=Receipt(1, DeliveryStatus.READ)), NOBODY),
    (commands.React(thread="t1", key="k", by=ANNA, of=1, emoji=""), EVERYBODY),
    (commands.Retry(thread="t1", key="k", by=ANNA, of=1), EVERYBODY),
    (commands.Prefer(thread="t1", key="k", by=ANNA, channel=None), EVERYBODY),
    (commands.Agree(thread="t1", key="k", by=ANNA, agreement=NO_NEWS), EVERYBODY),
    (commands.Edit(thread="t1", key="k", by=ANNA, of=1, text="x"), NOBODY),
    (commands.Revoke(thread="t1", key="k", by=ANNA, of=1), NOBODY),
    (commands.ChangeFile(thread="t1", key="k", by=ANNA, of=1, file=File("f1")), NOBODY),
    (commands.Transcribe(thread="t1", key="k", by=ANNA, of=1, text="x"), NOBODY),
    (commands.Move(thread="t1", key="k", by=ANNA, to="t0"), EVERYBODY),
    (commands.Return(thread="t1", key="k", by=ANNA), EVERYBODY),
    (commands.Join(thread="t1", key="k", by=SYSTEM, other="t0", upto=1), NOBODY),
    (commands.Part(thread="t1", key="k", by=SYSTEM, other="t0"), NOBODY),
    (ring(), NOBODY),
    (hang_up(), NOBODY),
    (commands.StopListening(thread="t1", key="k", by=ANNA, session="c1", why=NotHeard.OBJECTED), NOBODY),
    (commands.Interrupt(thread="t1", key="k", by=ANNA, of=1), NOBODY),
    (commands.Summarise(thread="t1", key="k", by=ANNA, session="c1", text="x"), NOBODY),
    (open_task(), EVERYBODY),
    (commands.FinishTask(thread="t1", key="k", by=ANNA, of=1), EVERYBODY),
    (commands.Erase(thread="t1", key="k", by=ANNA), {ADMIN}),
]

WHO_MAY: dict[Action, set[StaffRole]] = {
    Action.READ: EVERYBODY,
    Action.REPLY: EVERYBODY,
    Action.NOTE: EVERYBODY,
    Action.FLOOR: EVERYBODY,
    Action.ASSIGN: EVERYBODY,
    Action.SNOOZE: EVERYBODY,
    Action.CLOSE: EVERYBODY,
    Action.NAME: EVERYBODY,
    Action.JOIN: EVERYBODY,
    Action.RESULTS: {CLINICIAN, ADMIN},
    Action.KNOWLEDGE: {CLINICIAN, ADMIN},
    Action.ERASE: {ADMIN},
    Action.STAFF: {ADMIN},
}


def test_every_command_is_in_the_table_of_this_test() -> None:
    assert {type(command) for command, _ in WHO_MAY_GIVE} == set(get_args(AnyCommand))
    assert set(WHO_MAY) == set(Action)


@pytest.mark.parametrize("role", StaffRole)
@pytest.mark.parametrize(("command", "allowed"), WHO_MAY_GIVE, ids=[type(each).__name__ for each, _ in WHO_MAY_GIVE])
def test_a_command_is_given_by_whoever_has_the_right(
    command: AnyCommand, allowed: set[StaffRole], role: StaffRole
) -> None:
    if role in allowed:
        require_command(role, command)
    else:
        with pytest.raises(NotAllowed):
            require_command(role, command)


@pytest.mark.parametrize("role", StaffRole)
@pytest.mark.parametrize("action", Action)
def test_a_right_belongs_to_its_roles(action: Action, role: StaffRole) -> None:
    assert may(role, action) is (role in WHO_MAY[action])
    if role not in WHO_MAY[action]:
        with pytest.raises(NotAllowed):
            require(role, action)


# ids


def test_the_same_cause_gives_the_same_name_everywhere() -> None:
    assert identity.keyed_hash(b"secret", "visitor", "Käthe") == identity.keyed_hash(b"secret", "visitor", "Käthe")
    assert (
        identity.keyed_hash(b"secret", "wamid", "wamid.HBgN") == "jzbbh2bvs554rrpvuxejsjy6bm"
    )  # stored: never another


def test_another_secret_purpose_or_value_gives_another_name() -> None:
    names = {
        identity.keyed_hash(secret, purpose, value)
        for secret in (b"a", b"b")
        for purpose in ("x", "y")
        for value in ("", "1", "2", "x")
    }

    assert len(names) == 16


def test_a_name_fits_an_id_and_can_be_read_aloud() -> None:
    name = identity.keyed_hash(b"a", "x", "value" * 1000)

    assert (len(name), name.isascii(), name.isalnum(), name.islower()) == (26, True, True, True)


# what is owed


def test_the_earliest_item_says_when_work_begins() -> None:
    items = [owed.Answer(due=NOON + MINUTE), owed.Wake(due=NOON, reason=owed.WakeReason.FLOOR)]

    assert owed.earliest(items) == NOON
    assert owed.earliest([]) is None


def test_every_kind_of_work_has_a_name_of_its_own() -> None:
    kinds = [type_.__struct_config__.tag for type_ in get_args(owed.AnyOwed)]

    assert kinds == ["answer", "deliver", "wake", "point", "erase", "fetch", "summarise"]
    assert owed.kind_of(owed.Erase(due=NOON)) == "erase"


def test_every_kind_of_event_has_a_name_of_its_own() -> None:
    kinds = [type_.__struct_config__.tag for type_ in get_args(events.AnyEvent)]

    assert len(set(kinds)) == len(kinds)


def test_what_staff_do_among_themselves_is_not_for_visitors() -> None:
    names = {type_.__name__ for type_ in events.STAFF_ONLY}

    assert {"Noted", "Assigned", "Snoozed", "Woken", "Named", "Received"} <= names
    assert not names & {"Posted", "Taken", "Released", "Closed", "WasRead", "Erased"}


# errors


def all_errors() -> list[type[OnethreadError]]:
    return [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, OnethreadError)]


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [each.code for each in all_errors()]

    assert len(set(codes)) == len(codes)


def test_no_error_says_what_anybody_wrote() -> None:
    made: list[Any] = [
        errors.MessageTooLong(5000, 4096),
        errors.MessageEmpty(),
        errors.ConsentNeeded("SECRET"),
        errors.FloorTaken("SECRET"),
        errors.Moved("SECRET"),
    ]

    assert not any("SECRET" in str(error) for error in made)
    assert all(isinstance(error, Refused) for error in made)


def test_come_back_later_says_when() -> None:
    assert (errors.Unavailable().retry_ms, errors.RateLimited(retry_ms=5000).retry_ms) == (1000, 5000)
