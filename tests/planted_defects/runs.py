"""Mixtures of experts, padding and batches that are read wrongly, and numbers that are none."""

from collections.abc import Callable
from dataclasses import replace

import torch
from tiny_families import D_VOCAB, FORMS, drawn, words

from interp.checks.selfcheck import CHECKS
from interp.models import experts
from interp.models.load import load_model
from interp.models.model import Model
from planted_defects.table import BATCHING, EDIT_ROUTING, FUSED, LAYERS, NEURONS, OUTPUT, PADDING, PATTERNS, ROUTED, Defect, entering, sound

DEFECTS: list[Defect] = []
defect = entering(DEFECTS)


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


@defect("t5 marian switch", PADDING)
def the_shortest_targets_mask_on_every_target(form, patch):
    model = sound(form)

    class Shortened(Model):
        def run(self, ids, mask=None, *, target=None, target_mask=None, logits=True):
            shortest = None if target_mask is None else target_mask.amin(0, keepdim=True).expand_as(target_mask)
            return super().run(ids, mask, target=target, target_mask=shortest, logits=logits)

    return Shortened(**vars(model))


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
