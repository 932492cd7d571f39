"""A run over a corpus: shards go out, totals come back, and are merged in the order of the shards, whoever was first.

In numbered steps: (1) the corpus is read as a stream and cut into shards; (2) those that the run's folder does not have are done, here or
by workers, and kept as they come; (3) each is merged after the one before it; (4) the merged totals become one labelled result. A run
that was killed goes on at (2); since sums are added in the same order, its result has the same bytes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from interp.captures.corpus.folder import RunFolder
from interp.captures.corpus.labels import frequent_lemmas
from interp.captures.corpus.registry import BY_LEMMA, reducers
from interp.captures.corpus.shards import Corpus, Shard, cut
from interp.captures.corpus.stream import check_streams, together
from interp.captures.corpus.totals import Totals
from interp.captures.corpus.work import KEPT_BAD, WINDOWS, Done, Plan, settings, work
from interp.captures.corpus.workers import Executor
from interp.core.errors import DataError, InterpError
from interp.core.provenance import Provenance, versions
from interp.core.results import Dataset, save
from interp.models.model import Model
from interp.texts.records import Record


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: tokens that were run, and how much of the corpus is done, 0 to 1 (None: nobody knows)."""

    n_tokens: int
    share: float | None


RESULT = "profile.nc"
Tell = Callable[[Progress], object]


def describe(model: Model, corpus: Corpus, plan: Plan) -> dict[str, Any]:
    """What is run, for `RunFolder`: two runs with the same description give the same bytes on one machine."""
    return {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "device": model.device.type,
        "corpus": corpus.identity,
        "versions": versions(),
        **settings(plan),
    }


def run(
    model: Model,
    corpus: Corpus,
    plan: Plan,
    *,
    out: str | Path | None = None,
    executor: Executor | None = None,
    tell: Tell = lambda progress: None,
    any_threads: bool = True,
) -> Dataset:
    """Run a corpus, or go on with a run.

    Args:
        model: from `interp.load`.
        corpus: read from its start, as a stream.
        plan: what is done with it.
        out: the folder where finished shards and the result are kept; None keeps nothing on disk.
        executor: who does the shards; None: this process.
        tell: called as the run goes on.
        any_threads: go on with as many threads as the run in `out` was begun with, whatever the plan says.
    Returns: all statistics in one dataset; attributes n_texts, n_tokens, n_bad and the first bad records' places, provenance.
    Raises: DataError for an empty corpus, a bad record where the run stops at one, another run in `out`, a folder that cannot be written;
        CheckFailed and ModelUnsupported as `stream`.
    """
    check_streams(model, list(reducers(model, plan.statistics).values()))
    if out is None:
        return _run(model, corpus, plan, None, executor, tell)
    folder = RunFolder(out, describe(model, corpus, plan), free=("threads",) if any_threads else ())
    try:
        plan = replace(plan, threads=folder.about["threads"])
        result = _run(model, corpus, plan, folder, executor, tell)
        folder.put(folder.path / RESULT, lambda path: save(result, path))
        return result
    except InterpError:
        folder.forget()
        raise
    finally:
        folder.close()


def _run(model: Model, corpus: Corpus, plan: Plan, folder: RunFolder | None, executor: Executor | None, tell: Tell) -> Dataset:
    plan, shards = _with_lemmas(plan, cut(corpus, plan.characters))
    merged, found = _Merged(model, plan), _Found(folder)
    missing = found.missing(shards)
    n_tokens = 0
    for shard, written in executor(model, plan, missing) if executor else _here(model, plan, missing, tell):
        found.keep(shard, written)
        n_tokens += merged.take(found)
        if executor:
            tell(Progress(n_tokens=n_tokens, share=shard.share))
    merged.take(found)
    return merged.result()


def _with_lemmas(plan: Plan, shards: Iterator[Shard]) -> tuple[Plan, Iterator[Shard]]:
    """The plan with the lemmas that the first shard has most of, where they are asked for: a list that the same texts always give."""
    first = next(shards, None) if BY_LEMMA in plan.statistics else None
    if first is None:
        return plan, shards
    sentences = [item.sentence for item in first.items if isinstance(item, Record) and item.sentence is not None]
    words = (word for sentence in sentences for word in sentence.words)
    return replace(plan, lemmas=tuple(frequent_lemmas(words))), chain([first], shards)


def _here(model: Model, plan: Plan, shards: Iterator[Shard], tell: Tell) -> Iterator[tuple[Shard, bytes]]:
    """In this process, telling of each batch."""
    n_tokens = 0
    for shard in shards:
        n_rows = 0

        def batch(tokens: int, rows: int, shard: Shard = shard) -> None:
            nonlocal n_tokens, n_rows
            n_tokens, n_rows = n_tokens + tokens, n_rows + rows
            tell(Progress(n_tokens=n_tokens, share=shard.share_after(n_rows)))

        with _threads(plan.threads):
            written = work(model, shard, plan, batch).to_bytes()
        yield shard, written


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Found:
    """The finished shards that are not merged yet: in the folder, or held where there is none."""

    def __init__(self, folder: RunFolder | None):
        self.folder = folder
        self.held: dict[int, bytes] = {}
        self.ready: set[int] = set()

    def missing(self, shards: Iterator[Shard]) -> Iterator[Shard]:
        """The shards that are still to do; the others are found."""
        for shard in shards:
            if self.folder is not None and self.folder.finished(shard):
                self.ready.add(shard.number)
            else:
                yield shard

    def keep(self, shard: Shard, written: bytes) -> None:
        """Keep what came of a shard."""
        if self.folder is None:
            self.held[shard.number] = written
        else:
            self.folder.keep(shard.number, written)
        self.ready.add(shard.number)

    def take(self, number: int) -> Done | None:
        """A finished shard, once; None where it is not finished."""
        if number not in self.ready:
            return None
        self.ready.remove(number)
        return self.folder.read(number) if self.folder is not None else Done.from_bytes(self.held.pop(number))


class _Merged:
    """The totals of the shards 0 to `n` - 1."""

    def __init__(self, model: Model, plan: Plan):
        self.model, self.plan = model, plan
        self.totals: dict[str, Totals] = {}
        self.n = self.n_texts = self.n_tokens = self.n_bad = self.n_unaligned = 0
        self.bad: list[str] = []
        self.ids = blake2b(digest_size=8)

    def take(self, found: _Found) -> int:
        """Merge the shards that follow on, as far as they are finished. Returns: their tokens."""
        before = self.n_tokens
        while (done := found.take(self.n)) is not None:
            self._merge(done)
        return self.n_tokens - before

    def _merge(self, done: Done) -> None:
        for name, totals in done.totals.items():
            self.totals.setdefault(name, Totals()).merge(totals)
        self.n += 1
        self.n_texts += done.n_texts
        self.n_tokens += done.n_tokens
        self.n_bad += done.n_bad
        self.n_unaligned += done.n_unaligned
        self.bad += done.bad[: KEPT_BAD - len(self.bad)]
        self.ids.update(done.ids.encode())

    def result(self) -> Dataset:
        """Raises: DataError when no text was read."""
        if self.n_texts == 0:
            told = f", {self.n_bad} bad records were skipped (the first: {self.bad[0]})" if self.bad else ""
            raise DataError(f"the corpus is empty{told}; expected at least one text")
        provenance = Provenance(model=self.model.name, fingerprint=self.model.fingerprint, data=self.ids.hexdigest())
        kept = reducers(self.model, self.plan.statistics, self.plan.lemmas)
        for name, reducer in kept.items():
            reducer.totals = self.totals[name]
        found = together([reducer.result(provenance) for reducer in kept.values()])
        return found.assign_attrs(self._about(), provenance=provenance.to_json())

    def _about(self) -> dict[str, object]:
        numbered = f"place in the corpus x {WINDOWS} + window" if self.plan.window else "place in the corpus, from 0"
        left_out = {"left_out": self.plan.left_out} if self.plan.left_out else {}
        return {
            **left_out,
            "n_texts": self.n_texts,
            "n_tokens": self.n_tokens,
            "n_bad": self.n_bad,
            "bad": "\n".join(self.bad),
            "n_unaligned": self.n_unaligned,
            "text_numbers": numbered,
        }
