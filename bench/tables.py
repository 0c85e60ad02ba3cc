"""Tables as Markdown has them."""

from collections.abc import Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with these columns; the first is left, figures are right."""
    rule = ["---", *("---:" for _ in columns[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rule, *rows))


def times(value: float, base: float) -> str:
    """Return ``value`` as a multiple of ``base``; a dash when there is nothing to compare with."""
    return f"{value / base:.2f}" if base > 0 else "–"


def micro(seconds: float) -> str:
    """Return seconds as microseconds."""
    return f"{seconds * 1e6:.0f} µs"


def milli(seconds: float) -> str:
    """Return seconds as milliseconds."""
    return f"{seconds * 1000:.2f} ms"
