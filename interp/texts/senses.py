"""Sentences in which an ambiguous word is marked with its sense.

The mark is a link of the word to itself, `("Sense:bank.river", 5, 5)`, so that whatever reads annotated sentences carries it along. Two
sources: the files of CoarseWSD-20 (20 nouns, 2 to 5 senses each, sentences of Wikipedia, lower-cased and cut into words), and the sentences
of the grammar (`grammar.senses`), in which one cue word decides.

CoarseWSD-20 has no documents: each sentence is one of its own. A sentence that comes twice, in the training and the test file for instance,
is kept once: a probe would otherwise be tested on what it was fitted on. Three lines mark a word that is not the one of their file ("," in
club-test-9) and are left out.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from interp.core.errors import DataError
from interp.texts.grammar.senses import SenseSet
from interp.texts.lines import numbered_lines
from interp.texts.words import Link, Sentence, Word

SENSE = "Sense:"
INSIDE = "data/CoarseWSD-20"  # where the repository keeps the words
_SPLITS = ("train", "test")


def senses_of(links: Iterable[Link]) -> list[tuple[int, str]]:
    """(word, sense) of the words that are marked with one.

    Example:
        >>> senses_of([("Sense:bank.river", 5, 5), ("Antecedent", 4, 1)])
        [(5, 'bank.river')]
    """
    return [(here, name.removeprefix(SENSE)) for name, here, there in links if name.startswith(SENSE) and here == there]


def sense_sentences(sets: Iterable[SenseSet]) -> list[Sentence]:
    """The two sentences with a cue of each set, the ambiguous word marked, with a link "Cue" to what tells its sense; a set is a document.

    Example:
        >>> from interp.texts.grammar.senses import sense_sets
        >>> [senses_of(each.links)[0][1] for each in sense_sentences(sense_sets(1, seed=1, distance=6, words=["bank"]))]
        ['bank.money', 'bank.river']
    """
    return [
        replace(one, links=(*one.links, ("Cue", each.target, each.cue), *((f"{SENSE}{sense}", word, word) for word, sense in one.senses)))
        for each in sets
        for one in each.sentences[:2]
    ]


def read_senses(folder: str | Path, words: Sequence[str] = ()) -> list[Sentence]:
    """Sentences of CoarseWSD-20, from its folder with one folder for each word, or from the repository that holds it.

    Args:
        folder: holds "bank/train.data.txt", "bank/train.gold.txt", "bank/classes_map.txt" and the like, itself or in data/CoarseWSD-20.
        words: only these; empty for all.
    Raises: DataError for a folder without such words, and by file and line for what is not a place and a sentence, or a sense.
    """
    folder = next((one for one in (Path(folder), Path(folder) / INSIDE) if any(one.glob("*/classes_map.txt"))), Path(folder))
    there = sorted(path.parent.name for path in folder.glob("*/classes_map.txt"))
    missing = [word for word in words if word not in there]
    if not there or missing:
        told = f"{folder}: no folder of a word {', '.join(missing) or 'with classes_map.txt'}"
        raise DataError(f"{told}; expected that of CoarseWSD-20 ({INSIDE}), which has {', '.join(there) or 'one for each'}")
    return [sentence for word in words or there for sentence in _distinct(_of_word(folder / word)) if _marks(sentence, word)]


def _distinct(sentences: Iterable[Sentence]) -> list[Sentence]:
    return list({sentence.text: sentence for sentence in sentences}.values())


def _marks(sentence: Sentence, word: str) -> bool:
    return all(sentence.words[place].form == word for place, _ in senses_of(sentence.links))


def _of_word(folder: Path) -> Iterator[Sentence]:
    names = json.loads((folder / "classes_map.txt").read_text(encoding="utf-8"))
    for split in _SPLITS:
        path = folder / f"{split}.data.txt"
        lines = list(numbered_lines(path, expected="a sentence a line, behind the place of its word"))
        gold = [line for _, line in numbered_lines(folder / f"{split}.gold.txt", expected="a number of a sense a line")]
        if len(lines) != len(gold):
            raise DataError(f"{path}: {len(lines)} sentences and {len(gold)} senses; expected as many")
        for (number, line), sense in zip(lines, gold, strict=True):
            yield _sentence(f"{path}, line {number}", f"{folder.name}-{split}-{number}", line, names.get(sense.strip()))


def _sentence(where: str, name: str, line: str, sense: str | None) -> Sentence:
    place, _, text = line.partition("\t")
    forms = text.split(" ")
    if not place.strip().isdigit() or int(place) >= len(forms) or sense is None:
        raise DataError(f"{where}: {line[:40]!r} with sense {sense} came; expected a place, a tab, a sentence, and a sense of its word")
    starts = [sum(len(form) + 1 for form in forms[:index]) for index in range(len(forms))]
    written = [(form, start) for form, start in zip(forms, starts, strict=True) if form]
    words = tuple(_word(index, form, start) for index, (form, start) in enumerate(written))
    target = sum(1 for form in forms[: int(place)] if form)
    return Sentence(id=name, text=text, words=words, document=name, links=((f"{SENSE}{sense}", target, target),))


def _word(index: int, form: str, start: int) -> Word:
    return Word(id=index + 1, form=form, lemma="_", upos="_", deprel="_", head=0, span=(start, start + len(form)))
