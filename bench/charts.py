"""Bar charts as SVG: readable on light and dark pages, by people who see colours and those who do not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, LABEL, FIGURE, ROW, BAR, TOP = 760, 250, 110, 34, 20, 64  # pixels
STYLE = """
    text { font: 14px system-ui, sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .note { font-size: 12px; fill: #59636e }
    .ours { font-weight: 600 }
    rect { fill: #9aa4af }
    rect.ours { fill: #0b7a75 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .note { fill: #9198a1 }
      rect { fill: #656c76 }
      rect.ours { fill: #3fb8ae }
    }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: how long it is, and what stands at its end."""

    label: str
    value: float
    figure: str
    ours: bool = False


def chart(title: str, note: str, bars: Sequence[Bar]) -> str:
    """Return a chart of horizontal bars, the longest as wide as there is room."""
    most = max((bar.value for bar in bars), default=0.0) or 1.0
    room, height = WIDTH - LABEL - FIGURE, TOP + ROW * len(bars) + 8
    said = "; ".join(f"{bar.label}: {bar.figure}" for bar in bars)
    box = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-labelledby="title desc">',
        f'  <title id="title">{escape(title)}</title>',
        f'  <desc id="desc">{escape(said)}</desc>',
        f"  <style>{STYLE}  </style>",
        f'  <text class="title" x="0" y="20">{escape(title)}</text>',
        f'  <text class="note" x="0" y="42">{escape(note)}</text>',
    ]
    for number, bar in enumerate(bars):
        lines += _bar(bar, TOP + ROW * number, max(1.0, bar.value / most * room))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(bar: Bar, top: int, width: float) -> list[str]:
    ours = ' class="ours"' if bar.ours else ""
    base = top + 15
    return [
        f'  <text{ours} x="{LABEL - 10}" y="{base}" text-anchor="end">{escape(bar.label)}</text>',
        f'  <rect{ours} x="{LABEL}" y="{top}" width="{width:.1f}" height="{BAR}" rx="2"/>',
        f'  <text{ours} x="{LABEL + width + 8:.1f}" y="{base}">{escape(bar.figure)}</text>',
    ]


def write(folder: Path, name: str, title: str, note: str, bars: Sequence[Bar]) -> None:
    """Write a chart into a folder, as ``bench-NAME.svg``."""
    (folder / f"bench-{name}.svg").write_text(chart(title, note, bars), encoding="utf-8")
