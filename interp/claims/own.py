"""One's own claim in one line of Python."""

import re
from typing import Literal

from interp.claims.claim import Claim, parse_claim
from interp.core.errors import ClaimError

_DEPREL = re.compile(r"deprel=([a-z]+(?::[a-z]+)?)")
# Voita et al. (2019), section 5.2: a head is syntactic when it beats the best offset by 10 points.
MARGIN, MARGIN_SOURCE = 0.10, "Voita et al. (2019), section 5.2"


def attends(
    *,
    from_: str,
    to: Literal["head", "dependent"] = "head",
    head: str | None = None,
    margin: float = MARGIN,
    margin_source: str = MARGIN_SOURCE,
) -> Claim:
    """The claim that a head points from one end of a grammatical relation to the other.

    Args:
        from_: the relation, as "deprel=obj".
        to: "head": from the dependent to its head; "dependent": the other way.
        head: a head such as "L2H0"; None: there is one, whichever.
        margin: smallest gain over the best fixed offset that matters, in accuracy.
        margin_source: why that much; a margin of one's own needs a source.
    Raises: ClaimError for a selector or an end that is not one, or a margin without its source.

    Example:
        >>> attends(from_="deprel=obj", to="head", head="L2H0").statement
        'Head L2H0 points from obj to its head.'
    """
    found = _DEPREL.fullmatch(from_)
    if not found:
        raise ClaimError(f"from_={from_!r} came; expected a relation as 'deprel=obj'")
    if margin != MARGIN and margin_source == MARGIN_SOURCE:
        raise ClaimError(f"margin={margin} differs from the protocol's {MARGIN}; expected margin_source= to say why")
    if to not in ("head", "dependent"):
        raise ClaimError(f"to={to!r} came; expected 'head' (from the dependent to its head) or 'dependent'")
    relation = found[1]
    subject = "Some head" if head is None else f"Head {head}"
    ends = f"from {relation} to its head" if to == "head" else f"from the head to its {relation}"
    fields = {
        "id": f"own:{relation}:{to}" + (f":{head}" if head else ""),
        "statement": f"{subject} points {ends}.",
        "kind": ["obs"],
        "quantifier": "some",
        "scope": "any model with attention, on the language of the treebank",
        "needs": "treebank",
        "test": {
            "protocol": "head_relation",
            "relation": relation,
            "head": head,
            "direction": "dependent" if to == "head" else "head",
            "margin": margin,
            "margin_source": margin_source,
        },
        "does_not_show": "that the model uses this head, nor that it reads syntax rather than something that goes with it.",
    }
    return parse_claim(fields, "attends(...)")
