"""Charts as the server draws them: a column for each week, in a drawing of fixed measures that scales with the page.

A drawing says nothing that the table beside it does not say; it is named and described for whoever does not see it.
"""

from collections.abc import Sequence

import msgspec

WIDTH, HEIGHT = 320, 120  # of the drawing's own units
TOP, BOTTOM, GAP = 8, 20, 4


class Column(msgspec.Struct, frozen=True):
    """One week: where its column stands, and what it says. ``known`` is false where there is nothing to say."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    label: str
    said: str
    known: bool


class Chart(msgspec.Struct, frozen=True):
    """A drawing of ``WIDTH`` by ``HEIGHT``. ``line``: the height of its highest mark, which stands for ``top``."""

    key: str
    columns: tuple[Column, ...]
    top: str
    width: int = WIDTH
    height: int = HEIGHT
    line: int = TOP
    ground: int = HEIGHT - BOTTOM


def chart(
    key: str, values: Sequence[float | None], labels: Sequence[str], said: Sequence[str], top: tuple[float, str]
) -> Chart:
    """Return the columns of ``values``.

    Args:
        said: each value in words.
        top: the value at the upper mark, and how it is written.
    """
    step = WIDTH / max(1, len(values))
    whole = HEIGHT - BOTTOM - TOP
    columns = []
    for number, value in enumerate(values):
        height = 0.0 if not value else max(1.0, min(1.0, value / (top[0] or 1.0)) * whole)
        x = number * step + GAP / 2
        columns.append(
            Column(
                round(x, 1),
                round(HEIGHT - BOTTOM - height, 1),
                round(step - GAP, 1),
                round(height, 1),
                round(x + (step - GAP) / 2, 1),
                labels[number],
                said[number],
                value is not None,
            )
        )
    return Chart(key, tuple(columns), top[1])


def rounded_up(value: float) -> int:
    """Return the next round number: 1, 2 or 5 with noughts."""
    ten = 1
    while True:
        for step in (1, 2, 5):
            if step * ten >= value:
                return step * ten
        ten *= 10
