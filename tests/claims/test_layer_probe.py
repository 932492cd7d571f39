"""Probes by layer: labels planted at known depths, models that know nothing, a naive computation, a real encoder."""

import re
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
import torch
import transformers
from checked import with_checks
from sklearn.linear_model import LogisticRegression

from interp.claims.claim import parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import layer_probe
from interp.claims.protocols.parts import curve_evidence, layer_asks, layer_curves
from interp.claims.protocols.parts.layer_asks import band_depths
from interp.claims.protocols.parts.probe_tasks import TASKS, drawn_words, task_items
from interp.claims.protocols.parts.probing import parts
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.models.load import load_model
from interp.models.untrained import untrained
from interp.texts.sentences import annotate
from interp.texts.treebank import read_treebank

UPOS = {"det": "DET", "amod": "ADJ", "nsubj": "NOUN", "obj": "NOUN", "root": "VERB", "conj": "VERB", "cc": "CCONJ"}
WIDTH = 24
_KEPT = {}  # curves of planted vectors, which are alike in all untrained twins: by what was planted, the items, and which curves


def claim(asks="some_layer", tasks=("deprel",), **test):
    fields = {"margin": 0.05, "margin_source": "a test", "n_items": 1400, "strength": 0.1, **test}
    return parse_claim(
        {
            "id": "probe", "statement": "layers", "kind": ["obs"], "quantifier": "some", "scope": "all", "does_not_show": "use",
            "test": {"protocol": "layer_probe", "asks": asks, "tasks": list(tasks), **fields},
        },
        "a test",
    )  # fmt: skip


@pytest.fixture(scope="module")
def deep(word_tokenizer):
    """Six narrow layers; what its stream holds is planted."""
    config = transformers.GPT2Config(vocab_size=31, n_positions=48, n_embd=8, n_layer=6, n_head=2, bos_token_id=0, eos_token_id=2)
    return with_checks(load_model(transformers.GPT2LMHeadModel(config).eval(), word_tokenizer()))


@pytest.fixture(scope="module")
def bank(small_treebank):
    """The grammar's sentences with parts of speech; 140 documents of one sentence."""
    sentences = small_treebank(140, per_document=1)
    return [replace(one, words=tuple(replace(word, upos=UPOS[word.deprel]) for word in one.words)) for one in sentences]


@pytest.fixture
def planted(monkeypatch):
    """Vectors of noise in which `depths[task]` says at which depths (of 6) a task's label is written; not in untrained twins."""

    def plant(**depths):
        def vectors(model, examples, words, points):
            rng, codes = np.random.default_rng(3), {}
            for depth, point in enumerate(points):
                found = rng.normal(size=(len(words), WIDTH))
                for task in (name for name, at in depths.items() if depth in at and "untrained" not in model.name):
                    for row, (number, place) in zip(found, words, strict=True):
                        label = (TASKS[task](examples[number], place) or (None, "none"))[1]
                        row += codes.setdefault((task, label), 2 * np.random.default_rng(len(codes)).normal(size=WIDTH))
                yield point, found.astype(np.float32)

        def once(made):
            def found(model, examples, words, tasks, *args):
                items = [(name, one.items.label.tolist()) for name, one in tasks.items()]
                key = str((made.__name__, depths, "untrained" in model.name, words, items, args))
                return _KEPT[key] if key in _KEPT else _KEPT.setdefault(key, made(model, examples, words, tasks, *args))

            return found

        monkeypatch.setattr(layer_curves, "word_vectors", vectors)
        for made in (layer_curves.curves, layer_curves.control_curves):
            monkeypatch.setattr(layer_probe, made.__name__, once(made))

    return plant


@pytest.fixture
def unrelated(monkeypatch):
    """Every task asks for a label of three that nothing tells, none of them another's: what is planted of one says nothing of the next."""

    def labels(task):
        return lambda example, place: ((place,), str(crc32(f"{example.name} {place} {task}".encode()) % 3))

    for task in list(TASKS):
        monkeypatch.setitem(TASKS, task, labels(task))


def test_a_label_is_found_at_the_very_layer_where_it_was_planted(planted, deep, bank):
    planted(deprel={3})
    verdict = judge(claim(), deep, bank)
    assert (verdict.outcome, verdict.site) == ("supported", "L2")
    assert int(np.argmax(verdict.rows["deprel"])) == 3
    assert verdict.rows["deprel"][3] > 0.95
    assert max(verdict.rows["deprel"][:3]) < 0.5
    assert [one.name for one in verdict.evidence] == ["deprel, after L2", "deprel, after L2, selectivity"]
    assert all(control.passed for control in verdict.controls)
    assert "as a stretch from L2 to L2" in verdict.summary
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_each_layer_is_refuted_by_one_exception(planted, deep, bank):
    planted(deprel={1, 2, 3, 4, 5, 6})
    assert judge(claim("each_layer"), deep, bank).outcome == "supported"
    planted(deprel={1, 2, 4, 5, 6})
    verdict = judge(claim("each_layer"), deep, bank)
    assert (verdict.outcome, verdict.reason) == ("refuted", "")
    assert next(one.name for one in verdict.evidence if one.upper < one.smallest_effect) == "deprel, after L2"


def test_the_last_layer_is_best_or_is_not(planted, deep, bank):
    planted(deprel={6})
    assert judge(claim("last_layer"), deep, bank).outcome == "supported"
    planted(deprel={4})
    verdict = judge(claim("last_layer"), deep, bank)
    assert verdict.outcome == "refuted"
    assert verdict.evidence[0].name == "deprel, the last layer rather than after L3"


def test_order_of_two_tasks_and_its_reverse(planted, unrelated, deep, bank):
    planted(chunk={2, 3, 4, 5, 6}, head_distance={5, 6})
    right = judge(claim("order", ["chunk", "head_distance"]), deep, bank)
    assert right.outcome == "supported"
    assert right.evidence[0].effect == pytest.approx(3 / 6, abs=0.05)
    assert re.search(r"chunk (1\.9|2\.[01])\d, head_distance (4\.9|5\.[01])\d", right.summary)
    assert judge(claim("order", ["head_distance", "chunk"]), deep, bank).outcome == "refuted"


def test_order_of_four_tasks_is_a_tau(planted, unrelated, deep, bank):
    planted(upos={1, 2, 3, 4, 5, 6}, chunk={2, 3, 4, 5, 6}, head_distance={4, 5, 6}, deprel={6})
    verdict = judge(claim("order", ["upos", "chunk", "head_distance", "deprel"], margin=0.6), deep, bank)
    (tau,) = verdict.evidence
    assert tau.unit == "tau"
    assert tau.p_adjusted == pytest.approx(1 / 24)  # one order in 24: no four tasks can do better
    assert verdict.outcome == "supported"
    shuffled = judge(claim("order", ["deprel", "chunk", "upos", "head_distance"], margin=0.6), deep, bank)
    assert shuffled.outcome == "refuted"


def test_a_task_that_is_read_nowhere_has_no_place_in_an_order(planted, unrelated, deep, bank):
    planted(chunk={2, 3, 4, 5, 6})
    verdict = judge(claim("order", ["chunk", "head_distance"]), deep, bank)
    assert (verdict.outcome, verdict.reason, verdict.evidence) == ("inconclusive", "control_failed", ())
    assert not next(one for one in verdict.controls if one.name.startswith("head_distance is read")).passed


def test_a_rise_where_no_depth_was_chosen_is_no_verdict(deep, bank, monkeypatch):
    """Read better on the confirmation half, no better on the half that chooses: the expected layer has no value."""

    def flat(model, examples, words, tasks):
        split, rises = {name: task.parts for name, task in tasks.items()}, np.arange(7)[:, None] > (6 if "untrained" in model.name else 0)
        test = {f"{name} test": np.repeat(rises, each.test.sum(), axis=1) for name, each in split.items()}
        return test | {f"{name} check": np.ones((7, each.check.sum()), dtype=bool) for name, each in split.items()}

    monkeypatch.setattr(layer_probe, "curves", flat)
    for asked in (claim("order", ["chunk", "head_distance"], n_items=400), claim("band", band=(0.0, 0.5), n_items=400)):
        verdict = judge(asked, deep, bank)
        assert (verdict.outcome, verdict.reason, verdict.evidence) == ("inconclusive", "control_failed", ())
        assert (verdict.controls[0].value, verdict.controls[0].passed) == (1.0, False)
        assert "over depths chosen on the selection half +0.000" in verdict.controls[0].detail


def test_what_refutes_is_at_a_level_that_all_pieces_share(planted, deep, bank, monkeypatch):
    planted(deprel={3})
    told, made = [], layer_asks.sampled_evidence
    for module in (layer_asks, curve_evidence):
        monkeypatch.setattr(module, "sampled_evidence", lambda **given: told.append(given.get("pieces", 1)) or made(**given))
    for asks, pieces in (("some_layer", 2), ("each_layer", 12), ("last_layer", 6)):
        told.clear()
        assert len(judge(claim(asks), deep, bank).evidence) == pieces
        assert told[:pieces] == [pieces] * pieces


def test_a_band_that_holds_the_rise_and_one_that_does_not(planted, deep, bank):
    planted(deprel={2, 3, 4, 5, 6})
    assert judge(claim("band", band=(0.0, 0.5), margin=0.1), deep, bank).outcome == "supported"
    verdict = judge(claim("band", band=(0.5, 1.0), margin=0.1), deep, bank)
    assert verdict.outcome == "refuted"
    assert verdict.evidence[0].baseline == pytest.approx(0.5)


def test_a_probe_that_learns_by_heart_is_not_selective(deep, bank, monkeypatch):
    """Vectors that say which form the word has, and nothing else: what can be read of them is in the lexical baseline too."""

    def vectors(model, examples, words, points):
        for depth, point in enumerate(points):
            forms = [examples[number].words[place].form for number, place in words]
            codes = {form: np.random.default_rng(sum(map(ord, form))).normal(size=WIDTH) * 5 * (depth > 0) for form in set(forms)}
            yield point, np.stack([codes[form] for form in forms]).astype(np.float32)

    monkeypatch.setattr(layer_curves, "word_vectors", vectors)
    verdict = judge(claim(tasks=["upos"]), deep, bank)
    assert verdict.rows["upos"][1] > 0.99  # the form tells the part of speech here
    assert verdict.rows["upos, control task"][1] > 0.99  # and so it does a random label of the form
    assert verdict.outcome == "inconclusive"
    assert verdict.reason in ("ill_posed", "null_also_passes")


def test_models_that_nobody_trained_are_not_supported(tiny_named, bank):
    for seed, (name, task) in enumerate([("bert", "head_distance"), ("gpt2", "deprel")]):
        verdict = judge(claim(tasks=[task]), untrained(tiny_named(name).model, seed=50 + seed), bank, seed=seed)
        assert verdict.evidence[0].n_clusters >= 40
        assert verdict.outcome != "supported"


def test_accuracy_as_a_naive_loop_computes_it(tiny_named, bank):
    """Its own forward passes, its own mean over pieces, its own scaling and fit."""
    model, task, depth = tiny_named("bert").model, "head_distance", 1
    verdict = judge(claim(tasks=[task], n_items=600), model, bank)
    examples = [annotate(one, model.tokenizer) for one in bank]
    drawn = [word for word in drawn_words(examples, 600, 0) if TASKS[task](examples[word[0]], word[1])]
    labels = np.array([TASKS[task](examples[number], place)[1] for number, place in drawn])
    vectors = []
    for number, place in drawn:
        with torch.no_grad():
            seen = model.hf(torch.tensor([examples[number].ids]), output_hidden_states=True).hidden_states[depth][0]
        vectors.append(torch.stack([seen[piece] for piece in examples[number].word_tokens[place]]).mean(0).numpy())
    features = np.array(vectors)
    split = parts(np.array([examples[number].document for number, _ in drawn]), 0)
    fit = features[split.selection]
    probe = LogisticRegression(C=0.1, max_iter=2000, tol=1e-6).fit((fit - fit.mean(0)) / fit.std(0), labels[split.selection])
    right = probe.predict((features[split.test] - fit.mean(0)) / fit.std(0)) == labels[split.test]
    assert verdict.rows[task][depth] == pytest.approx(right.mean(), abs=0.01)  # the solver stops a little earlier there
    assert verdict.evidence[0].n_items == len(right)


def test_the_plan_counts_what_the_verdict_counts_and_a_second_run_is_the_same(planted, deep, bank):
    planted(chunk={2, 3, 4, 5, 6}, head_distance={5, 6})
    for one in (claim("order", ["chunk", "head_distance"]), claim("last_layer", ["chunk"])):
        told, verdict = plan(one, deep, bank), judge(one, deep, bank)
        first = verdict.evidence[0]
        assert (told.n_items, told.n_clusters, told.family) == (first.n_items, first.n_clusters, first.family)
        assert told.tokens == 7 * told.steps[0].tokens
    _KEPT.clear()
    assert judge(one, deep, bank).untimed().to_json() == verdict.untimed().to_json()


def test_words_are_drawn_over_all_documents_and_heads_are_read(bank, deep):
    examples = [annotate(one, deep.tokenizer) for one in bank]
    words = drawn_words(examples, 400, 0)
    assert len(words) == len(set(words)) == 400
    assert len({number for number, _ in words}) >= 34  # at most twelve of a sentence
    read, items = task_items(["deprel", "upos"], examples, 400, 0)
    assert set(words) <= set(read)
    first = items["deprel"].reads[0]
    number, place = read[first[0]]
    assert read[first[1]] == (number, examples[number].words[place].head_index)


def test_chunks_of_a_sentence(bank, deep):
    example = annotate(bank[0], deep.tokenizer)
    tags = [TASKS["chunk"](example, place)[1] for place in range(len(example.words))]
    for tag, word in zip(tags, example.words, strict=True):
        assert (tag == "O") == (word.upos in ("VERB", "CCONJ"))
    nouns = [place for place, word in enumerate(example.words) if word.upos == "NOUN"]
    starts = [min([noun, *(at for at, word in enumerate(example.words) if word.head_index == noun and at < noun)]) for noun in nouns]
    assert [place for place, tag in enumerate(tags) if tag == "B"] == starts


def test_what_is_refused(small_treebank, bank, deep, tiny_named):
    with pytest.raises(ClaimError, match="marks upos 'X' for every word; expected one that is annotated for it"):
        judge(claim(tasks=["upos"]), deep, small_treebank(10))
    with pytest.raises(ClaimError, match=r"data come from \d documents"):
        judge(claim(), deep, bank[:2])
    for asks, tasks in (("order", ["upos"]), ("some_layer", ["upos", "chunk"])):
        with pytest.raises(ClaimError, match="expected one, for an order two or more, each once"):
            claim(asks, tasks)
    for band, told in ((None, "expected a band for 'band' and for nothing else"), ((0.5, 0.2), "expected two shares of the depth")):
        with pytest.raises(ClaimError, match=told):
            claim("band", band=band)
    with pytest.raises(ClaimError, match="at least one of 6 layers ends"):
        band_depths((0.0, 0.1), 6)
    verdict = judge(claim(), tiny_named("t5").model)
    assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")


def test_too_few_documents_are_underpowered(planted, deep, bank):
    planted(deprel={3})
    verdict = judge(claim(n_items=200), deep, bank[:40])
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "underpowered")


def test_a_real_encoder_tells_best_in_its_early_layers_where_a_words_head_is(minilm, ewt_folder):
    sentences = read_treebank(ewt_folder / "en_ewt-ud-test.conllu")[:300]
    verdict = judge(claim(tasks=["head_distance"], margin=0.02, n_items=900), minilm, sentences)
    assert verdict.outcome != "refuted"  # so few words cannot support it
    assert verdict.site in ("L0", "L1", "L2", "L3")
    scores = verdict.rows["head_distance"]
    assert max(scores) > scores[0] + 0.03
    assert max(verdict.rows["head_distance, untrained"]) < max(scores)


def test_a_morphological_feature_is_a_task_of_the_words_that_have_it(deep, bank):
    plural = {"dog": "Plur", "sea": "Sing"}
    marked = [
        replace(one, words=tuple(replace(word, feats=f"Number={plural[word.form]}" if word.form in plural else "_") for word in one.words))
        for one in bank
    ]
    examples = [annotate(one, deep.tokenizer, n_ctx=48) for one in marked]
    _, items = task_items(["Number"], examples, 2000, seed=0)
    labels = items["Number"].label.tolist()
    assert set(labels) == {"Plur", "Sing"}
    assert [plural[form] for form in items["Number"].form.tolist()] == labels
    with pytest.raises(ClaimError, match="the treebank marks Tense for no word"):
        task_items(["Tense"], examples, 2000, seed=0)
    with pytest.raises(ClaimError, match=r"test\.tasks"):
        claim(tasks=("number",))
