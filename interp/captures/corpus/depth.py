"""The stream at each depth over a corpus: how many directions it uses, and how well the next token can be read off it.

Depth 0 is the stream that the first block reads, depth l what block l - 1 leaves, the last one what the last block leaves. Over an
encoder-decoder's pairs each of its two streams has its depths; of tokens that come next there are the decoder's.
"""

from collections.abc import Collection, Iterable, Mapping

import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.reducer import Reducer
from interp.captures.corpus.stacked import Place, axes, places, stacked
from interp.core.errors import DataError, ModelUnsupported
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, counted, labelled
from interp.core.sites import STACKS, Stack
from interp.measures.rank import EFFECTIVE_RANK, RANK_ONE, UNIFORMITY, distance_to_one_token, effective_rank, rank_one_distance
from interp.models.anatomy import StackAnatomy
from interp.models.model import Model
from interp.models.points import Point
from interp.models.precision import wide
from interp.models.readout import Readout, cannot_stream_residual


class _ByDepth(Reducer):
    """Looks at the stream at some depths, or at all. Raises: DataError, when it is made, for a depth that does not exist."""

    kinds = frozenset({"resid_pre", "resid_post"})
    features = ("stream",)
    paired = True

    def __init__(self, names: tuple[str, ...], model: Model, stacks: Iterable[StackAnatomy], depths: Collection[int] | None):
        super().__init__(names)
        self.ends = {stack.stack: stack.n_layers for stack in stacks}
        self.deepest = max(stack.n_layers for stack in model.anatomy.stacks.values())
        self.depths = sorted(range(self.deepest + 1) if depths is None else set(depths))
        if not self.depths or not 0 <= self.depths[0] <= self.depths[-1] <= self.deepest:
            raise DataError(f"depths {self.depths} came; expected some of 0 to {self.deepest}, the number of layers")

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        last = point.kind == "resid_post"
        depth = point.layer + last
        if depth in self.depths and point.stack in self.ends and (not last or depth == self.ends[point.stack]):
            self.stream_at(point.stack, depth, tensor.detach())

    def stream_at(self, stack: Stack, depth: int, stream: torch.Tensor) -> None:
        """Keep what is wanted of the stream, axes (batch, pos, d_model)."""
        raise NotImplementedError

    def add(self, name: str, stack: Stack, depth: int, values: torch.Tensor) -> None:
        """Add to a sum that `found` gives by depth."""
        self.totals.add(f"{name} {stack}L{depth}", values)

    def found(self, name: str) -> dict[Place, torch.Tensor]:
        """A sum, by stack and depth."""
        return places(self.totals.sums, name)

    def variable(self, values: Mapping[Place, torch.Tensor], name: str, n: Mapping[Stack, int], **about) -> DataArray:
        """By depth, nan for those that nobody asked for; attribute n: what was counted."""
        none = {(stack, depth): torch.tensor(torch.nan, dtype=torch.float64) for stack in n for depth in self.depths}
        table = stacked(none | dict(values), (self.deepest + 1,))
        dims = axes(table, ["depth"])
        result = labelled(table, dims, name=name, **about)
        return counted(result.assign_coords(stack=list(STACKS)) if "stack" in dims else result, n)


class StreamRank(_ByDepth):
    """Effective rank of the stream, its distance to rank one, and that of each text's tokens to being all the same.

    Args:
        model: whose stream; of an encoder-decoder both.
        depths: which ones; None: all. Each takes d_model x d_model numbers of memory, 8 bytes each.
    """

    def __init__(self, model: Model, depths: Collection[int] | None = None):
        super().__init__(("effective_rank", "rank_one_distance", "distance_to_one_token"), model, model.anatomy.stacks.values(), depths)

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        for stack in self.ends:
            texts, length = batch.ids_of(stack).shape
            self.add("tokens", stack, 0, torch.tensor(texts * length))
            self.add("texts", stack, 0, torch.tensor(texts if length > 1 else 0))

    def stream_at(self, stack: Stack, depth: int, stream: torch.Tensor) -> None:
        # In float64: roots of small eigenvalues would drown in float32's rounding of the largest.
        flat = wide(stream.flatten(0, -2))
        self.add("moments", stack, depth, flat.T @ flat)
        if stream.shape[1] > 1:
            self.add("distance", stack, depth, distance_to_one_token(stream.float()).double().sum())

    def result(self, provenance: Provenance) -> Dataset:
        """effective_rank, rank_one_distance over all tokens; distance_to_one_token: mean over texts of two or more.

        Axes ([stack,] depth).
        """
        moments = self.found("moments")
        tokens, texts = ({stack: int(n) for (stack, _), n in self.found(what).items()} for what in ("tokens", "texts"))
        distances = {place: total / texts[place[0]] for place, total in self.found("distance").items()}
        rank, one = (
            {place: torch.tensor(of(each), dtype=torch.float64) for place, each in moments.items()}
            for of in (effective_rank, rank_one_distance)
        )
        about = {"provenance": provenance, "units": "1"}
        variables = [
            self.variable(rank, self.names[0], tokens, long_name="effective rank of the stream", source=EFFECTIVE_RANK, **about),
            self.variable(one, self.names[1], tokens, long_name="distance of the stream to rank one", source=RANK_ONE, **about),
            self.variable(
                distances, self.names[2], texts, long_name="distance of a text's tokens to one and the same", source=UNIFORMITY, **about
            ),
        ]
        return Dataset({variable.name: variable for variable in variables})


class LensLoss(_ByDepth):
    """Loss of the next token when it is read off the stream at each depth through the model's own final norm and unembedding.

    Each depth costs an unembedding of every token, for GPT-2-small half of a forward pass: ask for fewer depths where that is too much.

    Args:
        model: a decoder with its head; beside an encoder, its stream is meant.
        depths: which ones; None: all.
        tokens: read off together; memory is tokens x d_vocab numbers.
    Raises: ModelUnsupported, when it is made, for a model that predicts no next token.
    """

    def __init__(self, model: Model, depths: Collection[int] | None = None, tokens: int = 256):
        super().__init__(("lens_loss",), model, [model.anatomy.main], depths)
        reason = cannot_stream_residual(model.anatomy).get("lens_loss")
        if reason:
            raise ModelUnsupported(f"{model.name} has no logit lens over a corpus, since {reason}")
        self.readout, self.tokens, self.stack = Readout(model), tokens, model.anatomy.main.stack

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self.next = batch.ids_of(self.stack)[:, 1:].flatten()
        self.totals.add("n", torch.tensor(len(self.next)))

    def stream_at(self, stack: Stack, depth: int, stream: torch.Tensor) -> None:
        pairs = zip(stream[:, :-1].flatten(0, -2).split(self.tokens), self.next.split(self.tokens), strict=True)
        for some, following in pairs if len(self.next) else ():
            logits = self.readout.logits(some)
            loss = torch.nn.functional.cross_entropy(logits, following.to(logits.device), reduction="sum")
            self.add("loss", stack, depth, loss)

    def result(self, provenance: Provenance) -> Dataset:
        """lens_loss (depth,), nats for each token that has a next one; of an encoder-decoder its decoder's."""
        n = int(self.totals.sums["n"])
        losses: dict[Place, torch.Tensor] = {("", depth): total / n for (_, depth), total in self.found("loss").items()}
        about = {"long_name": "loss of the next token, read off the stream", "units": "nats", "source": "nostalgebraist (2020)"}
        found = self.variable(losses, "lens_loss", {"": n}, provenance=provenance, **about)
        return Dataset({"lens_loss": found})
