"""Switch heads off inside a `with` block: by zero, by their mean, or by what they do on another text.

What is replaced is z, a head's weighted values before W_O, so the pattern stays and everything downstream is recomputed. Zero is far from
what the model ever sees; mean and resample keep the scale, and agree in sign where an effect is real (STATISTICS: report both).

    zero       z = 0
    mean       z = the head's mean over a corpus, at the same position where the corpus reaches it
    resample   z = the head's z on another text of the corpus, drawn by seed

An ablation that never fired, or that changed nothing in any head it was meant for, raises when the block ends.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

import torch

from interp.core.errors import DataError, InterventionError
from interp.core.sites import head_site, parse_heads
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.watch import Keep
from interp.texts.example import Example
from interp.texts.tokens import tokenize

How = Literal["zero", "mean", "resample"]


class _Replace:
    """The watcher that puts other values in the place of z in one model. `values[layer]`: (text, pos, head, d_head)."""

    def __init__(self, model: Model, heads: Sequence[tuple[int, int]], values: dict[int, torch.Tensor] | None, seed: int):
        self.owner = id(model.hf)
        self.kinds = frozenset({"z"} if values is None else {"z", "pattern"})
        self.heads = {layer: sorted({head for at, head in heads if at == layer}) for layer in {layer for layer, _ in heads}}
        self.values = values
        self.generator = torch.Generator().manual_seed(seed)
        self.fired: set[tuple[int, int]] = set()
        self.changed: set[tuple[int, int]] = set()

    def attend(self, point: Point, call: AttentionCall) -> None:
        if point.owner == self.owner and call.query.shape[2] != call.key.shape[2]:
            raise InterventionError(
                "the model runs with a key-value cache, so a token's place in the text is not known here; "
                "expected how='zero', or use_cache=False"
            )

    def at(self, point: Point, z: torch.Tensor) -> torch.Tensor | None:
        heads = self.heads.get(point.layer)
        if heads is None or point.owner != self.owner:
            return None
        edited = z.clone()
        edited[:, :, heads] = self._substitute(point.layer, z)[:, :, heads]
        for head in heads:
            self.fired.add((point.layer, head))
            if not torch.equal(edited[:, :, head], z[:, :, head]):
                self.changed.add((point.layer, head))
        return edited

    def _substitute(self, layer: int, z: torch.Tensor) -> torch.Tensor:
        if self.values is None:
            return torch.zeros_like(z)
        known = self.values[layer]
        if known.shape[1] < z.shape[1]:
            raise DataError(
                f"the texts to replace from have {known.shape[1]} tokens, the text that runs has {z.shape[1]}; "
                "expected texts at least as long: give longer ones in over="
            )
        drawn = torch.randint(known.shape[0], (z.shape[0],), generator=self.generator)
        return known[drawn.to(known.device), : z.shape[1]].to(z.dtype)


@contextmanager
def ablate(
    model: Model, heads: str | Iterable[str], *, how: How = "mean", over: Iterable[str | Example] = (), seed: int = 0
) -> Iterator[None]:
    """Switch heads off for every run of `model` inside the block, in this context only.

    Args:
        model: from `interp.load`.
        heads: "L2H3" or several.
        how: "zero", "mean" or "resample".
        over: for mean and resample: texts to take the values from, at least as long as those that will run.
        seed: which text each row gets under "resample".
    Raises: SiteError for a head that does not exist; DataError when texts are missing or too short; InterventionError when
        the block ends and no model ran, or nothing changed in a head.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> before = interp.capture(model, "The old man").logits
        >>> with ablate(model, "L0H0", how="zero"):
        ...     after = interp.capture(model, "The old man").logits
        >>> bool((before != after).any()), bool((interp.capture(model, "The old man").logits == before).all())
        (True, True)
    """
    model.require("ablation")
    wanted = parse_heads(heads, n_layers=model.anatomy.n_layers, n_heads=model.anatomy.n_heads)
    if how not in get_args(How):
        raise InterventionError(f"how={how!r} came; expected 'zero', 'mean' or 'resample'")
    if not wanted:
        raise InterventionError("no head was named; expected at least one, such as 'L0H0'")
    texts: list[str | Example] = [over] if isinstance(over, str | Example) else list(over)
    editor = _Replace(model, wanted, None if how == "zero" else _values(model, wanted, how, texts), seed)
    with watching(editor):
        yield
    _insist(editor, wanted)


def _values(model: Model, heads: Sequence[tuple[int, int]], how: How, texts: list[str | Example]) -> dict[int, torch.Tensor]:
    """z on each text, cut to the shortest; for "mean" averaged over the texts, position by position."""
    if not texts:
        raise DataError(f"how={how!r} needs texts to take values from; expected some in over=[...], or how='zero'")
    rows = [_z(model, text) for text in texts]
    shortest = min(next(iter(row.values())).shape[0] for row in rows)
    stacked = {layer: torch.stack([row[layer][:shortest] for row in rows]) for layer in {layer for layer, _ in heads}}
    return {layer: z.mean(0, keepdim=True) if how == "mean" else z for layer, z in stacked.items()}


def _z(model: Model, text: str | Example) -> dict[int, torch.Tensor]:
    example = text if isinstance(text, Example) else tokenize(text, model.tokenizer, n_ctx=model.anatomy.n_ctx)
    keep = Keep(model, ["z"])
    with watching(keep):
        model.run(torch.tensor([example.ids]), logits=False)
    return {layer: keep.arrays[Point(kind="z", layer=layer).name][0] for layer in range(model.anatomy.n_layers)}


def _insist(editor: _Replace, wanted: Sequence[tuple[int, int]]) -> None:
    silent = [head_site(*head) for head in wanted if head not in editor.fired]
    if silent:
        raise InterventionError(f"the ablation of {', '.join(silent)} never fired: no model ran inside the block, or its hook is dead")
    same = [head_site(*head) for head in wanted if head not in editor.changed]
    if same:
        raise InterventionError(
            f"the ablation of {', '.join(same)} changed nothing: its values are already those that were to replace them "
            "(is over= the text itself?)"
        )
