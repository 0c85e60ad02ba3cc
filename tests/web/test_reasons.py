"""Behind every line stands why: who, by which proof, and what follows. And whether it can still be undone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.core import events
from server.core.events import AnyEvent
from server.core.evolving import replay
from server.core.model import (
    Address,
    Agreement,
    Assurance,
    AsTemplate,
    Channel,
    Ending,
    Purpose,
    Role,
    TaskKind,
    Thread,
    WhyThere,
)
from server.web.reasons import Reason, Undo
from server.web.strings import LANGUAGES, Words
from server.web.timeline import Bubble, CallCard, Line, Reader, items

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = {"anna": "Anna", "jonas": "Jonas"}
READER = Reader("anna", Words("en", "Europe/Berlin"), NAMES, NOON)
MOBILE = Address(Channel.WHATSAPP, "4930111", "wa_id", "4915112345678")
NEWS = Agreement(Channel.WHATSAPP, Purpose.NEWS, True, "2026-01", "website", NOON - HOUR)


def it(kind: type[Any], seq: int, role: Role = Role.STAFF, **more: Any) -> AnyEvent:
    by = {"by": "jonas", "name": "Jonas"} if role is Role.STAFF else {}
    more = {"thread": "t", "at": NOON, "key": f"k{seq}"} | by | more
    event: AnyEvent = kind(seq=seq, sender=role.value, role=role, **more)
    return event


def wrote(seq: int, channel: Channel = Channel.WEB, **more: Any) -> AnyEvent:
    return it(events.Posted, seq, Role.PERSON, channel=channel, text="Hello", **more)


def sent(seq: int, **more: Any) -> AnyEvent:
    return it(events.Posted, seq, **{"channel": Channel.WHATSAPP, "text": "Good morning", **more})


def last(*log: AnyEvent, moves: Any = None, thread: Thread | None = None, reader: Reader = READER) -> Any:
    shown, _ = items(log, thread or replay("t", list(log)), reader, moves=moves or {})
    return shown[-1]


def why(item: Any) -> dict[str, str]:
    return {each.what: each.text for each in (item.sent if isinstance(item, Bubble) else item.reasons)}


def test_a_join_says_by_which_proof_or_who_did_it_with_which_reason() -> None:
    joined = it(events.JoinedWith, 2, Role.SYSTEM, other="b", upto=7)
    by_code = it(events.MovedTo, 7, Role.SYSTEM, thread="b", to="t", reason="code")
    by_hand = it(events.MovedTo, 7, thread="b", to="t", reason="Same date of birth")

    proven = why(last(wrote(1), joined, moves={("b", 7): by_code}))
    told = why(last(wrote(1), joined, moves={("b", 7): by_hand}))
    unknown = why(last(wrote(1), joined))

    assert proven["Proof"] == "A one-time code from one conversation came back in the other"
    assert (told["Who"], told["Reason"]) == ("Jonas", "Same date of birth")
    assert list(unknown) == ["What follows"]


def test_taking_apart_says_who_did_it_and_why() -> None:
    parted = it(events.PartedFrom, 3, Role.SYSTEM, other="b", key="part:b:9")
    back = it(events.Returned, 9, thread="b", was="t", reason="Her sister")
    log = [wrote(1), it(events.JoinedWith, 2, Role.SYSTEM, other="b", upto=7), parted]

    assert why(last(*log, moves={("b", 9): back}))["Reason"] == "Her sister"


def test_a_floor_that_went_back_by_itself_says_since_when_nobody_wrote() -> None:
    log = [wrote(1), it(events.Taken, 2, at=NOON - HOUR), it(events.Released, 3, Role.SYSTEM, reason="idle")]

    assert why(last(*log))["Because"] == "Nobody of the team has written for a while; the last time was 12:00"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "event",
    [
        it(events.Taken, 2),
        it(events.Released, 2, reason="idle"),
        it(events.Released, 2),
        it(events.Closed, 2),
        it(events.Reopened, 2, of=1),
        it(events.Snoozed, 2, until=NOON + HOUR),
        it(events.Woken, 2, Role.SYSTEM),
        it(events.Woken, 2),
        it(events.Assigned, 2, to="anna"),
        it(events.Named, 2, called="Mia"),
        it(events.Preferred, 2),
        it(events.Retried, 2, of=1),
        it(events.Tasked, 2, task=TaskKind.CALLBACK, text="About the cream"),
        it(events.TaskDone, 2, of=1),
        *[it(events.AddressLinked, 2, Role.SYSTEM, address=MOBILE, assurance=sure) for sure in Assurance],
        it(
            events.AddressLinked,
            2,
            Role.SYSTEM,
            address=Address(Channel.WEB, "s", "identity", "x"),
            assurance=Assurance.PROVEN,
        ),
        it(events.AgreementChanged, 2, agreement=NEWS),
        it(events.MovedTo, 2, to="a", reason="code"),
        it(events.MovedTo, 2, Role.SYSTEM, to="a", reason="identity"),
        it(events.Called, 2, Role.SYSTEM, session="c", our="1", assurance=Assurance.PROVEN, proof="code", notice="v1"),
        it(events.Called, 2, Role.SYSTEM, session="c", our="1", assurance=Assurance.PROVEN, proof="caller_id"),
        it(events.Called, 2, Role.SYSTEM, session="c", our="1", assurance=Assurance.CALLER_ID, attested=True),
        it(events.Called, 2, Role.SYSTEM, session="c", our="1", assurance=Assurance.CALLER_ID, vendor="vapi"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_every_line_says_why_in_every_language(event: AnyEvent, language: str) -> None:
    reader = Reader("anna", Words(language, "Europe/Berlin"), NAMES, NOON)

    line = last(wrote(1), event, reader=reader)

    assert isinstance(line, Line)
    assert line.reasons
    assert all(each.what and each.text and "{" not in each.text for each in line.reasons)


def test_a_template_says_when_the_person_last_wrote() -> None:
    template = AsTemplate("reminder", "en")
    late = sent(2, template=template, went=WhyThere.LAST)
    early = [wrote(1, Channel.WHATSAPP, at=NOON - 30 * HOUR, our="4930111"), late]
    fresh = [wrote(1, Channel.WHATSAPP, at=NOON - HOUR, our="4930111"), late]

    assert why(last(*early))["Template"].startswith("The person last wrote there Sat: after 24 hours")
    assert why(last(*fresh))["Template"].startswith("Chosen by whoever sent it; free text was possible, too")
    assert why(last(late, thread=Thread("t", seq=2)))["Template"].startswith("The person has not written there")


def test_a_message_says_why_it_went_there_how_long_it_waited_and_what_it_rests_on() -> None:
    waited = sent(2, went=WhyThere.LAST, waited_since=NOON - 2 * HOUR)
    news = sent(2, went=WhyThere.PREFERS, purpose=Purpose.NEWS)
    agreed = Thread("t", seq=2, agreements=(NEWS,))
    changed = Thread("t", seq=2, agreements=(Agreement(NEWS.channel, NEWS.purpose, False, at=NOON + HOUR),))

    assert why(last(wrote(1), waited)) == {
        "Channel": "The person last wrote there",
        "Held": "Written 11:00, outside the 24 hours; it left when the person wrote again",
        "Agreement": "None needed: it answers the person or is about what they asked for",
    }
    assert why(last(news, thread=agreed))["Agreement"] == "news, said on the website, 12:00, 2026-01"
    assert why(last(news, thread=changed))["Agreement"].endswith("has changed since")
    assert why(last(wrote(1), sent(2, channel=Channel.WEB))) == {}


def test_a_summary_says_of_which_call_it_is() -> None:
    about = {"session": "c", "our": "4930111", "assurance": Assurance.CALLER_ID}
    called = it(events.Called, 1, Role.SYSTEM, **about, caller=Address(Channel.VOICE, "4930111", "caller", "+4930999"))
    over = it(events.HungUp, 2, Role.SYSTEM, session="c", why=Ending.CALLER, seconds=180)

    card = last(called, over, it(events.Summarised, 3, Role.SYSTEM, session="c", text="About the cream."))

    assert isinstance(card, CallCard)
    assert card.reasons == (Reason("Call", "number ending in 0999, 13:00, 3 mins"),)


def test_a_close_is_undone_from_its_line_and_says_what_comes_back() -> None:
    task = it(events.Tasked, 3, task=TaskKind.CALLBACK, number="+4930123456")
    log = [wrote(1), it(events.Taken, 2), task, it(events.Closed, 4)]

    effect = "Jonas has the conversation again. Left to do: 1."
    assert last(*log).undo == Undo("reopen", 4, "t", effect)


def test_what_was_overtaken_cannot_be_undone() -> None:
    closed = [wrote(1), it(events.Taken, 2), it(events.Closed, 3)]
    wrote_again = replay("t", [*closed, wrote(4)])
    snoozed = [wrote(1), it(events.Snoozed, 2, until=NOON + HOUR)]

    assert last(*closed, thread=wrote_again).undo is None
    assert last(*snoozed).undo is not None
    assert last(*snoozed, thread=replay("t", [*snoozed, it(events.Woken, 3)])).undo is None


def test_handing_back_and_assigning_are_undone_where_it_is_known_what_was_before() -> None:
    taken = [wrote(1), it(events.Taken, 2)]
    assigned = last(*taken, it(events.Assigned, 3, to="anna")).undo

    assert last(*taken, it(events.Released, 3)).undo.do == "retake"
    assert (assigned.do, assigned.to, assigned.effect) == ("assign", "jonas", "Responsible again: Jonas")
    assert last(wrote(1), it(events.Assigned, 2, to="anna")).undo is None


def test_a_join_is_undone_from_either_conversation_with_a_reason_to_begin_with() -> None:
    here = last(wrote(1), it(events.JoinedWith, 2, Role.SYSTEM, other="b", upto=7)).undo
    there = last(wrote(1), it(events.MovedTo, 2, to="a", reason="x")).undo

    assert (here.do, here.thread, here.to, here.reason) == ("part", "t", "b", "Put together by mistake")
    assert (there.do, there.thread, there.to) == ("part", "a", "t")
    parted = [wrote(1), it(events.JoinedWith, 2, Role.SYSTEM, other="b", upto=7)]
    over = replay("t", [*parted, it(events.PartedFrom, 3, Role.SYSTEM, other="b")])
    assert last(*parted, thread=over).undo is None
