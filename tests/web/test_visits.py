"""How visitors get in, over real HTTP."""

import base64
import json
from pathlib import Path

import httpx
import pytest

from server.core.commands import Post, person
from server.service.inbound import Visitor, visitor_address
from tests.web import given
from tests.web.given import Running


async def say_something(running: Running, granted: dict[str, str], text: str = "Hello") -> None:
    a_pass = running.house.passes.read(granted["pass"], running.house.clock())
    visitor = Visitor(a_pass.site, a_pass.visitor, a_pass.thread)
    consent = running.house.clinic.consent_version
    post = Post(thread=visitor.thread, key=f"k-{text}", by=person(visitor.hash), text=text, consent=consent)
    await running.house.inbound.post(visitor, post)


async def history(running: Running, granted: dict[str, str], **asked: int) -> httpx.Response:
    return await running.client.get(
        f"/api/threads/{granted['thread']}/events", params=asked, headers={"Authorization": f"Bearer {granted['pass']}"}
    )


async def test_a_visit_gives_a_pass_and_what_the_widget_shows(running: Running) -> None:
    answer = await running.visit(language="sv-FI")

    assert answer.status_code == 200
    granted = answer.json()
    assert granted["expires_in"] == 900
    assert granted["language"] == "sv"
    assert granted["clinic"]["name"] == "Riverside Medical Center"
    assert granted["clinic"]["greeting"].startswith("Hej")
    assert granted["clinic"]["languages"] == ["de", "en", "sv"]
    assert granted["clinic"]["consent"]["version"]
    assert granted["clinic"]["consent"]["privacy_url"] == f"{running.origin}/demo/privacy"
    assert answer.headers["access-control-allow-origin"] == running.origin


async def test_a_visit_writes_nothing(running: Running) -> None:
    granted = (await running.visit()).json()
    await running.visit(visitor=granted["visitor"])

    assert await running.house.store.recent_threads(running.house.clock().replace(year=2000)) == []
    assert await running.house.store.addresses_of(granted["thread"]) == []


async def test_a_visitor_who_comes_back_finds_the_same_thread_before_and_after_the_first_word(running: Running) -> None:
    first = (await running.visit()).json()
    second = (await running.visit(visitor=first["visitor"])).json()
    assert (second["thread"], second["visitor"]) == (first["thread"], first["visitor"])

    await say_something(running, second)

    third = (await running.visit(visitor=first["visitor"])).json()
    assert (third["thread"], third["visitor"]) == (first["thread"], first["visitor"])


async def test_two_visitors_have_two_threads(running: Running) -> None:
    one, other = (await running.visit()).json(), (await running.visit()).json()

    assert one["thread"] != other["thread"]
    assert one["visitor"] != other["visitor"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:1"])
async def test_a_page_of_another_origin_gets_no_pass_and_can_read_why(running: Running, origin: str) -> None:
    answer = await running.visit(origin=origin)

    assert answer.status_code == 403
    assert answer.json()["code"] == "origin_not_allowed"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["vary"] == "Origin"
    assert "pass" not in answer.json()


async def test_what_is_no_refusal_is_for_the_sites_own_pages_alone(running: Running) -> None:
    granted = (await running.visit()).json()
    events = f"/api/threads/{granted['thread']}/events"
    theirs = {"Origin": "https://evil.example", "Authorization": f"Bearer {granted['pass']}"}

    history = await running.client.get(events, headers=theirs)
    forgetting = await running.client.options(
        "/api/visits", headers={**theirs, "Access-Control-Request-Method": "DELETE"}
    )

    assert "access-control-allow-origin" not in history.headers
    assert "DELETE" not in forgetting.headers["access-control-allow-methods"]
    assert "authorization" not in forgetting.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-origin" not in (await running.client.post("/api/visits", json={})).headers


async def test_a_visit_without_an_origin_is_refused(running: Running) -> None:
    answer = await running.client.post("/api/visits", json={"site": "demo"})

    assert answer.json()["code"] == "origin_not_allowed"


async def test_an_unknown_site_is_not_found(running: Running) -> None:
    answer = await running.visit(site="nowhere")

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_site")


async def test_a_secret_we_did_not_make_opens_nothing_and_a_new_one_is_given(running: Running) -> None:
    granted = (await running.visit()).json()
    edited = granted["visitor"][:-1] + ("a" if granted["visitor"][-1] != "a" else "b")

    for guess in (edited, "x" * 48, "", "ä" * 48, granted["visitor"][:32]):
        answer = await running.visit(visitor=guess)
        assert answer.status_code == 200
        assert answer.json()["visitor"] not in (guess, granted["visitor"])
        assert answer.json()["thread"] != granted["thread"]


async def test_new_visitors_of_one_address_are_limited_and_known_ones_still_get_in(tmp_path: Path) -> None:
    async with given.running(tmp_path, visits_new_per_minute=3) as running:
        granted = [(await running.visit()).json() for _ in range(3)]

        answer = await running.visit()
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert answer.headers["access-control-allow-origin"] == running.origin

        assert (await running.visit(visitor=granted[0]["visitor"])).status_code == 200


async def test_a_known_visitor_is_limited_alone(tmp_path: Path) -> None:
    async with given.running(tmp_path, visits_known_per_minute=2) as running:
        one, other = (await running.visit()).json()["visitor"], (await running.visit()).json()["visitor"]
        answers = [(await running.visit(visitor=one)).status_code for _ in range(3)]

        assert answers == [200, 200, 429]
        assert (await running.visit(visitor=other)).status_code == 200


async def test_what_a_client_says_of_its_address_is_not_believed(tmp_path: Path) -> None:
    async with given.running(tmp_path, visits_new_per_minute=1) as running:
        await running.visit()
        answer = await running.client.post(
            "/api/visits",
            json={"site": "demo"},
            headers={"Origin": running.origin, "X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"},
        )

        assert answer.status_code == 429


# history --------------------------------------------------------------------------------------------------------------


async def test_history_is_what_was_said_with_keys_for_the_sender_alone(running: Running) -> None:
    granted = (await running.visit()).json()
    for n in range(3):
        await say_something(running, granted, f"message {n}")

    answer = (await history(running, granted, limit=2, after=0)).json()

    assert answer["thread"] == granted["thread"]
    assert answer["seq"] >= 3
    assert [event["seq"] for event in answer["events"]] == [1, 2]
    assert answer["events"][0]["text"] == "message 0"
    assert answer["events"][0]["key"] == "k-message 0"


async def test_history_of_a_thread_without_a_word_is_empty(running: Running) -> None:
    granted = (await running.visit()).json()

    answer = await history(running, granted)

    assert answer.status_code == 200
    assert (answer.json()["seq"], answer.json()["events"]) == (0, [])


async def test_a_foreign_thread_and_one_that_does_not_exist_get_the_same_answer(running: Running) -> None:
    mine, theirs = (await running.visit()).json(), (await running.visit()).json()
    await say_something(running, theirs)

    answers = [
        await history(running, mine | {"thread": thread})
        for thread in (theirs["thread"], "nosuchthread", "a" * 26, "..%2F..", "%00")
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


async def test_history_wants_one_direction_and_sane_numbers(running: Running) -> None:
    granted = (await running.visit()).json()

    for asked in ({"after": 1, "before": 2}, {"after": -1}, {"limit": 0}, {"limit": 101}, {"before": 2**63}):
        answer = await history(running, granted, **asked)
        assert answer.status_code == 400, asked
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_pass_is_refused_when_edited_expired_unsigned_or_missing(running: Running) -> None:
    granted = (await running.visit()).json()
    head, body, _ = granted["pass"].split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
    a_pass = running.house.passes.read(granted["pass"], running.house.clock())
    old = running.house.passes.make(given.replace_value(a_pass, expires_at=running.house.clock().replace(year=2020)))

    for token, code in (
        (f"{head}.{body}.AAAA", "pass_invalid"),
        (f"{unsigned}.{body}.", "pass_invalid"),
        (old, "pass_expired"),
        ("x", "pass_invalid"),
    ):
        answer = await history(running, granted | {"pass": token})
        assert (answer.status_code, answer.json()["code"]) == (401, code)


# end and forget -------------------------------------------------------------------------------------------------------


async def test_what_was_forgotten_opens_nothing_any_more(running: Running) -> None:
    granted = (await running.visit()).json()
    await say_something(running, granted, "between us")

    answer = await running.client.delete("/api/visits", headers={"Authorization": f"Bearer {granted['pass']}"})
    assert answer.status_code == 204

    assert (await history(running, granted)).status_code == 404
    again = (await running.visit(visitor=granted["visitor"])).json()
    assert again["thread"] != granted["thread"]
    assert (await history(running, again)).json()["events"] == []
    address = visitor_address("demo", running.house.passes.read(granted["pass"], running.house.clock()).visitor).id
    assert await running.house.store.find_address(address) != granted["thread"]


async def test_a_message_of_another_tab_in_between_does_not_bring_a_forgotten_way_back(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted = (await running.visit()).json()
    await say_something(running, granted)
    store, tabs = running.house.store, [granted]
    drop = store.drop_address

    async def drop_and_hear_another_tab(address: str) -> None:
        await drop(address)
        if tabs:
            await store.claim_address(address, tabs.pop()["thread"])

    monkeypatch.setattr(store, "drop_address", drop_and_hear_another_tab, raising=False)
    await running.client.delete("/api/visits", headers={"Authorization": f"Bearer {granted['pass']}"})

    assert not tabs
    assert (await history(running, granted)).status_code == 404


async def test_forgetting_is_limited_as_every_write_of_a_visitor(running: Running) -> None:
    granted, other = (await running.visit()).json(), (await running.visit()).json()
    await say_something(running, granted)
    bearer = {"Authorization": f"Bearer {granted['pass']}"}

    codes = [(await running.client.delete("/api/visits", headers=bearer)).status_code for _ in range(31)]

    assert codes == [204] * 30 + [429]
    answer = await running.client.delete("/api/visits", headers={"Authorization": f"Bearer {other['pass']}"})
    assert answer.status_code == 204


async def test_forgetting_before_a_word_was_said_writes_nothing(running: Running) -> None:
    granted = (await running.visit()).json()

    await running.client.delete("/api/visits", headers={"Authorization": f"Bearer {granted['pass']}"})

    address = visitor_address("demo", running.house.passes.read(granted["pass"], running.house.clock()).visitor).id
    assert await running.house.store.find_address(address) is None


async def test_a_visitor_may_read_so_many_pages_a_minute_and_others_go_on_reading(tmp_path: Path) -> None:
    async with given.running(tmp_path, history_per_minute=3) as it:
        one, other = (await it.visit()).json(), (await it.visit()).json()

        async def read(granted: dict[str, str]) -> httpx.Response:
            events = f"/api/threads/{granted['thread']}/events"
            return await it.client.get(events, headers={"Authorization": f"Bearer {granted['pass']}"})

        codes = [(await read(one)).status_code for _ in range(3)]
        late = await read(one)

        assert codes == [200, 200, 200]
        assert (late.status_code, late.json()["code"]) == (429, "rate_limited")
        assert 0 < int(late.headers["retry-after"]) <= 60
        assert (await read(other)).status_code == 200


async def test_a_preflight_lets_the_sites_origins_in_and_others_hear_that_they_are_not(running: Running) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}

    ours = await running.client.options("/api/visits", headers={"Origin": running.origin, **asked})
    theirs = await running.client.options("/api/visits", headers={"Origin": "https://evil.example", **asked})

    assert ours.status_code == theirs.status_code == 204
    assert ours.headers["access-control-allow-origin"] == running.origin
    assert "POST" in ours.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in ours.headers
    assert theirs.headers["access-control-allow-origin"] == "*"
    assert theirs.headers["access-control-allow-methods"] == "POST"
    assert theirs.headers["access-control-allow-headers"] == "Content-Type"
    assert ours.headers["vary"] == theirs.headers["vary"] == "Origin"
