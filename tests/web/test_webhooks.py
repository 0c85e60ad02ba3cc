"""Webhooks through the real server: what is signed gets in, up to Meta's own limit, and the rest hears why not."""

import gzip
import hmac
from pathlib import Path

from channels.whatsapp.accounts import Account
from server.whatsapp_house import DEMO_ACCOUNT
from tests.channels.whatsapp.given import CONTACT, body, message, value
from tests.web.given import running

DOOR = DEMO_ACCOUNT.webhook


def signed(raw: bytes, account: Account = DEMO_ACCOUNT) -> dict[str, str]:
    digest = hmac.new(account.secrets[0].encode(), raw, "sha256").hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}", "content-type": "application/json"}


async def test_the_house_takes_in_what_is_signed_and_says_what_is_wrong_with_the_rest(tmp_path: Path) -> None:
    raw = body(value(contacts=[CONTACT], messages=[message()], padding="x" * 2_800_000))
    long, packed = raw + b" " * 400_000, gzip.compress(raw)
    async with running(tmp_path) as house:
        answers = [
            await house.client.post(DOOR, content=content, headers=headers, timeout=60)
            for content, headers in (
                (raw, signed(raw)),
                (raw, {}),
                (raw.replace(b"Hallo", b"Hello"), signed(raw)),
                (packed, {**signed(packed), "content-encoding": "gzip"}),
                (long, signed(long)),
            )
        ]

    assert [answer.status_code for answer in answers] == [200, 401, 401, 415, 413]
    assert {answer.headers["content-type"] for answer in answers[1:]} == {"application/problem+json"}
