"""One call from a claim and a model to a verdict; and to the plan of it, before anything is run."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from interp.claims.claim import Claim
from interp.claims.claim_files import find_claim
from interp.claims.plan import Plan
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.protocol import Case
from interp.claims.shared import Shared
from interp.claims.stages import Stages, open_stages
from interp.claims.tested_on import Data, examples_for
from interp.claims.verdict import Badges, Outcome, Reason, Verdict
from interp.core.errors import ClaimError
from interp.core.provenance import own_source, versions
from interp.models.model import Model
from interp.texts.controls import random_token_rows
from interp.texts.example import Example

Progress = Callable[[str], None]
_TIMED_TOKENS, _TIMED_RUNS = 512, 3


def judge(
    claim: str | Claim,
    model: Model,
    data: Data | None = None,
    *,
    seed: int = 0,
    stages: str | Path | Stages | None = None,
    progress: Progress | None = None,
    shared: Shared | None = None,
) -> Verdict:
    """Test a claim on a model until there is a verdict.

    Args:
        claim: an id of the catalogue ("S4-42"), a YAML file, or a claim (`interp.attends(...)`).
        model: from `interp.load`.
        data: what the claim is tested on: a .conllu treebank or its sentences; for claims about plain text also a .txt file or texts.
        seed: of the split, the resamples and the random tokens.
        stages: folder in which long parts are kept as they are finished; the same call with it again goes on behind them. Or `Stages`.
        progress: called with what is being done.
        shared: what claims of one run share; the second that puts the same question takes its answer from there.
    Returns: the verdict, with everything that decided it; "not applicable" for a model that the claim is not about.
    Raises: ClaimError for an unknown claim, missing data, a relation that the treebank lacks, a folder with the stages of another run;
        CheckFailed when the model failed the self-check that the claim rests on.

    Example:
        >>> import interp
        >>> verdict = interp.judge("S1-01", interp.load())
        >>> verdict.outcome in ("supported", "refuted", "inconclusive"), len(verdict.controls)
        (True, 2)
    """
    claim = claim if isinstance(claim, Claim) else find_claim(claim)
    began = time.perf_counter()
    finding, hashes = _run(claim, model, data, seed, stages, progress or (lambda what: None), shared or Shared())
    return verdict_of(claim, model, finding, hashes, seed=seed, elapsed_s=time.perf_counter() - began)


def verdict_of(claim: Claim, model: Model, finding: Finding, hashes: dict[str, str], *, seed: int, elapsed_s: float) -> Verdict:
    """A protocol's finding with everything that it rests on. Where the claim denies what was tested, see `Claim.denies`."""
    subject, (outcome, reason) = claim.protocol.subject(claim.test), _denied(claim, finding)
    return Verdict(
        claim=claim.model_dump(mode="json"),
        claim_hash=claim.hash,
        design={"family": claim.protocol.family, "controls": "; ".join(claim.protocol.controls)},
        outcome=outcome,
        reason=reason,
        summary=_summary(claim, finding),
        site=finding.site,
        badges=finding.badges,
        evidence=finding.evidence,
        controls=finding.controls,
        model=subject or model.name,
        fingerprint="" if subject else model.fingerprint,
        data={**hashes, **finding.data},
        seed=seed,
        versions=versions(),
        rows=finding.rows,
        elapsed_s=elapsed_s,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


_OPPOSITE: dict[Outcome, Outcome] = {"supported": "refuted", "refuted": "supported"}


def _denied(claim: Claim, finding: Finding) -> tuple[Outcome, Reason]:
    if claim.denies == "by example" and finding.outcome == "refuted":
        return "inconclusive", "no_example"
    return _OPPOSITE.get(finding.outcome, finding.outcome) if claim.denies else finding.outcome, finding.reason


def _summary(claim: Claim, finding: Finding) -> str:
    told = [f"Not testable as worded ({claim.not_as_worded}); this is the nearest form that is." if claim.not_as_worded else ""]
    if claim.denies and finding.outcome in _OPPOSITE:
        told += [f"What the claim says there is not was tested, and is {finding.outcome}."]
    return " ".join(one for one in [*told, finding.summary] if one)


def plan(claim: str | Claim, model: Model, data: Data | None = None, *, seed: int = 0) -> Plan:
    """What `judge` would do with the same arguments: the parts of the run, the items, the power, the seconds that it will take.

    The model is run on a few tokens, to time it; nothing of the claim is looked at.

    Raises: ClaimError as `judge`, and for a model that the claim is not about.

    Example:
        >>> import interp
        >>> interp.plan("S1-01", interp.load()).n_items > 0
        True
    """
    claim = claim if isinstance(claim, Claim) else find_claim(claim)
    outside = claim.why_not(model)
    if outside:
        raise ClaimError(f"{claim.id}: {model.name} {outside}; nothing would be run")
    case, _ = _case(claim, model, data, seed, lambda what: None, Shared())
    found: Plan = claim.protocol.plan(case)
    return replace(found, elapsed_s=found.tokens * _seconds_per_token(model))


def _seconds_per_token(model: Model) -> float:
    n_tokens = min(64, model.anatomy.n_ctx)
    ids = torch.from_numpy(random_token_rows(max(1, _TIMED_TOKENS // n_tokens), n_tokens, model.anatomy.d_vocab, seed=0))
    taken = []
    for _ in range(_TIMED_RUNS):
        began = time.perf_counter()
        model.run(ids, target=ids if model.anatomy.encoder_decoder else None, logits=False)
        taken.append((time.perf_counter() - began) / ids.numel())
    return sorted(taken)[_TIMED_RUNS // 2]


def _run(
    claim: Claim, model: Model, data: Data | None, seed: int, stages: str | Path | Stages | None, tell: Progress, shared: Shared
) -> tuple[Finding, dict[str, str]]:
    if not claim.protocol.subject(claim.test):
        model.require("capture")
    outside = claim.why_not(model)
    if outside:
        return _out_of_scope(f"{model.name} {outside}."), {}
    case, hashes = _case(claim, model, data, seed, tell, shared)
    if isinstance(stages, Stages):
        case = replace(case, stages=stages)
    elif stages is not None:
        run = {"claim": claim.hash, "model": model.fingerprint, "seed": str(seed), "instrument": own_source(), **hashes, **versions()}
        case = replace(case, stages=open_stages(Path(stages), run))
    question = (claim.test.model_dump_json(), claim.alpha, model.fingerprint, case.read, seed)
    finding: Finding = shared.get(question, lambda: claim.protocol.run(case))
    return finding, hashes


def _case(claim: Claim, model: Model, data: Data | None, seed: int, tell: Progress, shared: Shared) -> tuple[Case[Any], dict[str, str]]:
    for feature in claim.protocol.requires:
        model.require(feature)
    examples, hashes = _read(claim, model, data, shared)
    case = Case(
        id=claim.id, test=claim.test, alpha=claim.alpha, model=model, examples=examples, seed=seed, tell=tell, stages=Stages(),
        shared=shared, read=json.dumps(hashes, sort_keys=True),
    )  # fmt: skip
    return case, hashes


def _read(claim: Claim, model: Model, data: Data | None, shared: Shared) -> tuple[list[Example], dict[str, str]]:
    """What the claim is tested on; the same for all that need the same of one file."""
    if claim.needs is None or not isinstance(data, str | Path):
        return examples_for(claim, model, data)
    return shared.get(("read", str(data), claim.needs, model.fingerprint), lambda: examples_for(claim, model, data))


def _out_of_scope(summary: str) -> Finding:
    return Finding(outcome="not applicable", reason="out_of_scope", summary=summary, badges=Badges(), evidence=(), controls=())
