"""Is a formula that is called an approximation one? The tanh form of GELU against x Phi(x), by the largest error on an interval.

Design. Both are computed in double precision at evenly spaced points of an interval; the error is the largest absolute difference. It must
be at most the tolerance, which the claim sets and gives a source for.

Controls. Positive: the exact function against itself must have no error. Null: SiLU, which is also smooth and also near to GELU, must have
an error above the tolerance: a tolerance that anything of that shape meets tells nothing.
Assumption: the functions are smooth between neighbouring points; with 20,001 points on 12 units the error changes by less than 1e-6 from
one to the next. What it does not tell: whether the difference matters to a model that was trained with the other form.
Source: Hendrycks & Gimpel (2016), Gaussian Error Linear Units, section 2.
"""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch.nn.functional import gelu, silu

from interp.claims.plan import Plan, Step
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.exact import at_least, at_most, exact_evidence
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide_exact
from interp.claims.verdict import Badges

N_POINTS = 20_001


class Approximation(Parameters):
    """Parameters of "approximation"."""

    protocol: Literal["approximation"]
    formula: Literal["gelu_tanh"] = "gelu_tanh"
    between: tuple[float, float] = (-6.0, 6.0)
    tolerance: float = Field(gt=0, description="largest error that is still an approximation")
    tolerance_source: str

    @model_validator(mode="after")
    def _is_an_interval(self) -> "Approximation":
        if not self.between[0] < self.between[1]:
            raise ValueError(f"between {self.between} came; expected two ends, the smaller one first")
        return self


def gelu_tanh(x: torch.Tensor) -> torch.Tensor:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), written out as it is quoted.

    Example:
        >>> round(float(gelu_tanh(torch.tensor(1.0, dtype=torch.float64))), 4)
        0.8412
    """
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


def largest_error(formula: Callable[[torch.Tensor], torch.Tensor], between: tuple[float, float]) -> tuple[float, float]:
    """The largest absolute difference from x Phi(x), and where it is.

    Example:
        >>> error, x = largest_error(gelu_tanh, (-6.0, 6.0))
        >>> f"{error:.2e}", round(abs(x), 1)
        ('4.73e-04', 2.7)
    """
    x = torch.linspace(*between, N_POINTS, dtype=torch.float64)
    errors = (formula(x) - gelu(x)).abs()
    place = int(errors.argmax())
    return float(errors[place]), float(x[place])


def run(case: Case[Approximation]) -> Finding:
    """Judge the formula."""
    test = case.test
    error, x = largest_error(gelu_tanh, test.between)
    evidence = exact_evidence("tanh form of GELU", "largest error", error=error, tolerance=test.tolerance, n=N_POINTS)
    controls = (
        at_most("the exact function", largest_error(gelu, test.between)[0], 0.0, "largest error"),
        at_least("SiLU", largest_error(silu, test.between)[0], test.tolerance, "largest error", "must not be an approximation"),
    )
    outcome, reason = decide_exact([evidence], controls)
    summary = f"The largest error between {test.between[0]:g} and {test.between[1]:g} is {error:.3g}, at x = {x:.2f}."
    return Finding(outcome=outcome, reason=reason, summary=summary, badges=Badges(), evidence=(evidence,), controls=controls)


def _plan(case: Case[Approximation]) -> Plan:
    return Plan(steps=(Step(what="computing", tokens=0),), n_items=N_POINTS, smallest_effect=case.test.tolerance, unit="largest error")


PROTOCOL = Protocol(
    parameters=Approximation,
    needs=None,
    requires=(),
    family="one formula on one interval; nothing is sampled",
    controls=("the exact function: no error", "SiLU: an error above the tolerance"),
    why_not=lambda anatomy: "",
    plan=_plan,
    run=run,
    subject=lambda test: "the formula",
)
