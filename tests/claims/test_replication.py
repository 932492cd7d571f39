"""What it takes to be replicated, and what is seen of a claim that was edited after its run."""

import dataclasses
import json

import pytest

from interp.claims.judge import judge
from interp.claims.kept import edited, read_verdict
from interp.claims.replication import replicated
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.models.untrained import untrained


@pytest.fixture(scope="module")
def verdicts(tiny_named) -> list[Verdict]:
    model = tiny_named("gpt2").model
    return [judge("S1-01", model), *(judge("S1-01", untrained(model, seed=seed)) for seed in (1, 2))]


def test_one_of_the_opposite_denies_and_an_open_one_does_not(verdicts):
    first, *others = verdicts
    assert first.badges.replicated is None
    found = replicated(first, others)
    assert found.badges.replicated is True
    assert found.badges.causal == first.badges.causal
    assert [one.outcome for one in found.elsewhere] == ["supported", "supported"]
    assert f"supported on {others[0].model}" in str(found)
    assert Verdict.from_json(found.to_json()) == found
    against = dataclasses.replace(others[1], outcome="refuted")
    assert replicated(first, [others[0], against]).badges.replicated is False
    open_one = dataclasses.replace(others[1], outcome="inconclusive")
    assert replicated(first, [open_one]).badges.replicated is None
    assert replicated(first, [open_one, others[0]]).badges.replicated is True


def test_too_few_are_not_yet(verdicts):
    more = [dataclasses.replace(one, claim={**one.claim, "replications": 3}) for one in verdicts]
    assert replicated(more[0], more[1:]).badges.replicated is None
    assert replicated(verdicts[0], []).badges.replicated is None


def test_what_is_no_replication(verdicts):
    first, *others = verdicts
    with pytest.raises(ClaimError, match="on the same data came twice"):
        replicated(first, [first])
    with pytest.raises(ClaimError, match="on the same data came twice"):
        replicated(first, [others[0], others[0]])
    with pytest.raises(ClaimError, match="expected the same claim"):
        replicated(first, [dataclasses.replace(others[0], claim_hash="0" * 16)])
    with pytest.raises(ClaimError, match="a verdict 'inconclusive' came"):
        replicated(dataclasses.replace(first, outcome="inconclusive"), others)
    with pytest.raises(ClaimError, match="the claim is not about it"):
        replicated(first, [dataclasses.replace(others[0], outcome="not applicable")])
    elsewhere = dataclasses.replace(first, data={"sentences": "another treebank"})
    assert replicated(first, [elsewhere]).badges.replicated is True


def test_an_edit_after_the_run_shows(verdicts, tmp_path):
    path = tmp_path / "verdict.json"
    path.write_text(verdicts[0].to_json(), encoding="utf-8")
    assert read_verdict(path) == verdicts[0]
    assert edited(read_verdict(path)) == ""
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["claim"]["test"]["tolerance"] = 0.5
    path.write_text(json.dumps(fields), encoding="utf-8")
    assert "was edited after its run: its hash is" in edited(read_verdict(path))
    fields["claim_hash"] = edited(read_verdict(path)).split("its hash is ")[1].split(",")[0]
    path.write_text(json.dumps(fields), encoding="utf-8")
    assert "The claim S1-01 was edited since this run" in edited(read_verdict(path))
    fields["claim"]["test"]["protocol"] = "gone"
    path.write_text(json.dumps(fields), encoding="utf-8")
    assert "can no longer be read: the verdict's claim: test: there is no protocol 'gone'" in edited(read_verdict(path))


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json"])
def test_what_is_no_verdict(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ClaimError, match=r"other\.json cannot be read as a verdict"):
        read_verdict(path)
    with pytest.raises(ClaimError, match=r"gone\.json cannot be read as a verdict"):
        read_verdict(tmp_path / "gone.json")
