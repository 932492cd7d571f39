"""Defects planted on purpose, each with the checks that must catch it: what is broken, in which forms, what follows from it.

A defect is a function of (form, monkeypatch) that gives the broken model. `caught_by`: checks that must fail; `follows`: those that may
fail with them, since they rest on the same number. Any other check that fails is a mistake of the check's.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch
from tiny_families import D_VOCAB, FORMS, drawn, words

from interp.captures import components, fused, rebuild
from interp.checks import additions
from interp.checks.selfcheck import CHECKS
from interp.models import attention, experts, hooks
from interp.models import model as model_module
from interp.models.anatomy import Anatomy, StackAnatomy, Sublayer
from interp.models.attention import AttentionCall
from interp.models.load import load_model
from interp.models.model import Model
from interp.models.points import Point, watchers

OUTPUT, PATTERNS, ROWS, MASKED = "output", "patterns are", "pattern rows", "masked"
HEADS, NEURONS, PROJECTED, MADE, ROUTED = "heads add", "neurons add", "up and gate", "neurons are made", "experts are weighted"
READS, LAYERS, WHOLE, FINAL, MEMORY = (
    "sublayers read",
    "writes add up to the stream, by layer",
    "writes add up to the stream, over",
    "the final",
    "cross",
)
FUSED, LOGIT, EDIT_HEADS, EDIT_NEURONS, EDIT_ROUTING = (
    "fused",
    "contributions",
    "an edit of heads",
    "an edit of neurons",
    "an edit of the routing",
)
EDIT_INPUTS = "an edit of what the FFN reads"
EDGES, PADDING, BATCHING, RUN = "a knocked-out", "padding", "batching", "run"

Plant = Callable[[str, pytest.MonkeyPatch], Model]


def full(name: str) -> str:
    """The check's whole name, from its beginning."""
    (found,) = [check.name for check in CHECKS if check.name.startswith(name)] if name != RUN else [RUN]
    return found


@dataclass(frozen=True, kw_only=True)
class Defect:
    name: str
    forms: tuple[str, ...]
    plant: Plant
    caught_by: frozenset[str]
    follows: frozenset[str]


DEFECTS: list[Defect] = []


def defect(forms: str, *caught_by: str, follows: Iterable[str] = (), name: str = "") -> Callable[[Plant], Plant]:
    """Enter a planted defect in the table, for several forms, "gpt2 t5"."""

    def enter(plant: Plant) -> Plant:
        about = {"caught_by": frozenset(map(full, caught_by)), "follows": frozenset(map(full, follows))}
        DEFECTS.append(Defect(name=name or plant.__name__.replace("_", " "), forms=tuple(forms.split()), plant=plant, **about))
        return plant

    return enter


def sound(form: str) -> Model:
    """A fresh instrument; its model shares the parameters of all others of this form, which nobody changes."""
    return load_model(_drawn(form), words(encoder=FORMS[form].encoder))


_drawn = cache(drawn)


# Hooks that lie: others see a hundredth more than what flows.

_SEEN_BY = {  # kind -> forms, checks that catch it, checks that follow
    "resid_pre": ("gpt2 bert t5", [LAYERS, WHOLE], [READS, LOGIT]),
    "attn_in": ("gpt2 t5 deepseek-v3", [READS], []),
    "memory": ("t5 bart", [MEMORY], []),
    "z": ("gpt2 t5 gpt-oss", [HEADS, EDGES], [LOGIT]),
    "attn_out": ("neox t5 gemma2", [HEADS, LAYERS, WHOLE], [EDIT_HEADS]),
    "resid_mid": ("llama bert marian", [LAYERS], [READS, WHOLE]),
    "mlp_in": ("gpt2 t5-gated phi3", [READS, PROJECTED], []),
    "up": ("gpt2 phi3 llama", [PROJECTED], []),
    "gate": ("t5-gated phi3", [PROJECTED], []),
    "post": ("gpt2 phi3 opt", [NEURONS], []),
    "router_probs": ("mixtral deepseek-v3 switch", [ROUTED], []),
    "expert_weights": ("mixtral deepseek-v3 switch", [NEURONS], []),
    "mlp_out": ("gpt2 gemma3 mixtral", [NEURONS, LAYERS, WHOLE], [LOGIT, EDIT_NEURONS, EDIT_ROUTING]),
    "resid_post": ("gpt2 bert t5", [LAYERS], [WHOLE, READS, FINAL, MEMORY]),
    "ln_final": ("gpt2 t5 gemma3", [READS, FINAL], [MEMORY]),
}  # fmt: skip


def _lying(kind: str) -> Plant:
    def plant(form: str, patch: pytest.MonkeyPatch) -> Model:
        for module in (hooks, experts):
            patch.setattr(module, "emit", lambda point, tensor, true=module.emit: lie(true, point, tensor))
        return sound(form)

    def lie(true: Callable, point: Point, tensor: torch.Tensor) -> torch.Tensor:
        if point.kind != kind:
            return true(point, tensor)
        shown = tensor * 1.01
        replaced = true(point, shown)
        return tensor if replaced is shown else replaced / 1.01

    return plant


for _kind, (_forms, _caught_by, _follows) in _SEEN_BY.items():
    defect(_forms, *_caught_by, follows=_follows, name=f"a hook that lies about {_kind}")(_lying(_kind))


@defect("deepseek-v3 mixtral", READS, NEURONS, follows=[EDIT_ROUTING, ROUTED, PROJECTED])
def a_hook_that_lies_about_what_experts_read(form, patch):
    return _lying("mlp_in")(form, patch)


@defect("mixtral olmoe deepseek-v3", NEURONS, ROUTED)
def router_weights_before_they_are_what_multiplies(form, patch):
    """Here their square roots."""

    def emit(point, tensor, true=experts.emit):
        shown = tensor.sqrt() if point.kind == "expert_weights" else tensor
        replaced = true(point, shown)
        return tensor if replaced is shown else replaced

    patch.setattr(experts, "emit", emit)
    return sound(form)


# Dead hooks.


def _sublayer(model: Model, kind: str, layer: int = 1) -> Sublayer:
    return [sub for sub in model.anatomy.sublayers() if sub.kind == kind][layer]


@defect("gpt2 gemma2 deepseek-v3", EDIT_HEADS, EDGES, follows=[LOGIT])
def a_z_hook_dead_in_one_layer(form, patch):
    model = sound(form)
    model.at(_sublayer(model, "attn").out)._forward_pre_hooks.clear()
    return model


@defect("t5 bart", EDIT_HEADS, EDGES, follows=[LOGIT])
def a_z_hook_dead_in_one_cross_attention(form, patch):
    model = sound(form)
    model.at(_sublayer(model, "cross").out)._forward_pre_hooks.clear()
    return model


@defect("gpt2 bert", EDIT_HEADS, EDGES, HEADS, follows=[LOGIT])
def every_z_hook_dead(form, patch):
    model = sound(form)
    for layer in range(2):
        model.at(_sublayer(model, "attn", layer).out)._forward_pre_hooks.clear()
    return model


@defect("gpt2 bert bart", EDIT_NEURONS, MADE)
def a_neuron_hook_dead_in_one_layer(form, patch):
    model = sound(form)
    model.at(_sublayer(model, "mlp").out)._forward_pre_hooks.clear()
    return model


@defect("gpt2 marian", NEURONS, EDIT_NEURONS, MADE)
def every_neuron_hook_dead(form, patch):
    model = sound(form)
    for sub in model.anatomy.sublayers():
        if sub.kind == "mlp":
            model.at(sub.out)._forward_pre_hooks.clear()
    return model


@defect("llama t5-gated gemma2", EDIT_INPUTS)
def an_ffn_input_live_for_one_of_its_two_projections(form, patch):
    model = sound(form)
    sub = _sublayer(model, "mlp")
    model.at(sub.module)._forward_pre_hooks.clear()
    hooks._reads(model.at(sub.reads[0]), Point(kind="mlp_in", layer=sub.layer, stack=sub.stack, owner=id(model.hf)))
    return model


@defect("mixtral deepseek-v3 switch", EDIT_ROUTING, ROUTED, follows=[NEURONS])
def a_routing_hook_dead_in_one_layer(form, patch):
    model = sound(form)
    ffn = [sub for sub in model.anatomy.sublayers() if sub.experts][-1]
    model.at(ffn.experts)._forward_pre_hooks.clear()
    return model


@defect("gpt2 bert t5", LAYERS, WHOLE, OUTPUT, follows=[*{check.name for check in CHECKS}])
def an_output_changed_after_it_was_seen(form, patch):
    """By a hook that the instrument's model alone has."""
    model = sound(form)
    model.at(_sublayer(model, "attn").out).register_forward_hook(lambda module, args, output: output * 1.1)
    return model


@defect("gpt2 bert t5", LAYERS, WHOLE, follows=[LOGIT, READS])
def a_write_that_the_stream_does_not_get(form, patch):
    """The plain model does it as well, so only the stream's own arithmetic can tell."""
    hf = drawn(form)
    names = ("GPT2Attention", "LlamaAttention", "BertSelfOutput", "T5LayerSelfAttention")
    module = next(module for module in hf.modules() if type(module).__name__ in names)
    true = type(module).forward

    class Scaled(type(module)):
        def forward(self, *args, **kwargs):
            out = true(self, *args, **kwargs)
            return (out[0] * 1.1, *out[1:]) if isinstance(out, tuple) else out * 1.1

    module.__class__ = Scaled
    return load_model(hf, words(encoder=FORMS[form].encoder))


# An anatomy that is not the model's.


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


# Attention, while it is watched.


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
for _name in fused.FUSED:
    for _forms, _wrong in _STATISTICS.items():

        @defect(_forms, FUSED, name=f"{_name} that is not the pattern's")
        def _a_wrong_statistic(form, patch, name=_name, wrong=_wrong):
            patch.setattr(additions, "FUSED", {**fused.FUSED, name: lambda one: wrong(fused.FUSED[name](one))})
            return sound(form)


# Mixtures of experts.


@defect("mixtral switch deepseek-v3", NEURONS)
def experts_in_another_order(form, patch):
    true = experts.expert_of
    patch.setattr(experts, "expert_of", lambda ffn, expert: true(ffn, (expert + 1) % 4))
    return sound(form)


@defect("qwen2-moe deepseek-v2 deepseek-v3", NEURONS, EDIT_ROUTING)
def shared_experts_forgotten(form, patch):
    patch.setattr(experts, "has_shared", lambda ffn: False)
    return sound(form)


@defect("deepseek-v3", ROUTED)
@defect("mixtral", ROUTED, name="a softmax taken for a sigmoid")
def a_sigmoid_taken_for_a_softmax(form, patch):
    name, probs = {"deepseek-v3": ("DeepseekV3MoE", lambda x: x.softmax(-1)), "mixtral": ("MixtralSparseMoeBlock", torch.sigmoid)}[form]
    patch.setitem(experts.ROUTINGS, name, replace(experts.ROUTINGS[name], probs=probs))
    return sound(form)


# Padding and batches.


@defect("bert t5 marian", PADDING)
def padding_read_like_text(form, patch):
    model = sound(form)

    class Blind(Model):
        def run(self, ids, mask=None, *, target=None, target_mask=None, logits=True):
            return super().run(ids, None, target=target, logits=logits)

    return Blind(**vars(model))


def _embedding(form: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Model:
    hf = drawn(form)
    for module in list(hf.modules()):
        if isinstance(module, torch.nn.Embedding) and module.num_embeddings == D_VOCAB:
            kind = type(module)
            module.__class__ = type(kind.__name__, (kind,), {"forward": lambda self, ids, true=kind.forward: change(true(self, ids))})
    return load_model(hf, words(encoder=FORMS[form].encoder))


@defect("gpt2 mixtral t5", BATCHING)
def texts_that_see_each_other(form, patch):
    """In batches of three or more; the plain model does it, too."""
    return _embedding(form, lambda out: out + 0.1 * out.roll(1, 0) if len(out) > 2 else out)


@defect("gpt2 mixtral t5", PADDING, BATCHING, follows=[FUSED])
def a_text_changed_by_its_place_in_the_batch(form, patch):
    return _embedding(form, lambda out: out * (1 + 0.1 * torch.arange(len(out))[:, None, None]))


# Numbers that are none.


@defect("gpt2 bert bart", OUTPUT, PATTERNS, LAYERS, follows=[check.name for check in CHECKS])
def nan_in_the_second_layer(form, patch):
    """max(0.1, nan) is 0.1: a check that says so would pass a model whose later layers are nan."""
    hf = drawn(form)
    with torch.no_grad():
        for name, parameter in hf.named_parameters():
            if (
                ".1." in name
                and parameter.ndim == 2
                and name.endswith(("c_attn.weight", "query.weight", "q_proj.weight", "Attention.q.weight"))
            ):
                parameter[0] = torch.nan
    return load_model(hf, words(encoder=FORMS[form].encoder))


def edits_while_watched(kind: str, form: str, patch: pytest.MonkeyPatch) -> Model:
    """A hook that changes what flows, but only while somebody looks there."""

    def emit(point: Point, tensor: torch.Tensor, true: Callable) -> torch.Tensor:
        replaced = true(point, tensor)
        looked_at = point.kind == kind and any(kind in watcher.kinds for watcher in watchers())
        return replaced.flip(-1) if looked_at else replaced

    for module in (hooks, experts):
        patch.setattr(module, "emit", lambda point, tensor, true=module.emit: emit(point, tensor, true))
    return sound(form)
