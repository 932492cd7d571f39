"""Our grid of patches is TransformerLens's own activation patching, cell by cell, on its bridge over the same weights."""

import contextlib
import io

import numpy as np
import pytest
import torch

from interp.interventions.patch_grid import patch_grid
from interp.lens.bridge import bridge

RUN, OTHER, ANSWERS = "the old man saw a dog by", "the old dog saw a man by", (7, 9)
TOLERANCE = 1e-4  # of logits of some units: float32, in another order of sums
THEIRS = {
    "stream": "get_act_patch_resid_pre",
    "attention": "get_act_patch_attn_out",
    "FFN": "get_act_patch_mlp_out",
    "heads": "get_act_patch_attn_head_out_all_pos",
}


def theirs(tiny, what: str) -> np.ndarray:
    from transformer_lens import patching

    booted = bridge(tiny.model)
    run, other = (torch.tensor([tiny.examples([text])[0].ids]) for text in (RUN, OTHER))

    def difference(logits):
        return logits[0, -1, ANSWERS[0]] - logits[0, -1, ANSWERS[1]]

    with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
        _, cache = booted.run_with_cache(other)
        patched = getattr(patching, THEIRS[what])(booted, run, cache, difference)
        return (patched - difference(booted(run))).numpy()


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("what", THEIRS)
def test_each_cell_is_theirs(tiny_named, name, what):
    tiny = tiny_named(name)
    expected = theirs(tiny, what)
    grid = patch_grid(tiny.model, RUN, OTHER, what=what, answers=ANSWERS)
    assert grid.shape == expected.shape
    np.testing.assert_allclose(grid.values, expected, atol=TOLERANCE)
    assert np.abs(expected).max() > 100 * TOLERANCE
    swapped = patch_grid(tiny.model, OTHER, RUN, what=what, answers=ANSWERS)  # the negative control: the texts change places
    assert np.abs(swapped.values - expected).max() > 100 * TOLERANCE
