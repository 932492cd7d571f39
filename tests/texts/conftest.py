"""Tiny fast tokenizers of every kind, trained here on a few sentences, and the folder of treebanks."""

import os
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

ENGLISH = ["The bank by the river is steep .", "He isn't here , is he ?", "The café by the river", "They saw the bank ."] * 3
CHINESE = ["河 边 的 银行 很 陡", "我 看见 了 一 只 猫", "猫 在 河 边"] * 3
KINDS = ["byte_level", "byte_level_trimmed", "word_piece", "metaspace", "prepended", "chinese_bytes", "chinese_words"]


def _fast(tokenizer, **names):
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _byte_level(corpus, *, trim=False, prefix=False, vocabulary=300):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    if trim:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    return _fast(tokenizer, eos_token="<|end|>", unk_token="<|end|>")


def _word_piece(corpus):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    tokenizer.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=60, special_tokens=special, show_progress=False))
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[SEP]", "[CLS]")]
    tokenizer.post_processor = processors.BertProcessing(*ids)
    tokenizer.enable_truncation(5)  # as sentence-transformers' files do: nothing may be cut in silence
    tokenizer.enable_padding(length=40)
    return _fast(tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]")


def _metaspace(corpus, *, prepended=False):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    if prepended:  # as Llama's: the normalizer does it
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<unk>", "</s>"]
    words = [word for sentence in corpus for word in sentence.split()]  # no piece over two words
    tokenizer.train_from_iterator(words, trainers.BpeTrainer(vocab_size=60, special_tokens=special, show_progress=False))
    return _fast(tokenizer, unk_token="<unk>", eos_token="</s>")


@pytest.fixture(scope="session")
def tokenizers():
    """One of each kind, by name."""
    return {
        "byte_level": _byte_level(ENGLISH),
        "byte_level_trimmed": _byte_level(ENGLISH, trim=True, prefix=True),
        "word_piece": _word_piece(ENGLISH),
        "metaspace": _metaspace(ENGLISH),
        "prepended": _metaspace(ENGLISH, prepended=True),
        "chinese_bytes": _byte_level(CHINESE, vocabulary=262),
        "chinese_words": _word_piece(CHINESE),
    }


class Slow:
    """A tokenizer that does not say where its tokens stand."""

    is_fast = False
    all_special_ids = ()

    def __call__(self, text, **options): ...

    def convert_ids_to_tokens(self, ids): ...

    def decode(self, token_ids): ...


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    """Each kind of tokenizer in turn."""
    return request.param


@pytest.fixture(scope="session")
def treebanks() -> Path:
    """The folder of treebanks."""
    folder = os.environ.get("INTERP_DATA")
    if not folder or not (Path(folder) / "ud_english_ewt").is_dir():
        pytest.skip("INTERP_DATA does not name a folder with ud_english_ewt; set it to run this")
    return Path(folder)
