"""One's own claim by selectors: a planted head is found, one that only looks to the same side is not."""

import pytest

from interp.claims.judge import judge, plan
from interp.claims.own import attends
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError


@pytest.fixture(scope="module")
def encoder(tiny_named):
    return tiny_named("bert").model


def places(example, *relations):
    return [place for place, word in enumerate(example.words) if word.deprel in relations]


def test_a_head_that_does_it_is_found(encoder, treebank, planted):
    """From every adjective to the object of its clause: several words may be right, the nearest is what it looks at."""

    def where(example, word, rng):
        objects = places(example, "obj")
        return objects[0] if example.words[word].deprel == "amod" and word not in objects else None

    planted(where)
    claim = attends(from_="deprel=amod", to="deprel=obj")
    verdict = judge(claim, encoder, treebank)
    assert (verdict.outcome, verdict.site) == ("supported", "L0H0")
    assert verdict.evidence[0].estimate == 1.0
    assert [one.passed for one in verdict.controls] == [True] * 7
    assert Verdict.from_json(verdict.to_json()) == verdict
    told = plan(claim, encoder, treebank)
    assert (told.n_items, told.family) == (verdict.evidence[0].n_items, verdict.evidence[0].family)
    assert told.family == encoder.anatomy.n_layers * encoder.anatomy.n_heads


def test_one_that_looks_at_any_word_of_that_side_is_not(encoder, treebank, planted):
    planted(lambda example, word, rng: int(rng.integers(len(example.words))))
    assert judge(attends(from_="deprel=amod", to="deprel=obj"), encoder, treebank).outcome != "supported"


def test_a_relation_by_selectors_counts_as_the_relation_does(encoder, treebank, planted):
    planted(lambda example, word, rng: example.words[word].head_index)
    by_selector = judge(attends(from_="deprel=obj", to="head & form~.*"), encoder, treebank)
    by_relation = judge(attends(from_="deprel=obj", to="head"), encoder, treebank)
    first, second = by_selector.evidence[0], by_relation.evidence[0]
    assert by_selector.claim["test"]["protocol"] == "attends"
    assert (first.estimate, first.baseline, first.n_items, first.n_clusters) == (
        second.estimate, second.baseline, second.n_items, second.n_clusters,
    )  # fmt: skip
    assert by_selector.outcome == by_relation.outcome == "supported"


def test_an_offset_leaves_no_room(encoder, treebank, planted):
    planted(lambda example, word, rng: word - 1 if word else None)
    verdict = judge(attends(from_="deprel=obj", to="offset=-1"), encoder, treebank)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "ill_posed")


def test_nothing_to_look_from_or_at(encoder, treebank):
    with pytest.raises(ClaimError, match="0 words are 'upos=PRON', and none has a word that is 'head' beside it"):
        judge(attends(from_="upos=PRON", to="head"), encoder, treebank)
    with pytest.raises(ClaimError, match="none has a word that is 'lemma=unicorn' beside it"):
        plan(attends(from_="deprel=obj", to="lemma=unicorn"), encoder, treebank)


def test_a_causal_model_never_hits_what_comes_later(tiny_named, treebank):
    verdict = judge(attends(from_="deprel=amod", to="head"), tiny_named("gpt2").model, treebank)
    later = judge(attends(from_="deprel=amod", to="head & form~.*"), tiny_named("gpt2").model, treebank)
    assert verdict.evidence[0].estimate == later.evidence[0].estimate == 0.0
    assert later.outcome == "refuted"
