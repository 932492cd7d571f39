"""How does the stream grow? Its size and that of what is written into it, layer by layer; how alike the depths are."""

import streamlit as st

from interp.captures.activations import Activations
from interp.core.sites import Stack
from interp.dashboard import footer, stacks
from interp.figures.figure import Figure
from interp.figures.stream import norm_lines, similarity_map
from interp.models.anatomy import Anatomy
from interp.models.points import Kind


def show(seen: Activations) -> None:
    """Sizes on the left, likeness on the right."""
    seen.model.require("stream")
    stack = stacks.choose(seen.model)
    left, right = st.columns([6, 5], gap="large")
    with left:
        _norms(seen, stack)
    with right:
        _similarity(seen, stack)


def _norms(seen: Activations, stack: Stack) -> None:
    asked = series(seen.model.anatomy, stack)
    norms = {name: seen.norms(kind, of) for name, (kind, of) in asked.items()}
    written = ", ".join(f"{name!r}: seen.norms({kind!r}{stacks.argument(of)})" for name, (kind, of) in asked.items())
    python = footer.python_of(seen, f"norm_lines({{{written}}})", "from interp.figures.stream import norm_lines")
    title = f"Size of the stream, and of what is written into it{stacks.of(stack)}"
    footer.draw(Figure(norm_lines(norms, title=title)), name=f"{seen.model.name}-{stack}norms", python=python)


def series(anatomy: Anatomy, stack: Stack) -> dict[str, tuple[Kind, Stack]]:
    """The lines: name -> kind of point and stack. Only what all layers have."""
    shape = anatomy.stack(stack)
    layers = range(shape.n_layers)
    found: dict[str, tuple[Kind, Stack]] = {"stream after the layer": ("resid_post", stack)}
    if all(anatomy.attention(layer, stack) for layer in layers):
        found["attention writes"] = ("attn_out", stack)
    if stack == "D":
        found["cross-attention writes"] = ("attn_out", "X")
    if all(anatomy.ffn(layer, stack) for layer in layers):
        found["FFN writes"] = ("mlp_out", stack)
    return found


def _similarity(seen: Activations, stack: Stack) -> None:
    figure = Figure(similarity_map(seen.depth_similarity(stack), title=f"Cosine of the stream at two depths{stacks.of(stack)}"))
    asked = f"stack={stack!r}" if stack else ""
    python = footer.python_of(seen, f"seen.depth_similarity({asked})")
    footer.draw(figure, name=f"{seen.model.name}-{stack}similarity", python=python)
    st.caption(
        "Mean over the tokens. A stream keeps what was written, so neighbours are alike even where nothing happens: the cosine says how "
        "much is new, not what."
    )
