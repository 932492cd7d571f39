"""The work on one shard: its texts as tokens, packed by length, run, and folded into totals. Whoever does it, wherever, does this.

In numbered steps: (1) each record becomes tokens, or is bad; (2) batches of equal length; (3) the model runs and the reducers take from
it; (4) their totals, as the bytes of one file. No step knows of other shards, so the same shard gives the same totals on every
machine of one kind: bit by bit where the kernels are the same and use as many threads.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Literal, cast

import numpy as np

from interp.captures.corpus.batches import MAX_TOKENS, Batch, Pair, Text, by_length, rows_of
from interp.captures.corpus.registry import reducers
from interp.captures.corpus.shards import CHARACTERS, Shard
from interp.captures.corpus.stream import fold
from interp.captures.corpus.totals import Totals
from interp.core.errors import AlignmentError, DataError, EmptyText, TextTooLong
from interp.models.model import Model
from interp.texts.example import Example
from interp.texts.records import Bad, Record
from interp.texts.sentences import annotate
from interp.texts.tokens import decoder_row, tokenize, windows

OnBad = Literal["stop", "skip"]
WINDOWS = 65_536  # numbers that each text has for its windows
KEPT_BAD = 20  # bad records whose places are told


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does with each shard.

    Attributes:
        statistics: names of `registry.GROUPS`, or of head statistics.
        window: cut texts that are longer than the context into windows; otherwise, and in a pair, such a text is a bad record.
        on_bad: "stop" at a bad record, or "skip" it and count it.
        characters: in a shard.
        max_tokens: in a batch.
        threads: of the processor, for each worker.
        left_out: for people: what the model does not allow.
        lemmas: by which "neurons_by_lemma" tells tokens apart; a run takes the most frequent ones of its first shard.
    """

    statistics: tuple[str, ...]
    window: bool = False
    on_bad: OnBad = "stop"
    characters: int = CHARACTERS
    max_tokens: int = MAX_TOKENS
    threads: int = 1
    left_out: str = ""
    lemmas: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Done:
    """What is left of a shard.

    Attributes:
        number, digest: which shard, and the hash of what was in it.
        ids: hash of its token ids, in their order.
        n_texts, n_tokens, n_bad, n_unaligned: texts that were read, their tokens, bad records; annotated texts whose tokens do not fit
            their words, read as plain ones.
        bad: the first bad records.
        totals: of each reducer, by its name.
    """

    number: int
    digest: str
    ids: str
    n_texts: int
    n_tokens: int
    n_bad: int
    n_unaligned: int
    bad: tuple[str, ...]
    totals: dict[str, Totals] = field(repr=False)

    def to_bytes(self) -> bytes:
        """One file: arrays by "reducer/rule/name", the rest as JSON; the same bytes for the same content."""
        about = {name: value for name, value in vars(self).items() if name != "totals"}
        arrays = {f"{name}/{key}": values for name, totals in self.totals.items() for key, values in totals.to_arrays().items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **{"about": np.array(json.dumps(about)), **arrays})
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, written: bytes) -> "Done":
        """What `to_bytes` gave. Raises: DataError for anything else."""
        try:
            with np.load(io.BytesIO(written), allow_pickle=False) as opened:
                arrays = {key: opened[key] for key in opened.files}
                about = json.loads(str(arrays.pop("about")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"a shard's file cannot be read ({error}); expected one that a run wrote") from error
        parts: dict[str, dict[str, np.ndarray]] = {}
        for key, values in arrays.items():
            name, rest = key.split("/", 1)
            parts.setdefault(name, {})[rest] = values
        totals = {name: Totals.from_arrays(part) for name, part in parts.items()}
        return cls(**{**about, "bad": tuple(about["bad"])}, totals=totals)


class _Rows:
    """The texts of a shard as tokens with their numbers, and what could not be read."""

    def __init__(self, model: Model, plan: Plan):
        self.model, self.plan = model, plan
        self.rows: list[tuple[int, Text]] = []
        self.bad: list[Bad] = []
        self.n_texts, self.n_unaligned = 0, 0

    def add(self, number: int, item: Record | Bad) -> None:
        """Raises: DataError for a bad record, where the run stops at one."""
        try:
            texts = self._texts(item) if isinstance(item, Record) else []
        except (TextTooLong, EmptyText) as error:
            item = Bad(place=item.place, reason=str(error))
        if isinstance(item, Bad):
            if self.plan.on_bad == "stop":
                raise DataError(f"{item}. Mend it, or leave bad records out: on_bad='skip' (--skip-bad)")
            self.bad.append(item)
            return
        self.n_texts += 1
        self.rows += [(number * WINDOWS + at if self.plan.window else number, each) for at, each in enumerate(texts)]

    def _texts(self, record: Record) -> Sequence[Text]:
        n_ctx, tokenizer = self.model.anatomy.n_ctx, self.model.tokenizer
        if record.target is not None:
            return [self._pair(record, record.target)]
        if record.sentence is not None:
            try:
                return [annotate(record.sentence, tokenizer, n_ctx=n_ctx)]
            except AlignmentError:
                self.n_unaligned += 1
            except TextTooLong:
                if not self.plan.window:
                    raise
        if not self.plan.window:
            return [self._whole(record)]
        return [replace(example, name=record.place) for example in windows(record.text, tokenizer, n_ctx)]

    def _pair(self, record: Record, target: str) -> Pair:
        source = replace(tokenize(record.text, self.model.tokenizer), name=record.place)
        row = decoder_row(target, self.model.tokenizer, start=self.model.start_token())
        for which, example in (("source", source), ("target", row)):
            if len(example) > self.model.anatomy.n_ctx:
                has = f"the {which} has {len(example)} tokens, the model's context holds {self.model.anatomy.n_ctx}"
                raise TextTooLong(f"{has}: a pair is not cut into windows; shorten it, or leave it out")
        return source, row

    def _whole(self, record: Record) -> Example:
        return replace(tokenize(record.text, self.model.tokenizer, n_ctx=self.model.anatomy.n_ctx), name=record.place)

    def batches(self) -> Iterator[list[tuple[int, Text]]]:
        """Of equal length, of `max_tokens` or fewer tokens."""
        texts: Iterator[Text] = (text for _, text in self.rows)
        for batch in by_length(texts, max_tokens=self.plan.max_tokens, look_ahead=len(self.rows) + 1):
            yield [(self.rows[place][0], text) for place, text in batch]


def work(model: Model, shard: Shard, plan: Plan, tell: Callable[[int, int], None] = lambda n_tokens, n_rows: None) -> Done:
    """Do one shard.

    Args: tell: called after each batch with its tokens and texts.
    Raises: DataError for a bad record, where the run stops at one; CheckFailed as `stream`.
    """
    rows = _Rows(model, plan)
    for number, item in enumerate(shard.items, shard.first):
        rows.add(number, item)
    kept = reducers(model, plan.statistics, plan.lemmas)
    for numbered in rows.batches():
        batch = Batch.of(numbered, model.device)
        fold(model, batch, list(kept.values()))
        tell(batch.n_tokens, len(numbered))
    every = [row for _, text in rows.rows for row in rows_of(text)]
    ids = blake2b(digest_size=8)
    for row in every:
        ids.update(repr(row.ids).encode())
    return Done(
        number=shard.number,
        digest=shard.digest,
        ids=ids.hexdigest(),
        n_texts=rows.n_texts,
        n_tokens=sum(map(len, every)),
        n_bad=len(rows.bad),
        n_unaligned=rows.n_unaligned,
        bad=tuple(map(str, rows.bad[:KEPT_BAD])),
        totals={name: reducer.totals for name, reducer in kept.items()},
    )


def settings(plan: Plan) -> dict[str, object]:
    """What of a plan must be the same when a run goes on. Whether it stops at bad records may change; lemmas follow from the texts."""
    free = ("on_bad", "lemmas")
    return cast(dict[str, object], json.loads(json.dumps({name: value for name, value in asdict(plan).items() if name not in free})))
