"""The chat as a page of its own, for websites that would rather put a frame on their page than a script.

Only pages of the site's own origins may frame it, and only they can talk with it. Inside is the same chat, on our
origin; what it keeps is kept for us within that website, however the browser divides its storage.
"""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from server.core.errors import Refused
from server.web.house import House
from server.web.pages import Pages
from server.web.problems import STATUS, response_of
from server.web.security import page_policy
from server.web.visits import UnknownSite

TAG = r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}"
MAY_SAY = {  # what the page around may choose, and how it looks; anything else is left out
    "lang": TAG,
    "dir": "ltr|rtl",
    "theme": "light|dark",
    "brand": "#[0-9A-Fa-f]{3,8}|[A-Za-z]{3,24}",
}


class FrameNeedsSelf(Refused):
    """The frame's page is ours: it is one of the places where the site's chat must be allowed to be."""

    code = "frame_needs_self"

    def __init__(self) -> None:
        super().__init__("To be used in a frame, the site needs `self` among its origins.")


STATUS[FrameNeedsSelf] = 403


def frame_door(house: House, pages: Pages) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers `/widget/frame?site=…`."""

    async def frame(request: Request) -> Response:
        asked = request.query_params
        site = house.clinic.sites.get(asked.get("site", ""))
        if site is None:
            return response_of(UnknownSite())
        if house.origin not in site.origins:
            return response_of(FrameNeedsSelf())
        attributes = [(name, asked[name]) for name, form in MAY_SAY.items() if re.fullmatch(form, asked.get(name, ""))]
        around = " ".join(sorted(site.origins))
        values = {
            "clinic": house.clinic,
            "site": site.key,
            "around": around,
            "attributes": attributes,
            "language": house.clinic.language(dict(attributes).get("lang")),
        }
        return Response(
            pages.render("frame.html", **values),
            headers={
                "content-security-policy": page_policy(
                    house.origin, trusted_types=True, extra={"frame-ancestors": around, "style-src": "'none'"}
                ),
                "x-frame-options": "",  # it knows no list; browsers that know `frame-ancestors` look at that alone
                "cross-origin-resource-policy": "cross-origin",
                "referrer-policy": "origin",
            },
            media_type="text/html",
        )

    return frame
