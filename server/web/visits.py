"""How a visitor gets in: a secret that the browser keeps, and a pass made from it.

A visit writes nothing. Which thread the secret leads to is a keyed hash until the first post, and after that the
address record's word.
"""

from typing import Annotated

import msgspec
from litestar import delete, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from channels.website import first_thread, is_ours, new_secret, visitor_hash
from server.core.errors import ConsentNeeded, RateLimited, Refused
from server.core.identity import keyed_hash
from server.core.model import Channel, Thread, ThreadId
from server.core.moves import goes_on
from server.core.ports import Limit
from server.service.clinic import Hours, Site, Words
from server.service.inbound import Visitor, visitor_address
from server.web.guards import AnyRequest
from server.web.house import House
from server.web.identity import read_identity
from server.web.passes import MAX_TOKEN, Pass, PassInvalid
from server.web.refusals import refusals
from server.web.security import client_address, network

MINUTE, HOUR = 60.0, 3600.0  # seconds
FORGET = "forget"  # on the bus: a visitor whose secret no longer opens anything


class OriginNotAllowed(Refused):
    code = "origin_not_allowed"

    def __init__(self) -> None:
        super().__init__("This site's chat may not be used from that page.")


class UnknownSite(Refused):
    code = "unknown_site"

    def __init__(self) -> None:
        super().__init__("There is no such site.")


class VisitAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A visit. ``visitor``: the secret of an earlier one; ``language``: a wish (BCP 47).

    ``identity``: who the page's own server says this is, signed by it; then ``consent`` is the version of the notice
    that was agreed to, since something is stored.
    """

    site: Annotated[str, Meta(min_length=1, max_length=64)]
    visitor: Annotated[str, Meta(max_length=128)] | None = None
    language: Annotated[str, Meta(max_length=35)] | None = None
    identity: Annotated[str, Meta(max_length=MAX_TOKEN)] | None = None
    consent: Annotated[str, Meta(max_length=64)] | None = None


class ConsentShown(msgspec.Struct, frozen=True):
    """What a visitor agrees to with the first message."""

    version: str
    text: str
    privacy_url: str


class ClinicShown(msgspec.Struct, frozen=True):
    """What the widget shows of the clinic before anything is said; every text in the visit's language.

    `channels` are those on which a conversation can go on. `know_me`: a number can be named that is then asked there
    whether it is the person's.
    """

    name: str
    assistant: str
    languages: tuple[str, ...]
    open: bool
    opens_at: str | None
    hours: tuple[Hours, ...]
    timezone: str
    greeting: str
    disclosure: str
    emergency: str
    consent: ConsentShown | None
    channels: tuple[Channel, ...] = ()
    know_me: bool = False


class VisitGranted(msgspec.Struct, frozen=True):
    """A way in: the pass for `hello`, and the secret to keep for the next time."""

    a_pass: str = msgspec.field(name="pass")
    expires_in: int
    thread: str
    visitor: str
    language: str
    clinic: ClinicShown


class Visits:
    """Lets visitors in, and out for good."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def begin(self, asked: VisitAsked, origin: str | None, address: str) -> VisitGranted:
        """Return a way in for a page of ``origin``.

        Raises:
            UnknownSite, OriginNotAllowed: the widget does not belong there.
            RateLimited: too many from this address, or of this visitor.
            IdentityInvalid, IdentityForeign, IdentityExpired, IdentityUsed: the page's server has not said who it is.
            IdentityChanged: this browser's conversation is somebody else's.
            ConsentNeeded: they have not agreed that it is written down who they are.
            Unavailable: the store cannot be read.
        """
        house = self._house
        site = house.clinic.sites.get(asked.site)
        if site is None:
            raise UnknownSite
        if origin not in site.origins:
            raise OriginNotAllowed
        secret, thread = await self._known(site, asked.visitor) or await self._new(address)
        if asked.identity is not None:
            secret, thread = await self._identified(asked, asked.identity, secret, thread)
        language = house.clinic.language(asked.language)
        hashed = visitor_hash(house.secret, secret)
        a_pass, seconds = house.passes.issue(thread, site.key, hashed, language, house.clock())
        return VisitGranted(
            a_pass, seconds, thread, secret, language, self._shown(house.clinic.texts(language), language)
        )

    async def forget(self, a_pass: Pass) -> None:
        """Let the visitor's secret lead nowhere from now on.

        The record is pointed at a thread that does not exist instead of being dropped, so that another tab, on
        another process, that still holds a pass cannot bring the old way back with its next message.

        Raises:
            RateLimited: this visitor has asked for that too often: each time is two writes.
            Unavailable: the store is away; nothing is certain.
        """
        house = self._house
        visitor = Visitor(a_pass.site, a_pass.visitor, a_pass.thread)
        await self._count(
            "forget", self._limit(f"forget {visitor.hash}", house.settings.visits_known_per_minute, MINUTE)
        )
        await self._end(visitor)

    async def _end(self, visitor: Visitor) -> None:
        """Let this visitor's secret lead nowhere, here and in every process."""
        house = self._house
        address, nowhere = (
            visitor_address(visitor.site, visitor.hash).id,
            first_thread(house.secret, new_secret(house.secret)),
        )
        leads_to = await house.store.find_address(address)
        while leads_to not in (None, nowhere):  # a message in between may have brought the old way back
            await house.store.drop_address(address)
            leads_to = await house.store.claim_address(address, nowhere, keep=house.clock() + house.keep)
        for forgotten in house.forgotten:
            forgotten(visitor)
        house.bus.say(FORGET, msgspec.json.encode(visitor))

    async def _identified(self, asked: VisitAsked, token: str, secret: str, thread: ThreadId) -> tuple[str, ThreadId]:
        """Return the way in of whoever the page's server says this is.

        What led to an anonymous conversation leads nowhere afterwards: whoever sat here before may know it.
        """
        house = self._house
        identified, hashed = house.identified, visitor_hash(house.secret, secret)
        signing, sites = house.settings.signing_key(), house.clinic.sites
        signed = read_identity(signing, sites[asked.site], sites.values(), token, house.clock())
        who, here = signed.who, await goes_on(thread, house.conversations.refresh)
        wanted = house.clinic.consent_version
        if wanted not in (None, asked.consent, here.consent):
            raise ConsentNeeded(wanted)
        if await identified.is_theirs(who, hashed, thread):
            return secret, here.id
        await identified.use(who, hashed)
        before = Visitor(asked.site, hashed, thread)
        silent = not here.seq
        if silent:  # nothing can be said with the old secret any more; what another tab has said just now is seen
            await self._end(before)
            here = await goes_on(thread, house.conversations.refresh)
        fresh = new_secret(house.secret)
        claimed = house.outside.number(signed.phone) if signed.phone else None
        theirs = await identified.enter(who, here.id if here.seq else None, first_thread(house.secret, fresh), claimed)
        address = visitor_address(asked.site, visitor_hash(house.secret, fresh))
        await house.store.claim_address(address.id, theirs, keep=house.clock() + house.keep)
        await identified.remember(who, visitor_hash(house.secret, fresh))
        if not silent:
            await self._end(before)
        return fresh, theirs

    async def count_page(self, a_pass: Pass) -> None:
        """Count one page of history for the holder of this pass.

        Raises:
            RateLimited: that was one too many.
        """
        pages = self._house.settings.history_per_minute
        await self._count("history", self._limit(f"history {a_pass.visitor}", pages, MINUTE))

    async def may_read(self, a_pass: Pass, thread: ThreadId) -> int | None:
        """Return up to which seq the holder of this pass may read ``thread``: 0 nothing, ``None`` everything.

        An older conversation that was joined with the visitor's own is theirs up to the joining.
        """
        own = await self.opened(a_pass.thread, a_pass.site, a_pass.visitor)
        if own is None:
            return 0
        if thread == a_pass.thread:
            return None
        return next((joined.upto for joined in own.joined if joined.thread == thread), 0)

    async def opened(self, thread: ThreadId, site: str, visitor: str) -> Thread | None:
        """Return the conversation as it is now, if it is this visitor's.

        The address record is asked each time: what was forgotten, or silent for too long, opens nothing even to a pass
        that is still good.
        """
        house = self._house
        found = await house.ways_in.ask((thread, visitor_address(site, visitor).id))
        own, leads_to = await house.conversations.reaching(thread, found.head), found.leads_to
        if leads_to not in (thread, own.moved_to) or (leads_to is None and own.seq):
            return None
        return own

    async def _known(self, site: Site, secret: str | None) -> tuple[str, ThreadId] | None:
        """Return the secret and its thread when it is one of ours that still leads somewhere."""
        if secret is None or not is_ours(self._house.secret, secret):
            return None
        house = self._house
        hashed = visitor_hash(house.secret, secret)
        await self._count(
            "visits_known", self._limit(f"visitor {hashed}", house.settings.visits_known_per_minute, MINUTE)
        )
        thread = await house.store.find_address(visitor_address(site.key, hashed).id)
        if thread is not None:
            return secret, thread
        fresh = first_thread(house.secret, secret)
        if (
            await house.conversations.refresh(fresh)
        ).seq:  # the record has ended: the thread is nobody's way in any more
            return None
        return secret, fresh

    async def _new(self, address: str) -> tuple[str, ThreadId]:
        house, where = self._house, network(address)
        await self._count(
            "visits_new",
            self._limit(f"new a minute {where}", house.settings.visits_new_per_minute, MINUTE),
            self._limit(f"new an hour {where}", house.settings.visits_new_per_hour, HOUR),
        )
        secret = new_secret(house.secret)
        return secret, first_thread(house.secret, secret)

    def _limit(self, what: str, count: int, seconds: float) -> Limit:
        return Limit(f"visit:{keyed_hash(self._house.secret, 'visit', what)}", count, seconds)  # no address leaves here

    async def _count(self, what: str, *limits: Limit) -> None:
        wait = await self._house.bus.allow_all(limits)
        if wait:
            self._house.metrics.limited.labels(what).inc()
            raise RateLimited("Too many visits; please wait.", retry_ms=int(wait * 1000) + 1)

    def _shown(self, words: Words, language: str) -> ClinicShown:
        house, now = self._house, self._house.clock()
        opens = house.clinic.opens_at(now)
        consent = words.consent
        return ClinicShown(
            name=house.clinic.name,
            assistant=words.assistant,
            languages=house.clinic.languages,
            open=house.clinic.open_at(now),
            opens_at=f"{opens:%Y-%m-%dT%H:%M:%S.000Z}" if opens is not None else None,
            hours=house.clinic.hours(),
            timezone=house.clinic.timezone,
            greeting=words.greeting,
            disclosure=words.disclosure,
            emergency=words.emergency,
            consent=ConsentShown(consent.version, consent.text, house.absolute(consent.privacy_url))
            if consent is not None
            else None,
            channels=tuple(
                channel
                for channel, number in ((Channel.WHATSAPP, house.whatsapp), (Channel.VOICE, house.phone))
                if number
            ),
            know_me=bool(house.whatsapp) and house.outside.introduction(language, house.clinic.name) is not None,
        )


def forgotten(payload: bytes) -> Visitor:
    """Return the visitor whom another process has let go."""
    return msgspec.json.decode(payload, type=Visitor)


def bearer(request: AnyRequest) -> str:
    """Return the bearer token of a request.

    Raises:
        PassInvalid: there is none.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise PassInvalid
    return token.strip()


# the routes -----------------------------------------------------------------------------------------------------------


@post("/api/visits", status_code=200, summary="Come in", tags=["visitors"], responses=refusals(403, 404, 409, 429, 503))
async def begin_visit(request: AnyRequest, data: JSONBody[VisitAsked], house: NamedDependency[House]) -> VisitGranted:
    """Return a pass for a conversation, and the secret that leads back to it. Writes nothing without an identity."""
    address = client_address(request.scope, house.settings.proxy)
    return await Visits(house).begin(data, request.headers.get("origin"), address)


@delete(
    "/api/visits",
    summary="End and forget here",
    tags=["visitors"],
    responses=refusals(401, 403, 429, 503),
    security=[{"pass": []}],
)
async def end_visit(request: AnyRequest, house: NamedDependency[House]) -> None:
    """Let the visitor's secret open nothing from now on. Needs the pass as bearer token."""
    a_pass = house.passes.read(bearer(request), house.clock())
    check_origin(house, a_pass, request.headers.get("origin"))
    await Visits(house).forget(a_pass)


def check_origin(house: House, a_pass: Pass, origin: str | None) -> None:
    """Return when a page of ``origin`` may use this pass; without an origin it is not a page of another site.

    Raises:
        OriginNotAllowed: the pass was made for another site.
    """
    site = house.clinic.sites.get(a_pass.site)
    if site is None or (origin is not None and origin not in site.origins):
        raise OriginNotAllowed
