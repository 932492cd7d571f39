"""Pinned figures become a page, a PDF and a zip: all of it is there, the same bytes every time, nothing obeyed as markup; and come back."""

import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import interp
from interp.core.errors import ClaimError, DataError
from interp.figures.description import Bars, HeatMap, Lines, Points, Reference, Series
from interp.figures.figure import Figure
from interp.figures.kept import as_plain, from_plain
from interp.reports.pinned.bundle import as_pdf, as_zip
from interp.reports.pinned.page import MOST_SVG_BYTES, as_html
from interp.reports.pinned.pin import Pin, read_pins, stem

STRANGE = "<script>alert('x')</script> \u05e9\u05dc\u05d5\u05dd & \"q\" $x$"
PYTHON = "import interp\nseen = interp.capture(interp.load(), 'The old man')\nseen.pattern('L0H1')"
HEAT = HeatMap(
    title=STRANGE,
    caption=f"Model tales (weights 12), data 34. {STRANGE}",
    n=3,
    values=np.array([[0.1, np.nan], [0.2, 0.7]]),
    row_labels=["a", STRANGE],
    column_labels=[" b", "<!--FIGURES-->"],
    scale_title="weight",
    units="probability",
    limits=(0.0, 1.0),
    marks=[(0, 1)],
)
BARS = Bars(
    title="Bars", labels=["x", "y"], values=np.array([1.0, -2.0]), low=np.array([0.5, np.nan]), high=np.array([1.5, np.nan]),
    value_title="effect", units="nats", reference=Reference(value=0.5, label="chance"),
)  # fmt: skip
LINES = Lines(title="Lines", x=np.arange(3), series={"one": Series(values=np.array([1.0, np.nan, 3.0]))}, value_title="loss")
POINTS = Points(title="Points", labels=["p", "q"], x=np.array([0.1, 0.2]), y=np.array([1.0, 2.0]), x_title="a", value_title="b", marks=[1])
DRAWN = (HEAT, BARS, LINES, POINTS)
PINS = [
    Pin(name="../../tales L2H3 raw", description=HEAT, python=PYTHON, address="http://127.0.0.1:8501/?head=L2H3&text=a b", caption=STRANGE),
    Pin(name="bars", description=BARS, python="not python (", address="javascript:alert(1)"),
    *(Pin(name=type(one).__name__, description=one, python=PYTHON) for one in (LINES, POINTS)),
]
WHERE = re.compile(r"(?:src|href)=\"(?!#|data:|http://127\.0\.0\.1)|url\(|@import|<script", re.IGNORECASE)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("pinned")
    with zipfile.ZipFile(io.BytesIO(as_zip(PINS, title=STRANGE))) as packed:
        packed.extractall(place)
    return place / "report"


@pytest.mark.parametrize("description", DRAWN, ids=lambda one: one.title[:6])
def test_a_figure_comes_back_from_json_number_for_number(description):
    again = from_plain(json.loads(json.dumps(as_plain(description), allow_nan=False)))
    assert Figure(again).csv() == Figure(description).csv()
    assert Figure(again).content(".svg") == Figure(description).content(".svg")
    assert again.alt == description.alt


@pytest.mark.parametrize("kept", [{}, {"kind": "HeatMap"}, {"kind": "os.system"}, [], {"kind": "Reference", "value": 1.0, "label": "a"}])
def test_what_is_no_figure_is_refused(kept):
    with pytest.raises(DataError, match="kept"):
        from_plain(kept)


def test_the_page_has_all_and_obeys_nothing():
    page = as_html(PINS, title=STRANGE)
    assert page.count("<figure ") == page.count("<img alt=") == len(PINS)
    assert not WHERE.findall(page)
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
    assert 'href="http://127.0.0.1:8501/?head=L2H3&amp;text=a b"' in page
    assert "javascript:" not in page
    assert "n = 3." in page
    assert "seen.pattern(&#x27;L0H1&#x27;)" in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_a_page_of_a_large_map_stays_small():
    large = HeatMap(
        title="t", values=np.random.default_rng(0).random((200, 200)), row_labels=["a"] * 200, column_labels=["b"] * 200, scale_title="w"
    )
    assert len(Figure(large).content(".svg", width="two")) > MOST_SVG_BYTES
    page = as_html([Pin(name="large", description=large, python="")], title="t")
    assert "data:image/png" in page
    assert "data:image/svg" not in page


def test_same_bytes_and_other_pins_other_bytes():
    assert as_zip(PINS, title="t") == as_zip(PINS, title="t")
    assert as_pdf(PINS, title="t") == as_pdf(PINS, title="t")
    assert as_pdf(PINS, title="t") != as_pdf([PINS[0].saying("other"), *PINS[1:]], title="t")
    assert as_html(PINS, title="t") != as_html(PINS[::-1], title="t")


def test_the_pdf_is_a_sheet_for_each_figure_with_embedded_fonts():
    content = as_pdf(PINS, title="t")
    assert content.count(b"/MediaBox [ 0 0 595.27") == len(PINS)
    assert b"/FontFile2" in content  # TrueType, embedded
    assert b"/Type3" not in content


def test_the_zip_has_every_file_and_none_outside_its_folder(unpacked):
    names = [str(path.relative_to(unpacked)) for path in sorted(unpacked.rglob("*")) if path.is_file()]
    assert names[-4:] == ["figures.py", "pins.json", "report.html", "report.pdf"]
    assert len(names) == 4 + 4 * len(PINS)
    assert stem(1, PINS[0]) == "01-tales-L2H3-raw"
    assert (unpacked / "figures" / "02-bars.csv").read_text() == Figure(BARS).csv()
    assert (unpacked / "figures" / "01-tales-L2H3-raw.pdf").read_bytes() == Figure(HEAT).content(".pdf", width="two")


def test_pins_come_back_and_the_command_makes_the_same_report(unpacked, tmp_path):
    title, pins = read_pins(unpacked)
    assert title == STRANGE
    assert as_zip(pins, title=title) == as_zip(PINS, title=STRANGE)
    (tmp_path / "pins.json").write_bytes((unpacked / "pins.json").read_bytes())
    assert interp.report(tmp_path).read_bytes() == (unpacked / "report.html").read_bytes()
    assert (tmp_path / "report.pdf").read_bytes() == (unpacked / "report.pdf").read_bytes()


def test_the_script_makes_the_figures_again(tmp_path):
    with zipfile.ZipFile(io.BytesIO(as_zip(PINS[2:3], title="t"))) as packed:
        packed.extractall(tmp_path)
    names: dict = {}
    exec((tmp_path / "report" / "figures.py").read_text().replace('if __name__ == "__main__"', "if False"), names)
    names["main"](tmp_path / "again")
    pattern = interp.figure(interp.capture(interp.load(), "The old man").pattern("L0H1"))
    assert (tmp_path / "again" / "01-Lines.pdf").read_bytes() == pattern.content(".pdf", width="two")


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "cannot be read"), ("[]", "cannot be read"), ('{"format": 9, "title": "", "pins": []}', "has the format 9; expected 1")],
)
def test_a_broken_file_of_pins_is_told(tmp_path, text, said):
    (tmp_path / "pins.json").write_text(text)
    with pytest.raises(DataError, match=said):
        interp.report(tmp_path)


def test_a_run_becomes_a_page_and_a_pdf(tmp_path):
    model = interp.load("small")
    interp.profile(model, ["The old man looked at the sea.", "She said nothing."], statistics=["entropy", "previous"], out=tmp_path / "run")
    page = interp.report(tmp_path / "run").read_text()
    assert page.count("<figure ") == 2
    assert "small over 2 texts" in page
    assert (tmp_path / "run" / "report.pdf").read_bytes().startswith(b"%PDF")
    assert f"weights {model.fingerprint}" in page
    code = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1].replace("&#x27;", "'")
    names: dict = {}
    lines = code.split("\n")
    exec("\n".join([*lines[:-1], f"found = {lines[-1]}"]), names)
    assert "data:text/csv" in page
    np.testing.assert_array_equal(names["found"].description.values, interp.read(tmp_path / "run" / "profile.nc")["entropy"].values)


def test_a_folder_with_nothing_in_it_is_told(tmp_path):
    with pytest.raises(ClaimError, match="holds no verdict"):
        interp.report(tmp_path)


def test_reports_load_neither_plotly_nor_streamlit():
    """The command line makes a report without a browser's libraries."""
    code = "import sys, interp.reports.pinned.pin; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
