"""Whoever judges what people on the phone said and heard must find what is wrong: each promise, broken on purpose."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from channels.voice.emulated import Heard
from channels.voice.emulator import Handset
from proof.callers import ASKED, Caller, Said, Spoke, judge_callers, letters, open_calls, session_of
from proof.exchange import DESK, Exchange, Ways
from proof.verdict import Conversation
from server.core.events import AnyEvent, Called, HungUp, Interrupted, Posted, Summarised
from server.core.model import Assurance, Channel, Ending, Role

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET = b"of-nobody"
CALLED, KEPT, ORDER, HEARD, ENDED = range(5)  # the lines, as they come
OPEN, PARKING = "We are open from eight to six.", "You can park behind the house."


class Given:
    """One call: two questions, both answered, the second answer cut off, then the end and the summary."""

    def __init__(self) -> None:
        self.exchange = Exchange(Ways([], random.Random(1), 0.0))
        self.caller = Caller("c1", self.exchange, "+4915799000001", (1.0, 2.0), random.Random(1))
        self.caller.answers = {ASKED[0]: OPEN, ASKED[1]: PARKING}
        handset = Handset(self.exchange, DESK, self.caller.number)
        handset.sockets = 1
        self.lines = handset.lines
        self.lines += [
            Heard("An assistant speaks.", True),
            Heard("one", False),
            Heard(OPEN, True),
            Heard("two", False),
            Heard("You can park", True, cut=True),
        ]
        self.spoke = Spoke(handset, [Said("one", ASKED[0], 1), Said("two", ASKED[1], 3)], cuts=1)
        self.caller.calls.append(self.spoke)
        self.session = session_of(self.spoke, SECRET)
        self.log: list[AnyEvent] = [
            self.of(Called, 1, session=self.session, our=DESK.number, assurance=Assurance.CALLER_ID),
            self.posted(2, "one"),
            self.posted(3, OPEN, Role.ASSISTANT, covers=2),
            self.posted(4, "two"),
            self.posted(5, PARKING, Role.ASSISTANT, covers=4),
            self.of(Interrupted, 6, of=5, heard="You can park"),
            self.of(HungUp, 7, session=self.session, why=Ending.CALLER),
            self.of(Summarised, 8, session=self.session, text="About parking."),
        ]
        self.caller.conversation = Conversation("t1", [], True, self.log)

    def of(self, kind: type[Any], seq: int, role: Role = Role.PERSON, **more: Any) -> Any:
        return kind(thread="t1", seq=seq, sender=role.value, key=f"k{seq}", at=NOON, role=role, **more)

    def posted(self, seq: int, text: str, role: Role = Role.PERSON, **more: Any) -> Posted:
        event: Posted = self.of(Posted, seq, role, channel=Channel.VOICE, text=text, **more)
        return event

    def verdicts(self) -> list[bool]:
        return [line.passed for line in judge_callers(self.exchange, [self.caller], SECRET, 0)]


def test_a_call_as_it_should_be_passes() -> None:
    given = Given()

    assert given.verdicts() == [True] * 5
    assert open_calls(Conversation("t1", [], True, given.log)) == []


def lose(given: Given) -> None:
    given.log.remove(given.log[1])


def double(given: Given) -> None:
    given.log.append(given.posted(9, "one"))


def swap(given: Given) -> None:
    given.log[1], given.log[3] = given.posted(2, "two"), given.posted(4, "one")


def say_what_no_log_has(given: Given) -> None:
    given.log.remove(given.log[2])


def say_it_again(given: Given) -> None:
    given.lines.append(Heard(PARKING, True))


def cut_what_nobody_cut(given: Given) -> None:
    given.spoke.cuts = 0


def leave_it_open(given: Given) -> None:
    given.log.remove(given.log[6])


def end_it_twice(given: Given) -> None:
    given.log.append(given.of(HungUp, 9, session=given.session, why=Ending.LOST))


def begin_it_anew(given: Given) -> None:
    called = given.of(Called, 9, session=given.session, our=DESK.number, assurance=Assurance.CALLER_ID)
    given.log.append(called)


def sum_it_up_twice(given: Given) -> None:
    given.log.append(given.of(Summarised, 9, session=given.session, text="About parking."))


def answer_nobody(given: Given) -> None:
    given.lines[:] = [line for line in given.lines if not line.ours]
    given.spoke.said = [Said("one", ASKED[0], 0), Said("two", ASKED[1], 1)]


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (lose, KEPT),
        (double, KEPT),
        (answer_nobody, KEPT),
        (swap, ORDER),
        (say_what_no_log_has, HEARD),
        (say_it_again, HEARD),
        (cut_what_nobody_cut, HEARD),
        (leave_it_open, ENDED),
        (end_it_twice, ENDED),
        (begin_it_anew, ENDED),
        (sum_it_up_twice, ENDED),
    ],
)
def test_what_is_wrong_is_found(wrong: Callable[[Given], None], line: int) -> None:
    given = Given()

    wrong(given)

    assert not given.verdicts()[line]


def test_a_caller_s_numbers_are_words_that_nobody_takes_for_digits() -> None:
    assert (letters(0), letters(42), letters(1234)) == ("aaa", "aec", "bcde")
