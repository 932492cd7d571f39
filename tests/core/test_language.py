"""Axes, sites, labelled results, provenance and the tree of errors."""

import inspect
import re
from typing import get_args

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from interp.core import errors, results
from interp.core.axes import AXES, check_axes
from interp.core.errors import DataError, InterpError, SiteError
from interp.core.provenance import Provenance, text_hash
from interp.core.results import labelled, read, save
from interp.core.sites import Kind, Site, head_site

SITES = st.builds(
    lambda stack, layer, kind, index: Site(
        stack=stack, layer=layer, kind=kind, index=index if kind in ("head", "neuron", "expert") else None
    ),
    st.sampled_from(["", "E", "D", "X"]),
    st.integers(0, 200),
    st.sampled_from(get_args(Kind)),
    st.integers(0, 100_000),
)


@given(SITES)
def test_a_site_reads_back_as_written(site):
    assert Site.parse(str(site)) == site


@pytest.mark.parametrize(
    "text", ["", "L", "H1", "L1H", "5-1", "L-1H0", "L1H1 L2H2", "l1h1", "L1Q2", "L1attention", "L1 ffn", "AL0H1", "L１.5H1"]
)
def test_what_is_no_site_is_refused(text):
    with pytest.raises(SiteError, match="is not a site; expected the form L5H1"):
        Site.parse(text)


PARTS = {  # form -> what is written -> what it is, or why it is refused
    "gpt2": {
        "L1H3": ("", 1, "head", 3),
        " L0N23 ": ("", 0, "neuron", 23),
        "L2H0": "L2H0: this model has layers 0-1",
        "L0H4": "L0H4: this model has heads 0-3 in each layer",
        "L0N24": "L0N24: this model has neurons 0-23 in each layer",
        "L0E0": "L0E0: this model has no experts",
        "L1": "L1 is a whole layer; expected a head, neuron, expert or sublayer, such as L1H0 or L1 FFN",
        "L1 attention": ("", 1, "attention", None),
        "L0 FFN": ("", 0, "ffn", None),
        "L2 FFN": "L2 FFN: this model has layers 0-1",
        "EL0H0": "stack 'E': this model has '' (E: encoder",
    },
    "marian": {
        "EL1H3": ("E", 1, "head", 3),
        "XL2H0": ("X", 2, "head", 0),
        "XL2 attention": ("X", 2, "attention", None),
        "XL2 FFN": "XL2 FFN: this model has no FFN there",
        "DL2N19": ("D", 2, "neuron", 19),
        "EL2H0": "EL2H0: this model has layers 0-1",
        "L0H0": "stack '': this model has 'E', 'D', 'X'",
    },
    "deepseek-v3": {
        "L0N23": ("", 0, "neuron", 23),
        "L1E3": ("", 1, "expert", 3),
        "L0E0": "L0E0: this model has no experts",
        "L1N0": "L1N0: this model has no neurons",
        "L1E4": "L1E4: this model has experts 0-3 in each layer",
    },
    "ffn-only": {
        "L0 attention": "L0 attention: this model has no attention there",
        "L0H0": "L0H0: this model has no heads",
        "L1N23": ("", 1, "neuron", 23),
    },
}


@pytest.mark.parametrize(("form", "written"), [(form, written) for form, parts in PARTS.items() for written in parts])
def test_parts_are_held_against_the_size_of_the_model(tiny_named, form, written):
    anatomy, expected = tiny_named(form).model.anatomy, PARTS[form][written]
    if isinstance(expected, str):
        with pytest.raises(SiteError, match=re.escape(expected)):
            anatomy.part(written)
    else:
        site = anatomy.part(written)
        assert (site.stack, site.layer, site.kind, site.index) == expected


def test_heads_are_read_one_or_several_and_nothing_else_is_a_head(tiny_named):
    anatomy = tiny_named("gpt2").model.anatomy
    assert anatomy.heads("L1H3") == [anatomy.head("L1H3")] == [Site(layer=1, kind="head", index=3)]
    assert [str(site) for site in anatomy.heads(iter(["L0H0", " L1H2 "]))] == ["L0H0", "L1H2"]
    with pytest.raises(SiteError, match="L0N1 is a neuron; expected a head such as L0H0"):
        anatomy.head("L0N1")
    with pytest.raises(SiteError, match="EL0N1 is a neuron; expected a head such as DL0H0"):
        tiny_named("bart").model.anatomy.head("EL0N1")


@given(st.lists(st.sampled_from(AXES), unique=True))
def test_axes_are_taken_in_one_order_only(dims):
    in_order = sorted(dims, key=AXES.index)
    check_axes(in_order)
    if dims != in_order:
        with pytest.raises(DataError, match="in this order"):
            check_axes(dims)


def test_axes_twice_or_unknown_are_refused():
    with pytest.raises(DataError, match="each once"):
        check_axes(["pos", "pos"])
    with pytest.raises(DataError, match="are not known; expected names out of"):
        check_axes(["word"])


def _entropy(**more) -> xr.DataArray:
    about = {"name": "entropy", "long_name": "entropy of attention", "units": "nats", "source": "a work"}
    return labelled(torch.tensor([[0.5, np.nan], [1.0, 2.0]]), ["layer", "head"], **about, **more)


def test_a_result_selects_by_layer_and_head_and_carries_sites():
    result = _entropy()
    assert result.sel(layer=1, head=0).item() == 1.0
    assert result.sel(layer=1, head=0).site.item() == "L1H0" != result.sel(layer=0, head=1).site.item()


@pytest.mark.parametrize("stack", ["E", "D", "X"])
def test_a_result_of_one_of_several_stacks_carries_its_letter(stack):
    assert _entropy(stack=stack).sel(layer=1, head=0).site.item() == f"{stack}L1H0"
    assert _entropy().sel(layer=1, head=0).site.item() == "L1H0"


def test_a_result_refuses_values_that_do_not_fit_its_axes():
    with pytest.raises(DataError, match="values have 1 axes; expected 2"):
        labelled([1.0], ["layer", "head"], name="x", long_name="x", units="1")


def test_half_precision_is_labelled_as_the_same_number():
    assert labelled(torch.tensor([1.5], dtype=torch.bfloat16), ["pos"], name="x", long_name="x", units="1").item() == 1.5


def test_a_saved_result_reads_back_whole(tmp_path):
    provenance = Provenance(model="tales", fingerprint="f" * 16, data=text_hash(["a"]), seed=3)
    result = _entropy(provenance=provenance)
    back = read(save(result, tmp_path / "entropy.nc"))["entropy"]
    xr.testing.assert_identical(back.load(), result)
    assert Provenance.from_json(back.attrs["provenance"]) == provenance


def test_a_save_that_dies_leaves_the_old_file(tmp_path, monkeypatch):
    path = save(_entropy(), tmp_path / "entropy.nc")
    before = path.read_bytes()

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(results.os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        save(_entropy() + 1, path)
    assert path.read_bytes() == before
    monkeypatch.undo()
    save((_entropy() + 1).rename("entropy"), path)
    assert path.read_bytes() != before
    assert read(path)["entropy"].sel(layer=1, head=1) == 3.0


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "none.nc")
    broken = tmp_path / "broken.nc"
    broken.write_bytes(save(_entropy(), tmp_path / "whole.nc").read_bytes()[:300])
    with pytest.raises(DataError, match="not a netCDF file that can be read"):
        read(broken)


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_two_corpora_have_one_hash_only_when_they_are_the_same(one, other):
    assert (text_hash(one) == text_hash(other)) == (one == other)


def test_every_error_is_in_the_one_tree_and_in_its_drawing():
    found = [error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, Exception)]
    assert len(found) > 10
    for error in found:
        assert issubclass(error, InterpError), error
        assert re.search(rf"\b{error.__name__}\b", errors.__doc__), error
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__)) | {"InterpError"}
    assert drawn == {error.__name__ for error in found}


@given(st.sampled_from(["", "E", "D", "X"]), st.integers(0, 200), st.integers(0, 200))
def test_head_site_writes_what_parse_reads(stack, layer, head):
    assert Site.parse(head_site(layer, head, stack)) == Site(stack=stack, layer=layer, kind="head", index=head)


def test_head_site_means_the_only_stack_unless_told():
    assert head_site(3, 7) == "L3H7" != head_site(3, 7, "E")
