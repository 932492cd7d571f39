"""Which places carry the answer from one text to the other? The effect of patching each of them, one at a time.

The two texts are run; then the one runs again, once for each place, with what the other has there (`patch`), many places in one batch. What
is told is the change of one number at one position: the difference of two tokens' logits, the log probability of one, or, for a model
without a trained head, how far the final stream came toward the other text's.

In numbered steps: (1) rows of equal length; (2) what each text has at every place; (3) the number on both texts as they are; (4) it again
for each place, batch by batch, but for those where both texts have the same, and those behind which nothing reads it: their change is 0;
(5) the change.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, SupportsIndex, get_args

import torch

from interp.core.errors import CheckFailed, DataError, InterventionError, SiteError, TextError
from interp.core.provenance import Provenance, text_hash
from interp.core.results import DataArray, labelled
from interp.core.sites import Kind, Site, Stack
from interp.interventions.ablate import place_of, recorded_at, within
from interp.interventions.patch import Put, Where, positions_at
from interp.models.model import Model
from interp.models.points import watching
from interp.models.precision import wide
from interp.models.reading import Text, rows_of
from interp.texts.example import Example
from interp.texts.tokens import spelled

What = Literal["stream", "attention", "FFN", "heads"]
_KINDS: dict[What, Kind] = {"stream": "layer", "attention": "attention", "FFN": "ffn", "heads": "head"}
_LONG: dict[What, str] = {
    "stream": "the stream that a block reads, at one token",
    "attention": "what attention adds, at one token",
    "FFN": "what the FFN adds, at one token",
    "heads": "a head, at all tokens",
}
AT_ONCE = 2048  # tokens that run together
SOURCE = "activation patching (Vig et al. 2020; Meng et al. 2022)"


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The number: two tokens' logits, one token's log probability, or how far the final stream came; at position `pos` of the main row."""

    answers: tuple[int, ...]
    pos: int

    @property
    def units(self) -> str:
        return {2: "logits", 1: "nats", 0: "share"}[len(self.answers)]

    def of_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """(batch, pos, d_vocab) -> (batch,), float64."""
        told = wide(logits[:, self.pos])
        if len(self.answers) == 2:
            return told[:, self.answers[0]] - told[:, self.answers[1]]
        return told.log_softmax(-1)[:, self.answers[0]]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """What a model reads of one text: its row, and in an encoder-decoder the decoder's."""

    text: Text
    example: Example
    target: Example | None

    def row(self, stack: Stack) -> Example:
        return self.example if self.target is None or stack == "E" else self.target

    def run(self, model: Model, n: int, *, logits: bool = True) -> torch.Tensor:
        """n rows that are the same. Returns: as `Model.run`."""
        ids, target = (None if row is None else torch.tensor([row.ids]).expand(n, -1) for row in (self.example, self.target))
        assert ids is not None
        return model.run(ids, target=target, logits=logits)


def patch_grid(
    model: Model,
    text: Text,
    source: Text,
    *,
    what: What = "stream",
    answers: Iterable[SupportsIndex] | SupportsIndex | None = None,
    pos: SupportsIndex = -1,
    at: Iterable[SupportsIndex] | None = None,
    stack: Stack | None = None,
    progress: Callable[[int, int], object] = lambda done, of: None,
) -> DataArray:
    """The change that each patch makes, place by place. Axes (layer, pos), for "heads" (layer, head).

    Denoising: `text` is the corrupted one, `source` the clean one; noising: the other way round.

    Args:
        model: from `interp.load`.
        text: what runs; in an encoder-decoder a pair.
        source: what is put in, of as many tokens.
        what: "stream" (what each block reads), "attention" or "FFN" (what the sublayer adds), at one token each; "heads": at all tokens.
        answers: two token ids: the difference of their logits, in logits; one: its log probability, in nats; None: the share of the way
            that the final stream comes toward that of `source`: 0 as it is, 1 when it is the same.
        pos: the position at which the answer is read, of the decoder's row in an encoder-decoder.
        at: the positions to patch, not for "heads"; None: all.
        stack: whose places, in an encoder-decoder: "E", "D" (the default) or, for its attention and heads, "X".
        progress: called with how many patches of how many were run.
    Returns: the change to `text`'s own number; attributes `before` (that number), `other` (the number on `source`), `answers`, `pos`, `n`
        (patches that were run); `token` and `source_token` along the positions. nan where a layer has no such sublayer.
    Raises: TextError for texts of different lengths, for a position or tokens that are not there, and where both texts leave the same final
        stream; DataError for positions to patch that are not there; CheckFailed for answers of a model without a trained head; SiteError
        for a `what` or a stack that the model has not; InterventionError when no patch would change anything, or a hook is dead.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> grid = patch_grid(model, "The old man", "The old dog", answers=(300, 301))
        >>> grid.dims, float(abs(grid.sel(pos=[0, 1])).max()) < 1e-4
        (('layer', 'pos'), True)
    """
    model.require("ablation")
    if what not in _KINDS:
        raise SiteError(f"what={what!r} came; expected one of: {', '.join(get_args(What))}")
    if what == "heads" and at is not None:
        raise DataError(f"at={at!r} came with what='heads', which are patched at all tokens; expected at=None")
    stack = model.anatomy.main.stack if stack is None else stack
    run, other = (_rows(model, one) for one in (text, source))
    _refuse_unlike(run.row(stack), other.row(stack))
    asked = _asked(model, answers, pos, run)
    with torch.no_grad():
        return _grid(model, run, other, what, stack, asked, positions_at(at, len(run.row(stack))), progress)


def _rows(model: Model, text: Text) -> _Rows:
    example, target = rows_of(model, text)
    return _Rows(text=text, example=example, target=target)


def _grid(
    model: Model,
    run: _Rows,
    other: _Rows,
    what: What,
    stack: Stack,
    asked: _Asked,
    at: list[int],
    progress: Callable[[int, int], object],
) -> DataArray:
    sites = _sites(model, what, stack)
    every: list[tuple[Site, Where]] = [(site, where) for site in sites for where in _places(what, at)]
    measure = _measure(model, run, other, asked)
    places = {place_of(site) for site in sites}
    own, values = recorded_at(model, places, run.text), recorded_at(model, places, other.text)
    shape = model.anatomy.stack(stack)
    found = torch.full((shape.n_layers, shape.n_heads if what == "heads" else len(at)), torch.nan, dtype=torch.float64)

    def cell(site: Site, where: Where) -> tuple[int, int]:
        return site.layer, at.index(int(where)) if isinstance(where, torch.Tensor) else site.index or 0

    live = []
    for site, where in every:
        found[cell(site, where)] = measure.before
        unread = shape.causal and stack != "E" and isinstance(where, torch.Tensor) and int(where) > asked.pos
        if not unread and not torch.equal(*(kept[place_of(site)][where, within(site)] for kept in (own, values))):
            live.append((site, where))
    if not live:
        raise InterventionError("no patch would change anything: the two texts have the same at every place; expected two that differ")
    at_once = max(1, AT_ONCE // max(len(row) for row in (run.example, run.target) if row))
    for first in range(0, len(live), at_once):
        some = live[first : first + at_once]
        editor = Put(model, [(row, *edit) for row, edit in enumerate(some)], values)
        with watching(editor):
            results = measure.rows(len(some))
        _refuse_dead(editor, [site for site, _ in some])
        for edit, value in zip(some, results.tolist(), strict=True):
            found[cell(*edit)] = value
        progress(min(first + at_once, len(live)), len(live))
    return _result(model, run, other, found - measure.before, what, stack, asked, measure, at).assign_attrs(n=len(live))


def _places(what: What, at: list[int]) -> Sequence[Where]:
    """A head is patched at all tokens at once, all else at one after the other."""
    return [slice(None)] if what == "heads" else torch.tensor(at).split(1)


class _Measure:
    """The number on a batch of rows, and on both texts as they are."""

    def __init__(self, model: Model, run: _Rows, asked: _Asked):
        self.model, self.run, self.asked = model, run, asked
        self.before = self.other = 0.0

    def rows(self, n: int, run: _Rows | None = None) -> torch.Tensor:
        """(batch,), of n rows that are the same but for their edits."""
        return self.asked.of_logits((run or self.run).run(self.model, n))


class _WayTo(_Measure):
    """The share of the way to the other text's final stream, at one position."""

    def __init__(self, model: Model, run: _Rows, other: _Rows, asked: _Asked):
        super().__init__(model, run, asked)
        self.start, self.end = self._final(1, run)[0], self._final(1, other)[0]
        if torch.equal(self.start, self.end):
            raise TextError(f"both texts leave the same stream at position {asked.pos}; expected one that differs: choose another pos")

    def _final(self, n: int, run: _Rows) -> torch.Tensor:
        return wide(run.run(self.model, n, logits=False)[:, self.asked.pos])

    def rows(self, n: int, run: _Rows | None = None) -> torch.Tensor:
        left = (self._final(n, run or self.run) - self.end).norm(dim=-1)
        return 1 - left / (self.start - self.end).norm()


def _measure(model: Model, run: _Rows, other: _Rows, asked: _Asked) -> _Measure:
    measure = _Measure(model, run, asked) if asked.answers else _WayTo(model, run, other, asked)
    measure.before, measure.other = float(measure.rows(1)), float(measure.rows(1, other))
    return measure


def _asked(model: Model, answers: object, pos: SupportsIndex, run: _Rows) -> _Asked:
    length = len(run.row(model.anatomy.main.stack))
    if not hasattr(pos, "__index__") or not -length <= pos.__index__() < length:
        raise TextError(f"position {pos} came; this text has positions 0-{length - 1}")
    found = [] if answers is None else [answers] if isinstance(answers, str) or not isinstance(answers, Iterable) else list(answers)
    if len(found) > 2 or any(isinstance(token, str) for token in found):
        raise TextError(f"answers={answers!r} came; expected one token id, two, or None")
    if found and not model.anatomy.lm_head:
        raise CheckFailed(f"{model.name} has no trained token-predicting head, so no token is an answer of it; expected answers=None")
    return _Asked(answers=tuple(model.token_id(token) for token in found), pos=pos.__index__() % length)


def _sites(model: Model, what: What, stack: Stack) -> list[Site]:
    """The places, layer by layer. Raises: SiteError when there are none."""
    shape, kind = model.anatomy.stack(stack), _KINDS[what]
    layers = range(shape.n_layers)
    if stack == "X" and kind in ("layer", "ffn"):
        raise SiteError(f"cross-attention has no {'stream' if kind == 'layer' else 'FFN'} of its own; expected stack='D'")
    attends = [layer for layer in layers if model.anatomy.attention(layer, stack)]
    dense = [layer for layer in layers if stack != "X" and model.anatomy.ffn(layer, stack)]
    there = {"layer": list(layers), "ffn": dense}.get(kind, attends)
    if not there:
        raise SiteError(f"{model.name} has no {what} to patch")
    indices: Sequence[int | None] = range(shape.n_heads) if kind == "head" else [None]
    return [Site(stack=stack, layer=layer, kind=kind, index=at) for layer in there for at in indices]


def _refuse_unlike(row: Example, other: Example) -> None:
    if len(row) != len(other):
        raise TextError(
            f"the text that runs has {len(row)} tokens, the one to patch from has {len(other)}: {_written(row)} and {_written(other)}; "
            "expected two texts of equally many tokens, as what is put at a position is what the other has there: change a word"
        )


def _written(row: Example) -> str:
    shown = [token.strip() or repr(token) for token in row.tokens[:40]]
    return "|".join(shown) + ("|…" if len(row) > 40 else "")


def _refuse_dead(editor: Put, sites: Sequence[Site]) -> None:
    silent = [str(site) for site in dict.fromkeys(sites) if site not in editor.fired]
    if silent:
        raise InterventionError(f"the patch of {', '.join(silent)} never fired: its hook is dead")


def _result(
    model: Model,
    run: _Rows,
    other: _Rows,
    change: torch.Tensor,
    what: What,
    stack: Stack,
    asked: _Asked,
    measure: _Measure,
    at: list[int],
) -> DataArray:
    answers = [repr(spelled(token, model.tokenizer)) for token in asked.answers]
    number = {
        2: f"logit of {' less that of '.join(answers)}",
        1: f"log probability of {''.join(answers)}",
        0: "way of the final stream to the other text's",
    }[len(answers)]
    texts = [part.text for rows in (run, other) for part in (rows.example, rows.target) if part is not None]
    written = {"token": run.row(stack), "source_token": other.row(stack)}
    tokens = {"pos": at, **{name: ("pos", [row.tokens[place] for place in at]) for name, row in written.items()}}
    result = labelled(
        change,
        ["layer", "head" if what == "heads" else "pos"],
        name="patch_grid",
        long_name=f"change of the {number}",
        units=asked.units,
        source=SOURCE,
        provenance=Provenance(model=model.name, fingerprint=model.fingerprint, data=text_hash(texts)),
        coords={} if what == "heads" else tokens,
        stack=stack,
    )
    about = {"before": measure.before, "other": measure.other, "pos": asked.pos, "answers": list(asked.answers)}
    return result.assign_attrs(**about, patched=_LONG[what], stack=stack)
