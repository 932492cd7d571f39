"""The stream at each depth over a corpus: how many directions it uses, and how well the next token can be read off it.

Depth 0 is the stream that the first block reads, depth l what block l - 1 leaves, the last one what the last block leaves.
"""

from collections.abc import Collection

import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.reducer import Reducer
from interp.core.errors import DataError, ModelUnsupported
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, labelled
from interp.measures.rank import EFFECTIVE_RANK, RANK_ONE, UNIFORMITY, distance_to_one_token, effective_rank, rank_one_distance
from interp.models.model import Model
from interp.models.points import Point
from interp.models.precision import wide
from interp.models.readout import Readout, cannot_stream_residual


class _ByDepth(Reducer):
    """Looks at the stream at some depths, or at all. Raises: DataError, when it is made, for a depth that does not exist."""

    kinds = frozenset({"resid_pre", "resid_post"})
    features = ("stream",)

    def __init__(self, names: tuple[str, ...], model: Model, depths: Collection[int] | None):
        super().__init__(names)
        self.n_layers = model.anatomy.n_layers
        self.depths = sorted(range(self.n_layers + 1) if depths is None else set(depths))
        if not self.depths or not 0 <= self.depths[0] <= self.depths[-1] <= self.n_layers:
            raise DataError(f"depths {self.depths} came; expected some of 0 to {self.n_layers}, the number of layers")

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        last = point.kind == "resid_post"
        depth = point.layer + last
        if depth in self.depths and (not last or depth == self.n_layers):
            self.stream_at(depth, tensor.detach())

    def stream_at(self, depth: int, stream: torch.Tensor) -> None:
        """Keep what is wanted of the stream, axes (batch, pos, d_model)."""
        raise NotImplementedError

    def variable(self, values: dict[int, float], name: str, n: str, **about) -> DataArray:
        """By depth, nan for those that nobody asked for; attribute n: what was counted under this name."""
        row = torch.tensor([values.get(depth, torch.nan) for depth in range(self.n_layers + 1)], dtype=torch.float64)
        counted = int(self.totals.sums.get(n, torch.zeros(())))
        return labelled(row, ["depth"], name=name, **about).assign_attrs(n=counted)


class StreamRank(_ByDepth):
    """Effective rank of the stream, its distance to rank one, and that of each text's tokens to being all the same.

    Args:
        model: with one stack.
        depths: which ones; None: all. Each takes d_model x d_model numbers of memory, 8 bytes each.
    """

    def __init__(self, model: Model, depths: Collection[int] | None = None):
        super().__init__(("effective_rank", "rank_one_distance", "distance_to_one_token"), model, depths)

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        texts, length = batch.ids.shape
        self.totals.add("n", torch.tensor(texts * length))
        self.totals.add("n texts", torch.tensor(texts if length > 1 else 0))

    def stream_at(self, depth: int, stream: torch.Tensor) -> None:
        # In float64: roots of small eigenvalues would drown in float32's rounding of the largest.
        flat = wide(stream.flatten(0, -2))
        self.totals.add(f"moments {depth}", flat.T @ flat)
        if stream.shape[1] > 1:
            self.totals.add(f"distance {depth}", distance_to_one_token(stream.float()).double().sum())

    def result(self, provenance: Provenance) -> Dataset:
        """effective_rank, rank_one_distance over all tokens; distance_to_one_token: mean over texts of two or more. Axis (depth,)."""
        moments = {depth: self.totals.sums[f"moments {depth}"] for depth in self.depths}
        texts = self.totals.sums["n texts"]
        distances = {depth: float(self.totals.sums.get(f"distance {depth}", torch.tensor(torch.nan)) / texts) for depth in self.depths}
        rank, one = ({depth: of(each) for depth, each in moments.items()} for of in (effective_rank, rank_one_distance))
        about = {"provenance": provenance}
        variables = [
            self.variable(rank, self.names[0], "n", long_name="effective rank of the stream", units="1", source=EFFECTIVE_RANK, **about),
            self.variable(one, self.names[1], "n", long_name="distance of the stream to rank one", units="1", source=RANK_ONE, **about),
            self.variable(
                distances, self.names[2], "n texts",
                long_name="distance of a text's tokens to one and the same", units="1", source=UNIFORMITY, **about,
            ),
        ]  # fmt: skip
        return Dataset({variable.name: variable for variable in variables})


class LensLoss(_ByDepth):
    """Loss of the next token when it is read off the stream at each depth through the model's own final norm and unembedding.

    Each depth costs an unembedding of every token, for GPT-2-small half of a forward pass: ask for fewer depths where that is too much.

    Args:
        model: a decoder with its head.
        depths: which ones; None: all.
        tokens: read off together; memory is tokens x d_vocab numbers.
    Raises: ModelUnsupported, when it is made, for a model that predicts no next token.
    """

    def __init__(self, model: Model, depths: Collection[int] | None = None, tokens: int = 256):
        super().__init__(("lens_loss",), model, depths)
        reason = cannot_stream_residual(model.anatomy).get("lens_loss")
        if reason:
            raise ModelUnsupported(f"{model.name} has no logit lens over a corpus, since {reason}")
        self.readout, self.tokens = Readout(model), tokens

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self.next = batch.ids[:, 1:].flatten()
        self.totals.add("n", torch.tensor(len(self.next)))

    def stream_at(self, depth: int, stream: torch.Tensor) -> None:
        pairs = zip(stream[:, :-1].flatten(0, -2).split(self.tokens), self.next.split(self.tokens), strict=True)
        for some, following in pairs if len(self.next) else ():
            logits = self.readout.logits(some)
            loss = torch.nn.functional.cross_entropy(logits, following.to(logits.device), reduction="sum")
            self.totals.add(f"loss {depth}", loss)

    def result(self, provenance: Provenance) -> Dataset:
        """lens_loss (depth,), nats for each token that has a next one."""
        n = self.totals.sums["n"]
        losses = {depth: float(self.totals.sums.get(f"loss {depth}", torch.tensor(torch.nan)) / n) for depth in self.depths}
        about = {"long_name": "loss of the next token, read off the stream", "units": "nats", "source": "nostalgebraist (2020)"}
        found = self.variable(losses, "lens_loss", "n", provenance=provenance, **about)
        return Dataset({"lens_loss": found})
