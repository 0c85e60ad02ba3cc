"""Visitors whom the clinic's own website knows: what it signs is believed, and nothing else is."""

import asyncio
import base64
import json
import shutil
import sys
from datetime import timedelta
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from server.core.commands import Post, person
from server.core.model import Assurance, Channel, Thread, ThreadId
from server.service.inbound import Visitor
from server.service.suggesting import Because, because
from server.settings import CHECKOUT
from server.web.identity import LONGEST, SKEW, site_key
from tests.web.given import Running, signed


async def identify(running: Running, token: str, **asked: Any) -> httpx.Response:
    consent = {"consent": running.house.clinic.consent_version}
    return await running.visit(identity=token, **consent | asked)


async def known(running: Running, token: str, **asked: Any) -> dict[str, Any]:
    answer = await identify(running, token, **asked)
    assert answer.status_code == 200, answer.text
    granted: dict[str, Any] = answer.json()
    return granted


async def say(running: Running, granted: dict[str, Any], text: str) -> None:
    a_pass = running.house.passes.read(granted["pass"], running.house.clock())
    post = Post(
        thread=a_pass.thread,
        key=f"k-{text}",
        by=person(a_pass.visitor),
        text=text,
        consent=running.house.clinic.consent_version,
    )
    await running.house.inbound.post(Visitor(a_pass.site, a_pass.visitor, a_pass.thread), post)


async def texts(running: Running, granted: dict[str, Any], thread: str = "") -> list[str]:
    headers = {"Authorization": f"Bearer {granted['pass']}"}
    answer = await running.client.get(f"/api/threads/{thread or granted['thread']}/events", headers=headers)
    assert answer.status_code == 200, answer.text
    return [
        event["text"]
        for event in answer.json()["events"]
        if event.get("who", {}).get("role") == "person" and "text" in event
    ]


async def may_read(running: Running, granted: dict[str, Any]) -> int:
    headers = {"Authorization": f"Bearer {granted['pass']}"}
    return (await running.client.get(f"/api/threads/{granted['thread']}/events", headers=headers)).status_code


async def state(running: Running, thread: ThreadId) -> Thread:
    return await running.house.conversations.refresh(thread)


async def test_the_same_person_has_the_same_conversation_on_every_device(running: Running) -> None:
    desk = await known(running, signed(running))
    await say(running, desk, "from the desk")

    phone = await known(running, signed(running))

    assert phone["thread"] == desk["thread"]
    assert phone["visitor"] != desk["visitor"]
    assert await texts(running, phone) == ["from the desk"]
    later = (await running.visit(visitor=phone["visitor"])).json()  # the secret leads back without another proof
    assert later["thread"] == desk["thread"]


async def test_staff_see_who_it_is_and_what_proves_it(running: Running) -> None:
    granted = await known(running, signed(running, phone="+49 151 23456789"))

    thread = await state(running, granted["thread"])
    sure = {each.address.kind: each.assurance for each in thread.addresses}
    assert thread.name == "Anna Lind"
    assert sure["identity"] is Assurance.PROVEN
    assert sure["email"] is Assurance.CLAIMED
    assert all("4711" not in each.address.value for each in thread.addresses)
    assert all(
        each.assurance is Assurance.CLAIMED for each in thread.addresses if each.address.channel is Channel.WHATSAPP
    )


async def test_somebody_else_has_another_conversation(running: Running) -> None:
    anna, ben = (
        await known(running, signed(running)),
        await known(running, signed(running, sub="patient-4712", email=None)),
    )

    assert anna["thread"] != ben["thread"]
    assert because(await state(running, anna["thread"]), await state(running, ben["thread"])) == (Because.NAME,)


async def test_what_was_said_in_this_browser_before_becomes_theirs(running: Running) -> None:
    anonymous = (await running.visit()).json()
    await say(running, anonymous, "before signing in")

    granted = await known(running, signed(running), visitor=anonymous["visitor"])

    assert granted["thread"] == anonymous["thread"]
    assert granted["visitor"] != anonymous["visitor"]
    assert await texts(running, granted) == ["before signing in"]


async def test_what_opened_it_before_somebody_signed_in_opens_it_no_more(running: Running) -> None:
    anonymous = (await running.visit()).json()
    await say(running, anonymous, "before signing in")
    granted = await known(running, signed(running), visitor=anonymous["visitor"])
    await say(running, granted, "a secret")

    assert await may_read(running, anonymous) == 404
    again = (await running.visit(visitor=anonymous["visitor"])).json()
    assert again["thread"] != granted["thread"]


async def test_the_younger_conversation_goes_on_in_the_older(running: Running) -> None:
    desk = await known(running, signed(running))
    await say(running, desk, "first, at the desk")
    anonymous = (await running.visit()).json()
    await say(running, anonymous, "then, unknown, on the phone")

    phone = await known(running, signed(running), visitor=anonymous["visitor"])

    assert phone["thread"] == desk["thread"]
    moved = await state(running, anonymous["thread"])
    assert moved.moved_to == desk["thread"]
    assert "first, at the desk" in await texts(running, phone)


async def test_an_older_conversation_of_this_browser_takes_in_the_younger(running: Running) -> None:
    anonymous = (await running.visit()).json()
    await say(running, anonymous, "long ago")
    desk = await known(running, signed(running))
    await say(running, desk, "at the desk")

    granted = await known(running, signed(running), visitor=anonymous["visitor"])

    assert granted["thread"] == anonymous["thread"]
    assert (await state(running, desk["thread"])).moved_to == anonymous["thread"]
    assert (await known(running, signed(running)))["thread"] == anonymous["thread"]


async def test_told_again_the_browser_keeps_its_way_in(running: Running) -> None:
    once = await known(running, signed(running))

    again = await known(running, signed(running), visitor=once["visitor"])

    assert (again["visitor"], again["thread"]) == (once["visitor"], once["thread"])


async def test_nobody_is_let_into_what_somebody_else_left_open(running: Running) -> None:
    anna = await known(running, signed(running))
    await say(running, anna, "mine")

    refused = await identify(running, signed(running, sub="patient-4712"), visitor=anna["visitor"])

    assert (refused.status_code, refused.json()["code"]) == (409, "identity_changed")
    assert "pass" not in refused.json()
    await running.client.delete("/api/visits", headers={"Authorization": f"Bearer {anna['pass']}"})
    ben = await known(running, signed(running, sub="patient-4712"), visitor=anna["visitor"])
    assert ben["thread"] != anna["thread"]
    assert await may_read(running, anna) == 404


async def test_an_identity_counts_once_and_again_only_from_the_same_browser(running: Running) -> None:
    here, elsewhere, token = (await running.visit()).json(), (await running.visit()).json(), signed(running)
    await known(running, token, visitor=here["visitor"])

    assert (await known(running, token, visitor=here["visitor"]))["thread"]  # the answer was lost on the way
    for visitor in ({"visitor": elsewhere["visitor"]}, {}):
        refused = await identify(running, token, **visitor)
        assert (refused.status_code, refused.json()["code"]) == (409, "identity_used")


async def test_before_they_agree_it_is_not_written_down_who_they_are(running: Running) -> None:
    token = signed(running)

    refused = await identify(running, token, consent=None)

    assert (refused.status_code, refused.json()["code"]) == (403, "consent_needed")
    assert await running.house.store.recent_threads(running.house.clock().replace(year=2000)) == []
    await known(running, token)  # and the token is still good


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"aud": "another"}, "identity_foreign"),
    ({"exp": 1_000, "iat": 900}, "identity_expired"),
    ({"sub": None}, "identity_invalid"),
    ({"sub": ""}, "identity_invalid"),
    ({"sub": 4711}, "identity_invalid"),
    ({"sub": "a\0b"}, "identity_invalid"),
    ({"sub": "x" * 129}, "identity_invalid"),
    ({"jti": None}, "identity_invalid"),
    ({"iat": None}, "identity_invalid"),
    ({"exp": None}, "identity_invalid"),
    ({"exp": "soon"}, "identity_invalid"),
    ({"exp": 2**63}, "identity_invalid"),
    ({"name": ["Anna"]}, "identity_invalid"),
    ({"alg": "HS512"}, "identity_invalid"),
    ({"key": "another key, as long as a key has to be"}, "identity_invalid"),
]


async def test_what_is_wrong_counts_for_nothing_and_is_told_apart(running: Running) -> None:
    for changed, code in WRONG:
        refused = await identify(running, signed(running, **changed))
        assert (refused.status_code, refused.json()["code"]) == (403, code), changed
        assert "Anna" not in refused.text
        assert refused.headers["access-control-allow-origin"] == running.origin


async def test_an_identity_is_short_lived_and_not_from_the_future(running: Running) -> None:
    now = int(running.house.clock().timestamp())

    for iat, exp in ((now, now + LONGEST + 1), (now, now), (now + SKEW + 60, now + 500), (now - 10, now - 10)):
        refused = await identify(running, signed(running, iat=iat, exp=exp))
        assert refused.json()["code"] == "identity_invalid"
    refused = await identify(running, signed(running, iat=now - 500, exp=now - 1))
    assert refused.json()["code"] == "identity_expired"


async def test_what_another_site_signs_is_foreign(running: Running) -> None:
    key = site_key(running.house.settings.signing_key(), "elsewhere")

    assert (await identify(running, signed(running, key=key))).json()["code"] == "identity_invalid"
    assert key != site_key(running.house.settings.signing_key(), "demo")


async def test_a_key_that_was_replaced_counts_as_long_as_the_clinic_says(running: Running) -> None:
    house, now = running.house, running.house.clock()
    keys = [site_key(house.settings.signing_key(), "demo", number) for number in (1, 2, 3)]
    plain = house.clinic.sites["demo"]

    async def counting() -> list[bool]:
        answers = [await identify(running, signed(running, key=key)) for key in keys]
        assert all(one.is_success or one.json()["code"] == "identity_invalid" for one in answers)
        return [one.is_success for one in answers]

    try:
        assert await counting() == [True, False, False]
        house.clinic.sites["demo"] = replace(plain, signs=2, former_until=now + timedelta(hours=1))
        assert await counting() == [True, True, False]
        house.clinic.sites["demo"] = replace(plain, signs=2, former_until=now)
        assert await counting() == [False, True, False]
        house.clinic.sites["demo"] = replace(plain, signs=3)
        assert await counting() == [False, False, True]
    finally:
        house.clinic.sites["demo"] = plain
    assert len(set(keys)) == 3


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_what_is_no_token_at_all_is_refused_and_breaks_nothing(running: Running) -> None:
    good = signed(running)
    head, body, _ = good.split(".")
    none = f"{encoded({'alg': 'none'})}.{body}."
    for token in (
        "",
        "a",
        "a.b.c",
        "..",
        f"{head}.{body}",
        f"{head}.{body}.",
        none,
        good[:-4] + "AAAA",
        "ä.ö.ü",
        "[" * 2000,
    ):
        refused = await identify(running, token)
        assert (refused.status_code, refused.json()["code"]) == (403, "identity_invalid"), token
    assert (await identify(running, "x" * 5_000)).status_code == 400
    assert (await known(running, good))["thread"]


async def test_signed_or_not_a_page_of_another_origin_gets_nothing(running: Running) -> None:
    refused = await identify(running, signed(running), origin="https://evil.example")

    assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")


EXAMPLES = CHECKOUT / "widget" / "examples" / "identity"
MADE = {
    "python": f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); from identity import identity; "
    "print(identity(sys.argv[1], 'demo', 'patient-4711', name='Anna Lindström'), end='')",
    "node": f"import {{ identity }} from '{(EXAMPLES / 'identity.mjs').as_uri()}'; "
    "process.stdout.write(identity(process.argv[1], 'demo', 'patient-4711', {name: 'Anna Lindström'}))",
    "php": f"require '{EXAMPLES / 'identity.php'}'; "
    "echo onethread_identity($argv[1], 'demo', 'patient-4711', ['name' => 'Anna Lindström']);",
}
STARTED = {"python": [sys.executable, "-c"], "node": ["node", "--input-type=module", "-e"], "php": ["php", "-r"]}


@pytest.mark.parametrize("language", MADE)
async def test_what_the_examples_sign_is_believed(running: Running, language: str) -> None:
    if shutil.which(STARTED[language][0]) is None:
        pytest.skip(f"there is no {language} on this machine")
    key = site_key(running.house.settings.signing_key(), "demo")
    made = await asyncio.create_subprocess_exec(*STARTED[language], MADE[language], key, stdout=asyncio.subprocess.PIPE)
    token, _ = await made.communicate()

    granted = await known(running, token.decode())
    assert (await state(running, granted["thread"])).name == "Anna Lindström"
