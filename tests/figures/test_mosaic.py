"""Many matrices as one picture: the picture's bytes, the CSV and the printed cells are the values."""

import base64
import csv
import io
import struct
import zlib

import numpy as np
import pytest

from interp.core.errors import DataError
from interp.figures.description import Mosaic
from interp.figures.paper import to_bytes
from interp.figures.paper_mosaic import as_one
from interp.figures.picture import picture
from interp.figures.scales import SEQUENTIAL
from interp.figures.screen import to_plotly
from interp.figures.table import to_csv


@pytest.fixture
def mosaic() -> Mosaic:
    values = np.random.default_rng(0).uniform(size=(2, 3, 4, 5)).astype(np.float32)
    values[0, 0, 0, 0], values[1, 2, 3, 4], values[1, 1, 0, 0] = 0, 1, np.nan
    names = [[f"L{row}H{column}" for column in range(3)] for row in range(2)]
    about = {"title": "<b>Heads</b>", "scale_title": "weight", "units": "probability", "limits": (0, 1), "marks": [(1, 2)]}
    return Mosaic(values=values, row_labels=["0", "1"], column_labels=["0", "1", "2"], names=names, **about)


def pixels(uri: str) -> tuple[np.ndarray, np.ndarray]:
    """Places in the palette, and the palette, read out of the file by hand."""
    png = base64.b64decode(uri.partition(",")[2])
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        content = png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + content)
        chunks[kind] = content
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    return rows[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)


def test_each_cell_has_its_shade(mosaic):
    places, palette = pixels(picture(mosaic))
    rows, columns, inner_rows, inner_columns = mosaic.values.shape
    height, width = places.shape[0] // rows, places.shape[1] // columns
    scale = -(-96 // max(inner_rows, inner_columns))
    gap = (height - scale * inner_rows) // 2
    for (row, column, r, c), value in np.ndenumerate(mosaic.values):
        place = places[row * height + gap + r * scale + scale // 2, column * width + gap + c * scale + scale // 2]
        assert place == (254 if np.isnan(value) else round(float(value) * 253))
    assert tuple(palette[0]) == tuple(int(SEQUENTIAL[0][at : at + 2], 16) for at in (1, 3, 5))
    assert tuple(palette[253]) == tuple(int(SEQUENTIAL[-1][at : at + 2], 16) for at in (1, 3, 5))
    assert places[0, 0] == 255  # clear between the matrices


def test_the_csv_is_what_is_drawn_and_so_is_the_paper(mosaic):
    rows = list(csv.DictReader(io.StringIO(to_csv(mosaic))))
    read = np.array([float(row["weight [probability]"] or "nan") for row in rows], np.float32).reshape(mosaic.values.shape)
    np.testing.assert_array_equal(read, mosaic.values)
    assert rows[-1]["name"] == "L1H2"
    whole = as_one(mosaic)
    np.testing.assert_array_equal(whole.values[5:9, 12:17], mosaic.values[1, 2])
    assert np.isnan(whole.values[4]).all()
    assert [label for label in whole.column_labels if label] == ["0", "1", "2"]
    assert to_bytes(mosaic, "pdf") == to_bytes(mosaic, "pdf")


def test_on_screen_each_matrix_tells_its_name_and_markup_is_text(mosaic):
    drawn = to_plotly(mosaic)
    assert list(drawn.data[0].text)[5].startswith("L1H2")
    assert drawn.layout.title.text == "&lt;b&gt;Heads&lt;/b&gt;"
    assert "the largest value is 1 (L1H2)" in mosaic.alt


def test_what_does_not_fit_is_refused(mosaic):
    about = {"title": "t", "scale_title": "w", "limits": (0, 1), "row_labels": ["0"], "column_labels": ["0"]}
    with pytest.raises(DataError, match="expected 1 rows of 1"):
        Mosaic(values=np.zeros((1, 1, 2, 2)), names=[["a", "b"]], **about)
    with pytest.raises(DataError, match="leave the limits"):
        Mosaic(values=np.full((1, 1, 2, 2), 2.0), names=[["a"]], **about)
    with pytest.raises(DataError, match="marks"):
        Mosaic(values=np.zeros((1, 1, 2, 2)), names=[["a"]], marks=[(1, 0)], **about)
