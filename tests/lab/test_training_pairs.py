"""Sentence pairs: what the decoder reads is what it should have said so far, and a run of a tiny recipe ends in a model that translates."""

import dataclasses

import numpy as np
import pytest
import torch

from interp.lab import train as train_module
from interp.lab.batches import IGNORED
from interp.lab.measured import alignment, translation
from interp.lab.pairs import Pairs, pair_batch, sentence_pairs, tokenize_pairs
from interp.lab.recipes import Phase, Recipe
from interp.lab.tokenizer import train_pair_tokenizer
from interp.lab.train import train
from interp.models.load import load_model

TINY = Recipe(
    name="tiny-pairs",
    shape="marian",
    phases=(Phase(n_steps=2, row_tokens=48, batch_rows=4),),
    n_layers=1,
    n_heads=2,
    d_model=16,
    d_vocab=900,
    n_ctx=64,
    tokenizer=None,
    pairs=200,
    warmup_steps=1,
)


@pytest.fixture(scope="module")
def words():
    return train_pair_tokenizer((side for pair in sentence_pairs(400, seed=0) for side in pair), 1500, 64)


@pytest.fixture(scope="module")
def pairs(words) -> Pairs:
    return tokenize_pairs(100, words, 48, seed=0)


def place_of(pairs: Pairs, source: torch.Tensor) -> int:
    return int(np.flatnonzero((pairs.source == source.numpy()).all(1))[0])


def test_both_languages_come_back_whole_and_chinese_character_by_character(words):
    for english, chinese in sentence_pairs(50, seed=0):
        for text in (english, chinese):
            ids = words(text)["input_ids"]
            assert words.decode(ids, skip_special_tokens=True) == text
            assert ids[-1] == words.eos_token_id == 1
            assert words.unk_token_id not in ids
        assert len(words(chinese)["input_ids"]) == len(chinese) + 1
    assert words("\u9f98")["input_ids"] == [2, 1]
    assert words.pad_token_id == 0


def test_the_same_seed_gives_the_same_pairs_and_held_out_ones_are_others(words, pairs):
    again, held = tokenize_pairs(100, words, 48, seed=0), tokenize_pairs(100, words, 48, seed=0, split="confirmation")
    assert np.array_equal(pairs.source, again.source)
    assert np.array_equal(pairs.target, again.target)
    sentences = {row.tobytes() for row in pairs.source}
    assert not any(row.tobytes() in sentences for row in held.source)


def test_a_pair_that_does_not_fit_is_left_out(words, pairs):
    few = tokenize_pairs(100, words, 12, seed=0)
    assert 0 < len(few.source) == len(few.target) < len(pairs.source) <= 100
    assert few.source.shape[1] == few.target.shape[1] == 12
    assert ((few.source == 1).sum(1) == 1).all()  # every sentence is there to its end
    assert ((few.target == 1).sum(1) == 1).all()


def test_the_decoder_reads_what_it_should_have_said_one_place_before(pairs):
    made = pair_batch(pairs, TINY, 0)
    read, said = made.inputs["decoder_input_ids"], made.targets
    counted = said != IGNORED
    assert (read[:, 0] == 0).all()
    assert torch.equal(read[:, 1:][counted[:, :-1]], said[:, :-1][counted[:, :-1]])
    assert (said[counted] != 0).all()
    assert torch.equal(made.inputs["attention_mask"], (made.inputs["input_ids"] != 0).long())
    for source, target in zip(made.inputs["input_ids"], said, strict=True):
        assert np.array_equal(pairs.target[place_of(pairs, source)], target.clamp_min(0).numpy())


def test_a_batch_is_the_same_again_and_another_at_another_step_or_seed(pairs):
    first = pair_batch(pairs, TINY, 0)
    assert torch.equal(first.targets, pair_batch(pairs, TINY, 0).targets)
    for other in [pair_batch(pairs, TINY, 1), pair_batch(pairs, dataclasses.replace(TINY, seed=1), 0)]:
        assert not torch.equal(first.targets, other.targets)


def test_a_run_without_books_ends_in_a_model_with_a_card(tmp_path, monkeypatch):
    monkeypatch.setattr(train_module.shutil, "which", lambda name: None)
    monkeypatch.setattr(translation, "N_PAIRS", 4)
    monkeypatch.setattr(alignment, "N_SENTENCES", 8)
    told: list[dict] = []
    folder = train(TINY, tmp_path / "no books", tmp_path / "run", report=told.append)
    assert told[-1]["tokens"] == 2 * 4 * 48
    assert 0 < told[-1]["pairs"] < 12
    assert told[-1]["train_pairs"] > 0
    card = (folder / "README.md").read_text()
    assert "200 generated sentences in English" in card
    assert "| held-out sentences translated word for word as the generator does | 0.0% (95 % interval 0.0 to 60.2, n = 4) | 0.0%" in card
    assert "| the same by the diagonal |" in card
    assert len(load_model(folder).hf.model.decoder.layers) == 1


class Writer:
    """A model that answers with given translations."""

    def __init__(self, pairs: Pairs, said: torch.Tensor):
        self.pairs, self.said = pairs, said

    def generate(self, input_ids, **options):
        said = self.said[[place_of(self.pairs, source) for source in input_ids]]
        return torch.nn.functional.pad(said[:, : int((said != 0).sum(1).max())], (1, 0))


def test_exact_match_counts_whole_sentences(pairs):
    right = torch.from_numpy(pairs.target.astype(np.int64))
    wrong = right.clone()
    wrong[::2, 1] += 1
    assert translation.exact(Writer(pairs, right), pairs).all()
    found = translation.exact(Writer(pairs, wrong), pairs)  # one token of every second sentence
    assert found.tolist() == [place_of(pairs, torch.from_numpy(row.astype(np.int64))) % 2 == 1 for row in pairs.source]
