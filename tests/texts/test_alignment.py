"""Words and tokens by characters, with every kind of tokenizer."""

import re

import pytest

from interp.core.errors import AlignmentError
from interp.texts.alignment import align
from interp.texts.tokens import tokenize

TEXTS = ["The bank by the river is steep .", "Zoë isn't  by the café ?", "我 看见 了 一 只 猫"]


def word_spans(text):
    return [found.span() for found in re.finditer(r"\S+", text)]


@pytest.mark.parametrize("text", TEXTS)
def test_each_word_has_the_tokens_of_its_letters_and_no_others(tokenizers, kind, text):
    """Parity with the naive loop, letter by letter."""
    example = tokenize(text, tokenizers[kind])
    found = align(word_spans(text), example.spans, text=text)
    for (start, end), tokens in zip(word_spans(text), found, strict=True):
        naive = [pos for pos, (first, last) in enumerate(example.spans) if max(first, start) < min(last, end)]
        assert list(tokens) == naive
    shared = [pos for tokens in found for pos in tokens]
    assert len(shared) == len(set(shared))


@pytest.mark.parametrize("kind", ["byte_level", "word_piece", "chinese_bytes"])
@pytest.mark.parametrize("text", TEXTS)
def test_agrees_with_the_tokenizers_own_lookup(tokenizers, kind, text):
    """Parity: `char_to_token` finds a token of the word for each letter."""
    encoding = tokenizers[kind](text, truncation=False, padding=False)
    found = align(word_spans(text), tokenize(text, tokenizers[kind]).spans, text=text)
    for (start, end), tokens in zip(word_spans(text), found, strict=True):
        assert {encoding.char_to_token(place) for place in range(start, end)} <= set(tokens)


def test_agrees_with_text_given_as_words(tokenizers):
    """Parity: the tokenizer is told the words, and says which word each token is of."""
    text = "The bank by Zoë's café is steep"
    told = tokenizers["word_piece"](text.split(), is_split_into_words=True, truncation=False, padding=False)
    found = align(word_spans(text), tokenize(text, tokenizers["word_piece"]).spans, text=text)
    for number, tokens in enumerate(found):
        assert [pos for pos, word in enumerate(told.word_ids()) if word == number] == list(tokens)


def test_white_space_belongs_to_no_word():
    assert align([(0, 2), (4, 6)], [(0, 3), (3, 4), (4, 6)], text="ab  cd") == ((0,), (2,))
    assert align([(0, 6)], [(0, 2), (2, 3), (3, 6)], text="10 000") == ((0, 2),)


def test_parts_of_a_multiword_token_have_the_same_tokens():
    assert align([(0, 5), (0, 5), (6, 8)], [(0, 3), (3, 5), (5, 8)], text="don't go") == ((0, 1), (0, 1), (2,))


def test_a_token_over_two_words_is_refused():
    with pytest.raises(AlignmentError, match=re.escape("the token '.\"' covers word 2 ('.') and word 3 ('\"') in 'end.\"'")):
        align([(0, 3), (3, 4), (4, 5)], [(0, 3), (3, 5)], text='end."')


def test_a_word_without_a_token_is_refused():
    with pytest.raises(AlignmentError, match=r"word 2 \('cd'\) has no token in 'ab cd'"):
        align([(0, 2), (3, 5)], [(0, 0), (0, 2), (0, 0)], text="ab cd")


def test_a_word_that_the_tokenizer_drops_is_refused(tokenizers):
    text = "the \u200b bank"
    with pytest.raises(AlignmentError, match=r"word 2 .* has no token"):
        align(word_spans(text), tokenize(text, tokenizers["word_piece"]).spans, text=text)


def test_words_that_overlap_are_refused():
    with pytest.raises(AlignmentError, match=r"word 1 \('ab'\) and word 2 \('bc'\) overlap in 'abc'"):
        align([(0, 2), (1, 3)], [(0, 3)], text="abc")


def test_a_long_text_is_named_by_its_beginning():
    text = "a" * 200 + " b"
    with pytest.raises(AlignmentError, match=r"in 'a{77}\.\.\.'"):
        align([(0, 200), (201, 202)], [(0, 200)], text=text)
