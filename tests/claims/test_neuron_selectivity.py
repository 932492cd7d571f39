"""A neuron written to fire on a class is found, and the class rests on it; its scrambled twin has none; AUROC as others have it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import neuron_selectivity
from interp.claims.protocols.parts.auroc_by_document import auroc_by_document, difference_by_document
from interp.claims.protocols.parts.neurons_on_words import GaussianInputs, PlantedNeuron, at_words, nats_behind, words_of
from interp.claims.protocols.parts.selective_neurons import sparsity
from interp.claims.protocols.parts.switched_off import kept_for_ablation, lost_by_document
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError, InterventionError
from interp.interventions.ablate import Recorded, _Replace
from interp.models.constructed import scrambled
from interp.models.constructed.words import CLASSES
from interp.models.load import load_model
from interp.models.points import Point
from interp.texts.sentences import examples
from interp.texts.words import Sentence, Word


def sentences(n_documents: int = 100, seed: int = 0) -> list[Sentence]:
    """Animals are followed by what they do; everything else by anything."""
    rng = np.random.default_rng(seed)

    def one(kind: str) -> str:
        return str(rng.choice(CLASSES[kind]))

    found = []
    for number in range(n_documents):
        kinds = ["small", "animal", "does", "small", "thing", "place", "animal", "does", "number"]
        forms = [one(kind) for kind in ["thing"] * (number % 3) + kinds]
        place, words = 0, []
        for index, form in enumerate(forms):
            upos = "NOUN" if form in CLASSES["animal"] else "X"
            lemma = str(rng.choice(["one", "other"]))  # says nothing
            span = (place, place + len(form))
            words.append(Word(id=index + 1, form=form, lemma=lemma, upos=upos, deprel="dep", head=0, span=span))
            place += len(form) + 1
        found.append(Sentence(id=f"s{number}", text=" ".join(forms), words=tuple(words), document=f"d{number}"))
    return found


def claim(**test) -> Claim:
    fields = {"protocol": "neuron_selectivity", "label": "upos=NOUN", "at_least": 0.9, "at_least_source": "a test", "margin": 0.02}
    about = {"id": "own", "statement": "It is.", "kind": ["obs", "causal"], "quantifier": "some", "scope": "all", "does_not_show": "more."}
    return parse_claim({**about, "test": {**fields, "lost_nats": 0.2, "top_k": 1, **test}}, "a test")


@pytest.fixture(scope="module")
def made():
    return interp.constructed("class-neuron")


@pytest.fixture(scope="module")
def known(made):
    return load_model(made.hf, made.tokenizer)


@pytest.fixture(scope="module")
def verdict(known) -> Verdict:
    return judge(claim(), known, sentences())


def test_the_planted_neuron_is_found_and_the_class_rests_on_it(verdict, made):
    assert (verdict.outcome, verdict.reason, verdict.site) == ("supported", "", made.truth["class"][0])
    told, mean, resample = verdict.evidence
    assert told.estimate == pytest.approx(1.0)
    assert told.family == 2 * 64
    for one in (mean, resample):
        assert one.effect > 0.2
        assert abs(one.baseline) < one.estimate
    assert (verdict.badges.observational, verdict.badges.causal) == (True, True)
    assert all(control.passed for control in verdict.controls)
    assert {control.kind for control in verdict.controls} == {"null", "positive"}
    assert "untrained neuron" in str(verdict)
    assert set(verdict.rows) == {"L0", "L1"}
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_the_same_again_to_the_byte(verdict, known):
    assert judge(claim(), known, sentences()).untimed().to_json() == verdict.untimed().to_json()


def test_its_scrambled_twin_has_no_such_neuron(made):
    twin = scrambled(made, seed=0)
    found = judge(claim(), load_model(twin.hf, twin.tokenizer), sentences())
    assert found.outcome in ("refuted", "inconclusive")
    assert found.evidence[0].estimate < 0.95


def test_a_label_that_says_nothing_is_refuted(known):
    found = judge(claim(label="lemma=one"), known, sentences())
    assert found.outcome != "supported"
    assert 0.3 < found.evidence[0].estimate < 0.7


def test_neurons_that_are_silent_on_the_label_count_too(known):
    found = judge(claim(label="upos=X"), known, sentences())
    assert found.site == "L1N5"
    assert found.evidence[0].estimate == pytest.approx(1.0)
    assert "is smaller behind upos=X" in found.summary


def test_sparsity_decides_only_where_the_claim_says_so(verdict, known):
    assert len(verdict.evidence) == 3
    found = judge(claim(sparser_by=0.3), known, sentences())
    assert len(found.evidence) == 4
    assert found.outcome == "refuted"
    assert "Hoyer" in found.evidence[-1].name


def test_auroc_is_that_of_scikit_learn_and_documents_add_up():
    rng = np.random.default_rng(0)
    values, label, document = rng.integers(0, 5, (60, 3)), rng.random(60) < 0.3, rng.integers(0, 7, 60).astype(str)
    found = auroc_by_document(torch.from_numpy(values.astype(np.float32)), label, document)
    assert found.shape == (3, 7)
    for unit in range(3):
        assert found[unit].mean() == pytest.approx(roc_auc_score(label, values[:, unit]))
    apart = difference_by_document(values.T.astype(float), label, document)
    for unit in range(3):
        assert apart[unit].mean() == pytest.approx(values[label, unit].mean() - values[~label, unit].mean())


def test_the_spread_over_documents_is_that_of_documents_drawn_anew():
    """The stand-ins' standard error against a plain bootstrap that takes whole documents and computes AUROC from scratch."""
    rng = np.random.default_rng(1)
    document, label = np.repeat(np.arange(40), 10).astype(str), rng.random(400) < 0.3
    values = rng.normal(size=400) + label + np.repeat(rng.normal(size=40), 10)
    stand_ins = auroc_by_document(torch.from_numpy(values.astype(np.float32))[:, None], label, document)[0]
    drawn = []
    for _ in range(300):
        rows = np.concatenate([np.arange(10) + 10 * one for one in rng.integers(0, 40, 40)])
        drawn.append(roc_auc_score(label[rows], values[rows]))
    assert stand_ins.std(ddof=1) / 40**0.5 == pytest.approx(np.std(drawn), rel=0.25)


def test_sparsity_by_hand():
    rng = np.random.default_rng(0)
    post = torch.from_numpy(rng.normal(size=(5, 8)).astype(np.float32))
    near, hoyer, gini = sparsity(post)
    for row, values in enumerate(np.abs(post.numpy().astype(float))):
        assert near[row] == pytest.approx((values < 0.1 * np.sqrt((post.numpy() ** 2).mean())).mean())
        assert hoyer[row] == pytest.approx((8**0.5 - values.sum() / np.sqrt((values**2).sum())) / (8**0.5 - 1), abs=1e-6)
        pairs = np.abs(values[:, None] - values[None]).sum() / (2 * 8 * values.sum())
        assert gini[row] == pytest.approx(pairs, abs=1e-6)


def test_neurons_and_losses_are_those_behind_each_word(known):
    read, _ = examples(sentences(3), known.tokenizer)
    words = words_of(read, "a test")
    nats, post = nats_behind(known, words), at_words(known, words, "post", [1])[1]
    for number, (text, pos) in enumerate(zip(words.text, words.pos, strict=True)):
        seen = interp.capture(known, read[text])
        logits = torch.as_tensor(np.asarray(seen.logits))[pos].double()
        assert nats[number] == pytest.approx(-logits.log_softmax(-1)[read[text].ids[pos + 1]].item(), abs=1e-4)
        assert np.allclose(post[number], seen.neurons(layer=1).values[pos], atol=1e-5)
        assert (post[number, 5] > 0.5) == (words.word[number].upos == "NOUN")


def test_gaussian_inputs_have_the_mean_and_covariance_of_what_is_read():
    rng = torch.Generator().manual_seed(0)
    read = torch.randn(500, 3, generator=rng) @ torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.1]]) + 3
    drawn = GaussianInputs({0: read}, seed=1).at(Point(kind="mlp_in", layer=0), torch.zeros(1, 20000, 3))[0]
    assert torch.allclose(drawn.mean(0), read.mean(0), atol=0.1)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(read.T), atol=0.15)


def test_two_ways_of_switching_off_that_disagree_decide_nothing(known, monkeypatch):
    real = neuron_selectivity._lost

    def lost(case, words, label, choose, sets, how):
        found = real(case, words, label, choose, sets, how)
        return found if how == "mean" else np.concatenate([found[1:2], found[1:]])

    monkeypatch.setattr(neuron_selectivity, "_lost", lost)
    found = judge(claim(), known, sentences())
    assert (found.outcome, found.reason) == ("inconclusive", "methods_disagree")


def test_one_way_of_switching_off_alone_refutes_nothing(known, monkeypatch):
    """By resample the neurons lose much less than others do: surely below what matters, by mean surely above."""
    real = neuron_selectivity._lost

    def lost(case, words, label, choose, sets, how):
        found = real(case, words, label, choose, sets, how)
        return found if how == "mean" else np.concatenate([found[1:2] - 1, found[1:]])

    monkeypatch.setattr(neuron_selectivity, "_lost", lost)
    told, mean, resample = judge(claim(), known, sentences()).evidence
    assert resample.upper < resample.smallest_effect
    short = replace(mean, low=-0.1, effect=0.1, power=0.9)  # neither passes: not for, by either way, and against by one alone
    for one in (mean, short):
        assert neuron_selectivity._decide((told, one, resample), (), 0.05) == ("inconclusive", "methods_disagree")
    assert neuron_selectivity._decide((told, resample, resample), (), 0.05) == ("refuted", "")


def test_every_piece_refutes_at_its_share_of_alpha(known, monkeypatch):
    pieces, levels, evidence, upper = [], [], neuron_selectivity.sampled_evidence, neuron_selectivity.best_upper
    monkeypatch.setattr(neuron_selectivity, "sampled_evidence", lambda **given: pieces.append(given.get("pieces")) or evidence(**given))
    monkeypatch.setattr(neuron_selectivity, "best_upper", lambda *values, alpha: levels.append(alpha) or upper(*values, alpha=alpha))
    for sparser_by, n in ((None, 3), (0.3, 4)):
        judge(claim(sparser_by=sparser_by), known, sentences())
        assert (set(pieces), set(levels)) == ({n}, {0.05 / n})
        pieces.clear()
        levels.clear()


def test_batches_of_one_size_get_texts_of_their_own(known, monkeypatch):
    """Three lengths, four texts of each: three batches of four rows, and of four more than sixteen could be the same by chance."""
    drawn, real = [], _Replace._drawn

    def drawing(self, n_texts, n_rows):
        found = real(self, n_texts, n_rows)
        drawn.append(tuple(found.tolist()))
        return found

    monkeypatch.setattr(_Replace, "_drawn", drawing)
    words = words_of(examples(sentences(12), known.tokenizer)[0], "a test")
    label = np.array([word.upos == "NOUN" for word in words.word])
    over = kept_for_ablation(known, ["L0N0", "L1N0"], words.examples, max(map(len, words.examples)), seed=0)
    for sites in (["L1N5"], ["L1N5", "L0N0"]):
        drawn.clear()
        lost_by_document(known, words, label, [sites], over, "resample", seed=0)
        assert len(set(drawn)) == 3  # and all neurons of a batch get the same
    monkeypatch.setattr(_Replace, "_substitute", lambda self, place, seen: seen)
    with pytest.raises(InterventionError, match="putting L1N5 to what they are on other texts changed nothing in any text"):
        lost_by_document(known, words, label, [["L1N5"]], over, "resample", seed=0)


def test_a_neuron_that_is_silent_in_one_batch_is_no_dead_hook(known):
    """A text of a length of its own without an animal: 0 in the place of 0 changes nothing there, and elsewhere it does."""
    forms = CLASSES["thing"][:4]
    spans = [(4 * place, 4 * place + 3) for place in range(4)]
    said = [Word(id=place + 1, form=forms[place], lemma="_", upos="X", deprel="dep", head=0, span=spans[place]) for place in range(4)]
    mute = Sentence(id="mute", text=" ".join(forms), words=tuple(said), document="mute")
    words = words_of(examples([*sentences(6), mute], known.tokenizer)[0], "a test")
    label = np.array([word.upos == "NOUN" for word in words.word])
    over = kept_for_ablation(known, ["L0N0", "L1N0"], words.examples, max(map(len, words.examples)), seed=0)
    zero = Recorded(owner=over.owner, values={place: torch.zeros_like(one) for place, one in over.values.items()})
    lost = lost_by_document(known, words, label, [["L1N5"]], zero, "resample", seed=0)
    assert lost.mean() > 0.2


def test_words_read_at_the_wrong_token_fail_the_planted_neuron(known, monkeypatch):
    real = neuron_selectivity.words_of

    def shifted(*given):
        words = real(*given)
        return replace(words, pos=words.pos - 1)

    monkeypatch.setattr(neuron_selectivity, "words_of", shifted)
    found = judge(claim(), known, sentences())
    assert (found.outcome, found.reason) == ("inconclusive", "control_failed")
    assert found.controls[-1].value < 0.9


def test_a_dead_hook_fails_the_planted_neuron(known, monkeypatch):
    monkeypatch.setattr(PlantedNeuron, "at", lambda self, point, tensor: None)
    found = judge(claim(), known, sentences())
    assert (found.outcome, found.reason) == ("inconclusive", "control_failed")
    assert found.controls[-1].value < 0.9


def test_the_plan_counts_what_the_verdict_then_counts(verdict, known):
    told, first = plan(claim(), known, sentences()), verdict.evidence[0]
    assert (told.n_items, told.n_clusters, told.family) == (first.n_items, first.n_clusters, first.family)
    assert "20 draws of others off" in str(told)


def test_bad_input(known):
    with pytest.raises(ClaimError, match=r"'upos=VERB' is said of 0 and 0 words.*expected at least 10 of each"):
        judge(claim(label="upos=VERB"), known, sentences())
    with pytest.raises(ClaimError, match="is no condition"):
        judge(claim(label="verb"), known, sentences())
    with pytest.raises(ClaimError, match="no such field; expected some of"):
        claim(topk=3)
    with pytest.raises(ClaimError, match="has no neuron left to switch off beside"):
        judge(claim(top_k=40), known, sentences(60))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bert", "does not predict the next token"),
        ("t5", "is an encoder-decoder"),
        ("attention-only", "has no FFN in 2 of its 2 layers"),
        ("mixtral", "has FFNs of experts"),
    ],
)
def test_not_applicable(tiny_named, name, reason):
    found = judge(claim(), tiny_named(name).model)
    assert (found.outcome, found.reason) == ("not applicable", "out_of_scope")
    assert reason in found.summary
