"""Our captures as TransformerLens's `ActivationCache`, so that its methods read what we captured.

Most points carry the name of the bridge's hook that sees the same tensor (`models.points`). The table below holds the others: where the
bridge has the tensor under another name, since its hook of our name sees something else, and where it has no such tensor. A test compares
every pair, in every family that TransformerLens loads.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import torch

from interp.core.sites import Stack
from interp.lens.bridge import bridge
from interp.models.anatomy import Anatomy
from interp.models.model import Model
from interp.models.points import Kind, Point

if TYPE_CHECKING:
    from transformer_lens import ActivationCache

Where = Callable[[Anatomy, Stack], bool]


@dataclass(frozen=True)
class _Elsewhere:
    """A kind of point that the bridge has under another name; `theirs` is "" where it has none, or only one that means something else."""

    kind: Kind
    where: Where
    theirs: str


def _always(anatomy: Anatomy, stack: Stack) -> bool:
    return True


def _mixture(anatomy: Anatomy, stack: Stack) -> bool:
    return anatomy.n_experts > 0


def _family(*names: str) -> Where:
    return lambda anatomy, stack: anatomy.family in names


def _norms(kind: str, *, cross: bool = False) -> Where:
    return lambda anatomy, stack: anatomy.norms == kind and cross == (stack == "X")


_TABLE = (  # the first that fits holds
    _Elsewhere("memory", _always, "{attn}.k.hook_in"),
    # Post-norm: its hook_resid_mid is the second norm's input.
    _Elsewhere("resid_mid", _norms("post"), "{block}.ln1.hook_out"),
    _Elsewhere("resid_mid", _norms("post", cross=True), "{block}.ln2.hook_out"),
    # T5 calls this hook_resid_mid2 as well; M2M100 has no name for it.
    _Elsewhere("resid_mid", _norms("pre", cross=True), "{block}.ln3.hook_in"),
    # Sandwich: its o.hook_out and mlp.hook_out are seen before the norm, and what is added after it.
    _Elsewhere("attn_out", _norms("sandwich"), "{block}.hook_attn_out"),
    _Elsewhere("mlp_out", _norms("sandwich"), "{block}.hook_mlp_out"),
    # A dense layer among mixtures; its mlp.gate is the router.
    _Elsewhere("up", _mixture, "{block}.mlp.dense_in.hook_out"),
    _Elsewhere("gate", _mixture, "{block}.mlp.dense_gate.hook_out"),
    # Its router's hooks show logits.
    _Elsewhere("router_probs", _always, ""),
    _Elsewhere("expert_weights", _family("deepseek_v2", "deepseek_v3", "switch_transformers"), ""),
    # Latent attention: it cuts z by the width of the hidden size over the heads, while a head's z is as wide as its values.
    _Elsewhere("z", _family("deepseek_v2", "deepseek_v3"), ""),
    # Its patterns are the position bias.
    _Elsewhere("pattern", _family("switch_transformers"), ""),
)
# Second names, which methods of `ActivationCache` read; in post-norm families they may mean what a norm writes.
_ALSO: Mapping[Kind, str] = {"attn_out": "{block}.hook_attn_out", "mlp_out": "{block}.hook_mlp_out"}
_CROSS: tuple[Kind, ...] = ("attn_in", "memory", "pattern", "z", "attn_out", "resid_mid")


def hook_names(model: Model, names: Iterable[str]) -> dict[str, str]:
    """Our name of each tensor -> the bridge's name of the same tensor; what the bridge does not have is left out."""
    theirs = {point.name: _theirs(model.anatomy, point) for point in _points(model.anatomy)}
    return {name: theirs[name] for name in names if theirs.get(name)}


def to_cache(model: Model, arrays: Mapping[str, torch.Tensor]) -> "ActivationCache":
    """The tensors of a capture (`seen.arrays`) as an `ActivationCache`, with a batch axis of 1.

    Expert weights are flattened to (batch * pos, expert), as TransformerLens has them.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> to_cache(model, interp.capture(model, "The old man").arrays)["blocks.0.attn.hook_z"].shape[0]
        1
    """
    from transformer_lens import ActivationCache

    named = {theirs: in_their_axes(theirs, arrays[ours]) for ours, theirs in hook_names(model, arrays).items()}
    named |= {also: arrays[ours] for ours, also in _second_names(model.anatomy).items() if ours in arrays}
    return ActivationCache(named, bridge(model))


def in_their_axes(theirs: str, tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of ours with the axes of the bridge's tensor of that name."""
    return tensor.flatten(0, 1) if theirs.endswith("hook_expert_weights") else tensor


def _points(anatomy: Anatomy) -> Iterator[Point]:
    """Every point that a model of this anatomy may have."""
    stacks: list[Stack] = [*anatomy.stacks, "X"] if anatomy.encoder_decoder else [*anatomy.stacks]
    for stack in stacks:
        for layer in range(anatomy.stack(stack).n_layers):
            for kind in _CROSS if stack == "X" else get_args(Kind):
                yield Point(kind=kind, layer=layer, stack=stack)


def _theirs(anatomy: Anatomy, point: Point) -> str:
    for elsewhere in _TABLE:
        if elsewhere.kind == point.kind and elsewhere.where(anatomy, point.stack):
            return _written(elsewhere.theirs, point)
    return point.name


def _second_names(anatomy: Anatomy) -> dict[str, str]:
    if anatomy.norms != "pre":
        return {}
    points = [point for point in _points(anatomy) if point.kind in _ALSO and point.stack != "X"]
    return {point.name: _written(_ALSO[point.kind], point) for point in points}


def _written(name: str, point: Point) -> str:
    attn = Point(kind="pattern", layer=point.layer, stack=point.stack).name.removesuffix(".hook_pattern")
    return name.format(attn=attn, block=attn.rpartition(".")[0])
