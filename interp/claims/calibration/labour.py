"""A model that knows what comes next from the earlier copy and from the current word, and in which it is known which sublayer knows which.

Induction as in the constructed model, by attention. And each word has a word that follows it, which is said by the FFN of layer 1, by a
head of layer 1, or by both: with a share of 1 attention routes and the FFN processes, with 0 attention does both, and there is no division.
"""

import numpy as np
import torch

from interp.claims.calibration.cases import Case, claim_of, loaded
from interp.models.constructed.circuits import Constructed
from interp.models.constructed.heads import (
    D_HEAD,
    PARTS,
    WIDTH,
    Head,
    attention_of,
    blank,
    current,
    first,
    previous,
    reads,
    uniform,
    write_heads,
)
from interp.models.constructed.words import CLASSES, VOCABULARY, word_tokenizer
from interp.models.transformer import DecoderMLP

SAID_BY = 3  # the head of layer 1 that looks at the current word
DIVISION = {"interaction": 0.5, "margin": 0.25, "source_of_effects": "ours", "n_rows": 96}
N_TEXTS, N_WORDS, FOLLOWS = 120, 14, 0.8
_WORDS = [word for words in CLASSES.values() for word in words]
_NEXT = dict(zip(_WORDS, _WORDS[7:] + _WORDS[:7], strict=True))


def labour(seed: int, strength: float) -> Case:
    """The claim of a clean division on the model in which the FFN has this share of the local work."""
    return Case(claim=claim_of("division_of_labour", **DIVISION), model=loaded(_divided(strength)), data=_texts(seed))


@torch.no_grad()
def _divided(share: float) -> Constructed:
    hf = blank(["attn", "mlp"], 2, WIDTH)
    copy = Head(query=reads("token"), key=reads("previous"), rest=0.5, into="copied")
    write_heads(hf, 0, [uniform(), previous(), first(), current()])
    write_heads(hf, 1, [copy, uniform(), first(), current()])
    follows = torch.zeros(WIDTH, WIDTH)
    for word, after in _NEXT.items():
        follows[VOCABULARY.index(after), VOCABULARY.index(word)] = 1.0
    attention_of(hf, 1).o.weight[PARTS["copied"], SAID_BY * D_HEAD : SAID_BY * D_HEAD + WIDTH] = (1 - share) * follows
    for layer, said in ((0, 0.0), (1, share)):
        mlp = hf.model.blocks[layer].mlp
        assert isinstance(mlp, DecoderMLP)
        mlp.fc_in.weight[:, PARTS["token"]] = torch.eye(WIDTH)
        mlp.fc_out.weight[PARTS["noted"]] = torch.eye(WIDTH)  # so that it writes something where it says nothing
        mlp.fc_out.weight[PARTS["copied"]] = said * follows
    return Constructed(name=f"division (share {share:g})", hf=hf, tokenizer=word_tokenizer(WIDTH), truth={})


def _texts(seed: int) -> list[str]:
    """Walks in which a word is followed by its own word four times in five."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(N_TEXTS):
        words = [str(rng.choice(_WORDS))]
        while len(words) < N_WORDS:
            words.append(_NEXT[words[-1]] if rng.random() < FOLLOWS else str(rng.choice(_WORDS)))
        found.append(" ".join(words))
    return found
