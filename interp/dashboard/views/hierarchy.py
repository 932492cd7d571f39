"""The page Hierarchy: which task can be read at which layer, in which order they arise, and what brings a word's sense."""

from typing import get_args

import streamlit as st

from interp import api
from interp.claims import hierarchy, senses_by_layer
from interp.claims.hierarchy import TASKS, Hierarchy
from interp.claims.protocols.parts.probe_tasks import Feature, TaskName
from interp.claims.senses_by_layer import SensesByLayer
from interp.core.errors import DataError
from interp.dashboard import footer, long_work
from interp.dashboard.views import data_field, verdict_sheet
from interp.dashboard.words import follow_link, in_plain_words, literal
from interp.figures.figure import Figure
from interp.figures.hierarchy import Place, added_bars, control_lines, place_bars, sense_lines, task_lines
from interp.models.model import Model

_TASKS = {
    "upos": "part of speech",
    "chunk": "chunk",
    "head_distance": "distance to its head",
    "deprel": "relation to its head",
    "sense": "sense",
}
NAMES: dict[str, str] = {**_TASKS, **dict.fromkeys(get_args(Feature), "a word's form")}
assert set(NAMES) == set(get_args(TaskName))
_LEGEND = "; ".join(f"{name}: {words}" for name, words in _TASKS.items()) + "; all others: features of a word's form, where marked."
PROBES, SENSES = "Tasks by layer", "Disambiguation"
WORDS = (500, 1000, 1500, 3000)
_FIGURES = "from interp.figures import hierarchy as drawn"


def show(model: Model) -> None:
    """The page, over a model that has been loaded."""
    st.title("Hierarchy")
    st.caption(
        "Linear probes on the stream before the first layer and after each, on documents that they were not fitted on. What a probe reads "
        "is there to be read; whether the model uses it is another question."
    )
    with in_plain_words():
        follow_link("part", (PROBES, SENSES), "the part")
        part = st.segmented_control(
            "Part", (PROBES, SENSES), default=PROBES, required=True, key="part", bind="query-params", label_visibility="collapsed"
        )
        outside = (hierarchy if part == PROBES else senses_by_layer).why_not(model)
        if outside:
            st.info(literal(f"{model.name} {outside}."), icon=":material/block:", title="Not shown for this model")
        elif part == PROBES:
            _tasks(model)
        else:
            _senses(model)


def _tasks(model: Model) -> None:
    left, middle, right = st.columns([5, 4, 2], vertical_alignment="bottom")
    with left:
        tasks = st.multiselect(
            "Tasks, in the order in which they are said to arise",
            list(NAMES),
            default=list(TASKS),
            key="tasks",
            bind="query-params",
            help=f"The test is of the order in which they stand here. {_LEGEND}",
        )
    with middle:
        data = data_field.ask("treebank", default="grammar")
    with right:
        n_items = _n_words()
    place = ("hierarchy", model.name, model.fingerprint, data_field.stamp(data), tuple(tasks), n_items)
    asked = f"{data!r}, tasks={tasks}, n_items={n_items}"
    if _run_button(model, lacking=not tasks or not data):
        kept = long_work.parts(place)
        long_work.start(
            place,
            f"Probing {model.name} for {', '.join(tasks)}",
            lambda tell: api.hierarchy(model, data, tasks=tasks, n_items=n_items, stages=kept, progress=tell),
        )
    long_work.show()
    found: Hierarchy | None = long_work.found(place)
    if found is None and not long_work.busy():
        _nothing_yet("the probes, the control tasks and five untrained twins")
    elif found is not None:
        _order(found)
        _lines(found, model, f"import interp\n{_FIGURES}\nfound = interp.hierarchy(interp.load({model.name!r}), {asked})")


def _n_words() -> int:
    options = [str(n) for n in WORDS]
    follow_link("words", options, "the number of words")
    return int(
        st.selectbox("Words", options, index=options.index("1500"), key="words", bind="query-params", help="Drawn evenly over documents.")
    )


def _run_button(model: Model, *, lacking: bool) -> bool:
    return st.button(
        f"Run on {literal(model.name)}",
        type="primary",
        icon=":material/play_arrow:",
        disabled=lacking or long_work.busy(),
        key="run-probes",
    )


def _nothing_yet(what: str) -> None:
    st.caption(f"Nothing was run yet with these choices. A run does {what}: about a minute on the bundled models, longer on larger ones.")


def _order(found: Hierarchy) -> None:
    """The verdict in words, with its numbers."""
    verdict = found.verdict
    with st.container(border=True, key="order"):
        colour, icon = verdict_sheet.OUTCOMES[verdict.outcome]
        why = f" :gray[({verdict_sheet.REASONS[verdict.reason]})]" if verdict.reason else ""
        st.subheader(f":{colour}[{icon} {verdict.outcome.capitalize()}]{why}: {literal(verdict.claim['statement'])}", anchor=False)
        st.markdown(literal(f"{verdict.summary} {_numbers(found)}"))
        with st.expander("Evidence and controls"):
            verdict_sheet.tables(verdict)
        st.caption(literal(f"{found.elapsed_s:.0f} s. It does not show {verdict.claim['does_not_show']}"))


def _numbers(found: Hierarchy) -> str:
    verdict = found.verdict
    if not verdict.evidence:
        flat = [task for task in found.tasks if not bool(found.probes.rises.sel(task=task))]
        return f"The order was not tested: nowhere above the stream before the first layer for sure is {' and '.join(flat)}."
    return " ".join(
        f"{one.name[:1].upper()}{one.name[1:]}: {one.effect:+.2f} {one.unit} over {one.baseline_name}, {one.level:.0%} interval "
        f"{one.low:+.2f} to {one.high:+.2f}; {one.smallest_effect:g} matters; adjusted p {one.p_adjusted:.2g}; n = {one.n_items}."
        for one in verdict.evidence
    )


@st.fragment
def _lines(found: Hierarchy, model: Model, python: str) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        _draw(task_lines(found), f"{model.name}-probes", f"{python}\ndrawn.task_lines(found)")
    with right:
        _draw(task_lines(found, "selectivity"), f"{model.name}-selectivity", f"{python}\ndrawn.task_lines(found, 'selectivity')")
    left, right = st.columns(2, gap="large")
    with left:
        _places(found, "expected_layer", f"{model.name}-expected-layer", f"{python}\ndrawn.place_bars(found)")
    with right:
        _places(found, "centre_of_gravity", f"{model.name}-centre", f"{python}\ndrawn.place_bars(found, 'centre_of_gravity')")
    left, right = st.columns(2, gap="large")
    with left:
        follow_link("task", found.tasks, "the task")
        task = st.selectbox("One task beside its controls", found.tasks, key="task", bind="query-params")
        _draw(control_lines(found, task), f"{model.name}-{task}", f"{python}\ndrawn.control_lines(found, {task!r})")
    with right:
        _table(found)


def _draw(description, name: str, python: str) -> None:
    footer.draw(Figure(description), name=name, python=python)


def _table(found: Hierarchy) -> None:
    """The numbers by task."""
    best = {task: int(found.probes.accuracy.sel(task=task).values.argmax()) for task in found.tasks}
    rows = {
        "read best": lambda task, one: "before L0" if best[task] == 0 else f"after L{best[task] - 1}",
        "accuracy there": lambda task, one: f"{float(one.accuracy[best[task]]):.3f}",
        "on its control task": lambda task, one: f"{float(one.control_accuracy[best[task]]):.3f}",
        "untrained twins, at best": lambda task, one: f"{float(one.untrained.max()):.3f}",
        "form's most frequent label": lambda task, one: f"{float(one.form_accuracy):.3f}",
        "words": lambda task, one: str(int(one.n_items)),
        "documents": lambda task, one: str(int(one.n_documents)),
    }
    st.markdown("**By task**")
    told = {task: [of(task, found.probes.sel(task=task)) for of in rows.values()] for task in found.tasks}
    st.table({"": list(rows), **{literal(task): column for task, column in told.items()}}, hide_index=True, border="horizontal")
    st.caption(literal("; ".join(f"{task}: {NAMES[task]}" for task in found.tasks)))


def _places(found: Hierarchy, what: Place, name: str, python: str) -> None:
    """Bars, or why there are none."""
    try:
        _draw(place_bars(found, what), name, python)
    except DataError as none:
        st.info(literal(f"{str(none)[:1].upper()}{str(none)[1:]}."), icon=":material/block:")


def _senses(model: Model) -> None:
    left, right, _ = st.columns([4, 2, 5], vertical_alignment="bottom")
    with left:
        data = data_field.ask("treebank", default="grammar")
    with right:
        n_items = _n_words()
    place = ("senses", model.name, model.fingerprint, data_field.stamp(data), n_items)
    if _run_button(model, lacking=not data):
        kept = long_work.parts(place)
        long_work.start(
            place,
            f"Reading senses in {model.name}",
            lambda tell: api.disambiguation(model, data, n_items=n_items, stages=kept, progress=tell),
        )
    long_work.show()
    found: SensesByLayer | None = long_work.found(place)
    if found is None and not long_work.busy():
        _nothing_yet("two ways of reading the sense, exchanged senses and five untrained twins")
    elif found is not None:
        asked = f"interp.disambiguation(interp.load({model.name!r}), {data!r}, n_items={n_items})"
        _sense_figures(found, model, f"import interp\n{_FIGURES}\nfound = {asked}")


@st.fragment
def _sense_figures(found: SensesByLayer, model: Model, python: str) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        _draw(sense_lines(found), f"{model.name}-senses", f"{python}\ndrawn.sense_lines(found)")
    with right:
        names = [str(name) for name in found.probes.reader.values]
        follow_link("reader", names, "the way of reading")
        reader = st.segmented_control("Read by", names, default=names[-1], required=True, key="reader", bind="query-params")
        _draw(added_bars(found, reader), f"{model.name}-added-{reader}", f"{python}\ndrawn.added_bars(found, {reader!r})")
    _totals(found)
    for what, verdict in found.verdicts.items():
        colour, icon = verdict_sheet.OUTCOMES[verdict.outcome]
        why = f" ({verdict_sheet.REASONS[verdict.reason]})" if verdict.reason else ""
        with st.expander(f":{colour}[{icon} {verdict.outcome.capitalize()}]{why}: {literal(verdict.claim['statement'])}", key=f"v-{what}"):
            st.markdown(literal(str(verdict)))
            verdict_sheet.tables(verdict)


def _totals(found: SensesByLayer) -> None:
    """What all attentions and all FFNs add, by either way of reading."""
    sums = {"by all attentions": "attention_adds", "by all FFNs": "ffn_adds", "FFNs less attentions": "ffn_rather"}
    readers = [str(name) for name in found.probes.reader.values]

    def told(reader: str, name: str) -> str:
        value, low, high = (float(found.probes[f"{name}{end}"].sel(reader=reader)) for end in ("", "_low", "_high"))
        return literal(f"{value:+.3f} ({low:+.3f} to {high:+.3f})")

    st.markdown("**Accuracy of the sense that is added**")
    rows = {"read by": readers, **{words: [told(reader, name) for reader in readers] for words, name in sums.items()}}
    st.table(rows, hide_index=True, border="horizontal")
    without = f"the most frequent sense {found.probes.majority:.3f}, a bag of the sentence's other words {found.probes.bag:.3f}"
    st.caption(literal(f"95 % intervals over documents, n = {found.probes.n}. Without a model: {without}. {found.elapsed_s:.0f} s."))
