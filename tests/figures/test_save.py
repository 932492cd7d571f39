"""A file is whole or not there, and its suffix says what it is."""

from pathlib import Path

import pytest

from interp.core.errors import DataError
from interp.figures import save as saving
from interp.figures.description import Bars, Description
from interp.figures.figure import Figure
from interp.figures.save import SUFFIXES, save

STARTS = {".pdf": b"%PDF-", ".svg": b"<?xml", ".png": b"\x89PNG", ".html": b"<!DOCTYPE html>", ".csv": b""}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_suffix_gives_its_format(tmp_path: Path, bars: Bars, suffix: str) -> None:
    path = save(bars, tmp_path / f"parts{suffix}", width="two")
    assert path.read_bytes().startswith(STARTS[suffix])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert Figure(bars).save(tmp_path / f"again{suffix.upper()}", width="two").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jpg", "suffix '.jpg'; a figure can be saved as .pdf, .svg, .png, .html, .csv"),
        ("a", "suffix ''"),
        ("no/a.pdf", "there is no folder"),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path: Path, bars: Bars, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        save(bars, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(tmp_path: Path, bars: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(saving.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save(bars, path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_csv_in_a_file_is_csv_in_memory(tmp_path: Path, description: Description) -> None:
    figure = Figure(description)
    assert figure.save(tmp_path / "a.csv").read_bytes().decode() == figure.csv()


def test_a_notebook_shows_a_picture_with_its_words(description: Description) -> None:
    shown = Figure(description)._repr_html_()
    assert shown.startswith('<img alt="')
    assert "<script" not in shown
    assert description.title.split(" ")[0] in shown
