"""A run of an encoder-decoder over a corpus of pairs: the stream's numbers, however it is cut or stopped; what does not fit is refused."""

import json

import numpy as np
import pytest
from conftest import TARGET, TEXTS

from interp.api import profile
from interp.captures.corpus import run as running
from interp.captures.corpus.heads import HeadMeans
from interp.captures.corpus.registry import GROUPS
from interp.captures.corpus.stream import stream
from interp.core.errors import DataError, ModelUnsupported
from interp.core.results import read
from interp.models.reading import rows_of

FAMILIES = ("t5", "switch", "bart", "marian")
SMALL = 200  # characters in a shard
LONG = "the old man saw " * 20
PAIRS = [(text, TARGET if number % 2 else "she said") for number, text in enumerate(TEXTS * 3)]
ALONE = ("previous_examples", "induction_examples")  # their queries are read off one text
OF_PAIRS = [name for name, group in GROUPS.items() if not group.annotated and name not in ALONE]


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS))
    return path


class Stopped(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_is_the_stream_of_every_stack(tiny_named, written, tmp_path, name):
    model = tiny_named(name).model
    expected = stream(model, [rows_of(model, pair) for pair in PAIRS], [HeadMeans()])
    found = profile(model, written, out=tmp_path / "run", shard=SMALL)
    assert len(list((tmp_path / "run" / "shards").iterdir())) > 3
    assert found["entropy"].dims == ("stack", "layer", "head")
    for statistic in expected.data_vars:
        np.testing.assert_allclose(found[statistic], expected[statistic], atol=1e-5, rtol=1e-5, err_msg=statistic)
    assert found["entropy"].notnull().any(["layer", "head"]).all()  # in E, D and X
    assert found["neuron_mean" if "neuron_mean" in found else "expert_neuron_mean"].dims[:2] == ("stack", "layer")
    assert "left_out" not in found.attrs
    assert found.attrs["n_texts"] == len(PAIRS)
    assert read(tmp_path / "run" / "profile.nc").identical(found)


def test_pairs_come_as_lines_rows_or_tuples(tiny_named, written, tmp_path):
    model, rows = tiny_named("t5").model, [dict(zip(("source", "target"), pair, strict=True)) for pair in PAIRS]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, *others = (profile(model, same, statistics=["entropy"]) for same in (written, PAIRS, rows, tmp_path / "pairs.jsonl"))
    assert all(other.identical(first) for other in others)


def test_pairs_of_equal_length_run_together(tiny_named, monkeypatch):
    model, seen = tiny_named("t5").model, []
    true = running.work
    monkeypatch.setattr(
        running, "work", lambda model, shard, plan, tell: true(model, shard, plan, lambda *batch: (seen.append(batch), tell(*batch)))
    )
    profile(model, PAIRS, statistics=["entropy"])
    assert sum(rows for _, rows in seen) == len(PAIRS)
    assert len(seen) == len({(len(source.split()), target) for source, target in PAIRS})  # one for each two lengths


@pytest.mark.parametrize("group", OF_PAIRS)
def test_each_group_is_the_same_to_the_byte_after_a_stop(tiny_named, written, tmp_path, monkeypatch, group):
    model, true = tiny_named("switch").model, running.work

    def work(model, shard, *rest):
        if shard.number == 2:
            raise Stopped
        return true(model, shard, *rest)

    options = {"statistics": [group], "shard": SMALL}
    with monkeypatch.context() as patch:
        patch.setattr(running, "work", work)
        with pytest.raises(Stopped):
            profile(model, written, out=tmp_path / "run", **options)
    for folder in ("run", "whole"):
        profile(model, written, out=tmp_path / folder, **options)
    assert (tmp_path / "run" / "profile.nc").read_bytes() == (tmp_path / "whole" / "profile.nc").read_bytes()


@pytest.mark.parametrize("group", ALONE)
def test_what_is_kept_of_one_stack_only_is_refused_before_anything_runs(tiny_named, tmp_path, group):
    with pytest.raises(ModelUnsupported):
        profile(tiny_named("switch").model, [], statistics=[group], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_bad_pairs_are_told_by_line_and_stop_the_run_or_are_counted(tiny_named, tmp_path):
    model, path = tiny_named("bart").model, tmp_path / "a.tsv"
    lines = [
        "source\ttarget",
        "the dog\tthe sea",
        "the dog",
        "a\tb\tc",
        "the dog\t ",
        f"the dog\t{LONG}",
        f"{LONG}\tthe dog",
        "a man\ta boat",
    ]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"a\.tsv, line 3: 1 text came; expected a pair, source and target.*--skip-bad"):
        profile(model, path, out=tmp_path / "run")
    found = profile(model, path, out=tmp_path / "run", on_bad="skip")
    assert (found.attrs["n_texts"], found.attrs["n_bad"]) == (2, 5)
    told = found.attrs["bad"].splitlines()
    assert [line.split(":")[0] for line in told] == [f"a.tsv, line {number}" for number in range(3, 8)]
    assert "3 texts came; expected a pair" in told[1]
    assert "the text is empty" in told[2]
    assert "the target has 81 tokens, the model's context holds 40: a pair is not cut into windows" in told[3]
    assert "the source has 80 tokens" in told[4]
    assert profile(model, path, on_bad="skip", window=True).attrs["n_bad"] == 5


def test_texts_without_targets_and_pairs_without_a_decoder_of_their_own_are_refused(tiny_named, tmp_path):
    paired, alone = tiny_named("marian").model, tiny_named("gpt2").model
    for name in ("a.txt", "a.tsv"):
        (tmp_path / name).write_text("the dog\tthe sea\n")
    for model, corpus, message in (
        (paired, tmp_path / "a.txt", r"a\.txt: one text at a time; an encoder-decoder reads pairs: expected \.tsv.*give each text twice"),
        (paired, ["the dog"], "text 1: 1 text came; expected a pair, source and target, as an encoder-decoder reads it"),
        (paired, [{"text": "the dog"}], "text 1: no field 'source'; it has: text; expected a pair"),
        (alone, tmp_path / "a.tsv", r"a\.tsv: pairs of texts; this model reads one text"),
        (alone, PAIRS, "text 1: 2 texts came; expected one, as a model with one stack reads it"),
        (alone, [{"source": "the dog", "target": "the sea"}], "no field 'text'; it has: source, target; expected one"),
    ):
        with pytest.raises(DataError, match=message):
            profile(model, corpus, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()
