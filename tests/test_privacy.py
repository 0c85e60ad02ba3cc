"""What the page on privacy says is kept agrees with what is kept: a collection that it does not name fails here."""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from server.settings import Settings
from server.store import documents, mongo, mongo_blobs, records, sqlite

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = (CHECKOUT / "docs" / "privacy.md").read_text(encoding="utf-8")
_BLANK = re.compile(r"[a-z-]+:\{\}")  # `gaps:{}`: one collection for each week, or each colleague
NAMED = frozenset(re.findall(r"`([^`\s]+)`", PAGE))


def modules() -> Iterator[tuple[ModuleType, ast.Module]]:
    """All that is ours and could keep small things."""
    for folder in ("server", "channels"):
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if re.search(r"store\.(put|listing|get|drop)\(", source):
                name = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
                yield importlib.import_module(name.removesuffix(".__init__")), ast.parse(source)


def collection(given: ast.expr, module: ModuleType) -> str | None:
    """The name of a collection as a call gives it, if that can be told; `drafts:{}` is `drafts`."""
    match given:
        case ast.Constant(value=str(name)):
            return name
        case ast.Name(id=name):
            found = getattr(module, name, None)
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            found = getattr(getattr(module, owner, None), name, None)
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            return collection(value, module)
        case _:
            return None
    return found if isinstance(found, str) else None


def kept() -> set[str]:
    """Every collection of small things that some call on a store names, or that has a name with a blank in it."""
    found = set()
    for module, tree in modules():
        found |= {name for name in vars(module).values() if isinstance(name, str) and _BLANK.fullmatch(name)}
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=owner, attr=("put" | "listing" | "get" | "drop"))) if node.args:
                    if ast.unparse(owner).endswith("store") and (name := collection(node.args[0], module)):
                        found.add(name)
                case _:
                    pass
    return {name.partition(":{")[0] for name in found}


def test_every_collection_of_small_things_is_on_the_page() -> None:
    found = kept() | {*documents.NOBODYS}

    assert {"drafts", "note-drafts", "held", "gaps", "files", "letters", "here"} <= found, "the search finds them"
    assert sorted(found - NAMED) == []


def test_every_table_of_sqlite_and_every_collection_of_mongodb_is_on_the_page() -> None:
    tables = set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", sqlite.SCHEMA))
    source = Path(str(mongo.__file__)).read_text(encoding="utf-8")
    collections = set(re.findall(r'_(?:all|one|update|delete|insert|pipeline)\(\s*"(\w+)"', source))
    collections |= set(re.findall(r'"(?:insert|delete|update|aggregate)": "(\w+)"', source))

    assert {"events", "words"} <= tables
    assert {"events", "words"} <= collections
    assert sorted((tables | collections | {mongo_blobs.BUCKET, *map(str, records.Section)}) - NAMED) == []


@pytest.mark.parametrize("setting", ["keep_days", "keep_calls_days", "keep_files_days", "gap_days", "visitor_days"])
def test_how_long_is_said_by_the_setting_that_decides(setting: str) -> None:
    default = getattr(Settings(), setting)

    assert f"| `ONETHREAD_{setting.upper()}` | {default} days |" in PAGE


def test_every_service_that_words_can_go_to_is_on_the_page() -> None:
    outside = {field.name for field in fields(Settings) if field.name.endswith("_url")} - {"public_url"}

    assert {"transcribe_url", "embeddings_url", "model_url", "redis_url"} <= outside
    assert [name for name in sorted(outside) if f"ONETHREAD_{name.upper()}" not in PAGE] == []
