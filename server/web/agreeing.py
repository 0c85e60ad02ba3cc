"""What a person has agreed to be written for, channel by channel: the list that staff see and change."""

import msgspec

from server.core.model import Agreement, Channel, Purpose, Thread
from server.core.routing import agreement, may_leave, outside_address


class AgreementShown(msgspec.Struct, frozen=True):
    """Whether we may write to somebody on a channel for a purpose, and what they last said about it, if anything."""

    channel: Channel
    purpose: Purpose
    may: bool
    said: Agreement | None = None


def agreements_shown(thread: Thread) -> list[AgreementShown]:
    """Return what may be sent to this person outside the website, for every channel they can be met on there."""
    asked = {each.channel for each in thread.agreements}
    channels = [channel for channel in Channel if channel in asked or outside_address(thread, channel) is not None]
    return [
        AgreementShown(channel, purpose, may_leave(thread, channel, purpose), agreement(thread, channel, purpose))
        for channel in channels
        for purpose in Purpose
    ]
