"""The Python under every figure gives the numbers that are drawn; each page in its views."""

import pytest
from streamlit.testing.v1 import AppTest

VIEWS = ({}, {"head": "L1H2", "form": "moved", "statistic": "previous"}, {"view": "Neurons", "layer": "2"}, {"view": "Contributions"})


def opened(**query: str) -> AppTest:
    page = AppTest.from_file("../../app.py", default_timeout=120)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


@pytest.mark.parametrize("query", VIEWS, ids=str)
def test_python_under_the_prompt_page(python_shown, query):
    opened(**query)
    python_shown.check()


def test_other_numbers_are_noticed(python_shown):
    opened(head="L2H3")
    name = next(name for name in python_shown if "L2H3" in name)
    drawn, python = python_shown[name]
    python_shown[name] = drawn, python.replace("L2H3", "L2H4")
    with pytest.raises(AssertionError, match="does not give what is drawn"):
        python_shown.check(name)
