"""All relations at once: the same numbers as one by one, and a family that is that of the whole table."""

import dataclasses
import time

import numpy as np
import pytest

import interp
from interp.claims.judge import judge
from interp.claims.relation_table import relations
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.stats.permutation import sign_flip_max_t

NAMES = ("nsubj", "obj", "det")


@pytest.fixture(scope="module")
def encoder(tiny_named):
    return tiny_named("bert").model


def gold(relation):
    def where(example, word, rng):
        return example.words[word].head_index if example.words[word].deprel == relation else None

    return where


def test_each_row_is_what_the_relation_alone_comes_to_but_for_its_family(encoder, treebank, planted, relation_claim):
    planted(gold("obj"))
    table = relations(encoder, treebank, names=NAMES)
    planted(gold("obj"))
    alone = judge(relation_claim(), encoder, treebank)
    row = table["obj"]
    assert (row.outcome, row.site) == (alone.outcome, alone.site) == ("supported", "L0H0")
    for ours, theirs in zip(row.evidence, alone.evidence, strict=True):
        assert (ours.estimate, ours.n_items, ours.n_clusters) == (theirs.estimate, theirs.n_items, theirs.n_clusters)
        assert ours.family == 3 * theirs.family
        assert ours.power <= theirs.power
        assert ours.p_adjusted >= theirs.p_adjusted
    assert [verdict.outcome == "supported" for verdict in table.verdicts] == [False, True, False]


def test_the_best_of_a_whole_table_of_chance_is_not_supported(encoder, treebank, planted):
    planted(lambda example, word, rng: None)
    table = relations(encoder, treebank, names=("nsubj", "obj", "det", "amod"))
    assert all(verdict.outcome != "supported" for verdict in table.verdicts)


def test_without_twins_nothing_is_supported_and_it_says_why(encoder, treebank, planted):
    planted(gold("obj"))
    table = relations(encoder, treebank, names=["obj"], n_untrained=0)
    assert (table["obj"].outcome, table["obj"].reason) == ("inconclusive", "null_not_run")
    assert "null_not_run" in str(table)
    assert "were not run" in interp.figure(table).description.caption


def test_the_table_prints_saves_and_is_drawn(encoder, treebank, planted, tmp_path):
    planted(gold("obj"))
    table = relations(encoder, treebank, names=NAMES)
    lines = str(table).splitlines()
    assert len(lines) == 4
    for line, row in zip(lines[1:], table.rows(), strict=True):
        assert row["relation"] in line
        assert f"{row['accuracy']:.1%}" in line
        assert row["outcome"] in line
    assert Verdict.from_json(table["obj"].to_json()) == table["obj"]
    bars = interp.figure(table).description
    assert bars.values.tolist() == [row["gain"] for row in table.rows()]
    assert bars.reference.value == 0.1
    assert "Supported: obj." in bars.caption
    assert interp.figure(table).save(tmp_path / "relations.pdf").stat().st_size > 1000


def test_refusals(encoder, treebank, tiny_named):
    with pytest.raises(ClaimError, match="no relation came"):
        relations(encoder, treebank, names=[])
    with pytest.raises(ClaimError, match="no pair of the relation 'iobj'"):
        relations(encoder, treebank, names=["obj", "iobj"])
    with pytest.raises(ClaimError, match="is an encoder-decoder"):
        relations(tiny_named("t5").model, treebank)
    with pytest.raises(ClaimError, match="annotated sentences; plain texts came"):
        relations(encoder, ["the dog"])
    with pytest.raises(KeyError, match="iobj"):
        relations(encoder, treebank, names=["obj"], n_untrained=0)["iobj"]


def test_144_heads_by_40_relations_by_10000_flips_in_seconds():
    """Members x documents as the table has them; processor time, since the machine may be busy. 400 MB would be a whole null."""
    differences = np.random.default_rng(0).normal(size=(144 * 40, 150)).round(1)
    began = time.process_time()
    found = sign_flip_max_t(differences, n_resamples=9_999, seed=0)
    assert time.process_time() - began < 30
    assert found.p_adjusted.shape == (144 * 40,)
    assert (found.p_adjusted >= found.p - 1e-12).all()


def test_verdicts_are_the_same_again(encoder, treebank):
    first, second = (relations(encoder, treebank, names=NAMES, n_untrained=1) for _ in range(2))
    assert [one.untimed() for one in first.verdicts] == [one.untimed() for one in second.verdicts]
    assert dataclasses.replace(first, elapsed_s=0.0).rows() == second.rows()
