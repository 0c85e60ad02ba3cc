"""Who asked: what every event says of its cause, and what only staff may ask for."""

from datetime import datetime
from typing import Any

from server.core.commands import Command
from server.core.errors import NotAllowed
from server.core.model import Role, Thread


def by_whom(thread: Thread, command: Command, now: datetime) -> dict[str, Any]:
    """Return what every event says about its cause."""
    by = command.by
    return {
        "thread": thread.id,
        "seq": thread.seq + 1,
        "sender": by.sender,
        "key": command.key,
        "at": now,
        "role": by.role,
        "by": by.id if by.role is Role.STAFF else "",
        "name": by.name,
    }


def check_staff(command: Command) -> None:
    """Return when a colleague asks.

    Raises:
        NotAllowed: somebody else does.
    """
    if command.by.role is not Role.STAFF:
        raise NotAllowed
