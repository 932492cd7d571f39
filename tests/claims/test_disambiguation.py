"""Senses by layer: planted before, between and after sublayers; models that know nothing; a naive computation; a real encoder."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from checked import with_checks

from interp.claims.calibration.world import written
from interp.claims.claim import parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import disambiguation
from interp.claims.protocols.disambiguation import Disambiguation
from interp.claims.protocols.parts import sense_curves
from interp.claims.protocols.parts.layer_curves import Curve
from interp.claims.protocols.parts.probing import parts
from interp.claims.protocols.parts.sense_asks import SENSE_ASKS, SensesRead, first_resolved
from interp.claims.protocols.parts.sense_curves import Senses
from interp.claims.protocols.parts.sense_items import sense_items
from interp.claims.rule import decide
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.models.constructed.heads import PARTS, Head, blank, current, first, reads, write_heads
from interp.models.constructed.words import CLASSES
from interp.models.constructed.words import word_tokenizer as constructed_tokenizer
from interp.models.load import load_model
from interp.models.untrained import untrained
from interp.texts.grammar.senses import sense_sets
from interp.texts.senses import read_senses, sense_sentences, senses_of
from interp.texts.sentences import annotate

WIDTH = 24
_KEPT = {}  # curves of planted vectors, which are alike in all untrained twins: by what was planted, the items, and which curves
WORDS = ["bank", "bat"]


def claim(asks="read_at", **test):
    fields = {"margin": 0.1, "margin_source": "a test", "n_items": 220, **test}
    return parse_claim(
        {
            "id": "sense", "statement": "senses", "kind": ["obs"], "quantifier": "some", "scope": "all", "does_not_show": "use",
            "test": {"protocol": "disambiguation", "asks": asks, **fields},
        },
        "a test",
    )  # fmt: skip


@pytest.fixture(scope="module")
def deep(word_tokenizer):
    """Four narrow layers; what its stream holds is planted."""
    config = transformers.GPT2Config(vocab_size=31, n_positions=48, n_embd=8, n_layer=4, n_head=2, bos_token_id=0, eos_token_id=2)
    return with_checks(load_model(transformers.GPT2LMHeadModel(config).eval(), word_tokenizer()))


@pytest.fixture(scope="module")
def marked():
    """110 documents of two sentences whose senses the surface does not tell: the cue is taken out of both."""
    sets = sense_sets(110, seed=0, distance=4, split="selection", words=WORDS)
    return [without_cue(one, each.cue) for each, pair in zip(sets, in_pairs(sense_sentences(sets)), strict=True) for one in pair]


def in_pairs(sentences):
    return zip(sentences[::2], sentences[1::2], strict=True)


def without_cue(sentence, cue):
    """The same word in place of either cue (their lengths would tell the sense too)."""
    start, end = sentence.words[cue].span
    longer, words = len("thing") - (end - start), []
    for word in sentence.words:
        moved = (word.span[0] + longer * (word.index > cue), word.span[1] + longer * (word.index >= cue))
        words.append(replace(word, form="thing" if word.index == cue else word.form, span=moved))
    return replace(sentence, text=f"{sentence.text[:start]}thing{sentence.text[end:]}", words=tuple(words))


@pytest.fixture
def planted(monkeypatch):
    """Vectors of noise (the same in each state, so that noise alone changes no hit) with the sense written into some of 9 states."""

    def plant(*states, twins=()):
        def vectors(model, examples, words, points):
            drawn = np.random.default_rng(3).normal(size=(len(words), WIDTH))
            names = [next(sense for at, sense in senses_of(examples[number].links) if at == place) for number, place in words]
            codes = {name: 2.5 * np.random.default_rng(number).normal(size=WIDTH) for number, name in enumerate(sorted(set(names)))}
            written = np.stack([codes[name] for name in names])
            there = twins if "untrained" in model.name else states
            for state, point in enumerate(points):
                yield point, (drawn + (written if state in there else 0)).astype(np.float32)

        def once(made):
            def found(model, senses, *args, **options):
                items = (tuple(senses.words), senses.items.label.tobytes())
                key = (made.__name__, states, twins, "untrained" in model.name, items, args, *options.items())
                return _KEPT[key] if key in _KEPT else _KEPT.setdefault(key, made(model, senses, *args, **options))

            return found

        monkeypatch.setattr(sense_curves, "word_vectors", vectors)
        for made in (sense_curves.sense_curves, sense_curves.meaningless_curves):
            monkeypatch.setattr(disambiguation, made.__name__, once(made))

    return plant


def test_a_sense_is_read_in_the_very_layer_where_it_is(planted, deep, marked):
    planted(6)
    verdict = judge(claim(), deep, marked)
    assert (verdict.outcome, verdict.site) == ("supported", "L2")
    for reader in ("nearest", "logistic"):
        assert int(np.argmax(verdict.rows[reader])) == 6
        assert verdict.rows[reader][6] > 0.95
        assert verdict.rows[reader][5] < 0.75
    assert all(control.passed for control in verdict.controls)
    assert judge(claim(layer=2), deep, marked).outcome == "supported"
    assert judge(claim(layer=1), deep, marked).outcome == "refuted"
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_which_sublayer_adds_it(planted, deep, marked):
    planted(*range(6, 9))  # from the FFN of layer 2 on
    ffn = judge(claim("sublayer_adds", sublayer="ffn"), deep, marked)
    assert (ffn.outcome, ffn.site) == ("supported", "L2")
    assert [one.baseline_name for one in ffn.evidence[:2]] == ["before it", "a step as long in a random direction"]
    assert judge(claim("sublayer_adds", sublayer="attention"), deep, marked).outcome == "refuted"
    assert judge(claim("ffn_rather"), deep, marked).outcome == "supported"
    planted(*range(5, 9))  # from the attention of layer 2 on
    attention = judge(claim("sublayer_adds", sublayer="attention"), deep, marked)
    assert (attention.outcome, attention.site) == ("supported", "L2")
    assert judge(claim("ffn_rather"), deep, marked).outcome == "refuted"


def test_resolved_by_a_share_of_the_depth(planted, deep, marked):
    planted(*range(6, 9))  # after three of four layers
    verdict = judge(claim("resolved_by", by=0.75, within=0.1), deep, marked)
    assert verdict.outcome == "supported"
    assert [one.effect for one in verdict.evidence[::3]] == pytest.approx([0.25, 0.25])
    assert [one.name for one in verdict.evidence[1:3]] == ["sense, after L2, nearest", "as good after L2 as after L3, nearest"]
    # two layers alike on so few documents may differ by .02 on others
    assert judge(claim("resolved_by", by=0.75), deep, marked).outcome == "inconclusive"
    assert judge(claim("resolved_by", by=0.5), deep, marked).outcome == "refuted"
    planted()  # nowhere
    assert judge(claim("resolved_by", by=0.5), deep, marked).outcome == "refuted"


def drawn(accuracies, n_items, rng, **test):
    """A reader's hits by depth drawn at these accuracies, two items a document; the most frequent sense is right on half of the items."""

    def hits(n):
        rows = [row for accuracy in accuracies for row in rng.random((2, n)) < accuracy]
        return np.stack(rows[1:]).astype(float)

    check, half = n_items // 2, Curve(check=np.tile([[0.0, 1.0]], n_items // 4), test=np.tile([[0.0, 1.0]], n_items // 2))
    asked = Disambiguation(protocol="disambiguation", asks="resolved_by", margin=0.1, margin_source="a test", **test)
    return SensesRead(
        test=asked, reader="nearest", curve=Curve(check=hits(check), test=hits(n_items)), noise=None, majority=half, bag=half, rivals=[],
        documents=np.arange(n_items) // 2, alpha=0.05, seed=0,
    )  # fmt: skip


def test_layers_below_the_best_are_not_supported_by_noise():
    """All but the last layer are .03 below it; the difference of two layers has a standard error of .02."""
    outcomes = []
    for seed in range(12):
        ours = drawn([0.5, 0.87, 0.87, 0.87, 0.9], 440, np.random.default_rng(seed), by=0.75, within=0.02)
        outcomes.append(decide(SENSE_ASKS["resolved_by"].evidence(ours), [], 0.05)[0])
    assert outcomes.count("supported") <= 1
    assert outcomes.count("refuted") <= 2  # of .03 that .02 is exceeded is hard to show


def test_layers_as_good_as_the_best_are_supported_and_layers_far_below_refuted():
    asks, rng = SENSE_ASKS["resolved_by"], np.random.default_rng(1)
    for accuracies, outcome in (([0.5, 0.9, 0.9, 0.9, 0.9], "supported"), ([0.5, 0.6, 0.6, 0.6, 0.9], "refuted")):
        evidence = asks.evidence(drawn(accuracies, 440, rng, by=0.75, within=0.12))
        assert decide(evidence, [], 0.05)[0] == outcome
        assert (evidence[0].low > 0) == (outcome == "supported")


def test_exchanged_senses_stand_beside_their_own_most_frequent(planted, deep, marked):
    planted(6)
    verdict, rng = judge(claim(), deep, marked), np.random.default_rng(0)
    examples = [annotate(one, deep.tokenizer) for one in marked]
    words, items = sense_items(examples, 220, 0)
    labels, split, right = items.label.copy(), parts(items.document, 0), []
    for word in np.unique(items.form):
        of = np.flatnonzero(items.form == word)
        labels[of] = rng.permutation(labels[of])
    for item in np.flatnonzero(split.test):
        names, counts = np.unique(labels[split.selection & (items.form == items.form[item])], return_counts=True)
        right.append(names[counts.argmax()] == labels[item])
    senses = Senses(examples=examples, words=words, items=items, parts=split, strength=0.1, seed=0)
    nothing = sense_curves.meaningless_curves(deep, senses, 4)
    assert nothing["majority test"][0].tolist() == right
    (control,) = (one for one in verdict.controls if one.name == "exchanged senses, nearest")
    best = nothing["shuffled nearest check"][2::2].mean(1).argmax()
    assert control.value == pytest.approx(nothing["shuffled nearest test"][2::2][best].mean() - np.mean(right))


def test_what_an_untrained_twin_reads_too_is_not_supported(planted, deep, marked):
    planted(*range(6, 9), twins=tuple(range(6, 9)))
    for one in (claim("resolved_by", by=0.75, within=0.1), claim("sublayer_adds", sublayer="ffn")):
        verdict = judge(one, deep, marked)
        assert (verdict.outcome, verdict.reason) == ("inconclusive", "null_also_passes")
    assert judge(claim(), deep, marked).outcome != "supported"


def test_a_cue_on_the_surface_leaves_nothing_to_be_above(planted, deep):
    """With the cues left in, a bag of words knows all that a model could."""
    planted(6)
    sentences = sense_sentences(sense_sets(110, seed=0, distance=4, split="selection", words=WORDS))
    verdict = judge(claim(), deep, sentences)
    assert verdict.rows["bag of words"][0] > 0.9
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "ill_posed")
    assert "a bag of the other words" in {one.baseline_name for one in verdict.evidence}


def test_models_that_nobody_trained_are_not_supported(tiny_named, marked):
    for seed, name in enumerate(("bert", "gpt2")):
        verdict = judge(claim(n_items=200), untrained(tiny_named(name).model, seed=70 + seed), marked, seed=seed)
        assert verdict.outcome != "supported"


def test_nearest_mean_as_a_naive_loop_computes_it(tiny_named, marked):
    tiny = tiny_named("bert")
    verdict = judge(claim(n_items=200), tiny.model, marked)
    examples = [annotate(one, tiny.model.tokenizer) for one in marked]
    words, items = sense_items(examples, 200, 0)
    split, right = parts(items.document, 0), []
    with torch.no_grad():
        states = [tiny.hf(torch.tensor([examples[number].ids]), output_hidden_states=True).hidden_states[2][0] for number, _ in words]
    found = np.array([state[list(examples[n].word_tokens[at])].mean(0).numpy() for state, (n, at) in zip(states, words, strict=True)])
    for item in np.flatnonzero(split.test):
        fit = split.selection & (items.form == items.form[item])
        centre, spread = found[fit].mean(0), found[fit].std(0)
        mine, best = (found[item] - centre) / spread, {}
        for sense in sorted(set(items.label[fit])):
            mean = ((found[fit & (items.label == sense)] - centre) / spread).mean(0)
            best[sense] = mine @ mean / np.linalg.norm(mean)
        right.append(max(best, key=best.get) == items.label[item])
    assert verdict.rows["nearest"][4] == pytest.approx(np.mean(right), abs=0.01)  # one item of a hundred may be a tie but for rounding
    assert verdict.evidence[0].n_items == len(right)


def test_the_plan_counts_what_the_verdict_counts_and_a_second_run_is_the_same(planted, deep, marked):
    planted(6)
    for one in (claim(layer=2), claim("resolved_by", by=0.5)):
        told, verdict = plan(one, deep, marked), judge(one, deep, marked)
        first = verdict.evidence[0]
        assert (told.n_items, told.n_clusters, told.family) == (first.n_items, first.n_clusters, first.family)
        assert told.smallest_effect == pytest.approx(first.smallest_effect)
    _KEPT.clear()
    assert judge(one, deep, marked).untimed().to_json() == verdict.untimed().to_json()


def test_the_first_depth_that_counts_as_resolved():
    scores = np.array([[0.9, 0.5, 0.9], [0.5, 0.6, 0.7], [0.5, 0.52, 0.55]])
    assert [first_resolved(row, row.max(), 0.5, 0.02, 0.1) for row in scores] == [0, 2, 3]
    assert [first_resolved(row, row.max(), 0.5, 0.1, 0.1) for row in scores] == [0, 1, 3]


OUTSIDE = {"t5": "is an encoder-decoder", "neox": "has parallel blocks", "attention-only": "no FFN in 2", "ffn-only": "no attention"}


@pytest.mark.parametrize(("name", "why"), OUTSIDE.items())
def test_not_applicable_with_the_reason(tiny_named, name, why):
    verdict = judge(claim(), tiny_named(name).model)
    assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")
    assert why in verdict.summary


def test_what_is_refused(deep, marked):
    with pytest.raises(ClaimError, match=r"no words are marked with a sense .*; expected one at least with 20 occurrences"):
        judge(claim(), deep, [replace(one, links=()) for one in marked])
    with pytest.raises(ClaimError, match="words are marked with a sense"):
        judge(claim(), deep, marked[:8])
    with pytest.raises(ClaimError, match=r"data come from \d documents"):
        judge(claim(), deep, [replace(one, document="d") for one in marked])
    with pytest.raises(ClaimError, match="layer 4 came; this model has layers 0-3"):
        judge(claim(layer=4), deep, marked)
    with pytest.raises(ClaimError, match="expected sublayer for 'sublayer_adds' and nothing else"):
        claim("sublayer_adds")
    with pytest.raises(ClaimError, match="expected by for 'resolved_by' and nothing else"):
        claim("read_at", by=0.5)
    with pytest.raises(ClaimError, match="expected a layer for 'read_at' or 'patched' and nothing else"):
        claim("ffn_rather", layer=2)


def test_a_real_encoder_knows_its_senses(minilm):
    folder = Path(os.environ.get("INTERP_DATA", "")) / "coarsewsd20" / "data" / "CoarseWSD-20"
    if not os.environ.get("INTERP_DATA") or not folder.is_dir():
        pytest.skip("INTERP_DATA does not name a folder with coarsewsd20; set it to run this")
    sentences = [one for one in read_senses(folder, ["club", "spring"])[::6] if len(one.words) < 35]
    verdict = judge(claim(n_items=140, margin=0.02), minilm, sentences)
    assert verdict.outcome != "refuted"
    assert max(verdict.rows["logistic"]) > verdict.rows["most frequent sense"][0] + 0.2
    assert max(verdict.rows["logistic, untrained"]) < max(verdict.rows["logistic"]) - 0.1


def two_layers(*heads):
    """A decoder whose first layer has these heads; FFNs know positions only."""
    hf = blank(["attn", "mlp"], 2, 8)
    write_heads(hf, 0, list(heads))
    write_heads(hf, 1, [current(), first(), current(), first()])
    with torch.no_grad():
        for block in hf.model.blocks:
            block.mlp.fc_in.weight[:, PARTS["position"]] = torch.rand(8, 64, generator=torch.Generator().manual_seed(0))
            block.mlp.fc_out.weight.normal_(std=0.01, generator=torch.Generator().manual_seed(1))
    return with_checks(load_model(hf, constructed_tokenizer(64)))


@pytest.fixture(scope="module")
def carried():
    """A head writes the word two places before, which is the cue, into the stream."""
    two_back = Head(query=reads("position", back=2), key=reads("position"), into="noted")
    return two_layers(two_back, first(), current(), first())


@pytest.fixture
def deaf_twins(monkeypatch):
    """Twins whose attention writes nothing: any mixture of words, however faint, would make the one cue readable."""
    hf = blank(["attn", "mlp"], 2, 8)
    hf.model.blocks[0].mlp.fc_in.weight.data[:, PARTS["position"]] = 1.0
    twin = load_model(hf, constructed_tokenizer(64))
    monkeypatch.setattr(disambiguation, "untrained", lambda model, seed: twin)


@pytest.fixture(scope="module")
def cued():
    """Documents of two sentences that differ in the cue alone, which stands two words before the ambiguous one."""
    rng, found = np.random.default_rng(0), []
    for number in range(110):
        rest = [str(rng.choice(CLASSES["thing"])) for _ in range(2)]
        for sense, cue in enumerate(("sea", "night")):
            rows = [(form, "X", "dep", -1) for form in (rest[0], cue, "and", "bat", rest[1])]
            sentence = written(f"s{number}-{sense}", rows, ((f"Sense:bat.{sense}", 3, 3),))
            found.append(replace(sentence, document=f"d{number}"))
    return found


def test_the_other_senses_state_at_the_word_is_read_as_the_other_sense(carried, cued, deaf_twins):
    after, written_before = (judge(claim("patched", layer=0), carried, cued), judge(claim("patched", sublayer="ffn"), carried, cued))
    assert (after.outcome, after.reason) == ("supported", "")
    assert after.badges.causal is True
    assert {one.baseline_name for one in after.evidence} == {"nothing replaced", "the same at another word"}
    assert all(one.estimate == 1.0 and one.baseline == 0.0 for one in after.evidence)
    halfway = judge(claim("patched", by=0.5), carried, cued)
    assert (halfway.site, halfway.evidence) == (after.site, after.evidence) == ("L0", after.evidence)
    assert written_before.outcome == "refuted"  # the cue comes by attention, and FFNs are left to write what they like
    told = plan(claim("patched", layer=0), carried, cued)
    assert (told.n_items, told.n_clusters, told.family) == (after.evidence[0].n_items, after.evidence[0].n_clusters, 1)
    assert "With the stream after L0 from there at the word, 1.000 are read as the other sense in the end" in after.summary


def test_what_attention_adds_carries_the_sense_and_where_untrained_attention_does_too_it_is_said(carried, cued):
    found = judge(claim("patched", sublayer="attention"), carried, cued)
    assert all(one.estimate == 1.0 and one.baseline == 0.0 for one in found.evidence)
    assert (found.outcome, found.reason) == ("inconclusive", "null_also_passes")
    assert found.site == ""


def test_patching_that_cannot_be_done_is_refused(carried, cued):
    for asked in ({}, {"layer": 0, "by": 0.5}, {"layer": 0, "sublayer": "ffn"}):
        with pytest.raises(ClaimError, match="expected one of them: a layer, a sublayer, or by"):
            claim("patched", **asked)
    with pytest.raises(ClaimError, match=r"no layer of .* ends within 0\.4 of its depth of 2"):
        judge(claim("patched", by=0.4), carried, cued)
    with pytest.raises(ClaimError, match=r"layer 7 came; .* has layers 0-1"):
        judge(claim("patched", layer=7), carried, cued)
    alone = [replace(one, document=one.id) for one in cued]
    with pytest.raises(ClaimError, match="0 occurrences have a sentence of the same document that differs in the sense alone"):
        judge(claim("patched", layer=0), carried, alone)
