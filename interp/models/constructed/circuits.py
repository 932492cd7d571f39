"""The constructed models: one circuit each, planted among neighbours that do something else.

    previous-token  L0H1 attends to the token before and says it, so that "cat dog cat dog" is predicted
    induction       L0H1 notes the token before; L1H0 looks for the place whose token before is the current one, and says what stands there
    subject-copy    L0H1 notes the token before; at "it", L1H2 looks for the animal that follows "the" (the subject) and says it;
                    its neighbour L1H1 looks as sharply for the animal that follows "a" (the object) and only notes it
    class-neuron    neuron L1N5 is 1 on animals and 0 on everything else, and says what they do ("ran"); all other neurons are random
    attention-only  no FFN, random weights
    ffn-only        no attention, random weights: what it says depends on the token and its position alone

How weights are laid out is told in `heads`. Induction is exact on texts whose words repeat once: of two earlier copies it follows both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedTokenizerFast

from interp.core.errors import ModelNotFound
from interp.models.constructed.heads import PARTS, WIDTH, Head, blank, current, first, flags, previous, reads, uniform, write_heads
from interp.models.constructed.words import CLASSES, VOCABULARY, ids_of, word_tokenizer
from interp.models.transformer import DecoderConfig, DecoderForCausalLM

Truth = Mapping[str, tuple[str, ...]]
N_NEURONS, NEURON = 32, 5
SEED = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Constructed:
    """A model whose circuit is known.

    Attributes:
        name: one of `NAMES`.
        hf: the plain transformers model.
        tokenizer: its fast tokenizer, which begins a text with <s>.
        truth: what the circuit is made of -> the sites that do it. The last entry is what the model is named after, those before
            are what that rests on. Empty when nothing is planted.
        words: word classes that the circuit is about.
    """

    name: str
    hf: DecoderForCausalLM = field(repr=False)
    tokenizer: PreTrainedTokenizerFast = field(repr=False)
    truth: Truth
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


def constructed(name: str) -> Constructed:
    """A constructed model by name; the same weights every time.

    Raises: ModelNotFound for a name that is none of `NAMES`.

    Example:
        >>> constructed("induction").truth
        {'previous': ('L0H1',), 'induction': ('L1H0',)}
    """
    if name not in _MODELS:
        raise ModelNotFound(f"no constructed model is called {name!r}; expected one of: {', '.join(NAMES)}")
    build, truth, words = _MODELS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        hf = build()
    return Constructed(name=name, hf=hf.eval(), tokenizer=word_tokenizer(WIDTH), truth=truth, words=words)


def _previous_token() -> DecoderForCausalLM:
    return _with_heads([[uniform(), previous(into="copied"), first(), current()]])


def _induction() -> DecoderForCausalLM:
    copy = Head(query=reads("token"), key=reads("previous"), rest=0.5, into="copied")
    return _with_heads([[uniform(), previous(), first(), current()], [copy, uniform(), first(), current()]])


def _subject_copy() -> DecoderForCausalLM:
    subject, other = _animal_after("the", into="copied"), _animal_after("a", into="noted")
    return _with_heads([[uniform(), previous(), first(), current()], [uniform(), other, subject, first()]])


def _animal_after(article: str, into: str) -> Head:
    """At "it", two things must hold of a key, an animal and after the article; one alone stays below the rest."""
    cue, animals = ids_of("it"), ids_of(*CLASSES["animal"])
    query = flags(0, "token", cue) + flags(1, "token", cue)
    return Head(query=query, key=flags(0, "token", animals) + flags(1, "previous", ids_of(article)), rest=1.5, into=into)


def _with_heads(layers: list[list[Head]]) -> DecoderForCausalLM:
    hf = blank(["attn"], len(layers))
    for layer, heads in enumerate(layers):
        write_heads(hf, layer, heads)
    return hf


@torch.no_grad()
def _class_neuron() -> DecoderForCausalLM:
    """The random neurons read the whole stream and write into `noted`, so that the token stays as it was embedded."""
    hf = blank(["attn", "mlp"], 2, N_NEURONS)
    for layer in range(2):
        write_heads(hf, layer, [uniform(), first(), current(), uniform()])
        mlp = hf.model.blocks[layer].mlp
        for drawn in (mlp.fc_in.weight, mlp.fc_in.bias, mlp.fc_out.weight[PARTS["noted"]]):
            drawn.normal_(std=0.3)
    mlp.fc_in.weight[NEURON], mlp.fc_in.bias[NEURON], mlp.fc_out.weight[:, NEURON] = 0.0, 0.0, 0.0
    mlp.fc_in.weight[NEURON, ids_of(*CLASSES["animal"])] = 1.0
    mlp.fc_out.weight[PARTS["copied"], NEURON] = torch.eye(WIDTH)[ids_of(*CLASSES["does"])].sum(0) / 4
    return hf


def _random(sublayers: list[str]) -> DecoderForCausalLM:
    """GPT-2's shape with LayerNorms, every parameter drawn, with the norms' gains around 1."""
    config = DecoderConfig(vocab_size=len(VOCABULARY), sublayers=sublayers, bos_token_id=0, pad_token_id=1, tie_word_embeddings=False)
    hf = DecoderForCausalLM(config)
    for name, parameter in hf.named_parameters():
        gain = "ln" in name and name.endswith("weight")
        torch.nn.init.normal_(parameter, mean=1.0 if gain else 0.0, std=0.3)
    return hf


_MODELS: dict[str, tuple[Callable[[], DecoderForCausalLM], Truth, Mapping[str, tuple[str, ...]]]] = {
    "previous-token": (_previous_token, {"previous": ("L0H1",)}, {}),
    "induction": (_induction, {"previous": ("L0H1",), "induction": ("L1H0",)}, {}),
    "subject-copy": (_subject_copy, {"previous": ("L0H1",), "subject": ("L1H2",)}, {"cue": ("it",), "noun": CLASSES["animal"]}),
    "class-neuron": (_class_neuron, {"class": (f"L1N{NEURON}",)}, {"class": CLASSES["animal"], "said": CLASSES["does"]}),
    "attention-only": (lambda: _random(["attn"]), {}, {}),
    "ffn-only": (lambda: _random(["mlp"]), {}, {}),
}
NAMES = tuple(_MODELS)
