"""What is asked twice: whether a key that was used before asks for the same as it did then."""

from msgspec.structs import replace

from server.core import calls, commands, events
from server.core.checking import cleaned, kept
from server.core.commands import AnyCommand
from server.core.events import AnyEvent
from server.core.model import File, Role


def matches(event: AnyEvent, command: AnyCommand) -> bool:
    """Whether ``event`` is what ``command`` would have led to when its key was first used: the same content.

    Where nothing but the kind matters (a take, a release), the kind is compared.
    """
    match command, event:
        case commands.Post(), events.Posted():
            same_choice = event.role is not Role.PERSON or command.choice == event.choice  # nobody else makes one
            same_way = command.whisper == event.whisper
            return command.text == event.text and same_choice and same_way and _same_files(command.files, event.files)
        case commands.React(), events.Reacted():
            return (command.of, command.emoji) == (event.of, event.emoji)
        case commands.Edit() | commands.Transcribe(), events.Edited() | events.Transcribed():
            return (command.of, command.text) == (event.of, event.text)
        case commands.Revoke() | commands.Retry(), events.Revoked() | events.Retried():
            return command.of == event.of
        case commands.ChangeFile(), events.FileChanged():
            return (command.of, command.file.id, command.file.state) == (event.of, event.file.id, event.file.state)
        case commands.Agree(), events.AgreementChanged():
            return replace(command.agreement, at=event.agreement.at) == event.agreement
        case commands.Prefer(), events.Preferred():
            return command.channel == event.channel
        case commands.Note(), events.Noted():
            return command.text == event.text
        case commands.Assign(), events.Assigned():
            return command.to == event.to
        case commands.Read(), events.WasRead():
            return command.upto == event.upto
        case commands.Reopen(), events.Reopened():
            return command.of == event.of
        case commands.Snooze(), events.Snoozed():
            return kept(command.until) == event.until
        case commands.Name(), events.Named():
            return cleaned(command.name) == event.called
        case commands.LinkAddress(), events.AddressLinked():
            return command.address == event.address
        case commands.Receive(), events.Received():
            return command.receipt == event.receipt
        case commands.Move(), events.MovedTo():
            return command.to == event.to
        case commands.Join(), events.JoinedWith():
            return command.other == event.other
        case commands.Part(), events.PartedFrom():
            return command.other == event.other
        case commands.Lapse(), events.Released() | events.Woken() | events.HungUp():
            return True
        case (
            (commands.Ring(), events.Called())
            | (commands.HangUp(), events.HungUp())
            | (commands.StopListening(), events.Unheard())
            | (commands.Interrupt(), events.Interrupted())
            | (commands.OpenTask(), events.Tasked())
            | (commands.FinishTask(), events.TaskDone())
            | (commands.Summarise(), events.Summarised())
        ):
            return calls.matches(event, command)
        case _:
            return type(event) is _KIND.get(type(command))


def _same_files(asked: tuple[File, ...], kept: tuple[File, ...]) -> bool:
    return not (asked or kept) or [file.id for file in asked] == [file.id for file in kept]


_KIND: dict[type, type] = {
    commands.Take: events.Taken,
    commands.Release: events.Released,
    commands.Close: events.Closed,
    commands.Unsnooze: events.Woken,
    commands.Return: events.Returned,
    commands.Erase: events.Erased,
}
