"""The whole house on one screen: settings, then the store, the service, and every door.

Starlette is outside and carries bytes: sockets, files, health. Litestar is mounted in it at `/` and carries typed data:
the JSON API and the pages. It is the same for every house, so a process puts it together once, which takes longer than
all the rest; a request brings with it the house that it came to.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import cast
from urllib.parse import urlsplit

from litestar import Litestar
from litestar.di import Provide
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from server import demo_staff
from server.content import clinic_of, follow_file, follow_published, knowledge_of
from server.engine import Engine
from server.figures import Figures
from server.service.answering import Knowledge
from server.service.media import MAX_UPLOAD
from server.settings import CHECKOUT, Settings, is_loopback
from server.stores import bus_of, ledger_of, store_of
from server.voice_house import voice_of
from server.web import (
    api,
    calling,
    closed,
    console,
    continuing,
    demo,
    demo_phone,
    demo_story,
    docs,
    health,
    history,
    knowledge,
    personal,
    problems,
    replying,
    signing_in,
    uploads,
    visits,
)
from server.web.demo_call import DemoCalls
from server.web.demo_plug import DemoPlug
from server.web.demo_story import DemoClock
from server.web.files import Files, Widget, reading
from server.web.frame import frame_door
from server.web.guards import provide_house, provide_me, provide_pages
from server.web.house import House, Readiness
from server.web.metrics import Metrics, metrics_door
from server.web.pages import STATIC, Pages
from server.web.painting import paint
from server.web.passes import Passes, derived_key
from server.web.security import Guarded, WidgetOrigins
from server.web.sessions import TOPIC as SESSION_ENDED
from server.web.sessions import Sessions
from server.web.sockets import Sockets
from server.web.strict import StrictRequest
from server.web.watched import watched_store
from server.whatsapp_house import whatsapp_of

WIDGET = CHECKOUT / "widget" / "dist"
LARGER = f"{uploads.UPLOADS}|/webhooks/.+"  # bodies beyond the usual: files, and news of a thousand at once
# what the widget asks for from other origins
GOING_ON = f"{continuing.WIDGET_PATHS}|{calling.WIDGET_PATHS}|{personal.WIDGET_PATHS}"
WIDGET_PATHS = f"/api/visits|/api/threads/[^/]+/events|{uploads.WIDGET_PATHS}|{GOING_ON}"


def create_app(settings: Settings, port: int | None = None, knowledge: Knowledge | None = None) -> Starlette:
    """Return the application; nothing is opened before its lifespan begins.

    Args:
        port: the one really listened on, where the setting says any.
        knowledge: what answers questions, if not the clinic's own content.

    Raises:
        WrongSettings: there is no clinic to serve.
        ContentError: its files cannot be used; with file and line.
    """
    metrics = Metrics()
    engine = create_engine(settings, metrics, port, knowledge)
    house = _house(engine, metrics, port)
    house.library = engine.library
    sockets = Sockets(house, engine.hub)
    pages = Pages(house.origin, static := Files(STATIC), framed=settings.demo)
    _painted(engine, house, static)
    house.forgotten.append(sockets.forget)

    figures = Figures(engine, metrics, ready=lambda: not house.readiness.not_ready())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with metrics.beating(), engine.running(work=settings.worker), sockets.running():
            yield

    app = Starlette(
        routes=[
            WebSocketRoute("/ws/visitor", sockets.visitor),
            WebSocketRoute("/ws/staff", sockets.staff),
            reading("/health/live", health.live),
            reading("/health/ready", health.ready_door(house.readiness)),
            reading("/metrics", metrics_door(metrics, figures.refresh, settings.proxy)),
            reading("/widget/frame", frame_door(house, pages)),
            reading("/widget/{path:path}", house.widget.answer),
            reading("/static/{path:path}", static.door),
            *(engine.whatsapp.enter(house) if engine.whatsapp is not None else ()),
            *(engine.voice.enter(house) if engine.voice is not None else ()),
            *_demo_phones(engine, house, sockets),
            *_demo_story(engine, house, sockets),
            Mount("/", _typed_doors(house, pages)),
        ],
        middleware=[
            Middleware(
                Guarded,
                https=house.origin.startswith("https:"),
                called=urlsplit(house.origin).netloc,
                answered=metrics.answered,
                failed=problems.failed,
                larger=LARGER,
                max_larger=MAX_UPLOAD,
            ),
            Middleware(
                WidgetOrigins,
                origins=lambda: house.clinic.origins,
                paths=WIDGET_PATHS,
                methods="GET, POST, DELETE",
                knock="/api/visits",
            ),
        ],
        exception_handlers={HTTPException: problems.starlette_problem},
        lifespan=lifespan,
    )
    if engine.whatsapp is not None:
        engine.whatsapp.serve(app)
    if engine.voice is not None:
        engine.voice.serve(app)
    app.state.house, app.state.engine, app.state.sockets = house, engine, sockets
    return app


def _demo_phones(engine: Engine, house: House, sockets: Sockets) -> list[Route]:
    """Return the doors of the demo page's phone, where the clinic's number is at the stand-in."""
    if engine.whatsapp is None or engine.whatsapp.stand_in is None:
        return []
    house.demo_phone, house.whatsapp_link = True, house.absolute(demo_phone.LINK)
    whatsapp, twilio = engine.whatsapp.stand_in, engine.voice.stand_in if engine.voice is not None else None
    if twilio is None:
        return demo_phone.DemoPhones(whatsapp, house.own_origins, house.store).routes()
    house.demo_calls = True
    phones = demo_phone.DemoPhones(whatsapp, house.own_origins, house.store, DemoCalls(twilio))
    plug = DemoPlug(house, sockets.unplug, phones.phones, whatsapp=whatsapp, twilio=twilio)
    return [*phones.routes(), *plug.routes()]


def _demo_story(engine: Engine, house: House, sockets: Sockets) -> list[Route]:
    """Return the doors of the story that the demo page tells."""
    if not engine.settings.demo:
        return []
    twilio = engine.voice.stand_in if engine.voice is not None else None
    hang_up = twilio.hang_up if twilio is not None else None
    clock = DemoClock(engine, engine.settings.data / demo_story.FILE, sockets.expire, hang_up)
    return demo_story.DemoStory(house, clock).routes()


def _painted(engine: Engine, house: House, static: Files) -> None:
    """Have the chat and our pages in the clinic's colour, now and whenever that changes."""

    def again() -> None:
        paint(house.clinic.brand, house.widget, static)

    again()
    if engine.clinic_file is not None:
        engine.clinic_file.changed.append(again)


async def drain(app: Starlette) -> None:
    """Send everybody away: no new visitors, and time for those who are here to come back elsewhere."""
    app.state.house.readiness.draining = True
    await app.state.sockets.drain()


def _typed_doors(house: House, pages: Pages) -> ASGIApp:
    """Return the typed part of one house."""
    litestar = cast("ASGIApp", typed_part())  # two spellings of the same protocol

    async def enter(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {**scope.get("state", {}), "house": house, "pages": pages}
        await litestar(scope, receive, send)

    return enter


@cache
def typed_part() -> Litestar:
    """Return every route of the API and every page, of whichever house. It has nothing to start or to stop."""
    return Litestar(
        route_handlers=[
            visits.begin_visit,
            visits.end_visit,
            history.history,
            continuing.go_on,
            continuing.show,
            continuing.name_number,
            calling.call,
            calling.call_back,
            uploads.upload,
            uploads.download,
            uploads.fetch_again,
            uploads.download_sealed,
            personal.take_away,
            personal.erase_own,
            personal.export,
            personal.person_pages,
            signing_in.staff_session,
            console.console,
            knowledge.knowledge,
            closed.closed,
            api.staff_api,
            replying.replying_api,
            docs.openapi_json,
            docs.docs_page,
            demo.first_page,
            demo.demo_page,
            demo.privacy_page,
        ],
        dependencies={
            "house": Provide(provide_house, sync_to_thread=False),
            "me": Provide(provide_me, sync_to_thread=False),
            "pages": Provide(provide_pages, sync_to_thread=False),
        },
        request_class=StrictRequest,
        before_request=docs.allowed,
        exception_handlers={Exception: problems.litestar_problem},
        openapi_config=docs.configuration(),
        request_max_body_size=None,  # bounded further out, for everything alike
        logging_config=None,
    )


def create_engine(
    settings: Settings, metrics: Metrics, port: int | None = None, knowledge: Knowledge | None = None
) -> Engine:
    """Return what runs behind the doors.

    Raises:
        WrongSettings, ContentError: as ``create_app``.
    """
    clinic = clinic_of(settings, own_origins(settings, port))
    store, is_away = watched_store(store_of(settings), metrics)
    bus = bus_of(settings, metrics.rings_lost.inc)
    secret = derived_key(settings.signing_key(), "hash")
    own = knowledge_of(settings, clinic, port) if knowledge is None else None
    knowing = own or cast("Knowledge", knowledge)
    engine = Engine(settings, store, is_away, bus, clinic, knowing, secret=secret, erased=ledger_of(settings))
    engine.clinic_file = file = follow_file(engine, own_origins(settings, port))
    if own is not None:
        engine.library = follow_published(engine, own.base)
        engine.started.append(own.warm_up)
        engine.calls.alarm = own.alarm
    engine.whatsapp = whatsapp_of(engine, settings, settings.origin(port), secret)
    file.languages_begun = engine.clinic.languages if engine.whatsapp is not None else None
    engine.voice = voice_of(engine, settings, settings.origin(port), secret)
    if engine.voice is not None:
        file.changed.append(engine.voice.speak)
    engine.conversations.observers.append(metrics.stored)
    let_in = partial(demo_staff.let_in, anyway=settings.data_is_a_clinics)
    engine.started.append(partial(let_in if settings.demo else demo_staff.send_away, engine.store))
    return engine


def worker_app(engine: Engine, metrics: Metrics) -> Starlette:
    """Return the doors of a process that only works: how it is, for machines of our own network."""
    readiness = _readiness(engine)
    figures = Figures(engine, metrics, ready=lambda: not readiness.not_ready())
    return Starlette(
        routes=[
            reading("/health/live", health.live),
            reading("/health/ready", health.ready_door(readiness)),
            reading("/metrics", metrics_door(metrics, figures.refresh, engine.settings.proxy)),
        ],
        exception_handlers={HTTPException: problems.starlette_problem},
    )


def _readiness(engine: Engine) -> Readiness:
    return Readiness(
        lambda: engine.open,
        missing={"store": lambda: not engine.available, "worker": lambda: not engine.works},
        degraded={
            "bus": lambda: engine.settings.redis_url is not None and not engine.bus.connected,
            "clinic": lambda: engine.clinic_file is not None and engine.clinic_file.fault is not None,
        },
    )


def _house(engine: Engine, metrics: Metrics, port: int | None) -> House:
    """Return what the doors share."""
    settings, store = engine.settings, engine.store
    signing_key, origin = settings.signing_key(), settings.origin(port)
    passes, secret = Passes(signing_key, settings.pass_minutes), derived_key(signing_key, "hash")
    sessions = Sessions(
        store,
        passes,
        engine.bus,
        secret=secret,
        clock=engine.clock,
        hours=settings.session_hours,
        counted=lambda outcome: metrics.sign_ins.labels(outcome).inc(),
        secure=origin.startswith("https:") or not is_loopback(urlsplit(origin).hostname or ""),
    )
    engine.hub.on(SESSION_ENDED, sessions.heard)
    return House(
        settings=settings,
        clinic=engine.clinic,
        store=store,
        bus=engine.bus,
        conversations=engine.conversations,
        inbound=engine.inbound,
        inbox=engine.inbox,
        media=engine.media,
        linking=engine.linking,
        dialled=engine.dialled,
        passes=passes,
        sessions=sessions,
        readiness=_readiness(engine),
        metrics=metrics,
        clock=engine.clock,
        secret=secret,
        origin=origin,
        own_origins=own_origins(settings, port),
        widget=Widget(WIDGET),
        noticing=engine.noticing,
        eraser=engine.eraser,
        closings=engine.closings,
        fault=lambda: engine.clinic_file.fault if engine.clinic_file is not None else None,
        look_again=lambda: engine.clinic_file.ring() if engine.clinic_file is not None else None,
    )


def own_origins(settings: Settings, port: int | None = None) -> frozenset[str]:
    """Return how browsers may call us: the public address, and where nobody else can reach us every name we have."""
    names = ("127.0.0.1", "localhost", "[::1]") if settings.only_this_machine and settings.public_url is None else ()
    number = settings.port if port is None else port
    return frozenset({settings.origin(port), *(f"http://{name}:{number}" for name in names)})
