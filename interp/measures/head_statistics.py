"""The head statistics by name: what the Prompt page, `profile` and the claims all mean by "entropy" or "induction".

Each gives one number for each query, and a head's value is the mean over the queries that have one. `captures.corpus` computes the same
numbers over a corpus without keeping patterns; this file, with `measures.per_query`, is the definition that it is tested against.

Besides those in `HEAD_STATISTICS`, which every profile holds, there are families by a number:
    offset_-3       weight on the token three before the query (offset_2: two after it)
    induction_5     weight on the token five after the latest earlier copy
    near_10         weight on the tokens at most ten away, the query itself among them
    far_100         weight on the tokens more than a hundred away
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from interp.core.errors import DataError
from interp.measures.per_query import (
    Ask,
    Beyond,
    Copy,
    Distance,
    DistanceVariance,
    Entropy,
    First,
    Offset,
    OneKey,
    Share,
    Within,
)

Pattern = Float[Tensor, "batch head query_pos key_pos"]
PerQuery = Float[Tensor, "batch head query_pos"]
OfPattern = Callable[[Tensor, Tensor, Tensor], Tensor]
NEAR, FAR = 3, 30


@dataclass(frozen=True, kw_only=True)
class HeadStatistic:
    """One number for each head and query.

    Attributes:
        ask: what is taken of each query.
        crossed: has a meaning where queries and keys are places in two texts, as in cross-attention.
    """

    name: str
    long_name: str
    units: str
    ask: Ask
    source: str = ""
    crossed: bool = False

    @property
    def of(self) -> OfPattern:
        """From (pattern, ids, value_norms) to values (batch, head, query_pos), nan where a query has none."""
        return self.ask.of


def _all(*statistics: HeadStatistic) -> Mapping[str, HeadStatistic]:
    return {statistic.name: statistic for statistic in statistics}


def _weight(name: str, long_name: str, ask: Ask, source: str = "") -> HeadStatistic:
    return HeadStatistic(name=name, long_name=long_name, units="probability", ask=ask, source=source)


_POSITIONAL = "Voita et al. (2019), positional heads"
_COPY = "Olsson et al. (2022), prefix matching"
_VIG = "Vig & Belinkov (2019), section 4.3"
_NULL = "Vig & Belinkov (2019), null attention"
_MOVED = "Kobayashi et al. (2020)"

HEAD_STATISTICS: Mapping[str, HeadStatistic] = _all(
    HeadStatistic(name="entropy", long_name="entropy of attention", units="nats", ask=Entropy(), crossed=True),
    _weight("previous", "weight on the previous token", OneKey(Offset(-1)), _POSITIONAL),
    _weight("next", "weight on the next token", OneKey(Offset(1)), _POSITIONAL),
    _weight("self", "weight on the token itself", OneKey(Offset(0))),
    _weight("first", "weight on the first token", OneKey(First()), _NULL),
    HeadStatistic(name="distance", long_name="mean distance of attention", units="tokens", ask=Distance(), source=_VIG),
    HeadStatistic(
        name="distance_variance", long_name="variance of the distance of attention", units="square tokens", ask=DistanceVariance()
    ),
    _weight("near", f"weight on the tokens at most {NEAR} away, itself among them", Within(NEAR)),
    _weight("far", f"weight on the tokens more than {FAR} away", Beyond(FAR)),
    _weight("duplicate", "weight on the latest earlier copy of the token", OneKey(Copy(0)), "Wang et al. (2022), duplicate token heads"),
    _weight("induction", "weight on the token after the latest earlier copy", OneKey(Copy(1)), _COPY),
    HeadStatistic(
        name="previous_moved",
        long_name="norm-weighted share of the previous token",
        units="share",
        ask=Share(Offset(-1)),
        source=_MOVED,
    ),
    HeadStatistic(name="first_moved", long_name="norm-weighted share of the first token", units="share", ask=Share(First()), source=_MOVED),
)

_FAMILIES: Mapping[str, Callable[[int], tuple[str, Ask, str]]] = {
    "offset": lambda n: (f"weight on the token at offset {n:+d}", OneKey(Offset(n)), _POSITIONAL),
    "induction": lambda n: (f"weight on the token {n} after the latest earlier copy", OneKey(Copy(n)), _COPY),
    "near": lambda n: (f"weight on the tokens at most {n} away, itself among them", Within(n), ""),
    "far": lambda n: (f"weight on the tokens more than {n} away", Beyond(n), ""),
}
_NUMBERED = re.compile(rf"({'|'.join(_FAMILIES)})_(-?\d+)")


def head_statistic_named(name: str) -> HeadStatistic:
    """A statistic of `HEAD_STATISTICS`, or one of a family by its number.

    Raises: DataError for a name that is neither.

    Example:
        >>> head_statistic_named("offset_-3").long_name
        'weight on the token at offset -3'
    """
    if name in HEAD_STATISTICS:
        return HEAD_STATISTICS[name]
    found = _NUMBERED.fullmatch(name)
    if found is None or (int(found[2]) < 0 and found[1] != "offset"):
        families = ", ".join(f"{family}_N" for family in _FAMILIES)
        raise DataError(f"statistics ['{name}'] are not known; expected some of: {', '.join(HEAD_STATISTICS)}, {families}")
    return _weight(name, *_FAMILIES[found[1]](int(found[2])))


def head_statistic(
    name: str, pattern: Pattern, ids: Int[Tensor, "batch query_pos"], value_norms: Float[Tensor, "batch head key_pos"]
) -> Float[Tensor, " head"]:
    """A head's mean of a statistic over all queries that have one.

    Args:
        name: a key of `HEAD_STATISTICS`, or of a family.
        pattern: axes (batch, head, query_pos, key_pos).
        ids: axes (batch, query_pos).
        value_norms: ||v_j W_O||, axes (batch, head, key_pos).
    Returns: axes (head,); nan where no query has a value (a next token under a causal mask has weight 0, not nan).
    """
    return head_statistic_named(name).of(pattern, ids, value_norms).nanmean((0, 2))
