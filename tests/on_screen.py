"""What stands on a page that AppTest ran: its words, the numbers that the browser gets, and what the Python under a figure gives."""

import base64
from typing import Any

import numpy as np
import plotly.io
from streamlit.testing.v1 import AppTest


def words(page: AppTest, kind: str) -> str:
    """All elements of a kind, literally."""
    return "\n".join(element.value for element in page.get(kind)).replace("\\", "")


def numbers(page: AppTest, at: int, axis: str = "z") -> np.ndarray:
    """What the browser gets of a chart: the first trace's cells, or `axis` of it."""
    found = plotly.io.from_json(page.get("plotly_chart")[at].proto.spec, skip_invalid=True).to_dict()["data"][0][axis]
    if not isinstance(found, dict):
        return np.asarray(found)
    array = np.frombuffer(base64.b64decode(found["bdata"]), dtype=found["dtype"])
    return array.reshape([int(size) for size in found["shape"].split(",")]) if "shape" in found else array


def python(page: AppTest, at: int) -> Any:
    """What the last line of the Python under a figure is worth."""
    *lines, last = page.code[at].value.split("\n")
    names: dict = {}
    exec("\n".join([*lines, f"result = {last}"]), names)
    return names["result"]
