"""How selective the neurons of a model are for a label, and how sparse, on the words of some texts.

members     every neuron of every layer, counted through, in two directions: larger on the label's words, and smaller there
sparsity    of a layer's neurons behind one word: the share that is as good as 0 (below a tenth of the layer's root mean square), Hoyer's
            measure, and Gini's; the first depends on that tenth, the other two on nothing
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from interp.claims.protocols.parts.auroc_by_document import auroc_by_document
from interp.claims.protocols.parts.neurons_on_words import (
    Feed,
    GaussianInputs,
    PlantedNeuron,
    Words,
    at_words,
    neurons_by_layer,
)
from interp.claims.verdict import Control
from interp.core.errors import ClaimError
from interp.measures.neurons import hoyer_sparsity
from interp.models.model import Model

NEAR_ZERO = 0.1
SPARSITY = ("share near 0", "Hoyer", "Gini")
NEAREST = 30  # neurons of like norm that a draw takes one of


@dataclass(frozen=True, kw_only=True)
class Selective:
    """What was found on one model.

    Attributes:
        selection: each neuron's AUROC on the selection half, (neuron,).
        confirmation: what each document of the other half contributes to it, (neuron, document); see `auroc_by_document`.
        sparsity: (measure, layer, word).
        norm: how much each neuron writes, ||W_out|| x root mean square on the selection half, (neuron,).
    """

    selection: np.ndarray
    confirmation: np.ndarray
    sparsity: np.ndarray
    norm: np.ndarray

    def member(self) -> int:
        """The most selective on the selection half, in either direction; numbers from n on are the second direction."""
        return int(np.concatenate([self.selection, 1 - self.selection]).argmax())

    def both(self) -> np.ndarray:
        """Every member's documents. Axes: (2 x neuron, document)."""
        return np.concatenate([self.confirmation, 1 - self.confirmation])

    def top(self, k: int) -> np.ndarray:
        """The k most selective neurons on the selection half."""
        return np.argsort(-np.abs(self.selection - 0.5), kind="stable")[:k]


def selective(model: Model, words: Words, label: np.ndarray, choose: np.ndarray) -> dict[str, np.ndarray]:
    """The fields of `Selective`. Axes: label, choose (word,)."""
    found: dict[str, list[np.ndarray]] = {"selection": [], "confirmation": [], "sparsity": [], "norm": []}
    for layer, post in neurons_by_layer(model, words):
        found["selection"].append(auroc_by_document(post[choose], label[choose], words.document[choose]).mean(1))
        found["confirmation"].append(auroc_by_document(post[~choose], label[~choose], words.document[~choose]))
        found["sparsity"].append(sparsity(post))
        found["norm"].append((model.W_out(layer).detach().float().norm(dim=1).cpu() * post[choose].pow(2).mean(0).sqrt()).numpy())
    joined = {name: np.concatenate(parts) for name, parts in found.items() if name != "sparsity"}
    return {**joined, "sparsity": np.stack(found["sparsity"], axis=1)}


def sparsity(post: torch.Tensor) -> np.ndarray:
    """The three measures of sparsity of each row. Axes: (word, neuron) -> (measure, word).

    Gini = sum_i (2 i - n - 1) |x|_(i) / (n sum |x|), i from 1 in rising order; 0 for an all-zero row.
    Source: Hurley & Rickard (2009), Comparing measures of sparsity.

    Example:
        >>> sparsity(torch.tensor([[0.0, 0.0, 0.0, 4.0], [1.0, 1.0, 1.0, 1.0]])).round(2).tolist()
        [[0.75, 0.0], [1.0, 0.0], [0.75, 0.0]]
    """
    size = post.abs().double()
    near = (size < NEAR_ZERO * size.pow(2).mean().sqrt()).double().mean(1)
    n = size.shape[1]
    rank = 2 * torch.arange(1, n + 1, dtype=torch.float64) - n - 1
    gini = (size.sort(1).values * rank).sum(1) / (n * size.sum(1)).clamp_min(torch.finfo(torch.float64).tiny)
    return torch.stack([near, hoyer_sparsity(size), gini]).numpy()


def gaussian_sparsity(model: Model, words: Words, choose: np.ndarray, seed: int) -> np.ndarray:
    """Sparsity of the FFNs on Gaussian vectors made like what they read on the selection half. Axes: (measure, layer, word)."""
    read = at_words(model, words, "mlp_in", range(model.anatomy.n_layers))
    like = {layer: values[choose] for layer, values in read.items()}

    def feed() -> Feed:
        gaussian = GaussianInputs(like, seed)
        return lambda texts: gaussian

    return np.stack([sparsity(post) for _, post in neurons_by_layer(model, words, feed)], axis=1)


def planted(model: Model, words: Words, label: np.ndarray, found: Selective, d_mlp: Sequence[int]) -> Control:
    """The neuron that tells least, made 1 behind the label's words while the model runs, and then read as every neuron is."""
    site = site_of(int(np.abs(found.selection - 0.5).argmin()), d_mlp)
    layer, neuron = map(int, site[1:].split("N"))
    post = at_words(model, words, "post", [layer], PlantedNeuron(words, label, layer, neuron).of)[layer]
    value = float(auroc_by_document(post[:, neuron : neuron + 1], label, words.document).mean())
    return Control(name="planted neuron", kind="positive", value=value, unit="AUROC", passed=value > 0.99, detail=f"in {site}")


def draws_lose_less(how: str, lost: np.ndarray) -> Control:
    """The share of the draws of other neurons that lose less than the selective ones. Axes: (set, document), the selective first."""
    share = float((lost[1:].mean(1) < lost[0].mean()).mean())
    name = f"other neurons switched off ({how}) lose less"
    return Control(name=name, kind="null", value=share, unit="share of the draws", passed=share >= 0.95, detail="at least 0.95 of them")


def dealt(label: np.ndarray, document: np.ndarray, seed: int) -> np.ndarray:
    """The labels, dealt anew within each document."""
    rng, found = np.random.default_rng(seed), label.copy()
    for name in np.unique(document):
        mine = np.flatnonzero(document == name)
        found[mine] = label[rng.permutation(mine)]
    return found


def strongest(twins: list[Selective]) -> np.ndarray:
    """The documents of the best neuron of the twin whose best is best, all by the selection half. Axes: (document,)."""
    best = max(twins, key=lambda twin: np.abs(twin.selection - 0.5).max())
    return best.both()[best.member()]


def like_neurons(found: Selective, chosen: np.ndarray, d_mlp: Sequence[int], n_draws: int, seed: int) -> list[np.ndarray]:
    """`n_draws` times as many other neurons, each of the same layer and out of those nearest in norm; none that is always 0.

    Args: d_mlp: neurons of each layer.
    Raises: ClaimError where a layer has no other left.
    """
    rng, draws = np.random.default_rng(seed), []
    ends = np.cumsum(d_mlp)
    for _ in range(n_draws):
        drawn: list[int] = []
        for neuron in chosen.tolist():
            layer = int(np.searchsorted(ends, neuron, side="right"))
            inside = np.arange(ends[layer] - d_mlp[layer], ends[layer])
            others = np.setdiff1d(inside[found.norm[inside] > 0], [*chosen, *drawn])
            if not len(others):
                raise ClaimError(
                    f"layer {layer} has no neuron left to switch off beside the {len(chosen)} selective ones; expected a lower top_k"
                )
            nearest = others[np.argsort(np.abs(found.norm[others] - found.norm[neuron]), kind="stable")[:NEAREST]]
            drawn.append(int(rng.choice(nearest)))
        draws.append(np.array(drawn))
    return draws


def site_of(neuron: int, d_mlp: Sequence[int]) -> str:
    """A neuron that was counted through, as it is written.

    Example:
        >>> site_of(33, [32, 32])
        'L1N1'
    """
    ends = np.cumsum(d_mlp)
    layer = int(np.searchsorted(ends, neuron, side="right"))
    return f"L{layer}N{neuron - int(ends[layer] - d_mlp[layer])}"


def rows_by_layer(
    ours: Selective, twins: list[Selective], gaussian: np.ndarray, confirm: np.ndarray, d_mlp: list[int]
) -> dict[str, list[float]]:
    """By layer: the three measures of sparsity of the model, of its twins (mean), and fed with Gaussian vectors; its best AUROC."""
    sparse = [ours.sparsity, np.mean([twin.sparsity for twin in twins], axis=0), gaussian]
    told = np.concatenate([one[:, :, confirm].mean(2) for one in sparse])
    best = np.abs(ours.confirmation.mean(1) - 0.5) + 0.5
    parts = np.split(best, np.cumsum(d_mlp)[:-1])
    return {f"L{layer}": [*told[:, layer].tolist(), float(part.max())] for layer, part in enumerate(parts)}
