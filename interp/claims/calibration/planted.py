"""Circuits that are there, whole and weakened: what the protocols make of them, by how strong they are."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from interp.claims.calibration.cases import Case, Known, claim_of, loaded, whole
from interp.claims.calibration.nulls import COPYING, PREVIOUS
from interp.models.constructed.weakening import weakened
from interp.models.constructed.words import CLASSES

# The head's query, so many times as loud as written: its weight goes from that of any head to all.
STRENGTHS = {"positional_head": (0.04, 0.08, 0.1, 0.12, 0.14, 0.16, 0.2, 1.0), "induction_head": (0.05, 0.1, 0.13, 0.16, 0.2, 1.0)}
N_TEXTS = 120
_WORDS = tuple(word for words in CLASSES.values() for word in words)


def planted() -> Iterator[Known]:
    """Every planted circuit at every strength."""
    for strength in STRENGTHS["positional_head"]:
        yield Known(protocol="positional_head", what=f"strength {strength:g}", make=partial(_positional, strength=strength))
    for strength in STRENGTHS["induction_head"]:
        yield Known(protocol="induction_head", what=f"strength {strength:g}", make=partial(_induction, strength=strength))


def _positional(seed: int, strength: float) -> Case:
    model = loaded(weakened(whole("previous-token"), strength))
    return Case(claim=claim_of("positional_head", **PREVIOUS), model=model, data=_texts(seed))


def _induction(seed: int, strength: float) -> Case:
    return Case(claim=claim_of("induction_head", **COPYING), model=loaded(weakened(whole("induction"), strength)))


def _texts(seed: int) -> list[str]:
    """Random words, 8 to 24 of them; each text is a document."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(_WORDS, rng.integers(8, 25))) for _ in range(N_TEXTS)]
