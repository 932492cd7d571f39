"""Is there a head that looks at a fixed place: the previous token, or the next?

Design. Texts are split by document (a text that names none is one) into a selection and a confirmation half. On the first, the head and
direction with the largest mean weight on that place are chosen; on the second that one choice is tested. Unit: the document. Baseline: the
largest of what uniform attention would give and what the best head of an untrained twin gives, text by text. The smallest effect of
interest: the mean weight that the claim names (half of the attention in Clark et al. 2019), and no less than its margin above the baseline.
p-values are adjusted by max-T over every head and direction. "By position alone": the same head must also reach that weight on random
tokens (in the frame of special tokens that the model is used to), where nothing but position is left, against uniform attention.

Refuting "there is such a head" needs the whole family: the upper bound is that of the best head on the confirmation half, at a level
shared by the family (Bonferroni), not that of the selected one.

Controls. Null: untrained twins, each with its own selection, must not pass the same rule. Positive: a planted head that looks
exactly there must be seen by the same statistic.
Where the claim says `lost_nats`, the head is switched off as well (`without_head`), which decides the badge "causal" alone.
What it does not tell: what the model uses the head for.
"""

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from interp.captures.corpus.heads import HeadMeansByText
from interp.captures.corpus.pattern_statistics import PatternStatistics
from interp.captures.corpus.stream import stream
from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, best_upper, halves, sampled_evidence
from interp.claims.protocols.parts.without_head import LOST_NATS, and_switched_off, by_order, with_its_step
from interp.claims.protocols.protocol import Case, Parameters, Protocol, needs_attention
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence
from interp.core.errors import ClaimError
from interp.core.sites import head_site
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.texts.controls import random_token_rows
from interp.texts.example import Example

NAMES = {-1: "previous", 1: "next"}
RANDOM_TOKENS = 64
PIECES = 2  # on the texts, and on random tokens


class PositionalHead(Parameters):
    """Parameters of "positional_head"."""

    protocol: Literal["positional_head"]
    offset: Literal[-1, 1] | None = Field(default=None, description="None: the direction is selected with the head")
    at_least: float = Field(gt=0, lt=1, description="smallest mean weight that makes a head positional")
    at_least_source: str
    margin: float = Field(gt=0, lt=1, description="smallest difference from the best untrained head that matters")
    n_untrained: int = Field(default=5, ge=5)
    n_random_texts: int = Field(default=128, ge=40)
    lost_nats: float | None = LOST_NATS


@dataclass(frozen=True, kw_only=True)
class _Weights:
    """Mean weight by text. `values`: (member, text), members being offset x layer x head; `names` says which."""

    values: np.ndarray
    names: list[tuple[int, str]]


def _read(case: Case[PositionalHead]) -> tuple[list[Example], np.ndarray, list[int]]:
    """The examples that are long enough, each one's cluster, and the offsets to look at."""
    examples = [example for example in case.examples if len(example) >= 3]
    if not examples:
        raise ClaimError(f"{case.id}: no text has three tokens; expected some that have")
    clusters = np.array([example.document or example.name or str(number) for number, example in enumerate(examples)])
    offsets: list[int] = [case.test.offset] if case.test.offset else [-1] if case.model.anatomy.causal else [-1, 1]
    return examples, clusters, offsets


def _plan(case: Case[PositionalHead]) -> Plan:
    examples, clusters, offsets = _read(case)
    tokens, anatomy = sum(map(len, examples)), case.model.anatomy
    drawn = case.test.n_random_texts * min(RANDOM_TOKENS, anatomy.n_ctx)
    steps = (
        Step(what="the model on the texts", tokens=tokens),
        Step(what=f"{case.test.n_untrained} untrained twins", tokens=case.test.n_untrained * tokens),
        Step(what="the model on random tokens", tokens=drawn),
    )
    confirm = halves(clusters, case.seed)[1]
    told = sampled_plan(
        steps=steps,
        clusters=clusters[confirm],
        family=len(offsets) * anatomy.n_layers * anatomy.n_heads,
        smallest_effect=case.test.margin,
        unit="probability",
        alpha=case.alpha,
    )
    return with_its_step(case, told, case.test.lost_nats)


def run(case: Case[PositionalHead]) -> Finding:
    """Judge "there is a head that looks at a fixed place" on annotated or plain examples."""
    test, model, seed, alpha = case.test, case.model, case.seed, case.alpha
    examples, clusters, offsets = _read(case)
    choose, confirm = halves(clusters, seed)
    case.tell(f"{model.name}: {len(examples)} texts")
    ours = _weights(model, examples, offsets)
    twins = [_twin_weights(case, examples, offsets, number) for number in range(test.n_untrained)]
    bests = np.stack([twin.values[_select(twin, choose)] for twin in twins] + [_uniform(examples, model.anatomy.causal)])
    strongest = bests[bests[:, choose].mean(1).argmax()]
    member = _select(ours, choose)
    offset, site = ours.names[member]
    evidence = _evidence(test, alpha, ours, member, strongest, confirm, clusters, seed)
    case.tell("random tokens")
    without_content = _on_random_tokens(test, alpha, model, examples[0], ours, member, seed)
    controls = _controls(test, alpha, twins, choose, confirm, clusters, offset, seed)
    outcome, reason = decide([evidence, without_content], controls, alpha)
    summary = (
        f"{site} puts {evidence.estimate:.3f} of its weight on the {NAMES[offset]} token, {without_content.estimate:.3f} on random tokens; "
        f"it was chosen on the other half of the texts."
    )
    badges = Badges(observational=outcome == "supported")
    rows = {
        name: ours.values[i, confirm].mean(keepdims=True).tolist() for i, (_, name) in enumerate(ours.names) if ours.names[i][0] == offset
    }
    finding = Finding(
        outcome=outcome, reason=reason, summary=summary, site=site, badges=badges, evidence=(evidence, without_content),
        controls=tuple(controls), rows=rows,
    )  # fmt: skip
    if test.lost_nats is None:
        return finding
    return and_switched_off(case, finding, test.lost_nats, lambda: by_order(case, examples, clusters, confirm))


def _weights(model: Model, examples: list[Example], offsets: list[int]) -> _Weights:
    statistics = tuple(NAMES[offset] for offset in offsets)
    found = stream(model, examples, [HeadMeansByText(statistics)])
    by_text = [found[NAMES[offset]].values.astype(np.float64) for offset in offsets]
    return _Weights(values=np.concatenate([one.reshape(len(one), -1).T for one in by_text]), names=_names(model, offsets))


def _names(model: Model, offsets: list[int]) -> list[tuple[int, str]]:
    layers, heads = range(model.anatomy.n_layers), range(model.anatomy.n_heads)
    return [(offset, head_site(layer, head)) for offset in offsets for layer in layers for head in heads]


def _twin_weights(case: Case[PositionalHead], examples: list[Example], offsets: list[int], number: int) -> _Weights:
    def weights() -> dict[str, np.ndarray]:
        case.tell(f"untrained twin {number + 1}")
        return {"values": _weights(case.twin(number), examples, offsets).values}

    return _Weights(values=case.stages.get(f"untrained twin {number}", weights)["values"], names=_names(case.model, offsets))


def _select(weights: _Weights, choose: np.ndarray) -> int:
    return int(weights.values[:, choose].mean(1).argmax())


def _uniform(examples: list[Example], causal: bool) -> np.ndarray:
    """What attention spread evenly over the visible keys puts on any one of them, by text."""
    if not causal:
        return np.array([1 / len(example) for example in examples])
    return np.array([(1 / np.arange(2, len(example) + 1)).mean() for example in examples])


def _evidence(
    test: PositionalHead,
    alpha: float,
    weights: _Weights,
    member: int,
    strongest: np.ndarray,
    confirm: np.ndarray,
    clusters: np.ndarray,
    seed: int,
    *,
    where: str = "",
    baseline_name: str = "strongest of uniform and untrained",
) -> Evidence:
    """The member's weight on the confirmation half. "Below `at_least`" is said of the weight itself, so its own bound counts too."""
    baseline, values = strongest[confirm], weights.values[:, confirm]
    evidence = sampled_evidence(
        name=f"weight on the {NAMES[weights.names[member][0]]} token, {weights.names[member][1]}{where}",
        unit="probability",
        values=values,
        baseline=baseline,
        baseline_name=baseline_name,
        clusters=clusters[confirm],
        member=member,
        smallest_effect=max(test.margin, test.at_least - float(baseline.mean())),
        alpha=alpha,
        seed=seed,
        highest=1.0,
        pieces=PIECES,
    )
    bound = best_upper(values, clusters[confirm], alpha=alpha / PIECES) - float(baseline.mean())
    return replace(evidence, upper=max(bound, evidence.upper))


def _controls(
    test: PositionalHead,
    alpha: float,
    twins: list[_Weights],
    choose: np.ndarray,
    confirm: np.ndarray,
    clusters: np.ndarray,
    offset: int,
    seed: int,
) -> list[Control]:
    nulls = []
    for number, twin in enumerate(twins):
        others = [other.values[_select(other, choose)] for place, other in enumerate(twins) if place != number]
        strongest = others[int(np.argmax([other[choose].mean() for other in others]))]
        evidence = _evidence(test, alpha, twin, _select(twin, choose), strongest, confirm, clusters, seed)
        passed = not passes(evidence, alpha)
        nulls.append(Control(name=f"untrained twin {number}", kind="null", value=evidence.estimate, unit="probability", passed=passed))
    planted = _planted(offset)
    return [*nulls, Control(name="planted head", kind="positive", value=planted, unit="probability", passed=planted >= 0.99)]


def _planted(offset: int, n: int = 24) -> float:
    """What the statistic says of a head whose queries are the keys at `offset`: 1, but for rounding."""
    keys = torch.eye(n) * 12.0
    call = AttentionCall(keys.roll(-offset, 0)[None, None], keys[None, None], torch.eye(n)[None, None], None, 1.0, causal=False)
    return float(PatternStatistics(call, torch.arange(n)[None], torch.eye(n)[None]).at_offset(offset).nanmean())


def _on_random_tokens(
    test: PositionalHead, alpha: float, model: Model, frame: Example, weights: _Weights, member: int, seed: int
) -> Evidence:
    """The same member, without any content. `frame`: a text whose leading and closing special tokens are put around the random ones."""
    before = sum(1 for _ in takewhile(bool, frame.special))
    after = sum(1 for _ in takewhile(bool, reversed(frame.special)))
    n_tokens = min(RANDOM_TOKENS, model.anatomy.n_ctx - before - after)
    special = tuple(number for number in model.tokenizer.all_special_ids if number < model.anatomy.d_vocab)
    rows = random_token_rows(test.n_random_texts, n_tokens, model.anatomy.d_vocab, seed=seed, forbidden=special)
    examples = [_bare((*frame.ids[:before], *row, *frame.ids[len(frame) - after :])) for row in rows.tolist()]
    offsets = list(dict.fromkeys(offset for offset, _ in weights.names))
    everything, clusters = np.ones(len(examples), dtype=bool), np.arange(len(examples))
    return _evidence(
        test, alpha, _weights(model, examples, offsets), member, _uniform(examples, model.anatomy.causal), everything, clusters, seed,
        where=", on random tokens", baseline_name="uniform",
    )  # fmt: skip


def _bare(ids: tuple[int, ...]) -> Example:
    n = len(ids)
    return Example(text="", ids=ids, tokens=("",) * n, spans=((0, 0),) * n, special=(False,) * n)


PROTOCOL = Protocol(
    parameters=PositionalHead,
    needs="texts",
    requires=("patterns",),
    family="every head and direction",
    controls=("untrained twins", "a planted head that looks exactly there"),
    why_not=needs_attention,
    plan=_plan,
    run=run,
)
