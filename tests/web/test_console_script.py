"""The console's own script: its size, and that what is served is what its sources build."""

import gzip
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from server.web.pages import STATIC
from server.web.strings import table

SOURCES = Path(__file__).resolve().parents[2] / "server" / "web" / "script"
ESBUILD = SOURCES.parents[2] / "widget" / "node_modules" / "esbuild"
BUDGET = 10_000  # bytes, gzip: what a colleague's browser loads of ours beside htmx and the line


KNOWLEDGE_BUDGET = 1_500  # likewise, on the knowledge pages, which load nothing of the other
BESIDE_BUDGET = 1_500  # what stands beside the console's script: taking back, and keys that a page names


def test_the_script_is_small() -> None:
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in (STATIC / "console").glob("*.js")}

    assert sizes.keys() == {"console.js", "enter.js", "knowledge.js", "beside.js"}
    assert sizes["console.js"] + sizes["enter.js"] < BUDGET
    assert sizes["knowledge.js"] < KNOWLEDGE_BUDGET
    assert sizes["beside.js"] < BESIDE_BUDGET


def test_what_is_served_is_what_the_sources_build() -> None:
    if not shutil.which("node") or not ESBUILD.is_dir():
        pytest.skip("node and the widget's development packages are needed to build the console's script")

    built = subprocess.run(["node", SOURCES / "build.mjs", "--check"], capture_output=True, text=True)

    assert built.returncode == 0, built.stdout + built.stderr


def test_htmx_is_the_version_it_says() -> None:
    folder = STATIC / "vendor" / "htmx"
    said = (folder / "VERSION.txt").read_text()
    script = (folder / "htmx.min.js").read_bytes()

    assert hashlib.sha256(script).hexdigest() in said
    assert re.search(rb'version:"([^"]+)"', script)[1].decode() in said  # type: ignore[index]  # it is there
    assert "Permission to use, copy, modify" in (folder / "LICENSE.txt").read_text()


def test_every_text_the_script_says_travels_with_the_page() -> None:
    from server.web.console import SCRIPT_WORDS

    source = "".join(path.read_text() for path in SOURCES.glob("*.js"))
    said = set(re.findall(r"words\.(\w+)|say\('(\w+)'", source))
    keys = {one or other for one, other in said}

    assert keys <= table("en").keys()
    assert [key for key in sorted(keys) if not SCRIPT_WORDS.fullmatch(key)] == []


def test_no_text_becomes_markup_in_the_script() -> None:
    for path in SOURCES.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(", path.read_text())
