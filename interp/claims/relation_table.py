"""Every relation of a treebank at once: which head, which direction, how much better than the best fixed offset, and the verdict on each.

The protocol is that of one relation (`protocols.relation`): its own selection and confirmation, stand-ins and controls. The model and its
untrained twins are run once for all of them, and what is looked at together is wider: p-values are adjusted by max-T over every relation,
head and direction, with signs flipped by document, so that the best of the whole table is held to what the best would reach by luck.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import verdict_of
from interp.claims.own import MARGIN, MARGIN_SOURCE
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.looked_at import look
from interp.claims.protocols.parts.relation_items import having
from interp.claims.protocols.parts.trial import Comparison, Trial
from interp.claims.protocols.protocol import Case, needs_attention
from interp.claims.protocols.relation import HeadRelation, Seen, found_on, setup_of, try_out
from interp.claims.stages import Stages
from interp.claims.tested_on import Data, examples_for
from interp.claims.verdict import Evidence, Verdict
from interp.core.errors import ClaimError
from interp.models.model import Model
from interp.stats.intervals import cluster_sums
from interp.stats.permutation import sign_flip_max_t
from interp.texts.example import Example

# The relations of the house's reference table for English, most frequent first.
RELATIONS = ("nsubj", "case", "det", "advmod", "amod", "obj", "compound", "aux", "mark", "cop", "ccomp")
TWINS = 5  # untrained ones, without which nothing is supported


@dataclass(frozen=True, kw_only=True)
class RelationTable:
    """A verdict for each relation.

    Attributes:
        verdicts: in the order that was asked for; each is whole, and prints and saves by itself.
        elapsed_s: seconds for all of them together.
    """

    verdicts: tuple[Verdict, ...]
    elapsed_s: float

    def __getitem__(self, relation: str) -> Verdict:
        """The verdict on one relation. Raises: KeyError for one that is not in the table."""
        return {_relation(verdict): verdict for verdict in self.verdicts}[relation]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each relation: site, direction, accuracy on the confirmation half, baseline, gain with its interval, p, verdict."""
        return [_row(verdict) for verdict in self.verdicts]

    def to_json(self) -> str:
        """All verdicts, as `Verdict.to_json` writes each."""
        return json.dumps([json.loads(verdict.to_json()) for verdict in self.verdicts], indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        """The table, a line for each relation."""
        numbers = f"{'accuracy':>8} {'offset':>8} {'gain':>6}  {'95 % interval':16} {'p':>7} {'n':>5}"
        head = f"{'relation':10} {'head':7} {'from':9} {numbers}  verdict"
        return "\n".join([head, *(_line(row) for row in self.rows())])


def relations(
    model: Model,
    treebank: Data,
    *,
    names: Sequence[str] = RELATIONS,
    n_untrained: int = TWINS,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> RelationTable:
    """Which head points from one end of each relation to the other?

    Args:
        model: from `interp.load`; a decoder or an encoder.
        treebank: a .conllu file, or its sentences.
        names: Universal Dependencies relations, subtypes included.
        n_untrained: untrained twins. With fewer than 5 nothing is supported: the verdict says "null_not_run".
        seed: of the split and the resamples.
        progress: called with what is being done.
    Raises: ClaimError for a model without attention, a relation that the treebank lacks, or no name.

    Example:
        >>> import interp
        >>> interp.relations(interp.load(), "en_ewt-ud-test.conllu")["obj"].outcome  # doctest: +SKIP
        'supported'
    """
    began = time.perf_counter()
    if not names:
        raise ClaimError("no relation came; expected names such as 'obj'")
    outside = needs_attention(model.anatomy)
    if outside:
        raise ClaimError(f"{model.name} {outside}; expected a model whose heads can be looked at")
    model.require("patterns")
    claims = [_claim(name, n_untrained) for name in names]
    examples, hashes = examples_for(claims[0], model, treebank)
    for name in names:
        having(examples, name)
    seen = _look(model, claims, examples, n_untrained, seed, progress or (lambda what: None))
    findings = _findings(seen)
    elapsed_s = time.perf_counter() - began
    verdicts = (
        _of_the_table(verdict_of(claim, model, finding, hashes, seed=seed, elapsed_s=elapsed_s / len(claims)))
        for claim, finding in zip(claims, findings, strict=True)
    )
    return RelationTable(verdicts=tuple(verdicts), elapsed_s=elapsed_s)


def _of_the_table(verdict: Verdict) -> Verdict:
    """The family is wider than that of the claim alone."""
    return replace(verdict, design={**verdict.design, "family": "every relation of the table, head and direction"})


def _claim(name: str, n_untrained: int) -> Claim:
    test = {"protocol": "head_relation", "relation": name, "margin": MARGIN, "margin_source": MARGIN_SOURCE}
    fields = {
        "id": f"relation:{name}",
        "statement": f"Some head links the two ends of {name}, better than the best fixed offset.",
        "kind": ["obs"],
        "quantifier": "some",
        "scope": "every transformer with self-attention, on the language of the treebank",
        "test": {**test, "n_untrained": max(TWINS, n_untrained)},
        "does_not_show": "that the model uses this head, nor that it reads syntax rather than something that goes with it.",
    }
    return parse_claim(fields, f"relations(names=[{name!r}])")


def _look(
    model: Model, claims: list[Claim], examples: list[Example], n_untrained: int, seed: int, tell: Callable[[str], None]
) -> list[Seen]:
    cases = [
        Case[HeadRelation](
            id=claim.id, test=_test(claim), alpha=claim.alpha, model=model, examples=examples, seed=seed, tell=tell, stages=Stages()
        )
        for claim in claims
    ]
    looked, twins = look(cases[0], None), [look(cases[0], number) for number in range(n_untrained)]
    return [Seen(setup=setup_of(case, families=len(cases)), examples=examples, looked=looked, twins=twins) for case in cases]


def _test(claim: Claim) -> HeadRelation:
    assert isinstance(claim.test, HeadRelation)
    return claim.test


def _findings(seen: list[Seen]) -> list[Finding]:
    trials = [try_out(one, one.looked) for one in seen]
    kinds = range(len(trials[0].comparisons))
    adjusted = [_adjusted([trial.comparisons[kind] for trial in trials], trials, seen[0].setup.seed) for kind in kinds]
    found = []
    for number, (one, trial) in enumerate(zip(seen, trials, strict=True)):
        evidence = tuple(_with_p(trial.evidence[kind], adjusted[kind][number]) for kind in kinds)
        found.append(_without_nulls(found_on(one, trial, evidence), one))
    return found


def _adjusted(comparisons: list[Comparison], trials: list[Trial], seed: int) -> list[float]:
    """The p of each trial's selected member, over all members of all trials; clusters are the documents of all of them."""
    documents = np.unique(np.concatenate([one.documents for one in comparisons]))
    sums = np.concatenate([_sums(one, documents) for one in comparisons])
    starts = np.cumsum([0, *(len(one.differences) for one in comparisons)])
    flips = sign_flip_max_t(sums, seed=seed)
    return [float(flips.p_adjusted[start + trial.member]) for start, trial in zip(starts, trials, strict=False)]


def _sums(one: Comparison, documents: np.ndarray) -> np.ndarray:
    """Summed differences by member and document; 0 where a document has no pair. Axes: (member, document)."""
    sums = np.zeros((len(one.differences), len(documents)))
    sums[:, np.isin(documents, one.documents)] = np.stack([cluster_sums(row, one.documents)[0] for row in one.differences])
    return sums


def _with_p(evidence: Evidence, p: float) -> Evidence:
    return replace(evidence, p_adjusted=p, p_ties=None)


def _without_nulls(finding: Finding, seen: Seen) -> Finding:
    """A claim is not supported while its null controls were left out."""
    if finding.outcome == "supported" and len(seen.twins) < TWINS:
        return replace(finding, outcome="inconclusive", reason="null_not_run")
    return finding


def _relation(verdict: Verdict) -> str:
    return str(verdict.claim["test"]["relation"])


def _row(verdict: Verdict) -> dict[str, Any]:
    first = verdict.evidence[0]
    return {
        "relation": _relation(verdict),
        "head": verdict.site,
        "from": "dependent" if first.name == f"{_relation(verdict)} from the dependent, {verdict.site}" else "head",
        "accuracy": first.estimate,
        "baseline": first.baseline,
        "baseline_name": first.baseline_name,
        "gain": first.effect,
        "low": first.low,
        "high": first.high,
        "p_adjusted": first.p_adjusted,
        "n_items": first.n_items,
        "n_clusters": first.n_clusters,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
    }


def _line(row: dict[str, Any]) -> str:
    interval = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
    verdict = row["outcome"] + (f" ({row['reason']})" if row["reason"] else "")
    return (
        f"{row['relation']:10} {row['head']:7} {row['from']:9} {row['accuracy']:8.1%} {row['baseline']:8.1%} {row['gain']:+6.3f}  "
        f"{interval:16} {row['p_adjusted']:7.2g} {row['n_items']:5}  {verdict}"
    )
