"""Which characters can be printed here? DejaVu Sans, which comes with matplotlib, and the fonts for Asian scripts that are installed.

A character that none of them has is printed as □: a figure never fails for a token, and never leaves one out silently. Only
TrueType outlines are taken, the kind that a PDF embeds whole (type 42); a font with PostScript outlines (most "Noto CJK") is
passed over.
"""

from functools import cache

from fontTools.ttLib import TTFont
from fontTools.ttLib.ttFont import TTLibError
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

FIRST = "DejaVu Sans"
FALLBACKS = (
    "Noto Sans SC",
    "Noto Sans JP",
    "Noto Sans KR",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "SimHei",
    "MS Gothic",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Liberation Sans",
)
BOX = "□"


@cache
def families() -> tuple[str, ...]:
    """Font families to print with, in the order in which a character is looked for."""
    installed = set(fontManager.get_font_names())
    return (FIRST, *(family for family in FALLBACKS if family in installed and _truetype(family)))


def printable(text: str, weight: str = "normal") -> str:
    """The text with a box in place of each character that no font here has.

    Example:
        >>> printable("a\\U0001f9ff")
        'a□'
    """
    known = _characters(weight)
    return "".join(character if ord(character) in known else BOX for character in text)


@cache
def _characters(weight: str) -> frozenset[int]:
    paths = [findfont(FontProperties(family=family, weight=weight)) for family in families()]
    return frozenset(code for path in paths for code in get_font(path).get_charmap())


def _truetype(family: str) -> bool:
    try:
        with TTFont(findfont(FontProperties(family=family)), fontNumber=0, lazy=True) as font:
            return "glyf" in font
    except (OSError, TTLibError):
        return False
