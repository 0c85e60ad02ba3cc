"""Who is signed in to the console, and how that ends.

A session lives in the store; the browser holds a random value of which the store knows only the hash. Ending sessions
reaches every process: each request asks the store, and open sockets are told through the bus as well, since nobody
should read on for hours on a line that was opened in the morning.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
from litestar.datastructures import Cookie

from server.core import commands
from server.core.errors import RateLimited, Refused
from server.core.identity import Staff, StaffRole
from server.core.model import StaffId, Value
from server.core.ports import Account, Bus, Limit, Session, Store
from server.web import tries
from server.web.accounts import folded_login, is_password
from server.web.passes import Passes, PassExpired, PassInvalid
from server.web.security import network

LINK_SECONDS = 15 * 60  # from printing a sign-in link to the click on it
MAX_COOKIES = 8192  # characters of a `Cookie` header that are looked at; other servers of this machine share it
LINKS = "sign-in-links"  # the collection they are kept in
TOPIC = "session"  # on the bus: sessions that have ended


class SignInRefused(Refused):
    """The same for a wrong password, an unknown login and a disabled account."""

    code = "sign_in_refused"

    def __init__(self) -> None:
        super().__init__("This login and password do not go together.")


class NotSignedIn(Refused):
    code = "not_signed_in"

    def __init__(self) -> None:
        super().__init__("Please sign in first.")


class ForgedRequest(Refused):
    """It came from another page than ours, or from one of ours that has been open for too long."""

    code = "csrf"

    def __init__(self) -> None:
        super().__init__("Please reload the page and try again.")


class Ended(Value, frozen=True):
    """Sessions that are over: one, or all of a colleague's before ``generation``."""

    staff: StaffId = ""
    generation: int = 0
    session: str = ""

    def covers(self, session: Session) -> bool:
        """Whether ``session`` is among them."""
        return session.id == self.session or (session.staff == self.staff and session.generation < self.generation)


class SignInLink(Value, frozen=True):
    """Whom a one-time link signs in, and until when."""

    staff: StaffId
    expires_at: datetime


_link = msgspec.json.Decoder(SignInLink).decode


class SignedIn(Value, frozen=True):
    """A colleague on the console: who, in which session, and the account as it is now."""

    staff: Staff
    session: Session
    account: Account

    @property
    def actor(self) -> commands.Actor:
        """Who asks, in what is asked of a conversation."""
        return commands.staff(self.staff.id, self.staff.name)


class Sessions:
    """The console's sessions, as this process sees them."""

    def __init__(
        self,
        store: Store,
        passes: Passes,
        bus: Bus,
        *,
        secret: bytes,
        clock: Callable[[], datetime],
        hours: int,
        secure: bool,
        counted: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        """Keep sessions of ``hours`` in ``store``.

        Args:
            secret: under which logins and addresses are counted.
            secure: whether browsers reach us by https; only then may they hold the cookie to it.
            counted: told how each try to sign in ended, for the metrics.
        """
        self._store, self._passes, self._bus = store, passes, bus
        self._secret, self._clock = secret, clock
        self._life = timedelta(hours=hours)
        self._counted = counted
        self._secure = secure
        self.cookie = "__Host-onethread" if secure else "onethread"
        self.known_cookie = f"{self.cookie}-known"  # what tells a browser we know from a stranger's; see `tries.py`
        self.ended: list[Callable[[Ended], None]] = []

    # signing in and out

    async def sign_in(self, login: str, password: str, address: str, cookies: str = "") -> tuple[str, SignedIn]:
        """Return a new session and the cookie's value for it.

        Args:
            cookies: the request's `Cookie` header.

        Raises:
            SignInRefused: these do not go together, whatever the reason.
            RateLimited: too many tries.
        """
        login = folded_login(login[:200])
        browser = tries.known_browser(self._secret, login, _cookie(cookies, self.known_cookie), self._clock())
        await self._count(tries.limits(self._secret, login, network(address), browser))
        account = await self._store.account_by_login(login)
        if not await is_password(account, password) or account is None:
            self._counted("refused")
            raise SignInRefused
        self._counted("done")
        return await self._begin(account)

    async def link(self, staff: StaffId) -> str:
        """Return a token that signs this colleague in once.

        Raises:
            Unavailable: the store is away.
        """
        return await new_link(self._store, staff, self._clock())

    async def follow_link(self, token: str) -> tuple[str, SignedIn]:
        """Return a new session for a one-time link, and the cookie's value for it.

        Raises:
            PassExpired: the link is too old.
            PassInvalid: it was used, or is none of ours.
        """
        id = _id_of(token)
        kept = await self._store.get(LINKS, id)
        if kept is None:
            raise PassInvalid
        link = _link(kept)
        await self._store.drop(LINKS, id)
        if link.expires_at <= self._clock():
            raise PassExpired
        account = await self._store.account(link.staff)
        first = await self._store.once(f"link:{id}", link.expires_at)  # of two who click at the same moment
        if not first or account is None or account.disabled:
            raise PassInvalid
        return await self._begin(account)

    async def sign_out(self, session: Session) -> None:
        """End this session, also on its open sockets."""
        await self._store.drop_session(session.id)
        self.announce(Ended(session=session.id))

    async def sign_out_everywhere(self, id: StaffId) -> None:
        """End every session of this colleague, also on open sockets of other processes."""
        account = await self._store.account(id)
        if account is not None:
            raised = msgspec.structs.replace(account, generation=account.generation + 1)
            await self._store.save_account(raised)
            self.announce(Ended(staff=id, generation=raised.generation))

    def announce(self, ended: Ended) -> None:
        """Tell everybody, here and in other processes, that these sessions are over."""
        self._tell(ended)
        self._bus.say(TOPIC, msgspec.json.encode(ended))

    def heard(self, payload: bytes) -> None:
        """Take note of what another process announced."""
        self._tell(msgspec.json.decode(payload, type=Ended))

    def _tell(self, ended: Ended) -> None:
        for listener in self.ended:
            listener(ended)

    async def _begin(self, account: Account) -> tuple[str, SignedIn]:
        value, now = secrets.token_urlsafe(32), self._clock()
        session = Session(
            id=_id_of(value),
            staff=account.id,
            csrf=secrets.token_urlsafe(24),
            generation=account.generation,
            created_at=now,
            expires_at=now + self._life,
        )
        await self._store.save_session(session)
        return value, SignedIn(staff_of(account), session, account)

    async def _count(self, limits: Sequence[Limit]) -> None:
        """Count a try before looking whether it is right."""
        wait = await self._bus.allow_all(limits)
        if wait:
            self._counted("limited")
            raise RateLimited("Too many tries; please wait.", retry_ms=int(wait * 1000) + 1)

    # being signed in

    async def of_cookies(self, header: str) -> SignedIn:
        """Return who is signed in, given the request's `Cookie` header.

        Raises:
            NotSignedIn: nobody.
        """
        value = _cookie(header, self.cookie)
        found = await self.find(_id_of(value)) if value else None
        if found is None:
            raise NotSignedIn
        return found

    async def find(self, session_id: str) -> SignedIn | None:
        """Return who has this session, or ``None`` when it is over."""
        session = await self._store.session(session_id)
        if session is None or session.expires_at <= self._clock():
            return None
        account = await self._store.account(session.staff)
        if account is None or account.disabled or account.generation != session.generation:
            return None
        return SignedIn(staff_of(account), session, account)

    async def alive(self, session_id: str) -> Staff | None:
        """Return the colleague whose session this is, or ``None`` when it is over; for lines that stay open."""
        found = await self.find(session_id)
        return found.staff if found is not None else None

    def check_csrf(self, session: Session, token: str | None) -> None:
        """Return when ``token`` is the session's own.

        Raises:
            ForgedRequest: it is not.
        """
        if token is None or not secrets.compare_digest(token.encode(errors="replace"), session.csrf.encode()):
            raise ForgedRequest

    # tickets for sockets

    def ticket(self, session: Session) -> str:
        """Return a ticket that opens one socket within a minute."""
        return self._passes.ticket(session.id, self._clock())

    async def redeem(self, ticket: str) -> tuple[Staff, Session]:
        """Return who shows this ticket; the line they get lives as long as the session.

        Raises:
            PassExpired: the ticket is too old.
            PassInvalid: it was used before, or is none of ours.
            NotSignedIn: the session has ended since.
        """
        shown = self._passes.read_ticket(ticket, self._clock())
        if not await self._store.once(f"ticket:{shown.id}", shown.expires_at):
            raise PassInvalid
        found = await self.find(shown.session)
        if found is None:
            raise NotSignedIn
        return found.staff, found.session

    # the cookie

    def set_cookie(self, value: str) -> str:
        """Return the `Set-Cookie` header that gives a browser its session."""
        return self._cookie(value, int(self._life.total_seconds()))

    def known_browser(self, login: str, cookies: str) -> Cookie:
        """Return the cookie by which a browser is known in which this login has just signed in.

        Args:
            cookies: the request's `Cookie` header.
        """
        login, kept = folded_login(login[:200]), _cookie(cookies, self.known_cookie)
        return Cookie(
            self.known_cookie,
            value=tries.made_known(self._secret, login, kept, self._clock()),
            max_age=tries.KNOWN_DAYS * 86_400,
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )

    def clear_cookie(self) -> str:
        """Return the `Set-Cookie` header that takes it away."""
        return self._cookie("", 0)

    def _cookie(self, value: str, seconds: int) -> str:
        secure = "; Secure" if self._secure else ""
        return f"{self.cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


async def new_link(store: Store, staff: StaffId, now: datetime) -> str:
    """Return a token that signs this colleague in once, within ``LINK_SECONDS``; the store knows only its hash.

    Raises:
        Unavailable: the store is away.
    """
    for id, kept in (await store.listing(LINKS)).items():
        if _link(kept).expires_at <= now:
            await store.drop(LINKS, id)
    token = secrets.token_urlsafe(18)
    made = SignInLink(staff, now + timedelta(seconds=LINK_SECONDS))
    await store.put(LINKS, _id_of(token), msgspec.json.encode(made))
    return token


def ended_payload(account: Account) -> bytes:
    """Return what the bus is told when every session of this account before its generation is over."""
    return msgspec.json.encode(Ended(staff=account.id, generation=account.generation))


def staff_of(account: Account) -> Staff:
    """Return an account as the doors know it."""
    return Staff(account.id, account.name, StaffRole(account.role))


def _cookie(header: str, name: str) -> str:
    """Return the value of one cookie in a `Cookie` header; empty when it is not there."""
    pairs = (pair.partition("=") for pair in header[:MAX_COOKIES].split(";"))
    return next((value for each, _, value in pairs if each.strip() == name), "").strip()


def _id_of(cookie: str) -> str:
    """Return under which id a session is stored: whoever reads the store cannot sign in with it."""
    return hashlib.sha256(cookie.encode(errors="replace")).hexdigest()


__all__ = ["LINK_SECONDS", "TOPIC", "Ended", "ForgedRequest", "NotSignedIn", "Sessions", "SignInRefused", "SignedIn"]
