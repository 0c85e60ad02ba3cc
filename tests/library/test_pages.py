"""Only the clinic's own pages are fetched: an address that leads elsewhere, or inside, is never even asked."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from knowledge_base.exchange import MAX_BYTES, Assumed, Form, read
from knowledge_base.remarks import languages
from server.library import pages
from server.library.pages import NotFetched, Reason, fetch
from tests.knowledge.conftest import TODAY

FAQ = b'{"@type":"FAQPage","mainEntity":[{"@type":"Question","name":"Who?","acceptedAnswer":{"text":"We."}}]}'
Answering = Callable[[str], bytes]


def answer(body: bytes = FAQ, kind: str = "application/ld+json", status: str = "200 OK", more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{more}\r\n"
    )
    return head.encode() + body


def sent_on(to: str) -> bytes:
    return answer(b"", status="302 Found", more=f"location: {to}\r\n")


@contextlib.asynccontextmanager
async def site(answering: Answering) -> AsyncIterator[tuple[str, list[str]]]:
    """A website on this machine: its origin, and the heads of what it was asked."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head)
        writer.write(answering(head.split(" ")[1]))
        with contextlib.suppress(ConnectionError):  # they have seen enough
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


def names(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


async def refused(url: str, *origins: str, stands_for: tuple[str, ...] = ("93.184.216.34",)) -> Reason:
    with pytest.raises(NotFetched) as raised:
        await fetch(url, origins, resolve=names(*stands_for))
    assert all(raised.value.sentence(language) for language in languages())
    return raised.value.reason


async def test_a_page_of_the_clinic_s_own_origin_is_read() -> None:
    async with site(lambda path: answer()) as (origin, asked):
        page = await fetch(f"{origin}/faq?lang=en", [origin])

    assert page.form is Form.JSONLD
    assert read(page.data, page.form, Assumed(TODAY)).entries[0].answers["en"].text == "We."
    head = asked[0].lower()
    assert head.startswith("get /faq?lang=en http/1.1\r\n")
    assert f"host: {origin.removeprefix('http://')}" in head
    assert "accept-encoding: identity" in head
    assert "cookie" not in head


@pytest.mark.parametrize(
    "url",
    [
        "", "faq", "/faq", "ftp://clinic.example/x", "file:///etc/passwd", "gopher://clinic.example",
        "//clinic.example/x",
        "https://user:secret@clinic.example/", "https://", "https://clinic.example:0/", "https://clinic.example:99999/",
        "https://clinic.example/a b", "https://clinic.example\\@evil.example/", "https://clinic.example/\r\nhost: x",
        "https://[::1/", "https://clinic.example/" + "x" * 2_000,
    ],
)  # fmt: skip
async def test_what_is_no_address_of_a_page_is_refused(url: str) -> None:
    assert await refused(url, "https://clinic.example") is Reason.ADDRESS


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/", "http://clinic.example/", "https://clinic.example:8443/", "https://clinic.example.evil.example/",
        "https://sub.clinic.example/", "https://93.184.216.34/", "http://169.254.169.254/latest/meta-data",
    ],
)  # fmt: skip
async def test_only_the_clinic_s_own_origins_are_asked(url: str) -> None:
    assert await refused(url, "https://clinic.example") is Reason.ELSEWHERE


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "fec0::1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1",
    ],
)  # fmt: skip
async def test_a_name_that_leads_inside_a_network_is_not_asked(address: str) -> None:
    assert await refused("https://clinic.example/", "https://clinic.example", stands_for=(address,)) is Reason.PRIVATE
    both = ("93.184.216.34", address)
    assert await refused("https://clinic.example/", "https://clinic.example", stands_for=both) is Reason.PRIVATE


async def test_what_machines_say_of_themselves_is_not_asked_even_where_the_clinic_names_it() -> None:
    url = "http://169.254.169.254/latest/meta-data"

    assert await refused(url, "http://169.254.169.254", stands_for=("169.254.169.254",)) is Reason.PRIVATE


async def test_the_connection_goes_to_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_is_public", lambda address: True)
    async with site(lambda path: answer()) as (origin, asked):
        port = origin.rsplit(":", 1)[1]
        own = f"http://clinic.example:{port}"  # no name server knows it: only what was looked at can be asked

        await fetch(f"{own}/faq", [own], resolve=names("127.0.0.1"))

    assert f"host: clinic.example:{port}" in asked[0]


async def test_every_address_that_a_page_sends_us_on_to_is_looked_at_again() -> None:
    places = {"/inside": "http://10.0.0.1/", "/elsewhere": "https://evil.example/", "/file": "file:///etc/passwd"}
    async with site(lambda path: sent_on(places[path]) if path in places else sent_on("/next")) as (origin, asked):
        found = {
            path: await refused(f"{origin}{path}", origin, stands_for=("127.0.0.1",)) for path in [*places, "/loop"]
        }

    assert found == {
        "/inside": Reason.ELSEWHERE,
        "/elsewhere": Reason.ELSEWHERE,
        "/file": Reason.ADDRESS,
        "/loop": Reason.HOPS,
    }
    assert len(asked) == 3 + pages.HOPS


async def test_a_name_that_changes_its_mind_between_two_hops_is_not_followed_inside() -> None:
    public = iter((["127.0.0.1"], ["10.0.0.1"]))

    async def resolve(host: str, port: int) -> list[str]:
        return next(public)

    async with site(lambda path: sent_on("http://clinic.example/")) as (origin, _):
        with pytest.raises(NotFetched) as raised:
            await fetch(f"{origin}/", [origin, "http://clinic.example"], resolve=resolve)

    assert raised.value.reason is Reason.PRIVATE


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (answer(status="404 Not Found"), Reason.STATUS),
        (answer(status="500 Oops"), Reason.STATUS),
        (answer(kind="image/png"), Reason.KIND),
        (answer(kind="application/octet-stream"), Reason.KIND),
        (answer(gzip.compress(b"0" * 10_000_000), more="content-encoding: gzip\r\n"), Reason.PACKED),
        (answer(b" " * (MAX_BYTES + 1)), Reason.LARGE),
        (b"SSH-2.0-OpenSSH_9\r\n", Reason.UNREACHABLE),
        (b"", Reason.UNREACHABLE),
    ],
)
async def test_what_could_hold_no_entries_is_not_taken(said: bytes, reason: Reason) -> None:
    async with site(lambda path: said) as (origin, _):
        assert await refused(f"{origin}/faq", origin, stands_for=("127.0.0.1",)) is reason


async def test_a_page_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "WHOLE", 0.2)

    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(NotFetched) as raised:
        await fetch("https://clinic.example/", ["https://clinic.example"], resolve=never)

    assert raised.value.reason is Reason.SLOW


async def test_a_name_that_nobody_has_is_told() -> None:
    assert await refused("https://clinic.example/", "https://clinic.example", stands_for=()) is Reason.UNKNOWN
