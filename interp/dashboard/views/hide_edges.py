"""What is lost when this token cannot look at that one? Edges of attention hidden in some heads; before and after, side by side."""

import re

import streamlit as st

from interp import api
from interp.captures.activations import Activations
from interp.core.errors import DataError
from interp.core.sites import Stack, head_site
from interp.dashboard import stacks
from interp.dashboard.views import before_after, reading
from interp.dashboard.words import in_plain_words
from interp.interventions.knock_out import Edge

ALL = "all"
EDGES_HELP = (
    "A token and one that it is not to see, by their positions, with an arrow between: 5>2. Several with commas: 5>2, 5>3. "
    "The numbers stand under the tokens above. In cross-attention the first is a token of the target, the second one of the text."
)


def show(seen: Activations) -> None:
    """The choices above, the comparison below."""
    seen.model.require("knock-out")
    stack = stacks.choose(seen.model, cross=True)
    left, right = st.columns([5, 7])
    with left:
        heads = reading.typed(
            "heads", "In heads", ALL, placeholder="L0H3, L1H2", help="Names, with commas between; all: every head of the stack."
        )
    with right:
        default = first_edge(seen, stack)
        edges = reading.typed("edges", "Hide", default, placeholder="5>2, 5>3", help=EDGES_HELP, follows=True)
    with in_plain_words():
        chosen, hidden = _heads(seen, stack, heads), _edges(edges)
        written = repr(chosen) if heads.strip().lower() != ALL else _all_written(seen, stack)
        call = f"interp.knock_out(model, {written}, edges={hidden!r})"
        before_after.show(seen, lambda: api.knock_out(seen.model, chosen, hidden), call, name=f"hidden-{edges[:24]}")


def first_edge(seen: Activations, stack: Stack) -> str:
    """What is offered first: the last token and the one before it, which a window of any size lets it see."""
    last, keys = len(seen.row(stack)) - 1, len(seen.example if stack == "X" else seen.row(stack))
    return f"{last}>{max(0, min(last, keys) - 1)}"


def _heads(seen: Activations, stack: Stack, written: str) -> list[str]:
    if written.strip().lower() != ALL:
        return [name.strip() for name in re.split("[,;]", written) if name.strip()]
    shape = seen.model.anatomy.stack(stack)
    layers = [layer for layer in range(shape.n_layers) if seen.model.anatomy.attention(layer, stack)]
    return [head_site(layer, head, stack) for layer in layers for head in range(shape.n_heads)]


def _all_written(seen: Activations, stack: Stack) -> str:
    shape = seen.model.anatomy.stack(stack)
    return f'[f"{stack}L{{layer}}H{{head}}" for layer in range({shape.n_layers}) for head in range({shape.n_heads})]'


def _edges(written: str) -> list[Edge]:
    """Pairs of positions. Raises: DataError for what is none."""
    found = [re.fullmatch(r"(\d+)\s*(?:>|->|→)\s*(\d+)", part.strip()) for part in re.split("[,;]", written) if part.strip()]
    if not found or None in found:
        raise DataError(f"{written!r} came as edges; expected positions such as 5>2, with commas between several")
    return [(int(pair[1]), int(pair[2])) for pair in found if pair]
