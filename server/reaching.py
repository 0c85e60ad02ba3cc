"""WhatsApp as the console asks it: what an error means, how long free text goes, what an approved template says.

The console knows no provider and WhatsApp's folder nothing of us; what they mean is put side by side here. A preview is
made of the very parameters that are sent.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from channels.whatsapp import numbers
from channels.whatsapp import templates as approved
from channels.whatsapp.errors import sentence
from channels.whatsapp.templates import Given, Template, Variable
from channels.whatsapp.window import CLOSING, Window, left
from server.core import choices
from server.core.errors import BadValue, NotFound
from server.core.model import Address, AsTemplate, Channel, Thread
from server.service.known_numbers import Question
from server.service.outbox import Pause
from server.web.outside import Arrives, Blank, Offered, Open, Outage


class Paused(Protocol):
    """The outbox, as far as it is asked here."""

    async def outages(self) -> list[tuple[str, Pause, int]]:
        """Return which of our numbers are out of order, and how many messages wait for each."""


class Reaching:
    """Knows the clinic's templates and numbers."""

    def __init__(
        self,
        templates: Sequence[Template],
        providers: Mapping[str, str],
        display: str = "",
        outbox: Paused | None = None,
        displays: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Offer these templates.

        Args:
            providers: of each number of ours, by the provider's id of it; the first is the one that writes to people.
            display: that number, E.164: who types theirs without a country means ours.
            outbox: knows which numbers are out of order.
            displays: each number of ours as people know it, by the provider's id of it.
        """
        self._outbox, self._displays = outbox, displays
        self._templates, self._providers = {template.id: template for template in templates}, providers
        self._our, self._display = next(iter(providers), ""), display.removeprefix("+")
        self._region = numbers.region_of(display)

    async def outages(self, language: str) -> tuple[Outage, ...]:
        """Return which of our numbers are out of order.

        Raises:
            Unavailable: the store cannot be read.
        """
        found = await self._outbox.outages() if self._outbox is not None else []
        return tuple(
            Outage(self._displays.get(our, our), pause.since, sentence(pause.because, language), waiting)
            for our, pause, waiting in found
        )

    def explained(self, error: str, language: str) -> str:
        """Return in plain words why a message did not arrive."""
        return sentence(error, language) if error else ""

    def window(self, thread: Thread, to: Address, now: datetime) -> Open | None:
        """Return how long free text may be sent: it began when the person last wrote to this number of ours."""
        heard_at = next((heard.at for heard in thread.heard if heard.our == to.our), None)
        remaining = left(Window(heard_at), now)
        return Open(now + remaining, remaining <= CLOSING) if remaining else None

    def offered(self, to: Address, language: str) -> tuple[Offered, ...]:
        """Return the templates that can be sent there, those in this language first."""
        spoken = language.split("-")[0]
        provider = self._providers.get(to.our, "")
        found = [
            (code != spoken, offer)
            for template in self._templates.values()
            if template.id != KNOW_ME  # asked of strangers, by the assistant alone
            for code in template.text
            if (offer := _offer(template, code, provider)) is not None
        ]
        return tuple(offer for _, offer in sorted(found, key=lambda pair: pair[0]))

    def arrives(self, to: Address, id: str, language: str, values: Mapping[str, str]) -> Arrives:
        """Return what arrives when a template is sent with these values.

        Raises:
            NotFound, BadValue: as ``Outside`` says.
        """
        template = self._templates.get(id)
        if template is None:
            raise NotFound
        given = read(template, values)
        filled = approved.fill(template, language, given, self._providers.get(to.our, ""))
        return _arrives(approved.preview(template, language, filled))

    def number(self, typed: str) -> Address | None:
        """Return where somebody is met who typed this number as theirs: in the one form it is looked up by."""
        number = numbers.typed(typed, self._region)
        if not number or number == self._display or not numbers.personal(number):
            return None
        return Address(Channel.WHATSAPP, self._our, "wa_id", number)

    def introduction(self, language: str, clinic: str) -> Question | None:
        """Return what such a number is asked: a template of this id with a yes, a no, and no more than our name."""
        template = self._templates.get(KNOW_ME)
        if template is None or [button.id for button in template.buttons] != [choices.KNOW_YES, choices.KNOW_NO]:
            return None
        values, to = dict.fromkeys(template.variables, clinic), Address(Channel.WHATSAPP, self._our, "wa_id", "")
        for code in dict.fromkeys((language.split("-")[0], *template.text)):
            try:
                arrives = self.arrives(to, KNOW_ME, code, values)
            except (NotFound, BadValue):
                continue
            return Question(AsTemplate(KNOW_ME, code, tuple(values.items())), arrives.text)
        return None

    def summary(self, to: Address, language: str, clinic: str, about: str) -> tuple[AsTemplate, str] | None:
        """Return the template that asks whether this is right of a call, and its text: one with a yes and a no."""
        template = self._templates.get(CALL_SUMMARY)
        if template is None or [button.id for button in template.buttons] != [choices.SUMMARY_YES, choices.SUMMARY_NO]:
            return None
        values = {"clinic": clinic, "about": about}
        for code in dict.fromkeys((language.split("-")[0], *template.text)):
            try:
                arrives = self.arrives(to, CALL_SUMMARY, code, values)
            except (NotFound, BadValue):
                continue
            return AsTemplate(CALL_SUMMARY, code, tuple(values.items())), arrives.text
        return None


CALL_SUMMARY = "call_summary"  # the template that says what was agreed on the phone, outside the 24 hours
KNOW_ME = "know_me"  # the template that asks a number whether it is somebody's who typed it on the website


def read(template: Template, values: Mapping[str, str]) -> dict[str, Given]:
    """Return what was typed as values of the template's types: a date as `2026-11-24`, a time as `14:30`.

    Raises:
        BadValue: one is of another kind, or not asked for.
    """
    given: dict[str, Given] = {}
    for name, value in values.items():
        variable = template.variables.get(name)
        if variable is None:
            raise BadValue("values", "every variable of the template and no other")
        try:
            given[name] = approved.parsed(Variable(variable.type, value))
        except ValueError:
            raise BadValue(name, f"a {variable.type}") from None
    return given


def _offer(template: Template, language: str, provider: str) -> Offered | None:
    try:
        shown = approved.example(template, language, provider)
    except (NotFound, BadValue, ValueError):  # this provider does not know it, or its examples are wrong
        return None
    blanks = tuple(Blank(name, each.type.value, each.example) for name, each in template.variables.items())
    return Offered(template.id, language, template.about, _arrives(shown).text, blanks)


def _arrives(shown: approved.Preview) -> Arrives:
    return Arrives(shown.body, shown.header, shown.footer, tuple(button.label for button in shown.buttons))
