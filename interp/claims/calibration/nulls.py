"""Cases in which a claim is not true. A protocol that calls them supported finds what is not there.

"Untrained" models have heads that look somewhere, and "shuffled" labels meet heads that look at something: the two ways in which there can
be nothing to find. Where a single head is named and labels are exchangeable, the p-values must be uniform as well: a rule that never
says yes would have no false positives either.
"""

from interp.claims.calibration.cases import (
    Case,
    Known,
    claim_of,
    loaded,
    sentences,
    trained,
    twin,
    whole,
    with_random_heads,
    with_random_tags,
)
from interp.models.constructed import scrambled

MARGIN = {"margin": 0.1, "margin_source": "Voita et al. (2019), section 5.2"}
TAGS = {"from_words": "upos=VERB", "to_words": "upos=NOUN", **MARGIN}
PREVIOUS = {"at_least": 0.5, "at_least_source": "Clark et al. (2019), section 3.1", "margin": 0.1}
COPYING = {"at_least": 0.4, "at_least_source": "ours", "margin": 0.1, "copying_nats": 2.0, "lost_nats": 1.0, "n_rows": 80}
HEAD = "L2H3"  # any one: what it looks at has nothing to do with labels that mean nothing


def _relation_untrained(seed: int) -> Case:
    return Case(claim=claim_of("head_relation", relation="nsubj", **MARGIN), model=twin(trained(), seed), data=sentences(seed))


def _relation_shuffled(seed: int) -> Case:
    claim = claim_of("head_relation", relation="nsubj", head=HEAD, direction="dependent", **MARGIN)
    return Case(claim=claim, model=trained(), data=with_random_heads(sentences(seed), seed))


def _attends_untrained(seed: int) -> Case:
    return Case(claim=claim_of("attends", **TAGS), model=twin(trained(), seed), data=sentences(seed))


def _attends_shuffled(seed: int) -> Case:
    return Case(claim=claim_of("attends", head=HEAD, **TAGS), model=trained(), data=with_random_tags(sentences(seed), seed))


def _positional_untrained(seed: int) -> Case:
    return Case(claim=claim_of("positional_head", **PREVIOUS), model=twin(trained(), seed), data=sentences(seed))


def _induction_untrained(seed: int) -> Case:
    return Case(claim=claim_of("induction_head", **COPYING), model=twin(loaded(whole("induction")), seed))


def _induction_scrambled(seed: int) -> Case:
    return Case(claim=claim_of("induction_head", **COPYING), model=loaded(scrambled(whole("induction"), seed)))


# Their verdicts carry a control that must show an effect; sampling plays no part in them.
EXACT = ("configuration_arithmetic", "ffn_is_positionwise", "published_number", "wiring")
NULLS: tuple[Known, ...] = (
    Known(protocol="head_relation", what="untrained models", make=_relation_untrained),
    Known(protocol="head_relation", what="shuffled heads of words", make=_relation_shuffled, exchangeable=(1,)),
    Known(protocol="attends", what="untrained models", make=_attends_untrained),
    Known(protocol="attends", what="shuffled parts of speech", make=_attends_shuffled, exchangeable=(1,)),
    Known(protocol="positional_head", what="untrained models", make=_positional_untrained),
    Known(protocol="induction_head", what="untrained models", make=_induction_untrained),
    Known(protocol="induction_head", what="scrambled twins of the constructed circuit", make=_induction_scrambled),
)
