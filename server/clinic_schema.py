"""The JSON Schema of `clinic.yaml`, for editors: made of the very structs that read the file, so that it cannot lag.

Python's side says more than a schema can (two sites with one origin, a colour without contrast); this is the part that
an editor can show while somebody types.
"""

import json
from typing import Any

import msgspec

from knowledge_base.clinic import WEEKDAYS
from knowledge_base.clinic import Clinic as Facts
from server.core.allowed import Content, Rule
from server.core.model import Channel
from server.service.clinic import FILE

ABOUT = {
    "name": "What the clinic is called.",
    "country": "Two letters, ISO 3166: says which emergency numbers are given.",
    "timezone": "Such as Europe/Berlin; its clock alone counts.",
    "languages": "Those it has answers in; the first is spoken when nothing else is known.",
    "hours": "Week plans by name; `opening_hours` is the clinic's own.",
    "days": "Lists of weekdays by name, for people who are there on some of them.",
    "closed": "Dates on which nobody is there.",
    "facts": "What answers name in braces: one text, or one for each language.",
    "allowed": "What may go on which channel.",
    "website": "What the chat on the website says, and where it may stand.",
    "floor": "How long staff keep the floor and people wait for them, in minutes.",
    "emergency_numbers": "Whom to call, in place of the numbers that are known for the country.",
}
SPAN = "([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]"


def schema() -> dict[str, Any]:
    """Return the schema."""
    (own, facts), parts = msgspec.json.schema_components((FILE, Facts), ref_template="#/$defs/{name}")
    whole, shared = parts.pop(_name(own)), parts.pop(_name(facts))
    properties = shared["properties"] | whole["properties"]
    plan = {
        "type": "object",
        "properties": {day: {"type": "string", "pattern": f"^{SPAN}(, *{SPAN})*$"} for day in WEEKDAYS},
        "additionalProperties": False,
    }
    properties["country"] = shared["properties"]["country"]
    properties["languages"] = shared["properties"]["languages"]
    properties["emergency_numbers"] = shared["properties"]["emergency_numbers"]
    properties["hours"] = {"type": "object", "additionalProperties": plan}
    properties["days"] = {"type": "object", "additionalProperties": {"type": "array", "items": {"enum": [*WEEKDAYS]}}}
    row = {
        "type": "object",
        "properties": {str(each): {"enum": [str(rule) for rule in Rule]} for each in Channel},
        "additionalProperties": False,
    }
    properties["allowed"] = {
        "type": "object",
        "properties": {str(each): row for each in Content},
        "additionalProperties": False,
    }
    for name, about in ABOUT.items():
        properties[name] = {"description": about, **{k: v for k, v in properties[name].items() if k != "description"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "clinic.yaml",
        "type": "object",
        "properties": properties,
        "required": sorted({*whole["required"], *shared["required"]}),
        "additionalProperties": False,
        "$defs": _plain(parts),
    }


def written() -> str:
    """Return the schema as it stands in docs/clinic.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _name(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[1]


def _plain(parts: dict[str, Any]) -> dict[str, Any]:
    """Return the parts without what only concerns whoever reads our code."""
    return {name: {k: v for k, v in part.items() if k not in ("title", "description")} for name, part in parts.items()}
