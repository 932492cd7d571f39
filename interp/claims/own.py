"""One's own claim in one line of Python."""

import re
from typing import Any

from interp.claims.claim import Claim, parse_claim
from interp.core.errors import ClaimError

_DEPREL = re.compile(r"deprel=([a-z]+(?::[a-z]+)?)")
# Voita et al. (2019), section 5.2: a head is syntactic when it beats the best offset by 10 points.
MARGIN, MARGIN_SOURCE = 0.10, "Voita et al. (2019), section 5.2"


def attends(*, from_: str, to: str = "head", head: str | None = None, margin: float = MARGIN, margin_source: str = MARGIN_SOURCE) -> Claim:
    """The claim that a head attends from some words to some others, better than the best fixed offset.

    From one end of a single relation to the other ("deprel=obj" to "head" or "dependent") it is tested by the protocol "head_relation",
    whose stand-ins know the tree; everything else by "attends".

    Args:
        from_: a selector of words: "deprel=obj", "upos=PRON", "lemma=it|they", "form~un.*" (see `texts.selectors`).
        to: a selector seen from such a word: "head", "dependent", "offset=-2", "link=Antecedent", "upos=NOUN"; conditions joined by "&".
        head: a head such as "L2H0"; None: there is one, whichever.
        margin: smallest gain over the best fixed offset that matters, in accuracy.
        margin_source: why that much; a margin of one's own needs a source.
    Raises: ClaimError for a selector that is none, naming its wrong part, or a margin without its source.

    Example:
        >>> attends(from_="deprel=obj", to="head", head="L2H0").statement
        'Head L2H0 points from obj to its head.'
        >>> attends(from_="upos=PRON", to="link=Antecedent").statement
        'Some head attends from upos=PRON to link=Antecedent.'
    """
    if margin != MARGIN and margin_source == MARGIN_SOURCE:
        raise ClaimError(f"margin={margin} differs from the protocol's {MARGIN}; expected margin_source= to say why")
    shared = {"head": head, "margin": margin, "margin_source": margin_source}
    found = _DEPREL.fullmatch(from_)
    if found and to in ("head", "dependent"):
        return _claim(*_relation(found[1], to, head), shared)
    subject, named = _subject(head)
    test = {"protocol": "attends", "from_words": from_, "to_words": to}
    return _claim(f"own:{from_}:{to}{named}", f"{subject} attends from {from_} to {to}.", test, shared)


def _relation(relation: str, to: str, head: str | None) -> tuple[str, str, dict[str, Any]]:
    subject, named = _subject(head)
    ends = f"from {relation} to its head" if to == "head" else f"from the head to its {relation}"
    test = {"protocol": "head_relation", "relation": relation, "direction": "dependent" if to == "head" else "head"}
    return f"own:{relation}:{to}{named}", f"{subject} points {ends}.", test


def _subject(head: str | None) -> tuple[str, str]:
    return ("Some head", "") if head is None else (f"Head {head}", f":{head}")


def _claim(name: str, statement: str, test: dict[str, Any], shared: dict[str, Any]) -> Claim:
    fields = {
        "id": name,
        "statement": statement,
        "kind": ["obs"],
        "quantifier": "some",
        "scope": "any model with attention, on the language of the treebank",
        "test": {**test, **shared},
        "does_not_show": "that the model uses this head, nor that it reads syntax rather than something that goes with it.",
    }
    return parse_claim(fields, "attends(...)")
