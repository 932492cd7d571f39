"""The generator's words, and which of them each split may use.

Every content word (noun, verb, adjective, adverb, name, word of time) is in one of two halves. `selection` draws from the one,
`confirmation` from the other: a head chosen on the first is tested on words that the choice never saw. `train` has both,
since a model can know nothing of a word that it never read; that it never reads the *sentences* of the other two splits is
the matter of `held_out`. Articles, pronouns, prepositions, conjunctions, auxiliaries and numbers are in all splits.

The words themselves stand in `lexicon.yaml`, the ambiguous ones in `senses.yaml`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeVar

import yaml

from interp.core.errors import DataError
from interp.texts.grammar import morphology

Split = Literal["train", "selection", "confirmation"]
SPLITS: tuple[Split, ...] = ("train", "selection", "confirmation")
Named = TypeVar("Named")
HALVES: tuple[Split, ...] = ("selection", "confirmation")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Noun:
    """A noun, or a person's name. `kind` is its class ("animal"); `gender` "m", "f" or "" ; `sense` of an ambiguous one."""

    lemma: str
    plural: str
    zh: str
    classifier: str
    kind: str
    gender: str = ""
    proper: bool = False
    sense: str = ""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Verb:
    """A verb in one frame. `zh` has two parts where 了 stands inside (游了泳); `who` and `what` are classes of nouns."""

    lemma: str
    third: str
    past: str
    participle: str
    ing: str
    zh: tuple[str, ...]
    frame: str
    who: str
    what: str
    flags: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Adjective:
    """An adjective; `of` are the classes (or single nouns) that it can be said of; `predicate` stands only after a copula."""

    lemma: str
    zh: str
    of: frozenset[str] = frozenset()
    bare: bool = False
    colour: bool = False
    predicate: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Adverb:
    """An adverb, with the verbs that it goes with."""

    lemma: str
    zh: str
    verbs: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Time:
    """A time as an adjunct without a preposition: ("yesterday",) or ("last", "week")."""

    words: tuple[str, ...]
    zh: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Preposition:
    """A place's preposition; `zh` is what stands after the noun in Chinese (在...里)."""

    form: str
    zh: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Vocabulary:
    """The words of one split, by what a rule asks for.

    Attributes:
        nouns: by class and by group ("animal", "animate").
        verbs: by frame; those that no noun of the split goes with are left out.
        adjectives: by noun lemma.
        manner: by verb lemma.
        frequency, time: adverbs; times by "past", "future", "habit".
        names: people's names.
        places: (preposition, the nouns that it goes with).
    """

    nouns: Mapping[str, tuple[Noun, ...]]
    verbs: Mapping[str, tuple[Verb, ...]]
    adjectives: Mapping[str, tuple[Adjective, ...]]
    manner: Mapping[str, tuple[Adverb, ...]]
    frequency: tuple[Adverb, ...]
    time: Mapping[str, tuple[Time, ...]]
    names: tuple[Noun, ...]
    places: tuple[tuple[Preposition, tuple[Noun, ...]], ...]
    lemmas: frozenset[str] = field(repr=False, default=frozenset())


def check_split(split: str) -> None:
    """Raises: DataError for a split that does not exist."""
    if split not in SPLITS:
        raise DataError(f"split {split!r} came; expected one of {', '.join(SPLITS)}")


@cache
def vocabulary(split: Split) -> Vocabulary:
    """The words that a split may use.

    Raises: DataError for a split that does not exist.

    Example:
        >>> [noun.lemma for noun in vocabulary("selection").nouns["animal"]][:3]
        ['dog', 'horse', 'rabbit']
        >>> bool(vocabulary("selection").lemmas & vocabulary("confirmation").lemmas)
        False
    """
    check_split(split)
    rows = _of_split(read_yaml("lexicon.yaml"), HALVES if split == "train" else (split,))
    by_class = {kind: tuple(_noun(row, kind) for row in each) for kind, each in rows["nouns"].items()}
    every = tuple(noun for each in by_class.values() for noun in each)
    groups = {name: tuple(noun for noun in every if noun.kind in kinds) for name, kinds in rows["groups"].items()}
    adjectives = [_adjective(row) for row in rows["adjectives"]]
    verbs = {frame: tuple(_verb(row, frame) for row in each) for frame, each in rows["verbs"].items()}
    manner = [_adverb(row) for row in rows["manner"]]
    lemmas = {verb.lemma for each in verbs.values() for verb in each}
    names = tuple(_name(row) for row in rows["names"])
    return Vocabulary(
        nouns={**by_class, **groups},
        verbs=verbs,
        adjectives={
            noun.lemma: tuple(each for each in adjectives if each.of & {noun.kind, noun.lemma, *_over(noun, rows)}) for noun in every
        },
        manner={lemma: tuple(each for each in manner if lemma in each.verbs) for lemma in lemmas},
        frequency=tuple(_adverb(row) for row in rows["frequency"]),
        time={when: tuple(_time(row) for row in each) for when, each in rows["time"].items()},
        names=names,
        places=tuple(_place(row, every, rows["groups"]) for row in rows["places"]),
        lemmas=_content(rows),
    )


def words(split: Split = "train") -> tuple[str, ...]:
    """Every content word (lemma) of a split, sorted; ambiguous nouns and their cues are listed by `senses.words`.

    Example:
        >>> len(words("selection")) + len(words("confirmation")) == len(words("train"))
        True
    """
    return tuple(sorted(vocabulary(split).lemmas))


def noun_named(lemma: str) -> Noun:
    """The lexicon's noun with this lemma.

    Raises: DataError for none.

    Example:
        >>> noun_named("dog").zh
        '狗'
    """
    return _named(_nouns(), lemma, "noun")


def verb_named(lemma: str, frame: str = "transitive") -> Verb:
    """The lexicon's verb with this lemma and frame; raises as `noun_named`."""
    return _named(_verbs(frame), lemma, "verb")


def adjective_named(lemma: str) -> Adjective:
    """The lexicon's adjective with this lemma; raises as `noun_named`."""
    return _named(_adjectives(), lemma, "adjective")


@cache
def _nouns() -> dict[str, Noun]:
    return {noun.lemma: noun for each in vocabulary("train").nouns.values() for noun in each}


@cache
def _verbs(frame: str) -> dict[str, Verb]:
    return {verb.lemma: verb for verb in vocabulary("train").verbs[frame]}


@cache
def _adjectives() -> dict[str, Adjective]:
    return {each.lemma: each for of in vocabulary("train").adjectives.values() for each in of}


def _named(table: Mapping[str, Named], lemma: str, kind: str) -> Named:
    if lemma not in table:
        raise DataError(f"{kind} {lemma!r} came, which the lexicon does not have; expected one of {', '.join(sorted(table)[:8])}, ...")
    return table[lemma]


@cache
def read_yaml(name: str) -> Any:
    """A data file that stands beside this module."""
    return yaml.load(
        (files("interp.texts.grammar") / name).read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )


def _of_split(table: Any, halves: tuple[Split, ...]) -> Any:
    """The same table with the rows of these halves put together, wherever halves stand in it."""
    if isinstance(table, dict) and set(table) == set(HALVES):
        return [row for half in halves for row in table[half]]
    return {key: _of_split(each, halves) for key, each in table.items()} if isinstance(table, dict) else table


def _content(rows: Any) -> frozenset[str]:
    """The first field of each row that has halves: function words have none."""
    grouped = [*rows["nouns"].values(), *rows["verbs"].values(), *rows["time"].values()]
    flat: Iterable[str] = [
        *rows["adjectives"],
        *rows["manner"],
        *rows["frequency"],
        *rows["names"],
        *(row for each in grouped for row in each),
    ]
    return frozenset(row.split()[0] for row in flat)


def _fields(row: str) -> tuple[list[str], dict[str, str]]:
    """Plain fields, and the `key=value` ones.

    Example:
        >>> _fields("eat 吃 animate>food past=ate")
        (['eat', '吃', 'animate>food'], {'past': 'ate'})
    """
    parts = row.split()
    return [part for part in parts if "=" not in part], dict(part.split("=") for part in parts if "=" in part)


def _noun(row: str, kind: str) -> Noun:
    (lemma, zh, classifier, *gender), given = _fields(row)
    plural = given.get("plural") or morphology.plural(lemma)
    return Noun(lemma=lemma, plural=plural, zh=zh, classifier=classifier, kind=kind, gender="".join(gender))


def _name(row: str) -> Noun:
    lemma, zh, gender = row.split()
    return Noun(lemma=lemma, plural="", zh=zh, classifier="", kind="person", gender=gender, proper=True)


def _verb(row: str, frame: str) -> Verb:
    (lemma, zh, who_what, *flags), given = _fields(row)
    who, _, what = who_what.partition(">")
    past = given.get("past") or morphology.past(lemma)
    return Verb(
        lemma=lemma,
        third=morphology.third_person(lemma),
        past=past,
        participle=given.get("pp") or past,
        ing=morphology.present_participle(lemma),
        zh=tuple(zh.split("|")),
        frame=frame,
        who=who,
        what=what,
        flags=frozenset(flags),
    )


def _adjective(row: str) -> Adjective:
    lemma, zh, of, *given = row.split()
    flags = {flag: flag in given for flag in ("bare", "colour", "predicate")}
    return Adjective(lemma=lemma, zh=zh, of=frozenset(of.split(",")), **flags)


def _adverb(row: str) -> Adverb:
    lemma, zh, *verbs = row.split()
    return Adverb(lemma=lemma, zh=zh, verbs=frozenset(verbs))


def _time(row: str) -> Time:
    form, zh = row.split()
    return Time(words=tuple(form.split("-")), zh=zh)


def _place(row: str, nouns: tuple[Noun, ...], groups: Mapping[str, list[str]]) -> tuple[Preposition, tuple[Noun, ...]]:
    form, zh, of = row.split()
    kinds = {kind for name in of.split(",") for kind in groups.get(name, [name])}
    return Preposition(form=form, zh=zh), tuple(noun for noun in nouns if noun.kind in kinds or noun.lemma in kinds)


def _over(noun: Noun, rows: Any) -> list[str]:
    return [name for name, kinds in rows["groups"].items() if noun.kind in kinds]
