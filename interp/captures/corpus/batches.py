"""Examples in batches of equal length, so that no padding and no dense mask is needed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from interp.texts.example import Example

MAX_TOKENS = 4096
LOOK_AHEAD = 2048

Numbered = tuple[int, Example]


def by_length(
    examples: Iterable[Example], *, max_tokens: int = MAX_TOKENS, look_ahead: int = LOOK_AHEAD, first: int = 0
) -> Iterator[list[Numbered]]:
    """Batches of (number, example), all of one length, of at most `max_tokens` tokens (a longer text comes alone).

    Reads `look_ahead` examples at a time, so that a corpus is never held whole. Each example comes exactly once.

    Args:
        examples: texts as tokens, in their order; the number is the place in it.
        max_tokens: tokens in a batch.
        look_ahead: examples that are held at a time.
        first: the first example's number.
    """
    waiting: dict[int, list[Numbered]] = defaultdict(list)
    held = 0
    for numbered in enumerate(examples, first):
        length = len(numbered[1])
        waiting[length].append(numbered)
        held += 1
        if (len(waiting[length]) + 1) * length > max_tokens:
            held -= len(waiting[length])
            yield waiting.pop(length)
        if held >= look_ahead:
            yield from _emptied(waiting)
            held = 0
    yield from _emptied(waiting)


def _emptied(waiting: dict[int, list[Numbered]]) -> Iterator[list[Numbered]]:
    for length in sorted(waiting):
        yield waiting[length]
    waiting.clear()
