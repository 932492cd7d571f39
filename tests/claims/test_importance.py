"""What parts are worth: circuits written by hand that matter, that stand in for each other, that are repaired; and by plain hooks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols.importance import _decide
from interp.claims.protocols.parts.part_evidence import PartEvidence, most_do_not, positives
from interp.claims.protocols.parts.without_parts import Bench, parts_of, readings
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.models.constructed import scrambled
from interp.models.constructed.heads import PARTS, WIDTH, Head, blank, current, first, previous, reads, uniform, write_heads
from interp.models.constructed.words import SPECIAL, VOCABULARY, word_tokenizer
from interp.models.load import load_model
from interp.texts.tokens import tokenize

COPY = Head(query=reads("token"), key=reads("previous"), rest=0.5, into="copied")


def claim(claimed="some", **test) -> Claim:
    fields = {"protocol": "importance", "claimed": claimed, "nats": 0.3, "nats_source": "a test", **test}
    about = {"id": "own-importance", "statement": "Parts matter.", "kind": ["causal"], "quantifier": "some", "scope": "decoders"}
    return parse_claim({**about, "does_not_show": "what the parts do.", "test": fields}, "a test")


def repeats(n=92, seed=0):
    """Six words, said twice: what comes in the second half is known to who copies."""
    rng = np.random.default_rng(seed)
    spans = [rng.choice(VOCABULARY[len(SPECIAL) :], 6, replace=False).tolist() for _ in range(n)]
    return [" ".join([*span, *span]) for span in spans]


@torch.no_grad()
def two_copiers(*, repaired: bool):
    """Both L1H0 and L1H1 copy. Repaired: the FFN behind them takes off what is said twice, so that one is as good as both."""
    hf = blank(["attn", "mlp"], 2, WIDTH)
    write_heads(hf, 0, [uniform(), previous(), first(), current()])
    write_heads(hf, 1, [COPY, COPY, first(), current()])
    if repaired:
        mlp = hf.model.blocks[1].mlp
        mlp.fc_in.weight[:, PARTS["copied"]], mlp.fc_in.bias[:] = torch.eye(WIDTH), -1.0
        mlp.fc_out.weight[PARTS["copied"]] = -torch.eye(WIDTH)
    return load_model(hf, word_tokenizer(WIDTH))


@pytest.fixture(scope="module")
def made():
    return interp.constructed("induction")


@pytest.fixture(scope="module")
def known(made):
    return load_model(made.hf, made.tokenizer)


@pytest.fixture(scope="module")
def texts():
    return repeats()


@pytest.fixture(scope="module")
def matters(known, texts) -> Verdict:
    return judge(claim(), known, texts)


def test_a_head_of_the_circuit_is_found(matters, made):
    assert (matters.outcome, matters.reason) == ("supported", "")
    assert matters.site in (*made.truth["previous"], *made.truth["induction"])
    assert [one.family for one in matters.evidence] == [8, 8]
    assert all(one.estimate > 1.2 for one in matters.evidence)
    nothing, layer, *twins = matters.controls
    assert (nothing.value, nothing.passed) == (0.0, True)
    assert layer.value > 1.2
    assert len(twins) == 5
    assert all(abs(twin.value) < 0.01 and twin.passed for twin in twins)
    assert matters.badges.causal is True
    assert matters.rows["L1H0"][0] > 1.2 > 0.01 > abs(matters.rows["L0H0"][0])
    assert Verdict.from_json(matters.to_json()) == matters


def test_the_same_again_to_the_byte(matters, known, texts):
    assert judge(claim(), known, texts).untimed().to_json() == matters.untimed().to_json()


def test_a_head_beside_the_circuit_is_refuted(known, texts):
    verdict = judge(claim(named=["L0H3"]), known, texts)
    assert (verdict.outcome, verdict.site, verdict.evidence[0].family) == ("refuted", "L0H3", 1)


def test_without_its_circuit_no_head_matters(made, texts):
    verdict = judge(claim(), load_model(scrambled(made, seed=0).hf, made.tokenizer), texts)
    assert verdict.outcome == "refuted"
    assert verdict.badges.causal is False


def test_most_heads_of_a_circuit_model_do_not_matter_but_not_all_do_not(known, texts):
    most, every = judge(claim("most do not"), known, texts), judge(claim("most do not", share=1.0), known, texts)
    assert (most.outcome, every.outcome) == ("supported", "refuted")
    assert most.evidence[0].smallest_effect == 0.0
    assert "Of 8 heads, 6 (mean) and 6 (resample) change less than 0.3" in most.summary


def test_that_nothing_matters_is_not_said_of_a_model_that_predicts_nothing(known, texts):
    verdict = judge(claim("most do not"), interp.untrained(known, seed=7), texts)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_failed")
    assert not verdict.controls[1].passed


def test_heads_that_stand_in_for_each_other_are_more_together(texts):
    verdict = judge(claim("set", named=["L1H0", "L1H1"]), two_copiers(repaired=False), texts)
    assert (verdict.outcome, verdict.reason) == ("supported", "")
    together, added = verdict.rows["set"], verdict.rows["sum"]
    assert all(one > 1.2 for one in together)
    assert added[0] < 0.1  # by the mean; another text's copy also says a wrong word, as loud as the right one
    for one in verdict.evidence:
        assert one.estimate == pytest.approx(one.effect + one.baseline)


def test_links_of_one_chain_are_less_together(known, texts):
    verdict = judge(claim("set", named=["L0H1", "L1H0"]), known, texts)
    assert verdict.outcome == "refuted"
    assert verdict.evidence[0].effect < -1


def test_what_is_made_up_for_behind_a_head_is_told_from_what_is_not(texts):
    repaired, not_repaired = (judge(claim("repair", named=["L1H0"]), two_copiers(repaired=one), texts) for one in (True, False))
    assert (repaired.outcome, repaired.reason) == ("supported", "")
    direct, made_up, *_ = repaired.evidence
    assert direct.estimate == pytest.approx(made_up.estimate, abs=0.05)  # all of it
    assert not_repaired.outcome == "refuted"
    assert [round(one.effect, 6) for one in not_repaired.evidence[1::2]] == [0.0, 0.0]


def test_ffns_are_parts_as_well(texts):
    verdict = judge(claim(parts="ffns", named=["L0 FFN"]), two_copiers(repaired=True), texts)
    assert verdict.outcome == "refuted"
    assert verdict.evidence[0].effect == 0.0  # this one writes nothing; how far documents that were not seen may differ is the bound
    assert 0.2 < verdict.evidence[0].upper < 0.3
    assert verdict.site == "L0 FFN"


def bench(model, n=12, n_tokens=12):
    examples = [tokenize(text, model.tokenizer) for text in repeats(n, seed=3)]
    return Bench(model, readings("a test", examples, n_tokens, 0), 0)


def nats(hf, ids):
    with torch.no_grad():
        logprobs = hf(input_ids=ids).logits.log_softmax(-1)
    return [-np.mean([logprobs[row, place - 1, ids[row, place]].item() for place in range(1, ids.shape[1])]) for row in range(len(ids))]


def test_a_change_is_that_of_plain_hooks():
    model = two_copiers(repaired=True)
    mine, hf = bench(model), model.hf
    ids, others = (torch.tensor([one.ids for one in part]) for part in (mine.texts.examples, mine.texts.others))
    seen = []
    attn, mlp, d_head = hf.model.blocks[1].attn, hf.model.blocks[1].mlp, hf.model.blocks[1].attn.o.in_features // 4
    with torch.no_grad():
        taken = [attn.o.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))]
        taken += [mlp.register_forward_hook(lambda module, args, out: seen.append(out.clone()))]
        hf(input_ids=others)
        for hook in taken:
            hook.remove()
    z, write = (one.mean(0) for one in seen)

    def without_head(module, args):
        changed = args[0].clone()
        changed[..., :d_head] = z[:, :d_head]
        return (changed,)

    everything = np.ones(len(ids), dtype=bool)
    for hooked, by_hook, part in (
        (attn.o.register_forward_pre_hook, without_head, "L1H0"),
        (mlp.register_forward_hook, lambda module, args, out: write.expand_as(out), "L1 FFN"),
    ):
        hook = hooked(by_hook)
        after = nats(hf, ids)
        hook.remove()
        assert mine.change([part], "mean", everything) == pytest.approx(np.array(after) - np.array(nats(hf, ids)), abs=1e-5)


def test_a_direct_effect_is_the_write_taken_out_of_the_last_stream():
    """No norm, and one FFN behind the head: logits less what the head wrote, through the unembedding."""
    model = two_copiers(repaired=True)
    mine, hf, kept = bench(model), model.hf, []
    ids, others = (torch.tensor([one.ids for one in part]) for part in (mine.texts.examples, mine.texts.others))
    hook = hf.model.blocks[1].attn.o.register_forward_pre_hook(lambda module, args: kept.append(args[0].clone()))
    with torch.no_grad():
        hf(input_ids=others)
        logits = hf(input_ids=ids).logits
        hook.remove()
        part = slice(0, kept[0].shape[-1] // 4)
        gone = (kept[1][..., part] - kept[0].mean(0)[:, part]) @ hf.model.blocks[1].attn.o.weight[:, part].T
        after = (logits - gone @ hf.lm_head.weight.T).log_softmax(-1)
    naive = -after[:, :-1].gather(-1, ids[:, 1:, None])[..., 0].mean(1).numpy() - np.array(nats(hf, ids))
    assert mine.direct("L1H0", "mean", np.ones(len(ids), dtype=bool)) == pytest.approx(naive, abs=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "neox", "llama", "gemma2", "mixtral", "opt-post-norm"])
def test_putting_back_what_was_written_changes_nothing_in_any_family(tiny_named, name):
    tiny = tiny_named(name)
    words = list(tiny.model.tokenizer.get_vocab())[4:]
    examples = [tokenize(" ".join(np.random.default_rng(seed).choice(words, 10)), tiny.model.tokenizer) for seed in range(12)]
    mine = Bench(tiny.model, readings("a test", examples, 10, 0), 0)
    everything = np.ones(12, dtype=bool)
    assert mine.unchanged(everything) == 0.0
    last = parts_of(tiny.model.anatomy, "ffns")[-1]
    assert np.array_equal(mine.direct(last, "mean", everything), mine.change([last], "mean", everything))
    assert np.abs(mine.change([last], "resample", everything)).max() > 0


def test_two_ways_of_switching_off_that_disagree_decide_nothing(known, texts, monkeypatch):
    real = Bench.change
    monkeypatch.setattr(Bench, "change", lambda self, parts, how, half: real(self, parts, how, half) * (how == "mean"))
    verdict = judge(claim(named=["L1H0"]), known, texts)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "methods_disagree")


def evidence_of(n=50, **changed) -> PartEvidence:
    return PartEvidence(**{"documents": np.arange(n), "nats": 0.1, "alpha": 0.05, "seed": 0, "d_vocab": 64, **changed})


def spread(mean, sd, n=50):
    """Numbers of just this mean and spread."""
    values = np.random.default_rng(0).standard_normal(n)
    return mean + sd * (values - values.mean()) / values.std()


def test_one_way_of_switching_off_alone_does_not_refute():
    made = evidence_of()
    unclear, nothing = made.of("x (mean)", spread(0.1, 0.5)[None]), made.of("x (resample)", spread(0.0, 0.01)[None])
    assert _decide((unclear, nothing), (), 0.05) == ("inconclusive", "methods_disagree")
    assert _decide((replace(nothing, name="x (mean)"), nothing), (), 0.05) == ("refuted", "")


@pytest.mark.parametrize("claimed", ["set", "repair"])
def test_one_choice_of_many_does_not_refute_that_there_is_one(claimed, known, texts):
    verdict = judge(claim(claimed), known, texts)
    assert verdict.outcome == "inconclusive"
    assert all(one.upper >= one.smallest_effect for one in verdict.evidence)


def test_each_of_two_pieces_has_a_wider_bound():
    values = spread(0.0, 0.3)[None]
    one, two = (evidence_of(pieces=pieces).of("x", values).upper for pieces in (1, 2))
    assert two > one * 1.1


def test_a_layer_that_helps_when_it_is_gone_hides_none_that_matters(known, monkeypatch):
    """-2 nats in the first layer, 1 in the second: one is worth something."""
    worth, of = {"L0H0": -2.0, "L1H0": 1.0}, bench(known)
    monkeypatch.setattr(Bench, "change", lambda self, parts, how, half: np.full(int(half.sum()), worth[parts[0]]))
    assert [positives(of, ("L0H0", "L1H0"), least)[1].passed for least in (0.5, 1.5)] == [True, False]
    assert [positives(of, ("L0H0", "L1H0"), least)[1].value for least in (0.5, None)] == [1.0, 2.0]


def test_a_part_that_is_always_the_same_needs_no_bound():
    made, known = evidence_of(), np.array([True, False])
    changes = np.stack([np.zeros(50), spread(0.0, 0.01)])
    assert made.of("x", changes, member=1).upper > 0.2  # what texts not seen might hold
    assert made.of("x", changes, member=1, known=known).upper < 0.01
    alone = made.of("x", changes[:1], known=known[:1])
    assert (alone.low, alone.high, alone.upper) == (0.0, 0.0, 0.0)
    loud = np.stack([np.zeros(50), spread(1.0, 0.01), spread(2.0, 0.01)])
    told = most_do_not(made, loud, [0, 1, 2], 1, "mean", np.array([True, False, False]))
    assert (told.low, told.effect) == (pytest.approx(0.1), pytest.approx(0.1))
    assert most_do_not(made, loud, [0, 1, 2], 2, "mean", np.array([True, False, False])).upper < 0


def test_only_what_is_the_same_on_the_texts_too_is_always_the_same():
    hf = two_copiers(repaired=False).hf
    with torch.no_grad():
        attn = hf.model.blocks[0].attn
        d_head = attn.o.in_features // 4
        attn.v.weight[2 * d_head : 3 * d_head] = 0.0
    model = load_model(hf, word_tokenizer(WIDTH))
    found = bench(model)
    assert [part for part in parts_of(model.anatomy, "heads") if found.always_same(part)] == ["L0H2"]
    one_text = Bench(model, replace(found.texts, others=found.texts.others[:1] * 3), 0)
    assert one_text.constant("L0H1")
    assert not one_text.always_same("L0H1")
    assert one_text.always_same("L0H2")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bert", "does not predict the next token, so that what a part is worth cannot be told in nats"),
        ("gpt2-bare", "does not predict the next token"),
        ("t5", "is an encoder-decoder"),
        ("ffn-only", "has no heads to switch off"),
    ],
)
def test_not_applicable_with_the_reason(tiny_named, texts, name, reason):
    verdict = judge(claim(), tiny_named(name).model, texts)
    assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")
    assert reason in verdict.summary


def test_the_plan_counts_what_the_verdict_counts(matters, known, texts):
    told = plan(claim(), known, texts)
    one = matters.evidence[0]
    assert (told.n_items, told.n_clusters, told.family) == (one.n_items, one.n_clusters, one.family)
    assert "5 untrained twins" in str(told)


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ({"nats": 0.0}, "test.nats"),
        ({"named": ["L0H0", "L0H1"]}, "expected 0 or 1 parts for 'some'"),
        ({"claimed": "set", "named": ["L0H0"]}, "two parts or more"),
        ({"claimed": "most do not", "named": ["L0H0"]}, "expected 0 parts"),
    ],
)
def test_a_claim_that_is_none_is_refused_by_field(test, told):
    with pytest.raises(ClaimError, match=told):
        claim(**test)


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ({"named": ["L7H0"]}, "L7H0 came; .* has L0H0 to L1H3"),
        ({"claimed": "set", "set_size": 5}, "a set of more than half of the 8 parts"),
    ],
)
def test_what_the_model_does_not_have_is_refused(known, texts, test, told):
    with pytest.raises(ClaimError, match=told):
        judge(claim(**test), known, texts)


def test_texts_that_are_too_short_or_too_few_are_refused(known, texts):
    with pytest.raises(ClaimError, match="0 texts have 8 tokens"):
        judge(claim(), known, ["cat dog"] * 50)
    with pytest.raises(ClaimError, match="add texts"):
        judge(claim(), known, texts[:2])
