"""A small corpus that is always at hand: generated sentences with known parts of speech, run once to see what neurons do on them.

An encoder-decoder reads them with their Chinese translations, where its tokenizer can write those; no target is made up. They are no
sample of language: simple sentences out of one grammar, with its words alone. What a neuron does on them is an idea to test, on a corpus of
one's own (`interp.profile(..., out=)`).
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from interp.captures.atlas.opened import Atlas, open_atlas
from interp.captures.corpus.run import Tell, run
from interp.captures.corpus.work import Plan
from interp.core.errors import ModelUnsupported
from interp.models.model import Model
from interp.texts.corpora import open_corpus
from interp.texts.grammar.generate import generate
from interp.texts.grammar.sentence import GrammarSentence

N_SENTENCES = 200
OF_PAIRS = ("neurons", "neuron_histograms", "neuron_examples")
STATISTICS = (*OF_PAIRS, "neurons_by_upos")
_SHARD = 6_000  # characters, so that the progress moves


def read_at_hand(model: Model, folder: str | Path, *, tell: Tell = lambda progress: None) -> Atlas:
    """Every neuron's numbers, top texts and histogram over 200 generated sentences; of one stack its parts of speech, too.

    Args:
        model: of any family that reads text; an encoder-decoder whose tokenizer knows Chinese.
        folder: where the run is kept; one that is there is taken up, as with `interp.profile`.
        tell: called as it goes on.
    Raises: ModelUnsupported, CheckFailed where neurons are not kept for such a model, or its tokenizer does not know the translations;
        DataError for another run in the folder.

    Example:
        >>> import interp, tempfile
        >>> from interp.captures.atlas import neurons
        >>> with tempfile.TemporaryDirectory() as place:  # doctest: +SKIP
        ...     atlas = read_at_hand(interp.load(), place)
        ...     neurons.top_texts(atlas, neurons.neuron(atlas, "L2N100"))[0].tokens
    """
    sentences = generate(N_SENTENCES, seed=0, split="confirmation")
    paired = model.anatomy.encoder_decoder
    corpus = _translated(model, sentences) if paired else sentences
    threads = max(1, torch.get_num_threads())
    plan = Plan(statistics=OF_PAIRS if paired else STATISTICS, left_out="", window=False, on_bad="stop", characters=_SHARD, threads=threads)
    run(model, open_corpus(corpus, paired=paired, field=None), plan, out=folder, tell=tell)
    return open_atlas(folder)


def _translated(model: Model, sentences: Sequence[GrammarSentence]) -> list[tuple[str, str]]:
    """Each sentence with its translation. Raises: ModelUnsupported for a tokenizer that does not know one."""
    unknown = model.tokenizer.unk_token_id
    for sentence in sentences:
        if unknown in model.tokenizer(text_target=sentence.translation.text)["input_ids"]:
            raise ModelUnsupported(
                f"{model.name}: its tokenizer has no tokens for {sentence.translation.text!r}, and the pairs at hand are generated English "
                "with its Chinese translation: give the folder of a run over your own (interp profile MODEL pairs.tsv --out FOLDER)"
            )
    return [(sentence.text, sentence.translation.text) for sentence in sentences]
