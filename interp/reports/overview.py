"""Many claims on many models at a glance: how many came out how, by document; and each claim in a line.

Both are made of records (claim, statement, model, outcome), which a report's rows give, and a .csv that it wrote.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from interp.claims.judge_many import GENERAL
from interp.reports.collected import DOCUMENTS, OWN

UNANSWERED = "needs models or sources"
SIGNS = {"supported": "✓", "refuted": "✗", "inconclusive": "?", UNANSWERED: "○", "not applicable": "–", "not run": "·"}
LEGEND = ", ".join(f"{sign} {outcome}" for outcome, sign in SIGNS.items())
COUNTED = ("supported", "refuted", "inconclusive", UNANSWERED)
Record = Mapping[str, object]


def told(record: Record) -> str:
    """What came out; a claim that nothing here could answer is told apart from one that was tested and left open.

    Example:
        >>> told({"outcome": "inconclusive", "reason": "needs_training"})
        'needs models or sources'
    """
    return UNANSWERED if str(record.get("reason", "")).startswith("needs_") else str(record["outcome"])


def models_of(records: Iterable[Record]) -> list[str]:
    """The models, as they come; what is about none stands first."""
    found = dict.fromkeys(str(record["model"]) for record in records)
    return sorted(found, key=lambda model: model != GENERAL)


def by_claim(records: Iterable[Record]) -> dict[str, dict[str, Record]]:
    """Claim -> model -> record, in the order in which claims come."""
    found: dict[str, dict[str, Record]] = {}
    for record in records:
        found.setdefault(str(record["claim"]), {})[str(record["model"])] = record
    return found


def counts_table(records: Sequence[Record]) -> str:
    """Markdown: documents down, models across, in each cell how many claims came out how.

    Example:
        >>> print(counts_table([{"claim": "S1-01", "model": "tales", "outcome": "supported"}]).splitlines()[-1])
        | all | 1 ✓ |
    """
    models = models_of(records)
    head = ["claims on", *("no model" if model == GENERAL else f"`{model}`" for model in models)]
    lines = [_line(head), _line(["---"] * len(head))]
    documents = dict.fromkeys(_document(record) for record in records)
    for document in [*documents, ""]:
        cells = [_counts(records, document, model) for model in models]
        lines.append(_line([document or "all", *cells]))
    return "\n".join(lines)


def claims_table(records: Sequence[Record]) -> str:
    """Markdown: claims down, models across, a sign in each cell.

    Example:
        >>> record = {"claim": "S1-01", "statement": "Positions.", "model": "tales", "outcome": "refuted"}
        >>> print(claims_table([record]).splitlines()[-1])
        | S1-01 | Positions. | ✗ |
    """
    models = models_of(records)
    head = ["claim", "statement", *("no model" if model == GENERAL else f"`{model}`" for model in models)]
    lines = [_line(head), _line(["---"] * len(head))]
    for claim, on in by_claim(records).items():
        statement = str(next(iter(on.values()))["statement"])
        signs = (SIGNS.get(told(on[model]), "") if model in on else "" for model in models)
        lines.append(_line([claim, statement.replace("|", "\\|"), *signs]))
    return "\n".join(lines)


def _document(record: Record) -> str:
    return DOCUMENTS.get(str(record["claim"]).split("-")[0], OWN)


def _counts(records: Sequence[Record], document: str, model: str) -> str:
    fitting = (one for one in records if one["model"] == model and document in ("", _document(one)))
    n = Counter(map(told, fitting))
    return " ".join(f"{n[outcome]} {SIGNS[outcome]}" for outcome in COUNTED if n[outcome])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
