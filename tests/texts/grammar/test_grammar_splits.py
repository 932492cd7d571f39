"""What the three splits share and what they must not."""

import subprocess
import sys
from pathlib import Path

import pytest

from interp.texts.grammar import lexicon, senses
from interp.texts.grammar.agreement import agreement_pairs
from interp.texts.grammar.generate import generate, passages
from interp.texts.grammar.lexicon import read_yaml, vocabulary
from interp.texts.grammar.senses import ambiguous, sense_sets
from interp.texts.grammar.winograd import gender_pairs, winograd_pairs

OPEN = {"NOUN", "PROPN", "VERB", "ADJ", "ADV"}
# Words without content that count as open classes for the part of speech alone.
CLOSED = {"be", "many", "last", "next", "very", "too", "then", "week", "month", "night"}
ROOT = Path(__file__).parents[3]
EVALUATED = ("selection", "confirmation")


def everything(split, n=40):
    found = generate(8 * n, seed=4, split=split)
    found += [each for passage in passages(n, seed=4, split=split) for each in passage.sentences]
    found += [each.grammatical for k in (0, 1, 2) for each in agreement_pairs(n, seed=4, attractors=k, split=split)]
    pairs = winograd_pairs(n, seed=4, split=split) + gender_pairs(n, seed=4, split=split)
    found += [each for pair in pairs for each in (pair.first, pair.second)]
    return found + [each for found in sense_sets(n, seed=4, distance=6, split=split) for each in found.sentences]


@pytest.fixture(scope="module")
def made():
    return {split: everything(split) for split in lexicon.SPLITS}


def content(sentences):
    return {word.lemma for each in sentences for word in each.words if word.upos in OPEN} - CLOSED


def test_the_vocabularies_are_apart():
    for words in (lexicon.words, senses.words):
        one, other, both = (set(words(split)) for split in (*EVALUATED, "train"))
        assert not one & other
        assert one | other == both
    assert not {each.lower() for each in lexicon.words("selection")} & {each.lower() for each in senses.words("confirmation")}
    assert not {each.lower() for each in lexicon.words("confirmation")} & {each.lower() for each in senses.words("selection")}
    assert 300 <= len(set(lexicon.words()) | set(senses.words())) <= 600


def test_the_sentences_use_the_words_of_their_split(made):
    selection, confirmation = (content(made[split]) for split in EVALUATED)
    assert not selection & confirmation
    for split in EVALUATED:
        named = {form for lemma in (*lexicon.words(split), *senses.words(split)) for form in lemma.split("-")}
        assert content(made[split]) <= named


def test_training_never_has_a_sentence_of_the_other_two(made):
    trained = {each.text for each in made["train"]}
    for split in EVALUATED:
        assert not trained & {each.text for each in made[split]}


# Tens of thousands of sentences: in a process of its own, without the run-time type checks of the tests.
SHORT = """
from interp.texts.grammar.generate import generate
kinds = ["intransitive", "copular"]
trained = {each.text for each in generate(20_000, seed=1, kinds=kinds)}
for split in ("selection", "confirmation"):
    assert not trained & {each.text for each in generate(1500, seed=2, split=split, kinds=kinds)}
assert trained & {each.text for each in generate(1500, seed=3, kinds=kinds)}  # the comparison can find something
"""
COVERED = """
from interp.texts.grammar import lexicon, senses
from interp.texts.grammar.generate import generate
lemmas = {word.lemma for each in generate(30_000, seed=6) for word in each.words}
missing = {part for lemma in (*lexicon.words(), *senses.words()) for part in lemma.split("-")} - lemmas
assert not missing, missing
"""


@pytest.mark.parametrize("script", [SHORT, COVERED], ids=["no short sentence of the other splits", "every word"])
def test_what_training_has(script):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_templates_are_apart(made):
    table = read_yaml("winograd.yaml")
    assert not set.intersection(*(set(table[split]) for split in lexicon.SPLITS[:2]))
    frames = {split: {(row["verb"], a, b) for row in table[split].values() for a in row["of_x"] for b in row["of_y"]} for split in table}
    assert not frames["train"] & frames["selection"]
    assert not frames["train"] & frames["confirmation"]
    assert not {row["verb"] for row in table["selection"].values()} & {row["verb"] for row in table["confirmation"].values()}
    used = {split: {each.template for each in made[split] if each.kind == "agreement"} - {"plain"} for split in EVALUATED}
    assert used["selection"]
    assert not used["selection"] & used["confirmation"]


def test_winograd_templates_use_the_words_of_their_split():
    for split in EVALUATED:
        for row in read_yaml("winograd.yaml")[split].values():
            named = [row["verb"], *row["of_x"], *row["of_y"], *(row["x"] if isinstance(row["x"], list) else [])]
            assert set(named) <= vocabulary(split).lemmas


def test_ambiguous_words_and_their_cues_are_apart():
    for split in EVALUATED:
        assert len(ambiguous(split)) >= 8
    for each in ambiguous("train"):
        assert all(len(cues) >= 4 for cues in each.cues)
        assert not {noun.lemma for noun in each.cues[0]} & {noun.lemma for noun in each.cues[1]}
        assert each.senses[0].zh != each.senses[1].zh
    cues = [noun.lemma for each in ambiguous("train") for of in each.cues for noun in of]
    assert len(cues) == len(set(cues))
