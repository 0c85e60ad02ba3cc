"""A number that was named on the website: its own answer is the proof, and until then nothing is known anywhere."""

import pytest

from server.core import choices
from server.core.model import Channel, Purpose
from server.core.routing import agreement
from server.service.inbound import visitor_address
from server.service.linking import ANSWERED_BY
from server.service.sentences import say
from tests.service.test_linking import MIA, PHONE, Doors, doors

__all__ = ["doors"]
MARK = "0123456789abcdef"
NUMBER, ANOTHER = "our:4915112345678", "our:4915199999999"


async def asked(doors: Doors, number: str = NUMBER, mark: str = MARK) -> bool:
    await doors.say("web", "Wann ist offen?", MIA, Channel.WEB, language="de")
    return await doors.linking.ask_number(number, "web", mark)


async def answers(doors: Doors, word: str, thread: str, number: str = NUMBER, mark: str = MARK) -> str:
    """Let an answer come in as a channel does."""
    choice = f"{word}:{mark}"
    goes_on = await doors.linking.own(choice, thread, number) or thread
    await doors.say(goes_on, word, PHONE, Channel.WHATSAPP, choice=choice)
    return goes_on


async def test_who_says_yes_from_the_number_goes_on_in_the_same_conversation(doors: Doors) -> None:
    assert await asked(doors)
    assert await doors.linking.asked_number(NUMBER) == MARK

    assert await answers(doors, choices.KNOW_YES, "phone") == "web"

    assert (await doors.said("web"))[-1] == say("link_good", "de")
    assert await doors.linking.own(f"{choices.KNOW_YES}:{MARK}", "web", NUMBER) is None  # again is the same as once


async def test_nobody_answers_for_another_number(doors: Doors) -> None:
    assert await asked(doors)

    assert await doors.linking.asked_number(ANOTHER) is None
    assert await answers(doors, choices.KNOW_YES, "phone", ANOTHER) == "phone"
    assert (await doors.said("phone"))[-1] == say("number_over", "en")
    assert await doors.apart()


async def test_a_conversation_with_a_history_is_asked_there_first(doors: Doors) -> None:
    await doors.say("phone", "Mein Befund?", PHONE, Channel.WHATSAPP, language="de")
    assert await asked(doors)

    assert await answers(doors, choices.KNOW_YES, "phone") == "phone"
    assert await doors.apart()

    yes, _ = await doors.asked("phone")
    assert await doors.linking.confirm(yes.id, "phone", NUMBER, "tap") == "phone"
    assert [each.thread for each in (await doors.conversations.refresh("phone")).joined] in ([], ["web"])
    assert (await doors.conversations.refresh("web")).moved_to == "phone"


async def test_a_stranger_says_no_learns_nothing_and_is_never_asked_again(doors: Doors) -> None:
    assert await asked(doors)

    assert await answers(doors, choices.KNOW_NO, "phone") == "phone"

    assert (await doors.said("phone"))[-1] == say("number_stranger", "de")
    assert await doors.apart()
    standing = agreement(await doors.conversations.refresh("web"), Channel.WHATSAPP, Purpose.SERVICE)
    assert standing is not None
    assert (standing.given, standing.source) == (False, "not_theirs")
    assert await answers(doors, choices.KNOW_YES, "phone") == "phone"  # a no stands
    assert not await doors.linking.ask_number(NUMBER, "web", "another")


async def test_a_number_is_asked_once_a_day_whoever_names_it(doors: Doors) -> None:
    assert await asked(doors)
    assert not await doors.linking.ask_number(NUMBER, "elsewhere", "another")
    assert await doors.linking.ask_number(NUMBER, "web", MARK)  # said again


@pytest.mark.parametrize("choice", ["know_yes:", "know_yes:nobody", "link_yes:x", "know_no:"])
async def test_made_up_answers_lead_nowhere(doors: Doors, choice: str) -> None:
    assert await asked(doors)

    assert await doors.linking.own(choice, "phone", NUMBER) is None
    assert await doors.apart()


async def test_who_came_to_see_is_told_so(doors: Doors) -> None:
    await doors.say("phone", "Mein Befund?", PHONE, Channel.WHATSAPP, language="de")
    browser = visitor_address("demo", "hash")
    code = await doors.linking.code_to_show("web", MIA, browser, doors.clock() + ANSWERED_BY, "de")
    assert code.sentence == say("show_sentence", "de", code=code.text)
    assert not (await doors.conversations.refresh("web")).last_message

    assert await doors.agree(code.sentence, "phone") == "phone"

    assert (await doors.said("phone"))[-1] == say("link_shown", "de")
    assert (await doors.conversations.refresh("web")).moved_to == "phone"
