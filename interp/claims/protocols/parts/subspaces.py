"""Which directions of the stream does each head read and write? Subspaces off the weights, their overlap, and heads to compare with.

    query, key    what W_Q and W_K read
    value         what W_V reads
    output        what the OV circuit W_V W_O writes

A subspace is an orthonormal basis, axes (d_model, direction), with columns of zeros beyond its rank. The overlap of two is the mean
cos^2 of their principal angles, tr(P Q) / min(rank): 1 where one holds the other, 0 where they are orthogonal, and max(rank) / d_model in
expectation where they are drawn at random. Directions count alike, however strongly a head uses them.

Projections are read by probing (see `models.value_weights`): unit vectors go in where attention reads, each as a text of one token, at the
place 0, where rotary embeddings turn nothing; what comes out is a row of the projection. Heads that share keys and values (grouped and
multi-query attention) have one key and one value between them, and it counts once. Memory: one layer's queries and keys, and all
layers' bases.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch

from interp.core.errors import ModelUnsupported
from interp.measures.ov import directions
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.value_weights import LINEAR, LINEAR_HALF, value_weights

Matrix = Literal["query", "key", "value", "output"]
Layers = dict[int, np.ndarray]
"""Bases of a layer's heads by layer. Axes: (head, d_model, direction)."""
RANK = 1e-5  # of the largest singular value; float32 rounds sums of d_model products to less
FEWEST_HEADS = 3  # with two there is one pair, and nothing shows how pairs spread


class _Probe:
    """Puts zero, the unit vectors and one mixed vector where attention reads; keeps bases of the queries and keys that come out."""

    kinds = frozenset({"attn_in", "pattern"})

    def __init__(self, model: Model):
        self.model, self.owner = model, id(model.hf)
        self.found: dict[Matrix, Layers] = {"query": {}, "key": {}}

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        return _probe(tensor.shape[-1]).to(tensor)[:, None] if point.owner == self.owner else None

    def attend(self, point: Point, call: AttentionCall) -> None:
        if point.owner == self.owner:
            groups = self.model.anatomy.n_heads // self.model.anatomy.n_key_value_heads
            self.found["query"][point.layer] = _basis(self._linear(call.query, "queries", point.layer))
            self.found["key"][point.layer] = _basis(self._linear(call.key[:, ::groups], "keys", point.layer))

    def _linear(self, seen: torch.Tensor, what: str, layer: int) -> torch.Tensor:
        """The projection, bias off. Axes: (text, head, 1, d_head) -> (head, d_model, d_head)."""
        rows = (seen[1:, :, 0] - seen[:1, :, 0]).float()
        weights, expected = rows[:-1].transpose(0, 1), torch.einsum("d,dhe->he", _probe(len(rows) - 1)[-1].to(rows), rows[:-1])
        allowed = LINEAR if self.model.hf.dtype == torch.float32 else LINEAR_HALF
        if not torch.allclose(rows[-1], expected, rtol=0.0, atol=allowed * float(expected.abs().max().clamp_min(1e-6))):
            raise ModelUnsupported(f"has {what} that are no linear map of what attention reads (they are normed, in layer {layer})")
        return weights


def _probe(n: int) -> torch.Tensor:
    """Axes: (text, d_model), n + 2 texts."""
    return torch.cat([torch.zeros(1, n), torch.eye(n), torch.sin(torch.arange(n, dtype=torch.float32) * 1.7 + 0.3)[None]])


def _basis(weights: torch.Tensor) -> np.ndarray:
    """An orthonormal basis of each head's columns; none for a head that is nothing beside the layer's loudest."""
    left, sizes, _ = torch.linalg.svd(weights.double(), full_matrices=False)
    return _cut(left, sizes)


def _cut(basis: torch.Tensor, sizes: torch.Tensor) -> np.ndarray:
    real = sizes > RANK * sizes.amax(1, keepdim=True).clamp_min(RANK * float(sizes.max()))
    return (basis.double() * real[:, None]).cpu().numpy()


@torch.no_grad()
def head_subspaces(model: Model, matrices: Sequence[Matrix]) -> dict[Matrix, Layers]:
    """Bases of what each head reads and writes, for layers in which at least three heads do.

    Raises: ModelUnsupported where a projection is no linear map (normed queries and keys, latent attention), as the rest of a sentence.

    Example:
        >>> import interp
        >>> head_subspaces(interp.load(), ["query"])["query"][0].shape
        (8, 256, 32)
    """
    found: dict[Matrix, Layers] = {}
    if {"query", "key"} & set(matrices):
        probe = _Probe(model)
        with watching(probe):
            model.run(torch.zeros(model.anatomy.d_model + 2, 1, dtype=torch.long), logits=False)
        found |= probe.found
    if {"value", "output"} & set(matrices):
        found |= _values(model)
    return {matrix: _enough(found[matrix]) for matrix in matrices}


def _values(model: Model) -> dict[Matrix, Layers]:
    groups, values, outputs = model.anatomy.n_heads // model.anatomy.n_key_value_heads, {}, {}
    for (_, layer), W_V in value_weights(model).items():
        sizes, _, written = directions(W_V, model.W_O(layer).float(), W_V.shape[2])
        values[layer], outputs[layer] = _basis(W_V[::groups]), _cut(written.transpose(1, 2), sizes)
    return {"value": values, "output": outputs}


def _enough(layers: Layers) -> Layers:
    """Without the heads that are silent, and the layers that are left with too few."""
    heard = {layer: bases[ranks(bases) > 0] for layer, bases in sorted(layers.items())}
    return {layer: bases for layer, bases in heard.items() if len(bases) >= FEWEST_HEADS}


def ranks(bases: np.ndarray) -> np.ndarray:
    """Directions of each head. Axes: (head, d_model, direction) -> (head,)."""
    return np.rint((bases**2).sum((1, 2))).astype(int)


def overlap(bases: np.ndarray) -> np.ndarray:
    """Mean cos^2 of the principal angles of each pair of heads, 0 to 1. Axes: (head, d_model, direction) -> (head, head).

    Source: Björck & Golub (1973), "Numerical Methods for Computing Angles Between Linear Subspaces".

    Example:
        >>> overlap(np.eye(4)[None, :, [0, 1]].repeat(2, 0)).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    n, d_model, width = bases.shape
    flat = bases.transpose(1, 0, 2).reshape(d_model, n * width)
    squared = ((flat.T @ flat) ** 2).reshape(n, width, n, width).sum((1, 3))
    return squared / np.minimum.outer(ranks(bases), ranks(bases))


def random_overlap(bases: np.ndarray) -> np.ndarray:
    """What heads of these ranks share in expectation when they are drawn at random: max(rank) / d_model. Axes: (head, head)."""
    return np.maximum.outer(ranks(bases), ranks(bases)) / bases.shape[1]


def least_overlap(bases: np.ndarray) -> float:
    """The smallest mean overlap that so many heads of such ranks can have: what does not fit into d_model must be shared.

    sum over all i, j of tr(P_i P_j) is at least (sum of ranks)^2 / d_model.
    """
    size, total, n = ranks(bases), int(ranks(bases).sum()), len(bases)
    return max(0.0, (total**2 / bases.shape[1] - total) / (n * (n - 1)) / float(size.mean()))


def by_head(pairs: np.ndarray) -> np.ndarray:
    """Each head's stand-in value for a mean over pairs, whose spread over heads is that of the mean. Axes: (head, head) -> (head,).

    n U - (n - 1) U_without_the_head = U + 2 (n - 1) / (n - 2) (h - U): U is the mean over pairs, h a head's mean over its pairs. A pair
    belongs to two heads; to take the h for independent values would halve the interval.

    Source: Arvesen (1969), "Jackknifing U-Statistics".

    Example:
        >>> by_head(np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.1], [0.5, 0.1, 1.0]])).mean().round(6).item()
        0.2
    """
    n = len(pairs)
    own = (pairs.sum(1) - np.diagonal(pairs)) / (n - 1)
    return own.mean() + 2 * (n - 1) / (n - 2) * (own - own.mean())


def random_heads(bases: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian heads of the same shape and ranks."""
    return np.stack([_orthonormal(rng.standard_normal((bases.shape[1], rank)), bases.shape[2]) for rank in ranks(bases)])


def redealt(bases: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The layer's own directions dealt to heads anew: what a layer uses stays, which head uses it is forgotten.

    Each old head gives as many directions as it has, drawn within its subspace so that random heads remain random heads. (The rows of the
    weights would not do: a head's rows all lean to its loudest directions, so that dealing them anew makes heads alike.)
    """
    own = ranks(bases)
    drawn = np.concatenate([_redrawn(basis[:, :rank], rng) for basis, rank in zip(_packed(bases), own, strict=True)], 1)
    drawn = drawn[:, rng.permutation(drawn.shape[1])]
    return np.stack([_orthonormal(part, bases.shape[2]) for part in np.split(drawn, np.cumsum(own)[:-1], axis=1)])


def _redrawn(basis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vectors of one subspace with the lengths and angles that as many Gaussian ones of d_model numbers have (Bartlett's factors)."""
    d_model, rank = basis.shape
    lengths = np.sqrt(rng.chisquare(d_model - np.arange(rank)))
    angles = np.triu(rng.standard_normal((rank, rank)), 1) + np.diag(lengths)
    return basis @ (np.linalg.qr(rng.standard_normal((rank, rank)))[0] @ angles)


def mean_overlaps(layers: Mapping[int, np.ndarray]) -> dict[int, float]:
    """Mean overlap over the pairs of each layer."""
    return {layer: float(by_head(overlap(bases)).mean()) for layer, bases in layers.items()}


def _packed(bases: np.ndarray) -> np.ndarray:
    """The columns of zeros last."""
    order = np.argsort(~(bases != 0).any(1), axis=1, kind="stable")
    return np.take_along_axis(bases, order[:, None], axis=2)


def _orthonormal(columns: np.ndarray, width: int) -> np.ndarray:
    """Axes: (d_model, rank) -> (d_model, width)."""
    basis = np.linalg.qr(columns)[0]
    return np.pad(basis, ((0, 0), (0, width - basis.shape[1])))
