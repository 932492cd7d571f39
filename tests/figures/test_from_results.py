"""Labelled results become descriptions with nothing lost: order, labels, sum, provenance."""

import numpy as np
import pytest

from interp.core.errors import DataError, SiteError
from interp.core.provenance import Provenance
from interp.core.results import labelled
from interp.figures.description import Reference
from interp.figures.from_results import attention_pattern, contribution_bars, curve, expert_map, head_map

MADE = Provenance(model="tiny", fingerprint="f00d", data="beef", seed=3, versions={})


def _heads(values: object = ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))):
    return labelled(values, ["layer", "head"], name="h", long_name="entropy", units="nats", source="A (2020)", provenance=MADE)


def _parts(values: list[float]):
    names = [f"part {at}" for at in range(len(values))]
    return labelled(values, ["component"], name="dla", long_name="effect", units="logits", coords={"component": names})


def test_head_map_keeps_layers_as_rows() -> None:
    heat = head_map(_heads(), marks=["L1H2"])
    assert heat.values[1, 2] == np.float32(0.6)
    assert (heat.row_labels, heat.column_labels) == (("0", "1"), ("0", "1", "2"))
    assert heat.marks == ((1, 2),)
    assert (heat.title, heat.quantity) == ("Entropy", "entropy [nats]")


def test_head_map_of_a_selection_keeps_the_models_numbers() -> None:
    heat = head_map(_heads().sel(layer=[1]), marks=["L1H2"])
    assert (heat.row_labels, heat.marks) == (("1",), ((0, 2),))


def test_negative_values_diverge_and_others_do_not() -> None:
    assert head_map(_heads([[-1.0, 2.0]])).diverging
    assert not head_map(_heads()).diverging
    assert head_map(_heads(), diverging=True).scale == (-np.float32(0.6), np.float32(0.6))


def test_the_caption_says_where_the_numbers_come_from() -> None:
    result = _heads()
    result.attrs["n"] = np.int64(12)
    heat = head_map(result)
    assert heat.footer == "Model tiny (weights f00d), data beef, seed 3. Measure: A (2020). n = 12."


def test_a_pattern_keeps_repeated_tokens_and_names_its_head() -> None:
    coords = {"query_token": ("query_pos", ["a", "a"]), "key_token": ("key_pos", ["a", "a"]), "site": "L5H1"}
    options = {"name": "p", "long_name": "attention weight", "coords": coords}
    heat = attention_pattern(labelled([[1.0, 0.0], [0.4, 0.6]], ["query_pos", "key_pos"], units="probability", **options))
    assert (heat.row_labels, heat.title, heat.scale) == (("a", "a"), "Attention weight, L5H1", (0.0, 1.0))
    scores = attention_pattern(labelled([[1.0, -np.inf], [-3.0, 0.6]], ["query_pos", "key_pos"], units="nats", **options))
    assert np.isnan(scores.values[0, 1])
    assert scores.scale == (-3.0, 3.0)


def test_a_pattern_without_tokens_is_labelled_by_position() -> None:
    heat = attention_pattern(labelled(np.eye(2), ["query_pos", "key_pos"], name="p", long_name="w", units="probability"))
    assert (heat.row_labels, heat.row_title) == (("0", "1"), "query position")


@pytest.mark.parametrize(("site", "rows", "columns"), [("XL0H1", ", target", ", source"), ("EL0H1", "", ""), ("L0H1", "", "")])
def test_the_pattern_of_cross_attention_says_whose_tokens_stand_where(site: str, rows: str, columns: str) -> None:
    coords = {"query_token": ("query_pos", ["a"]), "key_token": ("key_pos", ["x", "y"]), "site": site}
    heat = attention_pattern(labelled([[0.4, 0.6]], ["query_pos", "key_pos"], name="p", long_name="w", units="probability", coords=coords))
    assert (heat.row_title, heat.column_title) == (f"query token{rows}", f"key token{columns}")
    assert (heat.row_labels, heat.column_labels, heat.title) == (("a",), ("x", "y"), f"W, {site}")


@pytest.mark.parametrize(("stack", "said"), [("", ""), ("E", ", encoder"), ("D", ", decoder"), ("X", ", cross-attention")])
def test_a_head_map_says_whose_heads_they_are(stack: str, said: str) -> None:
    result = labelled([[0.1, 0.2]], ["layer", "head"], name="h", long_name="entropy", units="nats", stack=stack)
    heat = head_map(result, marks=[f"{stack}L0H1"])
    assert (heat.title, heat.marks) == (f"Entropy{said}", ((0, 1),))
    with pytest.raises(SiteError, match=f"its heads are {stack}L0H0"):
        head_map(result, marks=["DL0H1" if stack != "D" else "L0H1"])


def test_an_expert_map_has_tokens_as_rows_and_begins_at_zero() -> None:
    coords = {"token": ("pos", ["a", "b"])}
    options = {"name": "expert_weights", "long_name": "weight of each expert in layer 1", "units": "share", "coords": coords}
    heat = expert_map(labelled([[0.2, 0.8, 0.3], [0.5, 0.1, 0.4]], ["pos", "expert"], **options))
    assert (heat.row_labels, heat.column_labels) == (("a", "b"), ("0", "1", "2"))
    assert heat.scale == (0.0, pytest.approx(0.8))
    assert (heat.quantity, heat.title) == ("expert weights [share]", "Weight of each expert in layer 1")
    with pytest.raises(DataError, match=r"expected \('pos', 'expert'\)"):
        expert_map(_heads())


@pytest.mark.parametrize("top", [1, 5, 20, 49, 50, 99])
def test_bars_add_up_to_the_whole(top: int) -> None:
    values = np.random.default_rng(0).normal(size=50)
    bars = contribution_bars(_parts(list(values)), top=top)
    # 1e-12: fifty float64 additions in another order
    assert bars.values.sum() == pytest.approx(values.sum(), abs=1e-12)
    single = [size for size, label in zip(np.abs(bars.values), bars.labels, strict=True) if not label.startswith("other")]
    assert single == sorted(single, reverse=True)
    assert len(bars.values) == (top + 1 if top < 49 else 50)


def test_a_single_other_part_keeps_its_name() -> None:
    assert contribution_bars(_parts([1.0, 2.0, 3.0]), top=2).labels == ("part 2", "part 1", "part 0")
    assert contribution_bars(_parts([1.0, 2.0, 3.0]), top=1).labels == ("part 2", "other (2 parts)")


def test_a_curve_takes_its_axis_from_the_coordinate() -> None:
    result = labelled([0.9, 0.5], ["shift"], name="ind", long_name="score", units="probability", coords={"shift": [3, 4]})
    lines = curve(result, low=result - 0.1, high=result + 0.1, reference=Reference(value=0.1, label="chance"))
    assert lines.x.tolist() == [3, 4]
    assert lines.series["ind"].low is not None
    with pytest.raises(DataError, match="interval's axes or coordinates"):
        curve(result, low=result.assign_coords(shift=[5, 6]), high=result)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"axes \('layer',\) came; expected \('layer', 'head'\).*\.sel"):
        head_map(_heads().isel(head=0))
    with pytest.raises(SiteError, match="L7H0 is not in this result: its heads are L0H0 to L1H2"):
        head_map(_heads(), marks=["L7H0"])
    with pytest.raises(DataError, match="top=0"):
        contribution_bars(_parts([1.0]), top=0)
    with pytest.raises(DataError, match="no coordinate"):
        contribution_bars(_parts([1.0]).drop_vars("component"))
    with pytest.raises(DataError, match="draw bars instead"):
        curve(_parts([1.0]))
    with pytest.raises(DataError, match="expected one axis"):
        curve(_heads())
    broken = _heads()
    broken.attrs["provenance"] = "{"
    with pytest.raises(DataError, match="provenance cannot be read"):
        head_map(broken)
