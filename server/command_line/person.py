"""What `erase` and `export` share: whom somebody means, and the service on a store that a server may be using."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from server.core.errors import Refused
from server.core.model import ThreadId
from server.core.ports import Store
from server.service.conversations import Conversations
from server.service.erasing import Eraser
from server.service.search import asked_words
from server.settings import Settings

PERSON = "a conversation's id, a whole address record, a telephone number with its country, or a name"
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
    heads = list(dict.fromkeys([(await on.eraser.whole(id))[0] for id in found]))
    if not heads:
        raise Nobody
    if len(heads) > 1:
        raise Several(heads)
    return heads[0]
