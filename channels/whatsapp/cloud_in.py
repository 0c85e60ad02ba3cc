"""Webhooks of the Cloud API as values: Meta's own, and 360dialog's, which are the same.

A body is `entry[].changes[].value`, and a value holds messages, statuses and errors side by side. Each of them is read
by itself, down to a single status; what one of them lacks harms no other.

Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from channels.whatsapp import reading as r
from channels.whatsapp.cloud_content import content_of, context_of, referral_of
from channels.whatsapp.errors import META, judged
from channels.whatsapp.numbers import wa_id
from channels.whatsapp.reading import Node, Odd
from channels.whatsapp.wire import (
    AccountChanged,
    Arrived,
    BookEntry,
    ChangeKind,
    Echo,
    Fault,
    GroupChanged,
    HistoryProgress,
    IdentityChanged,
    Message,
    Other,
    Past,
    Person,
    Preference,
    Pricing,
    Status,
    TemplateChanged,
    Trouble,
    Unreadable,
)
from server.core.model import DeliveryStatus

_STATUSES = {
    "accepted": DeliveryStatus.SENDING,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "played": DeliveryStatus.READ,  # who listened to a voice note has seen it
    "failed": DeliveryStatus.FAILED,
}
_HISTORY_STATUSES = {**_STATUSES, "error": DeliveryStatus.FAILED, "pending": DeliveryStatus.SENDING}
_DECLINED = 2593109  # the owner of the number would not share its history
_CHANGED = {
    "user_changed_number": ChangeKind.NUMBER,
    "customer_changed_number": ChangeKind.NUMBER,
    "user_changed_user_id": ChangeKind.USER_ID,
    "customer_identity_changed": ChangeKind.DEVICE,
}
_MISTAKES = (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError)


def parse(raw: bytes) -> list[Arrived]:
    """Return everything in a webhook's body, in its order. Never raises."""
    try:
        said = r.read_json(raw)
    except Odd as odd:
        return [Unreadable("body", odd.reason)]
    if not isinstance(said, dict):
        return [Unreadable("body", "not_an_object")]
    if said.get("object", "whatsapp_business_account") != "whatsapp_business_account":
        return [Unreadable("body", "wrong_object")]
    return list(_body(said))


def _body(said: Node) -> Iterator[Arrived]:
    if "entry" in said:
        yield from each(said, "entry", "", _entry)
    elif isinstance(said.get("data"), dict) and "event" in said:  # how 360dialog wraps the news for its partners
        yield from _change({"field": said["event"], "value": said["data"]}, "")
    elif said.keys() & {"messages", "statuses", "errors"}:  # and what it once sent without any wrapping
        yield from _change({"field": "messages", "value": said}, "")
    else:
        yield Unreadable("body", "empty")


def each(of: Node, name: str, where: str, read: Callable[..., Iterable[Arrived]], *more: Any) -> Iterator[Arrived]:
    """Return what ``read`` finds in every member of a list; one that cannot be read is a value, and the next follows.

    A mistake of ours in reading one of a thousand must not cost the others either: it is told as ``mistake``. Of very
    many that cannot be read (three megabytes of zeros), the first thousand are told.
    """
    unread = 0
    for place, item in r.items(of, name):
        if isinstance(item, dict):
            path = f"{where}.{place}" if where else place
            found = _read(item, path, read, *more)
        elif unread < r.MAX_LIST:
            found = [Unreadable(f"{where}.{place}" if where else place, "not_an_object")]
        else:
            continue
        alone = len(found) == 1 and isinstance(found[0], Unreadable)
        unread += alone
        if not alone or unread <= r.MAX_LIST:
            yield from found


def _read(item: Node, path: str, read: Callable[..., Iterable[Arrived]], *more: Any) -> list[Arrived]:
    try:
        return list(read(item, path, *more))
    except Odd as odd:
        return [Unreadable(path, odd.reason)]
    except _MISTAKES:
        return [Unreadable(path, "mistake")]


def _entry(entry: Node, where: str) -> Iterator[Arrived]:
    if "changes" not in entry:
        raise Odd("empty")
    yield from each(entry, "changes", where, _change, entry)


def _change(change: Node, where: str, entry: Node | None = None) -> Iterator[Arrived]:
    field, value = r.word(change, "field") or "messages", r.node(change, "value")
    our = r.identifier(r.node(value, "metadata"), "phone_number_id")
    path = f"{where}.value" if where else "value"
    if not value:
        raise Odd("empty")
    match field:
        case "messages":
            yield from _messages(value, path, our)
        case "smb_message_echoes" | "message_echoes":
            yield from each(value, "message_echoes", path, _echo, our, value)
        case "history":
            yield from each(value, "history", path, _history, our, value)
            yield from each(value, "messages", path, _past, our, value, None)
        case "smb_app_state_sync":
            yield from each(value, "state_sync", path, _book_entry, our)
        case "user_preferences":
            yield from each(value, "user_preferences", path, _preference, our, value)
        case "user_id_update":
            yield from each(value, "user_id_update", path, _user_id_update, our)
        case _ if field.startswith(("message_template_", "template_")):
            yield _template(field, value, entry or {})
        case _ if field.startswith("group_"):
            yield from each(value, "groups", path, _group, our, field)
        case _ if field.startswith(("account_", "phone_number_", "business_", "security")):
            yield _account(field, value, entry or {})
        case _:
            yield Other(field=field, our=our)


def _messages(value: Node, where: str, our: str) -> Iterator[Arrived]:
    yield from each(value, "messages", where, _message, our, value)
    yield from each(value, "statuses", where, _status, our, value)
    faults = faults_of(value)
    if faults and not value.get("messages") and not value.get("statuses"):
        yield Trouble(our=our, faults=faults)


# Who ---------------------------------------------------------------------------------------------------------------


def _ids(number: str, scoped: str, parent: str) -> Person:
    """Return a person from what stands where ids stand; a scoped id may stand where a number was."""
    found = (number, scoped, parent)
    return Person(
        wa_id=wa_id(number),
        user_id=next((r.user_id(each) for each in found if r.user_id(each)), ""),
        parent_id=next((r.parent_id(each) for each in found if r.parent_id(each)), ""),
    )


def _named(person: Person, value: Node) -> Person:
    """Return the person with what `contacts` says of them, which names them when nothing else does."""
    contacts = list(r.nodes(value, "contacts"))
    for contact in contacts:
        listed = _contact(contact)
        alone = len(contacts) == 1 and not person.known
        same_number = bool(person.wa_id) and listed.wa_id == person.wa_id
        same_id = bool(person.user_id) and listed.user_id == person.user_id
        if alone or same_number or same_id:
            return Person(
                person.wa_id or listed.wa_id,
                person.user_id or listed.user_id,
                person.parent_id or listed.parent_id,
                listed.name,
                listed.username,
            )
    return person


def _contact(contact: Node) -> Person:
    ids = _ids(*(r.identifier(contact, name) for name in ("wa_id", "user_id", "parent_user_id")))
    profile = r.node(contact, "profile")
    return Person(ids.wa_id, ids.user_id, ids.parent_id, r.line(profile, "name"), r.line(profile, "username"))


def _person(of: Node, prefix: str, value: Node) -> Person:
    """Return who ``from``, ``from_user_id``, ``from_parent_user_id`` name; likewise with ``to`` and ``recipient``."""
    number = r.text(of, "recipient_id" if prefix == "recipient" else prefix, r.MAX_ID)
    scoped = r.identifier(of, f"{prefix}_user_id")
    return _named(_ids(number, scoped, r.identifier(of, f"{prefix}_parent_user_id")), value)


def _identified(person: Person) -> Person:
    if not person.known:
        raise Odd("nobody")
    return person


# Messages ----------------------------------------------------------------------------------------------------------


def _id(of: Node) -> str:
    found = r.identifier(of, "id")
    if not found:
        raise Odd("no_id")
    return found


def _message(message: Node, where: str, our: str, value: Node) -> Iterator[Arrived]:
    if r.word(message, "type") == "system":
        yield _identity(message, our)
        return
    yield Message(
        id=_id(message),
        our=our,
        person=_identified(_person(message, "from", value)),
        at=r.moment(message, "timestamp"),
        content=content_of(message),
        context=context_of(message),
        group=r.identifier(message, "group_id"),
        referral=referral_of(message),
        faults=faults_of(message),
    )


def _echo(message: Node, where: str, our: str, value: Node) -> Iterator[Arrived]:
    yield Echo(
        id=_id(message),
        our=our,
        person=_identified(_person(message, "to", value)),
        at=r.moment(message, "timestamp"),
        content=content_of(message),
        context=context_of(message),
        group=r.identifier(message, "group_id"),
    )


def _history(chunk: Node, where: str, our: str, value: Node) -> Iterator[Arrived]:
    faults = faults_of(chunk)
    about = r.node(chunk, "metadata")
    if about or any(fault.code == _DECLINED for fault in faults):
        yield HistoryProgress(
            our=our,
            phase=r.number(about, "phase") or 0,
            chunk=r.number(about, "chunk_order") or 0,
            percent=r.number(about, "progress") or 0,
            declined=any(fault.code == _DECLINED for fault in faults),
        )
    elif faults:
        yield Trouble(our=our, faults=faults)
    yield from each(chunk, "threads", where, _history_thread, our, value)


def _history_thread(thread: Node, where: str, our: str, value: Node) -> Iterator[Arrived]:
    context = r.node(thread, "context")
    person = _ids(
        r.text(thread, "id", r.MAX_ID) or r.text(context, "wa_id", r.MAX_ID),
        r.identifier(context, "user_id"),
        r.identifier(context, "parent_user_id"),
    )
    person = Person(person.wa_id, person.user_id, person.parent_id, "", r.line(context, "username"))
    yield from each(thread, "messages", where, _past, our, value, person)


def _past(message: Node, where: str, our: str, value: Node, with_: Person | None) -> Iterator[Arrived]:
    history = r.node(message, "history_context")
    own_number = wa_id(r.text(r.node(value, "metadata"), "display_phone_number"))
    sender = _person(message, "from", value)
    ours = r.flag(history, "from_me") or bool(own_number and sender.wa_id == own_number) or bool(message.get("to"))
    person = with_ or (_person(message, "to", value) if ours else sender)
    yield Past(
        id=_id(message),
        our=our,
        person=_identified(person),
        at=r.moment(message, "timestamp"),
        content=content_of(message),
        context=context_of(message),
        group=r.identifier(message, "group_id"),
        ours=ours,
        status=_HISTORY_STATUSES.get(r.word(history, "status").lower()) if ours else None,
    )


# Statuses and errors -----------------------------------------------------------------------------------------------


def _status(status: Node, where: str, our: str, value: Node) -> Iterator[Arrived]:
    said = r.word(status, "status").lower()
    if said not in _STATUSES:
        raise Odd("unknown_status")
    recipient = _person(status, "recipient", value)
    of_group = r.word(status, "recipient_type") == "group"
    yield Status(
        id=_id(status),
        our=our,
        status=_STATUSES[said],
        at=r.moment(status, "timestamp"),
        person=recipient,
        tag=r.text(status, "biz_opaque_callback_data", 512),
        played=said == "played",
        faults=faults_of(status) or faults_of(value),
        pricing=_pricing(r.node(status, "pricing")),
        group=r.identifier(status, "recipient_id") if of_group else "",
    )


def _pricing(pricing: Node) -> Pricing | None:
    if not pricing:
        return None
    billable = pricing.get("billable")
    return Pricing(
        billable=billable if isinstance(billable, bool) else None,
        model=r.word(pricing, "pricing_model"),
        type=r.word(pricing, "type"),
        category=r.word(pricing, "category"),
    )


def faults_of(of: Node) -> tuple[Fault, ...]:
    """Return the errors of a message, a status or a whole value: their codes and what follows, not their words."""
    codes = [r.number(error, "code") for error in r.nodes(of, "errors")]
    return tuple(Fault(code or 0, judged(META, code)) for code in codes[: r.MAX_LIST])


# Everything else ---------------------------------------------------------------------------------------------------


def _identity(message: Node, our: str) -> IdentityChanged:
    system = r.node(message, "system")
    change = _CHANGED.get(r.word(system, "type"))
    if change is None:
        raise Odd("unknown_system_message")
    was = _ids(
        r.text(message, "from", r.MAX_ID) or r.text(system, "customer", r.MAX_ID),
        r.identifier(system, "previous_user_id") or r.identifier(message, "from_user_id"),
        r.identifier(system, "previous_parent_user_id") or r.identifier(message, "from_parent_user_id"),
    )
    now = _ids(
        r.text(system, "wa_id", r.MAX_ID) or r.text(system, "new_wa_id", r.MAX_ID),
        r.identifier(system, "user_id"),
        r.identifier(system, "parent_user_id"),
    )
    return IdentityChanged(
        id=_id(message), our=our, change=change, was=_identified(was), now=now, at=r.moment(message, "timestamp")
    )


def _user_id_update(update: Node, where: str, our: str) -> Iterator[Arrived]:
    number, own, parent = r.text(update, "wa_id", r.MAX_ID), r.node(update, "user_id"), r.node(update, "parent_user_id")
    was, now = (_ids(number, r.identifier(own, when), r.identifier(parent, when)) for when in ("previous", "current"))
    yield IdentityChanged(
        id=f"{now.user_id}.{r.text(update, 'timestamp', 20)}",  # it has no id of its own
        our=our,
        change=ChangeKind.USER_ID,
        was=_identified(was),
        now=_identified(now),
        at=r.moment(update, "timestamp"),
    )


def _preference(preference: Node, where: str, our: str, value: Node) -> Iterator[Arrived]:
    wanted = {"stop": False, "resume": True}.get(r.word(preference, "value").lower())
    if wanted is None:
        raise Odd("unknown_preference")
    ids = [r.identifier(preference, name) for name in ("wa_id", "user_id", "parent_user_id")]
    yield Preference(
        our=our,
        person=_identified(_named(_ids(*ids), value)),
        category=r.word(preference, "category") or "marketing_messages",
        wanted=wanted,
        at=r.moment(preference, "timestamp"),
    )


def _book_entry(entry: Node, where: str, our: str) -> Iterator[Arrived]:
    contact = r.node(entry, "contact")
    ids = _ids(
        r.text(contact, "phone_number", r.MAX_ID),
        r.identifier(contact, "user_id"),
        r.identifier(contact, "parent_user_id"),
    )
    name = r.line(contact, "full_name") or r.line(contact, "first_name")
    yield BookEntry(
        our=our,
        person=_identified(Person(ids.wa_id, ids.user_id, ids.parent_id, name, r.line(contact, "username"))),
        removed=r.word(entry, "action") == "remove",
        at=r.moment(r.node(entry, "metadata"), "timestamp"),
    )


def _template(field: str, value: Node, entry: Node) -> TemplateChanged:
    what, now, before = {
        "message_template_status_update": ("status", r.word(value, "event"), ""),
        "message_template_quality_update": (
            "quality",
            r.word(value, "new_quality_score"),
            r.word(value, "previous_quality_score"),
        ),
        "template_category_update": (
            "category",
            r.word(value, "correct_category") or r.word(value, "new_category"),
            r.word(value, "previous_category") or r.word(value, "new_category"),
        ),
        "message_template_components_update": ("text", "", ""),
    }.get(field, (field, r.word(value, "event"), ""))
    return TemplateChanged(
        what=what,
        account=r.identifier(entry, "id"),
        id=r.identifier(value, "message_template_id"),
        name=r.word(value, "message_template_name") or r.identifier(value, "message_template_name"),
        language=r.word(value, "message_template_language"),
        now=now,
        before=before,
        reason=r.word(value, "reason"),
        at=r.moment(entry, "time"),
    )


def _account(field: str, value: Node, entry: Node) -> AccountChanged:
    event = (
        r.word(value, "event")
        or r.word(value, "decision")
        or r.word(r.node(value, "ban_info"), "waba_ban_state")
        or r.word(r.node(value, "alert_info"), "alert_type")
    )
    limits = ("current_limit", "max_daily_conversations_per_business", "max_daily_conversation_per_phone")
    return AccountChanged(
        field=field,
        account=r.identifier(entry, "id"),
        event=event,
        number=wa_id(r.text(value, "display_phone_number") or r.text(value, "phone_number")),
        limit=next((found for found in (r.word(value, name) for name in limits) if found), ""),
        at=r.moment(entry, "time"),
    )


def _group(group: Node, where: str, our: str, field: str) -> Iterator[Arrived]:
    yield GroupChanged(
        our=our,
        field=field,
        event=r.word(group, "type"),
        group=r.identifier(group, "group_id"),
        at=r.moment(group, "timestamp"),
    )
