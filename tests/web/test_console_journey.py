"""A colleague at the console, in a real browser: by mouse, by keyboard, with another colleague, without network."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from server.core import commands
from server.core.events import Noted, Posted, Snoozed, WasRead
from server.core.identity import StaffRole
from server.core.model import Role
from tests.web.console_given import KATRIN, WHY, Clinic, colleague, connected, console, timeline
from tests.web.given import IDS, Running
from tests.widget.given import Chat

RECEPTION, CLINICIAN = StaffRole.RECEPTION, StaffRole.CLINICIAN
HERE = f"/console/all/{KATRIN}"


@pytest.fixture
def clinic(running: Running) -> Clinic:
    return Clinic(running)


async def replies(clinic: Clinic) -> list[str]:
    return [event.text for event in await clinic.log() if isinstance(event, Posted) and event.role is Role.STAFF]


async def write(page: Page, text: str) -> None:
    await page.locator("#reply").fill(text)
    await page.keyboard.press("Control+Enter")


async def test_a_one_time_link_opens_the_console(running: Running, browser: Browser) -> None:
    context = await browser.new_context(locale="en-GB", base_url=running.origin)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    await page.goto(f"/console/enter#{await running.house.sessions.link(IDS[RECEPTION])}")
    await page.wait_for_url("**/console")
    await connected(page)
    assert complaints == []


async def test_what_a_person_writes_appears_in_the_list_and_in_the_conversation(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    async with console(browser, running) as page:
        await clinic.says("Are you open on Saturday?")
        await clinic.hands_over()
        row = page.locator(f"#row-{KATRIN}")
        await expect(row).to_be_visible()
        await expect(page.locator("#views .hot")).to_have_text("1")
        await expect(page).to_have_title(re.compile(r"^\(1\) "))

        await row.click()
        await expect(page).to_have_url(re.compile(f"/console/needs-reply/{KATRIN}$"))
        await expect(timeline(page).first).to_have_text("Are you open on Saturday?")

        await clinic.says("And on <b>Sunday</b>?")
        await expect(timeline(page).filter(has_text="Sunday")).to_have_text("And on <b>Sunday</b>?")


async def test_a_colleague_takes_replies_and_hands_back(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("I need a person, please")
    await clinic.hands_over()
    async with console(browser, running, path=HERE) as page:
        await page.get_by_role("button", name="Take").click()
        await expect(page.locator("#head .floor")).to_contain_text("You have this conversation.")

        await write(page, "Good morning! How can I help?")
        await expect(page.locator("#pending")).to_contain_text(re.compile(r"Sending in [1-5] s"))
        assert await replies(clinic) == []
        await page.keyboard.press("Control+Enter")  # again: now
        await expect(page.locator(".say.staff .text")).to_have_text("Good morning! How can I help?")
        await expect(page.locator(".say.staff .tick")).to_have_text("Sent")
        await expect(page.locator("#pending")).to_be_hidden()

        await page.get_by_role("button", name="Hand back").click()
        await expect(page.locator("#head .floor")).to_contain_text("The assistant answers.")
        await expect(page.locator("#log .line").last).to_contain_text("Sofie Berg handed back to the assistant")


async def test_a_reply_leaves_by_itself_after_five_seconds(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE) as page:
        await write(page, "Hello!")
        await expect(page.locator(".say.staff .text")).to_have_text("Hello!")
        assert await replies(clinic) == ["Hello!"]


async def test_a_reply_can_be_taken_back(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE) as page:
        await write(page, "Wrong words")
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator("#reply")).to_have_value("Wrong words")
        await expect(page.locator("#pending")).to_be_hidden()

        await write(page, "")
        await write(page, "Better words")
        await page.get_by_role("button", name="Send now").click()
        await expect(page.locator(".say.staff .text")).to_have_text("Better words")
        assert await replies(clinic) == ["Better words"]


async def test_going_to_another_conversation_does_not_lose_a_reply_that_is_counted_down(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("One")
    await clinic.says("Two", thread="t5other")
    await clinic.settled()
    async with console(browser, running, path=HERE) as page:
        await write(page, "For the first")
        await page.locator("#row-t5other").click()
        await expect(timeline(page).first).to_have_text("Two")
        await expect(page.locator("#pending")).to_contain_text("Sending in")
        await page.get_by_role("button", name="Send now").click()
        await expect(page.locator("#pending")).to_be_hidden()
        await page.locator(f"#row-{KATRIN}").click()
        await expect(page.locator(".say.staff .text")).to_have_text("For the first")
        assert await replies(clinic) == ["For the first"]


async def test_leaving_the_page_sends_what_is_counted_down(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE) as page:
        await write(page, "On its way")
        await page.goto("/console/replies")
        await page.goto(HERE)
        await expect(page.locator(".say.staff .text")).to_have_text("On its way")
        await page.reload()
        await expect(page.locator("#reply")).to_have_value("")  # the draft has gone with it
        assert await replies(clinic) == ["On its way"]


async def test_a_note_is_the_teams_own_and_mentions_a_colleague(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("My prescription?")
    async with console(browser, running, path=HERE) as page:
        await page.keyboard.press("n")
        await page.keyboard.type("Ready for pick-up, @")
        await expect(page.locator("#pick-mention")).to_be_visible()
        await page.keyboard.type("web")
        await page.keyboard.press("Enter")
        await expect(page.locator("#note")).to_have_value("Ready for pick-up, @Dr. Weber ")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(".say.note .text")).to_have_text("Ready for pick-up, @Dr. Weber")
        await expect(page.locator(".say.note")).to_contain_text("only your team sees this")

    note = next(event for event in await clinic.log() if isinstance(event, Noted))
    assert note.mentions == (IDS[CLINICIAN],)


async def test_a_colleague_who_has_just_replied_is_read_first(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE) as page:
        await page.locator("#reply").press_sequentially("My ans")
        await clinic.takes(CLINICIAN)
        await clinic.replies("I have answered already", CLINICIAN)
        await expect(page.locator("#guard")).to_contain_text("Dr. Weber has just replied")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#pending")).to_be_hidden()
        await expect(page.get_by_role("button", name="I have read it")).to_be_focused()
        assert await replies(clinic) == ["I have answered already"]


async def test_the_server_guards_a_reply_that_a_colleague_overtook(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE) as page:
        await write(page, "Mine")
        await clinic.takes(CLINICIAN)
        await clinic.replies("Theirs", CLINICIAN)
        await expect(page.locator("#head .floor")).to_contain_text("Dr. Weber has this conversation.")
        await page.get_by_role("button", name="Take").click()
        await page.get_by_role("button", name="Yes").click()
        await expect(page.locator("#head .floor")).to_contain_text("You have this conversation.")
        await page.get_by_role("button", name="Send now").click()
        await expect(page.locator("#guard")).to_contain_text("A colleague has replied in the meantime")
        await expect(page.locator("#reply")).to_have_value("Mine")

        await page.get_by_role("button", name="I have read it").click()
        await page.keyboard.press("Control+Enter")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(".say.staff.mine .text")).to_have_text("Mine")
        assert await replies(clinic) == ["Theirs", "Mine"]


async def test_two_colleagues_see_each_other_look_and_type(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE) as one, console(browser, running, CLINICIAN, HERE) as other:
        await expect(one.locator("#presence")).to_have_text("Dr. Weber is looking too")
        await other.locator("#reply").press_sequentially("I am")
        await expect(one.locator("#presence")).to_have_text("Dr. Weber is typing …")
        await other.goto("/console")
        await expect(one.locator("#presence")).to_have_text("")


async def test_what_was_missed_without_network_is_there_afterwards(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("First")
    async with console(browser, running, path=HERE) as page:
        await expect(timeline(page).first).to_have_text("First")
        await page.context.set_offline(True)
        await page.evaluate("dispatchEvent(new Event('offline'))")  # as the browser does when the network is gone
        await expect(page.locator("#banner")).to_contain_text("Connection lost")
        for number in range(3):
            await clinic.says(f"Missed {number}")
        await write(page, "Said without network")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#pending")).to_contain_text("nothing is lost")

        await page.context.set_offline(False)
        await expect(page.locator("#banner")).to_contain_text("Connected again")
        await expect(page.locator(".say.staff .text")).to_have_text("Said without network")
        for number in range(3):
            await expect(
                timeline(page).filter(has_text=f"Missed {number}").locator("visible=true").first
            ).to_be_visible()
        shown = await page.locator("#log [id^=s]").evaluate_all("nodes => nodes.map(node => +node.id.slice(1))")
        assert shown == sorted(set(shown))


async def test_a_ringing_phone_is_found_by_its_last_four_digits(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    covers = await clinic.says("Are you open on Saturday?")
    await clinic.answers("On Saturday we are closed.", covers, why=WHY)
    await clinic.names("Katrin Meier")
    await clinic.links("4915112344567")
    await clinic.hands_over()
    for number in range(5):
        await clinic.says("Hello", thread=f"t5other{number}")
    await clinic.settled()
    async with console(browser, running) as page:
        await page.keyboard.press("/")
        await page.keyboard.type("+49 151 1234 4567")
        row = page.locator("#list .row")
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text("Katrin Meier")
        await expect(row.locator(".task")).to_contain_text("Waits for a person")

        await page.keyboard.press("Enter")
        await expect(page.locator("#name")).to_have_text("Katrin Meier")
        await expect(page).to_have_url(re.compile(rf"/console/search/{KATRIN}\?q="))
        await expect(page.locator("#panel .task")).to_contain_text("Waits for a person")

        await page.reload()
        await expect(page.locator("#name")).to_have_text("Katrin Meier")
        await expect(page.locator("#q")).to_have_value("+49 151 1234 4567")


async def test_everything_is_done_by_keyboard(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hello?")
    await clinic.hands_over()
    await clinic.settled()
    async with console(browser, running) as page:
        press = page.keyboard.press
        await press("j")
        await press("Enter")
        await expect(timeline(page).first).to_have_text("Hello?")
        await press("t")
        await expect(page.locator("#head .floor")).to_contain_text("You have this conversation.")
        await press("a")
        await page.keyboard.type("dr")
        await press("Enter")
        await expect(page.locator("#log .line").last).to_contain_text("assigned this to Dr. Weber")
        await press("m")
        await page.keyboard.press("Control+A")
        await page.keyboard.type("Katrin Meier")
        await press("Enter")
        await expect(page.locator("#name")).to_have_text("Katrin Meier")
        await press("z")
        await page.keyboard.type("tomorrow")
        await press("Enter")
        await expect(page.locator("#log .line").last).to_contain_text("snoozed this until")
        await press("Control+k")
        await page.keyboard.type("close")
        await press("Enter")
        await expect(page.locator("#head .floor")).to_contain_text("Closed.")
        await press("6")
        await expect(page).to_have_title(re.compile("Closed"))
        await expect(page).to_have_url(re.compile("/console/closed$"))
        await expect(page.locator("#list .row")).to_have_count(1)
        await press("?")
        await expect(page.locator("#help")).to_be_visible()
        await press("Escape")
        await expect(page.locator("#help")).to_be_hidden()
    snoozed = next(event for event in await clinic.log() if isinstance(event, Snoozed))
    assert snoozed.until.minute == 0


async def test_single_keys_can_be_switched_off(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE) as page:
        await page.keyboard.press("?")
        await page.get_by_label("Single keys are on").uncheck()
        await page.keyboard.press("Escape")
        await page.keyboard.press("r")
        await expect(page.locator("#reply")).not_to_be_focused()
        await page.keyboard.press("Control+k")
        await expect(page.locator("#pick-palette")).to_be_visible()


async def test_a_draft_waits_on_the_server_and_a_note_is_never_a_reply(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE) as page:
        await page.locator("#reply").press_sequentially("Half a rep")
        await page.keyboard.press("Escape")
        await page.keyboard.press("n")
        await page.keyboard.type("Half a note")
        await page.goto("/console/replies")
    async with console(browser, running, path=HERE) as elsewhere:
        await expect(elsewhere.locator("#reply")).to_have_value("Half a rep")
        await expect(elsewhere.locator("#note")).to_have_value("Half a note")
        await expect(elsewhere.locator("#note")).to_be_hidden()


async def test_a_canned_reply_is_put_in_with_its_names(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hallo?", language="de")
    await clinic.names("Katrin Meier")
    async with console(browser, running) as page:
        await page.goto("/console/replies")
        await page.get_by_label("Title").fill("Call back")
        await page.get_by_label("Short name").fill("callback")
        await page.get_by_label("Text in English").fill("Hello {name}, we will call you. {me}, {clinic}")
        await page.get_by_label("Text in German").fill("Guten Tag {name}, wir rufen Sie an. {me}")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("status")).to_have_text("Saved.")
        await page.goto(HERE)
        await connected(page)
        await page.keyboard.press("r")
        await page.keyboard.type("/")
        await expect(page.locator("#canned-1 .tag")).to_have_text("de")
        await page.keyboard.type("call")
        await page.keyboard.press("Enter")
        await expect(page.locator("#reply")).to_have_value("Guten Tag Katrin Meier, wir rufen Sie an. Sofie Berg")


async def test_ticks_say_when_the_person_has_read(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE) as page:
        await write(page, "Good morning")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(".say.staff .tick")).to_have_text("Sent")
        seq = (await clinic.log())[-1].seq
        await clinic.do(commands.Read(thread=KATRIN, key="r", by=commands.person(f"visitor-{KATRIN}"), upto=seq))
        await expect(page.locator(".say.staff .tick")).to_have_text("Read")


async def test_a_conversation_opened_by_its_address_is_read_without_a_further_touch(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE):
        await clinic.until(lambda log: any(isinstance(event, WasRead) for event in log))


async def test_signing_out_everywhere_ends_an_open_console(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hello?")
    async with console(browser, running, path=HERE) as page:
        await running.house.sessions.sign_out_everywhere(IDS[RECEPTION])
        await expect(page).to_have_url(re.compile(r"/console/sign-in\?next="))  # two ways may lead there at once


async def test_older_messages_come_above_and_the_reader_stays(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.talks(60, "Message")
    async with console(browser, running, path=HERE) as page:
        await expect(timeline(page).filter(has_text=re.compile("^Message 59$"))).to_be_in_viewport()
        while await page.locator("#older a").count():
            before = await page.locator("#log article").count()
            await page.locator("#older a").click()
            await expect(page.locator("#log article")).not_to_have_count(before)
        await expect(timeline(page).filter(has_text=re.compile("^Message 0$"))).to_have_count(1)
        assert await page.locator("#log .day").count() == 1
        shown = await page.locator("#log [id^=s]").evaluate_all("nodes => nodes.map(node => +node.id.slice(1))")
        assert shown == sorted(set(shown))


async def test_on_a_narrow_screen_there_is_one_column(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hello?")
    await clinic.hands_over()
    await clinic.settled()
    async with console(browser, running, viewport={"width": 320, "height": 640}) as page:
        await expect(page.locator("#thread")).to_be_hidden()
        await page.locator(f"#row-{KATRIN}").click()
        await expect(page.locator("#side")).to_be_hidden()
        await expect(page.locator("#name")).to_be_focused()
        await page.get_by_role("link", name="About the person").click()
        await expect(page.locator("#panel")).to_be_visible()
        await page.locator(".close-panel").click()
        await expect(page.locator("#panel")).to_be_hidden()
        assert await page.evaluate("document.documentElement.scrollWidth") == 320
        await page.get_by_role("link", name="Back to the list").click()
        await expect(page.locator(f"#row-{KATRIN}")).to_be_visible()


async def test_a_row_keeps_the_focus_while_the_list_changes(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Hello?")
    await clinic.hands_over()
    await clinic.settled()
    async with console(browser, running) as page:
        await page.keyboard.press("j")
        row = page.locator(f"#row-{KATRIN}")
        await expect(row).to_be_focused()
        await clinic.says("Somebody else", thread="t5other")
        await clinic.hands_over("t5other")
        await expect(page.locator("#list .row")).to_have_count(2)
        await expect(row).to_be_focused()


async def test_enter_right_after_typing_opens_what_was_asked_for(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("Hello?")
    await clinic.links("4915112344567")
    await clinic.says("Newer", thread="t5other")
    await clinic.settled()
    async with console(browser, running, path="/console/all") as page:
        await page.keyboard.press("/")
        await page.keyboard.insert_text("4567")
        await page.keyboard.press("Enter")
        await expect(timeline(page).first).to_have_text("Hello?")
        await expect(page).to_have_url(re.compile(rf"/console/search/{KATRIN}\?q=4567$"))
        await page.go_back()
        await expect(page.locator("#q")).to_have_value("4567")
        await expect(page.locator("#list .row")).to_have_count(1)


async def test_a_search_is_narrowed_and_walked_by_keyboard(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("About my prescription")
    await clinic.links("4915112344567")
    await clinic.says("A prescription, please", thread="t5other")
    await clinic.settled()
    async with console(browser, running, path="/console/all") as page:
        press, rows = page.keyboard.press, page.locator("#list .row")
        await press("/")
        await page.keyboard.type("presc")
        await expect(page).to_have_url(re.compile(r"/console/search\?q=presc$"))
        await expect(rows).to_have_count(2)
        await press("ArrowDown")
        await expect(rows.first).to_be_focused()
        await press("ArrowDown")
        await press("ArrowDown")
        await expect(rows.last).to_be_focused()
        await press("ArrowUp")
        await press("ArrowUp")
        await expect(page.locator("#q")).to_be_focused()
        await press("Enter")
        await expect(timeline(page).first).to_have_text("A prescription, please")
        await expect(page).to_have_url(re.compile(r"/console/search/t5other\?q=presc$"))

        await page.locator("#name").focus()
        await press("f")
        await expect(page.locator("#since")).to_be_focused()
        await page.get_by_label("Channel").focus()
        await page.get_by_label("Channel").select_option("whatsapp")
        await expect(rows).to_have_count(1)
        await expect(page.get_by_label("Channel")).to_be_focused()
        await expect(page).to_have_url(re.compile(r"/console/search/t5other\?q=presc&channel=whatsapp$"))
        await expect(rows.locator(".task")).to_be_visible()
        await press("Escape")
        await press("/")
        await press("End")
        await page.keyboard.type("r")
        await expect(page).to_have_url(re.compile(r"/console/search/t5other\?q=prescr&channel=whatsapp$"))
        await press("Enter")
        await expect(timeline(page).first).to_have_text("About my prescription")
        await page.get_by_role("link", name="Without filters").click()
        await expect(rows).to_have_count(2)
        await press("1")
        await expect(page).to_have_url(re.compile("/console/needs-reply$"))
        await press("f")
        await expect(page.locator("#since")).to_be_focused()


async def test_somebody_who_waits_is_heard_and_seen_outside_the_page_once_that_is_allowed(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    async with console(browser, running, permissions=["notifications"]) as page:
        await page.evaluate("""() => {
            window.alerts = []
            window.Notification = class { static permission = 'granted'
                static requestPermission = async () => 'granted'
                constructor(text) { window.alerts.push(text) } }
        }""")
        await clinic.says("Silent", thread="t5silent")
        await clinic.hands_over("t5silent")
        await expect(page.locator("#row-t5silent")).to_be_visible()
        assert await page.evaluate("alerts") == []

        await page.get_by_role("button", name="Alerts").click()
        await page.get_by_label("Desktop alert").check()
        await page.get_by_label("Sound on new messages").check()
        await page.get_by_role("button", name="Test").click()
        await page.get_by_role("button", name="Close").click()
        await clinic.says("My name is Secret")
        await clinic.hands_over()
        await expect(page.locator(f"#row-{KATRIN}")).to_be_visible()
        assert await page.evaluate("alerts") == [
            "This is what an alert looks like.",
            "Somebody is waiting for your team",
        ]


async def test_a_colleague_who_is_named_in_a_note_is_called_wherever_they_are(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("My prescription?")
    await clinic.says("Hello", thread="t5other")
    await clinic.settled()
    async with console(browser, running, CLINICIAN, path="/console/all/t5other", permissions=["notifications"]) as page:
        await page.evaluate("""() => {
            window.alerts = []
            window.Notification = class { static permission = 'granted'
                static requestPermission = async () => 'granted'
                constructor(text) { window.alerts.push(text) } }
            localStorage.setItem('onethread.desktop', 'on')
        }""")
        note = commands.Note(thread=KATRIN, key="n", by=colleague(RECEPTION), text="Ready?", mentions=(IDS[CLINICIAN],))
        await clinic.do(note)
        await expect(page.locator("#toast")).to_have_text("Sofie Berg mentions you in a note")
        await expect(page).to_have_title(re.compile("^@ "))
        assert await page.evaluate("alerts") == ["Sofie Berg mentions you in a note"]
        row = page.locator(f"#row-{KATRIN}")
        await expect(row).to_contain_text("Mentions you")
        await row.click()
        await expect(page.locator(".say.note .text")).to_have_text("Ready?")
        await expect(page).not_to_have_title(re.compile("^@ "))
        await page.goto("/console/all")
        await expect(row).not_to_contain_text("Mentions you")


async def test_a_page_has_no_faults_that_a_machine_can_find(
    running: Running, clinic: Clinic, browser: Browser, axe: str
) -> None:
    covers = await clinic.says("Are you open on Saturday?")
    await clinic.answers("On Saturday we are closed.", covers, why=WHY)
    await clinic.links("4915112344567")
    await clinic.do(commands.Note(thread=KATRIN, key="n", by=commands.staff(IDS[CLINICIAN], "Dr. Weber"), text="Note"))
    await clinic.hands_over()
    await clinic.settled()
    for scheme, rules in (("light", EVERY), ("dark", ABOUT_COLOURS)):  # the markup is the same in both
        async with console(browser, running, path=HERE, color_scheme=scheme) as page:
            await page.keyboard.press("w")
            assert await faults(page, axe, rules) == []
            for key in ("?", "Control+k", "a", "z", "i", "m"):
                await page.keyboard.press(key)
                await expect(page.locator("dialog[open]")).to_be_visible()
                assert await faults(page, axe, rules) == [], key
                await page.keyboard.press("Escape")
                await expect(page.locator("dialog[open]")).to_have_count(0)
            await page.goto("/console/search?q=4567")
            assert await faults(page, axe, rules) == []
            await page.goto("/console/replies")
            assert await faults(page, axe, rules) == []
            await page.goto("/console/sign-in")
            assert await faults(page, axe, rules) == []


EVERY = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ABOUT_COLOURS = ["color-contrast", "link-in-text-block"]


async def faults(page: Page, axe: str, rules: list[str] = EVERY) -> list[str]:
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe)
    found = await page.evaluate("rules => axe.run(document, {runOnly: rules})", rules)
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]


@pytest.fixture
def axe() -> str:
    script = Path(__file__).resolve().parents[2] / "widget" / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        pytest.skip("the widget's development packages are needed to look for faults")
    return script.read_text(encoding="utf-8")


async def test_a_visitor_in_the_widget_and_a_colleague_at_the_console_talk(running: Running, browser: Browser) -> None:
    visitor = await browser.new_context(base_url=running.origin, locale="en")
    chat = Chat(await visitor.new_page())
    await chat.page.goto("/demo?lang=en")
    await (await chat.open()).agree()
    await chat.say("Are you open on Saturday?")
    async with console(browser, running, path="/console/bot") as page:
        await page.locator("#list .row").click()
        await expect(timeline(page).first).to_have_text("Are you open on Saturday?")
        await expect(page.locator(".say.assistant .text")).to_have_text("You said: Are you open on Saturday?")
        await expect(page.locator("#work[data-live]")).to_be_visible()
        await chat.write.press_sequentially("I would ")
        await expect(page.locator("#presence")).to_contain_text(re.compile("Visitor .* is typing"))

        await page.keyboard.press("t")
        await expect(chat.log).to_contain_text("Sofie Berg")
        await page.keyboard.press("r")
        await page.keyboard.type("On Saturday from 9 to 12.")
        await page.keyboard.press("Control+Enter")
        await page.keyboard.press("Control+Enter")
        await expect(chat.bubbles.last).to_have_text("On Saturday from 9 to 12.")
        await expect(page.locator(".say.staff .tick")).to_have_text("Read")
        await page.keyboard.press("Escape")
        await page.keyboard.press("n")
        await page.keyboard.type("Regular patient")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(".say.note")).to_be_visible()
        await chat.say("Thank you!")
        await expect(timeline(page).last).to_have_text("Thank you!")

        said = [
            "Are you open on Saturday?",
            "You said: Are you open on Saturday?",
            "On Saturday from 9 to 12.",
            "Thank you!",
        ]
        for _ in range(2):  # as it is, and after a reload of both
            await chat.shows(*said)
            await expect(page.locator("#log .say:not(.note) .text")).to_have_text(said)
            await page.reload()
            await chat.page.reload()
    await visitor.close()
