"""Streams, patches and before-and-after as figures: every number is there, and what is written beside it is true."""

import numpy as np
import pytest

from interp.core.errors import DataError
from interp.core.provenance import Provenance
from interp.core.results import Dataset, labelled
from interp.figures.description import HeatMap
from interp.figures.make import figure
from interp.figures.paper import to_bytes
from interp.figures.screen import to_plotly
from interp.figures.stream import depth_map, loss_rows, next_token_bars, norm_lines, patch_map, similarity_map
from interp.figures.table import to_csv

MADE = Provenance(model="tiny", fingerprint="f00d", data="beef", seed=None, versions={})


def of(values, dims, name="x", units="nats", **coords):
    return labelled(values, dims, name=name, long_name=f"a {name}", units=units, coords=coords, provenance=MADE).assign_attrs(n=2)


def lens() -> HeatMap:
    best = (("depth", "pos"), [["<b>", " man"], [" sea", "dog"]])
    return depth_map(of([[1.0, 2.0], [0.5, np.nan]], ["depth", "pos"], "lens", best=best, token=("pos", ["The", " old"])))


def test_a_lens_has_its_words_in_the_cells_everywhere() -> None:
    heat = lens()
    assert (heat.row_labels, heat.column_labels) == (("embedding", "after L0"), ("The", " old"))
    cells = to_plotly(heat).data[0]
    assert [list(row) for row in cells.text] == [["&lt;b&gt;", "␣man"], ["␣sea", "dog"]]
    assert cells.texttemplate == "%{text}"
    assert "likeliest next token: %{text}" in cells.hovertemplate
    assert to_csv(heat).splitlines()[0] == "row_index,column_index,stream,token read,a lens [nats],likeliest next token"
    assert to_csv(heat).splitlines()[1] == "0,0,embedding,The,1.0,<b>"
    with_texts, without = (to_bytes(one, "svg") for one in (heat, HeatMap(**{**heat.__dict__, "texts": None})))
    assert len(with_texts) > len(without)


def test_words_without_room_stay_in_the_tooltip() -> None:
    wide = HeatMap(title="t", values=np.ones((1, 60)), row_labels=["a"], column_labels=["b"] * 60, scale_title="s", texts=[["word"] * 60])
    cells = to_plotly(wide).data[0]
    assert cells.texttemplate is None
    assert "text: %{text}" in cells.hovertemplate
    assert (
        to_plotly(HeatMap(title="t", values=np.ones((1, 1)), row_labels=["a"], column_labels=["b"], scale_title="s")).data[0].text is None
    )


def test_texts_must_fit() -> None:
    with pytest.raises(DataError, match=r"texts of \[1\] cells came; expected 1 rows of 2"):
        HeatMap(title="t", values=np.ones((1, 2)), row_labels=["a"], column_labels=["b", "c"], scale_title="s", texts=[["x"]])


def test_likeness_is_on_a_fixed_scale() -> None:
    heat = similarity_map(of([[1.0, 0.5], [0.5, 1.0]], ["depth", "other_depth"]))
    assert (heat.limits, heat.diverging, heat.row_labels) == ((0.0, 1.0), False, ("emb.", "L0"))
    assert similarity_map(of([[1.0, -0.5], [-0.5, 1.0]], ["depth", "other_depth"])).limits == (-1.0, 1.0)


def test_norms_are_medians_with_the_middle_of_the_tokens() -> None:
    values = np.arange(22.0).reshape(2, 11)
    lines = norm_lines({"stream": of(values, ["layer", "pos"])})
    line = lines.series["stream"]
    assert (line.values.tolist(), line.low.tolist(), line.high.tolist()) == ([5, 16], [1, 12], [9, 20])
    assert "Median over the tokens; the band holds the middle 80 %" in lines.footer


def grid(units="logits", dims=("layer", "pos"), **coords):
    about = {"before": 1.5, "other": -2.0, "patched": "a thing", "stack": ""}
    return of([[0.5, -1.0]], list(dims), "patch_grid", units, **coords).assign_attrs(**about)


def test_a_grid_says_what_was_put_in_and_what_is_unpatched() -> None:
    heat = patch_map(grid(token=("pos", ["The", " man"]), source_token=("pos", ["The", " dog"])), marks=[(0, 1)])
    assert heat.column_labels == ("The", " man (dog)")
    assert (heat.diverging, heat.scale, heat.quantity) == (True, (-1.0, 1.0), "change [logits]")
    assert "Unpatched: 1.5 logits; the other text: -2 logits." in heat.footer
    assert isinstance(figure(grid(dims=("layer", "head"))).description, HeatMap)
    assert figure(grid(dims=("layer", "head"))).description.column_title == "head"
    assert "-2 of the way" in patch_map(grid("share")).footer


def compared(**more) -> Dataset:
    kl = of([0.1, 0.2], ["pos"], "kl", token=("pos", ["The", " old"]), **more)
    return Dataset({"kl": kl})


def test_before_and_after_row_by_row() -> None:
    whole = compared(next=("pos", [" old", ""]))
    whole = whole.assign(loss_before=("pos", [2.0, np.nan]), loss_after=("pos", [3.0, np.nan]))
    heat = loss_rows(whole)
    assert heat.row_labels == ("loss before", "loss after", "KL")
    np.testing.assert_allclose(heat.values, [[2, np.nan], [3, np.nan], [0.1, 0.2]], rtol=1e-6)
    assert heat.column_labels == (" old", "(next)")
    assert "Mean loss 2.000 before, 3.000 after" in heat.footer
    assert figure(whole).description.row_labels == heat.row_labels
    assert loss_rows(compared()).row_labels == ("KL",)
    for draw in (loss_rows, next_token_bars):
        with pytest.raises(DataError, match="since the model has no trained head"):
            draw(Dataset({"moved": of([[0.1]], ["depth", "pos"])}))


def test_next_tokens_are_changes() -> None:
    before, after = (
        of(values, ["rank"], "p", candidate=("rank", [" a", " b"])).assign_attrs(pos=3) for values in ([-1.0, -2.0], [-1.5, -1.0])
    )
    bars = next_token_bars(Dataset({"log_prob_before": before, "log_prob_after": after}))
    assert (bars.labels, bars.values.tolist()) == ((" a", " b"), [-0.5, 1.0])
    assert "position 3" in bars.title
