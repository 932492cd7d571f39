"""A run over a corpus: what it keeps, what it says of bad records, and that however it is stopped it ends with the same bytes."""

import errno
import os
from dataclasses import replace

import numpy as np
import pytest

from interp.api import profile
from interp.captures.corpus import run as running
from interp.captures.corpus.folder import RunFolder
from interp.captures.corpus.heads import HeadMeans
from interp.captures.corpus.neurons import NeuronMoments
from interp.captures.corpus.registry import GROUPS, chosen, reducers
from interp.captures.corpus.shards import cut
from interp.captures.corpus.stream import stream
from interp.core.errors import DataError
from interp.core.results import read
from interp.texts.corpora import open_corpus

SMALL = 60  # characters in a shard
LONG = "the old man saw " * 20


class Stopped(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture
def gpt2(tiny_named):
    return tiny_named("gpt2").model


@pytest.fixture
def corpus(texts):
    return texts * 6


def result(folder) -> bytes:
    return (folder / "profile.nc").read_bytes()


def stop_after(monkeypatch, n: int) -> list[int]:
    """Let `n` shards be done, then end it; gives the numbers of all shards that are begun."""
    true, begun = running.work, []

    def work(model, shard, *rest):
        begun.append(shard.number)
        if len(begun) > n:
            raise Stopped
        return true(model, shard, *rest)

    monkeypatch.setattr(running, "work", work)
    return begun


def test_a_run_is_the_stream_whatever_the_size_of_its_shards(tiny_named, corpus, tmp_path):
    tiny = tiny_named("gpt2")
    expected = stream(tiny.model, tiny.examples(corpus), [HeadMeans(), NeuronMoments()])
    for size in (1, SMALL, 10**6):
        found = profile(tiny.model, corpus, statistics=["heads", "neurons"], shard=size, out=tmp_path / str(size))
        assert found.attrs["n_texts"] == len(corpus)
        assert found.attrs["n_bad"] == 0
        for name in expected.data_vars:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5, rtol=1e-5, err_msg=name)
        assert read(tmp_path / str(size) / "profile.nc").identical(found)
    assert len(list((tmp_path / "1" / "shards").iterdir())) == len(corpus)
    assert not list(tmp_path.rglob(".*"))


def test_shards_hold_every_record_once_and_in_order(corpus):
    shards = list(cut(open_corpus(corpus), SMALL))
    assert [item.text for shard in shards for item in shard.items] == corpus
    assert [shard.first for shard in shards] == list(np.cumsum([0, *(len(shard.items) for shard in shards)])[:-1])
    assert all(sum(item.size for item in shard.items[:-1]) < SMALL for shard in shards)
    assert [shard.share for shard in shards] == sorted(shard.share for shard in shards)
    assert shards[-1].share == 1.0


@pytest.mark.parametrize("n", [0, 1, 4])
def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bytes(gpt2, corpus, tmp_path, monkeypatch, n):
    profile(gpt2, corpus, out=tmp_path / "whole", shard=SMALL)
    with monkeypatch.context() as patch:
        stop_after(patch, n)
        with pytest.raises(Stopped):
            profile(gpt2, corpus, out=tmp_path / "run", shard=SMALL)
    assert not (tmp_path / "run" / "profile.nc").exists()
    begun = stop_after(monkeypatch, 1000)
    profile(gpt2, corpus, out=tmp_path / "run", shard=SMALL)
    assert begun[0] == n  # what was finished is not done again
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_the_order_in_which_shards_come_does_not_matter(gpt2, corpus, tmp_path):
    def backwards(model, plan, shards):
        yield from ((shard, running.work(model, shard, plan).to_bytes()) for shard in reversed(list(shards)))

    plan = running.Plan(statistics=("heads", "neurons"), characters=SMALL)
    for name, executor in (("on", None), ("back", backwards)):
        running.run(gpt2, open_corpus(corpus), plan, out=tmp_path / name, executor=executor)
    assert result(tmp_path / "on") == result(tmp_path / "back")
    assert running.run(gpt2, open_corpus(corpus), plan, executor=backwards).identical(read(tmp_path / "on" / "profile.nc"))


def test_a_full_disk_loses_no_finished_shard_and_leaves_nothing_half_written(gpt2, corpus, tmp_path, monkeypatch):
    profile(gpt2, corpus, out=tmp_path / "whole", shard=SMALL)
    true, written = os.fsync, []

    def full(descriptor):
        written.append(descriptor)
        if len(written) > 4:  # run.json and three shards
            raise OSError(errno.ENOSPC, "No space left on device")
        true(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match=r"000003\.npz cannot be written \(.*No space left.*the finished shards are kept: make room"):
            profile(gpt2, corpus, out=tmp_path / "run", shard=SMALL)
    assert sorted(path.name for path in (tmp_path / "run").rglob("*")) == ["000000.npz", "000001.npz", "000002.npz", "run.json", "shards"]
    profile(gpt2, corpus, out=tmp_path / "run", shard=SMALL)
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_a_result_that_cannot_be_written_is_not_there(gpt2, corpus, tmp_path, monkeypatch):
    def full(result, path):
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(running, "save", full)
    with pytest.raises(DataError, match=r"profile\.nc cannot be written"):
        profile(gpt2, corpus, out=tmp_path / "run", shard=SMALL)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["run.json", "shards"]


def test_what_a_killed_run_left_behind_is_swept_and_a_damaged_shard_is_done_again(gpt2, corpus, tmp_path, monkeypatch):
    profile(gpt2, corpus, out=tmp_path / "run", shard=SMALL)
    before, shards = result(tmp_path / "run"), tmp_path / "run" / "shards"
    (shards / ".000001.npz.partial").write_bytes(b"half")
    (shards / "000002.npz").write_bytes((shards / "000002.npz").read_bytes()[:-30])
    begun = stop_after(monkeypatch, 1000)
    profile(gpt2, corpus, out=tmp_path / "run", shard=SMALL)
    assert begun == [2]
    assert result(tmp_path / "run") == before
    assert not list(shards.glob(".*"))


def test_a_folder_with_another_run_is_refused_by_name(gpt2, tiny_named, corpus, tmp_path):
    profile(gpt2, corpus, statistics=["entropy"], out=tmp_path / "run", shard=SMALL)
    before = result(tmp_path / "run")
    for model, texts, options, message in (
        (gpt2, corpus, {"statistics": ["next"]}, r"statistics is \['entropy'\] there, \['next'\] here"),
        (gpt2, corpus, {"window": True}, "window is False there, True here"),
        (gpt2, corpus, {"shard": 7}, "characters is 60 there, 7 here"),
        (gpt2, corpus, {"threads": 7}, "threads is .* there, 7 here"),
        (tiny_named("llama").model, corpus, {}, "fingerprint is "),
        (gpt2, [*corpus[:9], "another text", *corpus[10:]], {}, r"run of another corpus: shard \d \(from record \d+ on\) has other texts"),
    ):
        with pytest.raises(DataError, match=message):
            profile(model, texts, **{"statistics": ["entropy"], "shard": SMALL, "out": tmp_path / "run", **options})
    assert result(tmp_path / "run") == before


def test_two_processes_do_not_work_in_one_folder(gpt2, corpus, tmp_path):
    pytest.importorskip("fcntl", reason="needs a system that locks folders")
    held = RunFolder(tmp_path / "run", {"threads": 1})
    with pytest.raises(DataError, match="another process is at work on this run"):
        profile(gpt2, corpus, out=tmp_path / "run")
    held.close()
    held.forget()
    profile(gpt2, corpus, statistics=["entropy"], out=tmp_path / "run")


def test_bad_records_stop_the_run_or_are_counted(gpt2, tmp_path):
    mixed = ["the old man", LONG, "a dog", 7, "the sea", ""]
    with pytest.raises(DataError, match=r"text 2: the text has 80 tokens.*on_bad='skip' \(--skip-bad\)"):
        profile(gpt2, mixed, out=tmp_path / "run", shard=5)
    kept = profile(gpt2, mixed, out=tmp_path / "run", shard=5, on_bad="skip")  # goes on where it stopped
    good = profile(gpt2, ["the old man", "a dog", "the sea"])
    assert (kept.attrs["n_texts"], kept.attrs["n_bad"]) == (3, 3)
    assert [line.split(":")[0] for line in kept.attrs["bad"].splitlines()] == ["text 2", "text 4", "text 6"]
    np.testing.assert_allclose(kept["entropy"], good["entropy"], atol=1e-6)
    with pytest.raises(DataError, match=r"the corpus is empty, 1 bad records were skipped \(the first: text 1: a int"):
        profile(gpt2, [7], on_bad="skip")
    with pytest.raises(DataError, match="the corpus is empty; expected at least one text"):
        profile(gpt2, [], out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_texts_that_are_too_long_come_as_windows(gpt2):
    found = profile(gpt2, [LONG, "a dog"], window=True)
    assert (found.attrs["n_texts"], found.attrs["n_tokens"]) == (2, 82)
    assert "x 65536 + window" in found.attrs["text_numbers"]


def test_a_treebank_brings_its_words(gpt2, tmp_path):
    rows = ("1\tthe\tthe\tDET\t_\t_\t2\tdet\t_\t_", "2\tdog\tdog\tNOUN\t_\t_\t3\tnsubj\t_\t_", "3\tsaw\tsee\tVERB\t_\t_\t0\troot\t_\t_")
    (tmp_path / "a.conllu").write_text("\n".join(["# text = the dog saw", *rows]) + "\n\n")
    found = profile(gpt2, tmp_path / "a.conllu", statistics=["neurons_by_upos"])
    by = found["neuron_by_upos"]
    assert {str(upos) for upos in by.upos.values[by.notnull().all(["layer", "neuron"]).values]} == {"DET", "NOUN", "VERB"}
    for group, axis in (("neurons_by_upos", "upos"), ("mass_by_upos", "upos"), ("neurons_by_lemma", "lemma")):
        with pytest.raises(DataError, match=f"no token has a label '{axis}'"):
            profile(gpt2, ["the dog saw"], statistics=[group])


def test_neurons_by_lemma_and_by_place_are_named_like_any_statistics(gpt2, tmp_path, monkeypatch):
    rows = "1\tthe\t{}\tDET\t_\t_\t2\tdet\t_\t_\n2\tdog\tdog\tNOUN\t_\t_\t0\troot\t_\t_\n\n"
    treebank = tmp_path / "a.conllu"
    treebank.write_text("".join("# text = the dog\n" + rows.format(lemma) for lemma in ("the", "the", "a")))
    asked = {"statistics": ["neurons_by_lemma", "neurons_by_place"], "shard": 10}  # two sentences in the first shard, one in the second
    found = profile(gpt2, treebank, out=tmp_path / "whole", **asked)
    assert found["neuron_by_lemma"].lemma.values.tolist() == ["dog", "the"]
    assert found["neuron_by_lemma"].attrs["n_by_label"].tolist() == [3, 2]
    assert found["neuron_active_by_place"].place.values[:2].tolist() == ["0", "1"]
    assert found["neuron_by_place"].attrs["n_by_label"][:3].tolist() == [3, 3, 0]
    np.testing.assert_allclose(found["neuron_by_lemma"].sel(lemma="dog"), found["neuron_by_place"].sel(place="1"), atol=1e-6)
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(Stopped):
            profile(gpt2, treebank, out=tmp_path / "run", **asked)
    profile(gpt2, treebank, out=tmp_path / "run", **asked)  # the second shard knows the first one's lemmas
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_the_registry_gives_what_is_asked_for_and_refuses_what_is_not_known(gpt2, tiny_named):
    assert set(reducers(gpt2, ["entropy", "neurons", "next"])) == {"heads", "neurons"}
    assert reducers(gpt2, ["entropy", "next"])["heads"].names == ("entropy", "next")
    assert chosen(gpt2, None) == (("heads", "neurons", "residual"), "")
    assert "experts" in chosen(tiny_named("mixtral").model, None)[0]
    assert chosen(tiny_named("ffn-only").model, None)[1].startswith("head statistics: the model has no attention")
    with pytest.raises(DataError, match=r"statistics \['nothing'\] came; expected some of: atlas, heads, neurons"):
        chosen(gpt2, ["nothing", "heads"])
    untouched = replace(gpt2, disabled={"neurons": "a check failed"})
    assert chosen(untouched, None)[1] == "neuron moments: a check failed"


OF_WORDS = ("relations", "mass_by_upos", "neurons_by_upos", "neurons_by_lemma")  # these need annotated texts


@pytest.mark.parametrize("group", [name for name, group in GROUPS.items() if not group.rare and name not in OF_WORDS])
def test_each_group_is_the_same_to_the_byte_after_a_stop(gpt2, corpus, tmp_path, monkeypatch, group):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Stopped):
            profile(gpt2, corpus, statistics=[group], out=tmp_path / "run", shard=SMALL)
    for name in ("run", "whole"):
        profile(gpt2, corpus, statistics=[group], out=tmp_path / name, shard=SMALL)
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_progress_tells_tokens_and_the_share_of_the_corpus(gpt2, corpus, tmp_path):
    seen = []
    found = profile(gpt2, corpus, shard=SMALL, progress=seen.append)
    assert seen[-1].n_tokens == found.attrs["n_tokens"]
    assert seen[-1].share == 1.0
    assert [each.share for each in seen] == sorted(each.share for each in seen)
    seen.clear()
    profile(gpt2, iter(corpus), progress=seen.append)
    assert {each.share for each in seen} == {None}
