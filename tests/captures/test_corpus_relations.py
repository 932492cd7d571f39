"""Weights and hits between words of a relation, against whole patterns; with words of many tokens, on both sides of a block's border."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from interp.captures.corpus import sweep
from interp.captures.corpus.batches import Batch
from interp.captures.corpus.between_words import BetweenWords
from interp.captures.corpus.pattern_statistics import PatternStatistics
from interp.captures.corpus.relations import DIRECTIONS, HITS, Relations
from interp.captures.corpus.stream import stream
from interp.captures.prompt import capture
from interp.captures.words import visible_words
from interp.measures.attention import most_attended, to_words
from interp.models.attention import AttentionCall
from interp.models.reading import rows_of
from interp.texts.example import Example
from interp.texts.words import Word

FAMILIES = ("gpt2", "llama", "bert", "gpt-oss", "mistral-window", "t5")
RELATIONS = ("nsubj", "obj", "det")


def drawn_example(length: int, seed: int) -> Example:
    """A text whose words have one to seven tokens, with tokens of no word before, between and inside them, and a multiword token."""
    draw, tokens, place = random.Random(seed), [], 0
    while (place := place + draw.choice([0, 0, 1])) < length:
        size = min(draw.choice([1, 1, 2, 7]), length - place)
        inside = tuple(range(place, place + size))
        tokens.append((*inside[:1], *inside[2:]) if size == 7 else inside)  # the second token of seven is a space
        place += size
    shared = draw.randrange(len(tokens))
    tokens.insert(shared, tokens[shared])
    n = len(tokens)
    words = tuple(
        Word(
            id=number + 1,
            form="w",
            lemma="w",
            upos="X",
            deprel=draw.choice([*RELATIONS, "obj:sub", "root"]),
            head=draw.choice([each for each in range(n + 1) if each != number + 1]),
            span=(0, 1),
            multiword=number in (shared, shared + 1),
        )
        for number in range(n)
    )
    ids = tuple(draw.randrange(3, 31) for _ in range(length))
    about = {"tokens": ("w",) * length, "spans": ((0, 1),) * length, "special": (False,) * length}
    return Example(text="w", ids=ids, words=words, word_tokens=tuple(tokens), **about)


def naive(tiny, examples) -> dict[str, np.ndarray]:
    """By whole patterns. Axes: (layer, head, relation)."""
    found: dict[str, list] = {f"{name} {relation}": [] for name in (*DIRECTIONS, *HITS) for relation in RELATIONS}
    causal = tiny.model.anatomy.causal and not tiny.form.paired  # the encoder's heads are looked at
    for example in examples:
        seen = capture(tiny.model, example, **({"target": "she said"} if tiny.form.paired else {}))
        pattern = torch.stack([seen.tensor("pattern", layer, "E" if tiny.form.paired else "") for layer in range(2)]).double()
        words = to_words(pattern, list(example.word_tokens))
        for number, word in enumerate(example.words):
            head = word.head_index
            if head is None or word.multiword or example.words[head].multiword or word.relation not in RELATIONS:
                continue
            for direction, hits, (one, other) in zip(DIRECTIONS, HITS, ((number, head), (head, number)), strict=True):
                best = most_attended(words, visible_words(len(example.words), causal=causal))[..., one]
                missed = words[..., one, other] == 0  # nobody attends to what it does not see
                found[f"{direction} {word.relation}"].append(words[..., one, other])
                found[f"{hits} {word.relation}"].append(((best == other) & ~missed).double())
    means = {name: torch.stack(values).mean(0) for name, values in found.items()}
    return {name: torch.stack([means[f"{name} {relation}"] for relation in RELATIONS], -1).numpy() for name in (*DIRECTIONS, *HITS)}


@pytest.mark.parametrize("block", [3, 64])
@pytest.mark.parametrize("name", FAMILIES)
def test_weights_and_hits_are_those_of_whole_patterns(tiny_named, monkeypatch, name, block):
    monkeypatch.setattr(sweep, "QUERIES", block)
    tiny = tiny_named(name)
    examples = [drawn_example(length, seed) for seed, length in enumerate([30, 30, 30, 17, 17, 38, 9, 30])]
    texts = [rows_of(tiny.model, (example, "she said")) for example in examples] if tiny.form.paired else examples
    found, expected = stream(tiny.model, texts, [Relations(RELATIONS)]), naive(tiny, examples)
    for each in (*DIRECTIONS, *HITS):
        np.testing.assert_allclose(found[each], expected[each], atol=1e-5, rtol=0, err_msg=each)  # sums of some ten float32 weights
        assert found[each].attrs["computed_by"] == "exact blocks"
    assert 0 < found["dependent_to_head_hits"].mean() < 1
    assert found["dependent_to_head_hits"].units == "share"


def test_its_own_word_and_tokens_of_no_word_do_not_count():
    """Known weights: most on a token of no word, then on itself; a word of two tokens beats one token with more than either."""
    words = tuple(Word(id=n, form="w", lemma="w", upos="X", deprel="obj", head=2, span=(0, 1)) for n in (1, 2, 3))
    example = replace(drawn_example(5, 0), words=words, word_tokens=((1,), (2, 3), (4,)))
    weights = torch.tensor([0.4, 0.3, 0.09, 0.09, 0.12])  # of the words 0.3, 0.18, 0.12, whoever attends
    call = AttentionCall(torch.ones(1, 1, 5, 1), weights.log()[None, None, :, None], torch.zeros(1, 1, 5, 1), None, 1.0, False)
    batch = Batch.of([(0, example)], torch.device("cpu"))
    taken = PatternStatistics(call, batch.ids, torch.eye(1)[None]).take(BetweenWords(batch, [(0, 0, 1), (0, 0, 2), (0, 2, 0), (0, 2, 1)]))
    torch.testing.assert_close(taken[0, 0], torch.tensor([0.18, 0.12, 0.3, 0.18]))
    assert taken[1, 0].tolist() == [1.0, 0.0, 1.0, 0.0]
