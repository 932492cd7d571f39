"""Neurons written as keys and values are read as such; with their values exchanged they are not; the numbers are those of plain loops."""

import numpy as np
import pytest
import torch

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import key_value
from interp.claims.protocols.parts.neurons_on_words import at_words, words_of
from interp.claims.protocols.parts.triggers import N_TRIGGERS, Triggers, gain, labels_of, top_triggers, triggers_of
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.models.constructed.heads import PARTS
from interp.models.constructed.words import CLASSES, VOCABULARY
from interp.models.load import load_model
from interp.models.model import Model
from interp.texts.sentences import examples
from interp.texts.words import Sentence, Word

KEYS, VALUES = CLASSES["does to"], CLASSES["place"]


def sentences(n_documents: int = 160, seed: int = 0) -> list[Sentence]:
    """Three pairs of a word and what always follows it, among words that say nothing."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n_documents):
        forms = []
        for pair in rng.choice(len(KEYS), 3, replace=False):
            forms += [str(rng.choice(CLASSES["small"])), str(rng.choice(CLASSES["thing"])), KEYS[pair], VALUES[pair]]
        place, words = 0, []
        for index, form in enumerate(forms):
            span = (place, place + len(form))
            words.append(Word(id=index + 1, form=form, lemma=form, upos="X", deprel="dep", head=0, span=span))
            place += len(form) + 1
        found.append(Sentence(id=f"s{number}", text=" ".join(forms), words=tuple(words), document=f"d{number}"))
    return found


def memories(shift: int = 0) -> Model:
    """Every neuron fires on one of six words and raises what follows it, or what follows another (`shift`)."""
    made = interp.constructed("class-neuron")
    with torch.no_grad():
        for block in made.hf.model.blocks:
            for parameter in block.mlp.parameters():
                parameter.zero_()
            for neuron in range(block.mlp.fc_in.weight.shape[0]):
                key, value = KEYS[neuron % len(KEYS)], VALUES[(neuron + shift) % len(VALUES)]
                block.mlp.fc_in.weight[neuron, VOCABULARY.index(key)] = 1.0
                block.mlp.fc_out.weight[PARTS["copied"], neuron] = torch.eye(len(VOCABULARY))[VOCABULARY.index(value)]
    return load_model(made.hf, made.tokenizer)


def claim(**test) -> Claim:
    fields = {"protocol": "key_value", "label": "lemma", "key_nats": 0.2, "agreement": 0.02, "source_of_effects": "a test"}
    about = {"id": "own", "statement": "It is.", "kind": ["obs"], "quantifier": "typical", "scope": "all", "does_not_show": "more."}
    return parse_claim({**about, "test": {**fields, **test}}, "a test")


@pytest.fixture(scope="module")
def known() -> Model:
    return memories()


@pytest.fixture(scope="module")
def verdict(known) -> Verdict:
    return judge(claim(), known, sentences())


def test_planted_memories_are_read(verdict):
    assert (verdict.outcome, verdict.reason) == ("supported", "")
    keys, values = verdict.evidence
    assert keys.estimate > 1.5
    assert values.estimate == 1.0
    assert 0.1 < values.baseline < 0.2  # one of six
    assert all(control.passed for control in verdict.controls)
    assert {control.kind for control in verdict.controls} == {"null", "positive"}
    assert verdict.rows["L1"][0] == pytest.approx(0, abs=1e-9)  # one lemma: no entropy
    assert verdict.rows["L1"][1] > 1
    assert "next one after 100.00% of the triggers" in str(verdict)
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_the_same_again_to_the_byte(verdict, known):
    assert judge(claim(), known, sentences()).untimed().to_json() == verdict.untimed().to_json()


def test_with_the_values_of_others_it_is_refuted(verdict):
    found = judge(claim(), memories(shift=1), sentences())
    assert found.outcome == "refuted"
    assert found.evidence[1].estimate == 0.0
    assert found.evidence[0].estimate == verdict.evidence[0].estimate


def test_an_untrained_model_does_not_say_what_comes_next(known):
    found = judge(claim(n_untrained=5), interp.untrained(known, seed=11), sentences())
    assert found.outcome != "supported"
    assert abs(found.evidence[1].effect) < 0.05


def test_a_label_without_a_pattern_is_refuted(known):
    """All words are of one part of speech: nothing can be better known, and the planted key shows that nothing could be seen."""
    found = judge(claim(label="upos"), known, sentences())
    assert (found.outcome, found.reason) == ("inconclusive", "control_failed")


def test_triggers_and_numbers_are_those_of_plain_loops(known):
    read, _ = examples(sentences(110), known.tokenizer)
    words = words_of(read, "a test")
    choose = words.text < 55
    found = Triggers(**triggers_of(known, words, choose, 4, seed=0))
    assert found.choose.shape == (8, N_TRIGGERS)
    assert choose[found.choose].all()
    assert not choose[found.confirm].any()
    for row in (*found.choose, *found.confirm, *found.dealt_confirm):
        assert len(set(words.text[row])) == N_TRIGGERS
    labels = labels_of(words, "lemma")
    frequency = np.bincount(labels) / len(labels)
    gains = gain(labels[found.choose], labels[found.confirm], frequency)
    for neuron in range(8):
        for rank in range(N_TRIGGERS):
            mine = labels[found.confirm[neuron, rank]]
            share = sum(labels[place] == mine for place in found.choose[neuron]) / N_TRIGGERS
            assert gains[neuron, rank] == pytest.approx(np.log((share + frequency[mine]) / 2 / frequency[mine]))


def test_a_trigger_is_the_largest_of_its_text():
    rng = np.random.default_rng(0)
    values, text = rng.normal(size=(50, 3)).astype(np.float32), np.repeat(np.arange(10), 5)
    top, rows = top_triggers(torch.from_numpy(values), text, k=4)
    for neuron in range(3):
        best = sorted(((values[text == one, neuron].max(), one) for one in range(10)), reverse=True)[:4]
        assert top[neuron].tolist() == pytest.approx([value for value, _ in best])
        assert text[rows[neuron]].tolist() == [one for _, one in best]
        assert values[rows[neuron], neuron].tolist() == pytest.approx(top[neuron].tolist())


def test_labels_drawn_by_frequency_gain_nothing():
    """Whatever the training triggers are: that is what makes the gain a fair measure."""
    rng, frequency = np.random.default_rng(0), np.array([0.7, 0.2, 0.05, 0.05])
    train, test = np.zeros((2000, 20), dtype=int), rng.choice(4, p=frequency, size=(2000, 20))
    assert gain(train, test, frequency).mean() < 0
    assert gain(rng.choice(4, p=frequency, size=(2000, 20)), test, frequency).mean() < 0
    assert gain(train, test, frequency).min() == pytest.approx(-np.log(2))


def test_the_value_is_the_token_that_the_weights_raise_most(known):
    read, _ = examples(sentences(110), known.tokenizer)
    words = words_of(read, "a test")
    found = triggers_of(known, words, words.text < 55, 32, seed=0)
    assert [VOCABULARY[token] for token in found["token"][:6]] == list(VALUES)
    post = at_words(known, words, "post", [0])[0]
    assert sorted({words.word[place].form for place in post[:, 0].nonzero().flatten().tolist()}) == [KEYS[0]]


def test_a_shuffle_that_shows_keys_decides_nothing(known, monkeypatch):
    real = key_value.triggers_of

    def same(*arguments):
        found = real(*arguments)
        return found | {"dealt_choose": found["choose"], "dealt_confirm": found["confirm"]}

    monkeypatch.setattr(key_value, "triggers_of", same)
    found = judge(claim(), known, sentences())
    assert (found.outcome, found.reason) == ("inconclusive", "null_also_passes")


def test_keys_and_values_refute_at_half_of_alpha_each(known, monkeypatch):
    pieces, real = [], key_value.sampled_evidence
    monkeypatch.setattr(key_value, "sampled_evidence", lambda **given: pieces.append(given.get("pieces")) or real(**given))
    judge(claim(), known, sentences())
    assert set(pieces) == {2}


def test_bigrams_are_labels_too(known):
    words = words_of(examples(sentences(5), known.tokenizer)[0], "a test")
    assert len(set(labels_of(words, "bigram"))) > len(set(labels_of(words, "lemma"))) > len(set(labels_of(words, "upos"))) == 1


def test_the_plan_counts_what_the_verdict_then_counts(verdict, known):
    told, first = plan(claim(), known, sentences()), verdict.evidence[0]
    assert (told.n_items, told.family) == (first.n_items, first.family)
    assert told.n_clusters >= first.n_clusters  # documents without any neuron's trigger drop out


def test_bad_input(known):
    with pytest.raises(ClaimError, match=r"sentences; expected 20 triggers from as many in each"):
        judge(claim(), known, sentences(30))
    with pytest.raises(ClaimError, match="label"):
        claim(label="topic")
    with pytest.raises(ClaimError, match="is tested on annotated sentences"):
        judge(claim(), known, ["the cat ran"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gemma2", "cannot be read as tokens"),
        ("bert", "does not predict the next token"),
        ("gpt2-bare", "does not predict the next token"),
        ("t5", "is an encoder-decoder"),
        ("attention-only", "has no FFN in 2 of its 2 layers"),
        ("mixtral", "has FFNs of experts"),
    ],
)
def test_not_applicable(tiny_named, name, reason):
    found = judge(claim(), tiny_named(name).model)
    assert (found.outcome, found.reason) == ("not applicable", "out_of_scope")
    assert reason in found.summary
