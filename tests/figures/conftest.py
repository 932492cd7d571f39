"""One figure of each kind, with the labels that have broken figures before."""

import numpy as np
import pytest

from interp.figures.description import Bars, Description, HeatMap, Lines, Reference, Series, WordLines

TOKENS = ("[CLS]", " the", "<b>", "猫", "$x$", "\n", " the", "%{x}", "&amp;", "</script>")


def _heat() -> HeatMap:
    values = np.random.default_rng(0).normal(size=(10, 10))
    values[2, 3] = np.nan
    return HeatMap(
        title="Scores <i>of</i> $a$ head",
        caption="A model.",
        n=7,
        values=values,
        row_labels=TOKENS,
        column_labels=TOKENS,
        row_title="query token",
        column_title="key token",
        scale_title="attention score",
        units="nats",
        diverging=True,
        marks=[(0, 1), (9, 9)],
    )


def _word_lines() -> WordLines:
    values = np.random.default_rng(1).normal(size=(10, 9))
    values[2, 3] = np.nan
    return WordLines(
        title="Between <i>words</i> $a$", caption="A model.", n=7, values=values, row_labels=TOKENS, column_labels=TOKENS[:9],
        row_title="query token", column_title="key token", scale_title="attention", units="probability", diverging=True,
    )  # fmt: skip


def _bars() -> Bars:
    values, half = np.array([0.5, -1.25, 0.1, 2.0]), np.array([0.1, 0.2, 0.3, np.nan])
    return Bars(
        title="Parts",
        labels=["L0H1", "<br>", " FFN", "other (3 parts)"],
        values=values,
        low=values - half,
        high=values + half,
        value_title="direct effect",
        units="logits",
        reference=Reference(value=0.3, label="<chance>"),
    )


def _lines() -> Lines:
    first = np.array([0.9, np.nan, 0.3, 0.1])
    series = {"L1H3": Series(values=first, low=first - 0.1, high=first + 0.1), "<b>": Series(values=first / 2)}
    reference = Reference(value=0.2, label="chance")
    return Lines(
        title="Decay", x=np.arange(1, 5), series=series, x_title="shift", value_title="score", units="probability", reference=reference
    )


@pytest.fixture
def heat() -> HeatMap:
    return _heat()


@pytest.fixture
def bars() -> Bars:
    return _bars()


@pytest.fixture
def lines() -> Lines:
    return _lines()


@pytest.fixture(params=[_heat, _word_lines, _bars, _lines], ids=["heat", "words", "bars", "lines"])
def description(request: pytest.FixtureRequest) -> Description:
    return request.param()
