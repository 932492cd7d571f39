"""Pins as a zip: the page, the PDF, every figure's files at two columns' width, a script with the Python of each, and the pins themselves.

The bytes are the same for the same pins: entries stand in a fixed order, with one date.
"""

import io
import zipfile
from collections.abc import Iterator, Sequence

from interp.figures.figure import Figure
from interp.reports.pinned.page import as_html
from interp.reports.pinned.pin import FILE, Pin, stem, to_json
from interp.reports.pinned.script import as_python

SUFFIXES = (".pdf", ".svg", ".png", ".csv")
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold


def as_pdf(pins: Sequence[Pin], *, title: str) -> bytes:
    """One PDF, a sheet for each pin: vectors, embedded fonts."""
    from interp.figures.sheets import Sheet, to_pdf  # matplotlib, half a second

    sheets = [
        Sheet(description=pin.description, heading=f"Figure {at}", caption=pin.caption or pin.description.title, python=pin.python)
        for at, pin in enumerate(pins, 1)
    ]
    return to_pdf(sheets, title=title)


def as_zip(pins: Sequence[Pin], *, title: str) -> bytes:
    """All of it as one file, a folder `report` in it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for name, data in _files(pins, title):
            entry = zipfile.ZipInfo(f"report/{name}", _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, data)
    return content.getvalue()


def _files(pins: Sequence[Pin], title: str) -> Iterator[tuple[str, bytes]]:
    yield "report.html", as_html(pins, title=title).encode()
    yield "report.pdf", as_pdf(pins, title=title)
    yield "figures.py", as_python(pins).encode()
    yield FILE, to_json(pins, title=title).encode()
    for at, pin in enumerate(pins, 1):
        for suffix in SUFFIXES:
            yield f"figures/{stem(at, pin)}{suffix}", Figure(pin.description).content(suffix, width="two")
