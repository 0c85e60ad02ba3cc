"""A person's own: to take away, and to have erased. By themselves for what their pass opens, by an admin for all of it.

A visitor gets what they may read, as a page. They erase the conversation that their pass opens, with those that were
joined by proof that they are theirs; where a colleague has joined one by hand, nobody has proven that, and a colleague
erases it. An admin confirms twice, and the log says who it was, when, and why by a word of ours.
"""

import logging
import uuid
from typing import Any

from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from server.core.commands import person
from server.core.events import without_words
from server.core.identity import Action
from server.core.model import Erasing, Thread, ThreadId
from server.live.shown import hidden
from server.web.api import known_thread
from server.web.changes import as_they_came
from server.web.console import provide_screen, to_the_door
from server.web.continuing import holder
from server.web.exporting import Conversation, Export, archived, as_page, gathered, written
from server.web.guards import AnyRequest, needs
from server.web.house import House
from server.web.pages import Pages
from server.web.refusals import refusals
from server.web.screen import Screen
from server.web.sessions import NotSignedIn, SignedIn
from server.web.signing_in import CONSOLE, Form, sent
from server.web.strings import Words
from server.web.timeline import person_name
from server.web.visits import Visits

WIDGET_PATHS = r"/api/threads/[^/]+/own"
WHY = (Erasing.ASKED, Erasing.WITHDRAWN, Erasing.MISTAKE, Erasing.KEPT_ENOUGH, Erasing.OTHER)
PAGE = ResponseSpec(str, description="The page", media_type="text/html", generate_examples=False)
ARCHIVE = ResponseSpec(bytes, description="The archive", media_type="application/zip", generate_examples=False)
PRIVATE = {"cache-control": "no-store", "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}

log = logging.getLogger("onethread.web")


# for the one who has the pass -----------------------------------------------------------------------------------------


@get(
    "/api/threads/{thread:str}/own",
    summary="Take your conversation with you",
    tags=["visitors"],
    responses={200: PAGE, **refusals(401, 403, 404, 429, 503)},
    security=[{"pass": []}],
)
async def take_away(request: AnyRequest, house: NamedDependency[House], thread: FromPath[str]) -> Response[bytes]:
    """Return the conversation as a page that can be kept: what the holder of the pass may read, and nothing else."""
    a_pass = await holder(request, house, thread)
    visits, state = Visits(house), await house.conversations.refresh(thread)
    older = [(each.thread, await visits.may_read(a_pass, each.thread)) for each in state.joined]
    parts = [await _readable(house, id, upto) for id, upto in [(thread, None), *older] if upto != 0]
    export = Export(house.clinic.name, house.clock(), tuple(parts))
    page = as_page(export, Words(a_pass.language, house.clinic.timezone), with_files=False)
    return Response(page.encode(), media_type="text/html", headers=_attached("conversation.html"))


async def _readable(house: House, id: ThreadId, upto: int | None) -> Conversation:
    """Return what a visitor may read of a conversation."""
    state = await house.conversations.refresh(id)
    log = [event for event in await house.eraser.log(id) if upto is None or event.seq <= upto]
    if upto is not None:
        log = await as_they_came(house.store, id, upto, log)
    seen = [without_words(event, state.revoked) for event in log if not hidden(event)]
    plain = Thread(id=id, language=state.language, consent=state.consent)
    return Conversation(plain, tuple(seen))


@delete(
    "/api/threads/{thread:str}/own",
    status_code=204,
    summary="Have your conversation erased",
    tags=["visitors"],
    responses=refusals(401, 403, 404, 409, 429, 503),
    security=[{"pass": []}],
)
async def erase_own(request: AnyRequest, house: NamedDependency[House], thread: FromPath[str]) -> None:
    """Erase the conversation of the holder of the pass, on every channel where it is proven to be theirs.

    It cannot be undone. Refused with `ask_the_clinic` where a colleague has joined another conversation by hand.
    """
    a_pass = await holder(request, house, thread)
    if (await house.conversations.refresh(thread)).seq:
        await house.eraser.ask_oneself(thread, person(a_pass.visitor), f"own:{uuid.uuid4().hex}")
    await Visits(house).forget(a_pass)


# for an admin ---------------------------------------------------------------------------------------------------------


@get(
    "/api/threads/{thread:str}/export",
    summary="Everything of one person",
    tags=["conversations"],
    **{**needs(Action.ERASE), "responses": {200: ARCHIVE, **refusals(401, 403, 404, 503)}},
)
async def export(
    house: NamedDependency[House], me: NamedDependency[SignedIn], thread: FromPath[str]
) -> Response[bytes]:
    """Return everything that is kept of a person, as a ZIP archive: data, a page to read, and their files."""
    id = (await known_thread(house, thread)).id
    found = await gathered(house.eraser, house.store, house.conversations, house.clinic.name, house.clock(), id)
    language = house.clinic.language(found.conversations[0].thread.language)
    packed = archived(await written(found, Words(language, house.clinic.timezone), house.media))
    log.info("a person was exported", extra={"thread_id": id})
    return Response(packed, media_type="application/zip", headers=_attached(f"onethread-{id[-6:]}.zip"))


def _attached(name: str) -> dict[str, str]:
    return {**PRIVATE, "content-disposition": f'attachment; filename="{name}"'}


@get("/{thread:str}/erase", **needs(Action.ERASE))
async def erase_page(
    house: NamedDependency[House],
    screen: NamedDependency[Screen],
    pages: NamedDependency[Pages],
    thread: FromPath[str],
    error: FromQuery[bool] = False,
) -> Response[str]:
    """Show what would go with a person, and ask twice."""
    state = await known_thread(house, thread)
    name = person_name(state, screen.words)
    return pages.page(
        "console/erase.html",
        trusted_types=True,
        **screen.shared(),
        person=name,
        thread=state,
        word=_word(name),
        what=await house.eraser.look(state.id),
        reasons=WHY,
        error=error,
    )


@post("/{thread:str}/erase", status_code=303, **needs(Action.ERASE, form=True))
async def erase(
    data: Form,
    me: NamedDependency[SignedIn],
    house: NamedDependency[House],
    screen: NamedDependency[Screen],
    thread: FromPath[str],
) -> Response[Any]:
    """Erase a person, once the word was typed."""
    house.sessions.check_csrf(me.session, sent(data, "csrf"))
    state = await known_thread(house, thread)
    wanted, why = _word(person_name(state, screen.words)), sent(data, "why")
    if " ".join(sent(data, "word").split()).casefold() != wanted.casefold() or why not in WHY:
        return Redirect(f"{CONSOLE}/person/{state.id}/erase?error=true", status_code=303)
    await house.eraser.ask(state.id, me.actor, f"erase:{uuid.uuid4().hex}", Erasing(why))
    return Redirect(f"{CONSOLE}/all", status_code=303)


def _word(name: str) -> str:
    """Return what is to be typed: the name as it is shown."""
    return " ".join(name.split())


person_pages = Router(
    f"{CONSOLE}/person",
    route_handlers=[erase_page, erase],
    dependencies={"screen": Provide(provide_screen)},
    exception_handlers={NotSignedIn: to_the_door},
    include_in_schema=False,
)
