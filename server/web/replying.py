"""What the staff's JSON API has for reaching a person: ways, templates, agreements, what waits, joining and parting.

Replies are said on the socket, which repeats them until they are acknowledged. Every request here that changes
something carries a key made by its client, so that asking again is the same as asking once.
"""

from typing import Annotated

import msgspec
from litestar import Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from server.core import commands
from server.core.commands import AnyCommand
from server.core.errors import BadValue, NotFound, RateLimited
from server.core.identity import Action
from server.core.model import Agreement, AsTemplate, Channel, Purpose, Thread
from server.core.ports import Limit
from server.live.protocol import KEY, check_key
from server.service import held
from server.service.finding import Finding, Wanted
from server.service.inbox import RowView, view_of
from server.service.suggesting import Because, Suggesting
from server.web.agreeing import AgreementShown, agreements_shown
from server.web.api import known_thread
from server.web.guards import needs
from server.web.house import House
from server.web.outside import Arrives, Offered
from server.web.sessions import SignedIn
from server.web.ways import WayShown, offered, outside_of, ways

Key = Annotated[str, Meta(pattern=KEY, description="A UUID made by the client")]
Values = Annotated[dict[str, Annotated[str, Meta(max_length=4096)]], Meta(max_length=64)]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
BETWEEN_CALLS = 20.0  # seconds between two tries at one call back: the first still rings
STAFF = "staff"  # where an agreement was heard that a colleague enters


class Done(msgspec.Struct, frozen=True):
    """The number of the event it led to, or up to which nothing had to change."""

    seq: int


class Asked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A key alone: what is asked is in the path."""

    key: Key


async def _do(house: House, command: AnyCommand) -> Done:
    check_key(command.key)
    return Done((await house.conversations.handle(command)).seq)


# how a reply can leave ------------------------------------------------------------------------------------------------


class Reachable(msgspec.Struct, frozen=True):
    """How a reply can leave, the way it takes by itself first, and the approved templates that can be sent."""

    ways: list[WayShown]
    templates: tuple[Offered, ...]


class Filled(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A template's values: text as it is, dates as `2026-11-24`, times as `14:30`."""

    language: Id
    values: Values = {}


class TemplateReply(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A reply that leaves as an approved template."""

    key: Key
    language: Id
    values: Values = {}


class Preferred(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where replies go from now on; without a channel: wherever the person last wrote."""

    key: Key
    channel: Channel | None


@get("/threads/{thread:str}/ways", summary="How a reply can leave", **needs(Action.READ))
async def reachable(house: NamedDependency[House], thread: FromPath[str]) -> Reachable:
    """Return the channels a person can be met on, why, until when any text may be sent, and the templates."""
    known = await known_thread(house, thread)
    return Reachable(
        ways(known, house.outside, house.clinic.allowed.warns, house.clock()), offered(known, house.outside)
    )


@post(
    "/threads/{thread:str}/templates/{id:str}/preview",
    status_code=200,
    summary="What a template will say",
    **needs(Action.REPLY),
)
async def preview(
    house: NamedDependency[House], thread: FromPath[str], id: FromPath[str], data: JSONBody[Filled]
) -> Arrives:
    """Return what will arrive, to the letter."""
    known = await known_thread(house, thread)
    return house.outside.arrives(outside_of(known), id, data.language, data.values)


@post("/threads/{thread:str}/templates/{id:str}", summary="Send a template", **needs(Action.REPLY, refuses=(409,)))
async def send_template(
    house: NamedDependency[House],
    me: NamedDependency[SignedIn],
    thread: FromPath[str],
    id: FromPath[str],
    data: JSONBody[TemplateReply],
) -> Done:
    """Reply with a template. What the conversation keeps is what arrives."""
    known = await known_thread(house, thread)
    to = outside_of(known)
    arrives = house.outside.arrives(to, id, data.language, data.values)
    template = AsTemplate(id, data.language, tuple(data.values.items()))
    return await _do(
        house,
        commands.Post(thread=known.id, key=data.key, by=me.actor, text=arrives.text, on=to.channel, template=template),
    )


@put(
    "/threads/{thread:str}/reply-channel",
    status_code=200,
    summary="Where replies go",
    **needs(Action.REPLY, refuses=(409,)),
)
async def prefer(
    house: NamedDependency[House], me: NamedDependency[SignedIn], thread: FromPath[str], data: JSONBody[Preferred]
) -> Done:
    """Let replies go to one channel, or wherever the person last wrote."""
    known = await known_thread(house, thread)
    return await _do(house, commands.Prefer(thread=known.id, key=data.key, by=me.actor, channel=data.channel))


# what did not arrive --------------------------------------------------------------------------------------------------


class Failed(msgspec.Struct, frozen=True):
    """A message that did not arrive, or of which nobody knows; ``why`` is in the asking colleague's language."""

    row: RowView
    seq: int
    status: str
    why: str


@get("/failed", summary="What did not arrive", **needs(Action.READ))
async def failed(house: NamedDependency[House], me: NamedDependency[SignedIn]) -> list[Failed]:
    """Return messages that a provider refused for good, or of which nobody knows, newest conversations first."""
    found = await Finding(house.store, house.inbox).find(Wanted(failed=True))
    language = me.account.language or "en"
    return [
        Failed(view_of(row), each.of, each.status.name.lower(), house.outside.explained(each.error or "", language))
        for row in found.rows
        for each in row.thread.deliveries
        if each.status.name in ("FAILED", "UNKNOWN")
    ]


@post("/threads/{thread:str}/messages/{seq:int}/retry", summary="Send it again", **needs(Action.REPLY, refuses=(409,)))
async def retry(
    house: NamedDependency[House],
    me: NamedDependency[SignedIn],
    thread: FromPath[str],
    seq: FromPath[int],
    data: JSONBody[Asked],
) -> Done:
    """Make a real new attempt for a message that failed, or of which nobody knows; any other stays as it is."""
    known = await known_thread(house, thread)
    return await _do(house, commands.Retry(thread=known.id, key=data.key, by=me.actor, of=seq))


@post(
    "/threads/{thread:str}/tasks/{task:int}/call",
    status_code=202,
    summary="Call back now",
    **needs(Action.REPLY, refuses=(429,)),
)
async def place_call(house: NamedDependency[House], thread: FromPath[str], task: FromPath[int]) -> None:
    """Ring a colleague's telephone, and put them through to whoever wanted to be called, as event `task` says."""
    known = await known_thread(house, thread)
    if house.place_call is None:
        raise NotFound
    wait = await house.bus.allow_all([Limit(f"bridge:{known.id}.{task}", 1, BETWEEN_CALLS)])
    if wait:
        raise RateLimited("This call is being placed.", retry_ms=int(wait * 1000) + 1)
    await house.place_call(known.id, task)


# what waits -----------------------------------------------------------------------------------------------------------


class Waits(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A reply that leaves when the person writes again."""

    key: Key
    text: Annotated[str, Meta(min_length=1, max_length=4096)]


@put(
    "/threads/{thread:str}/held",
    status_code=204,
    summary="Send when they write again",
    **needs(Action.REPLY, refuses=(409,)),
)
async def hold(
    house: NamedDependency[House], me: NamedDependency[SignedIn], thread: FromPath[str], data: JSONBody[Waits]
) -> None:
    """Keep a reply until the person writes again, in place of whatever waited before."""
    check_key(data.key)
    known = await known_thread(house, thread)
    waiting = held.Held(data.key, me.staff.id, me.staff.name, data.text, known.last_person, at=house.clock())
    await held.keep(house.store, known.id, waiting)


@delete("/threads/{thread:str}/held", summary="Do not send it after all", **needs(Action.REPLY))
async def unhold(house: NamedDependency[House], thread: FromPath[str]) -> None:
    """Drop what waits here; nothing there is fine."""
    await held.drop(house.store, (await known_thread(house, thread)).id)


# what a person agreed to ----------------------------------------------------------------------------------------------


class Agreed(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a person told a colleague: whether they may be written to on a channel, for a purpose."""

    key: Key
    channel: Channel
    purpose: Purpose
    given: bool


@get("/threads/{thread:str}/agreements", summary="What a person agreed to", **needs(Action.READ))
async def agreements(house: NamedDependency[House], thread: FromPath[str]) -> list[AgreementShown]:
    """Return for each channel and purpose whether we may write, and what the person last said about it."""
    return agreements_shown(await known_thread(house, thread))


@post("/threads/{thread:str}/agreements", summary="Enter an agreement", **needs(Action.REPLY, refuses=(409,)))
async def agree(
    house: NamedDependency[House], me: NamedDependency[SignedIn], thread: FromPath[str], data: JSONBody[Agreed]
) -> Done:
    """Note a yes or a no that the person told a colleague."""
    known = await known_thread(house, thread)
    said = Agreement(data.channel, data.purpose, data.given, source=STAFF)
    return await _do(house, commands.Agree(thread=known.id, key=data.key, by=me.actor, agreement=said))


# joining and parting --------------------------------------------------------------------------------------------------


class AlikeShown(msgspec.Struct, frozen=True):
    """Another conversation that may be the same person's, and why."""

    row: RowView
    because: tuple[Because, ...]


class Suggested(msgspec.Struct, frozen=True):
    """What is never done by itself. ``sharing``: other names that use this person's number."""

    suggestions: list[AlikeShown]
    sharing: tuple[str, ...]


class Joined(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Another conversation, and why it is the same person's, or is not."""

    key: Key
    other: Id
    reason: Reason


@get("/threads/{thread:str}/suggestions", summary="Perhaps the same person", **needs(Action.READ))
async def suggestions(house: NamedDependency[House], thread: FromPath[str]) -> Suggested:
    """Return conversations that may be the same person's, the surest first."""
    found = await Suggesting(house.inbox).alike(await known_thread(house, thread))
    shown = [AlikeShown(view_of(each.row), each.because) for each in found.suggestions]
    return Suggested(shown, found.sharing)


@post("/threads/{thread:str}/join", summary="Join two conversations", **needs(Action.JOIN, refuses=(409,)))
async def join(
    house: NamedDependency[House], me: NamedDependency[SignedIn], thread: FromPath[str], data: JSONBody[Joined]
) -> Done:
    """Put two conversations together, the younger into the older."""
    younger, older = _by_age(await known_thread(house, thread), await known_thread(house, data.other))
    return await _do(
        house, commands.Move(thread=younger.id, key=data.key, by=me.actor, to=older.id, reason=data.reason)
    )


def _by_age(one: Thread, other: Thread) -> tuple[Thread, Thread]:
    if one.created_at is None or other.created_at is None:
        raise NotFound
    older, younger = sorted((one, other), key=lambda each: (each.created_at, each.id))
    return younger, older


@post("/threads/{thread:str}/part", summary="Take two conversations apart", **needs(Action.JOIN, refuses=(409,)))
async def part(
    house: NamedDependency[House], me: NamedDependency[SignedIn], thread: FromPath[str], data: JSONBody[Joined]
) -> Done:
    """Undo a join: the other conversation stands on its own again."""
    known = await known_thread(house, thread)
    if all(each.thread != data.other for each in known.joined):
        raise BadValue("other", "a conversation that was joined with this one")
    return await _do(house, commands.Return(thread=data.other, key=data.key, by=me.actor, reason=data.reason))


replying_api = Router(
    "/api",
    route_handlers=[
        reachable,
        preview,
        send_template,
        prefer,
        failed,
        retry,
        place_call,
        hold,
        unhold,
        agreements,
        agree,
        suggestions,
        join,
        part,
    ],
    tags=["staff"],
)
