"""The demo clinic's page: where a newcomer sees the widget as a patient would. And where `/` leads."""

import json
from datetime import datetime
from functools import cache
from typing import Annotated, Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Redirect
from msgspec import Meta

from server.core.errors import NotFound
from server.service.clinic import Clinic
from server.web.guards import AnyRequest
from server.web.house import House
from server.web.pages import TEMPLATES, Pages, preferred
from server.web.security import ALWAYS

HEARING = {"permissions-policy": ALWAYS["permissions-policy"].replace("microphone=()", "microphone=(self)")}
Wish = Annotated[str, Meta(max_length=35)] | None


@cache
def _texts() -> dict[str, Any]:
    texts: dict[str, Any] = json.loads((TEMPLATES / "demo.json").read_text(encoding="utf-8"))
    return texts


@get("/", include_in_schema=False)
async def first_page(house: NamedDependency[House]) -> Redirect:
    """Lead to the demo page, or to the console where there is no demo."""
    return Redirect("/demo" if house.settings.demo else "/console", status_code=307)


@get("/demo", include_in_schema=False)
async def demo_page(
    request: AnyRequest, house: NamedDependency[House], pages: NamedDependency[Pages], lang: FromQuery[Wish] = None
) -> Response[str]:
    """Show the clinic's page with the widget on it."""
    language = _language(request, house, lang)
    clinic, t = house.clinic, _texts()[language]
    is_open, status = status_of(clinic, house.clock(), language)
    return pages.page(
        "demo.html",
        trusted_types=True,  # the widget makes no HTML out of text
        policy={"frame-src": "'self'"},  # the desk
        open=is_open,
        status_line=status,
        week=_week(clinic, t),
        emergency=clinic.texts(language).emergency,
        widget=house.widget,
        phone=house.demo_phone,
        calls=house.demo_calls,
        clinic_number=house.phone,
        headers=HEARING if house.demo_calls else None,
        **_shared(house, language),
    )


@get("/demo/privacy", include_in_schema=False)
async def privacy_page(
    request: AnyRequest, house: NamedDependency[House], pages: NamedDependency[Pages], lang: FromQuery[Wish] = None
) -> Response[str]:
    """Show the demo clinic's privacy notice."""
    return pages.page("demo_privacy.html", trusted_types=True, **_shared(house, _language(request, house, lang)))


def status_of(clinic: Clinic, now: datetime, language: str) -> tuple[bool, str]:
    """Return whether the clinic is open, and how the page says so."""
    t = _texts()[language if language in _texts() else "en"]
    if clinic.open_at(now):
        return True, t["open_now"]
    return False, t["closed_now"].format(opens=clinic.opens_text(now, language))


def _language(request: AnyRequest, house: House, wish: str | None) -> str:
    """Return the page's language: the one asked for, else the browser's; `NotFound` where there is no demo."""
    if not house.settings.demo:
        raise NotFound
    known = tuple(language for language in house.clinic.languages if language in _texts()) or ("en",)
    plain = (wish or "").split("-")[0].lower()
    return plain if plain in known else preferred(request.headers.get("accept-language", ""), known)


def _shared(house: House, language: str) -> dict[str, Any]:
    texts = _texts()
    return {
        "clinic": house.clinic,
        "facts": house.clinic.facts,
        "language": language,
        "languages": [(code, texts[code]["language"]) for code in house.clinic.languages if code in texts],
        "t": texts[language],
    }


def _week(clinic: Clinic, t: dict[str, Any]) -> list[tuple[str, str]]:
    days = [", ".join(f"{start:%H:%M}–{end:%H:%M}" for start, end in spans) for spans in clinic.week]
    return [(name, hours or t["closed_day"]) for name, hours in zip(t["days"], days, strict=True)]
