"""What is kept between reruns, and for whom?

A loaded model is immutable, and who is looking at it travels in a context variable, so one model serves all sessions. The last one is
kept for everybody; each session also holds on to its own, so that two sessions with two models do not make each other load again.
Captures belong to a session, as many as its memory allows (`served.limits`); those of a model that was left go with it.
"""

from bisect import bisect_right
from dataclasses import replace

import streamlit as st
import torch

from interp import api
from interp.captures.activations import Activations
from interp.captures.memory import bytes_needed
from interp.captures.prompt import everything
from interp.checks.report import Report
from interp.core.errors import MemoryLimit
from interp.dashboard import ahead, served
from interp.models.model import Model
from interp.texts.tokens import windows


@st.cache_resource(max_entries=1, scope="session", show_spinner=False)
def model_of(source: str) -> Model:
    """The model of that name, folder or hub name. Raises: ModelError; ModelNotFound for one that is not served to others."""
    return _shared_model(served.model(source))


def second_model_of(source: str) -> Model:
    """The model beside it, on the page Compare. A session has one such model, or twin, and gives the last back. Raises: ModelError."""
    return _second(served.model(source), "", 0, None)


def second_seen_on(model: Model, text: str, target: str | None = None) -> Activations:
    """What the second model does on a text: the last of it, so that no more than one such model is ever held."""
    return _second_seen(model.name, model.fingerprint, served.text(text), target and served.text(target), model)


def twin_of(model: Model, seed: int) -> Model:
    """The untrained twin of a model, as the second model of the session."""
    return _second(model.name, model.fingerprint, seed, model)


def report_on(model: Model) -> Report:
    """The figures of the model's self-check, measured again when they are asked for first."""
    return _report(model.name, model.fingerprint, model)


def seen_on(model: Model, text: str, target: str | None = None) -> Activations:
    """What the model does on a text; of one longer than its context, or than the session's memory, on the beginning.

    Args: target: what the decoder of an encoder-decoder writes.
    Raises: TextError, MemoryLimit, CheckFailed; DataError for too many texts a minute.
    """
    captures: dict[tuple[str, str, str, str | None], Activations] = st.session_state.setdefault("captures", {})
    place = (model.name, model.fingerprint, served.text(text), target and served.text(target))
    for other in [one for one in captures if one[:2] != place[:2]]:
        del captures[other]  # it holds on to its model
    if place not in captures:
        served.spend()
        captures[place] = _seen(model, text, target)
    captures[place] = captures.pop(place)  # the last used is the last to go
    while len(captures) > 1 and sum(map(_size, captures.values())) > served.limits().kept_bytes:
        del captures[next(iter(captures))]
    return captures[place]


def _seen(model: Model, text: str, target: str | None) -> Activations:
    """In one piece where it fits, else as much of the beginning as the session may keep."""
    most = served.limits().kept_bytes
    try:
        return api.capture(model, text, target=target, window=True, memory_limit=most)
    except MemoryLimit:
        if target is not None:
            raise
    return replace(api.capture(model, _beginning(model, text, most), memory_limit=most), windowed=True)


def _beginning(model: Model, text: str, most: int) -> str:
    """As much of a text as can be captured in so many bytes."""
    anatomy = model.anatomy
    kinds = everything(anatomy)
    n = bisect_right(range(1, anatomy.n_ctx + 1), most, key=lambda n: sum(bytes_needed(anatomy, n, kinds).values()))
    return text[: max(end for _, end in windows(text, model.tokenizer, max(n, 1))[0].spans)]


def _size(seen: Activations) -> int:
    """Bytes of a capture."""
    tensors = [*seen.arrays.values(), *([] if seen.logits is None else [seen.logits])]
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))


@st.cache_resource(max_entries=1, scope="session", show_spinner="Making the second model …")
def _second(source: str, fingerprint: str, seed: int, _trained: Model | None) -> Model:
    return api.load(source) if _trained is None else api.untrained(_trained, seed)


@st.cache_resource(max_entries=1, scope="session", show_spinner=False)
def _second_seen(name: str, fingerprint: str, text: str, target: str | None, _model: Model) -> Activations:
    served.spend()
    return _seen(_model, text, target)


@st.cache_resource(max_entries=1, show_spinner="Loading the model and checking the instrument on it …")
def _shared_model(source: str) -> Model:
    return ahead.taken(source) or api.load(source)


@st.cache_resource(max_entries=4, show_spinner="Checking the instrument on this model …")
def _report(name: str, fingerprint: str, _model: Model) -> Report:
    return api.check(_model)
