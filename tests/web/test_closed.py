"""The console's page on which a colleague closes the clinic for today."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from server.core.identity import StaffRole
from server.core.ports import View
from server.web.strings import Words
from tests.web.given import IDS, Running


async def test_a_colleague_closes_today_with_a_reason_and_opens_it_again(running: Running) -> None:
    house = running.house
    today = house.clock().astimezone(ZoneInfo(house.clinic.timezone)).date()
    async with running.signed_in(StaffRole.RECEPTION) as browser:
        csrf = {"csrf": browser.headers["X-CSRF-Token"]}
        answer = await browser.post(
            "/console/closed-days", data={**csrf, "first": str(today), "reason": " no  heating "}
        )
        assert answer.status_code == 303
        assert [(each.day, each.by, each.reason) for each in await house.closings.listing()] == [
            (today, IDS[StaffRole.RECEPTION], "no heating")
        ]
        async with running.signed_in(StaffRole.ADMIN) as other:
            page = (await other.get("/console/closed-days")).text
        assert "no heating" in page
        assert "Sofie Berg" in page
        assert f'<time datetime="{today}">{Words("de", "UTC").calendar(today)}</time>' in page
        await browser.post("/console/closed-days/open", data={**csrf, "day": str(today)})
        assert await house.closings.listing() == []


async def test_days_that_cannot_be_are_refused(running: Running) -> None:
    house = running.house
    today = house.clock().astimezone(ZoneInfo(house.clinic.timezone)).date()
    async with running.signed_in(StaffRole.ADMIN) as browser:
        csrf = {"csrf": browser.headers["X-CSRF-Token"]}
        days = [
            {"first": str(today - timedelta(days=1))},
            {"first": str(today), "last": str(today - timedelta(days=1))},
            {"first": str(today), "last": str(today + timedelta(days=400))},
            {"first": "today"},
            {},
        ]
        for each in days:
            answer = await browser.post("/console/closed-days", data={**csrf, **each})
            assert answer.headers["location"].endswith("?error=days")
        assert (await browser.post("/console/closed-days", data={"first": str(today)})).status_code == 403
        assert await house.closings.listing() == []


async def test_no_page_of_the_console_stands_where_a_list_is(running: Running) -> None:
    async with running.signed_in(StaffRole.RECEPTION) as browser:
        pages = {view: (await browser.get(f"/console/{view.replace('_', '-')}")).text for view in View}

    assert [view for view, page in pages.items() if 'id="list"' not in page] == []
