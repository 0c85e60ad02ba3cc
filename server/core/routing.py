"""Where a reply goes: to the door the person last came through, if it can be reached from here."""

from server.core.model import Address, Assurance, Channel, Thread


def reply_channel(thread: Thread) -> Channel:
    """Return the channel on which the next reply is given."""
    to = reply_address(thread)
    return to.channel if to is not None else Channel.WEB


def reply_address(thread: Thread) -> Address | None:
    """Return the outside address a reply must be delivered to, or ``None`` when watchers of the log see it anyway.

    The web and a running call follow the log by themselves. Only an address that is proven to be the person's is ever
    written to.
    """
    if thread.channel is not Channel.WHATSAPP:
        return None
    proven = (each.address for each in reversed(thread.addresses) if each.assurance is Assurance.PROVEN)
    return next((address for address in proven if address.channel is thread.channel), None)
