"""The console as pages: read without script, by every role, in every language, with every word escaped."""

import re
import timeit
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest

from server.core import commands
from server.core.events import AnyEvent, JoinedWith, PartedFrom, Posted
from server.core.identity import StaffRole
from server.core.model import Channel, Choice, Link, Role, Thread
from server.web.api import MAX_REPLIES, REPLIES, Canned
from server.web.strings import LANGUAGES, Words, table
from server.web.timeline import Bubble, Day, Mark, Place, Reader, items, pieces, safe_href
from tests.web.console_given import KATRIN, WHY, Clinic, colleague, signed_in
from tests.web.given import IDS, Running

RECEPTION = StaffRole.RECEPTION
HERE = f"/console/all/{KATRIN}"
HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) "&'


@pytest.fixture
def clinic(running: Running) -> Clinic:
    return Clinic(running)


async def page(running: Running, path: str, role: StaffRole = RECEPTION, **headers: str) -> httpx.Response:
    async with signed_in(running, role, **headers) as browser:
        answer = await browser.get(path)
    assert answer.status_code == 200, answer.text
    return answer


def texts(html: str) -> list[str]:
    found = re.findall(r'<p class="text"[^>]*>(.*?)</p>', html, re.DOTALL)
    return [re.sub(r"<[^>]+>", "", each) for each in found]


# reading --------------------------------------------------------------------------------------------------------------


async def test_a_conversation_can_be_read_without_script(running: Running, clinic: Clinic) -> None:
    covers = await clinic.says("Are you open on Saturday?")
    await clinic.answers("On Saturday we are closed.", covers, why=WHY)
    await clinic.settled()

    html = (await page(running, "/console/bot")).text
    link = re.search(rf'id="row-{KATRIN}" href="([^"]+)"', html)
    assert link is not None
    assert link[1] == f"/console/bot/{KATRIN}"

    html = (await page(running, link[1])).text
    assert texts(html)[0] == "Are you open on Saturday?"
    assert "Why this answer?" in html


async def test_every_answer_says_why(running: Running, clinic: Clinic) -> None:
    covers = await clinic.says("Are you open on Saturday?")
    await clinic.hands_over()
    said = "On Saturday we are closed."
    await clinic.do(
        commands.Post(thread=KATRIN, key="a", by=commands.ASSISTANT, text=said, covers=None, why=WHY, missed=False)
    )
    html = (await page(running, HERE)).text
    why = html[html.rindex('<details class="why">') :]
    shown = " ".join(re.sub(r"<[^>]+>", " ", why[: why.index("</details>")]).split())

    assert covers == 1
    assert shown == (
        "Why this answer? Entry Opening hours opening-hours Score 7.42 Confidence 91 % answer "
        "Runner-up Out-of-hours service (3.18) Deciding words open saturday Version 2026-11-01"
    )
    assert "Worded by a language model" not in html

    reworded = msgspec.structs.replace(WHY, reworded=True)
    await clinic.do(commands.Post(thread=KATRIN, key="b", by=commands.ASSISTANT, text="No, closed.", why=reworded))
    assert "<span>Worded by a language model</span>" in (await page(running, HERE)).text


async def test_nothing_that_anybody_writes_becomes_markup(running: Running, clinic: Clinic) -> None:
    await clinic.says(HOSTILE)
    await clinic.names(HOSTILE)
    await clinic.do(commands.Note(thread=KATRIN, key="n", by=colleague(RECEPTION), text=HOSTILE))
    await clinic.do(
        commands.Post(
            thread=KATRIN,
            key="p",
            by=commands.ASSISTANT,
            text=HOSTILE,
            choices=(Choice("x", HOSTILE),),
            links=(Link("javascript:alert(1)", HOSTILE), Link("https://example.org/?a=1&b=\"'", HOSTILE)),
        )
    )
    await clinic.settled()
    for path in ("/console/all", HERE, "/console/search?q=script", f"/console/search?q={HOSTILE}"):
        html = (await page(running, path)).text
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert "onerror=alert(1)&gt;" in html
        assert 'href="javascript:' not in html


async def test_each_message_names_its_language_and_finds_its_own_direction(running: Running, clinic: Clinic) -> None:
    await clinic.says("مرحبا", language="ar")
    html = (await page(running, HERE)).text

    assert '<p class="text" dir="auto" lang="ar">مرحبا</p>' in html


async def test_a_page_allows_no_script_of_others_and_none_inline(running: Running, clinic: Clinic) -> None:
    await clinic.says("Hello?")
    for path in ("/console", HERE, "/console/replies"):
        answer = await page(running, path)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert re.findall(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", answer.text) == []


async def test_older_messages_have_an_address_of_their_own(running: Running, clinic: Clinic) -> None:
    await clinic.talks(60, "Message")
    html = (await page(running, HERE)).text
    older = re.search(r'<div id="older">\s*<a href="([^"]+)"', html)
    assert older is not None
    assert "Message 59" in texts(html)
    assert "Message 0" not in texts(html)

    html = (await page(running, older[1].replace("&amp;", "&"))).text
    assert "Message 59" not in texts(html)
    assert "To the newest" in html
    before = int(older[1].rpartition("=")[2])
    assert int(re.findall(r'id="s(\d+)"', html)[-1]) == before - 1


async def joined(clinic: Clinic, other: str, into: str = KATRIN) -> None:
    """``other`` was the same person all along."""
    before = sum(isinstance(event, JoinedWith) for event in await clinic.log(into))
    by, key = colleague(StaffRole.ADMIN), f"move {before}"
    await clinic.do(commands.Move(thread=other, key=key, by=by, to=into, reason="the same number"))
    await clinic.until(lambda log: sum(isinstance(event, JoinedWith) for event in log) > before, into)


def earlier(html: str, thread: str) -> str:
    """Return a block of an older conversation."""
    start = html.index(f'<section class="earlier" id="e-{thread}"')
    return html[start : html.index("</section>", start)]


def link(html: str, attribute: str) -> str:
    found = re.search(rf'class="older"[^>]*>\s*<a [^>]*?{attribute}="([^"]+)"', html)
    assert found is not None
    return found[1].replace("&amp;", "&")


async def test_an_older_conversation_stands_as_a_dated_block_before_the_entry_that_joined_it(
    running: Running, clinic: Clinic
) -> None:
    await clinic.talks(30, "Old", "t0older")
    await clinic.says("New")
    await joined(clinic, "t0older")
    html = (await page(running, HERE)).text
    block = earlier(html, "t0older")

    assert "Earlier conversation: Today" in block
    assert [text for text in texts(block) if text.startswith("Old")][-1] == "Old 29"
    assert "Old 0" not in texts(block)
    log = html[html.index('id="log"') :]  # the list beside it may show the same words
    assert log.index(">New<") < log.index("Earlier conversation") < log.index("Old 29") < log.index("now belongs")
    assert 'id="s1"' in html.replace(block, "")
    assert 'id="s1"' not in block
    assert "data-tick" not in block


async def test_an_older_conversation_is_paged_without_script_and_with_it(running: Running, clinic: Clinic) -> None:
    await clinic.talks(30, "Old", "t0older")
    await clinic.says("New")
    await joined(clinic, "t0older")
    first = earlier((await page(running, HERE)).text, "t0older")

    turned = (await page(running, link(first, "href").partition("#")[0])).text
    block = earlier(turned, "t0older")
    assert "New" in texts(turned.replace(block, ""))
    assert "To the newest" in block
    part = (await page(running, link(first, "hx-get"))).text
    for rest in (block, part):
        said = [text for text in texts(rest) if text.startswith("Old")]
        assert said[0] == "Old 0"
        assert said + [text for text in texts(first) if text.startswith("Old")] == [f"Old {n}" for n in range(30)]
        assert "Beginning of the conversation" in rest


async def test_an_older_conversation_is_read_as_far_as_it_belongs_here_and_no_further(
    running: Running, clinic: Clinic
) -> None:
    await clinic.says("Said before", "t0older")
    await clinic.says("New")
    await joined(clinic, "t0older")
    upto = len(await clinic.log("t0older"))
    await clinic.do(commands.Return(thread="t0older", key="return", by=colleague(StaffRole.ADMIN), reason="a mistake"))
    await clinic.until(lambda log: isinstance(log[-1], PartedFrom))
    await clinic.says("Said after", "t0older")
    async with signed_in(running, RECEPTION) as browser:
        html = (await browser.get(HERE)).text
        assert 'class="earlier"' not in html  # taken apart: it is another person's
        refused = await browser.get(f"/console/parts/{KATRIN}/earlier/t0older?before={upto + 9}")
        assert refused.status_code == 404

        await joined(clinic, "t0older")
        part = await browser.get(f"/console/parts/{KATRIN}/earlier/t0older?before=3")
        assert [text for text in texts(part.text) if text.startswith("Said")] == ["Said before"]
        assert 'id="e-t0older"' in (await browser.get(HERE)).text
        for stranger in (KATRIN, "t9nobody"):
            assert (await browser.get(f"/console/parts/{KATRIN}/earlier/{stranger}?before=3")).status_code == 404


async def test_a_conversation_within_one_within_one_is_shown(running: Running, clinic: Clinic) -> None:
    for thread in ("t0oldest", "t0older", KATRIN):
        await clinic.says(f"Said in {thread}", thread)
    await joined(clinic, "t0oldest", "t0older")
    await joined(clinic, "t0older")
    html = (await page(running, HERE)).text

    said = [text for text in texts(html) if text.startswith("Said in")]
    assert said == [f"Said in {KATRIN}", "Said in t0older", "Said in t0oldest"]
    assert html.index('id="e-t0older"') < html.index('id="e-t0oldest"')


async def test_a_list_goes_on_below(running: Running, clinic: Clinic) -> None:
    for number in range(55):
        await clinic.says("Hello", thread=f"t5{number:02}")
    await clinic.settled()
    html = (await page(running, "/console/all")).text
    assert html.count('id="row-') == 50
    assert 'href="/console/all?rows=100"' in html

    html = (await page(running, "/console/all?rows=100")).text
    assert html.count('id="row-') == 55
    assert "Show more" not in html


async def test_counts_tell_how_much_each_list_has(running: Running, clinic: Clinic) -> None:
    await clinic.says("Hello")
    await clinic.hands_over()
    await clinic.says("Hello", thread="t5other")
    await clinic.settled()
    html = (await page(running, "/console")).text

    assert 'data-waiting="1"' in html
    named = re.findall(r'<span>([^<]+)</span><span class="count[^"]*">([^<]+)</span>', html)
    assert dict(named) == {
        "Needs reply": "1",
        "Mine": "0",
        "Unassigned": "1",
        "Assistant": "1",
        "Snoozed": "0",
        "Closed": "0",
        "All": "2",
    }


async def test_a_search_shows_the_open_task_and_the_last_facts(running: Running, clinic: Clinic) -> None:
    await clinic.says("Hello")
    await clinic.names("Katrin Meier")
    await clinic.links("4915112344567")
    await clinic.hands_over()
    await clinic.settled()
    for query in ("meier", "kat", "4567", "hello", "+49 151 1234 4567"):
        answer = await page(running, f"/console/search?{httpx.QueryParams({'q': query})}")
        assert "1 person found" in answer.text, query
        assert "Waits for a person since" in answer.text
        assert "…4567" in answer.text
    assert "Nobody found" in (await page(running, "/console/search?q=nobody")).text


async def found(running: Running, asked: str) -> list[str]:
    html = (await page(running, f"/console/search?{asked}")).text
    return re.findall(r'id="row-(\w+)"', html)


async def test_a_search_is_narrowed_by_channel_and_by_date(running: Running, clinic: Clinic) -> None:
    await clinic.says("About my prescription")
    await clinic.links("4915112344567")
    await clinic.says("My prescription, too", "t5other")
    await clinic.settled()
    today = datetime.now(ZoneInfo(running.house.clinic.timezone)).date()
    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
    both = ["t5other", KATRIN]

    for asked, expected in (
        ("q=prescription", both),
        (f"q=prescription&since={today}&until={today}", both),
        (f"q=prescription&since={yesterday}", both),
        (f"q=prescription&until={yesterday}", []),
        (f"q=prescription&since={tomorrow}", []),
        (f"q=prescription&since={tomorrow}&until={yesterday}", both),  # the wrong way round
        ("q=prescription&channel=whatsapp", [KATRIN]),
        ("q=prescription&channel=voice", []),
        ("channel=whatsapp", [KATRIN]),
        (f"since={today}", both),
        (f"q=&since={today}&until=&channel=", both),
        (f"since={today}&channel=whatsapp", []),  # it was said on the website
        ("q=prescription&since=someday&channel=pigeon", both),
        ("q=", []),
    ):
        assert await found(running, asked) == expected, asked


async def test_a_narrowed_search_has_an_address_and_keeps_it(running: Running, clinic: Clinic) -> None:
    await clinic.says("About my prescription")
    await clinic.settled()
    html = (await page(running, "/console/search?q=presc&since=2026-01-02&channel=web")).text

    assert f'href="/console/search/{KATRIN}?q=presc&amp;since=2026-01-02&amp;channel=web"' in html
    assert 'name="since" form="find" value="2026-01-02"' in html
    assert '<option value="web" selected>' in html
    assert 'href="/console/search?q=presc"' in html
    headers = {"HX-Request": "true", "HX-Target": "list", "HX-Trigger-Name": "channel"}
    part = await page(running, "/console/search?q=presc&since=&until=&channel=web", RECEPTION, **headers)
    assert part.headers["hx-replace-url"] == "/console/search?q=presc&channel=web"
    assert 'id="filters"' not in part.text


# parts of a page ------------------------------------------------------------------------------------------------------


async def test_htmx_gets_only_the_part_it_asks_for(running: Running, clinic: Clinic) -> None:
    await clinic.says("Hello?")
    for part, there, not_there in (
        ("list", 'id="list"', 'id="work"'),
        ("side", 'id="side"', 'id="work"'),
        ("work", 'id="work"', 'id="list"'),
        ("app", 'id="app"', "<html"),
    ):
        headers = {"HX-Request": "true", "HX-Target": part}
        answer = await page(running, HERE, RECEPTION, **headers)
        assert there in answer.text
        assert not_there not in answer.text
        assert answer.headers["vary"] == "HX-Request, HX-Target"


async def test_what_has_happened_since_is_the_rest_of_the_page(running: Running, clinic: Clinic) -> None:
    await clinic.says("First")
    async with signed_in(running, RECEPTION) as browser:
        html = (await browser.get(HERE)).text
        url = re.search(r'id="end".*?data-url="([^"]+)"', html, re.DOTALL)
        assert url is not None
        await clinic.says("Second")
        await clinic.takes(RECEPTION)

        news = await browser.get(url[1].replace("&amp;", "&"))
        assert "First" not in texts(news.text)
        assert "Second" in texts(news.text)
        assert "Today" not in news.text
        assert "You have this conversation." in news.text

        again = re.search(r'data-url="([^"]+)"', news.text)
        assert again is not None
        assert texts((await browser.get(again[1].replace("&amp;", "&"))).text) == []


async def test_a_search_beside_a_conversation_keeps_it_open(running: Running, clinic: Clinic) -> None:
    await clinic.says("Hello?")
    headers = {"HX-Request": "true", "HX-Target": "side", "HX-Current-URL": f"{running.origin}{HERE}"}
    answer = await page(running, "/console/search?q=hel", RECEPTION, **headers)

    assert answer.headers["hx-replace-url"] == f"/console/search/{KATRIN}?q=hel"


# who may --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", StaffRole)
async def test_every_role_reads_and_replies(running: Running, clinic: Clinic, role: StaffRole) -> None:
    await clinic.says("Hello?")
    html = (await page(running, HERE, role)).text

    assert 'id="composer"' in html
    assert f'data-me="{IDS[role]}"' in html


async def test_nobody_reads_without_signing_in(running: Running, clinic: Clinic) -> None:
    await clinic.says("Hello?")
    answer = await running.client.get(f"{HERE}?before=3", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"/console/sign-in?next=%2Fconsole%2Fall%2F{KATRIN}%3Fbefore%3D3",
    )
    asked = {"HX-Request": "true", "HX-Current-URL": f"http://elsewhere.example{HERE}"}
    part = await running.client.get(f"/console/parts/{KATRIN}/news?after=0", headers=asked)
    door = f"/console/sign-in?next=%2Fconsole%2Fall%2F{KATRIN}"
    assert (part.status_code, part.headers["hx-redirect"], part.text) == (204, door, "")


async def test_what_is_not_there_is_not_found(running: Running, clinic: Clinic) -> None:
    async with signed_in(running, RECEPTION) as browser:
        for path in ("/console/nosuchlist", "/console/mine/nosuchthread", "/console/mine/..%2fetc"):
            assert (await browser.get(path)).status_code == 404


async def test_the_language_of_the_console_is_each_colleagues_own(running: Running) -> None:
    async with signed_in(running, RECEPTION) as browser:
        html = (await browser.get("/console")).text
        csrf = re.search(r'name="csrf" value="([^"]+)"', html)
        assert csrf is not None
        form = {"csrf": csrf[1], "language": "sv", "next": "/console/mine"}
        answer = await browser.post("/console/language", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/mine")
        html = (await browser.get("/console")).text
    assert '<html lang="sv">' in html
    assert "Behöver svar" in html


async def test_a_form_without_its_token_changes_nothing(running: Running) -> None:
    async with signed_in(running, RECEPTION) as browser:
        for path, form in (
            ("/console/language", {"language": "sv"}),
            ("/console/replies", {"id": "x", "title": "X", "text_en": "X"}),
            ("/console/replies/drop", {"id": "x"}),
            ("/console/replies/examples", {}),
            ("/console/sign-out", {}),
        ):
            assert (await browser.post(path, data={"csrf": "wrong", **form})).status_code == 403
        assert (await browser.get("/console")).status_code == 200


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/console/../api", "javascript:alert(1)"]
)
async def test_the_door_leads_nowhere_else(running: Running, wanted: str) -> None:
    answer = await running.client.get("/console/sign-in", params={"next": wanted, "lang": "en"})
    found = re.search(r'name="next" value="([^"]*)"', answer.text)
    assert found is not None
    assert found[1] in ("/console", "/console/../api")


async def test_canned_replies_are_written_and_dropped_by_forms(running: Running) -> None:
    async with signed_in(running, RECEPTION) as browser:
        csrf = (await browser.get("/api/staff/session")).json()["csrf"]
        form = {"csrf": csrf, "id": "hello", "title": "Hello", "text_en": "Hello {name}", "text_de": "  "}
        assert (await browser.post("/console/replies", data=form)).headers["location"] == "/console/replies?saved=hello"
        assert (await browser.get("/api/replies")).json() == [
            {"id": "hello", "title": "Hello", "texts": {"en": "Hello {name}"}}
        ]
        bad = await browser.post("/console/replies", data=form | {"id": "Not An Id"})
        assert bad.headers["location"] == "/console/replies?error=1"
        await browser.post("/console/replies/drop", data={"csrf": csrf, "id": "hello"})
        assert (await browser.get("/api/replies")).json() == []


async def test_a_clinic_has_only_so_many_canned_replies(running: Running) -> None:
    full = msgspec.json.encode(Canned("Title", {"en": "Text"}))
    for number in range(MAX_REPLIES - 1):
        await running.house.store.put(REPLIES, f"reply{number}", full)
    async with signed_in(running, RECEPTION) as browser:
        csrf = browser.headers["x-csrf-token"]
        form = {"csrf": csrf, "id": "last", "title": "Last", "text_en": "It fits"}
        assert (await browser.post("/console/replies", data=form)).headers["location"].endswith("saved=last")
        refused = await browser.post("/console/replies", data={**form, "id": "another"})
        shown = await browser.get(refused.headers["location"])
        again = await browser.post("/console/replies", data={**form, "text_en": "Said better"})
        await browser.post("/console/replies/examples", data={"csrf": csrf})
    assert f"There are {MAX_REPLIES} canned replies" in shown.text
    assert again.headers["location"].endswith("saved=last")
    assert len(await running.house.store.listing(REPLIES)) == MAX_REPLIES


async def test_a_list_marks_where_a_note_names_me_until_i_have_opened_it(running: Running, clinic: Clinic) -> None:
    await clinic.says("Hello?")
    by, doctor = colleague(RECEPTION), StaffRole.CLINICIAN
    await clinic.do(commands.Note(thread=KATRIN, key="a", by=by, text="Please look", mentions=(IDS[doctor],)))
    await clinic.settled()
    assert "Mentions you" in (await page(running, "/console/all", doctor)).text
    assert "Mentions you" in (await page(running, "/console/search?q=hello", doctor)).text
    assert "Mentions you" not in (await page(running, "/console/all")).text

    await page(running, HERE, doctor)
    assert "Mentions you" not in (await page(running, "/console/all", doctor)).text
    await clinic.do(commands.Note(thread=KATRIN, key="b", by=by, text="Once more", mentions=(IDS[doctor],)))
    await clinic.settled()
    assert "Mentions you" in (await page(running, "/console/all", doctor)).text


async def test_a_clinic_may_begin_with_examples(running: Running) -> None:
    async with signed_in(running, RECEPTION) as browser:
        assert "Add examples" in (await browser.get("/console/replies")).text
        csrf = (await browser.get("/api/staff/session")).json()["csrf"]
        await browser.post("/console/replies/examples", data={"csrf": csrf})
        kept = {reply["id"]: reply for reply in (await browser.get("/api/replies")).json()}
        assert "Add examples" not in (await browser.get("/console/replies")).text
    assert kept["greeting"]["title"] == "Greeting"
    assert kept["greeting"]["texts"]["sv"].startswith("Hej {name}, det är {me} på {clinic}.")


# words ----------------------------------------------------------------------------------------------------------------


def test_every_language_says_everything_with_the_same_blanks() -> None:
    blanks = {
        language: {key: sorted(re.findall(r"\{(\w+)\}", text)) for key, text in table(language).items()}
        for language in LANGUAGES
    }
    assert blanks["de"] == blanks["en"] == blanks["sv"]
    assert all(text.strip() for language in LANGUAGES for text in table(language).values())


@pytest.mark.parametrize(
    ("language", "at", "day", "moment"),
    [
        ("en", datetime(2026, 11, 22, 8, tzinfo=UTC), "Today", "09:00"),
        ("de", datetime(2026, 11, 21, 8, tzinfo=UTC), "Gestern", "Sa"),
        ("sv", datetime(2026, 11, 2, 8, tzinfo=UTC), "måndag 2 november", "2 nov."),
        ("en", datetime(2025, 11, 2, 8, tzinfo=UTC), "Sunday 2 November 2025", "02/11/2025"),
        ("en", datetime(2026, 11, 23, 7, tzinfo=UTC), "Monday 23 November", "Mon 08:00"),
    ],
)
def test_times_are_the_clinics_and_read_as_their_readers_write_them(
    language: str, at: datetime, day: str, moment: str
) -> None:
    words, now = Words(language, "Europe/Berlin"), datetime(2026, 11, 22, 12, tzinfo=UTC)

    assert (words.day(at, now).replace(",", ""), words.moment(at, now)) == (day, moment)


# the timeline ---------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
READER = Reader("anna", Words("en", "Europe/Berlin"), {"anna": "Anna", "jonas": "Jonas"}, NOON)


def posted(seq: int, at: datetime, text: str = "Hello") -> AnyEvent:
    return Posted(
        thread="t", seq=seq, sender="person:v", key=str(seq), at=at, role=Role.PERSON, channel=Channel.WEB, text=text
    )


def test_days_stand_between_messages_and_names_over_the_first_of_several() -> None:
    log = [posted(1, NOON - timedelta(days=1)), posted(2, NOON), posted(3, NOON + timedelta(minutes=1))]
    shown, place = items(log, Thread("t", seq=3), READER)

    assert [type(item).__name__ for item in shown] == ["Day", "Bubble", "Day", "Bubble", "Bubble"]
    assert [item.head for item in shown if hasattr(item, "head")] == [True, True, False]

    more, _ = items([posted(4, NOON + timedelta(minutes=2))], Thread("t", seq=4), READER, place)
    assert [getattr(item, "head", None) for item in more] == [False]


@pytest.mark.parametrize("role", Role)
def test_everybody_who_speaks_has_a_name(role: Role) -> None:
    for language in LANGUAGES:
        reader = Reader("anna", Words(language, "Europe/Berlin"), {}, NOON)
        said = msgspec.structs.replace(posted(1, NOON), role=role)
        shown, _ = items([said], Thread("t", seq=1), reader)
        assert [item.name.strip() != "" for item in shown if isinstance(item, Bubble)] == [True]


def test_a_mark_stands_before_the_first_message_nobody_has_read() -> None:
    shown, _ = items([posted(1, NOON), posted(2, NOON)], Thread("t", seq=2), READER, mark_after=1)

    assert [type(item) for item in shown if isinstance(item, Day | Mark)] == [Day, Mark]
    assert isinstance(shown[2], Mark)


def test_a_page_and_what_follows_are_the_same_as_one_page() -> None:
    log = [posted(seq, NOON + timedelta(hours=9 * seq)) for seq in range(1, 9)]
    whole, _ = items(log, Thread("t", seq=8), READER)
    for cut in range(9):
        first, place = items(log[:cut], Thread("t", seq=8), READER, Place())
        rest, _ = items(log[cut:], Thread("t", seq=8), READER, place)
        assert [*first, *rest] == whole


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("See https://example.org/a(b).", "https://example.org/a(b)"),
        ("(www.example.org)", "https://www.example.org"),
        ("write to a.b@example.org!", "mailto:a.b@example.org"),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("data:text/html,x", None),
    ],
)
def test_only_addresses_a_colleague_may_follow_become_links(text: str, leads: str | None) -> None:
    found = pieces(text)

    assert [piece.href for piece in found if piece.href] == ([leads] if leads else [])
    assert "".join(piece.text for piece in found) == text


@pytest.mark.parametrize("hard", ["a", "a@", "x@a-", "1-", "a.", "https://", ")", "www.a)."])
def test_the_longest_message_is_read_in_a_moment_however_it_is_made(hard: str) -> None:
    def seconds(length: int) -> float:
        text = (hard * length)[:length]
        return min(timeit.repeat(lambda: pieces(text), number=1, repeat=9))

    assert seconds(4096) < 0.004 or seconds(4096) < 9 * seconds(1024)  # squared it would be 16 times


def test_no_link_is_a_script() -> None:
    for url in ("javascript:alert(1)", " javascript:alert(1)", "JaVaScRiPt:x", "vbscript:x", "//evil", "https://[", ""):
        assert safe_href(url) is None
