"""Verdicts that were kept in a file: read back, and held against the claim as it stands now."""

import json
from pathlib import Path

from interp.claims.claim import parse_claim
from interp.claims.claim_files import catalogue
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError


def read_verdict(path: str | Path) -> Verdict:
    """The verdict that `Verdict.to_json` or `interp judge --out` wrote.

    Raises: ClaimError for a file that is missing or no verdict.
    """
    path = Path(path)
    try:
        return Verdict.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClaimError(f"{path} cannot be read as a verdict ({error}); expected what `interp judge --out` wrote") from error


def edited(verdict: Verdict) -> str:
    """What happened to the claim since the verdict, as a sentence; "" when nothing did.

    The claim inside the verdict is hashed again, so that an edit of the file shows; then it is compared with the catalogue's.

    Example:
        >>> import interp
        >>> edited(interp.judge("S1-01", interp.load()))
        ''
    """
    try:
        stored = parse_claim(json.loads(json.dumps(verdict.claim)), "the verdict's claim").hash
    except ClaimError as error:
        return f"The claim in this verdict can no longer be read: {error}."
    if stored != verdict.claim_hash:
        return f"The claim in this verdict was edited after its run: its hash is {stored}, that of the run was {verdict.claim_hash}."
    known = catalogue().get(verdict.claim["id"])
    if known is not None and known.hash != verdict.claim_hash:
        return f"The claim {known.id} was edited since this run: its hash is {known.hash} now, that of the run was {verdict.claim_hash}."
    return ""
