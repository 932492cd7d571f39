"""Let the model go on with the text: what it writes is put behind what stands in the field, and read like any text."""

import streamlit as st

from interp import api
from interp.captures.activations import Activations
from interp.dashboard import served
from interp.dashboard.views import reading
from interp.dashboard.words import in_plain_words, literal
from interp.models.continuation import MOST, Continuation, cannot_go_on
from interp.models.model import Model

SAID = {"length": "as many tokens as were asked for", "end": "the end-of-text token", "context": "the end of its context"}


def offer(seen: Activations) -> None:
    """A button that opens the choices; of a model that writes nothing it says so."""
    model, paired = seen.model, seen.target is not None
    why = cannot_go_on(model)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        label = "Let the model write the target" if paired else "Let the model go on"
        with st.popover(label, icon=":material/edit_note:", disabled=bool(why), help=f"{literal(model.name)} {why}." if why else None):
            _choices(model, seen.example.text, "" if seen.target is None else seen.target.text)
        _what_was_written(model, seen)


def _choices(model: Model, text: str, target: str) -> None:
    n = int(st.number_input("Tokens", 1, MOST, 20, key="n_written"))
    how = st.segmented_control("Each token", ["the likeliest", "drawn"], default="the likeliest", required=True, key="how_written")
    seed = int(st.number_input("Seed", 0, 2**31 - 1, 0, key="seed_written")) if how == "drawn" else None
    afresh = model.anatomy.encoder_decoder and st.checkbox("from the start, in place of the target", value=True, key="afresh")
    if st.button("Write", type="primary", key="write"):
        with in_plain_words(), st.spinner(f"{literal(model.name)} is writing …"):
            before = "" if afresh else target
            served.spend()
            found = api.continued(model, text, n, target=before, seed=seed)
            _keep(model, found, f"interp.continued(model, {text!r}, {n}{f', target={before!r}' if before else ''}{_seeded(seed)})")
            st.rerun()


def _seeded(seed: int | None) -> str:
    return "" if seed is None else f", seed={seed}"


def _keep(model: Model, found: Continuation, call: str) -> None:
    field = "target" if model.anatomy.encoder_decoder else "text"
    reading.replace(field, found.text + found.written)
    st.session_state["written"] = (model.name, field, found, call)


def _what_was_written(model: Model, seen: Activations) -> None:
    """How the text that stands in the field came to be; nothing once it was changed."""
    name, field, found, call = st.session_state.get("written", ("", "", None, ""))
    now = seen.target.text if field == "target" and seen.target is not None else seen.example.text
    if found is None or name != model.name or now != found.text + found.written:
        return
    least = min(zip(found.probabilities, found.tokens, strict=True), default=None)
    doubt = "" if least is None else f" It was least sure of {least[1].strip()!r} ({least[0]:.2f})."
    st.caption(literal(f"{name} wrote {len(found.ids)} tokens, up to {SAID[found.ended]}.{doubt}"))
    if st.button("Take them back", type="tertiary", icon=":material/undo:", key="take_back"):
        reading.replace(field, found.text or reading.TARGET)
        st.rerun()
    with st.popover("Python", type="tertiary", icon=":material/code:", key="written-python"):
        st.code(f"import interp\nmodel = interp.load({name!r})\n{call}.written", language="python")
