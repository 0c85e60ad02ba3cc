"""The doors Twilio knocks at during a call, each answered with what the call does next.

The signature over the raw form comes before everything else. Nothing is stored here: what a call leaves behind goes to
the conversation, by way of `Calls`. When that is away, a caller is put through to a person, or told so.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.keeping import whole_body
from channels.twilio_signature import HEADER, MAX_FORM, fields_of, is_signed
from channels.voice import twiml
from channels.voice.accounts import Account
from channels.voice.call import STAFF, URGENT
from channels.voice.desk import PATH, Desk
from channels.voice.gather import WAITING, Asked, Gatherings
from channels.voice.phrases import Phrase, phrase
from channels.voice.talking import LAST_WORDS_SECONDS, Spoken, patient
from channels.voice.wire import CallForm, read_form
from server.core.calling import Line
from server.core.errors import Refused, Unavailable
from server.core.model import Ending, Value

COMES_BACK = 3  # times that a lost socket is given a new one in one call
ENDED = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
ANSWERED = frozenset({"completed", "answered"})
MAX_TURNS = 1000

log = logging.getLogger("onethread.voice")


class _Way(Value, frozen=True):
    """How a caller came to be put through.

    Args:
        why: objected, where nothing may be stored; failed, where nothing can be; urgent, where nobody is to wait.
        turn: the number of the gather's last request.
    """

    why: str = ""
    turn: int = 0


Step = Callable[[Request, Account, CallForm], Awaitable[bytes]]


class VoiceWebhooks:
    """The webhooks of all of a clinic's numbers that are answered here."""

    def __init__(self, desk: Desk, bridged: Callable[[str, bool], Awaitable[None]] | None = None) -> None:
        """Answer for the numbers of ``desk``.

        Args:
            bridged: told the mark of a call-back, and whether the person was reached.
        """
        self._desk, self._bridged = desk, bridged
        self._gatherings = Gatherings(desk)

    def routes(self) -> list[Route]:
        """Return the doors."""
        steps: dict[str, Step] = {
            "": self._incoming,
            "/action": self._action,
            "/turn": self._turn,
            "/transfer": self._transfer,
            "/dialled": self._dialled,
            "/bridge": self._bridge,
            "/status": self._status,
        }
        return [
            Route(f"{PATH}/{{account}}{path}", self._door(step), methods=["POST"], name=f"voice{path}")
            for path, step in steps.items()
        ]

    def _door(self, step: Step) -> Callable[[Request], Awaitable[Response]]:
        async def door(request: Request) -> Response:
            account = self._desk.account(request.path_params["account"])
            if account is None:
                raise HTTPException(404)
            raw = await whole_body(request, MAX_FORM)
            fields = fields_of(raw)
            part = request.url.path.removeprefix(f"{PATH}/{account.id}").removeprefix("/")
            url = self._desk.url(account, part, request.url.query)
            if fields is None or not is_signed(url, fields, request.headers.get(HEADER, ""), account.secrets):
                self._desk.counted("401")
                raise HTTPException(401)
            form = read_form(raw)
            if form is None:
                self._desk.counted("400")
                raise HTTPException(400)
            self._desk.counted("200")
            return Response(await step(request, account, form), media_type=twiml.TYPE)

        return door

    # a call begins

    async def _incoming(self, request: Request, account: Account, form: CallForm) -> bytes:
        if account.mode == "gather":
            return await self._gatherings.of(account, form, Asked()).answer(form, Asked())
        return twiml.document(self._relay(account, form))

    def _relay(self, account: Account, form: CallForm, again: int = 0, at: str = "") -> str:
        """Return the verb that hands a call to the socket.

        Args:
            again: for how many times it was lost.
            at: up to where the caller, who comes back from elsewhere, has been told everything.
        """
        action = self._desk.url(account, "action", f"again={again}" if again else "")
        language, languages = self._language(account, form), self._desk.languages_of(account)
        socket = self._desk.socket_url(account)
        return twiml.relay(account, socket, action, language, languages, attested=form.attested, at=at)

    def _language(self, account: Account, form: CallForm) -> str:
        talk = self._desk.switchboard.find(self._desk.hashed(form.call))
        return talk.call.language if talk is not None else self._desk.languages_of(account)[0]

    # and goes on

    async def _turn(self, request: Request, account: Account, form: CallForm) -> bytes:
        asked = Asked.read(request.query_params, MAX_TURNS)
        if account.mode != "gather" or asked is None:
            raise HTTPException(404)
        return await self._gatherings.of(account, form, asked).answer(form, asked)

    async def _action(self, request: Request, account: Account, form: CallForm) -> bytes:
        """A relay is over: because the caller has gone, because we ended it, or because its socket was lost."""
        if form.status in ENDED:
            return await self._over(account, form, Ending.CALLER)
        if form.handoff.startswith(STAFF):
            return await self._put_through(account, form, _Way(form.handoff.partition(":")[2]))
        if form.relay == "failed":
            again = request.query_params.get("again", "0")
            times = int(again) + 1 if again.isdecimal() and len(again) < 4 else COMES_BACK + 1
            if times <= COMES_BACK:
                return twiml.document(self._relay(account, form, times))
            return await self._put_through(account, form, _Way("failed"))
        return twiml.document(twiml.hang_up())

    async def _transfer(self, request: Request, account: Account, form: CallForm) -> bytes:
        """A gather has ended with a person who wants a person."""
        return await self._put_through(account, form, _way(request))

    async def _put_through(self, account: Account, form: CallForm, way: _Way) -> bytes:
        """Dial a person."""
        try:
            line = await self._line(account, form)
            number = await patient(lambda: self._desk.calls.transfer_to(line))
        except Unavailable:
            line, number = None, account.transfer or None
        if line is not None and number is not None:
            with contextlib.suppress(Unavailable, Refused):  # then it is over a quarter of an hour later, for the log
                await self._desk.calls.put_through(line)
        if line is not None and line.objected:
            way = _Way("objected", way.turn)
        if number is None:
            return await self._not_reached(account, form, way)
        dialled = self._desk.url(account, "dialled", f"why={way.why}&n={way.turn}")
        return twiml.document(twiml.dial(number, dialled, caller=account.our))

    async def _dialled(self, request: Request, account: Account, form: CallForm) -> bytes:
        """Somebody was called for the caller, and has hung up by now, or did not answer."""
        if form.dial in ANSWERED or form.status in ENDED:
            reached = form.dial in ANSWERED
            return await self._over(account, form, Ending.TRANSFERRED if reached else Ending.CALLER)
        return await self._not_reached(account, form, _way(request))

    async def _not_reached(self, account: Account, form: CallForm, way: _Way) -> bytes:
        language = self._language(account, form)
        if way.why == "objected":
            return self._goodbye(account, Phrase.OBJECTED_ALONE, language)
        if way.why == "failed":
            return self._goodbye(account, Phrase.AWAY, language)
        try:
            line = await self._line(account, form)
            promised = await patient(lambda: self._desk.calls.want_call_back(line, "not_reached"))
        except Unavailable:
            return self._goodbye(account, Phrase.AWAY, language)
        after = [phrase(Phrase.DO_NOT_WAIT, line.language)]
        if way.why != URGENT:
            after = [promised, phrase(Phrase.ANYTHING_ELSE, line.language)]
        said = [phrase(Phrase.NOT_REACHED, line.language), *after]
        verbs = [twiml.say(account, each, line.language) for each in said]
        talk = self._desk.switchboard.find(line.session)
        spoken = talk.spoken if talk is not None else None
        at = (spoken or Spoken(line.thread, line.newest)).written
        if account.mode == "gather":
            self._gatherings.forget(line.session)
            asked = Asked(way.turn + 1, at, WAITING)  # no turn's number comes twice
            goes_on = self._desk.url(account, "turn", asked.query)
            return twiml.document(*verbs, twiml.redirect(goes_on))
        return twiml.document(*verbs, self._relay(account, form, at=at))

    def _goodbye(self, account: Account, which: Phrase, language: str) -> bytes:
        return twiml.document(twiml.say(account, phrase(which, language), language), twiml.hang_up())

    # until it is over

    async def _status(self, request: Request, account: Account, form: CallForm) -> bytes:
        if form.status in ENDED and not form.outbound:
            return await self._over(account, form, Ending.CALLER)
        return twiml.document()

    async def _over(self, account: Account, form: CallForm, ending: Ending) -> bytes:
        """The call is over; it may have been already, and may be said to be again.

        Raises:
            HTTPException: 503; Twilio may come again, and what a call owes ends it anyway.
        """
        session = self._desk.hashed(form.call)
        talk = self._desk.switchboard.find(session)
        try:
            if talk is not None:
                await talk.settle(LAST_WORDS_SECONDS)
            line = await self._line(account, form)
            await patient(lambda: self._desk.calls.hung_up(line, ending, form.seconds))
        except Unavailable as error:
            raise HTTPException(503) from error
        finally:
            self._gatherings.forget(session)
        return twiml.document(twiml.hang_up())

    async def _line(self, account: Account, form: CallForm) -> Line:
        """Return what is known of a call: by whoever carries it here, or by the service.

        Raises:
            Unavailable: not now.
        """
        talk = self._desk.switchboard.find(self._desk.hashed(form.call))
        if talk is not None and talk.line is not None:
            return talk.line
        incoming = self._desk.incoming(account, form.call, form.caller, form.attested)
        return (await patient(lambda: self._desk.calls.ring(incoming))).line

    # a call-back

    async def _bridge(self, request: Request, account: Account, form: CallForm) -> bytes:
        """A colleague whom we called was put through to the person who wanted to be called, or not."""
        mark = request.query_params.get("mark", "")
        if self._bridged is not None and mark and form.dial:
            try:
                await self._bridged(mark, form.dial in ANSWERED)
            except Unavailable as error:
                raise HTTPException(503) from error
            except Refused as error:
                log.warning("a call-back was not noted", extra={"error": error.code})
        return twiml.document(twiml.hang_up())


def _way(request: Request) -> _Way:
    why, turn = request.query_params.get("why", ""), request.query_params.get("n", "0")
    return _Way(why, min(int(turn), MAX_TURNS) if turn.isdecimal() and len(turn) < 9 else 0)
