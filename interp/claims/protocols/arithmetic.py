"""Is what is said of a model's sizes true? "d_ff == 4 * d_model", "ffn_parameters / parameters > 2 / 3": exact, nothing is run.

Design. A claim is a statement (see `expression`) about the quantities of a transformer (see `shapes`), and of which transformers it is
said: `model`, the one at hand, its parameters counted module by module; `published`, published shapes with their sources;
`shapes`, those that the claim writes down ("at d_model = 4096"; where it leaves out the width of heads or the number of key-value heads,
d_model / n_heads and n_heads are meant; biases it has to write down). `where` narrows these by a statement of its own. A transformer of
which some quantity of the statement is not known is left out, by name. Each remaining one is a case; it is said of all, of most (more than
half), or of some.

Controls. Null: sizes drawn at random in place of those that are written down must not make the statement true every time, though the
formulas give the rest, and though only draws of which `where` is true count: what follows from the formulas, or from `where`, says nothing
of any model. For the model at hand what is counted is drawn, what follows from other quantities is not; that a part is no larger than the
whole is not found out there. Positive, for the model at hand: each parameter of its blocks stands in exactly one part, an attention, an FFN
or a norm; else: the formulas of `shapes` give the counts that were made on the models themselves.

Assumptions. A parameter that two modules share counts once. Published numbers are as good as their sources.
What it does not tell. Whether the sizes matter to what a model does. "Most" of a table is most of what somebody put there: no sample of
all models.
"""

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from interp.claims.plan import Plan, Step
from interp.claims.protocols.finding import Finding
from interp.claims.protocols.parts.exact import can_be_false, exact_evidence
from interp.claims.protocols.parts.expression import Expression, Quantity
from interp.claims.protocols.parts.model_shape import following, model_quantities, unplaced
from interp.claims.protocols.parts.shapes import QUANTITIES, Shape, as_usual, quantities, redrawn
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide_exact
from interp.claims.verdict import Badges, Control
from interp.core.errors import ClaimError
from interp.core.provenance import text_hash

TABLE = Path(__file__).parent.parent / "published" / "configurations"
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
    """The published shapes, a file each with its source; what no source says is left out.

    "Config()" in a source: the defaults of that class in transformers, which are the named model's. "By the architecture": no size of its
    own in the configuration, the code of the family defines it. `parameters_counted`: on the model in full size; the formulas must give
    the same before a claim is judged.

    Example:
        >>> next(shape.n_heads for shape in published() if shape.name == "GPT-2 XL")
        25
    """
    return tuple(Shape(**json.loads(text)) for text in _published_texts())


def _published_texts() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(TABLE.glob("*.json"))]


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
    controls = (_can_fail(case, statement, told), _placed(case) if test.over == "model" else _formulas_hold())
    outcome, reason = decide_exact([evidence], controls)
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=_summary(case, true, told, untold, statement),
        badges=Badges(),
        evidence=(evidence,),
        controls=controls,
        rows={name: [*statement.sides(known)] or [float(true[name])] for name, known in told.items()},
        data={TABLE.name: text_hash(_published_texts())} if test.over == "published" else {},
    )


def _all_cases(case: Case[Arithmetic]) -> Cases:
    if case.test.over == "model":
        return {case.model.name: model_quantities(case.model)}
    shapes = _shapes(case)
    repeated = [name for name, n in Counter(shape.name for shape in shapes).items() if n > 1]
    if repeated or not shapes:
        came = f"two shapes are named {repeated[0]!r}" if repeated else "no shape came"
        raise ClaimError(f"{case.id}: {came}; expected shapes: a list of them, each with a name of its own")
    return {shape.name: _known(case, shape) for shape in shapes}


def _shapes(case: Case[Arithmetic]) -> tuple[Shape, ...]:
    return published() if case.test.over == "published" else case.test.shapes


def _known(case: Case[Arithmetic], shape: Shape) -> dict[str, Quantity]:
    """What follows from a shape: of a published one from what is published; a claim's own leaves out what is as usual."""
    return quantities(shape if case.test.over == "published" else as_usual(shape))


def _where(case: Case[Arithmetic]) -> Expression | None:
    return Expression(case.test.where, QUANTITIES) if case.test.where else None


def _cases(case: Case[Arithmetic], statement: Expression) -> tuple[Cases, list[str]]:
    """The transformers that the claim is about, and the names of those of which too little is known."""
    where = _where(case)
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
        known, lacking = ", ".join(_all_cases(case)), f"; too little is known of {', '.join(untold)}" if untold else ""
        raise ClaimError(
            f"{case.id}: no configuration is left to judge {test.statement!r} on (where: {test.where or 'all'}); there are {known}{lacking}"
        )
    why = "has no such quantity" if untold else f"is none of those where {test.where}"
    summary = f"{case.model.name} {why}: {test.statement}."
    return Finding(outcome="not applicable", reason="out_of_scope", summary=summary, badges=Badges(), evidence=(), controls=())


def _summary(case: Case[Arithmetic], true: dict[str, bool], told: Cases, untold: list[str], statement: Expression) -> str:
    n_true = sum(true.values())
    parts = [f"{statement.text}: true of {n_true} of {len(true)} ({', '.join(_shown(name, told[name], statement) for name in true)})."]
    parts += [f"Not known of {', '.join(untold)}."] if untold else []
    return " ".join(parts)


def _shown(name: str, known: dict[str, Quantity], statement: Expression) -> str:
    """A configuration with the numbers on both sides, or with what it was asked for."""
    sides = statement.sides(known)
    if len(sides) == 2:
        return f"{name}: {sides[0]:,.6g} and {sides[1]:,.6g}"
    return f"{name}: {', '.join(str(known[one]) for one in sorted(statement.names))}"


def _can_fail(case: Case[Arithmetic], statement: Expression, told: Cases) -> Control:
    """Sizes at random in those that are judged. With a `where` some stay as they are, more or fewer of them, so that it comes true."""
    where, rng = _where(case), np.random.default_rng(case.seed)
    shapes = [] if case.test.over == "model" else [shape for shape in _shapes(case) if shape.name in told]

    def draw() -> dict[str, Quantity]:
        kept = float(rng.random()) if where else 0.0
        if not shapes:
            return following(redrawn(told[case.model.name], rng, kept))
        shape = shapes[rng.integers(len(shapes))]
        said = {name: value for name, value in shape if value is not None}
        return _known(case, shape.model_copy(update=redrawn(said, rng, kept)))

    return can_be_false("sizes drawn at random in place of those that are judged", statement, draw, where)


def _placed(case: Case[Arithmetic]) -> Control:
    n = unplaced(case.model)
    return Control(
        name="each parameter of a block in exactly one part", kind="positive", value=float(n), unit="parameters in none, or in two",
        passed=n == 0, detail="must be 0",
    )  # fmt: skip


def _formulas_hold() -> Control:
    counted = [shape for shape in published() if shape.parameters_counted]
    worst = max(abs(int(quantities(shape).get("parameters", 0)) - int(shape.parameters_counted or 0)) for shape in counted)
    name = f"the formulas, on {', '.join(shape.name for shape in counted)}"
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
        "sizes drawn at random, of which the statement must not always be true",
        "a count of parameters that must come out exactly",
    ),
    why_not=lambda anatomy: "",
    plan=_plan,
    run=run,
    subject=lambda test: {"model": "", "published": "published configurations", "shapes": "shapes of the claim"}[test.over],
)
