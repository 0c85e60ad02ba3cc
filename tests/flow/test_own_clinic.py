"""A clinic of one's own: from `init` to what visitors are told, changed while it runs, nothing of the demo left."""

import argparse
import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from server import demo_staff
from server.command_line import closed, init, site
from server.content import folder_of
from server.core.identity import StaffRole
from server.core.ports import Account
from server.engine import Engine
from server.library import Unfit
from server.service.conversations import Conversations
from server.settings import Settings, WrongSettings
from server.store.sqlite import SqliteStore
from tests.core.given import ask
from tests.web import given

WEBSITE = "https://www.lindenhof.example"
ANSWERS = (
    *("--yes", "--name", "Praxis Lindenhof", "--country", "DE", "--languages", "de,en,sv", "--origin", WEBSITE),
    *("--hours", "mon-sun 00:00-23:59", "--phone", "030 5550123", "--email", "praxis@lindenhof.example"),
    *("--address", "Lindenweg 3, 12345 Berlin", "--privacy", f"{WEBSITE}/privacy", "--colour", "#006b5e"),
)
PATIENCE = 60.0  # seconds until something is noticed, on a machine however busy


def run(module: object, settings: Settings, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)  # type: ignore[attr-defined]  # a command
    code: int = module.run(parser.parse_args(arguments), settings)  # type: ignore[attr-defined]  # likewise
    return code


async def until(holds: Callable[[], Awaitable[Any]]) -> None:
    end = time.monotonic() + PATIENCE
    while not await holds():
        assert time.monotonic() < end, "it was not noticed"
        await asyncio.sleep(0.1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    assert run(init, Settings(data=folder), *ANSWERS) == 0
    return folder


async def test_nothing_of_the_demo_is_anywhere_and_changes_are_taken_while_it_runs(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = data / "clinic.yaml"
    async with given.running(
        data, demo=False, knowledge=None, visits_new_per_minute=10_000, visits_new_per_hour=10_000
    ) as running:
        engine = running.app.state.engine

        async def clinic(origin: str = WEBSITE) -> dict[str, Any]:
            answer = await running.visit(site="website", origin=origin, language="en")
            return answer.json()["clinic"] if answer.status_code in (200, 201) else {}

        # nothing of the demo
        shown = await clinic()
        assert shown["name"] == "Praxis Lindenhof"
        assert shown["open"] is True
        said = str(shown) + str(msgspec.to_builtins(dict(engine.library.base.snapshot.entries)))
        pages = ("/", "/demo", "/demo/privacy", "/console/sign-in", "/api/docs", "/api/openapi.json", "/health/ready")
        for page in pages:
            said += (await running.client.get(page, follow_redirects=True)).text
        assert "Riverside" not in said

        # its colour is in the chat's script, and on the page of a mistake
        async def colour() -> str:
            script = (await running.client.get("/widget/v1/onethread.js")).text
            page = (await running.client.get("/nowhere", headers={"Accept": "text/html"})).text
            sheet = (await running.client.get(re.findall(r"/static/clinic\.css\?v=\w+", page)[0])).text
            (one,), other = re.findall(r"--brand:(#\w+)", script), re.findall(r"--brand: (#\w+)", sheet)[0]
            return str(one) if one == other else ""

        assert await colour() == "#006b5e"

        # a change is taken
        was = file.read_text(encoding="utf-8").replace("#006b5e", "#7a1fa2")
        new = was.replace('en: "Hello! I answer', 'en: "Welcome! I answer').replace(
            "waiting_minutes: 2", "waiting_minutes: 7"
        )
        file.write_text(new.replace('version: "', 'version: "new-'), encoding="utf-8")
        await until(lambda: _greets(clinic, "Welcome!"))
        assert await colour() == "#7a1fa2"
        assert engine.rules().waiting.total_seconds() == 7 * 60
        assert engine.rules().consent.startswith("new-")
        assert await clinic("https://blog.lindenhof.example") == {}
        assert (
            await asyncio.to_thread(run, site, engine.settings, "add", "website", "https://blog.lindenhof.example") == 0
        )
        await until(lambda: clinic("https://blog.lindenhof.example"))
        asked = await running.client.options(
            "/api/visits",
            headers={"Origin": "https://blog.lindenhof.example", "Access-Control-Request-Method": "POST"},
        )
        assert asked.headers["access-control-allow-origin"] == "https://blog.lindenhof.example"

        # what is wrong takes the place of nothing, in the chat or in answers, and is said
        wrong = new.replace("  sites:", "  stes:").replace('"030 5550123"', '"030 5550777"')
        file.write_text(wrong, encoding="utf-8")
        await until(lambda: _degraded(running, ["clinic"]))
        assert (await clinic())["greeting"].startswith("Welcome!")
        assert "did you mean `sites`" in str(running.house.fault())
        await until(lambda: _refused(engine))
        with pytest.raises(Unfit, match="did you mean `sites`"):
            await engine.library.publish("anna")
        assert await _says(engine, "030 5550123")
        engine.clinic_file.languages_begun = ("de",)  # as where WhatsApp goes by others
        file.write_text(new, encoding="utf-8")
        await until(lambda: _degraded(running, None))
        assert "the clinic's languages have changed, on WhatsApp only from the next start on" in caplog.messages

        # closed today
        today = datetime.now(UTC).astimezone(ZoneInfo("Europe/Berlin")).date()
        assert await asyncio.to_thread(run, closed, engine.settings, "today", "--reason", "no heating") == 0
        await until(lambda: _open(clinic, False))
        assert engine.rules().open_now is (datetime.now(UTC).astimezone(ZoneInfo("Europe/Berlin")).date() != today)
        assert await asyncio.to_thread(run, closed, engine.settings, "today", "--open") == 0
        await until(lambda: _open(clinic, True))

        # content
        content = data / "content" / "practice.yaml"
        text = content.read_text(encoding="utf-8")
        content.write_text(text.replace("You can call us on", "Ring us on"), encoding="utf-8")

        async def rings() -> bool:
            return "Ring us on" in str(engine.library.base.snapshot.entries["phone"])

        await until(rings)
        content.write_text("- id: [", encoding="utf-8")

        await until(lambda: _refused(engine))
        with pytest.raises(Unfit, match=r"practice\.yaml, line 2"):
            await engine.library.publish("anna")
        assert await rings()
        assert await engine.library.snapshots() == []

        # also where something is published: the facts follow, and nothing else does
        content.write_text(text.replace("You can call us on", "Phone us on"), encoding="utf-8")
        await until(lambda: _says(engine, "Phone us on 030 5550123"))
        await engine.library.publish("anna")
        content.write_text(text, encoding="utf-8")
        file.write_text(new.replace('"030 5550123"', '"030 5550999"'), encoding="utf-8")
        await until(lambda: _says(engine, "Phone us on 030 5550999"))
        assert [each.by for each in await engine.library.snapshots()] == ["clinic.yaml", "anna"]


async def _greets(clinic: Callable[[], Awaitable[dict[str, Any]]], word: str) -> bool:
    return str((await clinic()).get("greeting", "")).startswith(word)


async def _says(engine: Engine, words: str) -> bool:
    base = engine.library.base if engine.library is not None else None
    return base is not None and words in str(base.snapshot.entries["phone"])


async def _refused(engine: Engine) -> bool:
    return engine.library is not None and engine.library.unused is not None


async def _open(clinic: Callable[[], Awaitable[dict[str, Any]]], wanted: bool) -> bool:
    return (await clinic())["open"] is wanted


async def _degraded(running: given.Running, wanted: list[str] | None) -> bool:
    return bool((await running.client.get("/health/ready")).json().get("degraded") == wanted)


def test_what_is_there_is_never_written_over(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}

    assert run(init, Settings(data=data), *ANSWERS) == 1
    assert run(init, Settings(data=data), *ANSWERS, "--again", "--country", "SE") == 0
    assert "+country: SE" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("demo", [True, False])
def test_a_clinic_that_has_lost_its_file_is_not_served_as_the_demo(data: Path, demo: bool) -> None:
    assert Settings.from_environment({"ONETHREAD_DATA": str(data)}).demo is False
    (data / "clinic.yaml").unlink()

    assert Settings.from_environment({"ONETHREAD_DATA": str(data)}).demo is False
    with pytest.raises(WrongSettings, match=f"`clinic.yaml` is gone from {data}"):
        folder_of(Settings(data=data, demo=demo))


async def test_the_demo_does_not_begin_on_a_clinics_conversations(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "onethread.db")
    await store.open()
    conversations = Conversations(store)
    try:
        await demo_staff.let_in(store)  # nobody was here
        await store.save_account(Account("a1", "anna", "Anna", StaffRole.ADMIN, ""))
        await conversations.handle(ask())
        await demo_staff.let_in(store)  # the demo's own, in which somebody has added a colleague
        await demo_staff.send_away(store)

        with pytest.raises(demo_staff.NotTheDemos):
            await demo_staff.let_in(store)
        await demo_staff.let_in(store, anyway=True)
    finally:
        await conversations.stop()
        await store.close()


def test_the_demos_database_is_no_clinics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "onethread.db").write_bytes(b"")

    assert run(init, Settings(data=tmp_path), *ANSWERS) == 1
    assert "onethread.db" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (("--colour", "#f0c000"), "the nearest colour on which it can: #"),
        (("--origin", "https://www.lindenhof.example/chat"), "without a path"),
        (("--hours", "whenever"), "“whenever”. Expected hours such as mon-thu 08:00-12:00"),
        (("--hours", "mon-thu 08:00-18:00, frei 08:00-13:00"), "“frei”"),
        (("--hours", "mon-thu 08:00-18:00; fri"), "“fri”"),
        (("--languages", "de,fr"), "de, en, sv"),
        (("--timezone", "Berlin"), "Europe/Berlin"),
        (("--emergency", "emergency=call us"), "emergency=112"),
        (("--name", " "), "--name"),
        (("http://[::1",), "the address of a website"),
        (("http://localhost:99999/",), "the address of a website"),
        (("file:///etc/hostname",), "the address of a website"),
    ],
)
def test_an_answer_that_cannot_be_used_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: tuple[str, ...], expected: str
) -> None:
    assert run(init, Settings(data=tmp_path / "data"), *ANSWERS, *wrong, "--speak", "en") == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_number_with_a_zero_in_brackets_is_dialled_without_it(tmp_path: Path) -> None:
    assert run(init, Settings(data=tmp_path / "data"), *ANSWERS, "--phone", "+49 (0)30 5550123") == 0
    assert 'phone_url: "tel:+49305550123"' in (tmp_path / "data" / "clinic.yaml").read_text(encoding="utf-8")


def test_sites_are_added_and_removed_and_every_comment_stays(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, file = Settings(data=data), data / "clinic.yaml"
    before = file.read_text(encoding="utf-8")

    assert run(site, settings, "add", "blog", "https://blog.lindenhof.example") == 0
    assert run(site, settings, "add", "shop", WEBSITE) == 1
    assert "expected an origin of this site alone; `website` has it too" in capsys.readouterr().err
    for wrong in ("http://shop.example", "https://*.example", "https://shop.example/x", "https://shop.example:443"):
        assert run(site, settings, "add", "shop", wrong) == 1
    assert run(site, settings, "list") == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"website {WEBSITE}",
        "blog https://blog.lindenhof.example",
    ]
    assert run(site, settings, "rekey", "shop") == 1
    assert run(site, settings, "key", "blog") == 0
    keys = [capsys.readouterr().out.strip()]
    for grace in (("--grace", "7d"), ()):
        assert run(site, settings, "rekey", "blog", *grace) == 0
        keys.append(capsys.readouterr().out.strip())
        assert run(site, settings, "key", "blog") == 0
        assert capsys.readouterr().out.strip() == keys[-1]
        assert ("former_key_until" in file.read_text(encoding="utf-8")) is bool(grace)
    assert len(set(keys)) == 3
    assert run(site, settings, "remove", "blog") == 0
    assert run(site, settings, "remove", "website") == 1
    assert file.read_text(encoding="utf-8") == before
