"""Generated sentences as CoNLL-U, with what CoNLL-U has no column for in MISC and in comments.

    MISC       SpaceAfter=No, Antecedent=3 (word id; in an earlier sentence: sent_id:3), Sense=bank.river, Align=2,5 (Chinese words)
    comments   newdoc id, sent_id, text, text_zh, words_zh, kind, split, template, constituents (label:first-last word)

`interp.texts.treebank` reads the file back to the same words, heads and relations. Ids count from 1, as in the format.
"""

from collections.abc import Iterable
from pathlib import Path

from interp.texts.grammar.sentence import GrammarSentence, GrammarWord, Passage

_Links = dict[int, str]


def conllu(sentences: Iterable[GrammarSentence | Passage]) -> str:
    """The text of a CoNLL-U file.

    Example:
        >>> from interp.texts.grammar.generate import generate
        >>> lines = conllu(generate(1, seed=1, kinds=["transitive"])).splitlines()
        >>> [line.split(" = ")[0] for line in lines[:3]], len(lines[-2].split("\\t"))
        (['# newdoc id', '# sent_id', '# text'], 10)
    """
    return "".join(_passage(each) if isinstance(each, Passage) else _sentence(each, _inner(each), new=True) for each in sentences)


def write_conllu(sentences: Iterable[GrammarSentence | Passage], path: str | Path) -> None:
    """`conllu` into a file, sentence by sentence."""
    with Path(path).open("w", encoding="utf-8", newline="\n") as opened:
        for each in sentences:
            opened.write(conllu([each]))


def _passage(passage: Passage) -> str:
    links: list[_Links] = [{} for _ in passage.sentences]
    for (here, pronoun), (there, antecedent) in passage.coreference:
        home = "" if here == there else f"{passage.sentences[there].id}:"
        links[here][pronoun] = f"{home}{antecedent + 1}"
    return "".join(_sentence(each, links[number], new=not number) for number, each in enumerate(passage.sentences))


def _inner(sentence: GrammarSentence) -> _Links:
    return {pronoun: str(antecedent + 1) for pronoun, antecedent in sentence.coreference}


def _sentence(sentence: GrammarSentence, links: _Links, *, new: bool) -> str:
    spans = " ".join(f"{each.label}:{each.start + 1}-{each.end}" for each in sentence.constituents)
    comments = {
        **({"newdoc id": sentence.document} if new else {}),
        "sent_id": sentence.id,
        "text": sentence.text,
        "text_zh": sentence.translation.text,
        "words_zh": " ".join(sentence.translation.words),
        "kind": sentence.kind,
        "split": sentence.split,
        **({"template": sentence.template} if sentence.template else {}),
        "constituents": spans,
    }
    head = [f"# {key} = {value}" for key, value in comments.items()]
    aligned: dict[int, list[int]] = {}
    for english, chinese in sentence.translation.alignment:
        aligned.setdefault(english, []).append(chinese + 1)
    rows = [_row(sentence, word, links.get(word.index), aligned.get(word.index, [])) for word in sentence.words]
    return "\n".join([*head, *rows]) + "\n\n"


def _row(sentence: GrammarSentence, word: GrammarWord, antecedent: str | None, aligned: list[int]) -> str:
    misc = []
    if word.id < len(sentence.words) and sentence.words[word.id].span[0] == word.span[1]:
        misc.append("SpaceAfter=No")
    if antecedent:
        misc.append(f"Antecedent={antecedent}")
    misc += [f"Sense={sense}" for place, sense in sentence.senses if place == word.index]
    if aligned:
        misc.append("Align=" + ",".join(map(str, aligned)))
    fields = [word.id, word.form, word.lemma, word.upos, "_", word.feats, word.head, word.deprel, "_", "|".join(misc) or "_"]
    return "\t".join(map(str, fields))
