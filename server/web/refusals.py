"""What every error of the API looks like, and which of them a route says it may answer with.

A route names the refusals that are its own; those that come with having a body, parameters or a session are added to
all such routes alike (`docs.py`). So the document says exactly what can be met, and a test that asks at random can hold
us to it.
"""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar.openapi import ResponseSpec
from msgspec import Meta

MEDIA_TYPE = "application/problem+json"
Status = Annotated[int, Meta(ge=400, le=599)]


class Mistake(msgspec.Struct, omit_defaults=True, frozen=True):
    """One thing that is wrong with a request."""

    message: str
    field: str = ""


class Problem(msgspec.Struct, omit_defaults=True, frozen=True):
    """The body of every error, as RFC 9457 has it."""

    type: str
    title: str
    status: Status
    code: str
    detail: str = ""
    retry_ms: int = 0
    errors: tuple[Mistake, ...] = ()


SENTENCES = {
    400: "This request cannot be read.",
    401: "Please sign in first.",
    403: "This is not allowed for you.",
    404: "There is no such thing, or it is not yours to see.",
    405: "This cannot be asked for like that.",
    408: "This took too long to arrive.",
    413: "This is too large.",
    415: "This content type is not understood here.",
    500: "Something went wrong on our side.",
    503: "We cannot do this at the moment.",
}


def refusals(*statuses: int) -> dict[int, ResponseSpec]:
    """Return what a route's description says of these statuses."""
    return {status: _spec(status) for status in statuses}


def _spec(status: int) -> ResponseSpec:
    description = SENTENCES.get(status, f"{HTTPStatus(status).phrase}.")
    return ResponseSpec(Problem, description=description, media_type=MEDIA_TYPE, generate_examples=False)
