"""Nulls of the protocols on parts of a model and on whole ones: importance, linearity, the division of labour, cost, models compared."""

from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from interp.claims.calibration.cases import N_CTX, Case, Known, claim_of, edited, loaded, newborn, shape, whole
from interp.claims.calibration.labour import DIVISION, labour
from interp.claims.calibration.world import random_texts
from interp.models.constructed import scrambled
from interp.models.model import Model
from interp.models.transformer import DecoderForCausalLM, DecoderMLP

MATTERS = {"nats": 0.05, "nats_source": "ours", "n_tokens": N_CTX}
NONLINEAR = {"what": "ffn", "expects": "nonlinear", "smallest_effect_source": "ours"}
GROWS = {"measure": "seconds", "grows": True, "smallest_exponent": 0.5, "smallest_exponent_source": "ours", "rounds": 40}
COMPARED = {"nats": 0.05, "nats_source": "ours", "n_tokens": N_CTX}
NOISE = 0.02  # of a copy's weights: two seeds of one recipe are not the same either


def _important(seed: int, claimed: str) -> Case:
    return Case(claim=claim_of("importance", claimed=claimed, **MATTERS), model=newborn(seed), data=random_texts(seed, n_words=(12,)))


def _important_scrambled(seed: int) -> Case:
    claim = claim_of("importance", claimed="some", named=["L0H1"], **MATTERS)
    return Case(claim=claim, model=loaded(scrambled(whole("previous-token"), seed)), data=random_texts(seed, n_words=(12,)))


def echoes(seed: int) -> list[str]:
    """Two words in turn, so that the word before last tells the next."""
    return [" ".join((text.split() * 6)[:12]) for text in random_texts(seed, n_words=(2,))]


def bent(seed: int, by: float) -> Model:
    """FFNs of pairs of rectified neurons that write relu(x) - (1 - by) relu(-x): linear maps where `by` is 0."""

    def edit(hf: DecoderForCausalLM) -> None:
        for block in hf.model.blocks:
            assert isinstance(block.mlp, DecoderMLP)
            read, write = block.mlp.fc_in.weight, block.mlp.fc_out.weight
            half = len(read) // 2
            read[half:], write[:, half:] = -read[:half], -(1 - by) * write[:, :half]

    return edited(newborn(seed, act="relu"), edit, f"bent by {by:g}")


def _linear(seed: int) -> Case:
    return Case(claim=claim_of("linearity", **NONLINEAR), model=bent(seed, 0.0), data=random_texts(seed))


def _frozen(seed: int) -> Case:
    claim = claim_of("linearity", **{**NONLINEAR, "what": "attention_frozen"})
    return Case(claim=claim, model=newborn(seed), data=random_texts(seed))


def _labour_untrained(seed: int) -> Case:
    return Case(claim=claim_of("division_of_labour", **DIVISION), model=newborn(seed), data=labour(seed, 0.0).data)


def _heads_cost_nothing(seed: int) -> Case:
    return Case(claim=claim_of("cost_scaling", against="n_heads", **GROWS), model=shape())


def _tokens_cost(seed: int) -> Case:
    return Case(claim=claim_of("cost_scaling", against="n_layers", **{**GROWS, "grows": False}), model=shape())


def compared(seed: int, without: Model) -> Case:
    """A model against two copies of the previous-token model whose weights differ a little, as two seeds would."""
    names = [_kept(model, name) for name, model in (("without", without), ("first", copied(2 * seed)), ("second", copied(2 * seed + 1)))]
    claim = claim_of("models_compared", without=names[:1], with_it=names[1:], **COMPARED)
    return Case(claim=claim, model=without, data=echoes(seed))


def copied(seed: int) -> Model:
    """The previous-token model with a little noise in every weight."""

    def edit(hf: DecoderForCausalLM) -> None:
        generator = torch.Generator().manual_seed(seed)
        for weight in hf.parameters():
            weight.add_(NOISE * torch.randn(weight.shape, generator=generator))

    return edited(loaded(whole("previous-token")), edit, f"copy {seed}")


def _kept(model: Model, name: str) -> str:
    """A folder that holds the model: the protocol loads what it compares by name."""
    folder = Path(_folder().name) / name
    model.hf.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="calibration-")


def _copies(seed: int) -> Case:
    return compared(seed, copied(10_000 + seed))


OF_PARTS: tuple[Known, ...] = (
    Known(protocol="importance", what="some head, untrained models", make=partial(_important, claimed="some")),
    Known(protocol="importance", what="a set of heads, untrained models", make=partial(_important, claimed="set")),
    Known(protocol="importance", what="repair, untrained models", make=partial(_important, claimed="repair")),
    Known(protocol="importance", what="scrambled twins of the constructed circuit", make=_important_scrambled),
    Known(protocol="linearity", what="nonlinear FFNs, neurons in pairs that make up linear maps", make=_linear),
    Known(protocol="linearity", what="nonlinear attention, patterns held", make=_frozen),
    Known(protocol="division_of_labour", what="untrained models", make=_labour_untrained),
    Known(protocol="division_of_labour", what="attention does both tasks", make=partial(labour, strength=0.0)),
    Known(protocol="cost_scaling", what="time grows with the heads, at one width", make=_heads_cost_nothing),
    Known(protocol="cost_scaling", what="time does not grow with the layers", make=_tokens_cost),
    Known(protocol="models_compared", what="copies of one model", make=_copies),
)
