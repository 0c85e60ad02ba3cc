"""What may go where: for each kind of content and each channel, whether it is sent, or what happens instead.

A clinic decides this once, in a table, and not in every conversation. What the table forbids the assistant, it only
warns a colleague of: who types has judged for themselves, and that they did so in spite of it is recorded.
"""

from enum import StrEnum

from server.core.model import Channel, Value


class Content(StrEnum):
    """What a message is, as far as it matters to where it may go."""

    ADMINISTRATIVE = "administrative"  # hours, ways, appointments
    MEDICAL = "medical"  # information from the knowledge base that a clinician has approved
    TYPED = "typed"  # what a colleague writes, whatever it is
    RESULTS = "results"  # findings of one person


class Rule(StrEnum):
    """What becomes of it."""

    SEND = "send"
    LINK = "link"  # a link to the conversation on the website is sent instead
    ASK = "ask"  # staff decide


class Allowed(Value, frozen=True):
    """The table. A place that nobody filled in keeps to the careful side, except on the clinic's own website."""

    rules: tuple[tuple[Content, Channel, Rule], ...] = ()

    def rule(self, content: Content, channel: Channel) -> Rule:
        """Return what becomes of this content on this channel."""
        for what, where, rule in self.rules:
            if (what, where) == (content, channel):
                return rule
        return UNSAID[content] if channel is not Channel.WEB else Rule.SEND

    def warns(self, channel: Channel) -> bool:
        """Whether a colleague who types is warned before it goes there; it is never kept from going."""
        return self.rule(Content.TYPED, channel) is not Rule.SEND


UNSAID = {
    Content.ADMINISTRATIVE: Rule.SEND,
    Content.MEDICAL: Rule.SEND,  # general, approved, and about nobody
    Content.TYPED: Rule.ASK,
    Content.RESULTS: Rule.LINK,
}
