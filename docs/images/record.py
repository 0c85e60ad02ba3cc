"""Records `journey.gif` again: a visitor on a phone to the left, the reception's console to the right, one real server.

Run by hand when what it shows has changed. Pillow puts the picture together and is needed for nothing else, so it is
not among Onethread's dependencies; Chromium and playwright are those of the tests:

    python3 run.py test --only parts                 makes the environment with playwright in it
    .venv/bin/python -m pip install pillow
    .venv/bin/python -m docs.images.record

Everything in it happens: nothing is drawn, only waiting is left out. The demo clinic is told that it is in a time zone
where it is ten o'clock, and that it is open today, so that the picture looks the same whenever it is recorded.
"""

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from server.command_line import parts
from server.settings import CHECKOUT

PICTURE = Path(__file__).with_name("journey.gif")
MOST = 1_500_000  # bytes: more is a burden on whoever reads the first page on a phone
COLOURS = 255
HEIGHT, PHONE, DESK, CAPTION, GAP = 600, 360, 740, 44, 8  # px
LETTERS = 5  # typed between two frames

QUESTION = "Do I need a referral to see the cardiologist?"
REPLY = "Hello, this is Alex. Shall I look for an appointment?"
MEANWHILE = "Dr. Lindqvist has time on Thursday at 10:20."
OFFLINE = "Yes please! Thursday would be best."

STAGE = """<!doctype html><style>
body { margin: 0; display: flex; height: 44px; align-items: center; background: #0b3b38; color: #fff;
  font: 600 17px/1 system-ui, sans-serif }
p { margin: 0; padding: 0 16px; box-sizing: border-box; flex: 1 }
</style><p></p>"""


class Film:
    """The frames so far."""

    def __init__(self, stage: Page, phone: Page, desk: Page) -> None:
        """Look at the phone and the desk, under a line of words."""
        self._stage, self._phone, self._desk = stage, phone, desk
        self._frames: list[Image.Image] = []
        self._milliseconds: list[int] = []

    async def caption(self, words: str) -> None:
        """Say what is going on from here."""
        await self._stage.evaluate("words => { document.querySelector('p').textContent = words }", words)

    async def show(self, milliseconds: int) -> None:
        """Show both screens as they are now, for so long; one that looks like the last only lengthens it."""
        frame = Image.new("RGB", (PHONE + GAP + DESK, CAPTION + HEIGHT), "#0b3b38")
        for page, place in ((self._stage, (0, 0)), (self._phone, (0, CAPTION)), (self._desk, (PHONE + GAP, CAPTION))):
            frame.paste(Image.open(BytesIO(await page.screenshot(caret="hide"))).convert("RGB"), place)
        if self._frames and self._frames[-1].tobytes() == frame.tobytes():
            self._milliseconds[-1] += milliseconds
            return
        self._frames.append(frame)
        self._milliseconds.append(milliseconds)

    async def typing(self, page: Page, words: str) -> None:
        """Type into what has the focus, and be seen to."""
        for start in range(0, len(words), LETTERS):
            await page.keyboard.type(words[start : start + LETTERS])
            await self.show(90)

    def save(self, path: Path) -> int:
        """Write the picture, all frames in the same colours; return its bytes."""
        some = self._frames[:: max(1, len(self._frames) // 8)]
        sample = Image.new("RGB", (some[0].width, some[0].height * len(some)))
        for number, frame in enumerate(some):
            sample.paste(frame, (0, number * frame.height))
        palette = sample.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE)  # small things keep their colour
        first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self._frames]
        first.save(path, save_all=True, append_images=others, duration=self._milliseconds, loop=0, optimize=True)
        return path.stat().st_size


@contextlib.contextmanager
def served(data: Path) -> Iterator[tuple[str, str]]:
    """A server of its own, on the demo clinic's content: the demo page's address, and the link into the console."""
    zone, day = at_ten()
    shutil.copytree(CHECKOUT / "knowledge_base" / "content", data)
    clinic = data / "clinic.yaml"
    text = clinic.read_text(encoding="utf-8").replace("Europe/Berlin", zone)
    if day in ("sat", "sun"):
        text = text.replace("opening_hours: {", f'opening_hours: {{{day}: "08:00-18:00", ', 1)
    clinic.write_text(re.sub(r"(?m)^closed: .*$", "closed: []", text), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, CHECKOUT / "run.py"],
        env={"PATH": "/usr/bin:/bin", "ONETHREAD_PORT": "0", "ONETHREAD_DATA": str(data)},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None  # noqa: S101  # it was asked for
        said = ""
        while "/api/docs" not in said:
            if not (line := server.stdout.readline()):
                raise SystemExit("The server did not start.")
            said += line
        demo, console = re.findall(r"http://\S+", said)[:2]
        try:
            yield demo, console
        finally:
            server.terminate()


def at_ten() -> tuple[str, str]:
    """A time zone where it is ten o'clock, and which day it is there."""
    now = datetime.now(UTC)
    east = next(hours for hours in range(-12, 15) if (now + timedelta(hours=hours)).hour == 10)
    zone = f"Etc/GMT{-east:+d}"  # by old custom the sign is that of the west
    return zone, f"{now.astimezone(ZoneInfo(zone)):%a}".lower()


async def play(film: Film, phone: Page, desk: Page) -> None:
    """The journey: asked, answered, handed over, taken, cut off, and nothing lost."""
    write, reply = phone.locator("#write"), desk.locator("#reply")

    await film.caption("A patient opens the chat on the clinic's website …")
    await film.show(1300)
    await phone.locator("#launcher").click()
    await phone.locator("#agree").wait_for()
    await film.show(1300)
    await phone.locator("#agree").click()
    await write.wait_for()
    await film.typing(phone, QUESTION)
    await film.caption("… and has the answer at once, from what the clinic itself has written.")
    await phone.keyboard.press("Enter")
    await phone.get_by_text("Dr. Lindqvist looks after").last.wait_for()
    await asyncio.sleep(0.6)
    await film.show(2200)

    await film.caption("A person, please: the reception's list rings.")
    await phone.get_by_role("button", name="A person, please").click()
    row = desk.locator("#list a.row").first
    await row.wait_for()
    await asyncio.sleep(1)
    await film.show(1800)

    await film.caption("A colleague sees all of it, takes over, and the assistant is silent.")
    await row.click()
    await desk.locator("#head button[data-do=take]").wait_for()
    await asyncio.sleep(0.5)
    await film.show(1100)
    await desk.locator("#head button[data-do=take]").click()
    await phone.get_by_text("Alex Rivera has joined.").last.wait_for()
    await reply.click()
    await film.show(700)
    await film.typing(desk, REPLY)
    await send(film, desk, phone, REPLY)
    await film.show(1700)

    await film.caption("The train enters a tunnel: no network. What is written is kept.")
    await phone.context.set_offline(True)
    await film.show(300)
    await write.click()
    await film.typing(phone, OFFLINE)
    await phone.keyboard.press("Enter")
    await phone.get_by_text("You are offline.").wait_for()
    await film.show(1300)
    await reply.click()
    await film.typing(desk, MEANWHILE)
    await send(film, desk, desk, MEANWHILE)
    await film.show(1300)

    await film.caption("Back in the light: both sides have everything, once, in one order.")
    await phone.context.set_offline(False)
    await phone.get_by_text(MEANWHILE).last.wait_for()
    await desk.get_by_text(OFFLINE).last.wait_for()
    await asyncio.sleep(1.5)
    await film.show(3000)


async def send(film: Film, desk: Page, reader: Page, words: str) -> None:
    """Send a reply, without the seconds to undo it, until it is on the reader's screen."""
    await desk.keyboard.press("Control+Enter")
    await asyncio.sleep(0.3)
    await film.show(500)
    await desk.keyboard.press("Control+Enter")
    await reader.locator(".bubble").get_by_text(words).last.wait_for()
    await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def screens() -> AsyncIterator[Browser]:
    """A browser without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=parts.chromium_path(), args=[*parts.chromium_flags(), "--hide-scrollbars"]
        )
        yield browser
        await browser.close()


async def record(demo: str, console: str) -> int:
    """Play the journey and write the picture; return its bytes."""
    zone, _ = at_ten()
    async with screens() as browser:

        async def page(width: int, height: int) -> Page:
            context = await browser.new_context(
                viewport={"width": width, "height": height}, locale="en-GB", timezone_id=zone, reduced_motion="reduce"
            )
            return await context.new_page()

        stage, phone, desk = (
            await page(PHONE + GAP + DESK, CAPTION),
            await page(PHONE, HEIGHT),
            await page(DESK, HEIGHT),
        )
        await stage.set_content(STAGE)
        await phone.goto(demo)
        await desk.goto(console)
        await desk.locator("#list").wait_for()
        film = Film(stage, phone, desk)
        await play(film, phone, desk)
        return film.save(PICTURE)


def main() -> None:
    """Record the picture, and refuse one that is too heavy."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data") as (demo, console):
        size = asyncio.run(record(demo, console))
    if size > MOST:
        raise SystemExit(f"{PICTURE.name} has {size} bytes; at most {MOST} are wanted.")


if __name__ == "__main__":
    main()
