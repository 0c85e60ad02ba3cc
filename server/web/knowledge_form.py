"""An entry as a form, and back: one flat field for each thing in each language, so that nothing typed is ever lost.

A list is written one to a line; a link as `label | address`, a button as `entry` or `entry | label`. What does not fit
is said at its field, and the form comes back as it was sent.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from knowledge_base.entries import MAX_BUTTONS, Entry, Said

HEAD = (
    "id", "status", "owner", "reviewed_at", "risk", "action", "tags", "site", "valid_from", "valid_until", "related"
)  # fmt: skip
"""What an entry has once."""
SPOKEN = ("title", "text", "voice", "whatsapp", "wordings", "links", "buttons", "questions", "phrases", "negatives")
"""What it has in each language: the field `title_de`."""
LISTS = ("wordings", "links", "buttons", "questions", "phrases", "negatives")
STATUSES = ("draft", "live", "retired")
RISKS = ("admin", "medical-info", "never-auto")
BETWEEN = " | "
_EXPECTS = {
    "id": "id", "status": "status", "owner": "owner", "reviewed_at": "date", "valid_from": "date",
    "valid_until": "date", "risk": "risk", "action": "action", "related": "id", "tags": "words", "site": "words",
    "title": "title", "text": "text", "voice": "words", "whatsapp": "words", "wordings": "sentence", "links": "url",
    "buttons": "button", "questions": "sentence", "phrases": "sentence", "negatives": "sentence",
}  # fmt: skip
_PLACE = re.compile(r"^(?:answers\.)?(?P<name>[a-z_]+)(?:\.(?P<language>[a-z]{2,3}))?(?:\.(?P<below>[a-z]+))?")
_SCHEMES = ("https://", "tel:", "mailto:", "{")  # or a fact of the clinic's, which is checked when it is filled in
Fields = Mapping[str, str]


class Misfit(Exception):
    """Some fields do not fit: which, and the key of what is expected there among the knowledge base's remarks."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("Some fields do not fit.")
        self.fields = fields


def fields_of(entry: Entry) -> dict[str, str]:
    """Return an entry as fields of a form."""
    found = {
        "id": entry.id,
        "status": entry.status,
        "owner": entry.owner,
        "reviewed_at": entry.reviewed_at.isoformat(),
        "risk": entry.risk,
        "action": entry.action,
        "tags": ", ".join(entry.tags),
        "site": entry.site or "",
        "valid_from": entry.valid_from.isoformat() if entry.valid_from else "",
        "valid_until": entry.valid_until.isoformat() if entry.valid_until else "",
        "related": ", ".join(entry.related),
    }
    for name in ("title", "questions", "phrases", "negatives"):
        for language, value in getattr(entry, name).items():
            found[f"{name}_{language}"] = value if isinstance(value, str) else "\n".join(value)
    for language, said in entry.answers.items():
        found[f"text_{language}"] = said.text
        found[f"voice_{language}"] = said.voice
        found[f"whatsapp_{language}"] = said.whatsapp
        found[f"wordings_{language}"] = "\n".join(said.wordings)
        found[f"links_{language}"] = "\n".join(f"{link.label}{BETWEEN}{link.url}" for link in said.links)
        found[f"buttons_{language}"] = "\n".join(
            f"{button.entry}{BETWEEN}{button.label}" if button.label else button.entry for button in said.buttons
        )
    return found


def languages_of(fields: Iterable[str]) -> list[str]:
    """Return the languages that fields are in, in the order of the form."""
    named = (name.rpartition("_") for name in fields)
    return list(dict.fromkeys(language for name, _, language in named if name in SPOKEN))


def cleaned(form: Mapping[str, Any]) -> dict[str, str]:
    """Return what was sent as fields of ours: with lines as we end them, and nothing that is no field."""
    found = {}
    for name, value in form.items():
        plain, _, language = name.rpartition("_")
        if isinstance(value, str) and (name in HEAD or (plain in SPOKEN and re.fullmatch("[a-z]{2,3}", language))):
            found[name] = value.replace("\r\n", "\n").replace("\0", "").strip()
    return found


def entry_of(fields: Fields) -> Entry:
    """Return the entry that a form says.

    Raises:
        Misfit: some fields do not fit.
    """
    return _Reading(fields).entry()


class _Reading:
    """Reads a form field by field and remembers each that does not fit."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._wrong: dict[str, str] = {}

    def entry(self) -> Entry:
        plain = {name: self._fields.get(name, "") for name in HEAD}
        languages = languages_of(self._fields)
        values: dict[str, Any] = {name: value for name, value in plain.items() if value}
        values["tags"] = _listed(plain["tags"])
        values["related"] = _listed(plain["related"])
        values["title"] = self._by_language(languages, "title")
        for name in ("questions", "phrases", "negatives"):
            lines = ((language, _lines(self._fields.get(f"{name}_{language}", ""))) for language in languages)
            values[name] = {language: some for language, some in lines if some}
        values["answers"] = {language: said for language in languages if (said := self._said(language)) is not None}
        entry = self._converted(values)
        if self._wrong or entry is None:
            raise Misfit(self._wrong)
        return entry

    def _by_language(self, languages: Sequence[str], name: str) -> dict[str, str]:
        given = ((language, self._fields.get(f"{name}_{language}", "")) for language in languages)
        return {language: value for language, value in given if value}

    def _said(self, language: str) -> dict[str, Any] | None:
        """Return the answer in one language; ``None`` where nothing of it is written."""
        values: dict[str, Any] = {name: self._fields.get(f"{name}_{language}", "") for name in SPOKEN[1:4]}
        values["wordings"] = _lines(self._fields.get(f"wordings_{language}", ""))
        values["links"] = [self._link(language, line) for line in _lines(self._fields.get(f"links_{language}", ""))]
        values["buttons"] = [_button(line) for line in _lines(self._fields.get(f"buttons_{language}", ""))]
        if not any(values.values()):
            return None
        if len(values["buttons"]) > MAX_BUTTONS:
            self._wrong.setdefault(f"buttons_{language}", "buttons")
        for name in ("text", "wordings", "buttons"):
            self._check(f"{name}_{language}", {"text": values["text"], name: values[name]} | _TEXT_OF[name], Said)
        return values

    def _link(self, language: str, line: str) -> dict[str, str]:
        label, between, url = (part.strip() for part in line.partition("|"))
        if not between or not label or not url.startswith(_SCHEMES):
            self._wrong.setdefault(f"links_{language}", "link" if not between else "url")
        return {"label": label, "url": url}

    def _check(self, field: str, values: Any, kind: type) -> None:
        try:
            msgspec.convert(values, kind, strict=False)
        except msgspec.ValidationError:
            self._wrong.setdefault(field, expected_at(field))

    def _converted(self, values: dict[str, Any]) -> Entry | None:
        """Return the whole; what is wrong with it is found field by field, each tried in an entry that is right."""
        try:
            return msgspec.convert(values, Entry, strict=False)
        except msgspec.ValidationError:
            pass
        for name in HEAD:
            if name in values or name in _NEEDED:
                tried = {**_RIGHT, name: values.get(name, "")}
                self._check(name, tried, Entry)
        for name in ("title", "questions", "phrases", "negatives"):
            for language, value in values[name].items():
                self._check(f"{name}_{language}", {**_RIGHT, name: {language: value}}, Entry)
        if not self._wrong:  # a language that is none
            self._wrong["id"] = "language"
        return None


_NEEDED = frozenset({"id", "status", "owner", "reviewed_at", "risk"})
_RIGHT: dict[str, Any] = {
    "id": "a", "status": "draft", "owner": "a", "reviewed_at": "2026-01-01", "risk": "admin",
    "title": {}, "answers": {}, "questions": {},
}  # fmt: skip
_TEXT_OF: dict[str, dict[str, str]] = {"text": {}, "wordings": {"text": "-"}, "buttons": {"text": "-"}}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _listed(text: str) -> list[str]:
    return [each.strip() for each in re.split(r"[,\n]", text) if each.strip()]


def _button(line: str) -> dict[str, str]:
    entry, _, label = (part.strip() for part in line.partition("|"))
    return {"entry": entry, "label": label} if label else {"entry": entry}


def expected_at(field: str) -> str:
    """Return the key of what is expected in a field, among the knowledge base's remarks."""
    plain, _, language = field.rpartition("_")
    return _EXPECTS[field if field in HEAD else plain if plain in SPOKEN and language else "id"]


def field_at(path: str) -> str:
    """Return the form's field for a place in an entry: `answers.de.buttons[0]` is in `buttons_de`."""
    if path in HEAD:
        return path
    found = _PLACE.match(path)
    if found is None:
        return ""
    if path.startswith("answers."):
        language, _, below = path.removeprefix("answers.").partition(".")
        name = re.sub(r"\[.*", "", below).split(".")[0] or "text"
        return f"{name}_{language}" if name in SPOKEN else ""
    if found["name"] in SPOKEN and found["language"]:
        return f"{found['name']}_{found['language']}"
    return found["name"] if found["name"] in HEAD else ""
