"""What must be in order before patients come: each thing by itself, green, amber or red, and what to do about it.

Red is what harms somebody or breaks a promise; amber is what will one day. Everything here is a function of values that
were looked at before, so that the list can be tried without a clinic.
"""

import math
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from server.core.identity import StaffRole
from server.core.model import Value
from server.core.ports import Account
from server.service.clinic import Clinic
from server.settings import is_loopback

OLD_BACKUP = timedelta(hours=26)  # a daily one, and some time for it
NO_BACKUP = timedelta(days=3)
SOON = timedelta(days=14)  # a certificate that ends: ACME renews at thirty
SKEW, FAR_OFF = timedelta(seconds=2), timedelta(seconds=30)
LITTLE, TIGHT = 1_000_000_000, 5_000_000_000  # bytes free
BITS = 100  # of a secret that was made by chance; a sentence of the same length has half of it
GUESSABLE = re.compile(r"secret|password|changeme|example|onethread|clinic|1234|test", re.IGNORECASE)
NOT_REAL = re.compile(r"(^|\.)(example(\.(com|org|net))?|invalid|test|localhost)$")
NUMBER = re.compile(r"\d[\d ]{1,}\d")  # 112, 116 117, 911


class Light(StrEnum):
    """How it stands with something."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


class Item(Value, frozen=True):
    """One thing of the list."""

    id: str
    light: Light
    says: str
    do: str = ""


class BackedUp(msgspec.Struct):
    """What the store remembers of its last backup."""

    at: datetime
    events: int = 0
    threads: int = 0


class Certificate(Value, frozen=True):
    """What was found when the public address was called; ``ends`` of ``None``: ``wrong`` says why."""

    ends: datetime | None = None
    wrong: str = ""  # "refused" by our own trust store, or "unreached"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at."""

    now: datetime
    public_url: str | None = None
    demo: bool = False
    proxy: bool = False
    certificate: Certificate | None = None
    secret: str | None = None  # as set in the environment
    secret_file_open: bool = False  # others on the machine can read it
    mongodb: bool = False
    redis: bool = False
    accounts: tuple[Account, ...] = ()
    demo_staff: frozenset[str] = frozenset()  # ids
    backup: BackedUp | None = None
    events: int = 0
    clinic: Clinic | None = None
    clinic_wrong: str = ""
    clinic_remarks: tuple[str, ...] = ()  # what should be looked at in its file
    demo_clinic: bool = False  # the clinic's name is still the demo's
    skew: timedelta = timedelta()
    free: int | None = None
    free_files: int | None = None
    lint_errors: int = 0
    lint_warnings: int = 0
    lint_wrong: str = ""
    channels: Mapping[str, tuple[bool, str]] = {}  # of WhatsApp and the phone: whether it works, and what was said


def going_live(facts: Facts) -> list[Item]:
    """Return the whole list."""
    return [
        *_address(facts),
        *_secret(facts),
        *_staff(facts),
        *_backup(facts),
        *_clinic(facts),
        *_machine(facts),
        *_knowledge(facts),
        *(_item(name, _red_if(not works), said, "see what it says") for name, (works, said) in facts.channels.items()),
    ]


def worst(items: Sequence[Item]) -> Light:
    """Return the light of the whole."""
    order = [Light.GREEN, Light.AMBER, Light.RED]
    return max((item.light for item in items), key=order.index, default=Light.GREEN)


def _item(id: str, light: Light, says: str, do: str = "") -> Item:
    return Item(id, light, says, do if light is not Light.GREEN else "")


def _count(number: int, name: str) -> str:
    """Return `1 hour` or `2 hours`."""
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _red_if(wrong: bool) -> Light:
    return Light.RED if wrong else Light.GREEN


def _amber_if(wrong: bool) -> Light:
    return Light.AMBER if wrong else Light.GREEN


# where it is reached ------------------------------------------------------------------------------------------------


def _address(facts: Facts) -> Iterator[Item]:
    url = urlsplit(facts.public_url or "")
    if facts.demo:
        yield Item(
            "demo", Light.RED, "this is the demo clinic", "run `python3 run.py init`, and set ONETHREAD_DEMO=off"
        )
    if url.scheme != "https" or is_loopback(url.hostname or ""):
        do = "set ONETHREAD_PUBLIC_URL to the https address behind which it stands"
        yield Item("address", Light.RED, "nobody outside can reach it by https", do)
        return
    yield Item("address", Light.GREEN, f"{facts.public_url}")
    proxy = "set ONETHREAD_PROXY to the address of the proxy that speaks TLS: without it all visitors seem to be one"
    yield _item("proxy", _red_if(not facts.proxy), "a proxy in front" if facts.proxy else "no proxy is named", proxy)
    if facts.certificate is not None:
        yield _certificate(facts.certificate, facts.now)


def _certificate(found: Certificate, now: datetime) -> Item:
    if found.ends is None:
        if found.wrong == "refused":
            return Item("tls", Light.RED, "browsers do not trust its certificate", "see to the proxy's certificate")
        do = "look from outside: from here the address could not be reached"
        return Item("tls", Light.AMBER, "the certificate could not be looked at", do)
    days = math.floor((found.ends - now) / timedelta(days=1))
    light = _amber_if(found.ends - now < SOON)
    return _item(
        "tls", light, f"a trusted certificate for {_count(days, 'more day')}", "see why the proxy does not renew it"
    )


# secrets -------------------------------------------------------------------------------------------------------------


def _secret(facts: Facts) -> Iterator[Item]:
    if facts.secret is None:
        do = "chmod 600 the file `secret` in ONETHREAD_DATA"
        says = "others on this machine can read it" if facts.secret_file_open else "made by chance, in ONETHREAD_DATA"
        yield _item("secret", _red_if(facts.secret_file_open), says, do)
        return
    weak = is_weak(facts.secret)
    do = "make one: `openssl rand -base64 48`. Changing it signs everybody out, and no visitor finds back"
    yield _item("secret", _red_if(weak), "ONETHREAD_SECRET can be guessed" if weak else "not to be guessed", do)


def is_weak(secret: str) -> bool:
    """Whether a secret looks as if a person had thought of it, or repeats itself."""
    counts = [secret.count(each) for each in set(secret)]
    bits = -sum(count * math.log2(count / len(secret)) for count in counts)
    return bits < BITS or GUESSABLE.search(secret) is not None


# people --------------------------------------------------------------------------------------------------------------


def _staff(facts: Facts) -> Iterator[Item]:
    able = [each for each in facts.accounts if not each.disabled and each.password and each.id not in facts.demo_staff]
    admins = sum(each.role == StaffRole.ADMIN for each in able)
    says = f"{_count(len(able), 'colleague')} can sign in, {admins} of them as admin"
    add = 'add one: `python3 run.py staff add anna --name "Anna Weber" --role admin`'
    light = Light.RED if not admins else _amber_if(admins < 2)
    yield _item("staff", light, says, add if not admins else "have a second admin, for when the first is away")
    left = [each.login for each in facts.accounts if each.id in facts.demo_staff and not each.disabled]
    if left:
        do = "start the server once with ONETHREAD_DEMO=off, or `python3 run.py staff disable` each"
        yield Item("demo_staff", Light.RED, f"the demo's staff can still sign in: {', '.join(left)}", do)


# backups -------------------------------------------------------------------------------------------------------------


def _backup(facts: Facts) -> Iterator[Item]:
    do = "`python3 run.py backup /backup/`, every night: docs/operate.md has the line for cron"
    if facts.backup is None:
        yield Item("backup", Light.RED if facts.events else Light.AMBER, "no backup was ever taken", do)
        return
    age = facts.now - facts.backup.at
    hours = max(0, math.floor(age / timedelta(hours=1)))
    light = Light.RED if age > NO_BACKUP else _amber_if(age > OLD_BACKUP)
    yield _item(
        "backup", light, f"the last one is {_count(hours, 'hour')} old, with {_count(facts.backup.events, 'event')}", do
    )


# the clinic ----------------------------------------------------------------------------------------------------------


def _clinic(facts: Facts) -> Iterator[Item]:
    clinic = facts.clinic
    if clinic is None:
        yield Item("clinic", Light.RED, facts.clinic_wrong or "there is no clinic", "docs/clinic.md describes the file")
        return
    if facts.demo_clinic:
        yield Item("clinic", Light.RED, f"it is still {clinic.name}", "edit `clinic.yaml`: it is another clinic's")
    else:
        yield Item("clinic", Light.GREEN, f"{clinic.name}, in {', '.join(clinic.languages)}")
    if facts.clinic_remarks:
        first, more = facts.clinic_remarks[0], len(facts.clinic_remarks) - 1
        yield Item("closed", Light.AMBER, f"{first}, and {more} more" if more else first, "edit `clinic.yaml`")
    yield _origins(clinic)
    yield from _former_keys(clinic, facts.now)
    yield from (_consent(clinic, language) for language in clinic.languages)
    without = [language for language in clinic.languages if not NUMBER.search(clinic.words[language].emergency)]
    do = "name the number to call in `website.emergency`, in each language"
    says = f"no emergency number in {', '.join(without)}" if without else "an emergency number in every language"
    yield _item("emergency", _red_if(bool(without)), says, do)
    closed = not any(clinic.week)
    yield _item(
        "hours", _red_if(closed), "never open" if closed else "opening hours are there", "enter `opening_hours`"
    )


def _origins(clinic: Clinic) -> Item:
    origins = sorted(clinic.origins)
    plain = [each for each in origins if urlsplit(each).scheme != "https"]
    if plain:
        do = "only https origins may stand in `website.sites`: what is typed on others can be read on its way"
        return Item("origins", Light.RED, f"not by https: {', '.join(plain)}", do)
    known = [each for each in origins if not NOT_REAL.search(urlsplit(each).hostname or "")]
    if not known:
        return Item("origins", Light.AMBER, "no site of yours", "`python3 run.py site add` your website's origin")
    return Item("origins", Light.GREEN, ", ".join(origins))


def _former_keys(clinic: Clinic, now: datetime) -> Iterator[Item]:
    for site in clinic.sites.values():
        if site.signs > 1 and site.former_until is not None and now < site.former_until:
            says = f"{site.key}: the former key counts until {site.former_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            do = "when the website's server signs with the new one, take `former_key_until` out of `clinic.yaml`"
            yield Item("site_key", Light.AMBER, says, do)


def _consent(clinic: Clinic, language: str) -> Item:
    consent, id = clinic.words[language].consent, f"consent.{language}"
    if consent is None:
        do = "ask for consent with `website.consent`, unless your data protection officer says that you need not"
        return Item(id, Light.AMBER, "nobody is asked for consent", do)
    url = urlsplit(consent.privacy_url)
    if url.scheme != "https" or NOT_REAL.search(url.hostname or "localhost"):
        do = "set `website.consent.privacy_url` to your own privacy page, by https"
        return Item(id, Light.RED, "no privacy page of your own", do)
    return Item(id, Light.GREEN, f"version {consent.version}, {consent.privacy_url}")


# the machine ---------------------------------------------------------------------------------------------------------


def _machine(facts: Facts) -> Iterator[Item]:
    off = abs(facts.skew)
    light = Light.RED if off > FAR_OFF else _amber_if(off > SKEW)
    says = f"{off.total_seconds():.1f} s from the database's"
    yield _item("clock", light, says, "see to the time service (chrony, systemd-timesyncd) of both machines")
    for id, free in (("disk", facts.free), ("disk.files", facts.free_files)):
        if free is not None:
            light = Light.RED if free < LITTLE else _amber_if(free < TIGHT)
            yield _item(id, light, f"{free / 1e9:.1f} GB free", "make room: with none left nobody can write")
    if facts.mongodb:
        do = "set ONETHREAD_REDIS_URL, or several processes learn of each other only every few seconds"
        yield _item("redis", _amber_if(not facts.redis), "is set" if facts.redis else "is not set", do)


def _knowledge(facts: Facts) -> Iterator[Item]:
    do = "`python3 run.py kb lint` says where"
    if facts.clinic is None:  # there is nothing to look over
        return
    if facts.lint_wrong:
        yield Item("knowledge", Light.RED, facts.lint_wrong, do)
        return
    light = Light.RED if facts.lint_errors else _amber_if(facts.lint_warnings > 0)
    yield _item(
        "knowledge", light, f"{_count(facts.lint_errors, 'error')}, {_count(facts.lint_warnings, 'warning')}", do
    )


# looking -------------------------------------------------------------------------------------------------------------


def certificate_of(public_url: str, seconds: float = 5.0) -> Certificate | None:
    """Return what is found when the public address is called, as a browser would; ``None``: it is none by https."""
    import socket

    url = urlsplit(public_url)
    if url.scheme != "https" or not url.hostname or is_loopback(url.hostname):
        return None
    context = ssl.create_default_context()
    try:
        with (
            socket.create_connection((url.hostname, url.port or 443), timeout=seconds) as plain,
            context.wrap_socket(plain, server_hostname=url.hostname) as line,
        ):
            ends = (line.getpeercert() or {}).get("notAfter")
    except ssl.SSLCertVerificationError:
        return Certificate(wrong="refused")
    except OSError:
        return Certificate(wrong="unreached")
    if not isinstance(ends, str):
        return Certificate(wrong="unreached")
    return Certificate(datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC))
