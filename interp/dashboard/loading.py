"""What stands on the first page while the libraries are loaded: that they are, and the frame of a figure (see `ahead`)."""

import streamlit as st

from interp.dashboard import ahead

_HEIGHT_PX = 400


def wait() -> None:
    """Until what the pages import is there; at once where it is already.

    The frame is empty. It has the browser fetch and read what draws figures, a second's work, while the server has its own to do.
    """
    place = st.empty()
    if ahead.over():
        return
    with place.container():
        st.caption(":material/hourglass_top: Loading the libraries and the model …")
        ahead.wait_for_figures()
        _frame()
    ahead.wait()
    place.empty()


def _frame() -> None:
    from interp.figures.screen import nothing_yet  # not before it can be

    st.plotly_chart(nothing_yet(_HEIGHT_PX), config={"staticPlot": True}, key="frame")
