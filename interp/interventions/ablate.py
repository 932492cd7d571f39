"""Switch heads, neurons, experts or sublayers off inside a `with` block: by zero, by their mean, or by what they do on another text.

    head      "L2H3"          z, its weighted values before W_O; so the pattern stays and everything downstream is recomputed
    neuron    "L3N1024"       its activation
    expert    "L3E2"          the router's weight for it, by zero only: the other experts keep theirs
    sublayer  "L2 attention"  all that it adds to the stream, its biases too (where a norm stands behind: what that gives)
              "L2 FFN"        the same; of a mixture the sum of its experts

Zero is far from what the model ever sees; mean and resample keep the scale, and agree in sign where an effect is real (STATISTICS: report
both).

    zero       0
    mean       the mean over a corpus, at the same position where the corpus reaches it
    resample   what it is on another text of the corpus, drawn by seed

An ablation that never fired, or that changed nothing in any place it was meant for, raises when the block ends.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from interp.core.errors import DataError, InterventionError, SiteError
from interp.core.sites import Site, Stack
from interp.interventions.took_place import insist, refuse_cache, refuse_none
from interp.models.attention import AttentionCall
from interp.models.model import Model
from interp.models.points import Kind, Point, watching
from interp.models.reading import Text, run_on
from interp.models.watch import Keep
from interp.texts.example import Example

How = Literal["zero", "mean", "resample"]
_KIND_OF: dict[str, Kind] = {
    "head": "z",
    "neuron": "post",
    "expert": "expert_weights",
    "attention": "attn_out",
    "ffn": "mlp_out",
    "layer": "resid_pre",
}
Place = tuple[Kind, int, Stack]


@dataclass(frozen=True, kw_only=True, eq=False)
class Recorded:
    """What sites of one model are on some texts: to switch many sets of them off without running the texts for each. See `recorded`."""

    owner: int
    values: dict[Place, torch.Tensor]


class _Replace:
    """The watcher that puts other values in the place of a site's own in one model. `values`: by place, (text, pos, site, ...)."""

    def __init__(self, model: Model, sites: Sequence[Site], values: dict[Place, torch.Tensor] | None, seed: int):
        self.owner = id(model.hf)
        self.sites: dict[Place, list[Site]] = defaultdict(list)
        for site in dict.fromkeys(sites):
            self.sites[place_of(site)].append(site)
        self.kinds = frozenset(kind for kind, _, _ in self.sites) | ({"pattern"} if values else frozenset())
        self.values = values
        self.generator = torch.Generator().manual_seed(seed)
        self.draws: dict[int, torch.Tensor] = {}
        self.fired: set[Site] = set()
        self.changed: set[Site] = set()

    def attend(self, point: Point, call: AttentionCall) -> None:
        if point.owner == self.owner:
            refuse_cache(point, call, expected="how='zero', or use_cache=False")

    def at(self, point: Point, seen: torch.Tensor) -> torch.Tensor | None:
        place = (point.kind, point.layer, point.stack)
        sites = self.sites.get(place)
        if sites is None or point.owner != self.owner:
            return None
        edited, substitute = seen.clone(), self._substitute(place, seen)
        for site in sites:
            where = (slice(None), slice(None), within(site))
            edited[where] = substitute[where]
            self.fired.add(site)
            if not torch.equal(edited[where], seen[where]):
                self.changed.add(site)
        return edited

    def _substitute(self, place: Place, seen: torch.Tensor) -> torch.Tensor:
        if self.values is None:
            return torch.zeros_like(seen)
        known = self.values[place]
        if known.shape[1] < seen.shape[1]:
            raise DataError(
                f"the texts to replace from have {known.shape[1]} tokens, the text that runs has {seen.shape[1]}; "
                "expected texts at least as long: give longer ones in over="
            )
        return known[self._drawn(known.shape[0], seen.shape[0]).to(known.device), : seen.shape[1]].to(seen.dtype)

    def _drawn(self, n_texts: int, n_rows: int) -> torch.Tensor:
        """Which text each row gets: the same in all layers, so that what replaces several sites was seen together."""
        if n_rows not in self.draws:
            self.draws[n_rows] = torch.randint(n_texts, (n_rows,), generator=self.generator)
        return self.draws[n_rows]


def place_of(site: Site) -> Place:
    """The point at which a site can be edited; a whole layer's is the stream that its block reads."""
    return (_KIND_OF[site.kind], site.layer, site.stack)


def within(site: Site) -> int | slice:
    """Where it stands on the axis behind the positions: one entry, or all of them for a sublayer or a layer."""
    return slice(None) if site.index is None else site.index


@contextmanager
def ablate(
    model: Model, sites: str | Site | Iterable[str | Site], *, how: How = "mean", over: Iterable[Text] | Recorded = (), seed: int = 0
) -> Iterator[None]:
    """Switch heads, neurons, experts or sublayers off for every run of `model` inside the block, in this context only.

    Args:
        model: from `interp.load`.
        sites: "L2H3", "L3N1024", "L3E2", "L2 attention", "L2 FFN", a `Site`, or several; in an encoder-decoder "EL2H3", "DL2H3", or
            "XL2H3" for cross-attention.
        how: "zero", "mean" or "resample".
        over: for mean and resample: texts to take the values from, at least as long as those that will run; pairs of text and target in an
            encoder-decoder; or what `recorded` kept of some.
        seed: which text each row gets under "resample".
    Raises: SiteError for a site that does not exist; DataError when texts are missing or too short; TextError for a pair where one text is
        read, or the other way round; InterventionError when the block ends and no model ran, or nothing changed at a site (an expert
        that no token chose, for one).

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> before = interp.capture(model, "The old man").logits
        >>> with ablate(model, "L0H0", how="zero"):
        ...     after = interp.capture(model, "The old man").logits
        >>> bool((before != after).any()), bool((interp.capture(model, "The old man").logits == before).all())
        (True, True)
    """
    model.require("ablation")
    wanted = model.anatomy.parts(sites)
    refuse_none("site", wanted)
    _refuse_how(how, wanted)
    editor = _Replace(model, wanted, None if how == "zero" else _values(model, wanted, how, over), seed)
    with watching(editor):
        yield
    insist("the ablation of", wanted, fired=editor.fired, changed=editor.changed, dead="its hook is dead", same=_SAME)


_SAME = "its values are already those that were to replace them (is over= the text itself? was the expert chosen, the neuron not 0?)"


def _texts(model: Model, over: object) -> list[Text]:
    """Several texts; one is as good."""
    if isinstance(over, str | Example) or (model.anatomy.encoder_decoder and isinstance(over, tuple) and _is_pair(over)):
        return [over]  # type: ignore[list-item]
    if not isinstance(over, Iterable):
        raise DataError(f"over={over!r} came; expected texts to take values from: over=[text, ...]")
    return list(over)


def _is_pair(over: tuple) -> bool:
    """A text and its target; no single text would do where two are read."""
    return len(over) == 2 and all(isinstance(part, str | Example) for part in over)


def _refuse_how(how: str, wanted: Sequence[Site]) -> None:
    if how not in get_args(How):
        raise InterventionError(f"how={how!r} came; expected 'zero', 'mean' or 'resample'")
    if how != "zero" and any(site.kind == "expert" for site in wanted):
        raise SiteError(f"an expert is switched off with how='zero'; how={how!r} came: the router chooses anew for each token")


def recorded(model: Model, sites: Iterable[str | Site], over: Iterable[Text]) -> Recorded:
    """What sites are on texts, kept for several ablations of them: `ablate(..., over=recorded(model, sites, texts))`.

    Raises: DataError when there is no text; SiteError for a site that does not exist.

    Example:
        >>> import interp
        >>> model = interp.load()
        >>> kept = recorded(model, ["L0H0", "L0H1"], ["The old man looked at the sea.", "A small boat was on the water."])
        >>> with ablate(model, "L0H1", how="resample", over=kept):
        ...     changed = interp.capture(model, "The old man").logits
    """
    wanted, texts = model.anatomy.parts(sites), _texts(model, over)
    if not texts:
        raise DataError("no text came to record from; expected some")
    places = {place_of(site) for site in wanted}
    rows = [recorded_at(model, places, text) for text in texts]
    shortest = {place: min(row[place].shape[0] for row in rows) for place in places}
    return Recorded(owner=id(model.hf), values={place: torch.stack([row[place][: shortest[place]] for row in rows]) for place in places})


def _values(model: Model, sites: Sequence[Site], how: How, over: object) -> dict[Place, torch.Tensor]:
    """What the sites are on each text, cut to the shortest; for "mean" averaged over the texts, position by position."""
    if not isinstance(over, Recorded):
        texts = _texts(model, over)
        if not texts:
            raise DataError(f"how={how!r} needs texts to take values from; expected some in over=[...], or how='zero'")
        over = recorded(model, sites, texts)
    _refuse_other(model, sites, over)
    if how == "resample":
        return over.values
    return {place: value.mean(0, keepdim=True) for place, value in over.values.items()}


def _refuse_other(model: Model, sites: Sequence[Site], over: Recorded) -> None:
    if over.owner != id(model.hf):
        raise DataError(f"over= was recorded on another model than {model.name}; expected recorded({model.name}, ...)")
    missing = sorted({str(site) for site in sites if place_of(site) not in over.values})
    if missing:
        raise DataError(f"{', '.join(missing)} were not recorded; expected recorded(model, [...]) with a site of the same layer")


def recorded_at(model: Model, places: set[Place], text: Text) -> dict[Place, torch.Tensor]:
    """What one text has at some places. Axes: (pos, ...). Raises: as `run_on`."""
    keep = Keep(model, {kind for kind, _, _ in places})
    with watching(keep):
        run_on(model, text, logits=False)
    return {place: keep.arrays[Point(kind=place[0], layer=place[1], stack=place[2]).name][0] for place in places}
