"""Knocks at our own webhook as the provider would, over the public address: forged, which must be refused, and signed.

What is signed carries nothing, so nothing follows from it. Twilio's forms always are about a message; there only the
refusal is tried.
"""

import hashlib
import hmac

import httpx

from channels.whatsapp import meta
from channels.whatsapp.accounts import Account
from channels.whatsapp.dialog360 import SECRET

NOTHING = b'{"object":"whatsapp_business_account","entry":[]}'
PATIENCE = 10.0  # seconds
REFUSED, TAKEN = 401, 200


async def self_test(account: Account, public_url: str, http: httpx.AsyncClient | None = None) -> list[str]:
    """Return what is wrong with a number's webhook as the world reaches it, one sentence each; nothing: it works."""
    url = f"{public_url.rstrip('/')}{account.webhook}"
    async with http or httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False, trust_env=False) as client:
        try:
            forged = (await client.post(url, content=NOTHING)).status_code
            headers = _signed(account)
            signed = (await client.post(url, content=NOTHING, headers=headers)).status_code if headers else TAKEN
        except httpx.HTTPError as error:
            return [f"its webhook cannot be reached over the public address ({type(error).__name__})"]
    found = []
    if forged != REFUSED:
        found.append(f"an unsigned webhook was answered with {forged} instead of {REFUSED}: is this server behind it?")
    elif signed != TAKEN:
        found.append(f"a webhook with our own signature was answered with {signed} instead of {TAKEN}")
    return found


def _signed(account: Account) -> dict[str, str]:
    match account.provider:
        case "meta":
            digest = hmac.new(account.secrets[0].encode(), NOTHING, hashlib.sha256).hexdigest()
            return {meta.SIGNATURE: f"sha256={digest}"}
        case "360dialog":
            return {SECRET: account.secrets[0]}
        case _:
            return {}
