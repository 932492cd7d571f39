"""How well do numbers tell some words from the others, document by document?

AUROC = P(a word of the label has the larger number) + P(equal) / 2, over all pairs of a word of the label and another. Pairs reach across
documents, so a document has no AUROC of its own to average. Each stands for itself by what it contributes (DeLong's placements):
  A + C sum over its words of (placement - A) / n_own group
C documents, A the AUROC. The mean of these over documents is A, and their spread that of A under a resampling of documents. A difference of
two groups' means is treated alike.

Source: DeLong, DeLong & Clarke-Pearson (1988), placements; Obuchowski (1997), Nonparametric analysis of clustered ROC curve data.
"""

from collections.abc import Sequence

import numpy as np
import torch


def placements(own: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The share of `others` below each of `own`, ties by half. Axes: (unit, a), (unit, b) -> (unit, a).

    Example:
        >>> placements(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0, 2.0, 5.0]])).tolist()
        [[0.375, 0.75]]
    """
    ordered, own = others.sort(-1).values.contiguous(), own.contiguous()
    below, up_to = torch.searchsorted(ordered, own), torch.searchsorted(ordered, own, right=True)
    return (below + up_to).double() / (2 * others.shape[-1])


def auroc_by_document(values: torch.Tensor, label: np.ndarray, document: np.ndarray) -> np.ndarray:
    """What each document contributes to each unit's AUROC; the mean over documents is the AUROC. Axes: (unit, document).

    Args:
        values: axes (word, unit).
        label: True for the words to be told from the others, of both kinds at least one. Axes: (word,).
        document: axes (word,).

    Example:
        >>> label, document = np.array([True, False, True, False]), np.array(["a", "a", "b", "b"])
        >>> auroc_by_document(torch.tensor([[2.0], [1.0], [3.0], [4.0]]), label, document).mean(1).tolist()
        [0.5]
    """
    columns = values.T
    own, others = columns[:, label], columns[:, ~label]
    hits, misses = placements(own, others), 1 - placements(others, own)
    auroc = hits.mean(1)
    parts = [((one - auroc[:, None]) / one.shape[1]).numpy() for one in (hits, misses)]
    return _stand_ins(auroc.numpy(), parts, label, document)


def difference_by_document(values: np.ndarray, label: np.ndarray, document: np.ndarray) -> np.ndarray:
    """The same for (mean over the label's words) - (mean over the others). Axes: (draw, word) -> (draw, document).

    Example:
        >>> label, document = np.array([True, False, True, False]), np.array(["a", "a", "b", "b"])
        >>> difference_by_document(np.array([[2.0, 1.0, 3.0, 0.0]]), label, document).mean(1).tolist()
        [2.0]
    """
    groups = [values[:, label], values[:, ~label]]
    means = [group.mean(1) for group in groups]
    parts = [(group - mean[:, None]) / group.shape[1] for group, mean in zip(groups, means, strict=True)]
    return _stand_ins(means[0] - means[1], [parts[0], -parts[1]], label, document)


def _stand_ins(estimate: np.ndarray, parts: Sequence[np.ndarray], label: np.ndarray, document: np.ndarray) -> np.ndarray:
    """`parts`: what the label's words and the others contribute, axes (unit, word of that group)."""
    names, place = np.unique(document, return_inverse=True)
    found = np.tile(estimate[:, None], (1, len(names)))
    for part, mine in zip(parts, (label, ~label), strict=True):
        belongs = np.zeros((int(mine.sum()), len(names)))
        belongs[np.arange(len(belongs)), place[mine]] = len(names)
        found += part @ belongs
    return found
