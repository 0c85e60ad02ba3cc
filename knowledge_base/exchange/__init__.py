"""Entries in and out: YAML, CSV, Markdown and schema.org's FAQPage. This file is the package's only door.

    found = read(data, Form.CSV, Assumed(today, language="de"))
    found.entries, [fault.sentence("de") for fault in found.faults]

Reading never raises and takes nothing: it returns what could be taken and what is wrong with the rest, so that somebody
sees both first. What `write` returns, `read` makes the same entries of again. A document is never followed: aliases,
addresses and instructions in it are refused, kept as links, or simply text.
"""

from collections.abc import Iterable
from enum import StrEnum
from types import ModuleType

from knowledge_base.entries import Entry
from knowledge_base.exchange import csv_form, jsonld_form, markdown_form, yaml_form
from knowledge_base.exchange.decoding import MAX_BYTES, decode
from knowledge_base.exchange.faults import Broken, Fault, Faults, Imported
from knowledge_base.exchange.judging import MAX_ENTRIES, Assumed, judge


class Form(StrEnum):
    """How entries are written down."""

    YAML = "yaml"
    CSV = "csv"
    MARKDOWN = "md"
    JSONLD = "jsonld"


_FORMS: dict[Form, ModuleType] = {
    Form.YAML: yaml_form,
    Form.CSV: csv_form,
    Form.MARKDOWN: markdown_form,
    Form.JSONLD: jsonld_form,
}
_ENDINGS = {
    "yaml": Form.YAML,
    "yml": Form.YAML,
    "csv": Form.CSV,
    "tsv": Form.CSV,
    "md": Form.MARKDOWN,
    "markdown": Form.MARKDOWN,
    "jsonld": Form.JSONLD,
    "json": Form.JSONLD,
    "html": Form.JSONLD,
    "htm": Form.JSONLD,
}
_TYPES = {
    "text/html": Form.JSONLD,
    "application/xhtml+xml": Form.JSONLD,
    "application/ld+json": Form.JSONLD,
    "application/json": Form.JSONLD,
    "text/csv": Form.CSV,
    "text/markdown": Form.MARKDOWN,
    "application/yaml": Form.YAML,
    "application/x-yaml": Form.YAML,
    "text/yaml": Form.YAML,
}


def form_of(name: str, content_type: str = "") -> Form | None:
    """Return how a file is written, as its content type or else its name says; ``None`` where neither does."""
    kind = _TYPES.get(content_type.split(";")[0].strip().lower())
    return kind or _ENDINGS.get(name.rsplit(".", 1)[-1].lower() if "." in name else "")


def read(data: bytes, form: Form | None, assumed: Assumed) -> Imported:
    """Return what a document holds; whatever it is, this is a value and never an exception.

    Args:
        form: how it is written; ``None``: nobody knows, which is a fault.
    """
    faults = Faults()
    try:
        if form is None:
            raise Broken("file.form")
        found = _FORMS[form].read(decode(data), assumed, faults)
    except Broken as broken:
        return Imported((), (*faults.found, broken.fault))
    return judge(found, assumed, faults)


def write(entries: Iterable[Entry], form: Form) -> str:
    """Return entries as text; written to a file as UTF-8, `read` takes it."""
    text: str = _FORMS[form].write(entries)
    return text


__all__ = ["MAX_BYTES", "MAX_ENTRIES", "Assumed", "Fault", "Form", "Imported", "form_of", "read", "write"]
