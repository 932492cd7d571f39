"""The README's table of families is written by this file: a cell says yes where the checks behind it passed on every form of the family.

Write it anew with `python tests/project/test_family_table.py`.
"""

import sys
from pathlib import Path

from interp.checks.report import Report
from interp.checks.selfcheck import check, never_there
from interp.models.families import FAMILIES, REFUSED
from interp.models.load import load_model
from interp.models.model import Model

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- families: written by tests/project/test_family_table.py -->", "<!-- end of families -->"
COLUMNS = {  # column -> the checks that a cell rests on
    "logits": ("output is the plain model's", "padding changes nothing", "batching and order change nothing"),
    "patterns": ("patterns are the plain model's", "pattern rows sum to 1", "masked weights are 0", "fused statistics are the pattern's"),
    "cross-attention": ("cross-attention reads the encoder's output",),
    "stream": ("writes add up to the stream, by layer", "writes add up to the stream, over the whole stack"),
    "heads": ("heads add up to what attention writes", "an edit of heads takes effect"),
    "neurons": ("neurons add up to what the FFN writes", "an edit of neurons takes effect"),
    "experts": ("neurons add up to what the FFN writes", "an edit of the routing takes effect"),
    "edges": ("a knocked-out edge carries nothing",),
    "to logits": ("contributions add up to the logit",),
}
NEEDED = {
    "cross-attention": "cross-attention reads the encoder's output",
    "neurons": "an edit of neurons takes effect",
    "experts": "an edit of the routing takes effect",
}


def cell(reports: list[Report], column: str) -> str:
    """ "yes", "-" where the family has none, "partly" where only some of its forms can, "no" where a check failed."""
    found = [{one.name: one for one in report.findings} for report in reports]
    has = [NEEDED.get(column, COLUMNS[column][0]) in names for names in found]
    if not any(has):
        return "–"
    ran = [names[name] for names, there in zip(found, has, strict=True) for name in COLUMNS[column] if there and name in names]
    return ("yes" if all(has) else "partly") if all(one.passed for one in ran) else "no"


def shape(model: Model) -> str:
    anatomy = model.anatomy
    kind = "encoder-decoder" if anatomy.encoder_decoder else "decoder" if anatomy.causal else "encoder"
    norms = {"pre": "pre-norm", "post": "post-norm", "sandwich": "sandwich norms", "none": "no norms"}[anatomy.norms]
    if anatomy.parallel:
        norms = f"parallel, {norms}"
    return f"{kind}, {norms}" + (", mixture" if anatomy.n_experts else ", gated" if anatomy.gated else "")


def table() -> str:
    from tiny_families import FORMS, drawn, words

    rows: dict[str, list[tuple[Model, Report]]] = {}
    for name, form in FORMS.items():
        model = load_model(drawn(name), words(encoder=form.encoder))
        if not form.headless:
            rows.setdefault(FAMILIES[model.anatomy.family].name, []).append((model, check(model)))
    lines = [f"| family | shape | {' | '.join(COLUMNS)} |", "|---|---|" + "---|" * len(COLUMNS)]
    for family, forms in rows.items():
        shapes = "; ".join(dict.fromkeys(shape(model) for model, _ in forms))
        cells = [cell([report for _, report in forms], column) for column in COLUMNS]
        lines.append(f"| {family} | {shapes} | {' | '.join(cells)} |")
    refused = ", ".join(f"`{name}`" for name in REFUSED)
    return "\n".join([BEGIN, *lines, "", f"Refused by name, with the reason: {refused}.", END])


def written() -> str:
    readme = (ROOT / "README.md").read_text()
    return readme[readme.index(BEGIN) : readme.index(END) + len(END)]


def test_the_readmes_table_is_what_the_checks_find():
    made = table()
    assert "| no |" not in made
    assert made == written()


def test_a_failed_check_writes_no():
    from dataclasses import replace

    from tiny_families import drawn, words

    model = load_model(drawn("bart"), words())
    report = check(model)
    assert cell([report], "patterns") == cell([report], "cross-attention") == "yes"
    assert cell([report], "experts") == "–"
    assert "experts" in never_there(model.anatomy)
    worse = replace(report, findings=tuple(replace(one, value=1.0) for one in report.findings))
    assert cell([worse], "patterns") == cell([report, worse], "cross-attention") == "no"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    readme = ROOT / "README.md"
    readme.write_text(readme.read_text().replace(written(), table()))
