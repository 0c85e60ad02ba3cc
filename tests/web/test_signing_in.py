"""Signing in and out, over real HTTP."""

import asyncio
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from server.core.identity import StaffRole
from server.demo_staff import ADMIN, RECEPTION
from server.web import accounts
from server.web.passes import PassExpired, PassInvalid
from server.web.sessions import Ended, NotSignedIn
from server.web.signing_in import inside
from server.web.tries import BROWSER_TRIES, LOGIN_TRIES, NETWORK_TRIES, PAIR_TRIES
from tests.web import given
from tests.web.given import Running

PASSWORD = "a quiet river"


@pytest.fixture(autouse=True, scope="module")
def passwords_cost_little() -> Iterator[None]:
    """Here passwords are tried a hundred times; what one costs in earnest is looked at in `test_staff_command`."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        nobodys = cheap.hash("nobody's")
        patch.setattr(accounts, "_hasher", lambda: cheap)
        patch.setattr(accounts, "_nobodys_hash", lambda: nobodys)
        yield


async def add_anna(running: Running) -> str:
    added = await running.house.accounts.add("anna", "Anna Weber", StaffRole.RECEPTION, PASSWORD)
    return added.id


async def sign_in(running: Running, login: str = "anna", password: str = PASSWORD) -> httpx.Response:
    async with httpx.AsyncClient(base_url=running.origin) as browser:
        return await browser.post(
            "/api/staff/session", json={"login": login, "password": password}, headers={"Origin": running.origin}
        )


async def test_a_colleague_signs_in_with_login_and_password_however_it_is_capitalised(running: Running) -> None:
    await add_anna(running)

    answer = await sign_in(running, " ANNA ")

    assert answer.status_code == 200
    assert answer.json()["staff"]["name"] == "Anna Weber"
    assert "staff" not in answer.json()["may"]
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("onethread=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie  # this is loopback


async def test_a_cookie_that_leaves_this_machine_is_secure_whatever_the_address_says(tmp_path: Path) -> None:
    async with given.running(
        tmp_path, public_url="http://chat.example.org", demo=False, data=given.own_clinic(tmp_path)
    ) as it:
        cookie = it.house.sessions.set_cookie("x")

    assert cookie.startswith("__Host-onethread=x; Path=/;")
    assert cookie.endswith("; Secure")


async def test_behind_https_the_cookie_is_secure_and_bound_to_the_host(tmp_path: Path) -> None:
    async with given.running(
        tmp_path, public_url="https://chat.example.org", demo=False, data=given.own_clinic(tmp_path)
    ) as it:
        cookie = it.house.sessions.set_cookie("x")
        answer = await it.client.get("/health/live")

    assert cookie.startswith("__Host-onethread=x; Path=/;")
    assert cookie.endswith("; HttpOnly; SameSite=Lax; Secure")
    assert "max-age" in answer.headers["strict-transport-security"]


async def test_a_wrong_password_an_unknown_login_and_a_disabled_account_get_the_same_answer(running: Running) -> None:
    id = await add_anna(running)
    wrong = await sign_in(running, password="a loud river!")
    unknown = await sign_in(running, "nobody")
    demo = await sign_in(running, "alex", "")  # a colleague without a password
    await running.house.accounts.change(id, disabled=True)
    disabled = await sign_in(running)

    assert wrong.status_code == unknown.status_code == disabled.status_code == 401
    assert wrong.content == unknown.content == disabled.content
    assert demo.status_code == 400


async def test_guessing_soon_has_to_wait_and_other_colleagues_do_not(running: Running) -> None:
    await add_anna(running)
    answers = [await sign_in(running, password=f"guess number {n}") for n in range(PAIR_TRIES[0] + 1)]

    assert [answer.status_code for answer in answers[:-1]] == [401] * PAIR_TRIES[0]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) <= PAIR_TRIES[1]
    assert (await sign_in(running)).status_code == 429  # the right password does not get through either
    assert (await sign_in(running, "nobody")).status_code == 401
    assert NETWORK_TRIES[0] > 2 * PAIR_TRIES[0]


async def test_a_browser_one_has_signed_in_from_gets_in_while_strangers_guess_from_everywhere(tmp_path: Path) -> None:
    async with given.running(
        tmp_path, proxy=ipaddress.ip_address("127.0.0.1"), demo=False, data=given.own_clinic(tmp_path)
    ) as it:
        await add_anna(it)
        asked = {"login": "anna", "password": PASSWORD}
        async with httpx.AsyncClient(base_url=it.origin, headers={"Origin": it.origin}) as annas:
            first = await annas.post("/api/staff/session", json=asked, headers={"X-Forwarded-For": "192.0.2.1"})
            assert first.status_code == 200
            strangers = [
                (
                    await it.client.post(
                        "/api/staff/session",
                        json={"login": "anna", "password": f"guess number {n}"},
                        headers={"Origin": it.origin, "X-Forwarded-For": f"198.51.100.{n % 200}"},
                    )
                ).status_code
                for n in range(LOGIN_TRIES[2] + 2)
            ]
            at_home = await annas.post("/api/staff/session", json=asked, headers={"X-Forwarded-For": "198.51.100.1"})
            again = await annas.post("/api/staff/session", json=asked, headers={"X-Forwarded-For": "203.0.113.9"})
        elsewhere = await it.client.post(
            "/api/staff/session", json=asked, headers={"Origin": it.origin, "X-Forwarded-For": "203.0.113.7"}
        )

    assert strangers[-1] == 429
    assert (at_home.status_code, again.status_code) == (200, 200)
    assert elsewhere.status_code == 429
    assert int(elsewhere.headers["retry-after"]) <= LOGIN_TRIES[1]  # slowed, and not shut out
    known = next(each for each in first.headers.get_list("set-cookie") if "-known=" in each)
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(known.split("; "))
    assert "anna" not in known


async def test_a_known_browser_may_not_guess_for_ever_and_is_known_to_its_own_login_alone(running: Running) -> None:
    await add_anna(running)
    await running.house.accounts.add("bea", "Bea Lind", StaffRole.RECEPTION, PASSWORD)
    async with httpx.AsyncClient(base_url=running.origin, headers={"Origin": running.origin}) as annas:

        async def tried(login: str, password: str = "no such river") -> int:
            answer = await annas.post("/console/sign-in", data={"login": login, "password": password})
            return 429 if "rate_limited" in answer.headers["location"] else answer.status_code

        assert await tried("anna", PASSWORD) == 303
        as_anna = [await tried("anna") for _ in range(BROWSER_TRIES[0] + 1)]
        as_bea = [await tried("bea") for _ in range(PAIR_TRIES[0] + 1)]

    assert as_anna == [*[303] * BROWSER_TRIES[0], 429]
    assert as_bea == [*[303] * PAIR_TRIES[0], 429]


async def test_the_store_knows_neither_the_cookie_nor_the_password(running: Running) -> None:
    await add_anna(running)
    cookie = (await sign_in(running)).headers["set-cookie"].partition("=")[2].partition(";")[0]
    await running.house.store.epoch()

    kept = b"".join(path.read_bytes() for path in running.house.settings.data.glob("onethread.db*") if path.is_file())

    assert cookie.encode() not in kept
    assert PASSWORD.encode() not in kept
    assert b"$argon2id$" in kept


async def test_signing_out_ends_the_session_and_nothing_else(running: Running) -> None:
    async with running.signed_in(StaffRole.ADMIN) as one, running.signed_in(StaffRole.ADMIN) as other:
        ended: list[Ended] = []
        running.house.sessions.ended.append(ended.append)
        assert (await one.delete("/api/staff/session")).status_code == 204

        assert (await one.get("/api/staff/session")).status_code == 401
        assert (await other.get("/api/staff/session")).status_code == 200
        assert [bool(each.session) for each in ended] == [True]


async def test_signing_out_everywhere_ends_all_of_mine_and_nobody_elses(running: Running) -> None:
    async with (
        running.signed_in(StaffRole.RECEPTION) as one,
        running.signed_in(StaffRole.RECEPTION) as other,
        running.signed_in(StaffRole.ADMIN) as admin,
    ):
        assert (await one.delete("/api/staff/sessions")).status_code == 204

        assert (await one.get("/api/staff/session")).status_code == 401
        assert (await other.get("/api/staff/session")).status_code == 401
        assert (await admin.get("/api/staff/session")).status_code == 200


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "clinician"}, {"password": "another quiet river"}])
async def test_an_admin_who_changes_an_account_ends_its_sessions(running: Running, change: dict[str, object]) -> None:
    async with running.signed_in(StaffRole.RECEPTION) as theirs, running.signed_in(StaffRole.ADMIN) as admin:
        assert (await admin.patch(f"/api/staff/{RECEPTION}", json=change)).status_code == 200

        assert (await theirs.get("/api/staff/session")).status_code == 401


async def test_the_last_admin_stays_one(running: Running) -> None:
    async with running.signed_in(StaffRole.ADMIN) as admin:
        for change in ({"disabled": True}, {"role": "reception"}):
            answer = await admin.patch(f"/api/staff/{ADMIN}", json=change)
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


# tickets and links ----------------------------------------------------------------------------------------------------


async def test_a_ticket_opens_one_line_once(running: Running) -> None:
    async with running.signed_in(StaffRole.CLINICIAN) as browser:
        shown = (await browser.post("/api/staff/ticket")).json()
    sessions = running.house.sessions

    staff, session = await sessions.redeem(shown["ticket"])
    assert (staff.name, staff.role) == ("Dr. Weber", StaffRole.CLINICIAN)
    assert await sessions.alive(session.id) == staff
    with pytest.raises(PassInvalid):
        await sessions.redeem(shown["ticket"])


async def test_of_two_who_show_a_ticket_at_once_one_gets_in(running: Running) -> None:
    async with running.signed_in(StaffRole.ADMIN) as browser:
        shown = (await browser.post("/api/staff/ticket")).json()

    results = await asyncio.gather(
        *(running.house.sessions.redeem(shown["ticket"]) for _ in range(10)), return_exceptions=True
    )

    assert sum(not isinstance(each, BaseException) for each in results) == 1


async def test_a_ticket_of_a_session_that_has_ended_opens_nothing(running: Running) -> None:
    async with running.signed_in(StaffRole.ADMIN) as browser:
        shown = (await browser.post("/api/staff/ticket")).json()
        await browser.delete("/api/staff/session")

    with pytest.raises(NotSignedIn):
        await running.house.sessions.redeem(shown["ticket"])


async def test_a_visitors_pass_is_no_ticket_and_a_ticket_no_pass(running: Running) -> None:
    granted = (await running.visit()).json()
    async with running.signed_in(StaffRole.ADMIN) as browser:
        shown = (await browser.post("/api/staff/ticket")).json()

    with pytest.raises(PassInvalid):
        await running.house.sessions.redeem(granted["pass"])
    with pytest.raises(PassInvalid):
        running.house.passes.read(shown["ticket"], running.house.clock())


async def test_a_sign_in_link_works_once(running: Running) -> None:
    token = await running.house.sessions.link(ADMIN)
    headers = {"Origin": running.origin}

    first = await running.client.post("/api/staff/session/link", json={"token": token}, headers=headers)
    second = await running.client.post("/api/staff/session/link", json={"token": token}, headers=headers)

    assert first.json()["staff"]["name"] == "Alex Rivera"
    assert (second.status_code, second.json()["code"]) == (401, "pass_invalid")


async def test_an_old_sign_in_link_is_said_to_be_old(running: Running) -> None:
    token = await given.old_link(running, ADMIN)

    with pytest.raises(PassExpired):
        await running.house.sessions.follow_link(token)


async def test_a_sign_in_link_opens_nothing_where_others_could_reach_the_server(tmp_path: Path) -> None:
    folder = given.own_clinic(tmp_path)
    async with given.running(tmp_path, public_url="https://chat.example.org", demo=False, data=folder) as running:
        token = await running.house.sessions.link(ADMIN)
        answer = await running.client.post("/api/staff/session/link", json={"token": token})

        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


# forms ----------------------------------------------------------------------------------------------------------------


async def test_the_form_signs_in_without_script_and_goes_where_one_wanted_to(running: Running) -> None:
    await add_anna(running)
    async with httpx.AsyncClient(base_url=running.origin, headers={"Origin": running.origin}) as browser:
        form = {"login": "anna", "password": PASSWORD, "next": "/console/mine?q=1"}
        answer = await browser.post("/console/sign-in", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/mine?q=1")

        session = (await browser.get("/api/staff/session")).json()
        out = await browser.post("/console/sign-out", data={"csrf": session["csrf"]})
        assert (out.status_code, out.headers["location"]) == (303, "/console/sign-in")
        assert (await browser.get("/api/staff/session")).status_code == 401


async def test_a_form_from_another_page_is_refused(running: Running) -> None:
    await add_anna(running)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        form = {"login": "anna", "password": PASSWORD}
        answer = await running.client.post("/console/sign-in", data=form, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/console\r\nX: y",
        "/consolex",
        "/demo",
        "javascript:x",
    ],
)
def test_nobody_is_led_to_another_site_after_signing_in(wanted: str) -> None:
    assert inside(wanted) == "/console"


async def test_a_wrong_password_leads_back_to_the_form_and_says_so(running: Running) -> None:
    answer = await running.client.post("/console/sign-in", data={"login": "anna", "password": "no such river"})

    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/sign-in?error=sign_in_refused&next=%2Fconsole"
