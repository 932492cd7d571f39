"""What a translator can do: held-out sentences word for word, and where its cross-attention looks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from interp.lab.measured import alignment
from interp.lab.measured.alignment import Alignment
from interp.lab.measured.words import Rows, as_share, share
from interp.lab.pairs import Pairs, chosen, tokenize_pairs
from interp.lab.recipes import Recipe
from interp.models.model import Model
from interp.stats.intervals import Interval

N_PAIRS = 256


@dataclass(frozen=True, kw_only=True)
class Translator:
    """What can be measured on a translator's files alone. `exact`: share of sentences translated as the generator does."""

    exact: Interval
    alignment: Alignment

    def rows(self) -> Rows:
        """As a card writes them."""
        return {"held-out sentences translated word for word as the generator does": as_share(self.exact)} | self.alignment.rows()

    def shows(self) -> str:
        """In one line."""
        found = self.alignment
        return (
            f"{self.exact.estimate:.1%} of held-out sentences translated exactly; alignment error rate {found.rate:.2f} "
            f"in cross-attention of layer {found.layer} (diagonal {found.diagonal:.2f})"
        )


def measure(model: Model, recipe: Recipe) -> Translator:
    """Measure a translator on generated sentences of split "confirmation"."""
    held = tokenize_pairs(N_PAIRS, model.tokenizer, recipe.phases[0].row_tokens, seed=0, split="confirmation")
    return Translator(exact=share(exact(model.hf, held)), alignment=alignment.measure(model))


@torch.no_grad()
def exact(hf: Any, held: Pairs) -> np.ndarray:
    """Which sentences' greedy translation is the generator's, token for token. Axes: (pair,)."""
    n_tokens = held.target.shape[1]
    read = chosen(held, np.arange(len(held.source)))
    ids = {name: read.inputs[name] for name in ("input_ids", "attention_mask")}
    written = hf.generate(**ids, max_new_tokens=n_tokens, num_beams=1, do_sample=False)[:, 1:]
    written = torch.nn.functional.pad(written, (0, n_tokens - written.shape[1]))
    return (written == torch.from_numpy(held.target.astype(np.int64))).all(1).numpy()
