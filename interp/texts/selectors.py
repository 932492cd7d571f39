"""Which words of an annotated sentence are meant? One line that a person writes, and that a claim keeps.

    upos=PRON                   part of speech; also deprel (subtype or not), lemma, form
    Number=Plur                 a morphological feature, by its name in the treebank (with a capital)
    lemma=it|they               any of these
    form~un.*ed                 a regular expression for the whole word (`~` in place of `=`)
    upos=VERB & lemma~s.*       all of these

and, said of another word, where that one is:

    head   dependent            what it hangs on; what hangs on it
    dependent & deprel=obj      of those, the ones that ...
    offset=-2                   two words before it
    link=Antecedent             what a pair annotation of that name leads to (in CoNLL-U's MISC `Antecedent=3` or `Link:NAME=3`)

Parts of a multiword token ("don't" is "do" and "n't") share their characters, so that none of them is ever meant.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from interp.core.errors import ClaimError
from interp.texts.example import Example
from interp.texts.words import Word

_FIELDS: dict[str, Callable[[Word], tuple[str, ...]]] = {
    "upos": lambda word: (word.upos,),
    "deprel": lambda word: (word.deprel, word.relation),
    "lemma": lambda word: (word.lemma,),
    "form": lambda word: (word.form,),
}
_PLACES = ("head", "dependent", "offset", "link")
_PART = re.compile(r"\s*(\w+)\s*(?:([=~])\s*(.+?))?\s*")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One condition: a field (or a place), how it is compared ("=", "~", or "" for a place), and with what."""

    field: str
    sign: str
    value: str

    def holds(self, word: Word) -> bool:
        """Whether a word meets the condition."""
        values = _FIELDS[self.field](word) if self.field in _FIELDS else (word.feature(self.field),)
        if self.sign == "~":
            return any(re.fullmatch(self.value, value) for value in values)
        return any(value in self.value.split("|") for value in values)

    def leads(self, example: Example, start: int, place: int) -> bool:
        """Whether the condition on places leads from one word to another."""
        if self.field == "head":
            return example.words[start].head_index == place
        if self.field == "dependent":
            return example.words[place].head_index == start
        if self.field == "offset":
            return place - start == int(self.value)
        return (self.value, start, place) in example.links


def parse_selector(text: str, *, relative: bool = False) -> tuple[Part, ...]:
    """The conditions of a selector.

    Args:
        relative: whether places ("head", "offset=-1") may be said, of a word that is looked from.
    Raises: ClaimError naming the part that is wrong, and what is allowed.

    Example:
        >>> [part.field for part in parse_selector("dependent & deprel=obj", relative=True)]
        ['dependent', 'deprel']
    """
    parts = tuple(_part(piece, text, relative) for piece in text.split("&"))
    if sum(part.field in _PLACES for part in parts) > 1:
        raise ClaimError(f"{text!r} names two places; expected one of {', '.join(_PLACES)}, with conditions on the word there")
    return parts


def _part(piece: str, text: str, relative: bool) -> Part:
    found = _PART.fullmatch(piece)
    allowed = ", ".join(f"{field}=..." for field in (*_FIELDS, "Number")) + (", head, dependent, offset=-1, link=NAME" if relative else "")
    if not found:
        raise ClaimError(f"{piece.strip()!r} in {text!r} is no condition; expected {allowed}, joined by &")
    field, sign, value = found[1], found[2] or "", found[3] or ""
    known = field in _FIELDS or field[0].isupper() or (relative and field in _PLACES)
    whole = field in ("head", "dependent")
    if not known or whole == bool(sign) or (field in ("offset", "link") and sign != "="):
        raise ClaimError(f"{piece.strip()!r} in {text!r} is no condition; expected {allowed}, joined by &")
    _check_value(field, sign, value, text)
    return Part(field=field, sign=sign, value=value)


def _check_value(field: str, sign: str, value: str, text: str) -> None:
    if field == "offset" and not re.fullmatch(r"[+-]?[1-9]\d*", value):
        raise ClaimError(f"offset={value} in {text!r} came; expected a number of words, before (-1) or behind (1), not 0")
    if sign == "~":
        try:
            re.compile(value)
        except re.error as error:
            raise ClaimError(f"{value!r} in {text!r} is no regular expression: {error}") from error


def select(parts: Sequence[Part], example: Example) -> list[int]:
    """Places of the words that meet all conditions."""
    return [place for place, word in enumerate(example.words) if not word.multiword and all(part.holds(word) for part in parts)]


def select_from(parts: Sequence[Part], example: Example, start: int) -> list[int]:
    """Places of the other words that meet all conditions, seen from the word at `start`."""
    places = [part for part in parts if part.field in _PLACES]
    conditions = [part for part in parts if part.field not in _PLACES]
    among = [place for place in select(conditions, example) if place != start]
    return [place for place in among if all(part.leads(example, start, place) for part in places)]
