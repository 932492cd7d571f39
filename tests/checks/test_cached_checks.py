"""A report that is kept is given again for the same model under the same conditions, and for nothing else."""

import dataclasses
import json

import pytest
import torch

import interp
from interp.checks import cache
from interp.checks.cache import as_shipped, cached_check, fresh_check
from interp.checks.report import Finding, Report
from interp.core import provenance
from interp.models.load import load_model


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "checks"


@pytest.fixture
def model(fresh, word_tokenizer):
    return load_model(fresh("llama"), word_tokenizer())


@pytest.fixture
def checks(monkeypatch):
    """Counts the checks that are really made."""
    made, true = [], cache.check
    monkeypatch.setattr(cache, "check", lambda model: made.append(model.name) or true(model))
    return made


FAILED = Finding(name="x", value=float("inf"), tolerance=1.0, unit="1", features=("patterns", "stream"))
BROKEN = dataclasses.replace(FAILED, value=None, problem="RuntimeError: no kernel \u2192 for this")


def test_a_report_comes_back_from_json_as_it_went():
    nan = dataclasses.replace(FAILED, value=float("nan"))
    whole = Report(
        model="a/\u00e9", fingerprint="f00d", findings=(FAILED, BROKEN, dataclasses.replace(FAILED, value=0.1 + 0.2)), elapsed_s=1.5
    )
    assert Report.from_json(whole.to_json()) == whole
    json.loads(whole.to_json(), parse_constant=pytest.fail)  # no Infinity or NaN, which are not JSON
    back = Report.from_json(dataclasses.replace(whole, findings=(nan,)).to_json()).findings[0]
    assert back.value != back.value
    assert not back.passed


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"model": "a"}', '{"findings": [{}], "elapsed_s": 1}'])
def test_what_is_no_report_is_not_taken_for_one(text):
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        Report.from_json(text)


def test_the_second_time_nothing_is_measured(model, checks, place):
    first = cached_check(model)
    assert first.passed, [str(finding) for finding in first.findings if not finding.passed]
    assert cached_check(model) == first
    assert cached_check(dataclasses.replace(model, name="other")) == dataclasses.replace(first, model="other")
    assert len(checks) == 1
    assert len(list(place.iterdir())) == 1
    assert next(place.iterdir()).name.startswith(model.fingerprint)


def test_loading_uses_what_is_kept_and_a_check_that_is_asked_for_does_not(checks):
    assert interp.load().disabled == interp.load().disabled
    assert len(checks) == 1
    interp.check(interp.load())
    interp.check(interp.load())
    assert len(checks) == 3


def test_another_weight_type_or_seed_is_another_report(model, checks):
    cached_check(model)
    cached_check(interp.untrained(model, seed=0))
    cached_check(load_model(model.hf, model.tokenizer, dtype="bfloat16"))
    assert len(checks) == 3


@pytest.mark.parametrize("what", ["versions", "instrument", "products", "head"])
def test_another_condition_is_another_report(model, checks, monkeypatch, what):
    cached_check(model)
    if what == "versions":
        monkeypatch.setattr(cache, "versions", lambda: {"torch": "0.1"})
    elif what == "instrument":
        monkeypatch.setattr(cache, "own_source", lambda rooms: "another")
    elif what == "products":
        monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    else:
        model = dataclasses.replace(model, anatomy=dataclasses.replace(model.anatomy, lm_head=False))
    cached_check(model)
    assert len(checks) == 2


def test_an_edited_source_file_is_another_instrument(tmp_path, monkeypatch):
    for room in cache.ROOMS:
        (tmp_path / room).mkdir()
    (tmp_path / "checks" / "cache.py").write_text("x = 1")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "core" / "provenance.py"))

    def source():
        return provenance.own_source.__wrapped__(cache.ROOMS)

    first = source()
    assert source() == first
    (tmp_path / "models" / "more.py").write_text("y = 2")
    second = source()
    (tmp_path / "models" / "more.py").write_text("y = 3")
    assert len({first, second, source()}) == 3


@pytest.mark.parametrize("damage", ["empty", "half", "list", "other", "failed", "binary", "folder"])
def test_a_damaged_file_is_ignored_and_written_anew(model, checks, place, damage):
    first = cached_check(model)
    path = next(place.iterdir())
    whole = path.read_text()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    else:
        kept = json.loads(whole)
        kept["report"]["findings"][0]["value"] = 1e9
        other = json.dumps({**json.loads(whole), "key": {}})
        path.write_text({"empty": "", "half": whole[: len(whole) // 2], "list": "[]", "other": other, "failed": json.dumps(kept)}[damage])
    again = cached_check(model)
    assert again.passed
    assert len(checks) == 2
    if damage != "folder":
        assert cached_check(model) == again != first
        assert len(checks) == 2
    assert not list(place.glob("*.partial"))


def test_a_failure_is_not_kept_and_what_was_kept_goes(model, checks, place, monkeypatch):
    cached_check(model)
    assert len(list(place.iterdir())) == 1
    true = cache.check
    monkeypatch.setattr(cache, "check", lambda model: dataclasses.replace(true(model), findings=(FAILED,)))
    assert not fresh_check(model).passed
    assert not list(place.iterdir())
    assert not cached_check(model).passed


def test_a_folder_that_cannot_be_written_is_no_error(model, checks, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "file"))
    assert cached_check(model).passed
    assert cached_check(model).passed
    assert len(checks) == 2


def test_the_folder_is_the_users_unless_one_is_named(monkeypatch, tmp_path):
    assert cache.folder() == tmp_path / "cache" / "checks"
    monkeypatch.delenv("INTERP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "interp" / "checks"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.folder() == tmp_path / "home" / ".cache" / "interp" / "checks"


class _Mine(torch.nn.Linear):
    pass


def _hook(hf):
    hf.lm_head.register_forward_hook(lambda module, args, output: output * 1.1)


def _pre_hook(hf):
    hf.model.layers[0].register_forward_pre_hook(lambda module, args: None)


def _own_forward(hf):
    hf.lm_head.forward = lambda x: torch.nn.functional.linear(x, hf.lm_head.weight)


def _own_class(hf):
    hf.lm_head.__class__ = _Mine


@pytest.mark.parametrize("change", [_hook, _pre_hook, _own_forward, _own_class])
def test_a_model_with_somebody_elses_code_is_checked_each_time(model, checks, fresh, word_tokenizer, place, change):
    cached_check(model)  # a report of the same weights is kept
    hf = fresh("llama")
    change(hf)
    other = load_model(hf, word_tokenizer())
    assert other.fingerprint == model.fingerprint
    assert not as_shipped(other.hf)
    assert cached_check(other).passed is (change is not _hook)
    cached_check(other)
    assert len(checks) == 3
    assert len(list(place.iterdir())) == 1
    assert cached_check(model).passed


def test_a_forward_of_another_class_is_noticed(model, monkeypatch):
    assert as_shipped(model.hf)
    monkeypatch.setattr(type(model.hf.lm_head), "forward", lambda self, x: x)
    assert not as_shipped(model.hf)


def test_a_hook_on_all_modules_is_noticed(model):
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, args, output: None)
    try:
        assert not as_shipped(model.hf)
    finally:
        handle.remove()
    assert as_shipped(model.hf)


def test_accelerates_forward_is_not_somebody_elses(fresh, word_tokenizer):
    from accelerate import dispatch_model

    for own in (False, True):
        hf = fresh("llama")
        if own:
            _own_forward(hf)
        dispatch_model(hf, {"": "cpu"}, force_hooks=True)
        assert as_shipped(load_model(hf, word_tokenizer()).hf) is not own


def test_a_kept_report_is_read_in_a_hundredth_of_a_second(model):
    import time

    cached_check(model)
    began = time.perf_counter()
    cached_check(model)
    assert time.perf_counter() - began < 0.2  # measured 0.01 s
