"""Two runs side by side: the same numbers of both, and the one less the other where that means something.

Two texts in one model, a model and its untrained twin, two models. A difference is taken between numbers of the same place: a head of the
same layer and index, a token of the same position, an entry of the same vocabulary. Where the one has no such place, there is none, and
`why_not` says so: then the two are only shown beside each other.

What a difference does not tell: that two models which were trained apart have the same head in the same place. They have not (a role may
come again, an index does not); `apart` says whether this is so here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from interp.captures.activations import Activations, Form
from interp.core.errors import CheckFailed, SiteError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, labelled
from interp.core.sites import Stack
from interp.models.points import Kind
from interp.texts.tokens import spelled

NORMS: dict[Kind, str] = {
    "resid_post": "residual stream",
    "attn_out": "attention's writes",
    "mlp_out": "FFN's writes",
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The same result of two runs.

    Attributes:
        first, second: what each has.
        difference: the second less the first; None where that means nothing.
        why_not: why there is no difference, as a sentence; "" where there is one.
    """

    first: DataArray
    second: DataArray
    difference: DataArray | None
    why_not: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """Two runs, `first` and `second`. Methods are those of `Activations`, and give a `Pair`."""

    first: Activations
    second: Activations

    @property
    def names(self) -> tuple[str, str]:
        """What tells the two apart in a title: the models, or where they are the same the texts; "untrained" for a twin."""
        first, second = self.first.model, self.second.model
        if first.fingerprint == second.fingerprint:
            return "first text", "second text"
        return ("trained", "untrained") if second.name.startswith(f"{first.name} (untrained, seed") else (first.name, second.name)

    @property
    def apart(self) -> bool:
        """Whether these are two trained models: their heads and neurons have no common numbering."""
        first, second = self.first.model, self.second.model
        return first.fingerprint != second.fingerprint and not any("(untrained, seed" in one.name for one in (first, second))

    def same_tokens(self, stack: Stack | None = None, other: Stack | None = None) -> str:
        """Why the two do not read the same tokens, as queries or as keys, in a stack, as a sentence; "" where they do.

        Args: other: the second run's stack; None: the same.
        """
        for one, second in zip(_rows(self.first, stack), _rows(self.second, other or stack), strict=True):
            if one != second:
                return _differing(one, second)
        return ""

    def head_map(self, statistic: str, stack: Stack | None = None) -> Pair:
        """A statistic of every head. Axes (layer, head). Raises: as `Activations.head_map`; SiteError where one has no such stack."""
        return _pair(self._both(lambda seen: seen.head_map(statistic, _of(seen, stack))), _same_shape)

    def pattern(self, head: str, form: Form = "raw", *, other: str | None = None) -> Pair:
        """A head's attention. Axes (query_pos, key_pos).

        Args: other: the second run's head; None: the same.
        Raises: SiteError where one of the models has no such head.
        """
        both = self.first.pattern(head, form), self.second.pattern(other or head, form)
        stacks = [seen.model.anatomy.head(one).stack or None for seen, one in ((self.first, head), (self.second, other or head))]
        return _pair(both, lambda one, second: self.same_tokens(*stacks))

    def norms(self, kind: Kind = "resid_post", stack: Stack | None = None) -> Pair:
        """The mean length, over the text's tokens, of the stream or of what is written into it. Axis (layer,).

        Args: kind: of `NORMS`.
        Raises: SiteError for another kind.
        """
        if kind not in NORMS:
            raise SiteError(f"{kind!r} came; expected one of: {', '.join(NORMS)}")
        return _pair(self._both(lambda seen: _norms(seen, kind, _of(seen, stack))), _same_shape)

    def next_tokens(self, pos: int | None = None, *, top: int = 10) -> Pair:
        """The most likely tokens of either at a position, with their probabilities in both. Axis (token,), the first's likeliest first.

        Of models with other vocabularies each has its own likeliest tokens, and there is no difference.

        Args:
            pos: a position of both texts, from 0; None: the last of each.
            top: tokens of each.
        Returns: attributes `divergence_nats` (Jensen-Shannon, 0 to ln 2) on the difference, and `mass` (of the tokens that are shown).
        Raises: CheckFailed for a model without a trained head; SiteError for a position that one of them does not have.
        """
        rows = [self._row(seen, pos) for seen in (self.first, self.second)]
        why_not = _same_vocabulary(self.first, self.second)
        chosen = [np.argsort(-row, kind="stable")[:top].tolist() for row in rows]
        if not why_not:
            chosen = [sorted({*chosen[0], *chosen[1]}, key=lambda token: -max(row[token] for row in rows))] * 2
        found = [_tokens(seen, row, ids) for seen, row, ids in zip((self.first, self.second), rows, chosen, strict=True)]
        pair = _pair((found[0], found[1]), lambda one, other: why_not)
        if pair.difference is not None:
            pair.difference.attrs["divergence_nats"] = _divergence(*rows)
        return pair

    def _both(self, of: Callable[[Activations], DataArray]) -> tuple[DataArray, DataArray]:
        return of(self.first), of(self.second)

    def _row(self, seen: Activations, pos: int | None) -> np.ndarray:
        """The distribution at a position, in float64. Axis: (d_vocab,)."""
        if seen.logits is None:
            raise CheckFailed(f"{seen.model.name}: next tokens are disabled, since the model has no trained token-predicting head")
        n = len(seen.logits)
        if pos is not None and not 0 <= pos < n:
            raise SiteError(f"position {pos} came; {seen.model.name} has positions 0-{n - 1} here")
        return seen.logits[-1 if pos is None else pos].double().softmax(-1).cpu().numpy()


def compare(first: Activations, second: Activations) -> Compared:
    """Two runs side by side: two texts in one model, a model and its untrained twin, or two models.

    Args: first, second: from `interp.capture`.
    Returns: `head_map`, `pattern`, `norms` and `next_tokens` of both, with the difference where it means something.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> texts = interp.capture(model, "The old man"), interp.capture(model, "The old dog")
        >>> interp.compare(*texts).head_map("entropy").difference.dims
        ('layer', 'head')
    """
    return Compared(first=first, second=second)


def _rows(seen: Activations, stack: Stack | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tokens that attend, and those that are attended to."""
    queries = seen.row(stack)
    return queries.tokens, seen.example.tokens if stack == "X" else queries.tokens


def _of(seen: Activations, stack: Stack | None) -> Stack | None:
    """The stack, where the model has more than one; a model of one stack has only that."""
    return stack if seen.target is not None else None


def _pair(both: tuple[DataArray, DataArray], refuse: Callable[[DataArray, DataArray], str]) -> Pair:
    first, second = both
    why_not = refuse(first, second)
    if why_not:
        return Pair(first=first, second=second, difference=None, why_not=why_not)
    values = second.values.astype(np.float64) - first.values.astype(np.float64)
    made = [Provenance.from_json(one.attrs["provenance"]) for one in both]

    def told(name: str) -> str:
        return " − ".join(dict.fromkeys((getattr(made[1], name), getattr(made[0], name))))

    origin = Provenance(model=told("model"), fingerprint=told("fingerprint"), data=told("data"))
    attrs = {**first.attrs, "long_name": f"difference of {first.attrs['long_name']}", "provenance": origin.to_json()}
    if second.attrs.get("n") != first.attrs.get("n"):
        del attrs["n"]  # there is no one number of cases behind it
    difference = first.copy(data=values)
    difference.attrs = attrs
    return Pair(first=first, second=second, difference=difference)


def _same_shape(one: DataArray, other: DataArray) -> str:
    if one.sizes == other.sizes:
        return ""
    sizes = [" × ".join(f"{size} {dim}s" for dim, size in each.sizes.items()) for each in (one, other)]
    return f"The one has {sizes[0]}, the other {sizes[1]}: a place of the one is no place of the other."


def _same_vocabulary(first: Activations, second: Activations) -> str:
    one, other = (seen.model for seen in (first, second))
    if one.fingerprint == other.fingerprint or one.tokenizer.get_vocab() == other.tokenizer.get_vocab():
        return ""
    return f"{one.name} and {other.name} have other vocabularies: a token of the one is no token of the other."


def _differing(one: Sequence[str], other: Sequence[str]) -> str:
    if len(one) != len(other):
        return f"The one reads {len(one)} tokens, the other {len(other)}: a difference of patterns needs the same tokens in both."
    at = next(at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
    return f"Token {at} is {one[at]!r} in the one and {other[at]!r} in the other: a difference of patterns needs the same tokens in both."


def _norms(seen: Activations, kind: Kind, stack: Stack | None) -> DataArray:
    stream = seen.stream(kind, stack)
    n_layers = stream.sizes["layer"]
    return labelled(
        np.linalg.norm(stream.values.astype(np.float64), axis=-1).mean(-1),
        ["layer"],
        name=f"norm_{kind}",
        long_name=f"mean length, {NORMS[kind]}",
        units="1",
        provenance=seen.provenance,
        coords={"layer": np.arange(n_layers)},
    ).assign_attrs(n=stream.sizes["pos"])


def _tokens(seen: Activations, row: np.ndarray, ids: Sequence[int]) -> DataArray:
    names = [spelled(int(token), seen.model.tokenizer) for token in ids]
    what = "next token" if seen.model.anatomy.main.causal else "token here"
    return labelled(
        row[list(ids)],
        ["token"],
        name="next_token",
        long_name=f"probability of the {what}",
        units="probability",
        provenance=seen.provenance,
        coords={"token": names, "token_id": ("token", [int(token) for token in ids])},
    ).assign_attrs(mass=float(row[list(ids)].sum()))


def _divergence(one: np.ndarray, other: np.ndarray) -> float:
    """Jensen-Shannon divergence, in nats: 0 to ln 2, 0 ln 0 = 0."""
    middle = (one + other) / 2

    def from_middle(row: np.ndarray) -> float:
        there = row > 0
        return float((row[there] * np.log(row[there] / middle[there])).sum())

    return (from_middle(one) + from_middle(other)) / 2
