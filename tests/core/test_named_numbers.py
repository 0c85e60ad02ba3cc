"""A number that somebody has only named: it can be asked whether it is theirs, and nothing else goes there."""

import pytest

from server.core import commands
from server.core.commands import ASSISTANT, Post
from server.core.conversation import decide
from server.core.errors import BadValue, NotAllowed
from server.core.events import Posted
from server.core.evolving import evolve
from server.core.model import Assurance, AsTemplate, Channel, Choice, DeliveryStatus, Thread
from server.core.owed import Deliver
from server.core.routing import reply_channel
from tests.core.given import ANNA, MOBILE, NOON, OTHER_MOBILE, VISITOR, after, ask, take

ASKED = AsTemplate("know_me", "en", (("clinic", "Riverside"),))


def named(assurance: Assurance = Assurance.CLAIMED) -> Thread:
    link = commands.LinkAddress(thread="t1", key="link", by=VISITOR, address=MOBILE, assurance=assurance)
    return after(ask(), link)


def asking(**changed: object) -> Post:
    given = {"thread": "t1", "key": "know", "by": ASSISTANT, "text": "Was that you?", "to": MOBILE, "template": ASKED}
    return Post(**{**given, **changed})  # type: ignore[arg-type]  # each test names what differs


def test_a_number_that_was_named_is_asked_there_and_the_conversation_stays_where_it_is() -> None:
    thread = named()

    asked = decide(thread, asking(), NOON)

    assert isinstance(asked, Posted)
    assert (asked.channel, asked.to, asked.owes) == (
        Channel.WHATSAPP,
        MOBILE,
        (Deliver(due=NOON, channel=Channel.WHATSAPP, to=MOBILE),),
    )
    after = evolve(thread, asked)
    assert [(each.of, each.status) for each in after.deliveries] == [(asked.seq, DeliveryStatus.QUEUED)]
    assert (after.last_reply, after.answered) == (thread.last_reply, thread.answered)  # nothing was said to them
    assert reply_channel(after) is Channel.WEB


def test_it_may_be_asked_while_a_colleague_has_the_floor() -> None:
    held = named()
    taken = decide(held, take(ANNA), NOON)
    assert taken is not None

    assert decide(evolve(held, taken), asking(), NOON) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": OTHER_MOBILE},
        {"template": None},
        {"choices": (Choice("yes", "Yes"),)},
    ],
)
def test_nothing_but_a_template_goes_to_a_number_and_only_to_one_that_was_named(wrong: dict[str, object]) -> None:
    with pytest.raises(BadValue):
        decide(named(), asking(**wrong), NOON)


def test_a_number_that_is_proven_is_not_asked_again() -> None:
    with pytest.raises(BadValue):
        decide(named(Assurance.PROVEN), asking(), NOON)


def test_nobody_but_the_assistant_asks() -> None:
    with pytest.raises(NotAllowed):
        decide(named(), asking(by=ANNA), NOON)
    with pytest.raises(NotAllowed):
        decide(named(), asking(by=VISITOR), NOON)
