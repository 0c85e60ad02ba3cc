"""Knocks at our own doors as a provider would, over the public address: forged, which must be refused, and signed.

What is signed is about no call, so nothing follows from it.
"""

import hashlib
import hmac
from datetime import UTC, datetime

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from channels import twilio_signature
from channels.voice import bland, elevenlabs, retell
from channels.voice.accounts import Account

PATIENCE = 10.0  # seconds
REFUSED, TAKEN, ABOUT_NOTHING = 401, 200, 400
FORM = (("AccountSid", "AC0"), ("ApiVersion", "2010-04-01"))  # without a call
NOTHING = {
    "vapi": b'{"message":{"type":"hello"}}',
    "retell": b'{"event":"hello","call":{}}',
    "elevenlabs": b'{"type":"call_initiation_failure"}',
    "bland": b'{"call_id":"hello"}',
}


async def self_test(account: Account, public_url: str, http: httpx.AsyncClient | None = None) -> list[str]:
    """Return what is wrong with a number's doors as the world reaches them, one sentence each; nothing: they work."""
    origin = public_url.rstrip("/")
    url = f"{origin}{account.webhook}"
    async with http or httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False, trust_env=False) as client:
        body, headers = _signed(account, url)
        kind = {"content-type": "application/x-www-form-urlencoded" if account.answers else "application/json"}
        try:
            forged = (await client.post(url, content=body, headers=kind)).status_code
            signed = (await client.post(url, content=body, headers=kind | headers)).status_code
        except httpx.HTTPError as error:
            return [f"its webhook cannot be reached over the public address ({type(error).__name__})"]
    expected = ABOUT_NOTHING if account.answers else TAKEN
    if forged != REFUSED:
        return [f"an unsigned webhook was answered with {forged} instead of {REFUSED}: is this server behind it?"]
    if signed != expected:
        return [f"a webhook with our own signature was answered with {signed} instead of {expected}"]
    return await _socket(account, origin) if account.answers and account.mode == "relay" else []


async def _socket(account: Account, origin: str) -> list[str]:
    """Return what is wrong with the socket that a call's words come and go through."""
    url = f"ws{origin.removeprefix('http')}{account.webhook}/relay"
    found = [] if url.startswith("wss:") else ["ConversationRelay needs wss://: ONETHREAD_PUBLIC_URL must be https://"]
    if await _opens(url, {}):
        found.append("a socket without a signature was let in")
    given = twilio_signature.signature(account.secrets[0], url).decode()
    if not await _opens(url, {twilio_signature.HEADER: given}):
        found.append("the socket of calls cannot be opened with our own signature: does the proxy let sockets through?")
    return found


async def _opens(url: str, headers: dict[str, str]) -> bool:
    try:
        async with connect(url, additional_headers=headers, open_timeout=PATIENCE, proxy=None):
            return True
    except (InvalidStatus, WebSocketException, OSError, TimeoutError):
        return False


def _signed(account: Account, url: str) -> tuple[bytes, dict[str, str]]:
    """Return what says nothing, and the headers with which its provider would send it."""
    key, now = account.secrets[0], datetime.now(UTC)
    if account.answers:
        said = "".join(name + value for name, value in FORM)
        given = twilio_signature.signature(key, url + said).decode()
        return str(httpx.QueryParams(FORM)).encode(), {twilio_signature.HEADER: given}
    body, seconds, millis = NOTHING[account.provider], int(now.timestamp()), int(now.timestamp() * 1000)
    match account.provider:
        case "vapi" if account.signed == "bearer":
            return body, {account.header: f"Bearer {key}"}
        case "vapi" if account.stamp:
            return body, {account.header: _hex(key, f"{millis}.".encode() + body), account.stamp: str(millis)}
        case "vapi":
            return body, {account.header: _hex(key, body)}
        case "retell":
            return body, {retell.SIGNATURE: f"v={millis},d={_hex(key, body + str(millis).encode())}"}
        case "elevenlabs":
            return body, {elevenlabs.SIGNATURE: f"t={seconds},v0={_hex(key, f'{seconds}.'.encode() + body)}"}
        case _:
            return body, {bland.SIGNATURE: _hex(key, body)}


def _hex(key: str, signed: bytes) -> str:
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()
