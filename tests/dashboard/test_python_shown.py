"""The Python under every figure gives the numbers that are drawn; each page in its views."""

import pytest
from streamlit.testing.v1 import AppTest

TEXT = "The old man saw the sea and the old man"
PAGES = [
    ("prompt", {"head": "L1H2", "form": "moved", "statistic": "previous"}),
    ("prompt", {"view": "All heads"}),
    ("ffn", {"view": "Neurons", "layer": "2"}),
    ("residual", {"view": "Contributions"}),
    ("residual", {"view": "Logit lens"}),
    ("residual", {"view": "Layers"}),
    ("interventions", {"view": "Switch off"}),
    ("interventions", {"view": "Hide edges"}),
    ("interventions", {"view": "Patch"}),
    ("compare", {"show": "Head map"}),
    ("compare", {"with": "its untrained twin", "show": "Next token"}),
]


def _page(source, name):
    from importlib import import_module

    from interp.dashboard import kept

    import_module(f"interp.dashboard.views.{name}").show(kept.model_of(source))


def opened(name: str, **query: str) -> AppTest:
    page = AppTest.from_function(_page, default_timeout=120, args=("small", name))
    for key, value in {"text": TEXT, **query}.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    assert not page.error
    return page


@pytest.mark.parametrize(("name", "query"), PAGES, ids=str)
def test_python_gives_what_is_drawn(python_shown, name, query):
    opened(name, **query)
    python_shown.check()


def test_other_numbers_are_noticed(python_shown):
    opened("prompt", head="L2H3")
    name = next(name for name in python_shown if "L2H3" in name)
    drawn, python = python_shown[name]
    python_shown[name] = drawn, python.replace("L2H3", "L2H4")
    with pytest.raises(AssertionError, match="does not give what is drawn"):
        python_shown.check(name)
