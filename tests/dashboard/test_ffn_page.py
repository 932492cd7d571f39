"""The page FFN: what is on the screen is what `interp.capture`, the weights and a run over a corpus give."""

import numpy as np
import pytest
from pages import chips, numbers, python, words
from streamlit.testing.v1 import AppTest

import interp
from interp import api
from interp.captures import at_hand
from interp.captures.atlas import neurons
from interp.captures.one_neuron import along, promoted_by, strongest_at
from interp.core.errors import ModelUnsupported
from interp.dashboard.views.reading import TEXT
from interp.texts.grammar.generate import generate


@pytest.fixture(autouse=True)
def few_sentences(monkeypatch):
    monkeypatch.setattr(at_hand, "N_SENTENCES", 12)


@pytest.fixture(scope="module")
def seen():
    return api.capture(api.load(), TEXT)


def opened(model: str = "tales", **query) -> AppTest:
    page = AppTest.from_function(_page, default_timeout=120, args=(model,))
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def _page(model):
    from interp.dashboard import kept
    from interp.dashboard.views import ffn

    ffn.show(kept.model_of(model))


def test_the_strongest_neurons(seen):
    page = opened(layer="1")
    table = page.dataframe[0].value
    assert table["activation"].iloc[0] == pytest.approx(float(seen.neurons(1).max()))
    assert len(page.get("plotly_chart")) == 2


def test_one_neuron_on_this_text_by_its_weights_and_over_the_sentences_at_hand(seen, tmp_path):
    page = opened(view="One neuron", neuron="L2N100")
    assert not page.error
    np.testing.assert_array_equal(python(page, 0).values, seen.neurons(2).sel(neuron=100).values)
    up, down = promoted_by(seen.model, "L2N100")
    for token, _ in (*up, *down):
        assert token.strip(" ") in chips(page).replace("&#x27;", "'").replace("&quot;", '"').replace("&amp;", "&")
    assert python(page, 1) == (up, down)
    atlas = at_hand.read_at_hand(seen.model, tmp_path / "run")
    one = neurons.neuron(atlas, "L2N100")
    assert f"12 texts, {atlas.n_tokens:,} tokens" in words(page, "caption")
    assert f"{neurons.top_texts(atlas, one)[0].value:.3f}" in chips(page)
    shares = neurons.by_label(atlas, one)
    bars = page.get("plotly_chart")[1].proto.spec
    assert all(label in bars for label in shares.upos.values.tolist())
    standings = {each.long_name: each.value for each in neurons.standings(atlas, one)}
    shown = page.dataframe[0].value
    assert dict(zip(shown["statistic"], shown["value"], strict=True)).items() >= {
        ("selectivity among upos labels", standings["selectivity among upos labels"])
    }


def test_opens_on_the_neuron_that_is_strongest_here(seen):
    page = opened(view="One neuron")
    assert page.text_input(key="neuron").placeholder == strongest_at(seen)
    np.testing.assert_array_equal(python(page, 0).values.max(), max(float(seen.neurons(layer).max()) for layer in range(6)))


def test_a_run_of_ones_own_takes_the_place_of_the_sentences(tmp_path):
    model, texts = api.load(), ["The old man looked at the sea.", "She said nothing."]
    interp.profile(model, texts, statistics=["neurons", "neuron_examples"], out=tmp_path / "run")
    page = opened(view="One neuron", neuron="L2N100", neuron_run=str(tmp_path / "run"))
    assert "2 texts" in words(page, "caption")
    assert "Generated sentences" not in words(page, "caption")
    assert "neurons_by_upos" in words(page, "info")  # what the run lacks is told
    other = opened("small", view="One neuron", neuron="L2N100", neuron_run=str(tmp_path / "run"))
    assert "is a run of tales" in words(other, "error")
    assert len(other.get("plotly_chart")) == 1  # the rest of the page stands


def test_a_neuron_that_is_not_there():
    assert "is no neuron of tales" in words(opened(view="One neuron", neuron="L2H3"), "error")
    assert "1024 neurons are there" in words(opened(view="One neuron", neuron="L2N5000"), "error")
    assert "expected a neuron of layers 0-5" in words(opened(view="One neuron", neuron="L9N1"), "error")


def test_an_experts_neuron():
    page = opened("small-moe", view="One neuron", neuron="L1E2N7")
    seen = api.capture(api.load("small-moe"), TEXT)
    np.testing.assert_array_equal(python(page, 0).values, seen.expert_neurons("L1E2").sel(neuron=7).values)
    assert "among all expert neurons" in words(page, "subheader")


def test_a_mixture_opens_on_its_experts():
    assert "takes" in words(opened("small-moe"), "caption")
    assert not opened("small-moe").info


def test_an_encoders_neuron_promotes_nothing_and_says_so():
    page = opened("en-zh", view="One neuron", stack="encoder", neuron="EL1N3")
    assert "is the encoder's, which writes no tokens" in words(page, "info")


@pytest.mark.parametrize(("stack", "neuron"), [("encoder", "EL1N3"), ("decoder", "DL2N7")])
def test_an_encoder_decoders_neuron_over_pairs(stack, neuron, python_shown, tmp_path, monkeypatch):
    """The best examples are tokens of the text that its stack reads: captures of these pairs have the same activations there."""
    monkeypatch.chdir(tmp_path)
    page = opened("en-zh", view="One neuron", stack=stack, neuron=neuron)
    assert not page.error
    model, pairs = api.load("en-zh"), generate(12, seed=0, split="confirmation")
    atlas = at_hand.read_at_hand(model, tmp_path / "run")
    assert (
        f"with their Chinese translations: an idea of what it does, not a sample of language. 12 pairs, {atlas.n_tokens:,} tokens"
        in words(page, "caption")
    )
    found = neurons.top_texts(atlas, neurons.neuron(atlas, neuron))
    assert f"{found[0].value:.3f}" in chips(page)
    for example in found[:3]:
        seen = api.capture(model, pairs[example.text].text, target=pairs[example.text].translation.text)
        assert float(along(seen, neuron)[example.pos]) == pytest.approx(example.value, abs=1e-4)
        assert seen.row(neuron[0]).tokens[example.pos].strip() == example.tokens[example.at].strip()
    python_shown.check()


def test_no_target_is_made_up_for_a_model_that_does_not_know_the_translations(tiny_named, tmp_path):
    with pytest.raises(ModelUnsupported, match=r"its tokenizer has no tokens for .*give the folder of a run over your own"):
        at_hand.read_at_hand(tiny_named("t5").model, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_new_sentence_in_the_drawn_heat_map(seen):
    page = opened(layer="1")
    page.text_input(key="text").set_value("She said nothing").run()
    fresh = api.capture(seen.model, "She said nothing")
    assert numbers(page, 0).max() == float(fresh.neurons(1).max())
