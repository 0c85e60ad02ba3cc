"""A message as a colleague sees it by now: how far it came, what became of it, and what stands in for words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from server.core import choices, events
from server.core.delivery import Receipt
from server.core.events import AnyEvent
from server.core.evolving import replay
from server.core.model import (
    About,
    Address,
    Agreement,
    Assurance,
    AsTemplate,
    Channel,
    Delivery,
    DeliveryStatus,
    Ending,
    File,
    FileState,
    NotHeard,
    Purpose,
    Role,
    TaskKind,
    Thread,
)
from server.web.reasons import Reason
from server.web.strings import LANGUAGES, Words
from server.web.timeline import Bubble, CallCard, Line, Reader, items, redrawn

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def explained(error: str, language: str) -> str:
    return f"{error} in {language}"


READER = Reader("anna", Words("en", "Europe/Berlin"), {"anna": "Anna", "jonas": "Jonas"}, NOON, explained)


def happened(kind: type[Any], seq: int, role: Role = Role.PERSON, **more: Any) -> AnyEvent:
    by = {"by": "anna"} if role is Role.STAFF else {}
    event: AnyEvent = kind(thread="t", seq=seq, sender=role.value, key=str(seq), at=NOON, role=role, **by, **more)
    return event


def said(seq: int, text: str = "Hello", role: Role = Role.PERSON, **more: Any) -> AnyEvent:
    return happened(events.Posted, seq, role, text=text, channel=Channel.WHATSAPP, **more)


def bubbles(*log: AnyEvent, thread: Thread | None = None, reader: Reader = READER) -> list[Bubble]:
    shown, _ = items(log, thread or replay("t", list(log)), reader)
    return [item for item in shown if isinstance(item, Bubble)]


def words(bubble: Bubble) -> str:
    return "".join(piece.text for piece in bubble.pieces)


@pytest.mark.parametrize("status", DeliveryStatus)
def test_every_step_on_a_messages_way_has_a_tick_with_a_name(status: DeliveryStatus) -> None:
    thread = Thread("t", seq=1, deliveries=(Delivery(1, status),))

    (shown,) = bubbles(said(1, role=Role.STAFF), thread=thread)

    assert shown.tick == status.name.lower()
    assert all(Words(language, "Europe/Berlin")(f"tick_{shown.tick}") for language in LANGUAGES)


def test_a_message_in_parts_has_come_as_far_as_its_slowest_and_fails_with_any() -> None:
    parts = (Delivery(1, DeliveryStatus.DELIVERED), Delivery(1, DeliveryStatus.SENT, 1))
    failed = Delivery(1, DeliveryStatus.FAILED, 2, "unreachable")

    (slow,) = bubbles(said(1, role=Role.STAFF), thread=Thread("t", seq=1, deliveries=parts))
    (broken,) = bubbles(said(1, role=Role.STAFF), thread=Thread("t", seq=1, deliveries=(*parts, failed)))

    assert (slow.tick, slow.error, slow.again) == ("sent", "", False)
    assert (broken.tick, broken.error, broken.again) == ("failed", "unreachable in en", True)


def test_a_new_attempt_is_on_its_way_again_and_says_who_asked() -> None:
    failed = happened(events.Received, 2, Role.SYSTEM, receipt=Receipt(1, DeliveryStatus.FAILED, 0, "busy"))
    again = happened(events.Retried, 3, Role.STAFF, of=1)
    log = [said(1, role=Role.STAFF), failed, again]

    shown, _ = items(log, replay("t", log), READER)

    assert [item.tick for item in shown if isinstance(item, Bubble)] == ["queued"]
    assert [item.text for item in shown if isinstance(item, Line)] == ["Anna had a message sent again"]


def test_an_edited_message_shows_both_and_who_answers_it_quotes_the_newer() -> None:
    shown, answer = bubbles(
        said(1, "Thrusday"), happened(events.Edited, 2, of=1, text="Thursday"), said(3, "Fine", reply_to=1)
    )

    assert (words(shown), shown.before, answer.quote) == ("Thursday", "Thrusday", "Thursday")


def test_a_message_that_was_taken_back_leaves_no_words_anywhere() -> None:
    log = [
        said(1, "wrong person", files=(File("f"),)),
        happened(events.Edited, 2, of=1, text="wrong again"),
        happened(events.Transcribed, 3, Role.SYSTEM, of=1, text="wrong too"),
        happened(events.Revoked, 4, of=1),
        said(5, "Pardon?", reply_to=1),
    ]
    shown, answer = bubbles(*log)

    assert (shown.revoked, words(shown), shown.before, shown.transcript, shown.files) == (True, "", None, None, ())
    assert answer.quote == "This message was deleted by its sender."


def test_everybody_has_one_reaction_and_can_take_it_back() -> None:
    first, *_ = bubbles(
        said(1),
        happened(events.Reacted, 2, of=1, emoji="👍"),
        happened(events.Reacted, 3, of=1, emoji="❤️"),
        happened(events.Reacted, 4, Role.STAFF, of=1, emoji="🙏"),
    )
    assert [(each.emoji, each.name) for each in first.reactions] == [("❤️", "Visitor T"), ("🙏", "You")]

    (gone,) = bubbles(
        said(1), happened(events.Reacted, 2, of=1, emoji="👍"), happened(events.Reacted, 3, of=1, emoji="")
    )
    assert gone.reactions == ()


def test_a_file_is_shown_as_what_it_is_once_it_has_come() -> None:
    waited = File("f", "rash.jpg", "image/jpeg", 0, FileState.FETCHING)
    ready = File("f", "rash.jpg", "image/jpeg", 1_400_000)
    svg, note = File("g", "x.svg", "image/svg+xml"), File("h", "", "audio/ogg", voice=True)

    (shown,) = bubbles(said(1, "", files=(waited, svg, note)), happened(events.FileChanged, 2, of=1, file=ready))

    assert [(each.kind, each.name, each.state, each.size) for each in shown.files] == [
        ("image", "rash.jpg", FileState.READY, "1.4\N{NO-BREAK SPACE}MB"),
        ("document", "x.svg", FileState.READY, ""),
        ("audio", "Voice message", FileState.READY, ""),
    ]


def test_what_a_machine_wrote_down_and_what_cannot_be_shown_are_marked() -> None:
    heard, place = bubbles(
        said(1, ""), happened(events.Transcribed, 2, Role.SYSTEM, of=1, text="Hello"), said(3, unsaid="location")
    )

    assert (heard.transcript, words(heard), place.unsaid) == ("Hello", "", True)


def test_words_from_the_providers_app_are_marked_and_have_no_tick() -> None:
    echo, history = bubbles(said(1, role=Role.STAFF, past=True), said(2, past=True, said_at=NOON))

    assert [(each.echo, each.past, each.tick) for each in (echo, history)] == [(True, False, None), (False, True, None)]


def test_a_template_and_a_warning_that_was_passed_over_stay_visible() -> None:
    template = AsTemplate("appointment_reminder", "en")

    (shown,) = bubbles(said(1, role=Role.STAFF, template=template, anyway=True))

    assert (shown.template, shown.anyway) == ("appointment reminder", True)


def test_an_agreement_is_told_as_the_persons_own_or_as_a_colleagues_entry() -> None:
    agreement = Agreement(Channel.WHATSAPP, Purpose.REMINDERS, True)
    log = [
        happened(events.AgreementChanged, 1, agreement=agreement),
        happened(events.AgreementChanged, 2, Role.STAFF, agreement=agreement),
    ]
    shown, _ = items(log, Thread("t", seq=2), READER)

    assert [item.text for item in shown if isinstance(item, Line)] == [
        "Person agreed to being written to: WhatsApp, reminders",
        "Anna noted a yes: WhatsApp, reminders",
    ]


def test_a_message_on_the_page_is_drawn_anew_with_what_came_later() -> None:
    log = [said(1), said(2, "two"), happened(events.Reacted, 3, of=1, emoji="👍")]

    (shown,) = redrawn(log, {1}, replay("t", log), READER)

    assert (shown.seq, [each.emoji for each in shown.reactions]) == (1, ["👍"])


def test_what_came_after_an_older_page_still_changes_its_messages() -> None:
    shown, _ = items([said(1)], Thread("t", seq=9), READER, later=[happened(events.Revoked, 9, of=1)])

    assert [item.revoked for item in shown if isinstance(item, Bubble)] == [True]


@pytest.mark.parametrize(("about", "told"), [(About.CHILD, "their child"), ("their neighbour", "their neighbour")])
def test_whom_a_message_is_about_is_told_in_the_readers_words(about: str, told: str) -> None:
    [bubble] = bubbles(said(1, "She has a fever", about=about))
    assert bubble.about == told


# calls

CALLER = Address(Channel.VOICE, "+4930111", "caller", "+4915112345678")


def called(seq: int = 1, assurance: Assurance = Assurance.CALLER_ID, **more: Any) -> AnyEvent:
    return happened(events.Called, seq, session="s", our="+4930111", assurance=assurance, **more)


def lines(*log: AnyEvent, language: str = "en") -> list[str]:
    reader = Reader("anna", Words(language, "Europe/Berlin"), {"anna": "Anna"}, NOON)
    shown, _ = items(log, Thread("t", seq=len(log)), reader)
    return [item.text for item in shown if isinstance(item, Line)]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (called(caller=CALLER), "Call: number ending in 5678; who it is has not been shown"),
        (called(caller=CALLER, attested=True), "Call: number ending in 5678, confirmed by the network"),
        (called(), "Call: number withheld; who it is has not been shown"),
        (
            called(assurance=Assurance.PROVEN, proof="code"),
            "This call has shown whose it is: by a code from the website",
        ),
        (called(past=True, vendor="Vapi"), "Call, reported by Vapi"),
    ],
    ids=["unproven", "attested", "withheld", "proven", "reported"],
)
def test_a_call_is_told_with_how_far_it_is_known_who_is_calling(event: AnyEvent, line: str) -> None:
    assert lines(event) == [line]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("why", Ending)
def test_every_ending_of_a_call_has_words_in_every_language(why: Ending, language: str) -> None:
    [line] = lines(happened(events.HungUp, 1, session="s", why=why, seconds=180), language=language)
    assert "3" in line


@pytest.mark.parametrize("task", TaskKind)
def test_what_is_left_to_do_and_that_it_was_done_are_told(task: TaskKind) -> None:
    opened = happened(events.Tasked, 1, task=task, number="+49301234", when=NOON)
    done = happened(events.TaskDone, 2, Role.STAFF, of=1)
    first, second = lines(opened, done)
    assert first == f"{READER.words(f'todo_{task}')}, +49301234, 13:00"
    assert second == "Anna marked this as done"


@pytest.mark.parametrize("why", NotHeard)
def test_that_nothing_more_of_a_call_is_written_down_is_told(why: NotHeard) -> None:
    assert lines(happened(events.Unheard, 1, session="s", why=why)) == [READER.words(f"line_unheard_{why}")]


def test_after_a_call_a_card_says_what_it_was_about_and_leads_to_its_words() -> None:
    about = happened(
        events.Summarised, 3, Role.SYSTEM, session="s", text="About eczema.", points=("Call back at 14:00",), sent=True
    )
    shown, _ = items([called(), said(2), about], Thread("t", seq=3), READER)
    which = (Reason("Call", "number withheld, 13:00"),)
    assert CallCard(3, NOON, "About eczema.", ("Call back at 14:00",), None, True, begins=1, reasons=which) in shown


def test_a_message_that_the_caller_interrupted_shows_what_was_heard_of_it() -> None:
    spoken = said(1, "Dr. Phillips treats eczema. She is here on Fridays.", Role.ASSISTANT)
    cut = happened(events.Interrupted, 2, Role.SYSTEM, of=1, heard="Dr. Phillips treats")
    [bubble] = bubbles(spoken, cut)
    assert bubble.heard == "Dr. Phillips treats"
    [anew] = redrawn([spoken, cut], [1], Thread("t", seq=2), READER)
    assert anew.heard == "Dr. Phillips treats"


@pytest.mark.parametrize(
    ("choice", "right"), [(choices.SUMMARY_YES, True), (choices.SUMMARY_NO, False), ("other", None)]
)
def test_the_answer_to_a_summary_is_marked(choice: str, right: bool | None) -> None:
    [bare, wrapped] = bubbles(said(1, choice=choice), said(2, choice=choices.of(7, choice)))
    assert (bare.confirms, wrapped.confirms) == (right, right)
