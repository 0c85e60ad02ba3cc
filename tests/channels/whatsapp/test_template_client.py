"""What a provider has approved, asked of the stand-ins."""

import httpx
import pytest

from channels.whatsapp.accounts import Account
from channels.whatsapp.emulated import Line
from channels.whatsapp.emulator import StandIn
from channels.whatsapp.template_client import CannotList, listed
from channels.whatsapp.template_file import DEMO, read_templates
from channels.whatsapp.template_listing import What, compare

TEMPLATES = tuple(read_templates(DEMO.read_text(encoding="utf-8")).values())
BASE = "http://stand-in.invalid"


async def asked(token: str = "token", provider: str = "meta") -> list[What]:
    line = Line("main", provider, "1", "4930111222", f"{BASE}/hook", "token", "secret", account="2")
    stand_in = StandIn([line], TEMPLATES, base=BASE)
    account = Account("main", provider, "1", account="2", base_url=BASE, token=token)
    theirs = await listed(account, httpx.AsyncClient(transport=httpx.ASGITransport(stand_in.app)))
    return [each.what for each in compare(TEMPLATES, theirs, provider)]


@pytest.mark.parametrize("provider", ["meta", "360dialog"])
async def test_what_was_approved_as_it_is_written_differs_in_nothing(provider: str) -> None:
    assert await asked(provider=provider) == []


async def test_a_wrong_token_is_told() -> None:
    with pytest.raises(CannotList):
        await asked("another")
