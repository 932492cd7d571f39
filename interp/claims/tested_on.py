"""What a claim is tested on: a treebank or texts, read as examples, with the name and hash that a verdict keeps of them."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from interp.claims.claim import Claim
from interp.core.errors import ClaimError
from interp.core.provenance import text_hash
from interp.models.model import Model
from interp.texts.example import Example
from interp.texts.grammar.generate import generate
from interp.texts.grammar.senses import Position, sense_sets
from interp.texts.plain import read_texts
from interp.texts.senses import read_senses, sense_sentences
from interp.texts.sentences import examples as annotated
from interp.texts.sentences import skipped_counts
from interp.texts.tokens import windows
from interp.texts.treebank import read_treebank
from interp.texts.words import Sentence

Data = str | Path | Iterable[str] | Iterable[Sentence]
GRAMMAR = "grammar"  # in place of a file: sentences of the grammar, with their trees, pronouns' antecedents, marked senses and cues
N_OF_ALL_KINDS, N_WITH_PRONOUNS, N_SENSE_SETS = 500, 160, 40
SENSE_DISTANCES = (4, 6, 8)  # a cue that always stood in one place would be found by an offset
POSITIONS: tuple[Position, ...] = ("before", "after")


def examples_for(claim: Claim, model: Model, data: Data | None) -> tuple[list[Example], dict[str, str]]:
    """The examples of a claim, and name and hash of what they were read from; none where the model alone is enough.

    Raises: ClaimError for data that are missing, of the wrong kind, or hold nothing that the model can read.
    """
    if claim.needs is None:
        return [], {}
    if data is None:
        what = "a treebank (.conllu)" if claim.needs == "treebank" else "texts (.txt, or a .conllu treebank)"
        raise ClaimError(
            f"{claim.id} is tested on {what}, and none was given; expected data=... in Python, --data FILE on the command line"
        )
    texts = _read(claim, data)
    sentences = [text for text in texts if isinstance(text, Sentence)]
    if sentences and len(sentences) < len(texts):
        raise ClaimError(f"{claim.id}: {len(sentences)} of {len(texts)} texts are annotated sentences; expected all of them, or none")
    found, hashes = _annotated(sentences, model) if sentences else _plain([str(text) for text in texts], model)
    if not found:
        raise ClaimError(f"{claim.id}: the data holds no text that the model can read")
    return found, {"name": Path(data).name if isinstance(data, str | Path) else "given in Python", **hashes}


def _annotated(sentences: list[Sentence], model: Model) -> tuple[list[Example], dict[str, str]]:
    found, skipped = annotated(sentences, model.tokenizer, n_ctx=model.anatomy.n_ctx)
    why = ", ".join(f"{kind} {n}" for kind, n in skipped_counts(skipped).items())
    told = f"{len(skipped)} of {len(sentences)}" + (f" ({why})" if why else "")
    return found, {"sentences": text_hash(map(_annotation, sentences)), "skipped": told}


def _plain(texts: list[str], model: Model) -> tuple[list[Example], dict[str, str]]:
    found = [window for number, text in enumerate(texts) for window in _windows(text, number, model)]
    return found, {"texts": text_hash(texts), "documents": "none are marked: each text counts as one"}


@cache
def data_stamp(data: str) -> str:
    """A hash that changes with what a file, or the files of a folder, hold; the name alone for what is generated.

    Raises: ClaimError for what is neither.
    """
    if data == GRAMMAR:
        return GRAMMAR
    path = Path(data)
    if not path.exists():
        raise ClaimError(
            f"{data}: no such file or folder; expected a .conllu treebank, a .txt file, a folder of CoarseWSD-20, or {GRAMMAR!r}"
        )
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return text_hash(hashlib.blake2b(one.read_bytes()).hexdigest() for one in files)


def _annotation(sentence: Sentence) -> str:
    """All of a sentence that a verdict may rest on: the same text with another tree, tag or link is another treebank."""
    words = (
        f"{word.form} {word.lemma} {word.upos} {word.head} {word.deprel} {word.span} {word.multiword} {word.feats}"
        for word in sentence.words
    )
    return "\n".join((sentence.document, sentence.text, *words, *map(str, sentence.links)))


def _windows(text: str, number: int, model: Model) -> list[Example]:
    """A text in windows, which are one document: they are not independent of each other."""
    return [replace(window, document=f"text {number}") for window in windows(text, model.tokenizer, model.anatomy.n_ctx)]


@cache
def _generated() -> list[str | Sentence]:
    """Sentences whose annotations are known: of all kinds, with pronouns, with ambiguous words; none that a bundled model was trained on.

    Each is a document, or each set of two.
    """
    kinds = generate(N_OF_ALL_KINDS, seed=0, split="confirmation")
    pronouns = generate(N_WITH_PRONOUNS, seed=1, split="confirmation", kinds=["winograd", "gender"])
    sets = [
        one
        for distance in SENSE_DISTANCES
        for seed, position in enumerate(POSITIONS)
        for one in sense_sets(N_SENSE_SETS, seed=seed, distance=distance, position=position, split="confirmation")
    ]
    return [*kinds, *pronouns, *sense_sentences(sets)]


def _read(claim: Claim, data: Data) -> list[str | Sentence]:
    if data == GRAMMAR:
        return _generated()
    if isinstance(data, str | Path):
        if Path(data).is_dir():
            return list(read_senses(data))
        if Path(data).suffix == ".conllu":
            return list(read_treebank(data))
        if claim.needs == "treebank":
            raise ClaimError(
                f"{claim.id} is tested on a treebank; {data} came, expected a .conllu file (universaldependencies.org has them)"
            )
        return list(read_texts(data))
    texts: list[str | Sentence] = list(data)  # type: ignore[arg-type]
    if claim.needs == "treebank" and not all(isinstance(text, Sentence) for text in texts):
        raise ClaimError(f"{claim.id} is tested on annotated sentences; plain texts came, expected interp.read_treebank(path)")
    return texts
