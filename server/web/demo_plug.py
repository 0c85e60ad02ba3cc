"""Pulling the plug on the demo: kill the server, cut the network, let every webhook come twice. And what the log has.

Killing replaces the process by a new one of the same program, at once and without a goodbye: memory and sockets are
gone as they are after a kill. The likenesses of WhatsApp and of the telephone live in that process and go with it.
What became of messages is found by comparing their keys with the log's, one by one; nothing is assumed.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.voice.emulator import TwilioVoice
from channels.whatsapp.emulator import Phone, StandIn
from channels.whatsapp.wire import Person, key_of
from server.core.events import Posted
from server.core.model import Role, ThreadId
from server.web.demo_story import check
from server.web.house import House

CUT_SECONDS = 8.0
GOODBYE = 0.05  # seconds in which the answer leaves
PAGE, PAGES = 100, 50  # events read at once, and how often
LOOKS, PAUSE = 4, 0.25  # times, seconds
HOPS = 20  # conversations that moved on one after the other


class Kill(msgspec.Struct, tag_field="do", tag="kill", forbid_unknown_fields=True):
    pass


class Cut(msgspec.Struct, tag_field="do", tag="cut", forbid_unknown_fields=True):
    pass


class Double(msgspec.Struct, tag_field="do", tag="double", forbid_unknown_fields=True):
    on: bool


class Compare(msgspec.Struct, forbid_unknown_fields=True):
    """What was sent: in a chat's conversation under these keys, and from a phone; and what of it was acknowledged."""

    thread: Annotated[str, Meta(max_length=64)] = ""
    keys: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=5000)] = []
    acknowledged: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=5000)] = []
    phone: Annotated[str, Meta(max_length=64)] = ""


class Found(msgspec.Struct):
    """How many were made, were acknowledged, stand in the log; were acknowledged and do not; stand there twice."""

    made: int
    acknowledged: int
    logged: int
    lost: int
    doubled: int


class DemoPlug:
    """The doors of it."""

    def __init__(
        self,
        house: House,
        cut: Callable[[float], None],
        phones: dict[str, Phone],
        *,
        whatsapp: StandIn,
        twilio: TwilioVoice,
    ) -> None:
        """Pull the plug of ``house``.

        Args:
            cut: lets every socket break, and none come back for so many seconds.
            phones: those that the page has handed out, by key.
        """
        self._house, self._cut, self._phones = house, cut, phones
        self._whatsapp, self._twilio = whatsapp, twilio

    def routes(self) -> list[Route]:
        """Return the doors."""
        return [
            Route("/demo/plug", self.look, methods=["GET"]),
            Route("/demo/plug", self.pull, methods=["POST"]),
            Route("/demo/ledger", self.compare, methods=["POST"]),
        ]

    async def look(self, request: Request) -> Response:
        """Say what can be pulled, and what is."""
        return _json({"can_kill": self._house.restart is not None, "doubles": self._whatsapp.doubles})

    async def pull(self, request: Request) -> Response:
        """Pull it."""
        check(request, self._house)
        pulled: Kill | Cut | Double = await _read(request, Kill | Cut | Double)
        match pulled:
            case Kill():
                if self._house.restart is None:
                    raise HTTPException(409)
                asyncio.get_running_loop().call_later(GOODBYE, self._house.restart)
            case Cut():
                asyncio.get_running_loop().call_later(GOODBYE, self._cut, CUT_SECONDS)
            case Double(on):
                self._whatsapp.doubles = self._twilio.doubles = on
        return await self.look(request)

    async def compare(self, request: Request) -> Response:
        """Compare what was sent with what the log has."""
        check(request, self._house)
        asked: Compare = await _read(request, Compare)
        said: dict[str, Found] = {}
        if asked.thread:
            said["web"] = _found(asked.keys, asked.acknowledged, await self._logged(asked.thread))
        phone = self._phones.get(asked.phone)
        if phone is not None:
            made = {key_of(self._house.secret, each.id): each.state for each in phone.chat if not each.ours}
            taken = [key for key, state in made.items() if state in ("delivered", "read")]
            [address, *_] = Person(wa_id=phone.number).addresses(phone.line.our)
            for _ in range(LOOKS):  # what was taken is stored as it came, and read a moment later
                thread = await self._house.store.find_address(address.id)
                said["whatsapp"] = _found(made, taken, await self._logged(thread) if thread else [])
                if not said["whatsapp"].lost:
                    break
                await asyncio.sleep(PAUSE)
        return _json(said)

    async def _logged(self, thread: ThreadId) -> list[str]:
        """Return the keys of everything that people said in a conversation, wherever it goes on."""
        found: list[str] = []
        for _ in range(HOPS):
            after = 0
            for _ in range(PAGES):
                log = await self._house.store.since(thread, after, PAGE)
                found += [each.key for each in log if isinstance(each, Posted) and each.role is Role.PERSON]
                if len(log) < PAGE:
                    break
                after = log[-1].seq
            moved = (await self._house.conversations.refresh(thread)).moved_to
            if moved is None:
                break
            thread = moved
        return found


def _found(made: Iterable[str], acknowledged: Iterable[str], logged: Iterable[str]) -> Found:
    """Compare key by key."""
    wanted, promised, stands = set(made), set(acknowledged), Counter(logged)
    there = wanted & stands.keys()
    twice = sum(stands[key] - 1 for key in there)
    return Found(len(wanted), len(promised), len(there), len(promised - stands.keys()), twice)


async def _read(request: Request, kind: Any) -> Any:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.DecodeError:
        raise HTTPException(400) from None


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
