"""What the cards measure, on cases whose answer is known."""

import dataclasses

import numpy as np
import pytest
import torch

import interp
from interp.lab.measured import alignment, decoder, probes, sense_probe
from interp.lab.measured.alignment import Readable, best_single, diagonal, error_rate, readable, words_of
from interp.lab.measured.copying import copying, induction_heads, switched_off
from interp.lab.measured.probes import Item, bag_of_embeddings, bag_of_words, hits
from interp.lab.measured.words import as_points, as_share, share
from interp.lab.pairs import sentence_pairs
from interp.lab.recipes import RECIPES, Phase
from interp.lab.shapes import build
from interp.lab.tokenizer import train_pair_tokenizer
from interp.models.load import load_model
from interp.models.points import watchers
from interp.texts.grammar.agreement import agreement_pairs
from interp.texts.grammar.generate import generate

# ------------------------------------------------------------------------------------------------- copying, on a model written by hand


@pytest.fixture(scope="module")
def known():
    made = interp.constructed("induction")
    return load_model(made.hf, made.tokenizer), made.truth


def test_copying_goes_with_the_known_induction_head_and_stays_without_others(known):
    model, truth = known
    found = copying(model)
    (layer, head), *more = induction_heads(found)
    assert (f"L{layer}H{head}", more) == (truth["induction"][0], [])
    effect = found.first_nats - found.second_nats
    assert effect > 1
    for how in ("mean", "zero"):
        off = switched_off(model, found, how)
        assert abs(off.effect_nats) < 0.1 * effect
        assert (off.n_same, off.n_elsewhere) == (1, 0)
        assert len(off.control_effects_nats) == 5
        assert (off.control_effects_nats > 0.9 * effect).all()


def test_where_all_heads_of_a_layer_copy_the_control_is_drawn_elsewhere_but_not_from_the_previous_token_heads(known):
    model, truth = known
    found = copying(model)
    profile = found.profile.clone()
    profile[1, :, 1] = 0.9  # as if all of layer 1 copied
    off = switched_off(model, dataclasses.replace(found, profile=profile), "zero")
    n_heads, previous = found.previous.shape[1], int((found.previous[0] >= 0.2).sum())
    assert 1 <= len(truth["previous"]) <= previous < n_heads
    assert (off.n_same, off.n_elsewhere) == (0, n_heads - previous)
    assert abs(off.effect_nats) < 0.1 * (found.first_nats - found.second_nats)
    assert (off.control_effects_nats > 0.9 * (found.first_nats - found.second_nats)).all()


def test_a_model_without_induction_heads_has_no_row_of_them(monkeypatch):
    monkeypatch.setattr(decoder, "agreement", lambda model: {})
    model = interp.untrained(load_model(), seed=0)
    found = decoder.measure(model)
    assert found.off == {}
    assert found.rows()["heads with 0.2 or more at one shift: the induction heads"] == "–"


# ------------------------------------------------------------------------------------------------------------------------------- probes


def items(n: int, seed: int = 0) -> list[Item]:
    """Texts of three tokens; the label is the first one's parity, the last one is asked about."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, 20, (n, 2)).tolist()
    return [Item(ids=(a, b, 7 + a % 2), place=2, hidden=(2,), label=a % 2, cluster=str(a)) for a, b in rows]


def test_a_bag_holds_each_word_but_the_one_asked_about():
    counts = bag_of_words([Item(ids=(3, 5, 3, 9), place=3, hidden=(3,), label=0, cluster="")], 10)
    assert counts.tolist() == [[2.0, 1.0]]  # tokens 3 and 5; 9 is hidden
    model = load_model()
    three, five = model.hf.get_input_embeddings().weight.detach()[[3, 5]].numpy()
    mean = bag_of_embeddings([Item(ids=(3, 5, 3, 9), place=3, hidden=(3,), label=0, cluster="")], model)
    assert np.allclose(mean[0], (2 * three + five) / 3, atol=1e-6)


def test_a_classifier_reads_what_is_there_and_is_at_chance_on_what_is_not():
    told = items(400)
    labels = probes.labels_of(told)
    train, test = np.arange(200), np.arange(200, 400)
    there = np.eye(2)[labels] + np.random.default_rng(0).normal(0, 0.1, (400, 2))
    noise = np.random.default_rng(1).normal(size=(400, 8))
    assert hits(there, labels, train, test).mean() == 1.0
    assert abs(hits(noise, labels, train, test).mean() - 0.5) < 0.12
    assert hits(bag_of_words(told, 30), labels, train, test).mean() > 0.6  # it does not know which of two words came first


def test_streams_are_read_at_the_place_whatever_is_padded_behind():
    model = load_model()
    long = Item(ids=(5, 6, 7, 8, 9), place=1, hidden=(), label=0, cluster="")
    short = Item(ids=(4, 6, 8), place=2, hidden=(), label=0, cluster="")
    both = probes.streams(model, [long, short])
    assert both.shape == (model.anatomy.n_layers + 1, 2, model.anatomy.d_model)
    assert np.allclose(both[:, :1], probes.streams(model, [long]), atol=1e-4)
    assert np.allclose(both[:, 1:], probes.streams(model, [short]), atol=1e-4)
    assert not np.allclose(both[:, 0], both[:, 1], atol=1e-2)


def test_the_attractor_is_always_of_the_other_number_so_the_last_noun_is_wrong():
    for split in ("selection", "confirmation"):
        pairs = agreement_pairs(60, seed=0, attractors=1, split=split)
        assert {len(pair.attractors) for pair in pairs} == {1}
        assert 0.35 < np.mean([pair.number == "Plur" for pair in pairs]) < 0.65


def test_folds_of_unseen_cues_hold_no_cue_of_the_training_items(monkeypatch):
    seen = []

    def spy(features, labels, train, test):
        seen.append((set(features[train, 0]), set(features[test, 0])))
        return np.zeros(len(test), bool)

    monkeypatch.setattr(sense_probe, "hits", spy)
    monkeypatch.setattr(sense_probe, "N_SETS", 8)
    told = sense_probe.cued(load_model(), "confirmation")
    clusters = np.array([[hash(one.item.cluster)] for one in told])
    sense_probe._hits(clusters, told, unseen=True)
    assert len(seen) > 8
    assert all(not train & test for train, test in seen)
    seen.clear()
    sense_probe._hits(clusters, told, unseen=False)
    assert any(train & test for train, test in seen)


def test_two_sentences_of_a_set_differ_in_their_cue_alone(monkeypatch):
    monkeypatch.setattr(sense_probe, "N_SETS", 4)
    model = load_model()
    told = sense_probe.cued(model, "confirmation")
    for first, second in zip(told[::2], told[1::2], strict=True):
        assert (first.group, first.word, first.item.label, second.item.label) == (second.group, second.word, 0, 1)
        texts = [model.tokenizer.decode(one.item.ids).split() for one in (first, second)]
        assert sum(a != b for a, b in zip(*texts, strict=True)) == 1
        assert model.tokenizer.decode([first.item.ids[first.item.place]]).strip()


# ---------------------------------------------------------------------------------------------------------------------------- alignment


def test_an_error_rate_is_of_links_over_all_sentences():
    gold = [{(0, 0), (1, 1)}, {(0, 0)}]
    assert error_rate(gold, gold) == 0
    assert error_rate([{(1, 0)}, {(1, 0)}], gold) == 1
    assert error_rate([{(0, 0)}, {(0, 0), (1, 1)}], gold) == pytest.approx(1 - 4 / 6)


def test_the_diagonal_reaches_from_corner_to_corner():
    assert diagonal([0, 1, 2, 4], [0, 2, 3]) == {(0, 0), (2, 2), (4, 3)}
    assert diagonal([3], [0, 1]) == {(3, 0), (3, 1)}
    assert diagonal([3, 4], [0]) == {(3, 0)}


def test_one_link_a_word_cannot_be_wrong_more_than_it_must():
    assert best_single({(0, 0), (1, 0), (2, 2)}, [0, 1, 2]) == {(0, 0), (-1, 1), (2, 2)}


def test_gold_links_are_never_punctuation():
    for sentence in generate(300, seed=5):
        source, target = words_of(sentence)
        assert all(one in source and other in target for one, other in sentence.translation.alignment)


@pytest.fixture(scope="module")
def translator():
    recipe = dataclasses.replace(RECIPES["en-zh"], n_layers=2, d_model=32, d_vocab=1200, phases=(Phase(n_steps=1, row_tokens=48),))
    words = train_pair_tokenizer((side for pair in sentence_pairs(400, seed=0) for side in pair), recipe.d_vocab, recipe.n_ctx)
    return load_model(build(recipe), words), recipe


def planted(each: Readable, late: int) -> torch.Tensor:
    """Cross-attention that looks at the last piece of a gold partner, `late` positions after the one that predicts the word."""
    pattern = torch.full((len(each.row), len(each.read)), 1e-6)
    for source, target in sorted(each.gold, reverse=True):
        for token in each.target[target]:
            pattern[token - 1 + late] = 1e-6
            pattern[token - 1 + late, each.source[source][-1]] = 1.0
    return pattern


@pytest.mark.parametrize(("late", "when"), [(0, "written"), (1, "read")])
def test_a_planted_alignment_is_found_in_its_layer_and_at_its_moment(translator, monkeypatch, late, when):
    model, _ = translator
    monkeypatch.setattr(alignment, "N_SENTENCES", 24)
    lookup = {tuple(each.row.ids): each for split in ("selection", "confirmation") for each in readable(model, split)}

    class Planted:
        def __init__(self, model, kinds):
            self.kinds, self.arrays = frozenset[str](), {}

        def at(self, point, tensor):
            raise AssertionError

        attend = at

    def run(of, ids, *, target, logits):
        (keep,) = [watcher for watcher in watchers() if isinstance(watcher, Planted)]
        right = planted(lookup[tuple(target[0].tolist())], late)
        for layer in range(2):
            name = alignment.Point(kind="pattern", layer=layer, stack="X").name
            keep.arrays[name] = (right if layer == 1 else torch.ones_like(right)).expand(1, 2, -1, -1)

    monkeypatch.setattr(alignment, "Keep", Planted)
    monkeypatch.setattr(type(model), "run", run)
    found = alignment.measure(model)
    assert (found.layer, found.when) == (1, when)
    assert found.rate == pytest.approx(found.lowest, abs=1e-9)
    assert found.by_layer[when][0] > 0.5 > found.rate


def test_a_fresh_translators_attention_aligns_nothing(translator, monkeypatch):
    monkeypatch.setattr(alignment, "N_SENTENCES", 24)
    found = alignment.measure(translator[0])
    assert found.rate > found.diagonal > found.lowest
    assert {what for what in found.rows() if "by layer" in what} != set()


# ------------------------------------------------------------------------------------------------------------------------ experts, words


def test_an_expert_that_is_never_chosen_is_dead():
    even, starved = np.array([0.25, 0.25, 0.25, 0.25]), np.array([0.5, 0.3, 0.195, 0.005])
    rows = decoder.load_rows((even, starved), "here")
    assert rows["dead experts (under 1% of a layer's places), here"] == "1 of 8"
    assert rows["load of the experts, layer 1, here"] == "50%, 30%, 20%, 0%"
    assert decoder.load_rows((), "here") == {}


def test_shares_are_written_with_their_interval_and_n():
    found = share(np.array([True] * 30 + [False] * 10))
    assert as_share(found, "; after layer 2").startswith("75.0% (95 % interval ")
    assert as_share(found, "; after layer 2").endswith(", n = 40; after layer 2)")
    assert found.low < 0.75 < found.high
    assert as_points(share(np.array([1.0, 0.0, 0.0, -0.5]))).startswith("+12.5 points (95 % interval ")
