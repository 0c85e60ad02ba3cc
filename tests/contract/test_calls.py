"""A call on both stores: it is written down, found as owed when nobody hangs up, summed up, and a code serves once."""

from datetime import timedelta

from server.core.calling import Incoming, Turned
from server.core.events import Called, HungUp, Summarised
from server.core.model import Ending, TaskKind
from server.core.ports import Store
from server.service.conversations import Conversations
from tests.contract.scenes import whole_log
from tests.service.given import Clock
from tests.service.test_after_calls import House
from tests.service.test_calls import MIA, OUR


async def test_a_call_is_kept_owed_and_summed_up(store: Store) -> None:
    clock = Clock()
    phone = House(store, Conversations(store, clock=clock), clock)
    line = await phone.call("eczema", code=False)
    await phone.calls.want_call_back(line, "back")

    clock.go_on(timedelta(minutes=16))
    await phone.work()

    log = await whole_log(store, line.thread)
    assert isinstance(log[0], Called)
    assert [event.why for event in log if isinstance(event, HungUp)] == [Ending.LOST]
    assert isinstance(log[-1], Summarised)
    assert await store.owed(line.thread, "summarise") == []
    again = Conversations(store, clock=clock)
    state = await again.thread(line.thread)
    assert (state.call, [(task.kind, task.number) for task in state.tasks]) == (None, [(TaskKind.CALLBACK, MIA)])
    await again.stop()
    await phone.conversations.stop()


async def test_a_code_serves_the_first_call_that_brings_it(store: Store) -> None:
    clock = Clock()
    phone = House(store, Conversations(store, clock=clock), clock)
    await phone.asked_last_night()
    code = (await phone.dialled.code_for("web")).digits
    one = (await phone.calls.ring(Incoming("c1", OUR, MIA))).line
    other = (await phone.calls.ring(Incoming("c2", OUR, "+49302"))).line

    one, first = await phone.calls.dial(one, "1", code)
    _, second = await phone.calls.dial(other, "1", code)
    resumed = await phone.calls.ring(Incoming("c1", OUR, MIA))

    assert (first, one.thread, second) == (Turned.PROVEN, "web", Turned.WRONG_CODE)
    assert (resumed.resumed, resumed.line.thread, resumed.line.proven) == (True, "web", True)
    await phone.conversations.stop()
