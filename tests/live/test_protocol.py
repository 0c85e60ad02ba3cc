"""Frames: what is read, what is refused, what is shown to whom."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from server.core import events
from server.core.delivery import Receipt
from server.core.errors import BadKey
from server.core.events import AnyEvent
from server.core.identity import Staff, StaffRole
from server.core.model import (
    Address,
    Agreement,
    Assurance,
    AsTemplate,
    Channel,
    Choice,
    DeliveryStatus,
    Ending,
    File,
    FileState,
    Handover,
    Link,
    NotHeard,
    Purpose,
    Role,
    TaskKind,
    Why,
    WhyThere,
)
from server.live import protocol, shown
from server.live.protocol import BadFrame, Post, TooOld
from server.live.shown import Audience

CALLER = Address(Channel.VOICE, "4930111", "caller", "+493012345678")
KEY = "1d9f8e4a-0000-4000-8000-00000000002a"
NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
BY_ANNA: dict[str, Any] = {
    "thread": "t1",
    "seq": 7,
    "sender": "staff:anna",
    "key": KEY,
    "at": NOON,
    "role": Role.STAFF,
    "by": "anna",
    "name": "Anna",
}
BY_PERSON: dict[str, Any] = {
    "thread": "t1",
    "seq": 7,
    "sender": "person:h",
    "key": KEY,
    "at": NOON,
    "role": Role.PERSON,
}
WHATSAPP = Address(Channel.WHATSAPP, "4930", "phone", "491701234567")


def seen(event: AnyEvent, audience: Audience) -> dict[str, Any]:
    return dict(json.loads(shown.encode(event, audience)))


# What comes in


def test_a_post_is_read_with_everything_it_says() -> None:
    raw = {"t": "post", "key": KEY, "text": "Hi", "choice": "c1", "reply_to": 3, "consent": "v1", "language": "sv"}

    assert protocol.decode_visitor(json.dumps(raw)) == Post(
        key=KEY, text="Hi", choice="c1", reply_to=3, consent="v1", language="sv"
    )


@pytest.mark.parametrize("language", ["", "\u202e", "de\n", '"><b>', "../de", "d e", "x" * 36])
def test_what_is_no_language_is_none(language: str) -> None:
    with pytest.raises(BadFrame):
        protocol.decode_visitor(json.dumps({"t": "post", "key": KEY, "text": "Hi", "language": language}))


@pytest.mark.parametrize("text", ["half \\ud83d", f'\\"key\\":\\"{KEY[::-1]}\\" \\ud83d'])
@pytest.mark.parametrize("order", ['{"t":"post","key":"%s","text":"%s"}', '{"t":"post","text":"%s","key":"%s"}'])
def test_a_post_that_cannot_be_read_is_refused_by_its_key(order: str, text: str) -> None:
    raw = order % ((KEY, text) if order.endswith('"text":"%s"}') else (text, KEY))

    for each in (raw, raw.encode()):
        with pytest.raises(BadFrame) as refused:
            protocol.decode_visitor(each)
        assert refused.value.key == KEY


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"t":"event"}',
        b'{"t":5}',
        b'{"t":"ping"} x',
        b'{"t":"ping","extra":1}',
        b'{"t":"post","key":{"$ne":null},"text":"x"}',
        b'{"t":"post","$where":"1","key":"k"}',
        b'{"t":"read","seq":9223372036854775808}',
        b'{"t":"read","seq":9007199254740993}',
        b'{"t":"read","seq":-1}',
        b'{"t":"read","seq":1.5}',
        b'{"t":"read","seq":' + b"9" * 5000 + b"}",
        b'{"t":"read","seq":true}',
        b'{"t":"typing","on":"yes"}',
        b'{"t":"post","key":"%b","text":"\\ud800"}' % KEY.encode(),
        b'{"t":"post","key":"%b","text":"\\ud800abcdefgh"}' % KEY.encode(),
        b'{"t":"post","key":"%b","text":"\\udc00abcdefgh"}' % KEY.encode(),
        b'{"t":"post","key":"%b","text":"a\\u0000b"}' % KEY.encode(),
        b'{"t":"post","key":"%b","text":"a\x00b"}' % KEY.encode(),
        b'{"t":"post","key":"%b","text":"\xed\xa0\x80"}' % KEY.encode(),
        b'{"t":"post","key":"%b","text":"\xff"}' % KEY.encode(),
        b"[" * 200_000,
        b'{"x":' * 200_000,
        b'{"x":' + b"[" * 17 + b"]" * 17 + b',"t":"ping"}',
        b'{"t":"post","key":"%b","text":' % KEY.encode() + b"[" * 60_000 + b"]" * 60_000 + b"}",
        b'{"t":"take","thread":"t1","key":"%b"}' % KEY.encode(),
        b'{"t":"ping"',
    ],
)
def test_what_is_no_frame_of_a_visitor_is_refused_as_such(raw: bytes) -> None:
    with pytest.raises(BadFrame):
        protocol.decode_visitor(raw)


def test_half_a_surrogate_pair_that_a_string_already_carries_is_refused() -> None:
    with pytest.raises(BadFrame):
        protocol.decode_visitor('{"t":"post","key":"' + KEY + '","text":"\ud800"}')


def test_a_frame_with_two_fields_of_one_name_is_read_as_one_of_them_or_refused() -> None:
    frame = protocol.decode_visitor(b'{"t":"read","seq":1,"seq":2}')

    assert frame == protocol.Read(seq=2)


@pytest.mark.parametrize("key", ["1", "answer:7", "wa:abc", KEY + " ", KEY.replace("-", ""), "{" + KEY[1:]])
def test_a_key_that_is_no_uuid_is_refused_and_named(key: str) -> None:
    with pytest.raises(BadKey) as refused:
        protocol.decode_visitor(json.dumps({"t": "post", "key": key, "text": "x"}))

    assert getattr(refused.value, "key", None) == key


def test_a_bad_frame_says_which_key_it_had_if_that_can_be_read() -> None:
    with pytest.raises(BadFrame) as refused:
        protocol.decode_visitor(json.dumps({"t": "post", "key": KEY, "text": ["no", "text"]}))

    assert refused.value.key == KEY


def test_a_hello_of_another_version_is_too_old_whatever_else_it_says() -> None:
    with pytest.raises(TooOld):
        protocol.decode_hello(b'{"t":"hello","v":2,"token":"x"}')
    with pytest.raises(TooOld):
        protocol.decode_staff_hello(b'{"t":"hello","v":0,"ticket":"x"}')


def test_a_hello_is_read() -> None:
    hello = protocol.decode_hello(b'{"t":"hello","v":1,"pass":"p","after":0,"epoch":null}')

    assert (hello.pass_, hello.after, hello.epoch) == ("p", 0, None)
    assert protocol.decode_staff_hello(b'{"t":"hello","v":1,"ticket":"x"}').ticket == "x"


def test_a_snooze_needs_a_moment_with_its_time_zone() -> None:
    with pytest.raises(BadFrame):
        protocol.decode_staff(json.dumps({"t": "snooze", "thread": "t1", "key": KEY, "until": "2026-11-24T08:00:00"}))


def test_mentions_may_not_carry_nul() -> None:
    with pytest.raises(BadFrame):
        protocol.decode_staff(json.dumps({"t": "note", "thread": "t1", "key": KEY, "text": "x", "mentions": ["a\0b"]}))


# What goes out


def test_a_visitor_sees_a_colleagues_name_and_staff_also_the_id() -> None:
    event = events.Posted(**BY_ANNA, channel=Channel.WEB, text="Hello")

    assert seen(event, Audience.VISITOR) == {
        "t": "event",
        "thread": "t1",
        "seq": 7,
        "at": "2026-11-23T12:00:00.123Z",
        "kind": "posted",
        "who": {"role": "staff", "name": "Anna"},
        "channel": "web",
        "text": "Hello",
    }
    assert seen(event, Audience.STAFF)["who"] == {"role": "staff", "id": "anna", "name": "Anna"}


def test_why_and_what_it_covers_is_for_staff() -> None:
    event = events.Posted(
        **{**BY_PERSON, "role": Role.ASSISTANT, "sender": "assistant", "key": "answer:6"},
        channel=Channel.WEB,
        text="At nine.",
        language="en",
        choices=(Choice("a", "More"),),
        links=(Link("https://example.org", "Map"),),
        covers=6,
        handover=Handover.ASKED,
        urgent=True,
        why=Why("hours", "Opening hours", score=1.5),
    )

    visitor, staff = seen(event, Audience.VISITOR), seen(event, Audience.STAFF)

    assert {"why", "covers"} & visitor.keys() == set()
    assert visitor["choices"] == [{"id": "a", "label": "More"}]
    assert (visitor["handover"], visitor["urgent"], visitor["lang"]) == ("asked", True, "en")
    assert staff["why"]["entry"] == "hours"
    assert staff["covers"] == 6


def test_the_senders_copy_is_the_same_bytes_with_the_key() -> None:
    plain = shown.encode(events.Posted(**BY_PERSON, channel=Channel.WEB, text="}"), Audience.VISITOR)

    assert json.loads(shown.with_key(plain, KEY)) == {**json.loads(plain), "key": KEY}
    assert b"key" not in plain


def test_an_event_is_encoded_once_for_each_audience() -> None:
    encoded = shown.Encoded(events.Posted(**BY_PERSON, channel=Channel.WEB, text="Hi"))

    assert encoded.frame(staff=True, own=False) is encoded.frame(staff=True, own=False)
    assert encoded.frame(staff=False, own=True) is encoded.frame(staff=False, own=True)


def test_what_a_person_says_is_the_same_for_everybody() -> None:
    event = events.Posted(**BY_PERSON, channel=Channel.WEB, text="Hi", choice="c", reply_to=3, language="en")
    encoded = shown.Encoded(event)

    assert shown.encode(event, Audience.STAFF) == shown.encode(event, Audience.VISITOR)
    assert encoded.frame(staff=True, own=False) is encoded.frame(staff=False, own=False)


PRIVATE: list[AnyEvent] = [
    events.Noted(**BY_ANNA, text="private words"),
    events.Assigned(**BY_ANNA, to="bea"),
    events.Snoozed(**BY_ANNA, until=NOON),
    events.Woken(**BY_ANNA),
    events.Emptied(**BY_ANNA),
    events.Named(**BY_ANNA, called="Mrs. Private"),
    events.Received(**BY_ANNA, receipt=Receipt(3, DeliveryStatus.READ)),
    events.MovedTo(**BY_ANNA, to="t2"),
    events.Returned(**BY_ANNA, was="t2"),
    events.Transcribed(**BY_ANNA, of=3, text="spoken words"),
    events.Retried(**BY_ANNA, of=3),
    events.AgreementChanged(**BY_ANNA, agreement=Agreement(Channel.WHATSAPP, Purpose.NEWS, True, "v1", "widget", NOON)),
    events.Preferred(**BY_ANNA, channel=Channel.WHATSAPP),
    events.Called(**BY_ANNA, session="c1", our="4930111", assurance=Assurance.PROVEN, caller=CALLER, said_at=NOON),
    events.HungUp(**BY_ANNA, session="c1", why=Ending.CALLER, seconds=60),
    events.Unheard(**BY_ANNA, session="c1", why=NotHeard.OBJECTED),
    events.Interrupted(**BY_ANNA, of=3, heard="From eight"),
    events.Tasked(**BY_ANNA, task=TaskKind.CALLBACK, number="+49301234567", when=NOON, text="About the cream."),
    events.TaskDone(**BY_ANNA, of=3),
    events.Summarised(**BY_ANNA, session="c1", text="About the cream.", points=("We call back.",)),
]
PUBLIC: list[AnyEvent] = [
    events.Reacted(**BY_ANNA, of=3, emoji="\U0001f44d"),
    events.Edited(**BY_ANNA, of=3, text="other words"),
    events.Revoked(**BY_ANNA, of=3),
    events.FileChanged(**BY_ANNA, of=3, file=File("f1", "a\u202egnp.pdf", "application/pdf", 9)),
    events.Taken(**BY_ANNA, was="bea"),
    events.Released(**BY_ANNA, reason="idle"),
    events.Closed(**BY_ANNA),
    events.Reopened(**BY_ANNA, of=3),
    events.WasRead(**BY_ANNA, upto=5),
    events.AddressLinked(**BY_ANNA, address=WHATSAPP, assurance=Assurance.PROVEN),
    events.JoinedWith(**BY_ANNA, other="t0", upto=4),
    events.PartedFrom(**BY_ANNA, other="t0"),
    events.Erased(**BY_ANNA),
]


@pytest.mark.parametrize("event", PRIVATE, ids=lambda event: type(event).__name__)
def test_what_is_private_becomes_a_number_and_nothing_else(event: AnyEvent) -> None:
    frames = [json.loads(frame) for frame in shown.page([event], Audience.VISITOR)]

    assert frames == [{"t": "skip", "thread": "t1", "after": 6, "to": 7}]
    with pytest.raises(ValueError, match="not shown"):
        shown.encode(event, Audience.VISITOR)


def test_why_a_message_went_where_it_went_and_which_close_was_undone_is_for_staff() -> None:
    said: dict[str, Any] = {
        "channel": Channel.WHATSAPP,
        "text": "Good morning",
        "went": WhyThere.PREFERS,
        "waited_since": NOON,
    }
    sent, undone = events.Posted(**BY_ANNA, **said), events.Reopened(**BY_ANNA, of=3)

    assert not {"went", "waited_since", "because"} & seen(sent, Audience.VISITOR).keys()
    assert seen(undone, Audience.VISITOR).keys() == {"t", "thread", "seq", "at", "kind", "who"}
    assert seen(undone, Audience.STAFF)["of"] == 3


@pytest.mark.parametrize("event", PRIVATE + PUBLIC, ids=lambda event: type(event).__name__)
def test_staff_see_every_kind(event: AnyEvent) -> None:
    frame = seen(event, Audience.STAFF)

    assert frame["t"] == "event"
    assert frame["kind"] == type(event).__struct_config__.tag
    assert frame["who"] == {"role": "staff", "id": "anna", "name": "Anna"}
    assert "key" not in frame


@pytest.mark.parametrize("event", PUBLIC, ids=lambda event: type(event).__name__)
def test_a_visitor_never_sees_an_id_of_staff_or_a_number_of_anybody(event: AnyEvent) -> None:
    frame = shown.encode(event, Audience.VISITOR)

    assert b"anna" not in frame
    assert b"bea" not in frame
    assert b"4567" not in frame


def test_of_an_address_staff_see_the_tail_and_a_visitor_the_channel() -> None:
    event = events.AddressLinked(**BY_ANNA, address=WHATSAPP, assurance=Assurance.CALLER_ID)

    assert seen(event, Audience.VISITOR)["address"] == {"channel": "whatsapp"}
    assert seen(event, Audience.STAFF)["address"] == {
        "channel": "whatsapp",
        "kind": "phone",
        "tail": "4567",
        "assurance": "caller_id",
    }


def test_the_rest_of_what_staff_see() -> None:
    def fields(event: AnyEvent) -> dict[str, Any]:
        always = {"t", "thread", "seq", "at", "kind", "who"}
        return {name: value for name, value in seen(event, Audience.STAFF).items() if name not in always}

    assert [fields(event) for event in PRIVATE] == [
        {"text": "private words"},
        {"to": "bea"},
        {"until": "2026-11-23T12:00:00.123Z"},
        {},
        {},
        {"name": "Mrs. Private"},
        {"of": 3, "status": "read"},
        {"to": "t2"},
        {"from": "t2"},
        {"of": 3, "text": "spoken words"},
        {"of": 3},
        {
            "agreement": {
                "channel": "whatsapp",
                "purpose": "news",
                "given": True,
                "at": "2026-11-23T12:00:00.123Z",
                "version": "v1",
                "source": "widget",
            }
        },
        {"channel": "whatsapp"},
        {
            "session": "c1",
            "our": "4930111",
            "assurance": "proven",
            "tail": "5678",
            "said_at": "2026-11-23T12:00:00.123Z",
        },
        {"session": "c1", "why": "caller", "seconds": 60},
        {"session": "c1", "why": "objected"},
        {"of": 3, "heard": "From eight"},
        {
            "task": "callback",
            "number": "+49301234567",
            "when": "2026-11-23T12:00:00.123Z",
            "text": "About the cream.",
        },
        {"of": 3},
        {"session": "c1", "text": "About the cream.", "points": ["We call back."]},
    ]


def test_a_message_says_what_came_and_how_it_left() -> None:
    more: dict[str, Any] = {
        "files": (File("f1", "a\u202eb.png", "image/png", 12, FileState.FETCHING),),
        "said_at": NOON,
        "past": True,
    }
    came = events.Posted(**BY_PERSON, channel=Channel.WHATSAPP, text="", unsaid="poll", our="4930111", **more)
    left = events.Posted(
        **BY_ANNA,
        channel=Channel.WHATSAPP,
        text="Hi",
        template=AsTemplate("t", "de", (("name", "Private"),)),
        purpose=Purpose.REMINDERS,
        anyway=True,
    )

    assert shown.encode(came, Audience.STAFF) == shown.encode(came, Audience.VISITOR)
    assert seen(came, Audience.VISITOR)["files"] == [
        {"id": "f1", "name": "ab.png", "type": "image/png", "size": 12, "state": "fetching"}
    ]
    assert [seen(came, Audience.VISITOR)[name] for name in ("said_at", "past", "unsaid")] == [
        "2026-11-23T12:00:00.123Z",
        True,
        "poll",
    ]
    assert b"4930111" not in shown.encode(came, Audience.STAFF)
    assert {"template", "purpose", "anyway"} <= seen(left, Audience.STAFF).keys()
    assert not {"template", "purpose", "anyway"} & seen(left, Audience.VISITOR).keys()


def test_what_turns_the_line_around_is_taken_out_of_names() -> None:
    event = events.Taken(**{**BY_ANNA, "name": "\u202eannA\u2066 B."})

    assert seen(event, Audience.VISITOR)["who"]["name"] == "annA B."


@pytest.mark.parametrize(("proven", "is_hidden"), [(True, False), (False, True)])
def test_a_visitor_reads_of_calls_only_what_was_said_in_one_that_has_shown_whose_it_is(
    proven: bool, is_hidden: bool
) -> None:
    spoken = events.Posted(**BY_ANNA, channel=Channel.VOICE, text="Friday at two.", proven=proven)
    assert shown.hidden(spoken) is is_hidden


def test_a_run_of_hidden_events_is_one_skip() -> None:
    log: list[AnyEvent] = [
        events.Posted(**{**BY_PERSON, "seq": 1}, channel=Channel.WEB, text="a"),
        events.Noted(**{**BY_ANNA, "seq": 2}, text="x"),
        events.Assigned(**{**BY_ANNA, "seq": 3}, to=None),
        events.Posted(**{**BY_ANNA, "seq": 4}, channel=Channel.WEB, text="b"),
        events.Noted(**{**BY_ANNA, "seq": 5}, text="y"),
    ]

    frames = [json.loads(frame) for frame in shown.page(log, Audience.VISITOR, sender="person:h")]

    assert [(each["t"], each.get("seq"), each.get("after"), each.get("to")) for each in frames] == [
        ("event", 1, None, None),
        ("skip", None, 1, 3),
        ("event", 4, None, None),
        ("skip", None, 4, 5),
    ]
    assert frames[0]["key"] == KEY
    assert "key" not in frames[2]
    assert [json.loads(each)["seq"] for each in shown.page(log, Audience.STAFF)] == [1, 2, 3, 4, 5]


def test_history_is_the_same_frames_in_one_body() -> None:
    log: list[AnyEvent] = [events.Noted(**{**BY_ANNA, "seq": 2}, text="x")]

    assert json.loads(shown.history("t1", "e1", 9, log, Audience.VISITOR)) == {
        "thread": "t1",
        "epoch": "e1",
        "seq": 9,
        "events": [{"t": "skip", "thread": "t1", "after": 1, "to": 2}],
    }


def test_every_other_frame_says_what_the_documentation_says() -> None:
    limits = protocol.Limits(4096, 65536)
    anna = Staff("anna", "Anna\u202e", StaffRole.ADMIN)

    def said(frame: bytes) -> dict[str, Any]:
        return dict(json.loads(frame))

    assert said(protocol.welcome("t1", 7, "e1", 25, limits, ["de"])) == {
        "t": "welcome",
        "v": 1,
        "thread": "t1",
        "seq": 7,
        "epoch": "e1",
        "heartbeat": 25,
        "limits": {"text": 4096, "frame": 65536},
        "languages": ["de"],
    }
    assert said(protocol.welcome_staff(anna, "e1", 25, limits, ["de"]))["staff"] == {
        "id": "anna",
        "name": "Anna",
        "role": "admin",
    }
    assert said(protocol.live("t1", 7)) == {"t": "live", "thread": "t1", "seq": 7}
    assert said(protocol.done(KEY, 7)) == {"t": "done", "key": KEY, "seq": 7}
    assert said(protocol.refused("moved", "Text", KEY)) == {"t": "refused", "key": KEY, "code": "moved", "text": "Text"}
    assert said(protocol.refused("bad_frame", "Text")) == {"t": "refused", "code": "bad_frame", "text": "Text"}
    assert said(protocol.later("starting", 50)) == {"t": "later", "code": "starting", "retry_ms": 50}
    who = protocol.Who(Role.STAFF, name="Anna")
    assert said(protocol.typing("t1", who, True)) == {
        "t": "typing",
        "thread": "t1",
        "who": {"role": "staff", "name": "Anna"},
        "on": True,
    }
    assert said(protocol.presence("t1", [protocol.Present("anna", "Anna")])) == {
        "t": "presence",
        "thread": "t1",
        "staff": [{"id": "anna", "name": "Anna", "typing": False}],
    }
    assert said(protocol.inbox(b'[{"thread":"t1"}]')) == {"t": "inbox", "rows": [{"thread": "t1"}]}
    assert said(protocol.pong({"t1": 7})) == {"t": "pong", "heads": {"t1": 7}}
    assert said(protocol.new_pass("p", 900)) == {"t": "pass", "pass": "p", "expires_in": 900}
    assert said(protocol.reset("t1", "e2", 7)) == {"t": "reset", "thread": "t1", "epoch": "e2", "seq": 7}
    assert said(protocol.moved("t1", "p", 900, "t2")) == {
        "t": "moved",
        "thread": "t1",
        "pass": "p",
        "expires_in": 900,
        "to": "t2",
    }
    assert said(protocol.drain(5000)) == {"t": "drain", "in_ms": 5000}


# Where a reader begins


@pytest.mark.parametrize(
    ("head", "after", "epoch", "begins", "forgets"),
    [
        (0, None, None, 0, False),
        (30, None, None, 0, False),
        (80, None, None, 30, False),
        (80, 79, "e1", 79, False),
        (80, 80, None, 80, False),
        (80, 81, "e1", 30, True),
        (80, 10, "e0", 30, True),
        (1080, 80, "e1", 80, False),
        (1080, 79, "e1", 1030, True),
    ],
)
def test_a_reader_begins_where_it_was_unless_its_numbers_are_not_ours(
    head: int, after: int | None, epoch: str | None, begins: int, forgets: bool
) -> None:
    assert protocol.beginning(head, after, epoch, "e1") == (begins, forgets)


def test_staff_see_of_a_call_who_calls_by_the_last_digits_and_how_sure_that_is() -> None:
    called = events.Called(
        **BY_ANNA, session="c1", our="4930111", assurance=Assurance.CALLER_ID, caller=CALLER, notice="n1", language="de"
    )

    frame = seen(called, Audience.STAFF)

    assert (frame["session"], frame["our"], frame["tail"]) == ("c1", "4930111", "5678")
    assert (frame["assurance"], frame["notice"], frame["lang"]) == ("caller_id", "n1", "de")
    assert b"+4930" not in shown.encode(called, Audience.STAFF)


def test_a_whisper_is_marked_for_staff_alone() -> None:
    whispered = events.Posted(**BY_ANNA, channel=Channel.VOICE, text="Friday at two.", whisper=True)

    assert seen(whispered, Audience.STAFF)["whisper"] is True
    assert "whisper" not in seen(whispered, Audience.VISITOR)


def test_a_colleague_whispers_and_leaves_and_finishes_tasks() -> None:
    about = f'"thread":"t1","key":"{KEY}"'

    whispered = protocol.decode_staff(f'{{"t":"post",{about},"text":"Friday","whisper":true}}')
    left = protocol.decode_staff(
        f'{{"t":"task",{about},"task":"callback","number":"+4930","at":"2026-11-23T12:00:00Z"}}'
    )
    done = protocol.decode_staff(f'{{"t":"task_done",{about},"of":7}}')

    assert isinstance(whispered, protocol.Reply)
    assert whispered.whisper
    assert left == protocol.OpenTask(
        thread="t1", key=KEY, task=TaskKind.CALLBACK, number="+4930", at=datetime(2026, 11, 23, 12, tzinfo=UTC)
    )
    assert done == protocol.FinishTask(thread="t1", key=KEY, of=7)
