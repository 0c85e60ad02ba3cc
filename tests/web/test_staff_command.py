"""`run.py staff`: accounts at a terminal, beside a running server."""

import subprocess
import sys
from pathlib import Path

from argon2 import PasswordHasher

from server.core.identity import StaffRole
from server.settings import CHECKOUT
from server.web.accounts import is_password
from tests.web.given import Running
from tests.web.test_serving import environment

PASSWORD = "a quiet river"


def staff(folder: Path, *arguments: str, said: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "run.py", "staff", *arguments],
        cwd=CHECKOUT,
        env=environment(folder, 8000),
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_a_colleague_is_added_listed_disabled_and_let_in_again(tmp_path: Path) -> None:
    add = ("add", "Anna", "--name", "Anna Weber", "--role", "reception")
    assert staff(tmp_path, *add, said=f"{PASSWORD}\n") == (0, "Anna Weber can sign in as anna (reception).", "")
    assert staff(tmp_path, *add, said=f"{PASSWORD}\n") == (1, "", "Somebody else signs in under this name.")

    assert staff(tmp_path, "disable", "anna") == (0, "Anna Weber can no longer sign in.", "")
    assert "disabled" in staff(tmp_path, "list")[1]
    assert staff(tmp_path, "enable", "anna") == (0, "Anna Weber can sign in again.", "")
    assert staff(tmp_path, "list")[1].split() == ["anna", "reception", "active", "Anna", "Weber"]


def test_what_cannot_be_done_is_one_line(tmp_path: Path) -> None:
    assert staff(tmp_path, "disable", "nobody") == (1, "", "Nobody signs in as nobody.")
    short = staff(tmp_path, "add", "anna", "--name", "Anna", "--role", "admin", said="short\n")
    assert short == (1, "", "password: expected 10 to 256 characters.")
    none = staff(tmp_path, "add", "anna", "--name", "Anna", "--role", "admin")
    assert none[0] == 1
    assert "Traceback" not in none[2]
    assert staff(tmp_path, "add", "anna", "--name", "Anna", "--role", "boss", said=PASSWORD)[0] == 2


async def test_beside_a_running_server_it_ends_sessions_at_once(running: Running) -> None:
    import asyncio

    folder = running.house.settings.data
    async with running.signed_in(StaffRole.RECEPTION) as browser:
        assert (await browser.get("/api/staff/session")).status_code == 200
        done = await asyncio.to_thread(staff, folder, "sign-out", "sofie")
        assert done == (0, "Sofie Berg is signed out everywhere.", "")
        assert (await browser.get("/api/staff/session")).status_code == 401

    assert (await asyncio.to_thread(staff, folder, "password", "sofie", said=f"{PASSWORD}\n"))[0] == 0
    account = await running.house.store.account_by_login("sofie")
    assert account is not None
    assert await is_password(account, PASSWORD)
    assert not PasswordHasher().check_needs_rehash(account.password)  # it costs what its authors recommend


async def test_it_prints_another_link_into_the_demos_console(running: Running) -> None:
    import asyncio

    code, said, _ = await asyncio.to_thread(staff, running.house.settings.data, "link", "weber")
    assert code == 0

    token = said.partition("#")[2]
    headers = {"Origin": running.origin}
    answer = await running.client.post("/api/staff/session/link", json={"token": token}, headers=headers)
    assert answer.json()["staff"]["name"] == "Dr. Weber"
