"""What `erase` and `export` share: whom somebody means, and the service on a store that a server may be using."""

import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from server.core.errors import Refused
from server.core.model import ThreadId
from server.core.ports import Store
from server.service.conversations import Conversations
from server.service.erasing import Eraser
from server.service.search import asked_words
from server.settings import Settings

PERSON = (
    "a conversation's id, a whole address record, a telephone number with its country, or a name as the console shows"
    " it, such as `Visitor 7XK2`"
)
CANDIDATES = 20
SHORTEST = 6  # digits of what is taken for a number


class Nobody(Refused):
    """There is nobody of this name, number or id."""

    code = "nobody"

    def __init__(self) -> None:
        super().__init__(f"There is nobody like that: expected {PERSON}.")


class Several(Refused):
    """More than one may be meant; the sentence names conversations and nobody."""

    code = "several"

    def __init__(self, threads: list[ThreadId]) -> None:
        super().__init__("Several may be meant; say which conversation:\n  " + "\n  ".join(threads))
        self.threads = threads


@dataclass
class Opened:
    """A store, and the service on it."""

    store: Store
    conversations: Conversations
    eraser: Eraser


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Opened]:
    """Open the store beside a server.

    Raises:
        OnethreadError: it cannot be opened.
    """
    from server.stores import ledger_of, store_of

    store = store_of(settings, exclusive=False)
    await store.open()
    conversations = Conversations(store)
    try:
        eraser = Eraser(store, conversations, ledger_of(settings), clock=lambda: datetime.now(UTC))
        yield Opened(store, conversations, eraser)
    finally:
        await conversations.stop()
        await store.close()


async def meant(on: Opened, text: str) -> ThreadId:
    """Return the conversation in which the person goes on whom somebody means.

    Raises:
        Nobody, Several: it is not one.
        Unavailable: the store cannot be read.
    """
    text = text.strip()
    if (thread := await on.store.find_address(text)) is not None:
        return thread
    if text.isalnum() and (await on.conversations.refresh(text)).seq:
        return text
    if unnamed := await _unnamed(on, text):
        return await _only(on, unnamed)
    digits = "".join(filter(str.isdecimal, text))
    number = digits.lstrip("0") if len(digits) >= SHORTEST and not any(map(str.isalpha, text)) else ""
    words = (number[-4:],) if number else asked_words(text)
    found = {hit.row.thread.id: hit.row.thread for hit in await on.store.search(words, CANDIDATES)}
    if number:
        found = {
            id: thread
            for id, thread in found.items()
            if any(each.address.value.lstrip("+").endswith(number) for each in thread.addresses)
        }
    return await _only(on, found)


async def _unnamed(on: Opened, text: str) -> list[ThreadId]:
    """Return the conversations of people without a name whom the console calls so, in any of its languages."""
    tails = {found[1].upper() for pattern in _shown() if (found := pattern.fullmatch(text))}
    if not tails:
        return []
    alike: list[ThreadId] = []
    after = ""
    while ids := await on.store.each_thread(after):
        alike += [id for id in ids if id[-4:].upper() in tails]
        after = ids[-1]
    return [id for id in alike if not (await on.conversations.refresh(id)).name]


def _shown() -> list[re.Pattern[str]]:
    from server.web.strings import LANGUAGES, table

    shown = [table(each)["visitor"].partition("{tail}") for each in LANGUAGES]
    return [re.compile(rf"{re.escape(before)}(\w{{4}}){re.escape(after)}", re.IGNORECASE) for before, _, after in shown]


async def _only(on: Opened, found: Iterable[ThreadId]) -> ThreadId:
    """Return the one conversation in which these people, who must be one, go on."""
    heads = list(dict.fromkeys([(await on.eraser.whole(id))[0] for id in found]))
    if not heads:
        raise Nobody
    if len(heads) > 1:
        raise Several(heads)
    return heads[0]
