"""Names of places in a model, written as TransformerLens writes them, counted from 0.

A head is `L5H1`, a neuron `L3N1024`, an expert `L3E2`, a layer `L3`. In encoder-decoders a letter stands before: `EL0H1`
(encoder), `DL0H1` (decoder), `XL0H1` (cross-attention). Sources that count from 1 (Clark et al.'s "head 8-10" is `L7H9`)
are converted where they are quoted, never here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from interp.core.errors import SiteError

Kind = Literal["head", "neuron", "expert", "layer"]
_LETTERS: dict[Kind, str] = {"head": "H", "neuron": "N", "expert": "E", "layer": ""}
_KINDS: dict[str, Kind] = {letter: kind for kind, letter in _LETTERS.items()}
_WRITTEN = re.compile(r"([EDX]?)L(\d+)(?:([HNE])(\d+))?")


@dataclass(frozen=True, kw_only=True, order=True)
class Site:
    """One place in a model. `index` counts within the layer; it is None for a whole layer.

    Example:
        >>> site = Site.parse("L5H1")
        >>> site.layer, site.kind, site.index, str(site)
        (5, 'head', 1, 'L5H1')
    """

    stack: Literal["", "E", "D", "X"] = ""
    layer: int
    kind: Kind
    index: int | None = None

    def __str__(self) -> str:
        return f"{self.stack}L{self.layer}{_LETTERS[self.kind]}{'' if self.index is None else self.index}"

    @classmethod
    def parse(cls, text: str) -> "Site":
        """Read a site from its written form.

        Raises: SiteError when `text` is not one.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if not found:
            raise SiteError(f"{text!r} is not a site; expected the form L5H1 (head), L3N1024 (neuron) or L3 (layer), from 0")
        stack, layer, letter, index = found.groups()
        kind = _KINDS[letter or ""]
        return cls(stack=stack, layer=int(layer), kind=kind, index=None if index is None else int(index))  # type: ignore[arg-type]


def head_site(layer: int, head: int) -> str:
    """The written form of a head.

    Example:
        >>> head_site(5, 1)
        'L5H1'
    """
    return str(Site(layer=layer, kind="head", index=head))


def parse_heads(heads: str | Iterable[str], *, n_layers: int, n_heads: int) -> list[tuple[int, int]]:
    """(layer, head) of each written head, checked against the model's size.

    Args:
        heads: "L2H3", or several of them.
        n_layers: layers the model has.
        n_heads: heads in each layer.
    Raises: SiteError for what is not a head or does not exist here.

    Example:
        >>> parse_heads(["L0H1", "L2H3"], n_layers=3, n_heads=4)
        [(0, 1), (2, 3)]
    """
    found = []
    for text in [heads] if isinstance(heads, str) else heads:
        site = Site.parse(text)
        if site.kind != "head":
            raise SiteError(f"{text} is a {site.kind}; expected a head such as L0H0")
        if site.layer >= n_layers:
            raise SiteError(f"{text}: this model has layers 0-{n_layers - 1}")
        if site.index is None or site.index >= n_heads:
            raise SiteError(f"{text}: this model has heads 0-{n_heads - 1} in each layer")
        found.append((site.layer, site.index))
    return found
