"""The report as one page: every claim on every model, where claims contradict each other, a table to filter, and the cards."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from interp.claims.judge_many import GENERAL
from interp.reports.cards import cards
from interp.reports.collected import Row, contradictions
from interp.reports.markup import CLASSES, anchor, badge, escaped, linked
from interp.reports.overview import LEGEND, SIGNS, models_of, told
from interp.reports.tables import counted, record

PAGE = Path(__file__).parent / "page.html"


@cache
def page() -> str:
    """The page's frame: style, filter, and places for the rest."""
    return PAGE.read_text(encoding="utf-8")


def as_html(rows: Sequence[Row]) -> str:
    """The whole page; it loads nothing from elsewhere."""
    parts = {
        "COUNTS": escaped(counted(rows)),
        "OUTCOMES": _options("every verdict", [row.outcome for row in rows]),
        "KINDS": _options("every kind", [kind for row in rows if row.verdict for kind in row.verdict.claim["kind"]]),
        "MODELS": _options("every model", [row.model for row in rows]),
        "OVERVIEW": _overview(rows),
        "TABLES": "\n".join(_table(document, rows) for document in dict.fromkeys(row.document for row in rows)),
        "CONTRADICTIONS": _contradictions(rows),
        "CARDS": cards(rows),
    }
    text = page()
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part)
    return text


def _options(every: str, values: Sequence[str]) -> str:
    told = [f'<option value="">{every}</option>', *(f"<option>{escaped(value)}</option>" for value in dict.fromkeys(values))]
    return "".join(told)


def _overview(rows: Sequence[Row]) -> str:
    """Claims down, models across; each sign leads to its card. Nothing where there is one model at most."""
    models = models_of([record(row) for row in rows])
    if len(models) < 3:
        return ""
    by_place = {(row.claim, row.model): row for row in rows}
    head = "<th>Claim" + "".join(f"<th>{escaped('no model' if model == GENERAL else model)}" for model in models)
    body = []
    for claim in dict.fromkeys(row.claim for row in rows):
        found = [by_place.get((claim, model)) for model in models]
        statement = next(row.statement for row in found if row)
        body.append(f'<tr><th title="{escaped(statement)}">{escaped(claim)}' + "".join(map(_sign, found)) + "</tr>")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<details class="overview" open><summary>Every claim on every model: {escaped(LEGEND)}</summary>{table}</details>'


def _sign(row: Row | None) -> str:
    if row is None:
        return "<td>"
    outcome = told(record(row))
    sign, title = SIGNS.get(outcome, ""), f"{row.claim} on {row.model}: {outcome}"
    if row.verdict is None:
        return f'<td title="{escaped(title)}">{sign}'
    return f'<td><a class="{CLASSES.get(row.outcome, "off")}" title="{escaped(title)}" href="#{anchor(row)}">{sign}</a>'


def _table(document: str, rows: Sequence[Row]) -> str:
    head = "<tr><th>Claim<th>Statement<th>On<th>Verdict<th>Why</tr>"
    body = "".join(_line(row) for row in rows if row.document == document)
    return f'<section class="document"><h2>{escaped(document)}</h2><table>{head}{body}</table></section>'


def _line(row: Row) -> str:
    kinds = escaped(" ".join(row.verdict.claim["kind"])) if row.verdict else ""
    data = f'data-outcome="{escaped(row.outcome)}" data-kind="{kinds}" data-model="{escaped(row.model)}" data-claim="{escaped(row.claim)}"'
    name = linked(row, row.claim) if row.verdict else escaped(row.claim)
    cells = (name, escaped(row.statement), escaped(row.on), badge(row.outcome), escaped(row.short))
    return f"<tr {data}><td>" + "<td>".join(cells) + "</tr>"


def _contradictions(rows: Sequence[Row]) -> str:
    """Each pair of claims once, with what they came to on each model."""
    pairs: dict[tuple[str, str], list[tuple[Row, Row]]] = {}
    for one, other in contradictions(list(rows)):
        pairs.setdefault((one.claim, other.claim), []).append((one, other))
    if not pairs:
        return ""
    return f"<section><h2>Where the documents contradict each other</h2><ul>{''.join(map(_rivals, pairs.values()))}</ul></section>"


def _rivals(pairs: Sequence[tuple[Row, Row]]) -> str:
    one, other = pairs[0]
    come: dict[tuple[str, str], list[str]] = {}
    for first, second in pairs:
        come.setdefault((first.outcome, second.outcome), []).append(first.model)
    told = "; ".join(
        f"{badge(first)} against {badge(second)}" + ("" if models == [GENERAL] else f" on {escaped(', '.join(models))}")
        for (first, second), models in come.items()
    )
    return f"<li>{_said(one)} <em>Against</em> {_said(other)}<br>{told}</li>"


def _said(row: Row) -> str:
    return f"{linked(row, row.claim)}: {escaped(row.statement)}"
