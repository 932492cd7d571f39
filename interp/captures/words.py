"""Attention between words over a corpus, one sentence at a time: what a claim about a relation between words reads."""

from collections.abc import Iterable, Iterator

import torch

from interp.captures.corpus.batches import by_length
from interp.captures.corpus.stream import refuse_pairs
from interp.measures.attention import to_words
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.watch import Keep
from interp.texts.example import Example


def word_attention(model: Model, examples: Iterable[Example], *, max_tokens: int = 2048) -> Iterator[tuple[Example, torch.Tensor]]:
    """Each example with its heads' attention between words.

    Patterns of one batch are held at a time; sentences are short. Order: by length, not as they came.

    Args:
        model: from `interp.load`.
        examples: annotated examples (`texts.sentences.examples`).
        max_tokens: tokens in a batch.
    Returns: pairs of an example and (layer, head, query word, key word), in float32 on the model's device.
    Raises: CheckFailed when patterns are disabled for this model; ModelUnsupported for an encoder-decoder.
    """
    refuse_pairs(model, "attention between words")
    model.require("patterns")
    for batch in by_length(examples, max_tokens=max_tokens):
        keep = Keep(model, ["pattern"])
        with watching(keep):
            model.run(torch.tensor([example.ids for _, example in batch]), logits=False)
        kept = [keep.arrays[Point(kind="pattern", layer=layer).name] for layer in range(model.anatomy.n_layers)]
        patterns = torch.stack([pattern.to(model.device) for pattern in kept])
        for row, (_, example) in enumerate(batch):
            yield example, to_words(patterns[:, row], list(example.word_tokens))


def visible_words(n_words: int, *, causal: bool) -> torch.Tensor:
    """Which words a word may attend to: all, or under a causal mask those up to itself. Axes: (query word, key word)."""
    everything = torch.ones(n_words, n_words, dtype=torch.bool)
    return everything.tril() if causal else everything
