"""What the files of a clinic's numbers have in common, whatever the channel.

A file says which numbers there are, and its errors name the line. What is secret stands in the environment, so that the
file can be shown to anybody.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Protocol, TypeVar

from msgspec import Meta

MIN_WORD = 16  # characters of a word that only the provider and we may know
A_NUMBER = "expected a number with its country, such as +49 30 23125100"
NEAR = "expected http:// and a port of this machine: it is for a stand-in only"

Id = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\Z")]
Name = Annotated[str, Meta(max_length=120)]
Wrong = Iterable[tuple[str, str]]
"""Pairs of where something is wrong, a path in the file or a variable, and what was expected there."""


class Listed(Protocol):
    """A number as a file lists it."""

    @property
    def id(self) -> str:
        """Return the clinic's own name for it."""


_T = TypeVar("_T")
_Listed = TypeVar("_Listed", bound=Listed)
_Account = TypeVar("_Account")


class Source(Protocol):
    """A file of content: as typed values, and with errors that name file and line."""

    def read(self, kind: type[_T]) -> _T:
        """Return the whole file as ``kind``; raises an error with the line of what does not fit."""

    def error(self, path: str, expected: str) -> Exception:
        """Return an error about the value at ``path``, such as ``[0].number``."""


def accounts(
    source: Source,
    listed: Sequence[_Listed],
    make: Callable[[_Listed], _Account],
    *,
    problems: Callable[[Sequence[_Listed]], Wrong],
    missing: Callable[[_Account], Wrong],
) -> tuple[_Account, ...]:
    """Return what ``make`` makes of the numbers that a file lists.

    Args:
        problems: what is wrong in the file.
        missing: which variables of an account are not as they must be.

    Raises:
        whatever ``source`` raises: with the line, and what was expected there.
    """
    for path, expected in problems(listed):
        raise source.error(path, expected)
    found = []
    for place, number in enumerate(listed):
        account = make(number)
        for variable, expected in missing(account):
            raise source.error(f"[{place}].id", f"expected {expected} in the variable {variable}")
        found.append(account)
    return tuple(found)


def variable(prefix: str, account: str, name: str) -> str:
    """Return the environment variable that begins with ``prefix`` and has this secret of a number."""
    return f"{prefix}{account.upper().replace('-', '_')}_{name}"


def secret_of(environ: Mapping[str, str], prefix: str, account: str) -> Callable[[str], str]:
    """Return what looks up an account's secrets by their names; one that is not there is empty."""
    return lambda name: environ.get(variable(prefix, account, name), "").strip()


def parted(secrets: str) -> tuple[str, ...]:
    """Return the secrets in a variable: the new one and the old one while they are being changed, with a comma."""
    return tuple(part.strip() for part in secrets.split(",") if part.strip())


def is_near(url: str) -> bool:
    """Whether this leads to a port of this machine."""
    return re.fullmatch(r"http://(127\.0\.0\.1|localhost):[0-9]{1,5}(/[\w/-]*)?", url) is not None
