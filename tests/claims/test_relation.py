"""S4-41: heads planted into a small treebank, heads that only look like it, and a plain implementation written apart."""

from collections import Counter

import numpy as np
import pytest
import torch
import transformers

from interp.claims.judge import judge
from interp.claims.protocols import protocol
from interp.claims.protocols.finding import halves
from interp.claims.protocols.parts import looked_at as looking
from interp.claims.protocols.parts import relation_items as pairs
from interp.claims.protocols.parts.asked import best_offset
from interp.claims.protocols.parts.looked_at import looked_at
from interp.claims.relation_table import RELATIONS
from interp.claims.rule import passes
from interp.claims.shared import Shared
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError, InterpError
from interp.models import zoo
from interp.texts.example import Example
from interp.texts.sentences import examples as annotated
from interp.texts.treebank import read_treebank


def gold(q, only=lambda example: True):
    def where(example, word, rng):
        head = example.words[word].head_index
        return head if head is not None and only(example) and rng.random() < q else None

    return where


@pytest.fixture(scope="module")
def encoder(tiny_named):
    return tiny_named("bert").model


@pytest.mark.parametrize("q", [1.0, 0.7])
def test_a_planted_head_is_found_at_its_place_in_its_direction(encoder, treebank, planted, relation_claim, q):
    planted(gold(q))
    verdict = judge(relation_claim(), encoder, treebank)
    assert (verdict.outcome, verdict.site) == ("supported", "L0H0")
    assert "from dependent to head" in verdict.summary
    assert verdict.evidence[0].estimate == pytest.approx(q, abs=0.12)
    assert all(control.passed for control in verdict.controls)
    assert verdict.badges.observational is True
    assert verdict.badges.replicated is None
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_one_that_points_the_other_way_is_found_in_that_direction(encoder, treebank, planted, relation_claim):
    def where(example, word, rng):
        objects = [place for place, other in enumerate(example.words) if other.head_index == word and other.deprel == "obj"]
        return objects[0] if objects else None

    planted(where)
    verdict = judge(relation_claim(), encoder, treebank)
    assert (verdict.outcome, verdict.site) == ("supported", "L0H0")
    assert "from head to dependent" in verdict.summary


def test_nothing_planted_is_refuted_or_open(encoder, treebank, planted, relation_claim):
    planted(gold(0.0))
    assert judge(relation_claim(), encoder, treebank).outcome in ("refuted", "inconclusive")


def test_a_head_that_only_looks_at_the_offset_is_not_supported(encoder, treebank, planted, relation_claim):
    planted(lambda example, word, rng: word - 2 if word >= 2 else None)
    verdict = judge(relation_claim(), encoder, treebank)
    assert verdict.outcome != "supported"
    as_far_apart = verdict.evidence[3]
    assert as_far_apart.baseline == pytest.approx(as_far_apart.estimate, abs=0.05)
    assert not passes(as_far_apart, 0.05)


def test_a_word_that_everything_looks_at_is_not_a_relation(encoder, treebank, planted, relation_claim):
    """Every word looks at the sentence's first verb: first objects hit theirs, and so does all that hangs on something else."""
    planted(lambda example, word, rng: next(place for place, other in enumerate(example.words) if other.form in ("saw", "said")))
    verdict = judge(relation_claim(direction="dependent"), encoder, treebank)
    over_offset, over_wrong_head, over_unrelated, _ = verdict.evidence
    assert passes(over_offset, 0.05)
    assert passes(over_wrong_head, 0.05)
    assert not passes(over_unrelated, 0.05)
    assert verdict.outcome != "supported"
    planted(gold(1.0))
    assert passes(judge(relation_claim(direction="dependent"), encoder, treebank).evidence[2], 0.05)


def test_selection_never_sees_the_confirmation_half(encoder, treebank, planted, relation_claim):
    """L0H0 is perfect there, and there only: it must not be chosen. And then nothing is supported."""
    documents = np.array([sentence.document for sentence in treebank])
    _, confirm = halves(documents, 0)
    poisoned = set(documents[confirm])
    planted(gold(1.0, only=lambda example: example.document in poisoned))
    verdict = judge(relation_claim(direction="dependent"), encoder, treebank)
    assert verdict.rows["L0H0"] == [1.0]
    assert verdict.site != "L0H0"
    assert verdict.outcome == "inconclusive"  # not refuted either: the family's bound sees that some head may do it
    assert verdict.evidence[0].upper > 0.1
    planted(gold(1.0, only=lambda example: example.document not in poisoned))
    chosen = judge(relation_claim(direction="dependent"), encoder, treebank)
    assert chosen.site == "L0H0"
    assert chosen.outcome != "supported"


def test_a_named_head_is_a_family_of_one(encoder, treebank, planted, relation_claim):
    planted(gold(1.0))
    verdict = judge(relation_claim(head="L0H0", direction="dependent"), encoder, treebank)
    assert verdict.outcome == "supported"
    assert {one.family for one in verdict.evidence} == {1}
    assert judge(relation_claim(head="L1H0", direction="dependent"), encoder, treebank).outcome == "refuted"
    with pytest.raises(InterpError, match="L9H9"):
        judge(relation_claim(head="L9H9"), encoder, treebank)


def test_a_twin_that_does_it_too_takes_the_verdict_back(encoder, treebank, planted, relation_claim, monkeypatch):
    planted(gold(1.0))
    monkeypatch.setattr(protocol, "untrained", lambda model, seed: model)
    verdict = judge(relation_claim(), encoder, treebank)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "null_also_passes")


def test_claims_of_one_run_look_once_and_come_to_what_each_comes_to_alone(encoder, treebank, relation_claim, monkeypatch):
    looks, real = [], looking.looked_at
    monkeypatch.setattr(looking, "looked_at", lambda model, examples: looks.append(model.name) or real(model, examples))
    claims, shared = [relation_claim(relation=name) for name in ("obj", "nsubj")], Shared()
    together = [judge(claim, encoder, treebank, shared=shared).untimed() for claim in claims]
    assert len(looks) == 6  # the model and five twins
    assert together == [judge(claim, encoder, treebank).untimed() for claim in claims]
    assert len(looks) == 18


def test_one_with_no_room_above_the_offset_is_ill_posed(encoder, small_treebank, planted, relation_claim):
    """A determiner before a bare noun is always one away from it."""

    def bare_nouns(sentence):
        distances = {word.head - word.id for word in sentence.words if word.deprel == "det"}
        return distances == {1}

    sentences = [sentence for sentence in small_treebank(1600, per_document=1, seed=5) if bare_nouns(sentence)]
    planted(gold(1.0))
    verdict = judge(relation_claim(relation="det"), encoder, sentences)
    assert verdict.evidence[0].baseline == 1.0
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "ill_posed")


@pytest.mark.parametrize("name", ["gpt2", "bert-bare"])
def test_whole_path_on_models_that_nobody_trained(tiny_named, treebank, relation_claim, name):
    """No attention faked: a causal model, and an encoder without a head of its own. Same seed, same bytes."""
    model = tiny_named(name).model
    first, second = (judge(relation_claim(), model, treebank, seed=1).untimed().to_json() for _ in range(2))
    assert first == second
    assert Verdict.from_json(first).outcome in ("refuted", "inconclusive")


def test_a_causal_model_never_hits_what_comes_later(tiny_named, treebank):
    model = tiny_named("gpt2").model
    found = pairs.having(annotated(treebank[:20], model.tokenizer)[0], "nsubj")
    items = pairs.items_of(found, "nsubj")
    looked = looked_at(model, found)
    members = [(direction, layer, head) for direction in pairs.DIRECTIONS for layer in range(2) for head in range(4)]
    hits = looked.hits(items.questions(), members)
    assert (items.dependent < items.head).all()
    assert not hits[:8].any()
    assert hits[8:].any()


def test_stand_ins_are_wrong_and_on_the_same_side(treebank, encoder):
    found = pairs.having(annotated(treebank, encoder.tokenizer)[0], "obj")
    items = pairs.items_of(found, "obj")
    for name, draw in pairs.STAND_INS.items():
        other_items, of = pairs.redrawn(name, items, found, draw, 0)
        assert len(of) > 0.5 * len(items.head)
        same = (items.dependent[of] == other_items.dependent) + 2 * (items.head[of] == other_items.head)
        assert set(same.tolist()) in ({1}, {2}, {0})  # one end kept, the other changed; or both
        if set(same.tolist()) == {0}:
            assert ((other_items.head - other_items.dependent) == (items.head - items.dependent)[of]).all()
        assert ((other_items.dependent < other_items.head) == (items.dependent < items.head)[of]).all()
        assert (items.document[of] == other_items.document).all()
        for example, dependent, head in zip(other_items.example, other_items.dependent, other_items.head, strict=True):
            assert found[example].words[dependent].head_index != head
            assert name != "an unrelated pair as far apart" or found[example].words[head].head_index != dependent


def test_refusals(encoder, treebank, small_treebank, relation_claim, tmp_path):
    with pytest.raises(ClaimError, match=r"S4-41-obj is tested on a treebank \(\.conllu\), and none was given; expected data=") as error:
        judge("S4-41-obj", encoder)
    assert "--data FILE" in str(error.value)
    with pytest.raises(ClaimError, match="is tested on annotated sentences; plain texts came"):
        judge("S4-41-obj", encoder, ["the dog saw a man"])
    with pytest.raises(ClaimError, match=r"is tested on a treebank; .*a\.txt came, expected a \.conllu file"):
        judge("S4-41-obj", encoder, tmp_path / "a.txt")
    with pytest.raises(ClaimError, match=r"no pair of the relation 'iobj'; it has: amod, cc, conj, det, nsubj, obj$"):
        judge(relation_claim(relation="iobj"), encoder, treebank)
    with pytest.raises(ClaimError, match="from 1 documents, too few to choose on one half"):
        judge(relation_claim(), encoder, small_treebank(1, per_document=5))
    with pytest.raises(ClaimError, match="1 of 2 texts are annotated sentences; expected all of them, or none"):
        judge("S4-42", encoder, [treebank[0], "plain"])
    assert judge(relation_claim(), encoder, small_treebank(24)).reason == "underpowered"


def test_sentences_left_out_are_counted_and_the_hash_is_of_the_trees_too(encoder, small_treebank, relation_claim):
    sentences = small_treebank(12)
    long = type(sentences[0])(id="long", text=" ".join(["dog"] * 60), words=sentences[0].words, document="long")
    verdict = judge(relation_claim(), encoder, [*sentences, long])
    assert verdict.data["skipped"] == "1 of 25 (TextTooLong 1)"
    assert "skipped 1 of 25" in str(verdict)
    word = sentences[0].words[0]
    retold = type(word)(**{**word.__dict__, "head": word.head % len(sentences[0].words) + 1})
    changed = type(sentences[0])(**{**sentences[0].__dict__, "words": (retold, *sentences[0].words[1:])})
    again = judge(relation_claim(), encoder, [changed, *sentences[1:], long])
    assert again.data["sentences"] != verdict.data["sentences"]


def test_the_best_offset_is_that_of_an_independent_count(treebank, encoder):
    items = pairs.items_of(annotated(treebank, encoder.tokenizer)[0], "obj")
    choose, _ = halves(items.document, 3)
    counted = Counter(
        word.head - word.id
        for sentence in treebank
        if sentence.document in set(items.document[choose])
        for word in sentence.words
        if word.deprel == "obj"
    )
    best = best_offset(items.questions()["dependent"], choose)
    assert counted[best] == max(counted.values())
    assert best_offset(items.questions()["head"], choose) == -best


def bare(sentence):
    """A sentence as an example, whatever a tokenizer would say."""
    return Example(
        text=sentence.text, ids=(0,), tokens=("",), spans=((0, 0),), special=(False,), words=sentence.words,
        word_tokens=((0,),) * len(sentence.words), name=sentence.id, document=sentence.document,
    )  # fmt: skip


def test_published_offset_baseline(ewt_folder):
    """Chosen on dev, scored on test: -2, 35.0 % (with the six pairs in contractions that the protocol leaves out: 35.0 +- .1)."""
    dev, test = (
        pairs.items_of([bare(one) for one in read_treebank(ewt_folder / f"en_ewt-ud-{part}.conllu")], "obj") for part in ("dev", "test")
    )
    offset = best_offset(dev.questions()["dependent"], np.ones(len(dev.head), dtype=bool))
    assert offset == -2
    assert 100 * test.questions()["dependent"].at_offset(offset).mean() == pytest.approx(35.0, abs=0.1)


PLAIN = "nsubj case det advmod amod obj compound aux mark cop ccomp".split()  # noqa: SIM905


def plainly_hit(example, patterns):
    """(relation, direction) -> for each pair, whether each head hits the other end; from (layer, head, token, token), by loops."""
    words, tokens, found = example.words, example.word_tokens, {}
    given = np.zeros((*patterns.shape[:2], len(words), len(words)))
    for start, rows in enumerate(tokens):
        for end, columns in enumerate(tokens):
            for row in rows:
                for column in columns:
                    given[:, :, start, end] += patterns[:, :, row, column] / len(rows)
    for place in range(len(words)):
        given[:, :, place, place] = -1
    for place, word in enumerate(words):
        head, relation = word.head - 1, word.deprel.split(":")[0]
        if head < 0 or relation not in PLAIN or word.multiword or words[head].multiword:
            continue
        for direction, start, end in (("dependent", place, head), ("head", head, place)):
            hit = [[int(np.argmax(row[start])) == end for row in layer] for layer in given]
            found.setdefault((relation, direction), []).append(hit)
    return found


def test_accuracies_are_those_of_a_plain_implementation(minilm, ewt_folder):
    """Hugging Face with eager attention, one sentence at a time, loops: every relation of the table, both directions, all 72 heads."""
    read = annotated(read_treebank(ewt_folder / "en_ewt-ud-test.conllu")[:120], minilm.tokenizer)[0]
    looked = looked_at(minilm, read)
    hf = transformers.AutoModel.from_pretrained(str(zoo.minilm_folder()), attn_implementation="eager").eval()
    plain = {}
    for example in read:
        with torch.no_grad():
            attentions = hf(input_ids=torch.tensor([example.ids]), output_attentions=True).attentions
        for asked, hits in plainly_hit(example, np.stack([layer[0].numpy() for layer in attentions])).items():
            plain.setdefault(asked, []).extend(hits)
    assert tuple(PLAIN) == RELATIONS
    assert len(plain) == 2 * len(PLAIN)
    best = {}
    for (relation, direction), hits in plain.items():
        members = [(direction, layer, head) for layer in range(6) for head in range(12)]
        ours = looked.hits(pairs.items_of(read, relation).questions(), members)
        theirs = np.array(hits).reshape(len(hits), -1).T  # (head, pair), pairs in the order of the text
        assert ours.shape == theirs.shape, relation
        assert (ours == theirs).all(), (relation, direction)
        best[relation] = max(best.get(relation, 0), theirs.mean(1).max())
    assert min(len(hits) for hits in plain.values()) >= 10
    assert min(best.values()) > 0.25
