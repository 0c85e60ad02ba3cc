"""The knowledge pages: read and tried by everybody, changed by those who may, with nothing lost and nothing made up."""

import html
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from knowledge_base.entries import Entry
from knowledge_base.snapshot import DEMO, read
from server.core.identity import StaffRole
from server.core.model import Channel
from server.library import Library
from server.library.gaps import Came, Gap
from server.library.noticing import GAPS, WEEKS
from server.library.weeks import Counts
from server.web.charts import chart, rounded_up
from server.web.knowledge_diff import Kind, Piece, differences
from server.web.knowledge_form import Misfit, cleaned, entry_of, field_at, fields_of
from server.web.knowledge_shown import new_id
from server.web.strings import LANGUAGES
from tests.web import given
from tests.web.console_given import Clinic, signed_in
from tests.web.given import Running

CLINICIAN, RECEPTION = StaffRole.CLINICIAN, StaffRole.RECEPTION
HERE = "/console/knowledge"
HOURS = f"{HERE}/entries/opening-hours"
HOSTILE = '<script>alert(1)</script> "&'
ENTRIES = [each.written for each in read(DEMO).placed]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A server that answers from some of the demo clinic's own content."""
    async with given.running(given.little_clinic(tmp_path), knowledge=None) as it:
        yield it


def library(running: Running) -> Library:
    assert running.house.library is not None
    return running.house.library


def fields_in(page: str) -> dict[str, str]:
    """Return what stands in the form of an entry, as a browser would send it."""
    form = page[page.index('id="entry"') :]
    form = form[: form.index("</form>")]
    found = {m[1]: m[2] for m in re.finditer(r'<input[^>]* name="([^"]+)" value="([^"]*)"', form)}
    found |= {m[1]: m[2] for m in re.finditer(r'<textarea[^>]* name="([^"]+)"[^>]*>(.*?)</textarea>', form, re.DOTALL)}
    for select in re.finditer(r'<select[^>]* name="([^"]+)".*?</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', select[0])
        found[select[1]] = chosen[1] if chosen else ""
    return {name: html.unescape(value) for name, value in found.items()}


async def shown(browser: httpx.AsyncClient, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


async def send(browser: httpx.AsyncClient, path: str, page: str, **fields: str) -> httpx.Response:
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token is not None
    return await browser.post(f"{HERE}/{path}", data={"csrf": token[1], **fields})


# an entry as a form ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_an_entry_comes_back_from_its_form_as_it_was(entry: Entry) -> None:
    assert entry_of(cleaned(fields_of(entry))) == entry


def test_every_field_that_does_not_fit_is_named_at_once() -> None:
    fields = fields_of(ENTRIES[0]) | {
        "id": "Not An Id", "reviewed_at": "soon", "title_de": "x" * 21, "links_en": "no address", "owner": "",
        "questions_sv": "y" * 401, "text_de": "", "buttons_en": "a\nb\nc\nd",
    }  # fmt: skip
    with pytest.raises(Misfit) as wrong:
        entry_of(fields)

    assert wrong.value.fields == {
        "id": "id", "reviewed_at": "date", "title_de": "title", "links_en": "link", "owner": "owner",
        "questions_sv": "sentence", "text_de": "text", "buttons_en": "buttons",
    }  # fmt: skip


def test_what_is_no_field_of_ours_is_left_out() -> None:
    form: dict[str, Any] = {"csrf": "x", "base": "y", "text_../x": "z", "title_de": " A\r\nB\0 ", "owner": ["a"]}

    assert cleaned(form) == {"title_de": "A\nB"}


@pytest.mark.parametrize(
    ("place", "field"),
    [
        ("answers.de.buttons[0]", "buttons_de"), ("answers.de", "text_de"), ("answers.sv.voice", "voice_sv"),
        ("answers.de.links[0].url", "links_de"), ("questions.de[3]", "questions_de"), ("title.sv", "title_sv"),
        ("owner", "owner"), ("related[1]", "related"), ("nothing.de", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_place_in_an_entry_is_a_field_of_the_form(place: str, field: str) -> None:
    assert field_at(place) == field


def test_a_difference_is_told_word_by_word_and_line_by_line() -> None:
    before = Entry(
        "a", "live", "desk", ENTRIES[0].reviewed_at, "admin", {"en": "Hours"}, {}, {"en": ("Open?", "When?")}
    )
    after = msgspec.structs.replace(before, title={"en": "Our hours"}, questions={"en": ("Open?", "Until when?")})

    found = {each.field: each.pieces for each in differences(before, after)}

    assert found == {
        "title": (Piece(Kind.GONE, "Hours"), Piece(Kind.NEW, "Our hours")),
        "questions": (Piece(Kind.GONE, "When?"), Piece(Kind.NEW, "Until when?")),
    }
    assert differences(before, before) == []


def test_a_chart_keeps_within_its_drawing() -> None:
    drawn = chart("x", [0.0, None, 0.5, 1.0, 7.0], list("abcde"), list("vwxyz"), (1.0, "1"))

    assert [column.height for column in drawn.columns] == [0.0, 0.0, 46.0, 92.0, 92.0]
    assert [column.known for column in drawn.columns] == [True, False, True, True, True]
    assert [rounded_up(value) for value in (0.3, 1, 3, 11, 60, 101)] == [1, 1, 5, 20, 100, 200]


def test_a_new_entry_gets_an_id_that_nobody_has() -> None:
    assert new_id("Do you remove warts?", ["remove-warts"]) == "remove-warts-2"
    assert new_id("?!", []) == "new"


# the pages ------------------------------------------------------------------------------------------------------------


async def test_everybody_reads_looks_and_tries_in_every_language(running: Running) -> None:
    house, entries = running.house, [each.written for each in read(running.house.settings.data).placed]
    counts = Counts(questions=10, answered=7, handed_over=2, conversations=4, with_staff=1, hits={"opening-hours": 7})
    week = house.noticing.week(house.clock())
    await house.store.put(WEEKS.format(week), "another", msgspec.json.encode(counts))
    async with signed_in(running, RECEPTION) as browser:
        for language in LANGUAGES:
            browser.headers["Accept-Language"] = language
            for path in ("", "/gaps", "/figures", "/try", "/publish", "/entries/opening-hours"):
                page = await shown(browser, HERE + path)
                assert f'<html lang="{language}">' in page
                assert re.findall(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", page) == []
                assert 'action="/console/knowledge/save"' not in page or "data-save" not in page
        assert (await browser.get(f"{HERE}/new")).status_code == 403
        assert (await browser.get(f"{HERE}/entries/no-such-entry")).status_code == 404
        assert HERE in await shown(browser, "/console")

        async def ids(**asked: str) -> set[str]:
            page = (await browser.get(HERE, params=asked)).text
            return set(re.findall(rf'href="{HERE}/entries/([a-z0-9-]+)"', page))

        everything = await ids()
        assert everything == {entry.id for entry in entries if entry.status != "retired"}
        assert "opening-hours" in await ids(q="öffnungszeiten")
        assert "opening-hours" in await ids(q="OPENING HO")
        assert await ids(q="xyzzy") == set()
        owners = {entry.owner for entry in entries}
        assert set.union(*[await ids(owner=owner) for owner in owners]) == everything
        assert await ids(origin="staff") == set()
        assert await ids(state="draft") == {entry.id for entry in entries if entry.status == "draft"}
        assert await ids(missing="de") == set()
        assert await ids(rows="nonsense", due="nonsense") <= everything

        page = await shown(browser, f"{HERE}/figures")

    newest = re.findall(r"<td>(.*?)</td>", page[page.index("<tbody>") :].split("</tr>")[0])
    live = sum(entry.status == "live" for entry in entries)
    assert newest == ["10", "70\N{NO-BREAK SPACE}%", "4", "75\N{NO-BREAK SPACE}%", "2", "0", "0", str(live - 1)]
    assert page.count('<svg class="chart"') == 5


async def test_an_entry_is_changed_tried_published_and_gone_back_on(running: Running) -> None:
    async with signed_in(running, CLINICIAN) as browser:
        page = await shown(browser, f"{HERE}/try")
        answer = await send(browser, "try", page, asked="When are you open?", language="en", channel="web")
        assert answer.status_code == 200
        assert "the same after publishing" in answer.text
        assert 'href="/console/knowledge/entries/opening-hours"' in answer.text

        fields = fields_in(await shown(browser, HOURS))
        changed = fields | {"text_en": f"We never close. {HOSTILE}"}
        assert (await browser.post(f"{HERE}/save", data=changed)).status_code == 303
        answer = await send(browser, "try", page, asked="When are you open?", language="en", channel="web")
        live, drafts = answer.text.split('<section class="kb-outcome')[1:3]
        assert "We never close" not in live
        assert "We never close. &lt;script&gt;alert(1)" in drafts

        urgent = await send(browser, "try", page, asked="I have chest pain and my left arm hurts", language="en")
        assert "Emergency" in urgent.text
        assert (await send(browser, "try", page, asked="", language="xx", channel="yy")).status_code == 200

        page = await shown(browser, HOURS)
        fields = fields_in(page) | {"text_en": "We are open day and night."}
        answer = await browser.post(f"{HERE}/save", data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{HOURS}?saved=1")
        assert "Not published yet" in await shown(browser, f"{HOURS}?saved=1")

        page = await shown(browser, f"{HERE}/publish")
        assert "What would change: 1" in page
        assert (await send(browser, "publish", page)).headers["location"].endswith("done=published")
        page = await shown(browser, f"{HERE}/publish")
        assert "What would change: 0" in page
        answer = await send(browser, "try", page, asked="When are you open?", language="en", channel="web")
        assert "We are open day and night." in answer.text

        snapshots = await library(running).snapshots()
        if len(snapshots) > 1:
            answer = await send(browser, "rollback", page, to=snapshots[1].hash)
            assert answer.headers["location"].endswith("done=back")
        assert (await send(browser, "rollback", page, to="nonsense")).status_code == 409


async def test_whoever_was_slower_or_wrong_loses_nothing_and_history_brings_back_what_was(running: Running) -> None:
    async with signed_in(running, CLINICIAN) as browser:
        first = fields_in(await shown(browser, HOURS))["text_en"]
        for text in ("One.", "Two."):
            fields = fields_in(await shown(browser, HOURS)) | {"text_en": text}
            assert (await browser.post(f"{HERE}/save", data=fields)).status_code == 303
        page = await shown(browser, HOURS)
        assert '<del><span class="vh">Removed: </span>One.</del>' in page
        assert '<ins><span class="vh">Added: </span>Two.</ins>' in page

        base = fields_in(page)["base"]
        oldest = (await library(running).history("opening-hours"))[-1]
        back = await send(browser, "restore", page, id="opening-hours", base=base, version=oldest.version)
        assert back.status_code == 303
        now = fields_in(await shown(browser, HOURS))["text_en"]
        assert now == oldest.entry.answers["en"].text
        assert now in (first, "One.")
        gone = await send(browser, "restore", page, id="opening-hours", base=base, version="nonsense")
        assert gone.status_code == 404

        mine = fields_in(await shown(browser, HOURS)) | {"text_en": "My version."}
        theirs = fields_in(await shown(browser, HOURS)) | {"text_en": "Their version."}
        assert (await browser.post(f"{HERE}/save", data=theirs)).status_code == 303

        late = await browser.post(f"{HERE}/save", data=mine)

        assert late.status_code == 409
        assert "Somebody was faster" in late.text
        assert "</span>Their</del>" in late.text
        assert "</span>My</ins>" in late.text
        again = fields_in(late.text)
        assert again["text_en"] == "My version."
        assert (await browser.post(f"{HERE}/save", data=again)).status_code == 303
        assert fields_in(await shown(browser, HOURS))["text_en"] == "My version."

        browser.headers["Accept-Language"] = "de"
        fields = fields_in(await shown(browser, HOURS))
        wrong = fields | {"title_de": f"{HOSTILE} zu lang", "text_en": "{no_such_fact}", "valid_until": "2026-13-01"}
        answer = await browser.post(f"{HERE}/save", data=wrong)

        assert answer.status_code == 422
        assert 'id="wrong-title_de"' in answer.text
        assert 'id="wrong-valid_until"' in answer.text
        assert "Erwartet: " in answer.text
        assert fields_in(answer.text) == wrong
        assert "<script>alert" not in answer.text

        unknown = await browser.post(f"{HERE}/save", data=fields | {"text_en": "{no_such_fact}"})
        assert unknown.status_code == 422
        assert 'id="wrong-text_en"' in unknown.text
        assert "Erwartet: eine Angabe, die clinic.yaml in dieser Sprache kennt" in unknown.text
        dates = {"valid_from": "2026-12-24", "valid_until": "2026-12-01"}
        ends = await browser.post(f"{HERE}/save", data=fields | dates)
        assert "Erwartet: einen Tag, der nicht vor" in ends.text
        blank = await browser.post(f"{HERE}/save", data=fields | {"text_en": "\u200b"})
        assert 'id="wrong-text_en"' in blank.text
        assert (await browser.post(f"{HERE}/save", data=fields | {"csrf": "x"})).status_code == 403


async def test_remarks_stand_at_their_field_errors_keep_from_publishing_and_words_never_become_markup(
    running: Running,
) -> None:
    async with signed_in(running, CLINICIAN) as browser:
        fields = fields_in(await shown(browser, HOURS)) | {"buttons_en": "no-such-entry", "voice_en": "word " * 31}
        assert (await browser.post(f"{HERE}/save", data=fields)).status_code == 303

        part = await shown(browser, f"{HOURS}/remarks")
        there = {m[1] for m in re.finditer(r'id="remarks-(\w+)" hx-swap-oob', part)}
        assert {"buttons_en"} <= there

        page = await shown(browser, f"{HERE}/publish")
        assert "Errors that keep it from being published" in page
        assert (await send(browser, "publish", page)).status_code == 409

        fields = fields_in(await shown(browser, f"{HERE}/new"))
        fields |= {"id": "hostile", "title_en": "<script>a</script>", "text_en": HOSTILE, "tags": HOSTILE}
        fields |= {"questions_en": "\n".join(f"{HOSTILE} {number}?" for number in range(5)), "owner": HOSTILE}
        answer = await browser.post(f"{HERE}/save", data=fields)
        assert answer.status_code == 303, answer.text
        assert "Saved as a draft: nothing is answered from it." in await shown(browser, answer.headers["location"])
        for path in ("", "/entries/hostile?check=1", "/publish", "/figures", "/gaps", f"?owner={HOSTILE}"):
            page = await shown(browser, HERE + path)
            assert "<script>a" not in page
        assert "&lt;script&gt;a" in await shown(browser, f"{HERE}/entries/hostile")

        page = await shown(browser, f"{HERE}/entries/hostile")
        retired = await send(browser, "retire", page, id="hostile", base=fields_in(page)["base"])
        assert retired.status_code == 303
        held = await library(running).entry("hostile")
        assert held is not None
        assert held.entry.status == "retired"
        late = await send(browser, "retire", page, id="hostile", base="0" * 8)
        assert late.status_code == 409


# gaps -----------------------------------------------------------------------------------------------------------------


async def keep_gap(running: Running, text: str, thread: str, *, entry: str = "", score: float = 0.0) -> Gap:
    house = running.house
    gap = Gap(thread, 2, house.clock() - timedelta(minutes=1), text, "en", Channel.WEB, Came.OFFERED, entry, score, 0.2)
    await house.store.put(GAPS.format(house.noticing.week(gap.at)), gap.id, msgspec.json.encode(gap))
    return gap


async def test_a_gap_becomes_another_wording_a_new_entry_or_is_dismissed(running: Running) -> None:
    gap = await keep_gap(running, f"Is the door open to dogs {HOSTILE}?", "tdogs", entry="opening-hours", score=0.3)
    first = await keep_gap(running, "Do you offer acupuncture?", "tone")
    second = await keep_gap(running, "Where is the moon?", "ttwo")
    async with signed_in(running, CLINICIAN) as browser:
        page = await shown(browser, f"{HERE}/gaps")
        assert "Is the door open to dogs &lt;script&gt;" in page
        assert 'href="/console/all/tdogs"' in page
        assert f'href="{HOURS}?gap={gap.id}"' in page

        fields = fields_in(await shown(browser, f"{HOURS}?gap={gap.id}"))
        assert fields["questions_en"].endswith(gap.text)
        assert (await browser.post(f"{HERE}/save", data=fields)).status_code == 303
        assert gap not in await running.house.noticing.gaps()
        held = await library(running).entry("opening-hours")
        assert held is not None
        assert held.entry.questions["en"][-1] == gap.text

        fields = fields_in(await shown(browser, f"{HERE}/new?gap={first.id}"))
        assert (fields["id"], fields["questions_en"], fields["status"]) == ("offer-acupuncture", first.text, "draft")
        assert (await browser.post(f"{HERE}/save", data=fields)).status_code == 303
        assert await running.house.noticing.gaps() == [second]

        page = await shown(browser, f"{HERE}/gaps")
        assert (await send(browser, "gaps/dismiss", page, gap=second.id)).status_code == 303
        assert (await send(browser, "gaps/dismiss", page, gap=second.id)).status_code == 303  # somebody was faster
        assert await running.house.noticing.gaps() == []


async def test_what_a_visitor_asks_in_vain_is_a_gap_in_the_end(running: Running) -> None:
    clinic = Clinic(running)
    await clinic.says("Do you sell bicycles by the kilogram, number 0151 1234567?", thread="tvisit")
    await clinic.until(lambda log: len(log) > 1, thread="tvisit")
    await running.house.noticing.flush()
    kept = await running.house.noticing.gaps()

    assert [(gap.thread, gap.text) for gap in kept] == [("tvisit", "Do you sell bicycles by the kilogram, number [#]?")]
    counted = await running.house.noticing.counted(1)
    assert next(iter(counted.values())).questions == 1
