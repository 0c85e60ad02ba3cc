"""What a colleague has on the screen: the values of the console's pages, asked of the inbox and the log.

One `Screen` per request: who asks, in which language, and now. Its methods return what a template needs and nothing
that one could write with.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale, UnknownLocaleError

from server.core.checking import cleaned
from server.core.errors import BadValue, NotFound
from server.core.events import AnyEvent, JoinedWith, MovedTo, PartedFrom, Posted, Returned
from server.core.identity import Action, Staff, may
from server.core.model import Channel, Fact, Role, StaffId, Thread, ThreadId
from server.core.ports import Account, Row, View
from server.service import held
from server.service.finding import Finding, Wanted
from server.service.inbox import RowView, Task, todos_of, view_of
from server.service.suggesting import Suggesting
from server.web import morning
from server.web.agreeing import agreements_shown
from server.web.api import CannedShown, all_replies, known_thread
from server.web.changes import Change, of
from server.web.earlier import MOST_PAGES, PAGE, Earlier, back
from server.web.house import House
from server.web.morning import MORNING
from server.web.reasons import cause_of
from server.web.replies import ready_texts
from server.web.sessions import SignedIn
from server.web.strings import LANGUAGES, NAMES, Words
from server.web.timeline import TROUBLED, Bubble, Older, Place, Reader, items, person_name, proven_by, redrawn
from server.web.ways import callable_numbers, offered, outside_of, ways

SEARCH = "search"  # stands where a list's name stands in an address
VIEWS = {
    View.NEEDS_REPLY: "inbox",
    View.MINE: "user",
    View.UNASSIGNED: "users",
    View.BOT: "bot",
    View.SNOOZED: "clock",
    View.CLOSED: "check",
    View.ALL: "text",
}
"""The lists beside the search, with their drawings."""
ROWS = 50  # shown at first
MOST_ROWS = 500  # shown at most; further back one searches
ENOUGH = 40  # messages and lines on a page before the reader asks for older ones
DRAFTS = "drafts:{}"  # the collections of a colleague's drafts, by thread
NOTE_DRAFTS = "note-drafts:{}"
NAMED = "named:{}"  # the newest note naming a colleague that they have opened, by thread


class Where(msgspec.Struct, frozen=True):
    """A state of the console: which list or search, and which conversation is open."""

    view: str  # a View, or SEARCH, or MORNING
    thread: ThreadId | None = None
    query: str = ""
    since: date | None = None  # the first and the last day on which something was said, by the clinic's calendar
    until: date | None = None
    channel: Channel | None = None
    failed: bool = False  # only where a message of ours did not arrive
    by_visit: bool = False  # the morning list: since the reader was last here, not since the clinic closed

    def url(self, thread: ThreadId | None = None) -> str:
        """Return the address of this list, with this conversation open."""
        path = f"/console/{self.view.replace('_', '-')}" + (f"/{quote(thread, safe='')}" if thread else "")
        asked = {
            "q": self.query,
            "since": self.since,
            "until": self.until,
            "channel": self.channel,
            "failed": self.failed and 1,
        }
        if self.view == MORNING and self.by_visit:
            return f"{path}?by_visit=1"
        given = {name: str(value) for name, value in asked.items() if value}
        return f"{path}?{urlencode(given)}" if self.view == SEARCH and given else path

    @property
    def narrowed(self) -> bool:
        """Whether a search is for more than words."""
        return self.failed or not (self.since is None and self.until is None and self.channel is None)


class RowShown(msgspec.Struct, frozen=True):
    """A conversation in the list."""

    thread: ThreadId
    href: str
    name: str
    channel: Channel
    open: bool
    floor: str
    mine: bool
    staff_name: str
    assigned_name: str
    urgent: bool
    unread: bool
    waiting_since: datetime | None
    snoozed_until: datetime | None
    last_at: datetime | None
    preview: str
    tails: tuple[str, ...]
    facts: tuple[Fact, ...]
    task: Task | None
    todos: tuple[Task, ...]
    mentioned: bool  # a note names the reader, who has not opened it since
    glance: bool  # also show the facts and the open task
    failed: bool  # a message of ours may not have arrived
    on_call: bool  # the person is on the phone


class Screen:
    """One colleague's look at the clinic's conversations, for one request."""

    def __init__(self, house: House, me: SignedIn, language: str, accounts: Sequence[Account]) -> None:
        self.house, self.me, self.now = house, me.staff, house.clock()
        self.words, self._zone = Words(language, house.clinic.timezone), ZoneInfo(house.clinic.timezone)
        self.csrf = me.session.csrf
        self._named: dict[ThreadId, int] = {}
        self.colleagues = [Staff(each.id, each.name, each.role) for each in accounts if not each.disabled]  # type: ignore[arg-type]  # stored as text
        names = {each.id: each.name for each in accounts}
        self.reader = Reader(me.staff.id, self.words, names, self.now, house.outside.explained)

    @classmethod
    async def of(cls, house: House, me: SignedIn, wish: str) -> "Screen":
        """Return the screen of whoever is signed in; ``wish``: the browser's language, where the account has none."""
        return cls(house, me, me.account.language or wish, await house.accounts.listing())

    def shared(self) -> dict[str, Any]:
        """Return what every template needs."""
        return {
            "w": self.words,
            "now": self.now,
            "me": self.me,
            "may_reply": may(self.me.role, Action.REPLY),
            "may_join": may(self.me.role, Action.JOIN),
            "may_erase": may(self.me.role, Action.ERASE),
            "has_library": self.house.library is not None,
            "clinic": self.house.clinic,
            "csrf": self.csrf,
            "languages": [(code, NAMES[code]) for code in LANGUAGES],
        }

    # lists

    async def come(self) -> None:
        """Note that the reader is here."""
        await morning.come(self.house.store, self.me.id, self.now)

    async def lists(self, where: Where, wanted: int = ROWS, *, start: bool = False) -> dict[str, Any]:
        """Return the list's part of a page: at most ``wanted`` rows, and how many each list has.

        Args:
            start: also what happened since the clinic closed, where that is told first.
        """
        told = await self._morning(where, counted=where.view != MORNING) if where.view == MORNING or start else None
        rows, more = await self._listed(where, wanted)
        counted = await self.house.inbox.counts(self.me.id)
        numbers = {view.value: number for view, number in counted.items()}
        searching = where.view == SEARCH
        url = where.url()
        again = f"{url}{'&' if '?' in url else '?'}rows={wanted}" if wanted > ROWS else url
        return {
            "view": where.view,
            "title": self.words(f"view_{where.view}"),
            "query": where.query,
            "rows": rows,
            "where": where,
            "morning": told,
            "found": self._counted(rows, more) if searching and (where.query or where.narrowed) else "",
            "blank": searching and not where.query and not where.narrowed,
            "unfiltered": Where(SEARCH, None, where.query).url(),
            "channels": [(channel.value, self.words(f"channel_{channel}")) for channel in Channel],
            "more": f"{url}?rows={wanted + ROWS}" if more and not searching else None,
            "list_url": again,
            "clinic_fault": may(self.me.role, Action.STAFF) and self.house.fault() is not None,
            "outages": await self.house.outside.outages(self.words.language),
            "counts": numbers,
            "views": [self._view(view, icon, where, numbers) for view, icon in VIEWS.items()],
            "thread_id": where.thread,
        }

    async def _listed(self, where: Where, wanted: int) -> tuple[list[RowShown], bool]:
        if where.view == MORNING:
            return [], False
        return await self._found(where) if where.view == SEARCH else await self._rows(where, wanted)

    async def _morning(self, where: Where, *, counted: bool) -> morning.MorningShown | None:
        """Return the morning list; where it is only ``counted``, ``None`` if nothing is to be told, or it is done."""
        if counted and where.view != View.NEEDS_REPLY:
            return None
        closed = self.house.clinic.closed_at(self.now)
        here = await morning.seen(self.house.store, self.me.id)
        if counted and (closed is None or (here is not None and here.done is not None and here.done >= closed)):
            return None
        since = morning.since_when(closed, here, self.now, by_visit=where.by_visit)
        found = await self.house.mornings.look(since, anew=not counted)
        gaps = await self.house.noticing.number_since(found.since)
        if counted and found.is_empty and not gaps:
            return None
        first = {} if counted else morning.first_rows(found)
        await self._mentions_opened([row for rows in first.values() for row in rows])
        rows = {group: tuple(self._row(row, where) for row in first.get(group, ())) for group in found.groups}
        return morning.shown(found, gaps, closed, here, rows)

    def _view(self, view: View, icon: str, where: Where, numbers: dict[str, int]) -> dict[str, Any]:
        return {
            "key": view.value,
            "href": Where(view).url(),
            "icon": icon,
            "name": self.words(f"view_{view}"),
            "number": numbers[view],
            "current": where.view == view,
        }

    async def _found(self, where: Where) -> tuple[list[RowShown], bool]:
        """Return what a search finds."""
        days = sorted(day for day in (where.since, where.until) if day is not None)
        wanted = Wanted(
            where.query,
            self._midnight(days[0]) if where.since is not None else None,
            self._midnight(days[-1] + timedelta(days=1)) if where.until is not None else None,
            where.channel,
            where.failed,
        )
        found = await Finding(self.house.store, self.house.inbox).find(wanted)
        await self._mentions_opened(found.rows)
        return [self._row(row, where, glance=True) for row in found.rows], found.more

    def _midnight(self, day: date) -> datetime:
        """Return the moment at which this day of the clinic's begins, in UTC."""
        return datetime(day.year, day.month, day.day, tzinfo=self._zone).astimezone(UTC)

    def _counted(self, rows: Sequence[RowShown], more: bool) -> str:
        if more:
            return self.words("found_more" if rows else "found_not_yet", number=len(rows))
        return self.words("found_one") if len(rows) == 1 else self.words("found_many", number=len(rows))

    async def _rows(self, where: Where, wanted: int) -> tuple[list[RowShown], bool]:
        found: list[Row] = []
        after: str | None = None
        while len(found) < min(wanted, MOST_ROWS):
            page = await self.house.inbox.page(View(where.view), self.me.id, after, ROWS)
            found += page.rows
            after = page.next
            if after is None:
                break
        await self._mentions_opened(found)
        return [self._row(row, where) for row in found], after is not None and len(found) < MOST_ROWS

    def _row(self, row: Row, where: Where, *, glance: bool = False) -> RowShown:
        seen, thread = view_of(row), row.thread
        return RowShown(
            thread=seen.thread,
            href=where.url(seen.thread),
            name=person_name(thread, self.words),
            channel=seen.channel,
            open=seen.open,
            floor=seen.floor,
            mine=seen.staff == self.me.id,
            staff_name=self.reader.name_of(seen.staff),
            assigned_name=self.reader.name_of(seen.assigned) if seen.assigned else "",
            urgent=seen.urgent and seen.open,
            unread=seen.unread and seen.open and not thread.floor.is_assistant,
            waiting_since=seen.waiting_since,
            snoozed_until=seen.snoozed_until,
            last_at=seen.last_at,
            preview=self._preview(seen),
            tails=seen.tails,
            facts=seen.facts,
            task=seen.task,
            todos=todos_of(thread),
            mentioned=self._named.get(thread.id, 0) < self._mention(thread),
            glance=glance,
            on_call=thread.call is not None,
            failed=any(each.status.name.lower() in TROUBLED for each in thread.deliveries),
        )

    def _mention(self, thread: Thread) -> int:
        """Return the newest note that names me and that I have not answered in any way; 0 when there is none."""
        return next((each.seq for each in thread.mentioned if each.staff == self.me.id), 0)

    async def _open_mention(self, thread: Thread) -> None:
        """Remember that I have opened what a note has called me to."""
        if seq := self._mention(thread):
            await self.house.store.put(NAMED.format(self.me.id), thread.id, str(seq).encode())
            self._named[thread.id] = seq

    async def _mentions_opened(self, rows: Sequence[Row]) -> None:
        """Learn which notes that name me I have opened, if any of these rows has one."""
        for row in rows:
            if self._mention(row.thread) and row.thread.id not in self._named:
                opened = await self.house.store.get(NAMED.format(self.me.id), row.thread.id)
                self._named[row.thread.id] = int(opened or 0)

    def _preview(self, row: RowView) -> str:
        said = row.preview
        if said is None:
            return ""
        if not said.text:
            return self.words("wordless")
        if said.role is Role.PERSON:
            return said.text
        return self.words("said_by", name=self.words(said.role), text=said.text)

    # one conversation

    async def conversation(
        self, where: Where, before: int | None = None, turned: Mapping[ThreadId, int] | None = None
    ) -> dict[str, Any]:
        """Return the page's part about the conversation that is open.

        Args:
            before: show what was said before this event, instead of the newest.
            turned: which joined conversations are turned back, and before which of their events they are read.

        Raises:
            NotFound: there is none.
        """
        if where.thread is None:
            return {"thread": None}
        thread = await known_thread(self.house, where.thread)
        await self._open_mention(thread)
        log, older = await back(self.house.store, thread.id, before, ENOUGH)
        blocks = await self._earlier(where, turned).blocks(thread, log)
        mark = thread.read_by_staff if before is None else None
        later = await self._since(thread, log) if before is not None else ()
        moves = await self._moves(log)
        shown, place = items(log, thread, self.reader, mark_after=mark, blocks=blocks, later=later, moves=moves)
        return {
            **await self._about(thread, where),
            **await self._composer(thread),
            "epoch": await self.house.store.epoch(),
            "items": shown,
            "older": self._older(where, log, older),
            "newer": where.url(thread.id) if before is not None else None,
            "end": self._end(thread, log, place, after=0),
        }

    async def older(self, thread_id: ThreadId, before: int) -> dict[str, Any]:
        """Return what was said before event ``before``."""
        thread = await known_thread(self.house, thread_id)
        log, older = await back(self.house.store, thread.id, before, ENOUGH)
        where = Where(View.ALL, thread.id)
        blocks = await self._earlier(where).blocks(thread, log)
        later, moves = await self._since(thread, log), await self._moves(log)
        shown, _ = items(log, thread, self.reader, blocks=blocks, later=later, moves=moves)
        return {"thread": thread, "items": shown, "older": self._older(where, log, older)}

    async def news(self, thread_id: ThreadId, after: int, place: Place) -> dict[str, Any]:
        """Return what has happened since event ``after``, and how the conversation stands now."""
        thread = await known_thread(self.house, thread_id)
        await self._open_mention(thread)
        log = await self._forward(thread.id, after)
        where = Where(View.NEEDS_REPLY, thread.id)
        blocks, quoted = await self._earlier(where).blocks(thread, log), await self._quoted(thread.id, log, after)
        moves = await self._moves(log)
        shown, last = items(log, thread, self.reader, place, blocks=blocks, quoted=quoted, moves=moves)
        return {
            **await self._about(thread, where),
            "items": shown,
            "changed": await self._changed(thread, log, after),
            "end": self._end(thread, log, last, after),
        }

    async def _quoted(self, id: ThreadId, log: Sequence[AnyEvent], after: int) -> list[AnyEvent]:
        """Return the messages from before ``after`` that people and colleagues answer here."""
        answers = (event for event in log if isinstance(event, Posted) and event.role in (Role.PERSON, Role.STAFF))
        wanted = {event.reply_to for event in answers if event.reply_to is not None and event.reply_to <= after}
        return [event for seq in sorted(wanted)[-MOST_PAGES:] for event in await self._one(id, seq)]

    async def _one(self, id: ThreadId, seq: int) -> list[AnyEvent]:
        return await self.house.store.since(id, seq - 1, 1)

    async def _moves(self, log: Sequence[AnyEvent]) -> dict[tuple[ThreadId, int], MovedTo | Returned]:
        """Return what joined other conversations with this one, or parted them: their logs have the reason."""
        wanted = [cause_of(event) for event in log if isinstance(event, JoinedWith | PartedFrom)]
        found = [event for id, seq in wanted[-MOST_PAGES:] for event in await self._one(id, seq)]
        return {(event.thread, event.seq): event for event in found if isinstance(event, MovedTo | Returned)}

    async def _changed(self, thread: Thread, log: Sequence[AnyEvent], after: int) -> list[Bubble]:
        """Return the messages that stand on the page already and have become different since event ``after``."""
        which = {of(event) for event in log if isinstance(event, Change) and of(event) <= after}
        if not which:
            return []
        return redrawn(await self._forward(thread.id, min(which) - 1), which, thread, self.reader)

    async def _since(self, thread: Thread, log: Sequence[AnyEvent]) -> list[AnyEvent]:
        """Return what happened after a stretch of the log, some of it perhaps to messages within."""
        return await self._forward(thread.id, log[-1].seq) if log else []

    async def earlier(self, thread_id: ThreadId, other: ThreadId, before: int) -> dict[str, Any]:
        """Return what was said before event ``before`` of an older conversation that was joined with this one."""
        thread = await known_thread(self.house, thread_id)
        where = Where(View.ALL, thread.id)
        return {"block": await self._earlier(where).older(thread, other, before)}

    def _earlier(self, where: Where, turned: Mapping[ThreadId, int] | None = None) -> Earlier:
        return Earlier(self.house, self.reader, where.url(where.thread), turned)

    async def _forward(self, id: ThreadId, after: int) -> list[AnyEvent]:
        log: list[AnyEvent] = []
        for _ in range(MOST_PAGES):
            page = await self.house.store.since(id, log[-1].seq if log else after, PAGE)
            log += page
            if len(page) < PAGE:
                break
        return log

    def _older(self, where: Where, log: list[AnyEvent], more: bool) -> Older | None:
        if not more:
            return None
        before = log[0].seq
        url = where.url(where.thread)
        part = f"/console/parts/{where.thread}/older?before={before}"
        return Older(f"{url}{'&' if '?' in url else '?'}before={before}", part)

    def _end(self, thread: Thread, log: list[AnyEvent], place: Place, after: int) -> dict[str, Any]:
        """Return up to where this page has the log, and where to ask for what comes next."""
        seq = log[-1].seq if log else after
        said = {"after": str(seq), "date": place.date, "author": place.author}
        if place.at is not None:
            said["at"] = place.at.isoformat()
        return {
            "seq": seq,
            "url": f"/console/parts/{thread.id}/news?{urlencode(said)}",
            "last": thread.last_message,
            "person": thread.last_person,
            "read": thread.read_by_staff,
        }

    async def _about(self, thread: Thread, where: Where) -> dict[str, Any]:
        """Return who it is and who speaks."""
        return {
            "thread": thread,
            "person": person_name(thread, self.words),
            "panel": await self.house.inbox.panel(thread),
            "holder": self.reader.name_of(thread.floor.staff) if thread.floor.staff else "",
            "assigned": self.reader.name_of(thread.assigned) if thread.assigned else "",
            "spoken": self.spoken(thread.language),
            "back_href": where.url(),
            "ways": ways(thread, self.house.outside, self.house.clinic.allowed.warns, self.now),
            "held": await self._held(thread),
            "agreements": agreements_shown(thread),
            "alike": await Suggesting(self.house.inbox).alike(thread),
            "call_proof": self.words(proven_by(thread.call.proof)) if thread.call is not None else "",
            "numbers": callable_numbers(thread),
            "may_call": self.house.place_call is not None,
            "name_of": lambda other: person_name(other, self.words),
        }

    async def _held(self, thread: Thread) -> held.Held | None:
        """Return the reply that waits here or came back; once the person has written it no longer waits, but leaves."""
        waiting = await held.kept(self.house.store, thread.id)
        return waiting if waiting is not None and (waiting.back or thread.last_person <= waiting.after) else None

    async def _composer(self, thread: Thread) -> dict[str, Any]:
        return {
            "templates": offered(thread, self.house.outside),
            "draft": await self._kept(DRAFTS, thread.id),
            "note_draft": await self._kept(NOTE_DRAFTS, thread.id),
            "canned": await self._canned(thread),
        }

    async def template(self, thread_id: ThreadId, id: str, language: str) -> dict[str, Any]:
        """Return a template to be filled in, with what is known of the person in it already.

        Raises:
            NotFound: none of this name can be sent to this person.
        """
        thread = await known_thread(self.house, thread_id)
        known = offered(thread, self.house.outside)
        template = next((each for each in known if (each.id, each.language) == (id, language)), None)
        if template is None:
            raise NotFound
        values = {blank.name: thread.name or "" for blank in template.blanks if blank.kind == "name"}
        return {
            "thread": thread,
            "offer": template,
            "values": values,
            **self._arrives(thread, id, language, values),
        }

    async def arrives(self, thread_id: ThreadId, id: str, language: str, values: Mapping[str, str]) -> dict[str, Any]:
        """Return what arrives with these values, or what is wrong with them."""
        return self._arrives(await known_thread(self.house, thread_id), id, language, values)

    def _arrives(self, thread: Thread, id: str, language: str, values: Mapping[str, str]) -> dict[str, Any]:
        given = {name: value for name, value in values.items() if value.strip()}
        try:
            arrives = self.house.outside.arrives(outside_of(thread), id, language, given)
        except BadValue as error:
            named = error.field if given.get(error.field) else ""
            wrong = self.words("template_bad", text=named.replace("_", " ").capitalize()) if named else ""
            return {"arrives": None, "wrong": wrong, "language": language}
        return {"arrives": arrives, "wrong": "", "language": language}

    async def _kept(self, collection: str, id: ThreadId) -> str:
        kept = await self.house.store.get(collection.format(self.me.id), id)
        return kept.decode() if kept is not None else ""

    async def _canned(self, thread: Thread) -> list[dict[str, str]]:
        """Return the canned replies as they would be said here, those in the person's language first."""
        spoken = (thread.language or self.house.clinic.languages[0]).split("-")[0]
        values = {
            "name": thread.name or "",
            "clinic": self.house.clinic.name,
            "me": self.me.name,
        }
        found = [
            (language != spoken, {"id": reply.id, "title": reply.title, "language": language, "text": text})
            for reply in await self.replies()
            for language, text in ready_texts(reply.texts, values).items()
        ]
        return [shown for _, shown in sorted(found, key=lambda pair: pair[0])]

    async def replies(self) -> list[CannedShown]:
        """Return the clinic's canned replies."""
        return await all_replies(self.house)

    def spoken(self, language: str | None) -> str:
        """Return a language by its name in the reader's: `tyska`."""
        if not language:
            return ""
        try:
            return Locale.parse(language, sep="-").get_display_name(self.words.language) or language
        except (UnknownLocaleError, ValueError):
            return language

    def name_of(self, id: StaffId | None) -> str:
        """Return a colleague's name."""
        return cleaned(self.reader.name_of(id))


def view_named(slug: str) -> str:
    """Return the list or search that an address names.

    Raises:
        NotFound: there is none of this name.
    """
    name = slug.replace("-", "_")
    if name in (SEARCH, MORNING) or name in set(View):
        return name
    raise NotFound
