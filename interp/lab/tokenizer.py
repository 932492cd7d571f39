"""The zoo's tokenizers: byte-level BPE for English, trained on the training books; for pairs, English pieces and Chinese characters."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"
MASK = "<|mask|>"
PADDING, END, UNKNOWN = "<pad>", "</s>", "<unk>"
CHINESE = "[\u3000-\u9fff\uff00-\uffef]"


def train_tokenizer(paths: list[Path], d_vocab: int, n_ctx: int) -> PreTrainedTokenizerFast:
    """A fast byte-level BPE tokenizer of `d_vocab` pieces; any text round-trips, since every byte is a piece."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([str(path) for path in paths], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_OF_TEXT, bos_token=END_OF_TEXT, pad_token=END_OF_TEXT, model_max_length=n_ctx
    )


def train_pair_tokenizer(sentences: Iterable[str], d_vocab: int, n_ctx: int) -> PreTrainedTokenizerFast:
    """A fast tokenizer of English pieces and single Chinese characters; a text ends with `</s>`. Padding is 0, the end 1, the unknown 2."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="never"), pre_tokenizers.Split(Regex(CHINESE), "isolated")]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    trainer = trainers.BpeTrainer(vocab_size=d_vocab, special_tokens=[PADDING, END, UNKNOWN], show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PADDING, unk_token=UNKNOWN, model_max_length=n_ctx)
