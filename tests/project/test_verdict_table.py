"""The README's table of verdicts, and examples/verdicts.md, are written by this file, from examples/verdicts.csv.

`.ci/report FOLDER` judges every claim on the bundled models (and on MiniLM, where it is installed) and ends by calling
`python tests/project/test_verdict_table.py FOLDER`, which takes the folder's verdicts over. Without a folder both are written anew.
"""

import csv
import sys
from collections import Counter
from pathlib import Path

from interp.claims.claim_files import catalogue
from interp.claims.judge_many import GENERAL
from interp.models import zoo
from interp.reports.overview import COUNTED, LEGEND, SIGNS, claims_table, counts_table, models_of, told

ROOT = Path(__file__).parents[2]
KEPT, WHOLE = ROOT / "examples" / "verdicts.csv", ROOT / "examples" / "verdicts.md"
BEGIN, END = "<!-- verdicts: written by tests/project/test_verdict_table.py -->", "<!-- end of verdicts -->"
COLUMNS = (
    "claim", "model", "data", "outcome", "reason", "site", "effect", "low", "high", "unit", "smallest_effect", "p_adjusted", "n_items",
    "n_clusters", "claim_hash", "fingerprint", "seconds",
)  # fmt: skip


def records() -> list[dict[str, str]]:
    """The verdicts that were kept, with the statements of today."""
    known = catalogue()
    with KEPT.open(encoding="utf-8", newline="") as file:
        return [{**row, "statement": known[row["claim"]].statement} for row in csv.DictReader(file) if row["claim"] in known]


def table() -> str:
    found = records()
    edited = sorted({one["claim"] for one in found if one["claim_hash"] not in ("", catalogue()[one["claim"]].hash)})
    since = [f"Edited since they were judged: {', '.join(edited)}."] if edited else []
    return "\n".join(
        [BEGIN, counts_table(found), "", *since, *not_yet(found), f"{LEGEND}; those that a claim is not about are not counted.", END]
    )


def not_yet(found: list[dict[str, str]]) -> list[str]:
    """What a run that was stopped has left, in words."""
    known = [claim.id for claim in catalogue().values() if not claim.protocol.subject(claim.test)]
    judged = {model: {one["claim"] for one in found if one["model"] == model} for model in models_of(found) if model != GENERAL}
    left = {model: [claim for claim in known if claim not in of] for model, of in judged.items()}
    told = [f"On `{model}` not judged yet: {', '.join(claims)}." for model, claims in left.items() if claims]
    none = [f"`{name}`" for name in zoo.names() if name not in judged]
    return [*told, *([f"Models not judged yet: {', '.join(none)}."] if none else [])]


def whole() -> str:
    head = "# Every claim on every bundled model\n\nWritten by `.ci/report`, which also makes the page with a card for each claim."
    return f"{head}\n\n{LEGEND}.\n\n{counts_table(records())}\n\n{claims_table(records())}\n"


def written() -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return readme[readme.index(BEGIN) : readme.index(END) + len(END)]


def test_the_readmes_table_and_the_whole_one_are_what_the_kept_verdicts_say():
    assert written() == table()
    assert WHOLE.read_text(encoding="utf-8") == whole()


def test_every_cell_of_the_table_counts_the_kept_verdicts():
    found, lines = records(), written().splitlines()
    models = models_of(found)
    last = next(line for line in lines if line.startswith("| all |"))
    for model, cell in zip(models, last.strip("| ").split(" | ")[1:], strict=True):
        n = Counter(told(one) for one in found if one["model"] == model)
        assert cell == " ".join(f"{n[outcome]} {SIGNS[outcome]}" for outcome in COUNTED if n[outcome])
    assert set(models) <= {"general", "minilm", *zoo.names()}
    assert "tales" in models


def test_each_claim_was_judged_once_on_each_model_or_on_none():
    places = Counter((one["claim"], one["model"]) for one in records())
    assert set(places.values()) == {1}


def take_over(folder: Path) -> None:
    """Keep a folder's verdicts: the numbers of each, without its words."""
    from interp.reports.collected import collect
    from interp.reports.tables import record

    with KEPT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for row in collect(folder):
            verdict = row.verdict
            more = (
                {"claim_hash": verdict.claim_hash, "fingerprint": verdict.fingerprint, "seconds": f"{verdict.elapsed_s:.0f}"}
                if verdict
                else {}
            )
            writer.writerow({name: _short(value) for name, value in (record(row) | more).items()})


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


if __name__ == "__main__":
    if len(sys.argv) > 1:
        take_over(Path(sys.argv[1]))
    readme = ROOT / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace(written(), table()), encoding="utf-8")
    WHOLE.write_text(whole(), encoding="utf-8")
