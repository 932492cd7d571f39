"""Before and after an intervention, side by side: loss and KL token by token, the likeliest next tokens, how far the stream moved."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from interp import api
from interp.captures.activations import Activations
from interp.core.results import Dataset
from interp.dashboard import footer
from interp.dashboard.words import literal
from interp.figures.figure import Figure
from interp.figures.labels import isolated
from interp.figures.stream import depth_map, loss_rows, next_token_bars
from interp.models.reading import Text

NEEDED = "from interp.figures.stream import next_token_bars"


def show(seen: Activations, intervention: Callable[[], AbstractContextManager], call: str, *imports: str, name: str) -> None:
    """The comparison, by what the model tells: one without a head by its stream alone.

    Args:
        seen: the text as it is.
        intervention: makes the `with` block; call: the Python that does, over `model` and `text`; imports: lines that it needs.
        name: of the files.
    """
    columns = st.columns([5, 4, 4, 4, 4])
    with columns[0]:
        pos = _position(seen) if seen.model.anatomy.lm_head else len(seen.row()) - 1
    compared = api.side_by_side(seen.model, text_of(seen), intervention, pos=pos)
    python = python_of(seen, call, pos, *imports)
    stem = f"{seen.model.name}-{name}"
    if "kl" not in compared:
        st.caption(literal(_no_head(seen)))
        _moved(compared, stem, python)
        return
    _figures(compared, columns[1:])
    left, right = st.columns([7, 5], gap="large")
    with left:
        footer.draw(Figure(loss_rows(compared)), name=f"{stem}-loss", python=f"{python}\ncompared")
        _moved(compared, stem, python)
    with right:
        _next(compared, stem, python_of(seen, call, pos, NEEDED, *imports))


def text_of(seen: Activations) -> Text:
    """What ran."""
    return seen.example if seen.target is None else (seen.example, seen.target)


def python_of(seen: Activations, call: str, pos: int, *imports: str) -> str:
    """The lines that compare; the last names the result `compared`."""
    if seen.windowed:
        text = f"interp.capture(model, {seen.example.text!r}, window=True).example"
    else:
        text = repr(seen.example.text if seen.target is None else (seen.example.text, seen.target.text))
    lines = ["import interp", *imports, f"model = interp.load({seen.model.name!r})", f"text = {text}"]
    return "\n".join([*lines, f"compared = interp.side_by_side(model, text, lambda: {call}, pos={pos})"])


def _position(seen: Activations) -> int:
    """The position whose next tokens are told: the last, until another is chosen."""
    tokens = seen.row().tokens
    options = {f"{pos} {isolated(token.strip() or repr(token))}": pos for pos, token in enumerate(tokens)}
    asked = st.session_state.get("at", st.query_params.get("at"))
    if asked not in options:
        st.session_state["at"] = list(options)[-1]
    return options[
        st.selectbox(
            "Next tokens at" if seen.model.anatomy.causal else "Prediction at",
            list(options),
            key="at",
            bind="query-params",
            help="The position whose prediction is listed on the right.",
        )
    ]


def _figures(compared: Dataset, columns: Sequence[DeltaGenerator]) -> None:
    """The figures in one line: what it costs, and how much became different."""
    if "loss_before" in compared:
        before, after = (float(compared[f"loss_{when}"].mean()) for when in ("before", "after"))
        columns[0].metric("Loss before [nats]", f"{before:.3f}")
        columns[1].metric("Loss after [nats]", f"{after:.3f}", f"{after - before:+.3f} nats", delta_color="inverse")
    columns[2].metric("KL, mean [nats]", f"{float(compared['kl'].mean()):.3f}")
    columns[3].metric("Final stream moved", f"{float(compared['moved'][-1].mean()):.1%}")


def _next(compared: Dataset, stem: str, python: str) -> None:
    before, after = compared["log_prob_before"], compared["log_prob_after"]
    footer.draw(Figure(next_token_bars(compared)), name=f"{stem}-next", python=f"{python}\nnext_token_bars(compared)")
    st.dataframe(
        {
            "token": [str(token) for token in before.candidate.values],
            "before": before.values,
            "after": after.values,
            "change": after.values - before.values,
        },
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(f"{name} [nats]", format="%.3f") for name in ("before", "after", "change")},
    )


def _moved(compared: Dataset, stem: str, python: str) -> None:
    title = "How far the stream moved, relative to its size"
    footer.draw(Figure(depth_map(compared["moved"], title=title)), name=f"{stem}-moved", python=f'{python}\ncompared["moved"]')


def _no_head(seen: Activations) -> str:
    return f"{seen.model.name} has no trained token-predicting head, so nothing is predicted: what can be compared is its stream."
