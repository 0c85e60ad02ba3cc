"""Where a reply goes: to the door the person last came through, if it can be reached from here; and what may leave.

Only an address that is proven to be the person's is ever written to.
"""

from enum import StrEnum

from server.core.model import Address, Agreement, Assurance, Call, Channel, Purpose, Thread, Value

_KINDS = ("wa_id", "user_id", "parent_id")  # a number before the ids that change with it


class Because(StrEnum):
    """Why a reply goes to a channel, or may."""

    PREFERS = "prefers"  # the person said so
    LAST = "last"  # they last wrote there
    PROVEN = "proven"  # it is theirs


class Way(Value, frozen=True):
    """A channel on which the person can be met; without an address, watchers of the log see a reply anyway."""

    channel: Channel
    because: Because
    to: Address | None = None


def reply_channel(thread: Thread, on: Channel | None = None, *, answer: bool = False) -> Channel:
    """Return the channel on which the next reply is given; the phone, without a call, where there is no other.

    Args:
        on: the channel that was chosen, which must be one of ``proven_channels``.
        answer: it answers what the person has just written, and so goes where they wrote.
    """
    if on is not None:
        return on
    if not thread.addresses and thread.call is None and thread.channel is Channel.WEB:  # most are known there alone
        return Channel.WEB
    last = _last(thread)
    if last is Channel.VOICE if answer else _is_on_the_line(thread, last):
        return Channel.VOICE  # spoken into the call; an answer that comes after it is kept for whoever reads it
    wanted = last if answer or thread.prefers is None else thread.prefers
    for channel in (wanted, last, *reversed(thread.wrote_on)):
        if channel is Channel.WEB or outside_address(thread, channel) is not None:
            return channel
    return _besides_the_phone(thread) if last is Channel.VOICE else Channel.WEB


def _is_on_the_line(thread: Thread, last: Channel) -> bool:
    """Whether the person is on the phone now; where only the number says so, they have not written elsewhere since."""
    call = on_the_line(thread)
    return call is not None and (last is Channel.VOICE or call.assurance is Assurance.PROVEN)


def on_the_line(thread: Thread) -> Call | None:
    """Return the call into which something can be said now: not while the person talks with somebody."""
    return thread.call if thread.call is not None and not thread.call.away else None


def _besides_the_phone(thread: Thread) -> Channel:
    """Return where somebody can be met who was only ever on the phone; the phone itself, when that is nowhere."""
    if outside_address(thread, Channel.WHATSAPP) is not None:
        return Channel.WHATSAPP
    return Channel.WEB if thread.joined else Channel.VOICE


def _last(thread: Thread) -> Channel:
    """Return where the person last wrote; whoever never did is met where we know them, not where nobody looks."""
    silent = thread.channel is Channel.WEB and not thread.last_person
    return Channel.WHATSAPP if silent and outside_address(thread, Channel.WHATSAPP) is not None else thread.channel


def reply_address(thread: Thread, on: Channel | None = None, *, answer: bool = False) -> Address | None:
    """Return the outside address a reply must be delivered to, or ``None`` when watchers of the log see it anyway.

    The web and a running call follow the log by themselves.
    """
    return outside_address(thread, reply_channel(thread, on, answer=answer)) if thread.addresses else None


def outside_address(thread: Thread, channel: Channel) -> Address | None:
    """Return the person's proven address on a channel that must be delivered to: on our number they last wrote to."""
    if channel is not Channel.WHATSAPP:
        return None
    proven = [
        each.address
        for each in reversed(thread.addresses)
        if each.assurance is Assurance.PROVEN and each.address.channel is channel
    ]
    ours = [heard.our for heard in reversed(thread.heard)]
    proven.sort(key=lambda address: (_place(address.our, ours), _place(address.kind, _KINDS)))
    return proven[0] if proven else None


def _place(value: str, order: "list[str] | tuple[str, ...]") -> int:
    return order.index(value) if value in order else len(order)


def proven_channels(thread: Thread) -> tuple[Way, ...]:
    """Return the channels on which the person can be met, the one that a reply takes by itself first, with why.

    None at all for whoever only ever called, and is not on the line.
    The web is one of them for whoever has written there, now or in a conversation that was joined with this one.
    """
    usual = reply_channel(thread)
    called = usual is Channel.VOICE and on_the_line(thread) is None  # they hung up, or were put through
    found = []
    for channel in Channel:
        to = outside_address(thread, channel)
        there = channel is usual and not called
        if to is not None or there or (channel is Channel.WEB and _on_the_web(thread)):
            found.append(Way(channel, _because(thread, channel), to))
    return tuple(sorted(found, key=lambda way: way.channel is not usual))


def _on_the_web(thread: Thread) -> bool:
    return _last(thread) is Channel.WEB or Channel.WEB in thread.wrote_on or bool(thread.joined)


def _because(thread: Thread, channel: Channel) -> Because:
    if channel is thread.prefers:
        return Because.PREFERS
    return Because.LAST if channel is thread.channel and thread.last_person else Because.PROVEN


def agreement(thread: Thread, channel: Channel, purpose: Purpose) -> Agreement | None:
    """Return what the person last said to being written to there for this, if anything."""
    return next((each for each in thread.agreements if (each.channel, each.purpose) == (channel, purpose)), None)


def may_leave(thread: Thread, channel: Channel, purpose: Purpose, *, answer: bool = False) -> bool:
    """Whether the person lets us write there for this purpose.

    Reminders and news need a yes. Service needs none, but ends with a no, until the person writes again; what answers
    their own message, as the confirmation of that no does, goes all the same.
    """
    said = agreement(thread, channel, purpose)
    if purpose is not Purpose.SERVICE:
        return said is not None and said.given
    if answer or said is None or said.given or said.at is None:
        return answer or said is None or said.given
    return any(heard.at > said.at for heard in thread.heard)
