"""What constructed models read: 61 short words in classes, three special tokens, one token a word.

The tokenizer puts <s> in front, which is where a head rests that finds nothing; the models count on it.
"""

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

SPECIAL = ("<s>", "<pad>", "<unk>")
CLASSES: dict[str, tuple[str, ...]] = {
    name: tuple(words.split())
    for name, words in {
        "animal": "cat dog fox hen cow pig bee owl ant bat",
        "thing": "box cup hat key map pen jar bag",
        "does to": "saw met fed hid led won",
        "does": "ran sat fell sang slept woke",
        "like": "red old big sad wet shy",
        "small": "the a and it but now then here there",
        "number": "one two three six ten",
        "place": "sea hill road farm lake yard",
        "weather": "day night sun rain wind",
    }.items()
}
VOCABULARY: tuple[str, ...] = (*SPECIAL, *(word for words in CLASSES.values() for word in words))


def ids_of(*words: str) -> list[int]:
    """Token ids of words of the vocabulary.

    Example:
        >>> ids_of("<s>", "cat", "dog")
        [0, 3, 4]
    """
    return [VOCABULARY.index(word) for word in words]


def word_tokenizer(n_ctx: int) -> PreTrainedTokenizerFast:
    """A fast tokenizer over the vocabulary, which begins each text with <s>.

    Example:
        >>> word_tokenizer(64)("the cat saw a zebra")["input_ids"] == ids_of("<s>", "the", "cat", "saw", "a", "<unk>")
        True
    """
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", unk_token="<unk>", model_max_length=n_ctx
    )


def subject_sentences() -> list[tuple[str, str, str]]:
    """All sentences of a toy grammar as (text, subject, object): "the" marks the subject, "a" the object, both are animals.

    Every third begins with "now" and every third with "now then", so that the subject has no position of its own.

    Example:
        >>> subject_sentences()[1]
        ('now the cat met a fox and it', 'cat', 'fox')
    """
    animals, verbs, openings = CLASSES["animal"], CLASSES["does to"], ("", "now ", "now then ")
    pairs = [(subject, other) for subject in animals for other in animals if other != subject]
    return [
        (f"{openings[number % 3]}the {subject} {verbs[number % len(verbs)]} a {other} and it", subject, other)
        for number, (subject, other) in enumerate(pairs)
    ]
