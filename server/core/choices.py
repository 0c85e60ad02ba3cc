"""Choices that mean something to us and not to the knowledge base: what somebody said, as the tap it stands for.

A door recognises them and puts them on the person's post; whoever answers reads them there. So both agree on a word,
and a message that was understood in one process is answered in another as it was understood.
"""

import re
from collections.abc import Sequence

STOP = "stop_messages"  # write to me no more
ASK_STOP = "ask_stop"  # it says stop, and more: is that meant?
KEEP = "keep_messages"  # no, that was not meant
START = "start_messages"  # write to me again

LINK_YES, LINK_NO = "link_yes:", "link_no:"  # may two conversations be shown together? before the mark of who is asked
KNOW_YES, KNOW_NO = "know_yes", "know_no"  # was this number named on the website by whoever has it? then the mark

CALL_YES, CALL_NO = "call_yes", "call_no"  # may this call be put together with the chat on the website?
SUMMARY_YES, SUMMARY_NO = "summary_yes", "summary_no"  # is it right what we wrote of a call?

WHICH = "which:"
_OF = re.compile(r"of:(\d{1,15}):(.+)", re.DOTALL)


def which(takings: Sequence[tuple[int, str]]) -> str:
    """Return the choice of whoever answered more than one question at once: ask which of these, given as ``of``."""
    return WHICH + "\n".join(of(question, choice) for question, choice in takings)


def takings_of(choice: str | None) -> tuple[tuple[int, str], ...]:
    """Return what ``which`` was given, nothing for any other choice."""
    if choice is None or not choice.startswith(WHICH):
        return ()
    found = (taken(each) for each in choice.removeprefix(WHICH).split("\n"))
    return tuple((question, bare) for question, bare in found if question is not None)


def link_of(choice: str | None) -> tuple[str, bool] | None:
    """Return the mark behind an answer to whether two conversations may be shown together, and whether it is a yes."""
    for prefix, agreed in ((LINK_YES, True), (LINK_NO, False)):
        if choice is not None and choice.startswith(prefix):
            return choice.removeprefix(prefix), agreed
    return None


def number_of(choice: str | None) -> tuple[str, bool] | None:
    """Return the mark behind an answer to whether a number was named by whoever has it, and whether it is a yes."""
    for prefix, theirs in ((KNOW_YES, True), (KNOW_NO, False)):
        if choice is not None and choice.startswith(f"{prefix}:"):
            return choice.removeprefix(f"{prefix}:"), theirs
    return None


def of(question: int, choice: str) -> str:
    """Return the choice that takes ``choice`` under message ``question``: two questions may have a `yes` each."""
    return f"of:{question}:{choice}"


def taken(choice: str) -> tuple[int | None, str]:
    """Return under which message a choice is taken, if it says so, and the choice itself; the reverse of ``of``."""
    match = _OF.fullmatch(choice)
    return (int(match[1]), match[2]) if match else (None, choice)
