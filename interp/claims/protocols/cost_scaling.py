"""How does the cost of a forward pass grow? In operations, counted exactly, or in seconds, timed over and over.

Design. One size is doubled a few times, all others staying: the number of tokens on the model at hand; d_model, n_heads (at fixed d_model),
d_head (at fixed d_model), d_ff or n_layers on decoders of GPT-2's shape (`models.transformer`) that are built for it, since the model at
hand has only one of each. With d_model the FFN grows as 4 d_model, and the heads, whose number stays, grow wider.

`flops` (see `flops`): exact. Either an exponent is claimed, that of one part by a log-log fit over the sizes, within `tolerance`; or a
statement over the counts, "ffn_flops == 4 * n_layers * n_tokens * d_model * d_ff", that must be true at every size.
    Controls. Positive: products of known size are counted exactly, fused attention among them; each part of each sublayer took some, and
    all parts and the unembedding together make up the pass. Null: on a decoder of GPT-2's shape, counts that are known to grow with the
    tokens by another power (scores 2, projections 1) do not fit the claimed exponent too; numbers drawn at random do not make the
    statement true every time.
`seconds`: sampled. Passes of all sizes are timed in turn (see `timings`), a round is one observation, its log-log slope the effect; whether
it reaches `smallest_exponent`, which the claim sets and gives a source for, is decided as of any sampled effect, from the cluster bootstrap
over rounds: a noisy machine gives "inconclusive". That time does *not* grow is supported where the upper bound is below it, and refuted
where growth is supported.
    Controls. Positive: one product done 1, 2, 4, 8 times must grow. Null: the same pass timed under each name must not.

Assumptions. Operations: products of matrices only, a causal mask saves nothing. Seconds: of this machine, at these sizes, one pass at a
time; rounds are independent of each other. They differ from run to run, and so do the bytes of such a verdict.
What it does not tell: memory, the backward pass, caches of keys and values, other machines. A mixture of experts is refused for its tokens:
the counter does not see the products inside it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator, model_validator

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, sampled_evidence
from interp.claims.protocols.parts.exact import can_be_false, exact_evidence
from interp.claims.protocols.parts.expression import Expression, Quantity
from interp.claims.protocols.parts.flops import LOST, PARTS, counted_flops, miscounted
from interp.claims.protocols.parts.timings import REPEATS, Work, exponents, interleaved_s
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide, decide_exact, passes
from interp.claims.verdict import Badges, Control, Evidence, Outcome
from interp.core.errors import ClaimError
from interp.models.model import BUILDING, Model, instrument
from interp.models.transformer import DecoderConfig, DecoderForCausalLM
from interp.texts.controls import random_token_rows

SIZES = ("n_tokens", "d_model", "n_heads", "d_head", "d_ff", "n_layers")
# Where nothing else is varied: small enough to build at once, large enough that a pass is mostly products.
BASE = {"n_tokens": 64, "d_model": 256, "n_heads": 8, "n_layers": 2}
SWEEPS: dict[str, tuple[int, ...]] = {
    "d_model": (64, 128, 256, 512),
    "n_heads": (2, 4, 8, 16),
    "d_head": (8, 16, 32, 64),
    "d_ff": (256, 512, 1024, 2048),
}
SWEEPS |= {"n_layers": (1, 2, 4)}
TIMES = (1, 2, 4, 8)
MOST_TOKENS = 512
# How counts grow with the tokens in any transformer, and where that is measured once more, for the null.
KNOWN_EXPONENTS = {"projection_flops": 1, "score_flops": 2}
KNOWN_AT = (8, 16, 32, 64)


class CostScaling(Parameters):
    """Parameters of "cost_scaling"."""

    protocol: Literal["cost_scaling"]
    measure: Literal["flops", "seconds"]
    against: Literal["n_tokens", "d_model", "n_heads", "d_head", "d_ff", "n_layers"] = Field(description="the size that is doubled")
    of: Literal["score_flops", "projection_flops", "ffn_flops", "total_flops"] = "total_flops"
    exponent: float | None = Field(default=None, description="flops: the exponent that is claimed")
    tolerance: float = Field(default=0.02, gt=0, description="largest error of the exponent")
    statement: str = Field(default="", description="flops: what must be true at every size")
    grows: bool | None = Field(default=None, description="seconds: whether time grows")
    smallest_exponent: float | None = Field(default=None, gt=0, description="seconds: the smallest growth that matters")
    smallest_exponent_source: str = Field(default="", description="seconds: where that comes from")
    rounds: int = Field(default=48, ge=40)

    @field_validator("statement")
    @classmethod
    def _is_said_right(cls, text: str) -> str:
        try:
            if text:
                Expression(text, (*PARTS, *SIZES))
        except ClaimError as error:
            raise ValueError(str(error)) from error
        return text

    @model_validator(mode="after")
    def _says_one_thing(self) -> "CostScaling":
        said = [name for name in ("exponent", "statement", "grows") if getattr(self, name) not in (None, "")]
        expected = "grows" if self.measure == "seconds" else "exponent or statement"
        if len(said) != 1 or said[0] not in expected.split(" or "):
            raise ValueError(f"{' and '.join(said) or 'nothing'} came to say about {self.measure}; expected {expected}, and no other")
        if self.measure == "seconds" and (self.smallest_exponent is None or not self.smallest_exponent_source):
            raise ValueError("seconds need smallest_exponent, the smallest growth that matters, and smallest_exponent_source")
        return self


def _sweep(case: Case[CostScaling]) -> tuple[int, ...]:
    """The sizes, each twice the one before."""
    if case.test.against != "n_tokens":
        return SWEEPS[case.test.against]
    most = min(MOST_TOKENS, case.model.anatomy.n_ctx)
    return tuple(size for size in (most // 8, most // 4, most // 2, most) if size > 0)


def _built(against: str, size: int, like: Model) -> Model:
    """A decoder of GPT-2's shape with one size set; its weights are drawn, and cost what any others would."""
    shape = {**BASE, against: size}
    config = DecoderConfig(
        vocab_size=64,
        hidden_size=shape["d_model"],
        num_hidden_layers=shape["n_layers"],
        num_attention_heads=shape["n_heads"],
        head_dim=shape.get("d_head", shape["d_model"] // shape["n_heads"]),
        intermediate_size=shape.get("d_ff", 4 * shape["d_model"]),
        max_position_embeddings=BASE["n_tokens"],
    )
    with BUILDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf = DecoderForCausalLM(config).eval().to(like.device)
    return instrument(hf, like.tokenizer, name=f"{against} = {size}", lm_head=True)


def _of_sizes(case: Case[CostScaling]) -> list[tuple[Model, int]]:
    """A model and a number of tokens for each size."""
    against = case.test.against
    if against == "n_tokens":
        return [(case.model, size) for size in _sweep(case)]
    return [(_built(against, size, case.model), BASE["n_tokens"]) for size in _sweep(case)]


def run(case: Case[CostScaling]) -> Finding:
    """Judge how cost grows."""
    if case.test.against == "n_tokens" and case.model.anatomy.n_experts:
        summary = f"{case.model.name} is a mixture of experts, inside which products are not counted."
        return Finding(outcome="not applicable", reason="out_of_scope", summary=summary, badges=Badges(), evidence=(), controls=())
    return _in_seconds(case) if case.test.measure == "seconds" else _in_flops(case)


def _known(model: Model, n_tokens: int) -> dict[str, Quantity]:
    """Sizes and counts of one pass."""
    a = model.anatomy
    sizes = {"n_tokens": n_tokens, "d_model": a.d_model, "n_heads": a.n_heads, "d_head": a.d_head, "d_ff": a.d_mlp, "n_layers": a.n_layers}
    return {**sizes, **counted_flops(model, n_tokens)}


def _in_flops(case: Case[CostScaling]) -> Finding:
    test, counts = case.test, [_known(*one) for one in _of_sizes(case)]
    evidence, null, found = _statement(case, counts) if test.statement else _exponent(case, counts)
    off = miscounted(case.model.device)
    exact = Control(
        name="a product and fused attention of known size", kind="positive", value=float(off), unit="operations too many or too few",
        passed=off == 0, detail="must be 0",
    )  # fmt: skip
    controls = (exact, *(_nothing_lost(name, counts) for name in LOST), null)
    outcome, reason = decide_exact([evidence], controls)
    rows = {f"{test.against} = {size}": [float(known[part]) for part in PARTS] for size, known in zip(_sweep(case), counts, strict=True)}
    return Finding(
        outcome=outcome, reason=reason, summary=f"{found} {_whose(case)}", badges=Badges(observational=outcome == "supported"),
        evidence=(evidence,), controls=controls, rows=rows,
    )  # fmt: skip


def _nothing_lost(name: str, counts: Sequence[dict[str, Quantity]]) -> Control:
    lost = sum(int(known[name]) for known in counts)
    what, unit = {
        "empty_parts": ("each part of each sublayer takes operations", "parts that take none"),
        "lost_flops": ("all parts, and what stands around the blocks, make up the pass", "operations too many or too few"),
    }[name]
    return Control(name=what, kind="positive", value=float(lost), unit=unit, passed=lost == 0, detail="must be 0, at all sizes")


def _whose(case: Case[CostScaling]) -> str:
    sizes = ", ".join(map(str, _sweep(case)))
    if case.test.against == "n_tokens":
        return f"({case.model.name} on {sizes} tokens.)"
    return f"(Decoders of GPT-2's shape with {case.test.against} {sizes}.)"


def _statement(case: Case[CostScaling], counts: Sequence[dict[str, Quantity]]) -> tuple[Evidence, Control, str]:
    statement = Expression(case.test.statement, (*PARTS, *SIZES))
    rng = np.random.default_rng(case.seed)
    failing = sum(not statement(known) for known in counts)
    evidence = exact_evidence(statement.text, "sizes at which it is false", error=failing, tolerance=0, n=len(counts))
    null = can_be_false(
        "numbers drawn at random in place of the counts", statement,
        lambda: {name: int(np.exp(rng.uniform(0, np.log(1e6)))) for name in (*PARTS, *SIZES)},
    )  # fmt: skip
    sides = "; ".join(" and ".join(f"{side:,.6g}" for side in statement.sides(known)) for known in counts)
    return evidence, null, f"{statement.text}: true at {len(counts) - failing} of {len(counts)} sizes{f' ({sides})' if sides else ''}."


def _exponent(case: Case[CostScaling], counts: Sequence[dict[str, Quantity]]) -> tuple[Evidence, Control, str]:
    test = case.test
    values = np.array([float(known[test.of]) for known in counts])
    if not values.all():
        raise ClaimError(f"{case.id}: {case.model.name} has no {test.of} at some size; expected a part that it has")
    assert test.exponent is not None
    found = float(exponents(values, _sweep(case)))
    name = f"exponent of {test.against} in {test.of}, {found:.4f} rather than {test.exponent:g}"
    evidence = exact_evidence(name, "of the exponent", error=abs(found - test.exponent), tolerance=test.tolerance, n=len(counts))
    null = _other_power(case, test.exponent)
    return evidence, null, f"{test.of} grow as {test.against} to the power {found:.4f}; {test.exponent:g} was claimed."


def _other_power(case: Case[CostScaling], claimed: float) -> Control:
    """Counts whose exponent is known, the nearest that is not the claimed one, held to the same question."""
    known = {part: power for part, power in KNOWN_EXPONENTS.items() if power != round(claimed)}
    part = min(known, key=lambda part: abs(known[part] - claimed))
    decoder = _built("n_layers", BASE["n_layers"], case.model)
    counts = np.array([float(counted_flops(decoder, n_tokens)[part]) for n_tokens in KNOWN_AT])
    off = abs(float(exponents(counts, KNOWN_AT)) - claimed)
    return Control(
        name=f"{part} of a decoder of GPT-2's shape, which grow as n_tokens to the power {known[part]}, error", kind="null", value=off,
        unit="of the exponent", passed=off > case.test.tolerance, detail=f"must be more than {case.test.tolerance:g}",
    )  # fmt: skip


def _in_seconds(case: Case[CostScaling]) -> Finding:
    test, sizes, device = case.test, _sweep(case), case.model.device
    passes_of = [_pass(model, n_tokens, case.seed) for model, n_tokens in _of_sizes(case)]
    same = [passes_of[0]] * len(sizes)
    known = [partial(_repeated, torch.ones(128, 128, device=device), 8 * times) for times in TIMES]
    case.tell(f"timing {test.rounds} rounds")
    taken = interleaved_s([*passes_of, *same, *known], rounds=test.rounds, seed=case.seed, device=device)
    ours, null, planted = np.split(taken, [len(sizes), 2 * len(sizes)], axis=1)
    evidence = _slope(case, f"exponent of {test.against} in seconds", ours, sizes)
    controls = (
        _timed_control(case, "one product done 1, 2, 4, 8 times, exponent", planted, TIMES, "positive"),
        _timed_control(case, "the same pass under each name, exponent", null, sizes, "null"),
    )
    grows, reason = decide([evidence], controls, case.alpha)
    outcome: Outcome = grows if test.grows else {"supported": "refuted", "refuted": "supported"}.get(grows, grows)  # type: ignore[assignment]
    medians = np.median(ours, axis=0)
    told = ", ".join(f"{size}: {median * 1e3:.2f} ms" for size, median in zip(sizes, medians, strict=True))
    summary = (
        f"Seconds grow as {test.against} to the power {evidence.estimate:.2f} (medians of {test.rounds} rounds, {told}). {_whose(case)}"
    )
    rows = {f"{test.against} = {size}": [float(median)] for size, median in zip(sizes, medians, strict=True)}
    badges = Badges(observational=outcome == "supported")
    return Finding(outcome=outcome, reason=reason, summary=summary, badges=badges, evidence=(evidence,), controls=controls, rows=rows)


def _pass(model: Model, n_tokens: int, seed: int) -> Work:
    ids = torch.from_numpy(random_token_rows(1, n_tokens, model.anatomy.d_vocab, seed=seed)).to(model.device)
    return partial(model.run, ids, target=ids if model.anatomy.encoder_decoder else None)


def _repeated(product: torch.Tensor, times: int) -> None:
    for _ in range(times):
        product @ product


def _slope(case: Case[CostScaling], name: str, seconds: np.ndarray, sizes: Sequence[int]) -> Evidence:
    """The exponent over rounds, against no growth. Seconds: axes (round, size)."""
    assert case.test.smallest_exponent is not None
    slopes = exponents(seconds, sizes)[None]
    return sampled_evidence(
        name=name, unit="of the exponent", values=slopes, baseline=np.zeros(slopes.shape[1]), baseline_name="no growth",
        clusters=np.arange(slopes.shape[1]), member=0, smallest_effect=case.test.smallest_exponent, alpha=case.alpha, seed=case.seed,
    )  # fmt: skip


def _timed_control(case: Case[CostScaling], name: str, seconds: np.ndarray, sizes: Sequence[int], kind: Any) -> Control:
    evidence = _slope(case, name, seconds, sizes)
    grew = passes(evidence, case.alpha)
    return Control(name=name, kind=kind, value=evidence.effect, unit="of the exponent", passed=grew if kind == "positive" else not grew)


def _plan(case: Case[CostScaling]) -> Plan:
    test, sizes = case.test, _sweep(case)
    tokens = sum(sizes) if test.against == "n_tokens" else len(sizes) * BASE["n_tokens"]
    if test.measure == "flops":
        step = Step(what=f"passes of {len(sizes)} sizes, counted", tokens=tokens)
        return Plan(steps=(step,), n_items=len(sizes), smallest_effect=test.tolerance, unit="of the exponent")
    assert test.smallest_exponent is not None
    step = Step(what=f"passes of {len(sizes)} sizes and of two controls, timed", tokens=3 * tokens * (1 + test.rounds * REPEATS))
    return sampled_plan(
        steps=(step,),
        clusters=np.arange(test.rounds),
        family=1,
        smallest_effect=test.smallest_exponent,
        unit="of the exponent",
        shares=False,
        alpha=case.alpha,
    )


PROTOCOL = Protocol(
    parameters=CostScaling,
    needs=None,
    requires=(),
    family="one size, doubled; one exponent or one statement",
    controls=(
        "operations: products of known size, counted exactly; parts that make up the pass; counts or numbers that must not fit",
        "seconds: one product repeated, which must grow; the same pass under each name, which must not",
    ),
    why_not=lambda anatomy: "",
    plan=_plan,
    run=run,
    subject=lambda test: "" if test.against == "n_tokens" else "decoders built for it",
)
