"""Selectors mean the words that they name, and a wrong one is refused by its part."""

import pytest

from interp.core.errors import ClaimError
from interp.texts.example import Example
from interp.texts.grammar.generate import generate
from interp.texts.grammar.write import write_conllu
from interp.texts.selectors import parse_selector, select, select_from
from interp.texts.treebank import read_treebank
from interp.texts.words import Sentence, Word

ROWS = [  # form, lemma, upos, deprel, head
    ("She", "she", "PRON", "nsubj", 2),
    ("saw", "see", "VERB", "root", 0),
    ("old", "old", "ADJ", "amod", 4),
    ("dogs", "dog", "NOUN", "obj", 2),
    ("and", "and", "CCONJ", "cc", 6),
    ("cats", "cat", "NOUN", "conj:and", 4),
]


FEATS = {"She": "Number=Sing", "saw": "Tense=Past|VerbForm=Fin", "dogs": "Number=Plur", "cats": "Number=Plur"}


@pytest.fixture(scope="module")
def example() -> Example:
    words = tuple(
        Word(id=number, form=form, lemma=lemma, upos=upos, deprel=deprel, head=head, span=(number, number + 1), feats=FEATS.get(form, "_"))
        for number, (form, lemma, upos, deprel, head) in enumerate(ROWS, 1)
    )
    n = len(words)
    return Example(
        text="x" * 9, ids=(0,) * n, tokens=("",) * n, spans=((0, 0),) * n, special=(False,) * n, words=words,
        word_tokens=tuple((place,) for place in range(n)), links=(("Antecedent", 3, 0),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("selector", "places"),
    [
        ("upos=NOUN", [3, 5]),
        ("upos=NOUN|PRON", [0, 3, 5]),
        ("deprel=conj", [5]),
        ("deprel=conj:and", [5]),
        ("lemma=see", [1]),
        ("form=Dogs", []),
        ("form~.*s", [3, 5]),
        ("form~[a-z]ogs & upos = NOUN", [3]),
        ("upos=NOUN & deprel=amod", []),
        ("Number=Plur", [3, 5]),
        ("Number=Sing|Plur & upos=PRON", [0]),
        ("Tense~Pa.*", [1]),
        ("Mood=Imp", []),
    ],
)
def test_words(example, selector, places):
    assert select(parse_selector(selector), example) == places


@pytest.mark.parametrize(
    ("selector", "start", "places"),
    [
        ("head", 2, [3]),
        ("head", 1, []),
        ("dependent", 1, [0, 3]),
        ("dependent & upos=NOUN", 1, [3]),
        ("offset=-2", 3, [1]),
        ("offset=+2", 5, []),
        ("link=Antecedent", 3, [0]),
        ("link=Antecedent", 0, []),
        ("link=antecedent", 3, []),
        ("upos=NOUN", 3, [5]),
        ("upos=NOUN & offset=2", 3, [5]),
    ],
)
def test_from_a_word(example, selector, start, places):
    assert select_from(parse_selector(selector, relative=True), example, start) == places


@pytest.mark.parametrize(
    ("selector", "relative", "told"),
    [
        ("", False, "'' in '' is no condition; expected upos=..., deprel=..., lemma=..., form=..., Number=..., joined by &"),
        ("upos", False, "is no condition"),
        ("case=Acc", False, "'case=Acc' in 'case=Acc' is no condition"),
        ("upos=NOUN & head", False, "'head' in 'upos=NOUN & head' is no condition"),
        (
            "head=3",
            True,
            "is no condition; expected upos=..., deprel=..., lemma=..., form=..., Number=..., head, dependent, offset=-1, link=NAME",
        ),
        ("offset", True, "is no condition"),
        ("offset=0", True, "offset=0 in 'offset=0' came; expected a number of words"),
        ("offset=first", True, "offset=first in 'offset=first' came"),
        ("offset~1", True, "is no condition"),
        ("head & offset=1", True, "names two places"),
        ("form~(", True, "'(' in 'form~(' is no regular expression"),
    ],
)
def test_refused(selector, relative, told):
    with pytest.raises(ClaimError) as error:
        parse_selector(selector, relative=relative)
    assert told in str(error.value)


def test_parts_of_one_token_are_never_meant(example):
    words = tuple(Word(**{**word.__dict__, "multiword": word.upos == "NOUN"}) for word in example.words)
    joined = Example(**{**example.__dict__, "words": words})
    assert select(parse_selector("form~.*"), joined) == [0, 1, 2, 4]


def test_links_go_through_a_file(tmp_path):
    sentences = [each for each in generate(400, seed=0) if isinstance(each, Sentence) and each.coreference]
    assert len(sentences) > 10
    write_conllu(sentences, tmp_path / "made.conllu")
    for made, read in zip(sentences, read_treebank(tmp_path / "made.conllu"), strict=True):
        assert [link for link in read.links if link[0] == "Antecedent"] == list(made.links)
        assert {pair[1:] for pair in made.links} == set(made.coreference)


def test_only_places_of_words_are_links(tmp_path):
    said = "Link:far=9|Link:word=2|Link:self=1|Sense=b|Align=2", "SpaceAfter=No|Link:back=1|Antecedent=1"
    rows = [f"1\ta\ta\tX\t_\t_\t0\troot\t_\t{said[0]}", f"2\tb\tb\tX\t_\t_\t1\tdep\t_\t{said[1]}"]
    (tmp_path / "two.conllu").write_text("\n".join(rows) + "\n\n")
    assert read_treebank(tmp_path / "two.conllu")[0].links == (("word", 0, 1), ("back", 1, 0), ("Antecedent", 1, 0))
