"""The console's knowledge pages: what the clinic has to say, edited, tried out and published; and what it lacks.

They are forms that work without script. Whoever is signed in may read and try; the table of roles says who may change.
What is typed never stands in an address, which logs see.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect

from knowledge_base import exchange
from knowledge_base.arrays import Unusable
from knowledge_base.entries import Entry
from knowledge_base.remarks import say
from server.core.errors import NotFound
from server.core.identity import Action, may
from server.library import Finding, Held, Library, NotBuilt, Stale, Unfit, UnknownEntry, UnknownSnapshot, Wrong
from server.library.checking import BLOCKING
from server.library.gaps import Cluster
from server.library.weeks import UNHIT_WEEKS, figures
from server.web.console import to_the_door
from server.web.guards import AnyRequest, house_of, needs, pages_of, provide_me
from server.web.knowledge_diff import differences
from server.web.knowledge_form import (
    HEAD,
    LISTS,
    RISKS,
    SPOKEN,
    STATUSES,
    Misfit,
    cleaned,
    entry_of,
    field_at,
    fields_of,
    languages_of,
)
from server.web.knowledge_shown import (
    DUES,
    LIMITS,
    ROWS,
    STATES,
    Asked,
    Listing,
    Remark,
    by_field,
    charts,
    new_id,
    outcome_shown,
    percent,
    remark,
    row,
    title_of,
    week_label,
)
from server.web.pages import preferred
from server.web.screen import Screen
from server.web.sessions import NotSignedIn, SignedIn
from server.web.signing_in import Form, sent
from server.web.strings import LANGUAGES

KNOWLEDGE = "/console/knowledge"
ENTRIES = f"{KNOWLEDGE}/entries"
MAX_ASKED = 1_000  # characters of a question that is tried out
SHOWN_WEEKS = 12
MOST_CLUSTERS = 50
VARIANTS = 10  # wordings of a cluster that are put into an entry
CHANNELS = ("web", "whatsapp", "voice")
TABS = ("entries", "gaps", "figures", "try", "publish")
ERRORS = ("unfit", "not_built", "unknown_snapshot")

Page = Response[str]
Name = Annotated[str, QueryParameter(max_length=100)]


class Desk:
    """A colleague at the knowledge pages, for one request."""

    def __init__(self, screen: Screen, library: Library) -> None:
        self.screen, self.library = screen, library
        self.words, self.house, self.me = screen.words, screen.house, screen.me
        self.today: date = screen.now.astimezone(ZoneInfo(self.house.clinic.timezone)).date()
        self.languages = list(self.house.clinic.languages)

    def shared(self, tab: str) -> dict[str, Any]:
        """Return what every one of these pages needs."""
        return {
            **self.screen.shared(),
            "tab": tab,
            "tabs": TABS,
            "may_change": may(self.me.role, Action.KNOWLEDGE),
            "spoken": self.screen.spoken,
            "name_of": self.screen.name_of,
            "channels": CHANNELS,
            "try_languages": self.languages,
        }

    async def known(self, id: str) -> Held:
        """Return an entry.

        Raises:
            NotFound: there is none of this name.
        """
        held = await self.library.entry(id) if len(id) <= 40 else None
        if held is None:
            raise NotFound
        return held

    async def clusters(self) -> list[Cluster]:
        """Return what had no answer, put together."""
        known: dict[str, list[str]] = defaultdict(list)
        for held in await self.library.entries():
            for language, questions in held.entry.questions.items():
                known[language] += questions
        return await self.house.noticing.clusters(known)

    async def cluster(self, id: str) -> Cluster | None:
        """Return one of them, while it is there."""
        return next((each for each in await self.clusters() if each.id == id), None) if id else None

    def page(self, request: AnyRequest, tab: str, template: str, status: int = 200, **values: Any) -> Page:
        """Return a page."""
        return pages_of(request).page(f"console/knowledge/{template}.html", status=status, **self.shared(tab), **values)

    async def form(
        self,
        request: AnyRequest,
        held: Held | None,
        fields: dict[str, str],
        *,
        status: int = 200,
        wrong: dict[str, str] | None = None,
        **values: Any,
    ) -> Page:
        """Return an entry's page, with these fields in its form; ``wrong``: what is expected where something is."""
        languages = list(dict.fromkeys([*self.languages, *languages_of(fields)]))
        known = await self.library.entries()
        shown = {
            "held": held,
            "fields": defaultdict(str, fields),
            "form_languages": languages,
            "wrong": wrong or {},
            "remarks": {},
            "base": held.version if held is not None else "",
            "revisions": await self._revisions(held) if held is not None else [],
            "mine": None,
            "gap": "",
            "added": (),
            "saved": False,
            "head": HEAD,
            "spoken_fields": SPOKEN,
            "listed": LISTS,
            "limits": LIMITS,
            "statuses": STATUSES,
            "risks": RISKS,
            "owners": sorted({each.entry.owner for each in known}),
            "ids": [each.entry.id for each in known],
            "actions": sorted({"answer", "handover", *(each.entry.action for each in known)}),
        }
        return self.page(request, "entries", "entry", status, **{**shown, **values})

    async def _revisions(self, held: Held) -> list[dict[str, Any]]:
        """Return who changed what, newest first; what the first of them changed is not known."""
        history = await self.library.history(held.entry.id)
        before: list[Entry | None] = [each.entry for each in history[1:]]
        return [
            {
                "revision": each,
                "current": number == 0,
                "first": earlier is None,
                "differences": differences(earlier, each.entry) if earlier is not None else [],
            }
            for number, (each, earlier) in enumerate(zip(history, [*before, None], strict=False))
        ]

    def expected(self, wrong: dict[str, str]) -> dict[str, str]:
        """Return what is expected in each field, in the reader's language."""
        return {
            field: self.words("kb_expected", what=say(f"expect.{key}", self.words.language))
            for field, key in wrong.items()
        }


async def provide_desk(request: AnyRequest) -> Desk:
    """Hand a page the desk of the colleague that its guard has let in.

    Raises:
        NotFound: nothing is edited here: what answers is not the clinic's own content.
    """
    house = house_of(request)
    if house.library is None:
        raise NotFound
    wish = preferred(request.headers.get("accept-language", ""), LANGUAGES)
    return Desk(await Screen.of(house, provide_me(request), wish), house.library)


# reading --------------------------------------------------------------------------------------------------------------


@get("/", **needs(Action.READ))
async def list_page(request: AnyRequest, desk: NamedDependency[Desk]) -> Page:
    """Show the entries, or those that are looked for."""
    asked = _asked(request)
    held = await desk.library.entries()
    listing = _LISTED.setdefault(desk.library, Listing())
    rows, total = await asyncio.to_thread(listing.rows, held, asked, desk.languages, desk.words.language, desk.today)
    part = request.headers.get("hx-target") == "found" and "hx-request" in request.headers
    return desk.page(
        request,
        "entries",
        "found" if part else "list",
        asked=asked,
        rows=rows,
        total=total,
        more=asked.url(asked.rows + 4 * ROWS) if total > asked.rows else "",
        states=STATES,
        dues=DUES,
        owners=sorted({each.entry.owner for each in held}),
    )


_LISTED: WeakKeyDictionary[Library, Listing] = WeakKeyDictionary()


def _asked(request: AnyRequest) -> Asked:
    """Return what the address asks for; what cannot be read is as if it were not there."""
    read: dict[str, Any] = {}
    for name, value in dict(request.query_params).items():
        with contextlib.suppress(msgspec.ValidationError):
            msgspec.convert({name: value}, Asked, strict=False)
            read[name] = value.strip() if isinstance(value, str) else value
    return msgspec.convert(read, Asked, strict=False)


@get("/entries/{id:str}", **needs(Action.READ))
async def entry_page(
    request: AnyRequest,
    desk: NamedDependency[Desk],
    id: FromPath[str],
    gap: Name = "",
    saved: Name = "",
    check: Name = "",
) -> Page:
    """Show an entry to be changed; with what people asked put into it, where a gap leads here."""
    held = await desk.known(id)
    fields, added = fields_of(held.entry), list[str]()
    cluster = await desk.cluster(gap)
    if cluster is not None:
        name = f"questions_{cluster.language}"
        there = fields.get(name, "").split("\n")
        added = [text for text in cluster.texts[:VARIANTS] if text not in there]
        fields[name] = "\n".join([*there, *added]).strip()
    remarks = by_field(await _remarks(desk, held.entry.id)) if check else {}
    gap = gap if cluster is not None else ""
    return await desk.form(request, held, fields, gap=gap, added=added, saved=bool(saved), remarks=remarks)


@get("/entries/{id:str}/remarks", **needs(Action.READ))
async def remarks_part(request: AnyRequest, desk: NamedDependency[Desk], id: FromPath[str]) -> Page:
    """Show what is wrong or unwise in an entry, each at its field; looking takes a moment."""
    held = await desk.known(id)
    remarks = await _remarks(desk, held.entry.id)
    fields = fields_of(held.entry)
    languages = list(dict.fromkeys([*desk.languages, *languages_of(fields)]))
    return desk.page(request, "entries", "remarks", held=held, remarks=by_field(remarks), form_languages=languages)


async def _remarks(desk: Desk, id: str) -> list[Remark]:
    try:
        found = await _findings(desk)
    except Unfit as error:
        return _unfit(desk, error)
    return [remark(each, desk.words.language) for each in found if each.entry == id]


def _unfit(desk: Desk, error: Unfit) -> list[Remark]:
    """Return why content cannot be published."""
    if error.fault is not None:
        return [Remark(error.fault, error=True)]
    return [remark(each, desk.words.language) for each in error.findings]


_LOOKED: WeakKeyDictionary[Library, tuple[object, list[Finding]]] = WeakKeyDictionary()


async def _findings(desk: Desk) -> list[Finding]:
    """Return what is wrong or unwise in everything as it stands; looked at anew only when something has changed.

    Raises:
        Unfit: a file cannot be read.
        NotBuilt: the looking broke off.
    """
    standing = (desk.today, tuple((held.entry.id, held.version) for held in await desk.library.entries()))
    looked = _LOOKED.get(desk.library)
    if looked is None or looked[0] != standing:
        looked = _LOOKED[desk.library] = (standing, await desk.library.lint())
    return looked[1]


@get("/try", **needs(Action.READ))
async def try_page(request: AnyRequest, desk: NamedDependency[Desk]) -> Page:
    """Show where a question can be tried out."""
    return desk.page(request, "try", "try", text="", language="", channel="web", live=None, drafts=None, amiss="")


@post("/try", status_code=200, **needs(Action.READ, form=True))
async def try_out(request: AnyRequest, data: Form, desk: NamedDependency[Desk], me: NamedDependency[SignedIn]) -> Page:
    """Show what would be answered, as it is live and as it would be with what is not published yet, and why."""
    desk.house.sessions.check_csrf(me.session, sent(data, "csrf"))
    text, channel = sent(data, "asked")[:MAX_ASKED].replace("\0", ""), sent(data, "channel")
    language = sent(data, "language") if sent(data, "language") in desk.languages else ""
    channel = channel if channel in CHANNELS else "web"
    live, drafts, amiss = None, None, ""
    if text.strip():
        live = outcome_shown(await desk.library.ask(text, language or None, channel))
        try:
            drafts = outcome_shown(await desk.library.ask(text, language or None, channel, drafts=True))
        except (Unfit, NotBuilt) as error:
            amiss = error.code
        except Unusable:  # the program was changed under the running server, whose child is newer than itself
            amiss = NotBuilt.code
    part = request.headers.get("hx-target") == "outcome" and "hx-request" in request.headers
    return desk.page(
        request,
        "try",
        "outcome" if part else "try",
        text=text,
        language=language,
        channel=channel,
        live=live,
        drafts=drafts,
        amiss=amiss,
    )


# changing -------------------------------------------------------------------------------------------------------------


@get("/new", **needs(Action.KNOWLEDGE))
async def new_page(request: AnyRequest, desk: NamedDependency[Desk], gap: Name = "") -> Page:
    """Show the form of a new entry; with what people asked in it, where a gap leads here."""
    fields = {
        "status": "draft",
        "risk": "admin",
        "action": "answer",
        "owner": desk.me.name,
        "reviewed_at": desk.today.isoformat(),
    }
    cluster = await desk.cluster(gap)
    if cluster is not None:
        taken = [held.entry.id for held in await desk.library.entries()]
        fields["id"] = new_id(cluster.texts[0], taken)
        fields[f"questions_{cluster.language or desk.languages[0]}"] = "\n".join(cluster.texts[:VARIANTS])
    return await desk.form(request, None, fields, gap=gap if cluster else "")


@post("/save", status_code=303, **needs(Action.KNOWLEDGE, form=True))
async def save(
    request: AnyRequest, data: Form, desk: NamedDependency[Desk], me: NamedDependency[SignedIn]
) -> Response[Any]:
    """Keep an entry as it was written; what does not fit comes back with the form."""
    desk.house.sessions.check_csrf(me.session, sent(data, "csrf"))
    fields, base, gap = cleaned(data), sent(data, "base") or None, sent(data, "gap")
    held = await desk.library.entry(fields.get("id", "")) if base else None
    try:
        entry = entry_of(fields)
    except Misfit as error:
        return await desk.form(request, held, fields, status=422, wrong=desk.expected(error.fields), gap=gap)
    try:
        kept = await desk.library.save(entry, me.staff.id, base)
    except Wrong as error:
        wrong = await _expects(desk, entry, error)
        return await desk.form(request, held, fields, status=422, wrong=wrong, gap=gap)
    except Stale:
        return await _conflict(request, desk, entry, fields, gap)
    if (cluster := await desk.cluster(gap)) is not None:
        await desk.house.noticing.mend(cluster.gaps, kept.entry.id, new=base is None)
    return Redirect(f"{ENTRIES}/{kept.entry.id}?saved=1", status_code=303)


async def _expects(desk: Desk, entry: Entry, error: Wrong) -> dict[str, str]:
    """Return the field that does not fit and what is expected there, in the reader's language, as of an import."""
    field = field_at(error.path) or "id"
    assumed = exchange.Assumed(desk.today, facts=(await desk.library.files()).values)
    written = exchange.write([entry], exchange.Form.YAML).encode()
    found = exchange.read(written, exchange.Form.YAML, assumed).faults
    fault = next((each for each in found if field_at(each.field) == field), None)
    what = fault.expected(desk.words.language) if fault else error.expected.removeprefix("expected ")
    return {field: desk.words("kb_expected", what=what)}


async def _conflict(request: AnyRequest, desk: Desk, entry: Entry, fields: dict[str, str], gap: str) -> Response[Any]:
    """Show both versions of an entry that somebody else has changed, or made, in the meantime."""
    held = await desk.library.entry(entry.id)
    if held is None:
        return await desk.form(request, None, fields, status=409, gap=gap, mine=[])
    return await desk.form(request, held, fields, status=409, gap=gap, mine=differences(held.entry, entry))


@post("/retire", status_code=303, **needs(Action.KNOWLEDGE, form=True))
async def retire(
    request: AnyRequest, data: Form, desk: NamedDependency[Desk], me: NamedDependency[SignedIn]
) -> Response[Any]:
    """Take an entry out."""
    desk.house.sessions.check_csrf(me.session, sent(data, "csrf"))
    id = sent(data, "id")
    try:
        await desk.library.retire(id, me.staff.id, sent(data, "base"))
    except UnknownEntry:
        raise NotFound from None
    except Stale:
        held = await desk.known(id)
        return await desk.form(request, held, fields_of(held.entry), status=409, mine=[])
    return Redirect(f"{ENTRIES}/{id}?saved=1", status_code=303)


@post("/restore", status_code=303, **needs(Action.KNOWLEDGE, form=True))
async def restore(
    request: AnyRequest, data: Form, desk: NamedDependency[Desk], me: NamedDependency[SignedIn]
) -> Response[Any]:
    """Make an entry again what it was, as one more change."""
    desk.house.sessions.check_csrf(me.session, sent(data, "csrf"))
    id, version = sent(data, "id"), sent(data, "version")
    held = await desk.known(id)
    former = next((each.entry for each in await desk.library.history(id) if each.version == version), None)
    if former is None:
        raise NotFound
    try:
        await desk.library.save(former, me.staff.id, sent(data, "base"))
    except Wrong as error:
        wrong = await _expects(desk, former, error)
        return await desk.form(request, held, fields_of(former), status=422, wrong=wrong)
    except Stale:
        return await _conflict(request, desk, former, fields_of(former), "")
    return Redirect(f"{ENTRIES}/{id}?saved=1", status_code=303)


# publishing -----------------------------------------------------------------------------------------------------------


@get("/publish", **needs(Action.READ))
async def publish_page(request: AnyRequest, desk: NamedDependency[Desk], done: Name = "", error: Name = "") -> Page:
    """Show what publishing would change, what keeps it from being done, and what was published before."""
    return await _publishing(request, desk, done=done, error=error if error in ERRORS else "")


async def _publishing(
    request: AnyRequest,
    desk: Desk,
    *,
    status: int = 200,
    done: str = "",
    error: str = "",
    unfit: list[Remark] | None = None,
) -> Page:
    """Show it; ``unfit``: why it has just been refused."""
    held = await desk.library.entries()
    live = {each.entry.id for each in held if each.entry.status == "live"}
    blocking, others = unfit or [], list[Remark]()
    try:
        for each in await _findings(desk):
            keeps = each.rule in BLOCKING and (not each.entry or each.entry in live)
            said = remark(each, desk.words.language)
            (blocking if keeps and unfit is None else others).append(said)
    except Unfit as refused:
        blocking = unfit or _unfit(desk, refused)
    except NotBuilt:
        status, error = status if error else 503, error or "not_built"
    pending = [each for each in held if not each.published]
    rows = {each.entry.id: row(each, desk.languages, desk.words.language, desk.today) for each in pending}
    errors = [each for each in others if each.error and each not in blocking]
    return desk.page(
        request,
        "publish",
        "publish",
        status,
        pending=[(each, rows[each.entry.id]) for each in pending],
        drafts=sum(each.entry.status == "draft" for each in held),
        blocking=blocking,
        errors=errors,
        warnings=sum(not each.error for each in others),
        snapshots=await desk.library.snapshots(),
        done=done,
        error=error,
    )


@post("/publish", status_code=303, **needs(Action.KNOWLEDGE, form=True))
async def publish(
    request: AnyRequest, data: Form, desk: NamedDependency[Desk], me: NamedDependency[SignedIn]
) -> Response[Any]:
    """Let visitors get everything as it stands."""
    desk.house.sessions.check_csrf(me.session, sent(data, "csrf"))
    try:
        await desk.library.publish(me.staff.id)
    except Unfit as error:
        _LOOKED.pop(desk.library, None)  # also hours and sentences may have changed, which have no version
        return await _publishing(request, desk, status=409, error="unfit", unfit=_unfit(desk, error))
    except NotBuilt:
        return await _publishing(request, desk, status=503, error="not_built")
    return Redirect(f"{KNOWLEDGE}/publish?done=published", status_code=303)


@post("/rollback", status_code=303, **needs(Action.KNOWLEDGE, form=True))
async def roll_back(
    request: AnyRequest, data: Form, desk: NamedDependency[Desk], me: NamedDependency[SignedIn]
) -> Response[Any]:
    """Let visitors get a former publication again."""
    desk.house.sessions.check_csrf(me.session, sent(data, "csrf"))
    try:
        await desk.library.rollback(me.staff.id, sent(data, "to") or None)
    except UnknownSnapshot:
        return await _publishing(request, desk, status=409, error="unknown_snapshot")
    except NotBuilt:
        return await _publishing(request, desk, status=503, error="not_built")
    return Redirect(f"{KNOWLEDGE}/publish?done=back", status_code=303)


# gaps and figures -----------------------------------------------------------------------------------------------------


@get("/gaps", **needs(Action.READ))
async def gaps_page(request: AnyRequest, desk: NamedDependency[Desk], done: Name = "") -> Page:
    """Show what people asked and got no sure answer to."""
    clusters = await desk.clusters()
    held = {each.entry.id: each for each in await desk.library.entries()}
    shown = clusters[:MOST_CLUSTERS]
    return desk.page(
        request,
        "gaps",
        "gaps",
        clusters=shown,
        rest=len(clusters) - len(shown),
        questions=sum(len(each.gaps) for each in clusters),
        titles={id: row(each, desk.languages, desk.words.language, desk.today).title for id, each in held.items()},
        days=desk.house.settings.gap_days,
        done=bool(done),
    )


@post("/gaps/dismiss", status_code=303, **needs(Action.KNOWLEDGE, form=True))
async def dismiss(data: Form, desk: NamedDependency[Desk], me: NamedDependency[SignedIn]) -> Response[Any]:
    """Forget some questions: nobody means to answer them."""
    desk.house.sessions.check_csrf(me.session, sent(data, "csrf"))
    if (cluster := await desk.cluster(sent(data, "gap"))) is not None:
        await desk.house.noticing.dismiss(cluster.gaps)
    return Redirect(f"{KNOWLEDGE}/gaps?done=1", status_code=303)


@get("/figures", **needs(Action.READ))
async def figures_page(request: AnyRequest, desk: NamedDependency[Desk]) -> Page:
    """Show the last weeks in figures."""
    counted = await desk.house.noticing.counted(SHOWN_WEEKS + UNHIT_WEEKS)
    live = [held.entry for held in await desk.library.entries() if held.entry.valid_on(desk.today)]
    weeks = figures(list(counted)[-SHOWN_WEEKS:], counted, live)
    hit = {entry for counts in list(counted.values())[-UNHIT_WEEKS:] for entry in counts.hits}
    quiet = [each for each in live if each.id not in hit]
    return desk.page(
        request,
        "figures",
        "figures",
        weeks=[(each, week_label(each.week, desk.words)) for each in reversed(weeks)],
        charts=charts(weeks, desk.words),
        percent=percent,
        quiet=_titled(quiet, desk),
        unhit_weeks=UNHIT_WEEKS,
    )


def _titled(entries: Iterable[Entry], desk: Desk) -> list[tuple[str, str]]:
    return [(each.id, title_of(each, [desk.words.language, *desk.languages])) for each in entries]


knowledge = Router(
    KNOWLEDGE,
    route_handlers=[
        list_page,
        entry_page,
        remarks_part,
        try_page,
        try_out,
        new_page,
        save,
        retire,
        restore,
        publish_page,
        publish,
        roll_back,
        gaps_page,
        dismiss,
        figures_page,
    ],
    dependencies={"desk": Provide(provide_desk)},
    exception_handlers={NotSignedIn: to_the_door},
    include_in_schema=False,
)
