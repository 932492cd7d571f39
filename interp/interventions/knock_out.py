"""Hide tokens from heads inside a `with` block: what is lost when this token cannot look at that one?

An edge is a query and a key: one token's view of another. Its score becomes -inf, the rest of the query's row takes over its weight, and
everything downstream is recomputed, in every family: position biases, soft caps, sinks and grouped heads included. Where `ablate` asks what
a head as a whole is needed for, this asks along which edge it works.

It does not tell what the edge alone carried: the weight goes elsewhere, so an effect is that of taking the edge away *and* of what is seen
more instead. A query whose last key is hidden attends to nothing.

A knock-out that never fired, that took no weight from one of the heads it was meant for, or of which an edge was hidden anyway in every
text, raises when the block ends.

Source: Geva et al. (2023), "Dissecting Recall of Factual Associations in Auto-Regressive Language Models", attention knockout; theirs is of
all heads in a window of layers, ours of the heads that are named.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import index

import torch

from interp.core.errors import DataError, InterventionError
from interp.core.sites import Site, Stack
from interp.interventions.took_place import insist, refuse_cache, refuse_none
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Point, watching

Edge = tuple[int, int]


class _Hide:
    """The watcher that hides the same edges in some heads of one model."""

    kinds = frozenset({"pattern"})

    def __init__(self, model: Model, heads: Sequence[Site], edges: Sequence[Edge]):
        self.owner = id(model.hf)
        self.heads: dict[tuple[Stack, int], list[Site]] = defaultdict(list)
        for site in heads:
            self.heads[site.stack, site.layer].append(site)
        self.edges = edges
        self.queries, self.keys = zip(*edges, strict=True)
        self.fired: set[Site] = set()
        self.changed: set[Site] = set()
        self.masked: dict[Site, set[Edge]] = {}  # those that were hidden before, in every text that ran

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        return None

    def attend(self, point: Point, call: AttentionCall) -> None:
        if point.owner != self.owner:
            return
        refuse_cache(point, call, expected="use_cache=False")
        if sites := self.heads.get((point.stack, point.layer)):
            _refuse_outside(self.edges, call)
            self._hide(call, sites)

    def _hide(self, call: AttentionCall, sites: Sequence[Site]) -> None:
        hidden = torch.zeros(call.shape[1:], dtype=torch.bool)
        for site in sites:
            hidden[site.index, self.queries, self.keys] = True
        seen, before = self._along(call.seen.expand(call.shape)).any(0).tolist(), self._along(call.pattern())
        call.hide(hidden)
        changed = (self._along(call.pattern()) != before).any(-1).any(0)
        self.fired.update(sites)
        self.changed.update(site for site in sites if changed[site.index])
        for site in sites:
            masked = {edge for edge, was_seen in zip(self.edges, seen[site.index or 0], strict=True) if not was_seen}
            self.masked[site] = self.masked.get(site, masked) & masked

    def _along(self, numbers: torch.Tensor) -> torch.Tensor:
        """Those of the edges. Axes: (batch, head, query_pos, key_pos) -> (batch, head, edge)."""
        return numbers[:, :, self.queries, self.keys]


@contextmanager
def knock_out(model: Model, heads: str | Site | Iterable[str | Site], edges: Iterable[Edge]) -> Iterator[None]:
    """Hide edges of attention in some heads for every run of `model` inside the block, in this context only.

    Args:
        model: from `interp.load`.
        heads: "L2H3", a `Site`, or several; in an encoder-decoder "EL2H3", "DL2H3", or "XL2H3" for cross-attention.
        edges: (query position, key position), from 0, hidden in each of the heads and in each text of a batch; in cross-attention the query
            is a token of the decoder's row, the key one of the encoder's.
    Raises: SiteError for a head that does not exist; DataError when no edge came, or a position below 0; InterventionError when an edge
        lies outside of the text that runs, when the model runs with a key-value cache, and when the block ends and no model ran, or one
        of the heads put no weight on any of the edges, or could not see one of them at all (the future under a causal mask, for one).

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> with knock_out(model, "L0H2", [(2, 1)]):
        ...     seen = interp.capture(model, "The old man")
        >>> weights = seen.pattern("L0H2").values[2]
        >>> float(weights[1]), round(float(weights.sum()), 5)
        (0.0, 1.0)
    """
    model.require("knock-out")
    wanted, hidden = model.anatomy.heads(heads), _possible(edges)
    refuse_none("head", wanted)
    editor = _Hide(model, wanted, hidden)
    with watching(editor):
        yield
    insist("the knock-out in", wanted, fired=editor.fired, changed=editor.changed, dead="its attention is not seen", same=_SAME)
    _refuse_masked(editor)


_SAME = "no weight lay on any of the edges (does a mask hide them already, as a causal one hides the future?)"


def _possible(edges: Iterable[Edge]) -> list[Edge]:
    found = list(dict.fromkeys(_pair(edge) for edge in edges))
    if not found:
        raise DataError("no edge came; expected at least one (query position, key position), such as (5, 2)")
    if below := [edge for edge in found if min(edge) < 0]:
        raise DataError(f"edge {below[0]} came; expected positions counted from 0, from the start of the text")
    return found


def _pair(edge: object) -> Edge:
    try:
        query, key = (index(place) for place in edge)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise DataError(f"edge {edge!r} came; expected pairs of whole numbers (query position, key position): edges=[(5, 2)]") from None
    return query, key


def _refuse_outside(edges: Sequence[Edge], call: AttentionCall) -> None:
    n_queries, n_keys = call.shape[2:]
    for query, key in edges:
        if query >= n_queries or key >= n_keys:
            raise InterventionError(
                f"edge {(query, key)} lies outside of the text that runs: its queries are 0-{n_queries - 1}, its keys 0-{n_keys - 1}"
            )


def _refuse_masked(editor: _Hide) -> None:
    """An edge along which there was nothing to hide, though others of the same head had."""
    for site, edges in editor.masked.items():
        if edges:
            raise InterventionError(
                f"the knock-out in {site} had nothing to hide along {', '.join(map(str, sorted(edges)))}: a mask hides that already, as a "
                "causal one hides the future; expected edges from a token to one that it sees"
            )
