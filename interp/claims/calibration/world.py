"""A small world for cases of known truth: annotated sentences of the constructed models' words, and labels that mean nothing in them.

    now then the cat met a red old fox and then it ran

The subject follows "the" and has no adjective, the object follows "a" and has up to two; "it" means the subject. So no fixed offset leads
from a verb to its object or from "it" to the subject, and texts have six lengths only, which makes them cheap to run. A word is a token,
a sentence a document.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from interp.models.constructed.words import CLASSES
from interp.texts.senses import SENSE
from interp.texts.words import Sentence, Word

N_SENTENCES = 120  # about half of them confirm, and with fewer than forty documents nothing is decided
AMBIGUOUS = "bat"
LABELS = 1  # their stream of random numbers: none that words, or the halves of a test, are drawn from
Row = tuple[str, str, str, int]  # form, part of speech, relation, place of the head (-1: the root)


def world(seed: int, n: int = N_SENTENCES) -> list[Sentence]:
    """Sentences of the grammar, each with a link "Antecedent" from "it" to the subject."""
    rng = np.random.default_rng(seed)
    return [_sentence(rng, number) for number in range(n)]


def _sentence(rng: np.random.Generator, number: int) -> Sentence:
    def one(name: str) -> str:
        return str(rng.choice(CLASSES[name]))

    start, n_adjectives, filler = (int(rng.integers(n)) for n in (3, 3, 2))
    subject, verb = start + 1, start + 2
    noun = verb + 2 + n_adjectives
    it = noun + 2 + filler
    rows = [(word, "ADV", "advmod", verb) for word in ("now", "then")[:start]]
    rows += [("the", "DET", "det", subject), (one("animal"), "NOUN", "nsubj", verb), (one("does to"), "VERB", "root", -1)]
    rows += [
        ("a", "DET", "det", noun),
        *((one("like"), "ADJ", "amod", noun) for _ in range(n_adjectives)),
        (one("animal"), "NOUN", "obj", verb),
    ]
    rows += [("and", "CCONJ", "cc", it + 1), *((("then", "ADV", "advmod", it + 1),) * filler)]
    rows += [("it", "PRON", "nsubj", it + 1), (one("does"), "VERB", "conj", verb)]
    return written(f"s{number}", rows, (("Antecedent", it, subject),))


def written(name: str, rows: Sequence[Row], links: tuple[tuple[str, int, int], ...] = ()) -> Sentence:
    """A sentence of words with their annotation."""
    words, place = [], 0
    for number, (form, upos, deprel, head) in enumerate(rows):
        span = (place, place + len(form))
        words.append(Word(id=number + 1, form=form, lemma=form, upos=upos, deprel=deprel, head=head + 1, span=span))
        place += len(form) + 1
    return Sentence(id=name, text=" ".join(form for form, *_ in rows), words=tuple(words), document=name, links=links)


def class_sentences(seed: int, n: int = N_SENTENCES) -> list[Sentence]:
    """Three pairs of words each: an animal and what it does, or a thing and a place. Animals alone are nouns."""
    rng = np.random.default_rng(seed)

    def pair() -> list[Row]:
        kinds = ("animal", "does") if rng.random() < 0.5 else ("thing", "place")
        return [(str(rng.choice(CLASSES[kind])), "NOUN" if kind == "animal" else "X", "dep", -1) for kind in kinds]

    return [written(f"s{number}", [row for _ in range(3) for row in pair()]) for number in range(n)]


def sense_world(seed: int, *, cue: bool) -> list[Sentence]:
    """Sentences that open with "now" or "then", about an ambiguous word in one of two senses.

    Args: cue: whether the opening tells the sense; if not, nothing does.
    """
    rng, found = np.random.default_rng([seed, LABELS]), []
    for number in range(N_SENTENCES):
        sense, other = int(rng.integers(2)), int(rng.integers(2))
        rows = [(("now", "then")[sense if cue else other], "ADV", "advmod", 3), ("the", "DET", "det", 2), (AMBIGUOUS, "NOUN", "nsubj", 3)]
        rows += [(str(rng.choice(CLASSES["does"])), "VERB", "root", -1), (str(rng.choice(CLASSES["small"])), "ADV", "advmod", 3)]
        found.append(written(f"s{number}", rows, ((f"{SENSE}{AMBIGUOUS}.{sense}", 2, 2),)))
    return found


def with_random_heads(found: list[Sentence], seed: int) -> list[Sentence]:
    """The same words, each hanging on a random other one: labels without meaning."""
    rng = np.random.default_rng([seed, LABELS])
    return [
        _with(sentence, "head", [1 + _other(len(sentence.words), place, rng) for place in range(len(sentence.words))]) for sentence in found
    ]


def _other(n: int, place: int, rng: np.random.Generator) -> int:
    drawn = int(rng.integers(n - 1))
    return drawn + (drawn >= place)


def with_random_tags(found: list[Sentence], seed: int) -> list[Sentence]:
    """The same words with their parts of speech exchanged within the sentence."""
    rng = np.random.default_rng([seed, LABELS])
    return [_with(one, "upos", [one.words[other].upos for other in rng.permutation(len(one.words))]) for one in found]


def with_coins(found: list[Sentence], seed: int) -> list[Sentence]:
    """The same words, each a noun or a verb by the toss of a coin: any reader is right half of the time, whatever it reads."""
    rng = np.random.default_rng([seed, LABELS])
    return [_with(one, "upos", [("NOUN", "VERB")[rng.integers(2)] for _ in one.words]) for one in found]


def _with(sentence: Sentence, field: str, values: Sequence[object]) -> Sentence:
    """The sentence with one field of its words changed."""
    changed: list[dict[str, Any]] = [{field: value} for value in values]
    return replace(sentence, words=tuple(replace(word, **one) for word, one in zip(sentence.words, changed, strict=True)))


def random_texts(seed: int, n: int = N_SENTENCES, *, n_words: tuple[int, ...] = (8, 12, 16), words: Sequence[str] = ()) -> list[str]:
    """Random words, as many as one of `n_words`; each text is a document."""
    rng = np.random.default_rng(seed)
    among = tuple(words) or tuple(word for each in CLASSES.values() for word in each)
    return [" ".join(rng.choice(among, int(rng.choice(n_words)))) for _ in range(n)]
