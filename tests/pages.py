"""What stands on a page of the dashboard, as `AppTest` has it: words, chips, the numbers drawn, what the Python under a figure gives."""

import base64

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


def drawn(page: AppTest, at: int) -> np.ndarray:
    """The cells of a heat map as the browser gets them."""
    z = figure(page, at).to_dict()["data"][0]["z"]
    if not isinstance(z, dict):
        return np.asarray(z)
    shape = [int(size) for size in z["shape"].split(",")]
    return np.frombuffer(base64.b64decode(z["bdata"]), dtype=z["dtype"]).reshape(shape)


def python(page: AppTest, at: int):
    """What the Python under a figure gives."""
    *lines, last = page.code[at].value.split("\n")
    names: dict = {}
    exec("\n".join([*lines, f"result = {last}"]), names)
    return names["result"]
