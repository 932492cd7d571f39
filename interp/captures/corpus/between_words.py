"""Attention between words, taken from blocks of rows (`sweep`): the weights of chosen pairs of words, and which word each attends to most.

To a word the sum over its tokens, from it the mean over its tokens, as `measures.attention.to_words` defines it on whole patterns. Of a
block its rows of words are made and read, and dropped with it; what is kept from one block to the next is, for each head and text, the
row of the one word whose tokens lie on both sides.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.sweep import Rows
from interp.texts.example import Example

if TYPE_CHECKING:
    from interp.captures.corpus.pattern_statistics import PatternStatistics


class BetweenWords:
    """A taking: of each pair of words the weight from the one to the other, and whether no other word gets more.

    Axes of the result: (what, head, pair); `what` is 0 for the weight, 1 for the hit: 1.0 where the key word is the one that the query word
    attends to most. The query word itself does not count, nor do tokens of no word (special ones, spaces); nobody hits with a weight of 0,
    such as that of a word which a mask hides. Words with the same tokens (parts of "don't") are one.

    Args:
        batch: annotated texts.
        pairs: (text in the batch, query word, key word), of words with tokens of their own.
    """

    def __init__(self, batch: Batch, pairs: Sequence[tuple[int, int, int]]):
        words = [_Words(example) for example in batch.examples]
        device, self.n_words = batch.ids.device, max(len(each.tokens) for each in words)
        self.of_query = torch.tensor([each.of_query for each in words], device=device)
        self.of_key = torch.tensor([each.of_key for each in words], device=device)
        self.shares = torch.tensor([each.shares for each in words], device=device, dtype=torch.float64)
        places = [(text, words[text].number[query], words[text].number[key]) for text, query, key in pairs]
        self.texts, self.queries, self.keys = torch.tensor(places, device=device).T
        self.ends = torch.tensor([words[text].tokens[query][-1] for text, query, _ in places], device=device)

    def empty(self, statistics: "PatternStatistics") -> torch.Tensor:
        batch, heads, _, _ = statistics.call.shape
        self._begun = statistics.call.query.new_zeros(batch, heads, self.n_words, dtype=statistics.call.wide)
        return statistics.call.query.new_zeros(2, heads, len(self.texts), dtype=statistics.call.wide)

    def add(self, gathered: torch.Tensor, rows: Rows, statistics: "PatternStatistics") -> None:
        of_query = self.of_query[rows.texts, rows.queries]
        first = of_query.masked_fill(of_query < 0, self.n_words).amin(1)  # the first word of each text that has tokens here
        words = self._rows(rows, of_query - first[:, None])
        self._begun[rows.texts, rows.heads] = self._unfinished(rows, words, first)
        own = (first[:, None] + torch.arange(words.shape[2], device=first.device)).clamp_max(self.n_words - 1)
        words.scatter_(-1, own[:, None, :, None].expand(-1, words.shape[1], -1, 1), -1.0)
        most, best = words.max(-1)
        here = (self.texts >= rows.texts.start) & (self.texts < rows.texts.stop)
        here &= (self.ends >= rows.queries.start) & (self.ends < rows.queries.stop)
        texts, keys = self.texts[here] - rows.texts.start, self.keys[here]
        places = self.queries[here] - first[texts]
        weights, hits = gathered
        weights[rows.heads, here] = words[texts, :, places, keys].T
        hits[rows.heads, here] = ((best[texts, :, places] == keys[:, None]) & (most[texts, :, places] > 0)).T.to(hits.dtype)

    def _rows(self, rows: Rows, places: torch.Tensor) -> torch.Tensor:
        """What these rows give to the words that they belong to. Axes: (text, head, word with tokens here, word)."""
        texts, heads, n, _ = rows.pattern.shape
        of_key = self.of_key[rows.texts, rows.keys] % (self.n_words + 1)  # -1 is one place more, which is dropped
        to_words = rows.pattern.new_zeros(texts, heads, n, self.n_words + 1)
        to_words.scatter_add_(-1, of_key[:, None, None].expand_as(rows.pattern), rows.pattern)
        to_words = to_words[..., :-1] * self.shares[rows.texts, None, rows.queries, None].to(rows.pattern.dtype)
        index = places.masked_fill(places < 0, n)[:, None, :, None].expand_as(to_words)
        words = rows.pattern.new_zeros(texts, heads, n + 1, self.n_words).scatter_add_(2, index, to_words)
        words[:, :, 0] += self._begun[rows.texts, rows.heads]
        return words

    def _unfinished(self, rows: Rows, words: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """The rows of the words whose next token is in the next block, 0 where there is none. Axes: (text, head, word)."""
        if rows.queries.stop == self.of_query.shape[1]:
            return torch.zeros_like(words[:, :, 0])
        last, following = (self.of_query[rows.texts, rows.queries.stop + step] for step in (-1, 0))
        goes_on = (last == following) & (last >= 0)
        texts = torch.arange(len(last), device=last.device)
        return words[texts, :, (last - first).clamp_min(0)] * goes_on[:, None, None]


class _Words:
    """A text's words that have tokens, each once, in their order.

    Attributes:
        tokens: of each, (word,) positions.
        number: from a word's place in `Example.words` to its place among these.
        of_query: (pos,) each token's word, -1 for none; what stands between two tokens of a word is in it, with a share of 0.
        of_key: (pos,) the same for its own tokens only.
        shares: (pos,) each token's part in its word's mean.
    """

    def __init__(self, example: Example):
        self.tokens = list(dict.fromkeys(example.word_tokens))
        numbers = {tokens: number for number, tokens in enumerate(self.tokens)}
        self.number = [numbers[tokens] for tokens in example.word_tokens]
        self.of_query, self.of_key = ([-1] * len(example) for _ in range(2))
        self.shares = [0.0] * len(example)
        for number, tokens in enumerate(self.tokens):
            self.of_query[tokens[0] : tokens[-1] + 1] = [number] * (tokens[-1] + 1 - tokens[0])
            for pos in tokens:
                self.of_key[pos], self.shares[pos] = number, 1 / len(tokens)
