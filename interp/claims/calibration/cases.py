"""A case whose truth is known: a claim, a model and data, made from a seed; and the models that cases are made of."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch

from interp.claims.claim import Claim, parse_claim
from interp.claims.tested_on import Data
from interp.models.constructed import Constructed, constructed
from interp.models.constructed.words import VOCABULARY, word_tokenizer
from interp.models.load import load_model
from interp.models.model import Model
from interp.models.transformer import DecoderConfig, DecoderForCausalLM
from interp.models.untrained import untrained

ZOO = "small"
FIRST_TWIN = 1000  # a protocol's own untrained twins have the seeds from 0 on
N_CTX = 24  # tokens that a constructed model reads here: its circuit is whole, and its runs are short


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
        weight: its share of a protocol's runs, beside the protocol's other kinds.
    """

    protocol: str
    what: str
    make: Callable[[int], Case]
    exchangeable: tuple[int, ...] = ()
    weight: int = 2

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
    """A constructed model behind the instrument, reading so many tokens and no more."""
    hf = DecoderForCausalLM(DecoderConfig.from_dict({**made.hf.config.to_dict(), "max_position_embeddings": N_CTX}))
    weights = made.hf.state_dict()
    positions = "model.embed_positions.weight"
    hf.load_state_dict({**weights, positions: weights[positions][:N_CTX]})
    return replace(load_model(hf.eval(), made.tokenizer), name=made.name)


@cache
def shape(*, layers: int = 2, heads: int = 4, d_model: int = 32, spread: float = 0.2, act: str = "gelu_new") -> Model:
    """A model that reads the same words, small enough that hundreds of runs are cheap; its weights are of no account."""
    config = DecoderConfig(
        vocab_size=len(VOCABULARY), hidden_size=d_model, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=2 * d_model,
        max_position_embeddings=N_CTX, initializer_range=spread, hidden_act=act, tie_word_embeddings=False, bos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return load_model(DecoderForCausalLM(config).eval(), word_tokenizer(N_CTX))


def twin(model: Model, seed: int) -> Model:
    """An untrained twin that none of the protocol's own controls is."""
    return untrained(model, seed=FIRST_TWIN + seed)


def newborn(seed: int, **sizes: object) -> Model:
    """A small untrained model. Its attention is not even: weights are drawn so wide that each head looks somewhere."""
    return twin(shape(**sizes), seed)  # type: ignore[arg-type]


def edited(model: Model, edit: Callable[[DecoderForCausalLM], None], name: str) -> Model:
    """The same model with other weights."""
    hf = DecoderForCausalLM(DecoderConfig.from_dict(model.hf.config.to_dict()))
    hf.load_state_dict(model.hf.state_dict())
    with torch.no_grad():
        edit(hf)
    return replace(load_model(hf.eval(), model.tokenizer), name=name)
