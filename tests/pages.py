"""What stands on a page of the dashboard, as `AppTest` has it: words, chips, the numbers drawn, what the Python under a figure gives."""

import base64
import re

import numpy as np
import plotly.io
from streamlit.testing.v1 import AppTest


def words(page: AppTest, kind: str) -> str:
    """The texts of all elements of a kind, without markdown's escapes."""
    return "\n".join(element.value for element in page.get(kind)).replace("\\", "")


def chips(page: AppTest) -> str:
    """All HTML of the page."""
    return "\n".join(element.proto.body for element in page.get("html"))


def group(page: AppTest, key: str):
    """A segmented control by its key."""
    return next(each for each in page.get("button_group") if each.key == key)


def figure(page: AppTest, at: int):
    """A figure as the browser gets it."""
    return plotly.io.from_json(page.get("plotly_chart")[at].proto.spec, skip_invalid=True)


def array(told) -> np.ndarray:
    """The numbers of an entry of a figure, `z` or `x` or `y`: arrays stand in it as bytes."""
    if not isinstance(told, dict):
        return np.asarray(told)
    found = np.frombuffer(base64.b64decode(told["bdata"]), dtype=told["dtype"])
    return found.reshape([int(size) for size in told["shape"].split(",")]) if "shape" in told else found


def numbers(page: AppTest, at: int, axis: str = "z") -> np.ndarray:
    """What the browser gets of a chart: the first trace's cells, or `axis` of it."""
    return array(figure(page, at).to_dict()["data"][0][axis])


def python(page: AppTest, at: int):
    """What the Python under a figure gives."""
    *lines, last = page.code[at].value.split("\n")
    names: dict = {}
    exec("\n".join([*lines, f"result = {last}"]), names)
    return names["result"]


STRANGE = "<script>alert(1)</script> <img src=x onerror=alert(1)> **b** :red[r] $x$ \u05e9\u05dc\u05d5\u05dd \u202eabc"


def refuse_markup(page: AppTest) -> None:
    """No markup, script, colour or formula of the text's is obeyed, wherever it stands."""
    assert not page.exception
    for element in page.get("html"):
        body = element.proto.body.split("</style>")[-1]
        assert "<script" not in body
        assert "<img" not in body
    for kind in ("error", "warning", "caption", "markdown", "info", "title", "subheader", "success"):
        for element in page.get(kind):
            written = element.value
            assert not re.search(r"(?<!\\)(<script|<img|:red\[|\*\*b|\$x)", written), (kind, written)
    for element in page.get("plotly_chart"):
        assert "<script" not in element.proto.spec
        assert "<img" not in element.proto.spec
