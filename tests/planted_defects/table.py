"""The table of planted defects: what one is, the names of the checks, and sound models to break."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import pytest
from tiny_families import FORMS, drawn, words

from interp.checks.selfcheck import CHECKS
from interp.models.load import load_model
from interp.models.model import Model

OUTPUT, PATTERNS, ROWS, MASKED = "output", "patterns are", "pattern rows", "masked"
HEADS, NEURONS, PROJECTED, MADE, ROUTED = "heads add", "neurons add", "up and gate", "neurons are made", "experts are weighted"
READS, LAYERS, WHOLE, FINAL, MEMORY = (
    "sublayers read",
    "writes add up to the stream, by layer",
    "writes add up to the stream, over",
    "the final",
    "cross",
)
FUSED, LOGIT, EDIT_HEADS, EDIT_NEURONS, EDIT_ROUTING = (
    "fused",
    "contributions",
    "an edit of heads",
    "an edit of neurons",
    "an edit of the routing",
)
EDIT_INPUTS = "an edit of what the FFN reads"
EDGES, PADDING, BATCHING, RUN = "a knocked-out", "padding", "batching", "run"

Plant = Callable[[str, pytest.MonkeyPatch], Model]


def full(name: str) -> str:
    """The check's whole name, from its beginning."""
    (found,) = [check.name for check in CHECKS if check.name.startswith(name)] if name != RUN else [RUN]
    return found


@dataclass(frozen=True, kw_only=True)
class Defect:
    name: str
    forms: tuple[str, ...]
    plant: Plant
    caught_by: frozenset[str]
    follows: frozenset[str]


def entering(table: list[Defect]) -> Callable[..., Callable[[Plant], Plant]]:
    """The decorator that enters a planted defect in a table, for several forms, "gpt2 t5"."""

    def defect(forms: str, *caught_by: str, follows: Iterable[str] = (), name: str = "") -> Callable[[Plant], Plant]:
        def enter(plant: Plant) -> Plant:
            about = {"caught_by": frozenset(map(full, caught_by)), "follows": frozenset(map(full, follows))}
            table.append(Defect(name=name or plant.__name__.replace("_", " "), forms=tuple(forms.split()), plant=plant, **about))
            return plant

        return enter

    return defect


def sound(form: str) -> Model:
    """A fresh instrument; its model shares the parameters of all others of this form, which nobody changes."""
    return load_model(_drawn(form), words(encoder=FORMS[form].encoder))


_drawn = cache(drawn)
