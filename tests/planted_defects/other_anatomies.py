"""An anatomy that is not the model's; norms and contributions that are not the formula's."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from interp.captures import components, rebuild
from interp.models import hooks
from interp.models import model as model_module
from interp.models.anatomy import Anatomy, StackAnatomy
from interp.models.model import Model
from planted_defects.table import (
    FINAL,
    HEADS,
    LAYERS,
    LOGIT,
    MADE,
    MASKED,
    MEMORY,
    NEURONS,
    PROJECTED,
    READS,
    RUN,
    WHOLE,
    Defect,
    entering,
    sound,
)

DEFECTS: list[Defect] = []
defect = entering(DEFECTS)


def _believing(
    form: str, patch: pytest.MonkeyPatch, *, stack: Callable = lambda one: one, sub: Callable = lambda one: one, **about
) -> Model:
    """An instrument on a model of which another anatomy is believed."""
    true = model_module.anatomy_of

    def other(one: StackAnatomy) -> StackAnatomy:
        return stack(replace(one, layers=tuple(tuple(sub(sublayer) for sublayer in layer) for layer in one.layers)))

    def wrong(hf, *, lm_head: bool) -> Anatomy:
        anatomy = true(hf, lm_head=lm_head)
        return replace(anatomy, stacks={name: other(one) for name, one in anatomy.stacks.items()}, **about)

    patch.setattr(model_module, "anatomy_of", wrong)
    return sound(form)


_STREAM = [WHOLE, READS, FINAL, LOGIT, MEMORY]


@defect("gpt2 llama mixtral", LAYERS, follows=[*_STREAM, HEADS, NEURONS])
def norms_before_sublayers_taken_for_norms_after(form, patch):
    return _believing(form, patch, sub=lambda one: replace(one, norm_in="", norm_after=one.norm_in))


@defect("bert opt-post-norm bart", LAYERS, follows=_STREAM)
def norms_after_sublayers_taken_for_norms_before(form, patch):
    return _believing(form, patch, sub=lambda one: replace(one, norm_in=one.norm_after, norm_after=""))


@defect("gemma2-uncapped gemma3", LAYERS, WHOLE, follows=[LOGIT])
def sandwich_norms_forgotten(form, patch):
    return _believing(form, patch, sub=lambda one: replace(one, norm_out=""))


@defect("gpt2 gemma2 mixtral", READS)
def norms_before_sublayers_forgotten(form, patch):
    return _believing(form, patch, sub=lambda one: replace(one, norm_in=""))


@defect("neox", LAYERS)
def parallel_taken_for_serial(form, patch):
    return _believing(form, patch, stack=lambda one: replace(one, parallel=False))


@defect("neox-serial", READS)
def serial_taken_for_parallel(form, patch):
    return _believing(form, patch, stack=lambda one: replace(one, parallel=True))


@defect("bert roberta", MASKED)
def an_encoder_taken_for_a_decoder(form, patch):
    return _believing(form, patch, stack=lambda one: replace(one, causal=True))


@defect("t5 m2m100", MEMORY, follows=[WHOLE, FINAL])
def the_encoders_final_norm_forgotten(form, patch):
    return _believing(form, patch, stack=lambda one: replace(one, ln_final="" if one.stack == "E" else one.ln_final))


@defect("bart t5", RUN)
def memory_taken_from_the_decoder(form, patch):
    """The two rows are of different lengths, so nothing fits any more."""
    return _believing(form, patch, sub=lambda one: replace(one, memory=one.memory and one.reads))


@defect("llama t5-gated", MADE)
def gate_taken_for_up(form, patch):
    return _believing(form, patch, sub=lambda one: replace(one, reads=(one.gate,), gate=one.reads[0]) if one.gate else one)


@defect("phi3", PROJECTED, MADE)
def the_halves_of_one_matrix_exchanged(form, patch):
    true = hooks._writes
    patch.setattr(hooks, "_writes", lambda module, point, *, half=None: true(module, point, half=None if half is None else 1 - half))
    return sound(form)


@defect("t5", LOGIT)
def the_readouts_scale_forgotten(form, patch):
    return _believing(form, patch, readout_scale=1.0)


@defect("gemma2", LOGIT)
def the_soft_cap_of_the_logits_forgotten(form, patch):
    return _believing(form, patch, softcapped=False)


# Norms, and contributions.


def _freezing(form: str, patch: pytest.MonkeyPatch, wrong: Callable) -> Model:
    for module in (rebuild, components):
        patch.setattr(module, "frozen", lambda norm, x, true=module.frozen: wrong(norm, true(norm, x)))
    return sound(form)


@defect("gemma2-uncapped gemma3", FINAL, LOGIT)
def a_gemma_norm_without_its_one_plus(form, patch):
    def wrong(norm, held):
        weight = getattr(norm, "weight", torch.zeros(())).double()
        return held if isinstance(norm, torch.nn.Identity) else replace(held, gain=held.gain * weight / (weight + 1))

    return _freezing(form, patch, wrong)


@defect("gpt2 neox m2m100", FINAL, LOGIT)
@defect("bert opt-post-norm bart", WHOLE, follows=[LOGIT], name="a norm between sublayers whose mean is left in")
def a_norm_whose_mean_is_left_in(form, patch):
    return _freezing(form, patch, lambda norm, held: replace(held, centred=False))


@defect("gpt2 neox", FINAL, LOGIT)
@defect("bert marian", WHOLE, follows=[LOGIT], name="a bias of a norm between sublayers forgotten")
def a_bias_of_a_norm_forgotten(form, patch):
    return _freezing(form, patch, lambda norm, held: replace(held, offset=torch.zeros_like(held.offset)))


@defect("gpt2 t5 gemma3", LOGIT)
def contributions_without_one_part(form, patch):
    true = components.direct_logits
    patch.setattr(components, "direct_logits", lambda parts, direction: true(parts[:-1], direction))
    return sound(form)


@defect("bart marian", LOGIT)
def the_heads_own_bias_forgotten(form, patch):
    patch.setattr(components, "_unembed_bias", lambda seen, token, against: torch.zeros(()))
    return sound(form)
