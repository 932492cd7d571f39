"""What an encoder can do: fill masks in held-out text; and, beside a bag of words, agreement and sense."""

from dataclasses import dataclass

import numpy as np
import torch

from interp.lab.batches import IGNORED, KINDS, Reading, assemble
from interp.lab.measured import agreement_probe, sense_probe
from interp.lab.measured.agreement_probe import AgreementProbe
from interp.lab.measured.sense_probe import SenseProbe
from interp.lab.measured.words import Rows
from interp.lab.recipes import Phase, Recipe
from interp.models.model import Model

TEXT_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """What can be measured on an encoder's files alone."""

    agreement: AgreementProbe
    sense: SenseProbe

    def rows(self) -> Rows:
        """As a card writes them."""
        return self.agreement.rows() | self.sense.rows()

    def shows(self) -> str:
        """In one line."""
        number, sense = self.agreement, self.sense
        return (
            f"fills masks; number of a masked verb's subject {number.same.estimate:.0%} (bag of words {number.same_bag.estimate:.0%}), "
            f"sense by an unseen cue {sense.unseen.estimate:.0%} (bag of words {sense.unseen_bag.estimate:.0%}), "
            f"right verb form {' / '.join(f'{found.estimate:.0%}' for found in number.forms.values())}"
        )


def measure(model: Model) -> Encoder:
    """Measure an encoder that fills masks."""
    return Encoder(agreement=agreement_probe.measure(model), sense=sense_probe.measure(model))


def text_rows(model: Model, held: Reading, recipe: Recipe) -> Rows:
    """The loss on held-out text."""
    return {"masked tokens of held-out text": f"{masked_nats(model, held, recipe):.3f} nats per token"}


@torch.no_grad()
def masked_nats(model: Model, held: Reading, recipe: Recipe) -> float:
    """An encoder's loss on masked tokens of held-out text, nats per token."""
    n_of = {kind: TEXT_ROWS * (kind == "text") for kind in KINDS}
    read = assemble(held, Phase(n_steps=0, row_tokens=recipe.n_ctx), recipe, n_of, np.random.default_rng(0))
    logits = torch.cat([model.run(part) for part in read.inputs["input_ids"].split(16)])
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), read.targets.flatten(), ignore_index=IGNORED).item()
