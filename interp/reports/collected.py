"""What a folder of verdicts holds, in the catalogue's order; and where the claims contradict each other."""

from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten

from interp.claims.claim_files import catalogue, place_of
from interp.claims.judge_many import GENERAL, NOT_RUN, not_run
from interp.claims.kept import edited, read_verdict
from interp.claims.replication import DECIDED, replicated, setting_of
from interp.claims.verdict import REASONS, Verdict
from interp.core.errors import ClaimError

DOCUMENTS = {
    "S0": "S0: the widths of attention and FFN",
    "S1": "S1: the structure of the FFN",
    "S2": "S2: why heads are narrow",
    "S3": "S3: what the FFN is for",
    "S4": "S4: cross-attention, depth and width",
}
OWN = "Claims of one's own"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One claim on one model.

    Attributes:
        model: the folder's name: a model, or "general".
        folder: where the verdict is kept, seen from the report's folder; a row is a claim in a folder.
        data: name of what was read; "" for nothing.
        verdict: None where it was not run.
        why_not: why it was not run.
        edited: what happened to the claim since; "" when nothing did.
    """

    claim: str
    statement: str
    model: str
    verdict: Verdict | None
    folder: str = ""
    data: str = ""
    why_not: str = ""
    edited: str = ""

    @property
    def outcome(self) -> str:
        """The verdict's, or "not run"."""
        return self.verdict.outcome if self.verdict else "not run"

    @property
    def on(self) -> str:
        """What it was judged on, in words."""
        model = "no model" if self.model == GENERAL else self.model
        return f"{model}, {self.data}" if self.data else model

    @property
    def document(self) -> str:
        """The document that the claim is from."""
        return DOCUMENTS.get(self.claim.split("-")[0], OWN)

    @property
    def why(self) -> str:
        """One line: the reason, or the numbers."""
        if self.verdict is None:
            return self.why_not
        reason = f"{REASONS[self.verdict.reason].capitalize()}. " if self.verdict.reason else ""
        return reason + self.verdict.summary

    @property
    def short(self) -> str:
        """Of `why`, what fits on a line or two."""
        return shorten(self.why, 160, placeholder=" ...")


def collect(folder: str | Path) -> list[Row]:
    """The rows of a folder that `interp judge --out` or `interp.judge_many` made, or of one with verdicts in it.

    Raises: ClaimError for a folder that is missing or holds no verdict, and for a file that is none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ClaimError(f"{folder}: no such folder; expected what `interp judge --all --out FOLDER` made")
    files = [file for file in folder.rglob("*.json") if file.name not in (NOT_RUN, "report.json")]
    rows = [_judged(file, folder) for file in files]
    rows += [row for reasons in folder.rglob(NOT_RUN) for row in _left(reasons.parent, folder, rows)]
    rows = [_beside_others(row, rows) for row in rows]
    if not rows:
        raise ClaimError(f"{folder} holds no verdict; expected what `interp judge --all --out FOLDER` made")
    return sorted(rows, key=lambda row: (place_of(row.claim), row.model, row.folder))


def _judged(file: Path, root: Path) -> Row:
    verdict = read_verdict(file)
    claim = verdict.claim
    where = {"model": file.parent.name, "folder": str(file.parent.relative_to(root)), "data": verdict.data.get("name", "")}
    return Row(claim=claim["id"], statement=claim["statement"], verdict=verdict, edited=edited(verdict), **where)


def _beside_others(row: Row, rows: list[Row]) -> Row:
    """The row with what its claim came to on the other models and data of the folder."""
    mine = row.verdict
    if mine is None or not mine.fingerprint or mine.outcome not in DECIDED:
        return row
    others = {
        setting_of(one.verdict): one.verdict
        for one in rows
        if one.verdict and one.verdict.claim_hash == mine.claim_hash and one.verdict.outcome != "not applicable"
    }
    return replace(row, verdict=replicated(mine, [one for setting, one in others.items() if setting != setting_of(mine)]))


def _left(place: Path, root: Path, rows: list[Row]) -> list[Row]:
    folder, known = str(place.relative_to(root)), catalogue()
    judged = {row.claim for row in rows if row.folder == folder}
    return [
        Row(
            claim=claim,
            statement=known[claim].statement if claim in known else "",
            model=place.name,
            folder=folder,
            verdict=None,
            why_not=why,
        )
        for claim, why in not_run(place).items()
        if claim not in judged
    ]


def contradictions(rows: list[Row]) -> list[tuple[Row, Row]]:
    """Pairs of claims of which the one contradicts the other, by what the claims themselves say; each pair once, in the same folder."""
    by_place = {(row.claim, row.folder): row for row in rows}
    found = []
    for row in rows:
        for other in row.verdict.claim.get("contradicts", ()) if row.verdict else ():
            rival = by_place.get((other, row.folder))
            if rival is not None:
                found.append((row, rival))
    return found
