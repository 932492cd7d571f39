"""Two runs beside each other, four ways: all heads, one head's pattern, norms by layer, the next token."""

from collections.abc import Callable, Mapping
from typing import get_args

import numpy as np
import streamlit as st

from interp.captures.activations import Activations, Form
from interp.captures.compared import NORMS, Compared, Pair
from interp.core.sites import Stack, head_site
from interp.dashboard import footer, stacks
from interp.dashboard.words import follow_link, literal
from interp.figures.compared import difference_bars, heats, norm_lines, token_bars
from interp.figures.description import Description
from interp.figures.figure import Figure
from interp.measures.head_statistics import HEAD_STATISTICS
from interp.models.points import Kind

FORMS: Mapping[Form, str] = {"raw": "raw", "moved": "norm-weighted", "without_first": "without first token"}
MOST_TOKENS, N_LARGEST = 96, 8
assert set(FORMS) == set(get_args(Form))


def _head_map(both: Compared, lines: str) -> None:
    _require(both, "patterns")
    left, right = st.columns([2, 5], vertical_alignment="bottom")
    with right:
        stack = _stack(both, cross=True)
    statistics = {name: known.long_name for name, known in HEAD_STATISTICS.items() if stack != "X" or name == "entropy"}
    with left:
        follow_link("statistic", statistics, "the statistic")
        statistic = st.selectbox(
            "Statistic of each head", list(statistics), format_func=statistics.__getitem__, key="statistic", bind="query-params"
        )
    pair = both.head_map(statistic, stack or None)
    largest = _largest(pair)
    drawn = heats(pair, both.names, marks=(largest[0][0],) if largest else ())
    _draw(both, pair, drawn, f"{statistic}{stack}", f"{lines}\nboth.head_map({statistic!r}{stacks.argument(stack)})", largest)


def _pattern(both: Compared, lines: str) -> None:
    _require(both, "patterns")
    left, middle, right = st.columns([2, 2, 4], vertical_alignment="bottom")
    with right:
        stack = _stack(both, cross=True)
        form = _form()
    ours, theirs = _heads(both.first, stack), _heads(both.second, stack)
    with left:
        follow_link("head", ours, "the head")
        head = st.selectbox("Head", ours, key="head", bind="query-params")
    other = head
    if ours != theirs:
        with middle:
            follow_link("head-2", theirs, "the second head")
            other = st.selectbox(literal(f"Head of {both.names[1]}"), theirs, key="head-2", bind="query-params")
    second = f", other={other!r}" if other != head else ""
    pair = both.pattern(head, form, other=other)
    shown, window = _window(pair)
    python = f"{lines}\nboth.pattern({head!r}, {form!r}{second})"
    _draw(both, shown, heats(shown, both.names), f"{head}-{form}", python, [], rest=window)


def _form() -> Form:
    follow_link("form", FORMS, "the form")
    return st.segmented_control(
        "Attention pattern", list(FORMS), format_func=FORMS.__getitem__, default="raw", required=True, key="form", bind="query-params"
    )


def _window(pair: Pair) -> tuple[Pair, str]:
    """Of a long text the tokens from a chosen one on; and how that is said in Python."""
    longest = max(max(one.shape) for one in (pair.first, pair.second))
    if longest <= MOST_TOKENS:
        return pair, ""
    start = int(st.number_input("From token", 0, longest - MOST_TOKENS, 0, MOST_TOKENS // 2, key="from", bind="query-params", width=180))
    there = {"query_pos": slice(start, start + MOST_TOKENS), "key_pos": slice(start, start + MOST_TOKENS)}
    if any(start >= size for one in (pair.first, pair.second) for size in one.shape):
        start, there = 0, {"query_pos": slice(0, MOST_TOKENS), "key_pos": slice(0, MOST_TOKENS)}
    st.caption(f"Tokens {start} to {start + MOST_TOKENS - 1} of {longest} are drawn, both as queries and as keys.")
    cut = Pair(
        first=pair.first.isel(there),
        second=pair.second.isel(there),
        difference=None if pair.difference is None else pair.difference.isel(there),
        why_not=pair.why_not,
    )
    cell = f"slice({start}, {start + MOST_TOKENS})"
    return cut, f".isel(query_pos={cell}, key_pos={cell})"


def _norms(both: Compared, lines: str) -> None:
    left, right = st.columns([2, 5], vertical_alignment="bottom")
    with left:
        follow_link("written", NORMS, "what is measured")
        kind = st.selectbox("Length of", list(NORMS), format_func=NORMS.__getitem__, key="written", bind="query-params")
    with right:
        stack = _stack(both)
    pair = both.norms(kind, stack or None)
    name, python = f"{kind}{stack}", f"{lines}\nboth.norms({kind!r}{stacks.argument(stack)})"
    left, right = st.columns(2, gap="large")
    with left:
        _figure(both, norm_lines(pair, both.names), f"norms-{name}", _norm_python(lines, kind, stack))
    with right:
        _difference(both, pair, difference_bars(pair, both.names), f"norms-{name}", f"{python}.difference")


def _norm_python(lines: str, kind: Kind, stack: Stack) -> str:
    """The figure with both lines."""
    head, *rest = lines.split("\n")
    drawn = f"drawn.norm_lines(both.norms({kind!r}{stacks.argument(stack)}), both.names)"
    return "\n".join([head, "from interp.figures import compared as drawn", *rest, drawn])


def _next(both: Compared, lines: str) -> None:
    pos = _position(both)
    pair = both.next_tokens(pos)
    python = f"{lines}\nboth.next_tokens({'' if pos is None else pos})"
    one, other = token_bars(pair, both.names)
    left, right = st.columns(2, gap="large")
    with left:
        _figure(both, one, f"next-first-{pos}", f"{python}.first")
    with right:
        _figure(both, other, f"next-second-{pos}", f"{python}.second")
    left, right = st.columns(2, gap="large")
    with left:
        _difference(both, pair, difference_bars(pair, both.names), f"next-{pos}", f"{python}.difference")
    if pair.difference is not None:
        with right:
            st.metric("Jensen-Shannon divergence", f"{pair.difference.attrs['divergence_nats']:.4f} nats", width="content")
            st.caption("Over the whole vocabulary; 0 for equal distributions, ln 2 = 0.6931 for ones that share no token.")


def _position(both: Compared) -> int | None:
    """A position of both, where they read the same tokens; else the last of each."""
    row = both.first.row()
    if both.same_tokens():
        st.caption("After the last token of each, since the two do not read the same tokens.")
        return None
    labels = [f"{pos} {token.strip() or repr(token)}" for pos, token in enumerate(row.tokens)]
    follow_link("after", labels, "the position")
    if st.session_state.get("after") not in labels:
        st.session_state.pop("after", None)
    what = "After" if both.first.model.anatomy.causal else "At"
    chosen = st.selectbox(what, labels, index=len(labels) - 1, key="after", bind="query-params", width=260)
    return labels.index(chosen)


VIEWS: Mapping[str, Callable[[Compared, str], None]] = {
    "Head map": _head_map,
    "Pattern": _pattern,
    "Norms": _norms,
    "Next token": _next,
}


def _require(both: Compared, feature: str) -> None:
    for seen in (both.first, both.second):
        seen.model.require(feature)


def _stack(both: Compared, *, cross: bool = False) -> Stack:
    """Whose layers, where one of the two has several stacks."""
    paired = both.first.model if both.first.target is not None else both.second.model
    return stacks.choose(paired, cross=cross)


def _heads(seen: Activations, stack: Stack) -> list[str]:
    own = stack if seen.target is not None else ""
    shape = seen.model.anatomy.stack(own)
    return [head_site(layer, head, own) for layer in range(shape.n_layers) for head in range(shape.n_heads)]


def _largest(pair: Pair) -> list[tuple[str, float, float, float]]:
    """The heads that differ most: site, first, second, difference."""
    if pair.difference is None:
        return []
    sites, values = pair.first.site.values.ravel(), pair.difference.values.ravel()
    order = [at for at in np.argsort(-np.abs(values), kind="stable")[:N_LARGEST] if np.isfinite(values[at])]
    rows = pair.first.values.ravel(), pair.second.values.ravel(), values
    return [(str(sites[at]), *(float(row[at]) for row in rows)) for at in order]  # type: ignore[misc]


def _draw(both: Compared, pair: Pair, drawn: tuple, name: str, python: str, largest: list, *, rest: str = "") -> None:
    """Both above, the difference below, and beside it where it is largest."""
    first, second, difference = drawn
    left, right = st.columns(2, gap="large")
    with left:
        _figure(both, first, f"{name}-first", f"{python}.first{rest}")
    with right:
        _figure(both, second, f"{name}-second", f"{python}.second{rest}")
    left, right = st.columns(2, gap="large")
    with left:
        _difference(both, pair, difference, name, f"{python}.difference{rest}")
    with right:
        if largest:
            _table(both, largest)
        if both.apart and pair.difference is not None:
            st.caption(
                "The two were trained apart, so that their heads have no common numbering: this is a difference between places, not "
                "between roles. A role may come again at another place."
            )


def _table(both: Compared, largest: list) -> None:
    st.markdown("**Where they differ most**")
    one, other = both.names
    st.dataframe(
        {
            "head": [row[0] for row in largest],
            one: [row[1] for row in largest],
            other: [row[2] for row in largest],
            "difference": [row[3] for row in largest],
        },
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.4g") for name in (one, other, "difference")},
    )


def _difference(both: Compared, pair: Pair, drawn: Description | None, name: str, python: str) -> None:
    if drawn is None:
        st.info(literal(pair.why_not), icon=":material/block:", title="No difference")
    else:
        _figure(both, drawn, f"{name}-difference", python)


def _figure(both: Compared, drawn: Description, name: str, python: str) -> None:
    footer.draw(Figure(drawn), name=f"{both.first.model.name}-compared-{name}", python=python)
