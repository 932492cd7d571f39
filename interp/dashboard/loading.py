"""What stands on the first page while the libraries are loaded: that they are. Nothing is drawn meanwhile (see `ahead`)."""

import streamlit as st

from interp.dashboard import ahead


def wait() -> None:
    """Until what the pages import is there; at once where it is already."""
    place = st.empty()
    if ahead.over():
        return
    place.caption(":material/hourglass_top: Loading the libraries and the model …")
    ahead.wait()
    place.empty()
