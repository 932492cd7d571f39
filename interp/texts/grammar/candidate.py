"""A derivation on its way to become a sentence of a split, and the search for those that meet what was asked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count as numbers
from typing import TypeVar

from interp.core.errors import DataError
from interp.texts.grammar.derivation import Statement

Found = TypeVar("Found")
Count = Callable[[str], int]
_TRIES = 20_000


@dataclass(slots=True, kw_only=True)
class Candidate:
    """What was drawn.

    `checked`: its words decide whether it may be in the split (`realise.belongs`); not needed where templates are apart.
    `ignoring`: lemmas that are not looked at, since they are exchanged within the item.
    """

    said: Statement
    template: str = ""
    checked: bool = True
    ignoring: frozenset[str] = field(default_factory=frozenset)


def search(make: Callable[[int], Found | None], what: str) -> Iterator[Found]:
    """What `make(number)` gives, again and again, without the refusals (None).

    Raises: DataError after 20,000 refusals in a row: then what was asked for does not exist.
    """
    for number in numbers(1):
        for _ in range(_TRIES):
            if (found := make(number)) is not None:
                yield found
                break
        else:
            raise DataError(f"{_TRIES} {what} in a row did not fit; ask for another distance or split, or leave `count` out")


def same_length(texts: list[str], count: Count | None) -> bool:
    """Whether all texts are as long, as `count` (a tokenizer's length) has it; True without one."""
    return count is None or len({count(text) for text in texts}) == 1
