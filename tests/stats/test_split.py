"""Clusters go one way whole, and the same way whatever else is there."""

import numpy as np
import pytest

from interp.stats.split import split_clusters


def test_each_item_is_in_one_side_and_clusters_stay_whole():
    clusters = np.random.default_rng(0).integers(0, 30, size=500)
    selection, confirmation = split_clusters(clusters, seed=0)
    assert (selection ^ confirmation).all()
    assert not set(clusters[selection]) & set(clusters[confirmation])


def test_a_cluster_keeps_its_side_when_others_come_and_go():
    names = np.array([f"doc{i}" for i in range(200)])
    selection, _ = split_clusters(names, seed=7)
    kept = np.random.default_rng(1).permutation(200)[:50]
    longer_names = np.append(names[kept], "a document with a much longer name")
    assert (split_clusters(longer_names, seed=7)[0][:50] == selection[kept]).all()
    other, _ = split_clusters(names, seed=8)
    assert 50 < (other != selection).sum() < 150  # another seed is another split: 100 expected, 7 standard deviations


def test_text_and_integers_of_every_width_name_the_same_cluster():
    numbers = np.arange(50)
    selection, _ = split_clusters(numbers, seed=0)
    for same in (numbers.astype(np.int8), numbers.astype(str), numbers.astype(str).astype(object)):
        assert (split_clusters(same, seed=0)[0] == selection).all()


def test_the_split_is_the_same_for_ever():
    # Frozen: a change here would move documents that claims were confirmed on over to the selection side.
    selection, _ = split_clusters(np.arange(12), seed=0)
    assert "".join("CS"[int(side)] for side in selection) == "CCCSCSCSSSCS"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_share_is_hit_in_expectation(share):
    selection, _ = split_clusters(np.arange(4000), seed=0, share=share)
    assert selection.mean() == pytest.approx(share, abs=0.024)  # three times .5 / sqrt 4000


def test_larger_share_only_adds():
    small, large = (split_clusters(np.arange(300), seed=0, share=share)[0] for share in (0.3, 0.6))
    assert (small <= large).all()
    assert small.sum() < large.sum()


@pytest.mark.parametrize(
    ("clusters", "share", "message"),
    [
        (np.zeros(9, dtype=int), 0.5, r"all 1 clusters fall on one side with seed 0 and share 0.5; expected some on both"),
        (np.array([], dtype=int), 0.5, r"all 0 clusters fall on one side"),
        (np.zeros((2, 2), dtype=int), 0.5, r"clusters \(2, 2\) came; expected one axis, item"),
        (np.array([1.0, 2.0]), 0.5, r"clusters of type float64 came; expected text or integers"),
        (np.arange(9), 1.0, r"share 1.0 came; expected one between 0 and 1"),
    ],
)
def test_refusals(clusters, share, message):
    with pytest.raises(ValueError, match=message):
        split_clusters(clusters, seed=0, share=share)
