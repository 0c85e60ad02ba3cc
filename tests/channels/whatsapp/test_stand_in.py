"""The stand-in is what the providers are: clients nobody here wrote send to it and believe what it posts."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jsonschema_rs
import pytest
from pywa import errors as pywa_errors
from pywa.types.callback import Button, Section, SectionList, SectionRow, URLButton
from pywa.types.templates import BodyText, QuickReplyButton, TemplateLanguage
from pywa.utils import webhook_updates_validator
from pywa_async.client import WhatsApp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from twilio.base.exceptions import TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response as TwilioResponse
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from channels.whatsapp.emulated import Line
from channels.whatsapp.emulator import Fault, StandIn, Statuses
from channels.whatsapp.meta import challenge
from channels.whatsapp.outgoing import File, FileKind, FromTemplate, Outgoing, ReactionMark, ReadMark, Reply
from channels.whatsapp.providers import ADAPTERS
from channels.whatsapp.template_file import DEMO, read_templates
from channels.whatsapp.template_listing import compare, listed_by_meta
from channels.whatsapp.templates import fill, parsed, preview
from channels.whatsapp.wire import Action, Message, OurNumber, Person, Seal, Status, Tap
from server.core.model import Choice, DeliveryStatus
from tests.channels.whatsapp.given import MOBILE, OUR, SENT_AT

ACCOUNT = "AC" + "0" * 32
TWILIO_DISPLAY = "14155238886"
HERE = "https://clinic.example/webhooks/whatsapp"
LINES = (
    Line("main", "meta", OUR, "4930111222", f"{HERE}/main", "bearer", "app-secret", "7001"),
    Line("dialog", "360dialog", "1", "4930111333", f"{HERE}/dialog/random", "api-key", "shared", "7002"),
    Line("twilio", "twilio", f"+{TWILIO_DISPLAY}", TWILIO_DISPLAY, f"{HERE}/twilio", "auth", "auth", ACCOUNT),
)
TEMPLATES = read_templates(DEMO.read_text(encoding="utf-8"))


class Clinic:
    """Takes webhooks in, and says what it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, httpx.Headers]] = []
        self.answer = 200
        self.told_of_delivery = asyncio.Event()
        self.app = Starlette(routes=[Route("/{path:path}", self.take, methods=["GET", "POST"])])

    async def take(self, request: Request) -> Response:
        if request.method == "GET":
            return PlainTextResponse(challenge(request.query_params, "verify") or "", 200)
        self.got.append((str(request.url), await request.body(), httpx.Headers(request.headers.raw)))
        if b'"delivered"' in self.got[-1][1]:
            self.told_of_delivery.set()
        return Response(status_code=self.answer)

    def arrived(self, provider: str) -> list[Any]:
        return [each for _, body, _ in self.got for each in ADAPTERS[provider].parse(body)]

    def states(self, provider: str = "meta") -> list[str]:
        return [each.status.name.lower() for each in self.arrived(provider) if isinstance(each, Status)]


class World:
    def __init__(self, **how: Any) -> None:
        self.now = SENT_AT
        self.clinic = Clinic()
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self.clinic.app))
        self.standin = StandIn(
            LINES, list(TEMPLATES.values()), base="https://graph.facebook.com", clock=self.clock, client=client, **how
        )
        self.door = httpx.ASGITransport(self.standin.app)
        self.http = httpx.AsyncClient(transport=self.door, base_url="https://graph.facebook.com")
        session = httpx.AsyncClient(transport=self.door)
        self.pywa = WhatsApp(phone_id=OUR, token="bearer", waba_id="7001", session=session)
        self.twilio = Client(ACCOUNT, "auth", http_client=Door(self.http))

    def clock(self) -> datetime:
        return self.now

    async def send(self, provider: str, outgoing: Outgoing, person: Person, **more: Any) -> httpx.Response:
        """Send with our own adapter."""
        line = next(line for line in LINES if line.provider == provider)
        number = OurNumber(line.our, ACCOUNT, callback=f"{HERE}/twilio/status")
        [request] = ADAPTERS[provider].render(outgoing, person, number, **more)
        keys = {"meta": {"Authorization": "Bearer bearer"}, "360dialog": {"D360-API-KEY": "api-key"}}
        return await self.http.post(
            request.path,
            content=request.encoded(),
            headers={"content-type": request.content_type, **keys.get(provider, {})},
            auth=httpx.BasicAuth(ACCOUNT, "auth") if provider == "twilio" else httpx.Auth(),
        )


class Door(AsyncHttpClient):  # type: ignore[misc]  # Twilio says nothing of its types
    """Twilio's client, its requests led to the stand-in."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__(logging.getLogger("twilio"), True)
        self.http = http

    async def request(self, method: str, url: str, **more: Any) -> TwilioResponse:
        auth, data = more.get("auth"), more.get("data")
        answer = await self.http.request(method, url, params=more.get("params"), data=data, auth=auth)
        return TwilioResponse(answer.status_code, answer.text)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.standin.close()


# Meta, driven by pywa ----------------------------------------------------------------------------------------------


async def test_what_pywa_sends_is_on_the_phone(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}")
    assert await phone.say("Hallo") == 200

    sent = await world.pywa.send_message(MOBILE, "Grüße 👋", reply_to_message_id=phone.chat[0].id, tracker="t1.7")
    await world.pywa.send_message(MOBILE, "Passt das?", buttons=[Button("Ja", "yes"), Button("Nein", "no")])
    days = [SectionRow(title=f"Tag {number}", callback_data=f"d{number}") for number in range(10)]
    await world.pywa.send_message(MOBILE, "Wann?", buttons=SectionList("Wählen", [Section("Tage", days)]))
    await world.pywa.send_message(MOBILE, "Weg", buttons=URLButton("Karte", "https://clinic.example/weg"))
    await world.standin.settled()

    assert phone.said == ["Grüße 👋", "Passt das?", "Wann?", "Weg"]
    assert sent.id == phone.chat[1].id
    assert phone.chat[1].reply_to == phone.chat[0].id
    assert len(phone.chat[3].rows) == 10
    statuses = [each for each in world.clinic.arrived("meta") if isinstance(each, Status)]
    assert {each.status for each in statuses} == {DeliveryStatus.SENT, DeliveryStatus.DELIVERED}
    assert statuses[0].tag == "t1.7"


async def test_every_webhook_is_signed_as_pywa_and_our_adapter_check_it(world: World) -> None:
    await world.standin.person(f"+{MOBILE}").say("Grüße 👋")

    [(_, body, headers)] = world.clinic.got
    assert webhook_updates_validator("app-secret", body, headers["X-Hub-Signature-256"])
    assert ADAPTERS["meta"].verify(body, headers, Seal(("app-secret",)))
    assert not ADAPTERS["meta"].verify(body + b" ", headers, Seal(("app-secret",)))


async def test_everything_a_person_can_do_arrives_as_it_is_documented(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}", user_id="DE.77")
    await phone.say("Hallo")
    await world.pywa.send_message(MOBILE, "Passt das?", buttons=[Button("Ja", "yes")])
    await world.standin.settled()
    world.clinic.got.clear()

    await phone.tap("yes")
    await phone.react("👍")
    await phone.voice_note()
    await phone.image(caption="Hier")
    await phone.document(b"%PDF-1.7", "Befund.pdf")
    await phone.location(52.5, 13.4)
    await phone.edit(phone.chat[0].id, "Hallo!")
    await phone.revoke(phone.chat[0].id)
    await phone.change_number("+4915199999999")

    kinds = [type(getattr(each, "content", each)).__name__ for each in world.clinic.arrived("meta")]
    assert kinds == ["Tap", "Reaction", *["Media"] * 3, "Location", "Edited", "Revoked", "IdentityChanged"]
    assert world.clinic.arrived("meta")[0].person == Person(MOBILE, "DE.77", name="Sarah")


async def test_a_person_who_shows_no_number_can_be_written_to(world: World) -> None:
    phone = world.standin.person("", user_id="DE.4711")
    await phone.say("Hallo")

    answer = await world.send("meta", Reply("Guten Tag"), world.clinic.arrived("meta")[0].person)
    await world.standin.settled()

    assert (answer.status_code, phone.said) == (200, ["Guten Tag"])
    assert ADAPTERS["meta"].sent(answer.content).person.user_id == "DE.4711"  # type: ignore[union-attr]  # it is there


LONG = "x" * 4097
REFUSED: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"text": LONG}, pywa_errors.WhatsAppError),
    ({"text": "x" * 1025, "buttons": [Button("Ja", "yes")]}, pywa_errors.WhatsAppError),
    ({"text": "?", "buttons": [Button("Ja", "yes"), Button("Ja", "no")]}, pywa_errors.InvalidParameter),
    ({"text": "?", "buttons": [Button("x" * 21, "yes")]}, pywa_errors.InvalidParameter),
    ({"text": "?", "buttons": URLButton("x" * 21, "https://clinic.example")}, pywa_errors.InvalidParameter),
    ({"text": "?", "reply_to_message_id": "wamid.UNKNOWN"}, pywa_errors.WhatsAppError),
]


@pytest.mark.parametrize(("how", "error"), REFUSED)
async def test_what_is_beyond_a_limit_is_refused(world: World, how: dict[str, Any], error: type[Exception]) -> None:
    phone = world.standin.person(f"+{MOBILE}")
    await phone.say("Hallo")

    with pytest.raises(error) as raised:
        await world.pywa.send_message(MOBILE, **how)

    assert raised.value.code in (100, 131009)  # type: ignore[attr-defined]  # every one of them has a code
    assert phone.said == []


async def test_a_wrong_key_or_number_is_refused(world: World) -> None:
    body = {"messaging_product": "whatsapp", "to": MOBILE, "text": {"body": "Hallo"}}
    wrong = await world.http.post(f"/v26.0/{OUR}/messages", json=body, headers={"Authorization": "Bearer x"})
    other = await world.http.post("/v26.0/1/messages", json=body, headers={"Authorization": "Bearer bearer"})
    dialog = await world.http.post("/messages", json=body, headers={"D360-API-KEY": "x"})
    twilio = await world.http.post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", data={}, auth=(ACCOUNT, "x"))

    assert [each.status_code for each in (wrong, other, dialog, twilio)] == [401, 400, 401, 401]
    assert [wrong.json()["error"]["code"], other.json()["error"]["code"], twilio.json()["code"]] == [190, 100, 20003]
    for name, answer in (("meta", wrong), ("360dialog", dialog), ("twilio", twilio)):
        assert ADAPTERS[name].classify(answer.status_code, answer.content).action is Action.CHANNEL_DOWN


async def test_outside_the_window_only_a_template_arrives(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}")
    await phone.say("Hallo")
    world.now += timedelta(hours=24)

    await world.pywa.send_message(MOBILE, "Noch da?")
    await world.pywa.send_message("4915100000000", "Wer?")
    await world.standin.settled()

    failed = [each for each in world.clinic.arrived("meta") if isinstance(each, Status)]
    assert [(each.status, each.faults[0].code) for each in failed] == [
        (DeliveryStatus.FAILED, 131047),
        (DeliveryStatus.FAILED, 131026),
    ]
    template = TEMPLATES["know_me"]
    filled = fill(template, "de", {"clinic": "Praxis am Markt"}, "meta")
    assert (await world.send("meta", filled, Person(MOBILE))).status_code == 200
    await world.standin.settled()
    assert phone.said == [preview(template, "de", filled).body]
    await phone.tap("know_yes")
    assert isinstance(world.clinic.arrived("meta")[-1].content, Tap)


@pytest.mark.parametrize("id", TEMPLATES)
@pytest.mark.parametrize("language", ["de", "en", "sv"])
async def test_a_template_arrives_exactly_as_its_preview_shows_it(world: World, id: str, language: str) -> None:
    phone, template = world.standin.person(f"+{MOBILE}"), TEMPLATES[id]
    values = {name: parsed(variable) for name, variable in template.variables.items()}
    filled = fill(template, language, values, "meta")

    answer = await world.send("meta", filled, Person(MOBILE))
    await world.standin.settled()

    assert answer.json()["messages"][0]["message_status"] == "accepted"
    shown, expected = phone.chat[0], preview(template, language, filled)
    assert (shown.text, shown.header, shown.footer) == (expected.body, expected.header, expected.footer)
    assert [(b.title, b.url) for b in shown.buttons] == [(b.label, b.url) for b in expected.buttons]


async def test_a_template_that_is_not_as_approved_is_refused(world: World) -> None:
    german = TemplateLanguage.GERMAN
    body = BodyText("{{clinic}}", clinic="Praxis")

    with pytest.raises(pywa_errors.TemplateNotExists):
        await world.pywa.send_template(MOBILE, "unknown", german)
    with pytest.raises(pywa_errors.TemplateNotExists):
        await world.pywa.send_template(MOBILE, "know_me", TemplateLanguage.FRENCH)
    with pytest.raises(pywa_errors.TemplateParamCountMismatch):
        await world.pywa.send_template(MOBILE, "know_me", german)
    other: Any = BodyText("{{name}}", name="Praxis")  # its types say less than it does
    with pytest.raises(pywa_errors.TemplateParamFormatMismatch):
        await world.pywa.send_template(MOBILE, "know_me", german, [other.params(name="Praxis")])
    with pytest.raises(pywa_errors.WhatsAppError, match="new-line"):
        await world.pywa.send_template(MOBILE, "know_me", german, [body.params(clinic="Praxis\nam Markt")])
    world.standin.cloud_templates[0]["status"] = "PAUSED"
    with pytest.raises(pywa_errors.TemplatePaused):
        await world.pywa.send_template(MOBILE, "appointment_confirmed", german)
    good = [body.params(clinic="Praxis"), QuickReplyButton.params(callback_data="know_yes:7", index=0)]
    assert (await world.pywa.send_template(MOBILE, "know_me", german, good)).id


async def test_the_listing_of_templates_is_what_pywa_and_our_check_read(world: World) -> None:
    listed = await world.pywa.get_templates()
    answer = await world.http.get("/v26.0/7001/message_templates?limit=100", headers={"Authorization": "Bearer bearer"})

    assert {each.name for each in listed} <= {each.name for each in listed_by_meta(answer.content).templates}
    assert compare(TEMPLATES.values(), listed_by_meta(answer.content).templates, "meta") == []


async def test_who_gets_too_many_is_paced_and_so_is_the_number() -> None:
    world = World(pair_burst=2, per_second=4)
    for number in (MOBILE, "4915100000001", "4915100000002"):
        await world.standin.person(f"+{number}").say("Hallo")

    await world.pywa.send_message(MOBILE, "1")
    await world.pywa.send_message(MOBILE, "2")
    with pytest.raises(pywa_errors.TooManyMessages):
        await world.pywa.send_message(MOBILE, "3")
    await world.pywa.send_message("4915100000001", "1")
    await world.pywa.send_message("4915100000002", "1")
    with pytest.raises(pywa_errors.RateLimitHit):
        await world.pywa.send_message("4915100000002", "2")
    world.now += timedelta(seconds=6)
    await world.pywa.send_message(MOBILE, "3")
    await world.standin.close()


async def test_files_are_uploaded_looked_up_and_fetched_while_they_live(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}")
    await phone.image()
    inbound = world.clinic.arrived("meta")[0].content
    uploaded = await world.pywa.upload_media(b"%PDF-1.7\r\n--x", mime_type="application/pdf", filename="Anfahrt.pdf")
    assert uploaded is not None

    link = await world.pywa.get_media_url(uploaded.id)
    assert await world.pywa.get_media_bytes(link.url) == b"%PDF-1.7\r\n--x"
    assert ADAPTERS["meta"].parse(world.clinic.got[0][1])[0].content.sha256  # type: ignore[union-attr]  # it is a picture
    letter = Reply("", files=(File(FileKind.DOCUMENT, id=str(uploaded.id), name="Anfahrt.pdf"),))
    assert (await world.send("meta", letter, Person(MOBILE))).status_code == 200
    await world.standin.settled()
    assert (phone.chat[-1].kind, phone.chat[-1].name) == ("document", "Anfahrt.pdf")

    world.now += timedelta(minutes=5)
    assert (await world.http.get(link.url, headers={"Authorization": "Bearer bearer"})).status_code == 404
    world.now += timedelta(days=7)
    with pytest.raises(pywa_errors.WhatsAppError):
        await world.pywa.get_media_url(inbound.id)
    assert (await world.pywa.get_media_url(uploaded.id)).mime_type == "application/pdf"
    with pytest.raises(pywa_errors.WhatsAppError):
        await world.pywa.upload_media(b"MZ", mime_type="application/x-msdownload", filename="x.exe")


# Bad days ----------------------------------------------------------------------------------------------------------


async def test_statuses_come_late_twice_and_backwards_when_asked(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}")
    await phone.say("Hallo")
    world.standin.statuses = Statuses(("sent", "delivered", "read"), times=2, backwards=True, held=True)
    await world.pywa.send_message(MOBILE, "Guten Tag")
    await world.standin.settled()
    assert world.clinic.states() == []

    await world.standin.release()

    assert world.clinic.states() == ["read", "read", "delivered", "delivered", "sent", "sent"]


async def test_an_answer_that_is_lost_belongs_to_a_message_that_arrived(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}")
    await phone.say("Hallo")
    world.standin.fail(Fault(accepted=True), Fault(131000, 500), Fault(131049, late=True))

    lost = await world.send("meta", Reply("Eins"), Person(MOBILE), tag="t.1")
    broken = await world.send("meta", Reply("Zwei"), Person(MOBILE))
    held = await world.send("meta", Reply("Drei"), Person(MOBILE))
    await world.standin.settled()

    assert [each.status_code for each in (lost, broken, held)] == [504, 500, 200]
    assert phone.said == ["Eins"]
    assert world.clinic.states() == ["sent", "delivered", "failed"]


async def test_a_provider_that_falls_silent_may_have_taken_the_message(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}")
    await phone.say("Hallo")
    world.standin.fail(Fault(accepted=True, hangs=True))

    sending = asyncio.ensure_future(world.send("meta", Reply("Eins"), Person(MOBILE), tag="t.1"))
    async with asyncio.timeout(30):
        await world.clinic.told_of_delivery.wait()
    sending.cancel()

    assert phone.said == ["Eins"]
    assert world.clinic.arrived("meta")[-1].tag == "t.1"


async def test_a_provider_that_is_down_says_so_until_it_is_back(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}")
    await phone.say("Hallo")
    world.standin.go_down()
    for provider in ADAPTERS:
        answer = await world.send(provider, Reply("Hallo"), Person(MOBILE))
        assert ADAPTERS[provider].classify(answer.status_code, answer.content).action is Action.RETRY
    world.standin.come_back()

    assert (await world.send("meta", Reply("Hallo"), Person(MOBILE))).status_code == 200


async def test_a_webhook_that_is_not_taken_comes_again() -> None:
    world = World(retries=(0.0, 0.0))
    world.clinic.answer = 503
    phone = world.standin.person(f"+{MOBILE}")

    assert await phone.say("Hallo") == 503
    await world.standin.settled()

    assert len(world.clinic.got) == 3
    assert len({body for _, body, _ in world.clinic.got}) == 1
    assert phone.chat[0].state == "sent"
    await world.standin.close()


async def test_read_marks_and_typing_are_on_the_phone(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}")
    await phone.say("Hallo")

    answer = await world.send("meta", ReadMark(phone.chat[0].id, typing=True), Person(MOBILE))
    unknown = await world.send("meta", ReadMark("wamid.NONE"), Person(MOBILE))

    assert (answer.json(), unknown.status_code) == ({"success": True}, 400)
    assert phone.chat[0].state == "read"
    assert phone.typing_until == world.now + timedelta(seconds=25)
    await world.send("meta", Reply("Guten Tag"), Person(MOBILE))
    await world.standin.settled()
    assert phone.typing_until is None


async def test_a_reaction_and_a_quote_are_on_the_phone(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}")
    await phone.say("Is Friday free?")
    theirs = phone.chat[0]
    for emoji in ("❤️", ""):
        await world.send("meta", ReactionMark(theirs.id, emoji), Person(MOBILE))
        await world.standin.settled()
        assert theirs.reactions["clinic"] == emoji
    await world.send("meta", Reply("Yes.", reply_to=theirs.id), Person(MOBILE))
    await world.standin.settled()

    assert [(each.text, each.reply_to) for each in phone.chat] == [("Is Friday free?", ""), ("Yes.", theirs.id)]


async def test_a_webhook_is_registered_with_a_challenge(world: World) -> None:
    assert await world.standin.subscribe("main", "verify")
    assert not await world.standin.subscribe("main", "wrong")


# 360dialog and Twilio ----------------------------------------------------------------------------------------------


async def test_360dialog_speaks_metas_language_with_its_own_keys(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}", line="dialog")
    await phone.say("Hallo")
    asked = Reply("Passt das?", (Choice("yes", "Ja"), Choice("no", "Nein")))

    answer = await world.send("360dialog", asked, Person(MOBILE))
    await world.standin.settled()
    await phone.tap("no")

    [(url, body, headers), *_] = world.clinic.got
    assert url == f"{HERE}/dialog/random"
    assert ADAPTERS["360dialog"].verify(body, headers, Seal(("shared",)))
    assert ADAPTERS["360dialog"].sent(answer.content)
    assert world.clinic.arrived("360dialog")[-1].content.id == "no"


async def test_twilios_own_client_sends_and_its_validator_believes(world: World) -> None:
    phone = world.standin.person(f"+{MOBILE}", line="twilio")
    await phone.say("Grüße 👋")
    ours, theirs = f"whatsapp:+{TWILIO_DISPLAY}", f"whatsapp:+{MOBILE}"

    sent = await world.twilio.messages.create_async(
        from_=ours, to=theirs, body="Guten Tag", status_callback=f"{HERE}/twilio/status/t.1"
    )
    await world.standin.settled()

    assert (sent.status, sent.to, phone.said) == ("queued", theirs, ["Guten Tag"])
    assert (await world.twilio.messages(sent.sid).fetch_async()).status == "delivered"
    for url, body, headers in world.clinic.got:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        assert RequestValidator("auth").validate(url, form, headers["X-Twilio-Signature"])
        assert ADAPTERS["twilio"].verify(body, headers, Seal(("auth",), url))
    [said, *_] = world.clinic.arrived("twilio")
    assert isinstance(said, Message)
    assert world.clinic.states("twilio") == ["sent", "delivered"]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"body": "x" * 1601}, 21617),
        ({"body": ""}, 21619),
        ({"body": "x", "to": "whatsapp:123"}, 21211),
        ({"body": "x", "from_": "whatsapp:+4930000000"}, 63007),
        ({"content_sid": "HX" + "0" * 32}, 21655),
    ],
)
async def test_twilio_refuses_with_its_own_codes(world: World, how: dict[str, Any], code: int) -> None:
    given = {"from_": f"whatsapp:+{TWILIO_DISPLAY}", "to": f"whatsapp:+{MOBILE}", **how}

    with pytest.raises(TwilioRestException) as raised:
        await world.twilio.messages.create_async(**given)

    assert raised.value.code == code


async def test_twilio_tells_late_that_the_window_is_closed(world: World) -> None:
    world.standin.person(f"+{MOBILE}", line="twilio")

    answer = await world.send("twilio", Reply("Hallo"), Person(MOBILE), tag="t.1")
    await world.standin.settled()

    [failed] = world.clinic.arrived("twilio")
    assert answer.status_code == 201
    assert (failed.status, failed.faults[0].code) == (DeliveryStatus.FAILED, 63016)


# Their shapes are the recorded ones --------------------------------------------------------------------------------


def shape(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: shape(value) for name, value in node.items()}
    return [shape(each) for each in node] if isinstance(node, list) else type(node).__name__


async def test_webhooks_and_answers_have_the_shape_of_recorded_ones(world: World, fixtures_dir: Path) -> None:
    folder = fixtures_dir / "whatsapp"
    phone = world.standin.person(f"+{MOBILE}")
    await phone.say("Hallo")
    answer = await world.pywa.api.send_raw_request(
        "POST", f"/{OUR}/messages", json={"messaging_product": "whatsapp", "to": MOBILE, "text": {"body": "Hallo"}}
    )
    await phone.image(caption="Hier")
    twilio_phone = world.standin.person(f"+{MOBILE}", line="twilio", user_id="US.1")
    await twilio_phone.say("Hello")
    await world.standin.settled()

    recorded = json.loads((folder / "recorded/replay_dm_firstMessage.json").read_text())
    image = json.loads((folder / "meta/inbound_webhooks/image_message.json").read_text())
    accepted = json.loads((folder / "meta/responses/outgoing_messages/post_200_send_text_message.json").read_text())
    form = json.loads((folder / "twilio/inbound_text.json").read_text())
    bodies = [body for _, body, _ in world.clinic.got]
    forms = [body for body in bodies if not body.startswith(b"{")]
    assert shape(json.loads(bodies[0])) == shape(recorded)
    assert shape(image) in [shape(json.loads(body)) for body in bodies if body.startswith(b"{")]
    assert shape(answer) == shape(accepted)
    assert form.keys() - {"ChannelMetadata"} == dict(parse_qsl(forms[0].decode(), keep_blank_values=True)).keys()


async def test_it_takes_everything_that_metas_own_schema_takes_from_us(world: World, fixtures_dir: Path) -> None:
    schema = json.loads((fixtures_dir / "whatsapp/meta/outgoing_message.schema.repaired.json").read_text())
    phone = world.standin.person(f"+{MOBILE}")
    await phone.say("Hallo")
    for outgoing in (
        Reply("Hallo"),
        Reply("Wie?", (Choice("a", "A"),)),
        Reply("Wie?", tuple(Choice(f"{n}", f"Tag {n}") for n in range(9))),
        FromTemplate("know_me", "de"),
    ):
        answer = await world.send("meta", outgoing, Person(MOBILE))
        assert jsonschema_rs.is_valid(schema, world.standin.asked[-1].body)
        assert answer.status_code == (400 if isinstance(outgoing, FromTemplate) else 200)
