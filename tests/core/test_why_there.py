"""Why a message of ours went where it went is kept with it: what decided may have changed when somebody asks."""

from datetime import timedelta
from typing import Any

import pytest

from server.core import commands
from server.core.conversation import decide
from server.core.errors import BadValue
from server.core.events import Posted
from server.core.model import Channel, Thread, WhyThere
from tests.core.given import ANNA, EMPTY, NOON, after, answer, ask, link, reply, ring

WEB = ask()
PHONE = ask(channel=Channel.WHATSAPP, our="4930111")
PREFERS_WEB = commands.Prefer(thread="t1", key="prefer", by=ANNA, channel=Channel.WEB)


def went(thread: Thread, command: commands.AnyCommand) -> WhyThere | None:
    said = decide(thread, command, NOON)
    assert isinstance(said, Posted)
    return said.went


@pytest.mark.parametrize(
    ("before", "command", "why"),
    [
        ([link(), PHONE], reply(), WhyThere.LAST),
        ([link(), PHONE], answer(2), WhyThere.ANSWERS),
        ([link(), PHONE, PREFERS_WEB], reply(), WhyThere.PREFERS),
        ([link(), WEB], reply(on=Channel.WHATSAPP), WhyThere.CHOSEN),
        ([link(), PHONE], reply(on=Channel.WHATSAPP), WhyThere.LAST),
        ([link()], reply(), WhyThere.PROVEN),
        ([ring()], reply(), WhyThere.CALL),
        ([WEB], reply(), None),
        ([WEB], PHONE, None),
    ],
)
def test_the_reason_is_the_one_that_decided(
    before: list[commands.AnyCommand], command: Any, why: WhyThere | None
) -> None:
    assert went(after(*before), command) is why


def test_a_reply_that_waited_says_since_when_and_never_since_later_than_now() -> None:
    typed = NOON - timedelta(hours=2)
    waited = decide(after(PHONE), reply(waited_since=typed), NOON)
    early = decide(after(PHONE), reply(waited_since=NOON + timedelta(hours=2)), NOON)

    assert isinstance(waited, Posted)
    assert isinstance(early, Posted)
    assert (waited.waited_since, early.waited_since) == (typed, NOON)
    with pytest.raises(BadValue):
        decide(EMPTY, reply(waited_since=typed.replace(tzinfo=None)), NOON)
