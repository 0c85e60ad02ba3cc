"""What came before a question, as far as it helps to understand it: the last turns, as the log has them.

Nothing of it is kept anywhere else: what people wrote stays where it can be forgotten, and in memory for a while
(`tails.py`). Of a call that has not shown whose it is, only the call itself counts.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec.structs import replace

from server.core.events import AnyEvent, Edited, Posted, Revoked
from server.core.model import Channel, Role, Thread, Value
from server.service.recap import is_kept_apart

TURNS = 4  # answers back
READ_BACK = 30  # of the log that are read to find them


class Before(Value, frozen=True):
    """The turns before a question.

    Args:
        entries: those that were answered with, the latest first.
        question: what the person wrote before the latest.
        said: what the assistant said last.
        language: in which language, where the person has not chosen another since; on the phone a caller has.
    """

    entries: tuple[str, ...] = ()
    question: str = ""
    said: str = ""
    language: str | None = None


NO_TURN = Before()


def before(thread: Thread, post: Posted, log: Sequence[AnyEvent]) -> Before:
    """Return what came before a post.

    Args:
        log: the newest events before it, in order; what is further back is not known.
    """
    apart = thread.call if is_kept_apart(thread, post) else None
    answers: list[Posted] = []
    asked: dict[int, Posted] = {}
    for each in _posts(log, post.seq, apart.began if apart else None):
        if each.role is Role.PERSON:
            asked[each.seq] = each
        elif each.role is Role.ASSISTANT and each.covers is not None:
            if len(answers) == TURNS:
                break
            answers.append(each)
    if not answers:
        return NO_TURN
    latest = answers[0]
    told = [each for each in answers if each.why and not each.missed and not each.urgent]
    question = asked.get(told[0].reply_to or told[0].covers or 0) if told else None
    last = next(iter(asked.values()), None)
    same = last is not None and last.language == post.language and post.channel is not Channel.VOICE
    return Before(
        entries=tuple(dict.fromkeys(each.why.entry for each in told if each.why)),
        question=question.text if question else "",
        said=latest.text,
        language=latest.language if same else None,
    )


def _posts(log: Sequence[AnyEvent], seq: int, since: datetime | None) -> Iterator[Posted]:
    """Yield the posts before a seq, the latest first, as they read by now, without what was taken back."""
    now: dict[int, str | None] = {}
    for event in reversed(log):
        if isinstance(event, Edited):
            now.setdefault(event.of, event.text)
        elif isinstance(event, Revoked):
            now.setdefault(event.of, None)
        if not isinstance(event, Posted) or event.seq >= seq or event.past:
            continue
        if since is not None and (event.channel is not Channel.VOICE or event.at < since):
            continue
        text = now.get(event.seq, event.text)
        if text is not None:
            yield event if text == event.text else replace(event, text=text)
