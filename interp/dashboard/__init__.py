"""The dashboard: thin pages over the public functions. `streamlit run app.py`.

    app             theme, navigation, in the sidebar the model or the run; then one of the pages
    links           the pages by name, so that one can point to another
    views/prompt    where heads look on one text, in an encoder-decoder on two; what a router chooses
    views/ffn       what neurons do on it: the strongest, one of them, a mixture's experts
    views/residual  the stream: contributions toward a token, logit lens, sizes and likeness by layer
    views/interventions  parts switched off, edges hidden, patches from another text: before and after, side by side
    views/hierarchy tasks read by layer, the order in which they arise, what brings a word's sense
    views/claims    the catalogue and its verdicts; a claim, its protocol, its verdict
    views/compare   two texts, a model and its untrained twin, or two models, and their difference
    views/report    what was pinned along the way: one page, one PDF, one zip
    atlas/          a run over a corpus, looked up: overview, head, neuron, layer; no model is loaded
    ahead           what the first page needs, loaded while the server starts
    loading         what stands on the first page meanwhile
    served          for whom it is served, what others may ask, and how much
    offered         which models can be chosen, and the fields where one is
    chosen          the chosen model, and what became of its self-check
    stacks          of an encoder-decoder: whose layers are shown
    kept            the model (shared by sessions) and captures (each session's own), kept between reruns
    long_work       what takes longer than a page may: how far it is, the button that stops it
    footer          what stands under every figure: caption, downloads, the Python that gives the same object, its address, the pin
    pins            what was pinned in this session
    words           errors in plain words; text of the user's never obeyed as markup

Nothing is measured here. A page makes its choices, calls `interp.api` (the atlas: `captures.atlas`) once and draws what came back.
"""
