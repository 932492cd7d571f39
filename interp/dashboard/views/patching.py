"""Which places carry the answer from one text to the other? A grid of patches; one of them before and after, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import streamlit as st

from interp import api
from interp.captures.activations import Activations
from interp.captures.toward import token_id
from interp.core.errors import TextError
from interp.core.results import DataArray
from interp.core.sites import Stack
from interp.dashboard import footer, kept, served, stacks
from interp.dashboard.views import before_after, reading
from interp.dashboard.views.other_text import alike
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.figures.figure import Figure
from interp.figures.labels import isolated
from interp.figures.stream import patch_map
from interp.interventions.patch_grid import What
from interp.texts.tokens import spelled

WAYS = ("denoising", "noising")
WHAT_HELP = (
    "stream: what a block reads, at one token. attention, FFN: what the sublayer adds, at one token. heads: each head, at all tokens."
)
WAY_HELP = (
    "denoising: the other text runs, and what the text above has is put in: does this place bring the answer back? "
    "noising: the text above runs, and what the other one has is put in: does this place lose it?"
)
MEASURES = ("logit difference", "log probability", "final stream")
MEASURE_HELP = (
    "logit difference: of two answers. log probability: of one, in nats. final stream: how far it comes toward that of the text put in."
)
MOST_POSITIONS, AT_ONCE, KEPT = 64, 6_000, 8  # patched in one grid; tokens run without asking; grids of a session


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What `patch_grid` is asked, beside the texts."""

    what: What
    stack: Stack
    answers: tuple[int, ...]
    pos: int
    at: tuple[int, ...] | None

    @property
    def options(self) -> dict[str, Any]:
        more: dict[str, Any] = {"answers": self.answers} if self.answers else {}
        more |= {"stack": self.stack} if self.stack else {}
        return {"what": self.what, **more, "pos": self.pos, **({"at": list(self.at)} if self.at else {})}


def show(seen: Activations) -> None:
    """The other text and the choices, the grid, and one of its patches."""
    seen.model.require("ablation")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        typed = reading.typed(
            "other",
            "The other text",
            alike(seen),
            placeholder="as the text above, but for a word; of as many tokens",
            help="What is put at a position is what the other text has there: both have equally many tokens, and differ in what is asked.",
            follows=True,
        )
    other = kept.seen_on(seen.model, typed, None if seen.target is None else seen.target.text)
    what, stack, way, measure = _choices(seen)
    run, source = (other, seen) if way == "denoising" else (seen, other)
    _refuse_unlike(run, source, stack)
    asked = _asked(run, source, what, stack, measure)
    grid = _grid(run, source, asked)
    if grid is not None:
        _draw(run, source, asked, grid)


def _choices(seen: Activations) -> tuple[What, Stack, str, str]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        stack = stacks.choose(seen.model, cross=True)
        whats = [what for what in get_args(What) if stack != "X" or what in ("attention", "heads")]
        what = _segmented("what", "Patch", whats, WHAT_HELP)
        way = _segmented("way", "Way", WAYS, WAY_HELP)
        measure = _segmented("measure", "Told by", MEASURES if seen.model.anatomy.lm_head else MEASURES[-1:], MEASURE_HELP)
    return what, stack, way, measure  # type: ignore[return-value]


def _segmented(key: str, label: str, options: Sequence[str], help: str) -> str:
    follow_link(key, options, label.lower())
    if st.session_state.get(key) not in (None, *options):
        del st.session_state[key]
    return st.segmented_control(label, options, default=options[0], required=True, key=key, bind="query-params", help=help)


def _refuse_unlike(run: Activations, source: Activations, stack: Stack) -> None:
    """Before anything is chosen on the way: texts that cannot be patched."""
    row, other = run.row(stack or None), source.row(stack or None)
    if len(row) != len(other):
        raise TextError(
            f"the text that runs has {len(row)} tokens, the one to patch from has {len(other)}; expected equally many, as what is put at a "
            "position is what the other has there: change a word"
        )
    if all(mine.ids == theirs.ids for mine, theirs in ((run.example, source.example), (run.row(), source.row()))):
        raise TextError("the two texts are the same; expected two that differ in a word: change one in the field of the other text")


def _asked(run: Activations, source: Activations, what: What, stack: Stack, measure: str) -> _Asked:
    length = len(run.row(stack or None))
    at = None
    if what != "heads" and length > MOST_POSITIONS:
        first = _first_difference(run, source, stack)
        start = min(first, length - MOST_POSITIONS)
        at = tuple(range(start, start + MOST_POSITIONS))
        st.caption(f"Patched are positions {start} to {start + MOST_POSITIONS - 1} of {length}: from where the texts begin to differ.")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        pos = _read_at(run)
        answers = () if measure == "final stream" else _answers(run, source, pos, both=measure == "logit difference")
    return _Asked(what=what, stack=stack, answers=answers, pos=pos, at=at)


def _first_difference(run: Activations, source: Activations, stack: Stack) -> int:
    rows = zip(run.row(stack or None).ids, source.row(stack or None).ids, strict=True)
    return next((pos for pos, (mine, theirs) in enumerate(rows) if mine != theirs), 0)


def _read_at(run: Activations) -> int:
    options = {f"{pos} {isolated(token.strip() or repr(token))}": pos for pos, token in enumerate(run.row().tokens)}
    asked = str(st.session_state.get("told-at", st.query_params.get("told-at")))
    if asked not in options:  # the other way's token stands at the same place
        same = [name for name in options if name.partition(" ")[0] == asked.partition(" ")[0]]
        st.session_state["told-at"] = same[0] if same else list(options)[-1]
    return options[st.selectbox("Answer read at", list(options), key="told-at", bind="query-params", width=200)]


def _answers(run: Activations, source: Activations, pos: int, *, both: bool) -> tuple[int, ...]:
    """The tokens that were typed, or the likeliest on the text that is put in, and the likeliest on the one that runs."""
    model = run.model
    assert run.logits is not None  # told by the final stream where there are none
    assert source.logits is not None
    there, here = int(source.logits[pos].argmax()), run.logits[pos].argsort(descending=True).tolist()
    default = [there, next(token for token in here if token != there)]
    fields = [("answer", "Answer")] + ([("rather", "Rather than")] if both else [])
    found = []
    for (key, label), token in zip(fields, default, strict=False):
        written = reading.typed(key, label, "", placeholder=f"likeliest: {spelled(token, model.tokenizer)}", help=_ANSWER_HELP)
        found.append(token_id(model, written) if written.strip() else token)
    return tuple(found)


_ANSWER_HELP = "A single token. Empty: the likeliest next token on the text that is put in; to compare with, that on the text that runs."


def _grid(run: Activations, source: Activations, asked: _Asked) -> DataArray | None:
    """The grid, kept in the session; a large one behind a button, with its progress and a way to stop it."""
    grids: dict[tuple, DataArray] = st.session_state.setdefault("grids of patches", {})
    place = (run.model.fingerprint, run.provenance.data, source.provenance.data, asked)
    if place in grids:
        return grids[place]
    length = len(run.row(asked.stack or None))
    shape = run.model.anatomy.stack(asked.stack)
    n = shape.n_layers * (shape.n_heads if asked.what == "heads" else len(asked.at or range(length)))
    if n * length > AT_ONCE and not st.button(f"Run {n:,} patches of {length} tokens", type="primary", icon=":material/play_arrow:"):
        st.caption("A grid of this size takes a while. It can be stopped.")
        return None
    grids[place] = _run(run, source, asked)
    for old in list(grids)[:-KEPT]:
        del grids[old]
    return grids[place]


def _run(run: Activations, source: Activations, asked: _Asked) -> DataArray:
    """A click on Stop runs this view anew, which ends this run at its next step; what it did is undone with it."""
    served.spend("grids")
    room = st.empty()
    with room.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, "Patching …")
        st.button("Stop", key="stop-patching", icon=":material/stop:")

    def told(done: int, of: int) -> None:
        bar.progress(done / of, f"{done:,} of {of:,} patches")

    texts = before_after.text_of(run), before_after.text_of(source)
    grid = api.patch_grid(run.model, *texts, **asked.options, progress=told)
    room.empty()
    return grid


def _draw(run: Activations, source: Activations, asked: _Asked, grid: DataArray) -> None:
    layer, place = _chosen(run, asked, grid)
    dim = "head" if asked.what == "heads" else "pos"
    column = list(grid[dim].values).index(place)
    figure = Figure(patch_map(grid, marks=[(layer, column)]))
    st.plotly_chart(
        footer.on_page(figure, clickable=True),
        key="patches",
        on_select=_pick,
        selection_mode="points",
        config=footer.CONFIG,
        alt=figure.alt,
    )
    name = f"{run.model.name}-{asked.stack}patched-{asked.what}"
    footer.under(figure, name=name, python=_python(run, source, asked))
    site = f"{asked.stack}L{layer}" + {"stream": "", "heads": f"H{place}"}.get(asked.what, f" {asked.what}")
    at = None if asked.what == "heads" else place
    where = "" if at is None else f" at position {at}"
    st.subheader(literal(f"{site}{where}, before and after"))
    call = f"interp.patch(model, {site!r}, {_written(source)}{'' if at is None else f', at={at}'})"
    with in_plain_words():
        texts = before_after.text_of(source)
        before_after.show(run, lambda: api.patch(run.model, site, texts, at=at), call, name=f"patched-{site}-{at}")


def _chosen(run: Activations, asked: _Asked, grid: DataArray) -> tuple[int, int]:
    """The patch that is looked at: first the one that changes most; where none changes the answer, one where the texts differ."""
    dim = "head" if asked.what == "heads" else "pos"
    layer, place = divmod(int(abs(grid).fillna(-1).values.argmax()), grid.sizes[dim])
    if not grid.any() and dim == "pos":
        place = next((at for at in range(grid.sizes[dim]) if grid.token.values[at] != grid.source_token.values[at]), place)
    of = (run.provenance.data, asked)
    again = st.session_state.get("patches are of", of) != of  # another grid begins with its own largest
    st.session_state["patches are of"] = of
    layers, places = [str(one) for one in grid.layer.values], [str(one) for one in grid[dim].values]
    for key, options, first in (("patch-layer", layers, layers[layer]), ("patch-place", places, places[place])):
        asked_for = st.session_state.get(key, st.query_params.get(key))
        if again or asked_for not in options:
            st.session_state[key] = first
    with st.container(horizontal=True):
        chosen = st.selectbox("Layer", layers, key="patch-layer", bind="query-params", width=120, help="Choose here, or click a cell.")
        at = st.selectbox("Head" if dim == "head" else "Position", places, key="patch-place", bind="query-params", width=120)
    st.session_state["places of patches"] = places
    return int(chosen), int(at)


def _pick() -> None:
    """A click on a cell chooses its patch; a second click on the same cell leaves it chosen."""
    points = st.session_state["patches"].selection.points
    if points:
        st.session_state["patch-layer"] = str(int(points[0]["y"]))
        st.session_state["patch-place"] = st.session_state["places of patches"][int(points[0]["x"])]


def _python(run: Activations, source: Activations, asked: _Asked) -> str:
    options = ", ".join(f"{name}={value!r}" for name, value in asked.options.items())
    lines = ["import interp", f"model = interp.load({run.model.name!r})"]
    return "\n".join([*lines, f"interp.patch_grid(model, {_written(run)}, {_written(source)}, {options})"])


def _written(seen: Activations) -> str:
    """The text as Python has it."""
    if seen.windowed:
        return f"interp.capture(model, {seen.example.text!r}, window=True).example"
    return repr(seen.example.text if seen.target is None else (seen.example.text, seen.target.text))
