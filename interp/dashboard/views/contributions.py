"""Who writes toward a token? What the embedding, each head and each FFN adds to its logit."""

import streamlit as st

from interp.captures.activations import Activations
from interp.core.results import DataArray
from interp.core.sites import Stack
from interp.dashboard import footer
from interp.dashboard.words import in_plain_words, literal
from interp.figures.figure import Figure
from interp.figures.from_results import contribution_bars
from interp.figures.labels import isolated

TOP = 20


def show(seen: Activations, stack: Stack) -> None:
    """Bars toward one token, or toward one against another. Logits are written by the main stack, whatever `stack` is."""
    seen.model.require("contributions")
    places = _places(seen)
    chart, beside = st.columns([7, 4], gap="large")
    left, right = chart.columns(2)
    toward = left.selectbox(
        "Toward",
        list(places),
        index=len(places) - 1 if places else None,
        key=f"toward {seen.provenance.data} {seen.model.fingerprint}",
        accept_new_options=True,
        help="A token of the text, as predicted at the position before it; or type any other, told from the last position.",
    )
    against = right.text_input("Against", key="against", bind="query-params", placeholder="optional: a second token")
    if not toward:
        st.info("Type a token above: the text has only one, and nothing before it that could predict it.", icon=":material/edit:")
        return
    with chart, in_plain_words():
        asked = _arguments(seen, places, toward, against or "")
        result = seen.contributions(**asked)
        with beside:
            _sum(result)
        arguments = ", ".join([repr(asked.pop("token")), *(f"{name}={value!r}" for name, value in asked.items())])
        python = footer.python_of(seen, f"seen.contributions({arguments})")
        footer.draw(Figure(contribution_bars(result, top=TOP)), name=f"{seen.model.name}-contributions", python=python)


def _places(seen: Activations) -> dict[str, int]:
    """The tokens that were predicted: all but the first; in an encoder-decoder those that the decoder writes."""
    return {f"{pos} {isolated(token.strip() or repr(token))}": pos for pos, token in enumerate(seen.row().tokens) if pos}


def _arguments(seen: Activations, places: dict[str, int], toward: str, against: str) -> dict:
    """What `contributions` is asked: a token's first place in the text is found by its word, a later one by its position."""
    more = {"against": against} if against.strip() else {}
    if toward not in places:
        return {"token": toward, **more}
    pos = places[toward]
    row = seen.row()
    token = row.tokens[pos]
    first = [text.strip() for text in row.tokens].index(token.strip(), 1)
    return {"token": token, **more} if first == pos else {"token": row.ids[pos], "pos": pos - 1, **more}


def _sum(result: DataArray) -> None:
    logit, error = result.attrs["logit"], result.attrs["error"]
    asked = str(result.attrs["long_name"]).removeprefix("direct contribution ")
    st.metric(f"The model's logit {literal(asked)}", f"{logit:.3f}")
    st.caption(
        f"The parts add up to it within {error:.0e}. A part counts directly here, with the final norm's scale held: what it does "
        "through later layers is counted as theirs."
    )
