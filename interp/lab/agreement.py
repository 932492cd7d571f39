"""Does it prefer the verb that agrees with its subject? On generated pairs of sentences that differ in that verb and were held out.

Right is the pair whose grammatical sentence is the likelier one as a whole; by chance it is half of them.
"""

import torch
from transformers import PreTrainedTokenizerBase

from interp.texts.grammar.agreement import agreement_pairs

N_PAIRS = 200
ATTRACTORS = (0, 1)


def agreement_rows(words: PreTrainedTokenizerBase, n_ctx: int, attractors: int) -> torch.Tensor:
    """Token ids of pairs, the grammatical sentence before the other, 0 where a sentence is over. Axes: (2 x pair, pos).

    Each begins with the end-of-text token, as a paragraph's first word has something before it. Pairs longer than the context are left out.
    """
    pairs = agreement_pairs(N_PAIRS, seed=0, attractors=attractors, split="confirmation")
    sentences = [words([pair.grammatical.text, pair.ungrammatical.text])["input_ids"] for pair in pairs]
    rows = [torch.tensor([words.eos_token_id, *ids]) for both in sentences if max(map(len, both)) < n_ctx for ids in both]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True) if rows else torch.zeros(0, n_ctx, dtype=torch.long)


def hits(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Of each pair, whether its grammatical sentence costs fewer nats. Axes: logits (2 x pair, pos, d_vocab), rows (2 x pair, pos)."""
    each = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), rows[:, 1:].flatten(), ignore_index=0, reduction="none")
    nats = each.view(len(rows), -1).sum(1)
    return nats[::2] < nats[1::2]


def share_right(logits: torch.Tensor, rows: torch.Tensor) -> float:
    """Share of such pairs."""
    return hits(logits, rows).double().mean().item()
