"""CoNLL-U out, and back through the treebank reader."""

import pytest

from interp.texts.grammar.generate import generate, passages
from interp.texts.grammar.write import conllu, write_conllu
from interp.texts.treebank import read_treebank
from interp.texts.words import Sentence, Word


def plain(sentence):
    """What a treebank knows of a sentence."""
    fields = ("id", "form", "lemma", "upos", "deprel", "head", "span", "feats")
    words = tuple(Word(**{name: getattr(word, name) for name in fields}) for word in sentence.words)
    return Sentence(id=sentence.id, text=sentence.text, words=words, document=sentence.document, links=sentence.links)


def misc(text):
    """{sent_id: {word id: {key: value}}} of a CoNLL-U text."""
    found, name = {}, ""
    for line in text.splitlines():
        if line.startswith("# sent_id = "):
            name = line.partition(" = ")[2]
            found[name] = {}
        elif line and not line.startswith("#"):
            fields = line.split("\t")
            found[name][int(fields[0])] = dict(part.split("=") for part in fields[9].split("|") if "=" in part)
    return found


@pytest.mark.parametrize("split", ["train", "selection", "confirmation"])
def test_the_treebank_reader_reads_the_same_back(tmp_path, split):
    sentences = generate(300, seed=1, split=split)
    write_conllu(sentences, tmp_path / "made.conllu")
    assert read_treebank(tmp_path / "made.conllu") == [plain(each) for each in sentences]


def test_passages_are_documents(tmp_path):
    found = passages(50, seed=1)
    write_conllu(found, tmp_path / "made.conllu")
    read = read_treebank(tmp_path / "made.conllu")
    assert read == [plain(each) for passage in found for each in passage.sentences]
    assert len({each.document for each in read}) == 50


def test_misc_has_reference_senses_and_alignment():
    sentences = generate(400, seed=2)
    fields = misc(conllu(sentences))
    for sentence in sentences:
        rows = fields[sentence.id]
        assert {(i - 1, int(row["Antecedent"]) - 1) for i, row in rows.items() if "Antecedent" in row} == set(sentence.coreference)
        assert {(i - 1, row["Sense"]) for i, row in rows.items() if "Sense" in row} == set(sentence.senses)
        links = {(i - 1, int(zh) - 1) for i, row in rows.items() if "Align" in row for zh in row["Align"].split(",")}
        assert links == set(sentence.translation.alignment)


def test_an_antecedent_in_an_earlier_sentence_is_named_with_it():
    passage = passages(1, seed=1)[0]
    fields = misc(conllu([passage]))
    (_, pronoun), (_, antecedent) = next(link for link in passage.coreference if link[0][0] != link[1][0])
    assert fields[passage.sentences[1].id][pronoun + 1]["Antecedent"] == f"{passage.sentences[0].id}:{antecedent + 1}"


def test_comments_have_the_translation_and_the_constituents():
    sentence = generate(1, seed=2)[0]
    lines = conllu([sentence]).splitlines()
    assert f"# text_zh = {sentence.translation.text}" in lines
    assert f"# words_zh = {' '.join(sentence.translation.words)}" in lines
    outer = next(line for line in lines if line.startswith("# constituents")).split()[3]
    assert outer.endswith(f":1-{len(sentence.words)}")
