"""What one attention pattern is like: how spread out, how far back, on which tokens.

A pattern is attention after the softmax: rows (queries) sum to 1 over the keys that they see. A large weight says where a head
looks, not what the model does with it: a head that "attends to X" may rest on a sink token and move almost nothing.
`norm_weighted` therefore weighs each key with the size of the vector that it moves (Kobayashi et al. 2020).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Pattern = Float[Tensor, "*batch query_pos key_pos"]
PerQuery = Float[Tensor, "*batch query_pos"]


def entropy(pattern: Pattern) -> PerQuery:
    """Entropy of each query's attention, in nats.

    H_i = - sum_j p_ij ln p_ij, with 0 ln 0 = 0: from 0 (one key) to ln n (all n keys alike).

    Args: pattern: axes (..., query_pos, key_pos).
    Returns: nats, axes (..., query_pos).

    Example:
        >>> entropy(torch.tensor([[1.0, 0.0], [0.5, 0.5]])).tolist()
        [0.0, 0.6931471824645996]
    """
    return torch.special.entr(pattern).sum(-1)


def weight_at_offset(pattern: Pattern, offset: int) -> PerQuery:
    """Weight on the token `offset` places from the query: -1 the previous one, +1 the next. Probability.

    Queries whose target lies outside of the text get nan.

    Args:
        pattern: axes (..., query_pos, key_pos), as many keys as queries.
        offset: key position minus query position.
    Returns: probability, axes (..., query_pos).

    Example:
        >>> weight_at_offset(torch.tensor([[1.0, 0.0], [0.25, 0.75]]), -1).tolist()
        [nan, 0.25]
    """
    weights = torch.full(pattern.shape[:-1], torch.nan, dtype=pattern.dtype, device=pattern.device)
    diagonal = pattern.diagonal(offset, -2, -1)
    start = max(0, -offset)
    weights[..., start : start + diagonal.shape[-1]] = diagonal
    return weights


def weight_on_first(pattern: Pattern) -> PerQuery:
    """Weight on the first token of the text, probability; nan for the first query, which a causal head leaves no choice.

    Example:
        >>> weight_on_first(torch.tensor([[1.0, 0.0], [0.25, 0.75]])).tolist()
        [nan, 0.25]
    """
    weights = pattern[..., 0].clone()
    weights[..., 0] = torch.nan
    return weights


def mean_distance(pattern: Pattern) -> PerQuery:
    """Mean distance in tokens between a query and what it attends to: sum_j p_ij |i - j|.

    Source: Vig & Belinkov (2019), "Analyzing the Structure of Attention", section 4.3; theirs is over the corpus, ours by query.

    Example:
        >>> mean_distance(torch.tensor([[1.0, 0.0], [0.25, 0.75]])).tolist()
        [0.0, 0.25]
    """
    queries = torch.arange(pattern.shape[-2], device=pattern.device, dtype=pattern.dtype)
    keys = torch.arange(pattern.shape[-1], device=pattern.device, dtype=pattern.dtype)
    return (pattern * (queries[:, None] - keys[None, :]).abs()).sum(-1)


def norm_weighted(pattern: Pattern, value_norms: Float[Tensor, "*batch key_pos"]) -> Pattern:
    """Each weight times the size of the vector it moves, ||p_ij v_j W_O||, made to sum to 1 over the keys.

    A query for which nothing moves (all norms 0) keeps zeros.

    Args:
        pattern: axes (..., query_pos, key_pos).
        value_norms: ||v_j W_O|| of each key, axes (..., key_pos).
    Returns: share of the summed norms, axes (..., query_pos, key_pos).
    Source: Kobayashi et al. (2020), "Attention is Not Only a Weight", eq. 6, with the rows made to sum to 1.

    Example:
        >>> norm_weighted(torch.tensor([[0.75, 0.25]]), torch.tensor([1.0, 3.0])).tolist()
        [[0.5, 0.5]]
    """
    moved = pattern * value_norms.unsqueeze(-2)
    return moved / moved.sum(-1, keepdim=True).clamp_min(torch.finfo(moved.dtype).tiny)


def without_first(pattern: Pattern) -> Pattern:
    """The pattern with the first token, the usual sink, taken out and the rest made to sum to 1.

    A query that puts everything on the first token keeps zeros.

    Example:
        >>> without_first(torch.tensor([[0.5, 0.25, 0.25]])).tolist()
        [[0.0, 0.5, 0.5]]
    """
    rest = pattern.clone()
    rest[..., 0] = 0.0
    return rest / rest.sum(-1, keepdim=True).clamp_min(torch.finfo(rest.dtype).tiny)


def to_words(pattern: Pattern, word_tokens: list[tuple[int, ...]]) -> Float[Tensor, "*batch query_word key_word"]:
    """Attention between words: to a split word the sum over its pieces, from it the mean.

    Args:
        pattern: axes (..., query_pos, key_pos).
        word_tokens: for each word, the positions of its tokens.
    Returns: axes (..., query word, key word); what went to tokens of no word is left out, so rows may sum to less than 1.
    Source: Clark et al. (2019), "What Does BERT Look At?", section 4.1.

    Example:
        >>> to_words(torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]]), [(0,), (1, 2)]).tolist()
        [[1.0, 0.0], [0.375, 0.625]]
    """
    members = torch.zeros(pattern.shape[-1], len(word_tokens), dtype=pattern.dtype, device=pattern.device)
    for word, positions in enumerate(word_tokens):
        members[list(positions), word] = 1.0
    return (members / members.sum(0)).T @ pattern @ members


def most_attended(words: Float[Tensor, "*batch query_word key_word"], visible: Bool[Tensor, "query_word key_word"]) -> Tensor:
    """The other word that each word attends to most, or -1 when it sees none.

    Args:
        words: attention between words, axes (..., query word, key word).
        visible: which words a word may see; a word itself never counts.
    Returns: index of the key word, axes (..., query word).

    Example:
        >>> most_attended(torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.ones(2, 2, dtype=torch.bool)).tolist()
        [1, 0]
    """
    others = visible & ~torch.eye(len(visible), dtype=torch.bool, device=visible.device)
    best = words.masked_fill(~others, -torch.inf).argmax(-1)
    return torch.where(others.any(-1), best, -1)
