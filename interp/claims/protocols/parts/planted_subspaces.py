"""Heads whose subspaces are known: written into the weights of a decoder, and read off it as off any model.

The decoder is of our own family, of one layer, with as many heads of the same size as the layer that they stand for. So what is read goes
the whole way: unit vectors through a running model, projections out of the attention call, heads and directions told apart, the
decomposition.
"""

import numpy as np
import torch

from interp.claims.protocols.parts.subspaces import Matrix, head_subspaces, ranks
from interp.models.model import BUILDING, Model, instrument
from interp.models.transformer import DecoderAttention, DecoderConfig, DecoderForCausalLM

N_CTX = 128


def planted(bases: np.ndarray, *, identical: bool) -> np.ndarray:
    """Heads of the same ranks that are all alike, or as orthogonal as so many can be: each takes the next coordinates."""
    found, place = np.zeros_like(bases), 0
    for head, rank in enumerate(ranks(bases)):
        found[head, (np.arange(rank) + place) % bases.shape[1], np.arange(rank)] = 1.0
        place += 0 if identical else rank
    return found


def written_and_read(bases: np.ndarray, matrix: Matrix, like: Model) -> np.ndarray:
    """The bases of heads that were written with these. Axes: (head, d_model, direction) both.

    Args: like: whose tokenizer and device the decoder has; neither plays a part.
    """
    hf = _decoder(bases)
    attn = hf.model.blocks[0].attn
    assert isinstance(attn, DecoderAttention)
    columns = torch.from_numpy(np.concatenate(list(bases), axis=1)).float()
    with torch.no_grad():
        if matrix == "output":
            attn.o.weight.copy_(columns)
        else:
            {"query": attn.q, "key": attn.k, "value": attn.v}[matrix].weight.copy_(columns.T)
    hf.to(like.device)  # type: ignore[arg-type]
    model = instrument(hf, like.tokenizer, name="planted heads", lm_head=True)
    return head_subspaces(model, [matrix])[matrix][0]


def _decoder(bases: np.ndarray) -> DecoderForCausalLM:
    n_heads, d_model, width = bases.shape
    config = DecoderConfig(
        vocab_size=2, hidden_size=d_model, num_hidden_layers=1, num_attention_heads=n_heads, head_dim=width, sublayers=["attn"],
        norm="none", max_position_embeddings=N_CTX,
    )  # fmt: skip
    with BUILDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DecoderForCausalLM(config).eval()
