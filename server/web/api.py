"""The staff's JSON API: what the console, a script or a clinic's own program may ask, typed from end to end.

Every route here names the right it needs; `guards.py` sees to it. What changes a conversation goes through the socket,
which alone can say that it happened; these routes read, and keep the small things around it: drafts, canned replies,
accounts.
"""

import re
from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from server.core.errors import BadValue, NotFound
from server.core.identity import Action, StaffRole
from server.core.model import Linked, Thread
from server.core.ports import Account, View
from server.service.inbox import Panel, RowView, view_of
from server.web.guards import needs
from server.web.house import House
from server.web.sessions import Ended, SignedIn
from server.web.signing_in import StaffShown

THREAD = re.compile(r"[a-z0-9]{1,64}")  # what thread ids look like; the store is not asked about anything else
MAX_QUERY = 200  # characters of a search
MAX_REPLIES = 500  # canned replies of a clinic
REPLIES = "replies"  # the collection of canned replies
_Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(?!\n)$")]  # `$` alone also fits before a line's end
_Message = Annotated[str, Meta(min_length=1, max_length=4096)]
ReplyId = Annotated[str, PathParameter(pattern=r"^[a-z0-9][a-z0-9-]{0,39}(?!\n)$")]
Query = Annotated[str, QueryParameter(max_length=MAX_QUERY)]

# conversations --------------------------------------------------------------------------------------------------------


class RowsShown(msgspec.Struct, frozen=True):
    """A page of a list, and the `after` of the next one."""

    rows: list[RowView]
    next: str | None


class HitShown(msgspec.Struct, frozen=True):
    """A conversation that a search found, and which of the asked words are in it."""

    row: RowView
    words: tuple[str, ...]


class AddressShown(msgspec.Struct, frozen=True):
    """Where a person can be met, without the number itself."""

    channel: str
    kind: str
    tail: str
    assurance: str


class PanelShown(msgspec.Struct, frozen=True):
    """All that is known of one person, at a glance: `row` has the last facts and the open task."""

    row: RowView
    addresses: list[AddressShown]
    joined: tuple[str, ...]
    consent: str | None
    created_at: str | None


@get("/inbox", summary="A list of conversations", **needs(Action.READ))
async def inbox(
    house: NamedDependency[House],
    me: NamedDependency[SignedIn],
    view: FromQuery[View] = View.NEEDS_REPLY,
    after: FromQuery[str | None] = None,
) -> RowsShown:
    """Return a page of one list: urgent first, then newest first."""
    page = await house.inbox.page(view, me.staff.id, after)
    return RowsShown([view_of(row) for row in page.rows], page.next)


@get("/inbox/counts", summary="How many each list has", **needs(Action.READ))
async def counts(house: NamedDependency[House], me: NamedDependency[SignedIn]) -> dict[str, int]:
    """Return how many conversations each list has, counting at most 1,000."""
    return {view.value: number for view, number in (await house.inbox.counts(me.staff.id)).items()}


@get("/search", summary="Find a person", **needs(Action.READ))
async def search(house: NamedDependency[House], q: Query = "") -> list[HitShown]:
    """Return the conversations in which every word of `q` begins some word, or is a number's last four digits."""
    return [HitShown(view_of(hit.row), hit.words) for hit in await house.inbox.search(q)]


@get("/threads/{thread:str}", summary="One person at a glance", **needs(Action.READ))
async def panel(house: NamedDependency[House], thread: FromPath[str]) -> PanelShown:
    """Return what is known of the person behind a conversation."""
    return panel_shown(await house.inbox.panel(await known_thread(house, thread)))


async def known_thread(house: House, id: str) -> Thread:
    """Return a conversation in which something was said.

    Raises:
        NotFound: there is none of this id.
        Unavailable: the store cannot be read.
    """
    thread = await house.conversations.refresh(id) if THREAD.fullmatch(id) else None
    if thread is None or not thread.seq:
        raise NotFound
    return thread


def panel_shown(found: Panel) -> PanelShown:
    """Return a panel without whole numbers."""
    created = found.created_at.isoformat(timespec="seconds") if found.created_at is not None else None
    addresses = [_address_shown(linked) for linked in found.addresses]
    return PanelShown(found.row, addresses, found.joined, found.consent, created)


def _address_shown(linked: Linked) -> AddressShown:
    return AddressShown(linked.address.channel.value, linked.address.kind, linked.tail, linked.assurance.name.lower())


# drafts ---------------------------------------------------------------------------------------------------------------


class Draft(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a colleague has begun to write in one conversation, on whatever machine."""

    text: Annotated[str, Meta(max_length=4096)]


@get("/threads/{thread:str}/draft", summary="My draft", **needs(Action.REPLY))
async def draft(house: NamedDependency[House], me: NamedDependency[SignedIn], thread: FromPath[str]) -> Draft:
    """Return what I had begun to write here; empty when nothing."""
    kept = await house.store.get(_drafts(me), (await known_thread(house, thread)).id)
    return Draft(kept.decode() if kept is not None else "")


@put("/threads/{thread:str}/draft", status_code=204, summary="Keep my draft", **needs(Action.REPLY))
async def keep_draft(
    house: NamedDependency[House], me: NamedDependency[SignedIn], thread: FromPath[str], data: JSONBody[Draft]
) -> None:
    """Keep what I have begun to write; an empty text drops it."""
    id = (await known_thread(house, thread)).id
    if data.text.strip():
        await house.store.put(_drafts(me), id, data.text.encode())
    else:
        await house.store.drop(_drafts(me), id)


def _drafts(me: SignedIn) -> str:
    return f"drafts:{me.staff.id}"


# canned replies -------------------------------------------------------------------------------------------------------


class Canned(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A reply that is written often: a text per language, in which `{name}` stands for the person's name."""

    title: Annotated[str, Meta(min_length=1, max_length=80)]
    texts: Annotated[dict[_Language, _Message], Meta(min_length=1, max_length=20)]


class CannedShown(msgspec.Struct, frozen=True):
    """A canned reply and its id, which is what is typed after `/`."""

    id: str
    title: str
    texts: dict[str, str]


@get("/replies", summary="Canned replies", **needs(Action.REPLY))
async def replies(house: NamedDependency[House]) -> list[CannedShown]:
    """Return the canned replies, by title."""
    return await all_replies(house)


@put("/replies/{id:str}", summary="Write a canned reply", **needs(Action.REPLY))
async def write_reply(house: NamedDependency[House], id: ReplyId, data: JSONBody[Canned]) -> CannedShown:
    """Add or replace a canned reply."""
    known = await house.store.listing(REPLIES)
    if id not in known and len(known) >= MAX_REPLIES:
        raise BadValue("replies", f"at most {MAX_REPLIES}")
    await house.store.put(REPLIES, id, msgspec.json.encode(data))
    return CannedShown(id, data.title, data.texts)


@delete("/replies/{id:str}", summary="Drop a canned reply", **needs(Action.REPLY))
async def drop_reply(house: NamedDependency[House], id: ReplyId) -> None:
    """Drop a canned reply; one that is not there is fine."""
    await house.store.drop(REPLIES, id)


async def all_replies(house: House) -> list[CannedShown]:
    """Return the canned replies, by title.

    Raises:
        Unavailable: the store cannot be read.
    """
    kept = await house.store.listing(REPLIES)
    found = [(id, msgspec.json.decode(value, type=Canned)) for id, value in kept.items()]
    shown = [CannedShown(id, reply.title, reply.texts) for id, reply in found]
    return sorted(shown, key=lambda reply: reply.title.casefold())


# colleagues -----------------------------------------------------------------------------------------------------------


class AccountShown(msgspec.Struct, frozen=True):
    """A colleague's account, for those who administer them."""

    id: str
    login: str
    name: str
    role: str
    disabled: bool
    can_sign_in: bool
    language: str | None


class AccountAdded(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A new colleague."""

    login: Annotated[str, Meta(min_length=1, max_length=100)]
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    role: StaffRole
    password: Annotated[str, Meta(min_length=1, max_length=256)]
    language: _Language | None = None


class AccountChanged(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What changes; the rest stays."""

    name: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    role: StaffRole | None = None
    disabled: bool | None = None
    password: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    language: _Language | None = None


@get("/colleagues", summary="Who works here", **needs(Action.READ))
async def colleagues(house: NamedDependency[House]) -> list[StaffShown]:
    """Return the colleagues a conversation can be assigned to."""
    accounts = await house.accounts.listing()
    return [StaffShown(each.id, each.name, each.role, each.language) for each in accounts if not each.disabled]


@get("/staff", summary="All accounts", **needs(Action.STAFF))
async def accounts(house: NamedDependency[House]) -> list[AccountShown]:
    """Return all accounts, disabled ones last."""
    return [account_shown(account) for account in await house.accounts.listing()]


@post("/staff", summary="Add a colleague", **needs(Action.STAFF, refuses=(409,)))
async def add_account(house: NamedDependency[House], data: JSONBody[AccountAdded]) -> AccountShown:
    """Add a colleague."""
    added = await house.accounts.add(data.login, data.name, data.role, data.password, language=data.language)
    return account_shown(added)


@patch("/staff/{id:str}", summary="Change an account", **needs(Action.STAFF))
async def change_account(
    house: NamedDependency[House], id: FromPath[str], data: JSONBody[AccountChanged]
) -> AccountShown:
    """Change a colleague's account. A new password, a new role or being disabled ends all of their sessions at once."""
    before = await house.accounts.get(id)
    after = await house.accounts.change(
        id, name=data.name, role=data.role, disabled=data.disabled, password=data.password, language=data.language
    )
    if after.generation > before.generation:
        house.sessions.announce(Ended(staff=id, generation=after.generation))
    return account_shown(after)


@delete("/staff/{id:str}/sessions", summary="Sign a colleague out everywhere", **needs(Action.STAFF))
async def end_sessions(house: NamedDependency[House], id: FromPath[str]) -> None:
    """End every session of a colleague, also on open sockets."""
    await house.accounts.get(id)
    await house.sessions.sign_out_everywhere(id)


def account_shown(account: Account) -> AccountShown:
    """Return an account without its password."""
    return AccountShown(
        account.id,
        account.login,
        account.name,
        account.role,
        account.disabled,
        bool(account.password) and not account.disabled,
        account.language,
    )


staff_api = Router(
    "/api",
    route_handlers=[
        inbox,
        counts,
        search,
        panel,
        draft,
        keep_draft,
        replies,
        write_reply,
        drop_reply,
        colleagues,
        accounts,
        add_account,
        change_account,
        end_sessions,
    ],
    tags=["staff"],
)
