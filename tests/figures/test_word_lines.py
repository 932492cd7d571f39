"""Lines between words: which are drawn, how strong, on screen and paper, and that the numbers are those of the matrix."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import interp
from interp.core.errors import DataError
from interp.figures.description import MOST_WORDS, WordLines
from interp.figures.figure import Figure
from interp.figures.from_results import attention_pattern
from interp.figures.kept import as_plain, from_plain

VALUES = np.array([[1.0, 0.0, np.nan], [-0.5, 0.004, 0.25]])


def lines(values=VALUES, **more):
    rows, columns = np.shape(values)
    labels = {"row_labels": [f"q{at}" for at in range(rows)], "column_labels": [f"k{at}" for at in range(columns)]}
    return WordLines(title="Head", values=values, scale_title="weight", diverging=True, **labels, **more)


def test_a_line_for_each_number_that_can_be_seen_the_strongest_last():
    assert lines().lines() == [(1, 2, 0.25), (1, 0, -0.5), (0, 0, 1.0)]
    assert lines(limits=(-2, 2)).lines()[-1] == (0, 0, 0.5)
    assert lines().alt.startswith(
        "Head. Lines between words for weight, 2 rows (row) by 3 columns (column): from -0.5 (q1, k0) to 1 (q0, k0)"
    )


def test_on_paper_wider_and_stronger_with_the_number_and_in_two_colours():
    drawn = ET.fromstring(Figure(lines()).svg())
    styles = [one.get("style", "") for one in drawn.iter("{http://www.w3.org/2000/svg}path")]
    paths = [style for style in styles if re.search("stroke: (#8073ac|#e08214)", style)]
    widths = [float(found[1]) if (found := re.search(r"stroke-width: ([\d.]+)", style)) else 1.0 for style in paths]  # 1 is not written
    assert len(widths) == 3
    assert widths == sorted(widths)
    assert ["#e08214" in style for style in paths] == [False, True, False]


def test_on_the_screen_words_stand_on_both_sides_as_text():
    drawn = Figure(lines()).plotly()
    assert list(drawn.layout.yaxis.ticktext) == ["q0", "q1"]
    assert list(drawn.layout.yaxis2.ticktext) == ["k0", "k1", "k2"]
    ends = [(trace.y[0], trace.y[1], trace.line.width) for trace in drawn.data[:-1]]
    assert [end[:2] for end in ends] == [(1, 2), (1, 0), (0, 0)]
    assert [end[2] for end in ends] == sorted(end[2] for end in ends)
    with pytest.raises(DataError, match="only a HeatMap has cells to click"):
        Figure(lines()).plotly(clickable=True)


def test_of_a_head_the_numbers_are_those_of_its_matrix(tmp_path):
    pattern = interp.capture(interp.load(), "The old man looked at the sea").pattern("L0H7")
    figure = interp.word_lines(pattern)
    assert figure.csv() == Figure(attention_pattern(pattern)).csv()
    assert figure.description.full == 1.0
    assert interp.figure(figure) is figure
    again = from_plain(as_plain(figure.description))
    assert isinstance(again, WordLines)
    assert again.lines() == figure.description.lines()
    assert figure.save(tmp_path / "lines.pdf").read_bytes().startswith(b"%PDF")


def test_more_words_than_a_page_holds_are_refused_and_as_many_fit():
    with pytest.raises(DataError, match=rf"lines between {MOST_WORDS + 1} words came; expected {MOST_WORDS} or fewer"):
        lines(np.zeros((2, MOST_WORDS + 1)))
    height_mm = float(re.search(r'height="([\d.]+)pt"', Figure(lines(np.ones((MOST_WORDS, 3)))).svg())[1]) * 25.4 / 72
    assert height_mm < 230
