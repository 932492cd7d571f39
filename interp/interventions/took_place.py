"""What every intervention refuses: to be given no place, to run where a token's place is not known, and to have done nothing.

An intervention that never fired, or that changed nothing where it was meant to, would otherwise be read as "this part does not matter".
"""

from collections.abc import Container, Sequence

from interp.core.errors import InterventionError
from interp.core.sites import Site
from interp.models.attention import AttentionCall
from interp.models.points import Point


def refuse_none(what: str, wanted: Sequence[Site]) -> None:
    """Raises: InterventionError where no place was named. `what`: "site" or "head"."""
    if not wanted:
        raise InterventionError(f"no {what} was named; expected at least one, such as 'L0H0'")


def refuse_cache(point: Point, call: AttentionCall, *, expected: str) -> None:
    """With a key-value cache a model reads one token at a time, and which one is not said. Raises: InterventionError."""
    if point.stack != "X" and call.shape[2] != call.shape[3]:
        raise InterventionError(
            f"the model runs with a key-value cache, so a token's place in the text is not known here; expected {expected}"
        )


def insist(what: str, wanted: Sequence[Site], *, fired: Container[Site], changed: Container[Site], dead: str, same: str) -> None:
    """When the block has ended: every place that was wanted must have been reached, and changed.

    Args:
        what: "the ablation of".
        wanted: the places.
        fired: those that some run came through.
        changed: those at which some number became another.
        dead: why one may never have fired, besides that no model ran.
        same: why one may not have changed.
    Raises: InterventionError naming the places that were not.
    """
    silent = [str(site) for site in wanted if site not in fired]
    if silent:
        raise InterventionError(f"{what} {', '.join(silent)} never fired: no model ran inside the block, or {dead}")
    unchanged = [str(site) for site in wanted if site not in changed]
    if unchanged:
        raise InterventionError(f"{what} {', '.join(unchanged)} changed nothing: {same}")
