"""Minimal pairs: one word differs, and what hangs on it is as said."""

import re
from itertools import islice

import pytest

from interp.core.errors import DataError
from interp.texts.grammar.agreement import FRAMES, agreement_pairs
from interp.texts.grammar.candidate import search
from interp.texts.grammar.lexicon import SPLITS
from interp.texts.grammar.senses import DISTANCES, ambiguous, discourses, sense_sets
from interp.texts.grammar.winograd import gender_pairs, winograd_pairs


def differing(first, second):
    assert len(first.words) == len(second.words)
    return [place for place, (a, b) in enumerate(zip(first.words, second.words, strict=True)) if a.form != b.form]


def letters(text):
    """A tokenizer that cuts words into pieces of four letters."""
    return sum(-(-len(word) // 4) for word in re.findall(r"\w+|\S", text))


def plural(word):
    return word.form.lower() != word.lemma


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("attractors", [0, 1, 2])
def test_agreement_pairs_differ_in_their_verb(split, attractors):
    pairs = agreement_pairs(80, seed=1, attractors=attractors, split=split)
    for pair in pairs:
        right, wrong = pair.grammatical, pair.ungrammatical
        assert differing(right, wrong) == [pair.verb]
        assert [wrong.text[slice(*word.span)] for word in wrong.words] == [word.form for word in wrong.words]
        assert right.text.startswith(pair.prefix)
        assert wrong.text.startswith(pair.prefix)
        assert right.text[len(pair.prefix) :].split()[0].rstrip(".") == pair.forms[0]
        subject = right.words[pair.subject]
        assert plural(subject) == (pair.number == "Plur")
        assert len(pair.attractors) == attractors
        assert all(pair.subject < place < pair.verb and plural(right.words[place]) != plural(subject) for place in pair.attractors)
        assert pair.forms[0] in _right(pair.number, pair.forms)
        assert len({*pair.forms}) == 2
    numbers = [pair.number for pair in pairs]
    assert numbers.count("Sing") == numbers.count("Plur")


def _right(number, forms):
    """The form that the number asks for, by spelling: is, was and what ends in -s are singular."""
    return [form for form in forms if (form in ("is", "was") or form.endswith("s")) == (number == "Sing")]


def test_the_verb_shows_number_nowhere_before():
    for pair in agreement_pairs(300, seed=2, attractors=2):
        assert not {"is", "are", "was", "were", "a", "two", "this", "these"} & set(pair.prefix.lower().split())


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_can_be_asked_for(frame):
    assert {pair.template.split()[0] for pair in agreement_pairs(50, seed=1, frame=frame)} == {frame}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("make", [winograd_pairs, gender_pairs])
def test_coreference_pairs_differ_in_one_word_and_in_the_antecedent(split, make):
    templates = set()
    for pair in make(120, seed=1, split=split):
        assert differing(pair.first, pair.second) == [pair.changed]
        assert pair.first.coreference == ((pair.pronoun, pair.candidates[0]),)
        assert pair.second.coreference == ((pair.pronoun, pair.candidates[1]),)
        assert pair.candidates[0] < pair.candidates[1] < pair.pronoun
        assert pair.first.words[pair.pronoun].upos == "PRON"
        templates.add(pair.template)
    assert len(templates) >= 5


def test_in_a_winograd_pair_the_form_does_not_tell():
    for pair in winograd_pairs(300, seed=3):
        assert pair.first.words[pair.pronoun].form == pair.second.words[pair.pronoun].form
        assert pair.first.words[pair.changed].upos == "ADJ"
        first, second = (_chinese(each, pair.pronoun) for each in (pair.first, pair.second))
        assert first == second


def _chinese(sentence, place):
    return [sentence.translation.words[chinese] for english, chinese in sentence.translation.alignment if english == place]


def test_in_a_gender_pair_the_form_tells():
    for pair in gender_pairs(300, seed=3):
        assert pair.changed == pair.pronoun
        assert {pair.first.words[pair.pronoun].form, pair.second.words[pair.pronoun].form} == {"he", "she"}


@pytest.mark.parametrize("position", ["before", "after"])
@pytest.mark.parametrize("distance", DISTANCES)
def test_cues_are_at_their_distance(distance, position):
    for split in SPLITS:
        for found in sense_sets(8, seed=1, distance=distance, split=split, position=position):
            one, other, neutral = found.sentences
            assert differing(one, other) == differing(one, neutral) == [found.cue]
            assert abs(found.target - found.cue) == distance == found.distance
            assert (found.cue < found.target) == (position == "before")
            assert {each.words[found.target].form for each in found.sentences} == {found.word}
            assert [each.senses for each in found.sentences] == [((found.target, name),) for name in found.names] + [()]


def test_the_chinese_of_an_ambiguous_word_is_that_of_its_sense():
    words = {each.lemma: each for each in ambiguous("train")}
    for found in sense_sets(120, seed=1, distance=5):
        expected = [noun.zh for noun in words[found.word].senses]
        for sentence, zh in zip(found.sentences, [*expected, expected[0]], strict=True):
            assert zh in _chinese(sentence, found.target)


def test_all_ambiguous_words_come_and_can_be_asked_for():
    assert {found.word for found in sense_sets(250, seed=1, distance=5)} == {each.lemma for each in ambiguous("train")}
    assert {found.word for found in sense_sets(20, seed=1, distance=5, words=["bank", "bat"])} == {"bank", "bat"}


def test_pairs_are_as_long_as_a_tokenizer_counts():
    def lengths(pairs):
        return {len({letters(text) for text in each}) for each in pairs}

    def both(count):
        agreement = [(p.grammatical.text, p.ungrammatical.text) for p in agreement_pairs(80, seed=1, count=count)]
        senses = [tuple(each.text for each in found.sentences) for found in sense_sets(80, seed=1, distance=5, count=count)]
        return agreement + senses + [(p.first.text, p.second.text) for p in winograd_pairs(80, seed=1, count=count)]

    assert lengths(both(letters)) == {1}
    assert lengths(both(None)) > {1}  # without it they are not


@pytest.mark.parametrize("make", [agreement_pairs, winograd_pairs, gender_pairs])
def test_pairs_are_the_seeds(make):
    assert make(20, seed=1) == make(20, seed=1)
    assert make(20, seed=1) != make(20, seed=2)


def test_what_cannot_be_had_is_refused():
    with pytest.raises(DataError, match="3 attractors came; expected 0, 1 or 2"):
        agreement_pairs(1, seed=1, attractors=3)
    with pytest.raises(DataError, match="frame 'adverb' came; expected one of place"):
        agreement_pairs(1, seed=1, frame="adverb")
    with pytest.raises(DataError, match="distance 2 came; expected 3 to 14"):
        sense_sets(1, seed=1, distance=2)
    with pytest.raises(DataError, match=r"\['seal'\] came; expected some of bank"):
        sense_sets(1, seed=1, distance=5, split="selection", words=["seal"])
    with pytest.raises(DataError, match="20000 pairs in a row did not fit"):
        next(search(lambda number: None, "pairs"))


def test_a_paragraph_keeps_one_sense_and_its_words_are_the_splits():
    """Of each paragraph's cues all are of one sense of one word; over paragraphs every word comes in both senses."""
    cues = {noun.lemma: sense.sense for each in ambiguous() for sense, of in zip(each.senses, each.cues, strict=True) for noun in of}
    found = []
    for paragraph in islice(discourses(seed=3), 400):
        said = {cues[word] for word in re.findall(r"[a-z]+", paragraph) if word in cues}
        assert len(said) == 1
        found.append(said.pop())
        assert all(found[-1].split(".")[0] in sentence for sentence in paragraph.split(".")[:-1])
    assert len(set(found)) == 2 * len(ambiguous())
    assert list(islice(discourses(seed=3), 3)) == list(islice(discourses(seed=3), 3)) != list(islice(discourses(seed=4), 3))
    held = " ".join(islice(discourses(seed=3, split="confirmation"), 50))
    assert not {each.lemma for each in ambiguous("selection")} & set(re.findall(r"[a-z]+", held))
