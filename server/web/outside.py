"""What the console asks about the doors outside the website, in its own words.

The console knows no provider: what an error means, how long free text may still be sent and what an approved template
says are answered by whoever puts the house together. Where there is no such door, `NOWHERE` answers.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from server.core.errors import NotFound
from server.core.model import Address, Thread, Value
from server.service.known_numbers import Question


class Blank(Value, frozen=True):
    """Something to fill in: what kind of value it is (`name`, `date`, ...), and one as an example."""

    name: str
    kind: str
    example: str


class Offered(Value, frozen=True):
    """An approved template in one language. ``about``: when it is used."""

    id: str
    language: str
    about: str
    example: str
    blanks: tuple[Blank, ...] = ()

    @property
    def called(self) -> str:
        """Its id, as one reads it."""
        return self.id.replace("_", " ").capitalize()


class Arrives(Value, frozen=True):
    """What will arrive, to the letter."""

    body: str
    header: str = ""
    footer: str = ""
    buttons: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it as one text, which is what a conversation keeps."""
        buttons = " · ".join(f"[{label}]" for label in self.buttons)
        return "\n\n".join(filter(None, (self.header, self.body, self.footer, buttons)))


class Open(Value, frozen=True):
    """Free text may be sent, until then. ``closing``: not for long."""

    until: datetime
    closing: bool = False


class Outage(Value, frozen=True):
    """One of our numbers is out of order: since when, why in plain words, and how many messages wait for it."""

    number: str
    since: datetime
    because: str
    waiting: int


class Outside(Protocol):
    """The doors outside the website."""

    async def outages(self, language: str) -> tuple[Outage, ...]:
        """Return what is out of order.

        Raises:
            Unavailable: the store cannot be read.
        """

    def explained(self, error: str, language: str) -> str:
        """Return in plain words why a message did not arrive; ``error`` is a code of ours."""

    def window(self, thread: Thread, to: Address, now: datetime) -> Open | None:
        """Return how long free text may be sent to this address, or ``None``: only templates."""

    def offered(self, to: Address, language: str) -> tuple[Offered, ...]:
        """Return the templates that can be sent there, those in this language first."""

    def arrives(self, to: Address, id: str, language: str, values: Mapping[str, str]) -> Arrives:
        """Return what arrives when a template is sent with these values.

        Raises:
            NotFound: there is no such template in this language, or none that can be sent there.
            BadValue: a value is missing, of another kind, or not asked for.
        """

    def number(self, typed: str) -> Address | None:
        """Return where somebody is met who typed this number as theirs; ``None`` if it is none that can be asked."""

    def introduction(self, language: str, clinic: str) -> Question | None:
        """Return what such a number is asked in the name of ``clinic``; ``None`` where nothing is approved for that."""


class Nowhere:
    """There is no door but the website."""

    async def outages(self, language: str) -> tuple[Outage, ...]:
        """Return nothing: nothing can be out of order."""
        return ()

    def explained(self, error: str, language: str) -> str:
        """Return nothing: there is nothing that could fail."""
        return ""

    def window(self, thread: Thread, to: Address, now: datetime) -> Open | None:
        """Return nothing: nothing can be sent."""
        return None

    def offered(self, to: Address, language: str) -> tuple[Offered, ...]:
        """Return no templates."""
        return ()

    def arrives(self, to: Address, id: str, language: str, values: Mapping[str, str]) -> Arrives:
        """Refuse."""
        raise NotFound

    def number(self, typed: str) -> Address | None:
        """Return nobody."""
        return None

    def introduction(self, language: str, clinic: str) -> Question | None:
        """Return nothing: nobody can be asked."""
        return None


NOWHERE = Nowhere()
