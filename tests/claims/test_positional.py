"""S4-42: a head written by hand that looks at the previous token, the same model scrambled, and models that nobody trained."""

import numpy as np
import pytest
import torch
import transformers

from interp.claims.claim import parse_claim
from interp.claims.claim_files import catalogue
from interp.claims.judge import judge
from interp.claims.protocols import positional
from interp.claims.protocols.finding import best_upper, halves, sampled_evidence
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.models.load import load_model
from interp.models.untrained import untrained

WORDS = "the old man saw a dog by sea and she said nothing but it was cold then they went home again".split()  # noqa: SIM905
N_CTX = 24


def texts(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=int(rng.choice([6, 12, 18])))) for _ in range(n)]


def claim(**test):
    fields = catalogue()["S4-42"].model_dump(mode="json")
    return parse_claim({**fields, "test": {**fields["test"], "n_random_texts": 40, **test}}, "a test")


def handmade(scramble=False):
    """GPT-2 whose positions are one-hot: L1H1 asks with its position and is answered by the one before. Nothing else is written."""
    config = transformers.GPT2Config(vocab_size=31, n_positions=N_CTX, n_embd=64, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf = transformers.GPT2LMHeadModel(config).eval()
    body, positions = hf.transformer, torch.eye(N_CTX)
    with torch.no_grad():
        order = torch.randperm(N_CTX, generator=torch.Generator().manual_seed(1)) if scramble else torch.arange(N_CTX)
        body.wpe.weight.zero_()
        body.wpe.weight[:, :N_CTX] = 10 * positions[order]
        for block in body.h:
            block.attn.c_proj.weight.zero_()
            block.mlp.c_proj.weight.zero_()
        weight = body.h[1].attn.c_attn.weight  # (d_model, 3 x heads x d_head): queries, keys, values
        weight[:, 32:64] = 0
        weight[:, 64 + 32 : 128] = 0
        weight[:N_CTX, 32 : 32 + N_CTX] = 2 * positions
        weight[: N_CTX - 1, 64 + 32 + 1 : 64 + 32 + N_CTX] = 2 * positions[:-1, :-1]
    return hf


def test_a_handmade_head_is_found_at_its_very_place(word_tokenizer):
    verdict = judge(claim(), load_model(handmade(), word_tokenizer()), texts(110))
    assert (verdict.outcome, verdict.site) == ("supported", "L1H1")
    assert all(one.estimate > 0.9 for one in verdict.evidence)
    assert len(verdict.evidence) == 2
    assert verdict.rows["L1H1"][0] > 0.9 > verdict.rows["L1H0"][0]
    assert verdict.data["documents"].startswith("none are marked")
    assert Verdict.from_json(verdict.to_json()) == verdict
    told = str(verdict)
    for number in (verdict.evidence[0].effect, verdict.evidence[0].low, verdict.evidence[0].upper):
        assert f"{number:+.3f}" in told
    assert f"n = {verdict.evidence[0].n_items} items in {verdict.evidence[0].n_clusters} clusters" in told


def test_its_scrambled_twin_is_refuted(word_tokenizer):
    verdict = judge(claim(), load_model(handmade(scramble=True), word_tokenizer()), texts(110))
    assert (verdict.outcome, verdict.reason) == ("refuted", "")
    assert verdict.evidence[0].upper < verdict.evidence[0].smallest_effect


def test_a_head_that_holds_on_text_alone_is_not_positional(word_tokenizer, monkeypatch):
    """The same head, but random tokens make it look elsewhere: what it did on text was not position alone."""
    real = positional._weights

    def elsewhere(model, examples, offsets):
        found = real(model, examples, offsets)
        return positional._Weights(values=found.values * 0.1, names=found.names) if not examples[0].text else found

    monkeypatch.setattr(positional, "_weights", elsewhere)
    verdict = judge(claim(), load_model(handmade(), word_tokenizer()), texts(110))
    assert verdict.evidence[0].estimate > 0.9
    assert (verdict.outcome, verdict.reason) == ("refuted", "")


def test_untrained_models_are_not_supported(tiny_named):
    """20 null runs of the whole pipeline: at most one false find."""
    corpus = texts(90)
    models = [untrained(tiny_named(("gpt2", "bert")[seed % 2]).model, seed=100 + seed) for seed in range(20)]
    outcomes = [judge(claim(), model, corpus, seed=number).outcome for number, model in enumerate(models)]
    assert outcomes.count("supported") <= 1
    assert "refuted" in outcomes


def test_too_few_texts(tiny_named):
    model = tiny_named("gpt2").model
    assert judge(claim(), model, texts(20)).reason == "underpowered"
    with pytest.raises(ClaimError, match="from 1 documents, too few to choose on one half and confirm on the other; add texts"):
        judge(claim(), model, texts(1))
    with pytest.raises(ClaimError, match="no text has three tokens"):
        judge(claim(), model, ["the dog"] * 5)
    with pytest.raises(ClaimError, match="no text that the model can read"):
        judge(claim(), model, [])


def test_windows_of_one_text_are_one_document(tiny_named):
    long = " ".join(texts(40))
    verdict = judge(claim(), tiny_named("gpt2").model, [long, *texts(9, seed=1)])
    assert sum(one.n_clusters for one in verdict.evidence[:1]) < 10
    assert verdict.reason == "underpowered"
    with pytest.raises(ClaimError, match="from 1 documents"):
        judge(claim(), tiny_named("gpt2").model, [long])


def test_a_text_file_and_special_tokens(tiny_named, tmp_path, monkeypatch):
    """An encoder's random tokens stand in the frame that it is used to."""
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(texts(90)), encoding="utf-8")
    seen = []
    monkeypatch.setattr(positional, "_bare", lambda ids, real=positional._bare: seen.append(ids) or real(ids))
    verdict = judge(claim(), tiny_named("bert").model, path)
    assert verdict.data["name"] == "lines.txt"
    assert {(ids[0], ids[-1]) for ids in seen} == {(0, 2)}
    assert {len(ids) for ids in seen} == {40}
    assert not {0, 1, 2, 3} & {token for ids in seen for token in ids[1:-1]}


def test_smallest_effect_is_the_named_weight_and_no_less_than_the_margin():
    rng = np.random.default_rng(0)
    clusters = np.arange(60)

    def smallest(baseline):
        weights = positional._Weights(values=rng.uniform(0.3, 0.9, (4, 60)), names=[(-1, f"L0H{head}") for head in range(4)])
        return positional._evidence(
            claim().test, 0.05, weights, 0, np.full(60, baseline), np.ones(60, dtype=bool), clusters, 0
        ).smallest_effect

    assert smallest(0.2) == pytest.approx(0.5 - 0.2)
    assert smallest(0.45) == pytest.approx(0.1)


def evidence_of(values, clusters, member=0, baseline=0.0, smallest=0.2):
    return sampled_evidence(
        name="x", unit="accuracy", values=values, baseline=np.full(values.shape, baseline), baseline_name="none", clusters=clusters,
        member=member, smallest_effect=smallest, alpha=0.05, seed=0,
    )  # fmt: skip


def test_refuting_takes_the_bound_of_the_best_head_not_of_the_selected_one():
    rng = np.random.default_rng(0)
    values, clusters = rng.random((3, 200)) < np.array([[0.02], [0.05], [0.5]]), np.arange(200)
    one = evidence_of(values.astype(float), clusters)
    assert one.effect < 0.05
    assert one.high < 0.2 < one.upper
    assert evidence_of(values[:2].astype(float), clusters).upper < 0.2


def test_the_family_bound_counts_documents_not_items():
    """50 documents said 20 times over are 50 documents."""
    values, clusters = (np.random.default_rng(1).random((5, 50)) < 0.3).astype(float), np.arange(50)
    repeated = np.repeat(values, 20, axis=1)
    alone, told = best_upper(values, clusters, alpha=0.05), best_upper(repeated, np.repeat(clusters, 20), alpha=0.05)
    assert told == pytest.approx(alone)
    assert best_upper(repeated, np.arange(1000), alpha=0.05) < alone - 0.05


def test_the_family_bound_covers_with_clusters_of_different_size():
    """Five members of true mean .3, correlated within documents: the bound is below it in at most 5 % of 300 runs."""
    rng, below, bounds = np.random.default_rng(2), 0, []
    for _ in range(300):
        sizes = rng.integers(1, 12, size=60)
        clusters = np.repeat(np.arange(60), sizes)
        chance = np.repeat(rng.beta(0.6, 1.4, size=(5, 60)), sizes, axis=1)
        bounds.append(best_upper((rng.random(chance.shape) < chance).astype(float), clusters, alpha=0.05))
        below += bounds[-1] < 0.3
    assert below <= 15
    assert np.median(bounds) < 0.6


def test_clusters_that_are_all_alike_leave_room_for_others():
    """0 of 40 is not "exactly 0": another 7 % of clusters could be unlike them (.05 ** (1 / 40) = .93)."""
    one = evidence_of(np.zeros((2, 40)), np.arange(40))
    assert one.effect == 0.0
    assert one.upper == pytest.approx(1 - 0.05 ** (1 / 40))
    assert one.low < 0 < one.high
    same = evidence_of(np.ones((1, 40)), np.arange(40), baseline=0.2)
    assert same.low < same.effect == pytest.approx(0.8)


def test_halves_hold_whole_documents():
    clusters = np.repeat([f"d{number}" for number in range(30)], 4)
    choose, confirm = halves(clusters, 0)
    assert not set(clusters[choose]) & set(clusters[confirm])
    assert (choose ^ confirm).all()
