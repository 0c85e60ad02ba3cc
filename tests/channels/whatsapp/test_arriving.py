"""What comes in a webhook becomes what it is, one by one, and whoever sent it is who they are."""

from typing import Any

import pytest

from channels.whatsapp.wire import (
    AccountChanged,
    BookEntry,
    Card,
    ChangeKind,
    Contacts,
    Content,
    Context,
    Echo,
    Edited,
    Form,
    Forwarded,
    GroupChanged,
    HistoryProgress,
    IdentityChanged,
    Item,
    Location,
    Media,
    MediaKind,
    Message,
    Order,
    Other,
    Past,
    Person,
    Preference,
    Pricing,
    Reaction,
    Referral,
    Revoked,
    Status,
    Tap,
    TapKind,
    TemplateChanged,
    Text,
    Trouble,
    Unreadable,
    Unsupported,
    key_of,
)
from server.core.model import DeliveryStatus
from tests.channels.whatsapp.given import (
    CONTACT,
    DIALOG,
    META,
    MOBILE,
    OUR,
    SARAH,
    SENT_AT,
    TWILIO,
    arrives,
    body,
    form,
    message,
    value,
)

FILE = {"id": "77", "mime_type": "image/jpeg", "sha256": "abc="}


def said(content: Content, **more: Any) -> Message:
    return Message(id="wamid.ONE", our=OUR, person=SARAH, at=SENT_AT, content=content, **more)


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        (message(), Text("Hallo")),
        (
            message("image", image={**FILE, "caption": "Mein Arm"}),
            Media(MediaKind.IMAGE, "77", "", "image/jpeg", "abc=", "Mein Arm"),
        ),
        (
            message("document", document={"id": 78, "mime_type": "application/pdf", "filename": "../../etc/Brief.pdf"}),
            Media(MediaKind.DOCUMENT, "78", mime="application/pdf", filename="Brief.pdf"),
        ),
        (message("audio", audio={"id": "79", "voice": True}), Media(MediaKind.VOICE, "79")),
        (message("audio", audio={"id": "79", "voice": False}), Media(MediaKind.AUDIO, "79")),
        (message("video", video={"id": "80"}), Media(MediaKind.VIDEO, "80")),
        (message("sticker", sticker={"id": "81", "animated": True}), Media(MediaKind.STICKER, "81", animated=True)),
        (message("image", image={"caption": "gone"}), Media(MediaKind.IMAGE, caption="gone")),
        (
            message("location", location={"latitude": "52.52", "longitude": 13.4, "name": "Praxis"}),
            Location(52.52, 13.4, "Praxis"),
        ),
        (message("location", location={"latitude": "1e999", "longitude": 13.4}), Unsupported("location")),
        (
            message(
                "contacts", contacts=[{"name": {"first_name": "Anna", "last_name": "B"}, "phones": [{"wa_id": "49"}]}]
            ),
            Contacts((Card("Anna B", ("49",)),)),
        ),
        (message("button", button={"payload": "yes:7", "text": "Ja"}), Tap(TapKind.TEMPLATE, "yes:7", "Ja")),
        (
            message("interactive", interactive={"type": "button_reply", "button_reply": {"id": "yes", "title": "Ja"}}),
            Tap(TapKind.BUTTON, "yes", "Ja"),
        ),
        (
            message(
                "interactive",
                interactive={
                    "type": "list_reply",
                    "list_reply": {"id": "fri", "title": "Freitag", "description": "14 Uhr"},
                },
            ),
            Tap(TapKind.LIST, "fri", "Freitag", "14 Uhr"),
        ),
        (
            message(
                "interactive",
                interactive={
                    "type": "nfm_reply",
                    "nfm_reply": {"name": "flow", "response_json": '{"a": 1, "b": ["x", "y"]}'},
                },
            ),
            Form("flow", "", (("a", "1"), ("b", "x, y"))),
        ),
        (
            message(
                "interactive", interactive={"type": "nfm_reply", "nfm_reply": {"body": "Sent", "response_json": "{"}}
            ),
            Form("", "Sent"),
        ),
        (
            message("interactive", interactive={"type": "call_permission_reply"}),
            Unsupported("interactive.call_permission_reply"),
        ),
        (message("reaction", reaction={"message_id": "wamid.LATER", "emoji": "👍"}), Reaction("wamid.LATER", "👍")),
        (message("reaction", reaction={"message_id": "wamid.LATER", "emoji": ""}), Reaction("wamid.LATER")),
        (message("reaction", reaction={"message_id": "wamid.LATER"}), Reaction("wamid.LATER")),
        (
            message(
                "edit",
                edit={"original_message_id": "wamid.LATER", "message": {"type": "text", "text": {"body": "Neu"}}},
            ),
            Edited("wamid.LATER", Text("Neu")),
        ),
        (message("revoke", revoke={"original_message_id": "wamid.LATER"}), Revoked("wamid.LATER")),
        (
            message("order", order={"catalog_id": 5, "product_items": [{"product_retailer_id": "p", "quantity": "2"}]}),
            Order("5", "", (Item("p", 2),)),
        ),
        (
            message("unsupported", errors=[{"code": "131051"}], unsupported={"type": "poll"}),
            Unsupported("poll", 131051),
        ),
        (message("ephemeral"), Unsupported("ephemeral")),
        (message("telepathy", telepathy={"thought": "?"}), Unsupported("telepathy")),
        (message("text", text=None), Unsupported("text")),
        ({key: each for key, each in message().items() if key != "type"}, Text("Hallo")),
    ],
)
def test_a_message_of_every_type_becomes_what_was_said(sent: dict[str, Any], content: Content) -> None:
    [found] = arrives(sent)

    assert isinstance(found, Message)
    assert found.content == content
    assert (found.id, found.person, found.at) == ("wamid.ONE", SARAH, SENT_AT)


def test_360dialog_sends_what_meta_sends() -> None:
    sent = body(value(contacts=[CONTACT], messages=[message()]))

    assert DIALOG.parse(sent) == META.parse(sent) == [said(Text("Hallo"))]


def test_all_messages_of_all_changes_of_all_entries_are_read() -> None:
    one, two = message(id="wamid.A"), message(id="wamid.B")
    change = {
        "field": "messages",
        "value": value(contacts=[CONTACT], messages=[one, two], statuses=[{"id": "wamid.C", "status": "read"}]),
    }
    found = META.parse(
        str({"entry": [{"changes": [change, change]}, {"changes": [change]}]}).replace("'", '"').encode()
    )

    assert [type(each).__name__ for each in found] == ["Message", "Message", "Status"] * 3


def test_a_message_says_what_it_refers_to_and_what_brought_it() -> None:
    reply = {"id": "wamid.OURS", "from": "4930111222"}
    ad = {"source_type": "ad", "source_id": "12", "source_url": "javascript:alert(1)", "headline": "Chat"}

    assert arrives(message(context=reply)) == [said(Text("Hallo"), context=Context("wamid.OURS"))]
    assert arrives(message(context={"frequently_forwarded": True, "forwarded": True})) == [
        said(Text("Hallo"), context=Context(forwarded=Forwarded.OFTEN))
    ]
    assert arrives(message(referral=ad)) == [said(Text("Hallo"), referral=Referral("ad", "12", "", "Chat"))]


def test_a_person_without_a_number_is_known_by_the_id_that_only_we_have() -> None:
    without = {key: each for key, each in message().items() if key != "from"}
    contact = {"profile": {"name": "Sarah", "username": "sarah"}, "user_id": "DE.123abc", "parent_user_id": "DE.ENT.9z"}

    [found] = arrives({**without, "from_user_id": "DE.123abc"}, contacts=[contact])

    assert isinstance(found, Message)
    assert found.person == Person("", "DE.123abc", "DE.ENT.9z", "Sarah", "sarah")
    assert [each.id for each in found.person.addresses(OUR)] == [
        f"whatsapp:{OUR}:user_id:DE.123abc",
        f"whatsapp:{OUR}:parent_id:DE.ENT.9z",
    ]


def test_each_of_two_people_in_one_webhook_keeps_their_own_name() -> None:
    ben = {"profile": {"name": "Ben"}, "wa_id": "4915199999999"}

    found = arrives(message(), message(**{"from": "4915199999999"}), contacts=[CONTACT, ben])

    assert [each.person.name for each in found if isinstance(each, Message)] == ["Sarah", "Ben"]


def test_a_name_cannot_turn_the_line_around_or_break_it() -> None:
    [found] = arrives(message(), contacts=[{"profile": {"name": "Sa\u202erah\n\x00 B"}, "wa_id": MOBILE}])

    assert isinstance(found, Message)
    assert found.person.name == "Sarah B"


@pytest.mark.parametrize("written", [1_791_900_000, "1791900000", 1_791_900_000_000, "1791900000.0"])
def test_a_time_is_read_however_it_is_written(written: Any) -> None:
    [found] = arrives(message(timestamp=written))

    assert isinstance(found, Message)
    assert found.at == (SENT_AT if "." not in str(written) else None)


@pytest.mark.parametrize(
    ("opens", "sent"),
    [
        (True, message()),
        (True, message("button", button={"payload": "a", "text": "A"})),
        (False, message("reaction", reaction={"message_id": "wamid.X"})),
        (False, message("revoke", revoke={"original_message_id": "wamid.X"})),
        (False, message(group_id="G1")),
    ],
)
def test_only_something_said_to_us_opens_the_window(opens: bool, sent: dict[str, Any]) -> None:
    [found] = arrives(sent)

    assert isinstance(found, Message)
    assert found.opens_window is opens


# Identity ----------------------------------------------------------------------------------------------------------


def system(**about: Any) -> list[Any]:
    return META.parse(body(value(messages=[message("system", system=about)])))


def test_who_changes_their_number_is_the_same_person() -> None:
    found = system(type="user_changed_number", wa_id="12195555358", user_id="US.new", previous_user_id="US.old")

    assert found == [
        IdentityChanged(
            id="wamid.ONE",
            our=OUR,
            change=ChangeKind.NUMBER,
            was=Person(MOBILE, "US.old"),
            now=Person("12195555358", "US.new"),
            at=SENT_AT,
        )
    ]


def test_who_has_only_an_id_may_get_another() -> None:
    moved = message(
        "system", system={"type": "user_changed_user_id", "user_id": "DE.new", "previous_user_id": "DE.old"}
    )
    del moved["from"]

    [found] = META.parse(body(value(messages=[moved])))

    assert isinstance(found, IdentityChanged)
    assert (found.change, found.was, found.now) == (ChangeKind.USER_ID, Person("", "DE.old"), Person("", "DE.new"))


def test_a_new_device_is_told_and_a_system_message_we_do_not_know_is_unreadable() -> None:
    [device] = system(type="customer_identity_changed")

    assert isinstance(device, IdentityChanged)
    assert device.change is ChangeKind.DEVICE
    assert system(type="something") == [Unreadable("entry[0].changes[0].value.messages[0]", "unknown_system_message")]


# Statuses ----------------------------------------------------------------------------------------------------------


def test_a_status_says_how_far_a_message_came_and_what_it_cost() -> None:
    pricing = {"billable": False, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"}
    status = {
        "id": "wamid.OURS",
        "status": "delivered",
        "timestamp": str(SENT_AT.timestamp()).split(".")[0],
        "recipient_id": MOBILE,
        "recipient_user_id": "DE.1",
        "biz_opaque_callback_data": "t1.7",
        "pricing": pricing,
    }

    assert META.parse(body(value(statuses=[status], contacts=[CONTACT]))) == [
        Status(
            id="wamid.OURS",
            our=OUR,
            status=DeliveryStatus.DELIVERED,
            at=SENT_AT,
            person=Person(MOBILE, "DE.1", name="Sarah"),
            tag="t1.7",
            pricing=Pricing(False, "PMP", "free_customer_service", "service"),
        )
    ]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("sent", DeliveryStatus.SENT),
        ("read", DeliveryStatus.READ),
        ("played", DeliveryStatus.READ),
        ("FAILED", DeliveryStatus.FAILED),
    ],
)
def test_every_status_has_its_rung(word: str, status: DeliveryStatus) -> None:
    [found] = META.parse(body(value(statuses=[{"id": "wamid.X", "status": word}])))

    assert isinstance(found, Status)
    assert (found.status, found.played) == (status, word == "played")


def test_a_failed_status_says_why_wherever_the_errors_stand() -> None:
    failed = {"id": "wamid.X", "status": "failed"}
    errors = [{"code": "131047", "title": "Re-engagement message", "error_data": {"details": "+49 151 secret"}}]

    [inside] = META.parse(body(value(statuses=[{**failed, "errors": errors}])))
    [beside] = META.parse(body(value(statuses=[failed], errors=errors)))

    assert isinstance(inside, Status)
    assert inside == beside
    assert [(fault.code, fault.verdict.action) for fault in inside.faults] == [(131047, "needs_template")]
    assert "secret" not in repr(inside)


def test_errors_of_the_number_itself_are_told() -> None:
    [found] = META.parse(body(value(errors=[{"code": 130429}])))

    assert isinstance(found, Trouble)
    assert found.faults[0].verdict.action == "retry"


# Coexistence -------------------------------------------------------------------------------------------------------


def test_what_staff_type_in_the_app_is_theirs_and_names_who_got_it() -> None:
    echo = {
        "from": "4930111222",
        "to": MOBILE,
        "id": "wamid.E",
        "timestamp": "1791900000",
        "type": "text",
        "text": {"body": "Ja"},
    }

    assert META.parse(body(value(message_echoes=[echo]), "smb_message_echoes")) == [
        Echo(id="wamid.E", our=OUR, person=Person(MOBILE), at=SENT_AT, content=Text("Ja"))
    ]


def test_the_history_keeps_its_times_and_says_who_wrote() -> None:
    theirs = {"from": MOBILE, "id": "wamid.1", "timestamp": "1791900000", "type": "text", "text": {"body": "Hi"}}
    ours = {**theirs, "from": "4930111222", "id": "wamid.2", "history_context": {"status": "READ", "from_me": True}}
    chunk = {
        "metadata": {"phase": 0, "chunk_order": 1, "progress": "55"},
        "threads": [{"id": MOBILE, "messages": [theirs, ours, {"no": "id"}]}],
    }

    progress, first, second, odd = META.parse(body(value(history=[chunk]), "history"))

    assert progress == HistoryProgress(our=OUR, phase=0, chunk=1, percent=55)
    assert first == Past(id="wamid.1", our=OUR, person=Person(MOBILE), at=SENT_AT, content=Text("Hi"))
    assert second == Past(
        id="wamid.2",
        our=OUR,
        person=Person(MOBILE),
        at=SENT_AT,
        content=Text("Hi"),
        ours=True,
        status=DeliveryStatus.READ,
    )
    assert isinstance(odd, Unreadable)


def test_a_file_of_the_history_comes_later_and_is_history_too() -> None:
    later = message("image", image=FILE)

    [found] = META.parse(body(value(contacts=[CONTACT], messages=[later]), "history"))

    assert isinstance(found, Past)
    assert (found.person, found.ours, found.content) == (
        SARAH,
        False,
        Media(MediaKind.IMAGE, "77", "", "image/jpeg", "abc="),
    )


def test_a_history_that_was_not_shared_is_told() -> None:
    declined = {"errors": [{"code": 2593109, "title": "declined"}]}

    assert META.parse(body(value(history=[declined]), "history")) == [HistoryProgress(our=OUR, declined=True)]


def test_the_address_book_of_the_app_is_heard() -> None:
    saved = {
        "type": "contact",
        "contact": {"full_name": "Sarah B", "phone_number": MOBILE},
        "action": "add",
        "metadata": {"timestamp": "1791900000"},
    }

    assert META.parse(body(value(state_sync=[saved, {**saved, "action": "remove"}]), "smb_app_state_sync")) == [
        BookEntry(our=OUR, person=Person(MOBILE, name="Sarah B"), at=SENT_AT),
        BookEntry(our=OUR, person=Person(MOBILE, name="Sarah B"), removed=True, at=SENT_AT),
    ]


# Everything else ---------------------------------------------------------------------------------------------------


def test_who_stops_a_category_at_whatsapp_is_heard() -> None:
    stop = {"wa_id": MOBILE, "category": "marketing_messages", "value": "stop", "timestamp": 1_791_900_000}

    assert META.parse(body(value(contacts=[CONTACT], user_preferences=[stop]), "user_preferences")) == [
        Preference(our=OUR, person=SARAH, category="marketing_messages", wanted=False, at=SENT_AT)
    ]


@pytest.mark.parametrize(
    ("field", "about", "changed"),
    [
        ("message_template_status_update", {"event": "REJECTED", "reason": "SCAM"}, ("status", "REJECTED", "", "SCAM")),
        ("message_template_status_update", {"event": "PAUSED"}, ("status", "PAUSED", "", "")),
        (
            "message_template_quality_update",
            {"previous_quality_score": "GREEN", "new_quality_score": "RED"},
            ("quality", "RED", "GREEN", ""),
        ),
        (
            "template_category_update",
            {"previous_category": "UTILITY", "new_category": "MARKETING"},
            ("category", "MARKETING", "UTILITY", ""),
        ),
        (
            "template_category_update",
            {"new_category": "UTILITY", "correct_category": "MARKETING"},
            ("category", "MARKETING", "UTILITY", ""),
        ),
        ("message_template_components_update", {"message_template_element": "Hallo"}, ("text", "", "", "")),
    ],
)
def test_news_about_a_template_name_it(field: str, about: dict[str, str], changed: tuple[str, ...]) -> None:
    named = {"message_template_id": 12, "message_template_name": "reminder", "message_template_language": "de"}

    [found] = META.parse(body({**named, **about}, field))

    assert isinstance(found, TemplateChanged)
    assert (found.account, found.id, found.name, found.language) == ("1", "12", "reminder", "de")
    assert found.at == SENT_AT
    assert (found.what, found.now, found.before, found.reason) == changed


@pytest.mark.parametrize(
    ("field", "about", "event", "limit"),
    [
        ("account_update", {"event": "ACCOUNT_RESTRICTION"}, "ACCOUNT_RESTRICTION", ""),
        ("account_update", {"ban_info": {"waba_ban_state": "DISABLE"}}, "DISABLE", ""),
        ("account_review_update", {"decision": "APPROVED"}, "APPROVED", ""),
        ("phone_number_quality_update", {"event": "DOWNGRADE", "current_limit": "TIER_1K"}, "DOWNGRADE", "TIER_1K"),
        ("business_capability_update", {"max_daily_conversations_per_business": 2000}, "", "2000"),
    ],
)
def test_news_about_our_account_is_told(field: str, about: dict[str, Any], event: str, limit: str) -> None:
    [found] = META.parse(body({**about, "display_phone_number": "4930111222"}, field))

    assert found == AccountChanged(field=field, account="1", event=event, number="4930111222", limit=limit, at=SENT_AT)


def test_news_about_groups_and_of_unknown_kinds_are_counted() -> None:
    group = {"group_id": "G1", "type": "group_create", "timestamp": "1791900000"}

    assert META.parse(body(value(groups=[group]), "group_lifecycle_update")) == [
        GroupChanged(our=OUR, field="group_lifecycle_update", event="group_create", group="G1", at=SENT_AT)
    ]
    assert META.parse(body(value(calls=[{"id": "wacid.X"}]), "calls")) == [Other(field="calls", our=OUR)]


# Twilio ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"Body": "Grüße 👋"}, Text("Grüße 👋")),
        (
            {
                "NumMedia": "1",
                "MediaUrl0": "https://api.twilio.com/M",
                "MediaContentType0": "image/jpeg",
                "Body": "Arm",
            },
            Media(MediaKind.IMAGE, url="https://api.twilio.com/M", mime="image/jpeg", caption="Arm"),
        ),
        (
            {"NumMedia": "1", "MediaUrl0": "file:///etc/passwd", "MediaContentType0": "audio/ogg"},
            Media(MediaKind.VOICE, mime="audio/ogg"),
        ),
        ({"Latitude": "52.5", "Longitude": "13.4", "Label": "Praxis"}, Location(52.5, 13.4, "Praxis")),
        ({"ButtonText": "Ja", "ButtonPayload": "yes", "MessageType": "button"}, Tap(TapKind.TEMPLATE, "yes", "Ja")),
        ({"ListId": "fri", "ListTitle": "Freitag", "MessageType": "interactive"}, Tap(TapKind.LIST, "fri", "Freitag")),
        ({"MessageType": "reaction", "Body": "👍", "OriginalRepliedMessageSid": "SM9"}, Reaction("SM9", "👍")),
        ({"MessageType": "order"}, Unsupported("order")),
        ({}, Unsupported("empty")),
    ],
)
def test_a_form_of_twilio_becomes_what_was_said(fields: dict[str, str], content: Content) -> None:
    [found] = TWILIO.parse(form(**fields))

    assert isinstance(found, Message)
    assert (found.content, found.person.wa_id, found.our) == (content, MOBILE, "+4930111222")


def test_several_files_in_one_form_are_several_messages() -> None:
    two = {f"MediaUrl{n}": f"https://api.twilio.com/{n}" for n in range(2)}

    found = TWILIO.parse(form(NumMedia="2", **two))

    assert [each.id for each in found if isinstance(each, Message)] == ["SM1", "SM1:1"]


def test_a_status_form_is_a_status() -> None:
    [found] = TWILIO.parse(
        form(MessageStatus="undelivered", ErrorCode="63016", From="whatsapp:+4930111222", To=f"whatsapp:+{MOBILE}")
    )

    assert isinstance(found, Status)
    assert (found.id, found.status, found.person.wa_id, found.our) == (
        "SM1",
        DeliveryStatus.FAILED,
        MOBILE,
        "+4930111222",
    )
    assert found.faults[0].verdict.action == "needs_template"


# Keys --------------------------------------------------------------------------------------------------------------


def test_a_key_is_the_same_for_the_same_cause_and_says_nothing_of_it() -> None:
    key = key_of(b"k" * 32, "wamid.HBgNNDkxNTExMjM0NTY3OBUCABEYEg==")

    assert key == key_of(b"k" * 32, "wamid.HBgNNDkxNTExMjM0NTY3OBUCABEYEg==")
    assert key.startswith("wa:")
    assert len(key) == 29
    assert key != key_of(b"o" * 32, "wamid.HBgNNDkxNTExMjM0NTY3OBUCABEYEg==")
    assert key_of(b"k" * 32, "ab", "c") != key_of(b"k" * 32, "a", "bc")
