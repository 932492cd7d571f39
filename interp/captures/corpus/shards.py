"""A corpus in parts: consecutive records that are read, run, kept and, if need be, done again together."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Protocol, runtime_checkable

from interp.texts.records import Bad, Record

CHARACTERS = 200_000  # in a shard: some 50,000 tokens of English


@runtime_checkable
class Corpus(Protocol):
    """Records in their order, from the start each time; how much was read, 0 to 1; what it is known by."""

    identity: dict[str, object]

    @property
    def share(self) -> float | None: ...

    def __iter__(self) -> Iterator[Record | Bad]: ...


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A part of a corpus.

    Attributes:
        number: its place among the shards, from 0.
        first: the number of its first record, from 0.
        items: its records, bad ones in their places.
        began, share: how much of the corpus was read before and after it, 0 to 1; `share` is None where nobody knows.
    """

    number: int
    first: int
    items: tuple[Record | Bad, ...] = field(repr=False)
    began: float = 0.0
    share: float | None = None

    def share_after(self, n_rows: int) -> float | None:
        """How much of the corpus is done with so many of its texts."""
        if self.share is None:
            return None
        return self.began + min(1.0, n_rows / len(self.items)) * (self.share - self.began)

    @cached_property
    def digest(self) -> str:
        """A hash of what is in it: a corpus that changed since a run began is told by it."""
        digest = blake2b(digest_size=8)
        for item in self.items:
            content = (item.text, item.target, item.sentence) if isinstance(item, Record) else (item.reason,)
            digest.update(repr(content).encode("utf-8", "surrogateescape") + b"\n")
        return digest.hexdigest()


def cut(corpus: Corpus, characters: int = CHARACTERS) -> Iterator[Shard]:
    """The shards of a corpus, one at a time, each of the fewest records that have `characters` or more; the last has what is left."""
    number, first, size, began = 0, 0, 0, 0.0
    held: list[Record | Bad] = []
    for item in corpus:
        held.append(item)
        size += item.size
        if size >= characters:
            yield (shard := Shard(number=number, first=first, items=tuple(held), began=began, share=corpus.share))
            number, first, size, held, began = number + 1, first + len(held), 0, [], shard.share or 0.0
    if held:
        yield Shard(number=number, first=first, items=tuple(held), began=began, share=corpus.share)
