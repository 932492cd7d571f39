"""A model whose attention copies and whose FFN knows what follows a word divides its labour; one whose attention does both does not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import t

import interp
from interp.claims.claim import Claim, parse_claim
from interp.claims.judge import judge, plan
from interp.claims.protocols import division_of_labour
from interp.claims.protocols.parts import sublayers_resampled
from interp.claims.protocols.parts.labour_tasks import CONTEXT, Rows, Task, bigram, induction
from interp.claims.protocols.parts.sublayers_resampled import Labour, clean_and_corrupted, partners, resampled
from interp.claims.protocols.protocol import Case
from interp.claims.stages import Stages
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError, InterventionError
from interp.models.constructed.heads import D_HEAD, PARTS, WIDTH, Head, blank, current, first, previous, reads, uniform, write_heads
from interp.models.constructed.words import CLASSES, VOCABULARY, ids_of, word_tokenizer
from interp.models.load import load_model
from interp.models.model import Model
from interp.stats.intervals import cluster_mean
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
        written = hf.model.blocks[1].attn.o.weight[:, 3 * D_HEAD : 4 * D_HEAD]  # the head that attends to the word itself
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
    assert found.evidence[2].upper < 0
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
    other = partners(rows.cluster, seed=3)
    hf = worker("ffn").hf
    with torch.no_grad():
        for component, layer, module in ((0, 1, hf.model.blocks[1].attn.o), (1, 0, hf.model.blocks[0].mlp)):
            handle = module.register_forward_hook(lambda module, args, out: out[other])
            # the hook takes what stands below, too, which is the row's own there: only this sublayer's output is another's
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


def test_no_row_is_given_what_its_own_document_writes(known, monkeypatch):
    """Five windows of a document in a row, as `bigram` makes them, and one document that fills a batch by itself."""
    cluster = np.array([f"d{number}" for number in [*np.repeat(np.arange(8), 5), *[8] * 20]])
    for seed in range(20):
        assert (cluster[partners(cluster, seed)] != cluster).all()
    rows = replace(induction(known, 120, seed=0).confirm, cluster=cluster)
    given, real = [], sublayers_resampled._writes

    def writes(model, ids):
        given.extend(ids.tolist())
        return real(model, ids)

    monkeypatch.setattr(sublayers_resampled, "_writes", writes)
    resampled(known, rows, seed=0)
    document = {tuple(ids): mine for ids, mine in zip(rows.ids.tolist(), cluster, strict=True)}
    assert len(given) == len(cluster)
    assert all(document[tuple(ids)] != mine for ids, mine in zip(given, cluster, strict=True))


def test_batches_hold_every_row_once():
    for n in (2, 16, 17, 33, 40):
        ids = torch.arange(n)[:, None]
        rows = Rows(ids=ids, corrupted=ids, places=ids, right=ids, wrong=None, cluster=np.arange(n))
        batches = list(rows.batches())
        assert torch.cat([batch.ids for batch in batches]).flatten().tolist() == list(range(n))


def test_a_dead_hook_raises(known):
    """A sublayer that writes the same on every row: what stands in its place is no change."""
    silent = worker("ffn").hf
    with torch.no_grad():
        silent.model.blocks[0].mlp.fc_out.weight.zero_()
    with pytest.raises(InterventionError, match="another row's mlp_out in layer 0 changed nothing"):
        judge(claim(), load_model(silent, known.tokenizer), TEXTS)


def labour(family: str, attention: np.ndarray, ffn: np.ndarray) -> Labour:
    """What is lost in layer 1 of a made-up model, by unit."""
    rows = Rows(**dict.fromkeys(["ids", "corrupted", "places", "right"], torch.zeros(1)), wrong=None, cluster=np.zeros(1))
    lost = np.stack([np.stack([0 * one, one]) for one in (attention, ffn)])
    return Labour(task=Task(name=family, family=family, choose=rows, confirm=rows), cost=1.0, does=True, lost=lost, everything=attention)


@pytest.fixture(scope="module")
def case(known) -> Case:
    return Case(id="own", test=claim().test, alpha=0.05, model=known, examples=[], seed=0, tell=print, stages=Stages())


def test_labels_dealt_anew_fail_where_one_component_does_both_tasks(case):
    """Attention, or the FFN, does both alike; two pairs that carry all; and, as it must be, the two divided."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=(4, 40))
    few = np.where(np.arange(40) < 2, 20.0, 0.0)
    made = {
        "attention": (labour("R", 1 + noise[0], noise[1]), labour("L", 1 + noise[2], noise[3])),
        "ffn": (labour("R", noise[0], 1 + noise[1]), labour("L", noise[2], 1 + noise[3])),
        "few": (labour("R", few, 0 * few), labour("L", 0 * few, 0 * few)),
        "divided": (labour("R", 1 + noise[0], noise[1]), labour("L", noise[2], 1 + noise[3])),
    }
    found = {name: division_of_labour._dealt(case, list(ours), 40) for name, ours in made.items()}
    assert {name: one.passed for name, one in found.items()} == {"attention": False, "ffn": False, "few": False, "divided": True}
    assert found["few"].value == pytest.approx(0.25, abs=0.02)  # both signs as they are: one draw of four


def test_dealt_labels_that_give_as_much_decide_nothing(known, monkeypatch):
    """As if half of the rows that are called L were of the other task."""
    real = division_of_labour._dealt

    def dealt(case, ours, n):
        half = np.arange(n) % 2 == 0
        first, second = (one.lost[:, :, :n] for one in ours)
        mixed = [replace(one, lost=np.where(half, a, b)) for one, a, b in zip(ours, (first, second), (second, first), strict=True)]
        return real(case, mixed, n)

    monkeypatch.setattr(division_of_labour, "_dealt", dealt)
    found = judge(claim(), known, TEXTS)
    assert (found.outcome, found.reason) == ("inconclusive", "null_also_passes")


def test_the_power_of_an_equivalence_is_that_of_both_sides(case):
    """Never above how often both sides hold in draws of as many units where there is no effect."""
    rng, margin = np.random.default_rng(0), 0.2
    for sd in (0.3, 0.45, 0.6, 1.0):
        values = rng.normal(scale=sd, size=40)
        values = (values - values.mean()) / values.std(ddof=1) * sd
        one = division_of_labour._equivalence(case, "nothing", values)
        drawn = rng.normal(scale=sd, size=(20000, 40))
        error = t.ppf(0.95, 39) * drawn.std(1, ddof=1) / 40**0.5
        held = (np.abs(drawn.mean(1)) + error < margin).mean()
        assert held - 0.03 <= one.power <= held + 0.01


def test_each_piece_refutes_at_a_third_of_alpha(case, monkeypatch):
    pieces, real = [], division_of_labour.sampled_evidence
    monkeypatch.setattr(division_of_labour, "sampled_evidence", lambda **given: pieces.append(given.get("pieces")) or real(**given))
    values = 0.29 + np.random.default_rng(0).normal(scale=0.25, size=40)  # surely outside at alpha, not at a third of it
    division_of_labour._interaction(case, values, 0 * values)
    assert pieces == [3]
    one = division_of_labour._equivalence(case, "some", values)
    third = cluster_mean(values, np.arange(40), level=1 - 0.1 / 3, seed=0)
    assert one.upper == pytest.approx(0.2 - max(third.low, 0))
    assert one.upper > one.high


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
