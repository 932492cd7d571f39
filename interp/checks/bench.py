"""What all checks of one model share: a short text of its own vocabulary, the plain model's answer to it, and the instrument's.

The plain model has the same weights, eager attention, and no hooks at all: the instrument is held against what the weights alone compute.
"""

from dataclasses import dataclass, replace
from typing import TypeVar, get_args

import torch

from interp.captures.activations import Activations
from interp.captures.prompt import capture
from interp.captures.rebuild import reconstruction_errors
from interp.core.sites import Stack
from interp.models.model import Model, plain_copy
from interp.models.points import Kind, Point
from interp.models.precision import wide
from interp.texts.example import Example

N_TOKENS, N_TARGET = 12, 9
FLOAT32 = 1e-5  # rounding of a few hundred float32 operations, relative to the size of the numbers

Hooked = TypeVar("Hooked", bound=torch.nn.Module)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The model, its texts, and two answers.

    Attributes:
        model: with nothing disabled.
        ids, target: (1, pos) token ids; `target` is the decoder's row of an encoder-decoder.
        plain: logits, or the last hidden state, of the plain model. (1, pos, ...).
        quiet: the same of the instrument while nobody watches.
        eager: the plain model's attention by stack, one tensor (1, head, query_pos, key_pos) a layer.
        seen: the instrument's capture of everything.
        errors: of the rebuilt stream, by sort.
    """

    model: Model
    ids: torch.Tensor
    target: torch.Tensor | None
    plain: torch.Tensor
    quiet: torch.Tensor
    eager: dict[Stack, tuple[torch.Tensor, ...]]
    seen: Activations
    errors: dict[str, float]

    def run(self) -> torch.Tensor:
        """The model's answer, for whoever watches."""
        return self.model.run(self.ids, target=self.target)

    def at(self, kind: Kind, layer: int, stack: Stack) -> torch.Tensor:
        """What the instrument saw at a point, batch axis first. Raises: KeyError where its hook is dead."""
        return self.seen.arrays[Point(kind=kind, layer=layer, stack=stack).name]

    def both_ways(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Two texts in one batch, this one and its reverse; and two targets."""
        return torch.cat([self.ids, self.ids.flip(-1)]), None if self.target is None else torch.cat([self.target, self.target.flip(-1)])


def tolerance_for(model: Model) -> float:
    """1e-5 in float32; in half precision what its own rounding allows."""
    return max(FLOAT32, 8 * torch.finfo(next(model.hf.parameters()).dtype).eps)


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference, as a share of the largest number (or of 1)."""
    ours, theirs = wide(ours), wide(theirs.to(ours.device))
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1.0)).item()


@torch.no_grad()
def bench(model: Model) -> Bench:
    """Run both models."""
    free = replace(model, disabled={})
    ids = _ids(model, N_TOKENS, seed=0)
    target = _ids(model, N_TARGET, seed=1) if model.anatomy.encoder_decoder else None
    plain = _without_any_hook(plain_copy(model.hf))
    plain.set_attn_implementation("eager")
    body = plain if model.anatomy.lm_head else plain.base_model
    rows = {"input_ids": ids} if target is None else {"input_ids": ids, "decoder_input_ids": target}
    extra = {"use_cache": False} if model.anatomy.causal else {}
    answer = body(**rows, output_attentions=bool(model.anatomy.attentions()), **extra)
    seen = capture(free, _example(ids), target=None if target is None else _example(target), keep=get_args(Kind))
    return Bench(
        model=free,
        ids=ids,
        target=target,
        plain=answer.logits if hasattr(answer, "logits") else answer.last_hidden_state,
        quiet=free.run(ids, target=target),
        eager=_attentions(answer, model),
        seen=seen,
        errors=reconstruction_errors(free, seen.arrays),
    )


def _attentions(answer, model: Model) -> dict[Stack, tuple[torch.Tensor, ...]]:
    if model.anatomy.encoder_decoder:
        return {"E": answer.encoder_attentions, "D": answer.decoder_attentions, "X": answer.cross_attentions}
    return {"": answer.attentions or ()}


def _ids(model: Model, n: int, *, seed: int) -> torch.Tensor:
    """Random tokens, the last third as the first, so that induction has something to copy; no padding, which some families do not count."""
    n, d_vocab = min(n, model.anatomy.n_ctx), model.anatomy.d_vocab
    ids = torch.randint(0, d_vocab, (1, n), generator=torch.Generator().manual_seed(seed))
    ids[:, n - n // 3 :] = ids[:, : n // 3]
    pad = model.hf.config.pad_token_id
    return (ids if pad is None else torch.where(ids == pad, (ids + 1) % d_vocab, ids)).to(model.device)


def _example(ids: torch.Tensor) -> Example:
    n = ids.shape[1]
    return Example(text="", ids=tuple(ids[0].tolist()), tokens=("?",) * n, spans=((0, 0),) * n, special=(False,) * n)


def _without_any_hook(hf: Hooked) -> Hooked:
    """A user's hooks go as well, and transformers' own that record patterns, which it puts on again where no mark says that they are on."""
    for module in hf.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
        vars(module).pop("_output_capturing_hooks_installed", None)
    return hf
