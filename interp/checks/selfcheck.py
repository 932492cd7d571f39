"""Each number that the instrument shows rests on something that can be checked on the model itself.

A short text of the model's own vocabulary is run through the instrument and through the plain transformers model (`bench`). What must
hold, and what is disabled by name where it does not, is the table `CHECKS`: `parity` with the plain model, `additions` that must come out,
`edits` that must take effect. A check that breaks has failed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from interp.checks import additions, edits, parity
from interp.checks.bench import Bench, bench, tolerance_for
from interp.checks.report import Finding, Report
from interp.models.anatomy import Anatomy
from interp.models.model import Model

FEATURES = ("capture", "patterns", "neurons", "experts", "stream", "contributions", "ablation", "knock-out")


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check: what it measures, and what is disabled when it fails."""

    name: str
    unit: str
    features: tuple[str, ...]
    measure: Callable[[Bench], float]
    tolerance: Callable[[Model], float] = tolerance_for
    applies: Callable[[Anatomy], bool] = lambda anatomy: True


def _attends(anatomy: Anatomy) -> bool:
    return bool(anatomy.attentions())


def _dense(anatomy: Anatomy) -> bool:
    return any(sublayer.kind == "mlp" and sublayer.out for sublayer in anatomy.sublayers())


def _has_ffn(anatomy: Anatomy) -> bool:
    return _dense(anatomy) or _mixed(anatomy)


def _mixed(anatomy: Anatomy) -> bool:
    return anatomy.n_experts > 0


CHECKS = (
    Check(name="output is the plain model's", unit="of the largest", features=FEATURES, measure=parity.output),
    Check(name="patterns are the plain model's", unit="probability", features=("patterns",), measure=parity.patterns, applies=_attends),
    Check(name="pattern rows sum to 1", unit="probability", features=("patterns",), measure=parity.rows, applies=_attends),
    Check(
        name="masked weights are 0",
        unit="probability",
        features=("patterns",),
        measure=parity.masked,
        tolerance=lambda model: 0.0,
        applies=lambda anatomy: _attends(anatomy) and anatomy.causal,
    ),
    Check(
        name="heads add up to what attention writes",
        unit="relative",
        features=("patterns", "stream", "contributions", "ablation", "knock-out"),  # patterns: a value's norm is that of v W_O
        measure=additions.rebuilt("heads"),
        applies=_attends,
    ),
    Check(
        name="neurons add up to what the FFN writes",
        unit="relative",
        features=("neurons", "experts", "ablation"),
        measure=additions.rebuilt("neurons"),
        applies=_has_ffn,
    ),
    Check(
        name="up and gate are what the FFN's projections write",
        unit="relative",
        features=("neurons",),
        measure=additions.projections,
        applies=_dense,
    ),
    Check(name="neurons are made of up and gate", unit="relative", features=("neurons",), measure=edits.projections, applies=_dense),
    Check(
        name="experts are weighted by the router's probabilities",
        unit="relative",
        features=("experts",),
        measure=additions.routers,
        applies=_mixed,
    ),
    Check(
        name="sublayers read the stream where the anatomy says",
        unit="relative",
        features=("stream", "experts"),
        measure=additions.reads,
    ),
    Check(
        name="writes add up to the stream, by layer",
        unit="relative",
        features=("stream", "contributions"),
        measure=additions.rebuilt("layers"),
    ),
    Check(
        name="writes add up to the stream, over the whole stack",
        unit="relative",
        features=("stream", "contributions"),
        measure=additions.rebuilt("whole stack"),
    ),
    Check(
        name="the final norm is the formula's",
        unit="relative",
        features=("contributions",),
        measure=additions.rebuilt("final norm"),
        applies=lambda anatomy: any(stack.ln_final for stack in anatomy.stacks.values()),
    ),
    Check(
        name="cross-attention reads the encoder's output",
        unit="relative",
        features=("patterns", "stream"),
        measure=additions.rebuilt("encoder's output"),
        tolerance=lambda model: 0.0,
        applies=lambda anatomy: anatomy.encoder_decoder,
    ),
    Check(name="fused statistics are the pattern's", unit="relative", features=("patterns",), measure=additions.fused, applies=_attends),
    Check(
        name="contributions add up to the logit",
        unit="relative",
        features=("contributions",),
        measure=additions.contributions,
        applies=lambda anatomy: anatomy.linear_readout,
    ),
    Check(name="an edit of heads takes effect", unit="relative", features=("ablation",), measure=edits.heads, applies=_attends),
    Check(name="an edit of neurons takes effect", unit="relative", features=("ablation",), measure=edits.neurons, applies=_dense),
    Check(
        name="an edit of what the FFN reads takes effect", unit="relative", features=("ablation",), measure=edits.inputs, applies=_has_ffn
    ),
    Check(name="an edit of the routing takes effect", unit="relative", features=("ablation",), measure=edits.routing, applies=_mixed),
    Check(name="a knocked-out edge carries nothing", unit="relative", features=("knock-out",), measure=edits.edges, applies=_attends),
    Check(name="padding changes nothing", unit="of the largest", features=("capture",), measure=parity.padding),
    Check(name="batching and order change nothing", unit="of the largest", features=("capture",), measure=parity.batching),
)


def check(model: Model) -> Report:
    """Check the instrument on `model`.

    Returns: a report with a figure and a tolerance for each check. `cache.with_cached_checks` makes a model that refuses what failed.

    Example:
        >>> from interp.models.load import load_model
        >>> check(load_model()).passed
        True
    """
    began = time.perf_counter()
    findings = tuple(_findings(model))
    return Report(model=model.name, fingerprint=model.fingerprint, findings=findings, elapsed_s=time.perf_counter() - began)


def never_there(anatomy: Anatomy) -> dict[str, str]:
    """Feature -> reason, for what a model of this anatomy cannot have."""
    missing: dict[str, str] = {}
    if not _attends(anatomy):
        missing |= dict.fromkeys(("patterns", "knock-out"), "the model has no attention")
    if not _dense(anatomy):
        missing["neurons"] = (
            "its FFNs are mixtures of experts, whose neurons are asked for by expert" if _mixed(anatomy) else "it has no FFN"
        )
    if not _mixed(anatomy):
        missing["experts"] = "the model is no mixture of experts"
    if not anatomy.linear_readout:
        missing["contributions"] = _not_linear(anatomy)
    return missing


def _not_linear(anatomy: Anatomy) -> str:
    if not anatomy.lm_head:
        return "the checkpoint has no trained token-predicting head, so its logits would mean nothing"
    if anatomy.softcapped:
        return "its logits pass through a soft cap, so contributions do not add up to them"
    return "its head is more than a norm and a matrix, so contributions do not add up to the logit"


def _findings(model: Model) -> list[Finding]:
    try:
        shared = bench(model)
    except Exception as error:
        return [Finding(name="run", value=None, tolerance=0.0, unit="", features=FEATURES, problem=f"{type(error).__name__}: {error}")]
    return [_measured(shared, one) for one in CHECKS if one.applies(model.anatomy)]


def _measured(shared: Bench, one: Check) -> Finding:
    about = {"name": one.name, "tolerance": one.tolerance(shared.model), "unit": one.unit, "features": one.features}
    try:
        return Finding(value=float(one.measure(shared)), **about)  # type: ignore[arg-type]
    except Exception as error:
        return Finding(value=None, problem=f"{type(error).__name__}: {error}", **about)  # type: ignore[arg-type]
