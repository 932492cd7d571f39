"""Treebank sentences as a model reads them: nothing is left out in silence."""

import pytest

from interp.core.errors import TextError
from interp.texts.sentences import annotate, examples, skipped_counts
from interp.texts.treebank import read_treebank
from interp.texts.words import Sentence, Word


def sentence(text, *, name="s-1"):
    """Words at spaces, each one's head the word before."""
    spans, place = [], 0
    for form in text.split(" "):
        spans.append((place, place + len(form)))
        place += len(form) + 1
    words = [
        Word(id=i, form=text[slice(*span)], lemma="_", upos="X", deprel="dep", head=i - 1, span=span) for i, span in enumerate(spans, 1)
    ]
    return Sentence(id=name, text=text, words=tuple(words), document="doc")


def test_words_are_spelt_by_their_tokens(tokenizers, kind):
    example = annotate(sentence("The café by 猫 isn't steep"), tokenizers[kind])
    assert (example.name, example.document) == ("s-1", "doc")
    for word, positions in zip(example.words, example.word_tokens, strict=True):
        start = min(example.spans[pos][0] for pos in positions)
        end = max(example.spans[pos][1] for pos in positions)
        assert example.text[start:end].strip() == word.form
        assert not any(example.special[pos] for pos in positions)


def test_what_cannot_be_read_is_returned_apart_with_the_reason(tokenizers):
    given = [sentence("The bank", name="a"), sentence("the river is steep by the bank", name="b"), sentence("the \u200b bank", name="c")]
    read, skipped = examples(given, tokenizers["word_piece"], n_ctx=8)
    assert [each.name for each in read] + [each.name for each in skipped] == ["a", "b", "c"]
    assert [(each.name, each.kind) for each in skipped] == [("b", "TextTooLong"), ("c", "AlignmentError")]
    assert "the model's context holds 8" in skipped[0].reason
    assert skipped_counts(skipped) == {"TextTooLong": 1, "AlignmentError": 1}
    assert len(examples(given, tokenizers["word_piece"])[0]) == 2


def test_a_slow_tokenizer_does_not_skip_everything(slow):
    with pytest.raises(TextError, match="not a fast tokenizer"):
        examples([sentence("The bank")], slow)


@pytest.mark.parametrize("kind", ["byte_level", "word_piece"])
def test_a_treebank_is_read_or_accounted_for(tokenizers, treebanks, kind):
    sentences = read_treebank(treebanks / "ud_english_ewt/en_ewt-ud-dev.conllu")[:400]
    read, skipped = examples(sentences, tokenizers[kind])
    assert len(read) + len(skipped) == 400
    assert len(skipped) <= 4  # these tokenizers have no piece over two words
    shared = [example for example in read if any(word.multiword for word in example.words)]
    assert shared
    for example in shared:
        by_span = {word.span: tokens for word, tokens in zip(example.words, example.word_tokens, strict=True)}
        assert all(by_span[word.span] == tokens for word, tokens in zip(example.words, example.word_tokens, strict=True))
