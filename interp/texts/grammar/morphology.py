"""The regular forms of English words; what is irregular stands in the lexicon.

Only what the lexicon's words need: doubled consonants in short words, silent e, y after a consonant, sibilants.
"""

import re

_VOWELS = "aeiou"
_SIBILANT = re.compile(r"(s|x|z|ch|sh)$")
_SHORT = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")
_STRESSED_END = frozenset({"begin"})
_AN_AS_IF_CONSONANT = ("uni", "use")


def plural(noun: str) -> str:
    """The regular plural.

    Example:
        >>> plural("dog"), plural("box"), plural("story"), plural("toy")
        ('dogs', 'boxes', 'stories', 'toys')
    """
    return _with_s(noun)


def third_person(verb: str) -> str:
    """The present with "he": "goes", "carries".

    Example:
        >>> third_person("go"), third_person("carry"), third_person("watch"), third_person("see")
        ('goes', 'carries', 'watches', 'sees')
    """
    return verb + "es" if verb.endswith("o") else _with_s(verb)


def past(verb: str) -> str:
    """The regular past and past participle.

    Example:
        >>> past("plan"), past("carry"), past("bake"), past("open")
        ('planned', 'carried', 'baked', 'opened')
    """
    if verb.endswith("e"):
        return verb + "d"
    if _ends_consonant_y(verb):
        return verb[:-1] + "ied"
    return _doubled(verb) + "ed"


def present_participle(verb: str) -> str:
    """The form with -ing.

    Example:
        >>> [present_participle(verb) for verb in ("swim", "see", "write", "begin", "open", "eat")]
        ['swimming', 'seeing', 'writing', 'beginning', 'opening', 'eating']
    """
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    return _doubled(verb) + "ing"


def indefinite_article(following: str) -> str:
    """ "a" or "an", by the word that follows.

    Example:
        >>> indefinite_article("apple"), indefinite_article("dog"), indefinite_article("useful")
        ('an', 'a', 'a')
    """
    return "an" if following[0].lower() in _VOWELS and not following.lower().startswith(_AN_AS_IF_CONSONANT) else "a"


def _with_s(word: str) -> str:
    if _ends_consonant_y(word):
        return word[:-1] + "ies"
    return word + "es" if _SIBILANT.search(word) else word + "s"


def _ends_consonant_y(word: str) -> bool:
    return word.endswith("y") and word[-2] not in _VOWELS


def _doubled(verb: str) -> str:
    return verb + verb[-1] if _SHORT.fullmatch(verb) or verb in _STRESSED_END else verb
