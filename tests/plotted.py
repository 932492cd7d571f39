"""What a plotly figure holds, as numpy: arrays stand in it as bytes."""

import base64

import numpy as np
import plotly.io


def figure(element) -> dict:
    """The figure of a chart of AppTest."""
    return plotly.io.from_json(element.proto.spec, skip_invalid=True).to_dict()


def array(told) -> np.ndarray:
    """The numbers of an entry, `z` or `x` or `y`."""
    if not isinstance(told, dict):
        return np.array(told, dtype=float)
    found = np.frombuffer(base64.b64decode(told["bdata"]), dtype=told["dtype"])
    return found.reshape([int(size) for size in told["shape"].split(",")]) if "shape" in told else found
