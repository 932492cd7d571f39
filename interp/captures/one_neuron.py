"""One neuron: what it was along a text, and which tokens its output weights promote.

A neuron of a dense FFN is "L2N100" (in an encoder-decoder "EL2N100" or "DL2N100"), one of a mixture's expert "L1E2N7".
"""

import re
from dataclasses import dataclass
from typing import cast

import torch

from interp.captures.activations import Activations
from interp.captures.corpus.promoted import ranked
from interp.core.errors import ModelUnsupported, SiteError
from interp.core.results import DataArray
from interp.core.sites import Stack
from interp.models import experts
from interp.models.model import Model
from interp.texts.tokens import spelled

Tokens = tuple[tuple[str, float], ...]
_WRITTEN = re.compile(r"([ED]?)L(\d+)(?:E(\d+))?N(\d+)")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a neuron is; `expert` is None in a dense FFN."""

    stack: Stack
    layer: int
    expert: int | None
    index: int

    def __str__(self) -> str:
        return f"{self.stack}L{self.layer}{'' if self.expert is None else f'E{self.expert}'}N{self.index}"


def place_of(model: Model, written: str) -> Place:
    """A neuron of a model by its name.

    Raises: SiteError for what is no neuron, or not there.

    Example:
        >>> import interp
        >>> place_of(interp.load(), "L2N100").index
        100
    """
    found = _WRITTEN.fullmatch(written.strip())
    letter, layer, expert, index = found.groups() if found else ("", "0", None, "0")
    paired = model.anatomy.encoder_decoder
    form = f"{'D' if paired else ''}L0{'E0' if model.anatomy.n_experts else ''}N0"
    if not found or bool(letter) != paired:
        raise SiteError(f"{written!r} is no neuron of {model.name}; expected the form {form}, counted from 0")
    place = Place(stack=cast(Stack, letter), layer=int(layer), expert=None if expert is None else int(expert), index=int(index))
    n = _width(model, place, form)
    if place.index >= n:
        raise SiteError(f"{written!r} came; {n} neurons are there, 0 to {n - 1}")
    return place


def along(seen: Activations, written: str) -> DataArray:
    """A neuron's activation at each token; nan where a token was not sent to its expert. Axis (pos,).

    Raises: SiteError for a neuron that is not there; CheckFailed when neurons are disabled for this model.

    Example:
        >>> import interp
        >>> seen = interp.capture(interp.load(), "The bank by the river is steep")
        >>> bool((along(seen, "L2N100") == seen.neurons(2).sel(neuron=100)).all())
        True
    """
    place = place_of(seen.model, written)
    if place.expert is None:
        every = seen.neurons(place.layer, place.stack or None)
    else:
        every = seen.expert_neurons(f"{place.stack}L{place.layer}E{place.expert}")
    found = every.sel(neuron=place.index, drop=True)
    return found.assign_attrs(long_name=str(place)).assign_coords(site=str(place))


def strongest_at(seen: Activations, stack: Stack | None = None) -> str:
    """The neuron with the largest activation on a text, of all layers; of mixtures the largest in each expert is looked at.

    Raises: SiteError where the stack has no FFN; CheckFailed when neurons are disabled.
    """
    stack = seen.model.anatomy.main.stack if stack is None else stack
    best: tuple[float, str] | None = None
    for layer in range(seen.model.anatomy.stack(stack).n_layers):
        for name, values in _by_part(seen, layer, stack):
            value, at = values.flatten().max(0)
            if best is None or float(value) > best[0]:
                best = float(value), f"{name}N{int(at) % values.shape[-1]}"
    if best is None:
        raise SiteError(f"{seen.model.name} has no neurons in this stack")
    return best[1]


@torch.no_grad()
def promoted_by(model: Model, written: str, k: int = 10) -> tuple[Tokens, Tokens]:
    """The k tokens that a neuron promotes most, and those that it suppresses, in logits per activation (final norm's scale held at 1).

    Raises: ModelUnsupported where logits are more than norms and a matrix away from the stream, or for an encoder's neuron in an
        encoder-decoder; SiteError for a neuron that is not there; CheckFailed where contributions did not pass the self-check.
    Source: Geva et al. (2022), section 3; there without the final norm.

    Example:
        >>> import interp
        >>> up, down = promoted_by(interp.load(), "L5N3", k=2)
        >>> len(up), up[0][1] >= up[1][1] > 0 > down[0][1]
        (2, True)
    """
    place = place_of(model, written)
    model.require("contributions")
    if not model.anatomy.linear_readout or place.stack == "E":
        why = "it is the encoder's, which writes no tokens" if place.stack == "E" else "its logits are more than norms and a matrix away"
        raise ModelUnsupported(f"{model.name}: {place} promotes no tokens by its weights alone, since {why}")
    ffn = model.anatomy.ffn(place.layer, place.stack)
    assert ffn is not None  # place_of found it
    weights = model.W_out(place.layer, place.stack) if place.expert is None else experts.expert_W_out(model.at(ffn.module), place.expert)
    up, raised, down, lowered = ranked(model, ffn, weights[place.index][None], k)
    return _named(model, up, raised), _named(model, down, lowered)


def _named(model: Model, values: torch.Tensor, ids: torch.Tensor) -> Tokens:
    return tuple((spelled(int(token), model.tokenizer), float(value)) for token, value in zip(ids[0], values[0], strict=True))


def _width(model: Model, place: Place, form: str) -> int:
    """How many neurons are where this one is. Raises: SiteError where there are none."""
    shape = model.anatomy.stack(place.stack)
    ffn = model.anatomy.ffn(place.layer, place.stack) if place.layer < shape.n_layers else None
    mixed = place.expert is not None
    if ffn is None or bool(ffn.experts) != mixed or (place.expert or 0) >= max(model.anatomy.n_experts, 1):
        raise SiteError(f"{place} is not in {model.name}; expected a neuron of layers 0-{shape.n_layers - 1}, such as {form}")
    weights = experts.expert_W_out(model.at(ffn.module), place.expert) if mixed else model.W_out(place.layer, place.stack)  # type: ignore[arg-type]
    return int(weights.shape[0])


def _by_part(seen: Activations, layer: int, stack: Stack) -> list[tuple[str, torch.Tensor]]:
    """The neurons of a layer, (pos, neuron), by the name of what they are in."""
    ffn = seen.model.anatomy.ffn(layer, stack)
    if ffn is None:
        return []
    name = f"{stack}L{layer}"
    if not ffn.experts:
        return [(name, seen.tensor("post", layer, stack))]
    every = [(f"{name}E{expert}", seen.expert_neurons(f"{name}E{expert}").values) for expert in range(seen.model.anatomy.n_experts)]
    return [(part, torch.from_numpy(values).nan_to_num(nan=-torch.inf)) for part, values in every]
