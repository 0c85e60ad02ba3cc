"""Messages leave: once, in order, and honestly when nobody knows. On both stores, over real sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from channels.whatsapp.accounts import Account
from channels.whatsapp.client import WhatsApp
from channels.whatsapp.template_file import read_templates
from server.core import commands, delivery, evolving
from server.core.commands import ASSISTANT, SYSTEM, AnyCommand
from server.core.errors import Unavailable
from server.core.events import Posted
from server.core.identity import keyed_hash
from server.core.model import (
    Address,
    Agreement,
    Assurance,
    AsTemplate,
    Channel,
    Choice,
    Delivery,
    DeliveryStatus,
    File,
    Purpose,
    Thread,
)
from server.core.ports import Due, Lease, Store
from server.core.sending import Courier, Lost, Parcel, Place, Remedy, Report, SendOutcome
from server.service import outbox
from server.service.conversations import Conversations, Handled
from server.service.outbox import Outbox, Patience
from tests.contract.provider import Provider, a_provider
from tests.service.given import ANNA, NOON, VISITOR, Clock, house, post

OUR = "106540352242922"
MOBILE = Address(Channel.WHATSAPP, OUR, "wa_id", "4915112345678")
SECRET = b"s" * 32
SECOND = timedelta(seconds=1)
ON_ONE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)  # what the store has no part in
QUEUED, SENDING, UNKNOWN, SENT, FAILED, DELIVERED, READ = DeliveryStatus
TEMPLATES = read_templates(
    """
- id: reminder
  category: utility
  variables:
    day: {type: date, example: "2026-11-27"}
  text:
    de: {body: "Ihr Termin ist am {{day}} bei uns."}
  providers:
    meta: {name: reminder_1}
"""
)


class Office:
    """One process that works on ``store``, its provider and its clock."""

    def __init__(self, store: Store, provider: Provider, clock: Clock, conversations: Conversations, name: str) -> None:
        self.store, self.provider, self.clock, self.conversations = store, provider, clock, conversations
        account = Account("demo", "meta", OUR, base_url=f"http://127.0.0.1:{provider.port}", token="t")
        self.courier = WhatsApp(
            [account],
            templates=lambda: TEMPLATES,
            read_file=self.read,
            file_url=lambda file: "",
            callback=lambda account: "",
            language="de",
            http=httpx.AsyncClient(timeout=10, trust_env=False),
        )
        self.name, self.files_away = name, False
        self.outbox = self.outbox_with(self.courier)

    def outbox_with(self, courier: Courier) -> Outbox:
        return Outbox(
            self.store,
            self.conversations,
            {Channel.WHATSAPP: courier},
            name=self.name,
            secret=SECRET,
            clock=self.clock,
            patience=Patience(burst=3),
        )

    async def read(self, id: str) -> bytes:
        if self.files_away:
            raise Unavailable
        return b"%PDF"

    async def say(self, *said: AnyCommand) -> None:
        for command in said:
            await self.conversations.handle(command)

    async def work(self, after: timedelta = timedelta(0)) -> None:
        self.clock.go_on(after)
        await self.outbox.work("t1")

    async def deliveries(self) -> tuple[Delivery, ...]:
        return (await self.conversations.refresh("t1")).deliveries

    async def status(self, status: DeliveryStatus, tag: str = "", id: str = "", **more: Any) -> bool:
        return await self.outbox.heard(Report(id or "wamid.1", status, tag, **more))

    async def owed(self) -> list[int]:
        return [due.seq for due in await self.store.owed("t1", "deliver")]


class Slow:
    """A courier that takes its time: over preparing until ``tried`` returns, and over an answer for ever."""

    channel = Channel.WHATSAPP

    def __init__(self, courier: WhatsApp, tried: Callable[[], Awaitable[None]]) -> None:
        self._courier, self._tried = courier, tried
        self.seen, self.react = courier.seen, courier.react

    async def prepare(
        self,
        thread: Thread,
        message: Posted,
        to: Address,
        tag: str,
        now: datetime,
        shut_at: datetime | None,
        quote: str = "",
    ) -> tuple[Parcel, ...]:
        await self._tried()
        return await self._courier.prepare(thread, message, to, tag, now, shut_at, quote)

    async def send(self, parcel: Parcel) -> SendOutcome:
        await asyncio.Event().wait()
        return Lost()


class Dying:
    """A courier whose process ends when it has handed a parcel over, and before it can say so."""

    channel = Channel.WHATSAPP

    def __init__(self, courier: WhatsApp) -> None:
        self._courier = courier
        self.prepare, self.react, self.seen = courier.prepare, courier.react, courier.seen
        self.handed_over = asyncio.Event()

    async def send(self, parcel: Parcel) -> SendOutcome:
        await self._courier.send(parcel)
        self.handed_over.set()
        await asyncio.Event().wait()
        return Lost()


def reply(key: str = "r1", text: str = "Please come at nine.", **more: Any) -> commands.Post:
    return post(key, text, by=ANNA, **more)


LINK = commands.LinkAddress(thread="t1", key="l", by=SYSTEM, address=MOBILE, assurance=Assurance.PROVEN)
ASK = post("q1", channel=Channel.WHATSAPP, our=OUR)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with a_provider() as provider:
        yield provider


@pytest.fixture
async def office(store: Store, provider: Provider) -> AsyncIterator[Office]:
    """An office in which somebody has just written: event 1 is their address, event 2 their question."""
    clock = Clock()
    async with house(store, clock) as conversations:
        office = Office(store, provider, clock, conversations, "one")
        await office.say(LINK, ASK)
        yield office
        await office.outbox.stop()
        await office.courier.close()


async def test_a_reply_leaves_once_and_its_statuses_find_it(office: Office) -> None:
    await office.say(reply())
    await office.work()
    await office.work()

    assert office.provider.texts == ["Please come at nine."]
    assert await office.deliveries() == (Delivery(3, SENT),)
    assert await office.owed() == []

    assert await office.status(DELIVERED)
    assert await office.status(FAILED, because="busy")
    assert await office.deliveries() == (Delivery(3, DELIVERED),)
    assert await office.status(READ)
    assert await office.deliveries() == ()
    assert not await office.status(READ, id="wamid.somebody-elses")
    assert not await office.status(READ, id="wamid.somebody-elses", tag="nonsense-1.0")


async def test_several_replies_keep_their_order_and_the_persons_pace(office: Office) -> None:
    for n in range(5):
        await office.say(reply(f"r{n}", f"{n}"))
    await asyncio.gather(office.work(), office.work(), office.work())
    assert office.provider.texts == ["0", "1", "2"]

    await office.work(18 * SECOND)
    assert office.provider.texts == ["0", "1", "2", "3", "4"]
    assert await office.owed() == []


async def test_a_status_that_comes_before_the_send_has_returned_finds_its_message(office: Office) -> None:
    office.provider.next = ["accept_and_hang_up"]
    await office.say(reply())
    await office.work()
    assert await office.deliveries() == (Delivery(3, UNKNOWN),)

    assert await office.status(DELIVERED, tag=office.provider.tags[0])
    assert await office.deliveries() == (Delivery(3, DELIVERED),)
    await office.work(120 * SECOND)

    assert (office.provider.asked, await office.owed()) == (1, [])
    assert await office.status(READ)  # by the id that the first status brought


async def test_who_dies_between_sending_and_recording_leaves_one_unknown_that_a_status_resolves(office: Office) -> None:
    await office.say(reply(), reply("r2", "And bring your card."))
    dying = Dying(office.courier)
    killed = asyncio.create_task(office.outbox_with(dying).work("t1"))
    await dying.handed_over.wait()
    killed.cancel()
    await asyncio.wait([killed])  # gives the lane back, as the end of a lease would

    heir = Office(office.store, office.provider, office.clock, office.conversations, "two")
    await heir.work()
    assert heir.provider.texts == ["Please come at nine.", "And bring your card."]  # the first steps aside
    assert await heir.deliveries() == (Delivery(3, UNKNOWN), Delivery(4, SENT))

    assert await heir.status(SENT, tag=heir.provider.tags[0])
    await heir.work(200 * SECOND)
    assert (heir.provider.asked, await heir.owed()) == (2, [])
    assert [each.status for each in await heir.deliveries()] == [SENT, SENT]
    await heir.courier.close()


@ON_ONE
async def test_a_page_from_somebody_in_the_middle_says_nothing_of_the_message(office: Office) -> None:
    office.provider.next = ["accept_and_lose_the_answer"]
    await office.say(reply())
    for _ in range(3):
        await office.work(timedelta(minutes=3))

    assert office.provider.asked == 1
    assert await office.deliveries() == (Delivery(3, UNKNOWN),)


@ON_ONE
async def test_of_what_nobody_knows_a_reminder_goes_once_more_and_words_of_staff_wait_for_a_person(
    office: Office,
) -> None:
    yes = Agreement(Channel.WHATSAPP, Purpose.REMINDERS, given=True)
    office.provider.next = ["hang_up", "hang_up"]
    await office.say(
        commands.Agree(thread="t1", key="a", by=VISITOR, agreement=yes),
        post("m1", "Tomorrow at nine.", by=ASSISTANT, purpose=Purpose.REMINDERS),
        reply(),
    )
    await office.work()
    await office.work()
    assert [each.status for each in await office.deliveries()] == [UNKNOWN, UNKNOWN]
    assert office.provider.accepted == []

    await office.work(121 * SECOND)
    assert office.provider.texts == ["Tomorrow at nine."]
    assert [each.status for each in await office.deliveries()] == [SENT, UNKNOWN]
    assert await office.owed() == []

    await office.say(commands.Retry(thread="t1", key="again", by=ANNA, of=5))
    await office.work()
    assert office.provider.texts == ["Tomorrow at nine.", "Please come at nine."]
    assert [each.status for each in await office.deliveries()] == [SENT, SENT]
    assert office.provider.tags[0].endswith("-1")
    assert office.provider.tags[1].endswith("-2")


@ON_ONE
async def test_what_passes_is_tried_again_less_and_less_often_and_then_is_dead(office: Office) -> None:
    office.provider.next = ["busy"] * 8
    await office.say(reply())
    await office.work()
    assert (office.provider.asked, await office.deliveries()) == (1, (Delivery(3, QUEUED),))
    await office.work(SECOND)
    assert office.provider.asked == 1
    for _ in range(7):
        await office.work(timedelta(hours=3))

    assert await office.deliveries() == (Delivery(3, FAILED, error="busy"),)
    assert (office.provider.asked, await office.owed()) == (8, [])


@ON_ONE
async def test_what_goes_through_at_the_second_try_has_left_once(office: Office) -> None:
    office.provider.next = ["busy", "slowly"]
    await office.say(reply())
    for _ in range(3):
        await office.work(timedelta(seconds=20))

    assert office.provider.texts == ["Please come at nine."]
    assert await office.deliveries() == (Delivery(3, SENT),)


@ON_ONE
async def test_that_the_provider_has_a_message_resolves_what_nobody_knew(office: Office) -> None:
    office.provider.next = ["accept_and_hang_up"]
    await office.say(reply())
    await office.work()

    assert await office.status(SENDING, tag=office.provider.tags[0])
    assert await office.deliveries() == (Delivery(3, SENT),)


@ON_ONE
async def test_a_file_that_cannot_be_read_now_is_tried_again_less_and_less_often(office: Office) -> None:
    office.files_away = True
    await office.say(reply(files=(File("f1", "a.pdf", "application/pdf", 4),)))
    for _ in range(3):
        await office.work()
    assert [due.attempts for due in await office.store.owed("t1", "deliver")] == [1]

    office.files_away = False
    await office.work(timedelta(minutes=1))
    assert [each["type"] for each in office.provider.accepted] == ["document"]

    office.files_away = True
    await office.say(reply("r2", files=(File("f1", "a.pdf", "application/pdf", 4),)))
    for _ in range(9):
        await office.work(timedelta(hours=2, minutes=31))
    assert (await office.deliveries())[-1].status is FAILED


@ON_ONE
async def test_a_message_that_will_never_arrive_is_dead_at_once_and_a_new_attempt_is_a_real_one(
    office: Office,
) -> None:
    office.provider.next = ["unreachable"]
    await office.say(reply(), reply("r2", "Second."))
    await office.work()
    assert await office.deliveries() == (Delivery(3, FAILED, error="unreachable"), Delivery(4, SENT))

    await office.say(commands.Retry(thread="t1", key="again", by=ANNA, of=3))
    await office.work()
    assert office.provider.texts == ["Second.", "Please come at nine."]
    assert [each.status for each in await office.deliveries()] == [SENT, SENT]
    assert await office.status(FAILED, tag=office.provider.tags[1][:-1] + "1", id="wamid.2", because="unreachable")
    assert [each.status for each in await office.deliveries()] == [SENT, SENT]  # that was the attempt before


@ON_ONE
async def test_a_failure_that_a_status_brings_can_be_tried_again(office: Office) -> None:
    await office.say(reply())
    await office.work()
    await office.status(FAILED, because="unreachable", remedy=Remedy.PERMANENT)
    assert await office.deliveries() == (Delivery(3, FAILED, error="unreachable"),)

    await office.say(commands.Retry(thread="t1", key="again", by=ANNA, of=3))
    await office.work()
    assert len(office.provider.accepted) == 2
    assert await office.deliveries() == (Delivery(3, SENT),)


@ON_ONE
async def test_a_number_out_of_order_rests_for_everybody_and_nothing_is_lost(office: Office) -> None:
    office.provider.next = ["access"] * 3
    await office.say(reply())
    await office.work()
    pause = await office.outbox.pause(OUR)
    assert pause is not None
    assert (pause.because, pause.until) == ("access", NOON + timedelta(minutes=1))
    await office.say(reply("r2", "Second."))
    assert await office.outbox.outages() == [(OUR, pause, 2)]
    await office.work(timedelta(seconds=30))
    assert office.provider.asked == 1

    for _ in range(12):
        await office.work(timedelta(minutes=4))
    assert office.provider.texts == ["Please come at nine.", "Second."]
    assert (await office.outbox.pause(OUR), await office.outbox.outages()) == (None, [])


@ON_ONE
async def test_what_waited_through_a_long_outage_leaves_in_its_order(office: Office) -> None:
    office.provider.next = ["access"] * 12
    await office.say(reply())
    for _ in range(12):
        await office.work(timedelta(minutes=15))
    assert (await office.owed(), (await office.store.owed("t1", "deliver"))[0].attempts) == ([3], 0)

    await office.say(reply("r2", "Second."))
    await office.work(timedelta(minutes=1))
    assert office.provider.texts == []
    await office.work(timedelta(minutes=15))
    assert office.provider.texts == ["Please come at nine.", "Second."]


@ON_ONE
async def test_more_messages_than_a_conversation_remembers_all_leave_in_their_order(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MAX_DELIVERIES", 4)
    monkeypatch.setattr(evolving, "MAX_DELIVERIES", 4)
    said = [f"{number}" for number in range(10)]
    await office.say(*(reply(f"r{number}", number) for number in said))
    thread = await office.conversations.refresh("t1")
    assert ([each.of for each in thread.deliveries], thread.crowded) == ([3, 4, 5, 6], 12)

    for _ in range(10):
        await office.work(timedelta(minutes=1))
    assert (office.provider.texts, await office.owed()) == (said, [])
    thread = await office.conversations.refresh("t1")
    assert thread.deliveries == tuple(Delivery(of, SENT) for of in (9, 10, 11, 12))
    assert (thread.crowded, thread.let_go) == (0, 8)


@ON_ONE
async def test_a_lane_that_waits_is_not_looked_at_with_every_sweep(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.provider.next = ["access"]
    await office.say(reply(), reply("r2", "Second."))
    await office.work()
    looked, owed = 0, office.store.owed

    async def counted(thread: str, kind: str, upto: int | None = None) -> list[Due]:
        nonlocal looked
        looked += 1
        return await owed(thread, kind, upto)

    monkeypatch.setattr(office.store, "owed", counted)
    for _ in range(4):
        office.clock.go_on(3 * SECOND)
        office.outbox.start("t1")
        await office.outbox.rest()
    assert looked == 0

    office.clock.go_on(timedelta(minutes=1))
    office.outbox.start("t1")
    await office.outbox.rest()
    assert office.provider.texts == ["Please come at nine.", "Second."]


@ON_ONE
async def test_nobody_at_the_other_end_counts_no_attempt(office: Office, provider: Provider) -> None:
    there = office.courier._accounts[OUR]
    office.courier._accounts[OUR] = Account("demo", "meta", OUR, base_url="http://127.0.0.1:1", token="t")
    await office.say(reply())
    for _ in range(12):
        await office.work(timedelta(minutes=2))
    assert await office.deliveries() == (Delivery(3, QUEUED),)

    office.courier._accounts[OUR] = there
    await office.work(timedelta(minutes=15))
    assert provider.texts == ["Please come at nine."]


@ON_ONE
async def test_outside_the_window_only_a_template_leaves(office: Office) -> None:
    await office.say(reply(), reply("r2", "", template=AsTemplate("reminder", "de", (("day", "2026-11-27"),))))
    await office.work(timedelta(hours=24))

    assert [each["type"] for each in office.provider.accepted] == ["template"]
    assert await office.deliveries() == (Delivery(3, FAILED, error="window_closed"), Delivery(4, SENT))
    await office.say(post("q2", channel=Channel.WHATSAPP, our=OUR))
    await office.say(commands.Retry(thread="t1", key="again", by=ANNA, of=3))
    await office.work()
    assert office.provider.texts[1:] == ["Please come at nine."]


@ON_ONE
async def test_a_window_that_whatsapp_says_is_closed_is_closed_until_they_write(office: Office) -> None:
    office.provider.next = ["window"]
    await office.say(reply(), reply("r2", "Second."))
    await office.work()
    await office.work()
    assert (office.provider.asked, {each.error for each in await office.deliveries()}) == (1, {"window_closed"})

    office.clock.go_on(SECOND)
    await office.say(post("q2", channel=Channel.WHATSAPP, our=OUR), reply("r3", "Third."))
    await office.work()
    assert office.provider.texts == ["Third."]


@ON_ONE
async def test_a_no_counts_where_messages_leave(office: Office) -> None:
    await office.say(post("m1", "Where are you?", by=ASSISTANT))
    for purpose in Purpose:
        no = Agreement(Channel.WHATSAPP, purpose, given=False)
        await office.say(commands.Agree(thread="t1", key=f"stop:{purpose}", by=VISITOR, agreement=no))
    await office.say(post("q2", "STOP", channel=Channel.WHATSAPP, our=OUR))
    asked = await office.conversations.thread("t1")
    await office.say(post("answer:7", "You will hear no more of us.", by=ASSISTANT, covers=asked.last_person), reply())
    await office.work()

    assert office.provider.texts == ["You will hear no more of us."]
    assert [each.error for each in await office.deliveries()] == ["opted_out", None, "opted_out"]


@ON_ONE
async def test_whoever_told_whatsapp_that_they_want_no_news_has_told_us(office: Office) -> None:
    yes = Agreement(Channel.WHATSAPP, Purpose.NEWS, given=True)
    office.provider.next = ["opted_out"]
    await office.say(
        commands.Agree(thread="t1", key="a", by=VISITOR, agreement=yes),
        post("n1", "We have moved.", by=ASSISTANT, purpose=Purpose.NEWS),
        reply("r1", "Are you there?"),
    )
    await office.work()

    thread = await office.conversations.refresh("t1")
    assert [(each.purpose, each.given) for each in thread.agreements] == [(Purpose.NEWS, False)]
    assert {each.error for each in thread.deliveries} == {"opted_out"}


@ON_ONE
async def test_every_part_of_a_long_message_has_a_state_of_its_own(office: Office) -> None:
    office.provider.next = ["accept", "accept", "unreachable"]
    files = (File("f1", "a.pdf", "application/pdf", 4), File("f2", "b.png", "image/png", 4))
    await office.say(reply("r1", "Both, please.", files=files, choices=(Choice("a", "Yes"),)))
    await office.work()

    assert office.provider.uploads == 2
    assert [each.status for each in await office.deliveries()] == [SENT, SENT, FAILED]
    assert [tag.rpartition(".")[2] for tag in office.provider.tags] == ["0", "1"]
    assert await office.status(READ, tag=office.provider.tags[1], id="wamid.2")
    assert [each.status for each in await office.deliveries()] == [SENT, READ, FAILED]

    await office.say(commands.Retry(thread="t1", key="again", by=ANNA, of=3))
    await office.work(timedelta(minutes=1))
    assert [each["type"] for each in office.provider.accepted] == ["document", "image", "interactive"]


async def test_two_workers_never_send_the_same(office: Office) -> None:
    other = Office(office.store, office.provider, office.clock, office.conversations, "two")
    await office.say(*(reply(f"r{n}", f"{n}") for n in range(3)))
    await asyncio.gather(*(each.work() for each in (office, other, office, other)))
    await office.work()

    assert office.provider.texts == ["0", "1", "2"]
    await other.courier.close()


@ON_ONE
async def test_a_person_sees_that_we_read_and_answer(office: Office) -> None:
    office.outbox.seen(OUR, "wamid.theirs")
    await office.outbox.rest()

    assert office.provider.marks == ["wamid.theirs"]


@ON_ONE
async def test_what_a_colleague_has_read_is_marked_so_on_the_persons_device(office: Office) -> None:
    await office.outbox.called(Place("t1", 2), OUR, "wamid.theirs")
    office.conversations.observers.append(office.outbox.touch)
    await office.say(commands.Read(thread="t1", key="read", by=VISITOR, upto=2))
    await office.outbox.rest()
    assert office.provider.marks == []

    await office.say(commands.Read(thread="t1", key="read", by=ANNA, upto=2))
    await office.outbox.rest()
    assert office.provider.marks == ["wamid.theirs"]
    assert "typing_indicator" not in json.loads(office.provider.requests[-1][2])


@ON_ONE
async def test_a_reply_of_a_colleague_quotes_what_it_answers_and_an_answer_of_the_assistant_does_not(
    office: Office,
) -> None:
    await office.outbox.called(Place("t1", 2), OUR, "wamid.theirs")
    await office.say(post("a1", "Yes.", by=ASSISTANT, reply_to=2), reply("r1", "Yes, indeed.", reply_to=2))
    await office.say(
        reply("r2", "And ours.", reply_to=3), reply("r3", "Of a number of ours that is another's.", reply_to=1)
    )
    await office.work()
    await office.work(timedelta(minutes=1))

    quoted = {each["text"]["body"]: each.get("context", {}).get("message_id") for each in office.provider.accepted}
    assert list(quoted.values()) == [None, "wamid.theirs", "wamid.1", None]


@ON_ONE
async def test_a_colleagues_sign_is_put_on_the_message_and_taken_off_again(office: Office) -> None:
    await office.outbox.called(Place("t1", 2), OUR, "wamid.theirs")
    office.provider.next = ["accept_and_hang_up", "accept"]
    for key, by, emoji in (("x", VISITOR, "🙂"), ("y", ANNA, "❤️")):
        await office.say(commands.React(thread="t1", key=key, by=by, of=2, emoji=emoji))
    await office.say(reply())
    await office.work()
    assert office.provider.texts == ["Please come at nine."]  # whose answer nobody heard waits, and holds up nothing

    await office.work(timedelta(minutes=1))
    await office.say(commands.React(thread="t1", key="z", by=ANNA, of=2, emoji=""))
    await office.work()
    sent = [each["reaction"] for each in office.provider.accepted if each["type"] == "reaction"]
    assert sent == [{"message_id": "wamid.theirs", "emoji": emoji} for emoji in ("❤️", "❤️", "")]
    assert await office.owed() == []
    assert await office.status(
        READ, id=f"wamid.{len(office.provider.accepted)}"
    )  # and nobody wonders whose status it is


@ON_ONE
async def test_a_sign_that_cannot_be_put_there_is_only_ours(office: Office) -> None:
    await office.say(commands.React(thread="t1", key="x", by=ANNA, of=2, emoji="❤️"))  # nobody knows its name
    await office.work()
    await office.outbox.called(Place("t1", 2), OUR, "wamid.theirs")
    await office.say(commands.React(thread="t1", key="y", by=ANNA, of=2, emoji="❤️"))
    await office.work(timedelta(hours=25))

    assert (office.provider.asked, await office.owed()) == (0, [])


@ON_ONE
async def test_read_marks_wait_for_each_other_and_never_take_the_room_of_what_is_said(office: Office) -> None:
    marked, most, go = 0, 0, asyncio.Event()

    async def seen(our: str, id: str, typing: bool = True) -> None:
        nonlocal marked, most
        marked += 1
        most = max(most, marked)
        await go.wait()
        marked -= 1

    dying = Dying(office.courier)
    dying.seen = seen
    marking = office.outbox_with(dying)
    for number in range(500):
        marking.seen(OUR, f"wamid.{number}")
    await asyncio.sleep(0)
    assert marking.busy == outbox.SEEN_WAITING
    await asyncio.sleep(0)
    go.set()
    await marking.rest()

    assert (most, marked) == (outbox.SEEN_AT_ONCE, 0)


@ON_ONE
async def test_an_attempt_that_is_under_way_is_not_begun_anew_by_the_one_before_it(office: Office) -> None:
    office.provider.next = ["accept_and_hang_up"]
    await office.say(reply())
    await office.work()
    await office.say(commands.Retry(thread="t1", key="again", by=ANNA, of=3))
    dying = Dying(office.courier)
    killed = asyncio.create_task(office.outbox_with(dying).work("t1"))
    await dying.handed_over.wait()
    killed.cancel()
    await asyncio.wait([killed])
    assert office.provider.asked == 2

    await office.work(120 * SECOND)
    await office.work(120 * SECOND)

    assert (office.provider.asked, await office.owed()) == (2, [])
    assert await office.deliveries() == (Delivery(3, UNKNOWN),)


@ON_ONE
async def test_a_lane_stays_ours_while_files_are_given_to_the_provider_and_an_answer_has_an_end(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LEASE", 0.3)
    monkeypatch.setattr(outbox, "SLOWEST", 0.05)
    lane, got = f"deliver:{OUR}:{keyed_hash(SECRET, 'lane', MOBILE.id)}", []

    async def tried() -> None:
        until = time.monotonic() + 0.8  # more than two leases
        while time.monotonic() < until:
            got.append(await office.store.claim(lane, "two", 0.01))
            await asyncio.sleep(0.02)

    await office.say(reply("r1", "Here.", files=(File("f1", "a.pdf", "application/pdf", 4),)))
    await office.outbox_with(Slow(office.courier, tried)).work("t1")

    assert set(got) == {None}
    assert [each.status for each in await office.deliveries()] == [UNKNOWN]


@ON_ONE
async def test_who_cannot_renew_the_lane_leaves_no_mark_and_nobody_wonders_whether_it_left(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, asked = office.store.claim, 0

    async def away(lane: str, holder: str, seconds: float) -> Lease | None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise Unavailable
        return await claim(lane, holder, seconds)

    monkeypatch.setattr(office.store, "claim", away)
    await office.say(reply())
    with pytest.raises(Unavailable):
        await office.work()
    await office.work()

    assert office.provider.texts == ["Please come at nine."]
    assert await office.deliveries() == (Delivery(3, SENT),)


@ON_ONE
async def test_that_nobody_knows_is_told_even_if_the_log_could_not_take_it_at_first(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, away = office.conversations.handle, True

    async def unwell(command: AnyCommand) -> Handled:
        nonlocal away
        if away and isinstance(command, commands.Receive):
            away = False
            raise Unavailable
        return await handle(command)

    monkeypatch.setattr(office.conversations, "handle", unwell)
    office.provider.next = ["hang_up"]
    await office.say(reply())
    with pytest.raises(Unavailable):
        await office.work()
    await office.work()
    await office.work(121 * SECOND)

    assert (office.provider.asked, await office.owed()) == (1, [])
    assert await office.deliveries() == (Delivery(3, UNKNOWN),)


@ON_ONE
async def test_a_refusal_that_is_told_again_does_not_undo_what_the_person_has_agreed_to_since(office: Office) -> None:
    yes = Agreement(Channel.WHATSAPP, Purpose.NEWS, given=True)
    await office.say(commands.Agree(thread="t1", key="a", by=VISITOR, agreement=yes), reply())
    await office.work()
    told = {"because": "opted_out", "remedy": Remedy.SUPPRESS}
    assert await office.status(FAILED, **told)
    thread = await office.conversations.refresh("t1")
    assert [each.given for each in thread.agreements] == [False]

    await office.say(commands.Agree(thread="t1", key="b", by=VISITOR, agreement=yes))
    assert await office.status(FAILED, **told)
    thread = await office.conversations.refresh("t1")
    assert [each.given for each in thread.agreements] == [True]


@ON_ONE
async def test_a_status_of_what_is_known_by_its_id_writes_nothing_but_the_log(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.say(reply())
    await office.work()

    async def put(collection: str, id: str, value: bytes, keep: datetime | None = None) -> None:
        raise AssertionError(collection)

    monkeypatch.setattr(office.store, "put", put)
    assert await office.status(DELIVERED, tag=office.provider.tags[0])
    assert await office.status(READ)
