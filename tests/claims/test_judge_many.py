"""Many verdicts in a folder: kept one by one, taken from there only where nothing that decides them changed, the same in processes."""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import ModuleType

import pytest
from threadpoolctl import threadpool_info

from interp import load
from interp.claims import judge_many as module
from interp.claims.claim import parse_claim
from interp.claims.claim_files import catalogue
from interp.claims.judge import judge
from interp.claims.judge_many import judge_many
from interp.claims.kept import read_verdict
from interp.claims.protocols import positionwise
from interp.core.errors import ClaimError

CLAIMS = [catalogue()[name] for name in ("S4-20", "S4-34", "S3-15", "S4-40")]


def counted(monkeypatch):
    """The claims that are really judged, in their order."""
    judged, real = [], module.judge

    def judge(claim, *args, **more):
        judged.append(claim.id)
        return real(claim, *args, **more)

    monkeypatch.setattr(module, "judge", judge)
    return judged


def test_each_verdict_is_kept_and_what_is_known_is_not_judged_again(tmp_path, monkeypatch):
    judged, told = counted(monkeypatch), []
    found = judge_many(CLAIMS, ["small"], [], out=tmp_path / "v", load=load, progress=told.append)
    assert [(one.claim.id, one.model) for one in found] == [
        ("S4-20", "small"),
        ("S4-34", "general"),
        ("S3-15", "small"),
        ("S4-40", "small"),
    ]
    assert [one.verdict and one.verdict.outcome for one in found][2:] == ["not applicable", None]
    assert "none was given" in found[3].why_not
    assert read_verdict(tmp_path / "v" / "general" / "S4-34.json") == found[1].verdict
    assert list(json.loads((tmp_path / "v" / "small" / "not_run.json").read_text())) == ["S4-40"]
    assert told[0] == "1 of 4: S4-20 on small: supported"
    judged.clear()
    again = judge_many(CLAIMS, ["small"], [], out=tmp_path / "v", load=load)
    assert judged == ["S4-40"]
    assert [one.kept for one in again] == [True, True, True, False]
    assert [one.verdict for one in again] == [one.verdict for one in found]


@pytest.mark.parametrize("change", ["claim", "seed", "code", "verdict gone", "key gone"])
def test_what_decides_a_verdict_has_it_judged_again(tmp_path, monkeypatch, change):
    judged, claims, seed = counted(monkeypatch), CLAIMS[:2], 0
    judge_many(claims, ["small"], [], out=tmp_path, load=load)
    if change == "claim":
        claims = [parse_claim({**claims[0].model_dump(mode="json"), "statement": "Otherwise."}, "a test"), claims[1]]
    elif change == "seed":
        seed = 1
    elif change == "code":
        monkeypatch.setattr(module, "own_source", lambda rooms: "another")
    else:
        (tmp_path / "small" / ("S4-20.json" if change == "verdict gone" else ".keys/S4-20")).unlink()
    judged.clear()
    judge_many(claims, ["small"], [], out=tmp_path, load=load, seed=seed)
    assert judged == (["S4-20", "S4-34"] if change in ("seed", "code") else ["S4-20"])


def test_the_first_data_that_serve_are_taken_and_others_change_the_key(tmp_path, monkeypatch):
    plain, more = tmp_path / "plain.txt", tmp_path / "more.txt"
    plain.write_text("The old man looked at the sea.\n")
    more.write_text("And then he went home.\n")
    judged = counted(monkeypatch)
    claim = [catalogue()["S4-40"]]
    judge_many(claim, ["small"], [str(plain)], out=tmp_path / "v", load=load)
    assert judged == ["S4-40"]
    assert "a treebank" in json.loads((tmp_path / "v" / "small" / "not_run.json").read_text())["S4-40"]
    judged.clear()
    judge_many(claim, ["small"], [str(plain), str(more)], out=tmp_path / "v", load=load)
    assert judged == ["S4-40", "S4-40"]
    with pytest.raises(ClaimError, match=r"nowhere\.conllu: no such file or folder; expected a \.conllu treebank"):
        judge_many(claim, ["small"], [str(tmp_path / "nowhere.conllu")], out=tmp_path / "v", load=load)


def test_what_can_no_longer_be_run_loses_its_old_verdict_and_one_failure_costs_no_other(tmp_path, monkeypatch):
    judge_many(CLAIMS[:2], ["small"], [], out=tmp_path, load=load)
    real = module.judge

    def failing(claim, *args, **more):
        if claim.id == "S4-20":
            raise ZeroDivisionError("a defect")
        return real(claim, *args, **more)

    monkeypatch.setattr(module, "judge", failing)
    found = judge_many(CLAIMS[:2], ["small"], [], out=tmp_path, load=load, seed=1)
    assert (found[0].verdict, found[0].why_not) == (None, "ZeroDivisionError: a defect")
    assert found[1].verdict is not None
    assert not (tmp_path / "small" / "S4-20.json").exists()
    monkeypatch.setattr(module, "judge", real)
    assert judge_many(CLAIMS[:1], ["small"], [], out=tmp_path, load=load, seed=1)[0].verdict is not None
    (tmp_path / "small" / "S4-20.json").write_text("{")  # damaged
    assert not judge_many(CLAIMS[:1], ["small"], [], out=tmp_path, load=load, seed=1)[0].kept


def test_the_same_question_is_asked_once_and_answers_every_claim_that_puts_it(tmp_path, monkeypatch):
    runs, real = [], positionwise._refuse_coarse
    monkeypatch.setattr(positionwise, "_refuse_coarse", lambda *args: runs.append(args) or real(*args))
    claims = [catalogue()[name] for name in ("S1-01", "S1-20", "S3-03")]
    found = judge_many(claims, ["small", "small-2"], [], out=tmp_path, load=load)
    assert len(runs) == 2  # once on each model
    assert [one.verdict.outcome for one in found] == ["supported", "refuted", "supported"] * 2
    alone = judge(claims[1], load("small")).untimed()
    assert found[1].verdict.untimed() == alone
    assert found[0].verdict.evidence == alone.evidence


def test_two_models_and_two_processes_give_the_same_bytes(tmp_path, monkeypatch):
    """And the processes do not run the script that started them."""
    script = ModuleType("__main__")
    script.__file__ = str(tmp_path / "script.py")
    (tmp_path / "script.py").write_text("raise SystemExit('the script was run again')")
    monkeypatch.setitem(sys.modules, "__main__", script)
    one = judge_many(CLAIMS[:3], ["small", "small-attn"], [], out=tmp_path / "one", load=load)
    two = judge_many(CLAIMS[:3], ["small", "small-attn"], [], out=tmp_path / "two", load=load, workers=2)
    assert [(judged.claim.id, judged.model) for judged in one] == [
        ("S4-20", "small"), ("S4-34", "general"), ("S3-15", "small"), ("S4-20", "small-attn"), ("S3-15", "small-attn"),
    ]  # fmt: skip
    assert [judged.verdict.untimed() for judged in one] == [judged.verdict.untimed() for judged in two]


def test_processes_share_the_threads_of_every_library(monkeypatch):
    """BLAS as well, which else takes every core in each of them."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # a test of a page may have left that page there
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=module._begin, initargs=(load, 1)) as pool:
        found = pool.submit(threadpool_info).result()
    assert {library["user_api"] for library in found} >= {"blas", "openmp"}
    assert {library["num_threads"] for library in found} == {1}


def test_bad_input_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ClaimError, match="is a file; expected a folder for the verdicts"):
        judge_many(CLAIMS, ["small"], [], out=tmp_path / "file", load=load)
    with pytest.raises(ClaimError, match=r"two verdicts would be kept as .*S4-20\.json"):
        judge_many([CLAIMS[0], CLAIMS[0]], ["small"], [], out=tmp_path, load=load)
    with pytest.raises(ClaimError, match="0 claims and 1 models came"):
        judge_many([], ["small"], [], out=tmp_path, load=load)
