"""Reading JSON from strangers: one meaning or none. And forms: no longer than ours are.

A text that two parsers read differently is a way around a check. So a body must be plain JSON of modest depth and
length, names occur once, integers are those every language has, and no text holds NUL or half a character.
"""

import json
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import ClientException, HTTPException, InternalServerException, ValidationException

from server.web.security import TooLarge

MAX_JSON = 64 * 1024  # bytes: the longest message takes 48 KB when every character of it is escaped
MAX_FORM = 256 * 1024  # bytes of a colleague's form: a canned reply in several languages
MAX_FORM_BEFORE = 16 * 1024  # bytes of a stranger's: a login and its password
MAX_FIELDS = 160  # of a colleague's: an entry of the knowledge base has nine in each language
MAX_FIELDS_BEFORE = 16  # of a stranger's
MAX_DEPTH = 16
MAX_INTEGER = 2**53  # what JavaScript holds exactly

_skim = msgspec.json.Decoder(msgspec.Raw)


class NotOurJson(ClientException):
    """This is no JSON, or none that has just one meaning."""


class CutShort(ClientException):
    """A body that broke off, or was not what its length or its chunks said. There is nobody left to tell."""


class NotJson(HTTPException):
    """A body of another type: browsers send those anywhere without asking first."""

    status_code = 415


class NotForm(HTTPException):
    """A body of another type where a form of ours is expected."""

    status_code = 415


def read_json(body: bytes) -> Any:
    """Return what ``body`` says.

    Raises:
        NotOurJson: it does not say one thing.
        TooLarge: it is longer than any request of ours.
    """
    try:
        _skim.decode(body)
        if len(body) > MAX_JSON:
            raise TooLarge
        msgspec.json.decode(body)  # refuses what `json` lets through: half characters, NaN
        said = json.loads(body, object_pairs_hook=_once)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # ValueError: also a number of 5,000 digits
        raise NotOurJson from None
    _check(said, MAX_DEPTH)
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotOurJson
    return found


def _check(value: Any, deeper: int) -> None:
    match value:
        case dict() | list() if deeper == 0:
            raise NotOurJson
        case dict():
            for name, each in value.items():
                _check(name, deeper - 1)
                _check(each, deeper - 1)
        case list():
            for each in value:
                _check(each, deeper - 1)
        case str() if "\0" in value:
            raise NotOurJson
        case int() if abs(value) > MAX_INTEGER:
            raise NotOurJson
        case _:
            return


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON is read strictly, and whose forms are short."""

    _strict: Any = None

    async def body(self) -> bytes:
        """Return the body; a form is looked at before it is taken apart, which takes a second for two megabytes."""
        try:
            body = await super().body()
        except InternalServerException:  # all that Litestar says by it here: the client has gone
            raise CutShort from None
        if self.scope["route_handler"].opt.get("form"):
            if self.content_type[0] != "application/x-www-form-urlencoded":
                raise NotForm
            known = self.scope.get("auth") is not None
            length, fields = (MAX_FORM, MAX_FIELDS) if known else (MAX_FORM_BEFORE, MAX_FIELDS_BEFORE)
            if len(body) > length or body.count(b"&") >= fields:
                raise TooLarge
        return body

    async def json(self) -> Any:
        """Return what the body says, as what its route reads; asked twice, it is read once."""
        if self._strict is None:
            if self.content_type[0] != "application/json":
                raise NotJson
            said, field = read_json(await self.body()), self.scope["route_handler"].parsed_data_field
            self._strict = (said if field is None else _typed(said, field.annotation),)
        return self._strict[0]


def _typed(said: Any, kind: Any) -> Any:
    """Return ``said`` as a value of this type; Litestar by itself would take 0 for `false`, too.

    Raises:
        ValidationException: it is none.
    """
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        raise ValidationException(extra=[{"message": message, "key": where.strip("`.") or "data"}]) from None
