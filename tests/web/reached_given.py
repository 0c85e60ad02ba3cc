"""A person who is met on WhatsApp, and the templates of a clinic that writes to them there."""

from datetime import date, datetime, timedelta

from channels.whatsapp.templates import AtMeta, Button, Category, Kind, Providers, Template, Variable, Wording
from server.core import commands
from server.core.model import Address, Assurance, Channel
from server.reaching import Reaching
from tests.web.console_given import KATRIN, Clinic
from tests.web.given import Running

OUR = "106540352242922"
WA = Address(Channel.WHATSAPP, OUR, "wa_id", "4915155501234")
REMINDER = Template(
    id="appointment_reminder",
    category=Category.UTILITY,
    about="Before an appointment",
    text={
        "en": Wording("Hello {{name}}, your appointment is on {{day}}.", footer="Reply STOP to end", buttons=("Yes",)),
        "de": Wording("Guten Tag {{name}}, Ihr Termin ist am {{day}}.", footer="Stopp beendet", buttons=("Ja",)),
    },
    variables={"name": Variable(Kind.NAME, "Anna"), "day": Variable(Kind.DATE, "2026-11-24")},
    buttons=(Button(id="yes"),),
    providers=Providers(meta=AtMeta("appointment_reminder")),
)
DAY = date(2026, 11, 26)


class Reached(Clinic):
    """Katrin, who writes by WhatsApp to a clinic that has one template."""

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        self.house = running.house
        self.house.outside = Reaching([REMINDER], {OUR: "meta"})
        self._number = 0

    async def linked(self, thread: str = KATRIN, address: Address = WA) -> None:
        await self.do(
            commands.LinkAddress(
                thread=thread, key="link", by=commands.SYSTEM, address=address, assurance=Assurance.PROVEN
            )
        )

    async def writes(self, text: str, ago: timedelta = timedelta(), **more: object) -> int:
        """She writes by WhatsApp, or did; return the message's number."""
        self._number += 1
        said_at: datetime = self.house.clock() - ago
        event = await self.do(
            commands.Post(
                thread=KATRIN,
                key=f"wa:{self._number}",
                by=commands.person("wa-katrin"),
                text=text,
                language="en",
                channel=Channel.WHATSAPP,
                our=OUR,
                said_at=said_at,
                **more,  # type: ignore[arg-type]  # fields of a post
            )
        )
        assert event is not None
        return event.seq
