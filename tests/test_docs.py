"""What is written for people agrees with the code."""

import re
from pathlib import Path

from server.command_line import settings_doc

CHECKOUT = Path(__file__).resolve().parents[1]


def test_the_page_of_settings_is_what_the_settings_say() -> None:
    assert settings_doc.PAGE.read_text(encoding="utf-8") == settings_doc.page(), "run `python3 run.py settings-doc`"


def test_every_link_between_pages_leads_to_a_file() -> None:
    lost = [
        f"{page.relative_to(CHECKOUT)} -> {target}"
        for page in [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert lost == []
