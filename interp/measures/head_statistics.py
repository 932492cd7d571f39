"""The head statistics by name: what the Prompt page, `profile` and the claims all mean by "entropy" or "induction".

Each gives one number for each query, and a head's value is the mean over the queries that have one. `captures.stream` computes the same
numbers over a corpus without keeping patterns; this file is the definition that it is tested against.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from interp.measures.attention import entropy, mean_distance, norm_weighted, weight_at_offset, weight_on_first
from interp.measures.induction import copy_target, weight_on_target

Pattern = Float[Tensor, "batch head query_pos key_pos"]
PerQuery = Float[Tensor, "batch head query_pos"]
OfPattern = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class HeadStatistic:
    """One number for each head and query.

    Attributes:
        of: from (pattern, ids, value_norms) to values (batch, head, query_pos), nan where a query has none.
    """

    name: str
    long_name: str
    units: str
    source: str
    of: OfPattern


def _all(*statistics: HeadStatistic) -> Mapping[str, HeadStatistic]:
    return {statistic.name: statistic for statistic in statistics}


HEAD_STATISTICS: Mapping[str, HeadStatistic] = _all(
    HeadStatistic(name="entropy", long_name="entropy of attention", units="nats", source="", of=lambda p, ids, norms: entropy(p)),
    HeadStatistic(
        name="previous",
        long_name="weight on the previous token",
        units="probability",
        source="Voita et al. (2019), positional heads",
        of=lambda p, ids, norms: weight_at_offset(p, -1),
    ),
    HeadStatistic(
        name="next",
        long_name="weight on the next token",
        units="probability",
        source="Voita et al. (2019), positional heads",
        of=lambda p, ids, norms: weight_at_offset(p, 1),
    ),
    HeadStatistic(
        name="first",
        long_name="weight on the first token",
        units="probability",
        source="Vig & Belinkov (2019), null attention",
        of=lambda p, ids, norms: weight_on_first(p),
    ),
    HeadStatistic(
        name="distance",
        long_name="mean distance of attention",
        units="tokens",
        source="Vig & Belinkov (2019), section 4.3",
        of=lambda p, ids, norms: mean_distance(p),
    ),
    HeadStatistic(
        name="induction",
        long_name="weight on the token after the latest earlier copy",
        units="probability",
        source="Olsson et al. (2022), prefix matching",
        of=lambda p, ids, norms: weight_on_target(p, copy_target(ids, 1)),
    ),
    HeadStatistic(
        name="previous_moved",
        long_name="norm-weighted share of the previous token",
        units="share",
        source="Kobayashi et al. (2020)",
        of=lambda p, ids, norms: weight_at_offset(norm_weighted(p, norms), -1),
    ),
    HeadStatistic(
        name="first_moved",
        long_name="norm-weighted share of the first token",
        units="share",
        source="Kobayashi et al. (2020)",
        of=lambda p, ids, norms: weight_on_first(norm_weighted(p, norms)),
    ),
)


def head_statistic(
    name: str, pattern: Pattern, ids: Int[Tensor, "batch query_pos"], value_norms: Float[Tensor, "batch head key_pos"]
) -> Float[Tensor, " head"]:
    """A head's mean of a statistic over all queries that have one.

    Args:
        name: a key of `HEAD_STATISTICS`.
        pattern: axes (batch, head, query_pos, key_pos).
        ids: axes (batch, query_pos).
        value_norms: ||v_j W_O||, axes (batch, head, key_pos).
    Returns: axes (head,); nan where no query has a value (a next token under a causal mask has weight 0, not nan).
    """
    return HEAD_STATISTICS[name].of(pattern, ids, value_norms).nanmean((0, 2))
