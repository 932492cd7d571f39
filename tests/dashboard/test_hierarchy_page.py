"""The page Hierarchy: what it draws is what the API gives; a run is stopped and goes on; what cannot be shown says why."""

import threading
import time

import numpy as np
import pytest
from pages import array, figure
from streamlit.testing.v1 import AppTest

from interp import api
from interp.claims.protocols import layer_probe
from interp.claims.stages import Stages
from interp.core.errors import Stopped
from interp.core.stopping import go_on, stoppable
from interp.figures import hierarchy as drawn
from interp.texts.grammar.generate import generate
from interp.texts.grammar.senses import sense_sets
from interp.texts.grammar.write import write_conllu
from interp.texts.senses import sense_sentences

TASKS = ["upos", "deprel", "sense"]


def _page(name):
    from interp.dashboard import kept
    from interp.dashboard.views import hierarchy

    hierarchy.show(kept.model_of(name))


def opened(name="small", **query) -> AppTest:
    page = AppTest.from_function(_page, default_timeout=120, args=(name,))
    for key, value in query.items():
        page.query_params[key] = value
    return page.run()


def finished(page: AppTest, most_s: float = 100) -> AppTest:
    until = time.monotonic() + most_s
    while "long work" in page.session_state and time.monotonic() < until:
        time.sleep(0.1)
        page.run()
    return page


def words(page: AppTest, kind: str) -> str:
    return "\n".join(element.value for element in page.get(kind)).replace("\\", "")


@pytest.fixture(scope="module")
def sentences():
    """Few, each a document, a third of them with a marked sense."""
    sets = sense_sets(40, seed=0, distance=4, words=["bank", "bat"])
    return [*generate(60, seed=1), *sense_sentences(sets)]


@pytest.fixture(scope="module")
def found(sentences):
    return api.hierarchy(api.load("small"), sentences, tasks=TASKS, n_items=240)


def series(page: AppTest, at: int) -> dict[str, list[float]]:
    lines = figure(page, at).to_dict()["data"]
    return {line["name"]: array(line["y"]).tolist() for line in lines if line.get("name")}


def test_the_page_draws_what_the_api_gives(monkeypatch, found, python_shown):
    told = []

    def once(model, data, *, tasks, n_items, stages=None, progress=None):
        told.append((data, tuple(tasks), n_items))
        return found

    monkeypatch.setattr(api, "hierarchy", once)
    page = opened(tasks=TASKS, words="500")
    assert "Nothing was run yet" in words(page, "caption")
    page.button(key="run-probes").click().run()
    finished(page)
    assert not page.exception
    assert told == [("grammar", tuple(TASKS), 500)]
    assert series(page, 0) == {task: found.probes.accuracy.sel(task=task).values.tolist() for task in TASKS}
    assert series(page, 1) == {task: found.probes.selectivity.sel(task=task).values.tolist() for task in TASKS}
    assert found.verdict.summary in words(page, "markdown")
    assert found.verdict.outcome.capitalize() in words(page, "subheader")
    assert "interp.hierarchy(interp.load('small'), 'grammar', tasks=['upos', 'deprel', 'sense'], n_items=500)" in page.code[0].value
    assert len(python_shown) == 4
    python_shown.check()


def test_the_probes_agree_with_the_verdict_and_among_themselves(found):
    probes = found.probes
    for task in TASKS:
        assert probes.accuracy.sel(task=task).values.tolist() == pytest.approx(found.verdict.rows[task])
        assert probes.control_accuracy.sel(task=task).values.tolist() == pytest.approx(found.verdict.rows[f"{task}, control task"])
    np.testing.assert_allclose(probes.selectivity, probes.accuracy - probes.control_accuracy, atol=1e-12)
    for name in ("accuracy", "selectivity"):
        assert (probes[f"{name}_low"] <= probes[name]).all()
        assert (probes[name] <= probes[f"{name}_high"]).all()
    assert (probes.accuracy_high - probes.accuracy_low).values.max() > 0.01
    weights = np.maximum(probes.selectivity.values, 0)
    np.testing.assert_allclose(probes.centre_of_gravity, weights @ np.arange(weights.shape[1]) / weights.sum(1))
    assert probes.accuracy.attrs["units"] == "share of words"
    assert api.load("small").fingerprint in probes.accuracy.attrs["provenance"]
    assert found.verdict.claim["test"]["tasks"] == TASKS


def test_figures_of_a_hierarchy_have_what_they_are_of(found):
    lines = api.figure(found).description
    assert lines.series["sense"].low.tolist() == found.probes.accuracy_low.sel(task="sense").values.tolist()
    assert drawn.task_lines(found, "selectivity").reference.value == 0
    assert drawn.control_lines(found, "upos").reference.value == float(found.probes.form_accuracy.sel(task="upos"))
    bars = drawn.place_bars(found, "centre_of_gravity")
    assert bars.values.tolist() == found.probes.centre_of_gravity.sel(task=list(bars.labels)).values.tolist()


def test_senses_add_up_and_are_drawn(monkeypatch, sentences, python_shown):
    senses = api.disambiguation(api.load("small"), sentences, n_items=120)
    probes = senses.probes
    steps = np.diff(probes.accuracy.values, axis=1)
    np.testing.assert_allclose(probes.added, steps, atol=1e-12)
    np.testing.assert_allclose(probes.attention_adds, steps[:, 0::2].sum(1), atol=1e-12)
    np.testing.assert_allclose(probes.ffn_rather, steps[:, 1::2].sum(1) - steps[:, 0::2].sum(1), atol=1e-12)
    assert list(probes.sublayer.values[:2]) == ["L0 attention", "L0 FFN"]
    assert set(senses.verdicts) == {"attention", "ffn"}
    monkeypatch.setattr(api, "disambiguation", lambda model, data, *, n_items, **told: senses)
    page = opened(part="Disambiguation")
    page.button(key="run-probes").click().run()
    finished(page)
    assert not page.exception
    assert series(page, 0)["nearest"] == probes.accuracy.sel(reader="nearest").values.tolist()
    assert "Without a model: the most frequent sense" in words(page, "caption")
    python_shown.check()


def test_what_is_not_about_a_model_says_so():
    page = opened("en-zh")
    assert not page.exception
    assert "en-zh is an encoder-decoder" in words(page, "info")
    assert not page.get("button")


def test_a_task_that_the_data_do_not_mark_is_told(tmp_path):
    write_conllu(generate(40, seed=1), tmp_path / "some.conllu")
    page = opened(tasks=["sense"], **{"data-treebank": str(tmp_path / "some.conllu")})
    page.button(key="run-probes").click().run()
    finished(page)
    assert not page.exception
    assert "No words are marked with a sense" in words(page, "error")


def test_a_run_is_stopped_and_goes_on_behind_what_was_finished(monkeypatch, sentences):
    """The page's own way: a thread that stops at its next step, parts kept in the session."""
    made, reached, go = [], threading.Event(), threading.Event()

    def slow(model, data, *, tasks, n_items, stages: Stages, progress):
        for part in ("one", "two"):
            progress(part)
            stages.get(part, lambda part=part: made.append(part) or {"x": np.ones(1)})
            reached.set()
            if not go.is_set():
                go.wait(20)
            go_on()
        return api_found

    api_found = object()
    monkeypatch.setattr(api, "hierarchy", slow)
    page = opened(tasks=["upos", "deprel"])
    page.button(key="run-probes").click().run()
    assert reached.wait(20)
    assert page.button(key="run-probes").disabled
    assert "Probing small for upos, deprel" in words(page, "markdown")
    page.button(key="stop-work").click().run()
    go.set()
    finished(page)
    assert "was stopped" in words(page, "info")
    assert made == ["one"]
    page.button(key="run-probes").click()
    monkeypatch.setattr("interp.dashboard.views.hierarchy._order", lambda found: None)
    monkeypatch.setattr("interp.dashboard.views.hierarchy._lines", lambda *given: None)
    page.run()
    finished(page)
    assert made == ["one", "two"]


def test_a_forward_pass_of_work_that_is_not_wanted_is_refused():
    model = api.load("small")
    with stoppable(lambda: True), pytest.raises(Stopped, match="the same call begins it again"):
        api.capture(model, "The old man")
    assert api.capture(model, "The old man").logits is not None


def test_stopping_reaches_the_probes(sentences):
    parts: dict = {}
    asked = []
    with stoppable(lambda: bool(asked)), pytest.raises(Stopped):
        api.hierarchy(
            api.load("small"), sentences, tasks=["upos"], n_items=200, stages=Stages(memory=parts),
            progress=lambda what: asked.append(what) if what == "control tasks" else None,
        )  # fmt: skip
    assert list(parts) == ["model"]


def test_a_hierarchy_of_nothing_is_refused(sentences):
    from interp.core.errors import ClaimError

    with pytest.raises(ClaimError, match="expected one or more of: upos, chunk, head_distance, deprel, sense"):
        api.hierarchy(api.load("small"), sentences, tasks=["syntax"])
    assert layer_probe.PROTOCOL.name == "layer_probe"
