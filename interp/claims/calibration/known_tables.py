"""Numbers that are known: what the engine's own functions make of them, beside what is written elsewhere.

fixed offsets    the share of a relation's pairs that the best fixed offset hits, chosen on the dev part and scored on the test part of
                 the English Web Treebank: counted apart from this code, printed to a tenth of a point
expected layer   the worked example of Tenney et al. (2019): 70, 74, 80, 86, 88, 89, 89 give 2.4737
parameters       the formula against models that were built in full size and counted, exactly
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interp.claims.protocols.arithmetic import published
from interp.claims.protocols.parts.asked import Asked, best_offset
from interp.claims.protocols.parts.shapes import quantities
from interp.core.errors import ClaimError
from interp.stats.expected_layer import expected_layer
from interp.texts.treebank import read_treebank
from interp.texts.words import Sentence

FIXED_OFFSETS = {
    "det": (1, 56.9), "nsubj": (1, 32.5), "obj": (-2, 35.0), "amod": (1, 74.6), "case": (1, 38.6), "compound": (1, 71.3),
    "aux": (1, 51.0), "advmod": (1, 50.2), "mark": (1, 52.7), "cop": (1, 36.1), "ccomp": (-3, 23.3),
}  # fmt: skip
CURVE = (70.0, 74.0, 80.0, 86.0, 88.0, 89.0, 89.0)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A number of ours beside the one that is known; they agree where they are no further apart than `within`."""

    name: str
    ours: float
    known: float
    within: float

    @property
    def agrees(self) -> bool:
        """Whether they do."""
        return abs(self.ours - self.known) <= self.within


def known_tables(treebank: str | Path | None = None) -> list[Compared]:
    """All of them; the fixed offsets where there is a folder with the dev and the test part of the English Web Treebank.

    Raises: ClaimError for a folder without these.

    Example:
        >>> all(one.agrees for one in known_tables())
        True
    """
    found = [Compared(name="expected layer of the worked example", ours=float(expected_layer(np.array(CURVE))), known=2.4737, within=5e-5)]
    for shape in published():
        if shape.parameters_counted:
            ours = float(quantities(shape)["parameters"])
            found.append(Compared(name=f"parameters of {shape.name}", ours=ours, known=float(shape.parameters_counted), within=0.0))
    return found if treebank is None else [*_offsets(Path(treebank)), *found]


def _offsets(folder: Path) -> list[Compared]:
    files = [folder / f"en_ewt-ud-{part}.conllu" for part in ("dev", "test")]
    if missing := [file.name for file in files if not file.is_file()]:
        raise ClaimError(f"{folder}: no {', '.join(missing)}; expected the folder of UD English EWT (universaldependencies.org)")
    dev, test = (read_treebank(file) for file in files)
    return [one for relation, known in FIXED_OFFSETS.items() for one in _offset(relation, *known, dev, test)]


def _offset(relation: str, offset: int, percent: float, dev: list[Sentence], test: list[Sentence]) -> list[Compared]:
    """The offset that the engine chooses on dev, and its accuracy on test."""
    chosen = best_offset(_pairs(relation, dev), np.array(True))
    share = 100 * float(_pairs(relation, test).at_offset(chosen).mean())
    name = f"best fixed offset for {relation}"
    return [
        Compared(name=name, ours=float(chosen), known=float(offset), within=0.0),
        Compared(name=f"{name}, accuracy in percent", ours=share, known=percent, within=0.1),
    ]


def _pairs(relation: str, sentences: list[Sentence]) -> Asked:
    """From each dependent to its head, parts of multiword tokens among them."""
    found = [
        (number, word.index, word.head_index)
        for number, sentence in enumerate(sentences)
        for word in sentence.words
        if word.relation == relation and word.head_index is not None
    ]
    example, start, target = np.array(found).T
    documents = np.array([sentences[number].document for number in example])
    return Asked(example=example, document=documents, start=start, targets=target[:, None])
