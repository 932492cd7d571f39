"""Why this token, and not that one? What the embedding and each sublayer, head or neuron write toward it, or against the other."""

import re
from typing import Any, get_args

import streamlit as st

from interp.captures.activations import Activations
from interp.captures.components import By
from interp.core.results import DataArray
from interp.dashboard import footer
from interp.dashboard.views import reading
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.figures.figure import Figure
from interp.figures.from_results import contribution_bars
from interp.figures.labels import isolated

TOP = 20
PARTS: tuple[By, ...] = get_args(By)
PARTS_HELP = "sublayer: attention and FFN as wholes. head: attention by its heads. neuron: the FFNs by their neurons as well."


def show(seen: Activations) -> None:
    """Bars toward one token, or toward one against another; what they add up to beside. Logits are written by the main stack."""
    seen.model.require("contributions")
    places = _places(seen)
    toward, against, by = _choices(places)
    chart, beside = st.columns([7, 4], gap="large")
    if not toward:
        st.info("Type a token above: the text has only one, and nothing before it that could predict it.", icon=":material/edit:")
        return
    with chart, in_plain_words():
        asked = _arguments(seen, places, toward, against)
        result = seen.contributions(**asked, by=by)
        with beside:
            _sum(result, by)
        arguments = ", ".join([repr(asked.pop("token")), *(f"{name}={value!r}" for name, value in asked.items()), f"by={by!r}"])
        python = footer.python_of(seen, f"seen.contributions({arguments})")
        footer.draw(Figure(contribution_bars(result, top=TOP)), name=f"{seen.model.name}-contributions-{by}", python=python)


def _choices(places: dict[str, int]) -> tuple[str, str, By]:
    left, middle, right = st.columns([3, 3, 5], vertical_alignment="top")
    _begin(places)
    with left:
        toward = st.selectbox(
            "Toward",
            _offered(places),
            index=None,
            key="toward",
            bind="query-params",
            accept_new_options=True,
            placeholder="type a token",
            help="A token of the text, as predicted at the position before it; or type any other, told from the last position.",
        )
    with middle:
        against = reading.typed("against", "Against", "", placeholder="optional")
    follow_link("by", list(PARTS), "the parts")
    by = right.segmented_control("By", list(PARTS), default="head", required=True, key="by", bind="query-params", help=PARTS_HELP)
    return _there(toward or "", places), against, by


def _there(toward: str, places: dict[str, int]) -> str:
    """A place of this text, or a token that was typed; a link to a place of another text is not obeyed without a word."""
    if toward in places or not re.match(r"\d+ .", toward) or not places:
        return toward
    last = list(places)[-1]
    st.warning(literal(f"The link asks for the token {toward!r}, which is not here; shown is {last!r}."), icon=":material/link_off:")
    return last


def _begin(places: dict[str, int]) -> None:
    """First the last token; after another text was typed, its last one. A token that was typed stays."""
    asked = st.session_state.get("toward", st.query_params.get("toward"))
    of_a_text = re.match(r"\d+ .", str(asked or ""))
    if places and asked not in places and (not asked or (of_a_text and "toward" in st.session_state)):
        st.session_state["toward"] = list(places)[-1]


def _offered(places: dict[str, int]) -> list[str]:
    """The places of the text, and what was typed."""
    asked = st.session_state.get("toward", st.query_params.get("toward"))
    return [*places, *([asked] if asked and asked not in places else [])]


def _places(seen: Activations) -> dict[str, int]:
    """The tokens that were predicted: all but the first; in an encoder-decoder those that the decoder writes."""
    return {f"{pos} {isolated(token.strip() or repr(token))}": pos for pos, token in enumerate(seen.row().tokens) if pos}


def _arguments(seen: Activations, places: dict[str, int], toward: str, against: str) -> dict[str, Any]:
    """What `contributions` is asked: a token's first place in the text is found by its word, a later one by its position."""
    more = {"against": against} if against.strip() else {}
    if toward not in places:
        return {"token": toward, **more}
    pos = places[toward]
    row = seen.row()
    token = row.tokens[pos]
    first = [text.strip() for text in row.tokens].index(token.strip(), 1)
    return {"token": token, **more} if first == pos else {"token": row.ids[pos], "pos": pos - 1, **more}


def _sum(result: DataArray, by: By) -> None:
    logit, error = result.attrs["logit"], result.attrs["error"]
    asked = str(result.attrs["long_name"]).removeprefix("direct contribution ")
    st.metric("The model's logit", f"{logit:.3f}")
    mixed = " A mixture of experts is one part." if by == "neuron" and any("FFN" in part[-3:] for part in result.component.values) else ""
    st.caption(
        f"{literal(asked[:1].upper() + asked[1:])}. The {result.sizes['component']:,} parts add up to it within {error:.0e}. A part counts "
        f"directly here, with the final norm's scale held: what it does through later layers is counted as theirs.{mixed}"
    )
