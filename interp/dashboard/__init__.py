"""The dashboard: thin pages over the public functions. `streamlit run app.py`.

    app             theme, navigation, the model in the sidebar; then one of two pages
    views/prompt    what a model does on one text, an encoder-decoder on two: heads, neurons, experts, contributions
    views/claims    a claim of the catalogue, its protocol, its verdict
    chosen          what stands in the sidebar: the model and its self-check
    kept            the model (shared by sessions) and captures (each session's own), kept between reruns
    footer          what stands under every figure: caption, downloads, the Python that gives the same object
    words           errors in plain words; text of the user's never obeyed as markup

Nothing is measured here. A page makes its choices, calls `interp.api` once and draws what came back.
"""
