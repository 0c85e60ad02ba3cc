"""The 24 hours after a person's message in which we may write as we like; outside of them only approved templates go.

It is judged at the moment of sending and with a margin, because the clocks of three parties are involved and a message
that arrives a minute late is not delivered at all.

Source: developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages, "Customer service windows"
"""

from datetime import datetime, timedelta

from server.core.model import Value

OPEN = timedelta(hours=24)
MARGIN = timedelta(minutes=5)  # between our judgement and WhatsApp's: clocks, the lane's pace, one retry
CLOSING = timedelta(hours=2)  # from here on whoever writes should see that it ends


class Window(Value, frozen=True):
    """When the person last wrote on this number, and when we last learnt that we may not write."""

    heard_at: datetime | None = None
    shut_at: datetime | None = None  # a message sent then was refused for it


class Free(Value, frozen=True, tag="free"):
    """Whatever we like, until then."""

    until: datetime


class ByTemplate(Value, frozen=True, tag="template"):
    """Only in this form."""

    template: str


class Closed(Value, frozen=True, tag="closed"):
    """Not as it is: choose a template, or wait until they write again."""


Way = Free | ByTemplate | Closed


def heard(window: Window, at: datetime | None, now: datetime) -> Window:
    """Return the window after a message that was sent ``at``; messages come late and in any order.

    Args:
        at: by the provider's clock; ``None`` where it does not say, and never taken for later than ``now``.
    """
    sent = now if at is None else min(at, now)
    return window if window.heard_at is not None and window.heard_at >= sent else Window(sent, window.shut_at)


def refused(window: Window, sent_at: datetime) -> Window:
    """Return the window after the provider refused, as outside of it, what we sent at ``sent_at``."""
    return window if window.shut_at is not None and window.shut_at >= sent_at else Window(window.heard_at, sent_at)


def left(window: Window, now: datetime) -> timedelta:
    """Return how long free text may still be sent, the margin taken off; nothing when it may not."""
    if window.heard_at is None or (window.shut_at is not None and window.shut_at >= window.heard_at):
        return timedelta()
    return max(timedelta(), min(window.heard_at, now) + OPEN - MARGIN - now)


def is_open(window: Window, now: datetime) -> bool:
    """Whether free text may be sent now."""
    return left(window, now) > timedelta()


def way(window: Window, now: datetime, template: str = "") -> Way:
    """Return how something may leave now.

    Args:
        template: the id of the template made for what is to be said, where there is one.
    """
    if remaining := left(window, now):
        return Free(now + remaining)
    return ByTemplate(template) if template else Closed()
