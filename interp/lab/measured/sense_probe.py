"""Does an encoder know, at an ambiguous word, which of its senses the cue elsewhere in the sentence decides for?

Two sentences of a set differ in one word, the cue: "The man noticed the river / the coin and photographed the bank". For each ambiguous
word a classifier of its own, over all distances and both orders; the hits of all words of split "confirmation" are taken together.

    known cues    trained and tested with the same cue words, on sentences of other sets. A bag of words holds the cue, so it can be right
                  each time: nobody can be above it here, and that it is right shows that the baseline works.
    unseen cues   trained with three of a sense's four cue words, tested with the fourth, each in turn. The bag of words cannot know that
                  one (its chance is half by construction, no merit of the probe); the bag of embeddings can, by its neighbours, and
                  is the fair opponent.

Intervals are over cue words, since it is to new cues that the second is meant to carry over.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from interp.lab.measured.probes import Item, bag_of_embeddings, bag_of_words, hits, labels_of, streams
from interp.lab.measured.words import Rows, after, as_points, as_share, share
from interp.models.model import Model
from interp.stats.intervals import Interval
from interp.texts.grammar.lexicon import Split
from interp.texts.grammar.senses import SenseSet, ambiguous, sense_sets
from interp.texts.sentences import annotate

N_SETS = 80
DISTANCES = (4, 6, 8, 10, 12)
N_CUES = 4


@dataclass(frozen=True, kw_only=True)
class Cued:
    """A sentence with a cue. `word` is the ambiguous one, `cue` the number of the cue among its sense's, `group` that of the set."""

    item: Item
    word: str
    cue: int
    group: int


@dataclass(frozen=True, kw_only=True)
class SenseProbe:
    """Shares of sentences whose sense is read rightly at the ambiguous word.

    Attributes:
        layer: after which the stream is read (0: the embedding), chosen on split "selection" with unseen cues.
        known, known_bag: with cue words of the training sentences: the probe, the bag of words.
        unseen, unseen_bag, unseen_embeddings: with other cue words: the probe, the bag of words, the bag of embeddings.
        above_bag, above: there, sentence by sentence, the probe less the bag of words, and less the bag of embeddings.
    """

    layer: int
    known: Interval
    known_bag: Interval
    unseen: Interval
    unseen_bag: Interval
    unseen_embeddings: Interval
    above_bag: Interval
    above: Interval

    def rows(self) -> Rows:
        """As a card writes them."""
        return {
            "sense of an ambiguous word, known cues: probe": as_share(self.known, f"; {after(self.layer)}"),
            "the same by a bag of words, which holds the cue": as_share(self.known_bag),
            "sense of an ambiguous word, unseen cues: probe": as_share(self.unseen),
            "the same by a bag of words, which cannot know the cue": as_share(self.unseen_bag),
            "probe less bag of words, unseen cues": as_points(self.above_bag),
            "the same by a bag of embeddings, unseen cues": as_share(self.unseen_embeddings),
            "probe less bag of embeddings, unseen cues": as_points(self.above),
        }


def measure(model: Model) -> SenseProbe:
    """The layer is chosen on split "selection", all else measured on "confirmation"."""
    chosen = cued(model, "selection")
    by_layer = streams(model, [one.item for one in chosen])
    layer = int(np.argmax([_hits(features, chosen, unseen=True).mean() for features in by_layer]))
    told = cued(model, "confirmation")
    items = [one.item for one in told]
    stream, words = streams(model, items)[layer], bag_of_words(items, model.anatomy.d_vocab)
    meanings = bag_of_embeddings(items, model)
    clusters = np.array([item.cluster for item in items])
    known, known_bag = (_hits(features, told, unseen=False) for features in (stream, words))
    unseen, unseen_bag, unseen_embeddings = (_hits(features, told, unseen=True) for features in (stream, words, meanings))
    return SenseProbe(
        layer=layer,
        known=share(known, clusters),
        known_bag=share(known_bag, clusters),
        unseen=share(unseen, clusters),
        unseen_bag=share(unseen_bag, clusters),
        unseen_embeddings=share(unseen_embeddings, clusters),
        above_bag=share(unseen.astype(float) - unseen_bag, clusters, lowest=-1.0),
        above=share(unseen.astype(float) - unseen_embeddings, clusters, lowest=-1.0),
    )


@cache
def _sets(split: Split, n: int) -> tuple[SenseSet, ...]:
    """The same for a model and its twin: `n` sets of each distance and order."""
    return tuple(
        each
        for distance in DISTANCES
        for each in (
            *sense_sets(n, seed=0, distance=distance, split=split, position="before"),
            *sense_sets(n, seed=0, distance=distance, split=split, position="after"),
        )
    )


def cued(model: Model, split: Split) -> list[Cued]:
    """Sentences with a cue, two of each set."""
    sets = _sets(split, N_SETS)
    cues = {each.lemma: [[noun.lemma for noun in of] for of in each.cues] for each in ambiguous(split)}
    found = []
    for group, each in enumerate(sets):
        for label in (0, 1):
            example = annotate(each.sentences[label], model.tokenizer, n_ctx=model.anatomy.n_ctx)
            places, cue = example.word_tokens[each.target], each.sentences[label].words[each.cue].lemma
            item = Item(ids=example.ids, place=places[-1], hidden=places, label=label, cluster=f"{each.word} {cue}")
            found.append(Cued(item=item, word=each.word, cue=cues[each.word][label].index(cue), group=group))
    return found


def _hits(features: np.ndarray, told: list[Cued], *, unseen: bool) -> np.ndarray:
    """Each sentence's hit in the fold that tests it, word by word; folds are cues, or halves of the sets. Axes: (item,)."""
    labels, right = labels_of([one.item for one in told]), np.zeros(len(told), bool)
    words = np.array([one.word for one in told])
    folds = np.array([one.cue if unseen else one.group % 2 for one in told])
    for word in np.unique(words):
        for fold in np.unique(folds):
            test, train = (np.flatnonzero((words == word) & kept) for kept in (folds == fold, folds != fold))
            if len(test):
                right[test] = hits(features, labels, train, test)
    return right
