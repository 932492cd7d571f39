"""Put into a run what another run has in the same place, inside a `with` block: what does this place carry from the one text to the other?

    "L2"            the stream that block 2 reads
    "L2 attention"  what the sublayer adds to the stream; "L2 FFN" likewise
    "L2H3"          a head's weighted values, before W_O
    "L2N7"          a neuron's activation

Denoising: the corrupted text runs, and what the clean one has is put in; a place that brings the answer back is enough for it. Noising: the
clean text runs, and what the corrupted one has is put in; a place that loses the answer is needed for it. The two need not agree: where
two parts do the same, either is enough and none is needed.

What is put at a position is what the other text has at that position, so both have equally many tokens, and what does not correspond
should differ in nothing but what is asked about. A patch that never fired, or that put in what was there, raises when the block ends.

Source: Vig et al. (2020), causal mediation analysis; Meng et al. (2022), ROME, causal tracing; Heimersheim and Nanda (2024), "How to use
and interpret activation patching".
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import index
from typing import SupportsIndex

import torch

from interp.core.errors import DataError, InterventionError, SiteError
from interp.core.sites import Site
from interp.interventions.ablate import Place, place_of, recorded_at, within
from interp.interventions.took_place import insist, refuse_none
from interp.models.anatomy import Anatomy
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Point, watching
from interp.models.reading import Text

Where = slice | torch.Tensor
Edit = tuple[int | slice, Site, Where]
"""Rows of the batch, a site, positions."""


class Put:
    """The watcher that puts another run's values in the place of a model's own. `values`: by place, (pos, site, ...)."""

    def __init__(self, model: Model, edits: Sequence[Edit], values: dict[Place, torch.Tensor]):
        self.owner, self.values = id(model.hf), values
        self.edits: dict[Place, list[Edit]] = defaultdict(list)
        for edit in edits:
            self.edits[place_of(edit[1])].append(edit)
        self.kinds: frozenset[str] = frozenset(kind for kind, _, _ in self.edits)
        self.fired: set[Site] = set()
        self.changed: set[Site] = set()

    def attend(self, point: Point, call: AttentionCall) -> None:
        return None

    def at(self, point: Point, seen: torch.Tensor) -> torch.Tensor | None:
        edits = self.edits.get((point.kind, point.layer, point.stack))
        if edits is None or point.owner != self.owner:
            return None
        other = self._fitting((point.kind, point.layer, point.stack), seen)
        edited = seen.clone()
        for rows, site, positions in edits:
            edited[rows, positions, within(site)] = other[positions, within(site)]
            self.fired.add(site)
            if not torch.equal(edited[rows, positions, within(site)], seen[rows, positions, within(site)]):
                self.changed.add(site)
        return edited

    def _fitting(self, place: Place, seen: torch.Tensor) -> torch.Tensor:
        other = self.values[place]
        if len(other) != seen.shape[1]:
            raise InterventionError(
                f"the text that runs has {seen.shape[1]} tokens, the one to patch from has {len(other)}: what is put at a position is what "
                "the other has there; expected two texts of equally many tokens, and no key-value cache (use_cache=False)"
            )
        return other.to(seen.device, seen.dtype)


@contextmanager
def patch(
    model: Model, sites: str | Site | Iterable[str | Site], source: Text, *, at: SupportsIndex | Iterable[SupportsIndex] | None = None
) -> Iterator[None]:
    """Put what sites are on another text in their place, for every run of `model` inside the block, in this context only.

    Args:
        model: from `interp.load`.
        sites: "L2" for the stream that block 2 reads, "L2 attention", "L2 FFN", "L2H3", "L2N7", a `Site`, or several; in an
            encoder-decoder with a letter before, "EL2", "DL2 FFN", "XL2H3".
        source: the text to take values from, of as many tokens as the one that will run; in an encoder-decoder a pair, of which only the
            rows matter whose sites are patched.
        at: a position or several, from 0 (negative: from the end); None: all.
    Raises: SiteError for a site that does not exist, and for an expert, for which `ablate` is; DataError for a position that the
        source does not have; InterventionError when the text that runs is longer or shorter, when it runs with a key-value cache, and
        when the block ends and no model ran, or a site was what was put in its place (before the first token in which the two texts
        differ a decoder's all are).

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> with patch(model, "L2", "The old dog", at=2):
        ...     patched = interp.capture(model, "The old man").logits
        >>> bool((patched[2] != interp.capture(model, "The old man").logits[2]).any())
        True
    """
    model.require("ablation")
    wanted = patchable(model.anatomy, sites)
    refuse_none("site", wanted)
    values = recorded_at(model, {place_of(site) for site in wanted}, source)
    editor = Put(model, [(slice(None), site, torch.tensor(positions_at(at, len(values[place_of(site)])))) for site in wanted], values)
    with watching(editor):
        yield
    insist("the patch of", wanted, fired=editor.fired, changed=editor.changed, dead="its hook is dead", same=_SAME)


_SAME = "the text that ran has there what was put in (do the two texts differ before these positions?)"


def patchable(anatomy: Anatomy, sites: object) -> list[Site]:
    """Sites by their names; a whole layer is the stream that its block reads. Raises: SiteError as `patch`."""
    one = isinstance(sites, str | Site) or not isinstance(sites, Iterable)
    found = [_patchable(anatomy, site) for site in ([sites] if one else sites)]  # type: ignore[attr-defined]
    return list(dict.fromkeys(found))


def _patchable(anatomy: Anatomy, written: object) -> Site:
    site = written if isinstance(written, Site) else Site.parse(written)
    if site.kind == "expert":
        raise SiteError(f"{site} is an expert, which the router chooses anew for each token; expected ablate(model, '{site}', how='zero')")
    if site.kind != "layer":
        return anatomy.part(site)
    n_layers = anatomy.stack(site.stack).n_layers
    if site.stack == "X" or not 0 <= site.layer < n_layers:
        whose = ", of 'E' or 'D'" if anatomy.encoder_decoder else ""
        raise SiteError(f"{site}: expected the stream of a layer, 0-{n_layers - 1}{whose}")
    return site


def positions_at(at: object, length: int) -> list[int]:
    """Positions from 0, in order, each once; None: all. Raises: DataError for one that is not there, or none."""
    if at is None:
        return list(range(length))
    try:
        found = [index(place) for place in (at if isinstance(at, Iterable) else [at])]  # type: ignore[arg-type]
    except TypeError:
        raise DataError(f"at={at!r} came; expected a position, or several") from None
    outside = [place for place in found if not -length <= place < length]
    if outside or not found:
        raise DataError(f"position {outside[0] if outside else 'none'} came; the text to patch from has positions 0-{length - 1}")
    return sorted({place % length for place in found})
