"""What a probe is asked of a word in a treebank, and which words are drawn for it.

    upos            its part of speech
    chunk           B, I or O: it begins a base noun phrase, goes on in one, or is in none; read off the tree: a noun or pronoun with the
                    unbroken run of determiners, adjectives, numbers and compounds before it that hang on it
    head_distance   how far off and on which side its head stands, from -3 to 3 (further counts as 3), or "root"
    deprel          its relation to its head, read from both words' vectors (the edge is given, as in edge probing)
    sense           which sense an ambiguous word has, read for each such word by itself; asked of occurrences that are marked with one
    Number, ...     a morphological feature of the treebank, asked of the words that have it

Words are drawn evenly over documents, a few from each sentence, so that few sentences give many documents; the number is fixed before the
run. Parts of a multiword token share their pieces and are left out.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np

from interp.captures.word_vectors import WordPlace
from interp.claims.protocols.parts.sense_words import occurrences
from interp.core.errors import ClaimError
from interp.texts.example import Example
from interp.texts.senses import senses_of

Feature = Literal["Case", "Definite", "Degree", "Gender", "Mood", "Number", "Person", "PronType", "Tense", "VerbForm"]
TaskName = Literal["upos", "chunk", "head_distance", "deprel", "sense", Feature]
PER_SENTENCE = 12
FARTHEST = 3
_NOMINAL = {"NOUN", "PROPN", "PRON"}
_WITHIN = {"det", "amod", "nummod", "compound", "nmod:poss", "det:poss"}


@dataclass(frozen=True, kw_only=True)
class ProbeItems:
    """Items of a task.

    Attributes:
        reads: whose vectors are read for each item, rows among the words that were drawn, axes (item, read word).
        label: axes (item,).
        form: the word as written, in lower case: its type; axes (item,).
        document: the cluster, axes (item,).
        by_form: a probe of its own for each form.
    """

    reads: np.ndarray
    label: np.ndarray
    form: np.ndarray
    document: np.ndarray
    by_form: bool = False


def drawn_sentences(documents: Sequence[str], seed: int) -> list[int]:
    """Sentences by number, the first of each document in a random order, then the second, and so on."""
    rng, waiting = np.random.default_rng(seed), defaultdict(list)
    for number in rng.permutation(len(documents)):
        waiting[documents[number]].append(int(number))
    rounds = range(max(map(len, waiting.values()), default=0))
    return [numbers[turn] for turn in rounds for numbers in waiting.values() if turn < len(numbers)]


def drawn_words(examples: Sequence[Example], n_words: int, seed: int) -> list[WordPlace]:
    """So many words (fewer where the treebank ends), sorted."""
    rng = np.random.default_rng(seed)
    found: list[WordPlace] = []
    for number in drawn_sentences([example.document for example in examples], seed):
        places = [place for place, word in enumerate(examples[number].words) if not word.multiword]
        chosen = rng.permutation(places)[: min(PER_SENTENCE, n_words - len(found))]
        found += [(number, int(place)) for place in chosen]
        if len(found) >= n_words:
            break
    return sorted(found)


def task_items(
    tasks: Sequence[TaskName], examples: Sequence[Example], n_words: int, seed: int
) -> tuple[list[WordPlace], dict[str, ProbeItems]]:
    """The words whose vectors are read, heads of drawn words among them, and the items of each task.

    Raises: ClaimError for a treebank that does not mark what a task asks for.
    """
    drawn = drawn_words(examples, n_words, seed)
    marked = [(number, place) for number, place, *_ in occurrences(examples, n_words, seed)] if "sense" in tasks else []
    of = {task: marked if task == "sense" else drawn for task in tasks}
    asked = {task: [(word, found) for word in of[task] if (found := TASKS[task](examples[word[0]], word[1]))] for task in tasks}
    words = sorted({(number, place) for items in asked.values() for (number, _), (places, _) in items for place in places})
    rows = {word: row for row, word in enumerate(words)}
    return words, {task: _items(task, items, rows, examples) for task, items in asked.items()}


Asked = tuple[tuple[int, ...], str] | None
"""The words that are read and the label; None for a word of which the task is not asked."""


def _items(
    task: str, items: list[tuple[WordPlace, tuple[tuple[int, ...], str]]], rows: dict[WordPlace, int], examples: Sequence[Example]
) -> ProbeItems:
    labels = np.array([label for _, (_, label) in items])
    if len(set(labels.tolist())) < 2:
        told = f"{str(labels[0])!r} for every word" if len(labels) else "for no word"
        raise ClaimError(f"the treebank marks {task} {told}; expected one that is annotated for it, with at least two labels")
    return ProbeItems(
        reads=np.array([[rows[number, place] for place in places] for (number, _), (places, _) in items]),
        label=labels,
        form=np.array([examples[number].words[place].form.lower() for (number, place), _ in items]),
        document=np.array([examples[number].document for (number, _), _ in items]),
        by_form=task == "sense",
    )


def _upos(example: Example, place: int) -> Asked:
    upos = example.words[place].upos
    return None if upos in ("_", "") else ((place,), upos)


def _deprel(example: Example, place: int) -> Asked:
    word = example.words[place]
    if word.head_index is None or word.relation in ("_", "") or example.words[word.head_index].multiword:
        return None
    return (place, word.head_index), word.relation


def _head_distance(example: Example, place: int) -> Asked:
    head = example.words[place].head_index
    if head is None:
        return (place,), "root"
    return (place,), f"{int(np.clip(head - place, -FARTHEST, FARTHEST)):+d}"


def _chunk(example: Example, place: int) -> Asked:
    if example.words[place].upos in ("_", ""):
        return None
    head = _chunk_head(example, place)
    before = _chunk_head(example, place - 1) if place else None
    return (place,), "O" if head is None else "I" if before == head else "B"


def _chunk_head(example: Example, place: int) -> int | None:
    """The noun of the base noun phrase that a word is in."""
    word = example.words[place]
    noun = word.head_index
    if noun is not None and noun > place and example.words[noun].upos in _NOMINAL:
        between = example.words[place:noun]
        if all(one.head_index == noun and (one.deprel in _WITHIN or one.relation in _WITHIN) for one in between):
            return noun
    return place if word.upos in _NOMINAL else None


def _sense(example: Example, place: int) -> Asked:
    sense = dict(senses_of(example.links)).get(place)
    return None if sense is None else ((place,), sense)


def _feature(example: Example, place: int, name: str) -> Asked:
    value = example.words[place].feature(name)
    return ((place,), value) if value else None


TASKS: dict[str, Callable[[Example, int], Asked]] = {
    "upos": _upos,
    "chunk": _chunk,
    "head_distance": _head_distance,
    "deprel": _deprel,
    "sense": _sense,
    **{name: partial(_feature, name=name) for name in get_args(Feature)},
}
