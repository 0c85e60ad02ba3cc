"""What all doors of the phone share: the numbers, what is signed under which address, and the calls under way."""

from collections import Counter
from collections.abc import Callable, Sequence

from channels.voice import twiml
from channels.voice.accounts import Account
from channels.voice.talking import Switchboard
from server.core.calling import Calls, Incoming
from server.core.identity import keyed_hash

PATH = "/webhooks/voice"


class Desk:
    """The clinic's telephone numbers, as one process answers them."""

    def __init__(
        self,
        accounts: Sequence[Account],
        calls: Calls,
        *,
        languages: Sequence[str],
        public_url: str,
        secret: bytes,
        announce: Callable[[bytes], None] = lambda payload: None,
    ) -> None:
        """Answer for ``accounts``.

        Args:
            languages: the clinic's, the first one first.
            public_url: how the world calls us, as configured: Twilio signs it.
            secret: under which calls get their names.
            announce: tells other processes that a call is carried here.
        """
        self.accounts = {account.id: account for account in accounts if account.answers}
        self.calls, self.languages = calls, tuple(languages)
        self._public_url, self._secret = public_url.rstrip("/"), secret
        self.switchboard = Switchboard(announce)
        self.answered: Counter[str] = Counter()  # by what became of them, for the metrics

    def account(self, id: str) -> Account | None:
        """Return a number that is answered here."""
        return self.accounts.get(id)

    def languages_of(self, account: Account) -> tuple[str, ...]:
        """Return what is spoken at a number: the languages that it has voices for, or the clinic's."""
        return tuple(voice.language for voice in account.voices) or self.languages

    def asks(self, account: Account) -> bool:
        """Whether callers choose their language: where nobody can hear which one of several it is."""
        languages = self.languages_of(account)
        tells = account.mode == "relay" and twiml.detects(account, languages)
        return account.asks and len(languages) > 1 and not tells

    def counted(self, what: str) -> None:
        """Count something that was refused."""
        self.answered[what] += 1

    def url(self, account: Account, part: str = "", query: str = "") -> str:
        """Return the address of a webhook of this number, as Twilio is given it and signs it."""
        path = f"{PATH}/{account.id}/{part}" if part else f"{PATH}/{account.id}"
        return f"{self._public_url}{path}{f'?{query}' if query else ''}"

    def socket_url(self, account: Account) -> str:
        """Return the address of the relay's socket: without a query, which Twilio's own programs sign differently."""
        return "ws" + self.url(account, "relay").removeprefix("http")

    def incoming(self, account: Account, call: str, caller: str | None, attested: bool = False) -> Incoming:
        """Return a call by its session, which is a hash of Twilio's name for it."""
        languages = self.languages_of(account)
        return Incoming(self.hashed(call), account.our, caller, attested, languages[0], languages)

    def hashed(self, name: str) -> str:
        """Return the name under which we know something that Twilio has named."""
        return keyed_hash(self._secret, "call", name)
