"""The page Residual: the numbers on the screen are the capture's, and so are those of the Python under each figure; what lacks is named."""

from functools import cache

import numpy as np
import pytest
from pages import numbers, python, words
from streamlit.testing.v1 import AppTest
from tiny_families import FORMS

from interp import api
from interp.figures.from_results import contribution_bars
from interp.figures.stream import depth_map, norm_lines, similarity_map

TEXT, TARGET = "the old man saw a dog by sea", "she said nothing but"
LOAD = cache(api.load)


def _page(source, name):
    from importlib import import_module

    from interp.dashboard import kept

    import_module(f"interp.dashboard.views.{name}").show(kept.model_of(source))


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    monkeypatch.setattr(api, "load", LOAD)


@pytest.fixture
def opened(on_disk):
    """The page on a tiny model; keywords go into the address."""

    def open_(name: str, **query) -> AppTest:
        page = AppTest.from_function(_page, default_timeout=120, args=(on_disk(name), "residual"))
        for key, value in {"text": TEXT, **({"target": TARGET} if FORMS[name].paired else {}), **query}.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        return page

    return open_


@pytest.fixture
def seen_on(on_disk):
    return lambda name: api.capture(api.load(on_disk(name)), TEXT, **({"target": TARGET} if FORMS[name].paired else {}))


@pytest.mark.parametrize(("name", "by"), [("gpt2", "sublayer"), ("gpt2", "neuron"), ("t5", "head"), ("bart", "neuron")])
def test_contributions_at_every_grain(opened, seen_on, name, by):
    page = opened(name, by=by, against="sea")
    result = seen_on(name).contributions("sea" if name == "gpt2" else "but", against="sea", by=by)
    bars = contribution_bars(result)
    np.testing.assert_allclose(numbers(page, 0, "x"), bars.values, rtol=1e-6)
    np.testing.assert_array_equal(python(page, 0).values, result.values)
    assert page.metric[0].value == f"{result.attrs['logit']:.3f}"
    assert f"The {result.sizes['component']:,} parts add up to it within {result.attrs['error']:.0e}" in words(page, "caption")


def test_a_link_restores_token_rival_and_grain(opened, seen_on):
    page = opened("gpt2", toward="3 saw", against="dog", by="sublayer")
    assert page.selectbox(key="toward").value == "3 saw"
    assert not page.warning
    np.testing.assert_array_equal(python(page, 0).values, seen_on("gpt2").contributions("saw", against="dog", by="sublayer").values)


def test_a_rival_that_is_not_one_token(opened):
    assert "is not one token here" in words(opened("gpt2", against="dog sea"), "error")


def test_a_link_to_a_place_that_is_not_there_says_so(opened):
    page = opened("gpt2", toward="3 boat")
    assert "The link asks for the token '3 boat', which is not here; shown is '7 sea'." in words(page, "warning")


def test_another_text_begins_with_its_last_token_and_a_typed_one_stays(opened):
    page = opened("gpt2")
    assert page.selectbox(key="toward").value == "7 sea"
    page.text_input(key="text").set_value("she said nothing").run()
    assert page.selectbox(key="toward").value == "2 nothing"
    page = opened("gpt2", toward="boat")
    page.text_input(key="text").set_value("she said nothing").run()
    assert page.selectbox(key="toward").value == "boat"
    assert not page.warning


def test_the_lens_and_its_words(opened, seen_on):
    for name in ("llama", "bart"):
        page, lens = opened(name, view="Logit lens"), seen_on(name).logit_lens()
        np.testing.assert_array_equal(numbers(page, 0), depth_map(lens).values)
        assert (
            numbers(page, 0, "text") == [[str(word).replace("<", "&lt;").replace(">", "&gt;") for word in row] for row in lens.best.values]
        ).all()
        np.testing.assert_array_equal(python(page, 0).values, lens.values)


@pytest.mark.parametrize(("name", "stack"), [("gpt2", ""), ("bert-bare", ""), ("t5", "E"), ("t5", "D")])
def test_norms_and_likeness(opened, seen_on, name, stack):
    page, seen = opened(name, view="Layers", **({"stack": {"E": "encoder", "D": "decoder"}[stack]} if stack else {})), seen_on(name)
    lines = python(page, 0)
    assert list(lines.series) == [
        "stream after the layer",
        "attention writes",
        *(["cross-attention writes"] if stack == "D" else []),
        "FFN writes",
    ]
    ours = norm_lines({"stream": seen.norms("resid_post", stack or None)}).series["stream"]
    np.testing.assert_allclose(lines.series["stream after the layer"].values, ours.values)
    np.testing.assert_allclose(ours.values, np.median(np.linalg.norm(seen.stream("resid_post", stack or None), axis=-1), axis=1), rtol=1e-5)
    np.testing.assert_array_equal(numbers(page, 1), similarity_map(seen.depth_similarity(stack or None)).values)
    np.testing.assert_array_equal(python(page, 1).values, seen.depth_similarity(stack or None).values)


@pytest.mark.parametrize(
    ("name", "view", "reason"),
    [
        ("bart-bare", "Contributions", "no trained token-predicting head"),
        ("bert-bare", "Contributions", "contributions is disabled, since the checkpoint has no trained token-predicting head"),
        ("bert-bare", "Logit lens", "no logit lens, since it has no trained token-predicting head"),
        ("bert", "Logit lens", "no logit lens, since it is an encoder"),
        ("gemma2", "Contributions", "soft cap"),
        ("opt-projected", "Logit lens", "more than a norm and a matrix"),
    ],
)
def test_what_a_model_lacks_is_said_by_its_reason(opened, name, view, reason):
    page = opened(name, view=view)
    assert reason in words(page, "info")
    assert not page.get("plotly_chart")


@pytest.mark.parametrize("name", ["mixtral", "attention-only", "ffn-only"])
def test_every_view_of_every_kind_opens(opened, name):
    page = opened(name)
    for view in page.get("button_group")[0].options:
        page.get("button_group")[0].set_value(view).run()
        assert not page.exception
        assert not page.error
        assert page.get("plotly_chart") or page.info, view


def test_markup_is_shown_literally():
    for view in ("Contributions", "Logit lens"):
        page = AppTest.from_function(_page, default_timeout=120, args=("tales", "residual"))
        for key, value in {"text": "<b>old</b> <script>x</script>", "view": view, "against": "<b>"}.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        for chart in page.get("plotly_chart"):
            assert "<script" not in chart.proto.spec.replace("<br>", "")
            assert "<b>" not in chart.proto.spec
