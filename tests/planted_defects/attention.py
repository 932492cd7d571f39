"""Attention that is another while it is watched, and edges that are not hidden."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from interp.captures.corpus.pattern_statistics import STATISTICS
from interp.checks import additions
from interp.models import attention
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Point
from planted_defects.table import EDGES, FUSED, MASKED, OUTPUT, PADDING, PATTERNS, ROWS, Defect, entering, sound

DEFECTS: list[Defect] = []
defect = entering(DEFECTS)


def _attending(form: str, patch: pytest.MonkeyPatch, **wrong) -> Model:
    """Attention that forgets, of what transformers hands it, whatever is named here."""
    true = AttentionCall.__init__

    def init(call, query, key, value, mask, scale, causal, **extras):
        given = {"mask": mask, "causal": causal, **extras}
        true(call, query, key, value, scale=scale, **{**given, **{name: one for name, one in wrong.items() if given[name] is not None}})

    patch.setattr(AttentionCall, "__init__", init)
    return sound(form)


_WATCHED = [PADDING, FUSED]


@defect("gpt2 gemma2-uncapped gpt-oss", MASKED, PATTERNS, OUTPUT, follows=_WATCHED)
@defect("t5 bart", MASKED, PATTERNS, OUTPUT, PADDING, follows=_WATCHED, name="a mask ignored in two stacks")
@defect("bert roberta distilbert", PADDING, name="a mask ignored in an encoder")
def a_mask_ignored(form, patch):
    return _attending(form, patch, mask=None, causal=False)


@defect("mistral-window gemma3 gpt-oss", PATTERNS, OUTPUT, follows=_WATCHED)
def a_sliding_window_ignored(form, patch):
    return _attending(form, patch, mask=None, causal=True)


@defect("gpt-oss", PATTERNS, OUTPUT, follows=_WATCHED)
def sinks_forgotten(form, patch):
    return _attending(form, patch, sinks=None)


@defect("gemma2 gemma2-uncapped", PATTERNS, OUTPUT, follows=_WATCHED)
def a_soft_cap_forgotten(form, patch):
    return _attending(form, patch, softcap=None)


@defect("t5 t5-bare switch", PATTERNS, OUTPUT, follows=[*_WATCHED, MASKED])
def a_position_bias_forgotten(form, patch):
    """T5 may hand its mask over in the same numbers; only the bias goes."""
    true = AttentionCall._split
    patch.setattr(AttentionCall, "_split", lambda call, mask, bias: (true(call, mask, bias)[0], None))
    return sound(form)


@defect("gpt2 bert t5", PATTERNS, OUTPUT, ROWS, follows=[*_WATCHED, EDGES])
def rows_scaled(form, patch):
    true = attention._softmax
    patch.setattr(attention, "_softmax", lambda scores, seen: true(scores, seen) * 0.99)
    return sound(form)


@defect("gpt2 t5 gpt-oss", PATTERNS, follows=[FUSED])
def patterns_of_other_heads(form, patch):
    """What flows on is right, only what is shown is not."""
    true = AttentionCall.pattern
    patch.setattr(AttentionCall, "pattern", lambda call: true(call)[:, [1, 0, 2, 3]])
    return sound(form)


@defect("llama t5 gemma2", FUSED)
def a_kernel_whose_output_is_not_the_patterns(form, patch):
    true = AttentionCall.output_and_lse
    patch.setattr(AttentionCall, "output_and_lse", lambda call: (true(call)[0] * 1.01, true(call)[1]))
    return sound(form)


@defect("llama bert gpt-oss", EDGES)
def a_knock_out_that_does_nothing(form, patch):
    patch.setattr(AttentionCall, "hide", lambda call, edges: None)
    return sound(form)


@defect("llama bert gpt-oss", EDGES)
def a_knock_out_that_forgets_one_edge(form, patch):
    true = AttentionCall.hide

    def hide(call, edges):
        edges = edges.clone()
        edges[..., -1, 1] = False
        true(call, edges)

    patch.setattr(AttentionCall, "hide", hide)
    return sound(form)


@defect("llama bert gpt-oss", EDGES)
def a_knock_out_whose_rows_do_not_sum_to_1_again(form, patch):
    patch.setattr(AttentionCall, "hide", lambda call, edges: call.replace(call.pattern().masked_fill(edges, 0.0)))
    return sound(form)


def _placing(form: str, patch: pytest.MonkeyPatch, other: Callable[[Point], Point]) -> Model:
    true = attention.place
    patch.setattr(attention, "place", lambda module, point: true(module, other(point)))
    return sound(form)


@defect("t5 bart m2m100", PATTERNS, EDGES)
def cross_attention_swapped_between_layers(form, patch):
    return _placing(form, patch, lambda point: replace(point, layer={0: 1, 1: 0}.get(point.layer, 2)) if point.stack == "X" else point)


@defect("gpt2 bert", PATTERNS, EDGES, follows=[FUSED])
def attention_swapped_between_layers(form, patch):
    return _placing(form, patch, lambda point: replace(point, layer=1 - point.layer))


@defect("t5 switch", PATTERNS, EDGES, follows=[FUSED, MASKED])
def the_encoders_pattern_given_as_the_decoders(form, patch):
    return _placing(form, patch, lambda point: replace(point, stack={"E": "D", "D": "E"}.get(point.stack, point.stack)))


_STATISTICS = {"mistral-window t5": lambda one: one * 1.01 + 0.001, "bert": lambda one: one * torch.nan}
for _name in STATISTICS:
    for _forms, _wrong in _STATISTICS.items():

        @defect(_forms, FUSED, name=f"{_name} that is not the pattern's")
        def _a_wrong_statistic(form, patch, name=_name, wrong=_wrong):
            patch.setattr(additions, "STATISTICS", {**STATISTICS, name: lambda one: wrong(STATISTICS[name](one))})
            return sound(form)
