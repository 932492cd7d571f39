"""Experts: where a mixture-of-experts FFN sends a token, and what each expert adds.

    mlp_out = sum over experts e of expert_weights[e] (neurons_e W_out_e + b_out_e)  +  shared_gate (shared_neurons W_out + b_out)

The router gives each token a probability for every expert; k are chosen, and their weights are made of the probabilities. Two points
are shown, `router_probs` and `expert_weights`. The second may be edited: a chosen expert set to 0 is left out, one that was not chosen and
is given a weight takes part. Neurons have no hook, since transformers runs the chosen experts in fused products (`grouped_mm`, unless
told otherwise): the functions below give them for any expert and any input.

What a family makes of the probabilities
    Mixtral       softmax; those of the chosen are divided by their sum
    Qwen2-MoE, Qwen3-MoE, OLMoE   softmax; divided by their sum only where the config says `norm_topk_prob`
    GPT-OSS       softmax over all logits; the router takes the softmax of the chosen logits, the same as dividing by the sum
    DeepSeek-V2   softmax; times `routed_scaling_factor`, never divided (transformers does not read `norm_topk_prob` here). With
                  "group_limited_greedy" only experts of the groups with the largest best probability may be chosen
    DeepSeek-V3   sigmoid: rows need not sum to 1. Chosen by probability + `e_score_correction_bias`, among the groups whose best two are
                  largest; weighted by the probability without the bias, divided by the sum (`norm_topk_prob`), then scaled
    Switch        softmax; the one expert is multiplied by its probability. It takes `expert_capacity` tokens of each text, in their order,
                  padding among them; tokens that come later go through no expert: all their weights are 0

Probabilities are in float32, weights in the type in which the family multiplies; the functions on an FFN compute in the wider of the
input's and the weights' types. Source: transformers 5.23, models/*/modeling_*.py and integrations/moe.py.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float

from interp.core.errors import InterventionError, ModelUnsupported, SiteError
from interp.models.points import Kind, Point, emit, watchers

Tensor = torch.Tensor
Stream = Float[Tensor, "*at d_model"]
Neurons = Float[Tensor, "*at neuron"]
Weights = Float[Tensor, "*at expert"]
Projection = tuple[Tensor, Tensor]  # W (in, out) and b (out,), zeros where there is none
_SHAPE: ContextVar[torch.Size] = ContextVar("interp_routed_shape")  # (batch, pos) of the FFN at work, whose experts see tokens in a row


@dataclass(frozen=True, kw_only=True, eq=False)
class Expert:
    """One expert's projections, or those of all shared ones side by side. `gate` is None in Switch; `act` makes neurons of (gate, up)."""

    gate: Projection | None
    up: Projection
    out: Projection
    act: Callable[[Any, Tensor], Tensor]

    def gate_up(self, x: Stream) -> tuple[Neurons | None, Neurons]:
        return None if self.gate is None else _affine(x, self.gate), _affine(x, self.up)

    def neurons(self, x: Stream) -> Neurons:
        return self.act(*self.gate_up(x))

    def writes(self, x: Stream) -> Stream:
        return _affine(self.neurons(x), self.out)


def _affine(x: Tensor, projection: Projection) -> Tensor:
    weight, bias = projection
    wide = torch.promote_types(x.dtype, weight.dtype)
    return x.to(wide) @ weight.to(wide) + bias.to(wide)


def _linear(linear: Any) -> Projection:
    weight = linear.weight.T
    return weight, weight.new_zeros(weight.shape[1]) if linear.bias is None else linear.bias


def _mlp(mlp: Any) -> Expert:
    projections = {"gate": _linear(mlp.gate_proj), "up": _linear(mlp.up_proj), "out": _linear(mlp.down_proj)}
    return Expert(**projections, act=lambda gate, up: mlp.act_fn(gate) * up)


def _named(experts: Any, expert: int) -> Expert:
    """Switch's: a module for each."""
    mlp = experts[f"expert_{expert}"]
    return Expert(gate=None, up=_linear(mlp.wi), out=_linear(mlp.wo), act=lambda _, up: mlp.act(up))


def _stacked(experts: Any, expert: int) -> Expert:
    """All others': matrices stacked along a first axis; gate and up in one, side by side or (GPT-OSS) in turn."""
    in_turn = not experts.is_concatenated

    def projection(name: str) -> Projection:
        weight = getattr(experts, name)[expert]
        weight = weight if experts.is_transposed else weight.T
        return weight, getattr(experts, f"{name}_bias")[expert] if experts.has_bias else weight.new_zeros(weight.shape[1])

    def act(gate: Tensor, up: Tensor) -> Tensor:
        return experts._apply_gate(torch.stack([gate, up], -1).flatten(-2) if in_turn else torch.cat([gate, up], -1))

    weight, bias = projection("gate_up_proj")
    half = weight.shape[1] // 2
    first, second = (slice(0, None, 2), slice(1, None, 2)) if in_turn else (slice(half), slice(half, None))
    gate, up = (weight[:, first], bias[first]), (weight[:, second], bias[second])
    return Expert(gate=gate, up=up, out=projection("down_proj"), act=act)


@dataclass(frozen=True, kw_only=True)
class Routing:
    """How to read a family's FFN. `logits`: which of the router's outputs they are; `shared`: the MLP that every token goes through."""

    read: Callable[[Any, int], Expert] = _stacked
    router: str = "gate"
    logits: int = 0
    probs: Callable[[Tensor], Tensor] = lambda logits: logits.softmax(-1)
    shared: str = ""
    shared_gate: str = ""


ROUTINGS = {
    "MixtralSparseMoeBlock": Routing(),
    "Qwen2MoeSparseMoeBlock": Routing(shared="shared_expert", shared_gate="shared_expert_gate"),
    "Qwen3MoeSparseMoeBlock": Routing(),
    "OlmoeSparseMoeBlock": Routing(),
    "DeepseekV2Moe": Routing(shared="shared_experts"),
    "DeepseekV3MoE": Routing(shared="shared_experts", probs=torch.sigmoid),
    "GptOssMLP": Routing(router="router"),
    "SwitchTransformersSparseMLP": Routing(read=_named, router="router", logits=2),
}


def is_routed(ffn: torch.nn.Module) -> bool:
    """True for a mixture of experts; False for a dense FFN, such as DeepSeek's first."""
    return hasattr(ffn, "experts")


def routing_of(ffn: torch.nn.Module) -> Routing:
    """How to read this FFN. Raises: ModelUnsupported naming its class, or what about its experts nobody verified."""
    routing, code = ROUTINGS.get(type(ffn).__name__), type(ffn).__module__
    if routing is None or not code.startswith("transformers.models."):
        raise ModelUnsupported(f"{code}.{type(ffn).__name__} came; expected one of transformers' own: {', '.join(ROUTINGS)}")
    if type(ffn.experts).__module__ != code:
        raise ModelUnsupported(f"{type(ffn.experts).__name__} came as experts; expected those of {code}: load the original")
    if getattr(ffn.experts, "_is_expert_parallel", False):
        raise ModelUnsupported("experts spread over devices came (expert parallelism); expected all on one: load the model without it")
    return routing


def attach(ffn: torch.nn.Module, point: Callable[[Kind], Point]) -> None:
    """Let watchers see `router_probs` and `expert_weights` of an FFN, both (batch, pos, expert), and edit the second.

    The hooks stay for good and do nothing while nobody watches these kinds. After an edit the experts run with as many slots a token as
    the token with most experts needs; with all of them where a gradient is wanted, so that it is right for those not chosen, too.

    Args:
        ffn: the routed FFN of a block.
        point: gives the point of a kind.
    Raises: ModelUnsupported. In the run: InterventionError when a watcher edits `router_probs`.
    """
    routing = routing_of(ffn)
    ffn.register_forward_pre_hook(_keep_shape)
    ffn.get_submodule(routing.router).register_forward_hook(_shows_probs(routing, point("router_probs")))
    ffn.get_submodule("experts").register_forward_pre_hook(_shows_weights(n_experts(ffn), point("expert_weights")))


def _watched(*kinds: Kind) -> bool:
    return any(kind in watcher.kinds for watcher in watchers() for kind in kinds)


def _keep_shape(ffn: torch.nn.Module, args: tuple) -> None:
    if _watched("router_probs", "expert_weights"):
        _SHAPE.set(args[0].shape[:-1])


def _shows_probs(routing: Routing, point: Point) -> Callable:
    def hook(router: torch.nn.Module, args: tuple, output: tuple) -> None:
        if _watched(point.kind):
            logits = output[routing.logits].float()
            probs = routing.probs(logits.reshape(*_SHAPE.get(), logits.shape[-1]))
            if emit(point, probs) is not probs:
                raise InterventionError("router_probs came back edited, after the experts were chosen: edit expert_weights instead")

    return hook


def _shows_weights(n: int, point: Point) -> Callable:
    """A pre-hook on the experts, who are told (token, slot) indices and weights; in Switch a one-hot (token, slot, expert) and weights."""

    def hook(experts: torch.nn.Module, args: tuple) -> tuple | None:
        if not _watched(point.kind):
            return None
        hidden, chosen, weights = args
        one_hot = chosen.ndim == 3
        dense = (chosen * weights[..., None]).sum(1) if one_hot else weights.new_zeros(len(weights), n).scatter(1, chosen, weights)
        shown = dense.reshape(*_SHAPE.get(), n)
        edited = emit(point, shown)
        if edited is shown:
            return None
        index, weights = _slots(edited.to(weights.dtype).reshape(shown.shape).flatten(0, -2))
        return hidden, torch.nn.functional.one_hot(index, n) if one_hot else index, weights

    return hook


def _slots(weights: Float[Tensor, "token expert"]) -> tuple[Tensor, Tensor]:
    """Indices and weights (token, slot). A token that needs fewer slots than another gets experts with weight 0."""
    used = weights != 0
    slots = weights.shape[1] if weights.requires_grad else max(1, int(used.sum(-1).max()))
    index = used.int().topk(slots, dim=-1).indices
    return index, weights.gather(-1, index)


def n_experts(ffn: torch.nn.Module) -> int:
    """How many experts the router chooses from; shared ones are not among them."""
    return getattr(ffn, routing_of(ffn).router).num_experts


def n_active(ffn: torch.nn.Module) -> int:
    """How many experts a token is sent to; in Switch 1, or none where the expert is full."""
    return getattr(getattr(ffn, routing_of(ffn).router), "top_k", 1)


def d_expert(ffn: torch.nn.Module) -> int:
    """Neurons in one expert."""
    return expert_W_out(ffn, 0).shape[0]


def has_shared(ffn: torch.nn.Module) -> bool:
    """True when every token also goes through shared experts."""
    return bool(routing_of(ffn).shared)


def expert_of(ffn: torch.nn.Module, expert: int) -> Expert:
    """One expert's weights. Raises: SiteError for one that does not exist."""
    if not 0 <= expert < n_experts(ffn):
        raise SiteError(f"expert {expert} came; this FFN has experts 0-{n_experts(ffn) - 1}")
    return routing_of(ffn).read(ffn.experts, expert)


def shared_of(ffn: torch.nn.Module) -> Expert:
    """The shared experts' weights, all side by side. Raises: ModelUnsupported where there are none."""
    if not has_shared(ffn):
        raise ModelUnsupported(f"{type(ffn).__name__} has no shared experts: ask has_shared first")
    return _mlp(getattr(ffn, routing_of(ffn).shared))


def expert_gate_up(ffn: torch.nn.Module, x: Stream, expert: int) -> tuple[Neurons | None, Neurons]:
    """What an expert's input projections write, biases included: the gate before its activation (None in Switch), and up.

    neurons = act(gate) up; in Switch act(up); in GPT-OSS (up + 1) gate sigmoid(alpha gate), of both clamped at `limit`: here before that.
    """
    return expert_of(ffn, expert).gate_up(x)


def expert_neurons(ffn: torch.nn.Module, x: Stream, expert: int) -> Neurons:
    """An expert's neurons, what its output projection reads, for any input, whether or not the router would send it there."""
    return expert_of(ffn, expert).neurons(x)


def expert_W_out(ffn: torch.nn.Module, expert: int) -> Float[Tensor, "neuron d_model"]:
    """An expert's output weights: row i is what neuron i writes."""
    return expert_of(ffn, expert).out[0]


def expert_b_out(ffn: torch.nn.Module, expert: int) -> Float[Tensor, " d_model"]:
    """What an expert writes whatever its neurons do; zeros where the family has no bias."""
    return expert_of(ffn, expert).out[1]


def shared_neurons(ffn: torch.nn.Module, x: Stream) -> Neurons:
    """The shared experts' neurons."""
    return shared_of(ffn).neurons(x)


def shared_W_out(ffn: torch.nn.Module) -> Float[Tensor, "neuron d_model"]:
    """The shared experts' output weights; their bias, which only DeepSeek-V2 may have, is `shared_of(ffn).out[1]`."""
    return shared_of(ffn).out[0]


def shared_gate(ffn: torch.nn.Module, x: Stream) -> Float[Tensor, "*at 1"]:
    """What multiplies all that the shared experts write: in Qwen2-MoE the sigmoid of a projection of the input, elsewhere 1."""
    name = routing_of(ffn).shared_gate
    return _affine(x, _linear(getattr(ffn, name))).sigmoid() if name else x.new_ones(*x.shape[:-1], 1)


def rebuild(ffn: torch.nn.Module, x: Stream, expert_weights: Weights) -> Stream:
    """mlp_out from its parts, to 1e-5 of its largest number in float32.

    Args:
        x: what the FFN reads, `mlp_in`.
        expert_weights: as captured, or any others; with zeros what is left is the shared part.
    """
    wide = torch.promote_types(x.dtype, expert_W_out(ffn, 0).dtype)
    total = shared_gate(ffn, x) * shared_of(ffn).writes(x) if has_shared(ffn) else torch.zeros_like(x, dtype=wide)
    for expert in range(n_experts(ffn)):
        rows = expert_weights[..., expert] != 0
        added = expert_weights[rows][:, expert, None] * expert_of(ffn, expert).writes(x[rows])
        total[rows] += added.to(wide)
    return total


def load(expert_weights: Weights) -> Float[Tensor, " expert"]:
    """The share of tokens that go through each expert, 0 to 1; the sum is the number of experts that a token has on average.

    Args: expert_weights: of the tokens that count; padding is routed like any token, leave it out: `expert_weights[mask]`.
    """
    return (expert_weights != 0).float().flatten(0, -2).mean(0)
