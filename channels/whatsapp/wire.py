"""What can arrive from WhatsApp, whoever carries it, as values; and the shape that every provider's adapter has.

A webhook carries up to a thousand things at once, and none of them may stop another: what cannot be read is a value of
its own, `Unreadable`, with a reason that repeats nothing of what was sent. Fields are optional because they are so in
practice; only the id of a message, and somebody it is from, are not.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec

from channels.whatsapp import numbers
from channels.whatsapp.outgoing import Outgoing
from server.core.identity import keyed_hash
from server.core.model import Address, Channel, DeliveryStatus, Value

OPAQUE_LIMIT = 512  # characters of `biz_opaque_callback_data`, by Meta's own schema

# Who ---------------------------------------------------------------------------------------------------------------


class Person(Value, frozen=True):
    """Who is at the other end: a phone number, ids that only this business knows, or both.

    Since 2026 the number may be missing. Names and user names are for showing; they are nobody's key.
    """

    wa_id: str = ""  # digits of the number as WhatsApp writes it; replies go to exactly this
    user_id: str = ""  # business-scoped: `DE.` and up to 128 letters and digits
    parent_id: str = ""  # likewise, of a group of businesses: `DE.ENT.…`
    name: str = ""
    username: str = ""

    @property
    def known(self) -> bool:
        """Whether there is anything to answer to."""
        return bool(self.wa_id or self.user_id or self.parent_id)

    def addresses(self, our: str) -> tuple[Address, ...]:
        """Return the records this person may be found under, the surest first.

        A number is in its one canonical form here, so that both ways of writing a Brazilian, Argentine or Mexican
        number lead to one person. The ids change with the number, which is why the number comes first.
        """
        kinds = (("wa_id", numbers.canonical(self.wa_id)), ("user_id", self.user_id), ("parent_id", self.parent_id))
        return tuple(Address(Channel.WHATSAPP, our, kind, value) for kind, value in kinds if value)


# What was said -----------------------------------------------------------------------------------------------------


class Text(Value, frozen=True, tag="text"):
    body: str


class MediaKind(StrEnum):
    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    VOICE = "voice"  # spoken into the phone, there and then
    VIDEO = "video"
    STICKER = "sticker"


class Media(Value, frozen=True, tag="media"):
    """A file at the provider, by ``id`` (7 days) or by ``url``; with neither, the provider has not got it."""

    media: MediaKind
    id: str = ""
    url: str = ""
    mime: str = ""
    sha256: str = ""  # base64, as the provider gives it
    caption: str = ""
    filename: str = ""  # without any path
    animated: bool = False


class Location(Value, frozen=True, tag="location"):
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""
    url: str = ""


class Card(Value, frozen=True):
    """One contact somebody passed on."""

    name: str = ""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    company: str = ""


class Contacts(Value, frozen=True, tag="contacts"):
    cards: tuple[Card, ...]


class TapKind(StrEnum):
    BUTTON = "button"  # under a message of ours
    LIST = "list"
    TEMPLATE = "template"  # a quick reply under a template


class Tap(Value, frozen=True, tag="tap"):
    """A choice that was taken: ``id`` is what we gave it when we offered it."""

    how: TapKind
    id: str
    title: str = ""
    description: str = ""


class Form(Value, frozen=True, tag="form"):
    """A form that was filled in inside WhatsApp, its fields as text."""

    name: str = ""
    body: str = ""
    fields: tuple[tuple[str, str], ...] = ()


class Reaction(Value, frozen=True, tag="reaction"):
    """An emoji on message ``target``, which may come later than this; an empty one takes the reaction away."""

    target: str
    emoji: str = ""


class Item(Value, frozen=True):
    product: str
    quantity: int = 1
    price: str = ""
    currency: str = ""


class Order(Value, frozen=True, tag="order"):
    catalog: str = ""
    text: str = ""
    items: tuple[Item, ...] = ()


class Unsupported(Value, frozen=True, tag="unsupported"):
    """Something the person sees and we cannot: a poll, a message that vanishes, a type made after this was written."""

    kind: str = ""
    code: int = 0


Plain = Text | Media | Location | Contacts | Tap | Form | Reaction | Order | Unsupported


class Edited(Value, frozen=True, tag="edited"):
    """Message ``target`` reads so from now on; it may come later than this."""

    target: str
    content: Plain


class Revoked(Value, frozen=True, tag="revoked"):
    """The person has taken message ``target`` back; it may come later than this."""

    target: str


Content = Plain | Edited | Revoked


class Forwarded(StrEnum):
    ONCE = "once"
    OFTEN = "often"


class Referral(Value, frozen=True):
    """The advertisement or post that brought the person here."""

    source: str = ""  # ad or post
    id: str = ""
    url: str = ""
    headline: str = ""
    body: str = ""
    click: str = ""


class Context(Value, frozen=True):
    """What a message refers to. A forwarded one refers to nothing of ours."""

    reply_to: str = ""
    forwarded: Forwarded | None = None
    catalog: str = ""
    product: str = ""


NO_CONTEXT = Context()


class _Said(Value, frozen=True, kw_only=True):
    id: str
    our: str = ""  # the provider's id of our number, which is not the number
    person: Person
    at: datetime | None = None  # when it was sent, not when we heard of it; None where the provider does not say
    content: Content
    context: Context = NO_CONTEXT
    group: str = ""


class Message(_Said, frozen=True, kw_only=True, tag="message"):
    """Somebody wrote to us."""

    referral: Referral | None = None
    faults: tuple["Fault", ...] = ()

    @property
    def opens_window(self) -> bool:
        """Whether we may write freely for 24 hours from here on.

        WhatsApp says "messages". A reaction, an edit or a withdrawal might count, but nothing says so: being wrong
        would cost a message that is never delivered, so they do not.
        """
        return not self.group and not isinstance(self.content, Reaction | Edited | Revoked)


class Echo(_Said, frozen=True, kw_only=True, tag="echo"):
    """Staff wrote to ``person`` in the WhatsApp app itself. Theirs: it is never answered and opens no window."""


class Past(_Said, frozen=True, kw_only=True, tag="past"):
    """From the history of a number that was in use before: kept with its time, and nothing follows from it."""

    ours: bool = False
    status: DeliveryStatus | None = None


# What else happened ------------------------------------------------------------------------------------------------


class HistoryProgress(Value, frozen=True, kw_only=True, tag="history"):
    """How far the import of the history has come; ``declined`` when its owner would not share it."""

    our: str = ""
    phase: int = 0
    chunk: int = 0
    percent: int = 0
    declined: bool = False


class Action(StrEnum):
    """What to do about an error, whoever reported it."""

    RETRY = "retry"
    RETRY_RECIPIENT = "retry_recipient"  # this person only, later; others are not concerned
    NEEDS_TEMPLATE = "needs_template"  # the window is closed
    PERMANENT = "permanent"
    SUPPRESS = "suppress"  # do not write to this person for a while, or at all
    CHANNEL_DOWN = "channel_down"  # our number or account: pause it and count no attempt


class Verdict(Value, frozen=True):
    """``action`` for an error: ``because`` names it for people, see `errors.py`; ``pause``: how long at least."""

    action: Action
    code: int = 0
    because: str = "unknown"
    pause: timedelta | None = None


class Fault(Value, frozen=True):
    """An error as the provider reported it, without its words."""

    code: int
    verdict: Verdict


class Pricing(Value, frozen=True):
    billable: bool | None = None
    model: str = ""
    type: str = ""
    category: str = ""


class Status(Value, frozen=True, kw_only=True, tag="status"):
    """How far message ``id`` has come. ``tag`` is ours, given when it was sent."""

    id: str
    our: str = ""
    status: DeliveryStatus
    at: datetime | None = None
    person: Person = Person()
    tag: str = ""
    played: bool = False  # a voice note was listened to
    faults: tuple[Fault, ...] = ()
    pricing: Pricing | None = None
    group: str = ""


class ChangeKind(StrEnum):
    NUMBER = "number"
    USER_ID = "user_id"
    DEVICE = "device"  # the security code: a new phone, or somebody else's


class IdentityChanged(Value, frozen=True, kw_only=True, tag="identity"):
    """``was`` is ``now``. WhatsApp says so, which proves the one as far as the other was proven.

    A field of ``now`` that is empty is not known: the old one is no longer to be used where the number changed.
    """

    id: str
    our: str = ""
    change: ChangeKind
    was: Person
    now: Person
    at: datetime | None = None


class Preference(Value, frozen=True, kw_only=True, tag="preference"):
    """The person told WhatsApp itself whether we may send them a category of messages (``marketing_messages``)."""

    our: str = ""
    person: Person
    category: str
    wanted: bool
    at: datetime | None = None


class BookEntry(Value, frozen=True, kw_only=True, tag="book"):
    """Staff saved or removed somebody in the address book of the WhatsApp app."""

    our: str = ""
    person: Person
    removed: bool = False
    at: datetime | None = None


class TemplateChanged(Value, frozen=True, kw_only=True, tag="template"):
    """A template of ours was approved, refused, paused, put into another category, judged or edited."""

    what: str  # status, quality, category or text
    account: str = ""  # the WhatsApp Business account it belongs to
    id: str = ""
    name: str = ""
    language: str = ""
    now: str = ""
    before: str = ""
    reason: str = ""
    at: datetime | None = None


class AccountChanged(Value, frozen=True, kw_only=True, tag="account"):
    """Something about our account or number: a review, a restriction, a limit, its quality."""

    field: str
    account: str = ""
    event: str = ""
    number: str = ""
    limit: str = ""
    at: datetime | None = None


class GroupChanged(Value, frozen=True, kw_only=True, tag="group"):
    """Something about a WhatsApp group. We are in none: it is counted and nothing else."""

    our: str = ""
    field: str
    event: str = ""
    group: str = ""
    at: datetime | None = None


class Trouble(Value, frozen=True, kw_only=True, tag="trouble"):
    """Errors that are about our number and no message in particular."""

    our: str = ""
    faults: tuple[Fault, ...]


class Other(Value, frozen=True, kw_only=True, tag="other"):
    """A kind of news that this program does not know."""

    field: str
    our: str = ""


class Unreadable(Value, frozen=True, tag="unreadable"):
    """Something that could not be read: ``where`` in the body, and ``reason``. Neither repeats what was sent."""

    where: str
    reason: str


Arrived = (
    Message
    | Echo
    | Past
    | HistoryProgress
    | Status
    | IdentityChanged
    | Preference
    | BookEntry
    | TemplateChanged
    | AccountChanged
    | GroupChanged
    | Trouble
    | Other
    | Unreadable
)


def key_of(secret: bytes, *cause: str) -> str:
    """Return the name under which a thing that may come again is remembered: ``wa:`` and a keyed hash.

    A wamid contains the phone number it belongs to, so it is never a key itself. Only ``secret`` leads from one to the
    other, and nothing leads back.

    Args:
        secret: the house's own, 32 bytes.
        cause: the provider's id; for what has no id of its own, all that tells it from others.
    """
    return f"wa:{keyed_hash(secret, 'wamid', chr(0).join(cause))}"


# The adapters ------------------------------------------------------------------------------------------------------


class OurNumber(Value, frozen=True):
    """One of the clinic's numbers as its provider knows it.

    Args:
        our: Meta's phone number id; for Twilio the number itself, E.164.
        account: Twilio's account SID.
        version: of Meta's Graph API.
        callback: for Twilio, the https address that statuses are posted to; our tag is put behind it.
    """

    our: str
    account: str = ""
    version: str = "v26.0"
    callback: str = ""


class Seal(Value, frozen=True):
    """What a webhook is verified with.

    Args:
        secrets: Meta's app secret, Twilio's auth token, or the header we asked 360dialog to send; the new one and the
            old one while they are being changed. Empty ones count for nothing.
        url: the public address of the webhook as configured, never as the request says: Twilio signs it.
    """

    secrets: tuple[str, ...]
    url: str = ""


class Request(Value, frozen=True):
    """One request to a provider: a path on its host, and a body. Nothing secret is in it."""

    path: str
    body: Mapping[str, Any]
    form: bool = False

    @property
    def content_type(self) -> str:
        """The type of ``encoded``."""
        return "application/x-www-form-urlencoded" if self.form else "application/json"

    def encoded(self) -> bytes:
        """Return the body as it is sent."""
        return urlencode(self.body).encode() if self.form else msgspec.json.encode(self.body)


class Sent(Value, frozen=True):
    """What a provider answered to a message it accepted; not yet delivered."""

    id: str
    person: Person = Person()
    held: bool = False  # the provider looks at a new template's effect before it lets this one through


class MediaLink(Value, frozen=True):
    """Where a file can be fetched for five minutes."""

    url: str
    mime: str = ""
    sha256: str = ""  # hex
    size: int | None = None  # bytes


class Adapter(Protocol):
    """A provider. Pure: bytes and values in, values out, whatever was sent."""

    name: str

    def verify(self, raw: bytes, headers: Mapping[str, str], seal: Seal) -> bool:
        """Whether the provider sent exactly these bytes."""

    def parse(self, raw: bytes) -> list[Arrived]:
        """Return everything in a webhook's body, each by itself, in its order. Never raises."""

    def render(self, outgoing: Outgoing, person: Person, number: OurNumber, tag: str = "") -> list[Request]:
        """Return the requests that say this, in the order they must be sent.

        Args:
            tag: comes back with every status of the message; with several requests ``.1``, ``.2`` follow it.

        Raises:
            BadValue: the provider would refuse it.
        """

    def sent(self, body: bytes) -> Sent | None:
        """Return what the answer to a successful request says, or ``None`` when it names no message."""

    def classify(self, status: int, body: bytes) -> Verdict:
        """Return what to do about a request that was refused with this HTTP status and body."""


def header(headers: Mapping[str, str], name: str) -> str:
    """Return a header whatever the case of its name, or an empty string."""
    if name in headers:
        return headers[name]
    return next((value for each, value in headers.items() if each.lower() == name.lower()), "")


def tags(tag: str, count: int) -> Sequence[str]:
    """Return the tags of a message's parts: its own when there is one, else numbered from 0."""
    return [tag] * count if count == 1 or not tag else [f"{tag}.{part}" for part in range(count)]
