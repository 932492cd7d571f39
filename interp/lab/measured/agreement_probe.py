"""Does an encoder know, at a masked verb, the number of its subject, though a noun of the other number stands between?

The verb is one mask, whatever its pieces were, so that their number tells nothing; the tense within the frame is past, so that no other
verb does. Half of the subjects are plural, and the noun between is always of the other number: "the last noun" is wrong each time, and
to count nouns does not help. A bag of words can still do better than chance, since some nouns are subjects only and others
attractors only; and it should, in a fair comparison.

    same words    trained and tested on sentences of split "confirmation", none in both
    other words   trained on split "selection", whose nouns, verbs and prepositions are others; a bag of words knows none of the
                  tested nouns (so it must be near chance), the bag of embeddings can
"""

from dataclasses import dataclass

import numpy as np
import torch

from interp.core.errors import CheckFailed
from interp.lab.measured.probes import Item, bag_of_embeddings, bag_of_words, hits, labels_of, streams
from interp.lab.measured.words import Rows, after, as_points, as_share, share
from interp.models.model import Model
from interp.stats.intervals import Interval
from interp.texts.grammar.agreement import AgreementPair, agreement_pairs
from interp.texts.grammar.lexicon import Split
from interp.texts.sentences import annotate

N_TRAIN = N_TEST = 400


@dataclass(frozen=True, kw_only=True)
class AgreementProbe:
    """Shares of sentences whose subject's number is read rightly, and of masked verbs whose right form is the likelier.

    Attributes:
        layer: after which the stream is read (0: the embedding), chosen on split "selection".
        same, other: the probe, on the same and on other words than it was trained on.
        same_bag, other_bag: the bag of words; other_embeddings: the bag of embeddings.
        above, above_other: probe less the best bag, sentence by sentence.
        forms: by attractors, the share of verbs whose right form is the likelier at the mask.
    """

    layer: int
    same: Interval
    same_bag: Interval
    other: Interval
    other_bag: Interval
    other_embeddings: Interval
    above: Interval
    above_other: Interval
    forms: dict[int, Interval]

    def rows(self) -> Rows:
        """As a card writes them."""
        return {
            "subject number at a masked verb, 1 attractor: probe": as_share(self.same, f"; {after(self.layer)}"),
            "the same by a bag of words": as_share(self.same_bag),
            "probe less bag of words": as_points(self.above),
            "subject number, trained on other words: probe": as_share(self.other),
            "the same by a bag of words (it knows none of these)": as_share(self.other_bag),
            "the same by a bag of embeddings": as_share(self.other_embeddings),
            "probe less bag of embeddings": as_points(self.above_other),
            **{
                f"right form of a masked verb the likelier, {n} attractors (both forms one piece; chance 50 %)": as_share(found)
                for n, found in self.forms.items()
            },
        }


def measure(model: Model) -> AgreementProbe:
    """Fit on one half, test on the other; the layer is chosen on split "selection"."""
    selection, confirmation = ([masked(model, pair) for pair in _distinct(split)] for split in ("selection", "confirmation"))
    items = [*selection, *confirmation]
    labels, found = labels_of(items), streams(model, items)
    n = len(selection)
    choose, learn = np.arange(n), np.arange(n, n + N_TRAIN)
    test = np.arange(n + N_TRAIN, len(items))
    layer = int(np.argmax([hits(layer, labels, choose[:N_TRAIN], choose[N_TRAIN:]).mean() for layer in found]))
    words = bag_of_words(items, model.anatomy.d_vocab)
    meanings = bag_of_embeddings(items, model)
    same, same_bag = (hits(features, labels, learn, test) for features in (found[layer], words))
    other, other_bag, other_embeddings = (hits(features, labels, choose, test) for features in (found[layer], words, meanings))
    return AgreementProbe(
        layer=layer,
        same=share(same),
        same_bag=share(same_bag),
        other=share(other),
        other_bag=share(other_bag),
        other_embeddings=share(other_embeddings),
        above=share(same.astype(float) - same_bag, lowest=-1.0),
        above_other=share(other.astype(float) - other_embeddings, lowest=-1.0),
        forms={attractors: told for attractors in (0, 1) if (told := forms(model, attractors)) is not None},
    )


def _distinct(split: Split) -> list[AgreementPair]:
    """Sentences with an attractor of which no two are the same before the verb."""
    drawn = agreement_pairs(2 * (N_TRAIN + N_TEST), seed=0, attractors=1, split=split)
    return list({pair.prefix: pair for pair in drawn}.values())[: N_TRAIN + N_TEST]


def masked(model: Model, pair: AgreementPair) -> Item:
    """The sentence with one mask for its verb; the label is 1 for a plural subject.

    Raises: CheckFailed for a model without a mask.
    """
    example = annotate(pair.grammatical, model.tokenizer, n_ctx=model.anatomy.n_ctx)
    places = example.word_tokens[pair.verb]
    mask_id = model.tokenizer.mask_token_id
    if mask_id is None:
        raise CheckFailed(f"{model.name} has no mask token; expected an encoder that was trained to fill masks")
    first, last = places[0], places[-1]
    ids = (*example.ids[:first], mask_id, *example.ids[last + 1 :])
    return Item(ids=ids, place=first, hidden=(first,), label=int(pair.number == "Plur"), cluster=pair.prefix)


@torch.no_grad()
def forms(model: Model, attractors: int) -> Interval | None:
    """The share of masked verbs whose right form is likelier than the wrong one, where both are one piece; None where none is."""
    right_of: list[bool] = []
    for pair in agreement_pairs(N_TEST, seed=0, attractors=attractors, split="confirmation"):
        right, wrong = (model.tokenizer(f" {form}", add_special_tokens=False)["input_ids"] for form in pair.forms)
        if len(right) == len(wrong) == 1:
            item = masked(model, pair)
            logits = model.run(torch.tensor([item.ids]))[0, item.place]
            right_of.append(bool(logits[right[0]] > logits[wrong[0]]))
    return share(np.array(right_of)) if right_of else None
