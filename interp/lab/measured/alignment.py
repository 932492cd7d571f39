"""Which source word does cross-attention look at, against the alignment that the generator knows?

The decoder reads the right translation. A layer's heads are averaged; weights are summed over the pieces of a source word and averaged
over those of a target word; each target word is linked to the source word with the most weight (never to the end of the sentence).

    written   weights at the position that predicts the target word (it has read all before it)
    read      weights one position later, which reads it: often the better one (Chen et al. 2020, "Accurate Word Alignment Induction from
              Neural Machine Translation")

AER = 1 - 2 |A and G| / (|A| + |G|), over all sentences, G the gold links, all of them sure (Och and Ney 2003, "A Systematic Comparison of
Various Statistical Alignment Models"). One link for each target word cannot give words that have several, nor none to words that have
none: the lowest value that leaves is stated beside. The diagonal links word j of m to word round(j (n - 1) / (m - 1)) of n.

Punctuation is left out on both sides: the generator does not link it, and a piece may hold a word and its full stop. A sentence in which
a piece holds two words ("king's") is left out, since its weights are neither's.

What it does not tell: that the translation rests on these weights.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch

from interp.core.errors import AlignmentError
from interp.lab.measured.words import Rows
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.watch import Keep
from interp.texts.alignment import align
from interp.texts.example import Example
from interp.texts.grammar.generate import generate
from interp.texts.grammar.lexicon import Split
from interp.texts.grammar.sentence import GrammarSentence
from interp.texts.tokens import decoder_row, tokenize

N_SENTENCES = 200
WHEN = ("written", "read")
PUNCTUATION = frozenset("，。？！、；：“”")
Links = set[tuple[int, int]]  # (source word, target word)
Pieces = dict[int, tuple[int, ...]]  # a word's place -> positions of its tokens


@dataclass(frozen=True, kw_only=True)
class Readable:
    """A sentence as the model reads and writes it, and the tokens of its words.

    Attributes:
        read, row: what the encoder and the decoder read.
        source, target: positions of each word's tokens in them, by the word's place.
    """

    sentence: GrammarSentence
    read: Example
    row: Example
    source: Pieces
    target: Pieces

    @property
    def gold(self) -> Links:
        """The generator's links."""
        return set(self.sentence.translation.alignment)


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Alignment error rates, 0 to 1.

    Attributes:
        layer, when: which weights were the best on split "selection".
        rate: that layer's, on split "confirmation".
        by_layer: "written" and "read", all layers on "confirmation". Axes: (layer,).
        diagonal, lowest: of the diagonal, and what one link for each target word cannot go below.
        n: sentences.
    """

    layer: int
    when: str
    rate: float
    by_layer: dict[str, tuple[float, ...]]
    diagonal: float
    lowest: float
    n: int

    def rows(self) -> Rows:
        """As a card writes them."""
        told = {
            f"alignment error rate by layer, weights when the word is {when}": ", ".join(f"{rate:.3f}" for rate in rates)
            for when, rates in self.by_layer.items()
        }
        best = f"{self.rate:.3f} (layer {self.layer}, when the word is {self.when}; chosen on other sentences; n = {self.n} sentences)"
        return {
            **told,
            "alignment error rate of the best layer": best,
            "the same by the diagonal": f"{self.diagonal:.3f}",
            "the lowest that one link for each target word allows": f"{self.lowest:.3f}",
        }


def measure(model: Model) -> Alignment:
    """The layer and the moment are chosen on split "selection", all else is measured on "confirmation"."""
    chosen, told = (readable(model, split) for split in ("selection", "confirmation"))
    rates = error_rates(model, chosen)
    layer, when = min(((layer, when) for when in WHEN for layer in range(len(rates[when]))), key=lambda at: rates[at[1]][at[0]])
    found, gold = error_rates(model, told), [each.gold for each in told]
    return Alignment(
        layer=layer,
        when=when,
        rate=found[when][layer],
        by_layer={name: tuple(of) for name, of in found.items()},
        diagonal=error_rate([diagonal(list(each.source), list(each.target)) for each in told], gold),
        lowest=error_rate([best_single(each.gold, list(each.target)) for each in told], gold),
        n=len(told),
    )


def readable(model: Model, split: Split) -> list[Readable]:
    """Out of 200 generated sentences of every kind, those whose words have tokens of their own."""
    found = []
    for sentence in generate(N_SENTENCES, seed=0, split=split):
        read = tokenize(sentence.text, model.tokenizer, n_ctx=model.anatomy.n_ctx)
        row = decoder_row(sentence.translation.text, model.tokenizer, start=model.start_token(), n_ctx=model.anatomy.n_ctx)
        with suppress(AlignmentError):
            source, target = tokens_of(sentence, read, row)
            found.append(Readable(sentence=sentence, read=read, row=row, source=source, target=target))
    return found


def error_rates(model: Model, of: Sequence[Readable]) -> dict[str, list[float]]:
    """By moment, the error rate of each layer."""
    gold = [each.gold for each in of]
    links = [links_of(model, each) for each in of]
    return {when: [error_rate([each[when][layer] for each in links], gold) for layer in range(n_layers(model))] for when in WHEN}


def error_rate(found: Sequence[Links], gold: Sequence[Links]) -> float:
    """AER over sentences.

    Example:
        >>> error_rate([{(0, 0), (1, 1)}], [{(0, 0), (2, 1)}])
        0.5
    """
    right = sum(len(a & g) for a, g in zip(found, gold, strict=True))
    return 1 - 2 * right / (sum(map(len, found)) + sum(map(len, gold)))


def words_of(sentence: GrammarSentence) -> tuple[list[int], list[int]]:
    """Places of the source and of the target words, without punctuation."""
    source = [word.index for word in sentence.words if word.upos != "PUNCT"]
    return source, [place for place, word in enumerate(sentence.translation.words) if word not in PUNCTUATION]


def diagonal(source: Sequence[int], target: Sequence[int]) -> Links:
    """Each target word linked to the source word at the same share of the way.

    Example:
        >>> sorted(diagonal([0, 1, 2], [0, 1]))
        [(0, 0), (2, 1)]
    """
    step = (len(source) - 1) / max(1, len(target) - 1)
    return {(source[round(number * step)], place) for number, place in enumerate(target)}


def best_single(gold: Links, target: Sequence[int]) -> Links:
    """One link for each target word, a gold one where there is any."""
    return {min((link for link in gold if link[1] == place), default=(-1, place)) for place in target}


@torch.no_grad()
def links_of(model: Model, of: Readable) -> dict[str, list[Links]]:
    """By moment, the links of each layer."""
    keep = Keep(model, ["pattern"])
    with watching(keep):
        model.run(torch.tensor([of.read.ids]), target=torch.tensor([of.row.ids]), logits=False)
    patterns = [keep.arrays[Point(kind="pattern", layer=layer, stack="X").name][0].mean(0).numpy() for layer in range(n_layers(model))]
    return {when: [_linked(pattern, of.source, of.target, at) for pattern in patterns] for when, at in zip(WHEN, (-1, 0), strict=True)}


def tokens_of(sentence: GrammarSentence, read: Example, row: Example) -> tuple[Pieces, Pieces]:
    """Positions of each source and of each target word's tokens, by the word's place."""
    source, target = words_of(sentence)
    ends = list(accumulate(map(len, sentence.translation.words)))
    spans = [(ends[place] - len(sentence.translation.words[place]), ends[place]) for place in target]
    found = align([sentence.words[place].span for place in source], read.spans, text=read.text), align(spans, row.spans, text=row.text)
    return dict(zip(source, found[0], strict=True)), dict(zip(target, found[1], strict=True))


def n_layers(model: Model) -> int:
    """Layers with cross-attention."""
    return model.anatomy.stack("X").n_layers


def _linked(pattern: np.ndarray, source: Pieces, target: Pieces, at: int) -> Links:
    """Axes: pattern (query_pos, key_pos). `at`: positions from the token to the one whose weights count."""
    places = list(source)
    by_source = np.stack([pattern[:, list(tokens)].sum(1) for tokens in source.values()], axis=1)
    return {(places[int(by_source[[token + at for token in tokens]].mean(0).argmax())], word) for word, tokens in target.items()}
