"""Which colours, which type, which widths? One answer for screen and print.

Both colour scales can be read with any common colour blindness: the sequential one grows darker all the way, the diverging one
(ColorBrewer PuOr) goes from orange through near-white to purple and is always centred on 0. Renderers mix straight between the
stops, in sRGB, so that screen and print agree.
"""

from typing import Literal

Width = Literal["one", "two"]

SEQUENTIAL = ("#fbf8e3", "#e9efc3", "#cbe3b8", "#9fd1b9", "#6fbbbf", "#459fc1", "#2f7fb6", "#2a5ea2", "#263f83", "#1b2459")
DIVERGING = ("#7f3b08", "#b35806", "#e08214", "#fdb863", "#fee0b6", "#f7f7f7", "#d8daeb", "#b2abd2", "#8073ac", "#542788", "#2d004b")
MISSING = "#bdbdbd"  # a cell without a number: a grey that neither scale holds

POSITIVE, NEGATIVE = "#8073ac", "#e08214"  # bars: the diverging scale's sides, at a lightness that both light and dark paper bear
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe and Ito (2008), less black and yellow
DASHES = ("solid", "dashed", "dotted", "dashdot")  # a second sign beside the colour
RULE = "#808080"  # grid and reference lines: seen on white and on black

WIDTH_MM: dict[Width, float] = {"one": 89.0, "two": 183.0}
MOST_HEIGHT_MM = 230.0

TITLE_PT, TEXT_PT, CAPTION_PT, LEAST_PT = 8.5, 7.0, 6.0, 5.0
TITLE_PX, TEXT_PX, LEAST_PX = 16, 13, 10


def stops(*, diverging: bool) -> list[tuple[float, str]]:
    """(place from 0 to 1, colour) of the scale's stops, evenly apart.

    Example:
        >>> stops(diverging=True)[5]
        (0.5, '#f7f7f7')
    """
    colours = DIVERGING if diverging else SEQUENTIAL
    return [(at / (len(colours) - 1), colour) for at, colour in enumerate(colours)]


def translucent(colour: str, alpha: float) -> str:
    """A colour as CSS with transparency.

    Example:
        >>> translucent("#0072b2", 0.2)
        'rgba(0, 114, 178, 0.2)'
    """
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {alpha})"
