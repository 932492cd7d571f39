"""Every form that TransformerLens may load, and encoder-decoders in the one shape that it takes: both stacks alike."""

from collections.abc import Callable, Iterable
from typing import get_args

import pytest
import torch
import transformers as hf
from tiny_families import BART, drawn, words

from interp.captures.activations import Activations
from interp.captures.prompt import capture
from interp.lens.bridge import bridge
from interp.models.load import load_model
from interp.models.model import Model
from interp.models.points import Kind

TEXT = "by the sea the old dog saw a man and the man saw"
TARGET = "they went home by the sea"

_EVEN = {**BART, "decoder_layers": 2, "decoder_ffn_dim": 24}
SYMMETRIC: dict[str, Callable[[], hf.PreTrainedModel]] = {
    "bart-even": lambda: hf.BartForConditionalGeneration(hf.BartConfig(**_EVEN)),
    "marian-even": lambda: hf.MarianMTModel(hf.MarianConfig(**_EVEN, activation_function="relu")),
    "m2m100-even": lambda: hf.M2M100ForConditionalGeneration(hf.M2M100Config(**_EVEN)),
}


def drawn_even(name: str) -> hf.PreTrainedModel:
    """Drawn like the forms of `tiny_families`: BART's and Marian's bias on the logits, a buffer, as well."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SYMMETRIC[name]()
        buffers = [(key, buffer) for key, buffer in model.named_buffers() if key.endswith("logits_bias")]
        for key, parameter in [*model.named_parameters(), *buffers]:
            norm = parameter.ndim == 1 and key.endswith("weight")
            torch.nn.init.normal_(parameter, mean=1.0 if norm else 0.0, std=0.2 if parameter.ndim == 1 else 0.4)
    return model.eval()


@pytest.fixture(scope="session")
def plain_named() -> Callable[[str], hf.PreTrainedModel]:
    """A plain transformers model of a form, made anew."""
    return lambda name: drawn_even(name) if name in SYMMETRIC else drawn(name)


@pytest.fixture(scope="session")
def model_named(tiny_named) -> Callable[[str], Model]:
    """A tiny model under the instrument by the name of its form, made once."""
    made: dict[str, Model] = {}

    def named(name: str) -> Model:
        if name not in SYMMETRIC:
            return tiny_named(name).model
        if name not in made:
            made[name] = load_model(drawn_even(name), words())
        return made[name]

    return named


@pytest.fixture(scope="session")
def seen_named(model_named) -> Callable[[str], Activations]:
    """A capture that keeps every point, by the form's name, made once."""
    made: dict[str, Activations] = {}

    def named(name: str) -> Activations:
        if name not in made:
            model = model_named(name)
            made[name] = capture(model, TEXT, keep=get_args(Kind), **({"target": TARGET} if model.anatomy.encoder_decoder else {}))
        return made[name]

    return named


@pytest.fixture(scope="session")
def their_run() -> Callable:
    """(logits, cache) of TransformerLens's bridge on the rows of tokens of a capture; of all its hooks, or of some by name."""

    def run(seen: Activations, names: Iterable[str] | None = None):
        rows = {} if seen.target is None else {"decoder_input": torch.tensor([seen.target.ids])}
        wanted = {} if names is None else {"names_filter": sorted(names)}
        with torch.no_grad():
            return bridge(seen.model).run_with_cache(torch.tensor([seen.example.ids]), **rows, **wanted)

    return run
