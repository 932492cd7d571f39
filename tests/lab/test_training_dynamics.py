"""What a run leaves of its way: read back with its labels, and drawn."""

import dataclasses
import json

import numpy as np
import pytest

import interp
from interp.core.errors import DataError, ModelNotFound
from interp.figures.training import training_figure
from interp.lab.dynamics import training, write_training
from interp.lab.recipes import RECIPES, Phase

N = 13
PHASES = (Phase(n_steps=1600, row_tokens=64, batch_rows=32), Phase(n_steps=2000, row_tokens=128), Phase(n_steps=400, batch_rows=8))
CHANGES = [3_276_800, 7_372_800, 8_192_000]  # tokens read at the end of each
RECIPE = dataclasses.replace(RECIPES["small"], n_layers=2, n_heads=3, phases=PHASES)


def log() -> list[dict]:
    """As a decoder's run writes it: L1H2 begins to look at the earlier copy at the sixth checkpoint, and the second time gets cheap."""
    rows = []
    for number in range(N):
        grown = 0.123456 if number < 5 else 0.8
        heads = [[0.01, 0.02, 0.03], [0.01, 0.05, grown]]
        rows.append(
            {
                "step": 200 * (number + 1),
                "tokens": 409_600 * (number + 1),
                "tokens_per_s": 1234,
                "text": 9.0 - number / 10,
                "grammar": 8.0,
                "first": 9.5,
                "second": 9.5 if number < 5 else 0.5,
                "previous_head": "L0H1",
                "all_previous": [[0.1, 0.9, 0.2], [0.1, 0.1, 0.1]],
                "all_induction": heads,
                "agreement_0": 0.5,
                "agreement_1": 0.6,
            }
            | ({"train_recall": 1.5} if number < 8 else {"train_text": 6.0})
        )
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    (place / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log()))
    write_training(RECIPE, place, place / "log.jsonl")
    return place


def test_a_training_comes_back_with_its_labels(folder):
    told = training(folder)
    assert told.sizes == {"checkpoint": N, "layer": 2, "head": 3}
    assert told.tokens.values.tolist() == [409_600 * (number + 1) for number in range(N)]
    assert told["induction"].dims == ("checkpoint", "layer", "head")
    assert told["induction"].site.values.tolist() == [["L0H0", "L0H1", "L0H2"], ["L1H0", "L1H1", "L1H2"]]
    assert told["induction"].sel(layer=1, head=2).values.tolist() == [0.1235] * 5 + [0.8] * 8  # four digits are kept
    assert {name: told[name].attrs["units"] for name in ("text", "agreement_0", "previous")} == {
        "text": "nats",
        "agreement_0": "share",
        "previous": "probability",
    }
    assert np.isnan(told["train_text"].values).tolist() == [True] * 8 + [False] * 5
    assert "pairs" not in told
    assert [phase["until_tokens"] for phase in json.loads(told.attrs["phases"])] == CHANGES


def test_a_dozen_checkpoints_of_the_largest_model_take_little(tmp_path):
    row = log()[0] | {"all_previous": np.full((6, 8), 0.1234).tolist(), "all_induction": np.full((6, 8), 0.1234).tolist()}
    (tmp_path / "log.jsonl").write_text((json.dumps(row) + "\n") * 40)
    assert write_training(RECIPES["tales"], tmp_path, tmp_path / "log.jsonl").stat().st_size < 100_000


def test_an_encoders_training_has_losses_alone(tmp_path):
    rows = [{key: row[key] for key in ("step", "tokens", "text", "grammar")} for row in log()]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_training(RECIPES["small-bert"], tmp_path, tmp_path / "log.jsonl")
    told = interp.training(tmp_path)
    assert set(told.data_vars) == {"text", "grammar"}
    assert len(training_figure(told).panels) == 1


def test_what_does_not_tell_is_refused(tmp_path, folder):
    with pytest.raises(ModelNotFound, match="'novels' is neither a bundled model nor a folder; expected one of: tales"):
        interp.training("novels")
    with pytest.raises(
        DataError, match=r"holds no training\.json: its training was not kept; expected the folder of a model by `interp zoo train`"
    ):
        interp.training(tmp_path)
    (tmp_path / "training.json").write_text((folder / "training.json").read_text()[:200])
    with pytest.raises(DataError, match="cannot be read"):
        interp.training(tmp_path)


def test_the_figure_has_losses_heads_and_agreement_over_one_axis(folder):
    figure = training_figure(training(folder))
    losses, heads, agreement = figure.panels
    assert list(losses.series) == ["held-out text", "generated sentences", "random tokens, first time", "the same, second time"]
    assert list(heads.series)[:2] == ["previous token, L0H1", "earlier copy, L1H2"]
    assert heads.series["earlier copy, L1H2"].values.tolist() == [0.1235] * 5 + [0.8] * 8
    assert agreement.reference.value == 0.5
    assert all(np.array_equal(panel.x, losses.x) for panel in figure.panels)
    assert f"What it reads changes at {CHANGES[0] / 1e6:.1f} and {CHANGES[1] / 1e6:.1f} million tokens." in figure.caption
    assert "earlier copy, L1H2 from 0.123 to 0.8" in figure.alt


def test_the_figure_is_drawn_on_screen_and_on_paper(folder, tmp_path):
    figure = training_figure(training(folder))
    shown = figure.plotly()
    assert len(shown.data) == 4 + 4 + 2
    assert shown.layout.meta["alt"] == figure.alt
    assert {trace.legend for trace in shown.data} == {"legend", "legend2", "legend3"}
    for suffix, begins in {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG", "html": b"<!DOCTYPE", "csv": b"tokens read"}.items():
        first, again = (figure.save(tmp_path / f"{name}.{suffix}").read_bytes() for name in ("a", "b"))
        assert first.startswith(begins)
        assert first == again, suffix
    assert figure.csv().count("earlier copy, L1H2") == N
    assert "<img alt=" in figure._repr_html_()


def test_what_cannot_be_drawn_is_refused(folder, tmp_path):
    told = training(folder)
    with pytest.raises(DataError, match=r"expected what interp\.training gives"):
        training_figure(told.isel(checkpoint=-1).drop_vars("checkpoint"))
    with pytest.raises(DataError, match="a training of one checkpoint came"):
        training_figure(told.isel(checkpoint=[0]))
    figure = training_figure(told)
    with pytest.raises(DataError, match=r"has the suffix '\.jpg'"):
        figure.save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="there is no folder"):
        figure.save(tmp_path / "none" / "a.pdf")
    with pytest.raises(DataError, match="clickable"):
        figure.plotly(clickable=True)
