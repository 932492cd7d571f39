"""Is what is said of a model's sizes true? "d_ff == 4 * d_model", "ffn_parameters / parameters > 2 / 3": exact, nothing is run.

Design. A claim is a statement (see `expression`) about the quantities of a transformer (see `shapes`), and of which transformers it is
said: `model`, the one at hand, its parameters counted module by module; `published`, a table of published shapes with their sources;
`shapes`, those that the claim writes down ("at d_model = 4096"). `where` narrows these by a statement of its own. A transformer of which
some quantity of the statement is not known is left out, by name. Each remaining one is a case; it is said of all, of most (more than half),
or of some.

Controls. Null: numbers drawn at random in place of the quantities must not make the statement true every time; one that nothing could make
false says nothing of any model. Positive, for the model at hand: each parameter of its blocks stands in exactly one part, an attention, an
FFN or a norm; else: the formulas of `shapes` give the counts that were made on the models themselves.

Assumptions. A parameter that two modules share counts once. Published numbers are as good as their sources.
What it does not tell. Whether the sizes matter to what a model does. "Most" of a table is most of what somebody put there: no sample of
all models.
"""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pydantic import Field, field_validator

from interp.claims.plan import Plan, Step
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.exact import at_most, exact_evidence
from interp.claims.protocols.parts.expression import DRAWS, Expression, Quantity, share_true
from interp.claims.protocols.parts.model_shape import model_quantities, unplaced
from interp.claims.protocols.parts.shapes import QUANTITIES, TEXTS, Shape, quantities
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide_exact
from interp.claims.verdict import Badges, Control
from interp.core.errors import ClaimError
from interp.core.provenance import text_hash

TABLE = Path(__file__).parent.parent / "published" / "configurations.yaml"
Cases = dict[str, dict[str, Quantity]]


class Arithmetic(Parameters):
    """Parameters of "configuration_arithmetic"."""

    protocol: Literal["configuration_arithmetic"]
    statement: str = Field(description="what is said, over the quantities of a transformer")
    over: Literal["model", "published", "shapes"] = "model"
    where: str = Field(default="", description="a statement that narrows the transformers it is said of")
    holds_for: Literal["all", "most", "some"] = "all"
    shapes: tuple[Shape, ...] = Field(default=(), description="for over: shapes")

    @field_validator("statement", "where")
    @classmethod
    def _is_said_right(cls, text: str) -> str:
        try:
            if text:
                Expression(text, QUANTITIES)
        except ClaimError as error:
            raise ValueError(str(error)) from error
        return text


@cache
def published() -> tuple[Shape, ...]:
    """The published shapes.

    Example:
        >>> next(shape.n_heads for shape in published() if shape.name == "GPT-2 XL")
        25
    """
    return tuple(Shape(**fields) for fields in yaml.safe_load(TABLE.read_text(encoding="utf-8")))


def run(case: Case[Arithmetic]) -> Finding:
    """Judge a statement about sizes."""
    test, statement = case.test, Expression(case.test.statement, QUANTITIES)
    told, untold = _cases(case, statement)
    if not told:
        return _nothing_to_judge(case, untold)
    true = {name: statement(known) for name, known in told.items()}
    failing = [name for name, holds in true.items() if not holds]
    allowed = {"all": 0, "most": (len(true) - 1) // 2, "some": len(true) - 1}[test.holds_for]
    evidence = exact_evidence(statement.text, "configurations in which it is false", error=len(failing), tolerance=allowed, n=len(true))
    controls = (_can_fail(statement, case.seed), _placed(case) if test.over == "model" else _formulas_hold())
    outcome, reason = decide_exact([evidence], controls)
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=_summary(case, true, told, untold, statement),
        badges=Badges(),
        evidence=(evidence,),
        controls=controls,
        rows={name: [*statement.sides(known)] or [float(true[name])] for name, known in told.items()},
        data={TABLE.name: text_hash([TABLE.read_text(encoding="utf-8")])} if test.over == "published" else {},
    )


def _all_cases(case: Case[Arithmetic]) -> Cases:
    if case.test.over == "model":
        return {case.model.name: model_quantities(case.model)}
    shapes = published() if case.test.over == "published" else case.test.shapes
    repeated = [name for name, n in Counter(shape.name for shape in shapes).items() if n > 1]
    if repeated or not shapes:
        came = f"two shapes are named {repeated[0]!r}" if repeated else "no shape came"
        raise ClaimError(f"{case.id}: {came}; expected shapes: a list of them, each with a name of its own")
    return {shape.name: quantities(shape) for shape in shapes}


def _cases(case: Case[Arithmetic], statement: Expression) -> tuple[Cases, list[str]]:
    """The transformers that the claim is about, and the names of those of which too little is known."""
    where = Expression(case.test.where, QUANTITIES) if case.test.where else None
    told, untold = {}, []
    for name, known in _all_cases(case).items():
        if not (statement.names | (where.names if where else frozenset())) <= known.keys():
            untold.append(name)
        elif where is None or where(known):
            told[name] = known
    return told, untold


def _nothing_to_judge(case: Case[Arithmetic], untold: list[str]) -> Finding:
    """A model at hand without these quantities is out of scope; a table without a case is a claim about nothing."""
    test = case.test
    if test.over != "model":
        known = ", ".join(_all_cases(case))
        raise ClaimError(
            f"{case.id}: no configuration is left to judge {test.statement!r} on (where: {test.where or 'all'}); there are {known}"
        )
    why = "has no such quantity" if untold else f"is none of those where {test.where}"
    summary = f"{case.model.name} {why}: {test.statement}."
    return Finding(outcome="not applicable", reason="out_of_scope", summary=summary, badges=Badges(), evidence=(), controls=())


def _summary(case: Case[Arithmetic], true: dict[str, bool], told: Cases, untold: list[str], statement: Expression) -> str:
    n_true = sum(true.values())
    parts = [f"{statement.text}: true of {n_true} of {len(true)} ({', '.join(_shown(name, told[name], statement) for name in true)})."]
    parts += [f"Not known of {', '.join(untold)}."] if untold else []
    if case.test.over != "model":
        parts.append(f"{case.model.name} played no part.")
    return " ".join(parts)


def _shown(name: str, known: dict[str, Quantity], statement: Expression) -> str:
    """A configuration with the numbers on both sides, or with what it was asked for."""
    sides = statement.sides(known)
    if len(sides) == 2:
        return f"{name}: {sides[0]:,.6g} and {sides[1]:,.6g}"
    return f"{name}: {', '.join(str(known[one]) for one in sorted(statement.names))}"


def _can_fail(statement: Expression, seed: int) -> Control:
    """The share of random numbers, sizes from 1 to a million, of which the statement is true."""
    rng = np.random.default_rng(seed)
    share = share_true(statement, lambda: {name: _drawn(name, rng) for name in QUANTITIES})
    return at_most(
        "numbers drawn at random in place of the quantities", share, 1 - 1 / DRAWS, "of draws in which it is true", "must not be all"
    )


def _drawn(name: str, rng: np.random.Generator) -> Quantity:
    if name in TEXTS:
        return f"none {rng.integers(1000)}"
    return bool(rng.integers(2)) if name == "gated" else int(np.exp(rng.uniform(0, np.log(1e6))))


def _placed(case: Case[Arithmetic]) -> Control:
    n = unplaced(case.model)
    return Control(
        name="each parameter of a block in exactly one part", kind="positive", value=float(n), unit="parameters in none, or in two",
        passed=n == 0, detail="must be 0",
    )  # fmt: skip


def _formulas_hold() -> Control:
    counted = [shape for shape in published() if shape.parameters_counted]
    worst = max(abs(int(quantities(shape)["parameters"]) - int(shape.parameters_counted or 0)) for shape in counted)
    name = f"the formulas, on {' and '.join(shape.name for shape in counted)}"
    return Control(
        name=name, kind="positive", value=float(worst), unit="parameters too many or too few", passed=worst == 0, detail="must be 0"
    )


def _plan(case: Case[Arithmetic]) -> Plan:
    told, untold = _cases(case, Expression(case.test.statement, QUANTITIES))
    if not told:
        raise ClaimError(f"{case.id}: {_nothing_to_judge(case, untold).summary} Nothing would be run")
    return Plan(
        steps=(Step(what="counting", tokens=0),), n_items=len(told), smallest_effect=0.0, unit="configurations in which it is false"
    )


PROTOCOL = Protocol(
    parameters=Arithmetic,
    needs=None,
    requires=(),
    family="every configuration in scope; nothing is sampled",
    controls=(
        "numbers drawn at random, of which the statement must not always be true",
        "a count of parameters that must come out exactly",
    ),
    why_not=lambda anatomy: "",
    plan=_plan,
    run=run,
)
