"""Print: exact widths, embedded fonts, vector cells, literal text, the same bytes every time."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import Normalize, to_hex

from interp.figures import glyphs
from interp.figures.description import Bars, Description, HeatMap
from interp.figures.page import fitted, text_mm, wrapped
from interp.figures.paper import PNG_DPI, printing, to_bytes
from interp.figures.paper_heat import colour_map, draw_heat_map
from interp.figures.scales import WIDTH_MM

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("form", ["pdf", "svg", "png"])
def test_same_bytes_twice(description: Description, form) -> None:
    assert to_bytes(description, form) == to_bytes(description, form)


def test_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib, numpy as np; from interp.figures.description import Bars; from interp.figures.paper import to_bytes\n"
        "bars = Bars(title='t', labels=['a'], values=np.array([1.0]), value_title='v')\n"
        "print(*(hashlib.sha256(to_bytes(bars, form)).hexdigest() for form in ('pdf', 'svg', 'png')))"
    )
    seeds = ({**os.environ, "PYTHONHASHSEED": seed, "TZ": zone} for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo")))
    runs = [subprocess.Popen([sys.executable, "-c", code], env=seed, stdout=subprocess.PIPE, text=True) for seed in seeds]
    first, second = (run.communicate()[0] for run in runs)
    assert len(first.split()) == 3
    assert first == second


@pytest.mark.parametrize("width", ["one", "two"])
def test_the_page_is_as_wide_as_a_column(description: Description, width) -> None:
    box = re.search(rb"/MediaBox \[ ?([\d. ]+)\]", to_bytes(description, "pdf", width=width))
    assert box is not None
    # 0.01 mm: the file holds points with few decimals
    assert float(box[1].split()[2]) * 25.4 / 72 == pytest.approx(WIDTH_MM[width], abs=0.01)


def test_fonts_are_embedded_and_no_date_is_written(description: Description) -> None:
    pdf = to_bytes(description, "pdf")
    fonts, files = pdf.count(b"/Type /FontDescriptor"), pdf.count(b"/FontFile2")
    assert fonts == files > 0
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


def test_letters_of_an_svg_are_outlines_or_on_request_text(description: Description) -> None:
    """As text they are all there in words, none is read as markup, and no glyph is drawn."""
    outlines, text = (ET.fromstring(to_bytes(description, "svg", letters=letters)) for letters in ("outlines", "text"))
    assert not list(outlines.iter(f"{SVG}text"))
    words = [one.text for one in text.iter(f"{SVG}text")]
    assert any(word and word in description.title for word in words)
    assert not [path for path in text.iter(f"{SVG}path") if path.get("id", "").startswith("DejaVu")]


def test_cells_are_vectors_in_the_colours_of_the_scale(heat: HeatMap) -> None:
    assert b"/Subtype /Image" not in to_bytes(heat, "pdf")
    root = ET.fromstring(to_bytes(heat, "svg"))
    assert not list(root.iter(f"{SVG}image"))
    mesh = next(group for group in root.iter(f"{SVG}g") if group.get("id") == "QuadMesh_1")
    fills = [re.search("fill: (#[0-9a-f]{6})", path.get("style", ""))[1] for path in mesh.iter(f"{SVG}path")]  # type: ignore[index]
    shades = colour_map(diverging=True)(Normalize(*heat.scale)(np.ma.masked_invalid(heat.values)))
    assert fills == [to_hex(shade) for shade in shades.reshape(-1, 4)]


def test_only_a_very_large_map_has_its_cells_as_a_bitmap(heat: HeatMap) -> None:
    many = [str(at) for at in range(300)]
    large = HeatMap(title="t", values=np.zeros((300, 300)), row_labels=many, column_labels=many, scale_title="w")
    assert draw_heat_map(large, 89.0).figure.axes[0].collections[0].get_rasterized()
    assert not draw_heat_map(heat, 89.0).figure.axes[0].collections[0].get_rasterized()


@pytest.mark.parametrize("count", [1, 14, 64, 200])
@pytest.mark.parametrize("width", [89.0, 183.0])
def test_labels_do_not_overlap_and_stay_on_the_page(count: int, width: float) -> None:
    labels = [f" token number {at}" for at in range(count)]
    heat = HeatMap(title="t " * 80, values=np.eye(count), row_labels=labels, column_labels=labels, scale_title="a long quantity " * 6)
    with printing():
        figure = draw_heat_map(heat, width).figure
        figure.set_dpi(PNG_DPI)
        figure.draw_without_rendering()
        axes = figure.axes[0]
        for texts, low, high in ((axes.get_xticklabels(), "x0", "x1"), (axes.get_yticklabels()[::-1], "y0", "y1")):
            boxes = [text.get_window_extent() for text in texts]
            # half a pixel: boxes are whole pixels wide
            assert all(getattr(left, high) <= getattr(right, low) + 0.5 for left, right in pairwise(boxes))
        for text in [*figure.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]:
            box = text.get_window_extent()
            assert min(box.x0, box.y0, figure.bbox.width - box.x1, figure.bbox.height - box.y1) >= 0, text.get_text()


def test_text_is_not_read_as_a_formula(heat: HeatMap) -> None:
    broken = Bars(title=r"$\nonsense{$", labels=[r"$\frac$"], values=np.array([1.0]), value_title="v_$x$")
    assert to_bytes(broken, "svg")


@pytest.mark.parametrize("text", ["\U0001f9ff", "\U00013000", "\ue000"])
def test_a_character_without_a_font_is_a_box_and_the_figure_says_so(text: str) -> None:
    assert glyphs.printable(f"a{text}b") == "a□b"
    bars = Bars(title="t", labels=[text], values=np.array([1.0]), value_title="v")
    assert b"%PDF" in to_bytes(bars, "pdf")


def test_long_text_is_broken_to_fit() -> None:
    lines = wrapped("a caption of several words " * 6 + "x" * 200, 6.0, 50.0)
    assert len(lines) > 2
    assert max(text_mm(line, 6.0) for line in lines) <= 50.0
    assert fitted("short", 7.0, 50.0) == "short"


def test_settings_are_left_as_they_were_by_threads_too(description: Description) -> None:
    before = dict(mpl.rcParams)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: to_bytes(description, "svg"), range(4)))
    assert len(set(drawn)) == 1
    assert dict(mpl.rcParams) == before


def test_the_readers_own_settings_do_not_change_the_figure(description: Description) -> None:
    plain = to_bytes(description, "svg")
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.bbox": "tight"}):
        assert to_bytes(description, "svg") == plain


def test_pyplot_is_never_loaded_and_the_package_loads_no_renderer() -> None:
    code = "import sys, interp.figures; print(*(name in sys.modules for name in ('matplotlib', 'plotly', 'xarray')))"
    drawn = "import sys, interp.figures.figure; print('matplotlib.pyplot' in sys.modules)"
    for source, expected in ((code, "False False False"), (drawn, "False")):
        run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
        assert run.stdout.strip() == expected
