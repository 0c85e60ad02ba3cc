"""The self-test of a webhook, against a server that really runs."""

from msgspec.structs import replace

from channels.whatsapp.self_test import self_test
from server.whatsapp_house import DEMO_ACCOUNT
from tests.web.given import Running


async def test_a_webhook_that_works_passes_and_a_wrong_secret_or_address_is_told(running: Running) -> None:
    assert await self_test(DEMO_ACCOUNT, running.origin) == []
    [wrong] = await self_test(replace(DEMO_ACCOUNT, secrets=("another",)), running.origin)
    assert "our own signature was answered with 401" in wrong
    [unknown] = await self_test(replace(DEMO_ACCOUNT, id="nobody"), running.origin)
    assert "answered with 404 instead of 401" in unknown
    [away] = await self_test(DEMO_ACCOUNT, "http://127.0.0.1:1")
    assert "cannot be reached" in away
