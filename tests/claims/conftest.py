"""A small treebank from a grammar written here, claims with few controls' worth of work, and heads planted into it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from interp.claims.claim import Claim, parse_claim
from interp.claims.claim_files import catalogue
from interp.claims.protocols.parts import looked_at
from interp.texts.words import Sentence, Word

NOUNS, VERBS, ADJECTIVES, DETERMINERS = ["man", "dog", "sea", "boat"], ["saw", "said"], ["old", "small", "red", "cold"], ["the", "a"]


def _clause(rng: np.random.Generator, start: int) -> tuple[list[tuple[str, str, int]], int]:
    """(form, deprel, head) of subject, verb, object, heads counted from `start`; and the verb's place."""

    def phrase(deprel: str, verb: int, place: int) -> list[tuple[str, str, int]]:
        before = ["det"] * int(rng.integers(2)) + ["amod"] * int(rng.integers(4))
        noun = place + len(before)
        words = [(str(rng.choice(DETERMINERS if one == "det" else ADJECTIVES)), one, noun) for one in before]
        return [*words, (str(rng.choice(NOUNS)), deprel, verb)]

    subject = phrase("nsubj", -1, start)
    verb = start + len(subject)
    subject[-1] = (subject[-1][0], "nsubj", verb)
    return [*subject, (str(rng.choice(VERBS)), "root", -1), *phrase("obj", verb, verb + 1)], verb


def grammar(n_documents: int, per_document: int = 2, seed: int = 0) -> list[Sentence]:
    """Two clauses a sentence; the object stands one to five words behind its verb, so that no offset does well."""
    rng = np.random.default_rng(seed)
    sentences = []
    for number in range(n_documents * per_document):
        first, verb = _clause(rng, 0)
        second, other = _clause(rng, len(first) + 1)
        rows = [*first, ("and", "cc", other), *second]
        rows[other] = (rows[other][0], "conj", verb)
        words, place = [], 0
        for index, (form, deprel, head) in enumerate(rows):
            words.append(Word(id=index + 1, form=form, lemma=form, upos="X", deprel=deprel, head=head + 1, span=(place, place + len(form))))
            place += len(form) + 1
        text = " ".join(form for form, _, _ in rows)
        sentences.append(Sentence(id=f"s{number}", text=text, words=tuple(words), document=f"d{number // per_document}"))
    return sentences


@pytest.fixture(scope="session")
def treebank() -> list[Sentence]:
    return grammar(110)


@pytest.fixture(scope="session")
def small_treebank() -> Callable[..., list[Sentence]]:
    return grammar


@pytest.fixture(scope="session")
def relation_claim() -> Callable[..., Claim]:
    def make(**test) -> Claim:
        fields = catalogue()["S4-41-obj"].model_dump(mode="json")
        return parse_claim({**fields, "test": {**fields["test"], **test}}, "a test")

    return make


@pytest.fixture
def planted(monkeypatch):
    """Make L0H0 look where `where(example, word, rng)` says (None: anywhere); all else, and every untrained twin, looks at random."""

    def plant(where) -> None:
        def attention(model, examples):
            rng = np.random.default_rng(7)
            for example in examples:
                n = len(example.words)
                weights = rng.random((model.anatomy.n_layers, model.anatomy.n_heads, n, n))
                for word in range(n if "untrained" not in model.name else 0):
                    target = where(example, word, rng)
                    if target is not None:
                        weights[0, 0, word, target] = 2.0
                yield example, torch.tensor(weights, dtype=torch.float32)

        monkeypatch.setattr(looked_at, "word_attention", attention)

    return plant


@pytest.fixture(scope="session")
def ewt_folder() -> Path:
    folder = os.environ.get("INTERP_DATA")
    if not folder or not (Path(folder) / "ud_english_ewt").is_dir():
        pytest.skip("INTERP_DATA does not name a folder with ud_english_ewt; set it to run this")
    return Path(folder) / "ud_english_ewt"
