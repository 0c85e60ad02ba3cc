"""What the courier says to each provider over a real socket: where, with which key, and what it makes of the answer."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from msgspec.structs import replace

from channels.whatsapp.accounts import Account
from channels.whatsapp.client import HOSTS, WhatsApp, person_of
from channels.whatsapp.wire import Person
from server.core.errors import NotFound, Unavailable
from server.core.events import Posted
from server.core.model import Address, AsTemplate, Channel, File, Heard, Role, Thread
from server.core.sending import Accepted, CannotLeave, Lost, NotReached, Parcel
from tests.contract.provider import Provider, a_provider
from tests.core.given import NOON

ACCOUNTS = {
    "meta": Account("m", "meta", "106540352242922", token="secret-m"),
    "360dialog": Account("d", "360dialog", "49301110", token="secret-d"),
    "twilio": Account("t", "twilio", "+493011100", account="AC" + "0" * 32, token="secret-t"),
}
PDF = File("f1", "a.pdf", "application/pdf", 4)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with a_provider() as provider:
        yield provider


@pytest.fixture
async def courier(provider: Provider) -> AsyncIterator[WhatsApp]:
    here = f"http://127.0.0.1:{provider.port}"

    async def read(id: str) -> bytes:
        if id == "gone":
            raise NotFound
        return b"%PDF"

    courier = WhatsApp(
        [replace(account, base_url=here) for account in ACCOUNTS.values()],
        templates=dict,
        read_file=read,
        file_url=lambda file: f"https://clinic.example/{file.id}" if file.id == "f1" else "",
        callback=lambda account: "https://clinic.example/status",
        language="de",
        http=httpx.AsyncClient(timeout=10, trust_env=False),
    )
    yield courier
    await courier.close()


async def parcels(courier: WhatsApp, provider: str, **more: Any) -> tuple[Parcel, ...]:
    our = ACCOUNTS[provider].our
    fields: dict[str, Any] = {"text": "Good morning.", **more}
    message = Posted(
        thread="t1", seq=3, sender="staff:a", key="k", at=NOON, role=Role.STAFF, channel=Channel.WHATSAPP, **fields
    )
    to = Address(Channel.WHATSAPP, our, "wa_id", "4915112345678")
    return await courier.prepare(Thread("t1", heard=(Heard(our, NOON),)), message, to, "tag-1", NOON, None)


@pytest.mark.parametrize(
    ("provider_name", "path", "key"),
    [
        ("meta", "/v26.0/106540352242922/messages", ("authorization", "Bearer secret-m")),
        ("360dialog", "/messages", ("d360-api-key", "secret-d")),
        ("twilio", f"/2010-04-01/Accounts/AC{'0' * 32}/Messages.json", ("authorization", "Basic QUMwMDAwMDAwMDAwMDAw")),
    ],
)
async def test_each_provider_is_asked_at_its_place_with_its_key(
    courier: WhatsApp, provider: Provider, provider_name: str, path: str, key: tuple[str, str]
) -> None:
    (parcel,) = await parcels(courier, provider_name)

    assert isinstance(await courier.send(parcel), Accepted)
    asked, headers, body = provider.requests[0]
    assert asked == path
    assert headers[key[0]].startswith(key[1])
    if provider_name == "twilio":
        form = parse_qs(body.decode())
        assert form["Body"] == ["Good morning."]
        assert form["StatusCallback"] == ["https://clinic.example/status/tag-1"]
    else:
        assert provider.tags == ["tag-1"]


async def test_a_file_is_uploaded_where_that_can_be_and_fetched_from_us_where_not(
    courier: WhatsApp, provider: Provider
) -> None:
    for name in ACCOUNTS:
        for parcel in await parcels(courier, name, files=(PDF,)):
            assert isinstance(await courier.send(parcel), Accepted)

    paths = [path for path, _, _ in provider.requests]
    assert [path for path in paths if path.endswith("/media")] == ["/v26.0/106540352242922/media", "/media"]
    assert [each["document"]["id"] for each in provider.accepted] == ["media1", "media2"]
    assert parse_qs(provider.requests[-1][2].decode())["MediaUrl"] == ["https://clinic.example/f1"]


@pytest.mark.parametrize(
    ("provider_name", "more", "because"),
    [
        ("meta", {"files": (replace(PDF, id="gone"),)}, "file"),
        ("meta", {"files": (replace(PDF, type="video/mp4"),)}, "file"),
        ("twilio", {"files": (replace(PDF, id="f2"),)}, "file"),
        ("meta", {"template": AsTemplate("nobody-knows-it", "de")}, "template"),
    ],
)
async def test_what_no_provider_would_take_does_not_leave(
    courier: WhatsApp, provider: Provider, provider_name: str, more: dict[str, Any], because: str
) -> None:
    with pytest.raises(CannotLeave) as refused:
        await parcels(courier, provider_name, **more)

    assert refused.value.because == because
    assert provider.requests == []


async def test_nobody_there_is_told_from_nobody_knows(courier: WhatsApp, provider: Provider) -> None:
    (parcel,) = await parcels(courier, "meta")
    provider.next = ["hang_up"]
    assert await courier.send(parcel) == Lost()

    await provider.stop_listening()
    assert await courier.send(parcel) == NotReached()
    with pytest.raises(Unavailable):
        await parcels(courier, "meta", files=(PDF,))


def test_whoever_has_shown_no_number_is_addressed_by_the_id_we_know_them_by() -> None:
    kinds = {"wa_id": "4915112345678", "user_id": "DE.1", "parent_id": "DE.ENT.1"}

    assert [person_of(Address(Channel.WHATSAPP, "1", kind, value)) for kind, value in kinds.items()] == [
        Person(wa_id="4915112345678"),
        Person(user_id="DE.1"),
        Person(parent_id="DE.ENT.1"),
    ]


def test_requests_go_over_https_unless_an_account_names_another_place() -> None:
    assert all(host.startswith("https://") for host in HOSTS.values())
