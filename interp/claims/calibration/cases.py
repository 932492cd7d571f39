"""A case whose truth is known: a claim, a model and data, made from a seed; and what cases are made of."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from interp.claims.claim import Claim, parse_claim
from interp.claims.tested_on import Data
from interp.models.constructed import Constructed, constructed
from interp.models.load import load_model
from interp.models.model import Model
from interp.models.untrained import untrained
from interp.texts.grammar.generate import generate
from interp.texts.words import Sentence, Word

ZOO = "small"
FIRST_TWIN = 1000  # a protocol's own untrained twins have the seeds from 0 on
N_SENTENCES = 240


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is judged. `data` is None where the model alone is enough."""

    claim: Claim
    model: Model
    data: Data | None = None


@dataclass(frozen=True, kw_only=True)
class Known:
    """A kind of case whose truth is known.

    Attributes:
        protocol: what judges it.
        what: what makes it null, or what is planted, in words.
        make: a case from a seed.
        exchangeable: pieces of evidence whose difference is as likely to have either sign here, so that their p must be uniform.
    """

    protocol: str
    what: str
    make: Callable[[int], Case]
    exchangeable: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Its name in a calibration's folder."""
        return f"{self.protocol}, {self.what}"


def claim_of(protocol: str, **parameters: object) -> Claim:
    """A claim that says no more than what its protocol tests."""
    fields = {
        "id": f"calibration:{protocol}",
        "statement": "What the protocol tests.",
        "kind": ["obs"],
        "quantifier": "some",
        "scope": "the models of the calibration",
        "test": {"protocol": protocol, **parameters},
        "does_not_show": "anything: the truth is known.",
    }
    return parse_claim(fields, "a calibration")


@cache
def trained() -> Model:
    """A trained model of the zoo."""
    return load_model(ZOO)


@cache
def whole(name: str) -> Constructed:
    """A model with a circuit written by hand."""
    return constructed(name)


def loaded(made: Constructed) -> Model:
    """A constructed model behind the instrument."""
    return replace(load_model(made.hf, made.tokenizer), name=made.name)


def twin(model: Model, seed: int) -> Model:
    """An untrained twin that none of the protocol's own controls is."""
    return untrained(model, seed=FIRST_TWIN + seed)


def sentences(seed: int) -> list[Sentence]:
    """Generated sentences; every one is a document."""
    return list(generate(N_SENTENCES, seed=seed))


def with_random_heads(found: list[Sentence], seed: int) -> list[Sentence]:
    """The same words, each hanging on a random other one: labels without meaning."""
    rng = np.random.default_rng(seed)
    return [
        replace(sentence, words=tuple(_hung_anywhere(sentence, place, rng) for place in range(len(sentence.words)))) for sentence in found
    ]


def _hung_anywhere(sentence: Sentence, place: int, rng: np.random.Generator) -> Word:
    other = int(rng.integers(len(sentence.words) - 1))
    return replace(sentence.words[place], head=1 + other + (other >= place))


def with_random_tags(found: list[Sentence], seed: int) -> list[Sentence]:
    """The same words with their parts of speech exchanged within the sentence."""
    rng = np.random.default_rng(seed)
    return [replace(sentence, words=_retagged(sentence, rng.permutation(len(sentence.words)))) for sentence in found]


def _retagged(sentence: Sentence, order: np.ndarray) -> tuple[Word, ...]:
    return tuple(replace(word, upos=sentence.words[other].upos) for word, other in zip(sentence.words, order, strict=True))
