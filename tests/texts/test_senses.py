"""Sentences with marked senses: of CoarseWSD-20's files, and of the grammar."""

import json
import os
from pathlib import Path

import pytest

from interp.core.errors import DataError
from interp.texts.grammar.senses import sense_sets
from interp.texts.senses import read_senses, sense_sentences, senses_of


@pytest.fixture
def folder(tmp_path):
    """One word of three sentences, one of them twice."""

    def make(data, gold, name="bank"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "classes_map.txt").write_text(json.dumps({"0": "bank_money", "1": "bank_river"}))
        for split, lines, numbers in (("train", data, gold), ("test", data[:1], gold[:1])):
            (tmp_path / name / f"{split}.data.txt").write_text("\n".join(lines) + "\n")
            (tmp_path / name / f"{split}.gold.txt").write_text("\n".join(numbers) + "\n")
        return tmp_path

    return make


def test_a_word_its_place_and_its_sense(folder):
    found = read_senses(folder(["1\tthe bank  of the river", "0\tbank notes"], ["1", "0"]))
    assert [one.text for one in found] == [
        "the bank  of the river",
        "bank notes",
    ]  # the test file's sentence is the same, and once is enough
    assert [senses_of(one.links) for one in found] == [[(1, "bank_river")], [(0, "bank_money")]]
    for one in found:
        assert [one.text[slice(*word.span)] for word in one.words] == [word.form for word in one.words]
        assert [word.index for word in one.words] == list(range(len(one.words)))
    assert len({one.document for one in found}) == 2


def test_a_place_that_is_another_word_is_left_out(folder):
    assert [one.text for one in read_senses(folder(["1\tthe bank", "0\tthe bank again"], ["1", "1"]))] == ["the bank"]


def test_what_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match=r"no folder of a word with classes_map\.txt; expected that of CoarseWSD-20"):
        read_senses(tmp_path)
    there = folder(["1\tthe bank"], ["1"])
    with pytest.raises(DataError, match=r"no folder of a word seal; .* which has bank"):
        read_senses(there, ["seal"])
    with pytest.raises(DataError, match=r"train\.data\.txt, line 1: 'the bank' with sense bank_river came; expected a place, a tab"):
        read_senses(folder(["the bank"], ["1"]))
    with pytest.raises(DataError, match=r"line 2: '5\\tthe bank'"):
        read_senses(folder(["1\tthe bank", "5\tthe bank"], ["1", "1"]))
    with pytest.raises(DataError, match="with sense None came"):
        read_senses(folder(["1\tthe bank"], ["7"]))
    with pytest.raises(DataError, match="2 sentences and 1 senses; expected as many"):
        read_senses(folder(["1\tthe bank", "1\ta bank"], ["1"]))


def test_sentences_of_the_grammar_are_marked_where_it_says():
    sets = sense_sets(4, seed=2, distance=5)
    found = sense_sentences(sets)
    assert len(found) == 8
    for each, (first, second) in zip(sets, zip(found[::2], found[1::2], strict=True), strict=True):
        assert senses_of(first.links) == [(each.target, each.names[0])]
        assert senses_of(second.links) == [(each.target, each.names[1])]
        assert first.document == second.document


def test_the_published_files():
    data = os.environ.get("INTERP_DATA")
    folder = Path(data or "") / "coarsewsd20" / "data" / "CoarseWSD-20"
    if not data or not folder.is_dir():
        pytest.skip("INTERP_DATA does not name a folder with coarsewsd20; set it to run this")
    found = read_senses(folder, ["bank", "club"])
    assert read_senses(Path(data) / "coarsewsd20", ["bank", "club"]) == found  # the repository's folder, as it is downloaded
    names = [sense for one in found for _, sense in senses_of(one.links)]
    assert {name for name in names if name.startswith("bank")} == {"bank_bank", "bank_bank_(geography)"}
    assert 1500 < sum(name.startswith("bank") for name in names) <= 1107 + 455  # lines of the two files, less what comes twice
    assert all(one.words[place].form in ("bank", "club") for one in found for place, _ in senses_of(one.links))
