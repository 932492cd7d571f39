"""What is kept of heads over a corpus besides means: relations, kinds of keys, distances, hits, examples; each against whole patterns."""

import numpy as np
import pytest
import torch
from conftest import TEXTS

from interp.captures.corpus.head_examples import PARTS, DecileExamples, InductionProfile
from interp.captures.corpus.heads import HeadMeans, HeadMeansByText
from interp.captures.corpus.received import ArgmaxHits, DistanceHistogram, KeyMass, MostAttendedKeys, distance_bins, marks
from interp.captures.corpus.relations import DIRECTIONS, HITS, Relations
from interp.captures.corpus.stream import stream
from interp.captures.prompt import capture
from interp.core.errors import DataError, TextError
from interp.core.provenance import Provenance
from interp.measures.attention import to_words
from interp.measures.head_statistics import head_statistic_named
from interp.measures.induction import SHIFTS, earlier_copy
from interp.models.reading import rows_of
from interp.texts.sentences import examples as annotated
from interp.texts.words import Sentence, Word

FAMILIES = ("gpt2", "bert", "gpt-oss", "mistral-window")
PROVENANCE = Provenance(model="m", fingerprint="f", data="d")


def patterns_of(tiny, examples) -> list[torch.Tensor]:
    """Each text's patterns, (layer, head, query, key), in float64."""
    kept = [capture(tiny.model, example) for example in examples]
    return [torch.stack([seen.tensor("pattern", layer) for layer in range(2)]).double() for seen in kept]


def close(ours, theirs, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(ours, theirs, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", FAMILIES)
def test_keys_by_kind_distance_and_rank_are_the_patterns(tiny_named, name):
    tiny = tiny_named(name)
    examples = tiny.examples()
    patterns, n = patterns_of(tiny, examples), sum(map(len, examples))
    found = stream(
        tiny.model, examples, [KeyMass(marks()), DistanceHistogram(), MostAttendedKeys(31, k=31), ArgmaxHits(("previous", "first"))]
    )
    firsts = sum(pattern[..., 0].sum(-1) for pattern in patterns) / n
    close(found["mass_on_mark"].sel(mark="first"), firsts)
    close(found["mass_on_mark"].sum("mark"), sum(pattern.sum((-1, -2)) for pattern in patterns) / n)
    assert distance_bins()[15:20] == [(-2, -2), (-1, -1), (0, 0), (1, 1), (2, 2)]
    for number, (first, last) in enumerate(distance_bins()):
        offsets = [place for place in range(first, last + 1) if abs(place) < 40]
        expected = sum(
            pattern.diagonal(place, -2, -1).sum(-1) for pattern in patterns for place in offsets if abs(place) < pattern.shape[-1]
        )
        close(found["distance_histogram"][..., number], expected / n if offsets else np.zeros((2, 4)))
    tokens = torch.zeros(2, 4, 31)
    for pattern, example in zip(patterns, examples, strict=True):
        best = torch.tensor(example.ids)[pattern.argmax(-1)]
        tokens += torch.nn.functional.one_hot(best, 31).sum(-2)
    share = found["most_attended_share"].values
    close(share, tokens.sort(-1, descending=True)[0] / n)
    assert found["most_attended_place"].sum("pos").min() == pytest.approx(1.0)
    hits = sum((pattern.argmax(-1)[..., 1:] == torch.arange(pattern.shape[-1] - 1)).sum(-1) for pattern in patterns)
    close(found["previous_hits"], hits / (n - len(examples)))
    assert 0 < found["previous_hits"].mean() < 1


@pytest.mark.parametrize("name", FAMILIES)
def test_the_induction_profile_is_the_patterns(tiny_named, name):
    tiny = tiny_named(name)
    examples = tiny.examples()
    found = stream(tiny.model, examples, [InductionProfile()])["induction_profile"]
    statistics = [head_statistic_named(f"induction_{shift}") for shift in range(SHIFTS)]
    each = [
        [
            statistic.of(pattern.float(), torch.tensor([example.ids]).expand(2, -1), torch.ones(2, 4, len(example)))
            for pattern, example in zip(patterns_of(tiny, examples), examples, strict=True)
        ]
        for statistic in statistics
    ]
    close(found, np.stack([torch.cat(values, -1).nanmean(-1).numpy() for values in each], -1))
    assert found.dims == ("layer", "head", "shift")
    assert found.attrs["computed_by"] == ("exact blocks" if name == "gpt-oss" else "fused kernel")


def _sentence(text: str, heads: list[int], relations: list[str], number: int) -> Sentence:
    words, start = [], 0
    for place, form in enumerate(text.split()):
        span = (start, start + len(form))
        start = span[1] + 1
        words.append(Word(id=place + 1, form=form, lemma=form, upos="NOUN", deprel=relations[place], head=heads[place], span=span))
    return Sentence(id=f"s{number}", text=text, words=tuple(words), document=f"d{number}")


@pytest.mark.parametrize("name", FAMILIES)
def test_relations_are_the_patterns_between_words(tiny_named, name):
    tiny = tiny_named(name)
    sentences = [
        _sentence("the old man saw a dog", [3, 3, 4, 0, 6, 4], ["det", "amod", "nsubj", "root", "det", "obj"], 0),
        _sentence("she said nothing", [2, 0, 2], ["nsubj", "root", "obj"], 1),
        _sentence("dog", [0], ["root"], 2),
    ]
    examples, skipped = annotated(sentences, tiny.model.tokenizer)
    assert not skipped
    found = stream(tiny.model, examples, [Relations(["obj", "nsubj", "iobj"]), HeadMeans(("entropy",))])
    between = [
        to_words(pattern.float(), list(example.word_tokens)) for pattern, example in zip(patterns_of(tiny, examples), examples, strict=True)
    ]
    one, other = between[0], between[1]
    close(found["dependent_to_head"].sel(relation="obj"), (one[..., 5, 3] + other[..., 2, 1]) / 2)
    close(found["head_to_dependent"].sel(relation="nsubj"), (one[..., 3, 2] + other[..., 1, 0]) / 2)
    assert found["dependent_to_head"].attrs["n"] == [2, 2, 0]
    assert found["dependent_to_head"].sel(relation="iobj").isnull().all()
    assert found["best_offset"].sel(relation="nsubj") == 1
    assert found["best_offset"].sel(relation="iobj").isnull()
    assert found["best_offset_share"].sel(relation="obj") == 0.5
    with pytest.raises(DataError, match="no text has words in the relations iobj; expected annotated ones"):
        stream(tiny.model, examples, [Relations(["iobj"])])
    assert {found[name].attrs["computed_by"] for name in (*DIRECTIONS, *HITS)} == {"exact blocks"}


def test_decile_examples_are_queries_of_their_tenth_and_the_same_in_any_parts(tiny_named):
    tiny = tiny_named("gpt2")
    examples = tiny.examples() * 2
    whole = stream(tiny.model, examples, [DecileExamples("previous", k=3)])
    parts = DecileExamples("previous", k=3), DecileExamples("previous", k=3)
    stream(tiny.model, examples[:5], [parts[0]])
    stream(tiny.model, examples[5:], [parts[1]], first=5)
    parts[1].merge(parts[0])
    merged = parts[1].result(PROVENANCE)
    for name in ("previous_examples", "previous_example_places", "previous_share_of_queries"):
        np.testing.assert_array_equal(merged[name], whole[name])
    patterns = patterns_of(tiny, examples)
    close(whole["previous_share_of_queries"].sum("tenth"), 1.0)
    seen = 0
    for layer, head, tenth, rank in np.argwhere(whole["previous_examples"].values >= 0):
        text, place = (int(whole[f"previous_example{s}"][layer, head, tenth, rank]) for s in ("s", "_places"))
        value = patterns[text][layer, head, place, place - 1]
        assert min(int(value * PARTS), PARTS - 1) == tenth
        close(whole["previous_example_values"][layer, head, tenth, rank], value, 1e-5)
        assert whole["previous_example_tokens"][layer, head, tenth, rank].sel(around=0) == examples[text].ids[place]
        seen += 1
    assert seen > 30
    with pytest.raises(DataError, match="entropy is in nats; expected the end of its range"):
        DecileExamples("entropy")


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_pairs_give_each_stack_its_own(tiny_named, name):
    tiny = tiny_named(name)
    pairs = [rows_of(tiny.model, (text, "they went home by the sea" if number % 2 else "she said")) for number, text in enumerate(TEXTS)]
    found = stream(tiny.model, pairs, [HeadMeans(("entropy", "previous"))])
    each = stream(tiny.model, pairs, [HeadMeansByText(("entropy",))])["entropy"]
    assert found["entropy"].dims == ("stack", "layer", "head")
    assert each.dims == ("batch", "stack", "layer", "head")
    assert found["previous"].sel(stack="X").isnull().all()
    assert found["entropy"].sel(stack="X", layer=1, head=2).site.item() == "XL1H2"
    for stack in ("E", "D", "X"):
        rows = [capture(tiny.model, source, target=target).tensor("pattern", 1, stack) for source, target in pairs]
        entropies = [torch.special.entr(row).sum(-1) for row in rows]
        close(found["entropy"].sel(stack=stack, layer=1), torch.cat(entropies, -1).mean(-1))
        close(each.sel(stack=stack, layer=1), torch.stack([values.mean(-1) for values in entropies]))
    with pytest.raises(TextError, match="expected a second text"):
        stream(tiny.model, [source for source, _ in pairs], [HeadMeans(("entropy",))])


def test_a_pair_for_a_model_of_one_stack_is_refused(tiny_named):
    tiny = tiny_named("gpt2")
    one, other = tiny.examples()[:2]
    with pytest.raises(TextError, match="a second text came"):
        stream(tiny.model, [(one, other)], [HeadMeans(("previous",))])


def test_the_latest_earlier_copy_is_the_naive_one():
    ids = torch.randint(0, 5, (3, 40))
    same = (ids[..., None] == ids[:, None]).tril(-1)
    naive = torch.where(same, torch.arange(40), -1).amax(-1)
    assert torch.equal(earlier_copy(ids), naive)
