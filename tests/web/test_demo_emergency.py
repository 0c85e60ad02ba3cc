"""An emergency told on the phone of the demo page: what to do is said before anything else."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from channels.voice.phrases import Phrase, phrase
from server.core.identity import StaffRole
from tests.web.given import running
from tests.web.test_demo_call import PATIENCE, a_phone, becomes, do


def _ends_with(sentence: str) -> Callable[[dict[str, Any]], bool]:
    return lambda it: bool(it["speaking"][-1:] == [sentence])


async def test_an_emergency_is_told_first_in_its_own_language_and_a_colleague_is_called_with_priority(
    tmp_path: Path,
) -> None:
    emergencies = {
        "de-DE": "Mein Vater ist bewusstlos",
        "en-US": "My father is unconscious",
        "sv-SE": "Min pappa är medvetslös",
    }
    async with running(tmp_path, knowledge=None) as there, there.signed_in(StaffRole.RECEPTION) as browser:

        async def in_the_inbox() -> dict[str, Any]:
            rows = (await browser.get("/api/inbox", params={"view": "all"})).json()["rows"]
            return {row["thread"]: row["task"] for row in rows}

        async def with_another(seen: dict[str, Any]) -> dict[str, Any]:
            async with asyncio.timeout(PATIENCE):
                while (now := await in_the_inbox()).keys() == seen.keys():  # noqa: ASYNC110  nobody rings for a list
                    await asyncio.sleep(0.02)
                return now

        seen = await in_the_inbox()
        for locale, text in emergencies.items():
            key = await a_phone(there)
            await do(there, key, "ring")
            notice = (await becomes(there, key, lambda it: bool(it["speaking"])))["speaking"]
            await do(there, key, "say", text=text, language=locale)
            at_once = await becomes(there, key, lambda it: "1 1 2" in it["speaking"][0])
            assert at_once["speaking"][1:] == notice
            assert await in_the_inbox() == seen  # nobody has agreed to anything

            await do(there, key, "heard")
            connecting = phrase(Phrase.CONNECTING, locale[:2])
            after = await becomes(there, key, _ends_with(connecting))
            assert after["speaking"][0] == at_once["speaking"][0]
            now = await with_another(seen)
            (new,) = now.keys() - seen.keys()
            assert (next(iter(now)), now[new]["kind"]) == (new, "urgent")
            await do(there, key, "hang_up")
            seen = now
