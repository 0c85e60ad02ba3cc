"""An answer in words that fit the question, where a clinic lets a language model find them.

The model is asked for nothing but other words for this one answer. Whoever implements the port has judged each word
against the answer before it comes here; whatever is late or in doubt comes as nothing, and the answer goes out as the
clinic wrote it. In a chat that is one message. On a call each sentence is a post of its own, as soon as it was judged:
it is in the log before it is heard, and the next one is still being made.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from msgspec.structs import replace

from server.core.commands import Post
from server.core.model import Channel, Link, Value, Why


class Wanted(Value, frozen=True):
    """An answer that is to be put into other words, and what was asked."""

    question: str
    answer: str
    language: str
    channel: Channel
    links: tuple[Link, ...] = ()


class Doubtful(Exception):
    """What comes next was late, in doubt, or not to be had: the answer itself is said."""


class Rewording(Protocol):
    """Who finds other words."""

    async def whole(self, wanted: Wanted) -> str:
        """Return the answer in other words.

        Raises:
            Doubtful: there are none that may be said.
        """

    def spoken(self, wanted: Wanted) -> AsyncIterator[str]:
        """Yield the answer in other words, a sentence at a time, each as soon as it is judged.

        Raises:
            Doubtful: the next one is none that may be said.
        """


async def reworded(post: Post, wanted: Wanted, rewording: Rewording) -> AsyncGenerator[Post, None]:
    """Yield what is said in place of an answer: itself in other words, itself, or on a call some sentences and then it.

    Args:
        post: the answer as it would be said; what follows on a call has keys of its own, made from its key.
    """
    if wanted.channel is Channel.VOICE:
        async for part in _sentence_by_sentence(post, rewording.spoken(wanted)):
            yield part
        return
    try:
        yield _in_words(post, await rewording.whole(wanted))
    except Doubtful:
        yield post


async def _sentence_by_sentence(post: Post, sentences: AsyncIterator[str]) -> AsyncGenerator[Post, None]:
    """Yield each sentence when it is there; with choices, which come with the last one, when the next one is there."""
    held, place = "", 0
    try:
        async for sentence in sentences:
            if held or not post.choices:
                yield _part(post, place, held or sentence)
                place += 1
            held = sentence if post.choices else ""
    except Doubtful:
        yield _ending(post, place, post.text, ours=True)
        return
    if held or not place:
        yield _ending(post, place, held or post.text, ours=not held)


def _in_words(post: Post, text: str) -> Post:
    return replace(post, text=text, why=_reworded(post.why))


def _part(post: Post, place: int, text: str) -> Post:
    """Return a sentence that others follow; the first one is the answer, for whoever looks for what is owed."""
    return replace(_in_words(_follower(post, place), text), choices=(), links=())


def _ending(post: Post, place: int, text: str, *, ours: bool) -> Post:
    """Return what closes the answer, with what may be chosen next.

    Args:
        ours: whether it is the answer itself.
    """
    last = _follower(post, place)
    return replace(last, text=text) if ours else _in_words(last, text)


def _follower(post: Post, place: int) -> Post:
    """Return the same post for a place after the first: it covers nothing any more, and has a key of its own."""
    return replace(post, key=f"{post.key}:{place}", covers=None, reply_to=None) if place else post


def _reworded(why: Why | None) -> Why | None:
    return replace(why, reworded=True) if why is not None else None
