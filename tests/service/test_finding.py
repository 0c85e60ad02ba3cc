"""Finding a conversation by when something was said in it, and through which door."""

from datetime import datetime, timedelta

from server.core import commands
from server.core.model import Channel
from server.core.ports import Store
from server.service.conversations import Conversations
from server.service.finding import Finding, Wanted
from server.service.inbox import Inbox
from tests.service.given import NOON, VISITOR, Clock

DAY = timedelta(days=1)


class Years:
    """A conversation of years: a message a day, and what stands in the list."""

    def __init__(self, store: Store) -> None:
        self.clock = Clock()
        self._conversations = Conversations(store, clock=self.clock)
        self.inbox = Inbox(store, clock=self.clock)
        self._conversations.observers.append(self.inbox.touch)
        self.finding = Finding(store, self.inbox)

    async def says(self, text: str, thread: str = "t1", channel: Channel = Channel.WEB) -> None:
        key = f"{thread} {self.clock.now.isoformat()}"
        post = commands.Post(thread=thread, key=key, by=VISITOR, text=text, channel=channel)
        await self._conversations.handle(post)
        await self.inbox.flush()

    async def is_read(self, upto: int, thread: str = "t1") -> None:
        read = commands.Read(thread=thread, key=f"read {upto}", by=commands.staff("anna"), upto=upto)
        await self._conversations.handle(read)
        await self.inbox.flush()

    async def found(
        self, query: str = "", since: datetime | None = None, until: datetime | None = None, on: Channel | None = None
    ) -> list[str]:
        found = await self.finding.find(Wanted(query, since, until, on))
        return [row.thread.id for row in found.rows]


async def test_a_day_in_a_conversation_of_years_is_found_and_a_day_of_silence_is_not(store: Store) -> None:
    years = Years(store)
    for _ in range(70):
        await years.says("Good morning")
        years.clock.go_on(10 * DAY)

    assert await years.found("morning", NOON + 300 * DAY, NOON + 301 * DAY) == ["t1"]
    assert await years.found("morning", NOON + 301 * DAY, NOON + 309 * DAY) == []
    assert await years.found("", NOON + 300 * DAY, NOON + 301 * DAY) == ["t1"]
    assert await years.found("evening", NOON + 300 * DAY, NOON + 301 * DAY) == []
    assert await years.found("morning", until=NOON) == []
    assert await years.found("morning", until=NOON + timedelta(seconds=1)) == ["t1"]
    assert await years.found("morning", since=years.clock.now) == []


async def test_only_what_was_said_counts_and_only_on_that_channel(store: Store) -> None:
    years = Years(store)
    await years.says("On the website")
    years.clock.go_on(10 * DAY)
    await years.is_read(1)
    years.clock.go_on(10 * DAY)
    await years.says("By telephone", channel=Channel.VOICE)

    assert await years.found("website", NOON + 10 * DAY, NOON + 11 * DAY) == []
    assert await years.found("website", NOON, NOON + DAY, Channel.VOICE) == []
    assert await years.found("website", NOON + 20 * DAY, None, Channel.VOICE) == ["t1"]
    assert await years.found("website", on=Channel.VOICE) == ["t1"]
    assert await years.found("website", on=Channel.WHATSAPP) == []


async def test_a_search_says_when_there_may_be_more(store: Store) -> None:
    years = Years(store)
    for number in range(21):
        await years.says("Hello", f"t{number}")
        years.clock.go_on(DAY)
    newest = [f"t{number}" for number in range(20, 0, -1)]

    for wanted in (Wanted("hello"), Wanted("hello", NOON), Wanted("", NOON)):
        found = await years.finding.find(wanted)
        assert [row.thread.id for row in found.rows] == newest, wanted
        assert found.more
    few = await years.finding.find(Wanted("hello", NOON + 15 * DAY))
    assert (len(few.rows), few.more) == (6, False)


async def test_nothing_asked_is_nothing_found(store: Store) -> None:
    years = Years(store)
    await years.says("Hello")

    assert await years.found(" ") == []
