"""Names of places in a model, written as TransformerLens writes them, counted from 0.

A head is `L5H1`, a neuron `L3N1024`, an expert `L3E2`, a whole sublayer `L3 attention` or `L3 FFN`, a layer `L3`. In encoder-decoders a
letter stands before: `EL0H1` (encoder), `DL0H1` (decoder), `XL0H1` (cross-attention). Sources that count from 1 (Clark et al.'s "head 8-10"
is `L7H9`) are converted where they are quoted, never here.
"""

import re
from dataclasses import dataclass
from typing import Literal

from interp.core.errors import SiteError

Kind = Literal["head", "neuron", "expert", "attention", "ffn", "layer"]
Stack = Literal["", "E", "D", "X"]
STACKS: tuple[Stack, ...] = ("E", "D", "X")
"""Of an encoder-decoder, in the order in which they stand along an axis `stack`."""
_LETTERS: dict[Kind, str] = {"head": "H", "neuron": "N", "expert": "E", "attention": " attention", "ffn": " FFN", "layer": ""}
_KINDS: dict[str, Kind] = {letter: kind for kind, letter in _LETTERS.items()}
_WRITTEN = re.compile(r"([EDX]?)L(\d+)(?:([HNE])(\d+)|( attention| FFN))?")


@dataclass(frozen=True, kw_only=True, order=True)
class Site:
    """One place in a model. `index` counts within the layer; it is None for a whole layer or sublayer.

    Example:
        >>> site = Site.parse("L5H1")
        >>> site.layer, site.kind, site.index, str(site)
        (5, 'head', 1, 'L5H1')
        >>> Site.parse("XL0 attention")
        Site(stack='X', layer=0, kind='attention', index=None)
    """

    stack: Stack = ""
    layer: int
    kind: Kind
    index: int | None = None

    def __str__(self) -> str:
        return f"{self.stack}L{self.layer}{_LETTERS[self.kind]}{'' if self.index is None else self.index}"

    @classmethod
    def parse(cls, text: object) -> "Site":
        """Read a site from its written form.

        Raises: SiteError when `text` is not one.
        """
        found = _WRITTEN.fullmatch(text.strip()) if isinstance(text, str) else None
        if not found:
            raise SiteError(
                f"{text!r} is not a site; expected the form L5H1 (head), L3N1024 (neuron), L3 attention or L3 FFN (sublayer), or L3 "
                "(layer), from 0"
            )
        stack, layer, letter, index, sublayer = found.groups()
        kind = _KINDS[letter or sublayer or ""]
        return cls(stack=stack, layer=int(layer), kind=kind, index=None if index is None else int(index))  # type: ignore[arg-type]


def head_site(layer: int, head: int, stack: Stack = "") -> str:
    """The written form of a head.

    Example:
        >>> head_site(5, 1), head_site(5, 1, "X")
        ('L5H1', 'XL5H1')
    """
    return str(Site(stack=stack, layer=layer, kind="head", index=head))
