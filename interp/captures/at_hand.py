"""A small corpus that is always at hand: generated sentences with known parts of speech, run once to see what neurons do on them.

It is no sample of language: simple sentences out of one grammar, with its words alone. What a neuron does on them is an idea to test, on a
corpus of one's own (`interp.profile(..., out=)`).
"""

from pathlib import Path

import torch

from interp.captures.atlas.opened import Atlas, open_atlas
from interp.captures.corpus.run import Tell, run
from interp.captures.corpus.work import Plan
from interp.models.model import Model
from interp.texts.corpora import open_corpus
from interp.texts.grammar.generate import generate

N_SENTENCES = 200
STATISTICS = ("neurons", "neuron_histograms", "neuron_examples", "neurons_by_upos")
_SHARD = 6_000  # characters, so that the progress moves


def read_at_hand(model: Model, folder: str | Path, *, tell: Tell = lambda progress: None) -> Atlas:
    """Every neuron's numbers, top texts, histogram and parts of speech over 200 generated sentences.

    Args:
        model: of one stack.
        folder: where the run is kept; one that is there is taken up, as with `interp.profile`.
        tell: called as it goes on.
    Raises: ModelUnsupported, CheckFailed where neurons are not kept for such a model; DataError for another run in the folder.

    Example:
        >>> import interp, tempfile
        >>> from interp.captures.atlas import neurons
        >>> with tempfile.TemporaryDirectory() as place:  # doctest: +SKIP
        ...     atlas = read_at_hand(interp.load(), place)
        ...     neurons.top_texts(atlas, neurons.neuron(atlas, "L2N100"))[0].tokens
    """
    sentences = generate(N_SENTENCES, seed=0, split="confirmation")
    threads = max(1, torch.get_num_threads())
    plan = Plan(statistics=STATISTICS, left_out="", window=False, on_bad="stop", characters=_SHARD, threads=threads)
    run(model, open_corpus(sentences, paired=False, field=None), plan, out=folder, tell=tell)
    return open_atlas(folder)
