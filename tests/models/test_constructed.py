"""The constructed models do what their truth says, the measures see it, and see it neither in the neighbours nor in the scrambled twins.

Everything runs on the plain transformers model with eager attention. Weights are sharp: a match lies 20 above the other keys and 10 above
the rest, so what should be 1 is above 0.999 (63 others: 63 e^-20; the rest: e^-10 = 5e-5).
"""

import math
from dataclasses import dataclass

import pytest
import torch
from transformers import AutoModelForCausalLM

from interp.core.errors import ModelNotFound, ModelUnsupported
from interp.core.sites import Site
from interp.measures.attention import weight_at_offset
from interp.measures.head_statistics import head_statistic
from interp.measures.induction import induction_profile
from interp.measures.neurons import fraction_active, top_neurons
from interp.models.constructed import CLASSES, NAMES, constructed, scrambled, subject_sentences
from interp.models.constructed.words import SPECIAL, VOCABULARY, ids_of
from interp.models.transformer import register

CHANCE = math.log(len(VOCABULARY))
SEEDS = range(5)
SPAN = 24
PLANTED = [name for name in NAMES if constructed(name).truth]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a model did with ids (batch, pos). `patterns`: site -> (batch, query_pos, key_pos)."""

    ids: torch.Tensor
    logits: torch.Tensor
    patterns: dict[str, torch.Tensor]

    def nats(self) -> torch.Tensor:
        """Loss on each token after the first. Axes: (batch, pos - 1)."""
        return torch.nn.functional.cross_entropy(self.logits[:, :-1].transpose(1, 2), self.ids[:, 1:], reduction="none")

    def statistic(self, name: str) -> dict[str, float]:
        """A head statistic of every head, by the measure."""
        return {
            site: head_statistic(name, pattern[:, None], self.ids, torch.ones(len(self.ids), 1, pattern.shape[-1])).item()
            for site, pattern in self.patterns.items()
        }


@torch.no_grad()
def run(made, ids: torch.Tensor) -> Run:
    made.hf.set_attn_implementation("eager")
    out = made.hf(input_ids=ids, output_attentions=True)
    patterns = {f"L{layer}H{head}": pattern[:, head] for layer, pattern in enumerate(out.attentions) for head in range(pattern.shape[1])}
    return Run(ids=ids, logits=out.logits, patterns=patterns)


@torch.no_grad()
def neurons(made, ids: torch.Tensor, layer: int) -> torch.Tensor:
    """What the FFN's output projection reads. Axes: (batch, pos, neuron)."""
    seen = []
    hook = made.hf.model.blocks[layer].mlp.fc_out.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    made.hf(input_ids=ids)
    hook.remove()
    return seen[0]


def drawn_words(n_rows: int, n_words: int, seed: int = 0) -> torch.Tensor:
    """Different words in random order, after <s>. Axes: (row, 1 + n_words)."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.stack([torch.randperm(len(VOCABULARY) - len(SPECIAL), generator=generator)[:n_words] for _ in range(n_rows)])
    return torch.cat([torch.zeros(n_rows, 1, dtype=torch.long), rows + len(SPECIAL)], dim=1)


def repeated(n_rows: int = 8, seed: int = 0) -> torch.Tensor:
    """<s>, then random words that come twice. Axes: (row, 1 + 2 SPAN)."""
    words = drawn_words(n_rows, SPAN, seed)
    return torch.cat([words, words[:, 1:]], dim=1)


def halves(seen: Run) -> tuple[float, float]:
    """Mean loss on the first and on the second copy; the second's first word, which nothing announces, left out."""
    nats = seen.nats()
    return nats[:, :SPAN].mean().item(), nats[:, SPAN + 1 :].mean().item()


@pytest.fixture(params=PLANTED)
def planted(request):
    return constructed(request.param)


# --- the circuits and their neighbours


@pytest.mark.parametrize("name", ["previous-token", "induction", "subject-copy"])
def test_the_previous_token_head_is_the_one_of_the_truth_and_no_other(name):
    made = constructed(name)
    found = run(made, drawn_words(4, 63)).statistic("previous")
    assert {site for site, weight in found.items() if weight > 0.99} == set(made.truth["previous"])
    assert all(weight < 0.1 for site, weight in found.items() if site not in made.truth["previous"])


def test_the_neighbours_of_the_previous_token_head_do_something_else():
    seen = run(constructed("previous-token"), drawn_words(2, 20))
    uniform, first, current = (seen.patterns[f"L0H{head}"][0] for head in (0, 2, 3))
    torch.testing.assert_close(uniform, torch.ones(21, 21).tril() / torch.arange(1, 22)[:, None])
    assert (first[:, 0] > 0.999).all()
    assert (weight_at_offset(current, 0) > 0.999).all()


def test_the_previous_token_model_predicts_an_alternating_text_and_no_other():
    text = "cat dog " * 8
    made = constructed("previous-token")
    ids = torch.tensor([made.tokenizer(text)["input_ids"]])
    assert run(made, ids).nats()[0, 2:].max() < 0.1
    assert run(made, drawn_words(4, 20)).nats()[:, 2:].mean() > CHANCE


def test_the_induction_head_is_found_by_the_classical_score_and_no_other_head_is():
    made, ids = constructed("induction"), repeated()
    seen = run(made, ids)
    profiles = {site: induction_profile(pattern[:, None], ids)[0] for site, pattern in seen.patterns.items()}
    assert {site for site, profile in profiles.items() if profile[1] > 0.9} == set(made.truth["induction"])
    for site, profile in profiles.items():
        others = profile if site not in made.truth["induction"] else torch.cat([profile[:1], profile[2:]])
        assert (others < 0.1).all(), site


def test_the_induction_model_copies_and_knows_nothing_before_it_can():
    first, second = halves(run(constructed("induction"), repeated()))
    assert first == pytest.approx(CHANCE, abs=0.05)
    assert second < 0.1


def test_without_the_previous_token_head_nothing_is_copied():
    """The circuit is both heads: with the first silenced the second finds no match."""
    made = constructed("induction")
    with torch.no_grad():
        made.hf.model.blocks[0].attn.o.weight[:, 128:256] = 0.0
    assert halves(run(made, repeated()))[1] == pytest.approx(CHANCE, abs=0.1)


def _subjects(made) -> tuple[list[Run], list[str], list[str]]:
    sentences = subject_sentences()
    runs = [run(made, torch.tensor([made.tokenizer(text)["input_ids"]])) for text, _, _ in sentences]
    return runs, [subject for _, subject, _ in sentences], [other for _, _, other in sentences]


def _weights(runs: list[Run], site: str, words: list[str]) -> torch.Tensor:
    """Weight of the last token on each sentence's word. Axes: (sentence,)."""
    places = [one.ids[0].tolist().index(ids_of(word)[0]) for one, word in zip(runs, words, strict=True)]
    return torch.stack([one.patterns[site][0, -1, place] for one, place in zip(runs, places, strict=True)])


def test_the_subject_head_goes_to_the_subject_and_says_it():
    runs, subjects, others = _subjects(constructed("subject-copy"))
    assert len(runs) == 90
    assert (_weights(runs, "L1H2", subjects) > 0.999).all()
    for one, subject, other in zip(runs, subjects, others, strict=True):
        logits = one.logits[0, -1]
        assert VOCABULARY[logits.argmax()] == subject
        assert logits[ids_of(subject)] - logits[ids_of(other)] > 9.8  # said by 10, murmured against by 0.1


def test_the_subjects_neighbour_goes_to_the_object_and_no_other_head_to_the_subject():
    runs, subjects, others = _subjects(constructed("subject-copy"))
    assert (_weights(runs, "L1H1", others) > 0.999).all()
    for site in runs[0].patterns:
        if site != "L1H2":
            assert (_weights(runs, site, subjects) < 0.2).all(), site


def test_the_subject_head_rests_where_nothing_asks():
    runs, _, _ = _subjects(constructed("subject-copy"))
    assert all((one.patterns["L1H2"][0, :-1, 0] > 0.999).all() for one in runs)


@pytest.mark.parametrize("text", ["a cat saw a dog and it", "the box held a dog and it", "the old cat saw one dog and it"])
def test_an_animal_that_is_no_subject_does_not_draw_the_subject_head(text):
    made = constructed("subject-copy")
    seen = run(made, torch.tensor([made.tokenizer(text)["input_ids"]]))
    assert seen.patterns["L1H2"][0, -1, 0] > 0.999


def _on_and_off(made, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Activations on animals and on the other words, each wherever it stood. Axes: (token, neuron)."""
    ids = drawn_words(8, 61)
    post = neurons(made, ids, layer)
    animal = torch.isin(ids, torch.tensor(ids_of(*CLASSES["animal"])))
    return post[animal], post[~animal]


def test_the_class_neuron_is_1_on_its_class_and_0_elsewhere_and_no_other_is():
    made = constructed("class-neuron")
    (site,) = map(Site.parse, made.truth["class"])
    for layer in range(2):
        on, off = _on_and_off(made, layer)
        selective = (fraction_active(on.T) - fraction_active(off.T)) > 0.9
        assert selective.nonzero().flatten().tolist() == ([site.index] if layer == site.layer else [])
    on, off = _on_and_off(made, site.layer)
    assert (on[:, site.index] == 1.0).all()
    assert (off[:, site.index] == 0.0).all()


def test_the_neuron_measure_finds_the_class_in_a_text():
    made = constructed("class-neuron")
    ids = torch.tensor([made.tokenizer("the old cat saw a red fox by")["input_ids"]])
    post = neurons(made, ids, 1)[0][:, 5:6]
    assert sorted(top_neurons(post, 2)) == [(3, 0, 1.0), (7, 0, 1.0)]
    assert fraction_active(post.T).item() == pytest.approx(2 / 9)


def test_the_class_neuron_says_what_animals_do():
    made = constructed("class-neuron")
    seen = run(made, drawn_words(8, 61))
    said = seen.logits[..., ids_of(*CLASSES["does"])].mean(-1) - seen.logits[..., ids_of(*CLASSES["place"])].mean(-1)
    animal = torch.isin(seen.ids, torch.tensor(ids_of(*CLASSES["animal"])))
    assert said[animal].mean() - said[~animal].mean() == pytest.approx(2.5, abs=0.1)


def test_without_attention_only_the_token_and_its_position_matter():
    ids = drawn_words(2, 20)
    ids[1, 11] = ids[0, 11]
    for name, alone in (("ffn-only", True), ("attention-only", False)):
        made = constructed(name)
        with torch.no_grad():
            logits = made.hf(input_ids=ids).logits
        assert torch.allclose(logits[0, 11], logits[1, 11], atol=1e-5) == alone
        assert not torch.allclose(logits[0, 12], logits[1, 12], atol=0.1)


# --- the twins that lack the circuit


@pytest.mark.parametrize("seed", SEEDS)
def test_the_scrambled_previous_head_is_none(seed):
    twin = scrambled(constructed("previous-token"), seed)
    seen = run(twin, drawn_words(4, 63))
    assert max(seen.statistic("previous").values()) < 0.1
    alternating = torch.tensor([twin.tokenizer("cat dog " * 8)["input_ids"]])
    assert run(twin, alternating).nats()[0, 2:].mean() > 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_the_scrambled_induction_model_is_at_chance_on_both_copies(seed):
    seen = run(scrambled(constructed("induction"), seed), repeated())
    assert halves(seen) == pytest.approx((CHANCE, CHANCE), abs=0.05)
    assert max(seen.statistic("induction").values()) < 0.1
    assert seen.statistic("previous")["L0H1"] > 0.99  # what it rested on stays


@pytest.mark.parametrize("seed", SEEDS)
def test_the_scrambled_subject_head_goes_nowhere(seed):
    runs, subjects, others = _subjects(scrambled(constructed("subject-copy"), seed))
    assert (_weights(runs, "L1H2", subjects) < 0.01).all()
    assert (_weights(runs, "L1H1", others) > 0.999).all()  # its neighbour does what it did
    assert not any(VOCABULARY[one.logits[0, -1].argmax()] == subject for one, subject in zip(runs, subjects, strict=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_scrambled_neuron_is_as_often_on_for_any_word(seed):
    on, off = _on_and_off(scrambled(constructed("class-neuron"), seed), 1)
    assert on[:, 5].mean().item() == pytest.approx(0.2, abs=0.001)  # 2 of 10 animals
    assert off[:, 5].mean().item() == pytest.approx(8 / 52, abs=0.001)  # 8 of 51 other words and <s>


def test_a_twin_differs_in_one_matrix_by_the_order_of_its_numbers_alone(planted):
    twin = scrambled(planted, seed=3)
    ours, theirs = planted.hf.state_dict(), twin.hf.state_dict()
    (changed,) = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert torch.equal(ours[changed].flatten().sort().values, theirs[changed].flatten().sort().values)
    row_norms = [weights[changed].norm(dim=-1).sort().values for weights in (ours, theirs)]
    assert torch.equal(*row_norms)
    assert changed.split(".")[2] == str(Site.parse(planted.truth[list(planted.truth)[-1]][0]).layer)


def test_a_twin_depends_on_its_seed_and_leaves_the_model_alone(planted):
    before = {name: tensor.clone() for name, tensor in planted.hf.state_dict().items()}
    states = [scrambled(planted, seed).hf.state_dict() for seed in (0, 0, 1)]
    same = [all(torch.equal(states[0][name], state[name]) for name in before) for state in states]
    assert same == [True, True, False]
    assert all(torch.equal(before[name], tensor) for name, tensor in planted.hf.state_dict().items())


# --- as models among others


@pytest.mark.parametrize("name", NAMES)
def test_a_constructed_model_is_the_same_every_time_and_on_disk(name, tmp_path):
    register()
    made, again = constructed(name), constructed(name)
    made.hf.save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    states = [hf.state_dict() for hf in (made.hf, again.hf, AutoModelForCausalLM.from_pretrained(tmp_path))]
    assert all(torch.equal(states[0][key], state[key]) for state in states for key in states[0])


def test_building_one_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    constructed("class-neuron")
    assert torch.equal(torch.rand(3), expected)


def test_the_vocabulary_has_64_different_words():
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 64


def test_what_is_not_there_is_refused():
    with pytest.raises(ModelNotFound, match="no constructed model is called 'copy'; expected one of: previous-token, induction"):
        constructed("copy")
    with pytest.raises(ModelUnsupported, match="ffn-only: nothing is planted in it"):
        scrambled(constructed("ffn-only"), seed=0)
