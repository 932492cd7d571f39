"""A run says before what it will do, and one that was stopped goes on behind its last finished part."""

import dataclasses

import numpy as np
import pytest

import interp
from interp.claims.judge import judge, plan
from interp.claims.plan import EXPECTED_SD, Step, sampled_plan
from interp.claims.protocols.finding import halves
from interp.claims.protocols.parts import looked_at
from interp.claims.stages import Stages, open_stages
from interp.core.errors import ClaimError
from interp.stats.power import power_at


@pytest.fixture(scope="module")
def encoder(tiny_named):
    return tiny_named("bert").model


def test_the_plan_counts_what_the_verdict_then_counts(encoder, treebank, relation_claim):
    claim = relation_claim()
    told, verdict = plan(claim, encoder, treebank), judge(claim, encoder, treebank)
    first = verdict.evidence[0]
    assert (told.n_items, told.n_clusters, told.family) == (first.n_items, first.n_clusters, first.family)
    assert told.power == pytest.approx(power_at(0.1, sd=EXPECTED_SD, n=first.n_clusters, alpha=claim.alpha / first.family))
    assert told.elapsed_s > 0
    assert f"{told.n_items} items in {told.n_clusters} documents" in str(told)
    assert "5 untrained twins" in str(told)


def test_a_plan_of_texts_and_one_of_the_model_alone(encoder, treebank):
    told = plan("S4-42", encoder, treebank)
    documents = np.array([sentence.document for sentence in treebank])
    assert told.n_clusters == len(set(documents[halves(documents, 0)[1]]))
    assert [step.what for step in told.steps] == ["the model on the texts", "5 untrained twins", "the model on random tokens"]
    assert told.steps[1].tokens == 5 * told.steps[0].tokens
    exact = plan("S1-01", encoder)
    assert (exact.power, exact.n_clusters) == (None, 0)
    assert "each exact" in str(exact)


def test_a_plan_looks_at_nothing(encoder, treebank, relation_claim, monkeypatch):
    def never(*arguments):
        raise AssertionError("a plan must not look")

    monkeypatch.setattr(looked_at, "looked_at", never)
    assert plan(relation_claim(), encoder, treebank).n_items
    with pytest.raises(AssertionError, match="must not look"):
        judge(relation_claim(), encoder, treebank)


def test_a_plan_refuses_what_a_run_would(encoder, treebank, relation_claim, tiny_named):
    with pytest.raises(ClaimError, match="is tested on a treebank"):
        plan("S4-41-obj", encoder)
    with pytest.raises(ClaimError, match="no pair of the relation 'iobj'"):
        plan(relation_claim(relation="iobj"), encoder, treebank)
    with pytest.raises(ClaimError, match=r"has no attention; nothing would be run"):
        plan("S4-42", tiny_named("ffn-only").model, treebank)


def test_too_few_documents_are_told_before(small_treebank, encoder, relation_claim):
    told = str(plan(relation_claim(), encoder, small_treebank(24)))
    assert "fewer than 40: the verdict will be inconclusive" in told
    assert "documents in all would give 0.8" in told
    enough = sampled_plan(
        steps=[Step(what="x", tokens=1)], clusters=np.arange(2000), family=1, smallest_effect=0.1, unit="accuracy", alpha=0.05
    )
    assert enough.n_for_power is None
    assert "fewer than" not in str(enough)


def test_an_underpowered_verdict_says_how_many_would_do(encoder, small_treebank, planted, relation_claim):
    """Of a head that is right in three of five: with eleven documents to confirm on, and again with as many as it said would do."""
    planted(lambda example, word, rng: example.words[word].head_index if rng.random() < 0.6 else None)
    few = judge(relation_claim(), encoder, small_treebank(22))
    n = few.evidence[0].n_clusters
    assert (few.outcome, few.reason) == ("inconclusive", "underpowered")
    assert n < 40 <= few.would_do == max(40, *(one.n_for_power or 0 for one in few.evidence))
    assert f"Too few cases: about {few.would_do} clusters to confirm on would do; {n} came." in str(few)
    enough = judge(relation_claim(), encoder, small_treebank(2 * few.would_do + 2, per_document=1))
    assert enough.reason != "underpowered"
    assert enough.would_do is None
    assert "Too few cases" not in str(enough)


def test_a_stopped_run_goes_on_and_comes_to_the_same_bytes(encoder, treebank, relation_claim, tmp_path, monkeypatch):
    whole = judge(relation_claim(), encoder, treebank).untimed().to_json()
    real, calls = looked_at.looked_at, []

    def stops(model, examples):
        calls.append(model.name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(model, examples)

    monkeypatch.setattr(looked_at, "looked_at", stops)
    with pytest.raises(KeyboardInterrupt):
        judge(relation_claim(), encoder, treebank, stages=tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "model.npz", "run.json", "untrained-twin-0.npz", "untrained-twin-1.npz",
    ]  # fmt: skip
    assert judge(relation_claim(), encoder, treebank, stages=tmp_path / "run").untimed().to_json() == whole
    assert len(calls) == 4 + 3  # the one that was stopped, and the two after it
    assert judge(relation_claim(), encoder, treebank, stages=tmp_path / "run").untimed().to_json() == whole
    assert len(calls) == 7


def test_a_folder_of_another_run_is_refused(encoder, treebank, relation_claim, tmp_path):
    judge(relation_claim(), encoder, treebank, stages=tmp_path / "run")
    with pytest.raises(ClaimError, match=r"run holds another run \(seed: 0, now 1\); expected a folder of its own"):
        judge(relation_claim(), encoder, treebank, seed=1, stages=tmp_path / "run")
    with pytest.raises(ClaimError, match=r"holds another run \(claim: .*, now "):
        judge(relation_claim(margin=0.2), encoder, treebank, stages=tmp_path / "run")
    with pytest.raises(ClaimError, match=r"holds another run \(model: "):
        judge(relation_claim(), interp.untrained(encoder, seed=3), treebank, stages=tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ClaimError, match="mine holds files and is no run of a claim"):
        judge(relation_claim(), encoder, treebank, stages=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_damaged_stages_are_named(tmp_path):
    stages = open_stages(tmp_path / "run", {"seed": "0"})
    stages.get("part one", lambda: {"x": np.arange(3)})
    assert stages.get("part one", lambda: {"x": np.arange(9)})["x"].tolist() == [0, 1, 2]
    (tmp_path / "run" / "part-one.npz").write_bytes(b"no zip")
    with pytest.raises(ClaimError, match=r"part-one\.npz cannot be read .*; delete it: that part is then run again"):
        stages.get("part one", lambda: {"x": np.arange(3)})
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(ClaimError, match=r"run\.json cannot be read .*; delete the folder"):
        open_stages(tmp_path / "run", {"seed": "0"})
    assert Stages().get("part", lambda: {"x": np.ones(1)})["x"].tolist() == [1.0]


def test_a_plan_is_frozen(encoder):
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan("S1-01", encoder).n_items = 3  # type: ignore[misc]
