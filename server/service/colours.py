"""Whether two colours can be read on each other, and the nearest one that can, by WCAG 2's measure of contrast."""

Colour = tuple[int, int, int]  # red, green and blue, 0 to 255

WHITE: Colour = (255, 255, 255)


def colour_of(text: str) -> Colour:
    """Return the colour that `#rrggbb` is."""
    number = int(text.removeprefix("#"), 16)
    return number >> 16 & 255, number >> 8 & 255, number & 255


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours, 1 to 21.

    Source: w3.org/TR/WCAG22/#dfn-contrast-ratio
    """
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def nearest(text: str, on: Colour = WHITE, enough: float = 4.5) -> str:
    """Return the colour of the same hue that is least darkened to be read on a light ground, as `#rrggbb`."""
    red, green, blue = colour_of(text)
    for left in range(1000, -1, -1):
        found = (red * left // 1000, green * left // 1000, blue * left // 1000)
        if contrast(found, on) >= enough:
            return "#{:02x}{:02x}{:02x}".format(*found)
    return "#000000"


def lightened(text: str, on: Colour, enough: float = 4.5) -> str:
    """Return the colour with the least white in it that can be read on a dark ground, as `#rrggbb`."""
    parts = colour_of(text)
    for white in range(1001):
        red, green, blue = (part + (255 - part) * white // 1000 for part in parts)
        if contrast((red, green, blue), on) >= enough:
            return f"#{red:02x}{green:02x}{blue:02x}"
    return "#ffffff"


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
