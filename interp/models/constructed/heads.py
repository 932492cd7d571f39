"""How a head is written by hand: what it asks for, what answers, and into which part of the stream it copies the token it finds.

The stream has five parts of 64, each holding one-hot vectors; no norm mixes them, and nothing is ever written into the first two:

    token      which word stands here (64 words)
    position   where it stands (64 places)
    previous   which word stands before it: written by a previous-token head
    copied     which words a circuit says come next: read by the unembedding, with weight 10
    noted      what all other heads and neurons write: read by the unembedding with weight 0.1, so that an edit there shows a little

A head has 128 channels. Its query and its key each speak in some of them, and a key's score is 20 for each channel in which both do. The
last channel is the rest: the query always speaks in it, as loudly as `rest` says, and only the first token answers. So a head with
`rest` 0.5 goes to what matches, with weight above 0.999, and to the first token when nothing does. Its values are the tokens.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from interp.models.constructed.words import SPECIAL, VOCABULARY
from interp.models.transformer import DecoderAttention, DecoderConfig, DecoderForCausalLM

WIDTH = len(VOCABULARY)
PARTS = {
    name: slice(number * WIDTH, (number + 1) * WIDTH) for number, name in enumerate(("token", "position", "previous", "copied", "noted"))
}
D_MODEL = WIDTH * len(PARTS)
D_HEAD = 2 * WIDTH
N_HEADS = 4
REST = D_HEAD - 1
SCORE = 20.0
SAID, MURMURED = 10.0, 0.1


def silent() -> Tensor:
    """A projection that never speaks. Axes: (channel, d_model)."""
    return torch.zeros(D_HEAD, D_MODEL)


def reads(part: str, *, back: int = 0) -> Tensor:
    """The projection that speaks in channel i when entry i + back of a part is set. Axes: (channel, d_model)."""
    projection = silent()
    projection[: WIDTH - back, PARTS[part]] = torch.eye(WIDTH)[back:]
    return projection


def flags(channel: int, part: str, entries: list[int]) -> Tensor:
    """The projection that speaks in one channel when any of the entries is set. Axes: (channel, d_model)."""
    projection = silent()
    projection[channel, PARTS[part]] = torch.eye(WIDTH)[entries].sum(0)
    return projection


@dataclass(frozen=True, kw_only=True)
class Head:
    """One head. With nothing to ask for and no rest it attends to all tokens alike."""

    query: Tensor = field(default_factory=silent, repr=False)
    key: Tensor = field(default_factory=silent, repr=False)
    rest: float = 0.0
    into: str = "noted"


def uniform() -> Head:
    """Attends to all tokens alike."""
    return Head()


def first() -> Head:
    """Attends to the first token."""
    return Head(rest=1.0)


def current() -> Head:
    """Attends to the token itself: as sharp and as positional as a previous-token head, and not one."""
    return Head(query=reads("position"), key=reads("position"))


def previous(into: str = "previous") -> Head:
    """Attends to the token before; the first token, which has none, to itself."""
    return Head(query=reads("position", back=1), key=reads("position"), into=into)


@torch.no_grad()
def blank(sublayers: list[str], n_layers: int, n_neurons: int = 0) -> DecoderForCausalLM:
    """A decoder that embeds tokens and positions, says what stands in `copied`, and whose sublayers do nothing yet."""
    hf = DecoderForCausalLM(_shape(sublayers, n_layers, n_neurons)).eval()
    for parameter in hf.parameters():
        parameter.zero_()
    hf.model.embed_tokens.weight[:, PARTS["token"]] = torch.eye(WIDTH)
    hf.model.embed_positions.weight[:, PARTS["position"]] = torch.eye(WIDTH)
    hf.lm_head.weight[:, PARTS["noted"]] = MURMURED * torch.eye(WIDTH)
    hf.lm_head.weight[len(SPECIAL) :, PARTS["copied"]] = SAID * torch.eye(WIDTH)[len(SPECIAL) :]  # special tokens are never said
    return hf


def _shape(sublayers: list[str], n_layers: int, n_neurons: int) -> DecoderConfig:
    return DecoderConfig(
        vocab_size=WIDTH,
        hidden_size=D_MODEL,
        num_hidden_layers=n_layers,
        num_attention_heads=N_HEADS,
        head_dim=D_HEAD,
        intermediate_size=n_neurons,
        max_position_embeddings=WIDTH,
        sublayers=sublayers,
        norm="none",
        hidden_act="relu",
        tie_word_embeddings=False,
        bos_token_id=0,
        pad_token_id=1,
    )


@torch.no_grad()
def write_heads(hf: DecoderForCausalLM, layer: int, heads: list[Head]) -> None:
    """Write the heads of one layer."""
    attn = attention_of(hf, layer)
    for number, head in enumerate(heads):
        rows = slice(number * D_HEAD, (number + 1) * D_HEAD)
        loud = SCORE / attn.scaling
        attn.q.weight[rows], attn.k.weight[rows] = loud * head.query, head.key + flags(REST, "position", [0])
        attn.q.bias[rows][REST] = loud * head.rest
        attn.v.weight[rows] = reads("token")
        attn.o.weight[:, rows] = reads(head.into).T


def attention_of(hf: DecoderForCausalLM, layer: int) -> DecoderAttention:
    """The attention sublayer of a layer."""
    attn = hf.model.blocks[layer].attn
    assert isinstance(attn, DecoderAttention)  # every model written with heads has one
    return attn
