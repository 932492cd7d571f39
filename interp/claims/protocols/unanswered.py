"""What cannot be judged yet, and what it would take: models of several shapes to train, a source to read, an instrument to build.

Design. There is none: nothing is measured, and the verdict is always "inconclusive", with the reason that the claim gives. It stands in the
catalogue so that a claim is not passed over in silence, with what would answer it: the comparison that has to be made, its unit and null.

    needs_training    models that differ in one size have to be trained, from several seeds
    needs_source      a publication has to be read that nobody here has read; what is said of it from memory is no evidence
    needs_instrument  a measurement that is not built yet
    ill_posed         no measurement could tell whether it is true: an analogy, a word without a meaning to measure

Controls. None, since nothing is decided. What it does not tell: anything of the claim.
Source: the rule of the house that a verdict is measured or is not given.
"""

from typing import Literal

from pydantic import Field

from interp.claims.plan import Plan, Step
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.verdict import Badges


class Unanswered(Parameters):
    """Parameters of "unanswered"."""

    protocol: Literal["unanswered"]
    because: Literal["needs_training", "needs_source", "needs_instrument", "ill_posed"]
    takes: str = Field(min_length=1, description="what would answer it: what is compared, by which measure, against which null")


def run(case: Case[Unanswered]) -> Finding:
    """Say what is missing."""
    summary = f"Nothing was measured. It would take: {case.test.takes}"
    return Finding(outcome="inconclusive", reason=case.test.because, summary=summary, badges=Badges(), evidence=(), controls=())


def _plan(case: Case[Unanswered]) -> Plan:
    return Plan(steps=(Step(what=f"nothing; it would take: {case.test.takes}", tokens=0),), n_items=0, smallest_effect=0.0, unit="nothing")


PROTOCOL = Protocol(
    parameters=Unanswered,
    needs=None,
    requires=(),
    family="nothing is looked at",
    controls=(),
    why_not=lambda anatomy: "",
    plan=_plan,
    run=run,
    subject=lambda test: "nothing yet",
)
