"""What every answer carries, who may read it, and the files that browsers load."""

import re
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.app import WIDGET
from server.core.identity import StaffRole
from server.web.files import Files, Widget
from server.web.security import UNKNOWN, WidgetOrigins, client_address, network
from tests.web.given import Running

WIDGET_IS_BUILT = WIDGET.is_dir()
PAGES = ("/demo", "/demo/privacy", "/api/docs", "/console/sign-in", "/console/enter", "/nowhere")


async def pages(running: Running) -> list[tuple[str, str, str]]:
    """Every page of ours: its path, its policy, its text."""
    found = []
    async with running.signed_in(StaffRole.ADMIN) as browser:
        for path in (*PAGES, "/console", "/console/replies"):
            reader = running.client if path in PAGES else browser  # who is signed in is led past the door
            answer = await reader.get(path, headers={"Accept": "text/html"})
            assert answer.headers["content-type"] == "text/html; charset=utf-8", path
            found.append((path, answer.headers["content-security-policy"], answer.text))
    return found


async def test_every_answer_is_guarded(running: Running) -> None:
    for path in (
        *PAGES,
        "/health/live",
        "/health/ready",
        "/metrics",
        "/static/demo.css",
        "/api/openapi.json",
        "/api/nowhere",
    ):
        headers = (await running.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["cross-origin-opener-policy"] == "same-origin", path
        assert headers["referrer-policy"] == "same-origin", path
        whose = "self" if path.startswith("/console") else "none"  # the demo's page shows the console in a frame
        assert f"frame-ancestors '{whose}'" in headers["content-security-policy"], path
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "server" not in headers, path


async def test_no_page_of_ours_needs_anything_inline_or_from_elsewhere(running: Running) -> None:
    for path, policy, text in await pages(running):
        assert "unsafe" not in policy, path
        assert "*" not in policy, path
        assert not re.search(r"<(script|style)(?![^>]*\b(src|type=.application/json))[^>]*>[^<]", text), path
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", text), path
        for address in re.findall(r'\b(?:src|srcset|action|data)="([^"]*)"', text):
            assert address.startswith(("/", "#")) or not address, (path, address)
        for address in re.findall(r'<link[^>]+href="([^"]*)"', text):
            assert address.startswith("/"), (path, address)


async def test_every_file_that_a_page_loads_is_there(running: Running) -> None:
    for path, _, text in await pages(running):
        for address in set(re.findall(r'(?:src|href)="((?:/static|/widget)/[^"]*)"', text)):
            answer = await running.client.get(address)
            if address.startswith("/widget") and not WIDGET_IS_BUILT:
                continue
            assert answer.status_code == 200, (path, address)


async def test_the_widgets_origins_may_read_answers_and_cookies_never_count(running: Running) -> None:
    answer = await running.visit()

    assert answer.headers["access-control-allow-origin"] == running.origin
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["vary"] == "Origin"


async def test_an_answer_that_is_no_refusal_is_never_readable_to_a_stranger() -> None:
    async def lets_everybody_in(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("pass")(scope, receive, send)

    door = WidgetOrigins(lets_everybody_in, origins=frozenset, paths="/door", methods="POST", knock="/door")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://here") as stranger:
        answer = await stranger.post("/door", headers={"Origin": "https://evil.example"})

    assert (answer.status_code, answer.text) == (200, "pass")
    assert "access-control-allow-origin" not in answer.headers


async def test_the_staffs_api_is_for_our_own_pages(running: Running) -> None:
    async with running.signed_in(StaffRole.ADMIN) as browser:
        answer = await browser.get("/api/inbox", headers={"Origin": "https://evil.example"})

    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_first_page_leads_to_the_demo(running: Running) -> None:
    answer = await running.client.get("/")

    assert (answer.status_code, answer.headers["location"]) == (307, "/demo")


@pytest.mark.parametrize(
    ("wish", "language"), [("?lang=en", "en"), ("?lang=sv-SE", "sv"), ("?lang=xx", "de"), ("", "de")]
)
async def test_the_demo_speaks_three_languages(running: Running, wish: str, language: str) -> None:
    answer = await running.client.get(f"/demo{wish}", headers={"Accept-Language": "de-AT"})

    assert f'<html lang="{language}">' in answer.text
    assert f'<onethread-chat site="demo" lang="{language}">' in answer.text


# files ----------------------------------------------------------------------------------------------------------------


async def test_a_file_is_kept_for_ever_under_its_marked_name_and_asked_about_under_its_plain_one(
    running: Running,
) -> None:
    plain = await running.client.get("/static/demo.css")
    marked = await running.client.get(f"/static/demo.css?v={plain.headers['etag'].strip(chr(34))}")
    again = await running.client.get("/static/demo.css", headers={"If-None-Match": plain.headers["etag"]})

    assert plain.headers["content-type"] == "text/css; charset=utf-8"
    assert "max-age=60" in plain.headers["cache-control"]
    assert "immutable" in marked.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")
    assert plain.headers["content-encoding"] == "gzip"
    packed_or_not = (await running.client.get("/static/demo.css", headers={"Accept-Encoding": "identity"})).content
    assert packed_or_not == plain.content


SCRIPT = "const sheet = ':host{--brand:#0b6b63;color:var(--brand)}';\n" + "widget();\n" * 40


@pytest.fixture
def widget(tmp_path: Path) -> Widget:
    (tmp_path / "strings").mkdir()
    (tmp_path / "onethread.js").write_text(SCRIPT)
    (tmp_path / "strings" / "sv.json").write_text("{}")
    (tmp_path / "manifest.json").write_text(
        '{"file":"onethread.js","hash":"0123456789abcdef","sri":"sha384-x","gzip_bytes":1}'
    )
    return Widget(tmp_path)


def asking(path: str) -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "headers": [],
            "query_string": b"",
            "path_params": {"path": path},
        }
    )


async def test_the_widget_is_served_to_every_origin_under_a_stable_and_a_hashed_name(widget: Widget) -> None:
    stable = await widget.answer(asking("v1/onethread.js"))
    hashed = await widget.answer(asking("onethread.0123456789abcdef.js"))
    strings = await widget.answer(asking("v1/strings/sv.json"))

    assert stable.body == hashed.body
    assert "must-revalidate" in stable.headers["cache-control"]
    assert "immutable" in hashed.headers["cache-control"]
    assert strings.headers["content-type"] == "application/json"
    for answer in (stable, hashed, strings):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_the_clinics_colour_is_in_the_script_and_not_in_the_one_that_pages_have_pinned(widget: Widget) -> None:
    async def scripts() -> tuple[bytes, bytes, str]:
        stable = await widget.answer(asking("v1/onethread.js"))
        hashed = await widget.answer(asking("onethread.0123456789abcdef.js"))
        return bytes(stable.body), bytes(hashed.body), stable.headers["etag"]

    plain, pinned, mark = await scripts()
    widget.paint("#a3195b")
    painted, still, other = await scripts()
    widget.paint("")

    assert painted == plain.replace(b"#0b6b63", b"#a3195b")
    assert (still, other != mark) == (pinned, True)
    assert await scripts() == (plain, pinned, mark)


def test_what_is_no_file_of_a_known_kind_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "notes.py").write_text("secret")
    (tmp_path / "link.js").symlink_to(tmp_path / "notes.py")

    assert Files(tmp_path).get("notes.py") is None
    assert Files(tmp_path).get("link.js") is None


# who asks -------------------------------------------------------------------------------------------------------------

PROXY = "10.0.0.7"


@pytest.mark.parametrize(
    ("peer", "said", "proxy", "address"),
    [
        ("203.0.113.5", None, None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", PROXY, "203.0.113.5"),
        (PROXY, "198.51.100.1", PROXY, "198.51.100.1"),
        (PROXY, "6.6.6.6, 198.51.100.1", PROXY, "198.51.100.1"),
        (PROXY, "198.51.100.1, <script>", PROXY, UNKNOWN),
        (PROXY, None, PROXY, UNKNOWN),
        (PROXY, "fe80::1%eth0", PROXY, UNKNOWN),
        (PROXY, "2001:db8::1", PROXY, "2001:db8::1"),
        ("::ffff:203.0.113.5", None, None, "203.0.113.5"),
        ("testclient", None, None, UNKNOWN),
    ],
)
def test_an_address_comes_from_the_connection_or_the_one_proxy(
    peer: str, said: str | None, proxy: str | None, address: str
) -> None:
    import ipaddress

    headers = [(b"x-forwarded-for", said.encode())] if said else []
    scope = {"client": (peer, 1), "headers": headers}

    assert client_address(scope, ipaddress.ip_address(proxy) if proxy else None) == address


def test_ipv6_is_counted_by_network() -> None:
    assert network("2001:db8:1:2::1") == network("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert network("203.0.113.5") == "203.0.113.5"
    assert network(UNKNOWN) == UNKNOWN
