"""The pages of the atlas: what stands on them is what the run holds; what it lacks is said with the way to get it."""

import base64
import subprocess
import sys

import numpy as np
import plotly.io
import pytest
import small_runs
from pages import STRANGE, refuse_markup
from streamlit.testing.v1 import AppTest

from interp import api
from interp.captures.atlas import heads, neurons, statistics
from interp.captures.atlas.opened import open_atlas
from interp.dashboard import links
from interp.dashboard.app import VIEWS
from interp.figures.from_profile import scatter


def _page(name):
    from importlib import import_module

    from interp.dashboard.atlas import run

    found = run.chosen()
    if found is not None:
        import_module(f"interp.dashboard.atlas.{name}").show(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_runs.of_tales(tmp_path_factory.mktemp("tales"))


@pytest.fixture(scope="module")
def atlas(folder):
    return open_atlas(folder)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return small_runs.of_tales(tmp_path_factory.mktemp("few"), ("entropy",))


@pytest.fixture(scope="module")
def tiny_run(tiny_named, tmp_path_factory):
    return lambda form: small_runs.of_tiny(tmp_path_factory.mktemp(form), tiny_named(form).model)


@pytest.fixture
def opened(folder):
    def open_(name: str, place=None, **query) -> AppTest:
        page = AppTest.from_function(_page, default_timeout=120, kwargs={"name": name})
        for key, value in {"run": str(place or folder), **query}.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        assert "Session State API" not in words(page, "warning")  # Streamlit's own, where a widget is given two values
        return page

    return open_


def words(page: AppTest, kind: str) -> str:
    return "\n".join(element.value for element in page.get(kind)).replace("\\", "")


def html(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def traces(page: AppTest, at: int) -> list[dict]:
    return plotly.io.from_json(page.get("plotly_chart")[at].proto.spec, skip_invalid=True).to_dict()["data"]


def numbers(values) -> np.ndarray:
    """An array of a chart as the browser gets it."""
    if not isinstance(values, dict):
        return np.asarray(values)
    flat = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
    return flat.reshape([int(size) for size in values["shape"].split(",")]) if "shape" in values else flat


def python(page: AppTest, at: int):
    """What the Python under a figure gives."""
    *lines, last = page.code[at].value.split("\n")
    names: dict = {}
    exec("\n".join([*lines, f"result = {last}"]), names)
    return names["result"]


def test_a_statistic_of_all_heads_as_a_map(opened, atlas, python_shown):
    page = opened("overview", **{"heads-statistic": "previous"})
    expected = statistics.statistic(atlas, "previous")
    np.testing.assert_array_equal(numbers(traces(page, 0)[0]["z"]), expected.values)
    best = statistics.ranked(expected, 12)
    assert page.dataframe[0].value["site"].tolist() == [each.site for each in best]
    assert f"{best[0].site}** · weight on the previous token [probability]: **{best[0].value:.4g}**" in words(page, "markdown")
    assert not np.array_equal(expected.values, statistics.statistic(atlas, "entropy").values)
    assert python(page, 0).csv() == api.figure(expected).csv()
    assert "Computed by the exact blocks pass" in words(page, "caption")
    assert atlas.made.fingerprint in words(page, "caption")
    python_shown.check()


def test_two_statistics_against_each_other(opened, atlas, python_shown):
    page = opened("overview", view="Scatter", part="neurons", **{"neurons-x": "neuron_mean", "neurons-y": "neuron_max"})
    points = traces(page, 0)[0]
    assert points["type"] == "scattergl"
    np.testing.assert_array_equal(numbers(points["x"]), atlas.profile["neuron_mean"].values.ravel())
    np.testing.assert_array_equal(numbers(points["y"]), atlas.profile["neuron_max"].values.ravel())
    assert points["text"][1030] == "L1N6"
    assert python(page, 0).description.alt == scatter(*statistics.pairs(atlas, "neuron_mean", "neuron_max")).alt
    python_shown.check()


def test_a_ranked_list(opened, atlas):
    page = opened("overview", view="List", part="neurons", order="smallest", **{"neurons-statistic": "neuron_sd"})
    found = statistics.ranked(statistics.statistic(atlas, "neuron_sd"), 50, largest=False)
    assert page.dataframe[0].value["site"].tolist() == [each.site for each in found]
    np.testing.assert_allclose(page.dataframe[0].value["value"], [each.value for each in found])
    assert python(page, 0) == found


def test_a_head(opened, atlas, python_shown):
    page = opened("head", head="L0H2")
    standings = heads.standings(atlas, "L0H2")
    np.testing.assert_allclose(page.dataframe[0].value["value"], [each.value for each in standings])
    distances = heads.distances(atlas, "L0H2")
    np.testing.assert_array_equal(numbers(traces(page, 0)[0]["x"]), distances.values.astype(float))
    (direction, *_) = heads.writes(atlas, "L0H2")
    assert f"{direction.share:.0%} of what it writes" in words(page, "markdown")
    for tenth in heads.tenths(atlas, "L0H2"):
        for example in tenth.examples:
            assert f">{example.value:.3f}</div>" in html(page)
    assert "The query is marked" in words(page, "caption")
    for at in range(len(page.code)):
        assert python(page, at) is not None
    python_shown.check()


def test_markup_and_other_scripts_in_the_corpus_are_shown_literally(opened):
    written = html(opened("head", head="L1H0"))
    assert "&lt;b" in written or "&lt;" in written
    assert "<b>" not in written
    assert "<bdi>" in written
    assert "\u05d9" in written or "byte" in written


def test_a_neuron(opened, atlas, python_shown):
    page = opened("neuron", neuron="L1N7")
    one = neurons.neuron(atlas, "L1N7")
    for example in neurons.top_texts(atlas, one):
        assert f">{example.value:.3f}</div>" in html(page)
    np.testing.assert_allclose(page.dataframe[0].value["value"], [each.value for each in neurons.standings(atlas, one)])
    counts = numbers(traces(page, 0)[0]["x"])
    assert counts.sum() == atlas.n_tokens
    assert python(page, 1).csv() == api.figure(neurons.histogram(atlas, one)).csv()
    python_shown.check()


def test_the_first_neuron_is_the_one_with_the_largest_activation(opened, atlas):
    best = statistics.ranked(statistics.statistic(atlas, "neuron_max"), 1)[0].site
    assert opened("neuron").text_input(key="neuron").value == best


def test_what_is_typed_for_a_neuron_is_shown_and_not_obeyed(opened):
    page = opened("neuron")
    page.text_input(key="neuron").set_value(STRANGE).run()
    refuse_markup(page)
    assert page.error


def test_a_layer(opened, atlas, python_shown):
    page = opened("layer", layer="2", **{"layer-heads": "entropy"})
    values = atlas.profile["entropy"].values[2]
    assert page.dataframe[0].value["value"].tolist() == sorted(values.tolist(), reverse=True)
    middle = traces(page, 0)[-1]
    np.testing.assert_allclose(numbers(middle["y"]), np.median(atlas.profile["entropy"].values, axis=1))
    python_shown.check()


def test_a_mixture_and_an_encoder_decoder_have_their_pages(opened, tiny_run):
    mixture = tiny_run("deepseek-v3")
    for name in ("overview", "head", "neuron", "layer"):
        opened(name, mixture, **({"layer": "1"} if name == "layer" else {}))
    page = opened("neuron", mixture, sort="expert neurons")
    assert "E" in page.text_input(key="neuron").value
    pairs = tiny_run("bart")
    for stack, name in {"E": "encoder", "D": "decoder", "X": "cross-attention"}.items():
        page = opened("overview", pairs, stack=name)
        expected = statistics.statistic(open_atlas(pairs), "entropy", stack)
        np.testing.assert_array_equal(numbers(traces(page, 0)[0]["z"]), expected.values)
        opened("head", pairs, head=f"{stack}L1H0")


@pytest.mark.parametrize("form", ["bart", "switch"])
def test_neurons_and_layers_of_an_encoder_decoder_stack_by_stack(opened, tiny_run, form):
    pairs = tiny_run(form)
    atlas = open_atlas(pairs)
    for stack, name in {"E": "encoder", "D": "decoder"}.items():
        page = opened("neuron", pairs, stack=name, sort="neurons")
        shown = page.text_input(key="neuron").value
        values = statistics.statistic(atlas, "neuron_max", stack)
        assert shown == statistics.ranked(values, 1, stack=stack)[0].site
        one = neurons.neuron(atlas, shown)
        standing = {each.name: each.value for each in neurons.standings(atlas, one)}
        assert standing["neuron_max"] == pytest.approx(float(values.max()))
        assert neurons.top_texts(atlas, one)[0].value == pytest.approx(float(values.max()))
        assert not page.error
        page = opened("overview", pairs, part="neurons", view="List", stack=name, **{"neurons-statistic": "neuron_mean"})
        expected = statistics.ranked(statistics.statistic(atlas, "neuron_mean", stack), 50, stack=stack)
        assert page.dataframe[0].value["site"].tolist() == [each.site for each in expected]
        page = opened("layer", pairs, layer="1", stack=name)
        assert f"The stream, {name}, at all depths" in [each.value for each in page.subheader]
        assert not page.error
    assert opened("neuron", pairs, neuron="EL0N3" if form == "bart" else "EL0N2").text_input(key="neuron").value.startswith("EL0N")
    assert "is no neuron" in words(opened("neuron", pairs, neuron="L0H3"), "error")
    for name in ("EL7N0", "L0N0", "DL0N99"):
        assert "in an encoder E and a decoder D" in words(opened("neuron", pairs, neuron=name, stack="decoder"), "error")


def test_the_stream_at_each_depth_is_the_profiles(opened, atlas, python_shown):
    for name in ("lens_loss", "effective_rank", "rank_one_distance", "distance_to_one_token"):
        page = opened("layer", layer="2", **{"stream-statistic": name})
        assert page.selectbox(key="stream-statistic").value == name
        np.testing.assert_allclose(numbers(traces(page, -1)[0]["y"]), atlas.profile[name].values)
    python_shown.check()


def test_the_pages_need_no_torch():
    names = [VIEWS[name] for name, entry in links.ENTRIES.items() if entry.atlas]
    code = f"import sys\nfrom importlib import import_module\nfor name in {names}: import_module(name)\n"
    code += "print([name for name in ('torch', 'transformers', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_the_way_to_a_layer_names_the_stack(opened, tiny_run):
    pairs = tiny_run("bart")
    for name, asked in {"neuron": {"neuron": "EL0N3"}, "head": {"head": "EL0H1"}}.items():
        ways = [one.proto.query_string for one in opened(name, pairs, **asked).get("page_link")]
        assert any("layer=0" in way and "stack=encoder" in way for way in ways)


def test_what_a_run_lacks_is_said_with_the_way_to_get_it(opened, few):
    page = opened("head", few, head="L0H2")
    assert not page.error
    for group in ("distances", "induction_profile", "most_attended", "head_writes", "previous_examples"):
        assert f"since the group {group} was not kept. Run the corpus into another folder: interp profile tales" in words(page, "info")
        assert f"--statistics entropy,{group}" in words(page, "info")
    page = opened("neuron", few)
    assert "since the group neurons was not kept" in words(page, "info")
    assert "since the group lens_loss" in words(opened("layer", few), "info")


def test_a_link_to_what_is_not_there(opened):
    page = opened("head", head="L77H0")
    assert "The link asks for the head 'L77H0', which is not here" in words(page, "warning")
    page = opened("neuron", neuron="L0N99999")
    assert "'L0N99999' is not in this profile; it has 6 layers" in words(page, "error")


def test_without_a_run_it_says_how_one_is_made(opened, tmp_path, monkeypatch):
    monkeypatch.delenv("INTERP_RUN", raising=False)
    page = AppTest.from_function(_page, default_timeout=60, kwargs={"name": "overview"}).run()
    assert not page.exception
    assert "interp profile MODEL CORPUS --out FOLDER --statistics atlas" in words(page, "info")
    page = opened("overview", tmp_path)
    assert "holds no run: neither profile.nc nor run.json is in it" in words(page, "error")
    (tmp_path / "run.json").write_text("{}")
    assert "the run in it is not finished (0 shards done so far" in words(opened("overview", tmp_path), "error")


def test_the_app_opens_on_the_atlas_of_the_run_that_the_command_line_named(folder, monkeypatch):
    monkeypatch.setenv("INTERP_RUN", str(folder))
    monkeypatch.setattr(api, "load", lambda *given: pytest.fail("the atlas needs no model"))
    page = AppTest.from_file("../../app.py", default_timeout=120).run()
    assert not page.exception
    assert page.title[0].value == "Atlas"
    assert page.text_input(key="run").value == str(folder)
    assert "interp.dashboard.atlas.overview" in sys.modules
