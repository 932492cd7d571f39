"""What do tokens cost without some sites, heads or neurons, by their mean and by what they are on other texts?

Each set of sites is switched off by itself, and what is measured is measured anew: nats behind words, or of whole texts. What stands for
them comes from stretches of the texts that selected.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial

import numpy as np

from interp.claims.protocols.parts.auroc_by_document import difference_by_document
from interp.claims.protocols.parts.neurons_on_words import Words, nats_behind
from interp.claims.protocols.parts.without_parts import How
from interp.core.errors import InterventionError
from interp.interventions.ablate import Recorded, ablate, recorded
from interp.models.model import Model
from interp.texts.example import Example

Sets = Sequence[Sequence[str]]
Block = Callable[[int], AbstractContextManager[object]]
"""Makes what a batch runs inside of, given the batch's number."""
Measure = Callable[[Block], np.ndarray]
RECORDED = 16  # texts whose mean, or one of which, stands for what is off


def undisturbed(number: int) -> AbstractContextManager[object]:
    """The block of a batch in which nothing is switched off."""
    return nullcontext()


def lost_by_document(model: Model, words: Words, label: np.ndarray, sets: Sets, over: Recorded, how: How, seed: int) -> np.ndarray:
    """How many nats more the label's words lose than the others, behind them, without each set of sites. Axes: (set, document)."""
    lost = lost_without(model, partial(nats_behind, model, words), sets, over, how, seed)
    return difference_by_document(lost, label, words.document)


def lost_without(model: Model, measure: Measure, sets: Sets, over: Recorded, how: How, seed: int) -> np.ndarray:
    """What is measured without each set of sites, less with all. `measure`: nats, axes (unit,). Axes: (set, unit)."""
    clean, off = measure(undisturbed), []
    for sites in sets:
        if how == "mean":
            with ablate(model, sites, how=how, over=over):
                off.append(measure(undisturbed))
        else:
            off.append(_resampled(model, measure, sites, over, seed))
    return np.stack(off) - clean


def _resampled(model: Model, measure: Measure, sites: Sequence[str], over: Recorded, seed: int) -> np.ndarray:
    """With other texts drawn for every batch: were they drawn once, the same would stand in for the documents of all batches of a size.

    Each site is switched off by itself, with the same draw: one that is 0 in all of a batch changes nothing there, and need not.
    Raises: InterventionError for a site that changed nothing in any batch.
    """
    silent: Counter[str] = Counter()
    n_batches = 0

    def block(number: int) -> ExitStack:
        nonlocal n_batches
        n_batches, stack = number + 1, ExitStack()
        for site in sites:
            stack.enter_context(_off(model, site, over, seed + number, silent))
        return stack

    found = measure(block)
    if dead := [site for site in sites if silent[site] == n_batches]:
        raise InterventionError(f"putting {', '.join(dead)} to what they are on other texts changed nothing in any text")
    return found


@contextmanager
def _off(model: Model, site: str, over: Recorded, seed: int, silent: Counter[str]) -> Iterator[None]:
    """Counts a batch in which the site changed nothing."""
    ran = False
    try:
        with ablate(model, site, how="resample", over=over, seed=seed):
            yield
            ran = True
    except InterventionError:
        if not ran:
            raise
        silent[site] += 1


def kept_for_ablation(model: Model, sites: Sequence[str], examples: Sequence[Example], n_tokens: int, seed: int) -> Recorded:
    """What sites are on sixteen stretches of the selection half's texts, as long as the longest that will run.

    A stretch begins anywhere in the texts, which stand one behind the other: were all texts of one pattern, what stands at a place of
    another one would be no change.
    """
    ids = np.array([token for example in examples for token in example.ids])
    starts = np.random.default_rng(seed).integers(len(ids), size=(RECORDED, 1))
    rows = ids[(starts + np.arange(n_tokens)) % len(ids)]
    return recorded(model, sites, [_bare(row.tolist()) for row in rows])


def _bare(ids: list[int]) -> Example:
    n = len(ids)
    return Example(text="", ids=tuple(ids), tokens=("",) * n, spans=((0, 0),) * n, special=(False,) * n)
