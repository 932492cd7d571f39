"""Examples in batches of equal length, so that no padding and no dense mask is needed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from interp.core.errors import TextError
from interp.core.sites import Stack
from interp.texts.example import Example

MAX_TOKENS = 4096
LOOK_AHEAD = 2048

Pair = tuple[Example, Example]
Text = Example | Pair
"""What a model reads: one text, or in an encoder-decoder what its encoder reads and the row of its decoder."""
Numbered = tuple[int, Example]
One = TypeVar("One", bound=Text)
Lengths = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Equally long texts that run together.

    Attributes:
        numbers: the texts' places in the corpus.
        examples: the texts as tokens; of a pair what the encoder reads.
        ids: axes (batch, pos), on the model's device.
        targets: the decoder's rows of an encoder-decoder; empty in all others.
        target_ids: axes (batch, pos); None where there are none.
    """

    numbers: tuple[int, ...]
    examples: tuple[Example, ...]
    ids: torch.Tensor
    targets: tuple[Example, ...] = ()
    target_ids: torch.Tensor | None = None

    @classmethod
    def of(cls, numbered: Sequence[tuple[int, Text]], device: torch.device) -> "Batch":
        """Texts, or pairs of texts, with their numbers, on a device."""
        numbers, texts = zip(*numbered, strict=True)
        sources = tuple(text[0] if isinstance(text, tuple) else text for text in texts)
        targets = tuple(text[1] for text in texts if isinstance(text, tuple))
        target_ids = _ids(targets, device) if targets else None
        return cls(numbers=numbers, examples=sources, ids=_ids(sources, device), targets=targets, target_ids=target_ids)

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The stacks that read a text of their own."""
        return ("E", "D") if self.targets else ("",)

    def texts_of(self, stack: Stack) -> tuple[Example, ...]:
        """What a stack writes on: the decoder's rows for a decoder and its cross-attention, else the texts."""
        return self.targets if stack in ("D", "X") else self.examples

    def ids_of(self, stack: Stack) -> torch.Tensor:
        """The token ids of `texts_of`. Axes: (batch, pos). Raises: TextError where a decoder's row is asked for and single texts came."""
        if stack not in ("D", "X"):
            return self.ids
        if self.target_ids is None:
            raise TextError(
                "single texts came; an encoder-decoder reads pairs: expected (text, row of the decoder), as `rows_of` gives them"
            )
        return self.target_ids

    @property
    def n_tokens(self) -> int:
        """Tokens of all its texts."""
        return self.ids.numel() + (0 if self.target_ids is None else self.target_ids.numel())


def _ids(examples: Sequence[Example], device: torch.device) -> torch.Tensor:
    return torch.tensor([example.ids for example in examples], device=device)


def rows_of(text: Text) -> Pair | tuple[Example]:
    """The rows of tokens of a text: one, or of a pair two."""
    return text if isinstance(text, tuple) else (text,)


def by_length(
    examples: Iterable[One], *, max_tokens: int = MAX_TOKENS, look_ahead: int = LOOK_AHEAD, first: int = 0
) -> Iterator[list[tuple[int, One]]]:
    """Batches of (number, example), all of one length, of at most `max_tokens` tokens (a longer text comes alone).

    Reads `look_ahead` examples at a time, so that a corpus is never held whole. Each example comes exactly once.

    Args:
        examples: texts as tokens, or pairs of them, in their order; the number is the place in it. Pairs are of one length in both.
        max_tokens: tokens in a batch.
        look_ahead: examples that are held at a time.
        first: the first example's number.
    """
    waiting: dict[Lengths, list[tuple[int, One]]] = defaultdict(list)
    held = 0
    for numbered in enumerate(examples, first):
        lengths = tuple(len(row) for row in rows_of(numbered[1]))
        waiting[lengths].append(numbered)
        held += 1
        if (len(waiting[lengths]) + 1) * sum(lengths) > max_tokens:
            held -= len(waiting[lengths])
            yield waiting.pop(lengths)
        if held >= look_ahead:
            yield from _emptied(waiting)
            held = 0
    yield from _emptied(waiting)


def _emptied(waiting: dict[Lengths, list[tuple[int, One]]]) -> Iterator[list[tuple[int, One]]]:
    for lengths in sorted(waiting):
        yield waiting[lengths]
    waiting.clear()
