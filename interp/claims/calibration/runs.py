"""Every case judged, one after the other; each kept in a line of a file as soon as it is done."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from math import ceil, inf
from pathlib import Path
from typing import Any

from interp.claims.calibration.calibrated import Calibrated
from interp.claims.calibration.cases import Known, trained
from interp.claims.calibration.equals import EQUALS, GAINS, of_equals
from interp.claims.calibration.known_tables import known_tables
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
    runs: int = 200,
    *,
    out: str | Path | None = None,
    protocols: tuple[str, ...] = (),
    treebank: str | Path | None = None,
    minutes: float = inf,
    progress: Callable[[str], None] | None = None,
) -> Calibrated:
    """Judge cases whose truth is known, and say how often the verdicts are right.

    Args:
        runs: nulls for each protocol, shared by its kinds of them; a tenth, or less, for each point of a power curve; three at least.
        out: a folder in which each run is kept; the same call with it goes on behind a stopped one.
        protocols: only these, or "equal heads"; empty for all.
        treebank: the folder of UD English EWT, for its fixed offsets (see `known_tables`).
        minutes: begin no run after so many; what is told then rests on the runs that there are. Three of each kind are made in any case.
        progress: called with what is being done.
    Raises: ClaimError for fewer than three runs, a protocol that has no cases, or a folder that other code, libraries or weights began.

    Example:
        >>> calibrate(runs=3, protocols=("head_relation",)).nulls()[0]["supported"]  # doctest: +SKIP
        0
    """
    if runs < FEWEST:
        raise ClaimError(f"{runs} runs came; expected {FEWEST} at least, and 200 for a rate that says something")
    tables = tuple(known_tables(treebank))
    kept, tell = _Kept(None if out is None else Path(out)), progress or (lambda what: None)
    jobs, ends = list(_jobs(runs, protocols)), time.monotonic() + 60 * minutes
    for number, (part, name, seed, work) in enumerate(jobs, 1):
        if not kept.has(part, name, seed) and (seed < FEWEST or time.monotonic() < ends):
            tell(f"{number} of {len(jobs)}: {name}, seed {seed}")
            kept.add({"part": part, "name": name, "seed": seed, **work()})
    rows = tuple(kept.rows[part, name, seed] for part, name, seed, _ in jobs if kept.has(part, name, seed))
    return Calibrated(runs=runs, rows=rows, tables=tables)


def _jobs(runs: int, protocols: tuple[str, ...]) -> Iterator[Job]:
    """The first few runs of every kind, and then all kinds at one pace: one that is stopped half-way has half of the runs of each."""
    known = {one.protocol for one in (*NULLS, *planted())} | {EQUALS}
    if unknown := sorted(set(protocols) - known):
        raise ClaimError(f"protocols {', '.join(unknown)} came; expected some of: {', '.join(sorted(known))}")
    wanted, fewer = set(protocols) or known, max(FEWEST, runs // FEWER)
    queues = [_queue("null", one, _share_of(one, NULLS, runs)) for one in NULLS if one.protocol in wanted]
    queues += [_queue("planted", one, max(FEWEST, fewer * one.weight // 2)) for one in planted() if one.protocol in wanted]
    for gain in GAINS if EQUALS in wanted else ():
        n = fewer if gain else runs
        queues.append([("equals", f"gain {gain:g}", seed, partial(_equals, seed, gain)) for seed in range(n)])
    paced = [((turn >= FEWEST, (turn + 0.5) / len(queue)), job) for queue in queues for turn, job in enumerate(queue)]
    yield from (job for _, job in sorted(paced, key=lambda one: one[0]))


def _share_of(one: Known, kinds: Sequence[Known], runs: int) -> int:
    """Its share of a protocol's runs."""
    weights = sum(other.weight for other in kinds if other.protocol == one.protocol)
    return max(FEWEST, ceil(runs * one.weight / weights))


def _queue(part: str, one: Known, n: int) -> list[Job]:
    return [(part, one.name, seed, partial(_judged, one, seed)) for seed in range(n)]


def _judged(one: Known, seed: int) -> Row:
    """What the judge says of a case, and the evidence of which it says it."""
    case = one.make(seed)
    verdict = judge(case.claim, case.model, case.data, seed=seed)
    return {
        "protocol": one.protocol,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "p": [evidence.p_adjusted for evidence in verdict.evidence],
        "ties": [evidence.p_ties for evidence in verdict.evidence],
        "share": [evidence.effect / (evidence.smallest_effect or 1) for evidence in verdict.evidence],
        "exchangeable": list(one.exchangeable),
    }


def _equals(seed: int, gain: float) -> Row:
    return {"protocol": EQUALS, "gain": gain, **asdict(of_equals(seed, gain))}


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
