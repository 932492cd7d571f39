"""Tasks that need another position (R) and tasks that the current token answers (L), as rows that a model runs on.

    induction   R   random tokens said twice; the answers are the second half. Corrupted: the first half is another row's
    agreement   R   the verb behind a subject and a noun of the other number; right form against wrong form. Corrupted: another sentence of
                    as many tokens whose subject has the other number. Only where the model tells them apart
    bigram      L   a token that one token follows in most places of the selection half of the texts (five times or more), with the seven
                    before it; the answer is that one. Corrupted: another row's current token

What is measured of a row is the mean over its answers of ln p(answer), nats; for agreement the logit of the right form less that of the
wrong one. Higher is better. A third family, recall of facts from weights, is left out: it needs a model that knows some.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

import numpy as np
import torch

from interp.claims.protocols.parts.repeats import draw_repeats
from interp.models.model import Model
from interp.texts.example import Example
from interp.texts.grammar.agreement import AgreementPair, agreement_pairs
from interp.texts.grammar.lexicon import HALVES

CONTEXT, OFTEN, SHARE = 8, 5, 0.5
N_PAIRS = 600  # agreement pairs that are drawn on each half; those of the commonest length are used
N_TRIED = 32  # where the tokenizer tells the forms of none of so many apart, it tells none apart
AT_ONCE = 16
Family = Literal["R", "L"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows of one task on one half.

    Attributes:
        ids, corrupted: token ids with and without what answers, (row, pos).
        places: positions behind which an answer stands, (row, answer).
        right, wrong: the answers, and what they are told from; `wrong` is None where it is everything else. (row, answer).
        cluster: what rows belong together in, (row,).
    """

    ids: torch.Tensor
    corrupted: torch.Tensor
    places: torch.Tensor
    right: torch.Tensor
    wrong: torch.Tensor | None
    cluster: np.ndarray

    def batches(self) -> Iterator["Rows"]:
        """Sixteen rows at a time."""
        for start in range(0, len(self.ids), AT_ONCE):
            yield self.part(slice(start, start + AT_ONCE))

    def part(self, rows: slice) -> "Rows":
        """Some of the rows."""
        wrong = None if self.wrong is None else self.wrong[rows]
        return Rows(
            ids=self.ids[rows],
            corrupted=self.corrupted[rows],
            places=self.places[rows],
            right=self.right[rows],
            wrong=wrong,
            cluster=self.cluster[rows],
        )

    def score(self, logits: torch.Tensor) -> torch.Tensor:
        """How well each row is answered, nats (agreement: logits). Axes: (row, pos, d_vocab) -> (row,)."""
        told = logits.float().cpu()[torch.arange(len(self.places))[:, None], self.places]
        if self.wrong is not None:
            return (_of(told, self.right) - _of(told, self.wrong)).mean(1)
        return _of(told.log_softmax(-1), self.right).mean(1)

    @property
    def n_clusters(self) -> int:
        """How many clusters the rows are from."""
        return len(set(self.cluster.tolist()))


def _of(told: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    return told.gather(-1, tokens[..., None])[..., 0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A task: its rows to choose by (does the model do it, and by how much) and to confirm on."""

    name: str
    family: Family
    choose: Rows
    confirm: Rows


def induction(model: Model, n_rows: int, seed: int) -> Task:
    """Random tokens that come twice; the first half of the rows is there to choose by."""
    repeats = draw_repeats(model, n_rows, seed)
    start, span = repeats.start, repeats.span
    corrupted = repeats.ids.clone()
    corrupted[:, start : start + span] = repeats.ids.roll(1, 0)[:, start : start + span]
    places = torch.arange(start + span, start + 2 * span - 1).expand(n_rows, -1)
    rows = Rows(
        ids=repeats.ids,
        corrupted=corrupted,
        places=places,
        right=repeats.ids.gather(1, places + 1),
        wrong=None,
        cluster=np.array([f"row {number:05d}" for number in range(n_rows)]),
    )
    half = n_rows // 2
    return Task(name="induction", family="R", choose=rows.part(slice(0, half)), confirm=rows.part(slice(half, None)))


def bigram(examples: Sequence[Example], documents: np.ndarray, choose: np.ndarray, most: int) -> Task | None:
    """Tokens that one token follows, in the texts; None where a half has too few of them.

    Args:
        documents, choose: of each text, and whether it is on the selection half. Axes: (text,).
        most: documents on either half.
    """
    following = _followed([example for example, mine in zip(examples, choose, strict=True) if mine])
    halves = []
    for half in (choose, ~choose):
        found: dict[str, list[tuple[list[int], int]]] = defaultdict(list)
        for number in np.flatnonzero(half).tolist():
            if windows := _windows(examples[number], following):
                found[str(documents[number])] += windows
        kept = sorted(found)[:most]
        halves.append(_bigram_rows([(name, *window) for name in kept for window in found[name][:5]]))
    first, second = halves
    return None if first is None or second is None else Task(name="bigram", family="L", choose=first, confirm=second)


def _followed(examples: Sequence[Example]) -> dict[int, int]:
    """Tokens that one token follows in most places, and which."""
    pairs = Counter(pair for example in examples for pair in zip(example.ids[:-1], example.ids[1:], strict=True))
    before = Counter(token for example in examples for token in example.ids[:-1])
    return {a: b for (a, b), n in pairs.items() if n >= OFTEN and n > SHARE * before[a]}


def _windows(example: Example, following: dict[int, int]) -> list[tuple[list[int], int]]:
    """The last tokens up to each such token behind which that one stands, and that one; the text's leading special tokens in front."""
    frame = sum(1 for _ in takewhile(bool, example.special))
    ids = list(example.ids)
    places = range(frame + CONTEXT - 1, len(ids) - 1)
    return [
        (ids[:frame] + ids[place - CONTEXT + 1 : place + 1], ids[place + 1])
        for place in places
        if following.get(ids[place]) == ids[place + 1]
    ]


def _bigram_rows(found: list[tuple[str, list[int], int]]) -> Rows | None:
    """Rows of windows; the corrupted current token is that of the next row with another answer. None for fewer than two answers."""
    if len({answer for _, _, answer in found}) < 2:
        return None
    ids = torch.tensor([window for _, window, _ in found])
    right = torch.tensor([[answer] for _, _, answer in found])
    corrupted = ids.clone()
    for row in range(len(found)):
        other = next(place % len(found) for place in range(row + 1, row + len(found)) if right[place % len(found)] != right[row])
        corrupted[row, -1] = ids[other, -1]
    places = torch.full((len(found), 1), ids.shape[1] - 1)
    return Rows(ids=ids, corrupted=corrupted, places=places, right=right, wrong=None, cluster=np.array([name for name, _, _ in found]))


def agreement(model: Model, n_rows: int, seed: int) -> Task | None:
    """Verbs behind a noun of the other number; None where the tokenizer does not tell the forms apart at their first token."""
    tried = agreement_pairs(N_TRIED, seed=seed, attractors=1, split=HALVES[0])
    if not any(_prefix(model, pair) for pair in tried):
        return None
    halves = []
    for split in HALVES:
        pairs = agreement_pairs(N_PAIRS, seed=seed, attractors=1, split=split)
        halves.append(_agreement_rows(model, pairs, n_rows))
    first, second = halves
    return None if first is None or second is None else Task(name="agreement", family="R", choose=first, confirm=second)


def _agreement_rows(model: Model, pairs: Sequence[AgreementPair], n_rows: int) -> Rows | None:
    by_length: dict[int, list[tuple[list[int], int, int, str]]] = defaultdict(list)
    for pair in pairs:
        if (row := _prefix(model, pair)) is not None:
            by_length[len(row[0])].append((*row, pair.number))
    found = max(by_length.values(), key=len, default=[])[:n_rows]
    numbers = [number for *_, number in found]
    if len(found) < n_rows or len(set(numbers)) < 2:
        return None
    others = {number: [row for row, *_, mine in found if mine != number] for number in set(numbers)}
    ids = torch.tensor([row for row, *_ in found])
    return Rows(
        ids=ids,
        corrupted=torch.tensor([others[number][place % len(others[number])] for place, number in enumerate(numbers)]),
        places=torch.full((len(found), 1), ids.shape[1] - 1),
        right=torch.tensor([[right] for _, right, _, _ in found]),
        wrong=torch.tensor([[wrong] for _, _, wrong, _ in found]),
        cluster=np.array([f"pair {number:05d}" for number in range(len(found))]),
    )


def _prefix(model: Model, pair: AgreementPair) -> tuple[list[int], int, int] | None:
    """The tokens before the verb, and the first token of either form."""
    ids = model.tokenizer(pair.prefix)["input_ids"]
    forms = [model.tokenizer(f"{pair.prefix} {form}")["input_ids"] for form in pair.forms]
    apart = all(form[: len(ids)] == ids and len(form) > len(ids) for form in forms) and forms[0][len(ids)] != forms[1][len(ids)]
    return (ids, forms[0][len(ids)], forms[1][len(ids)]) if apart and len(ids) <= model.anatomy.n_ctx else None
