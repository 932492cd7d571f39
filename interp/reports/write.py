"""A folder of verdicts becomes a report: page, tables and numbers beside them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from interp.core.files import write_whole
from interp.reports.collected import Row, collect
from interp.reports.html import as_html
from interp.reports.tables import as_csv, as_json, as_markdown

KINDS: dict[str, Callable[[Sequence[Row]], str]] = {".html": as_html, ".md": as_markdown, ".csv": as_csv, ".json": as_json}


def report(folder: str | Path) -> Path:
    """Write `report.html`, `.md`, `.csv` and `.json` into a folder of verdicts, and say where the page is.

    Raises: ClaimError for a folder that is missing or holds no verdict.

    Example:
        >>> import tempfile
        >>> import interp
        >>> folder = tempfile.mkdtemp()
        >>> _ = interp.judge_many(["S4-34"], ["tales"], out=folder)
        >>> report(folder).name
        'report.html'
    """
    rows = collect(folder)
    for suffix, write in KINDS.items():
        write_whole(Path(folder) / f"report{suffix}", write(rows))
    return Path(folder) / "report.html"
