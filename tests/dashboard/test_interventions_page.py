"""The page Interventions: what is on the screen is what the interventions give by themselves, as the Python under each figure does."""

from functools import cache, partial

import numpy as np
import pytest
from pages import numbers, python, words
from streamlit.testing.v1 import AppTest
from tiny_families import FORMS

from interp import api
from interp.dashboard.views import patching
from interp.dashboard.views.other_text import WORDS
from interp.figures.stream import loss_rows, next_token_bars, patch_map
from interp.interventions.usual import usual_texts
from interp.models.points import watchers

TEXT, OTHER, TARGET = "the old man saw a dog by sea", "the old dog saw a man by sea", "she said nothing but"
LOAD = cache(api.load)


def _page(source):
    from interp.dashboard import kept
    from interp.dashboard.views import interventions

    interventions.show(kept.model_of(source))


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    monkeypatch.setattr(api, "load", LOAD)
    yield
    assert not watchers()


@pytest.fixture
def opened(on_disk):
    def open_(name: str, **query) -> AppTest:
        page = AppTest.from_function(_page, default_timeout=120, args=(on_disk(name) if name in FORMS else name,))
        paired = name in FORMS and FORMS[name].paired
        for key, value in {"text": TEXT, "other": OTHER, **({"target": TARGET} if paired else {}), **query}.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        return page

    return open_


@pytest.fixture
def model_of(on_disk):
    return lambda name: api.load(on_disk(name))


def text_of(name):
    return (TEXT, TARGET) if FORMS[name].paired else TEXT


def assert_compared(page: AppTest, compared, first: int = 0) -> None:
    """The figures of a comparison, from the `first`, are its numbers, and so is their Python."""
    np.testing.assert_allclose(numbers(page, first), loss_rows(compared).values, rtol=1e-6)
    np.testing.assert_allclose(numbers(page, first + 1), compared["moved"].values, rtol=1e-6)
    np.testing.assert_allclose(numbers(page, first + 2, "x"), next_token_bars(compared).values, rtol=1e-6)
    assert python(page, first).equals(compared)
    assert python(page, first + 1).equals(compared["moved"])
    np.testing.assert_array_equal(python(page, first + 2).values, next_token_bars(compared).values)


@pytest.mark.parametrize(("name", "off"), [("gpt2", "L0H3, L1 FFN"), ("t5", "XL0 attention; EL1N3"), ("mixtral", "L1E1")])
def test_switched_off(opened, model_of, name, off):
    page, model = opened(name, off=off), model_of(name)
    sites = [site.strip() for site in off.replace(";", ",").split(",")]
    compared = api.side_by_side(model, text_of(name), lambda: api.ablate(model, sites, how="zero"))
    assert_compared(page, compared)
    found = api.effect(model, text_of(name), lambda: api.ablate(model, sites, how="zero"))
    assert [metric.value for metric in page.metric[:2]] == [f"{found.loss_before_nats:.3f}", f"{found.loss_after_nats:.3f}"]
    assert page.metric[1].delta == f"{found.nats:+.3f} nats"
    table = page.dataframe[0].value
    np.testing.assert_allclose(table["change"], table["after"] - table["before"])


@pytest.mark.parametrize(("name", "how"), [("gpt2", "mean"), ("t5", "resample")])
def test_by_mean_and_resample_of_generated_texts(opened, model_of, name, how):
    page, model = opened(name, how=how), model_of(name)
    first = "DL0 FFN" if name == "t5" else "L0 FFN"
    over = usual_texts(model, text_of(name))
    assert len({str(one) for one in over}) == 8
    assert_compared(page, api.side_by_side(model, text_of(name), partial(api.ablate, model, [first], how=how, over=over)))


def test_by_mean_of_own_texts(opened, model_of):
    texts = ["she said nothing but it was cold then", "they went home again with their small red"]
    page, model = opened("gpt2", how="mean", over=" | ".join(texts), off="L0H1"), model_of("gpt2")
    assert_compared(page, api.side_by_side(model, TEXT, lambda: api.ablate(model, ["L0H1"], how="mean", over=texts)))
    assert "expected texts at least as long" in words(opened("gpt2", how="mean", over="she said"), "error")


def test_hidden_edges(opened, model_of):
    page, model = opened("gpt2", view="Hide edges", heads="L0H1, L1H2", edges="5>2, 4->0"), model_of("gpt2")
    assert_compared(page, api.side_by_side(model, TEXT, lambda: api.knock_out(model, ["L0H1", "L1H2"], [(5, 2), (4, 0)])))
    page = opened("gpt2", view="Hide edges")
    every = [f"L{layer}H{head}" for layer in range(2) for head in range(4)]
    assert_compared(page, api.side_by_side(model, TEXT, lambda: api.knock_out(model, every, [(7, 6)])))
    assert "had nothing to hide along (2, 5)" in words(opened("gpt2", view="Hide edges", edges="4>1, 2>5"), "error")
    assert "came as edges; expected positions such as 5>2" in words(opened("gpt2", view="Hide edges", edges="first"), "error")


@pytest.mark.parametrize(
    ("what", "way"), [("stream", "denoising"), ("stream", "noising"), ("attention", "noising"), ("FFN", "denoising"), ("heads", "noising")]
)
def test_a_grid_of_patches(opened, model_of, what, way):
    page, model = opened("gpt2", view="Patch", what=what, way=way, answer="dog", rather="sea"), model_of("gpt2")
    texts = (OTHER, TEXT) if way == "denoising" else (TEXT, OTHER)
    answers = [model.tokenizer.vocab[word] for word in ("dog", "sea")]
    grid = api.patch_grid(model, *texts, what=what, answers=answers)
    np.testing.assert_array_equal(numbers(page, 0), patch_map(grid).values)
    assert python(page, 0).equals(grid)
    layer, place = np.unravel_index(np.abs(grid.values).argmax(), grid.shape)
    site = f"L{layer}" + {"stream": "", "heads": f"H{place}"}.get(what, f" {what}")
    at = None if what == "heads" else int(place)
    assert site in words(page, "subheader")
    assert_compared(page, api.side_by_side(model, texts[0], lambda: api.patch(model, site, texts[1], at=at)), first=1)


def test_a_link_restores_the_patch(opened, model_of):
    query = {"what": "FFN", "measure": "log probability", "told-at": "4 a", "patch-layer": "1", "patch-place": "2", "at": "3 saw"}
    page, model = opened("gpt2", view="Patch", **query), model_of("gpt2")
    assert not page.warning
    assert page.selectbox(key="patch-place").value == "2"
    likeliest = int(api.capture(model, TEXT).logits[4].argmax())
    grid = api.patch_grid(model, OTHER, TEXT, what="FFN", answers=likeliest, pos=4)
    np.testing.assert_array_equal(numbers(page, 0), patch_map(grid).values)
    compared = api.side_by_side(model, OTHER, lambda: api.patch(model, "L1 FFN", TEXT, at=2), pos=3)
    assert_compared(page, compared, first=1)


def test_an_encoders_places_in_an_encoder_decoder(opened, model_of):
    page, model = opened("t5", view="Patch", stack="encoder", answer="dog", rather="sea"), model_of("t5")
    answers = [model.tokenizer.vocab[word] for word in ("dog", "sea")]
    grid = api.patch_grid(model, (OTHER, TARGET), (TEXT, TARGET), answers=answers, stack="E")
    np.testing.assert_array_equal(numbers(page, 0), patch_map(grid).values)
    page = opened("t5", view="Patch", stack="cross-attention")
    assert page.get("button_group")[2].options == ["attention", "heads"]
    assert not page.error


@pytest.mark.parametrize("name", ["bert-bare", "gpt2-bare"])
def test_without_a_head_it_is_told_by_the_stream(opened, model_of, name):
    page, model = opened(name), model_of(name)
    assert "has no trained token-predicting head, so nothing is predicted" in words(page, "caption")
    compared = api.side_by_side(model, TEXT, lambda: api.ablate(model, ["L0 FFN"], how="zero"))
    np.testing.assert_array_equal(numbers(page, 0), compared["moved"].values)
    page = opened(name, view="Patch", other="the old sea saw a dog by sea")
    grid = api.patch_grid(model, "the old sea saw a dog by sea", TEXT)
    np.testing.assert_array_equal(numbers(page, 0), patch_map(grid).values)
    assert not page.error


def test_texts_that_cannot_be_patched(opened):
    assert "has 2 tokens, the one to patch from has 8" in words(opened("gpt2", view="Patch", other="the old"), "error")
    assert "the two texts are the same" in words(opened("gpt2", view="Patch", other=TEXT), "error").lower()
    page = opened("gpt2", view="Patch", answer="dog sea")
    assert "is not one token here" in words(page, "error")


def test_a_large_grid_waits_for_its_button_and_is_kept(opened, monkeypatch):
    monkeypatch.setattr(patching, "AT_ONCE", 10)
    monkeypatch.setattr(patching, "MOST_POSITIONS", 3)
    page = opened("gpt2", view="Patch")
    run = next(button for button in page.button if button.label == "Run 6 patches of 8 tokens")
    assert "Patched are positions 2 to 4 of 8" in words(page, "caption")
    assert not page.get("plotly_chart")
    run.click().run()
    assert not page.exception
    assert numbers(page, 0).shape == (2, 3)
    page.run()
    assert numbers(page, 0).shape == (2, 3)
    assert not [button for button in page.button if button.label.startswith("Run")]


def test_sites_that_are_not_there_are_named(opened):
    assert "L9H9: this model has layers 0-1" in words(opened("gpt2", off="L9H9"), "error")
    assert "Name what is to be switched off" in words(opened("gpt2", off=" "), "info")


@pytest.mark.parametrize("name", ["switch", "ffn-only", "gemma2", "bert"])
def test_every_view_of_every_kind_opens(opened, name):
    page = opened(name)
    for view in page.get("button_group")[0].options:
        page.get("button_group")[0].set_value(view).run()
        assert not page.exception
        assert not page.error
        assert page.get("plotly_chart") or page.info, view


def test_the_other_text_is_offered_and_what_was_typed_stays():
    page = AppTest.from_function(_page, default_timeout=120, args=("tales",))
    page.query_params["view"] = "Patch"
    page.run()
    assert not page.error
    assert any(f" {word} " in page.text_input(key="other").value for word in WORDS)
    page.text_input(key="text").set_value("The old woman looked at the river").run()
    assert page.text_input(key="other").value == "The old woman looked at the house"
    assert not page.error
    page.text_input(key="other").set_value("The old man looked at the river").run()
    page.text_input(key="text").set_value("The old dog looked at the river").run()
    assert page.text_input(key="other").value == "The old man looked at the river"


def test_markup_is_shown_literally():
    page = AppTest.from_function(_page, default_timeout=120, args=("tales",))
    for key, value in {"text": "<b>old</b> <script>x</script>", "off": "L0 FFN"}.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    for chart in page.get("plotly_chart"):
        assert "<script" not in chart.proto.spec
        assert "<b>" not in chart.proto.spec
