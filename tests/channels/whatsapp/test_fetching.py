"""Files from the providers: only from their own hosts, with our token only there, and whole or not at all."""

import base64
import gzip
import hashlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from channels.whatsapp.accounts import Account
from channels.whatsapp.emulated import Line
from channels.whatsapp.emulator import StandIn
from channels.whatsapp.fetching import Fetcher
from server.core.errors import Unavailable
from server.core.media import CannotBeFetched, Origin

BODY = b"OggS" + bytes(300_000)
SHA = hashlib.sha256(BODY)
CDN = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=5"
META = Account("main", "meta", "111", token="secret-token")
DIALOG = Account("third", "360dialog", "111", token="key")
TWILIO = Account("second", "twilio", "+4930", account="AC1", token="word")
FOUND = {"url": CDN, "mime_type": "audio/ogg", "sha256": SHA.hexdigest(), "file_size": len(BODY), "id": "5"}
Answers = Callable[[httpx.Request], httpx.Response]


def fetcher(answers: Answers) -> Fetcher:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answers), follow_redirects=False)
    return Fetcher((META, DIALOG, TWILIO), client)


async def whole(fetcher: Fetcher, origin: Origin) -> bytes:
    return b"".join([piece async for piece in await fetcher.fetch(origin)])


def provider(found: object = FOUND, body: bytes = BODY, asked: list[httpx.Request] | None = None) -> Answers:
    def answers(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        return (
            httpx.Response(200, stream=httpx.ByteStream(body))
            if "attachments" in request.url.path
            else httpx.Response(200, json=found)
        )

    return answers


async def test_a_file_is_looked_up_and_fetched_with_our_token() -> None:
    asked: list[httpx.Request] = []
    origin = Origin("main", media="5", sha256=base64.b64encode(SHA.digest()).decode())

    assert await whole(fetcher(provider(asked=asked)), origin) == BODY
    assert [str(each.url) for each in asked] == ["https://graph.facebook.com/v26.0/5?phone_number_id=111", CDN]
    assert {each.headers["authorization"] for each in asked} == {"Bearer secret-token"}


async def test_360dialog_gives_files_out_at_its_own_host() -> None:
    asked: list[httpx.Request] = []

    assert await whole(fetcher(provider(asked=asked)), Origin("third", media="5")) == BODY
    assert {each.url.host for each in asked} == {"waba-v2.360dialog.io"}
    assert {each.headers["d360-api-key"] for each in asked} == {"key"}


async def test_twilio_sends_on_to_its_store_which_does_not_see_our_token() -> None:
    asked: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.url.host == "api.twilio.com":
            return httpx.Response(307, headers={"location": "https://mms.twiliocdn.com/AC1/x?signature=y"})
        return httpx.Response(200, stream=httpx.ByteStream(BODY))

    url = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1"
    assert await whole(fetcher(answers), Origin("second", url=url)) == BODY
    assert ["authorization" in each.headers for each in asked] == [True, False]


@pytest.mark.parametrize(
    ("url", "sent_on"),
    [
        ("https://evil.example/x", ""),
        ("http://api.twilio.com/x", ""),
        ("https://api.twilio.com@evil.example/x", ""),
        ("http://127.0.0.1:8000/health/live", ""),
        ("https://api.twilio.com/x", "http://169.254.169.254/latest/meta-data"),
        ("https://api.twilio.com/x", "/x"),
    ],
)
async def test_nothing_is_fetched_from_anywhere_else_nor_in_circles(url: str, sent_on: str) -> None:
    asked: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers={"location": sent_on})

    with pytest.raises(CannotBeFetched):
        await whole(fetcher(answers), Origin("second", url=url))
    assert {each.url.host for each in asked} <= {"api.twilio.com"}
    assert len(asked) <= 3


@pytest.mark.parametrize("changed", [{"sha256": "0" * 64}, {"file_size": 5}])
async def test_what_is_not_as_announced_is_no_file(changed: dict[str, object]) -> None:
    with pytest.raises(CannotBeFetched) as refused:
        await whole(fetcher(provider({**FOUND, **changed})), Origin("main", media="5"))
    assert refused.value.why == "altered"


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, CannotBeFetched), (400, CannotBeFetched), (401, Unavailable), (429, Unavailable), (503, Unavailable)],
)
async def test_a_provider_that_is_away_is_asked_again_and_one_that_has_nothing_is_not(
    status: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await whole(fetcher(lambda request: httpx.Response(status)), Origin("main", media="5"))


async def test_a_line_that_breaks_is_a_reason_to_try_again() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    for origin in (Origin("main", media="5"), Origin("second", url="https://api.twilio.com/x")):
        with pytest.raises(Unavailable):
            await whole(fetcher(broken), origin)
    with pytest.raises(CannotBeFetched):
        await whole(fetcher(broken), Origin("nobody", media="5"))


async def test_of_an_answer_that_never_ends_no_more_is_read_than_anybody_needs() -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b" " * 16_384

    def answers(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(200, content=endless())

    with pytest.raises(CannotBeFetched):
        await whole(fetcher(answers), Origin("main", media="5"))
    assert given < 8


async def test_an_answer_that_is_compressed_unasked_is_not_unpacked() -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        packed = httpx.ByteStream(gzip.compress(bytes(10_000_000)))
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=packed)

    with pytest.raises(CannotBeFetched):
        await whole(fetcher(answers), Origin("main", media="5"))


@pytest.mark.parametrize("name", ["meta", "360dialog", "twilio"])
async def test_the_stand_in_gives_out_what_a_phone_sent(name: str) -> None:
    base = "http://127.0.0.1:9"
    line = Line("main", name, "111", "4930111", "", "secret-token", "s", "AC1")
    standin = StandIn([line], base=base)
    stored = standin.store(line, BODY, "audio/ogg")
    account = Account(
        "main", name, "111", account="AC1", token="secret-token", base_url=base, media_hosts=("127.0.0.1:9",)
    )
    client = httpx.AsyncClient(transport=httpx.ASGITransport(standin.app), base_url=base)
    there = f"{base}/2010-04-01/Accounts/AC1/Messages/MM1/Media/{stored.id}"
    origin = Origin("main", url=there) if name == "twilio" else Origin("main", media=stored.id)

    assert await whole(Fetcher([account], client), origin) == BODY
    await standin.close()
