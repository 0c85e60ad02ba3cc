"""What content must stand before visitors get it: nothing leads nowhere, no question means two entries, and the golden
questions go on leading to their entries.

This keeps content from being published and is quick on any amount of it; everything unwise that may be published all
the same is for the lint, which takes its time.
"""

from collections.abc import Iterator
from datetime import date

from knowledge_base import Answer, KnowledgeBase, Nothing, Urgent
from knowledge_base import text as t
from knowledge_base.lint import Finding, Severity, findings
from knowledge_base.outcome import Outcome
from knowledge_base.snapshot import GOLDEN, Content, Snapshot

NOBODY = "none"  # in the file of golden questions: no entry must answer
EMERGENCY = "urgent"
BLOCKING = frozenset({"dead-reference", "same-question", "golden", "golden-entry"})


def blocking(content: Content, snapshot: Snapshot) -> list[Finding]:
    """Return what keeps content from being published."""
    return [*contradictory(content), *_golden(content, snapshot)]


def contradictory(content: Content) -> list[Finding]:
    """Return what of that can be seen before anything is built."""
    return [*_dead(content), *_same(content)]


def everything(content: Content, snapshot: Snapshot, today: date) -> list[Finding]:
    """Return what is wrong or unwise, with where it stands."""
    of_entries = findings([each.entry for each in content.placed], snapshot, today)
    rest = [*_same(content), *_golden(content, snapshot)]
    return [_found_at(each, content) for each in [*rest, *of_entries]]


def _found_at(finding: Finding, content: Content) -> Finding:
    placed = next((each for each in content.placed if each.entry.id == finding.entry), None)
    if placed is None or not placed.path:
        return finding
    where = placed.source.error(f"{placed.path}.{finding.field}" if finding.field else placed.path, "")
    return Finding(finding.entry, finding.field, finding.rule, finding.severity, finding.values, where.file, where.line)


def _dead(content: Content) -> Iterator[Finding]:
    known = {each.entry.id for each in content.placed if each.entry.status != "retired"}
    for placed in content.placed:
        entry = placed.entry
        if entry.status != "live":
            continue
        led = [(f"related[{n}]", name) for n, name in enumerate(entry.related)]
        for language, said in entry.answers.items():
            led += [(f"answers.{language}.buttons[{n}]", button.entry) for n, button in enumerate(said.buttons)]
        for field, name in led:
            if name not in known:
                yield _found_at(_error(entry.id, field, "dead-reference", other=name), content)


def _same(content: Content) -> Iterator[Finding]:
    """Yield each question that an entry before asks word for word, where both may be answered on the same day."""
    asked: dict[tuple[str, str], str] = {}
    for placed in content.placed:
        entry = placed.entry
        if entry.status != "live":
            continue
        for language, questions in entry.questions.items():
            for number, question in enumerate(questions):
                first = asked.setdefault((language, t.key(question)), entry.id)
                if first != entry.id and _together(content, first, entry.id):
                    field = f"questions.{language}[{number}]"
                    yield _found_at(_error(entry.id, field, "same-question", other=first), content)


def _together(content: Content, *ids: str) -> bool:
    """Whether there is a day on which all of these entries are valid."""
    entries = [each.entry for each in content.placed if each.entry.id in ids]
    begins = max(each.valid_from or date.min for each in entries)
    return all(begins <= (each.valid_until or date.max) for each in entries)


def _golden(content: Content, snapshot: Snapshot) -> Iterator[Finding]:
    base = KnowledgeBase(snapshot)
    written = {each.entry.id: each.entry for each in content.placed}
    for language, questions in content.golden.items():
        for question, wanted in questions.items():
            field = f"{language}: {question}"
            if wanted not in (NOBODY, EMERGENCY) and wanted not in snapshot.entries:
                if wanted not in written or written[wanted].status != "live":
                    yield Finding(wanted, field, "golden-entry", Severity.ERROR, file=GOLDEN)
                continue  # it is not valid today
            found = _answered_by(base.answer(question, language))
            if found != wanted:
                values = {"question": question, "other": found}
                yield Finding(wanted, field, "golden", Severity.ERROR, values, file=GOLDEN)


def _answered_by(outcome: Outcome) -> str:
    match outcome:
        case Answer():
            return outcome.entry
        case Urgent():
            return EMERGENCY
        case Nothing(why=why) if why is not None and why.band == "urgent":
            return EMERGENCY
        case _:
            return NOBODY


def _error(entry: str, field: str, rule: str, **values: str) -> Finding:
    return Finding(entry, field, rule, Severity.ERROR, values)
