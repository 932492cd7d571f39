"""Switching off the head that looks: it costs where a planted head's output is read, and nothing where nobody reads it."""

from dataclasses import replace

import numpy as np
import pytest

from interp.claims.calibration.cases import claim_of, edited, loaded, whole
from interp.claims.calibration.nulls_of_heads import MARGIN, PREVIOUS
from interp.claims.calibration.nulls_of_parts import echoes
from interp.claims.calibration.world import world, written
from interp.claims.judge import judge, plan
from interp.claims.own import attends
from interp.claims.protocols.parts.without_head import other_heads
from interp.claims.shared import Shared
from interp.models.constructed.heads import D_HEAD

SUBJECT = {"from_words": "lemma=it", "to_words": "link=Antecedent", "head": "L1H2", **MARGIN}
LOST = {"lost_nats": 0.02}
SHARED = Shared()  # what models and their untrained twins look at is asked once


def said(seed=0):
    """The grammar's sentences, with "it" a reference to the subject, and the subject said behind it."""
    found = []
    for sentence in world(seed):
        ((_, it, subject),) = sentence.links
        rows = [(word.form, word.upos, word.deprel, word.head - 1) for word in sentence.words]
        rows[it] = ("it", "PRON", "ref", subject)
        rows[it + 1] = (rows[subject][0], "NOUN", "conj", subject + 1)
        found.append(written(sentence.id, rows, sentence.links))
    return found


def unread(name, layer, head):
    """The constructed model with one head whose output nobody reads: it looks as before."""

    def edit(hf):
        hf.model.blocks[layer].attn.o.weight[:, head * D_HEAD : (head + 1) * D_HEAD] = 0.0

    return edited(loaded(whole(name)), edit, f"{name}, unread")


@pytest.mark.parametrize(
    "claim",
    [
        claim_of("attends", **SUBJECT, **LOST),
        claim_of("head_relation", relation="ref", head="L1H2", direction="dependent", **MARGIN, **LOST),
    ],
    ids=["attends", "head_relation"],
)
def test_a_head_that_looks_costs_where_it_is_read_and_only_there(claim):
    read, ignored = (judge(claim, model, said(), shared=SHARED) for model in (loaded(whole("subject-copy")), unread("subject-copy", 1, 2)))
    assert read.outcome == ignored.outcome == "supported"
    assert (read.badges.causal, ignored.badges.causal) == (True, False)
    n = len(read.evidence) - 2
    assert read.evidence[:n] == ignored.evidence[:n]  # what was seen is the same
    assert [one.name.endswith(how) for one, how in zip(read.evidence[n:], ("(mean)", "(resample)"), strict=True)] == [True, True]
    assert all(one.effect > 1 and one.low > 0 for one in read.evidence[n:])  # "it" told the animal, and now tells no more
    assert all(one.estimate == pytest.approx(0, abs=1e-6) for one in ignored.evidence[n:])
    assert "without 7 and 7 of 7 other heads less than that" in read.summary
    assert "caused by intervention: no" in str(ignored)


def test_what_a_claim_comes_to_without_it_is_the_same():
    model, data = loaded(whole("subject-copy")), said()
    with_it, without = (judge(claim_of("attends", **SUBJECT, **more), model, data, shared=SHARED) for more in (LOST, {}))
    assert with_it.evidence[:2] == without.evidence
    assert (with_it.outcome, with_it.controls, without.badges.causal) == (without.outcome, without.controls, None)
    assert "lost_nats" not in without.claim["test"]  # so that the hashes of such claims are what they were
    assert judge(claim_of("attends", **SUBJECT, **LOST), model, data).untimed() == with_it.untimed()


def test_a_head_that_looks_at_the_place_before_costs_where_it_is_read():
    claim = claim_of("positional_head", **PREVIOUS, **LOST)
    read, ignored = (
        judge(claim, model, echoes(0), shared=SHARED) for model in (loaded(whole("previous-token")), unread("previous-token", 0, 1))
    )
    assert (read.outcome, read.site, read.badges.causal) == ("supported", "L0H1", True)
    assert (ignored.outcome, ignored.site, ignored.badges.causal) == ("supported", "L0H1", False)
    assert all(one.low > 1 for one in read.evidence[2:])  # "cat dog cat dog" is told by the word before, shuffled words are not


def test_a_head_that_matters_everywhere_does_not_count_behind_some_words():
    """The previous-token head tells every next word of "cat dog cat dog": no more behind some words than behind the others."""
    rng, model = np.random.default_rng(0), loaded(whole("previous-token"))
    found = []
    for number, text in enumerate(echoes(0)):
        marked = set(rng.permutation(np.arange(2, 11))[:4].tolist())
        rows = [(form, "X" if place in marked else "Y", "dep", -1) for place, form in enumerate(text.split())]
        sentence = written(f"s{number}", rows)
        found.append(replace(sentence, words=sentence.words[1:]))  # behind the first, nothing tells the second
    claim = claim_of("attends", from_words="upos=X", to_words="offset=-1", head="L0H1", **MARGIN, **LOST)
    verdict = judge(claim, model, found)
    assert verdict.evidence[0].estimate == 1.0
    assert verdict.badges.causal is False
    assert not any(one.decides for one in verdict.evidence[2:])
    assert all(abs(one.estimate) < 0.2 for one in verdict.evidence[2:])  # it is worth some nats behind each


def test_where_it_cannot_be_tried_the_verdict_says_why(tiny_named, treebank):
    claim = claim_of("attends", from_words="deprel=amod", to_words="deprel=obj", **MARGIN, **LOST)
    encoder = judge(claim, tiny_named("bert").model, treebank)
    assert encoder.badges.causal is None
    assert "was not tried: " in encoder.summary
    assert "does not predict the next token" in encoder.summary
    later = judge(claim_of("head_relation", relation="amod", direction="dependent", **MARGIN, **LOST), tiny_named("gpt2").model, treebank)
    assert later.badges.causal is None
    assert "no word amod has a right word before it, and later ones cannot be seen" in later.summary
    dead = replace(tiny_named("gpt2").model, disabled={"ablation": "its hook is dead"})
    back = claim_of("head_relation", relation="amod", direction="head", **MARGIN, **LOST)
    assert "switching off is disabled, since its hook is dead" in judge(back, dead, treebank).summary


def test_the_plan_counts_the_runs_with_heads_switched_off(tiny_named):
    model, data = loaded(whole("subject-copy")), said()
    told, without = (plan(claim_of("attends", **SUBJECT, **more), model, data) for more in (LOST, {}))
    assert told.steps[:-1] == without.steps
    assert told.steps[-1].what == "8 heads switched off"
    assert plan(attends(from_="upos=PRON", to="link=Antecedent"), model, data).steps[-1].what == "5 untrained twins"


def test_the_other_heads_are_the_nearest(tiny_named):
    anatomy = loaded(whole("subject-copy")).anatomy
    others = other_heads(anatomy, "L1H2", seed=0)
    assert sorted(others[:3]) == ["L1H0", "L1H1", "L1H3"]
    assert sorted(others[3:]) == ["L0H0", "L0H1", "L0H2", "L0H3"]
