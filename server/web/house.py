"""What the doors share: one value that `app.py` puts together and hands to each of them."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from server.core.model import ThreadId
from server.core.ports import Bus, Store
from server.library import Library
from server.library.noticing import Noticing
from server.service.clinic import Clinic
from server.service.closings import Closings
from server.service.conversations import Conversations
from server.service.dialled import Dialled
from server.service.erasing import Eraser
from server.service.identified import Identified
from server.service.inbound import Inbound, Visitor
from server.service.inbox import Inbox
from server.service.known_numbers import KnownNumbers
from server.service.linking import Linking
from server.service.media import Media
from server.service.morning import Mornings
from server.service.together import Together
from server.settings import Settings
from server.web.accounts import Accounts
from server.web.files import Widget
from server.web.metrics import Metrics
from server.web.outside import NOWHERE, Outside
from server.web.passes import Passes
from server.web.sessions import Sessions

WHATSAPP_LINK = "https://wa.me/{number}?text={text}"  # opens WhatsApp, with the text ready to be sent


class Readiness:
    """Whether this process should get visitors, and if not, which part is missing."""

    def __init__(
        self,
        is_open: Callable[[], bool],
        missing: dict[str, Callable[[], bool]],
        degraded: dict[str, Callable[[], bool]] | None = None,
    ) -> None:
        """Ask these.

        Args:
            is_open: whether the start is over.
            missing: of each part, whether it cannot do its work.
            degraded: likewise, of parts whose loss makes things slower and keeps nobody out.
        """
        self._is_open, self._missing, self._degraded = is_open, missing, degraded or {}
        self.draining = False

    def not_ready(self) -> list[str]:
        """Return the names of what is not ready."""
        said = [] if self._is_open() else ["starting"]
        said += ["draining"] if self.draining else []
        return said + [name for name, is_missing in self._missing.items() if is_missing()]

    def degraded(self) -> list[str]:
        """Return the names of what is gone and can be done without for a while."""
        return [name for name, is_gone in self._degraded.items() if is_gone()]


class House:
    """Everything a door may need. A plain class: frameworks take values of other kinds apart when they hand them on."""

    def __init__(
        self,
        *,
        settings: Settings,
        clinic: Clinic,
        store: Store,
        bus: Bus,
        conversations: Conversations,
        inbound: Inbound,
        inbox: Inbox,
        media: Media,
        linking: Linking,
        dialled: Dialled,
        passes: Passes,
        sessions: Sessions,
        readiness: Readiness,
        metrics: Metrics,
        clock: Callable[[], datetime],
        secret: bytes,
        origin: str,
        own_origins: frozenset[str],
        widget: Widget,
        noticing: Noticing,
        eraser: Eraser,
        closings: Closings,
        fault: Callable[[], Exception | None],
        look_again: Callable[[], None],
    ) -> None:
        """Put it together.

        Args:
            secret: under which visitors and addresses are hashed.
            origin: ours, as browsers see it.
            own_origins: likewise, with every name this machine has for itself where nobody else can reach it.
        """
        self.settings, self.clinic = settings, clinic
        self.store, self.bus, self.clock = store, bus, clock
        self.conversations, self.inbound, self.inbox, self.media = conversations, inbound, inbox, media
        self.linking, self.dialled = linking, dialled
        self.ways_in = Together(store.ways_in)  # of those who come in at the same time
        self.passes, self.sessions, self.accounts = passes, sessions, Accounts(store)
        self.readiness, self.metrics, self.widget = readiness, metrics, widget
        self.secret, self.origin, self.own_origins = secret, origin, own_origins
        self.noticing, self.closings, self.eraser = noticing, closings, eraser
        self.mornings = Mornings(inbox, clock)
        self.look_again = look_again  # at the clinic's file and its closed days
        self.fault = fault  # why the clinic's file as it is now is not used, for those who look after it
        self.library: Library | None = None  # where the clinic's content is edited
        self.numbers = KnownNumbers(
            store, conversations, linking, bus, secret=secret, clock=clock, per_day=settings.numbers_per_day
        )
        self.phone = ""  # the clinic's number, E.164, where a conversation can go on by phone
        self.place_call: Callable[[ThreadId, int], Awaitable[None]] | None = None  # bridges a call back, given its task
        self.whatsapp = ""  # the clinic's number, E.164, where a conversation can go on there
        self.whatsapp_link = WHATSAPP_LINK
        self.demo_phone = False  # whether the demo page has a phone with WhatsApp on it
        self.demo_calls = False  # and whether it can call the clinic
        self.restart: Callable[[], None] | None = None  # the demo's: ends this process as a kill does, and begins anew
        self.forgotten: list[Callable[[Visitor], None]] = []  # told when a visitor's secret no longer opens anything
        self.outside: Outside = NOWHERE  # the doors outside the website, if there are any
        self.keep = timedelta(days=settings.visitor_days)  # how long a visitor is known after their last word
        self.identified = Identified(store, conversations, linking, secret=secret, clock=clock, keep=self.keep)

    def absolute(self, url: str) -> str:
        """Return an address of ours as another origin can follow it."""
        return self.origin + url if url.startswith("/") else url
