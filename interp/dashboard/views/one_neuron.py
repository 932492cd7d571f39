"""What does one neuron do? On the text above, by its weights, and over other texts: a run's, or generated sentences at hand."""

import os
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict

import streamlit as st

from interp.captures.activations import Activations
from interp.captures.at_hand import N_SENTENCES, read_at_hand
from interp.captures.atlas import neurons as atlas_neurons
from interp.captures.atlas.opened import Atlas
from interp.captures.one_neuron import Place, along, place_of, promoted_by, strongest_at
from interp.core.errors import DataError, ModelUnsupported
from interp.core.sites import Stack
from interp.dashboard import footer, served, stacks
from interp.dashboard.atlas import excerpts, run
from interp.dashboard.atlas.neuron import PROMOTED
from interp.dashboard.words import in_plain_words, into_address, literal
from interp.figures.figure import Figure
from interp.figures.from_profile import histogram_bars, label_bars
from interp.figures.from_results import token_bars
from interp.models.model import Model

MOST_RUNS = 3


def show(seen: Activations, stack: Stack) -> None:
    """On the left this text and the weights, on the right other texts."""
    seen.model.require("experts" if seen.model.anatomy.n_experts else "neurons")
    place = _choose(seen, stack)
    left, right = st.columns([5, 6], gap="large")
    with left:
        with in_plain_words():
            _here(seen, place)
        with in_plain_words():
            _promoted(seen.model, place)
    with right, in_plain_words():
        _elsewhere(seen.model, place)


def _choose(seen: Activations, stack: Stack) -> Place:
    """By its name; first the one with the largest activation on this text."""
    example = strongest_at(seen, stack or None)
    if str(st.session_state.get("neuron") or example)[:1] != example[:1]:
        st.session_state.pop("neuron", None)  # of the other stack
    into_address("neuron")
    help = f"Such as {example}, the strongest on this text; layers and neurons count from 0."
    written = st.text_input("Neuron", key="neuron", bind="query-params", width=180, placeholder=example, help=help)
    return place_of(seen.model, (written or "").strip() or example)


def _here(seen: Activations, place: Place) -> None:
    result = along(seen, str(place))
    if not result.notnull().any():
        st.info(f"No token of this text is sent to this neuron's expert, so {place} does nothing here.", icon=":material/call_split:")
        return
    python = footer.python_of(seen, f"along(seen, {str(place)!r})", "from interp.captures.one_neuron import along")
    footer.draw(Figure(token_bars(result, title=f"{place} along the text")), name=f"{seen.model.name}-{place}-along", python=python)


def _promoted(model: Model, place: Place) -> None:
    st.subheader("What it writes", anchor=False)
    try:
        up, down = promoted_by(model, str(place))
    except ModelUnsupported as why:
        st.info(literal(f"{why}."), icon=":material/block:")
        return
    excerpts.lists([("promotes", up), ("suppresses", down)], "logits per activation")
    st.caption(literal(PROMOTED))
    lines = "import interp\nfrom interp.captures.one_neuron import promoted_by\n"
    run.show_python(f"{lines}model = interp.load({model.name!r})\npromoted_by(model, {str(place)!r})", "promoted")


@st.fragment
def _elsewhere(model: Model, place: Place) -> None:
    """The neuron over a corpus: a run's, where its folder is given, else the sentences at hand."""
    with in_plain_words():
        folder = st.text_input(
            "Over a run of yours",
            os.environ.get(run.RUN, ""),
            key="neuron_run",
            bind="query-params",
            placeholder=f"a run's folder; without one, {N_SENTENCES} generated sentences",
            help="A folder that `interp profile MODEL CORPUS --out FOLDER --statistics atlas` made with this model.",
        )
        given = (folder or "").strip()
        try:
            atlas, lines = _of_run(model, given) if given else _at_hand(model)
        except ModelUnsupported as why:
            st.info(literal(f"{why}."), icon=":material/block:")
            return
        one = atlas_neurons.neuron(atlas, str(place))
        paired = model.anatomy.encoder_decoder
        what = f"Generated sentences of one simple grammar{', with their Chinese translations' if paired else ''}"
        made = "" if given else f"{what}: an idea of what it does, not a sample of language. "
        st.caption(literal(f"{made}{atlas.n_texts:,} {'pairs' if paired else 'texts'}, {atlas.n_tokens:,} tokens."))
        _top(atlas, one, lines)
        if not paired:  # pairs carry no parts of speech
            _labels(atlas, one, lines)
        _standing(atlas, one, lines)


def _of_run(model: Model, folder: str) -> tuple[Atlas, str]:
    atlas = run.open_run(served.path(folder))
    if atlas.made.fingerprint != model.fingerprint:
        raise DataError(
            f"{folder} is a run of {atlas.made.model} (weights {atlas.made.fingerprint}); expected one of {model.name} (weights "
            f"{model.fingerprint}): choose that model on the left, or another run"
        )
    return atlas, f"import interp\nfrom interp.captures.atlas import neurons\natlas = interp.atlas({str(atlas.folder)!r})"


def _at_hand(model: Model) -> tuple[Atlas, str]:
    lines = (
        "import interp\nfrom interp.captures.at_hand import read_at_hand\nfrom interp.captures.atlas import neurons\n"
        f"atlas = read_at_hand(interp.load({model.name!r}), 'run')"
    )
    runs, lock = _runs()
    with lock:
        kept = runs.setdefault(f"{model.name} {model.fingerprint}", AtHand())
        if kept.atlas is None:
            said = f"Reading {N_SENTENCES} generated sentences, once for this model …"
            bar = st.progress(0.0, said)
            kept.atlas = read_at_hand(model, kept.folder, tell=lambda done: bar.progress(min(1.0, done.share or 0.0), said))
            bar.empty()
        while len(runs) > MOST_RUNS:
            runs.popitem(last=False)
    return kept.atlas, lines


class AtHand:
    """A run over the sentences at hand, in a folder that goes when nobody uses it any more.

    One that was broken off, since another thing was chosen meanwhile, has no atlas yet: it goes on from its finished parts.
    """

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="interp-")
        self.atlas: Atlas | None = None
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


@st.cache_resource(max_entries=1, show_spinner=False)
def _runs() -> tuple[OrderedDict[str, AtHand], threading.Lock]:
    """Runs by model, the last few, for all sessions: they do not depend on what anybody typed."""
    return OrderedDict(), threading.Lock()


def _top(atlas: Atlas, one: atlas_neurons.Neuron, lines: str) -> None:
    st.subheader("Its top texts", anchor=False)
    if run.there(atlas, one.name("neuron_top")):
        found = atlas_neurons.top_texts(atlas, one)
        if not found:
            st.caption("No token of these texts was sent to it.")
            return
        excerpts.grid(excerpts.told(found))
        run.show_python(f"{lines}\nneurons.top_texts(atlas, neurons.neuron(atlas, {str(one)!r}))", "top")


def _labels(atlas: Atlas, one: atlas_neurons.Neuron, lines: str) -> None:
    """Its mean, and how often it is above 0, under each part of speech."""
    names = {"neuron_by_upos": ("mean activation", "mean"), "neuron_active_by_upos": ("share of tokens above 0", "active")}
    if not run.there(atlas, *map(one.name, names)):
        return
    for name, (long_name, short) in names.items():
        result = atlas_neurons.by_label(atlas, one, name).assign_attrs(long_name=long_name)
        python = f"{lines}\nneurons.by_label(atlas, neurons.neuron(atlas, {str(one)!r}), {name!r})"
        figure = Figure(label_bars(result, title=f"{one} by part of speech"))
        footer.draw(figure, name=f"{atlas.made.model}-{one}-upos-{short}", python=python)
    st.caption(
        "Tokens of words with that part of speech. How selective the shares are, and where that stands among all, is in the table below."
    )


def _standing(atlas: Atlas, one: atlas_neurons.Neuron, lines: str) -> None:
    st.subheader(f"{one} among all {one.sort}{stacks.of(one.stack)}", anchor=False)
    run.table_of(atlas_neurons.standings(atlas, one), "neuron-standings")
    run.show_python(f"{lines}\nneurons.standings(atlas, neurons.neuron(atlas, {str(one)!r}))", "standings")
    if run.there(atlas, one.name("neuron_histogram")):
        figure = Figure(histogram_bars(atlas_neurons.histogram(atlas, one), title=f"Tokens by activation, {one}"))
        python = f"{lines}\nneurons.histogram(atlas, neurons.neuron(atlas, {str(one)!r}))"
        footer.draw(figure, name=f"{atlas.made.model}-{one}-histogram", python=python)
