"""Tokens as people read them, and windows over long texts."""

import re

import pytest

from interp.core.errors import DataError, EmptyText, TextError, TextTooLong
from interp.texts.example import Example
from interp.texts.tokens import FastTokenizer, decoder_row, spelled, tokenize, windows

TEXTS = ["The bank by the river is steep .", "Zoë saw  the 猫 , isn't it ?", " he 🙂", "河边的银行很陡"]


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_the_tokenizers_own_and_every_letter_is_in_a_token(tokenizers, kind, text):
    tokenizer = tokenizers[kind]
    example = tokenize(text, tokenizer)
    assert list(example.ids) == tokenizer(text, truncation=False, padding=False)["input_ids"]
    covered = {place for start, end in example.spans for place in range(start, end)}
    assert {place for place, letter in enumerate(text) if not letter.isspace()} <= covered


@pytest.mark.parametrize("text", TEXTS)
def test_no_tokenizer_sign_reaches_the_screen(tokenizers, kind, text):
    tokenizer = tokenizers[kind]
    example = tokenize(text, tokenizer)
    for token, (start, end), special in zip(example.tokens, example.spans, example.special, strict=True):
        assert token
        assert not re.search("Ġ|Ċ|▁|##|�", token)
        if end > start and not special:
            assert token.removesuffix(text[start:end]) == "" or re.fullmatch(re.escape(text[start:end]) + r" \d+/\d+", token)


def test_no_sign_is_in_any_entry_of_a_vocabulary_by_itself(tokenizers, kind):
    tokenizer = tokenizers[kind]
    for number in range(len(tokenizer)):
        if number not in tokenizer.all_special_ids:
            written = spelled(number, tokenizer)
            assert written
            assert not re.search("Ġ|Ċ|▁|�", written)
            assert not (written.startswith("##") and len(written) > 2)


def test_bytes_that_are_no_character_are_shown_as_bytes(tokenizers):
    tokenizer = tokenizers["byte_level"]
    pieces = tokenizer("猫")["input_ids"]
    assert [spelled(piece, tokenizer) for piece in pieces[-3:]] == [f"byte {byte:02X}" for byte in "猫".encode()]


def test_raw_pieces_do_have_those_signs(tokenizers):
    """The negative control: without the module, people would see them."""
    raw = "".join(
        tokenizers[kind].convert_ids_to_tokens(tokenizers[kind]("the 猫 saw")["input_ids"])[1]
        for kind in ("byte_level", "word_piece", "metaspace")
    )
    assert re.search("Ġ|▁|##", raw)


def test_a_character_over_several_tokens_is_numbered(tokenizers):
    assert tokenize("猫 is", tokenizers["byte_level"]).tokens[:3] == ("猫 1/3", "猫 2/3", "猫 3/3")
    assert tokenize("🙂", tokenizers["byte_level"]).tokens == ("🙂 1/4", "🙂 2/4", "🙂 3/4", "🙂 4/4")
    assert "/" not in "".join(tokenize("the river", tokenizers["byte_level"]).tokens)


def test_a_space_before_a_word_is_shown_as_the_tokenizer_has_it(tokenizers):
    assert tokenize("The river", tokenizers["byte_level"]).tokens == ("The", " river")
    assert tokenize("The river", tokenizers["byte_level_trimmed"]).tokens == ("The", "river")
    assert tokenize("The river", tokenizers["metaspace"]).tokens[-1].startswith(" ")


def test_an_invented_space_covers_nothing_of_the_text(tokenizers):
    example = tokenize("Q the", tokenizers["metaspace"])
    assert example.tokens[:2] == (" ", "Q")
    assert example.spans[:2] == ((0, 0), (0, 1))


def test_special_tokens_have_their_own_names_and_no_span(tokenizers):
    example = tokenize("the bank", tokenizers["word_piece"])
    assert (example.tokens[0], example.tokens[-1]) == ("[CLS]", "[SEP]")
    assert example.special == (True, *[False] * (len(example) - 2), True)
    assert {example.spans[0], example.spans[-1]} == {(0, 0)}
    bare = tokenize("the bank", tokenizers["word_piece"], add_special_tokens=False)
    assert bare.ids == example.ids[1:-1]
    assert not any(bare.special)


def test_a_special_token_written_in_the_text_is_special_and_an_unknown_word_is_not(tokenizers):
    assert tokenize("<|end|>the", tokenizers["byte_level"]).special[:2] == (True, False)
    unknown = tokenize("the 猫", tokenizers["word_piece"])
    assert unknown.tokens[-2] == "猫"
    assert not unknown.special[-2]


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_an_empty_text_is_refused(tokenizers, text):
    with pytest.raises(EmptyText, match="the text is empty; expected at least one word"):
        tokenize(text, tokenizers["word_piece"])


def test_a_text_of_which_nothing_is_left_is_refused(tokenizers):
    with pytest.raises(EmptyText, match="makes no token of the text"):
        tokenize("\u200b\x00", tokenizers["word_piece"])
    with pytest.raises(EmptyText, match="makes no token of the text"):
        tokenize("<|end|>", tokenizers["byte_level"])


def test_a_long_text_is_refused_and_not_cut(tokenizers):
    text = "the river is steep"
    n_tokens = len(tokenize(text, tokenizers["word_piece"]))
    assert len(tokenize(text, tokenizers["word_piece"], n_ctx=n_tokens)) == n_tokens
    expected = rf"the text has {n_tokens} tokens, the model's context holds {n_tokens - 1}: shorten it, or ask for a window \(window=True\)"
    with pytest.raises(TextTooLong, match=expected):
        tokenize(text, tokenizers["word_piece"], n_ctx=n_tokens - 1)


def test_a_slow_tokenizer_is_refused(slow):
    with pytest.raises(TextError, match="Slow is not a fast tokenizer"):
        tokenize("the", slow)


def test_a_fast_tokenizer_of_transformers_is_what_is_needed(tokenizers):
    assert isinstance(tokenizers["word_piece"], FastTokenizer)


def test_no_warning_for_a_text_longer_than_the_tokenizers_own_limit(tokenizers, caplog):
    tokenizer = tokenizers["byte_level"]
    tokenizer.model_max_length, before = 4, tokenizer.model_max_length
    try:
        assert len(tokenize("the river is steep by the bank", tokenizer)) > 4
    finally:
        tokenizer.model_max_length = before
    assert not caplog.records


LONG = "The bank by the river is steep . He isn't here , is he ? They saw the café . " * 3


@pytest.mark.parametrize("kind", ["byte_level", "byte_level_trimmed", "word_piece", "metaspace", "prepended"])
def test_a_text_that_fits_is_one_window(tokenizers, kind):
    whole = tokenize(LONG, tokenizers[kind])
    assert windows(LONG, tokenizers[kind], len(whole)) == [whole]
    assert len(windows(LONG, tokenizers[kind], len(whole) - 1)) == 2


@pytest.mark.parametrize("kind", ["byte_level", "byte_level_trimmed", "word_piece", "metaspace", "prepended"])
def test_windows_without_overlap_are_the_whole_text_once(tokenizers, kind):
    body = tokenize(LONG, tokenizers[kind], add_special_tokens=False)
    cut = windows(LONG, tokenizers[kind], 12)
    plain = [pos for window in cut for pos in zip(window.ids, window.spans, window.special, strict=True) if not pos[2]]
    assert [(i, span) for i, span, _ in plain] == list(zip(body.ids, body.spans, strict=True))
    assert all(len(window) == 12 for window in cut[:-1])


def test_windows_agree_with_the_tokenizers_own_overflow(tokenizers):
    """Parity: transformers cuts the same way (its `stride` is the overlap)."""
    tokenizer = tokenizers["word_piece"]
    theirs = tokenizer(LONG, truncation=True, max_length=12, stride=3, return_overflowing_tokens=True, return_offsets_mapping=True)
    ours = windows(LONG, tokenizer, 12, stride=7)
    assert [list(window.ids) for window in ours] == theirs["input_ids"]
    assert [list(window.spans) for window in ours] == theirs["offset_mapping"]
    assert {(window.tokens[0], window.tokens[-1]) for window in ours} == {("[CLS]", "[SEP]")}


def test_a_special_token_written_in_the_text_is_not_put_around_each_window(tokenizers):
    cut = windows("<|end|>" + LONG, tokenizers["byte_level"], 12)
    assert [window.tokens[0] == "<|end|>" for window in cut] == [True] + [False] * (len(cut) - 1)


def test_windows_that_leave_no_room_or_tokens_out_are_refused(tokenizers):
    with pytest.raises(TextError, match="a context of 2 tokens came; expected at least 3: 2 of them are special"):
        windows(LONG, tokenizers["word_piece"], 2)
    for stride in (0, 11):
        with pytest.raises(TextError, match=f"a stride of {stride} tokens came; expected 1 to 10"):
            windows(LONG, tokenizers["word_piece"], 12, stride)
    with pytest.raises(EmptyText):
        windows(" ", tokenizers["word_piece"], 12)


def test_an_example_whose_fields_do_not_fit_is_refused():
    with pytest.raises(DataError, match="differ in length; expected one entry for each token"):
        Example(text="ab", ids=(1, 2), tokens=("a",), spans=((0, 1),), special=(False,))
    with pytest.raises(DataError, match="0 words came with tokens for 1"):
        Example(text="a", ids=(1,), tokens=("a",), spans=((0, 1),), special=(False,), word_tokens=((0,),))


def test_a_decoders_row_is_the_targets_shifted_right(tokenizers):
    """[start] + the target without its closing special token, as transformers shifts labels."""
    tokenizer = tokenizers["word_piece"]
    whole = tokenize("the river", tokenizer)
    start = tokenizer.all_special_ids[0]
    row = decoder_row("the river", tokenizer, start=start)
    closing = 1 if whole.special[-1] else 0
    assert row.ids == (start, *whole.ids[: len(whole) - closing])
    assert row.special[0]
    assert row.spans[0] == (0, 0)
    assert len(row.tokens) == len(row)
    with pytest.raises(TextTooLong):
        decoder_row("the river", tokenizer, start=start, n_ctx=1)
