"""The console: where staff read every conversation and step into any of them.

Its pages can be read without script: each list, each conversation and each search has an address. With script, the same
routes answer with the part of the page that htmx asks for (`HX-Target` names it), and what happens is said and heard on
the socket: no page changes a conversation by itself.
"""

import contextlib
import json
import re
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import msgspec
from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Redirect

from server.core.identity import Action
from server.core.model import Channel
from server.core.ports import View
from server.web.api import MAX_REPLIES, REPLIES, Canned, Draft, known_thread
from server.web.guards import AnyRequest, house_of, needs, provide_me
from server.web.house import House
from server.web.morning import MORNING, PRESS, PRESS_GAPS, put_away
from server.web.pages import Pages, preferred
from server.web.replies import EXAMPLES, PLACEHOLDERS
from server.web.screen import MOST_ROWS, NOTE_DRAFTS, ROWS, VIEWS, Screen, Where, view_named
from server.web.sessions import NotSignedIn, SignedIn
from server.web.signing_in import CONSOLE, SIGN_IN, Form, enter_form, inside, sent, sign_in_form, sign_out_form
from server.web.strings import LANGUAGES, NAMES, Words, table
from server.web.timeline import Place

PARTS = {"app": "app.html", "side": "side.html", "work": "work.html", "list": "refreshed.html"}
"""Which part of the page is asked for, by the id of what it will stand in place of."""
SCRIPT_WORDS = re.compile(
    r"(tick|refused|looking|typing|alert)_\w+|snooze_(later|tomorrow|week|custom)|and|sending_\w+|undo|undone|send_now"
    r"|kept_as_draft|just_replied|colleague_replied|characters_left|too_long|cut|back_again|stopped|reload|try_now"
    r"|not_done|take_from|rename_label|person|waiting|snooze_until|way_left|holding|template_sent|uploading|upload_\w+"
    r"|attach_remove|(join|part)_ask|join_by_hand|join_which|reason|done|bridging"
    r"|did_\w+"
)
"""Texts that the script says by itself; they travel with the page."""
FILTERS = ("since", "until", "channel", "failed")
"""Fields beside a search; what they narrow is drawn anew without them, so that they keep the focus."""
REPLY_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

Seq = Annotated[int, QueryParameter(ge=0, le=2**53)]
Text = Annotated[str, QueryParameter(max_length=500)]
Page = Response[str]


# the pages ------------------------------------------------------------------------------------------------------------


class Asked(msgspec.Struct, frozen=True):
    """What an address of the console asks for besides the list and the conversation in its path."""

    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    since: date | None = None
    until: date | None = None
    channel: Channel | None = None
    failed: bool = False
    by_visit: bool = False
    rows: Annotated[int, msgspec.Meta(ge=1, le=MOST_ROWS)] = ROWS
    before: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    earlier: Annotated[str, msgspec.Meta(max_length=64)] = ""  # a joined conversation, read up to before event `upto`
    upto: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None


@get("/", **needs(Action.READ))
async def first_list(request: AnyRequest, screen: NamedDependency[Screen], pages: NamedDependency[Pages]) -> Page:
    """Show who needs a reply."""
    return await _page(request, screen, pages, View.NEEDS_REPLY)


@get("/{view:str}", **needs(Action.READ))
async def list_page(
    request: AnyRequest, screen: NamedDependency[Screen], pages: NamedDependency[Pages], view: FromPath[str]
) -> Page:
    """Show a list, or a search."""
    return await _page(request, screen, pages, view)


@get("/{view:str}/{thread:str}", **needs(Action.READ))
async def conversation_page(
    request: AnyRequest,
    screen: NamedDependency[Screen],
    pages: NamedDependency[Pages],
    view: FromPath[str],
    thread: FromPath[str],
) -> Page:
    """Show a conversation beside a list or a search."""
    return await _page(request, screen, pages, view, thread)


async def _page(request: AnyRequest, screen: Screen, pages: Pages, view: str, thread: str | None = None) -> Page:
    """Return the whole page, or the part of it that htmx asks for."""
    asked = _asked(request)
    part = request.headers.get("hx-target", "") if "hx-request" in request.headers else ""
    where = Where(view_named(view), thread, asked.q.strip(), asked.since, asked.until, asked.channel, asked.failed)
    where = msgspec.structs.replace(where, by_visit=asked.by_visit)
    if thread is None and part in ("list", "side"):  # the conversation beside it stays
        where = msgspec.structs.replace(where, thread=_open_thread(request))
    values = screen.shared()
    if part in ("", "app", "work"):  # a colleague has asked for it, and not the page by itself
        await screen.come()
    if part != "work":
        values |= await screen.lists(where, asked.rows, start=part != "list")
    if part not in ("list", "side"):
        turned = {asked.earlier: asked.upto} if asked.upto is not None else {}
        values |= await screen.conversation(where, asked.before, turned)
    headers = {"vary": "HX-Request, HX-Target"}
    if part in PARTS:
        if part == "side" or request.headers.get("hx-trigger-name") in FILTERS:
            headers["hx-replace-url"] = where.url(where.thread)
        return pages.page(f"console/{PARTS[part]}", headers=headers, **values)
    return pages.page("console/page.html", headers=headers, **values, **_frame(screen, where))


def _asked(request: AnyRequest) -> Asked:
    """Return what the address asks for; what cannot be read is as if it were not there."""
    read: dict[str, Any] = {}
    for name, value in dict(request.query_params).items():
        with contextlib.suppress(msgspec.ValidationError):  # an empty field of a form, or a date that is none
            msgspec.convert({name: value}, Asked, strict=False)
            read[name] = value
    return msgspec.convert(read, Asked, strict=False)


@get("/parts/{thread:str}/news", **needs(Action.READ))
async def news(
    screen: NamedDependency[Screen],
    pages: NamedDependency[Pages],
    thread: FromPath[str],
    after: Seq,
    date: Text = "",
    author: Text = "",
    at: FromQuery[datetime | None] = None,
) -> Page:
    """Show what has happened in a conversation since event `after`; the rest says what stood last on the page."""
    place = Place(date, author, at if at is not None and at.tzinfo else None)
    found = await screen.news(thread, after, place)
    return pages.page("console/news.html", **screen.shared(), **found)


@get("/parts/{thread:str}/older", **needs(Action.READ))
async def older(
    screen: NamedDependency[Screen], pages: NamedDependency[Pages], thread: FromPath[str], before: Seq
) -> Page:
    """Show what was said before event `before`."""
    return pages.page("console/older_part.html", **screen.shared(), **await screen.older(thread, before))


@get("/parts/{thread:str}/earlier/{other:str}", **needs(Action.READ))
async def earlier(
    screen: NamedDependency[Screen],
    pages: NamedDependency[Pages],
    thread: FromPath[str],
    other: FromPath[str],
    before: Seq,
) -> Page:
    """Show what was said before event `before` of an older conversation that was joined with this one."""
    return pages.page("console/earlier_part.html", **screen.shared(), **await screen.earlier(thread, other, before))


@get("/parts/{thread:str}/templates/{id:str}/{language:str}", **needs(Action.REPLY))
async def template(
    screen: NamedDependency[Screen],
    pages: NamedDependency[Pages],
    thread: FromPath[str],
    id: FromPath[str],
    language: FromPath[str],
) -> Page:
    """Show a template to be filled in, and what will arrive."""
    return pages.page("console/template.html", **screen.shared(), **await screen.template(thread, id, language))


@post("/parts/{thread:str}/templates/{id:str}/{language:str}", status_code=200, **needs(Action.REPLY))
async def arrives(
    screen: NamedDependency[Screen],
    pages: NamedDependency[Pages],
    thread: FromPath[str],
    id: FromPath[str],
    language: FromPath[str],
    data: Form,
) -> Page:
    """Show what will arrive with what has been filled in by now; values travel in the body, which no log sees."""
    values = {name: sent(data, name) for name in data}
    return pages.page("console/arrives.html", **screen.shared(), **await screen.arrives(thread, id, language, values))


@put("/parts/{thread:str}/note-draft", status_code=204, **needs(Action.NOTE))
async def keep_note_draft(
    house: NamedDependency[House], me: NamedDependency[SignedIn], thread: FromPath[str], data: JSONBody[Draft]
) -> None:
    """Keep a note that is not finished, apart from the reply: one must never be sent as the other."""
    id, collection = (await known_thread(house, thread)).id, NOTE_DRAFTS.format(me.staff.id)
    if data.text.strip():
        await house.store.put(collection, id, data.text.encode())
    else:
        await house.store.drop(collection, id)


async def provide_screen(request: AnyRequest) -> Screen:
    """Hand a page the screen of the colleague that its guard has let in."""
    wish = preferred(request.headers.get("accept-language", ""), LANGUAGES)
    return await Screen.of(house_of(request), provide_me(request), wish)


def _open_thread(request: AnyRequest) -> str | None:
    """Return the conversation that stands on the page which asks for a part of itself."""
    path = urlsplit(request.headers.get("hx-current-url", "")).path
    found = re.fullmatch(r"/console/[a-z-]+/([a-z0-9]{1,64})", path)
    return found[1] if found else None


def _frame(screen: Screen, where: Where) -> dict[str, Any]:
    """Return what stands around the lists and the conversation, and comes only with a whole page."""
    w = screen.words
    return {
        "here": where.url(where.thread),
        "limit": screen.house.settings.text_characters,
        "colleagues": screen.colleagues,
        "commands": _commands(w, has_library=screen.house.library is not None),
        "help": _help(w),
        "script_words": _script_words(w.language),
    }


@cache
def _script_words(language: str) -> str:
    return json.dumps({key: text for key, text in table(language).items() if SCRIPT_WORDS.fullmatch(key)})


KNOWLEDGE_PAGES = {
    "entries": "", "gaps": "/gaps", "figures": "/figures", "try": "/try", "publish": "/publish"
}  # fmt: skip


def _commands(w: Words, *, has_library: bool) -> list[dict[str, Any]]:
    """Return what the command palette offers."""
    threaded = (
        ("reply", "key_reply", "send", "R"),
        ("note", "key_note", "note", "N"),
        ("take", "take", "hand", "T"),
        ("release", "release", "return", "L"),
        ("assign", "assign", "users", "A"),
        ("snooze", "snooze", "clock", "Z"),
        ("close", "close", "check", "C"),
        ("canned", "canned", "text", "I"),
        ("finish", "finish", "check", "D"),
        ("templates", "templates", "file", ""),
        ("attach", "attach", "clip", ""),
        ("rename", "rename", "pencil", "M"),
        ("why", "key_why", "info", "W"),
        ("person", "key_person", "user", "P"),
    )
    anywhere = (
        ("search", "search", "search", "/"),
        ("filter", "filters", "search", "F"),
        ("next", "key_next", "menu", "J"),
        ("previous", "key_previous", "menu", "K"),
        ("alerts", "alerts", "bell", ""),
        ("help", "help", "keyboard", "?"),
    )
    found = [_command(w, *each, threaded=True) for each in threaded] + [_command(w, *each) for each in anywhere]
    found.append(_command(w, "view-morning", "view_morning", "clock", "0") | {"href": Where(MORNING).url()})
    for number, (view, icon) in enumerate(VIEWS.items(), 1):
        found.append(_command(w, f"view-{number}", f"view_{view}", icon, str(number)) | {"href": Where(view).url()})
    for tab, path in KNOWLEDGE_PAGES.items() if has_library else ():
        page = {"href": f"/console/knowledge{path}", "name": f"{w('kb')}: {w(f'kb_tab_{tab}')}"}
        found.append(_command(w, "visit", "kb", "question", "") | page)
    return found


def _command(w: Words, do: str, name: str, icon: str, key: str, *, threaded: bool = False) -> dict[str, Any]:
    return {"do": do, "name": w(name), "icon": icon, "key": key, "threaded": threaded, "href": ""}


def _help(w: Words) -> list[tuple[tuple[str, ...], str]]:
    """Return every key and what it does."""
    return [
        (("/",), w("key_search")),
        (("F",), w("filters")),
        (("↑", "↓"), w("key_arrows")),
        (("J",), w("key_next")),
        (("K",), w("key_previous")),
        (("Enter",), w("key_open")),
        (("1", "–", str(len(VIEWS))), w("key_views")),
        (("0",), w("key_morning")),
        ((*PRESS.values(), PRESS_GAPS), w("key_morning_groups")),
        (("R",), w("key_reply")),
        (("N",), w("key_note")),
        (("Ctrl", "Enter"), w("key_send")),
        (("Esc",), w("key_undo")),
        (("U",), w("key_take_back")),
        (("T",), w("take")),
        (("L",), w("release")),
        (("A",), w("assign")),
        (("Z",), w("snooze")),
        (("C",), w("close")),
        (("I",), w("canned")),
        (("D",), w("finish")),
        (("M",), w("rename")),
        (("W",), w("key_why")),
        (("P",), w("key_person")),
        (("Ctrl", "K"), w("key_palette")),
        (("?",), w("help")),
    ]


# signing in -----------------------------------------------------------------------------------------------------------


@get(["/sign-in", "/enter"])
async def sign_in_page(
    request: AnyRequest,
    house: NamedDependency[House],
    pages: NamedDependency[Pages],
    error: Text = "",
    next: Text = "",
    lang: Text = "",
) -> Response[Any]:
    """Show the door. `/enter#…` is where a one-time link leads: its token stays in the browser until it is posted."""
    wished = lang if lang in LANGUAGES else preferred(request.headers.get("accept-language", ""), LANGUAGES)
    w = Words(wished, house.clinic.timezone)
    entering = request.url.path.endswith("/enter")
    if not (entering or error) and await _is_signed_in(request, house):
        return Redirect(inside(next), status_code=303)
    return pages.page(
        "console/sign_in.html",
        trusted_types=True,
        w=w,
        clinic=house.clinic,
        entering=entering,
        demo=house.settings.demo,
        error=_error(w, error) if error else "",
        next=inside(next) if next else "",
        languages=[(code, NAMES[code]) for code in LANGUAGES],
    )


async def _is_signed_in(request: AnyRequest, house: House) -> bool:
    try:
        await house.sessions.of_cookies(request.headers.get("cookie", ""))
    except NotSignedIn:
        return False
    return True


def _error(w: Words, code: str) -> str:
    key = f"error_{code}"
    return w(key if key in table(w.language) else "error_other")


@post("/language", status_code=303, **needs(Action.READ, form=True))
async def choose_language(data: Form, me: NamedDependency[SignedIn], house: NamedDependency[House]) -> Response[Any]:
    """Speak another language to me from now on."""
    house.sessions.check_csrf(me.session, sent(data, "csrf"))
    if sent(data, "language") in LANGUAGES:
        await house.accounts.change(me.staff.id, language=sent(data, "language"))
    return Redirect(inside(sent(data, "next")), status_code=303)


# canned replies -------------------------------------------------------------------------------------------------------


@get("/replies", **needs(Action.REPLY))
async def replies_page(
    screen: NamedDependency[Screen], pages: NamedDependency[Pages], saved: Text = "", error: Text = ""
) -> Page:
    """Show the canned replies, to be changed."""
    codes = dict.fromkeys((*screen.house.clinic.languages, *LANGUAGES))
    return pages.page(
        "console/replies.html",
        trusted_types=True,
        **screen.shared(),
        replies=await screen.replies(),
        opened=saved,
        saved=bool(saved),
        error=_reply_error(screen.words, error),
        text_languages=[(code, screen.spoken(code)) for code in codes],
        placeholders=", ".join(f"{{{name}}}" for name in PLACEHOLDERS),
    )


def _reply_error(w: Words, error: str) -> str:
    if error == "full":
        return w("canned_full", number=MAX_REPLIES)
    return w("canned_bad") if error else ""


@post("/replies", status_code=303, **needs(Action.REPLY, form=True))
async def save_reply(data: Form, me: NamedDependency[SignedIn], house: NamedDependency[House]) -> Response[Any]:
    """Add or replace a canned reply."""
    house.sessions.check_csrf(me.session, sent(data, "csrf"))
    id, texts = sent(data, "id").strip(), _texts(data)
    try:
        reply = msgspec.convert({"title": sent(data, "title").strip(), "texts": texts}, Canned)
    except msgspec.ValidationError:
        return Redirect(f"{CONSOLE}/replies?error=1", status_code=303)
    if not REPLY_ID.fullmatch(id):
        return Redirect(f"{CONSOLE}/replies?error=1", status_code=303)
    known = await house.store.listing(REPLIES)
    if id not in known and len(known) >= MAX_REPLIES:
        return Redirect(f"{CONSOLE}/replies?error=full", status_code=303)
    await house.store.put(REPLIES, id, msgspec.json.encode(reply))
    return Redirect(f"{CONSOLE}/replies?saved={id}", status_code=303)


@post("/replies/examples", status_code=303, **needs(Action.REPLY, form=True))
async def add_examples(
    data: Form, me: NamedDependency[SignedIn], house: NamedDependency[House], screen: NamedDependency[Screen]
) -> Response[Any]:
    """Begin with some replies that every clinic writes; those of the same name stay as they are."""
    house.sessions.check_csrf(me.session, sent(data, "csrf"))
    known = await house.store.listing(REPLIES)
    missing = [id for id in EXAMPLES if id not in known]
    for id in missing[: MAX_REPLIES - len(known)]:
        texts = {language: table(language)[f"example_{id}"] for language in LANGUAGES}
        reply = Canned(screen.words(f"example_{id}_title"), texts)
        await house.store.put(REPLIES, id, msgspec.json.encode(reply))
    return Redirect(f"{CONSOLE}/replies", status_code=303)


@post("/replies/drop", status_code=303, **needs(Action.REPLY, form=True))
async def drop_reply(data: Form, me: NamedDependency[SignedIn], house: NamedDependency[House]) -> Response[Any]:
    """Drop a canned reply."""
    house.sessions.check_csrf(me.session, sent(data, "csrf"))
    if REPLY_ID.fullmatch(sent(data, "id")):
        await house.store.drop(REPLIES, sent(data, "id"))
    return Redirect(f"{CONSOLE}/replies", status_code=303)


def _texts(data: dict[str, Any]) -> dict[str, str]:
    found = {name.removeprefix("text_"): sent(data, name) for name in data if name.startswith("text_")}
    return {language: text.replace("\r\n", "\n").strip() for language, text in found.items() if text.strip()}


# who is not signed in -------------------------------------------------------------------------------------------------


def to_the_door(request: AnyRequest, _: Exception) -> Response[Any]:
    """Lead somebody who is not signed in to the door, and back afterwards."""
    part = "hx-request" in request.headers  # of a page: the whole page has to go there, and comes back as it was
    here = urlsplit(request.headers.get("hx-current-url", "") if part else str(request.url))
    door = f"{SIGN_IN}?next={quote(inside(here.path + (f'?{here.query}' if here.query else '')), safe='')}"
    return Response(None, status_code=204, headers={"hx-redirect": door}) if part else Redirect(door, status_code=303)


console = Router(
    CONSOLE,
    route_handlers=[
        first_list,
        put_away,
        list_page,
        conversation_page,
        news,
        older,
        earlier,
        template,
        arrives,
        keep_note_draft,
        sign_in_page,
        sign_in_form,
        enter_form,
        sign_out_form,
        choose_language,
        replies_page,
        save_reply,
        add_examples,
        drop_reply,
    ],
    dependencies={"screen": Provide(provide_screen)},
    exception_handlers={NotSignedIn: to_the_door},
    include_in_schema=False,
)
