"""The rows of a report as CSV, JSON and Markdown."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from io import StringIO
from typing import Any

from interp.reports.collected import Row, contradictions
from interp.reports.overview import LEGEND, counts_table

_NUMBERS = ("effect", "low", "high", "unit", "smallest_effect", "p_adjusted", "n_items", "n_clusters", "family")
_BADGES = ("observational", "causal", "replicated")
COLUMNS = ("claim", "model", "data", "outcome", "reason", *_BADGES, *_NUMBERS, "site", "kind", "quantifier", "statement", "why")


def record(row: Row) -> dict[str, Any]:
    """A row's numbers; those of the first piece of evidence, empty where there is none."""
    verdict = row.verdict
    first = asdict(verdict.evidence[0]) if verdict and verdict.evidence else {}
    said = {"claim": row.claim, "model": row.model, "data": row.data, "outcome": row.outcome, "statement": row.statement, "why": row.why}
    if verdict:
        claim = verdict.claim
        said |= {"reason": verdict.reason, "site": verdict.site, "kind": "/".join(claim["kind"]), "quantifier": claim["quantifier"]}
        said |= {name: {True: "yes", False: "no", None: ""}[badge] for name, badge in asdict(verdict.badges).items()}
    found = {**first, **said}
    return {column: found.get(column, "") for column in COLUMNS}


def as_csv(rows: Sequence[Row]) -> str:
    """One line for each row."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(record, rows))
    return text.getvalue()


def as_json(rows: Sequence[Row]) -> str:
    """Every row with its whole verdict."""
    told = [{**record(row), "edited": row.edited, "verdict": json.loads(row.verdict.to_json()) if row.verdict else None} for row in rows]
    return json.dumps(told, indent=1, ensure_ascii=False)


def as_markdown(rows: Sequence[Row]) -> str:
    """Counts, and a table for each document."""
    told = [record(row) for row in rows]
    parts = ["# Verdicts", "", counted(rows), "", counts_table(told), "", f"{LEGEND}.", ""]
    for document in dict.fromkeys(row.document for row in rows):
        parts += [f"## {document}", "", "| claim | on | verdict | statement | why |", "|---|---|---|---|---|"]
        parts += [_line(row) for row in rows if row.document == document] + [""]
    if pairs := contradictions(list(rows)):
        parts += ["## Where the documents contradict each other", ""]
        parts += [
            f"- {one.claim} ({one.outcome}): {one.statement} {other.claim} ({other.outcome}): {other.statement}" for one, other in pairs
        ]
    return "\n".join(parts).rstrip() + "\n"


def counted(rows: Sequence[Row]) -> str:
    """How many came out how.

    Example:
        >>> counted([Row(claim="S1-01", statement="", model="tales", verdict=None)])
        '1 not run.'
    """
    return ", ".join(f"{n} {outcome}" for outcome, n in Counter(row.outcome for row in rows).most_common()) + "."


def _line(row: Row) -> str:
    cells = (row.claim, row.on, row.outcome, row.statement, row.short)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
