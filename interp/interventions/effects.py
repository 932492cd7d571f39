"""What an intervention does to the prediction: nats of loss, logits of difference."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import SupportsIndex

import torch

from interp.core.errors import CheckFailed, TextError
from interp.models.model import Model
from interp.models.precision import wide
from interp.models.reading import Text, rows_of, run_on


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Before and after, on one text.

    Attributes:
        loss_before_nats, loss_after_nats: mean negative log likelihood of the text's tokens, per token.
        logit_difference_before, logit_difference_after: the two answers' logits, first minus second, at the
            last position; None when not asked.
    """

    loss_before_nats: float
    loss_after_nats: float
    logit_difference_before: float | None = None
    logit_difference_after: float | None = None

    @property
    def nats(self) -> float:
        """How much worse each token is predicted, in nats; negative when it is predicted better."""
        return self.loss_after_nats - self.loss_before_nats

    @property
    def logit_difference(self) -> float | None:
        """Change of the logit difference, in logits."""
        before, after = self.logit_difference_before, self.logit_difference_after
        return None if before is None or after is None else after - before


def loss_nats(logits: torch.Tensor, ids: torch.Tensor) -> float:
    """Mean negative log likelihood of each token given those before it, in nats. Axes: (pos, d_vocab), (pos,)."""
    told = wide(logits[:-1])
    return torch.nn.functional.cross_entropy(told, ids[1:].to(told.device)).item()


def effect(
    model: Model,
    text: Text,
    intervention: Callable[[], AbstractContextManager],
    *,
    answers: tuple[SupportsIndex, SupportsIndex] | None = None,
) -> Effect:
    """Run a text without and with an intervention.

    Args:
        model: a decoder with a trained head, alone or with its encoder.
        text: what is predicted; for an encoder-decoder a pair, of which the second is.
        intervention: makes the `with` block, e.g. `lambda: ablate(model, "L2H3", how="zero")`.
        answers: two token ids: the change of logit[first] - logit[second] at the last position is measured as well.
    Raises: CheckFailed for a model that does not predict the next token; TextError for a single token, which nothing predicts, and for
        answers that are not two ids of the vocabulary; what the intervention raises.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> change = effect(model, "The old man looked at the sea.", lambda: interp.ablate(model, ["L0H0"], how="zero"))
        >>> change.nats == change.loss_after_nats - change.loss_before_nats
        True
    """
    if not (model.anatomy.lm_head and model.anatomy.causal):
        raise CheckFailed(
            f"{model.name} does not predict the next token, so an effect in nats has no meaning; expected a decoder with its head"
        )
    asked = None if answers is None else _two_ids(model, answers)
    example, target = rows_of(model, text)
    predicted = example if target is None else target
    if len(predicted) < 2:
        raise TextError(f"the text {predicted.text!r} is one token, and nothing before it predicts it; expected at least two")
    ids = torch.tensor(predicted.ids, device=model.device)
    before = run_on(model, text)[0]
    with intervention():
        after = run_on(model, text)[0]
    return Effect(
        loss_before_nats=loss_nats(before, ids),
        loss_after_nats=loss_nats(after, ids),
        logit_difference_before=_difference(before, asked),
        logit_difference_after=_difference(after, asked),
    )


def _two_ids(model: Model, answers: object) -> tuple[int, int]:
    found = [answers] if isinstance(answers, str) or not isinstance(answers, Iterable) else list(answers)
    if len(found) != 2 or any(isinstance(token, str) for token in found):
        raise TextError(f"answers={answers!r} came; expected two token ids: answers=(id of the one, id of the other)")
    return model.token_id(found[0]), model.token_id(found[1])


def _difference(logits: torch.Tensor, answers: tuple[int, int] | None) -> float | None:
    return None if answers is None else float(logits[-1, answers[0]] - logits[-1, answers[1]])
