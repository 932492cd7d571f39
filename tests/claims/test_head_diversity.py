"""Do heads attend differently? Heads written by hand whose roles are known, models that nobody trained, and the divergence by scipy."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import _case, judge, plan
from interp.claims.protocols import head_diversity
from interp.claims.protocols.parts import pattern_distance
from interp.claims.protocols.parts.effect_profiles import each_head, effect_distances
from interp.claims.protocols.parts.part_evidence import PartEvidence, furthest
from interp.claims.protocols.parts.pattern_distance import apart, between_roles, distances, divergences
from interp.claims.protocols.parts.without_parts import Bench
from interp.claims.shared import Shared
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.interventions.ablate import ablate, recorded
from interp.models.constructed.heads import blank, current, first, previous, uniform, write_heads
from interp.models.constructed.words import SPECIAL, VOCABULARY, word_tokenizer
from interp.models.load import load_model
from interp.texts.tokens import tokenize


def claim(claimed="roles", **test) -> Claim:
    fields = {"protocol": "head_diversity", "claimed": claimed, "nats": 0.1, "nats_source": "a test", **test}
    about = {"id": "own-diversity", "statement": "Heads differ.", "kind": ["obs"], "quantifier": "typical", "scope": "any model"}
    return parse_claim({**about, "does_not_show": "what the heads do.", "test": fields}, "a test")


def case_of(claim, model, texts):
    return _case(claim, model, texts, 0, lambda what: None, Shared())[0]


def handmade(*layers):
    """A decoder of heads written by hand; they write into a part of the stream that nobody reads."""
    hf = blank(["attn"], len(layers))
    for number, heads in enumerate(layers):
        write_heads(hf, number, list(heads))
    return load_model(hf, word_tokenizer(64))


@pytest.fixture(scope="module")
def four_roles():
    """Twice the same four kinds of heads, in both layers."""
    kinds = (uniform(), previous(into="noted"), first(), current())
    return handmade(kinds, kinds)


@pytest.fixture(scope="module")
def by_layer():
    """One kind of head in each layer."""
    return handmade([current()] * 4, [first()] * 4, [previous(into="noted")] * 4)


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(VOCABULARY[len(SPECIAL) :], int(rng.choice([8, 11])))) for _ in range(96)]


@pytest.fixture(scope="module")
def roles(four_roles, texts) -> Verdict:
    return judge(claim(n_roles=4), four_roles, texts)


def test_four_kinds_of_heads_are_four_roles(roles):
    assert (roles.outcome, roles.reason) == ("supported", "")
    assert [roles.rows[f"L0H{head}"] for head in range(4)] == [roles.rows[f"L1H{head}"] for head in range(4)]
    assert len({tuple(row) for row in roles.rows.values()}) == 4
    planted, stable, *twins = roles.controls
    assert (planted.value, stable.value) == (pytest.approx(np.log(2)), 1.0)
    assert all(twin.passed and twin.value < 0.05 for twin in twins)
    assert len(twins) == 5
    assert roles.badges.observational is True
    assert Verdict.from_json(roles.to_json()) == roles


def test_the_same_again_to_the_byte(roles, four_roles, texts):
    assert judge(claim(n_roles=4), four_roles, texts).untimed().to_json() == roles.untimed().to_json()


def test_not_each_head_is_a_role_of_its_own(four_roles, texts):
    verdict = judge(claim(n_roles=None), four_roles, texts)
    assert (verdict.outcome, verdict.reason) == ("refuted", "")
    assert verdict.evidence[0].estimate == pytest.approx(0.0, abs=1e-4)
    assert verdict.evidence[0].upper < 0.1
    assert [control.name for control in verdict.controls if control.kind == "positive"] == ["planted patterns"]


def test_one_division_that_fails_does_not_refute_that_there_are_so_many(four_roles, texts):
    verdict = judge(claim(n_roles=5, stability=0.5), four_roles, texts)
    assert verdict.outcome == "inconclusive"
    assert verdict.evidence[0].estimate == pytest.approx(0.0, abs=1e-4)
    assert verdict.evidence[0].upper == pytest.approx(np.log(2))


def test_patterns_that_are_read_wrongly_do_not_pass_as_planted(four_roles, texts, monkeypatch):
    real = pattern_distance._Rows.patterns
    monkeypatch.setattr(pattern_distance._Rows, "patterns", lambda self: real(self)[:, [0, 0, 2, 3, 4, 5, 6, 7]])
    found = head_diversity._planted(head_diversity._setting(case_of(claim(n_roles=4), four_roles, texts)), np.arange(8) % 4)
    assert (found.value, found.passed) == (pytest.approx(0.0, abs=0.5), False)


def test_the_strongest_twin_is_chosen_where_nothing_is_confirmed(four_roles, texts, monkeypatch):
    monkeypatch.setattr(head_diversity, "_twins", lambda setting: range(3))
    monkeypatch.setattr(head_diversity, "apart", lambda mean, layers: mean)
    alike = {"choose": [0.1, 0.3, 0.2], "confirm": [0.9, 0.1, 0.2]}
    setting = head_diversity._setting(case_of(claim("layers are alike"), four_roles, texts))
    halves = {"choose": setting.texts.choose, "confirm": setting.texts.confirm}
    named = lambda half: next(name for name, one in halves.items() if one is half)  # noqa: E731
    monkeypatch.setattr(head_diversity._Setting, "half", lambda self, twin, half, fold: SimpleNamespace(mean=alike[named(half)][twin]))
    assert head_diversity._strongest(setting) == 1


def test_heads_of_a_layer_that_are_alike(by_layer, four_roles, texts):
    alike, mixed = (judge(claim("layers are alike"), model, texts) for model in (by_layer, four_roles))
    assert (alike.outcome, alike.reason) == ("supported", "")
    assert all(control.passed for control in alike.controls)
    assert alike.rows["L0"][0] == pytest.approx(0.0, abs=1e-4)
    assert alike.rows["L0"][1] > 0.4
    assert mixed.outcome == "refuted"
    assert mixed.evidence[0].effect < 0  # the like of a head is in the other layer


def test_a_model_that_nobody_trained_has_no_roles(four_roles, texts):
    model = interp.untrained(four_roles, seed=9)
    assert judge(claim(n_roles=4, stability=0.01), model, texts).outcome in ("refuted", "inconclusive")
    assert judge(claim("layers are alike"), model, texts).outcome == "refuted"


def test_the_last_of_several_pairs_is_one_that_fails():
    """The second is many errors above the smallest effect but not above 0, the first the other way round."""
    noise = np.random.default_rng(0).standard_normal(50)
    noise = (noise - noise.mean()) / noise.std()
    rows, made = (
        np.stack([0.101 + 0.01 * noise, 0.5 + 2.0 * noise]),
        PartEvidence(documents=np.arange(50), nats=0.1, alpha=0.05, seed=0, d_vocab=2),
    )
    for n, name in ((2, "1"), (1, "0")):
        assert furthest(rows[:n], made.documents, 0.1, lambda row: made.of(str(row), rows[[row]]), 0.05).name == name


def test_the_divergence_is_scipys():
    patterns = torch.softmax(torch.randn(5, 3, 7, generator=torch.Generator().manual_seed(0)), -1)
    patterns[1, :, 4:] = 0
    patterns /= patterns.sum(-1, keepdim=True)
    found = divergences(patterns)
    for one in range(5):
        for other in range(5):
            naive = np.mean([jensenshannon(patterns[one, query], patterns[other, query]) ** 2 for query in range(3)])
            assert found[one, other] == pytest.approx(np.nan_to_num(naive), abs=1e-6)
    assert np.array_equal(found, found.T)
    assert found.max() <= np.log(2)


@pytest.mark.parametrize("name", ["llama", "bert", "gpt-oss"])
def test_distances_are_those_of_captured_patterns(tiny_named, name):
    tiny = tiny_named(name)
    examples = [tokenize("the old man saw a dog by sea", tiny.model.tokenizer), tokenize("she said nothing", tiny.model.tokenizer)]
    found = distances(tiny.model, examples, lambda one: one[0])
    for place, example in enumerate(examples):
        seen = interp.capture(tiny.model, example)
        rows = [seen.pattern(f"L{layer}H{head}").values[1:] for layer in range(2) for head in range(4)]
        rows = [row / row.sum(-1, keepdims=True) for row in rows]
        naive = [np.mean([np.nan_to_num(jensenshannon(p, q)) ** 2 for p, q in zip(rows[0], row, strict=True)]) for row in rows]
        assert found.numbers[:, place] == pytest.approx(np.array(naive), abs=1e-5)
    assert found.mean[0] == pytest.approx(found.numbers.mean(1))


def test_groups_and_roles_by_a_loop():
    rng = np.random.default_rng(0)
    distance = rng.random((6, 6))
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0.0)
    groups = np.array([0, 1, 0, 2, 1, 0])
    pairs = [(i, j) for i in range(6) for j in range(i)]
    within = [distance[pair] for pair in pairs if groups[pair[0]] == groups[pair[1]]]
    between = [distance[pair] for pair in pairs if groups[pair[0]] != groups[pair[1]]]
    assert apart(distance, groups) == pytest.approx(np.mean(between) - np.mean(within))
    own = [np.mean([distance[i, j] for i, j in pairs if groups[i] == groups[j] == role] or [0.0]) for role in range(3)]
    for number, (a, b) in enumerate([(0, 1), (0, 2), (1, 2)]):
        across = np.mean([distance[i, j] for i in range(6) for j in range(6) if groups[i] == a and groups[j] == b])
        assert between_roles(distance, groups)[number] == pytest.approx(across - (own[a] + own[b]) / 2)


@pytest.mark.parametrize(("name", "reason"), [("t5", "is an encoder-decoder"), ("ffn-only", "has no attention")])
def test_not_applicable_with_the_reason(tiny_named, texts, name, reason):
    verdict = judge(claim(), tiny_named(name).model, texts)
    assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")
    assert reason in verdict.summary


def test_few_documents_decide_nothing(four_roles, texts):
    verdict = judge(claim(n_roles=4), four_roles, texts[:30])
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "underpowered")


@pytest.mark.parametrize("claimed", ["roles", "layers are alike"])
def test_the_plan_counts_what_the_verdict_counts(roles, four_roles, texts, claimed):
    told, one = plan(claim(claimed), four_roles, texts), roles.evidence[0]
    assert (told.n_items, told.n_clusters, told.family) == (one.n_items, one.n_clusters, one.family)


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ({"nats": 0.8}, "test.nats"),
        ({"claimed": "layers are alike", "n_roles": 3}, "expected it for 'roles' alone"),
        ({"n_roles": 1}, "test.n_roles"),
    ],
)
def test_a_claim_that_is_none_is_refused_by_field(test, told):
    with pytest.raises(ClaimError, match=told):
        claim(**test)


def test_more_roles_than_heads_are_refused(four_roles, texts):
    with pytest.raises(ClaimError, match=r"9 roles came; .* has 8 heads"):
        judge(claim(n_roles=9), four_roles, texts)


@pytest.fixture(scope="module")
def two_effects():
    """Two heads that say the word before, and two that say the current one."""
    return handmade(
        [previous(into="copied"), previous(into="copied"), replace(current(), into="copied"), replace(current(), into="copied")]
    )


@pytest.fixture(scope="module")
def half_echoes():
    """Texts that begin with two words in turn, where the word before helps and the current one does not, and go on at random."""
    rng = np.random.default_rng(0)
    words = [rng.choice(VOCABULARY[len(SPECIAL) :], 8, replace=False) for _ in range(96)]
    return [" ".join([*(list(text[:2]) * 3), *text[2:]]) for text in words]


def test_heads_are_told_apart_by_what_they_do(two_effects, half_echoes):
    effects = {"by": "effects", "nats": None, "nats_source": "", "unlike": 0.35, "unlike_source": "a test"}
    two = judge(claim(n_roles=2, **effects), two_effects, half_echoes)
    assert (two.outcome, two.reason) == ("supported", "")
    assert [two.rows[f"L0H{head}"] for head in range(4)] == [[0.0], [0.0], [1.0], [1.0]]
    assert two.evidence[0].unit == "of 1 (uncorrelated: 0.5)"
    assert next(one for one in two.controls if one.name == "planted effects").value > 0.5
    each = judge(claim(n_roles=None, **effects), two_effects, half_echoes)
    assert (each.outcome, each.reason) == ("refuted", "")
    assert each.evidence[0].estimate == pytest.approx(0.0, abs=1e-3)
    assert plan(claim(n_roles=2, **effects), two_effects, half_echoes).steps[0].tokens == 5 * sum(
        len(text.split()) + 1 for text in half_echoes
    )


def test_a_profile_is_what_each_token_costs_more(two_effects, half_echoes):
    setting = head_diversity._setting(case_of(claim(n_roles=2), two_effects, half_echoes))
    bench = Bench(two_effects, setting.texts, seed=0)
    found = effect_distances(bench, each_head(bench), setting.texts.choose, lambda one: one[0])
    place = int(np.flatnonzero(setting.texts.choose)[0])
    example = setting.texts.examples[place]

    def costs():
        logits = two_effects.run(torch.tensor([example.ids]))[0, :-1].log_softmax(-1)
        return -logits[torch.arange(len(example) - 1), list(example.ids[1:])]

    profiles = []
    over = recorded(two_effects, ["L0H0", "L0H2"], setting.texts.others)
    for head in ("L0H0", "L0H2"):
        with ablate(two_effects, [head], how="mean", over=over):
            profiles.append((costs()).numpy())
    first, other = (profile - costs().numpy() for profile in profiles)
    assert found.numbers[2, 0] == pytest.approx((1 - np.corrcoef(first, other)[0, 1]) / 2, abs=1e-4)
    assert found.numbers[1, 0] == pytest.approx(0.0, abs=1e-4)


def test_effects_are_told_of_models_that_predict(tiny_named):
    fields = {"by": "effects", "nats": None, "nats_source": "", "unlike": 0.1, "unlike_source": "a test"}
    verdict = judge(claim(**fields), tiny_named("bert").model, ["the cat ran"])
    assert (verdict.outcome, verdict.reason) == ("not applicable", "out_of_scope")
    with pytest.raises(ClaimError, match="expected unlike and unlike_source, and no other"):
        claim(by="effects")
    with pytest.raises(ClaimError, match="expected nats and nats_source, and no other"):
        claim(nats=None)
