"""The pages Prompt and FFN on encoder-decoders, mixtures and models that lack a part: the capture's numbers, or by name why not."""

import html
from functools import cache

import numpy as np
import pytest
from pages import figure, group, numbers, python, words
from streamlit.testing.v1 import AppTest
from tiny_families import FORMS

from interp import api
from interp.captures import at_hand
from interp.dashboard.offered import GIVEN, sources

TEXT, TARGET = "the old man saw a dog by sea", "she said nothing but"
KINDS = [
    "gpt2",
    "bert-bare",
    "opt-projected",
    "gemma2",
    "t5-bare",
    "bart",
    "gpt-oss",
    "deepseek-v3",
    "switch",
    "attention-only",
    "ffn-only",
]
LOAD = cache(api.load)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """The page and the Python under its figures share one model of each folder."""
    monkeypatch.setattr(api, "load", LOAD)


@pytest.fixture
def opened(on_disk):
    """The page on a tiny model; keywords go into the address."""

    def open_(name: str, **query) -> AppTest:
        page = AppTest.from_file("../../app.py", default_timeout=120)
        asked = {"source": on_disk(name), "text": TEXT, **({"target": TARGET} if FORMS[name].paired else {}), **query}
        for key, value in asked.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        return page

    return open_


@pytest.fixture
def opened_ffn(on_disk, monkeypatch):
    """The page FFN on a tiny model; keywords go into the address."""
    monkeypatch.setattr(at_hand, "N_SENTENCES", 12)

    def open_(name: str, **query) -> AppTest:
        page = AppTest.from_function(_ffn, default_timeout=120, args=(on_disk(name),))
        for key, value in {"text": TEXT, **({"target": TARGET} if FORMS[name].paired else {}), **query}.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        return page

    return open_


def _ffn(folder):
    from interp.dashboard import kept
    from interp.dashboard.views import ffn

    ffn.show(kept.model_of(folder))


@pytest.fixture
def seen_on(on_disk):
    def capture(name: str):
        return api.capture(api.load(on_disk(name)), TEXT, **({"target": TARGET} if FORMS[name].paired else {}))

    return capture


# ------------------------------------------------------------------------------------------------------------- encoder-decoders


@pytest.mark.parametrize("name", ["t5", "marian"])
@pytest.mark.parametrize(("stack", "letter"), [("encoder", "E"), ("decoder", "D"), ("cross-attention", "X")])
def test_heads_of_each_stack_are_the_captures_and_so_is_the_python(opened, seen_on, name, stack, letter):
    page, seen, head = opened(name, stack=stack, head=f"{letter}L1H2"), seen_on(name), f"{letter}L1H2"
    assert not page.error
    assert not page.warning
    result, pattern = seen.head_map("entropy", letter), seen.pattern(head)
    np.testing.assert_array_equal(numbers(page, 0), result.values)
    np.testing.assert_array_equal(numbers(page, 1), pattern.values)
    assert f"{head}** · entropy of attention [nats]: **{float(result.sel(layer=1, head=2)):.4g}**" in words(page, "markdown")
    np.testing.assert_array_equal(python(page, 0).values, result.values)
    np.testing.assert_array_equal(python(page, 1).values, pattern.values)
    assert stack in figure(page, 0).layout.title.text


def test_cross_attention_has_two_rows_of_tokens_and_one_statistic(opened, seen_on):
    page, seen = opened("t5", head="XL0H1"), seen_on("t5")
    axes = figure(page, 1).layout
    assert [text.replace("&lt;", "<").replace("&gt;", ">") for text in axes.yaxis.ticktext] == list(seen.target.tokens)
    assert list(axes.xaxis.ticktext) == list(seen.example.tokens)
    assert (axes.yaxis.title.text, axes.xaxis.title.text) == ("query token, target", "key token, source")
    assert page.selectbox(key="statistic").options == ["entropy of attention"]
    assert len(opened("t5", head="EL0H1").selectbox(key="statistic").options) > 1


def test_both_texts_are_shown_as_tokens(opened, seen_on):
    page, seen = opened("marian"), seen_on("marian")
    shown = [element.proto.body for element in page.get("html")]
    for body, row in zip(shown, (seen.example, seen.target), strict=True):
        assert all(f"{html.escape(token)}<i>{pos}</i>" in body for pos, token in enumerate(row.tokens))
    assert "8 tokens read, 5 written" in words(page, "caption")


def test_a_head_in_a_link_says_whose_it_is(opened):
    page = opened("t5", head="EL1H2")
    assert group(page, "stack").value == "encoder"
    assert not page.warning
    assert "'XL7H0', which is not here" in words(opened("t5", head="XL7H0"), "warning")


def test_another_stack_shows_the_same_place_in_it_without_a_word_of_warning(opened):
    page = opened("t5", head="EL1H2")
    group(page, "stack").set_value("decoder").run()
    assert page.selectbox(key="head").value == "DL1H2"
    assert not page.warning
    group(page, "stack").set_value("cross-attention").run()
    group(page, "view").set_value("All heads").run()
    assert not page.exception
    assert not page.error
    assert group(page, "stack").value == "cross-attention"


def test_without_a_target_the_page_asks_for_one(opened):
    page = opened("t5")
    page.text_input(key="target").set_value(" ").run()
    assert not page.exception
    assert "The text is empty" in words(page, "error")
    assert not page.get("plotly_chart")


@pytest.mark.parametrize(("stack", "letter"), [("encoder", "E"), ("decoder", "D")])
def test_neurons_of_each_stack(opened_ffn, seen_on, stack, letter):
    page, seen = opened_ffn("t5-gated", view="Neurons", stack=stack, layer="1"), seen_on("t5-gated")
    result = python(page, 0)
    np.testing.assert_array_equal(numbers(page, 0), result.values.T)
    np.testing.assert_array_equal(result, seen.neurons(1, letter).sel(neuron=result.neuron))
    assert page.dataframe[0].value["activation"].iloc[0] == pytest.approx(float(seen.neurons(1, letter).max()))
    assert page.dataframe[0].value["neuron"].iloc[0].startswith(f"{letter}L1N")
    assert len(python(page, 1)["hoyer_sparsity"]) == seen.model.anatomy.stack(letter).n_layers
    assert "gated: a neuron is gelu_new(gate) × up" in words(page, "caption")


def test_a_plain_ffn_is_not_called_gated(opened_ffn):
    assert "gated" not in words(opened_ffn("t5", view="Neurons"), "caption")


# ---------------------------------------------------------------------------------------------------------------------- mixtures


@pytest.mark.parametrize(("name", "site"), [("mixtral", "L1E1"), ("deepseek-v3", "L1E3"), ("gpt-oss", "L0E2")])
@pytest.mark.parametrize("routing", ["weights", "probabilities"])
def test_experts_are_the_captures_and_so_is_the_python(opened_ffn, seen_on, name, site, routing):
    page, seen = opened_ffn(name, view="Experts", layer=site[1], expert=site, routing=routing), seen_on(name)
    result = seen.experts(int(site[1]), weights=routing == "weights")
    np.testing.assert_array_equal(numbers(page, 0), result.values)
    np.testing.assert_array_equal(python(page, 0).values, result.values)
    takes = int((seen.experts(int(site[1])).sel(expert=int(site[3])) != 0).sum())
    assert f"{site} takes {takes} of 8 tokens." in words(page, "caption")
    if takes:
        chosen = python(page, 1)
        np.testing.assert_array_equal(numbers(page, 1), chosen.values.T)
        np.testing.assert_array_equal(chosen, seen.expert_neurons(site).sel(neuron=chosen.neuron))
    else:
        assert f"No token of this text is sent to {site}" in words(page, "info")


def test_the_view_opens_on_the_expert_that_takes_most(opened_ffn, seen_on):
    counts = (seen_on("switch").experts(1, "E") != 0).sum("pos").values
    page = opened_ffn("switch", view="Experts", stack="encoder")
    assert page.selectbox(key="expert").value == f"EL1E{counts.argmax()}"
    assert "Weight of each expert in layer 1, encoder" in figure(page, 0).layout.title.text


def test_shared_experts_are_mentioned_where_there_are_some(opened_ffn):
    assert "shared experts" in words(opened_ffn("deepseek-v3", view="Experts"), "caption")
    assert "shared experts" not in words(opened_ffn("mixtral", view="Experts"), "caption")


def test_neurons_of_a_mixture_are_refused_and_of_its_dense_layers_shown(opened_ffn):
    assert "every FFN is a mixture of experts; the view Experts shows their neurons" in words(opened_ffn("mixtral", view="Neurons"), "info")
    page = opened_ffn("deepseek-v3", view="Neurons")
    assert page.selectbox(key="layer").options == ["0"]
    assert "Mixtures of experts are under Experts: layer 1." in words(page, "caption")


def test_a_model_without_experts_has_no_such_view(opened_ffn):
    page = opened_ffn("gpt2", view="Experts")
    assert "Experts" not in group(page, "view").options
    assert "'Experts', which is not here" in words(page, "warning")


# ------------------------------------------------------------------------------------------------- what is not there, and the frame


def test_what_a_model_lacks_is_said_by_its_reason(opened, opened_ffn):
    assert "patterns is disabled, since the model has no attention" in words(opened("ffn-only"), "info")
    assert "neurons is disabled, since it has no FFN" in words(opened_ffn("attention-only", view="Neurons"), "info")


@pytest.mark.parametrize("name", KINDS)
def test_every_view_of_every_kind_opens(opened, opened_ffn, name):
    for page in (opened(name), opened_ffn(name)):
        for view in group(page, "view").options:
            group(page, "view").set_value(view).run()
            assert not page.exception
            assert not page.error
            assert page.get("plotly_chart") or page.info, view


def test_the_sidebar_says_what_the_model_is(on_disk):
    told = {name: str(api.load(on_disk(name)).anatomy) for name in ("t5", "mixtral", "deepseek-v3", "ffn-only", "gemma2")}
    assert told["t5"].startswith("an encoder of 2 layers × 4 heads, 24 neurons in each layer; a decoder with cross-attention of 2 layers")
    assert "4 experts of 24 gated neurons in each layer; pre-norm" in told["mixtral"]
    assert "24 gated neurons in 1 of them, 4 experts of 16 gated neurons in 1 of them" in told["deepseek-v3"]
    assert "2 layers without attention" in told["ffn-only"]
    assert "norms before and after" in told["gemma2"]


def test_a_model_given_on_the_command_line_is_offered_first(on_disk, monkeypatch):
    monkeypatch.setenv(GIVEN, on_disk("t5"))
    assert sources()[0] == on_disk("t5")
    page = AppTest.from_file("../../app.py", default_timeout=120).run()
    assert not page.exception
    assert page.selectbox(key="model").value == on_disk("t5")
    assert page.text_input(key="target").value


def test_a_claim_that_is_not_about_the_model(on_disk):
    page = AppTest.from_function(_claims, default_timeout=120, args=(on_disk("t5"),))
    page.query_params["claim"] = "S4-42"
    page.run()
    assert "is an encoder-decoder" in words(page, "info")
    page.button(key="run-claim").click().run()
    while "long work" in page.session_state:
        page.run()
    assert not page.exception
    assert "Not applicable" in words(page, "subheader")


def _claims(folder):
    from interp.dashboard import kept
    from interp.dashboard.views import claims

    claims.show(kept.model_of(folder))
