"""Payloads nobody here wrote: each of them, and what it became. One that is new and not listed fails."""

import json
from pathlib import Path
from urllib.parse import urlencode

from channels.whatsapp.cloud_out import uploaded
from channels.whatsapp.wire import (
    Arrived,
    Card,
    ChangeKind,
    Contacts,
    Content,
    GroupChanged,
    IdentityChanged,
    Item,
    Location,
    Media,
    MediaKind,
    Message,
    Order,
    Person,
    Reaction,
    Seal,
    Status,
    Tap,
    TapKind,
    Text,
    Unsupported,
)
from server.core.model import DeliveryStatus
from tests.channels.whatsapp.given import DIALOG, META, TWILIO

SHEENA = Person(wa_id="16505551234", name="Sheena Nelson")
TEST_USER = Person(wa_id="16505551234", user_id="US.1000000000000001", name="Test User")
META_BECAME: dict[str, Content | str] = {
    "button_message": Tap(TapKind.TEMPLATE, "Unsubscribe", "Unsubscribe"),
    "contact_sharing_message": Contacts((Card("Lucía Gómez", ("+1 (983) 555-2319",), (), "Google"),)),
    "group_create_message": "group_create",
    "group_remove_participants": "group_create",  # so it says, under `group_participants_update`
    "group_settings_update": "group_settings_update",
    "image_message": Media(
        MediaKind.IMAGE,
        "1003383421387256",
        mime="image/jpeg",
        sha256="SfInY0gGKTsJlUWbwxC1k+FAD0FZHvzwfpvO0zX0GUI=",
        caption="Taj Mahal",
    ),
    "interactive_button_reply_message": Tap(TapKind.BUTTON, "cancel-button", "Cancel"),
    "interactive_list_reply_message": Tap(
        TapKind.LIST, "priority_express", "Priority Mail Express", "Next Day to 2 Days"
    ),
    "location_message": Location(
        37.44221496582,
        -122.16165924072,
        "Philz Coffee",
        "101 Forest Ave, Palo Alto, CA 94301",
        "https://philzcoffee.com/",
    ),
    "order_message": Order(
        "194836987003835", "", (Item("di9ozbzfi4", 2, "30", "USD"), Item("nqryix03ez", 1, "25", "USD"))
    ),
    "reaction_message": Reaction("wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBI0RTJEOTc2ODVERUY5RDlGNkYA", "👍"),
    "system_message": "12195555358",
    "text_message": Text("Does it come in another color?"),
    "text_message_from_click_to_whatsapp_ad": Text("Hello! Can I get more info on this?"),
    "text_message_with_context_product_inquiry": Text("Is this still available?"),
    "unsupported_message": Unsupported("unsupported", 131051),
}
TWILIO_BECAME: dict[str, Content | DeliveryStatus] = {
    "inbound_bsuid_only__UNVERIFIED": Text("Hello"),
    "inbound_ctwa_referral": Text("Hello"),
    "inbound_image": Media(
        MediaKind.IMAGE,
        url="https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages/MM1/Media/ME1",
        mime="image/jpeg",
    ),
    "inbound_location": Location(37.442, -122.161, "Philz", "101 Forest Ave"),
    "inbound_quick_reply_button": Tap(TapKind.BUTTON, "{verify:1}", "Confirm"),
    "inbound_text": Text("Hello"),
    "status_delivered": DeliveryStatus.DELIVERED,
    "status_failed_63016": DeliveryStatus.FAILED,
}


def became(arrived: list[Arrived]) -> Content | DeliveryStatus | str:
    """The one thing that a payload became."""
    [found] = arrived
    match found:
        case Message():
            return found.content
        case Status():
            return found.status
        case GroupChanged():
            return found.event
        case IdentityChanged():
            return found.now.wa_id
        case _:
            return repr(found)


def test_every_payload_of_meta_becomes_something_true(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "whatsapp/meta/inbound_webhooks"

    found = {path.stem: became(META.parse(path.read_bytes())) for path in sorted(folder.glob("*.json"))}

    assert found == META_BECAME
    assert found == {path.stem: became(DIALOG.parse(path.read_bytes())) for path in folder.glob("*.json")}


def test_every_message_of_meta_is_from_whom_it_says(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "whatsapp/meta/inbound_webhooks"
    found = {path.stem: META.parse(path.read_bytes())[0] for path in folder.glob("*.json")}
    messages = {name: each for name, each in found.items() if isinstance(each, Message)}

    assert {each.person for each in messages.values()} == {SHEENA}
    assert {each.our for each in messages.values()} == {"106540352242922"}
    assert all(each.at is not None and each.at.year == 2025 for each in messages.values())
    assert {name for name, each in messages.items() if each.context.reply_to} == {
        "button_message",
        "interactive_button_reply_message",
        "interactive_list_reply_message",
        "text_message_with_context_product_inquiry",
    }
    ad = messages["text_message_from_click_to_whatsapp_ad"].referral
    assert ad is not None
    assert (ad.source, ad.id, ad.headline) == ("ad", "120226305854810726", "Chat with us")
    assert messages["text_message_with_context_product_inquiry"].context.product == "di9ozbzfi4"
    changed = found["system_message"]
    assert isinstance(changed, IdentityChanged)
    assert (changed.change, changed.was) == (ChangeKind.NUMBER, Person("16505551234"))


def test_every_recorded_webhook_becomes_something_true(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "whatsapp/recorded"

    assert {path.stem: became(META.parse(path.read_bytes())) for path in folder.glob("*.json")} == {
        "replay_dm_firstMessage": Text("What is Vercel?"),
        "replay_dm_secondMessage": Text("Tell me more"),
        "replay_dm_statusUpdate": DeliveryStatus.SENT,
    }


def test_every_form_of_twilio_becomes_something_true(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "whatsapp/twilio"
    forms = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    found = {name: TWILIO.parse(urlencode(fields).encode()) for name, fields in forms.items()}

    assert {name: became(each) for name, each in found.items()} == TWILIO_BECAME
    people = {name: each[0].person for name, each in found.items() if isinstance(each[0], Message | Status)}
    assert people.pop("inbound_bsuid_only__UNVERIFIED") == Person(user_id="US.1000000000000001", name="Test User")
    assert people.pop("status_delivered") == people.pop("status_failed_63016") == Person(wa_id="16505551234")
    assert set(people.values()) == {TEST_USER}


def test_every_answer_to_a_message_names_it(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "whatsapp/meta/responses"
    answers = {path.stem: META.sent(path.read_bytes()) for path in (folder / "outgoing_messages").glob("*.json")}

    assert answers.pop("post_200_send_typing_indicator_and_read_receipt") is None
    assert len(answers) > 40
    assert all(each is not None and each.id.startswith("wamid.") for each in answers.values())
    uploads = (folder / "outgoing_media").glob("*.json")
    assert all(uploaded(path.read_bytes()) for path in uploads)


def test_metas_signature_is_right_and_that_of_rewritten_json_is_not(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "whatsapp/meta"
    vector = json.loads((folder / "signature_vector.json").read_text())
    raw = (folder / vector["body_file"]).read_bytes()
    seal = Seal((vector["app_secret"],))

    assert META.verify(raw, {vector["header"]: vector["value"]}, seal)
    assert not META.verify(json.dumps(json.loads(raw)).encode(), {vector["header"]: vector["value"]}, seal)
    assert not META.verify(raw, {vector["header"]: vector["negative"].rpartition(" ")[2]}, seal)
