"""Served to others: the listed models, files of the named folders, limits; and whatever is typed is shown, never obeyed."""

import os

import pytest
from pages import STRANGE, refuse_markup
from streamlit.testing.v1 import AppTest

from interp import api
from interp.claims.own import attends
from interp.core.errors import ClaimError, DataError, ModelNotFound, TextError
from interp.dashboard import kept, served
from interp.dashboard.app import VIEWS
from interp.dashboard.views.own_claim import YAML


def opened(path: str = "", **query: str) -> AppTest:
    page = AppTest.from_file("../../app.py", default_timeout=120)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def words(page: AppTest, kind: str) -> str:
    return "\n".join(element.value for element in page.get(kind)).replace("\\", "")


@pytest.fixture
def for_others(monkeypatch, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.setenv(served.MODELS, "small\ntales")
    monkeypatch.setenv(served.FOLDERS, str(folder))
    return folder


def test_on_the_loopback_everything_may_be_opened():
    assert not served.to_others()
    assert served.models() is None
    assert served.path("/etc/passwd") == "/etc/passwd"
    assert served.model("/any/folder") == "/any/folder"


@pytest.mark.parametrize(
    ("address", "others"), [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), (None, True)]
)
def test_another_address_means_others(monkeypatch, address, others):
    monkeypatch.setattr(served.st, "get_option", lambda name: address)
    assert served.to_others() == others
    if others:
        assert "tales" in served.models()


def test_others_get_the_listed_models_only(for_others):
    page = opened()
    assert page.selectbox(key="model").options == ["small", "tales"]
    assert not [field for field in page.text_input if field.key == "source"]
    page = opened(source="/root")
    assert "'/root' is not served here; expected one of: small, tales" in words(page, "error")
    assert not page.get("plotly_chart")
    assert "'en-zh', which is not here" in words(opened(model="en-zh"), "warning")
    with pytest.raises(ModelNotFound, match="not served here"):
        served.model("en-zh")


def test_paths_outside_are_refused(for_others, tmp_path):
    inside = for_others / "run"
    inside.mkdir()
    (for_others / "out").symlink_to(tmp_path)
    assert served.path(str(inside)) == str(inside)
    assert served.path("grammar") == "grammar"
    for outside in ("/etc/passwd", str(tmp_path), f"{inside}/../../x", str(for_others / "out" / "x"), "~", "", "relative"):
        with pytest.raises(DataError, match="files outside of the folders that are served are not read"):
            served.path(outside)


def test_a_run_outside_is_refused_on_the_page(for_others, tmp_path, monkeypatch):
    page = AppTest.from_string("from interp.dashboard.atlas import run\nrun.chosen()", default_timeout=60)
    page.query_params["run"] = str(tmp_path)
    page.run()
    assert not page.exception
    assert "files outside of the folders" in words(page, "error")


def test_claims_of_others(for_others):
    assert served.claim(attends(from_="upos=PRON", to="head")).test
    with pytest.raises(ClaimError, match="regular expression"):
        served.claim(attends(from_="form~(a+)+b", to="head"))
    with pytest.raises(ClaimError, match="not run on a server"):
        served.claim_file("test:\n  protocol: models_compared\n")
    with pytest.raises(TextError, match="at most 20,000"):
        served.claim_file("a" * 20_001)


def test_a_text_that_is_too_long_is_told(for_others):
    page = opened(text="sea " * 5_001)
    assert "the text has 20,0" in words(page, "error").lower()
    assert not page.get("plotly_chart")


def test_so_many_a_minute(for_others, monkeypatch):
    monkeypatch.setattr(served, "OTHERS", served.Limits(characters=100, runs=2, kept_bytes=10**8))
    page = opened()
    page.text_input(key="text").set_value("The old man").run()
    assert not page.error
    page.text_input(key="text").set_value("The sea").run()
    assert "2 texts a minute are run for one session here; the next may be in" in words(page, "error")
    page.text_input(key="text").set_value("The old man").run()
    assert not page.error  # it is kept
    assert not opened().error  # another session


def test_a_capture_takes_what_a_session_may_keep(for_others, monkeypatch):
    seen = api.capture(api.load("small"), "The old man looked at the sea")
    size = kept._size(seen)
    monkeypatch.setattr(served, "OTHERS", served.Limits(characters=2_000, runs=50, kept_bytes=size))
    page = opened(text="The old man looked at the sea " * 8)
    assert f"its first {len(seen.example)} tokens" in words(page, "warning")
    assert "window=True" in words(page, "code")
    for text in ("The sea", "The old man", "She said"):
        page.text_input(key="text").set_value(text).run()
        assert sum(map(kept._size, page.session_state["captures"].values())) <= size
    page.selectbox(key="model").set_value("tales").run()
    assert {place[0] for place in page.session_state["captures"]} == {"tales"}


@pytest.mark.parametrize("field", ["text", "source", "head", "statistic", "model"])
def test_what_a_link_brings_is_shown_and_not_obeyed(field):
    refuse_markup(opened(**{field: STRANGE}))


def _page(name, path, model):
    """One page on a model, with a pin in the report."""
    from importlib import import_module

    import numpy as np
    import streamlit as st

    from interp.dashboard import kept, pins
    from interp.figures.description import Bars
    from interp.figures.figure import Figure

    if not pins.kept() and name == "report":
        pins.pin(Figure(Bars(labels=["a"], values=np.ones(1), title="t", value_title="v")), name="n", python="1", address="a")
        st.session_state.pop("pin told")
    shown = import_module(path)
    if name.startswith("atlas"):
        shown.chosen()
    else:
        shown.show(kept.model_of(model))


PAGES = [
    ("prompt", {}),
    ("ffn", {"view": "One neuron", "neuron_run": "/no/run"}),
    ("residual", {}),
    ("interventions", {"view": "Switch off"}),
    ("interventions", {"view": "Hide edges"}),
    ("interventions", {"view": "Patch"}),
    ("hierarchy", {}),
    ("claims", {"claim": "S4-42"}),
    ("claims", {"whose": "Your own"}),
    ("claims", {"whose": "Your own", "own-how": YAML}),
    ("prompt", {"model": "en-zh"}),
    ("residual", {"model": "en-zh"}),
    ("compare", {}),
    ("compare", {"with": "another model", "other": "tales"}),
    ("report", {}),
    ("atlas", {}),
]


@pytest.mark.parametrize(("name", "query"), PAGES, ids=str)
def test_what_is_typed_into_any_field_is_shown_and_not_obeyed(name, query):
    path = "interp.dashboard.atlas.run" if name == "atlas" else VIEWS[name]
    page = AppTest.from_function(_page, default_timeout=120, args=(name, path, query.get("model", "small")))
    for key, value in query.items():
        (page.session_state if key == "own-how" else page.query_params)[key] = value  # of that there is no link
    page.run()
    refuse_markup(page)
    fields = [one.key for kind in (page.text_input, page.text_area) for one in reversed(kind)]
    assert fields
    for key in fields:  # those below go when one above them holds nothing of use
        next(one for one in (*page.text_input, *page.text_area) if one.key == key).set_value(STRANGE)
        page.run()
        refuse_markup(page)


def test_a_long_file_name_stays_in_its_place():
    name = f"/no/{'very-' * 60}long<b>.bin"
    page = opened(source=name)
    assert name[:100] in words(page, "error")
    assert "<b>" not in "".join(element.value for element in page.get("error"))
    assert os.sep not in served.called(name)
