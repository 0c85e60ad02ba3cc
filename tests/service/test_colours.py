"""Whether text can be read on a colour, and the nearest colour on which it can."""

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from server.service.colours import WHITE, colour_of, contrast, lightened, nearest


@pytest.mark.parametrize(
    ("colour", "ratio"), [("#000000", 21.0), ("#ffffff", 1.0), ("#767676", 4.54), ("#ff0000", 4.0)]
)
def test_contrast_is_what_wcag_says(colour: str, ratio: float) -> None:
    assert contrast(colour_of(colour), WHITE) == pytest.approx(ratio, abs=0.01)


@for_all(st.integers(0, 0xFFFFFF))
def test_the_nearest_colour_can_be_read_and_one_that_can_stays(number: int) -> None:
    colour = f"#{number:06x}"
    better = nearest(colour)

    assert contrast(colour_of(better), WHITE) >= 4.5
    if contrast(colour_of(colour), WHITE) >= 4.5:
        assert better == colour


@for_all(st.integers(0, 0xFFFFFF))
def test_lightened_a_colour_can_be_read_on_a_dark_ground_and_one_that_can_stays(number: int) -> None:
    colour, ground = f"#{number:06x}", colour_of("#101b1c")
    better = lightened(colour, ground)

    assert contrast(colour_of(better), ground) >= 4.5
    if contrast(colour_of(colour), ground) >= 4.5:
        assert better == colour
