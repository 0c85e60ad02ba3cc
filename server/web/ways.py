"""How a reply can leave: the channels on which a person can be met, why, and what may be sent there now.

What the composer shows and what the API tells are one list. A door outside the website may be open for free text until
some moment, or for approved templates alone.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec

from server.core.errors import NotFound
from server.core.model import Address, AsTemplate, Channel, Thread, tail_of
from server.core.routing import Because, proven_channels
from server.web.outside import Offered, Open, Outside

Warns = Callable[[Channel], bool]


class WayShown(msgspec.Struct, frozen=True):
    """A channel on which a person can be met.

    Args:
        tail: the last digits of their number there.
        because: why it is offered: `prefers`, `last` (they last wrote there) or `proven` (it is theirs).
        free: whether any text may be sent now; else only a template.
        until: how long it may, where that ends.
        closing: it ends soon.
        warns: the clinic would rather not have it sent there; who does so anyway is recorded.
    """

    channel: Channel
    because: Because
    tail: str = ""
    free: bool = True
    until: datetime | None = None
    closing: bool = False
    warns: bool = False


def ways(thread: Thread, outside: Outside, warns: Warns, now: datetime) -> list[WayShown]:
    """Return how a reply can leave, the way it takes by itself first."""
    shown = []
    for way in proven_channels(thread):
        window = Open(now) if way.to is None else outside.window(thread, way.to, now)
        shown.append(
            WayShown(
                channel=way.channel,
                because=way.because,
                tail=tail_of(way.to) if way.to is not None else "",
                free=window is not None,
                until=window.until if window is not None and way.to is not None else None,
                closing=window is not None and window.closing,
                warns=warns(way.channel),
            )
        )
    return shown


def callable_numbers(thread: Thread) -> tuple[str, ...]:
    """Return the numbers at which a person can be called, E.164: what they called or wrote from, the latest first."""
    found = ("+" + each.address.value.removeprefix("+") for each in reversed(thread.addresses) if each.tail)
    return tuple(dict.fromkeys(number for number in found if number[1:].isdecimal()))


def outside_of(thread: Thread) -> Address:
    """Return where templates are sent: the person's address on the first channel outside the website.

    Raises:
        NotFound: they can be met on the website alone.
    """
    found = next((way.to for way in proven_channels(thread) if way.to is not None), None)
    if found is None:
        raise NotFound
    return found


def approved(thread: Thread, template: AsTemplate, outside: Outside) -> tuple[str, Channel]:
    """Return what a template says to this person, and on which channel.

    Raises:
        NotFound, BadValue: as ``Outside.arrives``; or they can be met on the website alone.
    """
    to = outside_of(thread)
    return outside.arrives(to, template.id, template.language, dict(template.values)).text, to.channel


def offered(thread: Thread, outside: Outside) -> tuple[Offered, ...]:
    """Return the templates that can be sent to this person, those in their language first."""
    try:
        return outside.offered(outside_of(thread), thread.language or "")
    except NotFound:
        return ()
