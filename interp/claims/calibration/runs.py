"""Every case judged, one after the other; each kept in a line of a file as soon as it is done."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from interp.claims.calibration.calibrated import Calibrated
from interp.claims.calibration.cases import Known, trained
from interp.claims.calibration.equals import GAINS, of_equals
from interp.claims.calibration.nulls import NULLS
from interp.claims.calibration.planted import planted
from interp.claims.judge import judge
from interp.core.errors import ClaimError
from interp.core.provenance import own_source, versions

Row = dict[str, Any]
Job = tuple[str, str, int, Callable[[], Row]]
FEWEST = 3
FEWER = 10  # a point of a power curve takes so many times fewer runs than a rate of false positives


def calibrate(
    runs: int = 200, *, out: str | Path | None = None, protocols: tuple[str, ...] = (), progress: Callable[[str], None] | None = None
) -> Calibrated:
    """Judge cases whose truth is known, and say how often the verdicts are right.

    Args:
        runs: nulls for each protocol, shared by its kinds of them; a tenth for each point of a power curve. Three at least of each.
        out: a folder in which each run is kept; the same call with it goes on behind a stopped one.
        protocols: only these; empty for all, and the equal heads.
        progress: called with what is being done.
    Raises: ClaimError for fewer than three runs, a protocol that has no cases, or a folder that other code, libraries or weights began.

    Example:
        >>> calibrate(runs=3, protocols=("head_relation",)).nulls()[0]["supported"]  # doctest: +SKIP
        0
    """
    if runs < FEWEST:
        raise ClaimError(f"{runs} runs came; expected {FEWEST} at least, and 200 for a rate that says something")
    kept, tell = _Kept(None if out is None else Path(out)), progress or (lambda what: None)
    jobs = list(_jobs(runs, protocols))
    for number, (part, name, seed, work) in enumerate(jobs, 1):
        if not kept.has(part, name, seed):
            tell(f"{number} of {len(jobs)}: {name}, seed {seed}")
            kept.add({"part": part, "name": name, "seed": seed, **work()})
    return Calibrated(runs=runs, rows=tuple(kept.rows[part, name, seed] for part, name, seed, _ in jobs))


def _jobs(runs: int, protocols: tuple[str, ...]) -> Iterator[Job]:
    known = {one.protocol for one in (*NULLS, *planted())}
    if unknown := sorted(set(protocols) - known):
        raise ClaimError(f"protocols {', '.join(unknown)} came; expected some of: {', '.join(sorted(known))}")
    kinds, fewer = Counter(one.protocol for one in NULLS), max(FEWEST, runs // FEWER)
    nulls = [("null", one, max(FEWEST, ceil(runs / kinds[one.protocol]))) for one in NULLS]
    for part, one, n in (*nulls, *(("planted", one, fewer) for one in planted())):
        if not protocols or one.protocol in protocols:
            yield from ((part, one.name, seed, partial(_judged, one, seed)) for seed in range(n))
    for gain in () if protocols else GAINS:
        yield from (("equals", f"gain {gain:g}", seed, partial(_equals, seed, gain)) for seed in range(fewer if gain else runs))


def _judged(one: Known, seed: int) -> Row:
    """What the judge says of a case, and the evidence of which it says it."""
    case = one.make(seed)
    verdict = judge(case.claim, case.model, case.data, seed=seed)
    return {
        "protocol": one.protocol,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "p": [evidence.p_adjusted for evidence in verdict.evidence],
        "share": [evidence.effect / evidence.smallest_effect for evidence in verdict.evidence],
        "exchangeable": list(one.exchangeable),
    }


def _equals(seed: int, gain: float) -> Row:
    return {"protocol": "the trial", "gain": gain, **asdict(of_equals(seed, gain))}


class _Kept:
    """Runs that are done, in memory and, where there is a folder, in a file of it, a line each."""

    def __init__(self, folder: Path | None):
        self.rows: dict[tuple[str, str, int], Row] = {}
        self._file = None if folder is None else folder / "runs.jsonl"
        if self._file is not None:
            self._open(self._file)

    def _open(self, file: Path) -> None:
        if file.parent.exists() and not file.parent.is_dir():
            raise ClaimError(f"{file.parent} is a file; expected a folder for the runs, a new one or one that such runs began")
        ours = {"instrument": own_source(), "zoo": trained().fingerprint, **versions()}
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(ours) + "\n", encoding="utf-8")
            return
        begun, *rows = _whole_lines(file)
        if begun != ours:
            raise ClaimError(
                f"{file.parent} was begun by other code, libraries or weights ({begun} came, {ours} runs); expected a new folder"
            )
        self.rows = {(row["part"], row["name"], row["seed"]): row for row in rows}

    def has(self, part: str, name: str, seed: int) -> bool:
        return (part, name, seed) in self.rows

    def add(self, row: Row) -> None:
        self.rows[row["part"], row["name"], row["seed"]] = row
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def _whole_lines(file: Path) -> list[Row]:
    """The lines of a file; a last one that was cut off by a stop is taken out of it."""
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    try:
        return [json.loads(line) for line in whole.splitlines()] or [{}]
    except ValueError as error:
        raise ClaimError(f"{file} is not a calibration's: {error}; expected a new folder") from error
