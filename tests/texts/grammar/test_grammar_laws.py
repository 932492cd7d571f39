"""What holds of every generated sentence, over thousands of them: trees, constituents, agreement, reference, alignment."""

from collections import Counter
from dataclasses import replace

import pytest

from interp.core.errors import DataError
from interp.texts.grammar.generate import KINDS, generate, passages, stream, texts
from interp.texts.grammar.lexicon import check_split, vocabulary
from interp.texts.grammar.sentence import Constituent

N = 1500
BE = {"is": {"Sing"}, "are": {"Plur"}, "was": {"Sing"}, "were": {"Plur"}, "does": {"Sing"}, "do": {"Plur"}, "has": {"Sing"}}
PRONOUNS = {"he": "m", "him": "m", "his": "m", "she": "f", "her": "f", "it": "n", "its": "n", "they": "p", "them": "p", "their": "p"}
MALE = {
    "John",
    "Tom",
    "Peter",
    "Jack",
    "David",
    "Bill",
    "Paul",
    "Mark",
    "Sam",
    "Henry",
    "man",
    "king",
    "uncle",
    "prince",
    "monk",
    "boy",
    "grandfather",
    "actor",
    "waiter",
}
FEMALE = {
    "Mary",
    "Anna",
    "Lucy",
    "Emma",
    "Lily",
    "Alice",
    "Helen",
    "Sarah",
    "Kate",
    "Jane",
    "girl",
    "grandmother",
    "actress",
    "nun",
    "woman",
    "queen",
    "aunt",
    "princess",
    "witch",
}
CONTENT = {"NOUN", "PROPN", "VERB", "ADJ", "ADV", "NUM"}


@pytest.fixture(scope="module")
def sentences():
    return generate(N, seed=11)


def crossing(words):
    """Pairs of arcs that cross."""
    arcs = [tuple(sorted((word.index, word.head_index))) for word in words if word.head]
    return [(a, b) for a in arcs for b in arcs if a[0] < b[0] < a[1] < b[1]]


def gender(word):
    return "m" if word.lemma in MALE else "f" if word.lemma in FEMALE else ""


def test_every_kind_comes(sentences):
    assert set(Counter(each.kind for each in sentences)) == set(KINDS)


def test_one_root_and_no_cycle(sentences):
    for sentence in sentences:
        assert [word.head for word in sentence.words].count(0) == 1
        for word in sentence.words:
            seen = set()
            while word.head:
                assert word.id not in seen
                seen.add(word.id)
                word = sentence.words[word.head_index]


def test_arcs_do_not_cross(sentences):
    assert not any(crossing(sentence.words) for sentence in sentences)
    tangled = [replace(word, head=head) for word, head in zip(sentences[0].words[:4], (3, 4, 0, 3), strict=True)]
    assert crossing(tangled)  # the law can fail


def test_root_and_relation_go_together(sentences):
    for sentence in sentences:
        assert all((word.head == 0) == (word.deprel == "root") for word in sentence.words)


def test_words_spell_the_text(sentences):
    for sentence in sentences:
        assert [sentence.text[slice(*word.span)] for word in sentence.words] == [word.form for word in sentence.words]
        assert sentence.text[0].isupper()
        assert sentence.text[-1] in ".?"
        assert "  " not in sentence.text
        assert " ," not in sentence.text


def test_articles_fit_the_next_word(sentences):
    for sentence in sentences:
        for word, following in zip(sentence.words, sentence.words[1:], strict=False):
            if word.form.lower() in ("a", "an"):
                assert (word.form.lower() == "an") == (following.form[0].lower() in "aeiou")


def test_constituents_are_nested_and_have_one_head_each(sentences):
    for sentence in sentences:
        spans = sentence.constituents
        assert (spans[0].start, spans[0].end) == (0, len(sentence.words))
        for span in spans:
            outside = [word for word in sentence.words[span.start : span.end] if not _inside(word.head_index, span)]
            assert len(outside) == 1  # one word of it has its head elsewhere
        assert not [(a, b) for a in spans for b in spans if a.start < b.start < a.end < b.end]


def _inside(place, span: Constituent):
    return place is not None and span.start <= place < span.end


def test_a_constituents_text_is_its_words(sentences):
    sentence = sentences[0]
    assert sentence.constituent_text(sentence.constituents[0]) == sentence.text


def test_finite_verbs_agree(sentences):
    """Read off forms alone: is/are and -s against the number that the subject's form shows."""
    checked = Counter()
    for sentence in sentences:
        for word in sentence.words:
            if word.relation != "nsubj":
                continue
            number = subject_number(sentence.words, word)
            verb = sentence.words[word.head_index]
            helpers = [each for each in sentence.words if each.head == verb.id and each.upos == "AUX"]
            for each in [each for each in helpers if each.form.lower() in BE] or ([verb] if not helpers else []):
                if each.form.lower() in BE:
                    assert number in BE[each.form.lower()], sentence.text
                elif "Tense=Pres" in each.feats:
                    assert (each.form != each.lemma) == (number == "Sing"), sentence.text
                    checked[number] += 1
    assert min(checked["Sing"], checked["Plur"]) > 50


def subject_number(words, subject):
    if subject.deprel == "nsubj" and "PronType=Rel" in subject.feats:
        antecedent = next(words[word.head_index] for word in words if word.deprel == "acl:relcl" and word.id == subject.head)
        return subject_number(words, antecedent)
    if any(word.deprel == "conj" and word.head == subject.id and word.upos in ("NOUN", "PROPN") for word in words):
        return "Plur"
    if subject.upos == "PRON":
        return "Plur" if subject.form.lower() in ("they", "them") else "Sing"
    return "Plur" if subject.upos == "NOUN" and subject.form.lower() != subject.lemma else "Sing"


def test_determiners_agree_with_their_nouns(sentences):
    plural, singular = {"these", "those", "two", "three", "some", "many"}, {"a", "an", "this"}
    for sentence in sentences:
        for word in sentence.words:
            if word.relation in ("det", "nummod", "amod") and word.form.lower() in plural | singular:
                noun = sentence.words[word.head_index]
                if noun.lemma not in ("week", "month", "day", "night"):
                    assert (noun.form.lower() == noun.lemma) == (word.form.lower() in singular), sentence.text


def test_pronouns_fit_their_antecedents_and_have_one(sentences):
    seen = Counter()
    for sentence in sentences:
        links = dict(sentence.coreference)
        for word in sentence.words:
            kind = PRONOUNS.get(word.form.lower()) if word.upos == "PRON" else None
            if kind:
                assert word.index in links, sentence.text
                assert fits(kind, sentence.words, sentence.words[links[word.index]]), sentence.text
                seen[kind] += 1
    assert set(seen) == {"m", "f", "n", "p"}


def fits(kind, words, antecedent):
    plural = subject_number(words, antecedent) == "Plur"
    return plural if kind == "p" else not plural and gender(antecedent) == {"n": ""}.get(kind, kind)


def test_a_pronoun_has_no_rival_unless_it_is_the_point(sentences):
    """Outside Winograd pairs no other noun before a pronoun can be meant by it."""
    people = _people()
    for sentence in sentences:
        for pronoun, antecedent in sentence.coreference if sentence.kind != "winograd" else ():
            kind = PRONOUNS[sentence.words[pronoun].form.lower()]
            rivals = [word for word in sentence.words[:pronoun] if word.upos in ("NOUN", "PROPN") and word.index != antecedent]
            rivals = [word for word in rivals if word.deprel not in ("conj", "obl:unmarked")]
            for word in rivals:
                assert not could_mean(kind, word, people), sentence.text


def _people():
    words = vocabulary("train")
    return {noun.lemma for noun in (*words.nouns["person"], *words.names)}


def could_mean(kind, word, people):
    plural = word.upos == "NOUN" and word.form.lower() != word.lemma
    if plural or kind == "p":
        return plural and kind == "p"
    if word.lemma not in people:
        return kind == "n"
    return kind in ("m", "f") and gender(word) in ("", kind)


def test_alignment_is_in_range_and_covers_content(sentences):
    for sentence in sentences:
        translation = sentence.translation
        assert "".join(translation.words) == translation.text
        for english, chinese in translation.alignment:
            assert 0 <= english < len(sentence.words)
            assert translation.words[chinese] in translation.text
            assert translation.words[chinese] not in "。，？"
        aligned = {english for english, _ in translation.alignment}
        for word in sentence.words:
            assert word.upos not in CONTENT or word.index in aligned, (sentence.text, word.form)


def test_chinese_is_written_in_chinese(sentences):
    for sentence in sentences:
        assert all("\u4e00" <= character <= "\u9fff" or character in "。，？" for character in sentence.translation.text)


def test_english_decides_the_chinese(sentences):
    known = {}
    for sentence in [*sentences, *generate(N // 3, seed=12, kinds=["intransitive", "copular", "goal", "relative", "sense"])]:
        assert known.setdefault(sentence.text, sentence.translation.text) == sentence.translation.text


def test_a_past_event_has_le_or_a_negation():
    for sentence in generate(500, seed=5, kinds=["goal"]):
        past = any("Tense=Past" in word.feats and word.upos == "VERB" for word in sentence.words)
        assert past == ("了" in sentence.translation.words), sentence.text


def test_the_same_seed_gives_the_same_sentences():
    assert generate(50, seed=1) == generate(50, seed=1)
    assert generate(50, seed=1) != generate(50, seed=2)
    assert generate(20, seed=1) == generate(50, seed=1)[:20]
    assert passages(5, seed=1) == passages(5, seed=1) != passages(5, seed=2)


def test_only_the_kinds_asked_for():
    assert {each.kind for each in generate(100, seed=1, kinds=["passive", "question"])} == {"passive", "question"}


def test_sentences_are_varied(sentences):
    assert len({each.text for each in sentences}) > 0.97 * N


def test_passages_link_their_sentences():
    for passage in passages(150, seed=3):
        assert any(here != there for (here, _), (there, _) in passage.coreference)
        for (here, pronoun), (there, antecedent) in passage.coreference:
            word = passage.sentences[there].words[antecedent]
            form = passage.sentences[here].words[pronoun].form.lower()
            assert fits(PRONOUNS[form], passage.sentences[there].words, word), passage.text
        assert passage.text == " ".join(each.text for each in passage.sentences)


def test_text_is_paragraphs():
    stream_of_text = texts(seed=1)
    for _ in range(20):
        paragraph = next(stream_of_text)
        assert 3 <= paragraph.count(".") + paragraph.count("?") <= 14
        assert paragraph[0].isupper()


def test_a_wrong_split_or_kind_is_refused():
    with pytest.raises(DataError, match=r"split 'dev' came; expected one of train, selection, confirmation"):
        check_split("dev")
    with pytest.raises(DataError, match=r"kinds \['verbless'\] came; expected some of intransitive"):
        stream(seed=1, kinds=["verbless"])
