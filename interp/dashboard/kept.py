"""What is kept between reruns, and for whom?

A loaded model is immutable, and who is looking at it travels in a context variable, so one model serves all sessions. The last one is
kept for everybody; each session also holds on to its own, so that two sessions with two models do not make each other load again.
Captures belong to a session, a few of them.
"""

import streamlit as st

from interp import api
from interp.captures.activations import Activations
from interp.checks.report import Report
from interp.models.model import Model


@st.cache_resource(max_entries=1, scope="session", show_spinner=False)
def model_of(source: str) -> Model:
    """The model of that name, folder or hub name. Raises: ModelError."""
    return _shared_model(source)


def second_model_of(source: str) -> Model:
    """The model beside it, on the page Compare. A session has one such model, or twin, and gives the last back. Raises: ModelError."""
    return _second(source, "", 0, None)


def second_seen_on(model: Model, text: str, target: str | None = None) -> Activations:
    """What the second model does on a text: the last of it, so that no more than one such model is ever held."""
    return _second_seen(model.name, model.fingerprint, text, target, model)


def twin_of(model: Model, seed: int) -> Model:
    """The untrained twin of a model, as the second model of the session."""
    return _second(model.name, model.fingerprint, seed, model)


def report_on(model: Model) -> Report:
    """The figures of the model's self-check, measured again when they are asked for first."""
    return _report(model.name, model.fingerprint, model)


def seen_on(model: Model, text: str, target: str | None = None) -> Activations:
    """What the model does on a text; of one longer than its context, on the beginning. Raises: TextError, MemoryLimit, CheckFailed.

    Args: target: what the decoder of an encoder-decoder writes.
    """
    return _seen(model.name, model.fingerprint, text, target, model)


@st.cache_resource(max_entries=1, scope="session", show_spinner="Making the second model …")
def _second(source: str, fingerprint: str, seed: int, _trained: Model | None) -> Model:
    return api.load(source) if _trained is None else api.untrained(_trained, seed)


@st.cache_resource(max_entries=1, scope="session", show_spinner=False)
def _second_seen(name: str, fingerprint: str, text: str, target: str | None, _model: Model) -> Activations:
    return api.capture(_model, text, target=target, window=True)


@st.cache_resource(max_entries=1, show_spinner="Loading the model and checking the instrument on it …")
def _shared_model(source: str) -> Model:
    return api.load(source)


@st.cache_resource(max_entries=4, show_spinner="Checking the instrument on this model …")
def _report(name: str, fingerprint: str, _model: Model) -> Report:
    return api.check(_model)


@st.cache_resource(max_entries=8, scope="session", show_spinner=False)
def _seen(name: str, fingerprint: str, text: str, target: str | None, _model: Model) -> Activations:
    return api.capture(_model, text, target=target, window=True)
