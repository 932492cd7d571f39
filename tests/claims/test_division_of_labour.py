"""A model whose attention copies and whose FFN knows what follows a word divides its labour; one whose attention does both does not."""

import numpy as np
import pytest
import torch

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import division_of_labour
from interp.claims.protocols.parts.labour_tasks import CONTEXT, Rows, bigram, induction
from interp.claims.protocols.parts.sublayers_resampled import clean_and_corrupted, resampled
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError, InterventionError
from interp.models.constructed.heads import (
    D_HEAD,
    PARTS,
    WIDTH,
    Head,
    attention_of,
    blank,
    current,
    first,
    previous,
    reads,
    uniform,
    write_heads,
)
from interp.models.constructed.words import CLASSES, VOCABULARY, ids_of, word_tokenizer
from interp.models.load import load_model
from interp.models.model import Model
from interp.texts.tokens import tokenize

KEYS, VALUES = CLASSES["does to"], CLASSES["place"]
OTHERS = [word for name in ("animal", "thing", "like", "number", "weather", "small") for word in CLASSES[name]]


def texts(n: int = 100) -> list[str]:
    """Two of six words, each with what always follows it, among others; nothing comes twice."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(n):
        words = rng.choice(OTHERS, 13, replace=False).tolist()
        one, two = rng.choice(len(KEYS), 2, replace=False)
        found.append(" ".join([*words[:8], KEYS[one], VALUES[one], *words[8:], KEYS[two], VALUES[two]]))
    return found


TEXTS = texts()


@torch.no_grad()
def worker(local: str) -> Model:
    """Induction by attention; what follows the six words by `local`: the FFN of layer 1, or a head of it. All other neurons are noise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf = blank(["attn", "mlp"], 2, 32)
        copy = Head(query=reads("token"), key=reads("previous"), rest=0.5, into="copied")
        write_heads(hf, 0, [uniform(), previous(), first(), current()])
        write_heads(hf, 1, [copy, uniform(), first(), current()])
        for block in hf.model.blocks:
            block.mlp.fc_in.weight.normal_(std=0.3)
            block.mlp.fc_out.weight[PARTS["noted"]] = torch.randn(WIDTH, 32) * 0.3
    follows = torch.zeros(WIDTH, WIDTH)  # (said, word)
    follows[ids_of(*VALUES), ids_of(*KEYS)] = 1.0
    if local == "ffn":
        mlp = hf.model.blocks[1].mlp
        mlp.fc_in.weight[: len(KEYS)], mlp.fc_out.weight[:, : len(KEYS)] = 0.0, 0.0
        for number, (key, value) in enumerate(zip(KEYS, VALUES, strict=True)):
            mlp.fc_in.weight[number, VOCABULARY.index(key)] = 1.0
            mlp.fc_out.weight[PARTS["copied"], number] = torch.eye(WIDTH)[VOCABULARY.index(value)]
    else:
        written = attention_of(hf, 1).o.weight[:, 3 * D_HEAD : 4 * D_HEAD]  # the head that attends to the word itself
        written[PARTS["copied"], :WIDTH] = follows
    return load_model(hf, word_tokenizer(WIDTH))


def claim(**test) -> Claim:
    fields = {"protocol": "division_of_labour", "interaction": 0.5, "margin": 0.2, "source_of_effects": "a test", "n_rows": 80}
    about = {"id": "own", "statement": "It is.", "kind": ["causal"], "quantifier": "typical", "scope": "all", "does_not_show": "more."}
    return parse_claim({**about, "test": {**fields, **test}}, "a test")


@pytest.fixture(scope="module")
def known() -> Model:
    return worker("ffn")


@pytest.fixture(scope="module")
def verdict(known) -> Verdict:
    return judge(claim(), known, TEXTS)


def test_a_clean_division_is_seen(verdict):
    assert (verdict.outcome, verdict.reason) == ("supported", "")
    interaction, ffn, attention = verdict.evidence
    assert interaction.effect > 1.2
    assert abs(ffn.estimate) < 0.1
    assert abs(attention.estimate) < 0.1
    assert "The division is clean" in verdict.summary
    assert "Routing is induction." in verdict.summary  # its words are no English: agreement cannot be asked
    assert all(control.passed for control in verdict.controls)
    assert {control.kind for control in verdict.controls} == {"null", "positive"}
    assert verdict.badges.causal is True
    assert verdict.rows["L1 attention"][0] > 0.5  # induction
    assert verdict.rows["L1 FFN"][1] > 0.5  # bigrams
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_the_same_again_to_the_byte(verdict, known):
    assert judge(claim(), known, TEXTS).untimed().to_json() == verdict.untimed().to_json()


def test_attention_that_does_both_is_no_division():
    found = judge(claim(interaction=1.0), worker("attention"), TEXTS)
    assert found.outcome == "refuted"
    assert found.evidence[0].effect < 1
    assert found.evidence[2].upper90 < 0
    assert "The division is not shown" in found.summary


def test_an_interaction_without_the_equivalences_is_called_partial(known):
    found = judge(claim(margin=1e-5), known, TEXTS)
    assert found.outcome in ("refuted", "inconclusive")
    assert "The division is partial" in found.summary
    assert found.badges.causal is False


def test_a_model_that_does_not_do_the_tasks_decides_nothing(known):
    found = judge(claim(), interp.untrained(known, seed=7), TEXTS)
    assert (found.outcome, found.reason) == ("inconclusive", "control_failed")
    assert not found.controls[0].passed


def test_what_is_lost_is_what_plain_hooks_lose(known):
    """One batch, two sublayers, by hooks on the transformers model and a loop over rows."""
    task = induction(known, 80, seed=0)
    rows = task.confirm.part(slice(0, 6))
    found = resampled(known, rows, seed=3)
    shift = int(np.random.default_rng(3).integers(1, 6))
    hf = worker("ffn").hf
    with torch.no_grad():
        for component, layer, module in ((0, 1, hf.model.blocks[1].attn.o), (1, 0, hf.model.blocks[0].mlp)):
            handle = module.register_forward_hook(lambda module, args, out: out.roll(shift, 0))
            # the hook rolls what stands below, too, which is the row's own there: only this sublayer's output is another's
            logits = hf(rows.ids).logits.double().log_softmax(-1)
            handle.remove()
            for row in range(6):
                nats = [logits[row, place, rows.ids[row, place + 1]].item() for place in rows.places[row].tolist()]
                assert found["each"][component, layer, row] == pytest.approx(np.mean(nats), abs=1e-3)


def test_rows_ask_what_they_say(known):
    task = induction(known, 80, seed=0)
    rows = task.confirm
    span = rows.places.shape[1] + 1
    assert torch.equal(rows.ids[:, -span:], rows.ids[:, -2 * span : -span])
    assert torch.equal(rows.corrupted[:, -span:], rows.ids[:, -span:])
    assert not torch.equal(rows.corrupted, rows.ids)
    read = [tokenize(text, known.tokenizer) for text in TEXTS]
    documents = np.array([str(number) for number in range(len(read))])
    local = bigram(read, documents, np.arange(len(read)) < 50, most=40)
    assert local.confirm.ids.shape[1] == CONTEXT + 1  # <s> in front
    for row in range(len(local.confirm.ids)):
        key = VOCABULARY[local.confirm.ids[row, -1]]
        assert VOCABULARY[local.confirm.right[row, 0]] == VALUES[KEYS.index(key)]
        assert local.confirm.corrupted[row, -1] != local.confirm.ids[row, -1]
        assert torch.equal(local.confirm.corrupted[row, :-1], local.confirm.ids[row, :-1])
    assert local.confirm.n_clusters == 40
    clean, corrupted = clean_and_corrupted(known, local.confirm)
    assert clean.mean() > corrupted.mean() + 2


def test_batches_hold_every_row_once_and_none_alone():
    for n in (2, 16, 17, 33, 40):
        ids = torch.arange(n)[:, None]
        rows = Rows(ids=ids, corrupted=ids, places=ids, right=ids, wrong=None, cluster=np.arange(n))
        batches = list(rows.batches())
        assert torch.cat([batch.ids for batch in batches]).flatten().tolist() == list(range(n))
        assert min(len(batch.ids) for batch in batches) >= 2


def test_a_dead_hook_raises(known):
    """A sublayer that writes the same on every row: what stands in its place is no change."""
    silent = worker("ffn").hf
    with torch.no_grad():
        silent.model.blocks[0].mlp.fc_out.weight.zero_()
    with pytest.raises(InterventionError, match="another row's mlp_out in layer 0 changed nothing"):
        judge(claim(), load_model(silent, known.tokenizer), TEXTS)


def test_exchanged_labels_that_pass_decide_nothing(known, monkeypatch):
    real = division_of_labour._interaction
    monkeypatch.setattr(division_of_labour, "_exchanged", lambda case, ours, n: _always(real, case, ours, n))
    found = judge(claim(), known, TEXTS)
    assert (found.outcome, found.reason) == ("inconclusive", "null_also_passes")


def _always(real, case, ours, n):
    routing, local = (each[0] - each[1] for each in (division_of_labour._lost(ours, family, n) for family in ("R", "L")))
    passed = not division_of_labour.passes(real(case, routing, local), case.alpha)
    return division_of_labour.Control(name="not exchanged", kind="null", value=1.0, unit="", passed=passed)


def test_the_plan_counts_what_the_verdict_then_counts(verdict, known):
    told, one = plan(claim(), known, TEXTS), verdict.evidence[0]
    assert (told.n_items, told.n_clusters, told.family) == (one.n_items, one.n_clusters, one.family)
    assert "each sublayer resampled" in str(told)


def test_bad_input(known):
    with pytest.raises(ClaimError, match="too few tokens that one token follows five times or more"):
        judge(claim(), known, ["the cat ran", "a dog sat", "the hen fell", "one owl slept", "a pig woke"] * 2)
    with pytest.raises(ClaimError, match="no such field; expected some of"):
        claim(delta=0.1)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bert", "does not predict the next token"),
        ("t5", "is an encoder-decoder"),
        ("attention-only", "has no FFN in 2 of its 2 layers"),
        ("ffn-only", "has no attention"),
    ],
)
def test_not_applicable(tiny_named, name, reason):
    found = judge(claim(), tiny_named(name).model)
    assert (found.outcome, found.reason) == ("not applicable", "out_of_scope")
    assert reason in found.summary
