"""What a provider says of our templates, and where that differs from what we say.

Approved is not enough: a template whose text was edited at the provider arrives differently from its preview, and one
put into another category costs more and reaches fewer people.

Sources: developers.facebook.com/docs/graph-api/reference/whats-app-business-account/message_templates;
twilio.com/docs/content/content-api-resources
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import chain

from channels.whatsapp import reading as r
from channels.whatsapp.cloud_out import answered
from channels.whatsapp.templates import PLACEHOLDER, Template, Wording, names, numbered
from server.core.model import Value

_TWILIO_BODIES = ("whatsapp/card", "twilio/quick-reply", "twilio/call-to-action", "twilio/card", "twilio/text")


class Listed(Value, frozen=True):
    """A template in one language, as the provider has it."""

    name: str  # Meta's name; Twilio's SID
    language: str
    status: str = ""  # approved, pending, rejected, paused, disabled, ... in small letters
    category: str = ""
    header: str = ""
    body: str = ""
    footer: str = ""
    buttons: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    reason: str = ""
    quality: str = ""


class Listing(Value, frozen=True):
    """A page of them, and where the next one is, if there is one: Meta's cursor, Twilio's address."""

    templates: tuple[Listed, ...]
    next: str = ""


class What(StrEnum):
    """Where we and the provider differ."""

    MISSING = "missing"
    STATUS = "status"
    CATEGORY = "category"
    HEADER = "header"
    BODY = "body"
    FOOTER = "footer"
    BUTTONS = "buttons"
    LINKS = "links"
    SPARE = "spare"  # the provider has one that we do not know: nothing is wrong

    @property
    def blocks(self) -> bool:
        """Whether the template cannot be sent, or not as the preview shows it."""
        return self not in (What.SPARE, What.CATEGORY)


class Difference(Value, frozen=True):
    template: str
    language: str
    what: What
    ours: str = ""
    theirs: str = ""


def listed_by_meta(body: bytes) -> Listing:
    """Return a page of ``GET /{account}/message_templates``, or of what 360dialog has instead."""
    said = answered(body)
    nodes = chain(r.nodes(said, "data"), r.nodes(said, "waba_templates"))
    found = tuple(_listed(each) for each in nodes if r.identifier(each, "name"))
    paging = r.node(said, "paging")
    after = r.identifier(r.node(paging, "cursors"), "after") if paging.get("next") else ""
    return Listing(found, after)


def _listed(said: r.Node) -> Listed:
    parts = {r.word(part, "type").upper(): part for part in r.nodes(said, "components")}
    buttons = list(r.nodes(parts.get("BUTTONS", {}), "buttons"))
    quality = said.get("quality_score")
    return Listed(
        name=r.identifier(said, "name"),
        language=r.word(said, "language"),
        status=r.word(said, "status").lower(),
        category=r.word(said, "category").lower(),
        header=r.text(parts.get("HEADER", {}), "text", 1024),
        body=r.text(parts.get("BODY", {}), "text", 4096),
        footer=r.text(parts.get("FOOTER", {}), "text", 1024),
        buttons=tuple(r.text(button, "text", 256) for button in buttons),
        links=tuple(link for button in buttons if (link := r.text(button, "url", 2048))),
        reason=r.word(said, "rejected_reason").removeprefix("NONE"),
        quality=r.word(quality, "score").lower() if isinstance(quality, dict) else "",
    )


def listed_by_twilio(body: bytes) -> Listing:
    """Return a page of ``GET /v1/ContentAndApprovals``."""
    said = answered(body)
    found = tuple(_content(each) for each in r.nodes(said, "contents") if r.identifier(each, "sid"))
    return Listing(found, r.url(r.node(said, "meta"), "next_page_url"))


def _content(said: r.Node) -> Listed:
    types, approval = r.node(said, "types"), r.node(said, "approval_requests")
    about: Mapping[str, object] = next((r.node(types, name) for name in _TWILIO_BODIES if name in types), {})
    actions = list(r.nodes(about, "actions"))
    return Listed(
        name=r.identifier(said, "sid"),
        language=r.word(said, "language"),
        status=r.word(approval, "status").lower(),
        category=r.word(approval, "category").lower(),
        header=r.text(about, "header_text", 1024),
        body=r.text(about, "body", 4096) or r.text(about, "title", 4096),
        footer=r.text(about, "footer", 1024),
        buttons=tuple(r.text(action, "title", 256) for action in actions),
        links=tuple(link for action in actions if (link := r.text(action, "url", 2048))),
        reason=r.text(approval, "rejection_reason", 512),
    )


def compare(templates: Iterable[Template], listed: Iterable[Listed], provider: str) -> list[Difference]:
    """Return where the provider's templates differ from ours, ours first, in their order."""
    theirs = {(each.name, "" if provider == "twilio" else each.language): each for each in listed}
    found = list[Difference]()
    for template in templates:
        for language, wording in template.text.items():
            key = _key(template, language, provider)
            if key is not None:
                found += _differences(template, language, wording, theirs.pop(key, None), provider)
    return found + [Difference(each.name, each.language, What.SPARE, theirs=each.status) for each in theirs.values()]


def _key(template: Template, language: str, provider: str) -> tuple[str, str] | None:
    if provider == "twilio":
        sid = template.providers.twilio.get(language)
        return (sid, "") if sid else None
    known = template.at(provider)
    return (known.name, template.code(language, provider)) if known else None


def _differences(
    template: Template, language: str, wording: Wording, theirs: Listed | None, provider: str
) -> Iterator[Difference]:
    if theirs is None:
        yield Difference(template.id, language, What.MISSING)
        return
    ours = as_listed(template, language, wording, provider)
    if theirs.status != "approved":
        yield Difference(template.id, language, What.STATUS, "approved", theirs.status)
    if theirs.category and theirs.category != template.category:
        yield Difference(template.id, language, What.CATEGORY, template.category, theirs.category)
    for what, one, other in (
        (What.HEADER, ours.header, theirs.header),
        (What.BODY, ours.body, theirs.body),
        (What.FOOTER, ours.footer, theirs.footer),
        (What.BUTTONS, " | ".join(ours.buttons), " | ".join(theirs.buttons)),
        (What.LINKS, " | ".join(ours.links), " | ".join(theirs.links)),
    ):
        if one.strip() != other.strip():
            yield Difference(template.id, language, what, one, other)


def as_listed(template: Template, language: str, wording: Wording, provider: str) -> Listed:
    """Return one of our wordings as the provider would list it, its variables named or numbered as there."""
    known = template.at(provider)
    if provider == "twilio":
        everywhere = numbered(template, wording)
        header, body = (_renamed(part, everywhere) for part in (wording.header, wording.body))
        links = tuple(_renamed(button.link, everywhere) for button in template.buttons if button.link)
    else:
        by_number = known is not None and known.numbered
        header, body = (_renamed(part, names(part)) if by_number else part for part in (wording.header, wording.body))
        links = tuple(PLACEHOLDER.sub("{{1}}", button.link) for button in template.buttons if button.link)
    name = template.providers.twilio.get(language, "") if provider == "twilio" else known.name if known else ""
    return Listed(
        name=name,
        language=template.code(language, provider),
        status="approved",
        category=str(template.category),
        header=header,
        body=body.strip(),
        footer=wording.footer,
        buttons=wording.buttons,
        links=links,
    )


def _renamed(text: str, order: tuple[str, ...]) -> str:
    return PLACEHOLDER.sub(lambda match: f"{{{{{order.index(match[1]) + 1}}}}}", text)
