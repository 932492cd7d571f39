"""Hooks on the mapped modules: they show what passes to whoever watches (see `points`), and do nothing while nobody does.

They stand on a model for good. Where a block's stream can be seen depends on its norms: in pre-norm models it is what the next norm or the
next block reads, in post-norm models what a norm writes.
"""

from collections.abc import Callable
from contextvars import ContextVar

import torch
from transformers import PreTrainedModel

from interp.core.sites import Stack
from interp.models import attention, experts
from interp.models.anatomy import Anatomy, StackAnatomy, Sublayer
from interp.models.points import Kind, Point, emit

# OPT flattens texts and positions into one axis before its FFN; what the block read tells them apart.
_SHAPE: ContextVar[tuple[int, ...]] = ContextVar("interp_block_shape")


def attach(hf: PreTrainedModel, anatomy: Anatomy) -> None:
    """Put hooks on every sublayer, norm and block of a model."""
    for stack in anatomy.stacks.values():
        _attach_blocks(hf, stack)
        for sublayers in stack.layers:
            for sublayer in sublayers:
                _attach_sublayer(hf, sublayer, stack)
            _attach_stream(hf, sublayers, stack)


def detach(hf: PreTrainedModel) -> None:
    """Take our hooks off; a user's own stay."""
    for module in hf.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if getattr(hook, "__module__", "") in (__name__, experts.__name__)]:
                del hooks[key]


def _point(hf: PreTrainedModel, kind: Kind, layer: int, stack: Stack) -> Point:
    return Point(kind=kind, layer=layer, stack=stack, owner=id(hf))


def _attach_blocks(hf: PreTrainedModel, stack: StackAnatomy) -> None:
    for layer, path in enumerate(stack.blocks):
        block = hf.get_submodule(path)
        block.register_forward_pre_hook(_remembers_shape, with_kwargs=True)
        _reads(block, _point(hf, "resid_pre", layer, stack.stack))
    if stack.ln_final:
        _writes(hf.get_submodule(stack.ln_final), _point(hf, "ln_final", stack.n_layers - 1, stack.stack))


def _attach_sublayer(hf: PreTrainedModel, sublayer: Sublayer, stack: StackAnatomy) -> None:
    def point(kind: Kind) -> Point:
        return _point(hf, kind, sublayer.layer, sublayer.stack)

    attending = sublayer.kind != "mlp"
    # An FFN's own module reads for gate and up alike; loose projections have none.
    for path in sublayer.reads if attending else (sublayer.module or sublayer.reads[0],):
        _reads(hf.get_submodule(path), point("attn_in" if attending else "mlp_in"))
    for path in sublayer.memory:
        _reads(hf.get_submodule(path), point("memory"))
    if attending:
        attention.place(hf.get_submodule(sublayer.module), point("pattern"))
        _reads(hf.get_submodule(sublayer.out), point("z"), (stack.n_heads, stack.d_head))
    elif sublayer.experts:
        experts.attach(hf.get_submodule(sublayer.module), point)
    else:
        _attach_neurons(hf, sublayer, point)
    _writes(hf.get_submodule(sublayer.writes), point("attn_out" if attending else "mlp_out"))


def _attach_neurons(hf: PreTrainedModel, ffn: Sublayer, point: Callable[[Kind], Point]) -> None:
    up = hf.get_submodule(ffn.reads[0])
    if ffn.gate == ffn.reads[0]:
        _writes(up, point("gate"), half=0)
        _writes(up, point("up"), half=1)
    else:
        _writes(up, point("up"))
        if ffn.gate:
            _writes(hf.get_submodule(ffn.gate), point("gate"))
    _reads(hf.get_submodule(ffn.out), point("post"))


def _attach_stream(hf: PreTrainedModel, sublayers: tuple[Sublayer, ...], stack: StackAnatomy) -> None:
    """The stream after each sublayer of a block: between them `resid_mid`, after the last `resid_post`."""
    for sublayer, following in zip(sublayers, [*sublayers[1:], None], strict=True):
        kind: Kind = "resid_mid" if following else "resid_post"
        point = _point(hf, kind, sublayer.layer, sublayer.stack)
        if sublayer.norm_after:
            _writes(hf.get_submodule(sublayer.norm_after), point)
        elif following is None:
            _attach_end(hf, point, stack)
        elif following.norm_in and not stack.parallel:
            _reads(hf.get_submodule(following.norm_in), point)


def _attach_end(hf: PreTrainedModel, point: Point, stack: StackAnatomy) -> None:
    """In pre-norm models a block's output is what the next block, or the final norm, reads."""
    last = point.layer == stack.n_layers - 1
    path = stack.ln_final if last else stack.blocks[point.layer + 1]
    if path:
        _reads(hf.get_submodule(path), point)


def _remembers_shape(module: torch.nn.Module, args: tuple, kwargs: dict) -> None:
    _SHAPE.set((args[0] if args else kwargs["hidden_states"]).shape[:-1])


def _shown(point: Point, tensor: torch.Tensor) -> torch.Tensor:
    """What an observer or an editor makes of a tensor, whatever axes the model keeps it in."""
    flat = tensor.ndim == 2
    seen = tensor.unflatten(0, _SHAPE.get()) if flat else tensor
    replaced = emit(point, seen)
    return tensor if replaced is seen else replaced.reshape(tensor.shape)


def _reads(module: torch.nn.Module, point: Point, split: tuple[int, int] | None = None) -> None:
    """Show a module's first input; `split` unfolds its last axis into (head, d_head)."""

    def hook(module: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        tensor = args[0] if args else kwargs["hidden_states"]
        parts = tensor if split is None else tensor.unflatten(-1, split)
        replaced = _shown(point, parts)
        if replaced is parts:
            return None
        replaced = replaced.reshape(tensor.shape)
        return ((replaced, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": replaced})

    module.register_forward_pre_hook(hook, with_kwargs=True)


def _writes(module: torch.nn.Module, point: Point, *, half: int | None = None) -> None:
    """Show what a module returns; `half` of its last axis where one matrix holds two."""

    def hook(module: torch.nn.Module, args: tuple, output: torch.Tensor | tuple) -> torch.Tensor | tuple | None:
        tensor, *more = output if isinstance(output, tuple) else (output,)
        parts = [tensor] if half is None else list(tensor.chunk(2, dim=-1))
        at = half or 0
        replaced = _shown(point, parts[at])
        if replaced is parts[at]:
            return None
        parts[at] = replaced
        changed = torch.cat(parts, dim=-1)
        return (changed, *more) if isinstance(output, tuple) else changed

    module.register_forward_hook(hook)
