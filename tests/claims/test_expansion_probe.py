"""Classes in the neurons against what the FFN reads, and against an FFN turned at random: planted in one of them, in both, in none."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from checked import with_checks

from interp.captures.word_vectors import word_vectors
from interp.claims.claim import parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import expansion_probe, protocol
from interp.claims.protocols.expansion_probe import turned
from interp.models.load import load_model
from interp.models.points import Point, watching
from interp.models.watch import Keep
from interp.texts.sentences import annotate

UPOS = {"det": "DET", "amod": "ADJ", "nsubj": "NOUN", "obj": "NOUN", "root": "VERB", "conj": "VERB", "cc": "CCONJ"}


def claim(**test):
    about = {"id": "own", "statement": "Spread out.", "kind": ["obs"], "quantifier": "some", "scope": "all", "does_not_show": "use."}
    fields = {"protocol": "expansion_probe", "task": "upos", "margin": 0.05, "margin_source": "a test", "n_items": 1500, **test}
    return parse_claim({**about, "test": fields}, "a test")


@pytest.fixture(scope="module")
def narrow(word_tokenizer):
    config = transformers.GPT2Config(vocab_size=31, n_positions=48, n_embd=8, n_layer=3, n_head=2, bos_token_id=0, eos_token_id=2)
    return with_checks(load_model(transformers.GPT2LMHeadModel(config).eval(), word_tokenizer()))


@pytest.fixture(scope="module")
def bank(small_treebank):
    sentences = small_treebank(130, per_document=1)
    return [replace(one, words=tuple(replace(word, upos=UPOS[word.deprel]) for word in one.words)) for one in sentences]


@pytest.fixture
def planted(monkeypatch):
    """Vectors of noise, with the label's code where `at` says: "post", "mlp_in", "turned"; in layer 1, in no untrained twin."""

    def plant(*at):
        def features(self, model, layer):
            labels = self.probed.items.label
            found = []
            for number, name in enumerate(("post", "mlp_in", "turned")):
                noise = np.random.default_rng(10 * layer + number).normal(size=(len(labels), 16))
                if name in at and layer == 1 and "untrained" not in model.name:
                    names, place = np.unique(labels, return_inverse=True)
                    noise += 1.5 * np.random.default_rng(number).normal(size=(len(names), 16))[place]
                found.append(noise)
            return found

        monkeypatch.setattr(expansion_probe._Run, "features", features)

    return plant


@pytest.mark.parametrize(
    ("at", "outcomes"),
    [
        (("post",), ("supported",)),
        (("post", "mlp_in"), ("refuted", "inconclusive")),
        (("post", "turned"), ("refuted", "inconclusive")),
        ((), ("refuted", "inconclusive")),
    ],
    ids=lambda value: "+".join(value) or "nothing",
)
def test_classes_planted_here_and_there(planted, narrow, bank, at, outcomes):
    planted(*at)
    verdict = judge(claim(), narrow, bank)
    assert verdict.outcome in outcomes
    if verdict.outcome == "supported":
        assert verdict.site == "L1"
        assert all(control.passed for control in verdict.controls)
        assert [one.family for one in verdict.evidence] == [3, 3]


def test_twins_that_do_it_too_take_the_verdict_back(planted, narrow, bank, monkeypatch):
    planted("post")
    monkeypatch.setattr(protocol, "untrained", lambda model, seed: model)
    verdict = judge(claim(), narrow, bank)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "null_also_passes")


def test_the_turned_ffn_reads_the_same_vectors_rotated(narrow, bank):
    """Only the chosen layer's FFN reads something else, as long as before; what the others read before it stays."""
    ids = torch.randint(3, 31, (2, 9), generator=torch.Generator().manual_seed(0))

    def seen(layer=None):
        keep = Keep(narrow, ["mlp_in", "post"])
        if layer is None:
            with watching(keep):
                narrow.run(ids, logits=False)
        else:
            with turned(narrow, layer, seed=4), watching(keep):
                narrow.run(ids, logits=False)
        return keep.arrays

    plain, other = seen(), seen(1)
    for layer, same in ((0, True), (1, False), (2, False)):
        name = Point(kind="post", layer=layer).name
        assert torch.equal(plain[name], other[name]) == same
    read, turned_read = (arrays[Point(kind="mlp_in", layer=1).name] for arrays in (plain, other))
    assert not torch.allclose(read, turned_read)
    assert torch.allclose(read.norm(dim=-1), turned_read.norm(dim=-1), rtol=1e-4)
    weight, bias = narrow.hf.transformer.h[1].mlp.c_fc.weight, narrow.hf.transformer.h[1].mlp.c_fc.bias
    by_hand = torch.nn.functional.gelu(turned_read @ weight + bias, approximate="tanh")
    assert torch.allclose(other[Point(kind="post", layer=1).name], by_hand, atol=1e-5)


def test_neurons_behind_words_are_the_means_of_their_tokens(narrow, bank):
    example = annotate(bank[0], narrow.tokenizer, n_ctx=48)
    point = Point(kind="post", layer=2)
    ((_, found),) = word_vectors(narrow, [example], [(0, 1), (0, 2)], [point])
    keep = Keep(narrow, ["post"])
    with watching(keep):
        narrow.run(torch.tensor([example.ids]), logits=False)
    by_hand = [keep.arrays[point.name][0, list(example.word_tokens[word])].mean(0).numpy() for word in (1, 2)]
    assert found.shape == (2, 32)
    np.testing.assert_allclose(found, by_hand, atol=1e-6)


def test_a_real_run_and_its_plan(narrow, bank):
    verdict, before = judge(claim(n_items=300), narrow, bank), plan(claim(n_items=300), narrow, bank)
    assert verdict.outcome != "supported"
    assert verdict.evidence[0].n_clusters == before.n_clusters
    assert len(verdict.rows["neurons"]) == 3
