"""A card for each claim: what it says and where, and for each model the verdict with figure, numbers, controls, and how to run it again."""

import shlex
from collections.abc import Sequence

from interp.claims.claim_files import catalogue
from interp.claims.protocols.registry import PROTOCOLS
from interp.claims.verdict import REASONS, Control, Evidence, Verdict, badges_told
from interp.core.errors import DataError
from interp.figures.make import figure
from interp.figures.paper import to_bytes
from interp.reports.collected import Row
from interp.reports.markup import anchor, badge, escaped, linked

CAUGHT = {
    "null": "These hold nothing of what is claimed, and must not pass the same test. If one did, the test would find it anywhere.",
    "positive": "Here the answer is known, and must be found. If it were missed, the test would be blind, and its silence no finding.",
}


def cards(rows: Sequence[Row]) -> str:
    """A card for each claim that was judged."""
    claims = dict.fromkeys(row.claim for row in rows if row.verdict)
    return "\n".join(_card([row for row in rows if row.claim == claim], rows) for claim in claims)


def _card(mine: Sequence[Row], rows: Sequence[Row]) -> str:
    """Verdicts on several models are folded up, each under its own line."""
    judged = [(row, row.verdict) for row in mine if row.verdict and row.outcome != "not applicable"]
    others = [(row, row.verdict) for row in mine if row.verdict and row.outcome == "not applicable"]
    folded = len(judged) > 1
    claim = (judged or others)[0][1].claim
    quoted = f'<blockquote lang="zh">{escaped(claim["quotation"])}</blockquote>' if claim["quotation"] else ""
    translated = f"<p class=translation>{escaped(claim['translation'])}</p>" if claim["translation"] else ""
    about = f"{claim['source']}. Kind: {', '.join(claim['kind'])}; said of: {claim['quantifier']}. Scope: {claim['scope']}."
    parts = [
        f'<article id="{escaped(claim["id"])}"><h3>{escaped(claim["id"])}: {escaped(claim["statement"])}</h3>{quoted}{translated}',
        f"<p class=source>{escaped(about)}</p>",
        *(_verdict(row, verdict, rows, folded) for row, verdict in judged),
        *(_not_about(row) for row, _ in others),
        f"<p><strong>It does not show:</strong> {escaped(claim['does_not_show'])}</p></article>",
    ]
    return "".join(parts)


def _not_about(row: Row) -> str:
    edited = f" <span class=edited>{escaped(row.edited)}</span>" if row.edited else ""
    return f'<p class=soft id="{anchor(row)}">{escaped(row.on)}: {badge(row.outcome)} {escaped(row.why)}{edited}</p>'


def _verdict(row: Row, verdict: Verdict, rows: Sequence[Row], folded: bool) -> str:
    told = row.short if folded else REASONS[verdict.reason] if verdict.reason else ""
    parts = [
        f'<details class="verdict" id="{anchor(row)}"{"" if folded else " open"}><summary>'
        f"<b>{escaped(row.on)}</b> {badge(row.outcome)} <span class=soft>{escaped(told)}</span></summary>",
        f"<p class=edited>{escaped(row.edited)}</p>" if row.edited else "",
        f"<p>{escaped(verdict.summary)}</p>",
        _figure(verdict),
        _evidence(verdict.evidence),
        _controls(verdict),
        f"<p>{escaped(badges_told(verdict.badges))}{_elsewhere(verdict)}</p>" if verdict.evidence else "",
        _same_question(row, rows),
        f"<p class=source>{_made(verdict)}</p><pre>{escaped(_command(verdict))}</pre></details>",
    ]
    return "".join(parts)


def _elsewhere(verdict: Verdict) -> str:
    told = "; ".join(f"{one.outcome} on {one.model}{f' ({one.site})' if one.site else ''}" for one in verdict.elsewhere)
    return f" Elsewhere: {escaped(told)}." if told else ""


def _same_question(row: Row, rows: Sequence[Row]) -> str:
    """Claims that ask the same of the same model and data have one run between them."""
    asked = _question(row)
    others = [other for other in rows if other is not row and other.verdict and _question(other) == asked]
    if not others:
        return ""
    links = ", ".join(linked(other, other.claim) for other in others)
    return f"<p>The same test on the same texts as {links}: one run, and no further evidence.</p>"


def _question(row: Row) -> object:
    verdict = row.verdict
    return verdict and (verdict.claim["test"] if verdict.evidence else row.claim, verdict.model, verdict.fingerprint, verdict.data)


def _figure(verdict: Verdict) -> str:
    """The verdict's figure, where there is something sampled to draw."""
    if not any(one.p_adjusted is not None for one in verdict.evidence):
        return ""
    try:
        drawn = to_bytes(figure(verdict).description, "svg", width="two", letters="text").decode()
    except DataError:
        return ""
    return (
        f'<figure role="img" aria-label="{escaped(verdict.claim["id"])}: evidence with intervals">{drawn[drawn.index("<svg") :]}</figure>'
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
    return "<tr><td>" + "<td>".join(map(escaped, (*cells, f"{one.smallest_effect:.3g}", p, n))) + "</tr>"


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
    detail = f"; {escaped(one.detail)}" if one.detail else ""
    return f'<li><span class="badge {mark}">{told}</span> {escaped(one.name)}: {one.value:.3g} {escaped(one.unit)} ({asked}{detail})</li>'


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
    return escaped("; ".join(part for part in told if part) + ".")


def _command(verdict: Verdict) -> str:
    """What runs it again; one's own claim by its file."""
    claim = verdict.claim["id"] if verdict.claim["id"] in catalogue() else "CLAIM.yaml"
    general = not verdict.fingerprint
    model = "" if general else f" --model {shlex.quote(verdict.model)}"
    data = f" --data {shlex.quote(verdict.data['name'])}" if "name" in verdict.data else ""
    return f"interp judge {shlex.quote(claim)}{model}{data} --seed {verdict.seed}"
