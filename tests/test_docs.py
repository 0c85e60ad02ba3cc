"""What is written for people agrees with the code."""

import re
from pathlib import Path

from server.command_line import settings_doc

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")]
ROOTS = (CHECKOUT, CHECKOUT / "server", CHECKOUT / "widget", CHECKOUT / "knowledge_base", CHECKOUT / "server" / "web")
EMBEDDING = (CHECKOUT / "docs" / "embed.md").read_text(encoding="utf-8")


def name(page: Path) -> str:
    return page.relative_to(CHECKOUT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get where it is shown."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(section: str) -> set[str]:
    """The first cells of the table in a section of the page on embedding, where they are code."""
    text = EMBEDDING.split(f"## {section}\n")[1].split("\n## ")[0]
    cells = re.findall(r"(?m)^\| (`[^|]+) \|", text)
    return {code for cell in cells for code in re.findall(r"`([^`]+)`", cell)}


def source(path: str) -> str:
    return (CHECKOUT / "widget" / "src" / path).read_text(encoding="utf-8")


def test_the_page_of_settings_is_what_the_settings_say() -> None:
    assert settings_doc.PAGE.read_text(encoding="utf-8") == settings_doc.page(), "run `python3 run.py settings-doc`"


def test_every_link_between_pages_leads_to_a_file_and_a_heading() -> None:
    links = [
        (page, *target.partition("#")[::2])
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)", page.read_text(encoding="utf-8"))
    ]
    lost = [
        f"{name(page)} -> {path}#{anchor}"
        for page, path, anchor in links
        if not (there := page.parent / path if path else page).exists() or (anchor and anchor not in anchors(there))
    ]

    assert len(links) > len(PAGES)
    assert lost == []


def test_every_decision_has_its_line_in_the_list() -> None:
    decisions = CHECKOUT / "docs" / "decisions"
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (decisions / "README.md").read_text(encoding="utf-8"))

    assert sorted([*listed, "README.md"]) == sorted(page.name for page in decisions.glob("*.md"))


def test_every_file_that_a_page_names_is_there() -> None:
    named = [
        (page, path)
        for page in PAGES
        for path in re.findall(
            r"`([\w.-]+/[\w./-]+\.(?:py|js|mjs|json|md|html|yaml))`", page.read_text(encoding="utf-8")
        )
    ]

    assert named != []
    assert [f"{name(page)}: {path}" for page, path in named if not any((root / path).exists() for root in ROOTS)] == []


def test_every_folder_of_the_map_is_there() -> None:
    tree = (
        (CHECKOUT / "README.md").read_text(encoding="utf-8").split("## Where things are\n\n```\n")[1].split("\n```")[0]
    )
    drawn, folder = [], CHECKOUT
    for line in tree.splitlines():
        entry = line.split()[0]
        folder = folder if line.startswith(" ") else CHECKOUT
        drawn.append(folder / entry)
        folder = CHECKOUT / entry if not line.startswith(" ") and entry.endswith("/") else folder

    assert [path for path in drawn if not path.exists()] == []


def test_the_page_on_embedding_has_what_the_widget_takes() -> None:
    element, styles = source("element.js"), source("styles.css")
    head = styles.split("*/")[0]
    attributes = re.findall(r"'([a-z]+)'", re.findall(r"observedAttributes = \[(.+?)\]", element)[0])
    events = re.findall(r"(?:tell|change)\('([a-z]+)'", element)
    methods = re.findall(r"`([a-z]+)\(", element.split("Methods: ")[1].split("*/")[0])

    assert rows("Attributes") == {*attributes, "position"}
    assert rows("Colours and measures") == set(re.findall(r"(?m)(--[a-z]+) ", head))
    assert {cell.split("(")[0] for cell in rows("From your own script")} == {*events, *methods}


def test_the_page_on_embedding_has_the_widgets_colours() -> None:
    light, dark = (
        dict(re.findall(r"(--[a-z]+): (#[0-9a-f]+);", block))
        for block in re.findall(r"(?m)^:host(?:\(\[theme='dark'\]\))? \{(.*?)^\}", source("styles.css"), re.DOTALL)
    )
    told = re.findall(r"(?m)^\| `(--[a-z]+)` \|[^|]+\| `(#[0-9a-f]+)` \| `?([^`|]+?)`? \|$", EMBEDDING)

    assert {property: value for property, value, _ in told} == light
    assert {property: value for property, _, value in told if property != "--brand"} == dark
