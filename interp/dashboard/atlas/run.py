"""Which run is looked at, and what is behind its numbers? What stands in the sidebar, and what every page of the atlas has."""

import os
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from interp.captures.atlas import missing
from interp.captures.atlas.heads import Standing
from interp.captures.atlas.opened import HOW, RESULT, Atlas, open_atlas
from interp.captures.atlas.statistics import made_by
from interp.core.results import DataArray
from interp.dashboard import footer, served
from interp.dashboard.links import RUN
from interp.dashboard.words import in_plain_words, literal
from interp.figures.description import quantity
from interp.figures.figure import Figure

KEPT = 4


def chosen() -> Atlas | None:
    """The run that the address, the field or the command line names, opened; None when there is none, and then the page says why."""
    with st.sidebar:
        typed = st.text_input(
            "Folder of a run",
            os.environ.get(RUN, ""),
            key="run",
            bind="query-params",
            placeholder="path/to/run",
            help=f"What `{HOW}` made, on the machine where the dashboard runs.",
        )
    folder = (typed or "").strip()
    if not folder:
        st.info(f"Give the folder of a run on the left. One is made by `{HOW}`.", icon=":material/folder_open:")
        return None
    found: Atlas | None = None
    with in_plain_words():
        found = open_run(folder if folder == os.environ.get(RUN) else served.path(folder))
    if found is not None:
        with st.sidebar:
            _about(found)
    return found


def open_run(folder: str) -> Atlas:
    """A run, opened once for all sessions; again when its result was written anew. Raises: DataError."""
    place = Path(folder).expanduser()
    result = place / RESULT
    written = (result.stat().st_mtime_ns, result.stat().st_size) if result.is_file() else None
    return open_atlas(place) if written is None else _opened(str(place), written)


@st.cache_resource(max_entries=KEPT, show_spinner="Opening the run …")
def _opened(place: str, written: tuple[int, int]) -> Atlas:
    return open_atlas(place)


def _about(atlas: Atlas) -> None:
    made = atlas.made
    st.caption(literal(f"Model {made.model}: {atlas.n_texts:,} texts, {atlas.n_tokens:,} tokens."))
    bad = int(atlas.profile.attrs.get("n_bad", 0))
    if bad:
        st.caption(literal(f"{bad} bad records were left out."))
    if atlas.profile.attrs.get("left_out"):
        st.caption(literal(f"Not kept: {atlas.profile.attrs['left_out']}."))
    with st.expander("What was run", icon=":material/receipt_long:"):
        st.caption(literal(f"Statistics: {', '.join(atlas.about.get('statistics', [])) or 'not known, since run.json is lost'}."))
        st.caption(literal(f"Versions: {', '.join(f'{name} {version}' for name, version in made.versions.items())}."))


def title(atlas: Atlas, name: str) -> None:
    """The page's title, with the run that it is about."""
    st.title(name)
    over = f"over {atlas.n_texts:,} texts of {atlas.n_tokens:,} tokens ({atlas.corpus})"
    st.caption(literal(f"Model {atlas.made.model} (weights {atlas.made.fingerprint}) {over}."))


def origin(atlas: Atlas) -> str:
    """Model, weights and corpus, in the words of every caption."""
    return f"Model {atlas.made.model} (weights {atlas.made.fingerprint}), data {atlas.made.data}."


def computed(result: DataArray) -> str:
    """Which pass made a statistic, over how many cases; "" where the run does not say."""
    by = made_by(result)
    return "Computed from the weights alone." if by == "weights" else f"Computed by the {by} pass." if by else ""


def there(atlas: Atlas, *names: str) -> bool:
    """Whether the run has all of these; else the page says what is missing and how to get it."""
    for name in names:
        if not atlas.has(name):
            said = missing.told(name, atlas.about, atlas.about.get("statistics", ()))
            st.info(literal(f"{said[:1].upper()}{said[1:]}."), icon=":material/block:")
            return False
    return True


def python(atlas: Atlas, expression: str, *imports: str) -> str:
    """The lines that give the same object. Args: expression: over `atlas`; imports: names out of `interp.captures.atlas`."""
    lines = ["import interp", *([f"from interp.captures.atlas import {', '.join(imports)}"] if imports else [])]
    return "\n".join([*lines, f"atlas = interp.atlas({str(atlas.folder)!r})", expression])


def show_python(lines: str, key: str) -> None:
    """The lines behind something that is no figure."""
    with st.popover("Python", type="tertiary", icon=":material/code:", key=f"{key}-python"):
        st.code(lines, language="python")


def draw(atlas: Atlas, figure: Figure, name: str, expression: str, *imports: str) -> None:
    """A figure with its files, its Python, and the run in its name."""
    footer.draw(figure, name=f"{Path(atlas.made.model).name}-{name}", python=python(atlas, expression, *imports))


def table_of(standings: Sequence[Standing], key: str) -> None:
    """Every statistic of a head or a neuron, with its place among all of them."""
    st.dataframe(
        {
            "statistic": [quantity(each.long_name, each.units) for each in standings],
            "value": [each.value for each in standings],
            "place": [f"{each.place} of {each.of}" for each in standings],
            "computed by": [each.made_by for each in standings],
        },
        hide_index=True,
        key=key,
        height=min(38 + 35 * len(standings), 420),
        column_config={
            "statistic": st.column_config.TextColumn(width=195),
            "value": st.column_config.NumberColumn(format="%.4g", width=60),
            "place": st.column_config.TextColumn(width=88, help="Among all of them, the largest first."),
        },
    )
