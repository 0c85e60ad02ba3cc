"""Who may do what, and how a conversation gets its id.

One table of roles: reception does everything but knowledge, erasing and staff; a clinician also sees results and edits
knowledge; an admin may do all. Doors ask ``require``; nobody compares role names anywhere else.
"""

import base64
import hashlib
import hmac
from enum import StrEnum

from server.core import commands
from server.core.commands import AnyCommand
from server.core.errors import NotAllowed
from server.core.model import StaffId, Value


class StaffRole(StrEnum):
    RECEPTION = "reception"
    CLINICIAN = "clinician"
    ADMIN = "admin"


class Action(StrEnum):
    """Something a member of staff may or may not do."""

    READ = "read"
    REPLY = "reply"
    NOTE = "note"
    FLOOR = "floor"
    ASSIGN = "assign"
    SNOOZE = "snooze"
    CLOSE = "close"
    NAME = "name"
    JOIN = "join"
    RESULTS = "results"
    KNOWLEDGE = "knowledge"
    ERASE = "erase"
    STAFF = "staff"


_RECEPTION = frozenset(Action) - {Action.RESULTS, Action.KNOWLEDGE, Action.ERASE, Action.STAFF}
MAY: dict[StaffRole, frozenset[Action]] = {
    StaffRole.RECEPTION: _RECEPTION,
    StaffRole.CLINICIAN: _RECEPTION | {Action.RESULTS, Action.KNOWLEDGE},
    StaffRole.ADMIN: frozenset(Action),
}

_NEEDS: dict[type, Action | None] = {
    commands.Post: Action.REPLY,
    commands.React: Action.REPLY,
    commands.Retry: Action.REPLY,
    commands.Prefer: Action.REPLY,
    commands.Agree: Action.REPLY,
    commands.OpenTask: Action.REPLY,
    commands.FinishTask: Action.REPLY,
    commands.Read: Action.READ,
    commands.Note: Action.NOTE,
    commands.Take: Action.FLOOR,
    commands.Release: Action.FLOOR,
    commands.Assign: Action.ASSIGN,
    commands.Snooze: Action.SNOOZE,
    commands.Close: Action.CLOSE,
    commands.Reopen: Action.CLOSE,
    commands.Unsnooze: Action.SNOOZE,
    commands.Name: Action.NAME,
    commands.LinkAddress: Action.JOIN,
    commands.Move: Action.JOIN,
    commands.Return: Action.JOIN,
    commands.Erase: Action.ERASE,
    commands.Edit: None,  # these are the person's, through a provider, or the system's own
    commands.Revoke: None,
    commands.ChangeFile: None,
    commands.Transcribe: None,
    commands.Lapse: None,
    commands.Receive: None,
    commands.Join: None,
    commands.Part: None,
    commands.Ring: None,
    commands.HangUp: None,
    commands.StopListening: None,
    commands.Interrupt: None,
    commands.Summarise: None,
}


class Staff(Value, frozen=True):
    """A member of staff as the doors know them."""

    id: StaffId
    name: str
    role: StaffRole


def may(role: StaffRole, action: Action) -> bool:
    """Whether somebody of this role may do this."""
    return action in MAY[role]


def require(role: StaffRole, action: Action) -> None:
    """Return when somebody of this role may do this.

    Raises:
        NotAllowed: they may not.
    """
    if not may(role, action):
        raise NotAllowed


def action_of(command: AnyCommand) -> Action | None:
    """Return the right that staff need for this command, or ``None`` when no member of staff may give it."""
    return _NEEDS[type(command)]


def require_command(role: StaffRole, command: AnyCommand) -> None:
    """Return when somebody of this role may give this command.

    Raises:
        NotAllowed: they may not.
    """
    action = action_of(command)
    if action is None:
        raise NotAllowed
    require(role, action)


def keyed_hash(secret: bytes, purpose: str, value: str) -> str:
    """Return 26 characters that only holders of ``secret`` can compute from ``value``; not reversible.

    Thread ids, visitor hashes and provider keys are made so: the same cause gives the same name, in every process.
    """
    digest = hmac.new(secret, f"{purpose}\0{value}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()
