"""The page Compare: both sides and the difference are the API's numbers, on one scale; what has no difference says why."""

import numpy as np
import pytest
from pages import array, figure
from streamlit.testing.v1 import AppTest
from tiny_families import FORMS

from interp import api
from interp.captures.compared import Compared
from interp.core.errors import SiteError

TEXT, OTHER, TARGET = "the old man saw a dog by sea", "the old man saw a boat by sea", "she said nothing but"


@pytest.fixture(scope="module")
def opened(on_disk):
    """The page on a tiny model; keywords go into the address."""

    def open_(name: str = "gpt2", **query) -> AppTest:
        page = AppTest.from_function(_page, default_timeout=120, args=(on_disk(name),))
        paired = {"target": TARGET, "target-2": TARGET} if FORMS[name].paired else {}
        for key, value in {"text": TEXT, "text-2": OTHER, **paired, **query}.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        return page

    return open_


def _page(folder):
    from interp.dashboard import kept
    from interp.dashboard.views import compare

    compare.show(kept.model_of(folder))


@pytest.fixture(scope="module")
def both(on_disk) -> Compared:
    model = api.load(on_disk("gpt2"))
    return api.compare(api.capture(model, TEXT), api.capture(model, OTHER))


def words(page: AppTest, kind: str) -> str:
    return "\n".join(element.value for element in page.get(kind)).replace("\\", "")


def figures(page: AppTest) -> list[dict]:
    return [figure(page, at).to_dict() for at in range(len(page.get("plotly_chart")))]


def python(page: AppTest, at: int):
    *lines, last = page.code[at].value.split("\n")
    names: dict = {}
    exec("\n".join([*lines, f"result = {last}"]), names)
    return names["result"]


def test_all_heads_on_one_scale_and_the_difference_about_0(opened, both):
    page, pair = opened(), both.head_map("entropy")
    one, other, less = (each["data"][0] for each in figures(page))
    np.testing.assert_array_equal(array(one["z"]), pair.first.values)
    np.testing.assert_array_equal(array(other["z"]), pair.second.values)
    np.testing.assert_allclose(array(less["z"]), both.second.head_map("entropy").values - both.first.head_map("entropy").values, atol=1e-7)
    assert (one["zmin"], one["zmax"]) == (other["zmin"], other["zmax"])
    assert one["zmin"] == pytest.approx(min(float(pair.first.min()), float(pair.second.min())))
    assert less["zmin"] == -less["zmax"] < 0
    for at, result in enumerate((pair.first, pair.second, pair.difference)):
        np.testing.assert_array_equal(python(page, at).values, result.values)
    table = page.dataframe[0].value
    assert list(table["difference"].abs()) == sorted(table["difference"].abs(), reverse=True)
    assert table["difference"].iloc[0] == pytest.approx(float(pair.difference.values.ravel()[np.abs(pair.difference.values).argmax()]))


def test_a_pattern_has_a_difference_where_the_tokens_are_the_same_and_else_says_which_differs(opened, both):
    page = opened(show="Pattern", head="L1H2")
    assert len(figures(page)) == 2
    assert "Token 5 is 'dog' in the one and 'boat' in the other" in words(page, "info")
    np.testing.assert_array_equal(array(figures(page)[1]["data"][0]["z"]), both.second.pattern("L1H2").values)
    same = opened(show="Pattern", head="L1H2", **{"text-2": TEXT})
    assert not same.info
    drawn = figures(same)
    assert not array(drawn[2]["data"][0]["z"]).any()
    assert drawn[2]["data"][0]["zmin"] == -drawn[2]["data"][0]["zmax"]
    longer = opened(show="Pattern", **{"text-2": f"{TEXT} and"})
    assert "The one reads 8 tokens, the other 9" in words(longer, "info")


def test_the_untrained_twin_reads_the_same_text_with_other_weights(opened, on_disk):
    page = opened(**{"with": "its untrained twin", "seed": "1", "show": "Pattern", "head": "L0H1", "form": "without first token"})
    model = api.load(on_disk("gpt2"))
    pair = api.compare(api.capture(model, TEXT), api.capture(api.untrained(model, seed=1), TEXT)).pattern("L0H1", "without_first")
    np.testing.assert_allclose(array(figures(page)[2]["data"][0]["z"]), pair.difference.values, atol=1e-7)
    assert np.abs(pair.difference.values).max() > 0
    np.testing.assert_array_equal(python(page, 2).values, pair.difference.values)
    assert "seed=1" in page.code[1].value


def test_norms_and_next_tokens_are_the_apis(opened, both):
    page, pair = opened(show="Norms"), both.norms("resid_post")
    lines, bars = (each["data"] for each in figures(page))
    np.testing.assert_allclose(array(lines[0]["y"]), pair.first.values)
    stream = both.first.stream("resid_post").values
    np.testing.assert_allclose(pair.first.values, np.sqrt((stream.astype(float) ** 2).sum(-1)).mean(-1))
    np.testing.assert_allclose(array(bars[0]["x"]), pair.second.values - pair.first.values)
    page, pair = opened(show="Next token"), both.next_tokens()
    one, other, less = figures(page)
    assert one["layout"]["xaxis"]["range"] == other["layout"]["xaxis"]["range"]
    logits = both.second.logits[-1].double().softmax(-1).numpy()
    np.testing.assert_allclose(array(other["data"][0]["x"]), logits[pair.second.token_id.values])
    np.testing.assert_allclose(array(less["data"][0]["x"]), pair.difference.values)
    assert page.metric[0].value == f"{pair.difference.attrs['divergence_nats']:.4f} nats"
    np.testing.assert_array_equal(python(page, 2).values, pair.difference.values)
    assert "After the last token of each" in words(page, "caption")
    same = opened(show="Next token", after="2 man", **{"text-2": TEXT})
    assert same.metric[0].value == "0.0000 nats"
    assert same.selectbox(key="after").value == "2 man"


def test_models_of_other_shapes_stand_beside_each_other_without_a_difference(opened, on_disk):
    page = opened("gpt2", **{"with": "another model", "other-source": on_disk("mixtral"), "show": "Head map"})
    assert len(figures(page)) in (2, 3)
    if len(figures(page)) == 2:
        assert "a place of the one is no place of the other" in words(page, "info")
    else:
        assert "no common numbering" in words(page, "caption")


def test_an_encoder_decoder_compares_two_pairs_by_stack(opened, on_disk):
    model = api.load(on_disk("t5"))
    pair = api.compare(api.capture(model, TEXT, target=TARGET), api.capture(model, OTHER, target=TARGET)).head_map("entropy", "X")
    page = opened("t5", stack="cross-attention")
    np.testing.assert_array_equal(array(figures(page)[0]["data"][0]["z"]), pair.first.values)
    np.testing.assert_array_equal(python(page, 2).values, pair.difference.values)
    crossed = opened("t5", show="Pattern", stack="cross-attention", head="XL0H1")
    assert "Token 5 is" in words(crossed, "info")  # the queries are the same, the keys are not


def test_what_a_model_lacks_is_said_by_its_reason(opened):
    assert "no trained token-predicting head" in words(opened("bert-bare", show="Next token"), "info")
    assert "patterns is disabled, since the model has no attention" in words(opened("ffn-only"), "info")


def test_the_page_does_not_take_the_first_model_for_the_second(opened, on_disk):
    page = opened(**{"with": "another model", "other-source": on_disk("gpt2")})
    assert "is the first of the two already" in words(page, "info")
    assert not page.get("plotly_chart")


def test_differences_are_refused_where_they_mean_nothing(on_disk, both):
    tales = api.load("tales")
    pair = api.compare(api.capture(tales, "The old man"), both.first)
    shapes = pair.head_map("entropy")
    assert shapes.difference is None
    assert shapes.why_not == "The one has 6 layers × 8 heads, the other 2 layers × 4 heads: a place of the one is no place of the other."
    assert "have other vocabularies" in pair.next_tokens().why_not
    assert pair.apart
    assert not both.apart
    with pytest.raises(SiteError, match="expected one of: resid_post, attn_out, mlp_out"):
        both.norms("z")
    with pytest.raises(SiteError, match="position 40 came"):
        both.next_tokens(40)


def test_the_divergence_is_0_for_the_same_and_ln_2_for_what_shares_nothing(both):
    from interp.captures.compared import _divergence

    assert _divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.log(2))
    assert _divergence(np.array([0.3, 0.7]), np.array([0.3, 0.7])) == 0
    assert 0 < both.next_tokens().difference.attrs["divergence_nats"] < np.log(2)
