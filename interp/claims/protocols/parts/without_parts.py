"""What do texts cost a model without some of its parts? Nats per token, text by text, with heads or whole FFNs switched off.

    part      a head, "L2H3", or the FFN of a layer, "L2 FFN"
    change    nats per token of a text without the parts, less with all of them: what they were worth there
    direct    the same while everything that stands behind the part writes what it wrote before: what is lost is then the part's own
              write, and nobody can make up for it. The final norm sees the change; it is behind everything and is not held

A part is put to its mean over other texts, position by position, or to what it is on one of them. Texts are cut to a length for which
enough of those others are long enough. A head that is the same on all of them has nothing to be switched off: its change is 0. For heads
`interventions.ablate` does it; FFNs are switched off here, by what they write, so that dense ones and mixtures are alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch

from interp.captures.corpus.batches import Batch, by_length
from interp.claims.protocols.finding import halves
from interp.core.errors import ClaimError, InterventionError
from interp.core.sites import head_site
from interp.interventions.ablate import Recorded, ablate, place_of, recorded
from interp.models.anatomy import Anatomy
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Kind, Point, watching
from interp.models.watch import Keep
from interp.texts.example import Example

How = Literal["mean", "resample"]
HOWS: tuple[How, ...] = ("mean", "resample")
Parts = tuple[str, ...]
Writes = Mapping[tuple[str, int], torch.Tensor]
Block = Callable[[Batch, int], AbstractContextManager]
"""Makes what a batch runs inside of; the number is the batch's."""
FFN = " FFN"
FEWEST_TOKENS, OTHERS, AT_ONCE = 8, 16, 1024  # tokens of a text; texts to take values from; tokens that run together
SAME = 1e-5  # of the largest value: what is computed in another batch is rounded otherwise


def parts_of(anatomy: Anatomy, kind: Literal["heads", "ffns"]) -> Parts:
    """All parts of a kind, layer by layer."""
    layers = range(anatomy.n_layers)
    if kind == "ffns":
        return tuple(f"L{layer}{FFN}" for layer in layers if anatomy.ffn(layer))
    return tuple(head_site(layer, head) for layer in layers if anatomy.attention(layer) for head in range(anatomy.n_heads))


def layer_of(part: str) -> int:
    """The layer of a part.

    Example:
        >>> layer_of("L2H3"), layer_of("L11 FFN")
        (2, 11)
    """
    return int(part.removesuffix(FFN)[1:].split("H")[0])


@dataclass(frozen=True, kw_only=True)
class Readings:
    """Texts to choose and to confirm on, of at most `length` tokens, and others, of the selection half, to take values from.

    Attributes:
        documents: each text's cluster, axes (text,).
        choose, confirm: masks, axes (text,).
    """

    examples: list[Example]
    documents: np.ndarray
    choose: np.ndarray
    confirm: np.ndarray
    others: list[Example]


def readings(name: str, examples: Sequence[Example], n_tokens: int, seed: int) -> Readings:
    """Texts cut to `n_tokens`, or to fewer where too few on the selection half are that long.

    Raises: ClaimError where fewer than two texts have eight tokens, or a half has fewer than two documents.
    """
    kept = [example for example in examples if len(example) >= FEWEST_TOKENS]
    if len(kept) < 2:
        raise ClaimError(f"{name}: {len(kept)} texts have {FEWEST_TOKENS} tokens; expected some hundred that have")
    documents = np.array([example.document or example.name or str(number) for number, example in enumerate(kept)])
    choose, confirm = halves(documents, seed)
    candidates = sorted((kept[place] for place in np.flatnonzero(choose)), key=len, reverse=True)[:OTHERS]
    length = min(n_tokens, len(candidates[-1]))
    others = [_cut(example, length) for example in candidates]
    return Readings(examples=[_cut(one, length) for one in kept], documents=documents, choose=choose, confirm=confirm, others=others)


def _cut(example: Example, length: int) -> Example:
    return example.at(range(min(length, len(example))))


class _Put:
    """The watcher that puts other writes in the place of sublayers' own, in one model. `writes`: by (kind of point, layer)."""

    def __init__(self, model: Model, writes: Writes):
        self.owner, self.writes, self.reached = id(model.hf), writes, set[tuple[str, int]]()
        self.kinds = frozenset(kind for kind, _ in writes)

    def attend(self, point: Point, call: AttentionCall) -> None:
        return None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        place = (point.kind, point.layer)
        if point.owner != self.owner or place not in self.writes:
            return None
        self.reached.add(place)
        return self.writes[place][:, : tensor.shape[1]].to(tensor).expand_as(tensor)


@contextmanager
def _putting(model: Model, writes: Writes) -> Iterator[None]:
    """Raises: InterventionError where a sublayer's write never came by."""
    editor = _Put(model, writes)
    with watching(editor):
        yield
    if missed := sorted(set(writes) - editor.reached):
        raise InterventionError(f"what {missed[0][0]} of layer {missed[0][1]} writes was never seen; its hook is dead")


def _behind(place: tuple[str, int], part: str) -> bool:
    """Whether a sublayer's write comes after a part: in a later layer, or as the FFN after the part's attention."""
    kind, layer = place
    return layer > layer_of(part) or (layer == layer_of(part) and kind == "mlp_out" and not part.endswith(FFN))


class Bench:
    """A model, and what texts cost it with and without parts."""

    def __init__(self, model: Model, texts: Readings, seed: int):
        self.model, self.texts, self.seed = model, texts, seed

    @property
    def n_layers(self) -> int:
        return self.model.anatomy.n_layers

    @cached_property
    def clean(self) -> np.ndarray:
        """Nats per token of each text. Axes: (text,)."""
        return self._costs(np.ones(len(self.texts.examples), dtype=bool), lambda batch, number: nullcontext())

    def change(self, parts: Sequence[str], how: How, half: np.ndarray) -> np.ndarray:
        """What the parts are worth in each text of a half, nats per token. Axes: (text,)."""
        live = [part for part in parts if not self.constant(part)]
        if not live:
            return np.zeros(int(half.sum()))
        return self._costs(half, lambda batch, number: self._without(live, how, batch, number)) - self.clean[half]

    def direct(self, part: str, how: How, half: np.ndarray) -> np.ndarray:
        """The same while all that stands behind the part writes as before. Axes: (text,)."""
        if self.constant(part):
            return np.zeros(int(half.sum()))

        def held(batch: Batch, number: int) -> ExitStack:
            behind = {place: write for place, write in self._writes(batch.ids).items() if _behind(place, part)}
            stack = self._without([part], how, batch, number)
            stack.enter_context(_putting(self.model, behind))
            return stack

        return self._costs(half, held) - self.clean[half]

    def unchanged(self, half: np.ndarray) -> float:
        """The largest change when every sublayer is made to write what it writes anyway: 0, or the instrument is not exact.

        Both are run in the same batches: in others a text's cost is rounded otherwise.
        """
        costs = self._costs(half, lambda batch, number: _putting(self.model, self._writes(batch.ids)))
        clean = self._costs(half, lambda batch, number: nullcontext())
        return float(np.abs(costs - clean).max())

    @cached_property
    def _values(self) -> tuple[Recorded | None, dict[int, torch.Tensor]]:
        """What heads are, and FFNs write, on the other texts. FFNs by layer, axes (text, pos, d_model)."""
        heads, layers = parts_of(self.model.anatomy, "heads"), range(self.n_layers)
        rows = [self._writes(torch.tensor([example.ids])) for example in self.texts.others]
        ffns = {layer: torch.cat([row["mlp_out", layer] for row in rows]) for layer in layers if self.model.anatomy.ffn(layer)}
        return (recorded(self.model, heads, self.texts.others) if heads else None), ffns

    def constant(self, part: str) -> bool:
        """Whether a head is the same on all other texts."""
        heads, _ = self._values
        if part.endswith(FFN) or heads is None:
            return False
        site = self.model.anatomy.head(part)
        values = heads.values[place_of(site)][:, :, site.index]
        return bool((values == values[:1]).all())

    def always_same(self, part: str) -> bool:
        """Whether a head is the same on the texts as well: no more than rounding would change without it."""
        return part in self._always_same

    @cached_property
    def _always_same(self) -> set[str]:
        same = {part for part in parts_of(self.model.anatomy, "heads") if self.constant(part)}
        for numbered in by_length(self.texts.examples, max_tokens=AT_ONCE) if same else ():
            batch, keep = Batch.of(numbered, self.model.device), Keep(self.model, ["z"])
            with watching(keep):
                self.model.run(batch.ids, logits=False)
            same = {part for part in same if self._as_recorded(part, keep, batch.ids.shape[1])}
        return same

    def _as_recorded(self, part: str, keep: Keep, n: int) -> bool:
        site, heads = self.model.anatomy.head(part), self._values[0]
        known = heads.values[place_of(site)][:1, :n, site.index] if heads else torch.zeros(())
        seen = keep.arrays[Point(kind="z", layer=site.layer).name][:, :, site.index]
        return bool(
            torch.allclose(seen.float(), known.to(seen.device).float().expand_as(seen), rtol=0.0, atol=SAME * float(known.abs().max()))
        )

    def _without(self, parts: Sequence[str], how: How, batch: Batch, number: int) -> ExitStack:
        stack, seed = ExitStack(), self.seed + number
        heads, (kept, _) = [part for part in parts if not part.endswith(FFN)], self._values
        if heads and kept is not None:
            stack.enter_context(ablate(self.model, heads, how=how, over=kept, seed=seed))
        if ffns := [layer_of(part) for part in parts if part.endswith(FFN)]:
            stack.enter_context(_putting(self.model, self._written(ffns, how, len(batch.ids), seed)))
        return stack

    def _written(self, layers: Sequence[int], how: How, n_rows: int, seed: int) -> Writes:
        """What is put in the place of FFNs: the mean, or the writes on one text for each row, the same in all layers."""
        drawn = torch.randint(len(self.texts.others), (n_rows,), generator=torch.Generator().manual_seed(seed))
        known = {layer: self._values[1][layer] for layer in layers}
        return {("mlp_out", layer): values.mean(0, keepdim=True) if how == "mean" else values[drawn] for layer, values in known.items()}

    def _writes(self, ids: torch.Tensor) -> dict[tuple[str, int], torch.Tensor]:
        """What every sublayer adds to the stream. Axes: (batch, pos, d_model)."""
        kinds: dict[str, Kind] = {"attn": "attn_out", "mlp": "mlp_out"}
        keep = Keep(self.model, list(kinds.values()))
        with watching(keep):
            self.model.run(ids, logits=False)
        places = [(kinds[sublayer.kind], sublayer.layer) for sublayer in self.model.anatomy.sublayers()]
        return {(kind, layer): keep.arrays[Point(kind=kind, layer=layer).name] for kind, layer in places}

    def without(self, part: str) -> Block:
        """Makes that a batch runs without a head or FFN, by its mean; with a head that is always the same, as it is."""
        if self.constant(part):
            return lambda batch, number: nullcontext()
        return lambda batch, number: self._without([part], "mean", batch, number)

    def by_token(self, half: np.ndarray, block: Block) -> list[np.ndarray]:
        """What the token behind each position costs, nats: of each text of a half, axes (pos,)."""
        found: dict[int, np.ndarray] = {}
        for places, losses in self._losses(half, block):
            found |= dict(zip(places.tolist(), losses, strict=True))
        return [found[place] for place in np.flatnonzero(half).tolist()]

    def _costs(self, half: np.ndarray, block: Block) -> np.ndarray:
        found = np.zeros(len(half))
        for places, losses in self._losses(half, block):
            found[places] = losses.mean(1)
        return found[half]

    @torch.no_grad()
    def _losses(self, half: np.ndarray, block: Block) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Which texts a batch holds, and what their tokens cost, axes (text, pos)."""
        places = np.flatnonzero(half)
        for number, numbered in enumerate(by_length([self.texts.examples[place] for place in places], max_tokens=AT_ONCE)):
            batch = Batch.of(numbered, self.model.device)
            with block(batch, number):
                logits = self.model.run(batch.ids).float()
            loss = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), batch.ids[:, 1:], reduction="none")
            yield places[list(batch.numbers)], loss.double().cpu().numpy()
