"""Places of the corpus that a profile kept, each with the tokens around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp.captures.atlas.opened import Atlas

WINDOWS = 65_536  # numbers that each text has for its windows, as in `captures.corpus.work`


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A token in its surroundings.

    Attributes:
        value: of the statistic, or the activation, at the token.
        text: the text's number in the corpus, from 0.
        window: which window of the text; None where texts were not cut.
        pos: the token's place in the text, or in its window, from 0.
        tokens: as people read them.
        at: the place of the token among `tokens`.
    """

    value: float
    text: int
    window: int | None
    pos: int
    tokens: tuple[str, ...]
    at: int


def excerpts(
    atlas: Atlas, values: np.ndarray, texts: np.ndarray, positions: np.ndarray, windows: np.ndarray, offsets: Sequence[int]
) -> list[Excerpt]:
    """Excerpts from what a profile keeps of them; a text of -1 stands for none.

    Args:
        values, texts, positions: (example,).
        windows: token ids, -1 outside of the text, (example, offset).
        offsets: places from the token, one of them 0.
    """
    there = np.asarray(windows) >= 0
    words = iter(atlas.spelt(windows))
    spelt = [[next(words) for _ in range(int(n))] for n in there.sum(1)]
    cut = bool(atlas.about.get("window", "x 65536" in str(atlas.profile.attrs.get("text_numbers", ""))))
    start = list(offsets).index(0)
    return [
        Excerpt(
            value=float(value),
            text=int(text) // WINDOWS if cut else int(text),
            window=int(text) % WINDOWS if cut else None,
            pos=int(pos),
            tokens=tuple(tokens),
            at=int(inside[:start].sum()),
        )
        for value, text, pos, tokens, inside in zip(values, texts, positions, spelt, there, strict=True)
        if text >= 0
    ]
