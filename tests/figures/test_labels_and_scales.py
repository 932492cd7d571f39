"""Labels are shown literally; scales can be read without colour vision."""

from dataclasses import replace

import numpy as np
import pytest

from interp.figures.labels import MOST_CHARACTERS, escaped, isolated, shown, ticks
from interp.figures.paper_heat import colour_map
from interp.figures.scales import DIVERGING, MISSING, NEGATIVE, POSITIVE, SEQUENTIAL, SERIES, stops
from interp.figures.screen import to_plotly


def _luminance(colour: str) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.1)."""
    channels = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" the", "␣the"), ("  ", "␣␣"), ("", ""), ("a b ", "a b␣"), ("\n", "\\n"), ("\x00", "\\u0000"), ("猫", "猫"), ("<b>", "<b>")],
)
def test_every_character_is_visible(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_long_labels_lose_their_middle() -> None:
    label = shown("start" + "x" * 100 + "end")
    assert len(label) == MOST_CHARACTERS
    assert label.startswith("start")
    assert label.endswith("end")


@pytest.mark.parametrize("count", [1, 63, 64, 65, 128, 512])
def test_no_more_labels_than_can_be_read(count: int) -> None:
    places = ticks(["a"] * count)
    assert len(places) <= 64
    assert places == list(range(count)) or count > 64


def test_nothing_that_plotly_obeys_is_left() -> None:
    assert not set("<>$") & set(escaped("<b>$x$</b>&nbsp;"))
    assert "&amp;nbsp;" in escaped("&nbsp;")


@pytest.mark.parametrize("text", ["שלום", " שלום.", "ש 1/2", "سلام", "the שלום"])
def test_what_runs_from_right_to_left_is_kept_to_itself(text: str) -> None:
    assert isolated(text) == f"\u2068{text}\u2069"


@pytest.mark.parametrize("text", ["the", " 1969", "( ) !", "河岸", "", "é"])
def test_what_runs_from_left_to_right_is_as_it_was(text: str) -> None:
    assert isolated(text) == text


def test_labels_beside_an_axis_are_kept_to_themselves(heat) -> None:
    mixed = replace(heat, row_labels=[" ים.", *heat.row_labels[1:]])
    written = to_plotly(mixed).layout.yaxis.ticktext
    assert written[0] == "\u2068␣ים.\u2069"
    assert written[1:] == to_plotly(heat).layout.yaxis.ticktext[1:]


def test_the_sequential_scale_grows_darker_all_the_way() -> None:
    assert (np.diff([_luminance(colour) for colour in SEQUENTIAL]) < 0).all()


def test_the_diverging_scale_is_lightest_at_zero() -> None:
    light = np.array([_luminance(colour) for colour in DIVERGING])
    assert light.argmax() == len(DIVERGING) // 2
    assert (np.diff(light[: len(light) // 2 + 1]) > 0).all()
    assert (np.diff(light[len(light) // 2 :]) < 0).all()


@pytest.mark.parametrize("colour", [POSITIVE, NEGATIVE, *SERIES])
def test_bars_and_lines_stand_out_on_white_and_on_dark(colour: str) -> None:
    contrast = [
        (max(pair) + 0.05) / (min(pair) + 0.05) for pair in ((_luminance(colour), 1.0), (_luminance(colour), _luminance("#0e1117")))
    ]
    assert min(contrast) > 2


def test_missing_is_no_colour_of_a_scale() -> None:
    assert MISSING not in (*SEQUENTIAL, *DIVERGING)


@pytest.mark.parametrize("diverging", [True, False])
def test_both_renderers_have_the_same_colours(diverging: bool, heat) -> None:
    for place, colour in stops(diverging=diverging):
        drawn = np.array(colour_map(diverging=diverging)(place)[:3]) * 255
        # 2 of 255: matplotlib's table has 1024 entries, and a stop lies between two of them
        np.testing.assert_allclose(drawn, [int(colour[at : at + 2], 16) for at in (1, 3, 5)], atol=2)
    assert to_plotly(heat).data[0].colorscale == tuple(stops(diverging=True))
