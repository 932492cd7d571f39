"""Each number that the instrument shows rests on something that can be checked on the model itself.

A short text of the model's own vocabulary is run through the instrument and through the plain transformers model (the same weights,
eager attention, no hooks of ours). What must hold:

    output        the instrument's logits, watched or not, are the plain model's
    patterns      they are the plain model's eager patterns; rows sum to 1; what is masked is 0
    stream        what is written adds up to the stream, by head and in total (`captures.rebuild`)
    fused         statistics from the fused kernel are those of the pattern
    contributions they add up to the logit
    ablation      switching a head off changes the output
    padding       a padded row gives what it gives alone

A check that fails, or breaks, disables what rests on it, by name.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from interp.captures.activations import Activations
from interp.captures.fused import FUSED, Fused
from interp.captures.prompt import capture
from interp.captures.rebuild import worst
from interp.checks.report import Finding, Report
from interp.interventions.ablate import ablate
from interp.measures.head_statistics import HEAD_STATISTICS
from interp.models.attention import AttentionCall
from interp.models.model import Model, plain_copy
from interp.models.points import Point, watching
from interp.models.watch import Keep
from interp.texts.example import Example

Hooked = TypeVar("Hooked", bound=torch.nn.Module)

N_TOKENS = 12
FLOAT32 = 1e-5  # rounding of a few hundred float32 operations, relative to the size of the numbers
EVERYTHING = ("capture", "patterns", "neurons", "stream", "contributions", "ablation")


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """What the checks share: the model, a text, the plain model's answer, and the instrument's."""

    model: Model
    ids: torch.Tensor
    plain: torch.Tensor
    eager: tuple[torch.Tensor, ...]
    seen: Activations


def tolerance_for(model: Model) -> float:
    """1e-5 in float32; in half precision what its own rounding allows."""
    return max(FLOAT32, 8 * torch.finfo(next(model.hf.parameters()).dtype).eps)


def check(model: Model) -> Report:
    """Check the instrument on `model`.

    Returns: a report with a figure and a tolerance for each check. `with_checks` makes a model that refuses what failed.

    Example:
        >>> from interp.models.load import load_model
        >>> check(load_model()).passed
        True
    """
    began = time.perf_counter()
    findings = tuple(_findings(model))
    return Report(model=model.name, fingerprint=model.fingerprint, findings=findings, elapsed_s=time.perf_counter() - began)


def with_checks(model: Model) -> Model:
    """The model, refusing by name whatever its self-check disabled."""
    return replace(model, disabled={**_never_there(model), **check(model).disabled})


def _never_there(model: Model) -> dict[str, str]:
    if model.anatomy.linear_readout:
        return {}
    if not model.anatomy.lm_head:
        return {"contributions": "the checkpoint has no trained token-predicting head, so its logits would mean nothing"}
    return {
        "contributions": "its head is not linear in the stream (post-norm, or a head of several layers), so contributions do not add up"
    }


def _findings(model: Model) -> list[Finding]:
    try:
        bench = _bench(model)
    except Exception as error:
        return [Finding(name="run", value=None, tolerance=0.0, unit="", features=EVERYTHING, problem=f"{type(error).__name__}: {error}")]
    return [_measured(bench, one) for one in CHECKS if one.applies(model)]


@torch.no_grad()
def _bench(model: Model) -> _Bench:
    generator = torch.Generator().manual_seed(0)
    n = min(N_TOKENS, model.anatomy.n_ctx)
    ids = torch.randint(0, model.anatomy.d_vocab, (1, n), generator=generator)
    pad = model.hf.config.pad_token_id
    ids = torch.where(ids == pad, (ids + 1) % model.anatomy.d_vocab, ids) if pad is not None else ids
    # RoBERTa's positions skip padding tokens, so none may stand in the text by chance.
    plain = _without_any_hook(plain_copy(model.hf))
    plain.set_attn_implementation("eager")
    extra = {"use_cache": False} if model.anatomy.causal else {}
    body = plain if model.anatomy.lm_head else plain.base_model
    answer = body(input_ids=ids.to(model.device), output_attentions=True, **extra)
    example = Example(text="", ids=tuple(ids[0].tolist()), tokens=tuple("?" * n), spans=tuple([(0, 0)] * n), special=tuple([False] * n))
    seen = capture(replace(model, disabled={}), example)
    logits = answer.logits if hasattr(answer, "logits") else answer.last_hidden_state
    return _Bench(model=model, ids=ids.to(model.device), plain=logits, eager=answer.attentions, seen=seen)


def _without_any_hook(hf: Hooked) -> Hooked:
    """A user's hooks go as well: the instrument is held against what the weights alone compute."""
    for module in hf.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return hf


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check: what it measures, and what is disabled when it fails."""

    name: str
    unit: str
    features: tuple[str, ...]
    measure: Callable[[_Bench], float]
    tolerance: Callable[[Model], float] = tolerance_for
    applies: Callable[[Model], bool] = lambda model: True


def _measured(bench: _Bench, one: Check) -> Finding:
    about = {"name": one.name, "tolerance": one.tolerance(bench.model), "unit": one.unit, "features": one.features}
    try:
        return Finding(value=float(one.measure(bench)), **about)  # type: ignore[arg-type]
    except Exception as error:
        return Finding(value=None, problem=f"{type(error).__name__}: {error}", **about)  # type: ignore[arg-type]


def _difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max().clamp_min(1.0)).item()


def _output(bench: _Bench) -> float:
    quiet = bench.model.run(bench.ids)
    with watching(Keep(bench.model, ["pattern"])):
        watched = bench.model.run(bench.ids)
    return worst([_difference(quiet, bench.plain), _difference(watched, bench.plain)])


def _patterns(bench: _Bench) -> float:
    ours = [bench.seen.tensor("pattern", layer)[None] for layer in range(bench.model.anatomy.n_layers)]
    return worst(_difference(a, b) for a, b in zip(ours, bench.eager, strict=True))


def _rows(bench: _Bench) -> float:
    sums = [bench.seen.tensor("pattern", layer).sum(-1) for layer in range(bench.model.anatomy.n_layers)]
    return worst((row - 1).abs().max().item() for row in sums)


def _masked(bench: _Bench) -> float:
    n = bench.ids.shape[1]
    ahead = torch.ones(n, n, dtype=torch.bool, device=bench.ids.device).triu(1)
    return worst(bench.seen.tensor("pattern", layer)[:, ahead].abs().max().item() for layer in range(bench.model.anatomy.n_layers))


def _stream(bench: _Bench) -> float:
    error = bench.seen.reconstruction_error
    return float("nan") if error is None else error


class _Compare:
    """A watcher that takes each statistic both ways and keeps the largest difference."""

    kinds = frozenset({"pattern"})

    def __init__(self, bench: _Bench):
        self.bench, self.worst = bench, 0.0

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        return None

    def attend(self, point: Point, call: AttentionCall) -> None:
        fused = Fused(call, self.bench.ids, self.bench.model.W_O(point.layer))
        pattern = call.pattern()
        for name, statistic in HEAD_STATISTICS.items():
            naive, ours = statistic.of(pattern, self.bench.ids, fused.norms), FUSED[name](fused)
            if not torch.equal(naive.isnan(), ours.isnan()):
                self.worst = math.inf  # nan says "no such query": both must say it of the same ones
                continue
            scale = max(1.0, naive.nan_to_num(0.0).abs().max().item(), fused.lse.abs().max().item())
            self.worst = worst([self.worst, (ours - naive).nan_to_num(0.0).abs().max().item() / scale])


def _fused(bench: _Bench) -> float:
    compare = _Compare(bench)
    with watching(compare):
        bench.model.run(bench.ids, logits=False)
    return compare.worst


def _contributions(bench: _Bench) -> float:
    from interp.captures.components import contributions_toward

    values, _, logit = contributions_toward(bench.seen, int(bench.ids[0, 0]), bench.ids.shape[1] - 1, None)
    return abs(float(values.double().sum()) - logit) / max(1.0, abs(logit), float(values.abs().max()))


def _ablation(bench: _Bench) -> float:
    """0 when zeroing all heads of a layer changes the output, in every layer; 1 when it does not somewhere."""
    free = replace(bench.model, disabled={})
    for layer in range(free.anatomy.n_layers):
        heads = [f"L{layer}H{head}" for head in range(free.anatomy.n_heads)]
        with ablate(free, heads, how="zero"):
            after = free.run(bench.ids)
        if torch.equal(after, bench.plain) or _difference(after, bench.plain) <= tolerance_for(free):
            return 1.0
    return 0.0


def _padding(bench: _Bench) -> float:
    ids = torch.nn.functional.pad(bench.ids, (0, 3), value=bench.model.hf.config.pad_token_id or 0)
    n = bench.ids.shape[1]
    if ids.shape[1] > bench.model.anatomy.n_ctx:
        ids, n = ids[:, 3:], n - 3
    mask = (torch.arange(ids.shape[1]) < n).long()[None]
    return _difference(bench.model.run(ids, mask)[:, :n], bench.model.run(ids[:, :n]))


CHECKS = (
    Check(name="output is the plain model's", unit="of the largest", features=EVERYTHING, measure=_output),
    Check(name="patterns are the plain model's", unit="probability", features=("patterns",), measure=_patterns),
    Check(name="pattern rows sum to 1", unit="probability", features=("patterns",), measure=_rows),
    Check(
        name="masked weights are 0",
        unit="probability",
        features=("patterns",),
        measure=_masked,
        tolerance=lambda model: 0.0,
        applies=lambda model: model.anatomy.causal,
    ),
    Check(
        name="writes add up to the stream",
        unit="relative",
        features=("stream", "contributions", "neurons", "ablation"),
        measure=_stream,
    ),
    Check(name="fused statistics are the pattern's", unit="relative", features=("patterns",), measure=_fused),
    Check(
        name="contributions add up to the logit",
        unit="relative",
        features=("contributions",),
        measure=_contributions,
        applies=lambda model: model.anatomy.linear_readout,
    ),
    Check(name="an ablation takes effect", unit="dead layers", features=("ablation",), measure=_ablation, tolerance=lambda model: 0.0),
    Check(name="padding changes nothing", unit="of the largest", features=("capture",), measure=_padding),
)
