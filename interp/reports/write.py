"""A folder becomes a report: verdicts a page, tables and numbers; a corpus run, or figures that were pinned, a page and a PDF."""

from collections.abc import Callable, Sequence
from pathlib import Path

from interp.core.files import write_whole, write_whole_bytes
from interp.reports.collected import Row, collect
from interp.reports.html import as_html
from interp.reports.pinned import bundle, of_run, page
from interp.reports.pinned.pin import FILE, Pin, read_pins
from interp.reports.tables import as_csv, as_json, as_markdown

KINDS: dict[str, Callable[[Sequence[Row]], str]] = {".html": as_html, ".md": as_markdown, ".csv": as_csv, ".json": as_json}
RUN = "profile.nc"


def report(folder: str | Path) -> Path:
    """Write a report into a folder, and say where its page is. What is in the folder decides which:

    - verdicts (`interp judge --out`): `report.html`, `.md`, `.csv`, `.json`.
    - a corpus run (`interp profile --out`): `report.html` and `.pdf`, a map of each statistic of heads and experts.
    - pinned figures (the zip of the dashboard's page Report, unpacked): `report.html` and `.pdf`.

    Raises: ClaimError for a folder that is missing or holds none of them; DataError for pins or a run that cannot be read.

    Example:
        >>> import tempfile
        >>> import interp
        >>> folder = tempfile.mkdtemp()
        >>> _ = interp.judge_many(["S4-34"], ["tales"], out=folder)
        >>> report(folder).name
        'report.html'
    """
    folder = Path(folder)
    if (folder / FILE).is_file():
        return _figures(folder, *read_pins(folder))
    if (folder / RUN).is_file():
        return _figures(folder, *of_run.pins_of_run(folder))
    rows = collect(folder)
    for suffix, write in KINDS.items():
        write_whole(folder / f"report{suffix}", write(rows))
    return folder / "report.html"


def _figures(folder: Path, title: str, pins: Sequence[Pin]) -> Path:
    write_whole(folder / "report.html", page.as_html(pins, title=title))
    write_whole_bytes(folder / "report.pdf", bundle.as_pdf(pins, title=title))
    return folder / "report.html"
