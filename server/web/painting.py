"""The clinic's own colour, wherever browsers get something of ours: in the chat's script, and on the page of a mistake.

It is taken from the clinic's file, also when that changes while we run; pages that load from then on have it. The
console keeps its own colours, which say what is urgent.
"""

from server.service.colours import colour_of, lightened
from server.web.files import File, Files, Widget

SHEET = "clinic.css"  # beside the sheets of our pages, and after them
DARK = colour_of("#101b1c")  # the darkest paper of those pages


def paint(brand: str, widget: Widget, static: Files) -> None:
    """Have the chat and our own pages in the clinic's colour, `#rrggbb`; empty: in theirs."""
    widget.paint(brand)
    static.add(SHEET, File.made(_sheet(brand).encode() if brand else b"", ".css"))


def _sheet(brand: str) -> str:
    return (
        f":root {{ --brand: {brand}; }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ --brand: {lightened(brand, DARK)}; }} }}\n"
    )
