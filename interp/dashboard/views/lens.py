"""What would the model say if it stopped here? The next token read off the stream, at each depth and position."""

import streamlit as st

from interp.captures.activations import Activations
from interp.dashboard import footer
from interp.figures.figure import Figure
from interp.figures.stream import depth_map


def show(seen: Activations) -> None:
    """The loss of the next token, with the likeliest token written into each cell where there is room."""
    figure = Figure(depth_map(seen.logit_lens(), title="The next token, read off the stream at each depth"))
    footer.draw(figure, name=f"{seen.model.name}-logit-lens", python=footer.python_of(seen, "seen.logit_lens()"))
    st.caption(
        "In a cell: the likeliest next token, were the stream there read through the final norm and the unembedding. Its colour: what "
        "the token that does follow costs. Nothing trained an early depth to be read so: one that reads badly has not failed."
    )
