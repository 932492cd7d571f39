"""What stands on the first page while the libraries are loaded: that they are, and an empty chart.

The browser loads what draws a chart with the first one that it is told to draw, which takes it a second; here it does so meanwhile.
"""

import streamlit as st

from interp.dashboard import ahead

_EMPTY = {"data": [{"type": "scatter"}], "layout": {"height": 260, "xaxis": {"visible": False}, "yaxis": {"visible": False}}}


def wait() -> None:
    """Until what the pages import is there; at once where it is already."""
    place = st.empty()
    if ahead.over():
        return
    with place.container():
        st.caption(":material/hourglass_top: Loading the libraries and the model …")
        ahead.wait_to_draw()
        st.plotly_chart(_EMPTY, key="loading", config={"displayModeBar": False})
        ahead.wait()
    place.empty()
