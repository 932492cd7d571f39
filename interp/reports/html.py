"""The report as one page: a table to filter, and a card for each verdict with its figure, numbers, controls, and how to run it again."""

import html
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from interp.claims.claim_files import catalogue
from interp.claims.judge_many import GENERAL
from interp.claims.protocols.registry import PROTOCOLS
from interp.claims.verdict import REASONS, Control, Evidence, Verdict, badges_told
from interp.core.errors import DataError
from interp.figures.make import figure
from interp.reports.collected import Row, contradictions
from interp.reports.overview import LEGEND, SIGNS, models_of, told
from interp.reports.tables import counted, record

PAGE = Path(__file__).parent / "page.html"
CAUGHT = {
    "null": "These hold nothing of what is claimed, and must not pass the same test. If one did, the test would find it anywhere.",
    "positive": "Here the answer is known, and must be found. If it were missed, the test would be blind, and its silence no finding.",
}
CLASSES = {"supported": "yes", "refuted": "no", "inconclusive": "open", "not applicable": "off", "not run": "off"}


@cache
def page() -> str:
    """The page's frame: style, filter, and places for the rest."""
    return PAGE.read_text(encoding="utf-8")


def as_html(rows: Sequence[Row]) -> str:
    """The whole page; it loads nothing from elsewhere."""
    parts = {
        "COUNTS": _escaped(counted(rows)),
        "OUTCOMES": _options("every verdict", [row.outcome for row in rows]),
        "KINDS": _options("every kind", [kind for row in rows if row.verdict for kind in row.verdict.claim["kind"]]),
        "MODELS": _options("every model", [row.model for row in rows]),
        "OVERVIEW": _overview(rows),
        "TABLES": "\n".join(_table(document, rows) for document in dict.fromkeys(row.document for row in rows)),
        "CONTRADICTIONS": _contradictions(rows),
        "CARDS": "\n".join(_card(row, row.verdict, rows) for row in rows if row.verdict),
    }
    text = page()
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part)
    return text


def _escaped(text: object) -> str:
    return html.escape(str(text))


def _options(every: str, values: Sequence[str]) -> str:
    told = [f'<option value="">{every}</option>', *(f"<option>{_escaped(value)}</option>" for value in dict.fromkeys(values))]
    return "".join(told)


def _overview(rows: Sequence[Row]) -> str:
    """Claims down, models across; each sign leads to its card. Nothing where there is one model at most."""
    models = models_of([record(row) for row in rows])
    if len(models) < 3:
        return ""
    by_place = {(row.claim, row.model): row for row in rows}
    head = "<th>Claim" + "".join(f"<th>{_escaped('no model' if model == GENERAL else model)}" for model in models)
    body = []
    for claim in dict.fromkeys(row.claim for row in rows):
        found = [by_place.get((claim, model)) for model in models]
        statement = next(row.statement for row in found if row)
        body.append(f'<tr><th title="{_escaped(statement)}">{_escaped(claim)}' + "".join(map(_sign, found)) + "</tr>")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<details class="overview"><summary>Every claim on every model: {_escaped(LEGEND)}</summary>{table}</details>'


def _sign(row: Row | None) -> str:
    if row is None:
        return "<td>"
    outcome = told(record(row))
    sign, title = SIGNS.get(outcome, ""), f"{row.claim} on {row.model}: {outcome}"
    if row.verdict is None:
        return f'<td title="{_escaped(title)}">{sign}'
    return f'<td><a class="{CLASSES.get(row.outcome, "off")}" title="{_escaped(title)}" href="#{_anchor(row)}">{sign}</a>'


def _table(document: str, rows: Sequence[Row]) -> str:
    head = "<tr><th>Claim<th>Statement<th>On<th>Verdict<th>Why</tr>"
    body = "".join(_line(row) for row in rows if row.document == document)
    return f'<section class="document"><h2>{_escaped(document)}</h2><table>{head}{body}</table></section>'


def _line(row: Row) -> str:
    kinds = _escaped(" ".join(row.verdict.claim["kind"])) if row.verdict else ""
    data = f'data-outcome="{_escaped(row.outcome)}" data-kind="{kinds}" data-model="{_escaped(row.model)}"'
    name = f'<a href="#{_anchor(row)}">{_escaped(row.claim)}</a>' if row.verdict else _escaped(row.claim)
    badge = f'<span class="badge {CLASSES.get(row.outcome, "off")}">{_escaped(row.outcome)}</span>'
    cells = (name, _escaped(row.statement), _escaped(row.on), badge, _escaped(row.short))
    return f"<tr {data}><td>" + "<td>".join(cells) + "</tr>"


def _anchor(row: Row) -> str:
    return _escaped(f"{row.claim}--{row.folder}".replace(" ", "-"))


def _contradictions(rows: Sequence[Row]) -> str:
    pairs = contradictions(list(rows))
    if not pairs:
        return ""
    told = "".join(f"<li>{_said(one)} <em>against</em> {_said(other)}</li>" for one, other in pairs)
    return f"<section><h2>Where the documents contradict each other</h2><ul>{told}</ul></section>"


def _said(row: Row) -> str:
    return f'<a href="#{_anchor(row)}">{_escaped(row.claim)}</a> ({_escaped(row.outcome)}): {_escaped(row.statement)}'


def _card(row: Row, verdict: Verdict, rows: Sequence[Row]) -> str:
    claim = verdict.claim
    reason = f" <span class=soft>{_escaped(REASONS[verdict.reason])}</span>" if verdict.reason else ""
    quoted = f'<blockquote lang="zh">{_escaped(claim["quotation"])}</blockquote>' if claim["quotation"] else ""
    translated = f"<p class=translation>{_escaped(claim['translation'])}</p>" if claim["translation"] else ""
    badge = f'<span class="badge {CLASSES.get(row.outcome, "off")}">{_escaped(row.outcome)}</span>'
    about = f"{claim['source']}. Kind: {', '.join(claim['kind'])}; said of: {claim['quantifier']}. Scope: {claim['scope']}."
    parts = [
        f'<article id="{_anchor(row)}"><h3>{_escaped(row.claim)} on {_escaped(verdict.model)} {badge}{reason}</h3>',
        f"<p class=statement>{_escaped(row.statement)}</p>{quoted}{translated}",
        f"<p class=source>{_escaped(about)}</p>",
        f"<p class=edited>{_escaped(row.edited)}</p>" if row.edited else "",
        f"<p>{_escaped(verdict.summary)}</p>",
        _figure(verdict),
        _evidence(verdict.evidence),
        _controls(verdict),
        f"<p>{_escaped(badges_told(verdict.badges))}{_elsewhere(verdict)}</p>" if verdict.evidence else "",
        _same_question(row, rows),
        f"<p><strong>It does not show:</strong> {_escaped(claim['does_not_show'])}</p>",
        f"<p class=source>{_made(verdict)}</p><pre>{_escaped(_command(verdict))}</pre></article>",
    ]
    return "".join(parts)


def _elsewhere(verdict: Verdict) -> str:
    told = "; ".join(f"{one.outcome} on {one.model}{f' ({one.site})' if one.site else ''}" for one in verdict.elsewhere)
    return f" Elsewhere: {_escaped(told)}." if told else ""


def _same_question(row: Row, rows: Sequence[Row]) -> str:
    """Claims that ask the same of the same model and data have one run between them."""
    asked = _question(row)
    others = [other for other in rows if other is not row and other.verdict and _question(other) == asked]
    if not others:
        return ""
    links = ", ".join(f'<a href="#{_anchor(other)}">{_escaped(other.claim)}</a>' for other in others)
    return f"<p>The same test on the same texts as {links}: one run, and no further evidence.</p>"


def _question(row: Row) -> object:
    verdict = row.verdict
    return verdict and (verdict.claim["test"] if verdict.evidence else row.claim, verdict.model, verdict.fingerprint, verdict.data)


def _figure(verdict: Verdict) -> str:
    """The verdict's figure, where there is something sampled to draw."""
    if not any(one.p_adjusted is not None for one in verdict.evidence):
        return ""
    try:
        drawn = figure(verdict).svg()
    except DataError:
        return ""
    return (
        f'<figure role="img" aria-label="{_escaped(verdict.claim["id"])}: evidence with intervals">{drawn[drawn.index("<svg") :]}</figure>'
    )


def _evidence(evidence: Sequence[Evidence]) -> str:
    if not evidence:
        return ""
    head = "<tr><th>Evidence<th>Estimate<th>Baseline<th>Effect<th>Interval<th>At most<th>Smallest that matters<th>Adjusted p<th>n</tr>"
    return f"<table class=numbers>{head}{''.join(map(_one, evidence))}</table>"


def _one(one: Evidence) -> str:
    p = "" if one.p_adjusted is None else f"{one.p_adjusted:.2g} of {one.family}"
    interval = "exact" if one.level == 1 else f"{one.low:+.3f} to {one.high:+.3f} ({one.level:.0%})"
    most = "" if one.level == 1 else f"{one.upper:+.3f}"
    n = (
        f"{one.n_items}"
        if one.level == 1
        else f"{one.n_items} in {one.n_clusters} clusters" + ("" if one.power is None else f", power {one.power:.2f}")
    )
    cells = (one.name, f"{one.estimate:.4g}", f"{one.baseline:.4g} ({one.baseline_name})", f"{one.effect:+.4g} {one.unit}", interval, most)
    return "<tr><td>" + "<td>".join(map(_escaped, (*cells, f"{one.smallest_effect:.3g}", p, n))) + "</tr>"


def _controls(verdict: Verdict) -> str:
    """What was done so that a wrong verdict would have been found out, and what it gave."""
    if not verdict.controls:
        return ""
    wrong = "What would have caught it, were it wrong" if verdict.outcome in ("supported", "refuted") else "Controls"
    kinds = {kind: [one for one in verdict.controls if one.kind == kind] for kind in CAUGHT}
    told = (f"<p>{CAUGHT[kind]}</p><ul class=controls>{''.join(map(_control, found))}</ul>" for kind, found in kinds.items() if found)
    return f"<h4>{wrong}</h4>{''.join(told)}"


def _control(one: Control) -> str:
    mark, told = ("yes", "as it must") if one.passed else ("no", "NOT as it must")
    asked = "must show nothing" if one.kind == "null" else "must show it"
    detail = f"; {_escaped(one.detail)}" if one.detail else ""
    return f'<li><span class="badge {mark}">{told}</span> {_escaped(one.name)}: {one.value:.3g} {_escaped(one.unit)} ({asked}{detail})</li>'


def _made(verdict: Verdict) -> str:
    read = "; ".join(f"{name} {value}" for name, value in verdict.data.items())
    protocol = verdict.claim["test"]["protocol"]
    design = f"Protocol {protocol} ({PROTOCOLS[protocol].family})" if protocol in PROTOCOLS else f"Protocol {protocol}"
    model = f"{verdict.model} {verdict.fingerprint}".strip()
    versions = ", ".join(f"{name} {version}" for name, version in verdict.versions.items())
    told = [
        design,
        f"on {model}",
        f"claim {verdict.claim_hash}",
        read,
        f"seed {verdict.seed}",
        versions,
        f"{verdict.elapsed_s:.0f} s",
        verdict.date,
    ]
    return _escaped("; ".join(part for part in told if part) + ".")


def _command(verdict: Verdict) -> str:
    """What runs it again; one's own claim by its file."""
    claim = verdict.claim["id"] if verdict.claim["id"] in catalogue() else "CLAIM.yaml"
    general = not verdict.fingerprint
    model = "" if general else f" --model {shlex.quote(verdict.model)}"
    data = f" --data {shlex.quote(verdict.data['name'])}" if "name" in verdict.data else ""
    return f"interp judge {shlex.quote(claim)}{model}{data} --seed {verdict.seed}"
