"""What strangers send, through a real server: each gets a typed answer, and the server goes on."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from server import running as under_test
from server.web import security
from tests.web.given import Running

DEEP = 200_000
BODIES = {
    "lists nested 200,000 deep": b"[" * DEEP + b"]" * DEEP,
    "objects nested 200,000 deep": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "17 deep": b'{"site":' + b"[" * 17 + b"]" * 17 + b"}",
    "a repeated name": b'{"site":"demo","site":"demo"}',
    "a name that is not known": b'{"site":"demo","$where":"1"}',
    "an operator": b'{"site":{"$ne":null}}',
    "a visitor's operator": b'{"site":"demo","visitor":{"$gt":""}}',
    "NUL": b'{"site":"de\\u0000mo"}',
    "half a character": b'{"site":"\\ud800"}',
    "no UTF-8": b'{"site":"\xff"}',
    "2^63": b'{"site":"demo","visitor":9223372036854775808}',
    "6,000 digits": b'{"site":' + b"9" * 6000 + b"}",
    "NaN": b'{"site":NaN}',
    "a text": b'"demo"',
    "a list": b"[]",
    "null": b"null",
    "nothing": b"",
    "half of it": b'{"site":"de',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_json_that_does_not_say_one_thing_is_refused(running: Running, body: bytes) -> None:
    headers = {"Origin": running.origin, "Content-Type": "application/json"}
    answer = await running.client.post("/api/visits", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "bad_request"
    assert problem["type"] == "urn:onethread:problem:bad_request"
    assert (await running.visit()).status_code == 200


async def endless(megabytes: int) -> AsyncIterator[bytes]:
    for _ in range(megabytes):
        yield b"x" * 1_000_000


async def test_a_body_that_is_too_long_is_refused_whether_it_says_so_or_not(running: Running) -> None:
    headers = {"Origin": running.origin, "Content-Type": "application/json"}
    announced = await running.client.post("/api/visits", content=b"x" * 20_000_000, headers=headers)
    chunked = await running.client.post("/api/visits", content=endless(20), headers=headers)
    moderate = await running.client.post("/api/visits", content=b'{"site":"' + b"a" * 100_000 + b'"}', headers=headers)

    for answer in (announced, chunked, moderate):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/xml", ""]
)
async def test_json_must_be_called_json(running: Running, kind: str) -> None:
    headers = {"Origin": running.origin, **({"Content-Type": kind} if kind else {})}
    answer = await running.client.post("/api/visits", content=b'{"site":"demo"}', headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_what_was_sent_is_never_repeated_in_an_answer(running: Running) -> None:
    headers = {"Origin": running.origin, "Content-Type": "application/json"}
    for body in (
        b'{"site":"SECRET","SECRET":1}',
        b'{"SECRET":1}',
        b'{"site":["SECRET"]}',
        b'{"site":"demo","visitor":1}',
    ):
        answer = await running.client.post("/api/visits", content=body, headers=headers)
        assert b"SECRET" not in answer.content
    answer = await running.client.get("/api/SECRET?q=SECRET")
    assert b"SECRET" not in answer.content


async def test_every_error_of_every_framework_is_a_problem(running: Running) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("GET", "/api/nowhere", 404),
        ("GET", "/static/nowhere.js", 404),
        ("GET", "/widget/nowhere.js", 404),
        ("PUT", "/api/visits", 405),
        ("POST", "/health/live", 405),
        ("POST", "/static/demo.css", 405),
        ("TRACE", "/api/visits", 405),
    ):
        answer = await running.client.request(method, path)
        assert (answer.status_code, answer.json()["status"]) == (status, status), path
        assert answer.headers["content-type"] == "application/problem+json"
        if status == 405:
            assert "allow" in answer.headers, path


async def test_a_browser_that_asked_for_a_page_gets_one_in_its_language(running: Running) -> None:
    headers = {"Accept": "text/html,application/xhtml+xml", "Accept-Language": "sv-SE,sv;q=0.9,en;q=0.8"}
    answer = await running.client.get("/nowhere", headers=headers)

    assert answer.status_code == 404
    assert '<html lang="sv">' in answer.text
    assert "Här finns ingenting" in answer.text


async def test_a_mistake_of_ours_is_a_problem_without_a_traceback_and_logged_without_words(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise ValueError("SECRET")

    monkeypatch.setattr(running.house.clinic.__class__, "texts", break_down)
    with caplog.at_level(logging.ERROR):
        answer = await running.visit()

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "SECRET" not in answer.text
    assert "Traceback" not in answer.text
    assert [record.message for record in caplog.records] == ["request failed"]


async def raw(running: Running, *parts: bytes) -> bytes:
    """Send bytes as they are and return what comes back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.house.settings.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def test_what_is_no_http_is_told_so_as_every_other_error(running: Running) -> None:
    answer = await raw(running, b"HELLO\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
    assert b'"code": "bad_request"' in answer


async def test_headers_without_end_are_refused(running: Running) -> None:
    answer = await raw(running, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000)

    assert answer.startswith(b"HTTP/1.1 4")


FORMS = {
    "many fields": (b"login=a&" * 65, 413),
    "long": (b"login=" + b"%41" * 6000, 413),
    "2 MB": (b"a=&" * 690_000, 413),
    "a login": (b"login=a&password=b", 303),
}


@pytest.mark.parametrize(("form", "status"), FORMS.values(), ids=FORMS.keys())
async def test_a_form_of_somebody_unknown_is_short(running: Running, form: bytes, status: int) -> None:
    headers = {"Origin": running.origin, "Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/console/sign-in", "/console/enter"):
        assert (await running.client.post(path, content=form, headers=headers)).status_code == status
        for other in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
            answer = await running.client.post(path, content=form, headers={**headers, "Content-Type": other})
            assert answer.status_code == 415


HOSTS = {"a port too large": b"a:99999999", "half an address": b"[::1", "a path": b"evil.example/x?y", "none": b""}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
async def test_what_a_request_calls_us_changes_nothing(running: Running, host: bytes) -> None:
    for path in (b"/console", b"/console/mine", b"/nowhere", b"/demo"):
        ask = b"GET " + path + b" HTTP/1.1\r\nHost: %s\r\nAccept: text/html\r\nConnection: close\r\n\r\n"

        odd, plain = await raw(running, ask % host), await raw(running, ask % b"x")

        assert odd.partition(b"\r\n")[0] == plain.partition(b"\r\n")[0]
        assert b" 500 " not in odd.partition(b"\r\n")[0]
        assert b"evil" not in odd


async def test_what_can_be_read_can_be_asked_about(running: Running) -> None:
    for path in ("/demo", "/console/sign-in", "/health/live", "/widget/v1/onethread.js", "/api/docs"):
        asked, read = await running.client.head(path), await running.client.get(path)
        assert (asked.status_code, asked.content) == (read.status_code, b"")
        assert asked.headers["content-length"] == read.headers["content-length"]
    assert (await running.client.head("/api/visits")).status_code == 405


async def test_half_a_request_is_hung_up_on(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "HEADER_SECONDS", 0.2)

    assert await raw(running, b"GET / HTTP/1.1\r\nHost: x\r\n") == b""
    assert await raw(running) == b""


async def test_half_a_body_is_not_waited_for(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "BODY_SECONDS", 0.2)
    head = f"POST /api/visits HTTP/1.1\r\nHost: x\r\nOrigin: {running.origin}\r\nContent-Type: application/json\r\n"

    answer = await raw(running, head.encode() + b'Content-Length: 100\r\n\r\n{"site":')

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in answer


async def test_paths_do_not_lead_out_of_a_folder(running: Running) -> None:
    for path in (
        b"/static/../app.py",
        b"/static/%2e%2e/app.py",
        b"/static//etc/passwd",
        b"/widget/v1/../../package.json",
    ):
        answer = await raw(running, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 404 "), path


async def test_a_name_that_turns_the_line_around_or_breaks_it_is_refused(running: Running) -> None:
    from server.core.errors import BadValue
    from server.core.identity import StaffRole

    for name in ("Anna\u202egnp.exe", "Anna\0", "\x1b[31mAnna", "", " ", "x" * 200):
        with pytest.raises(BadValue):
            await running.house.accounts.add("anna", name, StaffRole.RECEPTION, "a quiet river")


SECOND = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
TWO_READINGS = {
    "a length and chunks": b"HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
    "chunks and a length": b"HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 500",
    "chunks on a folded line": b"HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 5",
    "chunks in HTTP/1.0": b"HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked",
    "another version": b"HTTP/2.0\r\nTransfer-Encoding: chunked",
}


@pytest.mark.parametrize("headers", TWO_READINGS.values(), ids=TWO_READINGS.keys())
async def test_what_can_be_read_as_one_request_or_as_two_is_refused(running: Running, headers: bytes) -> None:
    answer = await raw(running, b"POST /api/visits " + headers + b"\r\nHost: x\r\n\r\n0\r\n\r\n" + SECOND)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("path", [b"/api/staff/ticket", b"/api/visits"], ids=["already answered", "still read"])
async def test_a_body_that_goes_wrong_in_its_middle_is_hung_up_on_and_no_mistake_of_ours(
    running: Running, path: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", running.house.settings.port)
    writer.write(head % path + b'2\r\n{"\r\n')
    answer = await reader.readuntil(b"}") if b"staff" in path else b""
    writer.write(b"zz\r\n" + SECOND)
    answer += await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 4")
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_handshake_that_is_none_is_refused_without_repeating_it(running: Running) -> None:
    headers = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: SECRET\r\n"

    answer = await raw(running, b"GET /ws/visitor HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
    assert b"SECRET" not in answer
