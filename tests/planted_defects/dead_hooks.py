"""Hooks that are dead, or stand where what they show is not yet, or no more, what flows on."""

from tiny_families import FORMS, drawn, words

from interp.checks.selfcheck import CHECKS
from interp.models import hooks
from interp.models.anatomy import Sublayer
from interp.models.load import load_model
from interp.models.model import Model
from interp.models.points import Point
from planted_defects.table import (
    EDGES,
    EDIT_HEADS,
    EDIT_INPUTS,
    EDIT_NEURONS,
    EDIT_ROUTING,
    HEADS,
    LAYERS,
    LOGIT,
    MADE,
    NEURONS,
    OUTPUT,
    READS,
    ROUTED,
    WHOLE,
    Defect,
    entering,
    sound,
)

DEFECTS: list[Defect] = []
defect = entering(DEFECTS)


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
