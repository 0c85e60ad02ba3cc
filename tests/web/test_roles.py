"""Every route for staff asks for a right, and gives each role exactly what the one table says."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler

from server.app import typed_part
from server.core.identity import MAY, Action, StaffRole
from server.live.protocol import AnyStaffCommand
from server.web.guards import NEEDS, staff_only
from tests.web.given import Running

OPEN_TO_ALL = {
    ("GET", "/"),
    ("GET", "/demo"),
    ("GET", "/demo/privacy"),
    ("POST", "/api/visits"),
    ("DELETE", "/api/visits"),
    ("GET", "/api/threads/{thread:str}/events"),  # for a pass, or for staff: it looks itself
    ("POST", "/api/threads/{thread:str}/continue"),
    ("POST", "/api/threads/{thread:str}/number"),
    ("POST", "/api/threads/{thread:str}/show"),
    ("POST", "/api/threads/{thread:str}/call"),
    ("POST", "/api/threads/{thread:str}/callback"),
    ("GET", "/api/threads/{thread:str}/own"),
    ("DELETE", "/api/threads/{thread:str}/own"),
    ("POST", "/api/threads/{thread:str}/files"),  # so do these two
    ("GET", "/api/threads/{thread:str}/files/{file:str}"),
    ("GET", "/api/files/{file:str}/{until:str}/{seal:str}"),  # for whoever has an address that we sealed
    ("GET", "/api/docs"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/openapi"),  # these three are a framework's, and answer that there is nothing
    ("GET", "/api/openapi/openapi.json"),
    ("GET", "/api/openapi/{path:str}"),
    ("POST", "/api/staff/session"),
    ("POST", "/api/staff/session/link"),
    ("GET", "/console/sign-in"),
    ("POST", "/console/sign-in"),
    ("GET", "/console/enter"),
    ("POST", "/console/enter"),
}
FILLED = {
    "thread": "nosuchthread",
    "other": "nosuchother",
    "id": "nosuchid",
    "file": "0" * 32,
    "language": "en",
    "seq": "1",
    "task": "1",
    "view": "mine",
}


def routes() -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in typed_part().routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                yield method, route.path, handler


def staff_routes() -> list[tuple[str, str, Action]]:
    return [(method, path, handler.opt[NEEDS]) for method, path, handler in routes() if NEEDS in handler.opt]


def filled(path: str) -> str:
    for name, value in FILLED.items():
        path = path.replace(f"{{{name}:str}}", value).replace(f"{{{name}:int}}", value)
    assert "{" not in path, path
    return path


async def ask(browser: httpx.AsyncClient, method: str, path: str, **headers: str) -> httpx.Response:
    wants: dict[str, Any] = {"after": "0", "before": "1"} if "/parts/" in path else {}
    return await browser.request(method, filled(path), params=wants, headers=headers)


def test_every_route_is_for_all_or_names_the_right_it_needs() -> None:
    guarded = {(method, path) for method, path, _ in staff_routes()}
    everything = {(method, path) for method, path, _ in routes()}

    assert everything - guarded == OPEN_TO_ALL
    for _, path, handler in routes():
        if NEEDS in handler.opt:
            assert staff_only in handler.resolve_guards(), path


async def test_nobody_gets_in_without_a_session(running: Running) -> None:
    for method, path, _ in staff_routes():
        answer = await ask(running.client, method, path)
        if path.startswith("/console"):
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/console/sign-in"), path
        else:
            assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in"), path


@pytest.mark.parametrize("role", StaffRole)
async def test_each_role_may_do_what_the_table_says_and_nothing_else(running: Running, role: StaffRole) -> None:
    ends_it = {("DELETE", "/api/staff/session"), ("DELETE", "/api/staff/sessions"), ("POST", "/console/sign-out")}
    async with running.signed_in(role) as browser:
        for method, path, action in staff_routes():
            if (method, path) in ends_it:
                continue
            answer = await ask(browser, method, path)
            if action in MAY[role]:
                assert answer.status_code not in (401, 405), (method, path, answer.text)
                if answer.status_code == 403:  # a form without its token got as far as its own check
                    assert answer.json()["code"] == "csrf", (method, path, answer.text)
            else:
                assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), (method, path)


async def test_what_changes_something_wants_the_token_and_our_own_page(running: Running) -> None:
    async with running.signed_in(StaffRole.ADMIN) as browser:
        for method, path, _ in staff_routes():
            if method == "GET":
                continue
            without = await ask(browser, method, path, **{"X-CSRF-Token": "x"})
            elsewhere = await ask(browser, method, path, Origin="https://evil.example")
            unsaid = await ask(browser, method, path, Origin=running.origin, **{"X-CSRF-Token": ""})

            assert elsewhere.status_code == 403, path
            if path.startswith("/api/"):
                for answer in (without, elsewhere, unsaid):
                    assert answer.json()["code"] == "csrf", (path, answer.text)
        assert (await browser.get("/api/staff/session")).status_code == 200


def test_every_frame_of_staff_leads_to_a_command_that_needs_a_right() -> None:
    frames = {frame.__struct_config__.tag for frame in AnyStaffCommand.__args__}

    undone = {"reopen", "unsnooze"}
    about_more = {"react", "retry", "prefer", "task", "task_done"}
    assert frames == {"post", "note", "take", "release", "assign", "snooze", "close", "name"} | undone | about_more
